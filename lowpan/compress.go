package lowpan

import (
	"encoding/binary"
	"net/netip"

	"gatewayd/ieee802154"
	"gatewayd/ipv6"
)

// Compress appends the compressed headers of an IPv6 packet to b (RFC 6282).
// packet is the whole packet, src and dst the addresses of the frame or of its
// mesh header. consumed is how many bytes of packet the result stands for; the
// rest follows it unchanged. If the headers take more than limit bytes, fewer
// of them are compressed, and ErrSpace is returned when the first alone does
// not fit. A packet that is not exactly as long as it says is ErrPacket. On
// error b is returned as it was.
func Compress(b, packet []byte, src, dst ieee802154.Addr, ctx Contexts, limit int) (out []byte, consumed int, err error) {
	if len(packet) > MaxDatagram || !wholePacket(packet) {
		return b, 0, ErrPacket
	}
	c := compressor{src: src, dst: dst, ctx: ctx, depth: maxHeaders}
	for {
		c.used, c.ips = 0, 0
		out, consumed = c.ip(b, packet)
		if len(out)-len(b) <= limit {
			return out, consumed, nil
		}
		if c.used == 1 {
			return b, 0, ErrSpace
		}
		c.depth = c.used - 1
	}
}

// maxHeaders is more than maxIPHeaders can bring with them: each one, its
// hop-by-hop header, and one UDP header.
const maxHeaders = 2*maxIPHeaders + 1

// wholePacket reports whether p is one IPv6 packet, neither cut nor padded:
// compression elides the length, so nothing else could be restored.
func wholePacket(p []byte) bool {
	return len(p) >= ipv6.HeaderLen && p[0]>>4 == 6 &&
		ipv6.HeaderLen+int(binary.BigEndian.Uint16(p[4:])) == len(p)
}

type compressor struct {
	src, dst ieee802154.Addr
	ctx      Contexts
	depth    int // compress at most this many headers
	used     int // compressed so far
	ips      int // of these, IPv6 headers
}

// compressible reports whether header proto at the start of p can be and may
// be compressed.
func (c *compressor) compressible(proto uint8, p []byte) bool {
	if c.used >= c.depth {
		return false
	}
	switch proto {
	case ipv6.ProtoUDP:
		return len(p) >= ipv6.UDPHeaderLen && int(binary.BigEndian.Uint16(p[4:])) == len(p)
	case ipv6.ProtoIPv6:
		return c.ips < maxIPHeaders && wholePacket(p)
	case ipv6.ProtoHopByHop:
		return len(p) >= 8 && len(p) >= extLen(p) && len(elidePad(p[2:extLen(p)])) <= 0xff
	}
	return false
}

// extLen is the length of the extension header at the start of p, bytes.
func extLen(p []byte) int { return 8 + 8*int(p[1]) }

// ip appends the IPv6 header at the start of p and the headers after it.
func (c *compressor) ip(b, p []byte) (out []byte, consumed int) {
	c.used++
	c.ips++
	proto, rest := p[6], p[ipv6.HeaderLen:]
	more := c.compressible(proto, rest)
	b = c.base(b, p, more)
	for more {
		switch proto {
		case ipv6.ProtoUDP:
			c.used++
			return appendUDP(b, rest), len(p) - len(rest) + ipv6.UDPHeaderLen

		case ipv6.ProtoIPv6:
			// The flag for a compressed next header is zero here: an IPHC header
			// always follows (RFC 6282 Section 4.2).
			b, consumed = c.ip(append(b, nhcExt|extIPv6), rest)
			return b, len(p) - len(rest) + consumed

		case ipv6.ProtoHopByHop:
			c.used++
			head := rest[:extLen(rest)]
			proto, rest = head[0], rest[len(head):]
			more = proto != ipv6.ProtoHopByHop && c.compressible(proto, rest)
			if more {
				b = append(b, nhcExt|extHopByHop|extNext)
			} else {
				b = append(b, nhcExt|extHopByHop, proto)
			}
			data := elidePad(head[2:])
			b = append(append(b, uint8(len(data))), data...)
		}
	}
	return b, len(p) - len(rest)
}

// elidePad cuts the last option off the data of an options header if it is
// padding the receiver will put back: at most 7 bytes, all zero (RFC 6282
// Section 4.2). Data that are no options are left alone.
func elidePad(data []byte) []byte {
	for at := 0; at < len(data); {
		o, rest, err := ipv6.NextOption(data[at:])
		if err != nil {
			return data
		}
		if n := len(data) - at; len(rest) == 0 && o.IsPad() && n <= 7 && zero(o.Data) {
			return data[:at]
		}
		at = len(data) - len(rest)
	}
	return data
}

func zero(b []byte) bool {
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}

// base appends the IPHC encoding of the IPv6 header p. more says whether the
// next header is compressed too.
func (c *compressor) base(b, p []byte, more bool) []byte {
	var src, dst address
	if zero(p[8:24]) {
		src.stateful = true // SAC=1, SAM=00: the unspecified address
	} else {
		src = c.unicast([16]byte(p[8:24]), c.src)
	}
	if p[24] == 0xff {
		dst = c.multicast([16]byte(p[24:40]))
	} else {
		dst = c.unicast([16]byte(p[24:40]), c.dst)
	}

	var hc uint16 = dispatchIPHC << 8
	hc |= src.mode<<srcModeShift | dst.mode<<dstModeShift
	if src.stateful {
		hc |= hcSrcContext
	}
	if dst.stateful {
		hc |= hcDstContext
	}
	if p[24] == 0xff {
		hc |= hcMulticast
	}

	start := len(b)
	b = append(b, 0, 0)
	if src.cid != 0 || dst.cid != 0 {
		hc |= hcContextID
		b = append(b, src.cid<<4|dst.cid)
	}

	class := p[0]<<4 | p[1]>>4
	ecnFirst := class<<6 | class>>2 // IPHC swaps ECN and DSCP
	switch flow := p[1]&0x0f != 0 || p[2] != 0 || p[3] != 0; {
	case !flow && class == 0:
		hc |= hcFlowElided | hcClassElided
	case !flow:
		hc |= hcFlowElided
		b = append(b, ecnFirst)
	case class>>2 == 0:
		hc |= hcClassElided
		b = append(b, ecnFirst|p[1]&0x0f, p[2], p[3])
	default:
		b = append(b, ecnFirst, p[1]&0x0f, p[2], p[3])
	}

	if more {
		hc |= hcNext
	} else {
		b = append(b, p[6])
	}
	switch p[7] {
	case 1:
		hc |= hcHops1
	case 64:
		hc |= hcHops64
	case 255:
		hc |= hcHops255
	default:
		b = append(b, p[7])
	}
	b = append(b, src.addr[16-src.n:]...)
	b = append(b, dst.addr[1:1+dst.head]...)
	b = append(b, dst.addr[16-dst.n:]...)
	binary.BigEndian.PutUint16(b[start:], hc)
	return b
}

// address is how one address is written: head bytes from the second on, then
// the last n.
type address struct {
	addr     [16]byte
	mode     uint16
	cid      uint8
	stateful bool
	head, n  int
}

// unicast chooses the shortest form that decodes to a.
func (c *compressor) unicast(a [16]byte, mac ieee802154.Addr) address {
	inline := address{addr: a, mode: modeInline, n: 16}
	ctx, stateful := linkLocal, false
	if a[0] != 0xfe || a[1]&0xc0 != 0x80 {
		if ctx, stateful = c.ctx.ForAddr(netip.AddrFrom16(a)); !stateful {
			return inline
		}
	}
	f := address{addr: a, cid: ctx.ID, stateful: stateful}
	if iid, ok := macIID(mac); ok && ctx.expand(iid) == a {
		f.mode = modeElided
		return f
	}
	if ctx.expand(shortIID(a[14], a[15])) == a {
		f.mode, f.n = mode16, 2
		return f
	}
	if ctx.expand([8]byte(a[8:])) == a {
		f.mode, f.n = mode64, 8
		return f
	}
	return inline
}

// multicast chooses the shortest form of a multicast address.
func (c *compressor) multicast(a [16]byte) address {
	first := 2 // the first byte that is not zero, after flags and scope
	for first < 15 && a[first] == 0 {
		first++
	}
	switch {
	case first == 15 && a[1] == 0x02:
		return address{addr: a, mode: mcast8, n: 1}
	case first >= 13:
		return address{addr: a, mode: mcast32, head: 1, n: 3}
	case first >= 11:
		return address{addr: a, mode: mcast48, head: 1, n: 5}
	}
	if ctx, ok := c.ctx.ByID(MeshLocalContext); ok {
		p := ctx.Prefix.Masked().Addr().As16()
		if int(a[3]) == ctx.Prefix.Bits() && [8]byte(a[4:12]) == [8]byte(p[:8]) {
			return address{addr: a, mode: mcastInline, stateful: true, head: 2, n: 4}
		}
	}
	return address{addr: a, mode: mcastInline, n: 16}
}

// appendUDP appends the NHC encoding of the UDP header p (RFC 6282 Section
// 4.3). The checksum stays: eliding it needs another integrity check, agreed
// with the peer.
func appendUDP(b, p []byte) []byte {
	src, dst := binary.BigEndian.Uint16(p), binary.BigEndian.Uint16(p[2:])
	switch {
	case src&0xfff0 == 0xf0b0 && dst&0xfff0 == 0xf0b0:
		b = append(b, nhcUDP|udpBoth4, uint8(src<<4|dst&0x0f))
	case src&0xff00 == 0xf000:
		b = append(b, nhcUDP|udpSrc8, p[1], p[2], p[3])
	case dst&0xff00 == 0xf000:
		b = append(b, nhcUDP|udpDst8, p[0], p[1], p[3])
	default:
		b = append(b, nhcUDP|udpPortsInline, p[0], p[1], p[2], p[3])
	}
	return append(b, p[6], p[7])
}
