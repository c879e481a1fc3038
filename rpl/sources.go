package rpl

import (
	"net/netip"
	"slices"
	"time"
)

// maxTransits is how many parents of one target the root remembers: as many as
// path control can rank (RFC 6550 Section 6.7.8).
const maxTransits = 4

// source is what a non-storing root knows of a target: its parents (RFC 6550
// Section 9.7).
type source struct {
	seq      uint8
	external bool
	parents  []transitParent // preferred first
}

type transitParent struct {
	addr    netip.Addr
	control uint8
	expires time.Time // zero: never
	suspect time.Time // until then used only if there is no other: the hop failed
}

// suspectTime is how long a hop that failed is avoided. It may have been a
// passing failure, of which the node below knows nothing.
const suspectTime = 30 * time.Second

// sources is the graph of who has which parents.
type sources struct{ prefixTable[*source] }

func newSources(max int) sources { return sources{newPrefixTable[*source](max)} }

// learn takes one group's transits for one of its targets.
func (t *sources) learn(now time.Time, c DODAGConfig, p netip.Prefix, transits []Transit) (out outcome) {
	if !acceptable(p) {
		return ignored
	}
	s, known := t.m[p]
	if known {
		if s.expire(now); len(s.parents) == 0 {
			t.remove(p)
			known = false
		}
	}
	out = ignored
	for _, tr := range transits {
		switch {
		case known && tr.PathLifetime == 0 && tr.Parent.IsValid() && !s.by(tr.Parent):
			continue // it has moved to another already
		case known && CompareSequence(tr.PathSequence, s.seq) == Older:
			out = max(out, stale)
			continue
		case tr.PathLifetime == 0: // a No-Path: by this parent, or altogether
			if !known {
				continue
			}
			s.drop(tr.Parent)
			s.seq = tr.PathSequence
			if len(s.parents) == 0 {
				t.remove(p)
				known = false
			}
			if out == ignored {
				out = withdrawn
			}
			continue
		case !tr.Parent.IsValid() || tr.Parent.IsMulticast() || tr.Parent.IsUnspecified():
			continue // in this mode the parent is what it is all about
		}
		if !known {
			if len(t.m) >= t.max {
				t.sweep(now)
			}
			s = &source{seq: tr.PathSequence}
			if !t.put(p, s) {
				return full
			}
			known = true
			out = min(out, learned)
		}
		if CompareSequence(tr.PathSequence, s.seq) != Equal {
			// A newer sequence replaces all that an older one said.
			s.seq, s.parents = tr.PathSequence, nil
		}
		s.external = tr.External
		s.add(transitParent{tr.Parent, tr.PathControl, expiry(now, c.lifetime(tr.PathLifetime)), time.Time{}})
		if out == ignored || out == withdrawn {
			out = refreshed
		}
	}
	return out
}

// add puts a parent before those of less or equal preference: of equal ones
// the one heard last is most likely right.
func (s *source) add(n transitParent) {
	s.drop(n.addr)
	i := slices.IndexFunc(s.parents, func(p transitParent) bool { return p.control <= n.control })
	if i < 0 {
		i = len(s.parents)
	}
	s.parents = slices.Insert(s.parents, i, n)
	if len(s.parents) > maxTransits {
		s.parents = s.parents[:maxTransits]
	}
}

// by reports whether one of the parents has the address.
func (s *source) by(parent netip.Addr) bool {
	return slices.ContainsFunc(s.parents, func(p transitParent) bool { return p.addr == parent })
}

// drop forgets a parent, or all when none is named.
func (s *source) drop(parent netip.Addr) {
	s.parents = slices.DeleteFunc(s.parents, func(p transitParent) bool {
		return !parent.IsValid() || p.addr == parent
	})
}

func (s *source) expire(now time.Time) {
	s.parents = slices.DeleteFunc(s.parents, func(p transitParent) bool { return expired(now, p.expires) })
}

func (t *sources) sweep(now time.Time) (n int) {
	for p, s := range t.m {
		if s.expire(now); len(s.parents) == 0 {
			t.remove(p)
			n++
		}
	}
	return n
}

// route computes the hops from the root to an address, the last of which is
// the address, or the router that has it for a target outside the DODAG or a
// prefix. It visits no node twice, so there is no loop, and prefers the
// parents that nodes prefer; a hop that has failed lately is the last resort.
func (t *sources) route(now time.Time, dst netip.Addr, isRoot func(netip.Addr) bool) ([]netip.Addr, bool) {
	if hops, ok := t.search(now, dst, isRoot, false); ok {
		return hops, true
	}
	return t.search(now, dst, isRoot, true)
}

func (t *sources) search(now time.Time, dst netip.Addr, isRoot func(netip.Addr) bool, suspects bool) ([]netip.Addr, bool) {
	p, s, ok := t.lookup(dst, func(s *source) bool { return true })
	if !ok {
		return nil, false
	}
	visited := make(map[netip.Addr]bool)
	var hops []netip.Addr // from the end
	var climb func(s *source, depth int) bool
	climb = func(s *source, depth int) bool {
		for _, parent := range s.parents {
			if expired(now, parent.expires) || !suspects && now.Before(parent.suspect) {
				continue
			}
			if isRoot(parent.addr) {
				return true
			}
			up, ok := t.m[netip.PrefixFrom(parent.addr, 128)]
			if !ok || up.external || visited[parent.addr] || depth >= MaxHops {
				continue
			}
			visited[parent.addr] = true
			hops = append(hops, parent.addr)
			if climb(up, depth+1) {
				return true
			}
			hops = hops[:len(hops)-1]
		}
		return false
	}
	if p.Bits() == 128 && !s.external {
		visited[dst] = true
		hops = append(hops, dst)
	}
	if !climb(s, len(hops)) || len(hops) == 0 {
		return nil, false
	}
	slices.Reverse(hops)
	return hops, true
}

// suspect avoids the hop from a parent to an address for a while, and reports
// whether there is such a hop.
func (t *sources) suspect(now time.Time, parent, child netip.Addr) bool {
	s, ok := t.m[netip.PrefixFrom(child, 128)]
	if !ok {
		return false
	}
	i := slices.IndexFunc(s.parents, func(p transitParent) bool { return p.addr == parent })
	if i < 0 {
		return false
	}
	s.parents[i].suspect = now.Add(suspectTime)
	return true
}
