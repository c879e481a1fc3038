package rpl

import (
	"net/netip"
	"time"
)

// prefixTable is a bounded map of prefixes with lookup by longest match.
type prefixTable[T any] struct {
	max  int
	m    map[netip.Prefix]T
	bits [129]int // how many prefixes there are of each length
}

func newPrefixTable[T any](max int) prefixTable[T] {
	return prefixTable[T]{max: max, m: make(map[netip.Prefix]T)}
}

// put stores v and reports false when there is no room for a new prefix.
func (t *prefixTable[T]) put(p netip.Prefix, v T) bool {
	if _, ok := t.m[p]; !ok {
		if len(t.m) >= t.max {
			return false
		}
		t.bits[p.Bits()]++
	}
	t.m[p] = v
	return true
}

func (t *prefixTable[T]) remove(p netip.Prefix) {
	if _, ok := t.m[p]; ok {
		t.bits[p.Bits()]--
		delete(t.m, p)
	}
}

// clear removes all.
func (t *prefixTable[T]) clear() { *t = newPrefixTable[T](t.max) }

// lookup returns the entry of the longest prefix that holds a and passes the
// test.
func (t *prefixTable[T]) lookup(a netip.Addr, usable func(T) bool) (p netip.Prefix, v T, ok bool) {
	for n := 128; n >= 0; n-- {
		if t.bits[n] == 0 {
			continue
		}
		p = netip.PrefixFrom(a, n).Masked()
		if v, ok = t.m[p]; ok && usable(v) {
			return p, v, true
		}
	}
	var none T
	return netip.Prefix{}, none, false
}

// lifetime is a path lifetime as a duration (RFC 6550 Section 6.7.6).
func (o DODAGConfig) lifetime(b uint8) time.Duration {
	if b == infiniteLifetimeByte {
		return Infinite
	}
	return time.Duration(b) * time.Duration(o.LifetimeUnit) * time.Second
}

// expiry is when what is learned now ends; the zero time for never.
func expiry(now time.Time, d time.Duration) time.Time {
	if d == Infinite {
		return time.Time{}
	}
	return now.Add(d)
}

func expired(now, at time.Time) bool { return !at.IsZero() && !now.Before(at) }

// An outcome is what became of one target of a DAO.
type outcome uint8

const (
	learned outcome = iota // new, or changed
	refreshed
	withdrawn
	ignored // nothing to withdraw
	stale   // older than what is known
	full
)

// status is what the DAO-ACK says of the worst outcome.
func (o outcome) status() uint8 {
	switch o {
	case stale:
		return StatusStale
	case full:
		return StatusRejected
	}
	return StatusAccepted
}

// path is a group of options of a DAO: targets and the ways to them (RFC 6550
// Section 6.7.7: one or more Targets, followed by one or more Transits).
type path struct {
	targets  []netip.Prefix
	transits []Transit
}

func pathsOf(opts []Option) (ps []path) {
	var p path
	flush := func() {
		if len(p.targets) > 0 && len(p.transits) > 0 {
			ps = append(ps, p)
		}
	}
	for _, o := range opts {
		switch o := o.(type) {
		case Target:
			if len(p.transits) > 0 {
				flush()
				p = path{}
			}
			p.targets = append(p.targets, o.Prefix)
		case Transit:
			p.transits = append(p.transits, o)
		}
	}
	flush()
	return ps
}

// acceptable reports whether a prefix may be a target at all: unicast, and of
// a scope that is routed.
func acceptable(p netip.Prefix) bool {
	a := p.Addr()
	return p.Bits() > 0 && a.Is6() && !a.Is4In6() && !a.IsMulticast() && !a.IsLinkLocalUnicast() &&
		!a.IsUnspecified() && !a.IsLoopback()
}
