//go:build interop

package interop

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const domainPrefix = "fd00:7d03:7d03:7d03::/64"

// duaProgram finds a program of OpenThread's that was built with domain unicast
// addresses.
func duaProgram(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("OT_DUA_DIR")
	for _, sub := range []string{"", "examples/apps/cli"} {
		if p := filepath.Join(dir, sub, name); dir != "" && isProgram(p) {
			return p
		}
	}
	t.Skipf("SKIPPED: no %s with domain unicast addresses in OT_DUA_DIR", name)
	return ""
}

// device starts a program with OpenThread's command line, which takes part in a
// network after some commands.
func (n *rcpNetns) device(program string, node int, dataset string, before ...string) *otCLI {
	n.t.Helper()
	args := []string{fmt.Sprint(node)}
	if !strings.HasPrefix(filepath.Base(program), "ot-") {
		args = append([]string{"node"}, args...)
	}
	c := n.program(program, args...)
	if !strings.HasSuffix(program, "mtd") {
		before = append(before, "routerselectionjitter 1") // it registers as what it becomes
	}
	for _, s := range append(before, "dataset set active "+dataset, "ifconfig up", "thread start") {
		c.ask(s)
	}
	waitState(n.t, c.ask, 40*time.Second, "child", "router")
	return c
}

// inDomain waits for a device's address in the domain, other than some.
func inDomain(t *testing.T, c *otCLI, but ...string) string {
	t.Helper()
	prefix := netip.MustParsePrefix(domainPrefix)
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		for _, s := range c.ask("ipaddr") {
			if a, err := netip.ParseAddr(s); err == nil && prefix.Contains(a) && !strings.Contains(strings.Join(but, " "), a.String()) {
				return a.String()
			}
		}
	}
	t.Fatalf("the device has no address of the domain: %q", c.ask("ipaddr"))
	return ""
}

// registered waits until a gateway's Backbone Router knows an address.
func (g *gateway) registered(addr string, limit time.Duration) {
	g.t.Helper()
	var out string
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		out = g.ctl("ctl", "bbr", "mgmt", "dua")
		for line := range strings.Lines(out) {
			if a, err := netip.ParseAddr(strings.Fields(line)[0]); err == nil && a.String() == addr {
				return
			}
		}
	}
	g.t.Fatalf("%s is not registered: %s", addr, out)
}

func (g *gateway) dataset() string {
	out, _, _ := strings.Cut(g.ctl("ctl", "dataset", "active", "-x"), "\n")
	return strings.TrimSpace(out)
}

// neighbour is what the LAN's host believes of an address.
func (l *lan) neighbour(addr string) string {
	l.t.Helper()
	out, err := l.host.command("ip", "-6", "neigh", "show", addr, "dev", "lan0").CombinedOutput()
	if err != nil {
		l.t.Fatalf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// onLink waits until the LAN's host takes an address to be on its link.
func (l *lan) onLink(addr string, limit time.Duration) {
	l.t.Helper()
	var out []byte
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		out, _ = l.host.command("ip", "-6", "route", "get", addr).CombinedOutput()
		if s := string(out); strings.Contains(s, "dev lan0") && !strings.Contains(s, " via ") {
			return
		}
	}
	l.t.Fatalf("%s is not on the link: %s", addr, out)
}

// Devices of OpenThread's, of all kinds, have addresses of the domain, register
// them with the gateway, and are reached by hosts of the LAN as if they were on
// their link. When the gateway is gone, nothing of it is left.
func TestDomain(t *testing.T) {
	rcp := otProgram(t, "ot-rcp")
	ftd, mtd := duaProgram(t, "ot-cli-ftd"), duaProgram(t, "ot-cli-mtd")
	ns := newRCPNetns(t)
	ns.env = []string{nextOffset()}
	l := newLAN(t, ns)
	before := kernelState(t, ns)
	g := startGateway(t, ns, "spinel+hdlc+forkpty://"+rcp+"?forkpty-arg=1", "--infra", l.gate, "--domain", domainPrefix)
	g.form()
	dataset := g.dataset()
	router := ns.device(ftd, 2, dataset)
	sleepy := ns.device(mtd, 3, dataset, "mode -", "pollperiod 500")
	for name, c := range map[string]*otCLI{"a full device": router, "a sleepy child": sleepy} {
		addr := inDomain(t, c)
		g.registered(addr, 40*time.Second)
		l.onLink(addr, 40*time.Second)
		l.address(40 * time.Second) // to be answered at
		for _, size := range []int{16, 500, 1200} {
			l.ping(addr, size)
		}
		t.Logf("%s: %s", name, l.neighbour(addr))
		if n := l.neighbour(addr); !strings.Contains(n, "lladdr") {
			t.Errorf("%s at %s was not found as a neighbour: %q", name, addr, n)
		}
	}
	// The gateway's own address is one of the domain, too.
	var own string
	for _, s := range strings.Fields(g.ctl("ctl", "ipaddr")) {
		if a, err := netip.ParseAddr(s); err == nil && netip.MustParsePrefix(domainPrefix).Contains(a) {
			own = a.String()
		}
	}
	g.registered(own, 30*time.Second)
	l.ping(own, 16)
	// A host that has an address of the domain itself is answered there.
	const hosts = "fd00:7d03:7d03:7d03::abcd"
	if out, err := l.host.command("ip", "-6", "addr", "add", hosts+"/128", "dev", "lan0", "nodad").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, c := range []*otCLI{router, sleepy} {
		to := inDomain(t, c)
		if out, err := l.host.command("ping", "-6", "-n", "-c", "5", "-i", "0.5", "-W", "3", "-I", hosts, to).CombinedOutput(); err != nil {
			t.Errorf("%s does not answer %s: %v: %s", to, hosts, err, out)
		}
	}
	// A host that wants a device's address for itself is told.
	addr := inDomain(t, router)
	if out, err := l.host.command("sysctl", "-qw", "net.ipv6.conf.lan0.accept_dad=1").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := l.host.command("ip", "-6", "addr", "add", addr+"/128", "dev", "lan0").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	time.Sleep(3 * time.Second)
	if out, _ := l.host.command("ip", "-6", "addr", "show", "dev", "lan0").CombinedOutput(); !strings.Contains(string(out), "dadfailed") {
		t.Errorf("a host of the LAN has a device's address:\n%s", out)
	}
	g.end(syscall.SIGTERM)()
	if after := kernelState(t, ns); after != before {
		t.Errorf("the kernel had\n%s\nand has\n%s", before, after)
	}
}

// Two gateways with a mesh each, on one LAN and in one domain: a device of one
// reaches a device of the other at its address of the domain, two devices with
// one address do not keep it, and when the primary of a mesh goes its other
// gateway takes over.
func TestDomainMeshes(t *testing.T) {
	ns := newRCPNetns(t)
	ns.env = []string{nextOffset()}
	l := newLAN(t, ns)
	ns2 := l.second(ns)
	ns2.env = []string{nextOffset()}
	var g [2]*gateway
	for i, n := range []*rcpNetns{ns, ns2} {
		g[i] = startGateway(t, n, "sim:1", "--infra", l.gate, "--domain", domainPrefix)
		g[i].form()
	}
	a := ns.device(g[0].bin, 2, g[0].dataset(), "dua iid 0102030405060708")
	first := inDomain(t, a)
	g[0].registered(first, 40*time.Second)
	b := ns2.device(g[1].bin, 2, g[1].dataset(), "dua iid 0102030405060708")
	second := inDomain(t, b, first)
	g[1].registered(second, 40*time.Second)
	if again := inDomain(t, a); again != first {
		t.Errorf("the first device had %s and has %s", first, again)
	}
	reaches := func(from *otCLI, to string) {
		t.Helper()
		var out []string
		for range 6 { // the first datagram asks the way, and border routers may still have to agree
			var err error
			if out, err = from.try("ping "+to+" 500 3 0.5 64 3", 30*time.Second); err == nil && strings.Contains(strings.Join(out, "\n"), "508 bytes from") {
				return
			}
		}
		t.Errorf("%s is not reached: %q", to, out)
	}
	reaches(a, second)
	reaches(b, first)
	l.onLink(first, 40*time.Second)
	l.address(40 * time.Second)
	for _, addr := range []string{first, second} {
		l.ping(addr, 16)
	}
}

// A device of ours registers at OpenThread's Backbone Router, and one of two
// devices with one address gives it up, wherever it is: our Backbone Router and
// theirs find out over the backbone link.
func TestDomainBesideOpenThread(t *testing.T) {
	daemon, ctl := daemonIn(t, "OT_BBR_DIR", "a Backbone Router")
	rcp := otProgram(t, "ot-rcp")
	device := duaProgram(t, "ot-cli-ftd")
	ns := newRCPNetns(t)
	ns.env = []string{nextOffset()}
	l := newLAN(t, ns)
	ns2 := l.second(ns)
	ours := startGateway(t, ns, "spinel+hdlc+forkpty://"+rcp+"?forkpty-arg=1", "--infra", l.gate, "--domain", domainPrefix)
	ours.form()
	theirs := newOTBR(t, ns2, ns, l.gate, rcp, 7)
	theirs.daemon, theirs.ctl = daemon, ctl
	theirs.run("")
	for _, s := range []string{"thread stop", "ifconfig down", "dataset init new", "dataset channel 21", "dataset commit active", "bbr enable", "ifconfig up", "thread start"} {
		theirs.ask(s)
	}
	waitState(t, theirs.ask, 30*time.Second, "leader")
	theirs.ask("prefix add " + domainPrefix + " prosD med")
	theirs.ask("netdata register")
	for end := time.Now().Add(30 * time.Second); !strings.Contains(strings.Join(theirs.ask("bbr state"), ""), "Primary"); time.Sleep(300 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("OpenThread's Backbone Router is %q", theirs.ask("bbr state"))
		}
	}
	dataset := theirs.ask("dataset active -x")[0]

	// Ours in their mesh first; then theirs in our mesh, with the same address.
	const iid, other = "0102030405060708", "1112131415161718"
	mine := ns.device(ours.bin, 2, dataset, "dua iid "+iid)
	first := inDomain(t, mine)
	said := func(what ...string) bool {
		for line := range strings.Lines(theirs.log.String()) {
			if !strings.Contains(line, what[0]) {
				continue
			}
			all := true
			for _, w := range what {
				all = all && strings.Contains(line, w)
			}
			if all {
				return true
			}
		}
		return false
	}
	await := func(what string, done func() bool) {
		t.Helper()
		for end := time.Now().Add(60 * time.Second); !done(); time.Sleep(200 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: not within a minute", what)
			}
		}
	}
	await("OpenThread registers our device", func() bool { return said("NdProxyTable::Register "+iid, "OK") })
	await("OpenThread tells the domain", func() bool { return said("PRO_BB.ntf", first) })

	theirDevice := ns.device(device, 3, ours.dataset(), "dua iid "+iid)
	second := inDomain(t, theirDevice, first)
	ours.registered(second, 40*time.Second)
	if again := inDomain(t, mine); again != first {
		t.Errorf("our device had %s and has %s", first, again)
	}

	// And the other way round: one of theirs in our mesh, then ours in theirs.
	theirDevice.ask("dua iid " + other)
	third := inDomain(t, theirDevice, first, second)
	ours.registered(third, 40*time.Second)
	time.Sleep(5 * time.Second) // for the three questions, and the notification
	mine.ask("dua iid " + other)
	fourth := inDomain(t, mine, first, third)
	await("OpenThread has our device's new address", func() bool { return said("PRO_BB.ntf", fourth) })
	if again := inDomain(t, theirDevice); again != third {
		t.Errorf("their device had %s and has %s", third, again)
	}
}

// When the primary Backbone Router of a mesh is one no more, the next one
// answers for its devices: hosts of the LAN go on reaching them, by the other
// gateway.
func TestDomainTakeOver(t *testing.T) {
	rcp := otProgram(t, "ot-rcp")
	ns := newRCPNetns(t)
	ns.env = []string{nextOffset()}
	l := newLAN(t, ns)
	ns2 := l.second(ns)
	socket := filepath.Join(t.TempDir(), "rcp")
	ns.startMode("proxy", socket, "spinel+hdlc+forkpty://"+rcp+"?forkpty-arg=7")
	first := startGateway(t, ns, "spinel+hdlc+forkpty://"+rcp+"?forkpty-arg=1", "--infra", l.gate, "--domain", domainPrefix, "--trel", "off")
	first.form()
	second := startGateway(t, ns2, "spinel+hdlc+unix://"+socket, "--infra", l.gate, "--domain", domainPrefix, "--trel", "off")
	second.ctl("ctl", "routerselectionjitter", "1") // who is about to be a router does not take over
	second.ctl("dataset", "import", strings.TrimSpace(first.ctl("dataset", "export")))
	second.waitRole(60*time.Second, "router")
	c := ns.device(first.bin, 2, first.dataset())
	addr := inDomain(t, c)
	first.registered(addr, 40*time.Second)
	l.onLink(addr, 40*time.Second)
	l.address(40 * time.Second)
	l.ping(addr, 16)
	if n := l.neighbour(addr); !strings.Contains(n, ns.mac(l.gate)) {
		t.Errorf("%s is found at %q, not at the primary's", addr, n)
	}
	if s := second.ctl("ctl", "bbr", "state"); !strings.Contains(s, "Secondary") {
		t.Errorf("the second gateway is %q", s)
	}
	first.ctl("ctl", "bbr", "disable")
	second.registered(addr, 60*time.Second)
	for end := time.Now().Add(20 * time.Second); !strings.Contains(l.neighbour(addr), ns2.mac(l.gate)); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s is found at %q still", addr, l.neighbour(addr))
		}
	}
	l.ping(addr, 16)
}

// mac is an interface's link-layer address.
func (n *rcpNetns) mac(ifname string) string {
	n.t.Helper()
	out, err := n.command("cat", "/sys/class/net/"+ifname+"/address").CombinedOutput()
	if err != nil {
		n.t.Fatalf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}
