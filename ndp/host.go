package ndp

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/lowpan"
)

// RegisterMode says by which document a host registers its addresses.
type RegisterMode uint8

const (
	RegisterAuto RegisterMode = iota // RFC 8505 with routers that say they know it
	RegisterARO                      // RFC 6775
	RegisterEARO                     // RFC 8505
)

// HostConfig configures a Host. Clock, Rand, Send and LinkAddr are required.
type HostConfig struct {
	Clock *alarm.Clock
	Rand  *rand.Rand // spread of solicitations and registrations

	// Send transmits a message. It must not call the Host before it returns.
	Send func(Out)

	LinkAddr  LinkAddr // EUI-64
	ShortAddr LinkAddr // if valid, addresses are made of it too
	NoEUI64   bool     // make no addresses of LinkAddr, if there is a ShortAddr
	ROVR      ROVR     // default: LinkAddr

	Mode     RegisterMode
	Lifetime time.Duration // of registrations, whole minutes; default 15 min
	// Route asks routers to make the addresses reachable: of a host that does
	// not speak the mesh's routing protocol (RFC 9010).
	Route bool

	// Contexts is told what header compression may use, whenever that changes.
	Contexts func([]lowpan.Context)
	// Changed is called whenever Addresses, DefaultRouter or Options may
	// return something new. It may call these and Prefer.
	Changed func()
}

const (
	defaultRegistration = 15 * time.Minute
	minRegistration     = time.Minute
)

// AddressState is how far an address has come.
type AddressState uint8

const (
	Tentative  AddressState = iota // not registered yet
	Registered                     // with the default router
	Refused                        // by the router, for the reason of Address.Status
)

// String names the state.
func (s AddressState) String() string {
	switch s {
	case Tentative:
		return "tentative"
	case Registered:
		return "registered"
	case Refused:
		return "refused"
	}
	return fmt.Sprintf("AddressState(%d)", uint8(s))
}

// An Address of a Host that it has made of a prefix.
type Address struct {
	Addr      netip.Addr
	State     AddressState
	Status    Status     // the router's last
	Router    netip.Addr // where it is, or is being, registered
	TID       TID
	Expires   time.Time // of the registration
	Preferred time.Time // until then good for new connections
	Valid     time.Time
}

// DefaultRouter is a router a Host uses.
type DefaultRouter struct {
	Addr       netip.Addr // link-local
	Link       LinkAddr
	Preference Preference
	Extended   bool // registers by RFC 8505
	Expires    time.Time
}

// A Host is the neighbour discovery of a 6LoWPAN host: it finds routers, forms
// addresses of the prefixes they tell and registers them (RFC 6775 Section 5,
// RFC 8505 Section 5). To register again before the end is also how it finds
// out that a router is gone.
//
// Its methods must not be called concurrently.
type Host struct {
	cfg       HostConfig
	linkLocal netip.Addr
	running   bool

	routers   []*hostRouter
	router    *hostRouter // the one in use
	preferred netip.Addr
	networks  networks
	contexts  []lowpan.Context // as last told
	ageing    *alarm.Timer

	solicits *alarm.Timer
	asked    int // solicitations since the last router was lost

	addrs   []*hostAddr
	current *hostAddr // whose registration is on its way: one at a time
	timeout *alarm.Timer
}

// NewHost returns a host that does nothing until Start. It panics if something
// required is missing.
func NewHost(cfg HostConfig) *Host {
	if cfg.Clock == nil || cfg.Rand == nil || cfg.Send == nil || cfg.LinkAddr.Len() != 8 {
		panic("ndp: HostConfig needs Clock, Rand, Send and an EUI-64 as LinkAddr")
	}
	if !cfg.ROVR.IsValid() {
		cfg.ROVR = ROVROf(cfg.LinkAddr.b)
	}
	orDefault(&cfg.Lifetime, defaultRegistration)
	cfg.Lifetime = max(cfg.Lifetime, minRegistration)
	if cfg.Contexts == nil {
		cfg.Contexts = func([]lowpan.Context) {}
	}
	if cfg.Changed == nil {
		cfg.Changed = func() {}
	}
	h := &Host{cfg: cfg, linkLocal: cfg.LinkAddr.LinkLocal()}
	h.ageing = cfg.Clock.NewTimer(h.age)
	h.solicits = cfg.Clock.NewTimer(h.solicit)
	h.timeout = cfg.Clock.NewTimer(h.unanswered)
	return h
}

// Start looks for a router.
func (h *Host) Start() {
	h.running = true
	h.search()
}

// Stop ends the registrations, without waiting for an answer, and forgets the
// routers. Start begins anew.
func (h *Host) Stop() {
	for _, a := range h.addrs {
		a.timer.Stop()
		if h.router != nil && a.state == Registered {
			a.tid = a.tid.Next()
			h.sendRegistration(a, 0)
		}
	}
	h.running = false
	h.ageing.Stop()
	h.solicits.Stop()
	h.timeout.Stop()
	h.routers, h.router, h.networks, h.addrs, h.current = nil, nil, nil, nil, nil
	h.tellContexts()
	h.cfg.Changed()
}

// SetShortAddr changes the short address, none for not having one, and with it
// the addresses that are made of it.
func (h *Host) SetShortAddr(l LinkAddr) {
	h.cfg.ShortAddr = l
	h.formAddresses()
}

// Prefer has the host use a router as soon and as long as it can; the zero Addr
// leaves it the choice. A routing protocol says so of the parent it has chosen.
func (h *Host) Prefer(router netip.Addr) {
	h.preferred = router
	if h.running {
		h.chooseRouter()
		h.scheduleRenewal()
	}
}

// Addresses returns the addresses made of prefixes, whatever their state.
func (h *Host) Addresses() []Address {
	all := make([]Address, 0, len(h.addrs))
	for _, a := range h.addrs {
		x := Address{
			Addr: a.addr, State: a.state, Status: a.status, TID: a.tid,
			Expires: a.expires, Preferred: a.preferred, Valid: a.valid,
		}
		if h.router != nil {
			x.Router = h.router.addr
		}
		all = append(all, x)
	}
	return all
}

// LinkLocal returns the link-local address of the EUI-64.
func (h *Host) LinkLocal() netip.Addr { return h.linkLocal }

// DefaultRouter returns the router in use.
func (h *Host) DefaultRouter() (DefaultRouter, bool) {
	r := h.router
	if r == nil {
		return DefaultRouter{}, false
	}
	return DefaultRouter{
		Addr: r.addr, Link: r.link, Preference: r.pref, Extended: h.extended(r), Expires: r.expires,
	}, true
}

// BorderRouter returns the 6LBR of the network; the zero Addr if none is known
// by name.
func (h *Host) BorderRouter() netip.Addr {
	var border netip.Addr
	for _, n := range h.networks {
		if n.multihop && (len(n.prefixes) > 0 || !border.IsValid()) {
			border = n.border // one that has no prefix anymore only if it is all there is
		}
	}
	return border
}

// Options returns what else the routers say: RouteInfo, RDNSS, DNSSL, PREF64
// and MTU options.
func (h *Host) Options() (opts []Option) {
	for _, n := range h.networks {
		opts = append(opts, n.other...)
	}
	return opts
}

// own reports whether a is an address of this host by which it can be reached.
func (h *Host) own(a netip.Addr) bool {
	if a == h.linkLocal || h.cfg.ShortAddr.IsValid() && a == h.cfg.ShortAddr.LinkLocal() {
		return true
	}
	return slices.ContainsFunc(h.addrs, func(x *hostAddr) bool { return x.addr == a && x.state != Refused })
}

// Receive takes a message of a neighbour. The error says why it was dropped:
// it is of Decode, of Validate, or ErrIgnored or ErrNoMatch.
func (h *Host) Receive(in In) error {
	m, err := in.open()
	if err != nil {
		return err
	}
	return h.receive(in, m)
}

func (h *Host) receive(in In, m Message) error {
	if !h.running {
		return ErrIgnored
	}
	switch m := m.(type) {
	case RouterAdvert:
		h.advertised(in, m)
		return nil
	case NeighborSolicit:
		if !h.own(m.Target) {
			return ErrIgnored
		}
		h.cfg.Send(advertiseSelf(in, m.Target, h.cfg.LinkAddr, false))
		return nil
	case NeighborAdvert:
		if aro, ok := Find[AddressRegistration](m.Options); ok {
			return h.answered(in, m, aro)
		}
	}
	return ErrIgnored
}
