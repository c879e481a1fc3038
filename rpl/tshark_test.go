package rpl

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Wireshark finds nothing malformed in what two meshes say, and finds in it
// what ought to be there.
func TestTshark(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed")
	}
	name := filepath.Join(t.TempDir(), "rpl.pcap")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	out := pcapgo.NewWriter(f)
	if err := out.WriteFileHeader(65536, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	frames := 0
	for _, mop := range []MOP{NonStoring, Storing} {
		w := newWorld(t, 7)
		w.capture = func(p []byte) {
			frames++
			info := gopacket.CaptureInfo{Timestamp: w.now, CaptureLength: len(p), Length: len(p)}
			if err := out.WritePacket(info, p); err != nil {
				t.Fatal(err)
			}
		}
		random(w, RootConfig{MOP: mop, Config: DODAGConfig{RPI23: mop == Storing},
			Routes: []RouteInformation{{Prefix: prefix("2001:db8:5::/60"), Lifetime: time.Hour}}}, 20, 3)
		w.until("forming", 3*time.Minute, w.checkUp)
		w.until("pings", 2*time.Minute, w.allPing)
		w.stations[4].node.Stop()
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	count := func(filter string) int {
		t.Helper()
		b, err := exec.Command(tshark, "-r", name, "-Y", filter, "-T", "fields", "-e", "frame.number").Output()
		if err != nil {
			t.Fatalf("tshark %s: %v", filter, err)
		}
		return strings.Count(string(b), "\n")
	}
	if n := count("_ws.malformed || _ws.expert.severity == error || icmpv6.checksum.status == Bad"); n != 0 {
		b, _ := exec.Command(tshark, "-r", name, "-Y", "_ws.malformed || _ws.expert.severity == error || icmpv6.checksum.status == Bad", "-V", "-c", "2000").Output()
		t.Errorf("%d of %d frames are malformed:\n%.3000s", n, frames, b)
	}
	for _, filter := range []string{
		"icmpv6.code == 0 && icmpv6.type == 155", "icmpv6.code == 1 && icmpv6.type == 155",
		"icmpv6.code == 2 && icmpv6.type == 155", "icmpv6.code == 3 && icmpv6.type == 155",
		"ipv6.routing.type == 3", "ipv6.opt.type == 0x63", "ipv6.opt.type == 0x23",
		"icmpv6.rpl.opt.type == 4", "icmpv6.rpl.opt.type == 5", "icmpv6.rpl.opt.type == 6", "icmpv6.rpl.opt.type == 8",
		"icmpv6.rpl.opt.route.prefix == 2001:db8:5::",
	} {
		if count(filter) == 0 {
			t.Errorf("no frame matches %s", filter)
		}
	}
	t.Logf("%d frames", frames)
}
