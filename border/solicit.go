package border

import (
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/ndp"
)

// Solicitations (RFC 4861 Section 10, RTR_SOLICITATION_INTERVAL and others).
const (
	solicitCount    = 3
	solicitDelay    = time.Second
	solicitInterval = 4 * time.Second
	solicitWait     = time.Second // after the last
	// solicitPause is the least time until all are asked again: who says what
	// lasts but a second shall not keep us from deciding.
	solicitPause = time.Minute
)

// A solicitor asks all routers of a link, and then forgets what they did not
// say again.
type solicitor struct {
	l     *link
	timer *alarm.Timer
	began time.Time
	ended time.Time
	sent  int
}

func (s *solicitor) init(l *link) {
	s.l = l
	s.timer = l.m.timer(s.fire)
}

func (s *solicitor) running() bool { return s.timer.Running() }

func (s *solicitor) start() {
	if s.running() {
		return
	}
	s.began, s.sent = s.l.m.now(), 0
	s.timer.Start(time.Duration(s.l.m.cfg.Rand.Int64N(int64(solicitDelay) + 1)))
}

func (s *solicitor) stop() { s.timer.Stop() }

func (s *solicitor) fire() {
	l := s.l
	if s.sent == solicitCount {
		s.ended = l.m.now()
		l.forget(s.began)
		l.schedule(atOnce)
		return
	}
	if _, err := l.transmit(allRouters, ndp.LinkAddr{}, ndp.RouterSolicit{Options: l.sourceLink()}); err == nil {
		l.counters.RSSent++
		s.sent++
	}
	if s.sent == solicitCount {
		s.timer.Start(solicitWait)
	} else {
		s.timer.Start(solicitInterval)
	}
}

// solicitAgain asks whether what is stale is still so.
func (l *link) solicitAgain() {
	if l.hears {
		l.solicit.start()
	}
}

// forget drops the routes and flags, and deprecates the on-link prefixes that were last
// heard before began.
func (l *link) forget(began time.Time) {
	for _, r := range l.routers {
		if !r.said.After(began) {
			r.managed, r.other = false, false
		}
		for i := range r.onLink {
			if p := &r.onLink[i]; !p.heard.After(began) {
				p.preferred = 0
			}
		}
		for i := range r.routes {
			if p := &r.routes[i]; !p.heard.After(began) {
				p.valid = 0
			}
		}
	}
	if l.mirrored != nil && !l.mirroredAt.After(began) {
		l.mirrored = nil
	}
	l.review()
}

// setTimers arranges for the next thing to end, to probe or to ask for.
func (l *link) setTimers(now time.Time) {
	if !l.hears {
		return
	}
	var ageing, stale earliest
	fresh := make(map[netip.Prefix]time.Time)   // on-link prefixes: until when one router or other will do
	freshTo := make(map[netip.Prefix]time.Time) // routes
	later := func(m map[netip.Prefix]time.Time, p netip.Prefix, t time.Time) {
		if t.After(m[p]) {
			m[p] = t
		}
	}
	for _, r := range l.routers {
		if r.probing() {
			l.setProbe(r)
			ageing.add(r.probeAt)
		}
		for i := range r.onLink {
			p := &r.onLink[i]
			ageing.add(p.ends())
			if !p.deprecated(now) {
				ageing.add(p.heard.Add(p.preferred))
				later(fresh, p.prefix, p.heard.Add(min(staleTime, p.preferred)))
			}
		}
		for _, p := range r.routes {
			ageing.add(p.ends())
			later(freshTo, p.prefix, p.heard.Add(min(staleTime, p.valid)))
		}
		for _, p := range r.nat64 {
			ageing.add(p.ends())
		}
	}
	for _, t := range fresh {
		stale.add(t)
	}
	for _, t := range freshTo {
		stale.add(t)
	}
	if l.mirrored != nil {
		stale.add(l.mirroredAt.Add(min(staleTime, l.mirrored.Lifetime)))
	}
	ageing.arm(l.ageing)
	if next := l.solicit.ended.Add(solicitPause); !stale.t.IsZero() && stale.t.Before(next) {
		stale.t = next
	}
	stale.arm(l.stale)
}

// earliest is the first of some times, zero if there is none.
type earliest struct{ t time.Time }

func (e *earliest) add(t time.Time) {
	if e.t.IsZero() || t.Before(e.t) {
		e.t = t
	}
}

func (e *earliest) arm(t *alarm.Timer) {
	if e.t.IsZero() {
		t.Stop()
		return
	}
	t.StartAt(e.t)
}

// age probes routers and drops what is over.
func (l *link) age() {
	l.probe()
	l.review()
}

// sorted returns the routers in order of address.
func (l *link) sorted() []*router {
	return slices.SortedFunc(slices.Values(l.routers), func(a, b *router) int { return a.addr.Compare(b.addr) })
}
