package otcli_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/sim"
)

// Lines that come while a command is going on are ignored, and an empty line is
// answered by the prompt alone, as OpenThread does it.
func TestPendingAndEmpty(t *testing.T) {
	x := newTerminal(t, sim.New(3, sim.Options{}))
	x.cli.Input("  ")
	if s := x.take(); s != "> " {
		t.Errorf("an empty line: %q", s)
	}
	x.cli.Input("scan 20")
	x.cli.Input("state")
	x.world.Run(5 * time.Second)
	if s := x.take(); strings.Contains(s, "disabled") || !strings.HasSuffix(s, "+\r\nDone\r\n> ") {
		t.Errorf("scan and another command: %q", s)
	}
	if s := x.ok("state"); s != "disabled" {
		t.Errorf("afterwards: %q", s)
	}
}

func TestErrors(t *testing.T) {
	x := newTerminal(t, sim.New(4, sim.Options{}))
	for command, want := range map[string]string{
		strings.Repeat("x", 400):                "Error 6: Parse",
		"state " + strings.Repeat("y ", 32):     "Error 7: InvalidArgs",
		"nosuch":                                "Error 35: InvalidCommand",
		"networkname a\\ b c":                   "Error 7: InvalidArgs",
		"channel 0x1z":                          "Error 7: InvalidArgs",
		"channel -11":                           "Error 7: InvalidArgs",
		"ipaddr add fe80::1%lo":                 "Error 6: Parse",
		"prefix add fd00::/129":                 "Error 6: Parse",
		"macfilter rss add * -129":              "Error 7: InvalidArgs",
		"thread start":                          "Error 13: InvalidState", // interface down
		"leaderdata":                            "Error 16: Detached",
		"exit":                                  "Error 27: NotCapable", // its owner cannot
		"nodeidfilter":                          "Error 27: NotCapable",
		"state leader":                          "Error 13: InvalidState",
		"joiner start J01NME":                   "Error 13: InvalidState",
		"dataset init tlvs 0e08":                "Error 7: InvalidArgs",
		"dataset commit elsewhere":              "Error 7: InvalidArgs",
		"commissioner joiner add 0x1/65 J01NME": "Error 7: InvalidArgs",
	} {
		if got := x.do(command, 0); !slices.Equal(got, []string{want}) {
			t.Errorf("%.40s: %q, want %q", command, got, want)
		}
	}
}

// A backslash keeps a blank in a word.
func TestEscapes(t *testing.T) {
	x := newTerminal(t, sim.New(5, sim.Options{}))
	x.ok(`networkname my\ net\\1`)
	if s := x.ok("networkname"); s != `my net\1` {
		t.Errorf("name %q", s)
	}
}

// What is shown as a dataset's TLVs makes the same dataset elsewhere.
func TestDatasetRoundTrip(t *testing.T) {
	w := sim.New(6, sim.Options{})
	a, b := newTerminal(t, w), newTerminal(t, w)
	a.ok("dataset init new")
	a.ok("dataset securitypolicy 100 onrcCepR 3")
	b.ok("dataset set active " + a.ok("dataset tlvs"))
	if x, y := a.do("dataset", 0), b.do("dataset active", 0); !slices.Equal(x, y) {
		t.Errorf("%q became %q", x, y)
	}
	if s := b.ok("networkname"); !strings.HasPrefix(s, "OpenThread-") {
		t.Errorf("name %q", s)
	}
}

// Two nodes that a filter keeps apart form two networks; without it they meet.
func TestMACFilter(t *testing.T) {
	w := sim.New(7, sim.Options{Ideal: true})
	a, b := newTerminal(t, w), newTerminal(t, w)
	w.Link(a.node, b.node)
	a.ok("macfilter addr allowlist") // nobody
	a.form()
	b.ok("dataset set active " + a.ok("dataset active -x"))
	b.ok("ifconfig up")
	b.ok("thread start")
	b.awaitState("leader")
	if a.ok("partitionid") == b.ok("partitionid") {
		t.Fatal("one partition through a filter")
	}
	a.ok("macfilter addr disable")
	for range 300 {
		w.Run(time.Second)
		if a.ok("partitionid") == b.ok("partitionid") {
			return
		}
	}
	t.Error("two partitions without a filter")
}

// A joiner with the right PSKd is told so, and the commissioner tells how far
// it got.
func TestJoin(t *testing.T) {
	w := sim.New(8, sim.Options{Ideal: true})
	a, b := newTerminal(t, w), newTerminal(t, w)
	w.Link(a.node, b.node)
	a.form()
	if got := a.do("commissioner start", 5*time.Second); !slices.Contains(got, "Commissioner: active") {
		t.Fatalf("%q", got)
	}
	a.ok("commissioner joiner add " + b.ok("eui64") + " J01NME 120")
	w.Run(5 * time.Second)
	b.ok("ifconfig up")
	if got := b.do("joiner start J01NME", 30*time.Second); !slices.Contains(got, "Join success") {
		t.Fatalf("joiner: %q", got)
	}
	id := b.ok("joiner id")
	told := a.take()
	for _, stage := range []string{"start", "connect", "finalize", "end"} {
		if !strings.Contains(told, "Commissioner: Joiner "+stage+" "+id+"\r\n") {
			t.Errorf("no %s of %s in %q", stage, id, told)
		}
	}
	if a.ok("networkkey") != b.ok("networkkey") {
		t.Error("another network key")
	}
	b.ok("thread start")
	b.awaitState("child")
}

// A datagram from one command line to another.
func TestUDP(t *testing.T) {
	w := sim.New(9, sim.Options{Ideal: true})
	a, b := newTerminal(t, w), newTerminal(t, w)
	w.Link(a.node, b.node)
	a.form()
	b.join(a, "rn")
	b.ok("udp open")
	b.ok("udp bind :: 1234")
	a.ok("udp open")
	b.take()
	a.do("udp send "+b.ok("ipaddr mleid")+" 1234 -t hello", time.Second)
	if s := b.take(); !strings.Contains(s, "5 bytes from "+a.ok("ipaddr mleid")) || !strings.HasSuffix(s, " hello\r\n") {
		t.Errorf("shown: %q", s)
	}
}
