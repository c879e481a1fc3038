package ipv6

import (
	"encoding/binary"
	"net/netip"
)

// Checksum returns the checksum of an upper-layer packet (RFC 8200 Section
// 8.1) whose own checksum field is zero. For UDP the value zero, which would
// mean none, becomes 0xffff.
func Checksum(src, dst netip.Addr, proto uint8, payload []byte) uint16 {
	c := ^fold(sum(pseudo(src, dst, proto, len(payload)), payload))
	if c == 0 && proto == ProtoUDP {
		return 0xffff
	}
	return c
}

// VerifyChecksum reports whether the checksum inside an upper-layer packet is
// right. UDP without a checksum is wrong in IPv6.
func VerifyChecksum(src, dst netip.Addr, proto uint8, payload []byte) bool {
	if proto == ProtoUDP && (len(payload) < UDPHeaderLen || binary.BigEndian.Uint16(payload[6:]) == 0) {
		return false
	}
	return fold(sum(pseudo(src, dst, proto, len(payload)), payload)) == 0xffff
}

// pseudo sums the pseudo-header.
func pseudo(src, dst netip.Addr, proto uint8, length int) uint64 {
	s, d := src.As16(), dst.As16()
	return sum(sum(uint64(proto)+uint64(length), s[:]), d[:])
}

// sum adds b to s in 32-bit words: with end-around carry that is the same as
// adding 16-bit ones, and a packet cannot overflow 64 bits.
func sum(s uint64, b []byte) uint64 {
	for len(b) >= 8 {
		v := binary.BigEndian.Uint64(b)
		s += v>>32 + v&0xffffffff
		b = b[8:]
	}
	if len(b) >= 4 {
		s += uint64(binary.BigEndian.Uint32(b))
		b = b[4:]
	}
	switch len(b) {
	case 3:
		s += uint64(b[0])<<24 | uint64(b[1])<<16 | uint64(b[2])<<8
	case 2:
		s += uint64(b[0])<<24 | uint64(b[1])<<16
	case 1:
		s += uint64(b[0]) << 24
	}
	return s
}

func fold(s uint64) uint16 {
	s = s>>32 + s&0xffffffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return uint16(s)
}
