package firewall

import (
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatewayd/internal/netns"
)

// The topology: the gateway is the test's own namespace.
//
//	lan (2001:db8:1::2, fd01::2, 192.0.2.2) -- lan0 | gateway | mesh0 -- mesh (fd34::2, fd34::.., NAT64 behind nat0)
var (
	lanLocal   = netip.MustParseAddr("fd01::2")         // a unique local address of the LAN
	lanSite    = netip.MustParseAddr("2001:db8:1::2")   // a global one
	lanOutside = netip.MustParseAddr("2001:db8:bad::2") // the internet's, say
	device     = netip.MustParseAddr("fd34::2")
	device2    = netip.MustParseAddr("fd34::0200:0:0:7") // of EUI-64 00 00 00 00 00 00 00 07
	meshLocal  = netip.MustParseAddr("fdde:ad::2")
	omr        = netip.MustParsePrefix("fd34::/64")
	private    = netip.MustParsePrefix("fdde:ad::/64")
)

type world struct{ lan, mesh *namespace }

// connect lays a wire from the gateway to another machine.
func (n *namespace) connect(t *testing.T, here, there string) {
	t.Helper()
	netns.IP(t, "link", "add", here, "type", "veth", "peer", "name", there, "netns", strconv.Itoa(n.tid))
	t.Cleanup(func() { exec.Command("ip", "link", "del", here).Run() })
	netns.Set(t, "ipv6/conf/"+here+"/accept_dad", "0")
	n.run(func() { netns.Set(t, "ipv6/conf/"+there+"/accept_dad", "0") })
	netns.IP(t, "link", "set", here, "up")
	n.ip(t, "link", "set", there, "up")
}

// build makes the topology once for a test.
func build(t *testing.T) world {
	needNamespace(t)
	w := world{newNamespace(t), newNamespace(t)}
	w.lan.connect(t, "lan0", "eth0")
	w.mesh.connect(t, "mesh0", "eth0")
	w.mesh.connect(t, "nat0", "eth1")
	netns.Set(t, "ipv6/conf/all/forwarding", "1")
	netns.Set(t, "ipv4/conf/nat0/forwarding", "1")
	netns.Set(t, "ipv4/conf/lan0/forwarding", "1")
	add := func(dev string, list ...string) {
		for _, a := range list {
			netns.IP(t, "addr", "add", a, "dev", dev, "nodad")
		}
	}
	add("lan0", "2001:db8:1::1/64", "fd01::1/64", "2001:db8:bad::1/64")
	add("mesh0", "fd34::1/64", "fdde:ad::1/64")
	netns.IP(t, "addr", "add", "192.0.2.1/24", "dev", "lan0")
	netns.IP(t, "addr", "add", "198.51.100.1/24", "dev", "nat0")
	for _, a := range []string{"2001:db8:1::2/64", "fd01::2/64", "2001:db8:bad::2/64"} {
		w.lan.ip(t, "addr", "add", a, "dev", "eth0", "nodad")
	}
	w.lan.ip(t, "addr", "add", "192.0.2.2/24", "dev", "eth0")
	w.lan.ip(t, "addr", "add", "fd34::bad/128", "dev", "lo") // spoofed
	w.lan.ip(t, "-6", "route", "add", "default", "via", "2001:db8:1::1")
	for _, a := range []string{device.String() + "/64", device2.String() + "/64", meshLocal.String() + "/64", "2001:db8:77::2/64"} {
		w.mesh.ip(t, "addr", "add", a, "dev", "eth0", "nodad")
	}
	w.mesh.ip(t, "addr", "add", "198.51.100.2/24", "dev", "eth1")
	w.mesh.ip(t, "-6", "route", "add", "default", "via", "fd34::1")
	w.mesh.ip(t, "route", "add", "default", "via", "198.51.100.1")
	w.lan.ip(t, "link", "set", "lo", "up")
	// Answers to addresses that only devices would have.
	netns.IP(t, "-6", "route", "add", "2001:db8:77::/64", "dev", "mesh0")
	return w
}

// listen opens a UDP socket there.
func (n *namespace) listen(t *testing.T, a netip.Addr, port uint16) *net.UDPConn {
	t.Helper()
	var c *net.UDPConn
	var err error
	n.run(func() { c, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, port))) })
	if err != nil {
		t.Fatalf("%v port %d: %v", a, port, err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// passes reports whether a packet gets from one socket to another, and from
// whom it seems to come. It waits longer for one that should.
func passes(t *testing.T, from, to *net.UDPConn, should bool) (src netip.AddrPort, ok bool) {
	t.Helper()
	dst := to.LocalAddr().(*net.UDPAddr).AddrPort()
	if _, err := from.WriteToUDPAddrPort([]byte("x"), dst); err != nil {
		t.Fatal(err)
	}
	wait := 50 * time.Millisecond
	if should {
		wait = 2 * time.Second
	}
	to.SetReadDeadline(time.Now().Add(wait))
	_, src, err := to.ReadFromUDPAddrPort(make([]byte, 16))
	return src, err == nil
}

func TestPackets(t *testing.T) {
	w := build(t)
	table, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	pfx := netip.MustParsePrefix
	base := Policy{Mesh: "mesh0", Prefixes: []netip.Prefix{omr}, Private: []netip.Prefix{private}}
	with := func(change func(*Policy)) Policy { p := base; change(&p); return p }
	port := uint16(20000) // each case has its own, and so its own connections

	tests := []struct {
		name     string
		policy   Policy
		from, to netip.Addr
		port     uint16 // destination; 0: any
		pass     bool
		count    func(Counters) uint64 // that goes up when it does not
	}{
		{name: "LAN to device", policy: base, from: lanLocal, to: device, pass: true},
		{name: "outside to device", policy: base, from: lanOutside, to: device, count: inbound},
		{name: "site to device, not known as such", policy: base, from: lanSite, to: device, count: inbound},
		{name: "site to device", policy: with(func(p *Policy) { p.Local = []netip.Prefix{pfx("2001:db8:1::/64")} }),
			from: lanSite, to: device, pass: true},
		{name: "outside to device, all may", policy: with(func(p *Policy) { p.Inbound = InboundAll }), from: lanOutside, to: device, pass: true},
		{name: "LAN to device, none may", policy: with(func(p *Policy) { p.Inbound = InboundNone }), from: lanLocal, to: device, count: inbound},
		{name: "a port is open", policy: with(func(p *Policy) { p.InboundRules = []Rule{{Ports: []Ports{{5683, 5684}}}} }),
			from: lanOutside, to: device, port: 5684, pass: true},
		{name: "another is not", policy: with(func(p *Policy) { p.InboundRules = []Rule{{Ports: []Ports{{5683, 5684}}}} }),
			from: lanOutside, to: device, port: 5685, count: inbound},
		{name: "nor of another device", policy: with(func(p *Policy) {
			p.InboundRules = []Rule{{Device: Device{EUI64: EUI64{7: 7}}, Ports: []Ports{{5683, 5684}}}}
		}), from: lanOutside, to: device, port: 5683, count: inbound},
		{name: "of the right device", policy: with(func(p *Policy) {
			p.InboundRules = []Rule{{Device: Device{EUI64: EUI64{7: 7}}, Ports: []Ports{{5683, 5684}}}}
		}), from: lanOutside, to: device2, port: 5683, pass: true},
		{name: "an inbound rule drops", policy: with(func(p *Policy) {
			p.InboundRules = []Rule{{Remote: []netip.Prefix{pfx("fd01::2/128")}, Verdict: Drop}}
		}), from: lanLocal, to: device, count: inbound},
		{name: "spoofed source", policy: with(func(p *Policy) { p.Inbound = InboundAll }),
			from: netip.MustParseAddr("fd34::bad"), to: device, count: spoofed},
		{name: "spoofed source, other border routers", policy: with(func(p *Policy) { p.Inbound, p.OtherRouters = InboundAll, true }),
			from: netip.MustParseAddr("fd34::bad"), to: device, count: spoofed},
		{name: "a host with an address of the domain is no spoofer", policy: with(func(p *Policy) {
			p.Prefixes, p.Shared, p.Inbound = nil, []netip.Prefix{omr}, InboundNone
		}), from: netip.MustParseAddr("fd34::bad"), to: device2, count: inbound},
		{name: "a device with one", policy: with(func(p *Policy) {
			p.Prefixes, p.Shared = nil, []netip.Prefix{omr}
		}), from: device, to: lanLocal, pass: true},
		{name: "outside to a device with one", policy: with(func(p *Policy) {
			p.Prefixes, p.Shared = nil, []netip.Prefix{omr}
		}), from: lanOutside, to: device, count: inbound},
		{name: "to a mesh-local address", policy: with(func(p *Policy) { p.Inbound = InboundAll }), from: lanLocal, to: meshLocal, count: inbound},

		{name: "device to LAN", policy: base, from: device, to: lanLocal, pass: true},
		{name: "device to outside", policy: base, from: device, to: lanOutside, pass: true},
		{name: "mesh-local to LAN", policy: base, from: meshLocal, to: lanLocal, count: spoofed},
		{name: "a source that is not the mesh's", policy: base, from: netip.MustParseAddr("2001:db8:77::2"), to: lanLocal, count: spoofed},
		{name: "egress drops", policy: with(func(p *Policy) { p.Egress = Drop }), from: device, to: lanLocal, count: egress},
		{name: "egress by address", policy: with(func(p *Policy) {
			p.EgressRules = []Rule{{Device: Device{Prefix: netip.PrefixFrom(device, 128)}, Verdict: Drop}}
		}), from: device, to: lanLocal, count: egress},
		{name: "egress by another's address", policy: with(func(p *Policy) {
			p.EgressRules = []Rule{{Device: Device{Prefix: netip.PrefixFrom(device, 128)}, Verdict: Drop}}
		}), from: device2, to: lanLocal, pass: true},
		{name: "egress by EUI-64", policy: with(func(p *Policy) {
			p.EgressRules = []Rule{{Device: Device{EUI64: EUI64{7: 7}}, Verdict: Drop}}
		}), from: device2, to: lanLocal, count: egress},
		{name: "egress by EUI-64 with an address", policy: with(func(p *Policy) {
			p.EgressRules = []Rule{{Device: Device{EUI64: EUI64{1}}, Verdict: Drop}}
			p.Addresses = map[EUI64][]netip.Addr{{1}: {device}}
		}), from: device, to: lanLocal, count: egress},
		{name: "egress to one network only", policy: with(func(p *Policy) {
			p.Egress = Drop
			p.EgressRules = []Rule{{Remote: []netip.Prefix{pfx("192.0.2.0/24"), pfx("fd01::/64")}, Proto: 17}}
		}), from: device, to: lanLocal, pass: true},
		{name: "egress to another network", policy: with(func(p *Policy) {
			p.Egress = Drop
			p.EgressRules = []Rule{{Remote: []netip.Prefix{pfx("fd01::/64")}, Proto: 17}}
		}), from: device, to: lanOutside, count: egress},
		{name: "egress of another protocol", policy: with(func(p *Policy) {
			p.Egress = Drop
			p.EgressRules = []Rule{{Remote: []netip.Prefix{pfx("fd01::/64")}, Proto: 6}}
		}), from: device, to: lanLocal, count: egress},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := table.Apply(tt.policy); err != nil {
				t.Fatal(err)
			}
			before, err := table.Counters()
			if err != nil {
				t.Fatal(err)
			}
			here, there := w.lan, w.mesh
			if omr.Contains(tt.from) && tt.from != netip.MustParseAddr("fd34::bad") || private.Contains(tt.from) || tt.from == netip.MustParseAddr("2001:db8:77::2") {
				here, there = w.mesh, w.lan
			}
			port++
			dst := tt.port
			if dst == 0 {
				dst = port
			}
			a, b := here.listen(t, tt.from, port), there.listen(t, tt.to, dst)
			defer a.Close()
			defer b.Close()
			_, passed := passes(t, a, b, tt.pass)
			if passed != tt.pass {
				t.Errorf("passed: %v", passed)
			}
			if passed { // then the answer does
				if _, ok := passes(t, b, a, true); !ok {
					t.Error("the answer does not get back")
				}
			}
			after, err := table.Counters()
			if err != nil {
				t.Fatal(err)
			}
			if tt.count != nil && tt.count(after) != tt.count(before)+1 {
				t.Errorf("counters were %+v and are %+v", before, after)
			}
		})
	}

	// An answer to a device passes although nobody may ask it.
	if err := table.Apply(with(func(p *Policy) { p.Inbound = InboundNone })); err != nil {
		t.Fatal(err)
	}
	a, b := w.mesh.listen(t, device, 30000), w.lan.listen(t, lanOutside, 30001)
	if _, ok := passes(t, b, a, false); ok {
		t.Error("got in without having been asked")
	}
	if _, ok := passes(t, a, b, true); !ok {
		t.Error("does not get out")
	}
	if _, ok := passes(t, b, a, true); !ok {
		t.Error("the answer does not get in")
	}
	// And that of a device which may not ask anybody.
	if err := table.Apply(with(func(p *Policy) { p.Egress = Drop })); err != nil {
		t.Fatal(err)
	}
	a, b = w.lan.listen(t, lanLocal, 30002), w.mesh.listen(t, device, 30003)
	if _, ok := passes(t, b, a, false); ok {
		t.Error("got out")
	}
	if _, ok := passes(t, a, b, true); !ok {
		t.Error("does not get in")
	}
	if _, ok := passes(t, b, a, true); !ok {
		t.Error("the device's answer does not get out")
	}
}

func inbound(c Counters) uint64 { return c.Inbound }
func spoofed(c Counters) uint64 { return c.Spoofed }
func egress(c Counters) uint64  { return c.Egress }

func TestNAT64(t *testing.T) {
	w := build(t)
	table, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	p := Policy{Mesh: "mesh0", Prefixes: []netip.Prefix{omr}, NAT64: &NAT64{"nat0", netip.MustParsePrefix("198.51.100.0/24")}}
	if err := table.Apply(p); err != nil {
		t.Fatal(err)
	}
	a := w.mesh.listen(t, netip.MustParseAddr("198.51.100.2"), 4000)
	b := w.lan.listen(t, netip.MustParseAddr("192.0.2.2"), 4001)
	w.lan.ip(t, "route", "add", "198.51.100.0/24", "via", "192.0.2.1")
	if _, ok := passes(t, b, a, false); ok {
		t.Error("got in without having been asked")
	}
	src, ok := passes(t, a, b, true)
	if !ok || src.Addr() != netip.MustParseAddr("192.0.2.1") {
		t.Fatalf("arrives: %v, from %v, want the gateway's address", ok, src)
	}
	if _, err := b.WriteToUDPAddrPort([]byte("y"), src); err != nil {
		t.Fatal(err)
	}
	a.SetReadDeadline(time.Now().Add(time.Second))
	if _, from, err := a.ReadFromUDPAddrPort(make([]byte, 16)); err != nil || from.Addr() != netip.MustParseAddr("192.0.2.2") {
		t.Errorf("answer from %v: %v", from, err)
	}
}

// With OnlyMesh the host is a router for the mesh and nothing else.
func TestOnlyMesh(t *testing.T) {
	w := build(t)
	other := newNamespace(t)
	other.connect(t, "oth0", "eth0")
	netns.IP(t, "addr", "add", "fd55::1/64", "dev", "oth0", "nodad")
	other.ip(t, "addr", "add", "fd55::2/64", "dev", "eth0", "nodad")
	other.ip(t, "-6", "route", "add", "default", "via", "fd55::1")
	table, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	a, b := w.lan.listen(t, lanLocal, 5000), other.listen(t, netip.MustParseAddr("fd55::2"), 5001)
	m := w.mesh.listen(t, device, 5002)
	for _, only := range []bool{false, true} {
		p := Policy{Mesh: "mesh0", Prefixes: []netip.Prefix{omr}, OnlyMesh: only}
		if err := table.Apply(p); err != nil {
			t.Fatal(err)
		}
		if _, ok := passes(t, a, b, !only); ok == only {
			t.Errorf("only the mesh: %v; another network is reached: %v", only, ok)
		}
		if _, ok := passes(t, a, m, true); !ok {
			t.Errorf("only the mesh: %v; the mesh is not reached", only)
		}
	}
}

// The rules change between one packet and the next, without a gap in which
// something else holds.
func TestReplaceAtomically(t *testing.T) {
	w := build(t)
	table, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	p := Policy{Mesh: "mesh0", Prefixes: []netip.Prefix{omr}}
	if err := table.Apply(p); err != nil {
		t.Fatal(err)
	}
	bad, good := w.lan.listen(t, lanOutside, 6000), w.lan.listen(t, lanLocal, 6001)
	to := w.mesh.listen(t, device, 6002)
	var replaced atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := range 20 {
			p.EgressRules = make([]Rule, n)
			if err := table.Apply(p); err != nil {
				t.Error(err)
			}
			replaced.Add(1)
		}
	}()
	defer func() { <-done }()
	dst := to.LocalAddr().(*net.UDPAddr).AddrPort()
	for replaced.Load() < 20 {
		bad.WriteToUDPAddrPort([]byte("bad"), dst)
		good.WriteToUDPAddrPort([]byte("good"), dst)
		to.SetReadDeadline(time.Now().Add(time.Second))
		b := make([]byte, 16)
		n, _, err := to.ReadFromUDPAddrPort(b)
		if err != nil {
			t.Fatal("a packet that may pass was lost")
		}
		if string(b[:n]) == "bad" {
			t.Fatal("a packet passed that may not")
		}
	}
}

func ruleset(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("nft", "list", "ruleset").CombinedOutput()
	if err != nil {
		t.Skipf("SKIPPED: nft: %v: %s", err, out)
	}
	return string(out)
}

// The table is beside those of others, nobody else can remove it, and it goes
// with its owner.
func TestCoexists(t *testing.T) {
	needNamespace(t)
	nft := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("nft", args...).CombinedOutput(); err != nil {
			t.Skipf("SKIPPED: nft: %v: %s", err, out)
		}
	}
	nft("add", "table", "inet", "firewalld")
	nft("add", "chain", "inet", "firewalld", "filter_FORWARD", "{ type filter hook forward priority 10; policy drop; }")
	t.Cleanup(func() { exec.Command("nft", "flush", "ruleset").Run() })
	before := ruleset(t)
	table, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Apply(probePolicy); err != nil {
		t.Fatal(err)
	}
	during := ruleset(t)
	if !strings.Contains(during, "table inet gatewayd") || !strings.Contains(during, strings.TrimSpace(before)) {
		t.Errorf("while the table is there: %s", during)
	}
	if ok, err := table.Intact(); !ok || err != nil {
		t.Errorf("intact: %v, %v", ok, err)
	}
	if _, err := Open(Options{}); table.owned && !errors.Is(err, ErrTaken) {
		t.Errorf("a second gateway: %v", err)
	}
	second, err := Open(Options{Name: "gatewayd2"})
	if err != nil {
		t.Fatal(err)
	}
	nft("flush", "ruleset")
	if ok, err := table.Intact(); ok != table.owned || err != nil {
		t.Errorf("intact after somebody's flush: %v, %v", ok, err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	// As the kernel does when a process is killed.
	table.conn.CloseLasting()
	table.conn = nil
	if s := ruleset(t); table.owned && s != "" {
		t.Errorf("left: %s", s)
	}
	if err := table.Apply(probePolicy); err == nil {
		t.Error("a closed table takes rules")
	}
}

// A table that a process before Linux 5.12 left is replaced.
func TestLeftTable(t *testing.T) {
	needNamespace(t)
	if out, err := exec.Command("nft", "add table inet gatewayd; add chain inet gatewayd old { type filter hook forward priority 0; policy drop; }").CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: nft: %v: %s", err, out)
	}
	table, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := table.Apply(probePolicy); err != nil {
		t.Fatal(err)
	}
	if s := ruleset(t); strings.Contains(s, "old") {
		t.Errorf("rules: %s", s)
	}
	if err := table.Close(); err != nil {
		t.Error(err)
	}
	if err := table.Close(); err != nil {
		t.Error(err)
	}
	if s := ruleset(t); s != "" {
		t.Errorf("left: %s", s)
	}
}

// Many rules fit into one batch.
func TestManyRules(t *testing.T) {
	needNamespace(t)
	table, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	p := probePolicy
	p.EgressRules = nil
	for i := range 1000 {
		p.EgressRules = append(p.EgressRules, Rule{Device: Device{EUI64: EUI64{6: byte(i >> 8), 7: byte(i)}}, Remote: []netip.Prefix{uniqueLocal}, Ports: []Ports{{1, 2}}})
	}
	for range 2 {
		if err := table.Apply(p); err != nil {
			t.Fatal(err)
		}
	}
	p.EgressRules = make([]Rule, maxRules)
	if err := table.Apply(p); err == nil || !strings.Contains(err.Error(), "rules") {
		t.Errorf("more rules than may be: %v", err)
	}
	if ok, err := table.Intact(); !ok || err != nil {
		t.Errorf("after a policy that was refused: %v, %v", ok, err)
	}
}
