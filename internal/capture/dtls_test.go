package capture

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"

	"github.com/pion/dtls/v3/pkg/crypto/ccm"
	"github.com/pion/dtls/v3/pkg/crypto/prf"

	"gatewayd/thread/meshcop"
	"gatewayd/thread/tmf"
)

// A session is the DTLS session of one joiner, whose key log says the master
// secret. Package dtls is tested against the same sessions from inside; here
// another implementation's key derivation and cipher read them.
type session struct {
	client, server [32]byte // randoms
	seals          [2]*seal // client's and server's, once both randoms are known
}

// seal protects the records of one direction (RFC 6655 Section 3).
type seal struct {
	aead cipher.AEAD
	salt []byte
}

const (
	recordHeaderLen = 13 // RFC 6347 Section 4.1
	explicitLen     = 8
	tagLen          = 8

	typeHandshake   = 22
	typeApplication = 23

	clientHello = 1
	serverHello = 2
	randomAt    = 12 + 2 // behind handshake header and version
)

// relayed takes the DTLS datagram out of a message between joiner router and
// commissioner.
func (w *walker) relayed(path string, payload []byte) {
	switch path {
	case tmf.RelayReceive:
		if m, err := meshcop.DecodeRelayRx(payload); err == nil {
			w.records(m.JoinerIID, true, m.Encapsulation)
		}
	case tmf.RelayTransmit:
		if m, err := meshcop.DecodeRelayTx(payload); err == nil {
			w.records(m.JoinerIID, false, m.Encapsulation)
		}
	}
}

// dtls takes a datagram between joiner and joiner router. The joiner is the one
// that has sent a ClientHello: both may use the same port.
func (w *walker) dtls(src, dst netip.Addr, data []byte) {
	s, d := src.As16(), dst.As16()
	from, to := [8]byte(s[8:]), [8]byte(d[8:])
	hello := len(data) > recordHeaderLen && data[0] == typeHandshake && data[recordHeaderLen] == clientHello
	if hello || w.sessions[from] != nil {
		w.records(from, true, data)
	} else {
		w.records(to, false, data)
	}
}

// records reads a datagram of a joiner's session.
func (w *walker) records(joiner [8]byte, fromClient bool, b []byte) {
	s := w.sessions[joiner]
	if s == nil {
		s = &session{}
		w.sessions[joiner] = s
	}
	for len(b) > 0 {
		if len(b) < recordHeaderLen || len(b)-recordHeaderLen < int(binary.BigEndian.Uint16(b[11:])) {
			w.saw(dtlsLayer, b, nil, errors.New("no record"))
			return
		}
		n := recordHeaderLen + int(binary.BigEndian.Uint16(b[11:]))
		record := b[:n:n]
		b = b[n:]
		plain, again, err := w.open(s, fromClient, record)
		if !w.saw(dtlsLayer, record, again, err) {
			continue
		}
		switch record[0] {
		case typeHandshake:
			s.hello(plain)
		case typeApplication:
			// Both ends' addresses matter only to match answers to requests.
			port := netip.AddrPortFrom(netip.AddrFrom16([16]byte(append(make([]byte, 8), joiner[:]...))), meshcop.DefaultJoinerPort)
			w.coap(port, port, plain)
		}
	}
}

// hello notes the random of a hello message.
func (s *session) hello(b []byte) {
	if len(b) < randomAt+32 {
		return
	}
	switch b[0] {
	case clientHello:
		*s = session{client: [32]byte(b[randomAt:])}
	case serverHello:
		s.server = [32]byte(b[randomAt:])
	}
}

// open decrypts a record of epoch 1 and encrypts it again.
func (w *walker) open(s *session, fromClient bool, record []byte) (plain, again []byte, err error) {
	header, fragment := record[:recordHeaderLen], record[recordHeaderLen:]
	if binary.BigEndian.Uint16(header[3:]) == 0 {
		return fragment, record, nil
	}
	if s.seals[0] == nil {
		if err := s.derive(w.Masters); err != nil {
			return nil, nil, err
		}
	}
	d := s.seals[0]
	if !fromClient {
		d = s.seals[1]
	}
	if len(fragment) < explicitLen+tagLen {
		return nil, nil, errors.New("record is too short")
	}
	nonce := slices.Concat(d.salt, fragment[:explicitLen])
	ad := slices.Concat(header[3:11], header[:3])
	ad = binary.BigEndian.AppendUint16(ad, uint16(len(fragment)-explicitLen-tagLen))
	plain, err = d.aead.Open(nil, nonce, fragment[explicitLen:], ad)
	if err != nil {
		return nil, nil, err
	}
	again = append(bytes.Clone(header), fragment[:explicitLen]...)
	return plain, d.aead.Seal(again, nonce, plain, ad), nil
}

// derive makes the keys of a session (RFC 5246 Section 6.3).
func (s *session) derive(masters map[[32]byte][48]byte) error {
	master, ok := masters[s.client]
	if !ok {
		return errors.New("no master secret in the key log")
	}
	k, err := prf.GenerateEncryptionKeys(master[:], s.client[:], s.server[:], 0, 16, 4, sha256.New)
	if err != nil {
		return err
	}
	for i, keyed := range []struct{ key, salt []byte }{{k.ClientWriteKey, k.ClientWriteIV}, {k.ServerWriteKey, k.ServerWriteIV}} {
		block, err := aes.NewCipher(keyed.key)
		if err != nil {
			return err
		}
		aead, err := ccm.NewCCM(block, tagLen, len(keyed.salt)+explicitLen)
		if err != nil {
			return err
		}
		s.seals[i] = &seal{aead, keyed.salt}
	}
	return nil
}
