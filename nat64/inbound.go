package nat64

import (
	"encoding/binary"

	"gatewayd/ipv6"
)

// packet4 is an IPv4 packet with its payload.
type packet4 struct {
	header4
	payload  []byte
	invoking []byte // for an error to quote, or nil if there must be none
}

// fromIPv4 is RFC 7915 Section 4 with the sessions of RFC 6146. hairpin is a
// packet that comes from the mesh.
func (t *Translator) fromIPv4(b []byte, hairpin bool) Reason {
	h, payload, r := decode4(b)
	if r == Malformed {
		return r
	}
	pool := &t.table.pool
	switch {
	case !pool.has(h.dst):
		return NotOurs
	case unroutable4(h.src) || pool.contains(h.src) && !hairpin:
		return IllegalSource
	case r != Passed:
		return r
	}
	p := packet4{header4: h, payload: payload}
	if p.offset == 0 {
		p.invoking = b[:headerLen4+len(payload)]
	}
	if p.ttl <= 1 {
		t.refuse4(&p, icmp4TimeExceeded, 0, 0)
		return Expired
	}
	p.ttl--
	if p.fragment() {
		if r := t.join4(&p); r != Passed {
			return r
		}
	}
	switch p.proto {
	case ipv6.ProtoUDP:
		return t.transport6(&p, UDP)
	case ipv6.ProtoTCP:
		return t.transport6(&p, TCP)
	case protoICMP4:
		return t.icmp6(&p)
	}
	t.refuse4(&p, icmp4Unreachable, unreach4Protocol, 0) // RFC 6146 Section 3.5
	return Unsupported
}

// join4 takes a fragment. With the last to arrive, p becomes the packet.
func (t *Translator) join4(p *packet4) Reason {
	k := datagramKey{id: uint32(p.id), proto: p.proto, version: 4}
	binary.BigEndian.PutUint32(k.src[:], p.src)
	binary.BigEndian.PutUint32(k.dst[:], p.dst)
	var first *header4
	if p.offset == 0 {
		h := p.header4
		first = &h
	}
	d, payload, r := t.join(k, first, p.offset, p.more, p.payload)
	if r != Passed {
		return r
	}
	p.header4, p.payload = *d.first.(*header4), payload
	p.df = false // somebody has fragmented it, so may we
	return Passed
}

// transport6 translates UDP and TCP.
func (t *Translator) transport6(p *packet4, proto Proto) Reason {
	sport, dport, flags, ok := ports(proto, p.payload)
	if !ok {
		return Malformed
	}
	s, r := t.inbound(proto, p.src, sport, p.dst, dport, flags)
	switch r {
	case Passed:
	case NoMapping:
		if proto == UDP { // a SYN may be early (RFC 5382 Section 4.3)
			t.refuse4(p, icmp4Unreachable, unreach4Host, 0)
		}
		return r
	case Prohibited:
		t.refuse4(p, icmp4Unreachable, unreach4Prohibited, 0)
		return r
	default:
		return r
	}
	h := header6{tclass: p.tos, hops: p.ttl, proto: p.proto, src: t.prefix.embed(p.src), dst: s.binding.host.addr}
	var d delta
	d.addAddr(&h.src)
	d.addAddr(&h.dst)
	d.remove32(p.src)
	d.remove32(p.dst)
	d.replace(dport, s.binding.port6)
	b := h.append(t.out6[:0], len(p.payload))
	b = append(b, p.payload...)
	t.out6 = b
	b = b[ipv6.HeaderLen:]
	binary.BigEndian.PutUint16(b[2:], s.binding.port6)
	if proto == UDP && b[udpChecksum]|b[udpChecksum+1] == 0 {
		// The sender made none, but IPv6 needs one (RFC 7915 Section 4.5).
		n := int(binary.BigEndian.Uint16(b[4:]))
		whole := sum(sumAddr(&h.src)+sumAddr(&h.dst)+uint64(n)+uint64(h.proto), b[:n])
		binary.BigEndian.PutUint16(b[udpChecksum:], notZero(^foldSum(whole)))
	} else {
		patch(proto, b, d)
	}
	return t.send6(p, &h, s.binding)
}

// icmp6 translates echo messages, and passes errors on to who does that.
func (t *Translator) icmp6(p *packet4) Reason {
	if len(p.payload) < icmpHeaderLen {
		return Malformed
	}
	var typ uint8
	switch p.payload[0] {
	case icmp4Echo:
		typ = ipv6.ICMPEchoRequest
	case icmp4EchoReply:
		typ = ipv6.ICMPEchoReply
	case icmp4Unreachable, icmp4TimeExceeded, icmp4ParameterProblem:
		return t.error4to6(p)
	default:
		return Unsupported
	}
	if p.payload[1] != 0 {
		return Malformed
	}
	id := binary.BigEndian.Uint16(p.payload[4:])
	s, r := t.inbound(ICMP, p.src, 0, p.dst, id, 0)
	switch r {
	case Passed:
	case NoMapping:
		t.refuse4(p, icmp4Unreachable, unreach4Host, 0)
		return r
	case Prohibited:
		t.refuse4(p, icmp4Unreachable, unreach4Prohibited, 0)
		return r
	default:
		return r
	}
	h := header6{tclass: p.tos, hops: p.ttl, proto: ipv6.ProtoICMPv6, src: t.prefix.embed(p.src), dst: s.binding.host.addr}
	var d delta
	d.addAddr(&h.src)
	d.addAddr(&h.dst)
	d.add(uint16(len(p.payload)))
	d.add(uint16(h.proto))
	d.replace(uint16(p.payload[0])<<8, uint16(typ)<<8)
	d.replace(id, s.binding.port6)
	b := h.append(t.out6[:0], len(p.payload))
	b = append(b, p.payload...)
	t.out6 = b
	b = b[ipv6.HeaderLen:]
	b[0] = typ
	binary.BigEndian.PutUint16(b[4:], s.binding.port6)
	binary.BigEndian.PutUint16(b[icmpChecksum:], d.apply(binary.BigEndian.Uint16(b[icmpChecksum:])))
	return t.send6(p, &h, s.binding)
}

// send6 passes on the packet in t.out6, which has the header h and no
// extension, whole or in fragments.
func (t *Translator) send6(p *packet4, h *header6, b *binding) Reason {
	out := t.out6
	size := len(out)
	if size > t.cfg.MTU6 && p.df {
		t.refuse4(p, icmp4Unreachable, unreach4TooBig, uint32(t.cfg.MTU6-ipv6.HeaderLen+headerLen4))
		return TooBig
	}
	b.in.add(size)
	b.host.in[b.proto].add(size)
	t.counters.In[b.proto].add(size)
	if size <= t.cfg.MTU6 {
		t.cfg.ToMesh(out)
		return Passed
	}
	part := *h
	part.hasFrag = true
	part.frag = ipv6.Fragment{ID: uint32(p.id)}
	step := (t.cfg.MTU6 - ipv6.HeaderLen - fragHeaderLen) &^ 7
	for rest := out[ipv6.HeaderLen:]; len(rest) > 0; {
		n := min(step, len(rest))
		part.frag.More = n < len(rest)
		t.part6 = append(part.append(t.part6[:0], n), rest[:n]...)
		t.cfg.ToMesh(t.part6)
		part.frag.Offset += n
		rest = rest[n:]
	}
	return Passed
}
