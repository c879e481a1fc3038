package ip

import (
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/ipv6"
	"gatewayd/thread/link"
)

// MPL parameters of Thread (RFC 7731 Section 5.5 has others by default).
const (
	mplInterval  = 64 * time.Millisecond
	mplSends     = 2 // transmissions by a router, its own first one included
	mplSeeds     = 35
	mplLifetime  = 5 * time.Second
	mplRoom      = 48 // what an option header, or a tunnel, adds to a datagram
	mplMaxBuffer = 16 // datagrams waiting to be sent again
)

// mpl is the multicast forwarder.
type mpl struct {
	s       *Stack
	seq     uint8
	seeds   []seed
	waiting int
}

// seed is a sender of multicast that was heard lately.
type seed struct {
	id      uint16
	minimum uint8 // lowest sequence still acceptable
	until   time.Time
}

func (m *mpl) init(s *Stack) { m.s, m.seq = s, uint8(s.cfg.Rand.Uint32()) }

// originate adds the MPL option to a datagram of ours and sends it: in its own
// hop-by-hop header up to the realm's scope, tunnelled to all forwarders beyond.
func (m *mpl) originate(h ipv6.Header, packet []byte, o link.Options) error {
	inner := packet
	if ipv6.Scope(h.Dst) == ipv6.ScopeRealm {
		packet = m.insert(h, packet)
	} else {
		if m.s.cfg.WantsCopy != nil && m.s.cfg.WantsCopy(h.Dst) {
			_ = m.s.cfg.Mesh.Send(slices.Clone(inner), link.Options{Priority: o.Priority})
		}
		src, ok := m.s.rloc()
		if !ok {
			finish(o, false)
			return ErrNoSource
		}
		outer := ipv6.Header{Src: src, Dst: ipv6.AllMPLForwarders, HopLimit: h.HopLimit, TrafficClass: h.TrafficClass,
			NextHeader: ipv6.ProtoHopByHop, PayloadLen: uint16(len(packet) + 8)}
		packet = append(ipv6.AppendMPLHeader(outer.Append(nil), ipv6.ProtoIPv6, m.option(src)), inner...)
	}
	m.repeat(packet, 1)
	return m.s.cfg.Mesh.Send(packet, o)
}

// rloc is the node's own routing locator.
func (s *Stack) rloc() (netip.Addr, bool) {
	for _, a := range s.addrs {
		if a.Locator && !isAnycast(a.Addr) {
			return a.Addr, true
		}
	}
	return netip.Addr{}, false
}

// option is the next MPL option of ours. From our RLOC the seed is elided.
func (m *mpl) option(src netip.Addr) ipv6.MPLOption {
	o := ipv6.MPLOption{Seq: m.seq}
	m.seq++
	if r, ok := m.s.rloc(); !ok || r != src {
		o.SeedLen, o.Seed = 2, m.s.cfg.RLOC16()
	}
	m.note(m.s.cfg.RLOC16(), o.Seq)
	return o
}

// insert puts an MPL option into the datagram's hop-by-hop header, making one
// if there is none.
func (m *mpl) insert(h ipv6.Header, packet []byte) []byte {
	o := m.option(h.Src)
	body := packet[ipv6.HeaderLen:]
	out := make([]byte, 0, len(packet)+8)
	h.PayloadLen += 8
	if h.NextHeader != ipv6.ProtoHopByHop {
		next := h.NextHeader
		h.NextHeader = ipv6.ProtoHopByHop
		return append(ipv6.AppendMPLHeader(h.Append(out), next, o), body...)
	}
	if len(body) < 2 || len(body) < 8*(int(body[1])+1) {
		return packet // its own hop-by-hop header is broken: left as it is
	}
	n := 8 * (int(body[1]) + 1)
	out = append(h.Append(out), body[:n]...)
	out[ipv6.HeaderLen+1]++
	// The option's own eight bytes: those of a header less its first two,
	// padded to keep the next one aligned.
	opt := ipv6.AppendMPLHeader(nil, 0, o)[2:]
	out = append(append(out, opt...), 1, 0)
	return append(out, body[n:]...)
}

// accept processes the hop-by-hop header of a received datagram and reports
// whether the datagram is new. Routers send new ones on.
func (m *mpl) accept(h ipv6.Header, packet []byte) bool {
	o, found, err := ipv6.FindMPL(packet)
	if err != nil {
		m.s.Counters.RxFailed++
		return false
	}
	if !found {
		return true
	}
	id := o.Seed
	switch o.SeedLen {
	case 0:
		if !isLocator(h.Src) {
			return false
		}
		b := h.Src.As16()
		id = uint16(b[14])<<8 | uint16(b[15])
	case 2:
	default:
		return false // 64- and 128-bit seeds are not Thread's
	}
	if id == m.s.cfg.RLOC16() || !m.note(id, o.Seq) {
		return false
	}
	if m.s.cfg.Router() && h.HopLimit > 1 {
		copy := slices.Clone(packet)
		ipv6.SetHopLimit(copy, h.HopLimit-1)
		m.repeat(copy, 0)
	}
	return true
}

// note records a seed's sequence and reports whether it is a new one.
func (m *mpl) note(id uint16, seq uint8) bool {
	now := m.s.cfg.Clock.Now()
	m.seeds = slices.DeleteFunc(m.seeds, func(x seed) bool { return !now.Before(x.until) })
	for i := range m.seeds {
		x := &m.seeds[i]
		if x.id != id {
			continue
		}
		if int8(seq-x.minimum) < 0 {
			return false
		}
		x.minimum, x.until = seq+1, now.Add(mplLifetime)
		return true
	}
	if len(m.seeds) >= mplSeeds {
		oldest := 0
		for i := range m.seeds {
			if m.seeds[i].until.Before(m.seeds[oldest].until) {
				oldest = i
			}
		}
		m.seeds = slices.Delete(m.seeds, oldest, oldest+1)
	}
	m.seeds = append(m.seeds, seed{id: id, minimum: seq + 1, until: now.Add(mplLifetime)})
	return true
}

// repeat sends a datagram until it has been sent mplSends times, each time at
// a random moment of the next interval. Nodes that are not routers do not.
func (m *mpl) repeat(packet []byte, sent int) {
	if !m.s.cfg.Router() || m.waiting >= mplMaxBuffer {
		return
	}
	m.waiting++
	var again func()
	offset := time.Duration(0)
	var timer *alarm.Timer
	schedule := func() {
		t := time.Duration(m.s.cfg.Rand.Int64N(int64(mplInterval)))
		timer.Start(offset + t)
		offset = mplInterval - t
	}
	again = func() {
		sent++
		_ = m.s.cfg.Mesh.Send(slices.Clone(packet), link.Options{Priority: link.Normal, Repeat: sent > 1})
		if sent < mplSends && m.s.cfg.Router() {
			schedule()
			return
		}
		m.waiting--
	}
	timer = m.s.cfg.Clock.NewTimer(func() { again() })
	schedule()
}
