package wpan

import (
	"net/netip"
	"time"

	"gatewayd/alarm"
	"gatewayd/ipv6"
)

// icmpRPL is the ICMPv6 type of RPL control messages (RFC 6550 Section 6).
const icmpRPL uint8 = 155

func (n *Node) deliverICMP(h ipv6.Header, b []byte, info Link) bool {
	m, err := ipv6.DecodeICMP(b)
	if err != nil || !ipv6.VerifyChecksum(h.Src, h.Dst, ipv6.ProtoICMPv6, b) {
		n.Counters.Malformed++
		return true
	}
	switch {
	case m.Type == ipv6.ICMPEchoRequest:
		if n.cfg.Host != nil {
			return false // the host's own stack answers
		}
		n.answerEcho(h, m.Body)
		return true
	case m.Type == ipv6.ICMPEchoReply:
		return n.answered(h, m.Body)
	case m.Type >= 133 && m.Type <= 137, m.Type == 157, m.Type == 158:
		n.discovery(h, m, info)
		return true
	case m.Type == icmpRPL:
		n.routing.control(h, m, info)
		return true
	case m.IsError():
		return n.routing.trouble(h, m)
	}
	return false
}

func (n *Node) answerEcho(h ipv6.Header, body []byte) {
	src := h.Dst
	if src.IsMulticast() {
		var ok bool
		if src, ok = n.SourceFor(h.Src); !ok {
			return
		}
	}
	if h.Src.IsUnspecified() {
		return
	}
	n.send(ipv6.AppendICMPPacket(nil, ipv6.Header{Src: src, Dst: h.Src, HopLimit: defaultHopLimit, TrafficClass: h.TrafficClass},
		ipv6.ICMPEchoReply, 0, body), sending{})
}

// errorPeriod lies between two ICMPv6 errors (RFC 4443 Section 2.4 (f)).
const errorPeriod = 100 * time.Millisecond

// fail answers a datagram that cannot go on with an ICMPv6 error.
func (n *Node) fail(h ipv6.Header, packet []byte, typ, code uint8, param uint32) {
	n.Counters.Unroutable++
	if h.Src.IsUnspecified() || h.Src.IsMulticast() || h.Dst.IsMulticast() {
		return
	}
	if _, proto, off, err := transport(packet); err != nil {
		return
	} else if proto == ipv6.ProtoICMPv6 {
		if m, err := ipv6.DecodeICMP(packet[off:]); err != nil || m.IsError() {
			return
		}
	}
	src, ok := n.SourceFor(h.Src)
	if !ok {
		return
	}
	e := ipv6.AppendICMPPacket(nil, ipv6.Header{Src: src, Dst: h.Src, HopLimit: defaultHopLimit},
		typ, code, ipv6.ErrorBody{Param: param, Invoking: packet}.Append(nil))
	n.tell(e)
}

// Reply is an answer to a ping.
type Reply struct {
	From     netip.Addr
	Seq      uint16
	Size     int // of the echo data
	HopLimit uint8
	RTT      time.Duration
}

// Ping is a series of echo requests.
type Ping struct {
	Dst      netip.Addr
	Size     int
	Count    int
	Interval time.Duration
	Timeout  time.Duration // after the last request
	HopLimit uint8         // 0 is 64
	Reply    func(Reply)
	Done     func(sent, received int)

	n        *Node
	id, seq  uint16
	received int
	sentAt   map[uint16]time.Time
	timer    *alarm.Timer
}

// maxPings bounds the series under way at a time.
const maxPings = 16

// Ping starts a series; false while too many are under way.
func (n *Node) Ping(p *Ping) bool {
	if len(n.pings) >= maxPings {
		return false
	}
	n.nextPing++
	p.n, p.id, p.sentAt = n, n.nextPing, map[uint16]time.Time{}
	p.timer = n.clock.NewTimer(p.tick)
	n.pings[p.id] = p
	p.timer.Start(0)
	return true
}

// Stop ends the series; Done is called.
func (p *Ping) Stop() {
	if p.n == nil || p.n.pings[p.id] != p {
		return
	}
	p.timer.Stop()
	delete(p.n.pings, p.id)
	if p.Done != nil {
		p.Done(int(p.seq), p.received)
	}
}

func (p *Ping) tick() {
	if int(p.seq) >= p.Count {
		p.Stop()
		return
	}
	p.seq++
	if src, ok := p.n.SourceFor(p.Dst); ok {
		p.sentAt[p.seq] = p.n.clock.Now()
		hops := p.HopLimit
		if hops == 0 {
			hops = defaultHopLimit
		}
		p.n.send(ipv6.AppendICMPPacket(nil, ipv6.Header{Src: src, Dst: p.Dst, HopLimit: hops}, ipv6.ICMPEchoRequest, 0,
			ipv6.Echo{ID: p.id, Seq: p.seq, Data: make([]byte, p.Size)}.Append(nil)), sending{})
	}
	if int(p.seq) < p.Count {
		p.timer.Start(p.Interval)
	} else {
		p.timer.Start(p.Timeout)
	}
}

// answered takes an echo reply; false if it is not for a ping of ours.
func (n *Node) answered(h ipv6.Header, body []byte) bool {
	e, err := ipv6.DecodeEcho(body)
	if err != nil {
		n.Counters.Malformed++
		return true
	}
	p := n.pings[e.ID]
	if p == nil {
		return false
	}
	at, ok := p.sentAt[e.Seq]
	if !ok {
		return true
	}
	delete(p.sentAt, e.Seq)
	p.received++
	if p.Reply != nil {
		p.Reply(Reply{From: h.Src, Seq: e.Seq, Size: len(e.Data), HopLimit: h.HopLimit, RTT: n.clock.Now().Sub(at)})
	}
	if int(p.seq) == p.Count && len(p.sentAt) == 0 {
		p.Stop()
	}
	return true
}
