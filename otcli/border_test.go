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
		{"srp", "client"}, {"srp server state", "disabled"}, {"srp server addrmode", "unicast"}, {"srp server addrmode anycast", "Done"},
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

// The client registers with the server that the network data tell of, and the
// server's node shows what it has.
func TestSRPClientCommands(t *testing.T) {
	w := sim.New(3, sim.Options{Ideal: true})
	x, device := borderTerminal(t, w), newTerminal(t, w)
	w.Link(x.node, device.node)
	for _, c := range []string{"dataset init new", "dataset commit active", "ifconfig up", "thread start"} {
		x.ok(c)
	}
	x.awaitState("leader")
	device.ok("dataset set active " + x.ok("dataset active -x"))
	device.ok("ifconfig up")
	device.ok("thread start")
	device.awaitState("child")
	for _, c := range [][2]string{
		{"srp client state", "Disabled"}, {"srp client host name", "(null)"}, {"srp client host", "name:(null), state:Removed, addrs:[]"},
		{"srp client server", "[0:0:0:0:0:0:0:0]:0"}, {"srp client leaseinterval", "7200"}, {"srp client leaseinterval 1800", "Done"}, {"srp client leaseinterval", "1800"},
		{"srp client keyleaseinterval", "1209600"}, {"srp client ttl", "0"}, {"srp client callback", "Disabled"}, {"srp client host name lamp", "Done"},
		{"srp client host state", "ToAdd"}, {"srp client host address auto", "Done"}, {"srp client host address", "auto"}, {"srp client host x", "Error 35: InvalidCommand"},
		{"srp client service add lamp-1 _hap._udp,_x,_y 1234 1 2 03613d62", "Done"}, {"srp client service add lamp-1 _hap._udp 1", "Error 24: Already"},
		{"srp client service add lamp-2 _hap._udp", "Error 7: InvalidArgs"}, {"srp client service", `instance:"lamp-1", name:"_hap._udp,_x,_y", state:ToAdd, port:1234, priority:1, weight:2`},
		{"srp client service remove x _hap._udp", "Error 23: NotFound"}, {"srp client start fd00::1", "Error 7: InvalidArgs"}, {"srp client callback enable", "Done"},
		{"srp client autostart", "Disabled"}, {"srp client autostart enable", "Done"}, {"srp client autostart", "Enabled"}, {"srp client state", "Disabled"},
	} {
		if got := device.do(c[0], 0); got[0] != c[1] {
			t.Errorf("%s: %q, want %q", c[0], got, c[1])
		}
	}
	x.ok("srp server enable")
	device.await("srp client state", "Enabled")
	device.await("srp client host state", "Registered")
	mleid := x.ok("ipaddr mleid")
	if got := device.ok("srp client server address"); got != mleid {
		t.Errorf("server %s, want %s", got, mleid)
	}
	if got := device.ok("srp client server port"); got != "53535" {
		t.Errorf("port %s", got)
	}
	own := device.ok("ipaddr mleid")
	if got := strings.Join(x.do("srp server host", 0), "|"); got != "lamp.default.service.arpa.|    deleted: false|    addresses: ["+own+"]|Done" {
		t.Errorf("%s", got)
	}
	if got := strings.Join(x.do("srp server service", 0), "|"); got != "lamp-1._hap._udp.default.service.arpa.|    deleted: false|    subtypes: _x,_y|    port: 1234|    priority: 1|    weight: 2|"+
		"    ttl: 1800|    lease: 1800|    key-lease: 680400|    TXT: [a=62]|    host: lamp.default.service.arpa.|    addresses: ["+own+"]|Done" {
		t.Errorf("%s", got)
	}
	if got := strings.Join(device.do("srp client service remove lamp-1 _hap._udp", 2*time.Second), "|"); !strings.Contains(got, `Removed service list:|    instance:"lamp-1"`) || !strings.Contains(got, "SRP client callback - error:OK") {
		t.Errorf("%s", got)
	}
	if got := strings.Join(x.do("srp server service", 0), "|"); !strings.Contains(got, "deleted: true") {
		t.Errorf("%s", got)
	}
	device.ok("srp client host remove 1")
	w.Run(2 * time.Second)
	if got := x.do("srp server host", 0); got[0] != "Done" {
		t.Errorf("%q", got)
	}
	// By its anycast locator.
	x.ok("srp server disable")
	device.await("srp client state", "Disabled")
	x.ok("srp server addrmode anycast")
	x.ok("srp server enable")
	device.await("srp client server port", "53")
	device.ok("srp client host name other")
	device.ok("srp client host address auto")
	device.ok("srp client service add s _x._tcp 1")
	device.await("srp client host state", "Registered")
	device.ok("srp client stop")
	if got := device.ok("srp client state"); got != "Disabled" {
		t.Error(got)
	}
}
