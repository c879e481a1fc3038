package ip

import (
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/ipv6"
	"gatewayd/thread/link"
)

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
	Src      netip.Addr // chosen if not valid
	Size     int
	Count    int
	Interval time.Duration
	Timeout  time.Duration
	HopLimit uint8 // 0 is 64, unless NoHops is set
	NoHops   bool
	// Loop lets this node answer too, if it listens to the group.
	Loop  bool
	Reply func(Reply)
	Done  func(sent, received int)

	id       uint16
	seq      uint16
	sent     int
	received int
	sentAt   map[uint16]time.Time
	timer    *alarm.Timer
	stack    *Stack
}

// pings are the series under way.
type pings struct {
	s      *Stack
	nextID uint16
	active map[uint16]*Ping
}

// maxPings bounds the series under way at a time.
const maxPings = 16

func (p *pings) init(s *Stack) {
	p.s, p.active, p.nextID = s, map[uint16]*Ping{}, uint16(s.cfg.Rand.Uint32())
}

// Ping starts a series; false while too many are under way.
func (s *Stack) Ping(p *Ping) bool {
	if len(s.pings.active) >= maxPings {
		return false
	}
	s.pings.nextID++
	p.id, p.stack, p.sentAt = s.pings.nextID, s, map[uint16]time.Time{}
	p.timer = s.cfg.Clock.NewTimer(p.tick)
	s.pings.active[p.id] = p
	p.tick()
	return true
}

// Stop ends the series; Done is called.
func (p *Ping) Stop() {
	if p.stack.pings.active[p.id] != p {
		return
	}
	p.timer.Stop()
	delete(p.stack.pings.active, p.id)
	if p.Done != nil {
		p.Done(p.sent, p.received)
	}
}

func (p *Ping) tick() {
	if p.sent == p.Count {
		p.Stop()
		return
	}
	p.seq++
	p.sent++
	src := p.Src
	if !src.IsValid() {
		src, _ = p.stack.SourceFor(p.Dst)
	}
	if src.IsValid() {
		hops := p.HopLimit
		if hops == 0 && !p.NoHops {
			hops = defaultHopLimit
		}
		body := ipv6.Echo{ID: p.id, Seq: p.seq, Data: make([]byte, p.Size)}.Append(nil)
		p.sentAt[p.seq] = p.stack.cfg.Clock.Now()
		h := ipv6.Header{Src: src, Dst: p.Dst, HopLimit: hops}
		loop := p.Loop && slices.Contains(p.stack.groups, p.Dst)
		_ = p.stack.Send(ipv6.AppendICMPPacket(nil, h, ipv6.ICMPEchoRequest, 0, body), link.Options{Priority: link.Normal})
		if loop && p.stack.pings.active[p.id] == p {
			p.stack.answerEcho(h, body)
		}
	}
	if p.sent < p.Count {
		p.timer.Start(p.Interval)
	} else if p.stack.pings.active[p.id] == p {
		p.timer.Start(p.Timeout)
	}
}

func (p *Ping) answered(h ipv6.Header, e ipv6.Echo) {
	at, ok := p.sentAt[e.Seq]
	if !ok {
		return
	}
	if !p.Dst.IsMulticast() {
		delete(p.sentAt, e.Seq)
	}
	p.received++
	if p.Reply != nil {
		p.Reply(Reply{From: h.Src, Seq: e.Seq, Size: len(e.Data), HopLimit: h.HopLimit,
			RTT: p.stack.cfg.Clock.Now().Sub(at)})
	}
	if p.sent == p.Count && len(p.sentAt) == 0 {
		p.Stop()
	}
}

func (s *Stack) deliverICMP(h ipv6.Header, b []byte) bool {
	m, err := ipv6.DecodeICMP(b)
	if err != nil || !ipv6.VerifyChecksum(h.Src, h.Dst, ipv6.ProtoICMPv6, b) {
		s.Counters.RxFailed++
		return true
	}
	switch m.Type {
	case ipv6.ICMPEchoRequest:
		if s.cfg.Host != nil {
			return false // the host's stack answers
		}
		s.answerEcho(h, m.Body)
		return true
	case ipv6.ICMPEchoReply:
		e, err := ipv6.DecodeEcho(m.Body)
		if err != nil {
			return true
		}
		if p := s.pings.active[e.ID]; p != nil {
			p.answered(h, e)
			return true
		}
	case ipv6.ICMPDstUnreachable:
		if m.Code == ipv6.UnreachNoRoute {
			s.unreachable(m.Body)
		}
	}
	return false
}

// unreachable tells of a datagram of ours that found no way.
func (s *Stack) unreachable(body []byte) {
	e, err := ipv6.DecodeErrorBody(body)
	if err != nil || len(e.Invoking) < ipv6.HeaderLen || s.cfg.Unreachable == nil {
		return
	}
	src := netip.AddrFrom16([16]byte(e.Invoking[8:24]))
	if s.Has(src) || s.cfg.Router() { // or a child's, for which we looked
		s.cfg.Unreachable(netip.AddrFrom16([16]byte(e.Invoking[24:40])))
	}
}

// unreachableGap is how far apart ICMPv6 errors of ours are at least (RFC 4443
// Section 2.4 (f)).
const unreachableGap = 20 * time.Millisecond

// SendUnreachable tells to that there is no route for a datagram of which
// packet is the beginning (RFC 4443 Section 3.1).
func (s *Stack) SendUnreachable(src, to netip.Addr, packet []byte) {
	if len(packet) < ipv6.HeaderLen || packet[24] == 0xff || s.cfg.Clock.Now().Before(s.nextError) {
		return
	}
	if proto, off, err := ipv6.Transport(packet); err == nil && proto == ipv6.ProtoICMPv6 && len(packet) > off && packet[off] < 128 {
		return // no errors about errors
	}
	s.nextError = s.cfg.Clock.Now().Add(unreachableGap)
	h := ipv6.Header{Src: src, Dst: to, HopLimit: defaultHopLimit}
	_ = s.Send(ipv6.AppendICMPPacket(nil, h, ipv6.ICMPDstUnreachable, ipv6.UnreachNoRoute,
		ipv6.ErrorBody{Invoking: packet}.Append(nil)), link.Options{Priority: link.Net})
}

func (s *Stack) answerEcho(h ipv6.Header, body []byte) {
	src := h.Dst
	if src.IsMulticast() {
		var ok bool
		if src, ok = s.SourceFor(h.Src); !ok {
			return
		}
	}
	reply := ipv6.Header{Src: src, Dst: h.Src, HopLimit: defaultHopLimit, TrafficClass: h.TrafficClass}
	_ = s.Send(ipv6.AppendICMPPacket(nil, reply, ipv6.ICMPEchoReply, 0, body), link.Options{Priority: priorityOf(h)})
}
