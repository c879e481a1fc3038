package nat64

import (
	"encoding/binary"
	"time"

	"gatewayd/ipv6"
)

// ownHops is the hop limit and TTL of packets of the translator itself.
const ownHops = 64

// limiter bounds the ICMP errors of the translator itself (RFC 4443 Section 2.4
// (f)) to a rate, with bursts of a second's worth.
type limiter struct {
	rate, tokens int // in a second; now
	at           time.Time
}

func (l *limiter) take(now time.Time) bool {
	each := time.Second / time.Duration(l.rate)
	if n := now.Sub(l.at) / max(each, 1); n > 0 {
		if n >= time.Duration(l.rate-l.tokens) {
			l.tokens, l.at = l.rate, now
		} else {
			l.tokens += int(n)
			l.at = l.at.Add(n * each)
		}
	}
	if l.tokens == 0 {
		return false
	}
	l.tokens--
	return true
}

// mayTell counts an error and reports whether it may be sent. Each side has its
// own limiter, so that a flood from one does not silence what the other is told.
func (t *Translator) mayTell(l *limiter) bool {
	if !l.take(t.cfg.Clock.Now()) {
		t.counters.ErrorsSuppressed++
		return false
	}
	t.counters.ErrorsSent++
	return true
}

// refuse6 tells a host of the mesh why its packet does not go on.
func (t *Translator) refuse6(p *packet6, typ, code uint8, param uint32) {
	if p.invoking == nil {
		return
	}
	// No error about an error, nor about what cannot be told from one (RFC 4443
	// Section 2.4 (e)).
	proto, at, err := ipv6.Transport(p.invoking)
	if err != nil || proto == ipv6.ProtoICMPv6 && (at >= len(p.invoking) || p.invoking[at] < 128) || !t.mayTell(&t.limit6) {
		return
	}
	quote := p.invoking[:min(len(p.invoking), ipv6.MinMTU-ipv6.HeaderLen-icmpHeaderLen)]
	h := header6{hops: ownHops, proto: ipv6.ProtoICMPv6, src: t.addr, dst: p.src}
	b := h.append(t.error6[:0], icmpHeaderLen+len(quote))
	b = icmpError{typ, code, param}.append(b)
	b = append(b, quote...)
	t.error6 = b
	seal6(b, &h)
	t.cfg.ToMesh(b)
}

// refuse4 tells the sender of an IPv4 packet why it does not go on, in the name
// of whom it was for.
func (t *Translator) refuse4(p *packet4, typ, code uint8, param uint32) {
	if p.invoking == nil {
		return
	}
	if p.proto == protoICMP4 {
		if len(p.payload) == 0 || p.payload[0] != icmp4Echo && p.payload[0] != icmp4EchoReply {
			return // RFC 1812 Section 4.3.2.7
		}
	}
	if !t.mayTell(&t.limit4) {
		return
	}
	quote := p.invoking[:min(len(p.invoking), maxError4-headerLen4-icmpHeaderLen)]
	h := header4{id: t.newID(), ttl: ownHops, proto: protoICMP4, src: p.dst, dst: p.src}
	b := h.append(t.error4[:0], icmpHeaderLen+len(quote))
	b = icmpError{typ, code, param}.append(b)
	b = append(b, quote...)
	t.error4 = b
	m := b[headerLen4:]
	binary.BigEndian.PutUint16(m[icmpChecksum:], ^foldSum(sum(0, m)))
	t.deliver4(b)
}

// probe asks the IPv4 end of an idle connection whether it is still there: a
// segment that is out of sequence has to be answered (RFC 6146 Section
// 3.5.2.2).
func (t *Translator) probe(s *session) {
	t.counters.Probes++
	h := header4{id: t.newID(), ttl: ownHops, proto: ipv6.ProtoTCP, src: s.binding.host.addr4, dst: s.addr}
	b := h.append(t.out4[:0], tcpHeaderLen)
	at := len(b)
	b = binary.BigEndian.AppendUint16(b, s.binding.port4)
	b = binary.BigEndian.AppendUint16(b, s.port)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0, tcpHeaderLen/4<<4, flagACK, 0, 0, 0, 0, 0, 0)
	var d delta
	d.add32(h.src)
	d.add32(h.dst)
	c := ^foldSum(sum(uint64(d)+uint64(tcpHeaderLen)+uint64(ipv6.ProtoTCP), b[at:]))
	binary.BigEndian.PutUint16(b[at+tcpChecksum:], c)
	t.out4 = b
	t.deliver4(b)
}
