package rpl

import (
	"net/netip"
	"time"
)

// route is a way down in storing mode (RFC 6550 Section 9.8).
type route struct {
	next     netip.Addr // the child that announced it
	seq      uint8      // path sequence
	lifetime uint8
	expires  time.Time // zero: never
	external bool
	dirty    bool // to be announced to our own parent
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
		// Only the child that the route goes by withdraws it: the target may
		// have moved to another already.
		if !known || old.next != from {
			return ignored
		}
		if CompareSequence(tr.PathSequence, old.seq) == Older {
			return stale
		}
		t.remove(p)
		return withdrawn
	}
	if known {
		o := CompareSequence(tr.PathSequence, old.seq)
		if o == Older || o == Equal && old.rejected {
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
	if old.next != from {
		return learned
	}
	return refreshed
}

// next is the child by which an address is reached.
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
		if r.next == next {
			t.remove(p)
			gone(p, r)
		}
	}
}
