package ndp

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"gatewayd/alarm"
)

// RouterConfig configures a Router. Clock, Rand, Send, LinkAddr and Addr are
// required.
type RouterConfig struct {
	Clock *alarm.Clock
	Rand  *rand.Rand // spread of advertisements and retransmissions

	// Send transmits a message. It must not call the Router before it returns.
	Send func(Out)

	LinkAddr LinkAddr
	// Addr returns a routable address of this node, from which it talks to the
	// 6LBR; the zero Addr while there is none.
	Addr func() netip.Addr
	// Host is this node's own use of its upstream routers. If set, it is given
	// what the Router receives and does not handle itself.
	Host *Host

	RouterLifetime time.Duration // as default router of hosts; default 30 min
	MaxNeighbors   int           // default 256
	MaxPending     int           // registrations that wait for the 6LBR; default 32

	// Changed is told of every neighbour's address that is registered, renewed
	// or moved, or else is no more: a routing protocol advertises these. It
	// must not call the Router before it returns.
	Changed func(r Registration, present bool)
}

const (
	defaultMaxNeighbors = 256
	defaultMaxPending   = 32
)

// A Router is the neighbour discovery of a 6LoWPAN router that is not the
// border: it distributes what the border router tells (RFC 6775 Section 8.1)
// and has it check the addresses that hosts register (Section 8.2, RFC 8505
// Section 5).
//
// Its methods must not be called concurrently.
type Router struct {
	cfg       RouterConfig
	linkLocal netip.Addr
	networks  networks
	ageing    *alarm.Timer
	reg       *registry
	pending   map[netip.Addr]*checking
	announce  *announcer
	ready     bool // has something to say and an address to serve hosts by
}

// NewRouter returns a 6LR that keeps quiet until it has heard of a border
// router. It panics if something required is missing.
func NewRouter(cfg RouterConfig) *Router {
	if cfg.Clock == nil || cfg.Rand == nil || cfg.Send == nil || !cfg.LinkAddr.IsValid() || cfg.Addr == nil {
		panic("ndp: RouterConfig needs Clock, Rand, Send, LinkAddr and Addr")
	}
	orDefault(&cfg.RouterLifetime, defaultRouterLifetime)
	orDefault(&cfg.MaxNeighbors, defaultMaxNeighbors)
	orDefault(&cfg.MaxPending, defaultMaxPending)
	if cfg.Changed == nil {
		cfg.Changed = func(Registration, bool) {}
	}
	r := &Router{cfg: cfg, linkLocal: cfg.LinkAddr.LinkLocal(), pending: make(map[netip.Addr]*checking)}
	r.reg = newRegistry(cfg.Clock, func(g Registration) { r.cfg.Changed(g, false) })
	r.ageing = cfg.Clock.NewTimer(func() {
		r.networks.age(r.cfg.Clock.Now())
		r.age()
	})
	r.announce = newAnnouncer(cfg.Clock, cfg.Rand, func() { r.advertise(allNodes, LinkAddr{}) })
	return r
}

// Stop withdraws the router from its hosts and ends its timers.
func (r *Router) Stop() {
	r.announce.stop()
	r.ageing.Stop()
	r.reg.timer.Stop()
	for a := range r.pending {
		r.drop(a)
	}
	r.cfg.RouterLifetime = 0
	r.advertise(allNodes, LinkAddr{})
}

// Table returns the registrations of neighbours in order of address, without
// those that wait for the border router.
func (r *Router) Table() []Registration { return r.reg.table() }

// Resolve returns the link-layer address of a neighbour: the registered one, or
// that which a link-local address was made of.
func (r *Router) Resolve(a netip.Addr) (LinkAddr, bool) { return r.reg.resolve(a) }

// Receive takes a message of a neighbour, or a confirmation of the 6LBR. The
// error says why it was dropped: it is of Decode, of Validate, or ErrIgnored,
// ErrNoBorder, ErrBusy or ErrNoMatch.
func (r *Router) Receive(in In) error {
	m, err := in.open()
	if err != nil {
		return err
	}
	defer r.becomeReady()
	switch m := m.(type) {
	case RouterSolicit:
		r.solicited(in, m)
		return nil
	case RouterAdvert:
		r.learn(in, m)
	case NeighborSolicit:
		if q, ok := registrationRequest(in, m); ok {
			return r.register(q)
		}
		if r.own(m.Target) {
			r.cfg.Send(advertiseSelf(in, m.Target, r.cfg.LinkAddr, true))
			return nil
		}
	case Duplicate:
		if !m.Confirm || in.Dst != r.cfg.Addr() {
			return ErrIgnored
		}
		return r.confirmed(m)
	}
	if r.cfg.Host != nil {
		return r.cfg.Host.receive(in, m)
	}
	if _, ok := m.(RouterAdvert); ok {
		return nil
	}
	return ErrIgnored
}

func (r *Router) own(a netip.Addr) bool {
	return a == r.linkLocal || a == r.cfg.Addr() || r.cfg.Host != nil && r.cfg.Host.own(a)
}

// learn takes up what an upstream router distributes. One that names no 6LBR
// has nothing to distribute.
func (r *Router) learn(in In, m RouterAdvert) {
	if _, ok := Find[BorderRouter](m.Options); !ok {
		return
	}
	now := r.cfg.Clock.Now()
	r.networks.age(now)
	if _, news := r.networks.learn(now, in.Src, m); news {
		r.announce.news()
	}
	r.age()
}

func (r *Router) age() {
	if at := r.networks.next(); at.Equal(never) {
		r.ageing.Stop()
	} else {
		r.ageing.StartAt(at)
	}
}

func (r *Router) solicited(in In, m RouterSolicit) {
	ll, ok := Find[SourceLinkAddr](m.Options)
	switch {
	case in.Src.IsUnspecified():
		r.announce.soon()
	case ok:
		r.advertise(in.Src, ll.Addr)
	default:
		r.advertise(in.Src, in.Link)
	}
}

// becomeReady announces the router to hosts that wait for one.
func (r *Router) becomeReady() {
	ready := len(r.networks) > 0 && r.cfg.Addr().IsValid()
	if ready && !r.ready {
		r.announce.news()
	}
	r.ready = ready
}

// advertise sends an advertisement for each border router, since one can name
// only one (RFC 6775 Section 8.1). A router that knows none, or that has no
// address yet by which to serve its hosts, sends none.
func (r *Router) advertise(dst netip.Addr, link LinkAddr) {
	if !r.cfg.Addr().IsValid() {
		return
	}
	for _, n := range r.networks {
		opts := n.options(r.cfg.Clock.Now())
		if opts == nil {
			continue
		}
		ra := RouterAdvert{Lifetime: r.cfg.RouterLifetime, Options: []Option{SourceLinkAddr{r.cfg.LinkAddr}}}
		ra.Options = append(ra.Options, opts...)
		caps := CapRegistrar | CapRouter
		if n.eda {
			caps |= CapEDA
		}
		ra.Options = append(ra.Options, caps)
		r.cfg.Send(outgoing(r.linkLocal, dst, localHopLimit, link, ra))
	}
}
