package ndp

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"gatewayd/lowpan"
)

// How hosts look for routers (RFC 6775 Section 5.3, RFC 4861 Section 10).
const (
	solicitDelay       = time.Second // MAX_RTR_SOLICITATION_DELAY
	solicitInterval    = 10 * time.Second
	maxSolicitInterval = 60 * time.Second
	maxSolicits        = 3 // before the interval grows
)

const (
	maxRouters    = 8
	refusedFor    = time.Minute      // a router whose cache is full is left alone
	unreachable   = 5 * time.Minute  // one that does not answer too
	minRenew      = 10 * time.Second // between solicitations of the router in use
	expiresBefore = 4                // asks again when a quarter of a lifetime is left
)

// hostRouter is a default router.
type hostRouter struct {
	addr    netip.Addr
	link    LinkAddr
	pref    Preference
	expires time.Time
	caps    Capabilities
	legacy  bool      // answered an EARO as if it were an ARO
	avoid   time.Time // until then not used if there is another
}

// search begins to look for routers from the start.
func (h *Host) search() {
	h.asked = 0
	h.solicits.Start(randDuration(h.cfg.Rand, 0, solicitDelay))
}

// solicit asks for advertisements: all routers while there is none, or the one
// in use before what it said ends.
func (h *Host) solicit() {
	dst, link := allRouters, LinkAddr{}
	if h.router != nil {
		dst, link = h.router.addr, h.router.link
	}
	h.cfg.Send(outgoing(h.linkLocal, dst, localHopLimit, link, RouterSolicit{
		Options: []Option{SourceLinkAddr{h.cfg.LinkAddr}},
	}))
	h.asked++
	wait := solicitInterval
	for range h.asked - maxSolicits {
		if wait *= 2; wait >= maxSolicitInterval {
			wait = maxSolicitInterval
			break
		}
	}
	h.solicits.Start(randDuration(h.cfg.Rand, wait*9/10, wait))
}

// advertised takes up a router advertisement.
func (h *Host) advertised(in In, m RouterAdvert) {
	now := h.cfg.Clock.Now()
	h.networks.age(now)
	h.networks.learn(now, in.Src, m)
	h.updateRouter(now, in, m)
	h.chooseRouter()
	h.formAddresses()
	h.tellContexts()
	h.scheduleAge()
	h.scheduleRenewal()
	h.cfg.Changed()
}

func (h *Host) updateRouter(now time.Time, in In, m RouterAdvert) {
	i := slices.IndexFunc(h.routers, func(r *hostRouter) bool { return r.addr == in.Src })
	if m.Lifetime == 0 {
		if i >= 0 {
			h.removeRouter(i)
		}
		return
	}
	if i < 0 {
		if len(h.routers) >= maxRouters {
			return
		}
		i = len(h.routers)
		h.routers = append(h.routers, &hostRouter{addr: in.Src})
	}
	r := h.routers[i]
	r.link = in.Link
	if ll, ok := Find[SourceLinkAddr](m.Options); ok {
		r.link = ll.Addr
	}
	r.pref, r.expires = m.Preference, now.Add(m.Lifetime)
	r.caps, _ = Find[Capabilities](m.Options)
}

func (h *Host) removeRouter(i int) {
	inUse := h.routers[i] == h.router
	h.routers = slices.Delete(h.routers, i, i+1)
	if inUse {
		h.use(h.best())
	}
}

// chooseRouter keeps the router in use if it is still good and no other is
// asked for, or else takes the best.
func (h *Host) chooseRouter() {
	r := h.best()
	good := h.router != nil && !h.router.avoid.After(h.cfg.Clock.Now())
	if r == h.router || good && r.addr != h.preferred {
		return
	}
	h.use(r)
}

// best returns the router to use: one not to be avoided, the one asked for, of
// the highest preference, heard first; nil if there is none.
func (h *Host) best() (best *hostRouter) {
	now := h.cfg.Clock.Now()
	for _, r := range h.routers {
		if best == nil || cmp.Or(
			cmp.Compare(bit(best.avoid.After(now), 1), bit(r.avoid.After(now), 1)),
			cmp.Compare(bit(r.addr == h.preferred, 1), bit(best.addr == h.preferred, 1)),
			cmp.Compare(r.pref, best.pref),
		) > 0 {
			best = r
		}
	}
	return best
}

// use moves the registrations to another router, or looks for one.
func (h *Host) use(r *hostRouter) {
	h.router = r
	h.current = nil
	h.timeout.Stop()
	for _, a := range h.addrs {
		a.timer.Stop()
		a.due = true
		if a.state == Registered {
			a.state = Tentative
		}
	}
	if r == nil {
		h.search()
		return
	}
	h.registerNext()
}

// scheduleRenewal has the router asked again before the first of what it said
// ends, and soon if it only told of a network that is no more: there must be
// another. Without a router the search goes on.
func (h *Host) scheduleRenewal() {
	if h.router == nil {
		return
	}
	h.asked = 0
	now := h.cfg.Clock.Now()
	end := h.router.expires
	if at := h.networks.next(); at.Before(end) {
		end = at
	}
	left := end.Sub(now)
	at := max(left-left/expiresBefore, minRenew)
	if h.networks.over() {
		at = minRenew
	}
	h.solicits.Start(randDuration(h.cfg.Rand, at*9/10, at))
}

// scheduleAge sets the timer to when the next of the routers, prefixes and
// contexts ends.
func (h *Host) scheduleAge() {
	at := h.networks.next()
	for _, r := range h.routers {
		if r.expires.Before(at) {
			at = r.expires
		}
	}
	if at.Equal(never) {
		h.ageing.Stop()
	} else {
		h.ageing.StartAt(at)
	}
}

// age drops what has ended.
func (h *Host) age() {
	now := h.cfg.Clock.Now()
	h.networks.age(now)
	for i := len(h.routers) - 1; i >= 0; i-- {
		if !h.routers[i].expires.After(now) {
			h.removeRouter(i)
		}
	}
	h.chooseRouter()
	h.formAddresses()
	h.tellContexts()
	h.scheduleAge()
	h.cfg.Changed()
}

func (h *Host) tellContexts() {
	var all []lowpan.Context
	for _, n := range h.networks {
		for _, c := range n.contexts {
			all = append(all, lowpan.Context{ID: c.ID, Prefix: c.Prefix, Compress: c.Compress})
		}
	}
	if !slices.Equal(all, h.contexts) {
		h.contexts = all
		h.cfg.Contexts(slices.Clone(all))
	}
}
