package srp

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"gatewayd/ipv6"
)

// Wireshark finds nothing malformed in the server's answers.
func TestTshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed")
	}
	w := newWorld(t)
	c, other := w.client(), w.client()
	messages := [][]byte{
		c.message(plain("a", "x")),
		c.message(with(plain("a"), func(a *ask) { a.short = true })),
		other.message(plain("a")),
		other.message(with(plain("b"), func(a *ask) { a.zone = "example.com." })),
		c.message(plain("a"))[:100],
	}
	name := filepath.Join(t.TempDir(), "srp.pcap")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := pcapgo.NewWriter(f)
	if err := p.WriteFileHeader(65535, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	server := netip.MustParseAddrPort("[fd00::1]:53535")
	for _, m := range messages {
		reply := w.server.Receive(peer, m)
		b := ipv6.AppendUDPPacket(nil, ipv6.Header{Src: server.Addr(), Dst: peer.Addr(), HopLimit: 64}, server.Port(), peer.Port(), reply)
		if err := p.WritePacket(gopacket.CaptureInfo{Timestamp: began, CaptureLength: len(b), Length: len(b)}, b); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(tshark, "-r", name, "-d", "udp.port==53535,dns", "-T", "fields", "-E", "separator=|",
		"-e", "dns.flags.opcode", "-e", "dns.flags.rcode", "-e", "dns.opt.code", "-e", "_ws.malformed", "-e", "_ws.expert.message").Output()
	if err != nil {
		t.Fatalf("tshark: %v: %s", err, out)
	}
	const want = "5|0|2||\n5|0|2||\n5|6|||\n5|9|||\n5|1|||"
	if got := strings.TrimSpace(string(out)); got != want {
		t.Errorf("tshark says\n%s\nwant\n%s", got, want)
	}
}
