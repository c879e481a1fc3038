package mle

import (
	"net/netip"

	"gatewayd/ipv6"
	"gatewayd/thread/ip"
	"gatewayd/thread/neighbor"
)

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

func (m *MLE) addLeaderALOC() {
	if m.meshLocal.IsValid() {
		m.cfg.IP.Add(ip.Address{Addr: m.Locator(leaderALOC), Bits: 64, Preferred: true, Locator: true})
	}
}
