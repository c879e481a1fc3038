package mle

import (
	"time"

	"gatewayd/ieee802154"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/netdata"
)

const (
	sequencePeriod = 10 * time.Second  // at which a leader advances the set of ids
	reuseDelay     = 100 * time.Second // before a released id is given away again
	unreachable    = 90 * time.Second  // after which a router without a route loses its id
)

// BecomeLeader begins a partition of our own. The device must have a complete
// active dataset and be eligible to be a router; to leave a partition for that
// it must have a higher weight than the leader there.
func (m *MLE) BecomeLeader() error {
	if m.Attached() && m.role != Leader && m.Tuning.LeaderWeight <= m.partition.Weight {
		return ErrNotCapable
	}
	return m.form()
}

// form begins a partition where there is none.
func (m *MLE) form() error {
	switch {
	case m.role == Disabled:
		return ErrState
	case m.role == Leader:
		return nil
	case !m.RouterEligible() || len(m.active().MissingActive()) > 0:
		return ErrNotCapable
	}
	partition := m.Tuning.PreferredPartition
	if partition == 0 {
		partition = m.cfg.Rand.Uint32()
	}
	l := netdata.NewLeader(m.cfg.Rand)
	l.ReuseDelay = m.Tuning.ContextReuseDelay
	m.lead(partition, l)
	return nil
}

// lead begins a partition with the network data given.
func (m *MLE) lead(partition uint32, data *netdata.Leader) {
	id := m.routing.previousID
	if m.Tuning.PreferredRouterID <= neighbor.MaxRouterID {
		id = m.Tuning.PreferredRouterID
	}
	if id > neighbor.MaxRouterID {
		id = uint8(m.cfg.Rand.IntN(neighbor.MaxRouterID + 1))
	}
	m.cfg.Table.Parent.State = neighbor.Invalid
	m.dropCandidate()
	m.restoring = restoring{}
	m.leader, m.data, m.fetch = data, netdata.Data{}, false
	m.setPartition(LeaderData{Partition: partition, Weight: m.Tuning.LeaderWeight, LeaderID: id})
	m.clearRouters()
	m.routing.id = id
	m.routing.reuse = [neighbor.MaxRouterID + 1]time.Time{}
	m.routing.sequence, m.routing.updated = uint8(m.cfg.Rand.Uint32()), m.cfg.Clock.Now()
	r := m.addRouter(id)
	r.Ext, r.NextHop = m.cfg.MAC.Ext(), neighbor.InvalidID
	m.becomeRouter(Leader, neighbor.RouterRLOC16(id))
	m.netDataChanged()
	m.armLeaderData()
}

// leaveLeader gives up being the leader; the network data stay as they are.
func (m *MLE) leaveLeader() {
	if m.leader == nil {
		return
	}
	m.data, m.version, m.stable = m.leader.Data().Clone(), m.leader.Version(), m.leader.StableVersion()
	m.leader = nil
	m.leaderTimer.Stop()
	if m.meshLocal.IsValid() {
		m.cfg.IP.Remove(m.Locator(leaderALOC))
	}
}

// recoverLeaderData takes over the network data that a router kept while the
// leader, this device, was away.
func (m *MLE) recoverLeaderData(d netdata.Data, l LeaderData) {
	m.leader = netdata.RestoreLeader(m.cfg.Clock.Now(), d, l.DataVersion, l.StableVersion,
		func(id uint8) bool { return m.cfg.Table.Router(id) != nil })
	m.leader.ReuseDelay = m.Tuning.ContextReuseDelay
	m.NetDataUpdated(m.leader.Bump(netdata.Change{Data: true, Stable: true}))
}

// advanceIDs counts a change of the set of router ids.
func (m *MLE) advanceIDs() {
	m.routing.sequence++
	m.routing.updated = m.cfg.Clock.Now()
}

// SolicitReceived is the leader's decision on an Address Solicit of the device
// with an extended address (Thread 1.4 Section 5.9.9). wanted is the RLOC16 it
// asks for, neighbor.InvalidRLOC16 for none. Only a leader gives ids away, and
// only for the reasons there are.
func (m *MLE) SolicitReceived(ext ieee802154.ExtAddr, wanted uint16, reason Reason) Answer {
	if m.role != Leader {
		return Answer{}
	}
	r := m.routerOf(ext)
	if r == nil {
		n := m.cfg.Table.ActiveRouters()
		switch reason {
		case TooFewRouters:
			if n >= m.Tuning.UpgradeThreshold {
				return Answer{}
			}
		case HaveChildIDRequest, ParentPartitionChange:
		case BorderRouterRequest:
			if n >= m.Tuning.UpgradeThreshold && m.borderRouters() >= maxBorderRouters {
				return Answer{}
			}
		default:
			return Answer{}
		}
		if r = m.allocate(wanted); r == nil {
			return Answer{}
		}
		r.Ext = ext
		m.log("MLE-0014", "router id given", Attr{"id", r.ID}, Attr{"ext", ext}, Attr{"reason", reason.String()})
		m.save()
	}
	return Answer{OK: true, RLOC16: r.RLOC16, IDSequence: m.routing.sequence, RouterMask: m.routerMask()}
}

// maxBorderRouters get an id for being one when there are routers enough.
const maxBorderRouters = 2

// borderRouters counts the border routers that are routers.
func (m *MLE) borderRouters() int {
	n := 0
	for _, rloc16 := range m.NetData().BorderRouters() {
		if neighbor.IsRouterRLOC16(rloc16) {
			n++
		}
	}
	return n
}

// routerOf finds the router id that a device has, neighbour or not.
func (m *MLE) routerOf(ext ieee802154.ExtAddr) *neighbor.Router {
	for _, r := range m.cfg.Table.Routers {
		if r != nil && r.Ext == ext {
			return r
		}
	}
	return nil
}

func (m *MLE) routerMask() uint64 {
	var mask uint64
	for id, r := range m.cfg.Table.Routers {
		if r != nil {
			mask |= idBit(uint8(id))
		}
	}
	return mask
}

// allocate gives away a router id: the wanted one if it is free, else one of
// the free ones by chance.
func (m *MLE) allocate(wanted uint16) *neighbor.Router {
	if m.cfg.Table.ActiveRouters() >= maxRouters {
		return nil
	}
	now := m.cfg.Clock.Now()
	free := func(id uint8) bool { return m.cfg.Table.Routers[id] == nil && !m.routing.reuse[id].After(now) }
	id := neighbor.RouterID(wanted)
	if wanted == neighbor.InvalidRLOC16 || id > neighbor.MaxRouterID || !free(id) {
		n := 0
		id = neighbor.InvalidID
		for c := range uint8(neighbor.MaxRouterID + 1) {
			if free(c) {
				if n++; m.cfg.Rand.IntN(n) == 0 {
					id = c
				}
			}
		}
		if n == 0 {
			return nil
		}
	}
	r := m.addRouter(id)
	m.advanceIDs()
	m.advertiseSoon()
	return r
}

// ReleaseReceived takes a router id back from the device that has it.
func (m *MLE) ReleaseReceived(ext ieee802154.ExtAddr, rloc16 uint16) bool {
	r := m.cfg.Table.Router(neighbor.RouterID(rloc16))
	if m.role != Leader || r == nil || r.Ext != ext || r.RLOC16 == m.rloc16 {
		return false
	}
	m.releaseID(r)
	return true
}

// ReleaseRouterID takes a router id back by command.
func (m *MLE) ReleaseRouterID(id uint8) error {
	r := m.cfg.Table.Router(id)
	switch {
	case m.role != Leader:
		return ErrState
	case r == nil || r.RLOC16 == m.rloc16:
		return ErrInvalid
	}
	m.releaseID(r)
	return nil
}

func (m *MLE) releaseID(r *neighbor.Router) {
	id := r.ID
	m.log("MLE-0015", "router id taken back", Attr{"id", id})
	m.dropRouter(id)
	m.routing.reuse[id] = m.cfg.Clock.Now().Add(reuseDelay)
	m.advanceIDs()
	m.NetDataUpdated(m.leader.RemoveRouter(m.cfg.Clock.Now(), id))
	m.advertiseSoon()
	m.save()
}

// tickLeader advances the ids and takes back those of routers that are gone.
func (m *MLE) tickLeader(now time.Time) {
	for _, r := range m.cfg.Table.Routers {
		if r != nil && r.RLOC16 != m.rloc16 && m.cfg.Table.Router(r.NextHop) == nil &&
			m.linkCost(r) >= neighbor.InfiniteCost && now.Sub(r.LastHeard) >= unreachable {
			m.releaseID(r)
		}
	}
	if now.Sub(m.routing.updated) >= sequencePeriod {
		m.advanceIDs()
	}
}

// SetContextReuseDelay changes how long a context id is not given to another
// prefix.
func (m *MLE) SetContextReuseDelay(d time.Duration) {
	m.Tuning.ContextReuseDelay = d
	if m.leader != nil {
		m.leader.ReuseDelay = d
	}
}

// SetLeaderWeight sets the weight of partitions that we lead from now on.
func (m *MLE) SetLeaderWeight(w uint8) { m.Tuning.LeaderWeight = w }
