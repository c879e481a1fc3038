package dataset

import (
	"errors"
	"fmt"
	"time"

	"gatewayd/coap"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/tmf"
)

// maxDelay of a pending dataset (Thread 1.4 Section 8.4.3.4, DELAY_TIMER_MAX).
const maxDelay = 72 * time.Hour

// kind is which of the two datasets.
type kind uint8

const (
	active kind = iota
	pending
)

// command is a request to the leader.
type command uint8

const (
	activeSet command = iota
	activeReplace
	pendingSet
)

// Why the leader refuses a dataset.
var (
	ErrNotLeader    = errors.New("dataset: this node is not the leader")
	ErrTimestamp    = errors.New("dataset: a timestamp is missing")
	ErrOld          = errors.New("dataset: not newer than what there is")
	ErrSession      = errors.New("dataset: not the session of the active commissioner")
	ErrConnectivity = errors.New("dataset: channel, PAN ID, mesh-local prefix and network key change only by a pending dataset")
	ErrIncomplete   = errors.New("dataset: elements are missing")
)

// setter answers a request to set a dataset.
func (m *Manager) setter(c command) func(*tmf.Request) {
	return func(r *tmf.Request) {
		answer := meshcop.StateAccept
		o, err := m.decide(c, r.Payload)
		if err != nil {
			m.log("DATASET-REFUSED", "a dataset was refused", err)
			answer = meshcop.StateReject
		}
		r.Respond(coap.Changed, meshcop.AppendState(nil, answer))
		if err == nil {
			m.carryOut(o)
		}
	}
}

// outcome is what a request leads to.
type outcome struct {
	dataset      meshcop.Dataset
	kind         kind // the dataset that it replaces
	commissioner bool // asked for it
}

// carryOut does what was decided.
func (m *Manager) carryOut(o outcome) {
	if o.kind == active {
		m.ownActive = nil
		m.replaceActive(asActive(&o.dataset))
	} else {
		m.ownPending = held{}
		m.replacePending(hold(&o.dataset, m.cfg.Clock.Now()))
	}
	if !o.commissioner {
		m.cfg.DeviceChanged()
	}
}

// decide applies the leader's rules, in the order of Thread 1.4 Section 8.7.4
// and 8.7.5. What it returns shares no memory with the payload.
func (m *Manager) decide(c command, payload []byte) (o outcome, err error) {
	if !m.cfg.Leading() || m.active == nil {
		return o, ErrNotLeader
	}
	s, err := meshcop.DecodeDatasetSet(payload)
	if err != nil {
		return o, err
	}
	d := s.Dataset.Clone()
	if d.ActiveTimestamp == nil {
		return o, ErrTimestamp
	}
	if c == pendingSet {
		o.kind = pending
		if d.PendingTimestamp == nil {
			return o, ErrTimestamp
		}
		if !newer(d.PendingTimestamp, m.pending.timestamp()) {
			return o, ErrOld
		}
	} else if !newer(d.ActiveTimestamp, m.activeTimestamp()) {
		return o, ErrOld
	}
	moves, rekeys := m.effects(&d)
	if c == pendingSet && !rekeys && !newer(d.ActiveTimestamp, m.activeTimestamp()) {
		return o, ErrOld // back in time only with another key
	}
	o.dataset = d
	switch {
	case s.SessionID != nil:
		o.commissioner = true
		if id, ok := m.cfg.Session(); !ok || id != *s.SessionID {
			return o, ErrSession
		}
		if o.kind == active && moves {
			return o, ErrConnectivity
		}
		if c != activeReplace {
			o.dataset = m.active.Clone()
			o.dataset.Merge(&d)
		}
	case c == activeReplace:
		return o, ErrSession
	case o.kind == active && moves:
		// What would cut nodes off has to wait until all know of it.
		o.kind = pending
		o.dataset.PendingTimestamp = new(*d.ActiveTimestamp)
		o.dataset.Delay = new(uint32(0))
		if !newer(d.ActiveTimestamp, m.pending.timestamp()) {
			return o, ErrOld
		}
	}
	missing := o.dataset.MissingActive()
	if o.kind == pending {
		missing = o.dataset.MissingPending()
		o.dataset.Delay = m.clamp(o.dataset.Delay, rekeys)
	}
	if len(missing) > 0 {
		return o, fmt.Errorf("%w: %v", ErrIncomplete, missing)
	}
	if n := len(o.dataset.Append(nil)); n > meshcop.MaxDatasetLen {
		return o, fmt.Errorf("dataset: %d bytes, at most %d", n, meshcop.MaxDatasetLen)
	}
	return o, nil
}

// effects reports whether a dataset would cut nodes off that do not have it,
// and whether it has another network key.
func (m *Manager) effects(d *meshcop.Dataset) (moves, rekeys bool) {
	a := m.active
	rekeys = d.NetworkKey != nil && (a.NetworkKey == nil || *d.NetworkKey != *a.NetworkKey)
	moves = rekeys ||
		d.Channel != nil && (a.Channel == nil || *d.Channel != *a.Channel) ||
		d.PANID != nil && (a.PANID == nil || *d.PANID != *a.PANID) ||
		d.MeshLocalPrefix.IsValid() && d.MeshLocalPrefix != a.MeshLocalPrefix
	return moves, rekeys
}

// clamp keeps a delay within its limits.
func (m *Manager) clamp(ms *uint32, rekeys bool) *uint32 {
	if ms == nil {
		return nil
	}
	least := m.MinDelay
	if rekeys {
		least = max(least, m.KeyDelay)
	}
	d := min(max(time.Duration(*ms)*time.Millisecond, least), maxDelay)
	return new(uint32(d.Milliseconds()))
}
