package dhcp

import (
	"net/netip"

	"gatewayd/ieee802154"
	"gatewayd/thread/ip"
	"gatewayd/thread/link"
	"gatewayd/thread/netdata"
)

// AgentConfig is what an Agent needs.
type AgentConfig struct {
	IP   *ip.Stack
	Data func() *netdata.Data
	// Attached reports whether the node is part of a network.
	Attached func() bool
	RLOC16   func() uint16
	EUI64    func() ieee802154.ExtAddr
}

// Agent answers for the prefixes that the node serves by DHCP. Update must be
// called when the network data or the node's locator changed.
type Agent struct {
	cfg      AgentConfig
	prefixes []netip.Prefix
}

// NewAgent returns an Agent that answers for no prefix.
func NewAgent(cfg AgentConfig) *Agent { return &Agent{cfg: cfg} }

// Update follows the network data.
func (a *Agent) Update() {
	had := len(a.prefixes) > 0
	a.prefixes = nil
	if a.cfg.Attached() {
		for _, p := range a.cfg.Data().Prefixes {
			if p.Prefix.Bits() <= 64 && p.AgentAt(a.cfg.RLOC16()) {
				a.prefixes = append(a.prefixes, p.Prefix)
			}
		}
	}
	switch has := len(a.prefixes) > 0; {
	case has && !had:
		a.cfg.IP.HandleUDP(ServerPort, a.receive)
	case had && !has:
		a.cfg.IP.HandleUDP(ServerPort, nil)
	}
}

func (a *Agent) receive(d *ip.Datagram) {
	m, err := Decode(d.Payload)
	if err != nil {
		return
	}
	r, ok := a.answer(&m)
	if !ok {
		return
	}
	src := d.Dst.Addr()
	if src.IsMulticast() {
		src = netip.Addr{}
	}
	_ = a.cfg.IP.SendUDP(ip.Datagram{Src: netip.AddrPortFrom(src, ServerPort),
		Dst: netip.AddrPortFrom(d.Src.Addr(), ClientPort), Payload: r.Append(nil)}, link.Options{Priority: link.Normal})
}

// answer is the Reply to a Solicit with Rapid Commit of a device whose DUID has
// its EUI-64. It has the addresses in the prefixes that were asked for, or in
// all.
func (a *Agent) answer(m *Message) (r Message, ok bool) {
	eui64, known := EUI64Of(m.ClientID)
	if m.Type != Solicit || !known || m.ServerID != nil || !m.RapidCommit || m.IA == nil {
		return r, false
	}
	r = Message{Type: Reply, Transaction: m.Transaction, ServerID: DUID(a.cfg.EUI64()), ClientID: m.ClientID, RapidCommit: true,
		IA: &IA{ID: m.IA.ID, T1: Forever, T2: Forever}}
	asked := func(p netip.Prefix) bool {
		for _, x := range m.IA.Addresses {
			if p.Contains(x.Addr) {
				return true
			}
		}
		return false
	}
	all := true
	for _, p := range a.prefixes {
		all = all && !asked(p)
	}
	for _, p := range a.prefixes {
		if all || asked(p) {
			b, iid := p.Addr().As16(), eui64.IID()
			copy(b[8:], iid[:])
			r.IA.Addresses = append(r.IA.Addresses, IAAddress{netip.AddrFrom16(b), Forever, Forever})
		}
	}
	return r, true
}
