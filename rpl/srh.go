package rpl

import (
	"net/netip"

	"gatewayd/ipv6"
)

// RoutingType is the type of the source routing header (RFC 6554 Section 6).
const RoutingType uint8 = 3

// MaxHops is the most addresses a SourceRoute made here has; the longest that
// fits uncompressed into a header of 255 8-byte words is 127.
const MaxHops = 64

// SourceRoute is the source routing header (RFC 6554 Section 3). Addresses
// are whole: what the header leaves out is what they share with the packet's
// destination.
//
//	+---------------+---------------+---------------+---------------+
//	|  Next Header  |  Hdr Ext Len  |Routing Type=3 | Segments Left |
//	+-------+-------+-------+-------+---------------+---------------+
//	| CmprI | CmprE |  Pad  |               Reserved                |
//	+-------+-------+-------+---------------------------------------+
//	|                    Addresses[1..n], padding                   |
type SourceRoute struct {
	SegmentsLeft uint8
	Addrs        []netip.Addr // at least one
}

// DecodeSourceRoute reads the data of a routing extension header, which is
// all after its length (see ipv6.DecodeExt), of a packet to dst.
func DecodeSourceRoute(data []byte, dst netip.Addr) (SourceRoute, error) {
	l, err := layoutOf(data)
	if err != nil {
		return SourceRoute{}, err
	}
	r := SourceRoute{SegmentsLeft: data[1], Addrs: make([]netip.Addr, l.n)}
	for i := range r.Addrs {
		r.Addrs[i] = l.addr(data, i, dst)
	}
	return r, nil
}

// Append appends the whole routing header for a packet to dst, compressed (RFC
// 6554 Section 3: CmprI for all but the last address, CmprE for that), and
// padded to 8 bytes. Every address takes its turn as the destination that the
// others are completed from, so what is left out is shared by all.
func (r SourceRoute) Append(b []byte, next uint8, dst netip.Addr) []byte {
	last := len(r.Addrs) - 1
	cmprI, cmprE := 15, shared(r.Addrs[last], dst)
	for _, a := range r.Addrs[:last] {
		cmprI = min(cmprI, shared(a, dst))
		cmprE = min(cmprE, shared(a, r.Addrs[last]))
	}
	if last == 0 {
		cmprI = cmprE // no other addresses: any value would do
	}
	n := last*(16-cmprI) + 16 - cmprE
	pad := -n & 7
	b = append(b, next, uint8((n+pad)/8), RoutingType, r.SegmentsLeft,
		uint8(cmprI)<<4|uint8(cmprE), uint8(pad)<<4, 0, 0)
	for i, a := range r.Addrs {
		c := cmprI
		if i == last {
			c = cmprE
		}
		v := a.As16()
		b = append(b, v[c:]...)
	}
	return append(b, make([]byte, pad)...)
}

// shared counts the leading bytes that two addresses have in common, at most
// 15, as a field of four bits says it.
func shared(a, b netip.Addr) int {
	x, y := a.As16(), b.As16()
	n := 0
	for n < 15 && x[n] == y[n] {
		n++
	}
	return n
}

// srhLayout is where the addresses of an encoded header are.
type srhLayout struct {
	n            int // addresses
	cmprI, cmprE int
}

// layoutOf reads the fixed part of a header's data and computes the number of
// addresses (RFC 6554 Section 4.2).
func layoutOf(data []byte) (srhLayout, error) {
	if len(data) < 6 {
		return srhLayout{}, decodeError("source routing header", len(data), ErrShort)
	}
	if data[0] != RoutingType {
		return srhLayout{}, decodeError("routing type", 0, ErrType)
	}
	l := srhLayout{cmprI: int(data[2] >> 4), cmprE: int(data[2] & 15)}
	pad := int(data[3] >> 4)
	// What is left of the addresses before the last must be whole ones.
	room := len(data) - 6 - pad - (16 - l.cmprE)
	if room < 0 || room%(16-l.cmprI) != 0 {
		return srhLayout{}, decodeError("source routing addresses", 6, ErrLength)
	}
	l.n = room/(16-l.cmprI) + 1
	return l, nil
}

// place is where in a header's data address i (from zero) is, and how many
// leading bytes of it are left out.
func (l srhLayout) place(i int) (at, elided int) {
	at, elided = 6+i*(16-l.cmprI), l.cmprI
	if i == l.n-1 {
		elided = l.cmprE
	}
	return at, elided
}

func (l srhLayout) addr(data []byte, i int, dst netip.Addr) netip.Addr {
	at, elided := l.place(i)
	a := dst.As16()
	copy(a[elided:], data[at:at+16-elided])
	return netip.AddrFrom16(a)
}

// findSRH walks the extension headers of a packet to a source routing header
// and returns the place of its data; zero when there is none.
func findSRH(packet []byte) (at, end int) {
	proto, off := packet[6], ipv6.HeaderLen
	for proto == ipv6.ProtoHopByHop || proto == ipv6.ProtoDstOpts || proto == ipv6.ProtoRouting {
		e, rest, err := ipv6.DecodeExt(proto, packet[off:])
		if err != nil {
			return 0, 0
		}
		next := len(packet) - len(rest)
		if proto == ipv6.ProtoRouting && e.Data[0] == RoutingType {
			return off + 2, next
		}
		proto, off = e.Next, next
	}
	return 0, 0
}
