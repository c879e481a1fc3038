package rpl

import (
	"net/netip"
	"time"
)

// route is a way down in storing mode (RFC 6550 Section 9.8).
type route struct {
	next     netip.Addr // the child that announced it
	other    netip.Addr // the child that did before, with the same sequence; or invalid
	seq      uint8      // path sequence
	lifetime uint8
	expires  time.Time // zero: never
	external bool
	dirty    bool // to be announced to our own parent
	alone    bool // announced in a message of its own: see announcer.reject
	rejected bool // our parent knows a newer sequence
}

// routes are the downward routes of a storing router or root.
type routes struct{ prefixTable[*route] }

func newRoutes(max int) routes { return routes{newPrefixTable[*route](max)} }

// learn takes one target of a child's DAO.
func (t *routes) learn(now time.Time, c DODAGConfig, from netip.Addr, p netip.Prefix, tr Transit) outcome {
	if !acceptable(p) {
		return ignored
	}
	old, known := t.m[p]
	if known && expired(now, old.expires) {
		t.remove(p)
		known = false
	}
	if tr.PathLifetime == 0 { // a No-Path (RFC 6550 Section 6.4.3)
		// A child withdraws only its own: the target may have moved to
		// another already.
		if !known || old.next != from && old.other != from {
			return ignored
		}
		if CompareSequence(tr.PathSequence, old.seq) == Older {
			return stale
		}
		if t.without(p, old, from) {
			return withdrawn
		}
		return refreshed
	}
	if known {
		// Incomparable sequences say that the target has lost count, which
		// its own branch knows best; by another it may be an old tale (RFC
		// 6550 Section 7.2: precedence to what was last seen to increment).
		o := CompareSequence(tr.PathSequence, old.seq)
		if o == Older || o == Incomparable && old.next != from || o == Equal && old.rejected {
			return stale
		}
	}
	r := &route{
		next: from, seq: tr.PathSequence, lifetime: tr.PathLifetime, external: tr.External,
		expires: expiry(now, c.lifetime(tr.PathLifetime)), dirty: true,
	}
	if !known {
		if len(t.m) >= t.max {
			t.sweep(now)
		}
		if !t.put(p, r) {
			return full
		}
		return learned
	}
	t.m[p] = r
	if CompareSequence(r.seq, old.seq) == Equal {
		// Two children have the target with one sequence: a router between
		// it and us has moved. Which of them is right shows when the other
		// withdraws it.
		r.other = old.other
		if old.next != from {
			r.other = old.next
		}
		if r.other == from {
			r.other = netip.Addr{}
		}
	}
	if old.next != from {
		return learned
	}
	return refreshed
}

// without takes a child out of a route, and reports whether that was its last:
// then it is removed.
func (t *routes) without(p netip.Prefix, r *route, child netip.Addr) (removed bool) {
	switch {
	case r.other == child:
		r.other = netip.Addr{}
	case r.next == child && r.other.IsValid():
		r.next, r.other = r.other, netip.Addr{}
	case r.next == child:
		t.remove(p)
		return true
	}
	return false
}

// left is what is left of the path lifetime, rounded up: who only passes a
// route on does not make it last longer.
func (r *route) left(now time.Time, c DODAGConfig) uint8 {
	if r.expires.IsZero() || c.LifetimeUnit == 0 {
		return r.lifetime
	}
	unit := time.Duration(c.LifetimeUnit) * time.Second
	return uint8(min(max((r.expires.Sub(now)+unit-1)/unit, 1), time.Duration(r.lifetime)))
}

// find returns the way to an address.
func (t *routes) find(now time.Time, a netip.Addr) (*route, netip.Prefix, bool) {
	p, r, ok := t.lookup(a, func(r *route) bool { return !expired(now, r.expires) })
	return r, p, ok
}

// sweep removes what has expired.
func (t *routes) sweep(now time.Time) (n int) {
	for p, r := range t.m {
		if expired(now, r.expires) {
			t.remove(p)
			n++
		}
	}
	return n
}

// removeVia removes the routes by a neighbour and hands each to gone.
func (t *routes) removeVia(next netip.Addr, gone func(netip.Prefix, *route)) {
	for p, r := range t.m {
		if t.without(p, r, next) {
			gone(p, r)
		}
	}
}
