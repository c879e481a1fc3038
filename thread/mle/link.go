package mle

import (
	"time"

	"gatewayd/ieee802154"
	"gatewayd/thread/neighbor"
)

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
	if x.n != nil {
		x.n.Links.ForgetTags()
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

// provedBefore reports whether a Link Accept and Request is from a router that
// we have a link with already: it may have heard our request twice, and waits
// for the answer to its second one.
func (m *MLE) provedBefore(x *rx, r *neighbor.Router) bool {
	return x.command == LinkAcceptAndRequest && x.valid() && x.n == &r.Neighbor
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
	case !matches(response, r.Challenge) && !m.provedBefore(x, r) && !m.restoring.answeredLate(response, m.cfg.Clock.Now()) ||
		r.State == neighbor.Valid && r.Ext != x.ext:
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
	r.StartCounters(linkCounter)
	r.MLECounter, r.KeySequence = max(mleCounter, x.counter+1), x.sequence
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
