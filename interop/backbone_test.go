//go:build interop

package interop

import (
	"bufio"
	"fmt"
	"net/netip"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// listen has the LAN's host listen to a group until the test ends. As any host
// does, its kernel then answers pings to the group.
func (l *lan) listen(group string) {
	l.t.Helper()
	l.host.start(l.host.command("python3", "-c", fmt.Sprintf(`import socket, struct, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, %q) + struct.pack("@I", socket.if_nametoindex("lan0")))
time.sleep(600)
`, group)))
}

// pingGroup pings a group from the LAN's host and reports whether an address
// answers.
func (l *lan) pingGroup(group, addr string, size int) (ok bool, out string) {
	l.t.Helper()
	// Several may answer; what ping ends with is about the first ones.
	b, _ := l.host.command("ping", "-6", "-n", "-t", "5", "-c", "4", "-i", "0.5", "-W", "3", "-s", fmt.Sprint(size), "-I", "lan0", group).CombinedOutput()
	return answered(string(b), addr), string(b)
}

var answer = regexp.MustCompile(`from ([0-9a-f:]+): icmp_seq`)

// answered reports whether what ping says is, among others, an answer from an
// address.
func answered(out, addr string) bool {
	for _, m := range answer.FindAllStringSubmatch(out, -1) {
		if a, err := netip.ParseAddr(m[1]); err == nil && a == netip.MustParseAddr(addr) {
			return true
		}
	}
	return false
}

// multicastState is what a gateway might leave of multicast in a namespace.
func multicastState(t *testing.T, ns *rcpNetns) string {
	t.Helper()
	out, err := ns.command("sh", "-c", "cat /proc/net/ip6_mr_vif; grep -r . /proc/sys/net/ipv6/conf/*/mc_forwarding").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// slaacAddress waits for a device's routable address.
func slaacAddress(t *testing.T, c *otCLI) string {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		for _, a := range c.ask("ipaddr -v") {
			if strings.Contains(a, "origin:slaac") {
				addr, _, _ := strings.Cut(a, " ")
				return addr
			}
		}
	}
	t.Fatalf("the device has no routable address: %q", c.ask("ipaddr -v"))
	return ""
}

// Multicast crosses between the LAN and devices of OpenThread's: to a group that
// one of them registers, directly or by its parent, and from them to a group
// that a host on the LAN listens to.
func TestBackbone(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("SKIPPED: no python3")
	}
	rcp := otProgram(t, "ot-rcp")
	otProgram(t, "ot-cli-mtd")
	ns := newRCPNetns(t)
	ns.env = []string{nextOffset()}
	l := newLAN(t, ns)
	// What a host needs to take routes to single networks (RFC 4191).
	if out, err := l.host.command("sysctl", "-qw", "net.ipv6.conf.lan0.accept_ra_rt_info_max_plen=64").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	before := multicastState(t, ns)
	g := startGateway(t, ns, "spinel+hdlc+forkpty://"+rcp+"?forkpty-arg=1", "--infra", l.gate)
	g.form()
	router, eui64 := ns.joiner("ot-cli-ftd", 2)
	if _, _, err := g.join(router, eui64, pskd); err != nil {
		t.Fatal(err)
	}
	child, eui64 := ns.joiner("ot-cli-mtd", 3)
	if _, _, err := g.join(child, eui64, pskd); err != nil {
		t.Fatal(err)
	}
	host := l.address(30 * time.Second)

	// They know the gateway as the primary Backbone Router.
	for end := time.Now().Add(20 * time.Second); !strings.Contains(strings.Join(router.ask("bbr"), "\n"), "server16"); time.Sleep(300 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no Backbone Router: %q; here %s", router.ask("bbr"), g.ctl("ctl", "bbr", "state"))
		}
	}
	if s := g.ctl("ctl", "bbr", "state"); !strings.Contains(s, "Primary") {
		t.Errorf("the gateway is %q", s)
	}
	theirs := strings.Join(router.ask("bbr"), "\n")
	if ours := strings.ReplaceAll(g.ctl("ctl", "bbr"), "\r", ""); !strings.Contains(ours, theirs) {
		t.Errorf("they say\n%s\nwe say\n%s", theirs, ours)
	}

	const group, silent, outside = "ff04::123", "ff04::124", "ff05::abc"
	router.ask("ipmaddr add " + group)
	child.ask("ipmaddr add " + group)
	addr, childAddr := slaacAddress(t, router), slaacAddress(t, child)
	l.hostRoute(addr, 30*time.Second)
	// The child's parent registers what the child tells it.
	listens := func(g2 string, limit time.Duration) bool {
		for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
			if strings.Contains(g.ctl("ctl", "bbr", "mgmt", "mlr", "listener"), g2) {
				return true
			}
		}
		return false
	}
	if !listens("ff04:0:0:0:0:0:0:123", 30*time.Second) {
		t.Fatalf("nobody listens: %s", g.ctl("ctl", "bbr", "mgmt", "mlr", "listener"))
	}
	for _, size := range []int{16, 800} {
		for _, a := range []string{addr, childAddr} {
			if ok, out := l.pingGroup(group, a, size); !ok {
				t.Errorf("%s does not answer a ping of %d bytes to %s:\n%s", a, size, group, out)
			}
		}
	}
	// Without a registration nothing comes, though a device listens.
	if reply := router.ask("mlr reg " + silent); len(reply) == 0 || reply[0] != "status 0, 0 failed" {
		t.Errorf("mlr reg: %q", reply)
	}
	router.ask("ipmaddr add " + silent)
	if ok, out := l.pingGroup(silent, addr, 16); !ok {
		t.Errorf("no answer from %s for a group registered by hand:\n%s", addr, out)
	}
	router.ask("ipmaddr del " + silent) // there is room for two
	router.ask("ipmaddr add ff04::125")
	if ok, out := l.pingGroup("ff04::125", addr, 16); ok && !listens("ff04:0:0:0:0:0:0:125", time.Second) {
		t.Errorf("an answer to what nobody has registered:\n%s", out)
	}
	if reply := router.ask("mlr reg ff02::1 ff04::1"); len(reply) != 2 || reply[0] != "status 2, 1 failed" {
		t.Errorf("mlr reg of a group of the link: %q", reply)
	}

	// From the mesh to the LAN.
	l.listen(outside)
	time.Sleep(time.Second)
	for _, c := range []*otCLI{router, child} {
		out, err := c.try("ping "+outside+" 16 5 0.7 10 3", 30*time.Second)
		if err != nil || !answered(strings.Join(out, "\n"), host) {
			t.Errorf("the device pings %s, %s does not answer: %v %q", outside, host, err, out)
		}
	}

	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = g.cmd.Wait()
	if after := multicastState(t, ns); after != before {
		t.Errorf("the kernel had\n%s\nand has\n%s", before, after)
	}
}

// member is a program on the gateway's host that listens to a group on the
// mesh's interface and says what it hears.
type member struct {
	heard chan string
	leave func()
}

func (n *rcpNetns) member(group string, port int) *member {
	n.t.Helper()
	cmd := n.command("python3", "-u", "-c", fmt.Sprintf(`import socket, struct
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind((%[1]q, %[2]d))
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, %[1]q) + struct.pack("@I", socket.if_nametoindex("wpan0")))
while True:
    b, a = s.recvfrom(2000)
    print(b.decode(), "from", a[0])
`, group, port))
	out, err := cmd.StdoutPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	n.start(cmd)
	m := &member{heard: make(chan string, 100), leave: func() { _ = cmd.Process.Kill() }}
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			m.heard <- lines.Text()
		}
	}()
	return m
}

// What programs of the gateway's host listen to on the mesh's interface they
// hear from the mesh: the node listens for them, and to what is wider than the
// mesh it tells its Backbone Router.
func TestProgramsListen(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("SKIPPED: no python3")
	}
	ns := newRCPNetns(t)
	ns.env = []string{nextOffset()}
	l := newLAN(t, ns)
	g := startGateway(t, ns, "sim:1", "--infra", l.gate)
	g.form()
	node := ns.program(g.bin, "node", "2")
	dataset, _, _ := strings.Cut(g.ctl("ctl", "dataset", "active", "-x"), "\n")
	for _, s := range []string{"dataset set active " + strings.TrimSpace(dataset), "ifconfig up", "thread start"} {
		node.ask(s)
	}
	waitState(t, node.ask, 30*time.Second, "child", "router")
	node.ask("udp open")
	node.ask("udp bind :: 4321")

	has := func(command, group string) bool {
		return strings.Contains(g.ctl(append([]string{"ctl"}, strings.Fields(command)...)...), group)
	}
	await := func(what string, done func() bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(200 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: not within 20s: %s%s", what, g.ctl("ctl", "ipmaddr"), g.ctl("ctl", "bbr", "mgmt", "mlr", "listener"))
			}
		}
	}
	const wide, narrow = "ff04:0:0:0:0:0:0:321", "ff03:0:0:0:0:0:0:321"
	if has("ipmaddr", wide) {
		t.Fatal("the node listens before any program does")
	}
	a, b := ns.member(wide, 7001), ns.member(narrow, 7002)
	for _, x := range []struct {
		group string
		port  int
		m     *member
	}{{wide, 7001, a}, {narrow, 7002, b}} {
		await("the node listens to "+x.group, func() bool { return has("ipmaddr", x.group) })
		await("a program hears "+x.group, func() bool {
			node.ask(fmt.Sprintf("udp send %s %d hello", x.group, x.port))
			select {
			case s := <-x.m.heard:
				return strings.HasPrefix(s, "hello from fd")
			case <-time.After(time.Second):
				return false
			}
		})
	}
	await("the Backbone Router knows", func() bool { return has("bbr mgmt mlr listener", wide) })
	if has("bbr mgmt mlr listener", narrow) {
		t.Error("a group of the mesh is registered")
	}
	a.leave()
	await("the node does not listen any more", func() bool { return !has("ipmaddr", wide) })
	if !has("ipmaddr", narrow) {
		t.Error("the other program is forgotten")
	}
}
