package pana

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatewayd/internal/wireshark"
	"gatewayd/ipv6"
)

// tshark reads what our client, relay element and agent say to each other, and
// finds nothing wrong with it.
func TestTshark(t *testing.T) {
	wireshark.Program(t)
	var packets []wireshark.Packet
	l := newLab(t, 1)
	l.tap = func(from, to netip.AddrPort, b []byte) bool {
		packets = append(packets, wireshark.Packet{At: l.clock.Now(), Bytes: ipv6.AppendUDPPacket(nil,
			ipv6.Header{Src: from.Addr(), Dst: to.Addr(), HopLimit: 255}, from.Port(), to.Port(), b)})
		return true
	}
	p := l.serve(func(c *PAAConfig) {
		c.Encrypt = true
		c.Deliver = func(Info) []AVP { return []AVP{netKey.AVP()} }
		c.Relay = func(netip.AddrPort) bool { return true }
	})
	l.relay(preA, nil)
	for i, to := range []netip.AddrPort{paaAddr, preA} {
		d := l.join(clientAddr(i+10), func(c *PaCConfig) {
			c.Delivered = func([]AVP) {}
			c.NoPiggyback = i == 1
		})
		d.Start(to)
		l.run(time.Second)
		_ = d.Ping()
		_ = d.Ask(KeyRequest{}.AVP())
		_ = d.Reauthenticate()
		l.run(time.Second)
		p.PushAll([]AVP{netKey.AVP()})
		l.run(time.Second)
		d.Terminate()
		l.run(time.Second)
		want(t, "client is", d.State(), Closed)
	}
	lines := wireshark.Fields(t, packets, []string{"frame.protocols", "_ws.malformed", "_ws.expert.message", "pana.type"})
	if len(lines) != len(packets) || len(lines) < 50 {
		t.Errorf("tshark read %d packets of %d", len(lines), len(packets))
	}
	for i, line := range lines {
		f := strings.Split(line, "|")
		if !strings.Contains(f[0], ":pana") || f[1] != "" || f[2] != "" || f[3] == "" {
			t.Errorf("packet %d: %q", i, f)
		}
	}
}
