package otcli_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/sim"
)

// Commands about links and devices, alone and with a neighbour.
func TestLinkCommands(t *testing.T) {
	w, leader, child := pairOf(t, 14)
	x := newTerminal(t, w)
	for _, c := range []struct {
		at      *terminal
		command string
		want    []string
	}{
		{x, "parent search", []string{"Error 13: InvalidState"}},
		{leader, "parent search", []string{"Error 13: InvalidState"}},
		{x, "mac send datarequest", []string{"Error 13: InvalidState"}},
		{x, "mac retries direct", []string{"15", "Done"}},
		{x, "mac retries indirect", []string{"0", "Done"}},
		{x, "mac retries direct 256", []string{"Error 7: InvalidArgs"}},
		{x, "mac retries", []string{"Error 7: InvalidArgs"}},
		{x, "mac retries direct 5", []string{"Done"}},
		{x, "mac retries direct", []string{"5", "Done"}},
		{x, "mac send more", []string{"Error 7: InvalidArgs"}},
		{child, "mac send datarequest", []string{"Error 13: InvalidState"}}, // it always listens
		{x, "childsupervision failcounter", []string{"0", "Done"}},
		{x, "childsupervision failcounter more", []string{"Error 7: InvalidArgs"}},
		{x, "releaserouterid 3", []string{"Error 13: InvalidState"}},
		{leader, "releaserouterid 63", []string{"Error 7: InvalidArgs"}},
		{x, "joinerport", []string{"1000", "Done"}},
		{x, "joinerport 1001", []string{"Done"}},
		{x, "joinerport", []string{"1001", "Done"}},
		{x, "netstat", []string{"| Local Address                                   | Peer Address                                    |",
			"+-------------------------------------------------+-------------------------------------------------+", "Done"}},
		{x, "deviceprops", []string{"PowerSupply      : external", "IsBorderRouter   : no", "SupportsCcm      : no",
			"IsUnstable       : no", "WeightAdjustment : 0", "Done"}},
		{x, "deviceprops battery 1 0 1 -20", []string{"Done"}},
		{x, "deviceprops", []string{"PowerSupply      : battery", "IsBorderRouter   : yes", "SupportsCcm      : no",
			"IsUnstable       : yes", "WeightAdjustment : -16", "Done"}},
		{x, "leaderweight", []string{"41", "Done"}}, // 64 - 8 + 1 - 16
		{x, "deviceprops external-stable 1 1 1 3", []string{"Done"}},
		{x, "leaderweight", []string{"75", "Done"}}, // 64 + 4 + 8 - 4 + 3
		{x, "deviceprops mains 1 1 1 3", []string{"Error 7: InvalidArgs"}},
		{x, "deviceprops battery 1 1 1", []string{"Error 7: InvalidArgs"}},
	} {
		if got := c.at.do(c.command, 0); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.command, got, c.want)
		}
	}
	child.ok("udp open")
	child.ok("udp bind :: 1234")
	child.ok("udp connect fd00::1 5")
	if got := strings.Join(child.do("netstat", 0), "\n"); !strings.Contains(got, "| [0:0:0:0:0:0:0:0]:19788                         | [0:0:0:0:0:0:0:0]:0                             |\n") ||
		!strings.Contains(got, "| [0:0:0:0:0:0:0:0]:1234                          | [fd00:0:0:0:0:0:0:1]:5                          |\n") {
		t.Errorf("netstat:\n%s", got)
	}
	got := leader.do("neighbor linkquality", 0)
	if len(got) != 4 || !strings.HasPrefix(got[2], "| 0x"+child.ok("rloc16")+" | "+child.ok("extaddr")+" |      0.00 % |    0.00 % |     -60 |      -60 |") {
		t.Errorf("%q", got)
	}
	child.ok("parent search")
	w.Run(5 * time.Second)
	if s := child.ok("state"); s != "child" {
		t.Errorf("after a search for a parent: %s", s)
	}
	debug := child.do("debug", 0)
	for _, want := range []string{"$ state", "child", "$ netdata show -x", "$ eidcache", "$ bufferinfo"} {
		if !slices.Contains(debug, want) {
			t.Errorf("debug shows no %s in %q", want, debug)
		}
	}
}

// What a neighbour does not take shows.
func TestLinkQuality(t *testing.T) {
	w, leader, child := pairOf(t, 16)
	w.Cut(leader.node, child.node)
	leader.ok("ping async " + child.ok("ipaddr mleid"))
	w.Run(2 * time.Second)
	if got := leader.do("neighbor linkquality", 0); len(got) != 4 || strings.Contains(got[2], " 0.00 %") {
		t.Errorf("%q", got)
	}
}

// A sleepy child counts that it heard nothing of its parent.
func TestSilence(t *testing.T) {
	w := sim.New(15, sim.Options{Ideal: true})
	leader, child := newTerminal(t, w), newTerminal(t, w)
	w.Link(leader.node, child.node)
	leader.form()
	child.join(leader, "-")
	child.ok("childsupervision checktimeout 20")
	child.do("mac send datarequest", time.Second)
	w.Cut(leader.node, child.node)
	w.Run(30 * time.Second)
	if s := child.ok("childsupervision failcounter"); s == "0" {
		t.Error("silence was not noticed")
	}
	child.ok("childsupervision failcounter reset")
	if s := child.ok("childsupervision failcounter"); s != "0" {
		t.Errorf("after reset: %s", s)
	}
}
