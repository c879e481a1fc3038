package mle

import (
	"time"

	"gatewayd/thread/link"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/netdata"
)

const (
	// A leader is missed, so it makes sure quickly: answers to a group come
	// within a second. If it had no other router nobody can answer. A router
	// asks again as soon once, then gives others time to come back, too.
	aloneTries  = 3
	quickWait   = 1500 * time.Millisecond
	routerTries = 4
	leaderTries = 6
	// criticalChildren make a router worth as many tries as a leader.
	criticalChildren = 6
	restoreMin       = 4500 * time.Millisecond
	restoreMax       = 5500 * time.Millisecond
	restoreLast      = 2 * time.Second
	// lateAnswers is how long the neighbours that did not answer first are still
	// linked with by their answers, which come within a second.
	lateAnswers = 2 * time.Second
)

// restoring is the way back into the stored role of a router or leader.
type restoring struct {
	active    bool
	leader    bool
	alone     bool // a leader without other routers: it leads again if nobody answers
	tries     int  // left
	challenge Challenge
	late      time.Time // restored already: until then answers to challenge make links
}

// answeredLate reports whether a response is that of a neighbour after the one
// by whose word the role was resumed.
func (r *restoring) answeredLate(response Challenge, now time.Time) bool {
	return now.Before(r.late) && matches(response, r.challenge)
}

// restore comes back as what was stored, or attaches.
func (m *MLE) restore() {
	n := m.saved.Network
	switch {
	case n.Role == Child && !m.stoppedAt.IsZero() && m.cfg.Clock.Now().Sub(m.stoppedAt) >= m.Tuning.ChildTimeout:
		m.startAttach(anyPartition) // the parent has given us up
	case n.Role == Child && m.saved.Parent != nil && neighbor.ChildID(n.RLOC16) != 0:
		m.restoreChild(n.RLOC16, *m.saved.Parent)
	case n.Role >= Router && neighbor.IsRouterRLOC16(n.RLOC16) && m.mode.FullThread() && m.RouterEligible():
		m.restoreChildren(n.RLOC16)
		m.routing.previousID = neighbor.RouterID(n.RLOC16)
		m.setRLOC16(n.RLOC16)
		m.startRestoring(n)
	default:
		m.startAttach(anyPartition)
	}
}

// restoreChild asks the former parent to take us back.
func (m *MLE) restoreChild(rloc16 uint16, info ParentInfo) {
	p := &m.cfg.Table.Parent
	*p = neighbor.Parent{Neighbor: neighbor.Neighbor{
		State: neighbor.Restored, Ext: info.Ext, Version: info.Version, Mode: routerMode,
		RLOC16: neighbor.RouterRLOC16(neighbor.RouterID(rloc16)), LastHeard: m.cfg.Clock.Now(),
	}}
	m.child.previous, m.child.previousAt, m.child.hadParent = info.Ext, p.RLOC16, true
	m.setRLOC16(rloc16)
	m.child.updates = 0
	m.updateParent(updateChallenge)
}

// restoreChildren takes the stored children back; each has to prove itself.
func (m *MLE) restoreChildren(router uint16) {
	now := m.cfg.Clock.Now()
	for _, i := range m.saved.Children {
		if neighbor.RouterID(i.RLOC16) != neighbor.RouterID(router) || len(m.cfg.Table.Children) >= m.cfg.MaxChildren ||
			m.cfg.Table.ChildByExt(i.Ext) != nil || m.cfg.Table.ChildByRLOC16(i.RLOC16) != nil {
			continue
		}
		m.cfg.Table.Children = append(m.cfg.Table.Children, &neighbor.Child{
			Neighbor: neighbor.Neighbor{State: neighbor.Restored, Ext: i.Ext, RLOC16: i.RLOC16, Mode: i.Mode,
				Version: i.Version, LastHeard: now},
			Timeout: i.Timeout, UseShort: true, Challenge: m.newChallenge(),
			Supervision: supervisionOf(0, false, i.Version),
		})
	}
	if len(m.cfg.Table.Children) > 0 {
		m.runTicker()
	}
}

// startRestoring asks routers around whether they remember us as a router.
func (m *MLE) startRestoring(n NetworkInfo) {
	r := restoring{active: true, tries: routerTries}
	if n.Role == Leader {
		r.tries, r.leader, r.alone = leaderTries, true, n.Alone
		if n.Alone {
			r.tries = aloneTries
		}
	} else if len(m.cfg.Table.Children) >= criticalChildren {
		r.tries = leaderTries
	}
	m.restoring = r
	m.restoreTimer()
}

// restoreTimer is the next try.
func (m *MLE) restoreTimer() {
	r := &m.restoring
	if r.tries == 0 {
		alone := r.alone
		m.restoring = restoring{}
		if alone && m.leadAgain() {
			return
		}
		_ = m.BecomeDetached()
		return
	}
	r.tries--
	m.sendRestoreRequest()
	switch {
	case r.leader, r.tries == routerTries-1:
		m.attach.timer.Start(quickWait)
	case r.tries == 0:
		m.attach.timer.Start(restoreLast)
	default:
		m.attach.timer.Start(m.between(restoreMin, restoreMax))
	}
}

func (m *MLE) sendRestoreRequest() {
	m.restoring.challenge = m.newChallenge()
	b := m.build()
	b.version()
	b.request(TypeAddress16, TypeRoute)
	b.challenge(m.restoring.challenge)
	m.send(LinkRequest, b.TLVs, allRouters, link.Options{Security: link.Unsecured})
}

// leadAgain resumes the partition that this device led alone, so that its
// children find what they know: the same partition, newer network data.
func (m *MLE) leadAgain() bool {
	if !m.RouterEligible() || len(m.active().MissingActive()) > 0 {
		return false
	}
	n := m.saved.Network
	m.lead(n.Partition, netdata.RestoreLeader(m.cfg.Clock.Now(), netdata.Data{}, n.DataVersion+1, n.StableVersion+1,
		func(uint8) bool { return true }))
	return true
}

// restoreRouter resumes the former role by the word of a neighbour: with its
// view of the partition, as router or, if it names us, as leader.
func (m *MLE) restoreRouter(leader LeaderData, route *Route) bool {
	if !route.Has(neighbor.RouterID(m.rloc16)) {
		_ = m.BecomeDetached()
		return false
	}
	m.restoring = restoring{challenge: m.restoring.challenge, late: m.cfg.Clock.Now().Add(lateAnswers)}
	m.setPartition(leader)
	m.clearRouters()
	m.routing.id = neighbor.RouterID(m.rloc16)
	m.updateIDs(route.Sequence, route.Mask)
	if r := m.cfg.Table.Router(m.routing.id); r != nil {
		r.Ext = m.cfg.MAC.Ext()
	}
	m.fetch = true
	role := Router
	if m.LeaderRLOC16() == m.rloc16 {
		role = Leader
		m.leader = netdata.RestoreLeader(m.cfg.Clock.Now(), netdata.Data{}, leader.DataVersion, leader.StableVersion,
			func(uint8) bool { return true })
		m.advanceIDs()
	}
	m.becomeRouter(role, m.rloc16)
	return true
}
