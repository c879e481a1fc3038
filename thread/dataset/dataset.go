// Package dataset keeps the operational datasets of a Thread node: the active
// one, by which the network runs, and the pending one, which becomes active
// when its delay is over (Thread 1.4 Section 8.4.3 and 8.7).
package dataset

import (
	"bytes"
	"fmt"
	"time"

	"gatewayd/alarm"
	"gatewayd/coap"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/tmf"
)

// Config is what a Manager needs.
type Config struct {
	Clock *alarm.Clock
	TMF   *tmf.Agent
	// Save stores the datasets durably; empty is none. A pending dataset is
	// stored with the delay that is left.
	Save func(active, pending []byte)
	// ActiveChanged is called when the active dataset is another one.
	ActiveChanged func()
	// PendingChanged is called when the pending dataset is another one.
	PendingChanged func()
}

// Manager holds the datasets.
type Manager struct {
	cfg     Config
	active  *meshcop.Dataset
	pending *meshcop.Dataset
	due     time.Time
	timer   *alarm.Timer
}

// New returns a Manager without datasets, which answers MGMT_ACTIVE_GET and
// MGMT_PENDING_GET.
func New(cfg Config) *Manager {
	m := &Manager{cfg: cfg}
	m.timer = cfg.Clock.NewTimer(m.activate)
	cfg.TMF.Handle(tmf.ActiveGet, func(r *tmf.Request) { m.get(r, m.active) })
	cfg.TMF.Handle(tmf.PendingGet, func(r *tmf.Request) { m.get(r, m.Pending()) })
	return m
}

// Restore takes stored datasets. The delay of a pending one starts again with
// what was left when it was stored.
func (m *Manager) Restore(active, pending []byte) error {
	if len(active) > 0 {
		d, err := meshcop.DecodeDataset(active)
		if err != nil {
			return fmt.Errorf("dataset: stored active dataset: %w", err)
		}
		m.active = &d
	}
	if len(pending) > 0 {
		d, err := meshcop.DecodeDataset(pending)
		if err != nil {
			return fmt.Errorf("dataset: stored pending dataset: %w", err)
		}
		m.hold(&d)
	}
	return nil
}

// Active is the active dataset, or nil. It must not be changed.
func (m *Manager) Active() *meshcop.Dataset { return m.active }

// Pending is the pending dataset with the delay that is left, or nil.
func (m *Manager) Pending() *meshcop.Dataset {
	if m.pending == nil {
		return nil
	}
	d := m.pending.Clone()
	left := uint32(max(0, m.due.Sub(m.cfg.Clock.Now()).Milliseconds()))
	d.Delay = &left
	return &d
}

// ActiveTimestamp is the active dataset's, or none.
func (m *Manager) ActiveTimestamp() (meshcop.Timestamp, bool) {
	if m.active == nil || m.active.ActiveTimestamp == nil {
		return meshcop.Timestamp{}, false
	}
	return *m.active.ActiveTimestamp, true
}

// PendingTimestamp is the pending dataset's, or none.
func (m *Manager) PendingTimestamp() (meshcop.Timestamp, bool) {
	if m.pending == nil || m.pending.PendingTimestamp == nil {
		return meshcop.Timestamp{}, false
	}
	return *m.pending.PendingTimestamp, true
}

// SetActive replaces the active dataset; nil removes it.
func (m *Manager) SetActive(d *meshcop.Dataset) {
	if d != nil {
		c := d.Clone()
		c.Remove(meshcop.TypePendingTimestamp)
		c.Remove(meshcop.TypeDelayTimer)
		d = &c
	}
	m.active = d
	m.save()
	m.cfg.ActiveChanged()
}

// SetPending replaces the pending dataset; nil removes it. Its delay starts now.
func (m *Manager) SetPending(d *meshcop.Dataset) {
	if d == nil {
		if m.pending == nil {
			return
		}
		m.pending = nil
		m.timer.Stop()
	} else {
		c := d.Clone()
		m.hold(&c)
	}
	m.save()
	m.cfg.PendingChanged()
}

func (m *Manager) hold(d *meshcop.Dataset) {
	m.pending = d
	delay := time.Duration(0)
	if d.Delay != nil {
		delay = time.Duration(*d.Delay) * time.Millisecond
	}
	m.due = m.cfg.Clock.Now().Add(delay)
	m.timer.Start(delay)
}

// activate makes the pending dataset the active one, if it is newer or has
// another network key. Either way it is pending no longer.
func (m *Manager) activate() {
	p := m.pending
	m.pending = nil
	newer := m.active == nil || p.ActiveTimestamp != nil &&
		(m.active.ActiveTimestamp == nil || p.ActiveTimestamp.Compare(*m.active.ActiveTimestamp) > 0)
	rekey := m.active != nil && p.NetworkKey != nil && m.active.NetworkKey != nil && *p.NetworkKey != *m.active.NetworkKey
	if newer || rekey {
		m.SetActive(p)
	} else {
		m.save()
	}
	m.cfg.PendingChanged()
}

func (m *Manager) save() {
	var active, pending []byte
	if m.active != nil {
		active = m.active.Append(nil)
	}
	if p := m.Pending(); p != nil {
		pending = p.Append(nil)
	}
	m.cfg.Save(active, pending)
}

// get answers MGMT_ACTIVE_GET and MGMT_PENDING_GET: the TLVs that were asked
// for, or all; of a pending dataset always the delay that is left. The network
// key stays here if the security policy does not let it be obtained.
func (m *Manager) get(r *tmf.Request, d *meshcop.Dataset) {
	if d == nil {
		r.Respond(coap.Changed, nil)
		return
	}
	out := d.Clone()
	if v, ok := meshcop.TLVs(r.Payload).Find(meshcop.TypeGet); ok {
		types := make([]meshcop.Type, 0, len(v)+1)
		for _, t := range v {
			types = append(types, meshcop.Type(t))
		}
		out = out.Only(append(types, meshcop.TypeDelayTimer))
	}
	if p := d.SecurityPolicy; p != nil && !p.ObtainNetworkKey {
		out.Remove(meshcop.TypeNetworkKey)
	}
	r.Respond(coap.Changed, out.Append(nil))
}

// AdoptActive takes the network's active dataset: its timestamp, and its TLVs
// without that.
func (m *Manager) AdoptActive(ts meshcop.Timestamp, tlvs meshcop.TLVs) {
	d, err := meshcop.DecodeDataset(tlvs)
	if err != nil {
		return // as if it had not come; what we have goes on
	}
	d.ActiveTimestamp = &ts
	if m.active != nil && bytes.Equal(d.Append(nil), m.active.Append(nil)) {
		return
	}
	m.SetActive(&d)
}

// AdoptPending takes the network's pending dataset likewise.
func (m *Manager) AdoptPending(ts meshcop.Timestamp, tlvs meshcop.TLVs) {
	d, err := meshcop.DecodeDataset(tlvs)
	if err != nil {
		return
	}
	d.PendingTimestamp = &ts
	m.SetPending(&d)
}

// ClearPending forgets the pending dataset.
func (m *Manager) ClearPending() { m.SetPending(nil) }
