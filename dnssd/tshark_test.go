package dnssd_test

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"gatewayd/ipv6"
)

// Wireshark finds nothing malformed in the resolver's answers and questions.
func TestTshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed")
	}
	w := full(t)
	name := filepath.Join(t.TempDir(), "dns.pcap")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := pcapgo.NewWriter(f)
	if err := p.WriteFileHeader(65535, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	server := netip.MustParseAddrPort("[fd00::1]:53")
	packets := 0
	add := func(from, to netip.AddrPort, b []byte) {
		packets++
		b = ipv6.AppendUDPPacket(nil, ipv6.Header{Src: from.Addr(), Dst: to.Addr(), HopLimit: 64}, from.Port(), to.Port(), b)
		if err := p.WritePacket(gopacket.CaptureInfo{Timestamp: began, CaptureLength: len(b), Length: len(b)}, b); err != nil {
			t.Fatal(err)
		}
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
	out, err := exec.Command(tshark, "-r", name, "-T", "fields", "-E", "separator=|", "-e", "dns.flags.opcode", "-e", "_ws.malformed", "-e", "_ws.expert.message").Output()
	if err != nil {
		t.Fatalf("tshark: %v: %s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != packets || packets < 80 {
		t.Fatalf("%d lines of %d packets", len(lines), packets)
	}
	for i, l := range lines {
		if l != "0||" {
			t.Errorf("packet %d: %s", i, l)
		}
	}
}
