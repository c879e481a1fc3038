package pana

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"net/netip"
	"time"
)

// A starter gives out the session identifier and the first sequence number of
// a session that does not exist yet, and recognizes them.
type starter interface {
	issue(w path) (id, seq uint32, err error)
	valid(w path, id, seq uint32) bool
}

// cookieEpoch is for how long a secret gives out cookies; they are recognized
// for as long again.
const cookieEpoch = 60 * time.Second

// A cookies starter keeps nothing about a client: the upper half of the
// session identifier counts, the lower half and the sequence number are 48
// bits of a MAC over it and the client's address. The nonce of PANA cannot do
// this, because it comes one exchange later.
type cookies struct {
	now    func() time.Time
	random io.Reader
	inUse  func(id uint32) bool

	secret, previous [32]byte
	since            time.Time // zero: there is no secret
	count            uint16
}

// rotate makes the secret that is good for the present time.
func (c *cookies) rotate() error {
	now := c.now()
	age := now.Sub(c.since)
	if !c.since.IsZero() && age < cookieEpoch {
		return nil
	}
	b, err := randomBytes(c.random, 2*len(c.secret))
	if err != nil {
		return err
	}
	c.previous = c.secret
	if c.since.IsZero() || age >= 2*cookieEpoch {
		copy(c.previous[:], b[len(c.secret):]) // nobody may hold a cookie any more
	}
	copy(c.secret[:], b)
	c.since = now
	return nil
}

func (c *cookies) issue(w path) (id, seq uint32, err error) {
	if err := c.rotate(); err != nil {
		return 0, 0, err
	}
	for range 1 << 16 {
		c.count++
		if id, seq = cookie(&c.secret, w, c.count); id != 0 && !c.inUse(id) {
			return id, seq, nil
		}
	}
	return 0, 0, ErrCrowded
}

func (c *cookies) valid(w path, id, seq uint32) bool {
	if c.rotate() != nil {
		return false
	}
	for _, secret := range []*[32]byte{&c.secret, &c.previous} {
		if i, s := cookie(secret, w, uint16(id>>16)); i == id && s == seq {
			return true
		}
	}
	return false
}

func cookie(secret *[32]byte, w path, count uint16) (id, seq uint32) {
	b := binary.BigEndian.AppendUint16(make([]byte, 0, 128), count)
	b = appendAddrPort(b, w.pac)
	b = appendAddrPort(b, w.pre)
	mac := hmac.New(sha256.New, secret[:])
	mac.Write(b)
	var sum [sha256.Size]byte
	mac.Sum(sum[:0])
	return uint32(count)<<16 | uint32(binary.BigEndian.Uint16(sum[:])), binary.BigEndian.Uint32(sum[2:])
}

// appendAddrPort appends a transport address so that no two look the same.
func appendAddrPort(b []byte, a netip.AddrPort) []byte {
	ip := a.Addr().AsSlice()
	zone := a.Addr().Zone()
	b = append(b, byte(len(ip)), byte(len(zone)))
	b = append(append(b, ip...), zone...)
	return binary.BigEndian.AppendUint16(b, a.Port())
}
