package mle

import (
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/ipv6"
	"gatewayd/thread/link"
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
			ParentPriority: PriorityAuto, MaxChildAddresses: 4, MaxRegistered: 4, ParentSearch: searchInterval, CSL: CSLTuning{Timeout: neighbor.DefaultCSLTimeout},
		},
		eligible: true,
	}
	m.ticker = cfg.Clock.NewTimer(m.tick)
	m.attach.timer = cfg.Clock.NewTimer(m.attachTimer)
	m.child.retry = cfg.Clock.NewTimer(m.childTimer)
	m.child.supervision = cfg.Clock.NewTimer(m.supervise)
	m.search.timer, m.search.asked = cfg.Clock.NewTimer(m.searchParent), map[ieee802154.ExtAddr]time.Time{}
	m.poll.timer = cfg.Clock.NewTimer(m.pollTimer)
	m.leaderTimer = cfg.Clock.NewTimer(m.leaderDataDue)
	m.advert.timer = cfg.Clock.NewTimer(m.advertise)
	m.discovery.timer = cfg.Clock.NewTimer(m.discoverNext)
	m.altShort = cfg.Clock.NewTimer(m.clearAltShort)
	m.routing.id, m.routing.previousID = neighbor.InvalidID, neighbor.InvalidID
	m.initMetrics()
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
	if m.leave != nil {
		m.leave.Stop()
	}
	m.cfg.Keys.Stop()
	m.becomeDetached()
	m.setRLOC16(neighbor.InvalidRLOC16)
	m.dropAddresses()
	m.restoring = restoring{}
	m.stoppedAt = m.cfg.Clock.Now()
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
	m.followCSL()
	m.attach.stop()
	m.forget(delayKey{c: ChildUpdateRequest})
	m.child.reset()
	m.poll.stop(m)
	m.cfg.MAC.SetRxOnWhenIdle(true)
	m.cfg.MAC.Beacons = false
	m.clearAltShort()
	for _, r := range m.cfg.Table.Routers {
		if r != nil {
			r.Unlink()
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
	m.armSearch()
	m.armSupervision()
	if m.mode.FullThread() {
		m.startREED(m.attach.mode)
	}
	m.informPreviousChannel()
	if p := m.cfg.Table.Parent.Ext; p != m.child.previous {
		if m.child.hadParent {
			m.counters.ParentChanges++
			m.informParent(m.child.previousAt)
		}
		m.child.previous, m.child.hadParent = p, true
		if m.cfg.Events.ParentChanged != nil {
			m.cfg.Events.ParentChanged()
		}
	}
	m.child.previousAt = m.cfg.Table.Parent.RLOC16
	m.save()
}

// informParent lets a former parent see by an empty datagram from another place
// that we are not its child any more.
func (m *MLE) informParent(rloc16 uint16) {
	if m.Tuning.InformParent && rloc16 != m.cfg.Table.Parent.RLOC16 {
		h := ipv6.Header{NextHeader: ipv6.ProtoNoNext, HopLimit: 64, Src: m.MLEID(), Dst: m.Locator(rloc16)}
		_ = m.cfg.IP.Send(h.Append(nil), link.Options{Priority: link.Normal})
	}
}

// followMode makes the receiver what the mode says.
func (m *MLE) followMode() {
	if m.mode.RxOnWhenIdle() {
		m.poll.stop(m)
		m.cfg.MAC.SetRxOnWhenIdle(true)
		m.followCSL()
		return
	}
	m.cfg.MAC.SetRxOnWhenIdle(false)
	m.poll.start(m)
	m.followCSL()
}

func (m *MLE) clearAltShort() {
	m.altShort.Stop()
	if m.cfg.MAC.Settings().AltShort != ieee802154.InvalidShort {
		m.cfg.MAC.SetAltShort(ieee802154.InvalidShort)
	}
}
