package addr

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/ipv6"
	"gatewayd/thread/ip"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/tmf"
)

// freshFor is how long an answer is believed though there is no way to where it
// says.
const freshFor = 3 * time.Second

// Limits of a Resolver. What is 0 is OpenThread's default, or our own for the
// numbers of entries.
type Limits struct {
	QueryTimeout time.Duration // 3 s
	FirstRetry   time.Duration // before the same question after the first in vain: 15 s
	MaxRetry     time.Duration // 120 s
	SnoopHold    time.Duration // for which a new snooped entry does not give way: 3 s
	Entries      int           // 256
	Snooped      int           // snooped entries that do not give way: 16
}

func (l Limits) withDefaults() Limits {
	d := Limits{QueryTimeout: 3 * time.Second, FirstRetry: 15 * time.Second, MaxRetry: 120 * time.Second,
		SnoopHold: 3 * time.Second, Entries: 256, Snooped: 16}
	l.QueryTimeout = cmp.Or(l.QueryTimeout, d.QueryTimeout)
	l.FirstRetry = cmp.Or(l.FirstRetry, d.FirstRetry)
	l.MaxRetry = cmp.Or(l.MaxRetry, d.MaxRetry)
	l.SnoopHold = cmp.Or(l.SnoopHold, d.SnoopHold)
	l.Entries = cmp.Or(l.Entries, d.Entries)
	l.Snooped = cmp.Or(l.Snooped, d.Snooped)
	return l
}

// Config is what a Resolver needs.
type Config struct {
	Clock *alarm.Clock
	TMF   *tmf.Agent
	IP    *ip.Stack
	Table *neighbor.Table
	// Limits other than the defaults.
	Limits Limits
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
	// Extend is called with a query that this node sends or cannot answer, and
	// the locator of who asks: the address may be beyond the mesh. It may be nil.
	Extend func(target netip.Addr, from uint16)
}

// Resolver is the machine.
type Resolver struct {
	cfg     Config
	entries []*Entry
	lost    []netip.Addr // of Query entries that are no more: what waits for them is to be told
	timer   *alarm.Timer
	use     uint64
}

// New returns a Resolver that answers queries.
func New(cfg Config) *Resolver {
	cfg.Limits = cfg.Limits.withDefaults()
	r := &Resolver{cfg: cfg}
	r.timer = cfg.Clock.NewTimer(r.tick)
	cfg.TMF.Handle(tmf.AddressQuery, r.queried)
	cfg.TMF.Handle(tmf.AddressNotify, r.notified)
	cfg.TMF.Handle(tmf.AddressError, r.refuted)
	return r
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
	now, e := r.cfg.Clock.Now(), r.find(target)
	if e != nil && e.known() && !(e.Kind == Cached && now.Before(e.Until)) && !r.cfg.Routable(e.RLOC16) {
		r.remove(e) // it was there, and there is nowhere now
		e = nil
	}
	if e == nil {
		if e = r.make(Query); e == nil {
			return 0, Unknown
		}
		e.Target, e.kept = target, true
	}
	switch e.Kind {
	case Snooped:
		e.Kind, e.kept, e.Until = Cached, false, time.Time{}
		fallthrough
	case Cached:
		r.touch(e)
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
	r.touch(e)
	r.ask(e)
	return 0, Asked
}

// ask sends an Address Query.
func (r *Resolver) ask(e *Entry) {
	e.Until = r.cfg.Clock.Now().Add(r.cfg.Limits.QueryTimeout)
	r.timer.StartEarlier(r.cfg.Limits.QueryTimeout)
	r.cfg.TMF.Send(tmf.AddressQuery, ipv6.AllRoutersRealm, tmf.TLVs(nil).AppendAddr(tmf.Target, e.Target),
		tmf.Options{NonConfirmable: true, Source: r.cfg.RLOC()}, nil)
	r.extend(e.Target, r.cfg.RLOC())
}

func (r *Resolver) extend(target, from netip.Addr) {
	if b := from.As16(); r.cfg.Extend != nil {
		r.cfg.Extend(target, uint16(b[14])<<8|uint16(b[15]))
	}
}

// Restart asks anew for all that is looked for, as when the node has another
// routing locator: answers go to the old one.
func (r *Resolver) Restart() {
	for _, e := range r.entries {
		if e.Kind == Query || e.Kind == Retry {
			e.Kind, e.kept, e.retry = Query, true, r.cfg.Limits.FirstRetry
			r.ask(e)
		}
	}
}

// Lookup finds what the cache knows without asking.
func (r *Resolver) Lookup(target netip.Addr) (uint16, bool) {
	if e := r.find(target); e != nil && (e.Kind == Cached || e.Kind == Snooped) {
		return e.RLOC16, true
	}
	return 0, false
}

// tick ends queries that nobody answered. The delay before the same question
// doubles each time; a delay that was not followed by a question halves again.
func (r *Resolver) tick() {
	now, l := r.cfg.Clock.Now(), &r.cfg.Limits
	failed := r.lost
	r.lost = nil
	var next time.Time
	for _, e := range r.entries {
		switch {
		case e.Kind == Query && !now.Before(e.Until):
			e.Kind, e.kept, e.Until = Retry, false, now.Add(e.retry)
			e.retry = min(2*e.retry, l.MaxRetry)
			r.touch(e)
			failed = append(failed, e.Target)
		case e.Kind == Retry && now.Sub(e.Until) >= l.MaxRetry && e.retry > l.FirstRetry:
			e.retry, e.Until = max(e.retry/2, l.FirstRetry), now
		}
		at := e.Until
		switch {
		case e.Kind == Retry && e.retry > l.FirstRetry:
			at = at.Add(l.MaxRetry)
		case e.Kind != Query:
			continue
		}
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	if !next.IsZero() {
		r.timer.StartAt(next)
	}
	for _, a := range failed {
		r.cfg.Resolved(a, false)
	}
}

// Clear forgets everything, as on a change of partition. What waits for an
// answer waits in vain.
func (r *Resolver) Clear() {
	for len(r.entries) > 0 {
		r.remove(r.entries[len(r.entries)-1])
	}
}

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
	asked := e.Kind == Query
	e.Kind = Cached // nothing is lost
	r.remove(e)
	if asked {
		r.cfg.Resolved(target, true)
	}
}
