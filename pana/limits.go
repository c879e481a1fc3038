package pana

import (
	"container/list"
	"net/netip"
	"time"
)

// Limits bound what clients can make an agent or a relay element do. What is
// left zero has the default in parentheses.
type Limits struct {
	Sessions int // sessions in all (65536)
	// HalfOpen bounds first handshakes under way (1024). When there are more,
	// the oldest of those that come the same way as most others is given up.
	HalfOpen int
	// HalfOpenPerSource bounds those from one address (4).
	HalfOpenPerSource int
	Rounds            int // EAP requests in one handshake (50)
	// Initiations are answered at this rate per second for a client that is a
	// neighbour (2, ten at once) and for all clients of one relay element
	// (50, a hundred at once).
	ClientRate, RelayRate float64
	// Pace is how many sessions per second are touched by what is done to all
	// of them: pushing keys, re-authentication (200).
	Pace float64
}

func (l Limits) complete() Limits {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	rate := func(v *float64, d float64) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&l.Sessions, 65536)
	def(&l.HalfOpen, 1024)
	def(&l.HalfOpenPerSource, 4)
	def(&l.Rounds, 50)
	rate(&l.ClientRate, 2)
	rate(&l.RelayRate, 50)
	rate(&l.Pace, 200)
	return l
}

// buckets are token buckets for any number of sources in fixed memory:
// sources whose hash is the same share one.
type buckets struct {
	seed  uint64
	slots [512]bucket
}

type bucket struct {
	at    time.Time
	spent float64 // tokens, at that time
}

// How many seconds' worth of its rate a source may use at once.
const clientBurst, relayBurst = 5, 2

// take reports whether the source may have one more at the time now.
func (bs *buckets) take(now time.Time, source netip.Addr, rate, seconds float64) bool {
	b := &bs.slots[bs.hash(source)%uint64(len(bs.slots))]
	if b.spent -= now.Sub(b.at).Seconds() * rate; b.spent < 0 {
		b.spent = 0
	}
	b.at = now
	if b.spent+1 > max(1, rate*seconds) {
		return false
	}
	b.spent++
	return true
}

// hash is FNV-1a with a secret beginning.
func (bs *buckets) hash(a netip.Addr) uint64 {
	h := 14695981039346656037 ^ bs.seed
	for _, c := range a.As16() {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h ^ h>>32
}

// halfOpen are the first handshakes under way, in groups by the way they come:
// one for every relay element and one for neighbours. Whoever opens many makes
// room at the cost of those that come the same way.
type halfOpen struct {
	n       int
	groups  map[netip.AddrPort]*list.List // of *session, oldest first
	sources map[source]int
}

// source is where a client's handshakes come from.
type source struct {
	pac netip.Addr
	pre netip.AddrPort
}

func (w path) source() source { return source{w.pac.Addr(), w.pre} }

func (h *halfOpen) add(s *session) {
	if h.groups == nil {
		h.groups = make(map[netip.AddrPort]*list.List)
		h.sources = make(map[source]int)
	}
	g := h.groups[s.path.pre]
	if g == nil {
		g = list.New()
		h.groups[s.path.pre] = g
	}
	s.hs.half = g.PushBack(s)
	h.sources[s.path.source()]++
	h.n++
}

func (h *halfOpen) remove(s *session) {
	if s.hs == nil || s.hs.half == nil {
		return
	}
	g := h.groups[s.path.pre]
	g.Remove(s.hs.half)
	s.hs.half = nil
	if g.Len() == 0 {
		delete(h.groups, s.path.pre)
	}
	src := s.path.source()
	if h.sources[src]--; h.sources[src] == 0 {
		delete(h.sources, src)
	}
	h.n--
}

// oldestOf is the oldest handshake from a source.
func (h *halfOpen) oldestOf(src source) *session {
	g := h.groups[src.pre]
	if g == nil {
		return nil
	}
	for e := g.Front(); e != nil; e = e.Next() {
		if s := e.Value.(*session); s.path.source() == src {
			return s
		}
	}
	return nil
}

// victim is who makes room: of the largest group the oldest handshake in which
// the client has not answered any EAP request yet, or else the oldest.
func (h *halfOpen) victim() *session {
	var largest *list.List
	for _, g := range h.groups {
		if largest == nil || g.Len() > largest.Len() {
			largest = g
		}
	}
	if largest == nil {
		return nil
	}
	for e := largest.Front(); e != nil; e = e.Next() {
		if s := e.Value.(*session); s.hs.rounds <= 1 {
			return s
		}
	}
	return largest.Front().Value.(*session)
}
