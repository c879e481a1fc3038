//go:build interop

package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// kernelState is what a gateway might leave behind in a namespace.
func kernelState(t *testing.T, ns *rcpNetns) string {
	t.Helper()
	var all []string
	for _, c := range [][]string{
		{"ip", "-6", "route", "show", "table", "all"}, {"ip", "-4", "route"}, {"ip", "-o", "addr"}, {"ip", "-6", "rule"}, {"ip", "-4", "rule"},
		{"nft", "list", "ruleset"},
		{"sh", "-c", "grep -r . /proc/sys/net/ipv6/conf/*/forwarding /proc/sys/net/ipv6/conf/*/accept_ra /proc/sys/net/ipv6/conf/*/accept_ra_rt_info_max_plen /proc/sys/net/ipv4/ip_forward"},
	} {
		if _, err := exec.LookPath(c[0]); err != nil {
			continue
		}
		out, err := ns.command(c[0], c[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v: %s", c, err, out)
		}
		for line := range strings.Lines(string(out)) {
			// Lifetimes and expiry times run.
			all = append(all, strings.TrimSpace(passing.ReplaceAllString(line, "")))
		}
	}
	return strings.Join(all, "\n")
}

var passing = regexp.MustCompile(`(expires|valid_lft|preferred_lft) \S+|hoplimit \d+|pref \w+`)

// hostRoute waits until the LAN's host has a route to an address by the gateway.
func (l *lan) hostRoute(addr string, limit time.Duration) {
	l.t.Helper()
	var out []byte
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		out, _ = l.host.command("ip", "-6", "route", "get", addr).CombinedOutput()
		if strings.Contains(string(out), " via fe80:") {
			return
		}
	}
	routes, _ := l.host.command("ip", "-6", "route").CombinedOutput()
	l.t.Fatalf("the LAN's host has no route to %s after %v: %s\n%s", addr, limit, out, routes)
}

// ping pings from the LAN's host and fails the test if nothing comes back.
func (l *lan) ping(addr string, size int) {
	l.t.Helper()
	out, err := l.host.command("ping", "-6", "-n", "-c", "5", "-i", "0.3", "-W", "3", "-s", fmt.Sprint(size), addr).CombinedOutput()
	if err != nil {
		l.t.Errorf("the LAN's host pings %s with %d bytes: %v: %s", addr, size, err, out)
	}
}

// address is the host's address that it made of an advertised prefix.
func (l *lan) address(limit time.Duration) string {
	l.t.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		out, _ := l.host.command("ip", "-6", "-o", "addr", "show", "dev", "lan0", "scope", "global", "-tentative").CombinedOutput()
		for line := range strings.Lines(string(out)) {
			f := strings.Fields(line)
			for i := range f {
				if f[i] == "inet6" && !strings.Contains(line, "deprecated") {
					addr, _, _ := strings.Cut(f[i+1], "/")
					return addr
				}
			}
		}
	}
	l.t.Fatal("the LAN's host has no address of an advertised prefix")
	return ""
}

// A host on the LAN, with its kernel's own handling of router advertisements,
// reaches a device of OpenThread's by its routable address, and the device
// reaches the host, in one packet and in fragments, by ICMP and UDP. Afterwards
// nothing of ours is left in the kernel.
func TestBorderRouting(t *testing.T) {
	rcp := otProgram(t, "ot-rcp")
	ns := newRCPNetns(t)
	ns.env = []string{nextOffset()}
	l := newLAN(t, ns)
	// What a host needs to take routes to single networks (RFC 4191).
	if out, err := l.host.command("sysctl", "-qw", "net.ipv6.conf.lan0.accept_ra_rt_info_max_plen=64").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	before := kernelState(t, ns)
	g := startGateway(t, ns, "spinel+hdlc+forkpty://"+rcp+"?forkpty-arg=1", "--infra", l.gate)
	g.form()
	c, eui64 := ns.joiner("ot-cli-ftd", 2)
	if _, _, err := g.join(c, eui64, pskd); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var omr string
	for end := time.Now().Add(60 * time.Second); omr == ""; time.Sleep(300 * time.Millisecond) {
		for _, a := range c.ask("ipaddr -v") {
			if strings.Contains(a, "origin:slaac") {
				omr, _, _ = strings.Cut(a, " ")
			}
		}
		if time.Now().After(end) {
			t.Fatalf("the device has no routable address: %q", c.ask("ipaddr -v"))
		}
	}
	l.hostRoute(omr, 30*time.Second)
	t.Logf("the LAN's host has a route to %s %v after the device joined", omr, time.Since(began).Round(time.Second))
	host := l.address(30 * time.Second) // without one, it cannot be answered
	for _, size := range []int{16, 500, 1200} {
		l.ping(omr, size)
	}
	for _, size := range []int{16, 500, 1200} {
		out, err := c.try(fmt.Sprintf("ping %s %d 5 0.5 64 3", host, size), 30*time.Second)
		if err != nil || !strings.Contains(strings.Join(out, "\n"), "bytes from") {
			t.Errorf("the device pings %s with %d bytes: %v %q", host, size, err, out)
		}
	}

	// UDP from the host to the device and, as an answer is let through, back; and
	// what the device begins.
	c.ask("udp open")
	c.ask("udp bind :: 4321")
	send := l.host.command("python3", "-c", fmt.Sprintf(`import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.settimeout(10)
s.bind(("::", 4322))
s.sendto(b"x" * 900, (%q, 4321))
print("got", len(s.recv(2000)))
`, omr))
	send.Stdout = &g.log
	l.host.start(send)
	if _, err := c.wait(10*time.Second, "900 bytes from"); err != nil {
		t.Errorf("no UDP from the host to the device: %v", err)
	}
	c.ask(fmt.Sprintf("udp send %s 4322 -s 800", host))
	for end := time.Now().Add(10 * time.Second); !strings.Contains(g.log.String(), "got 800"); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Error("no UDP from the device to the host")
			break
		}
	}

	if _, err := exec.LookPath("rdisc6"); err == nil {
		out, _ := l.host.command("rdisc6", "-1", "-w", "3000", "lan0").CombinedOutput()
		if !strings.Contains(string(out), "Route") || !strings.Contains(string(out), "/64") {
			t.Errorf("rdisc6:\n%s", out)
		}
	}

	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = g.cmd.Wait()
	if after := kernelState(t, ns); after != before {
		t.Errorf("the kernel was\n%s\nand is\n%s", before, after)
	}
	routes, _ := l.host.command("ip", "-6", "route").CombinedOutput()
	if strings.Contains(string(routes), "via fe80") {
		t.Errorf("the LAN's host still routes through the gateway:\n%s", routes)
	}
}

// The LAN's router delegates a prefix (Kea), the mesh takes its addresses of it,
// and the host reaches the device by it. When the gateway is killed and comes
// back, it has the same prefix.
func TestDelegation(t *testing.T) {
	kea, err := exec.LookPath("kea-dhcp6")
	if err != nil {
		t.Skip("SKIPPED: no kea-dhcp6")
	}
	rcp := otProgram(t, "ot-rcp")
	ns := newRCPNetns(t)
	ns.env = []string{nextOffset()}
	l := newLAN(t, ns)
	if out, err := l.host.command("sysctl", "-qw", "net.ipv6.conf.lan0.accept_ra_rt_info_max_plen=64").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "kea.json")
	text := fmt.Sprintf(`{"Dhcp6": {
"interfaces-config": {"interfaces": ["lan0"]},
"lease-database": {"type": "memfile", "persist": true, "name": %q},
"valid-lifetime": 4000, "preferred-lifetime": 3000, "renew-timer": 1000, "rebind-timer": 2000,
"control-socket": {"socket-type": "unix", "socket-name": %q}, "data-directory": %q,
"subnet6": [{"id": 1, "subnet": "2001:db8:1::/64", "interface": "lan0", "rapid-commit": true,
"pd-pools": [{"prefix": "2001:db8:100::", "prefix-len": 48, "delegated-len": 64}]}],
"loggers": [{"name": "kea-dhcp6", "severity": "INFO", "output_options": [{"output": "stdout"}]}]}}`,
		filepath.Join(dir, "leases"), filepath.Join(dir, "control"), dir)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // for link-local addresses
	var log syncBuffer
	server := l.host.command(kea, "-c", config)
	server.Env = append(server.Env, "KEA_PIDFILE_DIR="+dir, "KEA_LOCKFILE_DIR="+dir)
	server.Stdout, server.Stderr = &log, &log
	l.host.start(server)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("kea:\n%s", log.String())
		}
	})
	for end := time.Now().Add(10 * time.Second); !strings.Contains(log.String(), "DHCP6_STARTED"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("kea does not start")
		}
	}

	g := startGateway(t, ns, "spinel+hdlc+forkpty://"+rcp+"?forkpty-arg=1", "--infra", l.gate)
	g.form()
	c, eui64 := ns.joiner("ot-cli-ftd", 2)
	if _, _, err := g.join(c, eui64, pskd); err != nil {
		t.Fatal(err)
	}
	delegated := func(limit time.Duration) string {
		t.Helper()
		for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
			for _, a := range c.ask("ipaddr") {
				if strings.HasPrefix(a, "2001:db8:100:") {
					return a
				}
			}
		}
		t.Fatalf("the device has no address of the delegated prefix: %q %q", c.ask("ipaddr"), c.ask("netdata show"))
		return ""
	}
	addr := delegated(60 * time.Second)
	t.Logf("the device has %s", addr)
	l.address(30 * time.Second)
	l.hostRoute(addr, 30*time.Second)
	l.ping(addr, 100)

	if err := g.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = g.cmd.Wait()
	killed := time.Now()
	g.run()
	for l.host.command("ping", "-6", "-n", "-c", "1", "-W", "1", addr).Run() != nil {
		if time.Since(killed) > 60*time.Second {
			t.Fatal("the device is not reached again")
		}
	}
	t.Logf("killed, started again: the device answers the LAN after %v", time.Since(killed).Round(100*time.Millisecond))
	if took := time.Since(killed); took > 10*time.Second {
		t.Errorf("10 s are allowed, it took %v", took)
	}
	g.waitRole(40*time.Second, "leader", "router", "child")
	if again := delegated(60 * time.Second); again != addr {
		t.Errorf("the device had %s and has %s", addr, again)
	}
	l.ping(addr, 100)
}

// Two gateways on one mesh and one LAN: whichever stops, is killed or comes
// back, the LAN's host goes on reaching a device, after 10 s at most.
func TestTwoGateways(t *testing.T) {
	rcp := otProgram(t, "ot-rcp")
	ns := newRCPNetns(t)
	ns.env = []string{nextOffset()}
	l := newLAN(t, ns)
	if out, err := l.host.command("sysctl", "-qw", "net.ipv6.conf.lan0.accept_ra_rt_info_max_plen=64").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// The second gateway has a namespace of its own; its co-processor is on the
	// first one's air, behind a socket.
	ns2 := l.second(ns)
	socket := filepath.Join(t.TempDir(), "rcp")
	ns.startMode("proxy", socket, "spinel+hdlc+forkpty://"+rcp+"?forkpty-arg=7")

	first := startGateway(t, ns, "spinel+hdlc+forkpty://"+rcp+"?forkpty-arg=1", "--infra", l.gate)
	first.form()
	dataset := strings.TrimSpace(first.ctl("dataset", "export"))
	second := startGateway(t, ns2, "spinel+hdlc+unix://"+socket, "--infra", l.gate)
	second.ctl("dataset", "import", dataset)
	second.waitRole(60*time.Second, "child", "router")
	c := ns.cli("ot-cli-ftd", 2)
	for _, s := range []string{"dataset set active " + dataset, "routerselectionjitter 1", "ifconfig up", "thread start"} {
		c.ask(s)
	}
	waitState(t, c.ask, 60*time.Second, "router")
	second.waitRole(150*time.Second, "router") // a gateway waits up to two minutes to become one

	for end := time.Now().Add(60 * time.Second); routable(c) == ""; time.Sleep(300 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the device has no routable address: %q", c.ask("ipaddr -v"))
		}
	}
	addr := routable(c)
	l.address(40 * time.Second)
	l.hostRoute(addr, 30*time.Second)
	l.ping(addr, 100)
	time.Sleep(20 * time.Second) // so that both have said what they have to say

	w := l.watch(c, addr)
	for _, g := range []*gateway{second, first} {
		name := map[*gateway]string{first: "the leader", second: "the other"}[g]
		w.reached(name+" is stopped", g.end(syscall.SIGTERM))
		w.reached(name+" is started again", g.run)
		w.reached(name+" is killed", g.end(syscall.SIGKILL))
		w.reached(name+" is started again", g.run)
	}
}

// end ends a gateway by a signal.
func (g *gateway) end(how syscall.Signal) func() {
	return func() {
		_ = g.cmd.Process.Signal(how)
		_ = g.cmd.Wait()
	}
}

// second makes a namespace for another gateway on the same LAN.
func (l *lan) second(first *rcpNetns) *rcpNetns {
	l.t.Helper()
	ns := &rcpNetns{t: l.t, name: first.name + "-2", env: first.env}
	run := func(args ...string) {
		l.t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			l.t.Fatalf("ip %v: %v: %s", args, err, out)
		}
	}
	run("netns", "add", ns.name)
	l.t.Cleanup(func() { run("netns", "del", ns.name) })
	run("link", "add", l.gate, "netns", ns.name, "type", "veth", "peer", "name", "lan1", "netns", l.host.name)
	run("netns", "exec", ns.name, "sysctl", "-qw", "net.ipv6.conf."+l.gate+".accept_dad=0")
	run("-n", ns.name, "link", "set", "lo", "up")
	// The LAN's own interface becomes a port of a bridge, and the bridge is what
	// was the interface.
	run("-n", l.host.name, "link", "set", "lan0", "down")
	run("-n", l.host.name, "link", "set", "lan0", "name", "port0")
	run("-n", l.host.name, "link", "add", "lan0", "type", "bridge", "mcast_snooping", "0")
	for _, c := range []string{"accept_dad=0", "accept_ra=1", "accept_ra_rt_info_max_plen=64"} {
		run("netns", "exec", l.host.name, "sysctl", "-qw", "net.ipv6.conf.lan0."+c)
	}
	for _, port := range []string{"port0", "lan1"} {
		run("netns", "exec", l.host.name, "sysctl", "-qw", "net.ipv6.conf."+port+".disable_ipv6=1")
		run("-n", l.host.name, "link", "set", port, "master", "lan0", "up")
	}
	run("-n", l.host.name, "link", "set", "lan0", "up")
	run("-n", ns.name, "link", "set", l.gate, "up")
	return ns
}
