package nat64

import "time"

// outbound returns the session of a packet from the mesh, and makes one if need
// be. flags are those of a TCP segment.
func (t *Translator) outbound(p Proto, src *[16]byte, sport uint16, dst uint32, dport uint16, flags uint8) (*session, Reason) {
	b := t.table.inside[key6{*src, sport, p}]
	if b != nil {
		if s := t.table.find(b, dst, dport); s != nil {
			t.advance(s, flags, true)
			return s, Passed
		}
	}
	state := None
	if p == TCP {
		var ok bool
		if state, ok = begin(flags, true); !ok {
			return nil, NoMapping
		}
	}
	if !t.allowed(p, src, sport, dst, dport, false) {
		return nil, Prohibited
	}
	t.makeRoom(t.table.hosts[*src])
	// What went may have been the host's.
	if b = t.table.inside[key6{*src, sport, p}]; b == nil {
		h := t.table.hosts[*src]
		if h == nil {
			h = &host{addr: *src, addr4: t.table.pool.choose(src), sessions: sessions{kind: byHost}}
		}
		port, ok := t.table.choosePort(t.cfg.Rand, p, h.addr4, sport)
		if !ok {
			return nil, Exhausted
		}
		b = &binding{proto: p, host: h, port6: sport, port4: port, sessions: sessions{kind: byBinding}}
	}
	return t.begin(b, dst, dport, state, false), Passed
}

// makeRoom ends a session if there is no room for another one of the host, which
// may be nil for one that has none.
func (t *Translator) makeRoom(h *host) {
	switch {
	case h != nil && h.sessions.n >= t.cfg.Limits.PerHost:
		t.table.remove(h.sessions.head)
	case len(t.table.sessions) >= t.cfg.Limits.Sessions:
		t.table.remove(t.table.victim(h))
	default:
		return
	}
	t.counters.SessionsEvicted++
}

// inbound returns the session of a packet from the IPv4 side. Others than those
// whom the host of the mesh has sent to may begin one if the filter lets them,
// but never at the cost of another session.
func (t *Translator) inbound(p Proto, src uint32, sport uint16, dst uint32, dport uint16, flags uint8) (*session, Reason) {
	b := t.table.outside[key4{dst, dport, p}]
	if b == nil {
		return nil, NoMapping
	}
	if s := t.table.find(b, src, sport); s != nil {
		t.advance(s, flags, false)
		return s, Passed
	}
	if !t.lets(b, src) {
		return nil, Filtered
	}
	state := None
	if p == TCP {
		var ok bool
		if state, ok = begin(flags, false); !ok {
			return nil, Filtered
		}
	}
	if !t.allowed(p, &b.host.addr, b.port6, src, sport, true) {
		return nil, Prohibited
	}
	if b.host.sessions.n >= t.cfg.Limits.PerHost || len(t.table.sessions) >= t.cfg.Limits.Sessions {
		return nil, Exhausted
	}
	return t.begin(b, src, sport, state, true), Passed
}

// lets reports whether the filter lets an address begin a session.
func (t *Translator) lets(b *binding, addr uint32) bool {
	switch t.cfg.Filter {
	case FilterNone:
		return true
	case FilterAddress:
		for s := b.sessions.head; s != nil; s = s.links[byBinding].next {
			if s.addr == addr {
				return true
			}
		}
	}
	return false
}

func (t *Translator) begin(b *binding, addr uint32, port uint16, state State, inbound bool) *session {
	t.counters.SessionsBegun++
	s := t.table.add(b, addr, port)
	s.state, s.inbound = state, inbound
	t.use(s)
	return s
}

// advance is a packet of a session.
func (t *Translator) advance(s *session, flags uint8, fromMesh bool) {
	alive := true
	if s.binding.proto == TCP {
		was := s.state
		s.state, alive = step(was, flags, fromMesh)
		alive = alive || s.state != was
	}
	if alive {
		t.use(s)
	}
}

// use gives a session the whole time of its class.
func (t *Translator) use(s *session) {
	c := classOf(s.binding.proto, s.state)
	at := t.cfg.Clock.Now().Add(t.timeouts[c])
	t.table.use(s, c, at)
	t.wake(at)
}

// wake makes sure that expire is called at a time or before.
func (t *Translator) wake(at time.Time) {
	if !t.timer.Running() || at.Before(t.timer.At()) {
		t.timer.StartAt(at)
	}
}

// expire ends what has not been used for long enough.
func (t *Translator) expire() {
	now := t.cfg.Clock.Now()
	for c := range t.table.classes {
		l := &t.table.classes[c]
		for s := l.head; s != nil && !s.expires.After(now); s = l.head {
			if s.state == Established {
				// The connection may only be idle: whoever lives answers (RFC 6146
				// Section 3.5.2.2).
				s.state = Trans
				t.use(s)
				t.probe(s)
				continue
			}
			t.table.remove(s)
			t.counters.SessionsExpired++
		}
		if l.head != nil {
			t.wake(l.head.expires)
		}
	}
	n := t.joiner.expire(now)
	t.counters.DatagramsExpired += uint64(n)
	if at, ok := t.joiner.deadline(); ok {
		t.wake(at)
	}
}
