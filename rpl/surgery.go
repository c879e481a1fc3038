package rpl

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"gatewayd/ipv6"
)

// InsertPacketInfo puts an RPL option into a datagram's hop-by-hop header,
// making one if there is none. Only the datagram's own source may do that (RFC
// 6553 Section 5, RFC 8200 Section 4). The packet must have been checked by
// ipv6.DecodeHeader; one whose hop-by-hop header is broken or full comes back
// as it is.
func InsertPacketInfo(packet []byte, p PacketInfo, typ uint8) []byte {
	opt := p.Option(typ)
	if packet[6] != ipv6.ProtoHopByHop {
		ext := ipv6.AppendOptions(nil, packet[6], opt)
		return insertExt(packet, ipv6.ProtoHopByHop, ext)
	}
	e, rest, err := ipv6.DecodeExt(ipv6.ProtoHopByHop, packet[ipv6.HeaderLen:])
	if err != nil {
		return packet
	}
	opts, err := optionsOf(e.Data)
	if err != nil || len(e.Data)+len(opt.Data)+16 > 255*8 {
		return packet
	}
	return replaceHop(packet, e.Next, append([]ipv6.Option{opt}, opts...), rest)
}

// RemovePacketInfo takes the RPL options out of a datagram that leaves the
// RPL domain or has arrived. A packet without any comes back as it is.
func RemovePacketInfo(packet []byte) []byte {
	if _, _, found, err := FindPacketInfo(packet); err != nil || !found {
		return packet
	}
	e, rest, err := ipv6.DecodeExt(ipv6.ProtoHopByHop, packet[ipv6.HeaderLen:])
	if err != nil {
		return packet
	}
	opts, err := optionsOf(e.Data)
	if err != nil {
		return packet
	}
	opts = slices.DeleteFunc(opts, func(o ipv6.Option) bool { return o.Type == HopOption || o.Type == HopOption23 })
	return replaceHop(packet, e.Next, opts, rest)
}

// replaceHop puts other options into the hop-by-hop header, or takes it out
// when there are none.
func replaceHop(packet []byte, next uint8, opts []ipv6.Option, rest []byte) []byte {
	out := slices.Clone(packet[:ipv6.HeaderLen])
	if len(opts) == 0 {
		out[6] = next
	} else {
		out = ipv6.AppendOptions(out, next, opts...)
	}
	out = append(out, rest...)
	binary.BigEndian.PutUint16(out[4:], uint16(len(out)-ipv6.HeaderLen))
	return out
}

// optionsOf reads the options of a header but for padding. Alignment is kept
// only by chance: no option known here needs more than two bytes.
func optionsOf(data []byte) (opts []ipv6.Option, err error) {
	for len(data) > 0 {
		var o ipv6.Option
		if o, data, err = ipv6.NextOption(data); err != nil {
			return nil, err
		}
		if !o.IsPad() {
			opts = append(opts, o)
		}
	}
	return opts, nil
}

// insertExt puts an extension header whose next header is set already behind
// the fixed header.
func insertExt(packet []byte, proto uint8, ext []byte) []byte {
	out := make([]byte, 0, len(packet)+len(ext))
	out = append(out, packet[:ipv6.HeaderLen]...)
	out = append(append(out, ext...), packet[ipv6.HeaderLen:]...)
	out[6] = proto
	binary.BigEndian.PutUint16(out[4:], uint16(len(out)-ipv6.HeaderLen))
	return out
}

// InsertSourceRoute sends a datagram of the node's own along hops, the last of
// which is its destination: it goes to the first, and a routing header holds
// the others (RFC 6554 Section 4.1). It is put behind the hop-by-hop header.
// With one hop no header is needed.
func InsertSourceRoute(packet []byte, hops []netip.Addr) []byte {
	if len(hops) < 2 {
		return packet
	}
	at := ipv6.HeaderLen
	next := packet[6]
	if packet[6] == ipv6.ProtoHopByHop {
		_, rest, err := ipv6.DecodeExt(ipv6.ProtoHopByHop, packet[ipv6.HeaderLen:])
		if err != nil {
			return packet
		}
		at, next = len(packet)-len(rest), packet[ipv6.HeaderLen]
	}
	r := SourceRoute{SegmentsLeft: uint8(len(hops) - 1), Addrs: hops[1:]}
	out := make([]byte, 0, len(packet)+8+16*len(hops))
	out = append(out, packet[:at]...)
	out = r.Append(out, next, hops[0])
	out = append(out, packet[at:]...)
	if at == ipv6.HeaderLen {
		out[6] = ipv6.ProtoRouting
	} else {
		out[ipv6.HeaderLen] = ipv6.ProtoRouting
	}
	dst := hops[0].As16()
	copy(out[24:], dst[:])
	binary.BigEndian.PutUint16(out[4:], uint16(len(out)-ipv6.HeaderLen))
	return out
}

// Encapsulate puts a datagram into another (RFC 2473 Section 3): what must
// not be put into somebody else's datagram goes into the outer one.
func Encapsulate(inner []byte, src, dst netip.Addr) []byte {
	h := ipv6.Header{
		TrafficClass: inner[0]<<4 | inner[1]>>4, // Section 6.4: ECN and class go with it
		PayloadLen:   uint16(len(inner)), NextHeader: ipv6.ProtoIPv6, HopLimit: meshHops, Src: src, Dst: dst,
	}
	return append(h.Append(make([]byte, 0, len(inner)+ipv6.HeaderLen)), inner...)
}

// Decapsulate returns the datagram inside another, if there is one that is
// whole and of IPv6.
func Decapsulate(packet []byte) (inner []byte, ok bool) {
	proto, off, err := ipv6.Transport(packet)
	if err != nil || proto != ipv6.ProtoIPv6 {
		return nil, false
	}
	inner = packet[off:]
	_, payload, err := ipv6.DecodeHeader(inner)
	if err != nil {
		return nil, false
	}
	return inner[:ipv6.HeaderLen+len(payload)], true
}

// advance takes one step along a source route (RFC 6554 Section 4.2): the
// datagram is for us and has segments left. The packet given is not changed.
// A problem is what is to be told when the step cannot be taken.
func advance(packet []byte, own func(netip.Addr) bool) (out []byte, next netip.Addr, p *Problem, reason string) {
	at, end := findSRH(packet)
	data := packet[at:end]
	l, err := layoutOf(data)
	if err != nil {
		return nil, netip.Addr{}, &Problem{Type: ipv6.ICMPParameterProblem, Code: ipv6.ProblemHeader, Pointer: uint32(at + 2)}, err.Error()
	}
	left := int(data[1])
	if left > l.n {
		return nil, netip.Addr{}, &Problem{Type: ipv6.ICMPParameterProblem, Code: ipv6.ProblemHeader, Pointer: uint32(at + 1)},
			"more segments left than addresses"
	}
	dst := netip.AddrFrom16([16]byte(packet[24:40]))
	// A route that comes to us twice with another in between is a loop.
	last := -1
	for i := range l.n {
		if !own(l.addr(data, i, dst)) {
			continue
		}
		if last >= 0 && i-last > 1 {
			pos, _ := l.place(i)
			return nil, netip.Addr{}, &Problem{Type: ipv6.ICMPParameterProblem, Code: ipv6.ProblemHeader, Pointer: uint32(at + pos)},
				"source route comes here twice"
		}
		last = i
	}
	i := l.n - left
	next = l.addr(data, i, dst)
	if next.IsMulticast() || dst.IsMulticast() {
		return nil, netip.Addr{}, nil, "multicast address in a source route"
	}
	if packet[7] <= 1 {
		return nil, netip.Addr{}, &Problem{Type: ipv6.ICMPTimeExceeded, Code: ipv6.ExceededHopLimit}, "hop limit exceeded"
	}
	out = slices.Clone(packet)
	d := out[at:end]
	d[1]--
	pos, elided := l.place(i)
	from, to := dst.As16(), next.As16()
	copy(d[pos:pos+16-elided], from[elided:])
	copy(out[24:40], to[:])
	out[7]--
	return out, next, nil, ""
}

// segmentsLeft is how many segments a datagram's source route has left; zero
// without one.
func segmentsLeft(packet []byte) int {
	at, end := findSRH(packet)
	if at == 0 || end-at < 2 {
		return 0
	}
	return int(packet[at+1])
}
