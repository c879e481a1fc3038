package dataset

import (
	"gatewayd/thread/meshcop"
)

// AdoptActive takes the network's active dataset: its timestamp, and its TLVs
// without that. One of our own that is newer is offered to the leader.
func (m *Manager) AdoptActive(ts meshcop.Timestamp, tlvs meshcop.TLVs) {
	d, err := meshcop.DecodeDataset(tlvs)
	if err != nil {
		m.log("DATASET-MALFORMED", "the network's active dataset makes no sense, the old one stays", err)
		return
	}
	d = *asActive(&d)
	d.ActiveTimestamp = &ts
	if same(&d, m.active) {
		return
	}
	own := m.ownActive
	if own == nil {
		own = m.active
	}
	m.ownActive = nil
	if own != nil && newer(own.ActiveTimestamp, &ts) {
		m.ownActive = own
		m.offers[active].timer.Start(offerInterval)
	}
	m.replaceActive(&d)
}

// AdoptPending takes the network's pending dataset likewise.
func (m *Manager) AdoptPending(ts meshcop.Timestamp, tlvs meshcop.TLVs) {
	d, err := meshcop.DecodeDataset(tlvs)
	if err != nil {
		m.log("DATASET-MALFORMED", "the network's pending dataset makes no sense, the old one stays", err)
		return
	}
	d = d.Clone()
	d.PendingTimestamp = &ts
	own := m.ownPending
	if own.d == nil && !m.stale {
		own = m.pending
	}
	m.ownPending = held{}
	if newer(own.timestamp(), &ts) {
		m.ownPending = own
		m.offers[pending].timer.Start(offerInterval)
	}
	m.replacePending(hold(&d, m.cfg.Clock.Now()))
}

// ClearPending forgets the pending dataset: the network has none.
func (m *Manager) ClearPending() { m.dropPending() }

// RoleChanged follows a new role of the node.
func (m *Manager) RoleChanged() { m.soon.Start(0) }

// followRole makes a leader use its own datasets, and run the delay of a
// pending one; others offer theirs.
func (m *Manager) followRole() {
	if !m.cfg.Leading() {
		for _, k := range []kind{active, pending} {
			if !m.offers[k].timer.Running() {
				m.offers[k].timer.Start(offerInterval)
			}
		}
		return
	}
	if own := m.ownActive; own != nil {
		m.ownActive = nil
		m.replaceActive(own)
	}
	if own := m.ownPending; own.d != nil {
		m.ownPending = held{}
		m.replacePending(own)
	}
	if m.pending.d != nil && !m.delay.Running() {
		m.delay.StartAt(m.pending.due)
	}
}

// Stopped follows the node's leaving its network by command: what it was set
// to use is what it uses from now on.
func (m *Manager) Stopped() {
	m.offers[active].timer.Stop()
	m.offers[pending].timer.Stop()
	m.EndTry(false)
	if own := m.ownActive; own != nil {
		m.ownActive = nil
		m.replaceActive(own)
	}
}

// TryPending makes the pending dataset the active one for a try: the network
// may have moved while the device was away. It returns false if there is none
// from before a restart.
func (m *Manager) TryPending() bool {
	if m.pending.d == nil || !m.stale || m.tried != nil || m.active == nil {
		return false
	}
	m.tried, m.active = m.active, asActive(m.pending.d)
	m.cfg.ActiveChanged()
	return true
}

// EndTry ends a try. With found set the network is there: the dataset stays
// active and is pending no longer. Otherwise all is as before.
func (m *Manager) EndTry(found bool) {
	if m.tried == nil {
		return
	}
	if found {
		m.tried = nil
		m.dropPending()
		return
	}
	m.active, m.tried = m.tried, nil
	m.cfg.ActiveChanged()
}
