package nat64

import "gatewayd/ipv6"

// icmpHeaderLen is the size of an ICMP header with the four bytes that depend on
// the type.
const icmpHeaderLen = 8

// ICMP types for IPv4 (RFC 792).
const (
	icmp4EchoReply        = 0
	icmp4Unreachable      = 3
	icmp4Echo             = 8
	icmp4TimeExceeded     = 11
	icmp4ParameterProblem = 12
)

// Codes of Destination Unreachable for IPv4 (RFC 792, RFC 1812 Section 5.2.7.1).
const (
	unreach4Host           = 1
	unreach4Protocol       = 2
	unreach4Port           = 3
	unreach4TooBig         = 4
	unreach4HostProhibited = 10
	unreach4Prohibited     = 13
)

// icmpError is the header of an ICMP error: param is the MTU, or the pointer of
// a parameter problem, or zero.
type icmpError struct {
	typ, code uint8
	param     uint32
}

// plateaus are likely MTUs, for routers that do not tell theirs (RFC 1191 Section
// 7.1).
var plateaus = [...]int{65535, 32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68}

// no marks what has no counterpart.
const no = 255

// pointers6 and pointers4 say, by the offset of a field in the header of the one
// version, where the field is in the header of the other (RFC 7915 Figures 3 and
// 6).
var (
	pointers6 = [20]uint8{0, 1, 4, 4, no, no, no, no, 7, 6, no, no, 8, 8, 8, 8, 24, 24, 24, 24}
	pointers4 = [40]uint8{0, 1, no, no, 2, 2, 9, 8,
		12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12,
		16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16}
)

// errorTo6 is the counterpart of an error of IPv4 about a packet of size bytes
// (RFC 7915 Section 4.2), for a mesh with packets of mtu6 bytes. The param of a
// too big packet is the MTU; of a problem the pointer is its first byte.
func errorTo6(e icmpError, size, mtu4, mtu6 int) (icmpError, bool) {
	switch e.typ {
	case icmp4Unreachable:
		switch e.code {
		case 0, 1, 5, 6, 7, 8, 11, 12:
			return icmpError{ipv6.ICMPDstUnreachable, ipv6.UnreachNoRoute, 0}, true
		case unreach4Protocol:
			return icmpError{ipv6.ICMPParameterProblem, ipv6.ProblemNextHeader, 6}, true
		case unreach4Port:
			return icmpError{ipv6.ICMPDstUnreachable, ipv6.UnreachPort, 0}, true
		case unreach4TooBig:
			mtu := int(e.param & 0xffff)
			for i := 0; mtu == 0; i++ {
				if plateaus[i] < size || i == len(plateaus)-1 {
					mtu = plateaus[i]
				}
			}
			const grows = ipv6.HeaderLen - headerLen4
			mtu = max(ipv6.MinMTU, min(mtu+grows, mtu6, mtu4+grows))
			return icmpError{ipv6.ICMPPacketTooBig, 0, uint32(mtu)}, true
		case 9, unreach4HostProhibited, unreach4Prohibited, 15:
			return icmpError{ipv6.ICMPDstUnreachable, ipv6.UnreachProhibited, 0}, true
		}
	case icmp4TimeExceeded:
		if e.code <= 1 {
			return icmpError{ipv6.ICMPTimeExceeded, e.code, 0}, true
		}
	case icmp4ParameterProblem:
		p := e.param >> 24
		if (e.code == 0 || e.code == 2) && p < uint32(len(pointers6)) && pointers6[p] != no {
			return icmpError{ipv6.ICMPParameterProblem, ipv6.ProblemHeader, uint32(pointers6[p])}, true
		}
	}
	return icmpError{}, false
}

// errorTo4 is the counterpart of an error of IPv6 (RFC 7915 Section 5.2).
func errorTo4(e icmpError, mtu4, mtu6 int) (icmpError, bool) {
	switch e.typ {
	case ipv6.ICMPDstUnreachable:
		switch e.code {
		case ipv6.UnreachNoRoute, ipv6.UnreachScope, ipv6.UnreachAddress:
			return icmpError{icmp4Unreachable, unreach4Host, 0}, true
		case ipv6.UnreachProhibited:
			return icmpError{icmp4Unreachable, unreach4HostProhibited, 0}, true
		case ipv6.UnreachPort:
			return icmpError{icmp4Unreachable, unreach4Port, 0}, true
		}
	case ipv6.ICMPPacketTooBig:
		const shrinks = ipv6.HeaderLen - headerLen4
		mtu := int(min(max(e.param, ipv6.MinMTU), maxMTU))
		return icmpError{icmp4Unreachable, unreach4TooBig, uint32(min(mtu-shrinks, mtu4, mtu6-shrinks))}, true
	case ipv6.ICMPTimeExceeded:
		if e.code <= 1 {
			return icmpError{icmp4TimeExceeded, e.code, 0}, true
		}
	case ipv6.ICMPParameterProblem:
		switch {
		case e.code == ipv6.ProblemNextHeader:
			return icmpError{icmp4Unreachable, unreach4Protocol, 0}, true
		case e.code == ipv6.ProblemHeader && e.param < uint32(len(pointers4)) && pointers4[e.param] != no:
			return icmpError{icmp4ParameterProblem, 0, uint32(pointers4[e.param]) << 24}, true
		}
	}
	return icmpError{}, false
}
