package nat64

import "encoding/binary"

// delta is what changes in the data under a checksum, as a sum in one's
// complement of the words that come and the complements of those that go (RFC
// 1624 Section 3). 64 bits hold more words than a packet has.
type delta uint64

func (d *delta) add(v uint16)    { *d += delta(v) }
func (d *delta) remove(v uint16) { *d += delta(^v) }

func (d *delta) replace(was, is uint16) {
	d.remove(was)
	d.add(is)
}

func (d *delta) add32(v uint32) { *d += delta(v>>16) + delta(v&0xffff) }
func (d *delta) remove32(v uint32) {
	*d += delta(^v>>16) + delta(^v&0xffff)
}

func (d *delta) addAddr(a *[16]byte)    { d.add(foldSum(sumAddr(a))) }
func (d *delta) removeAddr(a *[16]byte) { d.remove(foldSum(sumAddr(a))) }

func sumAddr(a *[16]byte) uint64 {
	x, y := binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])
	return x>>32 + x&0xffffffff + y>>32 + y&0xffffffff
}

// apply changes a checksum accordingly (RFC 1624 equation 3).
func (d delta) apply(checksum uint16) uint16 {
	return ^foldSum(uint64(d) + uint64(^checksum))
}

// sum adds b to s in words of 32 bits, which is the same as in words of 16 when
// folded.
func sum(s uint64, b []byte) uint64 {
	for len(b) >= 8 {
		v := binary.BigEndian.Uint64(b)
		s += v>>32 + v&0xffffffff
		b = b[8:]
	}
	for i, shift := 0, 24; i < len(b); i++ {
		s += uint64(b[i]) << shift
		if shift -= 8; shift < 0 {
			shift = 24
		}
	}
	return s
}

func foldSum(s uint64) uint16 {
	s = s>>32 + s&0xffffffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return uint16(s)
}

// notZero is a UDP checksum, in which zero means none (RFC 768).
func notZero(c uint16) uint16 {
	if c == 0 {
		return 0xffff
	}
	return c
}
