package otcli_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/otcli"
	"gatewayd/sim"
	"gatewayd/simnode"
)

type memory map[string][]byte

func (m memory) Load(name string) ([]byte, int, bool) { v, ok := m[name]; return v, 0, ok }
func (m memory) Save(name string, v []byte) error     { m[name] = slices.Clone(v); return nil }
func (m memory) Delete(name string) error             { delete(m, name); return nil }

// borderTerminal is a command line on a simulated node with a border router.
func borderTerminal(t *testing.T, w *sim.World) *terminal {
	t.Helper()
	x := newTerminal(t, w)
	b, err := simnode.NewBorder(x.node.Node, x.node.Rand(), memory{})
	if err != nil {
		t.Fatal(err)
	}
	var look func()
	look = func() {
		b.Update()
		w.Clock().After(100*time.Millisecond, look)
	}
	look()
	x.cli = otcli.New(x.node.Node, otcli.Config{Out: func(s string) { x.shown.WriteString(s) }, Rand: x.node.Random(),
		Version: "TEST", Platform: "SIMULATION", Border: b})
	return x
}

func (x *terminal) await(command, want string) {
	x.t.Helper()
	var got []string
	for range 600 {
		if got = x.do(command, 0); strings.Contains(strings.Join(got, "\n"), want) {
			return
		}
		x.world.Run(100 * time.Millisecond)
	}
	x.t.Fatalf("%s: %q, want %q", command, got, want)
}

// The commands about border routing, on a link of the node's own.
func TestBorderCommands(t *testing.T) {
	w := sim.New(1, sim.Options{Ideal: true})
	leader, x := newTerminal(t, w), borderTerminal(t, w)
	w.Link(leader.node, x.node)
	leader.ok("dataset init new")
	leader.ok("dataset commit active")
	tlvs := leader.ok("dataset active -x")
	leader.ok("ifconfig up")
	leader.ok("thread start")
	leader.awaitState("leader")

	for _, c := range [][2]string{
		{"br state", "uninitialized"}, {"br enable", "Error 13: InvalidState"}, {"br routeprf", "Error 13: InvalidState"},
		{"br init", "Error 7: InvalidArgs"}, {"br init 1 x", "Error 7: InvalidArgs"}, {"br init 1 1", "Done"}, {"br state", "disabled"},
		{"br routeprf", "med"}, {"br routeprf high", "Done"}, {"br routeprf", "high"}, {"br routeprf some", "Error 7: InvalidArgs"},
		{"br routeprf clear", "Done"}, {"br rioprf", "low"}, {"br rioprf high", "Done"}, {"br rioprf", "high"}, {"br rioprf clear", "Done"},
		{"br pd state", "disabled"}, {"br pd enable", "Error 27: NotCapable"}, {"br pd omrprefix", "Error 23: NotFound"}, {"br pd x", "Error 35: InvalidCommand"},
		{"br omrprefix local extra", "Error 7: InvalidArgs"}, {"br omrprefix any", "Error 7: InvalidArgs"},
		{"br peers count", "0 min-age:00:00:00"}, {"br raoptions 0400ff00020001", "Error 7: InvalidArgs"}, {"br raoptions 0501000000000500", "Done"},
		{"br raoptions clear", "Done"}, {"br x", "Error 35: InvalidCommand"}, {"nat64 enable", "Error 27: NotCapable"}, {"nat64 cidr", "Error 23: NotFound"},
		{"nat64 x", "Error 35: InvalidCommand"}, {"br enable", "Done"}, {"br state", "stopped"}, {"br disable", "Done"}, {"br enable", "Done"},
	} {
		if got := x.do(c[0], 0); got[0] != c[1] {
			t.Errorf("%s: %q, want %q", c[0], got, c[1])
		}
	}
	x.ok("dataset set active " + tlvs)
	x.ok("routerselectionjitter 1")
	x.ok("ifconfig up")
	x.ok("thread start")
	x.awaitState("router")
	x.await("br state", "running")
	x.await("netdata show", "fc00::/7 sa med")
	omr := x.ok("br omrprefix local")
	x.await("br omrprefix favored", omr+" prf:low")
	if got := x.do("br omrprefix", 0); got[0] != "Local: "+omr || got[1] != "Favored: "+omr+" prf:low" {
		t.Errorf("%q", got)
	}
	if got := x.do("br onlinkprefix", 0); !strings.HasPrefix(got[0], "Local: fd") || got[0][7:] != got[1][9:] {
		t.Errorf("%q", got)
	}
	// As a child, it has an entry for another address; so it is everywhere.
	x.ok("routereligible disable")
	x.awaitState("child")
	x.await("netdata show", "fc00::/7 sa med "+x.ok("rloc16"))
	leader.await("netdata show", omr)
	for _, c := range []string{"br routers", "br prefixtable", "br peers"} {
		if got := x.do(c, 0); got[0] != "Done" {
			t.Errorf("%s: %q", c, got)
		}
	}
	if got := x.do("br counters", 0); !strings.HasPrefix(got[0], "Inbound Unicast: Packets ") {
		t.Errorf("%q", got)
	}
	if got := x.do("nat64 state", 0); got[0] != "PrefixManager: Disabled" || got[1] != "Translator: Disabled" {
		t.Errorf("%q", got)
	}
	if got := x.do("nat64 mappings", 0); len(got) != 5 || !strings.Contains(got[2], "IPv6") {
		t.Errorf("%q", got)
	}
	if got := x.do("nat64 counters", 0); len(got) != 15 || !strings.Contains(got[14-1], "No Mapping") {
		t.Errorf("%d %q", len(got), got)
	}
	x.ok("br disable")
	if got := x.ok("br state"); got != "disabled" {
		t.Error(got)
	}
	for _, c := range []string{"br state", "srp server state", "nat64 state"} {
		if got := leader.do(c, 0); got[0] != "Error 27: NotCapable" {
			t.Errorf("without a border router, %s: %q", c, got)
		}
	}
}

// The commands about the SRP server.
func TestSRPServerCommands(t *testing.T) {
	w := sim.New(2, sim.Options{Ideal: true})
	x := borderTerminal(t, w)
	x.ok("dataset init new")
	x.ok("dataset commit active")
	x.ok("ifconfig up")
	x.ok("thread start")
	x.awaitState("leader")
	for _, c := range [][2]string{
		{"srp", "server"}, {"srp server state", "disabled"}, {"srp server addrmode", "unicast"}, {"srp server addrmode anycast", "Done"},
		{"srp server seqnum 7", "Done"}, {"srp server seqnum", "7"}, {"srp server domain", "default.service.arpa."}, {"srp server domain x.", "Error 27: NotCapable"},
		{"srp server lease", "min lease: 30"}, {"srp server lease 60 120 60 240", "Done"}, {"srp server lease", "min lease: 60"}, {"srp server lease 60 50 60 240", "Error 7: InvalidArgs"},
		{"srp server lease 60", "Error 7: InvalidArgs"}, {"srp server ttl 10 20", "Done"}, {"srp server ttl", "min ttl: 10"}, {"srp server auto", "Disabled"},
		{"srp server auto x", "Error 35: InvalidCommand"}, {"srp server enable", "Done"}, {"srp server state", "running"}, {"srp server addrmode unicast", "Error 13: InvalidState"},
		{"srp server seqnum 8", "Error 13: InvalidState"}, {"srp server host", "Done"}, {"srp server service", "Done"}, {"srp server x", "Error 35: InvalidCommand"},
	} {
		if got := x.do(c[0], 0); got[0] != c[1] {
			t.Errorf("%s: %q, want %q", c[0], got, c[1])
		}
	}
	x.await("netdata show", "44970 5c07") // the anycast service with its number
	x.ok("srp server disable")
	x.ok("srp server addrmode unicast")
	x.ok("srp server enable")
	x.await("netdata show", "44970 5d")
	x.ok("srp server disable")
	for range 100 {
		w.Run(time.Second)
		if !strings.Contains(strings.Join(x.do("netdata show", 0), "\n"), "44970 5d") {
			break
		}
	}
	if got := strings.Join(x.do("netdata show", 0), "\n"); strings.Contains(got, "44970 5d") {
		t.Errorf("still there: %s", got)
	}
	// It follows border routing.
	x.ok("srp server auto enable")
	x.ok("br init 1 1")
	x.ok("br enable")
	x.await("srp server state", "running")
}
