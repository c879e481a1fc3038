package mle

import (
	"slices"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/thread/neighbor"
)

const (
	childRetry = time.Second // between Child Update Requests to a stored child
	syncRetry  = 5 * time.Second
)

// childValid makes a child a full one and stores it.
func (m *MLE) childValid(c *neighbor.Child) {
	if c.State == neighbor.Valid {
		return
	}
	c.State, c.Tries, c.ConnectedAt = neighbor.Valid, 0, m.cfg.Clock.Now()
	c.LastSent = c.ConnectedAt
	m.saveChild(c)
	m.log("MLE-0010", "child", Attr{"rloc16", c.RLOC16}, Attr{"ext", c.Ext}, Attr{"mode", c.Mode.String()})
	if m.cfg.Events.ChildAdded != nil {
		m.cfg.Events.ChildAdded(c)
	}
}

// removeChild drops a child and what waits for it.
func (m *MLE) removeChild(c *neighbor.Child) {
	had := c.Usable()
	m.cfg.Mesh.DropChild(c)
	m.cfg.Table.RemoveChild(c)
	m.dropProbe(c.Ext)
	m.forget(delayKey{ParentResponse, c.Ext})
	if !had {
		return
	}
	if m.cfg.Store != nil {
		m.cfg.Store.DeleteChild(c.RLOC16)
	}
	m.log("MLE-0011", "child removed", Attr{"rloc16", c.RLOC16}, Attr{"ext", c.Ext})
	if m.cfg.Events.ChildRemoved != nil {
		m.cfg.Events.ChildRemoved(c)
	}
}

func (m *MLE) removeChildren() {
	for _, c := range slices.Clone(m.cfg.Table.Children) {
		m.removeChild(c)
	}
}

// RemoveChild drops a child by command.
func (m *MLE) RemoveChild(ext ieee802154.ExtAddr) bool {
	c := m.cfg.Table.ChildByExt(ext)
	if c == nil {
		return false
	}
	m.removeChild(c)
	return true
}

func (m *MLE) countChildren() int {
	n := 0
	for _, c := range m.cfg.Table.Children {
		if c.State == neighbor.Valid {
			n++
		}
	}
	return n
}

func (m *MLE) hasChildren() bool {
	for _, c := range m.cfg.Table.Children {
		if c.Usable() || c.State == neighbor.ChildIDRequested {
			return true
		}
	}
	return false
}

// versionFor is the version of the part of the network data a child wants.
func (m *MLE) versionFor(c *neighbor.Child) uint8 {
	if c.Mode.FullNetworkData() {
		return m.DataVersion()
	}
	return m.StableVersion()
}

// tickChildren drops children that were silent for too long, asks stored ones
// to prove themselves, and lets sleepy ones see that we are there.
func (m *MLE) tickChildren(now time.Time) {
	for _, c := range slices.Clone(m.cfg.Table.Children) {
		switch {
		case c.State == neighbor.ChildIDRequested:
			if now.Sub(c.LastHeard) >= childIDTimeout && m.role == Child && !m.routing.soliciting {
				m.removeChild(c)
			}
			continue
		case now.Sub(c.LastHeard) >= c.Timeout:
			m.removeChild(c)
			continue
		}
		if c.CSL.Expired(now) {
			c.CSL.Synced = false
		}
		if !m.Router() {
			continue
		}
		switch c.State {
		case neighbor.Restored, neighbor.ChildUpdateRequest:
			if now.Sub(c.Asked) >= childRetry && (c.Tries < maxTries || !c.Mode.RxOnWhenIdle()) {
				m.updateChild(c)
			}
		case neighbor.Valid:
			if c.Doubted && now.Sub(c.Asked) >= childRetry {
				if c.Tries >= maxTries {
					m.removeChild(c)
					continue
				}
				m.ask(c)
			}
			if !c.Mode.RxOnWhenIdle() && c.Supervision > 0 && now.Sub(c.LastSent) >= c.Supervision {
				m.cfg.Mesh.SendEmpty(c)
			}
		}
	}
}

// ChildElsewhere takes a sign that a minimal child has another parent: a datagram
// of its came from another router. That may only have passed it on, so the child is
// asked: dropped by mistake it would not miss us before its next keep-alive.
func (m *MLE) ChildElsewhere(c *neighbor.Child) {
	if c.State == neighbor.Valid && !c.Doubted {
		c.Doubted, c.Tries = true, 0
		m.ask(c)
	}
}

// ask sends a Child Update Request. One to a sleepy child waits until it polls.
func (m *MLE) ask(c *neighbor.Child) {
	if c.Mode.RxOnWhenIdle() || c.Tries == 0 {
		m.updateChild(c)
		return
	}
	c.Asked = m.cfg.Clock.Now()
	c.Tries++
}

// childHas takes what a child tells of the network data it has.
func (m *MLE) childHas(c *neighbor.Child, leader LeaderData) {
	c.Partition, c.NetData = leader.Partition, leader.StableVersion
	if c.Mode.FullNetworkData() {
		c.NetData = leader.DataVersion
	}
}

// syncChildren tells sleepy children of network data that they missed. Those of
// another partition may have the same version.
func (m *MLE) syncChildren() {
	if !m.Router() {
		return
	}
	now := m.cfg.Clock.Now()
	for _, c := range m.cfg.Table.Children {
		if c.State == neighbor.Valid && !c.Mode.RxOnWhenIdle() &&
			(c.NetData != m.versionFor(c) || c.Partition != m.partition.Partition) &&
			c.Indirect.Queued == 0 && now.Sub(c.Asked) >= syncRetry {
			m.updateChild(c)
		}
	}
}

// updateChild sends a Child Update Request: to a valid child with the network
// data, to a stored one to have it prove itself.
func (m *MLE) updateChild(c *neighbor.Child) {
	if !c.Mode.RxOnWhenIdle() && c.State != neighbor.Valid && c.Indirect.Queued > 0 {
		return // the one before still waits to be polled for
	}
	b := m.build()
	b.source()
	b.leaderData()
	b.netData(c.Mode.FullNetworkData())
	b.timestamps()
	if c.State == neighbor.Valid {
		b.linkMargin(marginOf(&c.Neighbor))
	} else {
		if c.Mode.RxOnWhenIdle() {
			b.request(TypeTimeout, TypeAddresses)
		} else {
			b.request(TypeTimeout, TypeAddresses, TypeSupervision)
		}
		if len(c.Challenge) == 0 {
			c.Challenge = m.newChallenge()
		}
		b.challenge(c.Challenge)
		if c.Mode.RxOnWhenIdle() {
			c.State = neighbor.ChildUpdateRequest
		}
	}
	c.Asked = m.cfg.Clock.Now()
	c.Tries++
	m.sendTo(ChildUpdateRequest, b, c.Ext)
}

// childAsked answers a Child Update Request as a parent.
func (m *MLE) childAsked(x *rx) {
	mode := x.mode()
	challenge, hasChallenge := x.optChallenge(TypeChallenge)
	addresses, hasAddresses := x.addresses()
	leader, hasLeader := x.optLeaderData()
	timeout, hasTimeout := x.optUint32(TypeTimeout)
	supervision, hasSupervision := x.optUint16(TypeSupervision)
	requested, _ := x.optRequested()
	if m.malformed(x) {
		return
	}
	c := m.cfg.Table.ChildByExt(x.ext)
	if c == nil {
		m.refuse(x, RefusedUnknown, "")
		if mode.RxOnWhenIdle() {
			b := m.build()
			if hasChallenge {
				b.response(challenge)
			}
			b.source()
			b.status()
			m.sendTo(ChildUpdateResponse, b, x.ext)
		}
		return
	}
	if c.State != neighbor.Valid {
		m.refuse(x, RefusedState, "has not proved itself")
		return
	}
	old := c.Mode
	changed := old != mode
	if hasTimeout {
		if d := time.Duration(timeout) * time.Second; d != c.Timeout {
			c.Timeout, changed = d, true
		}
	}
	c.Mode = mode
	if hasChallenge {
		c.Links.ForgetTags()
	}
	c.Supervision = supervisionOf(supervision, hasSupervision, c.Version)
	if hasAddresses {
		m.register(c, addresses)
	}
	if hasLeader {
		m.childHas(c, leader)
	}
	c.LastHeard = m.cfg.Clock.Now()
	hasCSL := !mode.RxOnWhenIdle() && m.childCSL(x, c)
	if old.RxOnWhenIdle() != mode.RxOnWhenIdle() {
		c.CSL = neighbor.CSL{}
		m.cfg.Mesh.DropChild(c)
		if !mode.RxOnWhenIdle() {
			m.cfg.Mesh.ChildAddressed(c, true)
		}
	}
	if changed {
		m.saveChild(c)
	}
	x.class = peer
	b := m.build()
	if hasChallenge {
		b.response(challenge)
	}
	b.source()
	b.add(TypeMode, byte(c.Mode))
	b.linkMargin(marginOf(&c.Neighbor))
	b.leaderData()
	if hasChallenge {
		b.mleCounter()
		b.linkCounter()
	}
	if hasAddresses {
		b.childAddresses(c)
	}
	if hasTimeout {
		b.uint32(TypeTimeout, seconds(c.Timeout))
	}
	if hasSupervision {
		b.uint16(TypeSupervision, uint16(seconds(c.Supervision)))
	}
	if hasCSL || requested.has(TypeCSLAccuracy) {
		b.cslAccuracy()
	}
	if requested.has(TypeNetworkData) {
		b.netData(mode.FullNetworkData())
		b.timestamps()
	}
	m.sendTo(ChildUpdateResponse, b, x.ext)
}

// childAnswered takes a Child Update Response of a child.
func (m *MLE) childAnswered(x *rx) {
	c := m.cfg.Table.ChildByExt(x.ext)
	if c == nil || x.n != &c.Neighbor {
		m.refuse(x, RefusedUnknown, "")
		return
	}
	response, hasResponse := x.optChallenge(TypeResponse)
	source, hasSource := x.optUint16(TypeSource)
	status, hasStatus := x.optUint8(TypeStatus)
	linkCounter, hasLink := x.optUint32(TypeLinkCounter)
	mleCounter, hasMLE := x.optUint32(TypeMLECounter)
	timeout, hasTimeout := x.optUint32(TypeTimeout)
	supervision, hasSupervision := x.optUint16(TypeSupervision)
	addresses, hasAddresses := x.addresses()
	leader, hasLeader := x.optLeaderData()
	if m.malformed(x) {
		return
	}
	if hasResponse && !matches(response, c.Challenge) || !hasResponse && c.State != neighbor.Valid {
		m.refuse(x, RefusedChallenge, "")
		return
	}
	if hasSource && source != c.RLOC16 || hasStatus && status == statusError {
		m.removeChild(c)
		return
	}
	if hasResponse {
		c.Challenge = nil
		if hasLink {
			c.StartCounters(linkCounter)
		}
		if hasMLE {
			c.MLECounter = mleCounter
		}
		c.KeySequence = x.sequence
	}
	if hasTimeout {
		c.Timeout = time.Duration(timeout) * time.Second
	}
	if hasSupervision {
		c.Supervision = time.Duration(supervision) * time.Second
	}
	if hasAddresses {
		m.register(c, addresses)
	}
	if hasLeader {
		m.childHas(c, leader)
	}
	m.childCSL(x, c)
	c.LastHeard, c.Tries, c.Doubted = m.cfg.Clock.Now(), 0, false
	m.childValid(c)
	x.class = peer
	if hasResponse {
		x.class = authoritative
	}
}

// Polled notes that a sleepy child asked for what we keep for it.
func (m *MLE) Polled(c *neighbor.Child) {
	if c.State == neighbor.Valid {
		c.LastHeard = m.cfg.Clock.Now()
	}
}
