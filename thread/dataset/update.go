package dataset

import (
	"errors"
	"math/rand/v2"

	"gatewayd/thread/meshcop"
)

// Why an update does not begin or comes to nothing.
var (
	ErrDetached   = errors.New("dataset: the node is not part of a network")
	ErrBusy       = errors.New("dataset: another update is under way")
	ErrUnchanged  = errors.New("dataset: the network is like that already")
	ErrNotUpdate  = errors.New("dataset: timestamps are not for an update to name")
	ErrSuperseded = errors.New("dataset: somebody else changed the network")
	ErrRejected   = errors.New("dataset: the network's leader refused the update")
	ErrCancelled  = errors.New("dataset: the update was given up")
	ErrNoPending  = errors.New("dataset: there is no pending dataset")
)

// update is a change of the network under way.
type update struct {
	want meshcop.Dataset // the elements to change, with both timestamps
	done func(error)
}

// Update changes the network: all elements of change take effect in all nodes
// when its delay is over, at least the shortest one that the leader gives. done
// is called once, when they have or when that came to nothing.
func (m *Manager) Update(change *meshcop.Dataset, done func(error)) error {
	switch {
	case !m.cfg.Attached() || m.active == nil || m.active.ActiveTimestamp == nil:
		return ErrDetached
	case change.ActiveTimestamp != nil || change.PendingTimestamp != nil:
		return ErrNotUpdate
	case m.update != nil:
		return ErrBusy
	}
	want := change.Clone()
	if contains(m.active, &want) {
		return ErrUnchanged
	}
	return m.begin(want, done)
}

// Revoke makes the pending dataset come to nothing: by a newer one that changes
// nothing but the timestamps, for nodes can only be told of newer ones. done is
// called when all have that, or when it was too late.
func (m *Manager) Revoke(done func(error)) error {
	switch {
	case !m.cfg.Attached() || m.active == nil || m.active.ActiveTimestamp == nil:
		return ErrDetached
	case m.pending.d == nil:
		return ErrNoPending
	case m.update != nil:
		m.finishUpdate(ErrCancelled)
	}
	return m.begin(meshcop.Dataset{}, done)
}

// begin changes the network: the timestamps are added here.
func (m *Manager) begin(want meshcop.Dataset, done func(error)) error {
	at := *m.active.ActiveTimestamp
	if p := m.pending.d; p != nil && newer(p.ActiveTimestamp, &at) {
		at = *p.ActiveTimestamp
	}
	from, _ := m.PendingTimestamp()
	want.ActiveTimestamp = new(advance(at, m.cfg.Rand))
	want.PendingTimestamp = new(advance(from, m.cfg.Rand))
	whole := m.active.Clone()
	whole.Merge(&want)
	if whole.Delay == nil {
		whole.Delay = new(uint32(0))
	}
	u := &update{want: want, done: done}
	if !m.cfg.Leading() {
		m.update = u
		m.SetPending(&whole)
		return nil
	}
	o, err := m.decide(pendingSet, whole.Append(nil))
	if err != nil {
		return err
	}
	m.update = u
	m.carryOut(o)
	return nil
}

// Updating reports whether an update is under way.
func (m *Manager) Updating() bool { return m.update != nil }

// CancelUpdate gives an update up as far as that is possible: what the leader
// has taken goes on.
func (m *Manager) CancelUpdate() {
	if u := m.update; u != nil {
		if p := m.ownPending.timestamp(); p != nil && *p == *u.want.PendingTimestamp {
			m.ownPending = held{}
			m.save()
		}
		m.finishUpdate(ErrCancelled)
	}
}

func (m *Manager) finishUpdate(err error) {
	u := m.update
	m.update = nil
	if u.done != nil {
		u.done(err)
	}
}

// updateSeen compares a new dataset of the network with the update.
func (m *Manager) updateSeen(k kind) {
	u := m.update
	if u == nil {
		return
	}
	d, at, wanted := m.active, m.activeTimestamp(), u.want.ActiveTimestamp
	if k == pending {
		d, at, wanted = m.pending.d, m.pending.timestamp(), u.want.PendingTimestamp
	}
	switch {
	case d == nil:
	case contains(d, &u.want):
		if k == active {
			m.finishUpdate(nil)
		}
	case !newer(wanted, at):
		m.finishUpdate(ErrSuperseded)
	}
}

// updateRejected ends an update whose pending dataset the leader refused.
func (m *Manager) updateRejected() {
	u := m.update
	if u == nil {
		return
	}
	if p := m.ownPending.timestamp(); p != nil && *p == *u.want.PendingTimestamp {
		m.ownPending = held{}
		m.save()
		m.finishUpdate(ErrRejected)
	}
}

// contains reports whether a dataset has all elements of another, but for what
// only a pending one has.
func contains(d, sub *meshcop.Dataset) bool {
	have := meshcop.TLVs(d.Append(nil))
	for t := range meshcop.TLVs(sub.Append(nil)).All() {
		if t.Type == meshcop.TypePendingTimestamp || t.Type == meshcop.TypeDelayTimer {
			continue
		}
		if v, ok := have.Find(t.Type); !ok || string(v) != string(t.Value) {
			return false
		}
	}
	return true
}

// advance is a later timestamp, by less than a second. By chance, so that two
// who change the network at the same time do not choose the same one.
func advance(ts meshcop.Timestamp, r *rand.Rand) meshcop.Timestamp {
	ticks := uint32(ts.Ticks) + 1 + r.Uint32N(meshcop.MaxTicks)
	ts.Seconds += uint64(ticks / (meshcop.MaxTicks + 1))
	ts.Ticks = uint16(ticks % (meshcop.MaxTicks + 1))
	ts.Authoritative = false
	return ts
}
