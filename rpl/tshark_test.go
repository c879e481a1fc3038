package rpl

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatewayd/internal/wireshark"
)

// Wireshark finds nothing malformed in what two meshes say, and finds in it
// what ought to be there.
func TestTshark(t *testing.T) {
	wireshark.Program(t)
	var packets []wireshark.Packet
	for _, mop := range []MOP{NonStoring, Storing} {
		w := newWorld(t, 7)
		w.capture = func(p []byte) {
			packets = append(packets, wireshark.Packet{At: w.now, Bytes: bytes.Clone(p)})
		}
		random(w, RootConfig{MOP: mop, Config: DODAGConfig{RPI23: mop == Storing},
			Routes: []RouteInformation{{Prefix: prefix("2001:db8:5::/60"), Lifetime: time.Hour}}}, 20, 3)
		w.until("forming", 3*time.Minute, w.checkUp)
		w.until("pings", 2*time.Minute, w.allPing)
		w.stations[4].node.Stop()
	}
	const (
		checksumBad   = "0"
		severityError = 0x800000
	)
	fields := []string{"_ws.malformed", "icmpv6.checksum.status", "_ws.expert.severity",
		"icmpv6.code", "ipv6.routing.type", "ipv6.opt.type", "icmpv6.rpl.opt.type", "icmpv6.rpl.opt.route.prefix"}
	seen := map[string]bool{}
	lines := wireshark.Fields(t, packets, fields)
	if len(lines) != len(packets) {
		t.Fatalf("%d lines for %d packets", len(lines), len(packets))
	}
	for i, line := range lines {
		f := strings.Split(line, "|")
		wrong := f[0] != "" || f[1] == checksumBad
		for v := range strings.SplitSeq(f[2], ",") {
			n, _ := strconv.Atoi(v)
			wrong = wrong || n >= severityError
		}
		if wrong {
			t.Errorf("packet %d is wrong for Wireshark: %s\n%x", i, line, packets[i].Bytes)
		}
		for k := 3; k < len(f); k++ {
			for v := range strings.SplitSeq(f[k], ",") {
				seen[fields[k]+" "+v] = true
			}
		}
	}
	for _, want := range []string{
		"icmpv6.code 0", "icmpv6.code 1", "icmpv6.code 2", "icmpv6.code 3",
		"ipv6.routing.type 3", "ipv6.opt.type 0x63", "ipv6.opt.type 0x23",
		"icmpv6.rpl.opt.type 4", "icmpv6.rpl.opt.type 5", "icmpv6.rpl.opt.type 6", "icmpv6.rpl.opt.type 8",
		"icmpv6.rpl.opt.route.prefix 2001:db8:5::",
	} {
		if !seen[want] {
			t.Errorf("no packet with %s", want)
		}
	}
	t.Logf("%d packets", len(packets))
}
