package otcli_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/sim"
)

// The updater changes the network and says so, asynchronously.
func TestDatasetUpdater(t *testing.T) {
	w := sim.New(20, sim.Options{Ideal: true})
	a, b := newTerminal(t, w), newTerminal(t, w)
	w.Link(a.node, b.node)
	a.form()
	b.join(a, "rn")
	if got := a.do("delaytimermin 10", 0); got[0] != "Done" {
		t.Errorf("%q", got)
	}
	if got := a.do("delaytimermin", 0); got[0] != "10" {
		t.Errorf("%q", got)
	}
	channel := "20"
	if a.ok("channel") == channel {
		channel = "21"
	}
	b.ok("dataset clear")
	b.ok("dataset channel " + channel)
	b.ok("dataset updater start")
	if got := b.do("dataset updater start", 0); got[0] != "Error 5: Busy" {
		t.Errorf("a second one: %q", got)
	}
	if got := b.do("dataset updater", 0); got[0] != "Enabled" {
		t.Errorf("%q", got)
	}
	if got := b.do("dataset pending", 5*time.Second); !slices.Contains(got, "Channel: "+channel) {
		t.Errorf("pending: %q", got)
	}
	w.Run(20 * time.Second)
	if s := b.take(); s != "Dataset update complete: OK\r\n" {
		t.Errorf("told: %q", s)
	}
	if x, y := a.ok("channel"), b.ok("channel"); x != channel || y != channel {
		t.Errorf("channels %s and %s, want %s", x, y, channel)
	}
	if got := b.do("dataset updater start", 0); got[0] != "Error 24: Already" {
		t.Errorf("the same again: %q", got)
	}
	if got := b.do("dataset updater", 0); got[0] != "Disabled" {
		t.Errorf("%q", got)
	}
	// A child commits what it would have: it is shown, and the network takes it.
	b.ok("dataset init active")
	b.ok("dataset activetimestamp 99")
	b.ok("dataset networkname committed")
	b.ok("dataset commit active")
	if got := b.do("dataset active", 0); !slices.Contains(got, "Network Name: committed") {
		t.Errorf("%q", got)
	}
	w.Run(5 * time.Second)
	if s := a.ok("networkname"); s != "committed" {
		t.Errorf("the leader's network is %q", s)
	}
}

// What the commissioner's surveys show.
func TestSurveys(t *testing.T) {
	w := sim.New(21, sim.Options{Ideal: true})
	a, b, c := newTerminal(t, w), newTerminal(t, w), newTerminal(t, w)
	w.Link(a.node, b.node, c.node)
	a.form()
	b.join(a, "rn")
	c.ok("macfilter addr allowlist") // another network
	c.form()
	c.ok("macfilter addr disable")
	for _, s := range []string{"commissioner energy 0x8000 1 10 10 ff03::1", "commissioner panid 0xface 0x8000 ff03::1",
		"commissioner announce 0x8000 1 10 ff03::1"} {
		if got := a.do(s, 0); got[0] != "Error 13: InvalidState" {
			t.Errorf("%s: %q", s, got)
		}
	}
	if got := a.do("commissioner start", 5*time.Second); !slices.Contains(got, "Commissioner: active") {
		t.Fatalf("%q", got)
	}
	to := b.ok("ipaddr rloc")
	if got := strings.Join(a.do("commissioner energy 0x00018000 2 32 10 "+to, 10*time.Second), "\n"); !strings.Contains(got, "Energy: 00018000 ") ||
		strings.Count(got[strings.Index(got, "Energy"):], " -") != 4 {
		t.Errorf("energy: %q", got)
	}
	got := strings.Join(a.do("commissioner panid "+c.ok("panid")+" 0x07fff800 "+to, 20*time.Second), "\n")
	if !strings.Contains(got, "Conflict: "+strings.TrimPrefix(c.ok("panid"), "0x")+", ") {
		t.Errorf("panid: %q", got)
	}
	if got := a.do("commissioner announce 0x07fff800 2 100 "+to, time.Second); got[0] != "Done" {
		t.Errorf("announce: %q", got)
	}
}
