package nat64

import (
	"encoding/binary"

	"gatewayd/ipv6"
)

// maxError4 is the largest ICMP error for IPv4 (RFC 1812 Section 4.3.2.3).
const maxError4 = 576

// error6to4 translates an ICMPv6 error about a packet that went to the mesh.
func (t *Translator) error6to4(p *packet6) Reason {
	m := p.payload
	if foldSum(sum(sumAddr(&p.src)+sumAddr(&p.dst)+uint64(len(m))+uint64(ipv6.ProtoICMPv6), m)) != 0xffff {
		return Malformed
	}
	e, ok := errorTo4(icmpError{m[0], m[1], binary.BigEndian.Uint32(m[4:])}, t.cfg.MTU4, t.cfg.MTU6)
	if !ok {
		return Unsupported
	}
	inner := m[icmpHeaderLen:]
	// Extensions follow where the first byte says, in units of 8 bytes (RFC 4884
	// Section 4).
	if m[0] == ipv6.ICMPDstUnreachable || m[0] == ipv6.ICMPTimeExceeded {
		inner = cut(inner, int(m[4])*8)
	}
	if len(inner) < ipv6.HeaderLen || inner[0]>>4 != 6 {
		return Malformed
	}
	var h header6
	h.get(inner)
	at, r := h.walk(inner, ipv6.HeaderLen)
	if r != Passed {
		return r
	}
	whole := ipv6.HeaderLen + int(binary.BigEndian.Uint16(inner[4:])) - at // of the payload, cut or not
	if whole < icmpHeaderLen || whole > maxMTU-headerLen4 {
		return Malformed
	}
	body := cut(inner[at:], whole)
	if h.src != p.dst || h.frag.Offset != 0 {
		return NoMapping // not to whom it was about, or without ports
	}
	proto, sport, dport, ok := innerPorts(h.proto, ipv6.ProtoICMPv6, body)
	if !ok {
		return Unsupported
	}
	if proto == ICMP {
		sport, dport = 0, sport
	}
	b := t.table.inside[key6{h.dst, dport, proto}]
	if b == nil || t.table.find(b, p.dst4, sport) == nil {
		return NoMapping
	}

	about := header4{tos: h.tclass, ttl: h.hops, proto: h.proto, src: p.dst4, dst: b.host.addr4, more: h.frag.More,
		id: uint16(h.frag.ID), df: !h.hasFrag && headerLen4+whole > unfragmented4}
	var d delta
	d.removeAddr(&h.src)
	d.removeAddr(&h.dst)
	if proto == ICMP {
		about.proto = protoICMP4
		d.remove(uint16(whole))
		d.remove(uint16(ipv6.ProtoICMPv6))
	} else {
		d.add32(about.src)
		d.add32(about.dst)
	}
	body = body[:min(len(body), maxError4-2*headerLen4-icmpHeaderLen)]
	outer := header4{tos: p.tclass, id: t.newID(), ttl: p.hops, proto: protoICMP4, src: b.host.addr4, dst: p.dst4}
	out := outer.append(t.out4[:0], icmpHeaderLen+headerLen4+len(body))
	out = e.append(out)
	out = about.append(out, whole)
	start := len(out)
	out = append(out, body...)
	t.out4 = out
	patchInner(proto, out[start:], 2, dport, b.port4, d)
	binary.BigEndian.PutUint16(out[headerLen4+icmpChecksum:], ^foldSum(sum(0, out[headerLen4:])))

	b.host.out[ICMP].add(len(out))
	t.counters.Out[ICMP].add(len(out))
	return t.deliver4(out)
}

// error4to6 translates an ICMP error about a packet that came from the mesh.
func (t *Translator) error4to6(p *packet4) Reason {
	m := p.payload
	if foldSum(sum(0, m)) != 0xffff {
		return Malformed
	}
	inner := cut(m[icmpHeaderLen:], int(m[5])*4) // RFC 4884 Section 4
	if len(inner) < headerLen4 || inner[0]>>4 != 4 {
		return Malformed
	}
	if inner[0]&15 != headerLen4/4 {
		return Options // we sent none
	}
	var h header4
	h.get(inner)
	whole := int(binary.BigEndian.Uint16(inner[2:])) - headerLen4 // of the payload, cut or not
	if whole < icmpHeaderLen {
		return Malformed
	}
	body := cut(inner[headerLen4:], whole)
	e, ok := errorTo6(icmpError{m[0], m[1], binary.BigEndian.Uint32(m[4:])}, headerLen4+whole, t.cfg.MTU4, t.cfg.MTU6)
	if !ok {
		return Unsupported
	}
	if h.src != p.dst || h.offset != 0 {
		return NoMapping
	}
	proto, sport, dport, ok := innerPorts(h.proto, protoICMP4, body)
	if !ok {
		return Unsupported
	}
	if proto == ICMP {
		dport = 0
	}
	b := t.table.outside[key4{h.src, sport, proto}]
	if b == nil || t.table.find(b, h.dst, dport) == nil {
		return NoMapping
	}

	about := header6{tclass: h.tos, hops: h.ttl, proto: h.proto, src: b.host.addr, dst: t.prefix.embed(h.dst),
		hasFrag: h.more, frag: ipv6.Fragment{More: h.more, ID: uint32(h.id)}}
	var d delta
	d.addAddr(&about.src)
	d.addAddr(&about.dst)
	if proto == ICMP {
		about.proto = ipv6.ProtoICMPv6
		d.add(uint16(whole))
		d.add(uint16(ipv6.ProtoICMPv6))
	} else {
		d.remove32(h.src)
		d.remove32(h.dst)
	}
	body = body[:min(len(body), ipv6.MinMTU-2*ipv6.HeaderLen-fragHeaderLen-icmpHeaderLen)]
	outer := header6{tclass: p.tos, hops: p.ttl, proto: ipv6.ProtoICMPv6, src: t.prefix.embed(p.src), dst: b.host.addr}
	n := icmpHeaderLen + ipv6.HeaderLen + len(body)
	if about.hasFrag {
		n += fragHeaderLen
	}
	out := outer.append(t.out6[:0], n)
	out = e.append(out)
	out = about.append(out, whole)
	start := len(out)
	out = append(out, body...)
	t.out6 = out
	patchInner(proto, out[start:], 0, sport, b.port6, d)
	seal6(out, &outer)

	b.host.in[ICMP].add(len(out))
	t.counters.In[ICMP].add(len(out))
	t.cfg.ToMesh(out)
	return Passed
}

// append appends the header of an error, without its checksum.
func (e icmpError) append(b []byte) []byte {
	return binary.BigEndian.AppendUint32(append(b, e.typ, e.code, 0, 0), e.param)
}

// seal6 sets the checksum of a packet that is an ICMPv6 message.
func seal6(b []byte, h *header6) {
	m := b[ipv6.HeaderLen:]
	c := ^foldSum(sum(sumAddr(&h.src)+sumAddr(&h.dst)+uint64(len(m))+uint64(ipv6.ProtoICMPv6), m))
	binary.BigEndian.PutUint16(m[icmpChecksum:], c)
}

// cut returns the first n bytes of b; all of them if n is 0 or more than there
// are.
func cut(b []byte, n int) []byte {
	if n == 0 || n > len(b) {
		return b
	}
	return b[:n]
}

// innerPorts reads what sessions are made of from the beginning of a packet in an
// error: ports, or the identifier twice.
func innerPorts(proto, icmp uint8, b []byte) (p Proto, src, dst uint16, ok bool) {
	if len(b) < icmpHeaderLen {
		return 0, 0, 0, false
	}
	src, dst = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	switch proto {
	case ipv6.ProtoUDP:
		return UDP, src, dst, true
	case ipv6.ProtoTCP:
		return TCP, src, dst, true
	case icmp:
		_, echo := echoTypes[b[0]]
		id := binary.BigEndian.Uint16(b[4:])
		return ICMP, id, id, echo && (b[0] >= 128) == (icmp == ipv6.ProtoICMPv6)
	}
	return 0, 0, 0, false
}

// echoTypes are the types of echo messages and what they are in the other
// version.
var echoTypes = map[uint8]uint8{
	icmp4Echo: ipv6.ICMPEchoRequest, icmp4EchoReply: ipv6.ICMPEchoReply,
	ipv6.ICMPEchoRequest: icmp4Echo, ipv6.ICMPEchoReply: icmp4EchoReply,
}

// patchInner translates the first bytes of the packet in an error: the port at
// byte at, and what the checksum is of. The checksum may have been cut off.
func patchInner(proto Proto, b []byte, at int, was, is uint16, d delta) {
	d.replace(was, is)
	sumAt := tcpChecksum
	switch proto {
	case UDP:
		sumAt = udpChecksum
	case ICMP:
		sumAt, at = icmpChecksum, 4
		typ := echoTypes[b[0]]
		d.replace(uint16(b[0])<<8, uint16(typ)<<8)
		b[0] = typ
	}
	binary.BigEndian.PutUint16(b[at:], is)
	if len(b) < sumAt+2 {
		return
	}
	c := binary.BigEndian.Uint16(b[sumAt:])
	if proto == UDP && c == 0 {
		return // the sender made none
	}
	if c = d.apply(c); proto == UDP {
		c = notZero(c)
	}
	binary.BigEndian.PutUint16(b[sumAt:], c)
}
