package mle

import (
	"gatewayd/thread/neighbor"
)

// load takes what was stored: the mode, the role to come back to, parent and
// children.
func (m *MLE) load() {
	if m.cfg.Store == nil {
		return
	}
	m.saved = m.cfg.Store.Load()
	n := m.saved.Network
	if n.Role < Child || n.RLOC16 == neighbor.InvalidRLOC16 {
		m.saved = Saved{}
		return
	}
	m.mode = n.Mode | neighbor.ModeSecureDataReq
	if m.cfg.MinimalOnly {
		m.mode &^= neighbor.ModeFullThread
	}
}

// save stores what the device is now, while it is part of a network.
func (m *MLE) save() {
	if m.cfg.Store == nil {
		return
	}
	n := m.saved.Network
	n.Mode = m.mode
	if m.Attached() {
		n = NetworkInfo{Role: m.role, Mode: m.mode, RLOC16: m.rloc16, Partition: m.partition.Partition}
		if m.role == Leader {
			n.DataVersion, n.StableVersion = m.DataVersion(), m.StableVersion()
			n.Alone = m.cfg.Table.ActiveRouters() <= 1
		}
		if m.role == Child {
			p := ParentInfo{Ext: m.cfg.Table.Parent.Ext, Version: m.cfg.Table.Parent.Version}
			if m.saved.Parent == nil || *m.saved.Parent != p {
				m.saved.Parent = &p
				m.cfg.Store.SaveParent(p)
			}
		}
	}
	if n != m.saved.Network {
		m.saved.Network = n
		m.cfg.Store.SaveNetwork(n)
	}
}

func (m *MLE) saveChild(c *neighbor.Child) {
	if m.cfg.Store != nil {
		m.cfg.Store.SaveChild(ChildInfo{Ext: c.Ext, RLOC16: c.RLOC16, Mode: c.Mode, Version: c.Version, Timeout: c.Timeout})
	}
}

// Forget drops everything that is stored of a network that is left for good.
func (m *MLE) Forget() {
	m.removeChildren()
	m.saved = Saved{}
	m.routing.previousID = neighbor.InvalidID
	if m.cfg.Store != nil {
		m.cfg.Store.SaveNetwork(NetworkInfo{Mode: m.mode, RLOC16: neighbor.InvalidRLOC16})
	}
}
