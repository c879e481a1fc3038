package psk

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
)

const blockLen = aes.BlockSize

type block = [blockLen]byte

// double multiplies by x in GF(2^128), big-endian (SP 800-38B Section 6.1).
func double(b *block) {
	hi, lo := binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])
	carry := -(hi >> 63)
	binary.BigEndian.PutUint64(b[:], hi<<1|lo>>63)
	binary.BigEndian.PutUint64(b[8:], lo<<1^carry&0x87)
}

// cmac computes AES-CMAC. It keeps its working blocks, because what is passed
// through the cipher.Block interface is otherwise allocated at each call.
type cmac struct {
	aes    cipher.Block
	k1, k2 block
	x      block // the chain
	buf    block // the block that is not yet in the chain
	n      int   // octets of buf
}

// newCipher is AES-128 under a key. Its length is right by its type.
func newCipher(key *block) cipher.Block {
	c, err := aes.NewCipher(key[:])
	if err != nil {
		panic("psk: " + err.Error())
	}
	return c
}

func (c *cmac) init(b cipher.Block) {
	c.aes = b
	c.k1 = block{}
	b.Encrypt(c.k1[:], c.k1[:])
	double(&c.k1)
	c.k2 = c.k1
	double(&c.k2)
}

func (c *cmac) reset() { c.x, c.n = block{}, 0 }

func (c *cmac) write(p []byte) {
	for len(p) > 0 {
		if c.n == blockLen { // more follows: it is not the last
			subtle.XORBytes(c.x[:], c.x[:], c.buf[:])
			c.aes.Encrypt(c.x[:], c.x[:])
			c.n = 0
		}
		k := copy(c.buf[c.n:], p)
		c.n += k
		p = p[k:]
	}
}

// sum ends the message. The result is valid until the next reset.
func (c *cmac) sum() *block {
	k := &c.k1
	if c.n < blockLen {
		clear(c.buf[c.n:])
		c.buf[c.n] = 0x80
		k = &c.k2
	}
	subtle.XORBytes(c.x[:], c.x[:], c.buf[:])
	subtle.XORBytes(c.x[:], c.x[:], k[:])
	c.aes.Encrypt(c.x[:], c.x[:])
	return &c.x
}

// eaxState is AES-128 in EAX mode with a 16-octet tag.
type eaxState struct {
	cmac
	nonceMAC, ctr, stream, tag block
}

// omac is CMAC over the block t and m.
func (e *eaxState) omac(t byte, m []byte) *block {
	e.reset()
	e.buf[blockLen-1], e.n = t, blockLen
	clear(e.buf[:blockLen-1])
	e.write(m)
	return e.sum()
}

// crypt runs counter mode from the nonce's MAC over b, in place.
func (e *eaxState) crypt(b []byte) {
	e.ctr = e.nonceMAC
	for len(b) > 0 {
		e.aes.Encrypt(e.stream[:], e.ctr[:])
		n := subtle.XORBytes(b, b, e.stream[:])
		b = b[n:]
		for i := blockLen - 1; i >= 0; i-- {
			e.ctr[i]++
			if e.ctr[i] != 0 {
				break
			}
		}
	}
}

func (e *eaxState) authenticate(header, ciphertext []byte) {
	e.tag = e.nonceMAC
	subtle.XORBytes(e.tag[:], e.tag[:], e.omac(1, header)[:])
	subtle.XORBytes(e.tag[:], e.tag[:], e.omac(2, ciphertext)[:])
}

// seal encrypts b in place and returns the tag, which is valid until the next
// call.
func (e *eaxState) seal(nonce, header, b []byte) *block {
	e.nonceMAC = *e.omac(0, nonce)
	e.crypt(b)
	e.authenticate(header, b)
	return &e.tag
}

// open decrypts b in place, if the tag is right.
func (e *eaxState) open(nonce, header, b, tag []byte) bool {
	e.nonceMAC = *e.omac(0, nonce)
	e.authenticate(header, b)
	if subtle.ConstantTimeCompare(e.tag[:], tag) != 1 {
		return false
	}
	e.crypt(b)
	return true
}

// wipe forgets what depends on the key. The expanded key inside e.aes cannot
// be reached; it is let go.
func (e *eaxState) wipe() { *e = eaxState{} }
