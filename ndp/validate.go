package ndp

import (
	"net/netip"

	"gatewayd/ipv6"
)

// localHopLimit is the hop limit of all messages that stay on the link: one
// that arrives with it was sent by a neighbour (RFC 4861 Section 11.2).
const localHopLimit = 255

// multihopHopLimit is that of DAR and DAC (MULTIHOP_HOPLIMIT, RFC 6775 Section
// 9).
const multihopHopLimit = 64

// SolicitedNode returns the solicited-node multicast address of a (RFC 4291
// Section 2.7.1).
func SolicitedNode(a netip.Addr) netip.Addr {
	b := a.As16()
	return netip.AddrFrom16([16]byte{0: 0xff, 1: 2, 11: 1, 12: 0xff, 13: b[13], 14: b[14], 15: b[15]})
}

// Validate reports why a message that was decoded must be dropped in silence:
// one of ErrHopLimit, ErrBadCode, ErrSource, ErrDest, ErrTarget, ErrOption,
// ErrStatus and ErrType. The checksum is the caller's to verify.
func Validate(in In, m Message) error {
	if d, ok := m.(Duplicate); ok {
		return validateDuplicate(in, d)
	}
	if in.HopLimit != localHopLimit {
		return ErrHopLimit
	}
	if in.Code != 0 {
		return ErrBadCode
	}
	switch m := m.(type) {
	case RouterSolicit: // RFC 4861 Section 6.1.1
		return noSourceLinkAddr(in, m.Options)
	case RouterAdvert: // Section 6.1.2
		if !in.Src.IsLinkLocalUnicast() {
			return ErrSource
		}
	case NeighborSolicit: // Section 7.1.1
		if !isUnicast(m.Target) {
			return ErrTarget
		}
		if in.Src.IsUnspecified() && in.Dst != SolicitedNode(m.Target) {
			return ErrDest
		}
		return noSourceLinkAddr(in, m.Options)
	case NeighborAdvert: // Section 7.1.2
		if !isUnicast(m.Target) {
			return ErrTarget
		}
		if in.Dst.IsMulticast() && m.Solicited {
			return ErrDest
		}
	case Redirect: // Section 8.1
		if !in.Src.IsLinkLocalUnicast() {
			return ErrSource
		}
		if m.Destination.IsMulticast() || !m.Target.IsLinkLocalUnicast() && m.Target != m.Destination {
			return ErrTarget
		}
	default:
		return ErrType
	}
	return nil
}

// validateDuplicate applies RFC 6775 Section 8.2.1. Both messages may come
// from several hops away.
func validateDuplicate(in In, m Duplicate) error {
	switch {
	case !isUnicast(in.Src):
		return ErrSource
	case in.Dst.IsMulticast():
		return ErrDest
	case !isUnicast(m.Addr):
		return ErrTarget
	case !m.Confirm && m.Status != StatusSuccess:
		return ErrStatus
	}
	return nil
}

func isUnicast(a netip.Addr) bool { return a.IsValid() && !a.IsMulticast() && !a.IsUnspecified() }

func noSourceLinkAddr(in In, opts []Option) error {
	if _, ok := Find[SourceLinkAddr](opts); ok && in.Src.IsUnspecified() {
		return ErrOption
	}
	return nil
}

// In is a message that was received: the IPv6 header, and the ICMPv6 message
// in the style of package ipv6. The checksum has been verified.
type In struct {
	Src, Dst   netip.Addr
	HopLimit   uint8
	Type, Code uint8
	Body       []byte   // after the checksum; not kept
	Link       LinkAddr // of the neighbour that transmitted it, when known
}

// Out is a message to send.
type Out struct {
	Src, Dst   netip.Addr
	HopLimit   uint8
	Type, Code uint8
	Body       []byte   // after the checksum; never changed again
	Link       LinkAddr // of the next hop, when known; none for multicast
}

// AppendPacket appends the whole IPv6 packet.
func (o Out) AppendPacket(b []byte) []byte {
	return ipv6.AppendICMPPacket(b, ipv6.Header{HopLimit: o.HopLimit, Src: o.Src, Dst: o.Dst}, o.Type, o.Code, o.Body)
}

// open decodes and validates.
func (in In) open() (Message, error) {
	m, err := Decode(in.Type, in.Code, in.Body)
	if err != nil {
		return nil, err
	}
	return m, Validate(in, m)
}

// outgoing fills in what a message needs to be sent.
func outgoing(src, dst netip.Addr, hops uint8, link LinkAddr, m Message) Out {
	typ, code := m.ICMP()
	return Out{Src: src, Dst: dst, HopLimit: hops, Type: typ, Code: code, Body: m.Append(nil), Link: link}
}
