package otcli_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/sim"
)

// The command lines of a parent and of a child that listens in windows.
func TestCSL(t *testing.T) {
	w := sim.New(5, sim.Options{Ideal: true})
	parent, child := newTerminal(t, w), newTerminal(t, w)
	w.Link(parent.node, child.node)
	parent.form()
	child.join(parent, "-")
	if got := child.do("csl", 0); !slices.Equal(got, []string{"channel: 0", "period: 0us", "timeout: 100s", "Done"}) {
		t.Errorf("%q", got)
	}
	child.ok("csl period 500000")
	child.ok("csl timeout 20")
	w.Run(2 * time.Second)
	if got := child.do("csl", 0); !slices.Equal(got, []string{"channel: 0", "period: 500000us", "timeout: 20s", "Done"}) {
		t.Errorf("%q", got)
	}
	if got := strings.Join(parent.do("child table", 0), "\n"); !strings.Contains(got, "|0|0|0|  5| 1 |") {
		t.Errorf("the child is not shown as synchronized:\n%s", got)
	}
	if got := parent.do("child 1", 0); !slices.Contains(got, "CSL Synchronized: 1 ") {
		t.Errorf("%q", got)
	}
	for command, want := range map[string]string{
		"csl period 10":       "Error 7: InvalidArgs",
		"csl period 500001":   "Error 7: InvalidArgs",
		"csl period":          "Error 7: InvalidArgs",
		"csl timeout 10001":   "Error 7: InvalidArgs",
		"csl channel 27":      "Error 7: InvalidArgs",
		"csl window 3":        "Error 7: InvalidArgs",
		"csl channel 20":      "Done",
		"csl period 0":        "Done",
		"csl channel 0 extra": "Error 7: InvalidArgs",
	} {
		if got := child.do(command, 0); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
}

func TestLinkMetrics(t *testing.T) {
	w := sim.New(6, sim.Options{Ideal: true})
	parent, child := newTerminal(t, w), newTerminal(t, w)
	w.Link(parent.node, child.node)
	parent.form()
	child.join(parent, "rn")
	to := parent.ok("ipaddr linklocal")
	for _, x := range []struct {
		command string
		want    []string
	}{
		{"linkmetrics", []string{"config", "mgmt", "probe", "query", "request", "Error 35: InvalidCommand"}},
		{"linkmetrics mgmt", []string{`The command "linkmetrics mgmt" has been replaced by the command "linkmetrics config".`, "Error 35: InvalidCommand"}},
		{"linkmetrics request " + to + " single pmr", []string{
			"Received Link Metrics Report from: " + to, " - PDU Counter: 1 (Count/Summation)",
			" - Margin: 40 (dB) (Exponential Moving Average)", " - RSSI: -60 (dBm) (Exponential Moving Average)", "Done"}},
		{"linkmetrics config " + to + " forward 1 la pr", []string{
			"Received Link Metrics Management Response from: " + to, "Status: Success", "Done"}},
		{"linkmetrics request " + to + " forward 1", []string{
			"Received Link Metrics Report from: " + to, " - PDU Counter: 1 (Count/Summation)",
			" - RSSI: -60 (dBm) (Exponential Moving Average)", "Done"}}, // the acknowledgement of the answer
		{"linkmetrics probe " + to + " 1 10", []string{"Done"}},
		{"linkmetrics config " + to + " forward 1 X", []string{
			"Received Link Metrics Management Response from: " + to, "Status: Success", "Done"}},
		{"linkmetrics config " + to + " enhanced-ack register qp", []string{
			"Received Link Metrics Management Response from: " + to, "Status: Other error", "Done"}},
		{"linkmetrics probe " + to + " 1 65", []string{"Error 7: InvalidArgs"}},
		{"linkmetrics probe " + to + " 0 6", []string{"Error 7: InvalidArgs"}},
		{"linkmetrics probe fe80::1 1 6", []string{"Error 19: UnknownNeighbor"}},
		{"linkmetrics request " + to + " single x", []string{"Error 7: InvalidArgs"}},
		{"linkmetrics request " + to + " double q", []string{"Error 7: InvalidArgs"}},
		{"linkmetrics config " + to + " forward 1 dX pr", []string{"Error 7: InvalidArgs"}},
		{"linkmetrics config " + to + " forward 0 d pr", []string{"Error 7: InvalidArgs"}},
		{"linkmetrics config " + to + " enhanced-ack end", []string{"Error 7: InvalidArgs"}},
	} {
		if got := child.do(x.command, 0); !slices.Equal(got, x.want) {
			t.Errorf("%s:\n%q, want\n%q", x.command, got, x.want)
		}
	}
	if got := child.do("linkmetrics request async "+to+" single r", time.Second); len(got) != 3 || got[0] != "Done" {
		t.Errorf("async: %q", got)
	}
}
