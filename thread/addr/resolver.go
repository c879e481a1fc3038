package addr

import (
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/ipv6"
	"gatewayd/thread/ip"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/tmf"
)

// Timing, OpenThread's.
const (
	queryTimeout = 3 * time.Second
	firstRetry   = 15 * time.Second
	maxRetry     = 120 * time.Second
	freshFor     = 3 * time.Second // after a notification, and for snooped entries in use
	maxEntries   = 256
	maxSnooped   = 16 // entries that snooping may hold at a time
)

// Kind is what an entry of the cache is.
type Kind uint8

// The kinds, in the order in which they give way to others.
const (
	Retry   Kind = iota // asked in vain; not asked again for a while
	Snooped             // seen in a passing datagram
	Query               // asked
	Cached              // answered
)

func (k Kind) String() string { return [...]string{"retry", "snoop", "query", "cache"}[k] }

// Entry is one address of the cache.
type Entry struct {
	Target          netip.Addr
	Kind            Kind
	RLOC16          uint16
	MLEID           netip.Addr // of a Cached entry's holder
	LastTransaction time.Duration
	Until           time.Time // end of Query or Retry, or of a fresh entry's protection

	retry time.Duration
	used  uint64
}

// RetryDelay is how long the address is not asked for after the next question
// in vain.
func (e *Entry) RetryDelay() time.Duration { return e.retry }

// Config is what a Resolver needs.
type Config struct {
	Clock *alarm.Clock
	TMF   *tmf.Agent
	IP    *ip.Stack
	Table *neighbor.Table
	// RLOC is the node's own routing locator, MLEID its mesh-local EID.
	RLOC, MLEID func() netip.Addr
	// Router reports whether the node is a router and answers for children.
	Router func() bool
	// Routable reports whether there is a way to an RLOC16.
	Routable func(rloc16 uint16) bool
	// Resolved is called when an address that was Pending has been found or
	// given up.
	Resolved func(target netip.Addr, ok bool)
	// RemoveChildAddress takes an address from a child that another device has.
	RemoveChildAddress func(c *neighbor.Child, a netip.Addr)
	// Duplicate is called when another device has an address of ours.
	Duplicate func(a netip.Addr)
}

// Resolver is the machine.
type Resolver struct {
	cfg     Config
	entries []*Entry
	timer   *alarm.Timer
	use     uint64
}

// New returns a Resolver that answers queries.
func New(cfg Config) *Resolver {
	r := &Resolver{cfg: cfg}
	r.timer = cfg.Clock.NewTimer(r.tick)
	cfg.TMF.Handle(tmf.AddressQuery, r.queried)
	cfg.TMF.Handle(tmf.AddressNotify, r.notified)
	cfg.TMF.Handle(tmf.AddressError, r.refuted)
	return r
}

// Entries is the cache, the most recently used first.
func (r *Resolver) Entries() []*Entry {
	out := slices.Clone(r.entries)
	slices.SortFunc(out, func(a, b *Entry) int { return int(int64(b.used) - int64(a.used)) })
	return out
}

// State is what is known of an address.
type State uint8

// The states.
const (
	Unknown State = iota // not to be had now
	Asked
	Known
)

// Resolve finds where an address is, and asks the mesh if it is not known.
func (r *Resolver) Resolve(target netip.Addr) (rloc16 uint16, s State) {
	now := r.cfg.Clock.Now()
	e := r.find(target)
	if e == nil {
		if e = r.make(Query); e == nil {
			return 0, Unknown
		}
		e.Target = target
	}
	r.use++
	e.used = r.use
	if e.known() && !now.Before(e.Until) && !r.cfg.Routable(e.RLOC16) {
		// It was there, and there is nowhere now.
		e.Kind, e.Until, e.retry = Query, time.Time{}, firstRetry
	}
	switch e.Kind {
	case Cached:
		return e.RLOC16, Known
	case Snooped:
		e.Kind = Cached
		return e.RLOC16, Known
	case Retry:
		if now.Before(e.Until) {
			return 0, Unknown
		}
		e.Kind = Query
	case Query:
		if e.Until.After(now) {
			return 0, Asked
		}
	}
	e.Until = now.Add(queryTimeout)
	r.timer.StartEarlier(queryTimeout)
	r.cfg.TMF.Send(tmf.AddressQuery, ipv6.AllRoutersRealm, tmf.TLVs(nil).AppendAddr(tmf.Target, target),
		tmf.Options{NonConfirmable: true, Source: r.cfg.RLOC()}, nil)
	return 0, Asked
}

// Lookup finds what the cache knows without asking.
func (r *Resolver) Lookup(target netip.Addr) (uint16, bool) {
	if e := r.find(target); e != nil && (e.Kind == Cached || e.Kind == Snooped) {
		return e.RLOC16, true
	}
	return 0, false
}

func (r *Resolver) find(target netip.Addr) *Entry {
	for _, e := range r.entries {
		if e.Target == target {
			return e
		}
	}
	return nil
}

// make returns a new entry, at the cost of the least needed one: kinds give way
// in their order, within a kind the least recently used.
func (r *Resolver) make(k Kind) *Entry {
	if len(r.entries) >= maxEntries {
		var victim *Entry
		now := r.cfg.Clock.Now()
		for _, e := range r.entries {
			if e.Kind == Query && e.Until.After(now) || e.Kind == Snooped && e.Until.After(now) {
				continue
			}
			if victim == nil || e.Kind < victim.Kind || e.Kind == victim.Kind && e.used < victim.used {
				victim = e
			}
		}
		if victim == nil {
			return nil
		}
		r.remove(victim)
	}
	e := &Entry{Kind: k, retry: firstRetry}
	r.entries = append(r.entries, e)
	return e
}

func (r *Resolver) remove(e *Entry) {
	r.entries = slices.DeleteFunc(r.entries, func(x *Entry) bool { return x == e })
}

// tick ends queries that nobody answered. The delay before the same question
// doubles each time; a delay that was not followed by a question halves again.
func (r *Resolver) tick() {
	now := r.cfg.Clock.Now()
	var failed []netip.Addr
	var next time.Time
	for _, e := range r.entries {
		if e.Kind == Query && !now.Before(e.Until) {
			e.Kind, e.Until = Retry, now.Add(e.retry)
			e.retry = min(2*e.retry, maxRetry)
			failed = append(failed, e.Target)
		} else if e.Kind == Retry && now.Sub(e.Until) >= maxRetry && e.retry > firstRetry {
			e.retry, e.Until = max(e.retry/2, firstRetry), now
		}
		if e.Kind == Query || e.Kind == Retry && e.retry > firstRetry {
			at := e.Until
			if e.Kind == Retry {
				at = at.Add(maxRetry)
			}
			if next.IsZero() || at.Before(next) {
				next = at
			}
		}
	}
	if !next.IsZero() {
		r.timer.StartAt(next)
	}
	for _, a := range failed {
		r.cfg.Resolved(a, false)
	}
}

// Clear forgets everything, as on a change of partition.
func (r *Resolver) Clear() { r.entries = nil; r.timer.Stop() }

// ForgetRouter forgets what was at a router that is no more, or its children.
func (r *Resolver) ForgetRouter(id uint8) {
	r.entries = slices.DeleteFunc(r.entries, func(e *Entry) bool {
		return e.known() && neighbor.RouterID(e.RLOC16) == id
	})
}

// ForgetNode forgets what was at an RLOC16.
func (r *Resolver) ForgetNode(rloc16 uint16) {
	r.entries = slices.DeleteFunc(r.entries, func(e *Entry) bool { return e.known() && e.RLOC16 == rloc16 })
}

// Forget forgets one address, as when it turned out to be elsewhere or a router
// said that it cannot be reached where we believe it.
func (r *Resolver) Forget(target netip.Addr) {
	r.entries = slices.DeleteFunc(r.entries, func(e *Entry) bool { return e.known() && e.Target == target })
}

// Arrived takes that an address is a child's of ours now: it need not be
// resolved any more, and what waits for that may go.
func (r *Resolver) Arrived(target netip.Addr) {
	e := r.find(target)
	if e == nil {
		return
	}
	asked := e.Kind == Query && e.Until.After(r.cfg.Clock.Now())
	r.remove(e)
	if asked {
		r.cfg.Resolved(target, true)
	}
}

func (e *Entry) known() bool { return e.Kind == Cached || e.Kind == Snooped }

// Heard learns from a datagram that came to us, or to a child of ours, from a
// node of the mesh.
func (r *Resolver) Heard(src netip.Addr, rloc16 uint16) {
	e := r.find(src)
	if e == nil {
		r.limitSnooped()
		if e = r.make(Snooped); e == nil {
			return
		}
		e.Target, e.RLOC16 = src, rloc16
		e.Until = r.cfg.Clock.Now().Add(freshFor)
		return
	}
	switch e.Kind {
	case Cached, Snooped:
		e.RLOC16 = rloc16
	case Query, Retry:
		r.limitSnooped()
		e.Kind, e.RLOC16 = Snooped, rloc16
		r.cfg.Resolved(src, true)
	}
}

// limitSnooped makes room for one more snooped entry.
func (r *Resolver) limitSnooped() {
	var oldest *Entry
	n := 0
	for _, e := range r.entries {
		if e.Kind != Snooped {
			continue
		}
		n++
		if oldest == nil || e.Until.Before(oldest.Until) {
			oldest = e
		}
	}
	if n >= maxSnooped {
		r.remove(oldest)
	}
}
