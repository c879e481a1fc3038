package srp

import (
	"net/netip"
	"slices"
	"testing"

	"gatewayd/internal/wireshark"
	"gatewayd/ipv6"
)

// Wireshark finds nothing malformed in the server's answers.
func TestTshark(t *testing.T) {
	w := newWorld(t)
	c, other := w.client(), w.client()
	messages := [][]byte{
		c.message(plain("a", "x")),
		c.message(with(plain("a"), func(a *ask) { a.short = true })),
		other.message(plain("a")),
		other.message(with(plain("b"), func(a *ask) { a.zone = "example.com." })),
		c.message(plain("a"))[:100],
	}
	var packets []wireshark.Packet
	server := netip.MustParseAddrPort("[fd00::1]:53535")
	for _, m := range messages {
		reply := w.server.Receive(peer, m)
		b := ipv6.AppendUDPPacket(nil, ipv6.Header{Src: server.Addr(), Dst: peer.Addr(), HopLimit: 64}, server.Port(), peer.Port(), reply)
		packets = append(packets, wireshark.Packet{At: began, Bytes: b})
	}
	got := wireshark.Fields(t, packets, []string{"dns.flags.opcode", "dns.flags.rcode", "dns.opt.code", "_ws.malformed", "_ws.expert.message"},
		"-d", "udp.port==53535,dns")
	if want := []string{"5|0|2||", "5|0|2||", "5|6|||", "5|9|||", "5|1|||"}; !slices.Equal(got, want) {
		t.Errorf("tshark says %q, want %q", got, want)
	}
}
