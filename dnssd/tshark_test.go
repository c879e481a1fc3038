package dnssd_test

import (
	"net/netip"
	"testing"
	"time"

	"gatewayd/internal/wireshark"
	"gatewayd/ipv6"
)

// Wireshark finds nothing malformed in the resolver's answers and questions.
func TestTshark(t *testing.T) {
	w := full(t)
	server := netip.MustParseAddrPort("[fd00::1]:53")
	var packets []wireshark.Packet
	add := func(from, to netip.AddrPort, b []byte) {
		b = ipv6.AppendUDPPacket(nil, ipv6.Header{Src: from.Addr(), Dst: to.Addr(), HopLimit: 64}, from.Port(), to.Port(), b)
		packets = append(packets, wireshark.Packet{At: began, Bytes: b})
	}
	for _, q := range queries(w) {
		w.sent = nil
		w.resolver.Receive(peer, q)
		w.pass(time.Minute)
		for _, a := range w.sent {
			add(server, peer, a)
		}
	}
	for _, q := range w.up.queries {
		add(peer, server, q)
	}
	lines := wireshark.Fields(t, packets, []string{"dns.flags.opcode", "_ws.malformed", "_ws.expert.message"})
	if len(lines) != len(packets) || len(packets) < 80 {
		t.Fatalf("%d lines of %d packets", len(lines), len(packets))
	}
	for i, l := range lines {
		if l != "0||" {
			t.Errorf("packet %d: %s", i, l)
		}
	}
}
