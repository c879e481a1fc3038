package mle

import (
	"time"

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
		m.sendAdvertisement(allNodes) // not sent while it seemed that we would be a router
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
			r.Unlink()
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
			// Those who had us as parent or neighbour see it by the address.
			m.later(delayKey{c: Advertisement}, m.jitter(time.Second), func() { m.sendAdvertisement(allNodes) })
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
