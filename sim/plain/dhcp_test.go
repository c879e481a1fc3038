package plain

import (
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"gatewayd/dhcp6"
	"gatewayd/wpan"
)

// serveDHCP makes the coordinator a DHCPv6 server, as package gateway does.
func serveDHCP(t *testing.T, l *lab) *dhcp6.Server {
	t.Helper()
	s, err := dhcp6.NewServer(dhcp6.Config{Clock: l.root.Clock(), DUID: dhcp6.DUIDFromEUI64([8]byte{7}), RapidCommit: true,
		Pools: []dhcp6.Pool{{Prefix: netip.MustParsePrefix("fd00:1::/64")}}})
	if err != nil {
		t.Fatal(err)
	}
	l.root.HandleUDP(dhcp6.ServerPort, func(d wpan.Datagram) {
		if reply, to := s.Receive(d.Src, d.Payload, !d.Dst.Addr().IsMulticast()); reply != nil {
			l.root.SendUDP(wpan.Datagram{Src: netip.AddrPortFrom(netip.Addr{}, dhcp6.ServerPort), Dst: to, Payload: reply})
		}
	})
	return s
}

var allDHCP = netip.MustParseAddrPort("[ff02::1:2]:547")

// solicit asks for an address with rapid commit, and returns the answers within
// five seconds.
func solicit(l *lab, n *Node) (answers []*dhcpv6.Message) {
	l.t.Helper()
	m, err := dhcpv6.NewMessage()
	if err != nil {
		l.t.Fatal(err)
	}
	ext := n.Ext()
	m.MessageType = dhcpv6.MessageTypeSolicit
	m.AddOption(dhcpv6.OptClientID(&dhcpv6.DUIDLL{HWType: 27, LinkLayerAddr: ext[:]}))
	m.AddOption(&dhcpv6.OptIANA{IaId: [4]byte{1}})
	m.AddOption(dhcpv6.OptElapsedTime(0))
	m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRapidCommit})
	n.HandleUDP(546, func(d wpan.Datagram) {
		if a, err := dhcpv6.MessageFromBytes(d.Payload); err == nil && a.TransactionID == m.TransactionID {
			answers = append(answers, a)
		}
	})
	n.Do(func() {
		n.SendUDP(wpan.Datagram{Src: netip.AddrPortFrom(n.Addresses()[0], 546), Dst: allDHCP, HopLimit: 1, Payload: m.ToBytes()})
	})
	l.Run(5 * time.Second)
	n.HandleUDP(546, nil)
	return answers
}

// Devices get leases, those several hops away by their router's relay agent.
func TestDHCP(t *testing.T) {
	l, r, h := chain(t, 41, nil)
	s := serveDHCP(t, l)
	for _, n := range []*Node{r, h} {
		answers := solicit(l, n)
		if len(answers) != 1 || answers[0].MessageType != dhcpv6.MessageTypeReply {
			t.Fatalf("%s: %v", n.Name, answers)
		}
		ia := answers[0].Options.OneIANA()
		if ia == nil || ia.Options.OneAddress() == nil {
			t.Fatalf("%s: no address in %v", n.Name, answers[0])
		}
		a, _ := netip.AddrFromSlice(ia.Options.OneAddress().IPv6Addr)
		if !netip.MustParsePrefix("fd00:1::/64").Contains(a) {
			t.Errorf("%s: %v", n.Name, a)
		}
	}
	if n := len(s.Leases()); n != 2 {
		t.Errorf("%d leases", n)
	}
	// What no client says is not relayed.
	before := s.Stats()
	h.Do(func() {
		for _, b := range [][]byte{nil, {12}, {12, 0, 1}, {13}, make([]byte, 40)} {
			h.SendUDP(wpan.Datagram{Src: netip.AddrPortFrom(h.Addresses()[0], 547), Dst: allDHCP, HopLimit: 1, Payload: b})
		}
	})
	l.Run(5 * time.Second)
	if after := s.Stats(); after != before {
		t.Errorf("%+v became %+v", before, after)
	}
}
