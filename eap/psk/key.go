package psk

import (
	"crypto/cipher"
	"fmt"
)

// KeyLen is the length of a pre-shared key.
const KeyLen = 16

// Key is a pre-shared key, set up for use (RFC 4764 Section 3.1). It may be
// kept and shared, which saves its set-up.
type Key struct {
	ak, kdk cipher.Block
	k1, k2  block // CMAC's subkeys under ak
}

// NewKey sets up a pre-shared key of KeyLen octets, which is not kept.
func NewKey(psk []byte) (*Key, error) {
	if len(psk) != KeyLen {
		return nil, fmt.Errorf("eap-psk: a pre-shared key has %d octets, not %d", KeyLen, len(psk))
	}
	return newKey((*block)(psk)), nil
}

func newKey(psk *block) *Key {
	c := newCipher(psk)
	var root, ak, kdk block
	c.Encrypt(root[:], root[:])
	ak, kdk = root, root
	ak[blockLen-1] ^= 1
	kdk[blockLen-1] ^= 2
	c.Encrypt(ak[:], ak[:])
	c.Encrypt(kdk[:], kdk[:])
	k := &Key{ak: newCipher(&ak), kdk: newCipher(&kdk)}
	var m cmac
	m.init(k.ak)
	k.k1, k.k2 = m.k1, m.k2
	for _, b := range []*block{&root, &ak, &kdk} {
		clear(b[:])
	}
	return k
}

// String and GoString keep the key out of logs.
func (k *Key) String() string   { return "redacted" }
func (k *Key) GoString() string { return "redacted" }

// session derives TEK, MSK and EMSK from the peer's random number (Section
// 3.2).
func (k *Key) session(randP *block, e *eaxState) (msk, emsk []byte) {
	var h, in, tek block
	k.kdk.Encrypt(h[:], randP[:])
	keys := make([]byte, 2*64)
	for i := 1; i <= 9; i++ {
		in = h
		in[blockLen-1] ^= byte(i)
		if i == 1 {
			k.kdk.Encrypt(tek[:], in[:])
		} else {
			k.kdk.Encrypt(keys[(i-2)*blockLen:], in[:])
		}
	}
	e.init(newCipher(&tek))
	clear(h[:])
	clear(in[:])
	clear(tek[:])
	return keys[:64:64], keys[64:]
}

// mac is the CMAC of parts under AK.
func (k *Key) mac(m *cmac, parts ...[]byte) *block {
	m.aes, m.k1, m.k2 = k.ak, k.k1, k.k2
	m.reset()
	for _, p := range parts {
		m.write(p)
	}
	return m.sum()
}
