package mle

import (
	"errors"
	"net/netip"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/lowpan"
	"gatewayd/thread/linkmetrics"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/netdata"
)

// Why a command to an MLE fails.
var (
	ErrState      = errors.New("mle: not in this role")
	ErrNotCapable = errors.New("mle: this device or its network's policy does not allow it")
	ErrBusy       = errors.New("mle: another one is under way")
)

// MLE is the machine.
type MLE struct {
	cfg  Config
	role Role
	mode neighbor.Mode

	rloc16    uint16
	partition LeaderData // its versions are not used: see LeaderData
	meshLocal netip.Prefix
	first     bool // no partition known yet

	data    netdata.Data // of the partition, when we are not its leader
	version uint8
	stable  uint8
	leader  *netdata.Leader // when we are

	leaderTimer *alarm.Timer
	fetch       bool // what we have of the network data is not that of this partition
	contexts    lowpan.Contexts
	known       timestamps
	policy      meshcop.SecurityPolicy
	key         meshcop.Key // the neighbours' counters belong to
	keyed       bool
	linkLocal   netip.Addr

	attach     attacher
	restoring  restoring
	child      childState
	search     search
	poll       poller
	nextChild  uint16
	routing    routing
	eligible   bool
	keepRouter bool
	altShort   *alarm.Timer
	advert     trickle
	discovery  discovery
	ticker     *alarm.Timer
	delayed    map[delayKey]*alarm.Timer
	leave      *alarm.Timer
	saved      Saved

	// Tuning may be changed at any time; what has a Set method, by that.
	Tuning   Tuning
	counters Counters
	started  time.Time // when the present role began

	stoppedAt time.Time // zero if it was not, since the node came up

	metrics metrics
	// MetricsHeard, if set, is told what a neighbour's acknowledgements say of
	// our frames, after ConfigureProbing.
	MetricsHeard func(n *neighbor.Neighbor, v linkmetrics.Values)
}

// Tuning is what an operator may change at any time. New fills it with
// defaults.
type Tuning struct {
	ChildTimeout        time.Duration // 240 s
	PollPeriod          time.Duration // 0: follows from ChildTimeout
	SupervisionInterval time.Duration // asked of the parent when sleepy: 129 s
	SupervisionCheck    time.Duration // silence after which the parent is asked: 190 s
	UpgradeThreshold    int           // 16
	DowngradeThreshold  int           // 23
	SelectionJitter     time.Duration // 120 s
	LeaderWeight        uint8         // 64
	LeaderTimeout       time.Duration // the "network id timeout": 120 s
	ContextReuseDelay   time.Duration // of 6LoWPAN context ids when leader: 300 s
	PreferredPartition  uint32        // of a new partition; 0 is a random one
	PreferredRouterID   uint8         // neighbor.InvalidID for none
	ParentPriority      ParentPriority
	MaxChildAddresses   int // 4
	MaxRegistered       int // addresses that a minimal device registers with its parent: 4
	CSL                 CSLTuning
	// InformParent makes a child that has found another parent tell its former
	// one, which then need not wait for the timeout.
	InformParent bool
	// ParentSearch is the time between two searches of a child for a better
	// parent, 0 for none: 9 min.
	ParentSearch time.Duration
}

// ParentPriority is how a router recommends itself as parent.
type ParentPriority int8

// The priorities.
const (
	PriorityAuto   ParentPriority = -2
	PriorityLow    ParentPriority = -1
	PriorityMedium ParentPriority = 0
	PriorityHigh   ParentPriority = 1
)

// Counters are those of OpenThread's `counters mle`.
type Counters struct {
	Disabled, Detached, Child, Router, Leader uint16
	AttachAttempts, PartitionChanges          uint16
	BetterPartitionAttempts, ParentChanges    uint16
	BetterParentAttempts                      uint16
	// Time spent in each role until its last end, by Role.
	Time [Leader + 1]time.Duration
	// Refused messages by reason.
	Refused [refusals]uint32
}

// MaxChildren is how many children the device takes.
func (m *MLE) MaxChildren() int { return m.cfg.MaxChildren }

// SetMaxChildren changes it, 1 to 511, while the device is disabled.
func (m *MLE) SetMaxChildren(n int) error {
	if m.role != Disabled {
		return ErrState
	}
	if n < 1 || n > neighbor.MaxChildID {
		return ErrInvalid
	}
	m.cfg.MaxChildren = n
	return nil
}

// Role is the present role.
func (m *MLE) Role() Role { return m.role }

// Attached reports whether the device is part of a network.
func (m *MLE) Attached() bool { return m.role >= Child }

// Router reports whether the device routes: as router or leader.
func (m *MLE) Router() bool { return m.role >= Router }

// RLOC16 is the device's own short address, neighbor.InvalidRLOC16 if it has none.
func (m *MLE) RLOC16() uint16 { return m.rloc16 }

// Mode is the device's mode.
func (m *MLE) Mode() neighbor.Mode { return m.mode }

// Partition is the id of the partition.
func (m *MLE) Partition() uint32 { return m.partition.Partition }

// LeaderID is the leader's router id.
func (m *MLE) LeaderID() uint8 { return m.partition.LeaderID }

// LeaderRLOC16 is the leader's short address.
func (m *MLE) LeaderRLOC16() uint16 { return neighbor.RouterRLOC16(m.partition.LeaderID) }

// LeaderData is the present leader data; false while detached.
func (m *MLE) LeaderData() (LeaderData, bool) {
	d := m.partition
	d.DataVersion, d.StableVersion = m.DataVersion(), m.StableVersion()
	return d, m.Attached()
}

// NetData is the partition's network data. It must not be changed, nor kept
// over a call.
func (m *MLE) NetData() *netdata.Data {
	if m.leader != nil {
		return m.leader.Data()
	}
	return &m.data
}

// NetDataKnown reports whether NetData is that of the partition: after a
// restart, or a change of the partition, it comes a moment later.
func (m *MLE) NetDataKnown() bool { return !m.fetch }

// DataVersion is the version of the network data.
func (m *MLE) DataVersion() uint8 {
	if m.leader != nil {
		return m.leader.Version()
	}
	return m.version
}

// StableVersion is the version of the network data's stable part.
func (m *MLE) StableVersion() uint8 {
	if m.leader != nil {
		return m.leader.StableVersion()
	}
	return m.stable
}

// Leader is the network data to register entries in; nil unless the device is
// the leader. After a change NetDataUpdated must be called.
func (m *MLE) Leader() *netdata.Leader { return m.leader }

// MeshLocal is the mesh-local prefix.
func (m *MLE) MeshLocal() netip.Prefix { return m.meshLocal }

// MLEID is the mesh-local endpoint identifier.
func (m *MLE) MLEID() netip.Addr { return m.address(m.cfg.IID) }

// RLOC is the device's own locator; not valid without an RLOC16.
func (m *MLE) RLOC() netip.Addr {
	if m.rloc16 == neighbor.InvalidRLOC16 {
		return netip.Addr{}
	}
	return m.Locator(m.rloc16)
}

// Locator is the mesh-local address of an RLOC16 or ALOC16.
func (m *MLE) Locator(rloc16 uint16) netip.Addr {
	return m.address([8]byte{0, 0, 0, 0xff, 0xfe, 0, byte(rloc16 >> 8), byte(rloc16)})
}

func (m *MLE) address(iid [8]byte) netip.Addr {
	if !m.meshLocal.IsValid() {
		return netip.Addr{}
	}
	b := m.meshLocal.Addr().As16()
	copy(b[8:], iid[:])
	return netip.AddrFrom16(b)
}

// LinkLocal is the device's link-local address.
func (m *MLE) LinkLocal() netip.Addr { return linkLocal(m.cfg.MAC.Ext()) }

func linkLocal(ext ieee802154.ExtAddr) netip.Addr {
	b := [16]byte{0: 0xfe, 1: 0x80}
	iid := ext.IID()
	copy(b[8:], iid[:])
	return netip.AddrFrom16(b)
}

// Counters returns the counters with the time of the present role in them.
func (m *MLE) Counters() Counters {
	c := m.counters
	c.Time[m.role] += m.cfg.Clock.Now().Sub(m.started)
	return c
}

// ResetCounters sets them to 0.
func (m *MLE) ResetCounters() {
	m.counters, m.started = Counters{}, m.cfg.Clock.Now()
}

// RoleSince is when the present role began.
func (m *MLE) RoleSince() time.Time { return m.started }

// active is the active dataset, empty if there is none.
func (m *MLE) active() *meshcop.Dataset {
	if d := m.cfg.Datasets.Active(); d != nil {
		return d
	}
	return &meshcop.Dataset{}
}
