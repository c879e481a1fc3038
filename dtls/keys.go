package dtls

import (
	"crypto/aes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"

	"github.com/pion/dtls/v3/pkg/crypto/ccm"
)

// Specification constants: the key block of AES_128_CCM_8 has no MAC keys
// (RFC 6655 Section 3).
const (
	randomLen     = 32
	masterLen     = 48
	keyLen        = 16
	saltLen       = 4
	keyBlockLen   = 2*keyLen + 2*saltLen
	verifyDataLen = 12
)

// prf fills out with the pseudorandom function of TLS 1.2 over SHA-256
// (RFC 5246 Section 5). The seed is handed over in parts.
func prf(out, secret []byte, label string, seed ...[]byte) {
	m := hmac.New(sha256.New, secret)
	var a, block [sha256.Size]byte
	writeSeed := func() {
		m.Write([]byte(label))
		for _, s := range seed {
			m.Write(s)
		}
	}
	writeSeed()
	m.Sum(a[:0])
	for len(out) > 0 {
		m.Reset()
		m.Write(a[:])
		writeSeed()
		m.Sum(block[:0])
		out = out[copy(out, block[:]):]
		m.Reset()
		m.Write(a[:])
		m.Sum(a[:0])
	}
	clear(a[:])
	clear(block[:])
}

// masterSecret is the one of RFC 5246 Section 8.1.
func masterSecret(premaster []byte, client, server [randomLen]byte) (m [masterLen]byte) {
	prf(m[:], premaster, "master secret", client[:], server[:])
	return m
}

// extendedMasterSecret binds the master secret to the handshake so far
// (RFC 7627 Section 4).
func extendedMasterSecret(premaster, transcript []byte) (m [masterLen]byte) {
	h := sha256.Sum256(transcript)
	prf(m[:], premaster, "extended master secret", h[:])
	return m
}

// verifyData is the content of a Finished message (RFC 5246 Section 7.4.9).
func verifyData(master *[masterLen]byte, client bool, transcript []byte) (v [verifyDataLen]byte) {
	label := "server finished"
	if client {
		label = "client finished"
	}
	h := sha256.Sum256(transcript)
	prf(v[:], master[:], label, h[:])
	return v
}

// sessionKeys is what the key block yields.
type sessionKeys struct {
	client, server direction
	kek            [keyLen]byte
}

// deriveKeys expands the master secret (RFC 5246 Section 6.3).
func deriveKeys(master *[masterLen]byte, client, server [randomLen]byte) sessionKeys {
	var block [keyBlockLen]byte
	defer clear(block[:])
	prf(block[:], master[:], "key expansion", server[:], client[:])
	var k sessionKeys
	k.client = newDirection(block[:16], block[32:36])
	k.server = newDirection(block[16:32], block[36:40])
	h := sha256.Sum256(block[:])
	copy(k.kek[:], h[:])
	return k
}

func newDirection(key, salt []byte) direction {
	b, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // only for a key of a wrong length
	}
	a, err := ccm.NewCCM(b, tagLen, saltLen+nonceLen)
	if err != nil {
		panic(err) // only for lengths CCM does not have
	}
	return direction{aead: a, salt: [saltLen]byte(salt)}
}

// makeKeys derives master secret and record protection once both sides' key
// exchange messages are in the transcript.
func (c *Conn) makeKeys() error {
	premaster, err := c.exchange.Secret()
	if err != nil {
		return fatal(AlertIllegalParameter, "%w", err)
	}
	if c.extendedMaster {
		c.master = extendedMasterSecret(premaster, c.transcript)
	} else {
		c.master = masterSecret(premaster, c.clientRandom, c.serverRandom)
	}
	clear(premaster)
	k := deriveKeys(&c.master, c.clientRandom, c.serverRandom)
	c.kek, c.in, c.out = k.kek, k.client, k.server
	if c.client {
		c.in, c.out = k.server, k.client
	}
	return nil
}

// checkFinished compares the peer's Finished with what it must be.
func (c *Conn) checkFinished(m message) error {
	want := verifyData(&c.master, !c.client, c.transcript)
	if subtle.ConstantTimeCompare(want[:], m.body) != 1 {
		return &AlertError{Alert: AlertDecryptError, Err: ErrWrongSecret}
	}
	c.transcript = m.append(c.transcript)
	return nil
}
