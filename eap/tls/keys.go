package tls

import (
	stdtls "crypto/tls"
	"fmt"
	"strings"

	"gatewayd/eap"
)

// Specification constants (RFC 5216 Section 2.3, RFC 9190 Section 2.3).
const (
	label12        = "client EAP encryption"
	label13        = "EXPORTER_EAP_TLS_Key_Material"
	labelSessionID = "EXPORTER_EAP_TLS_Method-Id"
	keyLen         = 64
	methodIDLen    = 64
)

// keys is what a handshake gives.
type keys struct {
	msk, emsk []byte
	sessionID []byte
}

func (k *keys) wipe() {
	clear(k.msk)
	clear(k.emsk)
	*k = keys{}
}

// export derives the keys of a complete handshake. The hellos are the
// client's and the server's.
func export(st *stdtls.ConnectionState, client, server *hello) (keys, error) {
	if st.Version >= stdtls.VersionTLS13 {
		context := []byte{byte(eap.TypeTLS)}
		b, err := st.ExportKeyingMaterial(label13, context, 2*keyLen)
		if err != nil {
			return keys{}, fmt.Errorf("%w: %s", ErrHandshake, err)
		}
		id, err := st.ExportKeyingMaterial(labelSessionID, context, methodIDLen)
		if err != nil {
			return keys{}, fmt.Errorf("%w: %s", ErrHandshake, err)
		}
		return split(b, append([]byte{byte(eap.TypeTLS)}, id...)), nil
	}
	b, err := st.ExportKeyingMaterial(label12, nil, 2*keyLen)
	switch {
	case err != nil && strings.Contains(err.Error(), "Extended Master Secret"):
		return keys{}, ErrNoEMS
	case err != nil:
		return keys{}, fmt.Errorf("%w: %s", ErrHandshake, err)
	}
	id := []byte{byte(eap.TypeTLS)}
	id = append(id, client.random()...)
	return split(b, append(id, server.random()...)), nil
}

func split(b, sessionID []byte) keys {
	return keys{msk: b[:keyLen:keyLen], emsk: b[keyLen:], sessionID: sessionID}
}

// Specification constants of TLS (RFC 5246 Sections 6.2.1 and 7.4.1).
const (
	recordHeaderLen = 5
	randomAt        = 4 + 2 // handshake header, version
	randomLen       = 32
)

// hello picks the random number out of one direction's first handshake
// message, which crypto/tls does not show. The message is not protected, but
// may be spread over records.
type hello struct {
	head [recordHeaderLen]byte
	nh   int // octets of head
	left int // octets of the record that are to come
	msg  [randomAt + randomLen]byte
	n    int // octets of msg
}

func (h *hello) feed(b []byte) {
	for len(b) > 0 && h.n < len(h.msg) {
		if h.left == 0 {
			k := copy(h.head[h.nh:], b)
			h.nh += k
			b = b[k:]
			if h.nh == recordHeaderLen {
				h.nh, h.left = 0, int(h.head[3])<<8|int(h.head[4])
			}
			continue
		}
		k := copy(h.msg[h.n:], b[:min(h.left, len(b))])
		h.n += k
		h.left -= k
		b = b[k:]
	}
}

func (h *hello) random() []byte { return h.msg[randomAt:] }
