package mle

import (
	"net/netip"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/ipv6"
	"gatewayd/thread/ip"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/netdata"
)

// Defaults of Tuning and of Config.
const (
	defaultMaxChildren = 128
	defaultWeight      = 64
)

// New returns a disabled MLE that listens on its port. What was stored is
// loaded.
func New(cfg Config) *MLE {
	if cfg.MaxChildren == 0 {
		cfg.MaxChildren = defaultMaxChildren
	}
	cfg.MaxChildren = min(cfg.MaxChildren, neighbor.MaxChildID)
	m := &MLE{
		cfg: cfg, mode: cfg.Mode | neighbor.ModeSecureDataReq, rloc16: neighbor.InvalidRLOC16, first: true,
		delayed: map[delayKey]*alarm.Timer{},
		started: cfg.Clock.Now(),
		Tuning: Tuning{
			ChildTimeout: 240 * time.Second, SupervisionInterval: 129 * time.Second, SupervisionCheck: 190 * time.Second,
			UpgradeThreshold: 16, DowngradeThreshold: 23, SelectionJitter: 120 * time.Second,
			LeaderWeight: defaultWeight, LeaderTimeout: 120 * time.Second, ContextReuseDelay: netdata.DefaultReuseDelay, PreferredRouterID: neighbor.InvalidID,
			ParentPriority: PriorityAuto, MaxChildAddresses: 4,
		},
		eligible: true,
	}
	m.ticker = cfg.Clock.NewTimer(m.tick)
	m.attach.timer = cfg.Clock.NewTimer(m.attachTimer)
	m.child.retry = cfg.Clock.NewTimer(m.childTimer)
	m.child.supervision = cfg.Clock.NewTimer(m.supervise)
	m.poll.timer = cfg.Clock.NewTimer(m.pollTimer)
	m.leaderTimer = cfg.Clock.NewTimer(m.leaderDataDue)
	m.advert.timer = cfg.Clock.NewTimer(m.advertise)
	m.discovery.timer = cfg.Clock.NewTimer(m.discoverNext)
	m.altShort = cfg.Clock.NewTimer(m.clearAltShort)
	m.routing.id, m.routing.previousID = neighbor.InvalidID, neighbor.InvalidID
	m.attach.alternatePAN = ieee802154.BroadcastPAN
	m.load()
	cfg.IP.HandleUDP(Port, m.Receive)
	return m
}

// Start takes part in the network of the active dataset: again in the stored
// role if there is one.
func (m *MLE) Start() error {
	if m.role != Disabled {
		return ErrState
	}
	m.DatasetChanged()
	m.setAddresses()
	m.becomeDetached()
	m.cfg.Keys.Start()
	m.attach.cycles = 0
	m.restore()
	return nil
}

// Stop leaves the network without telling anybody.
func (m *MLE) Stop() {
	if m.role == Disabled {
		return
	}
	m.forgetAll()
	m.cfg.Keys.Stop()
	m.becomeDetached()
	m.setRLOC16(neighbor.InvalidRLOC16)
	m.dropAddresses()
	m.restoring = restoring{}
	m.setRole(Disabled)
}

// setRole notes a change of role.
func (m *MLE) setRole(r Role) {
	if r == m.role {
		return
	}
	from, now := m.role, m.cfg.Clock.Now()
	m.counters.Time[from] += now.Sub(m.started)
	m.role, m.started = r, now
	switch r {
	case Disabled:
		m.counters.Disabled++
	case Detached:
		m.counters.Detached++
	case Child:
		m.counters.Child++
	case Router:
		m.counters.Router++
	case Leader:
		m.counters.Leader++
	}
	m.log("MLE-0001", "role changed", Attr{"from", from.String()}, Attr{"to", r.String()}, Attr{"rloc16", m.rloc16})
	if m.cfg.Events.RoleChanged != nil {
		m.cfg.Events.RoleChanged(from, r)
	}
}

// becomeDetached is the state in which nothing is left of an earlier role but
// its short address and, for a router, its children.
func (m *MLE) becomeDetached() {
	m.leaveLeader()
	m.setRole(Detached)
	m.attach.stop()
	m.forget(delayKey{c: ChildUpdateRequest})
	m.child.reset()
	m.poll.stop(m)
	m.cfg.MAC.SetRxOnWhenIdle(true)
	m.cfg.MAC.Beacons = false
	m.clearAltShort()
	for _, r := range m.cfg.Table.Routers {
		if r != nil {
			r.State = neighbor.Invalid
		}
	}
	m.advert.stop()
	m.cfg.IP.Leave(ipv6.AllRoutersLinkLocal)
	m.cfg.IP.Leave(ipv6.AllRoutersRealm)
	if len(m.cfg.Table.Children) == 0 {
		m.ticker.Stop()
	}
}

// BecomeDetached drops parent or role and attaches anew.
func (m *MLE) BecomeDetached() error {
	if m.role == Disabled {
		return ErrState
	}
	if m.role == Detached && m.attach.state == attachStart {
		return nil
	}
	m.becomeDetached()
	m.restoring = restoring{}
	m.cfg.Table.Parent.State = neighbor.Invalid
	m.setRLOC16(neighbor.InvalidRLOC16)
	m.startAttach(anyPartition)
	return nil
}

// BecomeChild looks for a parent, in whatever role.
func (m *MLE) BecomeChild() error {
	if m.role == Disabled {
		return ErrState
	}
	if m.attach.busy() {
		return ErrBusy
	}
	m.startAttach(anyPartition)
	return nil
}

// becomeChild is the state of a child that has its short address.
func (m *MLE) becomeChild(rloc16 uint16) {
	m.leaveLeader()
	m.setRLOC16(rloc16)
	m.attach.state = attachIdle
	m.attach.timer.Start(resetCyclesAfter)
	m.child.reset()
	m.cfg.MAC.Beacons = false
	m.clearRouterParent()
	m.setRole(Child)
	m.child.attachedAt = m.cfg.Clock.Now()
	m.child.rearm(m)
	m.armSupervision()
	if m.mode.FullThread() {
		m.startREED(m.attach.mode)
	}
	m.informPreviousChannel()
	if p := m.cfg.Table.Parent.Ext; p != m.child.previous {
		if m.child.hadParent {
			m.counters.ParentChanges++
		}
		m.child.previous, m.child.hadParent = p, true
		if m.cfg.Events.ParentChanged != nil {
			m.cfg.Events.ParentChanged()
		}
	}
	m.save()
}

// setRLOC16 takes a short address and its locator.
func (m *MLE) setRLOC16(rloc16 uint16) {
	if m.rloc16 != rloc16 && m.rloc16 != neighbor.InvalidRLOC16 && m.meshLocal.IsValid() {
		m.cfg.IP.Remove(m.RLOC())
	}
	m.rloc16 = rloc16
	m.cfg.MAC.SetShort(rloc16)
	if rloc16 == neighbor.InvalidRLOC16 {
		m.clearAltShort()
		return
	}
	if m.meshLocal.IsValid() {
		m.cfg.IP.Add(ip.Address{Addr: m.RLOC(), Bits: 64, Preferred: true, Locator: true})
		if m.cfg.Events.AddressesReady != nil {
			m.cfg.Events.AddressesReady()
		}
	}
}

// setAddresses adds what the device has in every role.
func (m *MLE) setAddresses() {
	s := m.cfg.IP
	m.setLinkLocal()
	if m.meshLocal.IsValid() {
		s.Add(ip.Address{Addr: m.MLEID(), Bits: 64, Preferred: true})
		for _, g := range m.everyThreadNode() {
			s.Join(g)
		}
	}
	s.Join(ipv6.AllNodesLinkLocal)
	s.Join(ipv6.AllNodesRealm)
	s.Join(ipv6.AllMPLForwarders)
}

func (m *MLE) setLinkLocal() {
	a := m.LinkLocal()
	if m.linkLocal.IsValid() && m.linkLocal != a {
		m.cfg.IP.Remove(m.linkLocal)
	}
	m.linkLocal = a
	m.cfg.IP.Add(ip.Address{Addr: a, Bits: 64, Preferred: true})
}

// ExtAddressChanged follows a new extended address of the MAC. It is for a
// device that is not part of a network.
func (m *MLE) ExtAddressChanged() {
	if m.linkLocal.IsValid() {
		m.setLinkLocal()
	}
}

func (m *MLE) dropAddresses() {
	s := m.cfg.IP
	m.dropMeshLocal()
	for _, g := range []netip.Addr{ipv6.AllNodesRealm, ipv6.AllMPLForwarders} {
		s.Leave(g)
	}
}

func (m *MLE) dropMeshLocal() {
	if !m.meshLocal.IsValid() {
		return
	}
	s := m.cfg.IP
	s.Remove(m.MLEID())
	s.Remove(m.Locator(leaderALOC))
	if m.rloc16 != neighbor.InvalidRLOC16 {
		s.Remove(m.RLOC())
	}
	for _, g := range m.everyThreadNode() {
		s.Leave(g)
	}
}

// everyThreadNode are the groups of all devices of the network, those asleep
// included: of link and of realm scope, based on the mesh-local prefix (RFC
// 3306).
func (m *MLE) everyThreadNode() [2]netip.Addr {
	var out [2]netip.Addr
	p := m.meshLocal.Addr().As16()
	for i, scope := range [...]byte{0x32, 0x33} {
		b := [16]byte{0: 0xff, 1: scope, 3: 64, 15: 1}
		copy(b[4:12], p[:8])
		out[i] = netip.AddrFrom16(b)
	}
	return out
}

// EveryGroup reports whether every device of the network listens to a group,
// also asleep.
func (m *MLE) EveryGroup(g netip.Addr) bool {
	if !m.meshLocal.IsValid() {
		return false
	}
	e := m.everyThreadNode()
	return g == e[0] || g == e[1]
}

// leaderALOC is the anycast locator of the leader.
const leaderALOC = 0xfc00

// DatasetChanged takes the datasets as they are now: the active one is used at
// once, and a leader spreads the news.
func (m *MLE) DatasetChanged() {
	d := m.active()
	c := m.cfg
	if d.NetworkKey != nil {
		key := d.NetworkKey.Reveal()
		c.Keys.SetNetworkKey(key, c.Keys.NetworkKey() != [16]byte{})
		if m.keyed && m.key != key {
			m.resetSequences()
		}
		m.key, m.keyed = key, true
	}
	if d.Channel != nil && c.MAC.Channel() != uint8(d.Channel.Number) {
		c.MAC.SetChannel(uint8(d.Channel.Number))
	}
	if d.PANID != nil && c.MAC.PANID() != *d.PANID {
		c.MAC.SetPANID(*d.PANID)
	}
	if d.SecurityPolicy != nil && *d.SecurityPolicy != m.policy {
		m.policy = *d.SecurityPolicy
		c.Keys.SetRotation(time.Duration(m.policy.RotationHours) * time.Hour)
		m.policyChanged()
	}
	if d.MeshLocalPrefix.IsValid() && d.MeshLocalPrefix != m.meshLocal {
		m.dropMeshLocal()
		m.meshLocal = d.MeshLocalPrefix
		c.IP.SetMeshLocal(m.meshLocal)
		if m.role != Disabled {
			m.setAddresses()
			m.setRLOC16(m.rloc16)
			if m.role == Leader {
				m.addLeaderALOC()
			}
			m.addressesSoon()
		}
	}
	m.spreadDatasets()
}

// spreadDatasets counts a change of a dataset as one of the network data, by
// which every device learns of it.
func (m *MLE) spreadDatasets() {
	var now timestamps
	if d := m.cfg.Datasets.Active(); d != nil {
		now.active = timestampOf(d.ActiveTimestamp)
	}
	if d := m.cfg.Datasets.Pending(); d != nil {
		now.pending = timestampOf(d.PendingTimestamp)
	}
	changed := now != m.known
	m.known = now
	if changed && m.leader != nil {
		m.NetDataUpdated(m.leader.Bump(netdata.Change{Data: true, Stable: true}))
	}
}

// timestamps are those of the datasets, IsNone where there is none.
type timestamps struct{ active, pending meshcop.Timestamp }

func timestampOf(ts *meshcop.Timestamp) meshcop.Timestamp {
	if ts == nil {
		return meshcop.Timestamp{}
	}
	return *ts
}

// resetSequences follows a new network key: every neighbour counts from 0.
func (m *MLE) resetSequences() {
	t := m.cfg.Table
	reset := func(n *neighbor.Neighbor) {
		n.KeySequence, n.LinkCounter, n.LinkAckCounter, n.MLECounter = 0, 0, 0, 0
	}
	reset(&t.Parent.Neighbor)
	for _, c := range t.Children {
		reset(&c.Neighbor)
	}
	for _, r := range t.Routers {
		if r != nil {
			reset(&r.Neighbor)
		}
	}
}

// followMode makes the receiver what the mode says.
func (m *MLE) followMode() {
	if m.mode.RxOnWhenIdle() {
		m.poll.stop(m)
		m.cfg.MAC.SetRxOnWhenIdle(true)
		return
	}
	m.cfg.MAC.SetRxOnWhenIdle(false)
	m.poll.start(m)
}

func (m *MLE) clearAltShort() {
	m.altShort.Stop()
	if m.cfg.MAC.Settings().AltShort != ieee802154.InvalidShort {
		m.cfg.MAC.SetAltShort(ieee802154.InvalidShort)
	}
}
