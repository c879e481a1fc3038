package mle

import (
	"time"

	"gatewayd/ieee802154"
	"gatewayd/ipv6"
	"gatewayd/thread/neighbor"
)

const (
	linkAcceptDelay  = time.Second     // within which a Link Request to a group is answered
	linkAcceptWait   = 3 * time.Second // for the answer to one of ours
	linkRequestDelay = time.Second     // within which a router asks after an advertisement
	minLinkMargin    = 10              // dB, to ask for a link or to merge partitions
	altShortTime     = 8 * time.Second // the old short address is still listened to
	leaderExtraDelay = 10 * time.Second
)

// RouterEligible reports whether the device may be a router: it is a full
// Thread device, allowed to by its operator and by the network's policy.
func (m *MLE) RouterEligible() bool {
	p := &m.policy
	switch {
	case !m.eligible || !m.mode.FullThread():
		return false
	case p.CommercialCommission && !p.NonCCMRouters:
		return false
	case !p.Routers && int(p.VersionThreshold)+3 > Version:
		return false
	}
	return true
}

// SetRouterEligible lets the operator forbid the device to be a router.
func (m *MLE) SetRouterEligible(on bool) error {
	if on && !m.mode.FullThread() {
		return ErrNotCapable
	}
	if on == m.eligible {
		return nil
	}
	m.eligible = on
	switch {
	case m.role == Child:
		if on {
			m.startTransition()
		}
		m.cfg.MAC.Beacons = on
	case m.Router() && !on:
		return m.BecomeDetached()
	}
	return nil
}

// policyChanged gives up the role of a router when the policy does not allow
// it any more.
func (m *MLE) policyChanged() {
	if m.Router() && !m.RouterEligible() && m.routing.transition == 0 {
		m.startTransition()
		if m.role == Leader {
			m.routing.transition += leaderExtraDelay
		}
	}
}

// startTransition waits a random time before the role changes.
func (m *MLE) startTransition() {
	m.routing.transition = time.Second + time.Duration(m.cfg.Rand.Int64N(int64(max(m.Tuning.SelectionJitter, time.Second)))).Truncate(time.Second)
}

// BecomeRouter asks the leader for a router id.
func (m *MLE) BecomeRouter(reason Reason) error {
	switch {
	case m.role == Disabled:
		return ErrState
	case m.Router():
		return nil
	case !m.RouterEligible():
		return ErrNotCapable
	case m.role == Detached:
		return ErrState
	case m.cfg.Solicitor == nil:
		return ErrNotCapable
	case m.routing.soliciting:
		return nil
	}
	m.routing.transition = 0
	m.routing.soliciting = true
	m.routing.solicits++
	n := m.routing.solicits
	wanted := uint16(neighbor.InvalidRLOC16)
	if id := m.routing.previousID; id != neighbor.InvalidID {
		wanted = neighbor.RouterRLOC16(id)
	}
	m.cfg.Solicitor.Solicit(reason, wanted, func(a Answer) {
		if m.routing.soliciting && m.routing.solicits == n {
			m.solicited(a)
		}
	})
	return nil
}

// solicited takes the leader's answer.
func (m *MLE) solicited(a Answer) {
	m.routing.soliciting = false
	if m.role != Child {
		return
	}
	id := neighbor.RouterID(a.RLOC16)
	if !a.OK || !neighbor.IsRouterRLOC16(a.RLOC16) || a.RouterMask&idBit(id) == 0 {
		m.log("MLE-0013", "no router id")
		m.routing.rejected = true
		if m.routing.previousID != neighbor.InvalidID {
			m.removeChildren()
			m.routing.previousID = neighbor.InvalidID
		}
		m.informPreviousChannel()
		return
	}
	p := m.cfg.Table.Parent
	old := m.rloc16
	m.routing.id, m.routing.previousID = id, id
	m.cfg.Table.Parent.State = neighbor.Invalid
	m.cfg.MAC.SetAltShort(old)
	m.altShort.Start(altShortTime)
	m.becomeRouter(Router, a.RLOC16)
	// Links that a child listened to are none in the eyes of those routers.
	for _, r := range m.cfg.Table.Routers {
		if r != nil {
			r.State = neighbor.Invalid
		}
	}
	m.updateIDs(a.IDSequence, a.RouterMask&idMask)
	if r := m.cfg.Table.Router(id); r != nil {
		r.Ext, r.NextHop = m.cfg.MAC.Ext(), neighbor.InvalidID
	}
	if r := m.cfg.Table.Router(neighbor.RouterID(p.RLOC16)); r != nil {
		r.Neighbor, r.QualityOut, r.NextHop, r.Cost = p.Neighbor, p.QualityOut, neighbor.InvalidID, 0
		r.State, r.LastHeard = neighbor.Valid, m.cfg.Clock.Now()
		if p.Version < version13 {
			m.sendLinkRequest(r)
		}
		if l := m.cfg.Table.Router(m.partition.LeaderID); l != nil && m.PathCost(l.RLOC16) >= neighbor.InfiniteCost {
			l.NextHop, l.Cost = r.ID, p.LeaderCost
		}
	}
	m.sendAdvertisement(allNodes)
	for _, c := range m.cfg.Table.Children {
		if c.State == neighbor.ChildIDRequested {
			m.sendChildIDResponse(c)
		}
	}
	m.informPreviousChannel()
}

// becomeRouter is the state of a router or leader.
func (m *MLE) becomeRouter(role Role, rloc16 uint16) {
	m.attach.stop()
	m.attach.cycles = 0
	m.child.reset()
	m.poll.stop(m)
	m.cfg.MAC.SetRxOnWhenIdle(true)
	m.setRLOC16(rloc16)
	m.routing.id, m.routing.previousID = neighbor.RouterID(rloc16), neighbor.RouterID(rloc16)
	m.routing.routerPartition, m.routing.wasRouter = m.partition.Partition, true
	m.cfg.MAC.Beacons = true
	m.joinRouters()
	if role == Leader {
		m.addLeaderALOC()
	}
	m.setRole(role)
	m.runTicker()
	m.advert.stop()
	m.advert.startTrickle(m)
	for _, c := range append([]*neighbor.Child(nil), m.cfg.Table.Children...) {
		if c.Usable() && neighbor.RouterID(c.RLOC16) != m.routing.id {
			m.removeChild(c)
		}
	}
	m.save()
}

func (m *MLE) joinRouters() {
	m.cfg.IP.Join(ipv6.AllRoutersLinkLocal)
	m.cfg.IP.Join(ipv6.AllRoutersRealm)
}

// startREED is the state of a child that may become a router.
func (m *MLE) startREED(mode attachMode) {
	m.routing.rejected = false
	m.routing.id = neighbor.InvalidID
	m.startTransition()
	m.advert.stop()
	m.runTicker()
	m.cfg.MAC.Beacons = m.eligible
	m.joinRouters()
	if m.routing.previousID != neighbor.InvalidID {
		switch mode {
		case downgrade:
			m.release(neighbor.RouterRLOC16(m.routing.previousID))
			m.removeChildren()
			m.routing.previousID = neighbor.InvalidID
		case samePartition:
			if m.hasChildren() {
				_ = m.BecomeRouter(HaveChildIDRequest)
			}
		case anyPartition:
			if m.attach.moved {
				m.removeChildren()
			}
			fallthrough
		default:
			if m.hasChildren() && (!m.routing.wasRouter || m.routing.routerPartition != m.partition.Partition) {
				_ = m.BecomeRouter(ParentPartitionChange)
			}
		}
	}
	if m.cfg.Table.ActiveRouters() >= m.Tuning.UpgradeThreshold && !m.hasChildren() {
		m.routing.previousID = neighbor.InvalidID
	}
}

func (m *MLE) release(rloc16 uint16) {
	if m.cfg.Solicitor != nil {
		m.cfg.Solicitor.Release(rloc16)
	}
}

// clearRouterParent forgets what a router had, when it becomes a child.
func (m *MLE) clearRouterParent() {
	m.routing.id = neighbor.InvalidID
}

// sendLinkRequest asks a router for a link, or to prove the one there is.
func (m *MLE) sendLinkRequest(r *neighbor.Router) {
	b := m.build()
	b.version()
	if m.Router() {
		if r.State == neighbor.Valid {
			b.request(TypeLinkMargin, TypeRoute)
		} else {
			b.request(TypeLinkMargin)
		}
	}
	b.source()
	b.leaderData()
	r.Challenge = m.newChallenge()
	b.challenge(r.Challenge)
	r.RequestAt = m.cfg.Clock.Now()
	m.sendTo(LinkRequest, b, r.Ext)
}

// accepting is what a Link Accept answers.
type accepting struct {
	to        ieee802154.ExtAddr
	challenge Challenge
	requested typeList
	margin    uint8
}

func (m *MLE) linkRequestReceived(x *rx) {
	challenge, _ := x.challenge(TypeChallenge), x.version()
	leader, hasLeader := x.optLeaderData()
	source, hasSource := x.optUint16(TypeSource)
	requested, _ := x.optRequested()
	if m.malformed(x) {
		return
	}
	if !m.Router() || m.attach.busy() {
		m.refuse(x, RefusedState, "")
		return
	}
	if hasLeader && leader.Partition != m.partition.Partition {
		m.refuse(x, RefusedPartition, "")
		return
	}
	switch {
	case !hasSource:
		// The sender was reset, and must be a neighbour that we remember.
		if !x.valid() || !neighbor.IsRouterRLOC16(x.n.RLOC16) {
			m.refuse(x, RefusedUnknown, "")
			return
		}
	case neighbor.IsRouterRLOC16(source):
		r := m.cfg.Table.Router(neighbor.RouterID(source))
		if r == nil || source == m.rloc16 {
			m.refuse(x, RefusedUnknown, "no such router")
			return
		}
		if r.State != neighbor.Valid {
			r.Neighbor = m.newNeighbor(x, neighbor.LinkRequested)
			r.RLOC16, r.Mode = source, routerMode
		} else if r.Ext != x.ext {
			m.refuse(x, RefusedUnknown, "another router has this id")
			return
		}
	}
	x.class = peer
	m.adoptSequence(x)
	a := accepting{to: x.ext, challenge: challenge, requested: requested, margin: x.margin}
	if x.multicast {
		m.later(delayKey{LinkAccept, x.ext}, m.jitter(linkAcceptDelay), func() { m.sendLinkAccept(a) })
		return
	}
	m.sendLinkAccept(a)
}

func (m *MLE) sendLinkAccept(a accepting) {
	if !m.Router() {
		return
	}
	command := LinkAccept
	r := m.cfg.Table.RouterByExt(a.to)
	if r != nil && r.State == neighbor.LinkRequested {
		command, r.LastHeard = LinkAcceptAndRequest, m.cfg.Clock.Now()
	}
	b := m.build()
	b.version()
	b.source()
	b.response(a.challenge)
	b.counters()
	b.linkMargin(a.margin)
	if r != nil {
		b.leaderData()
	}
	for _, t := range a.requested {
		switch t {
		case TypeRoute:
			route := m.route()
			if r != nil {
				route = m.routeFor(r.ID)
			}
			b.add(t, route.Append(nil)...)
		case TypeAddress16:
			if r == nil {
				return
			}
			b.uint16(t, r.RLOC16)
		}
	}
	if command == LinkAcceptAndRequest {
		r.Challenge, r.RequestAt = m.newChallenge(), m.cfg.Clock.Now()
		b.challenge(r.Challenge)
		b.request(TypeLinkMargin)
	}
	m.sendTo(command, b, a.to)
}

// linkAcceptReceived completes a link: both kinds of Link Accept.
func (m *MLE) linkAcceptReceived(x *rx) {
	source, response, version := x.uint16(TypeSource), x.challenge(TypeResponse), x.version()
	linkCounter, mleCounter := x.counters()
	margin, hasMargin := x.optUint8(TypeLinkMargin)
	leader, hasLeader := x.optLeaderData()
	route, hasRoute := x.optRoute()
	address, hasAddress := x.optUint16(TypeAddress16)
	challenge, hasChallenge := x.optChallenge(TypeChallenge)
	requested, _ := x.optRequested()
	if x.err == nil {
		switch {
		case !neighbor.IsRouterRLOC16(source):
			x.fail(TypeSource, ErrInvalid)
		case !hasMargin && m.role != Detached:
			x.fail(TypeLinkMargin, ErrMissing)
		case !hasLeader && m.role != Child:
			x.fail(TypeLeaderData, ErrMissing)
		case m.role == Detached && !hasRoute:
			x.fail(TypeRoute, ErrMissing)
		case m.role == Detached && !hasAddress:
			x.fail(TypeAddress16, ErrMissing)
		case hasRoute && !route.Has(neighbor.RouterID(source)):
			x.fail(TypeRoute, ErrInvalid)
		case x.command == LinkAcceptAndRequest && !hasChallenge:
			x.fail(TypeChallenge, ErrMissing)
		}
	}
	if m.malformed(x) {
		return
	}
	id := neighbor.RouterID(source)
	r := m.cfg.Table.Router(id)
	switch {
	case m.role == Detached:
		if !m.restoring.active || !matches(response, m.restoring.challenge) {
			m.refuse(x, RefusedChallenge, "")
			return
		}
		if address != m.rloc16 || source == m.rloc16 {
			m.refuse(x, RefusedState, "answers another short address")
			return
		}
	case r == nil || source == m.rloc16:
		m.refuse(x, RefusedUnknown, "no such router")
		return
	case !matches(response, r.Challenge) || r.State == neighbor.Valid && r.Ext != x.ext:
		m.refuse(x, RefusedChallenge, "")
		return
	case m.role != Child && leader.Partition != m.partition.Partition:
		m.refuse(x, RefusedPartition, "")
		return
	}
	if x.n != nil && x.n.RLOC16 != source {
		m.removeNeighbor(x.n)
		x.n = nil
	}
	fetch := false
	if m.role == Detached {
		if !m.restoreRouter(leader, route) {
			return
		}
		fetch = true
	} else if m.Router() {
		fetch = m.fetch || newer(leader.DataVersion, m.DataVersion())
		if hasRoute && m.moreRecent(route) && !m.takeIDs(route) {
			return
		}
	}
	if r = m.cfg.Table.Router(id); r == nil {
		m.refuse(x, RefusedUnknown, "router id was withdrawn")
		return
	}
	r.Challenge, r.RequestAt = nil, time.Time{}
	connected := r.ConnectedAt
	if r.State != neighbor.Valid || connected.IsZero() {
		connected = m.cfg.Clock.Now()
	}
	r.Neighbor = m.newNeighbor(x, neighbor.Valid)
	r.RLOC16, r.Version, r.Mode, r.ConnectedAt = source, version, routerMode, connected
	r.LinkCounter, r.LinkAckCounter, r.MLECounter, r.KeySequence = linkCounter, linkCounter, max(mleCounter, x.counter+1), x.sequence
	r.QualityOut = neighbor.QualityOf(int(margin))
	m.forget(delayKey{LinkRequest, x.ext})
	if m.Router() && r.NextHop == neighbor.InvalidID {
		m.advertiseSoon()
	}
	if hasRoute && m.Router() {
		m.updateRoutes(route, id)
	}
	m.routesChanged()
	x.n, x.class = &r.Neighbor, authoritative
	m.adoptSequence(x)
	if fetch {
		m.sendDataRequest(x.ext)
	}
	if x.command == LinkAcceptAndRequest {
		m.sendLinkAccept(accepting{to: x.ext, challenge: challenge, requested: requested, margin: x.margin})
	}
}

// removeNeighbor ends whatever a neighbour was to us.
func (m *MLE) removeNeighbor(n *neighbor.Neighbor) {
	t := m.cfg.Table
	if n == &t.Parent.Neighbor {
		if m.role == Child {
			_ = m.BecomeDetached()
		}
		return
	}
	if c := t.ChildByExt(n.Ext); c != nil && n == &c.Neighbor {
		m.removeChild(c)
		return
	}
	if r := t.RouterByExt(n.Ext); r != nil && n == &r.Neighbor {
		m.removeRouterLink(r)
	}
}
