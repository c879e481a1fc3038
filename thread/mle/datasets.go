package mle

import (
	"time"

	"gatewayd/thread/meshcop"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/netdata"
)

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
			if m.role == Disabled {
				m.Forget() // another network: nothing to come back to
			}
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
		m.meshLocal, m.contexts = d.MeshLocalPrefix, nil
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
	if !changed {
		return
	}
	if m.leader != nil {
		m.NetDataUpdated(m.leader.Bump(netdata.Change{Data: true, Stable: true}))
	}
	// Who misses the one Data Response must know before a short delay is over.
	m.advertiseSoon()
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
		n.StartCounters(0)
		n.KeySequence, n.MLECounter = 0, 0
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
