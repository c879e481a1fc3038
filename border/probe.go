package border

import (
	"time"

	"gatewayd/ndp"
)

// Reachability of routers (as RFC 4861 Section 7.3, on a slower schedule:
// REACHABLE_TIME there is made for traffic).
const (
	reachableTime     = 60 * time.Second
	peerReachableTime = 200 * time.Second // border routers of our mesh
	reachableSpread   = 2 * time.Second
	probeCount        = 5
	probeInterval     = time.Second
	probeWait         = 2 * time.Second // after the last
)

// reachable is false once a router has answered none of the solicitations.
func (r *router) reachable() bool { return r.probes <= probeCount }

// probing reports whether it is of interest that the router answers.
func (r *router) probing() bool { return r.reachable() && !r.local }

// reached notes that the router is there.
func (l *link) reached(r *router) {
	r.probes, r.heard = 0, l.m.now()
	r.probeAt = time.Time{}
}

// setProbe sets when to ask a router that is not being asked yet.
func (l *link) setProbe(r *router) {
	if !r.probeAt.IsZero() {
		return
	}
	after := reachableTime
	if l.peer(r) {
		after = peerReachableTime
	}
	r.probeAt = r.heard.Add(l.spread(after, reachableSpread))
}

// answered takes the answer of a router.
func (l *link) answered(m ndp.NeighborAdvert) error {
	r := l.router(m.Target)
	if r == nil || !m.Solicited {
		return ndp.ErrIgnored
	}
	l.counters.NAReceived++
	l.reached(r)
	l.review()
	return nil
}

// probe asks the routers whose time has come. Those that have not answered
// often enough give no routes anymore, nor prefixes for new addresses.
func (l *link) probe() {
	now := l.m.now()
	for _, r := range l.routers {
		if !r.probing() || r.probeAt.IsZero() || r.probeAt.After(now) {
			continue
		}
		if l.solicit.running() { // which asks, too
			r.probeAt = now.Add(probeInterval)
			continue
		}
		if r.probes++; r.reachable() {
			l.counters.NSSent++
			l.transmit(r.addr, r.link, ndp.NeighborSolicit{Target: r.addr, Options: l.sourceLink()})
			r.probeAt = now.Add(probeInterval)
			if r.probes == probeCount {
				r.probeAt = now.Add(probeWait)
			}
			continue
		}
		l.m.log(Event{ID: "BORDER-ROUTER-GONE", Text: "a router does not answer anymore", Link: l.name, Addr: r.addr})
		for i := range r.onLink {
			r.onLink[i].preferred = 0
		}
		for i := range r.routes {
			r.routes[i].valid = 0
		}
	}
}
