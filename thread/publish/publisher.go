package publish

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/netdata"
)

// Implementation constants, OpenThread's.
const (
	addWithin    = 3500 * time.Millisecond
	removeWithin = 15 * time.Second
	keepLonger   = 16 * time.Second // an entry that is preferred

	wantedPrefixes = 3
	wantedRoutes   = 10
	wantedAnycast  = 8
	wantedUnicast  = 2

	// MaxPrefixes is how many prefixes and routes are published at most.
	MaxPrefixes = 3
)

// Errors of publishing.
var (
	ErrFull        = errors.New("publish: too many prefixes")
	ErrNotFound    = errors.New("publish: the prefix is not published")
	ErrNotStable   = errors.New("publish: only stable entries are published")
	ErrWrongPrefix = errors.New("publish: not a prefix that can be served")
)

// Config is what a Publisher needs.
type Config struct {
	Clock *alarm.Clock
	Rand  *rand.Rand
	// Local is what the node serves, Data what all serve.
	Local *netdata.Local
	Data  func() *netdata.Data
	// Attached reports whether the node is part of a network; nothing changes
	// while it is not.
	Attached func() bool
	// RLOC16 is the node's own, Router whether it is a router.
	RLOC16 func() uint16
	Router func() bool
	// MLEID is the node's mesh-local EID.
	MLEID func() netip.Addr
	// Register tells the leader that Local has changed.
	Register func()
}

// state of an entry.
type state int

const (
	toAdd    state = iota // enough others are there
	adding                // waits to be added
	added                 // in Local
	removing              // in Local, waits to be removed
)

// entry is one thing to publish.
type entry struct {
	what
	state state
	at    time.Time // of adding or removing
}

// what is a prefix, a route or a service.
type what interface {
	// count is how many entries like this one there are in the network data,
	// how many of these all would rather keep, and how many are wanted.
	count(d *netdata.Data, better func(rloc16 uint16) bool) (entries, preferred, wanted int)
	add(l *netdata.Local) error
	remove(l *netdata.Local)
}

// Publisher is the machine. Update must be called when the role, the node's
// mesh-local prefix or the network data changed.
type Publisher struct {
	cfg      Config
	prefixes []*prefixEntry
	service  *entry
	mleid    netip.Addr // in the service, if that is at the node's mesh-local EID
	timer    *alarm.Timer
}

type prefixEntry struct {
	prefix netip.Prefix
	entry
}

// New returns a Publisher that publishes nothing.
func New(cfg Config) *Publisher {
	p := &Publisher{cfg: cfg}
	p.timer = cfg.Clock.NewTimer(p.due)
	return p
}

// Prefix publishes an on-mesh prefix, in place of what was published of it.
func (p *Publisher) Prefix(prefix netip.Prefix, flags netdata.PrefixFlags, stable bool) error {
	return p.publish(prefix, stable, onMesh{prefix, flags})
}

// Route publishes a route to a prefix, in place of what was published of it.
func (p *Publisher) Route(prefix netip.Prefix, flags netdata.RouteFlags, stable bool) error {
	return p.ReplaceRoute(prefix, prefix, flags, stable)
}

// ReplaceRoute publishes a route in place of what was published of another
// prefix, at once if that is in the network data.
func (p *Publisher) ReplaceRoute(old, prefix netip.Prefix, flags netdata.RouteFlags, stable bool) error {
	return p.publish(old, stable, route{prefix, flags})
}

func (p *Publisher) publish(old netip.Prefix, stable bool, w interface {
	what
	of() netip.Prefix
}) error {
	switch {
	case !stable:
		return ErrNotStable
	case !old.IsValid() || !w.of().IsValid() || w.of().Bits() == 0 && isOnMesh(w):
		return ErrWrongPrefix
	}
	e := p.find(old.Masked())
	if e == nil {
		if len(p.prefixes) >= MaxPrefixes {
			return ErrFull
		}
		p.prefixes = append(p.prefixes, &prefixEntry{w.of(), entry{what: w}})
	} else if e.what != what(w) {
		served, alike := e.state >= added, isOnMesh(e.what) == isOnMesh(w)
		p.drop(&e.entry)
		e.prefix, e.entry = w.of(), entry{what: w}
		if served && alike {
			p.add(&e.entry)
		}
	}
	p.Update()
	return nil
}

func isOnMesh(w what) bool {
	_, ok := w.(onMesh)
	return ok
}

func (p *Publisher) find(prefix netip.Prefix) *prefixEntry {
	i := slices.IndexFunc(p.prefixes, func(e *prefixEntry) bool { return e.prefix == prefix })
	if i < 0 {
		return nil
	}
	return p.prefixes[i]
}

// Unpublish takes back what was published of a prefix.
func (p *Publisher) Unpublish(prefix netip.Prefix) error {
	e := p.find(prefix.Masked())
	if e == nil {
		return ErrNotFound
	}
	p.drop(&e.entry)
	p.prefixes = slices.DeleteFunc(p.prefixes, func(x *prefixEntry) bool { return x == e })
	return nil
}

// Added reports whether what is published of a prefix is in the network data
// by this node.
func (p *Publisher) Added(prefix netip.Prefix) bool {
	e := p.find(prefix.Masked())
	return e != nil && e.state >= added
}

// Anycast publishes a DNS/SRP server at the anycast locator of its service, in
// place of any other.
func (p *Publisher) Anycast(sequence, version uint8) {
	p.mleid = netip.Addr{}
	p.serve(anycast{sequence, version})
}

// Unicast publishes a DNS/SRP server at an address, in place of any other. The
// zero address is the node's mesh-local EID.
func (p *Publisher) Unicast(at netip.AddrPort, version uint8) {
	own := !at.Addr().IsValid()
	p.mleid = netip.Addr{}
	if own {
		p.mleid = p.cfg.MLEID()
		at = netip.AddrPortFrom(p.mleid, at.Port())
	}
	p.serve(unicast{at, version, own})
}

func (p *Publisher) serve(w what) {
	if p.service != nil {
		if p.service.what == w {
			return
		}
		p.drop(p.service)
	}
	p.service = &entry{what: w}
	p.Update()
}

// UnpublishService takes back the DNS/SRP server.
func (p *Publisher) UnpublishService() {
	if p.service != nil {
		p.drop(p.service)
		p.service = nil
	}
}

// Service reports whether the published DNS/SRP server is in the network data
// by this node.
func (p *Publisher) Service() bool { return p.service != nil && p.service.state >= added }

// Update looks at the network data anew.
func (p *Publisher) Update() {
	if p.service != nil && p.mleid.IsValid() && p.mleid != p.cfg.MLEID() {
		p.moved()
	}
	if !p.cfg.Attached() {
		return
	}
	for _, e := range p.entries() {
		p.decide(e)
	}
	p.arm()
}

// moved follows the node's mesh-local EID.
func (p *Publisher) moved() {
	e, w := p.service, p.service.what.(unicast)
	p.mleid = p.cfg.MLEID()
	w.at = netip.AddrPortFrom(p.mleid, w.at.Port())
	served := e.state >= added
	p.drop(e)
	e.what = w
	if served {
		p.add(e)
	}
}

func (p *Publisher) entries() (all []*entry) {
	for _, e := range p.prefixes {
		all = append(all, &e.entry)
	}
	if p.service != nil {
		all = append(all, p.service)
	}
	return all
}

// better reports whether an entry of another node is rather kept than ours.
func (p *Publisher) better(rloc16 uint16) bool {
	if theirs := neighbor.IsRouterRLOC16(rloc16); theirs != p.cfg.Router() {
		return theirs
	}
	return rloc16 < p.cfg.RLOC16()
}

func (p *Publisher) decide(e *entry) {
	entries, preferred, wanted := e.count(p.cfg.Data(), p.better)
	switch e.state {
	case toAdd:
		if entries < wanted {
			e.state, e.at = adding, p.in(addWithin)
		}
	case adding:
		if entries >= wanted {
			e.state = toAdd
		}
	case added:
		if entries > wanted {
			e.state, e.at = removing, p.in(removeWithin)
			if preferred < wanted {
				e.at = e.at.Add(keepLonger)
			}
		}
	case removing:
		if entries <= wanted {
			e.state = added
		}
	}
}

// in is a random time within d.
func (p *Publisher) in(d time.Duration) time.Time {
	return p.cfg.Clock.Now().Add(time.Millisecond + time.Duration(p.cfg.Rand.Int64N(int64(d))))
}

func (p *Publisher) arm() {
	var first time.Time
	for _, e := range p.entries() {
		if (e.state == adding || e.state == removing) && (first.IsZero() || e.at.Before(first)) {
			first = e.at
		}
	}
	if first.IsZero() {
		p.timer.Stop()
		return
	}
	p.timer.StartAt(first)
}

func (p *Publisher) due() {
	now := p.cfg.Clock.Now()
	for _, e := range p.entries() {
		if now.Before(e.at) {
			continue
		}
		switch e.state {
		case adding:
			p.add(e)
		case removing:
			p.drop(e)
		}
	}
	p.arm()
}

// add serves an entry; one for which there is no room waits for the next change.
func (p *Publisher) add(e *entry) {
	e.state = toAdd
	if e.what.add(p.cfg.Local) == nil {
		e.state = added
		p.cfg.Register()
	}
}

// drop takes an entry back if it is served.
func (p *Publisher) drop(e *entry) {
	if e.state >= added {
		e.remove(p.cfg.Local)
		p.cfg.Register()
	}
	e.state = toAdd
}
