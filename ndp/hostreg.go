package ndp

import (
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
)

// How hosts register: a router may have to ask a border router some hops away.
const (
	registerTries   = 4
	registerTimeout = 3 * time.Second  // then twice that, and so on
	retryTopology   = 10 * time.Second // a prefix that the router does not know
	retryMoved      = 2 * time.Second
	maxMoved        = 4
	maxHostAddrs    = 2 * maxNetworks * maxPrefixes
)

// recount are the ids before those with which a host goes on that has lost
// count. The next one of the one, 255, is newer than all but the first of the
// round part, and that of the other is newer than these. The router and the
// 6LBR may hold to different ones, so that both are tried twice.
var recount = [2]TID{sequenceWindow - 1, 254}

// hostAddr is an address made of a prefix.
type hostAddr struct {
	addr             netip.Addr
	state            AddressState
	status           Status
	tid              TID
	moved            int       // times in a row that another was said to be newer
	expires          time.Time // of the registration
	preferred, valid time.Time // of the prefix
	due              bool      // is to be registered
	tries            int
	timer            *alarm.Timer // until due again
}

// lostCount has the next registration say something that may be newer than
// what others know. It reports false if that was tried often enough.
func (a *hostAddr) lostCount() bool {
	a.moved++
	a.tid = recount[a.moved%len(recount)]
	return a.moved < maxMoved
}

// formAddresses makes addresses of the prefixes (RFC 4862 Section 5.5.3, RFC
// 6775 Section 5.4) and gives up those whose prefix is gone.
func (h *Host) formAddresses() {
	keep := make(map[netip.Addr]bool)
	for _, n := range h.networks {
		for _, p := range n.prefixes {
			if !p.Autonomous || p.Prefix.Bits() != 64 {
				continue
			}
			if !h.cfg.NoEUI64 || !h.cfg.ShortAddr.IsValid() {
				h.formAddress(p, h.cfg.LinkAddr, keep)
			}
			if h.cfg.ShortAddr.IsValid() {
				h.formAddress(p, h.cfg.ShortAddr, keep)
			}
		}
	}
	h.addrs = slices.DeleteFunc(h.addrs, func(a *hostAddr) bool {
		if keep[a.addr] {
			return false
		}
		a.timer.Stop()
		if h.current == a {
			h.current = nil
			h.timeout.Stop()
		}
		return true
	})
	h.registerNext()
}

func (h *Host) formAddress(p timedPrefix, l LinkAddr, keep map[netip.Addr]bool) {
	addr := joinIID(p.Prefix, l.IID())
	i := slices.IndexFunc(h.addrs, func(a *hostAddr) bool { return a.addr == addr })
	if i < 0 {
		if len(h.addrs) >= maxHostAddrs {
			return
		}
		i = len(h.addrs)
		a := &hostAddr{addr: addr, tid: FirstTID - 1, due: true}
		a.timer = h.cfg.Clock.NewTimer(func() {
			a.due = true
			h.registerNext()
		})
		h.addrs = append(h.addrs, a)
	}
	h.addrs[i].preferred, h.addrs[i].valid = p.preferred, p.valid
	keep[addr] = true
}

// registerNext starts the next registration that is due, if none is on its way.
func (h *Host) registerNext() {
	if h.router == nil || h.current != nil {
		return
	}
	i := slices.IndexFunc(h.addrs, func(a *hostAddr) bool { return a.due })
	if i < 0 {
		return
	}
	a := h.addrs[i]
	h.current = a
	a.due, a.tries = false, 0
	a.tid = a.tid.Next()
	h.try(a)
}

// try sends the registration on its way once more.
func (h *Host) try(a *hostAddr) {
	h.sendRegistration(a, h.cfg.Lifetime)
	wait := registerTimeout << a.tries
	a.tries++
	h.timeout.Start(randDuration(h.cfg.Rand, wait*9/10, wait))
}

// unanswered sends again, or else finds the router unreachable.
func (h *Host) unanswered() {
	if a := h.current; a == nil || h.router == nil {
		return
	} else if a.tries < registerTries {
		h.try(a)
		return
	}
	h.current.due = true
	h.current = nil
	h.leave(unreachable)
}

// leave avoids the router in use for a while. If there is no other, it is
// forgotten, and all are asked whether they are there.
func (h *Host) leave(d time.Duration) {
	was := h.router
	was.avoid = h.cfg.Clock.Now().Add(d)
	if r := h.best(); r != was {
		h.use(r)
	} else {
		h.removeRouter(slices.Index(h.routers, was))
	}
	h.scheduleAge()
	h.scheduleRenewal()
	h.cfg.Changed()
}

// extended reports whether to register with r by RFC 8505.
func (h *Host) extended(r *hostRouter) bool {
	switch h.cfg.Mode {
	case RegisterARO:
		return false
	case RegisterEARO:
		return true
	}
	return r.caps&CapRegistrar != 0 && !r.legacy
}

// sendRegistration sends a solicitation to the router in use. RFC 6775 takes
// its source for the address in question, RFC 8505 its target.
func (h *Host) sendRegistration(a *hostAddr, lifetime time.Duration) {
	r := h.router
	aro := AddressRegistration{Lifetime: lifetime, ROVR: h.cfg.ROVR}
	src, target := a.addr, r.addr
	if h.extended(r) {
		aro.Extended, aro.TID, aro.Route = true, a.tid, h.cfg.Route
		src, target = h.linkLocal, a.addr
	} else {
		aro.ROVR = aro.ROVR.first64()
	}
	h.cfg.Send(outgoing(src, r.addr, localHopLimit, r.link, NeighborSolicit{
		Target: target, Options: []Option{SourceLinkAddr{h.cfg.LinkAddr}, aro},
	}))
}

// answered handles the advertisement that a registration ends with, or a
// notice that one is no more.
func (h *Host) answered(in In, m NeighborAdvert, aro AddressRegistration) error {
	r := h.router
	if r == nil || in.Src != r.addr && in.Link != r.link {
		return ErrNoMatch // RIOT answers from another of its addresses
	}
	ext := h.extended(r)
	if aro.ROVR != h.cfg.ROVR && (ext || aro.ROVR != h.cfg.ROVR.first64()) {
		return ErrNoMatch
	}
	a := h.current
	switch {
	case a == nil || aro.Extended && m.Target != a.addr:
		return h.noticed(m, aro)
	case ext && !aro.Extended:
		// The router took it for an ARO, that is, for our link-local address.
		if m.Target != a.addr || h.cfg.Mode == RegisterEARO {
			return ErrNoMatch
		}
		r.legacy = true
		a.tries = 0
		h.try(a)
		return nil
	case aro.Extended && aro.TID != a.tid, !aro.Extended && m.Target != r.addr && m.Target != a.addr:
		return ErrNoMatch
	}
	h.current = nil
	h.timeout.Stop()
	a.status = aro.Status
	h.conclude(a, aro)
	h.registerNext()
	h.cfg.Changed()
	return nil
}

// conclude draws the consequence of the router's answer.
func (h *Host) conclude(a *hostAddr, aro AddressRegistration) {
	now := h.cfg.Clock.Now()
	if aro.Status != StatusMoved {
		a.moved = 0
	}
	switch aro.Status {
	case StatusSuccess:
		lifetime := aro.Lifetime
		if lifetime <= 0 || lifetime > h.cfg.Lifetime {
			lifetime = h.cfg.Lifetime
		}
		a.state, a.expires = Registered, now.Add(lifetime)
		h.router.avoid = time.Time{}
		at := lifetime * 3 / 4
		a.timer.Start(randDuration(h.cfg.Rand, at*9/10, at))
	case StatusMoved:
		if a.lostCount() {
			a.state = Tentative
			a.timer.Start(randDuration(h.cfg.Rand, retryMoved/2, retryMoved))
			return
		}
		h.refuse(a)
	case StatusRemoved:
		a.state = Tentative
		a.timer.Start(randDuration(h.cfg.Rand, retryMoved/2, retryMoved))
	case StatusTopology:
		// The router has not heard of the prefix yet, or not that it is over; so
		// will we then.
		a.state = Refused
		a.timer.Start(randDuration(h.cfg.Rand, retryTopology*9/10, retryTopology))
	case StatusCacheFull, StatusSaturated:
		a.state = Tentative
		a.timer.Start(randDuration(h.cfg.Rand, refusedFor*9/10, refusedFor))
		if aro.Status == StatusCacheFull && len(h.routers) > 1 {
			h.router.avoid = now.Add(refusedFor)
			h.chooseRouter()
		}
	default:
		h.refuse(a)
	}
}

// refuse gives up an address, but tries again when who has it may have gone.
func (h *Host) refuse(a *hostAddr) {
	a.state = Refused
	a.timer.Start(randDuration(h.cfg.Rand, h.cfg.Lifetime, h.cfg.Lifetime*11/10))
}

// noticed handles a status nobody asked for: a registration was ended (RFC
// 8505 Section 5.7).
func (h *Host) noticed(m NeighborAdvert, aro AddressRegistration) error {
	i := slices.IndexFunc(h.addrs, func(a *hostAddr) bool { return a.addr == m.Target && a.state == Registered })
	if i < 0 || aro.Status == StatusSuccess || !aro.Extended || aro.TID != h.addrs[i].tid {
		return ErrNoMatch
	}
	a := h.addrs[i]
	a.status = aro.Status
	h.conclude(a, aro)
	h.cfg.Changed()
	return nil
}
