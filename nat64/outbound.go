package nat64

import (
	"encoding/binary"

	"gatewayd/ipv6"
)

// packet6 is an IPv6 packet with its payload from the transport header on.
type packet6 struct {
	header6
	payload []byte
	dst4    uint32 // in the destination
	// invoking is the packet as it came, for an error to quote; nil for one that
	// must not be answered by errors.
	invoking []byte
	limit    int // of the size of an IPv4 packet, if it came in fragments
}

// fromMesh is RFC 7915 Section 5 with the sessions of RFC 6146.
func (t *Translator) fromMesh(b []byte) Reason {
	h, payload, bad, r := decode6(b)
	if r == Malformed {
		return r
	}
	p := packet6{header6: h, payload: payload, limit: t.cfg.MTU4}
	if !t.prefix.contains(&p.dst) {
		return NotOurs
	}
	if unroutable6(&p.src) || t.prefix.contains(&p.src) {
		return IllegalSource // also what comes round in a loop (RFC 6146 Section 3.5)
	}
	if p.dst4 = t.prefix.extract(&p.dst); unroutable4(p.dst4) {
		return IllegalDestination
	}
	if p.frag.Offset == 0 {
		p.invoking = b[:ipv6.HeaderLen+int(binary.BigEndian.Uint16(b[4:]))]
	}
	switch {
	case r == Options:
		t.refuse6(&p, ipv6.ICMPParameterProblem, ipv6.ProblemHeader, uint32(bad))
		return r
	case r != Passed:
		return r
	case p.hops <= 1:
		t.refuse6(&p, ipv6.ICMPTimeExceeded, ipv6.ExceededHopLimit, 0)
		return Expired
	}
	p.hops--
	if p.fragment() {
		if r := t.join6(&p); r != Passed {
			return r
		}
	}
	switch p.proto {
	case ipv6.ProtoUDP:
		return t.transport4(&p, UDP)
	case ipv6.ProtoTCP:
		return t.transport4(&p, TCP)
	case ipv6.ProtoICMPv6:
		return t.icmp4(&p)
	}
	t.refuse6(&p, ipv6.ICMPDstUnreachable, ipv6.UnreachPort, 0) // RFC 6146 Section 3.5
	return Unsupported
}

// join6 takes a fragment. With the last to arrive, p becomes the packet.
func (t *Translator) join6(p *packet6) Reason {
	k := datagramKey{src: p.src, dst: p.dst, id: p.frag.ID, version: 6}
	var first *header6
	if p.frag.Offset == 0 {
		h := p.header6
		first = &h
	}
	d, payload, r := t.join(k, first, p.frag.Offset, p.frag.More, p.payload)
	if r != Passed {
		return r
	}
	p.header6 = *d.first.(*header6)
	p.limit = min(p.limit, headerLen4+d.largest&^7)
	at, r := p.walk(payload, 0)
	p.payload = payload[at:]
	return r
}

func (t *Translator) join(k datagramKey, first any, offset int, more bool, data []byte) (*datagram, []byte, Reason) {
	now := t.cfg.Clock.Now()
	d, payload, evicted, r := t.joiner.add(now, k, first, offset, more, data)
	t.counters.DatagramsEvicted += uint64(evicted)
	if r == Passed {
		t.counters.DatagramsJoined++
	}
	if r == Held {
		t.wake(now.Add(t.cfg.Timeouts.Fragment))
	}
	return d, payload, r
}

// ports reads what sessions are made of from a UDP or TCP header.
func ports(p Proto, b []byte) (src, dst uint16, flags uint8, ok bool) {
	if len(b) < ipv6.UDPHeaderLen {
		return 0, 0, 0, false
	}
	src, dst = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	if p == UDP {
		n := int(binary.BigEndian.Uint16(b[4:]))
		ok = n >= ipv6.UDPHeaderLen && n <= len(b)
	} else if len(b) >= tcpHeaderLen {
		n := int(b[12]>>4) * 4
		ok = n >= tcpHeaderLen && n <= len(b)
		flags = b[13]
	}
	return src, dst, flags, ok && src != 0 && dst != 0
}

const tcpHeaderLen = 20

// Where the checksums are in the headers of transport protocols.
const (
	udpChecksum  = 6
	tcpChecksum  = 16
	icmpChecksum = 2
)

// transport4 translates UDP and TCP.
func (t *Translator) transport4(p *packet6, proto Proto) Reason {
	sport, dport, flags, ok := ports(proto, p.payload)
	if !ok || proto == UDP && p.payload[udpChecksum]|p.payload[udpChecksum+1] == 0 {
		return Malformed // IPv6 has no UDP without a checksum (RFC 8200 Section 8.1)
	}
	s, r := t.outbound(proto, &p.src, sport, p.dst4, dport, flags)
	if r != Passed {
		if r == Prohibited {
			t.refuse6(p, ipv6.ICMPDstUnreachable, ipv6.UnreachProhibited, 0)
		} else if r == Exhausted {
			t.refuse6(p, ipv6.ICMPDstUnreachable, ipv6.UnreachAddress, 0)
		}
		return r
	}
	var d delta
	d.removeAddr(&p.src)
	d.removeAddr(&p.dst)
	d.add32(s.binding.host.addr4)
	d.add32(p.dst4)
	d.replace(sport, s.binding.port4)
	b := t.header4(p, s.binding, p.proto)
	at := len(b)
	b = append(b, p.payload...)
	t.out4 = b
	b = b[at:]
	binary.BigEndian.PutUint16(b, s.binding.port4)
	patch(proto, b, d)
	return t.send4(p, s.binding)
}

// patch applies what changes around a UDP or TCP header to its checksum.
func patch(proto Proto, b []byte, d delta) {
	at := tcpChecksum
	if proto == UDP {
		at = udpChecksum
	}
	c := d.apply(binary.BigEndian.Uint16(b[at:]))
	if proto == UDP {
		c = notZero(c)
	}
	binary.BigEndian.PutUint16(b[at:], c)
}

// icmp4 translates echo messages, and passes errors on to who does that.
func (t *Translator) icmp4(p *packet6) Reason {
	if len(p.payload) < icmpHeaderLen {
		return Malformed
	}
	typ := uint8(icmp4Echo)
	switch {
	case p.payload[0] < 128:
		return t.error6to4(p)
	case p.payload[0] == ipv6.ICMPEchoReply:
		typ = icmp4EchoReply
	case p.payload[0] != ipv6.ICMPEchoRequest:
		return Unsupported
	}
	if p.payload[1] != 0 {
		return Malformed
	}
	id := binary.BigEndian.Uint16(p.payload[4:])
	s, r := t.outbound(ICMP, &p.src, id, p.dst4, 0, 0)
	if r != Passed {
		if r == Prohibited {
			t.refuse6(p, ipv6.ICMPDstUnreachable, ipv6.UnreachProhibited, 0)
		}
		return r
	}
	// ICMP has no pseudo-header in its checksum.
	var d delta
	d.removeAddr(&p.src)
	d.removeAddr(&p.dst)
	d.remove(uint16(len(p.payload)))
	d.remove(uint16(ipv6.ProtoICMPv6))
	d.replace(uint16(p.payload[0])<<8, uint16(typ)<<8)
	d.replace(id, s.binding.port4)
	b := t.header4(p, s.binding, protoICMP4)
	at := len(b)
	b = append(b, p.payload...)
	t.out4 = b
	b = b[at:]
	b[0] = typ
	binary.BigEndian.PutUint16(b[4:], s.binding.port4)
	binary.BigEndian.PutUint16(b[icmpChecksum:], d.apply(binary.BigEndian.Uint16(b[icmpChecksum:])))
	return t.send4(p, s.binding)
}

// unfragmented4 is the size up to which IPv4 packets may be fragmented on their
// way, because no sender would make them smaller when told to (RFC 7915 Section
// 5.1).
const unfragmented4 = ipv6.MinMTU - headerLen4

// header4 begins a packet in t.out4.
func (t *Translator) header4(p *packet6, b *binding, proto uint8) []byte {
	h := header4{tos: p.tclass, ttl: p.hops, proto: proto, src: b.host.addr4, dst: p.dst4}
	n := len(p.payload)
	switch {
	case p.fragment():
		h.id = uint16(p.frag.ID)
	case headerLen4+n > unfragmented4:
		h.df = true
	default:
		h.id = t.newID()
	}
	return h.append(t.out4[:0], n)
}

// send4 passes on the packet in t.out4, whole or in fragments.
func (t *Translator) send4(p *packet6, b *binding) Reason {
	out := t.out4
	var h header4
	h.get(out)
	size := len(out)
	if size > p.limit && h.df {
		t.refuse6(p, ipv6.ICMPPacketTooBig, 0, uint32(max(ipv6.MinMTU, t.cfg.MTU4+ipv6.HeaderLen-headerLen4)))
		return TooBig
	}
	b.out.add(size)
	b.host.out[b.proto].add(size)
	t.counters.Out[b.proto].add(size)
	if size <= p.limit {
		return t.deliver4(out)
	}
	r := Passed
	step := (p.limit - headerLen4) &^ 7
	for rest := out[headerLen4:]; len(rest) > 0; {
		n := min(step, len(rest))
		h.more = n < len(rest)
		t.part4 = append(h.append(t.part4[:0], n), rest[:n]...)
		r = t.deliver4(t.part4)
		h.offset += n
		rest = rest[n:]
	}
	return r
}

// deliver4 passes on one IPv4 packet, or takes it back if it is for a host of
// the mesh (RFC 6146 Section 3.8).
func (t *Translator) deliver4(b []byte) Reason {
	if t.table.pool.contains(binary.BigEndian.Uint32(b[16:])) {
		t.counters.Hairpinned++
		return t.fromIPv4(b, true)
	}
	t.cfg.ToIPv4(b)
	return Passed
}
