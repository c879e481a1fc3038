package ieee802154

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
)

// NonceLen is the size of a CCM* nonce, in octets.
const NonceLen = 13

// A CCM is AES-128 in CCM* mode with a 2-octet length field (IEEE
// 802.15.4-2015 Annex B.4). It works in place and does not allocate. It keeps
// working state, so that one goroutine at a time may use it.
type CCM struct {
	block  cipher.Block
	mac    [aes.BlockSize]byte // CBC-MAC so far
	ctr    [aes.BlockSize]byte // counter block
	stream [aes.BlockSize]byte // key stream
}

// NewCCM returns a CCM for the key.
func NewCCM(key [16]byte) *CCM {
	b, err := aes.NewCipher(key[:])
	if err != nil {
		panic("ieee802154: " + err.Error()) // cannot be: the key has 16 octets
	}
	return &CCM{block: b}
}

// Seal encrypts data in place and writes the code over aad and data into tag.
// The length of tag is 0, 4, 8 or 16; aad and data are each shorter than
// 65280 octets.
func (c *CCM) Seal(nonce *[NonceLen]byte, aad, data, tag []byte) {
	c.start(nonce, aad, len(data), len(tag))
	c.cbc(data)
	c.crypt(data)
	c.finish()
	copy(tag, c.mac[:])
}

// Open decrypts data in place and returns ErrMIC when tag is not the code over
// aad and data. In that case data is as it was.
func (c *CCM) Open(nonce *[NonceLen]byte, aad, data, tag []byte) error {
	c.start(nonce, aad, len(data), len(tag))
	c.crypt(data)
	c.cbc(data)
	c.finish()
	if subtle.ConstantTimeCompare(tag, c.mac[:len(tag)]) != 1 {
		c.crypt(data) // the same key stream again
		return ErrMIC
	}
	return nil
}

// start authenticates the first block and aad, and sets up the counter block.
func (c *CCM) start(nonce *[NonceLen]byte, aad []byte, dataLen, tagLen int) {
	flags := byte(1) // length field of 2 octets, less one
	if tagLen > 0 {
		flags |= byte(tagLen-2) / 2 << 3
	}
	if len(aad) > 0 {
		flags |= 1 << 6
	}
	c.mac[0] = flags
	copy(c.mac[1:], nonce[:])
	c.mac[14], c.mac[15] = byte(dataLen>>8), byte(dataLen)
	c.block.Encrypt(c.mac[:], c.mac[:])
	if len(aad) > 0 {
		c.mac[0] ^= byte(len(aad) >> 8)
		c.mac[1] ^= byte(len(aad))
		n := subtle.XORBytes(c.mac[2:], c.mac[2:], aad)
		c.block.Encrypt(c.mac[:], c.mac[:])
		c.cbc(aad[n:])
	}
	c.ctr[0] = 1
	copy(c.ctr[1:], nonce[:])
}

// cbc authenticates p, padded with zeros to a block.
func (c *CCM) cbc(p []byte) {
	for len(p) > 0 {
		p = p[subtle.XORBytes(c.mac[:], c.mac[:], p):]
		c.block.Encrypt(c.mac[:], c.mac[:])
	}
}

// crypt adds the key stream from counter 1 on to p.
func (c *CCM) crypt(p []byte) {
	for i := 1; len(p) > 0; i++ {
		c.ctr[14], c.ctr[15] = byte(i>>8), byte(i)
		c.block.Encrypt(c.stream[:], c.ctr[:])
		p = p[subtle.XORBytes(p, p, c.stream[:]):]
	}
}

// finish turns the CBC-MAC into the tag, with the key stream of counter 0.
func (c *CCM) finish() {
	c.ctr[14], c.ctr[15] = 0, 0
	c.block.Encrypt(c.stream[:], c.ctr[:])
	subtle.XORBytes(c.mac[:], c.mac[:], c.stream[:])
}
