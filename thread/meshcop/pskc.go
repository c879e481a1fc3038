package meshcop

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
)

// Limits of a commissioning pass phrase, in bytes.
const (
	MinPassphraseLen = 6
	MaxPassphraseLen = 255
)

// pskcIterations is the PBKDF2 iteration count of Thread 1.4 Section 8.4.1.2.2.
const pskcIterations = 16384

// PSKc derives the Pre-Shared Key for the Commissioner from a commissioning
// pass phrase (Thread 1.4 Section 8.4.1.2.2): PBKDF2 of RFC 8018 with the PRF
// AES-CMAC-PRF-128 of RFC 4615, and the salt "Thread", Extended PAN ID, network
// name. It takes some milliseconds.
func PSKc(passphrase, networkName string, extPANID ExtPANID) (Key, error) {
	if n := len(passphrase); n < MinPassphraseLen || n > MaxPassphraseLen {
		return Key{}, fmt.Errorf("meshcop: pass phrase has %d bytes, must have %d to %d", n, MinPassphraseLen, MaxPassphraseLen)
	}
	if badText([]byte(passphrase)) >= 0 {
		return Key{}, fmt.Errorf("meshcop: pass phrase is not printable UTF-8")
	}
	if n := len(networkName); n > MaxNetworkNameLen {
		return Key{}, fmt.Errorf("meshcop: network name has %d bytes, at most %d", n, MaxNetworkNameLen)
	}
	salt := append([]byte("Thread"), extPANID[:]...)
	salt = append(salt, networkName...)

	// RFC 8018 Section 5.2 with one block of output: T = U1 ^ U2 ^ ...
	prf := newPRF([]byte(passphrase))
	u := prf.mac(binary.BigEndian.AppendUint32(salt, 1))
	t := u
	for range pskcIterations - 1 {
		u = prf.mac(u[:])
		subtle.XORBytes(t[:], t[:], u[:])
	}
	return Key(t), nil
}

// newPRF returns AES-CMAC-PRF-128 keyed with a key of any length: one that is
// not 16 bytes long is first hashed with an all-zero key (RFC 4615 Section 3).
func newPRF(key []byte) *cmac {
	if len(key) == aes.BlockSize {
		return newCMAC([16]byte(key))
	}
	return newCMAC(newCMAC([16]byte{}).mac(key))
}

// cmac is AES-CMAC (RFC 4493).
type cmac struct {
	block  cipher.Block
	k1, k2 [16]byte
}

func newCMAC(key [16]byte) *cmac {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // only for a bad key length
	}
	c := &cmac{block: block}
	block.Encrypt(c.k1[:], c.k1[:]) // L = AES(K, 0)
	c.k1 = double(c.k1)
	c.k2 = double(c.k1)
	return c
}

// double multiplies by x in GF(2^128) (RFC 4493 Section 2.3).
func double(b [16]byte) [16]byte {
	hi, lo := binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])
	carry := hi >> 63
	hi, lo = hi<<1|lo>>63, lo<<1^carry*0x87
	binary.BigEndian.PutUint64(b[:], hi)
	binary.BigEndian.PutUint64(b[8:], lo)
	return b
}

func (c *cmac) mac(m []byte) [16]byte {
	var x [16]byte
	for len(m) > 16 {
		subtle.XORBytes(x[:], x[:], m[:16])
		c.block.Encrypt(x[:], x[:])
		m = m[16:]
	}
	subtle.XORBytes(x[:], x[:], m)
	if len(m) == 16 {
		subtle.XORBytes(x[:], x[:], c.k1[:])
	} else {
		x[len(m)] ^= 0x80
		subtle.XORBytes(x[:], x[:], c.k2[:])
	}
	c.block.Encrypt(x[:], x[:])
	return x
}
