//go:build interop

package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// lan is a link between the gateway's namespace and one of hosts.
type lan struct {
	t    *testing.T
	host *rcpNetns // of the hosts
	gate string    // the gateway's interface
}

// newLAN joins a namespace of hosts to one of a gateway: `infra0` there, `lan0`
// here.
func newLAN(t *testing.T, gate *rcpNetns) *lan {
	t.Helper()
	l := &lan{t: t, host: &rcpNetns{t: t, name: gate.name + "-lan"}, gate: "infra0"}
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
	}
	run("netns", "add", l.host.name)
	t.Cleanup(func() { run("netns", "del", l.host.name) })
	run("link", "add", l.gate, "netns", gate.name, "type", "veth", "peer", "name", "lan0", "netns", l.host.name)
	for _, x := range [][2]string{{gate.name, l.gate}, {l.host.name, "lan0"}} {
		run("netns", "exec", x[0], "sysctl", "-qw", "net.ipv6.conf."+x[1]+".accept_dad=0")
		run("-n", x[0], "link", "set", "lo", "up")
		run("-n", x[0], "link", "set", x[1], "up")
	}
	run("-n", gate.name, "addr", "add", "192.0.2.1/24", "dev", l.gate)
	run("-n", l.host.name, "addr", "add", "192.0.2.2/24", "dev", "lan0")
	return l
}

// avahi starts avahi-daemon on the LAN until the test ends; without a message
// bus it cannot be asked, so one is started too.
func (l *lan) avahi() {
	l.t.Helper()
	for _, p := range []string{"avahi-daemon", "dbus-daemon", "avahi-browse"} {
		if _, err := exec.LookPath(p); err != nil {
			l.t.Skipf("SKIPPED: no %s", p)
		}
	}
	dir := l.t.TempDir()
	bus := filepath.Join(dir, "bus")
	config := filepath.Join(dir, "bus.conf")
	text := fmt.Sprintf(`<busconfig><type>system</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/><allow send_requested_reply="true" send_type="method_return"/><allow send_requested_reply="true" send_type="error"/><allow receive_type="method_call"/><allow receive_type="signal"/><allow receive_type="method_return"/><allow receive_type="error"/><allow send_destination="*"/></policy></busconfig>`, bus)
	avahi := filepath.Join(dir, "avahi.conf")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(avahi, []byte("[server]\nhost-name=lanhost\nallow-interfaces=lan0\nuse-ipv4=yes\nuse-ipv6=yes\n[publish]\npublish-workstation=no\n[rlimits]\n"), 0o600); err != nil {
		l.t.Fatal(err)
	}
	l.host.env = append(l.host.env, "DBUS_SYSTEM_BUS_ADDRESS=unix:path="+bus)
	l.host.start(l.host.command("dbus-daemon", "--nofork", "--nopidfile", "--config-file="+config))
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(bus); err == nil {
			break
		} else if time.Now().After(end) {
			l.t.Fatal("no message bus")
		}
	}
	// Its pid file is where every avahi-daemon of the machine has it: a mount
	// namespace of its own keeps them apart.
	l.host.start(l.host.command("unshare", "-m", "sh", "-c", "mount -t tmpfs tmpfs /run && mkdir -p /run/avahi-daemon && exec avahi-daemon --no-drop-root --no-chroot --no-rlimits -f "+avahi))
	time.Sleep(time.Second)
}

// A device of OpenThread's registers a service by SRP; a host on the LAN finds
// it by mDNS. The device finds by DNS what the LAN publishes, and itself.
func TestServices(t *testing.T) {
	rcp := otProgram(t, "ot-rcp")
	ns := newRCPNetns(t)
	ns.env = []string{nextOffset()}
	l := newLAN(t, ns)
	l.avahi()
	g := startGateway(t, ns, "spinel+hdlc+forkpty://"+rcp+"?forkpty-arg=1", "--infra", l.gate)
	g.form()
	c, eui64 := ns.joiner("ot-cli-ftd", 2)
	if _, _, err := g.join(c, eui64, pskd); err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"srp client autostart enable", "srp client host name thermometer", "srp client host address auto",
		"srp client service add Kitchen _coap._udp 5683"} {
		c.ask(s)
	}
	var out []string
	for end := time.Now().Add(40 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		if out = c.ask("srp client host"); strings.Contains(strings.Join(out, ""), "Registered") {
			break
		} else if time.Now().After(end) {
			t.Fatalf("not registered: %q", out)
		}
	}
	t.Logf("%q", out)

	var browsed []byte
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(500 * time.Millisecond) {
		browsed, _ = l.host.command("avahi-browse", "-rtp", "_coap._udp").CombinedOutput()
		if strings.Contains(string(browsed), "=;lan0;IPv6;Kitchen") {
			break
		} else if time.Now().After(end) {
			t.Fatalf("avahi does not find the service:\n%s", browsed)
		}
	}
	t.Logf("%s", browsed)
	if !strings.Contains(string(browsed), "thermometer.local;") || !strings.Contains(string(browsed), ";5683;") {
		t.Errorf("avahi resolves\n%s", browsed)
	}

	// What the LAN publishes, the device finds.
	l.host.start(l.host.command("avahi-publish", "-s", "Printer", "_ipp._tcp", "631", "paper=A4"))
	time.Sleep(2 * time.Second)
	for _, x := range []struct {
		command string
		want    []string
	}{
		{"dns browse _ipp._tcp.default.service.arpa.", []string{"Printer", "Port:631", "lanhost"}},
		{"dns service Printer _ipp._tcp.default.service.arpa.", []string{"Port:631", "lanhost"}},
		{"dns browse _coap._udp.default.service.arpa.", []string{"Kitchen", "Port:5683"}},
		{"dns resolve thermometer.default.service.arpa.", []string{"thermometer"}},
	} {
		got, err := c.try(x.command, 20*time.Second)
		text := strings.Join(got, "\n")
		t.Logf("%s: %s", x.command, text)
		for _, w := range x.want {
			if err != nil || !strings.Contains(text, w) {
				t.Errorf("%s: no %q in %q, %v", x.command, w, text, err)
			}
		}
	}
	// Withdrawn, it is gone.
	c.ask("srp client host remove 1")
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(500 * time.Millisecond) {
		browsed, _ = l.host.command("avahi-browse", "-tp", "_coap._udp").CombinedOutput()
		if !strings.Contains(string(browsed), "Kitchen") {
			break
		} else if time.Now().After(end) {
			t.Fatalf("still there:\n%s", browsed)
		}
	}
}

// A device of OpenThread's reaches an IPv4 host on the LAN by the NAT64: by
// address, and by a name that the host's resolver knows.
func TestNAT64(t *testing.T) {
	rcp := otProgram(t, "ot-rcp")
	ns := newRCPNetns(t)
	ns.env = []string{nextOffset()}
	l := newLAN(t, ns)
	g := startGateway(t, ns, "spinel+hdlc+forkpty://"+rcp+"?forkpty-arg=1", "--infra", l.gate)
	g.form()
	c, eui64 := ns.joiner("ot-cli-ftd", 2)
	if _, _, err := g.join(c, eui64, pskd); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(300 * time.Millisecond) {
		if strings.Contains(strings.Join(c.ask("netdata show"), " "), "/96 sn") {
			break
		} else if time.Now().After(end) {
			t.Fatalf("no NAT64 prefix in the network data: %q", c.ask("netdata show"))
		}
	}
	time.Sleep(2 * time.Second) // for an address of the new prefix
	for _, size := range []int{16, 500, 1200} {
		out, err := c.try(fmt.Sprintf("ping 192.0.2.2 %d 5 0.5 64 3", size), 30*time.Second)
		text := strings.Join(out, "\n")
		if err != nil || strings.Count(text, "bytes from") < 4 {
			t.Errorf("ping 192.0.2.2 with %d bytes: %v\n%s", size, err, text)
		}
	}
	echo := l.host.command("python3", "-c", `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("192.0.2.2", 7777))
while True:
    b, a = s.recvfrom(2000)
    s.sendto(b, a)
`)
	l.host.start(echo)
	time.Sleep(500 * time.Millisecond)
	c.ask("udp open")
	c.ask("udp bind :: 4321")
	c.ask("udp send 192.0.2.2 7777 -s 700")
	if _, err := c.wait(10*time.Second, "700 bytes from"); err != nil {
		t.Errorf("no UDP echo over the NAT64: %v", err)
	}
}

// resolver starts a DNS server on the LAN, which makes addresses of a prefix for
// the well-known name and knows no other, and has the gateway's namespace use it.
func (l *lan) resolver(gate *rcpNetns, prefix string) {
	l.t.Helper()
	dir := filepath.Join("/etc/netns", gate.name) // which `ip netns exec` puts in place of /etc
	if err := os.MkdirAll(dir, 0o755); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.WriteFile(filepath.Join(dir, "resolv.conf"), []byte("nameserver 192.0.2.2\n"), 0o644); err != nil {
		l.t.Fatal(err)
	}
	l.host.start(l.host.command("python3", "-c", fmt.Sprintf(`import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("192.0.2.2", 53))
name = b"\x08ipv4only\x04arpa\x00\x00\x1c\x00\x01"
while True:
    q, a = s.recvfrom(2000)
    known = q[12:].startswith(name)
    r = q[:2] + b"\x81\x80\x00\x01" + (b"\x00\x02" if known else b"\x00\x00") + b"\x00\x00\x00\x00" + q[12:]
    if known:
        for last in (170, 171):
            r += b"\xc0\x0c\x00\x1c\x00\x01" + struct.pack(">IH", 600, 16) + socket.inet_pton(socket.AF_INET6, %q + "192.0.0.%%d" %% last)
    s.sendto(r, a)
`, prefix)))
}

// Where the network's resolvers know a NAT64, the mesh is told of that one and
// not of the gateway's own, as soon as its addresses are known outside.
func TestOutsideNAT64(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("SKIPPED: no python3")
	}
	ns := newRCPNetns(t)
	ns.env = []string{nextOffset()}
	l := newLAN(t, ns)
	l.resolver(ns, "2001:db8:64::")
	g := startGateway(t, ns, "sim:1", "--infra", l.gate)
	g.form()
	route := regexp.MustCompile(`(?m)^(\S+)/96 sn (\S+)`)
	expect := func(what string, good func(prefix, preference string) bool) {
		t.Helper()
		var out string
		for end := time.Now().Add(40 * time.Second); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
			out = g.ctl("ctl", "netdata", "show")
			if all := route.FindAllStringSubmatch(out, -1); len(all) == 1 && good(all[0][1], all[0][2]) {
				return
			}
		}
		t.Fatalf("%s: %s", what, out)
	}
	expect("no NAT64 of our own for addresses that nobody knows outside", func(p, preference string) bool {
		return strings.HasPrefix(p, "fd") && preference == "low"
	})
	node := ns.program(g.bin, "node", "2")
	dataset, _, _ := strings.Cut(g.ctl("ctl", "dataset", "active", "-x"), "\n")
	for _, s := range []string{"dataset set active " + strings.TrimSpace(dataset), "ifconfig up", "thread start"} {
		node.ask(s)
	}
	waitState(t, node.ask, 30*time.Second, "child", "router")
	node.ask("prefix add 2001:db8:100::/64 paos med")
	node.ask("netdata register")
	expect("not the network's NAT64", func(p, preference string) bool { return p == "2001:db8:64:0:0:0::" && preference == "med" })
}
