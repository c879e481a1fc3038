package addr

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// Kind is what an entry of the cache is.
type Kind uint8

// The kinds, in the order in which they give way to others.
const (
	Snooped Kind = iota // seen in a passing datagram
	Retry               // asked in vain; not asked again for a while
	Query               // asked
	Cached              // answered, or snooped and used since
)

func (k Kind) String() string { return [...]string{"snoop", "retry", "query", "cache"}[k] }

// Entry is one address of the cache.
type Entry struct {
	Target          netip.Addr
	Kind            Kind
	RLOC16          uint16
	MLEID           netip.Addr // of the holder, once it answered
	LastTransaction time.Duration
	Until           time.Time // end of Query or Retry, or of a new entry's protection

	kept  bool // does not give way until then
	retry time.Duration
	used  uint64
}

// RetryDelay is how long the address is not asked for after the next question
// in vain.
func (e *Entry) RetryDelay() time.Duration { return e.retry }

// CanEvict reports whether the entry may give way to another one.
func (e *Entry) CanEvict(now time.Time) bool { return !e.kept || !now.Before(e.Until) }

// known reports whether the entry says where the address is.
func (e *Entry) known() bool { return e.Kind == Cached || e.Kind == Snooped }

// Entries is the cache: by kind, what is best known first, and the most recently
// used first.
func (r *Resolver) Entries() []*Entry {
	out := slices.Clone(r.entries)
	rank := [...]int{Cached: 0, Snooped: 1, Query: 2, Retry: 3}
	slices.SortFunc(out, func(a, b *Entry) int {
		return cmp.Or(cmp.Compare(rank[a.Kind], rank[b.Kind]), cmp.Compare(b.used, a.used))
	})
	return out
}

func (r *Resolver) find(target netip.Addr) *Entry {
	for _, e := range r.entries {
		if e.Target == target {
			return e
		}
	}
	return nil
}

// touch makes an entry the most recently used one.
func (r *Resolver) touch(e *Entry) {
	r.use++
	e.used = r.use
}

// make returns a new entry, at the cost of the least needed one if it must be;
// nil if none gives way.
func (r *Resolver) make(k Kind) *Entry {
	if len(r.entries) >= r.cfg.Limits.Entries {
		victim := r.victim(k)
		if victim == nil {
			return nil
		}
		r.remove(victim)
	}
	e := &Entry{Kind: k, retry: r.cfg.Limits.FirstRetry}
	r.touch(e)
	r.entries = append(r.entries, e)
	return e
}

// victim is the entry that gives way: kinds in their order, within a kind the
// least recently used. A snooped entry takes the place of no other kind once as
// many snooped ones are kept as may be.
func (r *Resolver) victim(k Kind) *Entry {
	now := r.cfg.Clock.Now()
	var victim *Entry
	for _, e := range r.entries {
		if e.CanEvict(now) && (victim == nil || e.Kind < victim.Kind || e.Kind == victim.Kind && e.used < victim.used) {
			victim = e
		}
	}
	if k == Snooped && victim != nil && victim.Kind != Snooped && r.keptSnooped(now) >= r.cfg.Limits.Snooped {
		return nil
	}
	return victim
}

func (r *Resolver) keptSnooped(now time.Time) (n int) {
	for _, e := range r.entries {
		if e.Kind == Snooped && !e.CanEvict(now) {
			n++
		}
	}
	return n
}

func (r *Resolver) remove(e *Entry) {
	r.entries = slices.DeleteFunc(r.entries, func(x *Entry) bool { return x == e })
	if e.Kind == Query {
		r.lost = append(r.lost, e.Target)
		r.timer.StartEarlier(0)
	}
}

// Heard learns from a datagram that src sent from rloc16. An address that is not
// known yet is worth an entry only if the datagram was for us, or for a child
// that we resolve for.
func (r *Resolver) Heard(src netip.Addr, rloc16 uint16, ours bool) {
	e := r.find(src)
	switch {
	case e == nil && ours:
		r.snoop(src, rloc16)
	case e == nil:
	case e.known():
		e.RLOC16 = rloc16
	default: // it was looked for
		e.Kind, e.RLOC16, e.MLEID, e.kept, e.Until = Cached, rloc16, netip.Addr{}, false, time.Time{}
		r.touch(e)
		r.cfg.Resolved(src, true)
	}
}

func (r *Resolver) snoop(src netip.Addr, rloc16 uint16) {
	now := r.cfg.Clock.Now()
	e := r.make(Snooped)
	if e == nil {
		return
	}
	e.Target, e.RLOC16 = src, rloc16
	if r.keptSnooped(now) < r.cfg.Limits.Snooped {
		e.kept, e.Until = true, now.Add(r.cfg.Limits.SnoopHold)
	}
}
