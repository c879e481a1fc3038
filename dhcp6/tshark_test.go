package dhcp6

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"gatewayd/internal/wireshark"
	"gatewayd/ipv6"
)

// Wireshark finds nothing malformed in what server and client say.
func TestTshark(t *testing.T) {
	var packets []wireshark.Packet
	add := func(from, to netip.AddrPort, b []byte) {
		b = ipv6.AppendUDPPacket(nil, ipv6.Header{Src: from.Addr(), Dst: to.Addr(), HopLimit: 64}, from.Port(), to.Port(), b)
		packets = append(packets, wireshark.Packet{At: began, Bytes: b})
	}
	server := netip.MustParseAddrPort("[fe80::1]:547")
	w := newWorld(t, func(c *Config) {
		c.DNS, c.SNTP, c.Search = []netip.Addr{netip.MustParseAddr("2001:db8::53")}, []netip.Addr{netip.MustParseAddr("2001:db8::123")}, []string{"mesh.example"}
		c.Preference = 7
	})
	ask := func(b []byte, from netip.AddrPort) {
		r, to := w.server.Receive(from, b, false)
		add(server, to, r)
	}
	oro := dhcpv6.OptRequestedOption(dhcpv6.OptionDNSRecursiveNameServer, dhcpv6.OptionSNTPServerList, dhcpv6.OptionDomainSearchList)
	ask(w.message(dhcpv6.MessageTypeSolicit, clientID(1), oro, ianaOf(1)).ToBytes(), client)
	a := bind(w, 1, 1)
	ask(w.message(dhcpv6.MessageTypeRenew, clientID(1), serverID(), ianaOf(1, a), ianaOf(2, a)).ToBytes(), client)
	ask(w.message(dhcpv6.MessageTypeConfirm, clientID(1), ianaOf(1, a)).ToBytes(), client)
	ask(w.message(dhcpv6.MessageTypeDecline, clientID(1), serverID(), ianaOf(1, a)).ToBytes(), client)
	inner := relayed(w.message(dhcpv6.MessageTypeInformationRequest, oro), 0, "2001:db8:1:2::1", "fe80::1", dhcpv6.OptInterfaceID([]byte("x")))
	ask(relayed(inner, 1, "::", "fe80::2").ToBytes(), netip.MustParseAddrPort("[fe80::3]:547"))

	u := newUpstream(t, func(c *ClientConfig) { c.Hint = netip.MustParsePrefix("::/56"); c.RapidCommit = true })
	u.bound()
	u.pass(1001 * 1e9)
	u.pass(1000 * 1e9)
	u.client.Release()
	for _, m := range u.sent {
		add(client, netip.AddrPortFrom(AllServersAndRelays, ServerPort), m.ToBytes())
	}

	types := map[string]bool{}
	for i, l := range wireshark.Fields(t, packets, []string{"dhcpv6.msgtype", "_ws.malformed", "_ws.expert.message"}) {
		typ, rest, _ := strings.Cut(l, "|")
		types[typ] = true
		if typ == "" || strings.Trim(rest, "|") != "" {
			t.Errorf("packet %d (%x): %s", i, packets[i].Bytes, l)
		}
	}
	for _, want := range []string{"1", "2", "3", "5", "6", "7", "8", "13,13,7"} {
		if !types[want] {
			t.Errorf("no message of type %s among %v", want, types)
		}
	}
}
