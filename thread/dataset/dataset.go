package dataset

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"gatewayd/alarm"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/tmf"
)

// DefaultMinDelay is the shortest delay of a pending dataset (Thread 1.4,
// DELAY_TIMER_MINIMAL).
const DefaultMinDelay = 30 * time.Second

// DefaultKeyDelay is the shortest delay with a new network key (Thread 1.4
// Section 8.4.3.4, DELAY_TIMER_DEFAULT).
const DefaultKeyDelay = 300 * time.Second

// State is what must survive a restart: datasets as TLVs, empty if there is
// none. Pending ones have the delay that was left when they were stored.
type State struct {
	Active, Pending []byte
	// OwnActive and OwnPending are what the network does not have yet.
	OwnActive, OwnPending []byte `json:",omitempty"`
}

// Config is what a Manager needs. Log may be nil.
type Config struct {
	Clock *alarm.Clock
	Rand  *rand.Rand
	TMF   *tmf.Agent
	// Save stores the datasets durably.
	Save func(State)
	// Attached reports whether the node is part of a network, Leading whether
	// it is its leader.
	Attached, Leading func() bool
	// Leader is the leader's address, RLOC the node's own locator.
	Leader, RLOC func() netip.Addr
	// Session is the commissioner's session in the network data; false if there
	// is none.
	Session func() (uint16, bool)
	// ActiveChanged is called when the active dataset is another one,
	// PendingChanged when the pending one is.
	ActiveChanged, PendingChanged func()
	// DeviceChanged is called when, as leader, the node took a dataset from
	// somebody who is not the commissioner, who should know then.
	DeviceChanged func()
	// Log tells what an operator may want to know; err may be nil.
	Log func(id, text string, err error)
}

// Manager holds the datasets.
type Manager struct {
	cfg Config

	active  *meshcop.Dataset
	pending held
	// The node's own datasets, of which the network has others.
	ownActive  *meshcop.Dataset
	ownPending held

	delay  *alarm.Timer // of the pending dataset
	again  *alarm.Timer // stores the delay that is left
	soon   *alarm.Timer // follows a change of role
	offers [2]offer
	update *update

	stale bool             // the pending dataset is from before a restart
	tried *meshcop.Dataset // the active dataset, while the pending one is tried

	// MinDelay is the shortest delay that the leader gives a pending dataset.
	MinDelay time.Duration
	// KeyDelay is the shortest one of a new network key.
	KeyDelay time.Duration
}

// held is a dataset whose delay runs; none if d is nil.
type held struct {
	d   *meshcop.Dataset
	due time.Time
}

// hold starts a dataset's delay. Without one it is due at once.
func hold(d *meshcop.Dataset, now time.Time) held {
	var delay time.Duration
	if d.Delay != nil {
		delay = min(time.Duration(*d.Delay)*time.Millisecond, maxDelay)
	}
	return held{d, now.Add(delay)}
}

// left is the dataset with the delay that is left; nil if there is none.
func (h held) left(now time.Time) *meshcop.Dataset {
	if h.d == nil {
		return nil
	}
	d := h.d.Clone()
	d.Delay = new(uint32(max(0, h.due.Sub(now).Milliseconds())))
	return &d
}

// timestamp is that of the pending dataset; nil if there is none.
func (h held) timestamp() *meshcop.Timestamp {
	if h.d == nil {
		return nil
	}
	return h.d.PendingTimestamp
}

// newer reports whether a is later than b; nil is earlier than any.
func newer(a, b *meshcop.Timestamp) bool {
	return a != nil && (b == nil || a.Compare(*b) > 0)
}

// New returns a Manager without datasets, which answers management requests.
func New(cfg Config) *Manager {
	m := &Manager{cfg: cfg, MinDelay: DefaultMinDelay, KeyDelay: DefaultKeyDelay}
	m.delay = cfg.Clock.NewTimer(m.activate)
	m.again = cfg.Clock.NewTimer(m.save)
	m.soon = cfg.Clock.NewTimer(m.followRole)
	m.offers[active] = offer{timer: cfg.Clock.NewTimer(func() { m.offer(active) })}
	m.offers[pending] = offer{timer: cfg.Clock.NewTimer(func() { m.offer(pending) })}
	cfg.TMF.Handle(tmf.ActiveGet, func(r *tmf.Request) { m.get(r, m.active) })
	cfg.TMF.Handle(tmf.PendingGet, func(r *tmf.Request) { m.get(r, m.Pending()) })
	cfg.TMF.Handle(tmf.ActiveSet, m.setter(activeSet))
	cfg.TMF.Handle(tmf.ActiveReplace, m.setter(activeReplace))
	cfg.TMF.Handle(tmf.PendingSet, m.setter(pendingSet))
	return m
}

// Restore takes stored datasets. The delay of a pending one is not known any
// more: it does not run until it is told again.
func (m *Manager) Restore(s State) error {
	decode := func(what string, b []byte) (*meshcop.Dataset, error) {
		if len(b) == 0 {
			return nil, nil
		}
		d, err := meshcop.DecodeDataset(b)
		if err != nil {
			return nil, fmt.Errorf("dataset: stored %s dataset: %w", what, err)
		}
		return &d, nil
	}
	a, err := decode("active", s.Active)
	if err != nil {
		return err
	}
	p, err := decode("pending", s.Pending)
	if err != nil {
		return err
	}
	oa, err := decode("own active", s.OwnActive)
	if err != nil {
		return err
	}
	op, err := decode("own pending", s.OwnPending)
	if err != nil {
		return err
	}
	now := m.cfg.Clock.Now()
	m.active, m.ownActive = a, oa
	if p != nil {
		m.pending, m.stale = hold(p, now), true
	}
	if op != nil {
		m.ownPending = hold(op, now)
	}
	return nil
}

// Active is the active dataset, or nil. It must not be changed.
func (m *Manager) Active() *meshcop.Dataset { return m.active }

// Pending is the pending dataset with the delay that is left, or nil.
func (m *Manager) Pending() *meshcop.Dataset { return m.pending.left(m.cfg.Clock.Now()) }

// Own are the node's own active and pending dataset while the network has
// others; nil otherwise.
func (m *Manager) Own() (active, pending *meshcop.Dataset) {
	return m.ownActive, m.ownPending.left(m.cfg.Clock.Now())
}

// Stale reports whether the pending dataset is from before a restart, so that
// the network has to tell which one there is and what is left of its delay.
func (m *Manager) Stale() bool { return m.stale }

// PendingTimestamp is the pending dataset's; false if there is none.
func (m *Manager) PendingTimestamp() (meshcop.Timestamp, bool) {
	ts := m.pending.timestamp()
	if ts == nil {
		return meshcop.Timestamp{}, false
	}
	return *ts, true
}

func (m *Manager) activeTimestamp() *meshcop.Timestamp {
	if m.active == nil {
		return nil
	}
	return m.active.ActiveTimestamp
}

// SetActive sets the node's active dataset; nil removes it. A node that is
// child or router offers it to the leader, and uses it when the network does.
func (m *Manager) SetActive(d *meshcop.Dataset) {
	if d != nil {
		d = asActive(d)
		if m.cfg.Attached() && !m.cfg.Leading() {
			m.ownActive = d
			m.save()
			m.offers[active].timer.Start(0)
			return
		}
	}
	m.ownActive = nil
	m.replaceActive(d)
	if m.cfg.Leading() {
		m.cfg.DeviceChanged()
	}
}

// asActive is a copy of a dataset without what only a pending one has.
func asActive(d *meshcop.Dataset) *meshcop.Dataset {
	c := d.Clone()
	c.Remove(meshcop.TypePendingTimestamp)
	c.Remove(meshcop.TypeDelayTimer)
	return &c
}

func (m *Manager) replaceActive(d *meshcop.Dataset) {
	m.active, m.tried = d, nil
	m.save()
	m.cfg.ActiveChanged()
	m.updateSeen(active)
}

// SetPending sets the node's pending dataset, whose delay starts now; nil
// removes it. A node that is child or router offers it to the leader.
func (m *Manager) SetPending(d *meshcop.Dataset) {
	now := m.cfg.Clock.Now()
	if d == nil {
		m.ownPending = held{}
		m.dropPending()
		return
	}
	c := d.Clone()
	if m.cfg.Attached() && !m.cfg.Leading() {
		m.ownPending = hold(&c, now)
		m.save()
		m.offers[pending].timer.Start(0)
		return
	}
	m.ownPending = held{}
	m.replacePending(hold(&c, now))
	if m.cfg.Leading() {
		m.cfg.DeviceChanged()
	}
}

func (m *Manager) replacePending(h held) {
	m.pending, m.stale = h, false
	m.delay.StartAt(h.due)
	m.save()
	m.cfg.PendingChanged()
	m.updateSeen(pending)
}

// dropPending forgets the pending dataset.
func (m *Manager) dropPending() {
	if m.pending.d == nil {
		return
	}
	m.pending, m.stale = held{}, false
	m.delay.Stop()
	m.again.Stop()
	m.save()
	m.cfg.PendingChanged()
}

// activate makes the pending dataset the active one, if it is newer or has
// another network key. Either way it is pending no longer.
func (m *Manager) activate() {
	p := m.pending.d
	m.pending, m.stale = held{}, false
	m.again.Stop()
	rekey := m.active != nil && p.NetworkKey != nil && (m.active.NetworkKey == nil || *p.NetworkKey != *m.active.NetworkKey)
	if m.tried != nil || rekey || newer(p.ActiveTimestamp, m.activeTimestamp()) {
		if m.ownActive != nil && !newer(m.ownActive.ActiveTimestamp, p.ActiveTimestamp) {
			m.ownActive = nil
		}
		m.log("DATASET-ACTIVATED", "the pending dataset is the active one now", nil)
		m.replaceActive(asActive(p))
	} else {
		m.log("DATASET-OLD", "the pending dataset came to nothing: the active one is not older", nil)
		m.save()
	}
	m.cfg.PendingChanged()
}

// minSaved is the shortest time after which the delay that is left is stored
// again.
const minSaved = 10 * time.Second

// save stores everything. The delay that is left is stored whenever half of it
// is over: often enough for who restarts as leader, and rarely enough for
// flash memory.
func (m *Manager) save() {
	now := m.cfg.Clock.Now()
	bytesOf := func(d *meshcop.Dataset) []byte {
		if d == nil {
			return nil
		}
		return d.Append(nil)
	}
	a := m.active
	if m.tried != nil {
		a = m.tried
	}
	if m.delay.Running() {
		if half := m.pending.due.Sub(now) / 2; half >= minSaved {
			m.again.Start(half)
		}
	}
	m.cfg.Save(State{Active: bytesOf(a), Pending: bytesOf(m.pending.left(now)),
		OwnActive: bytesOf(m.ownActive), OwnPending: bytesOf(m.ownPending.left(now))})
}

func (m *Manager) log(id, text string, err error) {
	if m.cfg.Log != nil {
		m.cfg.Log(id, text, err)
	}
}

func same(a, b *meshcop.Dataset) bool {
	return a != nil && b != nil && bytes.Equal(a.Append(nil), b.Append(nil))
}
