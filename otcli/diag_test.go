package otcli

import (
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"gatewayd/ieee802154"
	"gatewayd/thread/diag"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
)

// shown is what f makes a command line show, by lines.
func shown(f func(c *CLI)) []string {
	var out strings.Builder
	f(&CLI{cfg: Config{Out: func(s string) { out.WriteString(s) }}})
	return strings.Split(strings.TrimSuffix(out.String(), "\r\n"), "\r\n")
}

// Reports that OpenThread's command line got and showed are shown alike.
func TestReportsAsRecorded(t *testing.T) {
	b, err := os.ReadFile("../testdata/captures/netdiag.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded struct {
		Events []struct {
			Cmd string
			Out []string
		}
	}
	if err := json.Unmarshal(b, &recorded); err != nil {
		t.Fatal(err)
	}
	reports := 0
	for _, e := range recorded.Events {
		if !strings.HasPrefix(e.Cmd, "networkdiagnostic get") {
			continue
		}
		got := shown(func(c *CLI) {
			for _, line := range e.Out {
				head, payload, ok := strings.Cut(strings.TrimPrefix(line, "DIAG_GET.rsp/ans from "), ": ")
				if !ok || !strings.HasPrefix(line, "DIAG_GET") {
					continue
				}
				r := diag.Report{From: netip.MustParseAddr(head)}
				if r.Payload, err = hex.DecodeString(payload); err != nil {
					t.Fatal(err)
				}
				r.Values, r.Err = diag.Decode(r.Payload)
				c.showReport(r)
				reports++
			}
		})
		for i := range e.Out { // the recorder cut blanks at the end of lines
			if i >= len(got) || strings.TrimRight(got[i], " ") != strings.TrimRight(e.Out[i], " ") {
				t.Errorf("%s: line %d:\n%q\nwant\n%q", e.Cmd, i, got, e.Out)
				break
			}
		}
		if len(got) != len(e.Out) {
			t.Errorf("%s: %d lines, want %d", e.Cmd, len(got), len(e.Out))
		}
	}
	if reports != 6 {
		t.Errorf("%d reports", reports)
	}
}

// What is in no recording: the words are those of OpenThread's source.
func TestDiagnosticValues(t *testing.T) {
	for _, tt := range []struct {
		v    diag.Value
		want []string
	}{
		{diag.BatteryLevel(80), []string{"Battery Level: 80%"}},
		{diag.SupplyVoltage(3300), []string{"Supply Voltage: 3300mV"}},
		{diag.EUI64{0x18, 0xb4, 7: 1}, []string{"EUI64: 18b4000000000001"}},
		{diag.Text{Kind: diag.TypeVendorAppURL, Text: "https://a\x1b[2J\xff"}, []string{"Vendor App URL: https://a?[2J?"}},
		{diag.MLECounters{Disabled: 1, Detached: 2, Child: 3, Router: 4, Leader: 5, AttachAttempts: 6, PartitionChanges: 7,
			BetterPartitionAttempts: 8, ParentChanges: 9, Tracked: 1e6, LeaderTime: 2e6},
			[]string{"MLE Counters:", "    DisabledRole: 1", "    DetachedRole: 2", "    ChildRole: 3", "    RouterRole: 4",
				"    LeaderRole: 5", "    AttachAttempts: 6", "    PartitionIdChanges: 7", "    BetterPartitionAttachAttempts: 8",
				"    ParentChanges: 9", "TrackedTime: 1", "DisabledTime: 0", "DetachedTime: 0", "ChildTime: 0", "RouterTime: 0",
				"LeaderTime: 2"}},
		{diag.Raw{Kind: 200}, []string{""}},
		{diag.End{Of: diag.TypeChild}, []string{""}},
	} {
		if got := shown(func(c *CLI) { c.showDiagnostic(tt.v) }); !slices.Equal(got, tt.want) {
			t.Errorf("%T: %q", tt.v, got)
		}
	}
}

func TestMeshDiagLines(t *testing.T) {
	r := diag.Router{ID: 2, RLOC16: 0x800, Ext: ieee802154.ExtAddr{0x8a, 7: 0x6c}, Version: 5, Self: true, Leader: true, BorderRouter: true}
	r.Links.Mask = 1<<(63-2) | 1<<(63-46) | 1<<(63-51) | 1<<(63-57)
	r.Links.Entries[46], r.Links.Entries[57] = mle.RouteEntry{In: 3}, mle.RouteEntry{In: 3}
	r.Links.Entries[51] = mle.RouteEntry{In: 1, Out: 3}
	r.Addresses = []netip.Addr{netip.MustParseAddr("fd00::1")}
	r.Children = []diag.RouterChild{{RLOC16: 0x803, Quality: 3, Mode: neighbor.ModeRxOnWhenIdle | neighbor.ModeFullNetworkData, BorderRouter: true}}
	link := diag.Link{Margin: 80, Average: -20, Last: -21, MeasuresErrors: true, FrameErrors: 7543, MessageErrors: 0xffff}
	for _, tt := range []struct {
		show func(c *CLI)
		want []string
	}{
		{func(c *CLI) { c.showMeshRouter(r) }, []string{
			"id:02 rloc16:0x0800 ext-addr:8a0000000000006c ver:5 - me - leader - br",
			"    3-links:{ 46 57 }", "    1-links:{ 51 }",
			"    ip6-addrs:", "        fd00:0:0:0:0:0:0:1",
			"    children:", "        rloc16:0x0803 lq:3, mode:rn - br",
		}},
		{func(c *CLI) { c.showMeshRouter(diag.Router{ID: 9, Parent: true, Children: []diag.RouterChild{}}) },
			[]string{"id:09 rloc16:0x0000 ext-addr:0000000000000000 - parent", "    children: none"}},
		{func(c *CLI) { c.showLink(&link) },
			[]string{"    rss - ave:-20 last:-21 margin:80", "    err-rate - frame:11.50% msg:100.00% "}},
		{func(c *CLI) { c.showLink(&diag.Link{}) }, []string{"    rss - ave:0 last:0 margin:0"}},
	} {
		if got := shown(tt.show); !slices.Equal(got, tt.want) {
			t.Errorf("%q\nwant %q", got, tt.want)
		}
	}
}
