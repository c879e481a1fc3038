package nat64

import (
	"encoding/binary"

	"gatewayd/ipv6"
)

const fragHeaderLen = 8

// header6 is what a translation keeps of the headers of an IPv6 packet.
type header6 struct {
	tclass   uint8
	hops     uint8
	proto    uint8 // of the payload, behind the extension headers
	src, dst [16]byte
	frag     ipv6.Fragment // zero without fragment header
	hasFrag  bool
}

func (h *header6) fragment() bool { return h.frag.More || h.frag.Offset != 0 }

// decode6 reads the headers of a packet up to the first that is to be
// translated: transport, or a fragment header of a part. bad is the offset of
// the field that makes a packet Options.
func decode6(b []byte) (h header6, payload []byte, bad int, r Reason) {
	if len(b) < ipv6.HeaderLen || b[0]>>4 != 6 {
		return h, nil, 0, Malformed
	}
	n := int(binary.BigEndian.Uint16(b[4:]))
	if len(b) < ipv6.HeaderLen+n {
		return h, nil, 0, Malformed
	}
	h.get(b)
	b = b[:ipv6.HeaderLen+n]
	at, r := h.walk(b, ipv6.HeaderLen)
	payload = b[min(at, len(b)):]
	if n := len(payload); r == Passed && h.fragment() && (n == 0 || h.frag.More && n%8 != 0 || h.frag.Offset+n > 65535) {
		r = BadFragment
	}
	return h, payload, at, r
}

// get reads the fields of a fixed header.
func (h *header6) get(b []byte) {
	_ = b[ipv6.HeaderLen-1]
	*h = header6{tclass: b[0]<<4 | b[1]>>4, proto: b[6], hops: b[7], src: [16]byte(b[8:24]), dst: [16]byte(b[24:40])}
}

// walk steps over extension headers from byte at of b on, and returns where
// they end. A routing header must have no segments left (RFC 7915 Section 5.1).
func (h *header6) walk(b []byte, at int) (int, Reason) {
	for {
		switch h.proto {
		case ipv6.ProtoHopByHop, ipv6.ProtoDstOpts, ipv6.ProtoRouting:
			e, _, err := ipv6.DecodeExt(h.proto, b[at:])
			if err != nil {
				return at, Malformed
			}
			if h.proto == ipv6.ProtoRouting && e.Data[1] != 0 {
				return at + 3, Options
			}
			h.proto = e.Next
			at += 2 + len(e.Data)
		case ipv6.ProtoFragment:
			e, _, err := ipv6.DecodeExt(h.proto, b[at:])
			if err != nil || h.hasFrag {
				return at, Malformed
			}
			h.frag, _ = ipv6.DecodeFragment(e.Data) // of 6 bytes, always
			h.hasFrag = true
			h.proto = e.Next
			at += fragHeaderLen
			if h.fragment() {
				return at, Passed
			}
		default:
			return at, Passed
		}
	}
}

// append appends the header of a packet with n bytes of payload, and a fragment
// header before those if there is to be one.
func (h *header6) append(b []byte, n int) []byte {
	next := h.proto
	if h.hasFrag {
		n += fragHeaderLen
		next = ipv6.ProtoFragment
	}
	b = append(b, 0x60|h.tclass>>4, h.tclass<<4, 0, 0, byte(n>>8), byte(n), next, h.hops)
	b = append(b, h.src[:]...)
	b = append(b, h.dst[:]...)
	if h.hasFrag {
		b = h.frag.Append(b, h.proto)
	}
	return b
}
