//go:build interop

package interop

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// Link metrics between their nodes and ours, each way around.
func TestLinkMetrics(t *testing.T) {
	bin, err := buildGateway()
	if err != nil {
		t.Fatal(err)
	}
	otProgram(t, "ot-cli-ftd")
	ns := newRCPNetns(t)
	ns.env = []string{nextOffset()}
	ours, theirs := ns.program(bin, "node", "1"), ns.cli("ot-cli-ftd", 2)
	for _, s := range []string{"dataset init new", "dataset channel 15", "dataset commit active", "ifconfig up", "thread start"} {
		ours.ask(s)
	}
	waitState(t, ours.ask, 20*time.Second, "leader")
	for _, s := range []string{"routerselectionjitter 1", "dataset set active " + ours.ask("dataset active -x")[0], "ifconfig up", "thread start"} {
		theirs.ask(s)
	}
	waitState(t, theirs.ask, 30*time.Second, "router")
	time.Sleep(3 * time.Second) // their link
	for _, x := range []struct {
		name         string
		asks, answer *otCLI
	}{{"theirs asks ours", theirs, ours}, {"ours asks theirs", ours, theirs}} {
		t.Run(x.name, func(t *testing.T) {
			to := x.answer.ask("ipaddr linklocal")[0]
			ask := func(command string, want ...string) {
				t.Helper()
				lines, err := x.asks.try(command, 15*time.Second)
				out := strings.Join(lines, "\n")
				if err != nil {
					t.Errorf("%s: %q %v", command, out, err)
					return
				}
				for _, w := range want {
					if !regexp.MustCompile(w).MatchString(out) {
						t.Errorf("%s: %q has no %s", command, out, w)
					}
				}
			}
			ask("linkmetrics request "+to+" single qmr", "Report from: fe80", `LQI: \d+`, `Margin: \d+ \(dB\)`, `RSSI: -20 \(dBm\)`)
			ask("linkmetrics config "+to+" forward 1 ldra pqmr", "Status: Success")
			ask("linkmetrics config "+to+" forward 1 ldra pqmr", "Status: Series ID already registered")
			for range 3 {
				ask("linkmetrics probe " + to + " 1 10")
			}
			ask("ping "+to+" 16 2 0.5", "2 packets received")
			ask("linkmetrics request "+to+" forward 1", `PDU Counter: \d+ \(Count`, `RSSI: -20`)
			ask("linkmetrics request "+to+" forward 9", "status: Series ID not recognized")
			ask("linkmetrics config "+to+" forward 1 X", "Status: Success")
			ask("linkmetrics config "+to+" forward 1 X", "Status: Series ID not recognized")
			ask("linkmetrics config "+to+" enhanced-ack register qmr", "Status: Other error")
			ask("linkmetrics config "+to+" enhanced-ack register mr", "Status: Success")
			ask("ping "+to+" 16 1", "in Enh Ack from neighbor", `Margin: \d+`, `RSSI: -20`)
			ask("linkmetrics config "+to+" enhanced-ack clear", "Status: Success")
			lines, _ := x.asks.try("ping "+to+" 16 1", 15*time.Second)
			if out := strings.Join(lines, "\n"); !strings.Contains(out, "1 packets received") || strings.Contains(out, "Enh Ack") {
				t.Errorf("after the end of probing: %s", out)
			}
			if lines, err := x.asks.try("linkmetrics request fe80::1234 single q", 15*time.Second); err == nil || !strings.Contains(err.Error(), "UnknownNeighbor") {
				t.Errorf("a stranger: %q %v", lines, err)
			}
		})
	}
}
