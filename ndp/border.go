package ndp

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
)

// Info is what a 6LBR tells its network.
type Info struct {
	Prefixes []PrefixInfo
	// Contexts for header compression. One that is not wanted anymore is kept
	// here without Compress for at least 300 s (MIN_CONTEXT_CHANGE_DELAY, RFC
	// 6775 Section 9).
	Contexts []ContextOption
	Other    []Option // RDNSS, RouteInfo, MTU and the like, as they are
}

func (i Info) options() []Option {
	opts := make([]Option, 0, len(i.Prefixes)+len(i.Contexts)+len(i.Other))
	for _, p := range i.Prefixes {
		opts = append(opts, p)
	}
	for _, c := range i.Contexts {
		opts = append(opts, c)
	}
	return append(opts, i.Other...)
}

// BorderConfig configures a Border. Clock, Rand, Send, LinkAddr and Addr are
// required.
type BorderConfig struct {
	Clock *alarm.Clock
	Rand  *rand.Rand // spread of advertisements

	// Send transmits a message. It must not call the Border before it returns.
	Send func(Out)

	LinkAddr LinkAddr
	Addr     netip.Addr   // routable address of the 6LBR: what 6LRs send requests to
	Others   []netip.Addr // more addresses of its own, which nobody else may register

	Info Info
	// Managed says that there are addresses by DHCPv6 (the M flag).
	Managed bool
	// RouterLifetime is how long hosts use the 6LBR as default router without
	// asking again; up to 18 h. Default 30 min, rounded up to seconds.
	RouterLifetime time.Duration
	// InfoLifetime is how long routers distribute Info without hearing it
	// again. Default 10000 min.
	InfoLifetime time.Duration

	MaxRegistrations int // default 16384
	MaxNeighbors     int // registrations of neighbours among them; default: no other limit

	// Changed is told of every registration that is made, renewed or moved, or
	// else is no more. It must not call the Border before it returns.
	Changed func(r Registration, present bool)
}

const (
	defaultRouterLifetime   = 30 * time.Minute
	defaultMaxRegistrations = 16384
)

// A Border is the neighbour discovery of a 6LoWPAN border router: it tells the
// network's prefixes and contexts and registers every address in it (RFC 6775
// Sections 6 to 8, RFC 8505 Section 5).
//
// Its methods must not be called concurrently.
type Border struct {
	cfg       BorderConfig
	linkLocal netip.Addr
	version   uint32
	former    []Former
	reg       *registry
	announce  *announcer
}

// A Former is an address that the 6LBR had, and the version under which there is
// no Info of it anymore.
type Former struct {
	Addr    netip.Addr
	Version uint32
}

// maxFormer bounds what is told of earlier networks.
const maxFormer = 2

// NewBorder returns a 6LBR that answers, and advertises itself to who is
// already there. It panics if something required is missing.
func NewBorder(cfg BorderConfig) *Border {
	if cfg.Clock == nil || cfg.Rand == nil || cfg.Send == nil || !cfg.LinkAddr.IsValid() || !cfg.Addr.IsValid() {
		panic("ndp: BorderConfig needs Clock, Rand, Send, LinkAddr and Addr")
	}
	orDefault(&cfg.RouterLifetime, defaultRouterLifetime)
	orDefault(&cfg.InfoLifetime, defaultBorderLifetime)
	orDefault(&cfg.MaxRegistrations, defaultMaxRegistrations)
	orDefault(&cfg.MaxNeighbors, cfg.MaxRegistrations)
	if cfg.Changed == nil {
		cfg.Changed = func(Registration, bool) {}
	}
	b := &Border{cfg: cfg, linkLocal: cfg.LinkAddr.LinkLocal(), version: 1}
	b.reg = newRegistry(cfg.Clock, func(r Registration) { b.cfg.Changed(r, false) })
	b.announce = newAnnouncer(cfg.Clock, cfg.Rand, func() { b.advertise(allNodes, LinkAddr{}) })
	b.announce.news()
	return b
}

func orDefault[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// SetInfo changes what the network is told, under the next version, and
// announces it.
func (b *Border) SetInfo(i Info) {
	b.cfg.Info = i
	b.version++
	b.announce.news()
}

// Renumber makes it the 6LBR of another prefix, with another address. What was
// told under the address before is over, and everybody is told that for as long
// as somebody may remember; registrations under it are forgotten.
func (b *Border) Renumber(addr netip.Addr, i Info) {
	b.version++
	b.retire(b.cfg.Addr)
	b.cfg.Addr, b.cfg.Info = addr, i
	b.former = slices.DeleteFunc(b.former, func(f Former) bool { return f.Addr == addr })
	for _, r := range b.reg.table() {
		if !b.topology(r) {
			b.reg.remove(r.Addr)
			b.cfg.Changed(r, false)
		}
	}
	b.announce.news()
}

func (b *Border) retire(addr netip.Addr) {
	b.former = slices.DeleteFunc(b.former, func(f Former) bool { return f.Addr == addr })
	b.former = append(b.former, Former{addr, b.version})
	b.former = b.former[max(0, len(b.former)-maxFormer):]
}

// Version is that of the Info the network is told.
func (b *Border) Version() uint32 { return b.version }

// Stop withdraws the router and ends its timers. Registrations are kept for
// Snapshot.
func (b *Border) Stop() {
	b.announce.stop()
	b.reg.timer.Stop()
	b.cfg.RouterLifetime = 0
	b.advertise(allNodes, LinkAddr{})
}

// The reasons why a message has no effect on a machine that understood it.
var (
	ErrIgnored  = errors.New("ndp: message is not for this kind of node")
	ErrNoBorder = errors.New("ndp: registration while no border router is known")
	ErrBusy     = errors.New("ndp: too many registrations are waiting for the border router")
	ErrNoMatch  = errors.New("ndp: answer to no request of ours")
)

// Receive takes a message of a neighbour, or a duplicate address request. The
// error says why it was dropped: it is of Decode, of Validate or ErrIgnored.
func (b *Border) Receive(in In) error {
	m, err := in.open()
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case RouterSolicit:
		b.solicited(in, m)
	case NeighborSolicit:
		if q, ok := registrationRequest(in, m); ok {
			b.register(q)
		} else if !b.own(m.Target) {
			return ErrIgnored
		} else {
			b.cfg.Send(advertiseSelf(in, m.Target, b.cfg.LinkAddr, true))
		}
	case Duplicate:
		if m.Confirm || !b.own(in.Dst) {
			return ErrIgnored
		}
		b.check(in, m)
	default:
		return ErrIgnored
	}
	return nil
}

func (b *Border) own(a netip.Addr) bool {
	return a == b.linkLocal || a == b.cfg.Addr || slices.Contains(b.cfg.Others, a)
}

// solicited answers at once and to the host alone (RFC 6775 Section 6.3); only
// who has no address yet is answered for all to hear.
func (b *Border) solicited(in In, m RouterSolicit) {
	ll, ok := Find[SourceLinkAddr](m.Options)
	switch {
	case in.Src.IsUnspecified():
		b.announce.soon()
	case ok:
		b.advertise(in.Src, ll.Addr)
	default:
		b.advertise(in.Src, in.Link)
	}
}

func (b *Border) advertise(dst netip.Addr, link LinkAddr) {
	ra := RouterAdvert{Lifetime: b.cfg.RouterLifetime, Managed: b.cfg.Managed, Options: []Option{
		SourceLinkAddr{b.cfg.LinkAddr},
		BorderRouter{Version: b.version, Lifetime: b.cfg.InfoLifetime, Addr: b.cfg.Addr},
	}}
	ra.Options = append(ra.Options, b.cfg.Info.options()...)
	ra.Options = append(ra.Options, CapRegistrar|CapBorder|CapRouter|CapEDA)
	b.cfg.Send(outgoing(b.linkLocal, dst, localHopLimit, link, ra))
	for _, f := range b.former {
		ra.Options = []Option{SourceLinkAddr{b.cfg.LinkAddr}, BorderRouter{Version: f.Version, Lifetime: b.cfg.InfoLifetime, Addr: f.Addr},
			CapRegistrar | CapBorder | CapRouter | CapEDA}
		b.cfg.Send(outgoing(b.linkLocal, dst, localHopLimit, link, ra))
	}
}

// register handles the request of a neighbour.
func (b *Border) register(q request) {
	self := b.linkLocal
	if b.own(q.target) {
		self = q.target
	}
	b.cfg.Send(q.answer(self, b.claim(q.registration(), q.aro.Lifetime)))
}

// check handles the request of a 6LR (RFC 6775 Section 8.2.4, RFC 8505 Section
// 5.4).
func (b *Border) check(in In, m Duplicate) {
	status := b.claim(Registration{
		Addr: m.Addr, ROVR: m.ROVR, TID: m.TID, Extended: m.Extended, Router: in.Src,
	}, m.Lifetime)
	if !m.Extended {
		status = request{}.status(status)
	}
	m.Confirm, m.Status, m.Options = true, status, nil
	b.cfg.Send(outgoing(in.Dst, in.Src, multihopHopLimit, LinkAddr{}, m))
}

// claim registers r for a lifetime, or ends its registration if that is zero,
// or says why not.
func (b *Border) claim(r Registration, lifetime time.Duration) Status {
	if b.own(r.Addr) {
		return StatusDuplicate
	}
	if !b.topology(r) {
		return StatusTopology
	}
	now := b.cfg.Clock.Now()
	old, known := b.reg.get(r.Addr)
	if known && !old.Expires.After(now) {
		known = false // its timer is about to fire
	}
	if known {
		if !old.sameOwner(r.ROVR, r.Extended) {
			return StatusDuplicate
		}
		if old.staleFor(r.TID, r.Extended) {
			return StatusMoved
		}
	}
	if lifetime <= 0 {
		// Of a node that has moved, the former router cannot end what is
		// registered through another.
		if known && (old.Router == r.Router || r.Extended) {
			b.reg.remove(r.Addr)
			b.cfg.Changed(old, false)
		}
		return StatusSuccess
	}
	if !known && b.reg.len() >= b.cfg.MaxRegistrations {
		return StatusSaturated
	}
	if r.Neighbor() && !(known && old.Neighbor()) && b.reg.neighbors >= b.cfg.MaxNeighbors {
		return StatusCacheFull
	}
	r.Expires = now.Add(lifetime)
	b.reg.put(r)
	if known && old.Router.IsValid() && old.Router != r.Router {
		b.tellRouter(old, StatusMoved)
	}
	b.cfg.Changed(r, true)
	return StatusSuccess
}

// topology reports whether an address can be registered here: a neighbour's
// link-local one, or one under a prefix of the network.
func (b *Border) topology(r Registration) bool {
	if r.Addr.IsLinkLocalUnicast() {
		return r.Neighbor()
	}
	return slices.ContainsFunc(b.cfg.Info.Prefixes, func(p PrefixInfo) bool { return p.Prefix.Contains(r.Addr) })
}

// tellRouter lets a 6LR know that an address is not behind it anymore. Only
// RFC 8505 has such a message.
func (b *Border) tellRouter(r Registration, status Status) {
	if !r.Extended {
		return
	}
	b.cfg.Send(outgoing(b.cfg.Addr, r.Router, multihopHopLimit, LinkAddr{}, Duplicate{
		Confirm: true, Extended: true, Status: status, TID: r.TID, ROVR: r.ROVR, Addr: r.Addr,
	}))
}
