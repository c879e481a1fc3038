//go:build interop

package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
