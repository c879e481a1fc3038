package mle

import (
	"time"

	"gatewayd/thread/neighbor"
)

const (
	maxRouters       = 32
	linkAcceptRoutes = 20 // entries of a Route64 TLV in a Link Accept
	sequenceBack     = 64 // what makes the sequence of an incomplete one look old
)

// routing is what is known of the partition's routers, beside the table's
// records.
type routing struct {
	id         uint8 // our own router id, InvalidID if we are none
	previousID uint8 // that we had, and would like to have again
	sequence   uint8 // of the set of router ids
	updated    time.Time
	reuse      [neighbor.MaxRouterID + 1]time.Time // an id is free again

	soliciting bool
	rejected   bool
	solicits   int           // counts them: late answers are those to an earlier one
	transition time.Duration // until a child may become a router, or a router a child

	routerPartition uint32 // in which we were a router last
	wasRouter       bool
	oldPartition    uint32 // that we left, until oldUntil: not to be rejoined unless it has advanced
	oldSequence     uint8
	oldUntil        time.Time
}

// rememberPartition notes the partition that is being left.
func (r *routing) rememberPartition(m *MLE) {
	r.oldPartition, r.oldSequence = m.partition.Partition, r.sequence
	r.oldUntil = m.cfg.Clock.Now().Add(m.Tuning.LeaderTimeout)
	r.solicits++
	r.soliciting = false
}

// clearRouters forgets every router of the partition.
func (m *MLE) clearRouters() {
	for id, r := range m.cfg.Table.Routers {
		if r != nil {
			m.cfg.Table.Routers[id] = nil
			r.Unlink()
		}
	}
	m.routesChanged()
}

func (m *MLE) routesChanged() {
	m.advert.adjust(m)
	if m.cfg.Events.RoutersChanged != nil {
		m.cfg.Events.RoutersChanged()
	}
}

// leaderAge is the time since the leader was last known to live.
func (m *MLE) leaderAge() time.Duration {
	if m.cfg.Table.ActiveRouters() == 0 {
		return 1<<63 - 1
	}
	return m.cfg.Clock.Now().Sub(m.routing.updated)
}

// LeaderAge is the time since the set of router ids was last advanced.
func (m *MLE) LeaderAge() time.Duration { return m.leaderAge() }

// RouterIDSequence is the sequence of the set of router ids.
func (m *MLE) RouterIDSequence() uint8 { return m.routing.sequence }

// Singleton reports whether the partition has no other router, or the device
// could not be one.
func (m *MLE) Singleton() bool {
	return !m.Attached() || !m.RouterEligible() || m.cfg.Table.ActiveRouters() <= 1
}

// moreRecent reports whether a route TLV has a newer set of ids than ours.
func (m *MLE) moreRecent(r *Route) bool {
	return m.cfg.Table.ActiveRouters() == 0 || newer(r.Sequence, m.routing.sequence)
}

// takeIDs takes the set of router ids. It reports false when our own is not
// among them any more and we had to give up being a router.
func (m *MLE) takeIDs(r *Route) bool {
	m.updateIDs(r.Sequence, r.Mask)
	if m.role == Router && m.cfg.Table.Router(m.routing.id) == nil {
		m.log("MLE-0012", "router id is not ours any more", Attr{"id", m.routing.id})
		_ = m.BecomeDetached()
		return false
	}
	return true
}

func (m *MLE) updateIDs(sequence uint8, mask uint64) {
	m.routing.sequence, m.routing.updated = sequence, m.cfg.Clock.Now()
	added := false
	for id := range uint8(neighbor.MaxRouterID + 1) {
		have, want := m.cfg.Table.Routers[id] != nil, mask&idBit(id) != 0
		switch {
		case have && !want:
			m.dropRouter(id)
		case want && !have:
			m.addRouter(id)
			added = true
		}
	}
	if added {
		m.advertiseSoon()
	}
}

func (m *MLE) addRouter(id uint8) *neighbor.Router {
	r := &neighbor.Router{ID: id, NextHop: neighbor.InvalidID}
	r.RLOC16, r.LastHeard = neighbor.RouterRLOC16(id), m.cfg.Clock.Now()
	m.cfg.Table.Routers[id] = r
	m.routesChanged()
	return r
}

// dropRouter forgets a router id that is not allocated any more.
func (m *MLE) dropRouter(id uint8) {
	r := m.cfg.Table.Routers[id]
	r.NextHop = neighbor.InvalidID
	m.removeRouterLink(r)
	m.cfg.Table.Routers[id] = nil
	m.routesChanged()
	if m.cfg.Events.RouterRemoved != nil {
		m.cfg.Events.RouterRemoved(id)
	}
}

// removeRouterLink ends the link with a router; what was routed by it has no
// way until another is found.
func (m *MLE) removeRouterLink(r *neighbor.Router) {
	if r.State != neighbor.Invalid {
		if to := r.Ext; r.State == neighbor.Valid && m.Router() {
			// Else it would go on sending us what we do not take any more.
			m.later(delayKey{Advertisement, to}, m.jitter(time.Second), func() { m.sendAdvertisement(linkLocal(to)) })
		}
		r.Unlink()
		m.dropProbe(r.Ext)
		m.forget(delayKey{LinkRequest, r.Ext})
	}
	if r.QualityOut != 0 {
		r.QualityOut, r.LastHeard = 0, m.cfg.Clock.Now()
	}
	r.Quality, r.Failures = neighbor.Quality{}, 0
	for _, o := range m.cfg.Table.Routers {
		if o != nil && o.NextHop == r.ID {
			m.loseRoute(o)
			if m.linkCost(o) >= neighbor.InfiniteCost {
				m.advertiseSoon()
			}
		}
	}
	if r.NextHop == neighbor.InvalidID {
		m.advertiseSoon()
	}
	m.routesChanged()
}

// loseRoute forgets the next hop to a router. From now on it counts as not
// heard of: a leader waits for another route before it takes the id back.
func (m *MLE) loseRoute(r *neighbor.Router) {
	r.NextHop, r.Cost = neighbor.InvalidID, 0
	if r.State != neighbor.Valid {
		r.LastHeard = m.cfg.Clock.Now()
	}
}

// twoWay is the quality of a link in its worse direction.
func twoWay(r *neighbor.Router) uint8 { return min(r.Quality.In(), r.QualityOut) }

// linkCost is the cost of the direct link with a router.
func (m *MLE) linkCost(r *neighbor.Router) uint8 {
	if r == nil || r.State != neighbor.Valid || r.RLOC16 == m.rloc16 {
		return neighbor.InfiniteCost
	}
	return neighbor.CostOf(twoWay(r))
}

// NextHop is the neighbour on the way to an RLOC16.
func (m *MLE) NextHop(rloc16 uint16) (uint16, bool) {
	hop, cost := m.nextHop(rloc16)
	return hop, hop != neighbor.InvalidRLOC16 && (m.role == Child || cost < neighbor.InfiniteCost)
}

// PathCost is the cost of the way to an RLOC16, neighbor.InfiniteCost or more
// if there is none.
func (m *MLE) PathCost(rloc16 uint16) uint8 {
	_, cost := m.nextHop(rloc16)
	return cost
}

func (m *MLE) nextHop(rloc16 uint16) (hop uint16, cost uint8) {
	hop, cost = neighbor.InvalidRLOC16, neighbor.InfiniteCost
	t := m.cfg.Table
	switch {
	case !m.Attached():
		return hop, cost
	case rloc16 == m.rloc16:
		return rloc16, 0
	}
	r := t.Router(neighbor.RouterID(rloc16))
	var via *neighbor.Router
	if r != nil {
		via = t.Router(r.NextHop)
	}
	if m.role == Child {
		p := &t.Parent
		if p.State == neighbor.Valid {
			hop = p.RLOC16
		}
		near := neighbor.RouterID(rloc16) == neighbor.RouterID(p.RLOC16)
		if !near && via == nil {
			return hop, cost
		}
		cost = neighbor.CostOf(p.Quality.In())
		if !near {
			cost += r.Cost
		}
	} else {
		if neighbor.RouterID(rloc16) == m.routing.id {
			if c := t.ChildByRLOC16(rloc16); c != nil && c.State != neighbor.ParentRequested {
				hop, cost = rloc16, min(neighbor.CostOf(c.Quality.In()), neighbor.InfiniteCost-1)
			}
			return hop, cost
		}
		if r == nil {
			return hop, cost
		}
		if cost = m.linkCost(r); cost < neighbor.InfiniteCost {
			hop = r.RLOC16
		}
		if via != nil {
			if c := r.Cost + m.linkCost(via); c < cost {
				hop, cost = via.RLOC16, c
			}
		}
	}
	if neighbor.ChildID(rloc16) != 0 {
		cost++ // the last hop, taken for a good one
	}
	return hop, cost
}

// finite is the set of router ids that can be reached.
func (m *MLE) finite() uint64 {
	var set uint64
	for id := range uint8(neighbor.MaxRouterID + 1) {
		if m.cfg.Table.Routers[id] != nil && m.PathCost(neighbor.RouterRLOC16(id)) < neighbor.InfiniteCost {
			set |= idBit(id)
		}
	}
	return set
}

// updateRoutes learns from the routes of a neighbour (Thread 1.4 Section 5.9.7).
func (m *MLE) updateRoutes(route *Route, id uint8) {
	n := m.cfg.Table.Router(id)
	if n == nil {
		return
	}
	before := m.finite()
	if route.Has(m.routing.id) {
		e := route.Entries[m.routing.id]
		n.QualityOut = e.In
		if n.State == neighbor.Valid && e.Out == 0 && twoWay(n) >= 2 {
			// It does not know that we hear it: tell it sooner than all others.
			m.later(delayKey{Advertisement, n.Ext}, m.jitter(time.Second), func() { m.sendAdvertisement(linkLocal(n.Ext)) })
		}
	}
	link := m.linkCost(n)
	for other := range uint8(neighbor.MaxRouterID + 1) {
		r := m.cfg.Table.Routers[other]
		if r == nil || !route.Has(other) || other == m.routing.id || other == id {
			continue
		}
		cost := route.Entries[other].Cost
		if cost == 0 {
			cost = neighbor.InfiniteCost
		}
		via := m.cfg.Table.Router(r.NextHop)
		switch {
		case via == nil || via == n:
			if cost+link < neighbor.InfiniteCost {
				r.NextHop, r.Cost = id, cost
			} else if via == n {
				m.loseRoute(r)
			}
		case cost+link < r.Cost+m.linkCost(via):
			r.NextHop, r.Cost = id, cost
		}
	}
	m.routesChanged()
	if m.finite() != before {
		m.advertiseSoon()
	}
}

// parentRoutes takes the parent's routes as a child that may become a router.
func (m *MLE) parentRoutes(route *Route, parent uint8) {
	for id := range uint8(neighbor.MaxRouterID + 1) {
		r := m.cfg.Table.Routers[id]
		if r == nil || !route.Has(id) || id == parent {
			continue
		}
		r.Cost, r.NextHop = route.Entries[id].Cost, parent
		if r.Cost == 0 {
			r.NextHop = neighbor.InvalidID
		}
	}
	m.routesChanged()
}

// route is our own view of the partition.
func (m *MLE) route() Route {
	out := Route{Sequence: m.routing.sequence}
	for id := range uint8(neighbor.MaxRouterID + 1) {
		r := m.cfg.Table.Routers[id]
		if r == nil {
			continue
		}
		out.Mask |= idBit(id)
		if r.RLOC16 == m.rloc16 {
			out.Entries[id] = RouteEntry{Cost: 1}
			continue
		}
		e := RouteEntry{Cost: m.PathCost(r.RLOC16)}
		if e.Cost >= neighbor.InfiniteCost {
			e.Cost = 0
		}
		if r.State == neighbor.Valid {
			e.In, e.Out = r.Quality.In(), r.QualityOut
		}
		out.Entries[id] = e
	}
	return out
}

// routeFor is our view for a router that is going to be a neighbour: at most
// so many entries that the message fits a frame. An incomplete one must not
// replace what the receiver knows.
func (m *MLE) routeFor(to uint8) Route {
	r := m.route()
	n := r.Count()
	if n <= linkAcceptRoutes {
		return r
	}
	for id := uint8(0); id <= neighbor.MaxRouterID && n > linkAcceptRoutes; id++ {
		if r.Has(id) && id != m.routing.id && id != to && id != m.partition.LeaderID {
			r.Mask &^= idBit(id)
			n--
		}
	}
	r.Sequence -= sequenceBack
	return r
}

// Route is the routing table as it is advertised.
func (m *MLE) Route() Route { return m.route() }

// RouteFailed tells of a frame that could not be sent on to dst, for its next
// hop would have been where it came from: that hop is of no use.
func (m *MLE) RouteFailed(dst uint16) {
	if r := m.cfg.Table.Router(neighbor.RouterID(dst)); r != nil && m.Router() && r.NextHop != neighbor.InvalidID {
		m.loseRoute(r)
		m.routesChanged()
		m.advertiseSoon()
	}
}

// LinkFailed takes from the MAC that a neighbour does not acknowledge.
func (m *MLE) LinkFailed(n *neighbor.Neighbor) {
	if n.Failures < maxLinkFailures {
		return
	}
	t := m.cfg.Table
	if n == &t.Parent.Neighbor {
		if m.role == Child {
			m.log("MLE-0004", "parent does not answer", Attr{"parent", n.Ext})
			_ = m.BecomeDetached()
		}
		return
	}
	if r := t.Router(neighbor.RouterID(n.RLOC16)); r != nil && n == &r.Neighbor && m.Router() {
		m.log("MLE-0020", "link given up", Attr{"router", r.RLOC16}, Attr{"reason", "frames are not acknowledged"})
		m.removeRouterLink(r)
	}
}

// maxLinkFailures in a row end a link.
const maxLinkFailures = 4

// ResolveAnycast finds the node that an anycast locator stands for.
func (m *MLE) ResolveAnycast(aloc16 uint16) (uint16, bool) {
	if aloc16 == leaderALOC {
		return m.LeaderRLOC16(), m.Attached()
	}
	return m.NetData().Anycast(aloc16, func(rloc16 uint16) int { return int(m.PathCost(rloc16)) })
}
