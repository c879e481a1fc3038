//go:build interop

package interop

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatewayd/api"
)

// otBR is OpenThread's POSIX host as a border router, on a co-processor of its
// own.
type otBR struct {
	t           *testing.T
	ns          *rcpNetns
	daemon, ctl string
	ifname      string
	infra       string
	radio       string
	more        []string // further radios
	dir         string   // with what it remembers
	cmd         *exec.Cmd
	log         syncBuffer
}

// borderDaemon finds OpenThread's POSIX host that was built with border routing.
func borderDaemon(t *testing.T) (daemon, ctl string) {
	t.Helper()
	return daemonIn(t, "OT_BR_DIR", "border routing")
}

// daemonIn finds OpenThread's POSIX host in a directory that the environment
// names.
func daemonIn(t *testing.T, env, with string) (daemon, ctl string) {
	t.Helper()
	dir := os.Getenv(env)
	for _, sub := range []string{"", "src/posix"} {
		daemon, ctl = filepath.Join(dir, sub, "ot-daemon"), filepath.Join(dir, sub, "ot-ctl")
		if dir != "" && isProgram(daemon) && isProgram(ctl) {
			return daemon, ctl
		}
	}
	t.Skipf("SKIPPED: no ot-daemon and ot-ctl with %s in %s", with, env)
	return "", ""
}

// newOTBR prepares a namespace as a border router needs it, which OpenThread
// leaves to scripts. Its co-processor is on the air of another namespace.
func newOTBR(t *testing.T, ns, air *rcpNetns, infra, rcp string, node int) *otBR {
	t.Helper()
	ip, err := exec.LookPath("ip")
	if err != nil {
		t.Fatal(err)
	}
	if ip, err = filepath.EvalSymlinks(ip); err != nil {
		t.Fatal(err)
	}
	q := url.Values{"forkpty-arg": {"netns", "exec", air.name, rcp, fmt.Sprint(node)}}
	b := &otBR{
		t: t, ns: ns, infra: infra, dir: t.TempDir(),
		ifname: fmt.Sprintf("wpan%d", os.Getpid()), // also names its socket, which no namespace keeps apart
	}
	// Its radio URL is not unescaped.
	b.radio = "spinel+hdlc+forkpty://" + ip + "?" + strings.ReplaceAll(q.Encode(), "%2F", "/")
	for _, s := range []string{
		"net.ipv6.conf.all.forwarding=1", "net.ipv6.conf." + infra + ".accept_ra=2", "net.ipv6.conf." + infra + ".accept_ra_rt_info_max_plen=64",
	} {
		if out, err := ns.command("sysctl", "-qw", s).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("ot-daemon:\n%s", b.log.String())
		}
	})
	return b
}

// run starts the program; with a dataset it joins, without one it goes on.
func (b *otBR) run(dataset string) {
	b.t.Helper()
	b.cmd = b.ns.command(b.daemon, append([]string{"-I", b.ifname, "-B", b.infra, "-d", "4", "-v", b.radio}, b.more...)...)
	b.cmd.Dir = b.dir
	b.cmd.Stdout, b.cmd.Stderr = &b.log, &b.log
	b.ns.start(b.cmd)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if out, err := b.ns.command(b.ctl, "-I", b.ifname, "rcp", "version").CombinedOutput(); err == nil {
			break
		} else if time.Now().After(end) {
			b.t.Fatalf("ot-daemon does not answer: %s", out)
		}
	}
	if dataset != "" {
		b.ask("dataset set active " + dataset)
	}
	for _, s := range []string{"br enable", "ifconfig up", "thread start"} {
		b.ask(s)
	}
}

// ask runs a command and returns what it printed before "Done".
func (b *otBR) ask(command string) []string {
	b.t.Helper()
	out, err := b.ns.command(b.ctl, append([]string{"-I", b.ifname}, strings.Fields(command)...)...).CombinedOutput()
	var got []string
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); line == "Done" {
			return got
		} else if line != "" {
			got = append(got, line)
		}
	}
	b.t.Fatalf("ot-ctl %s: %v %q", command, err, got)
	return nil
}

// stop ends the program in order: it takes a signal for a kill.
func (b *otBR) stop() {
	for _, s := range []string{"br disable", "thread stop", "ifconfig down"} {
		b.ask(s)
	}
	_ = b.cmd.Process.Signal(syscall.SIGTERM)
	_ = b.cmd.Wait()
}

func (b *otBR) kill() {
	_ = b.cmd.Process.Kill()
	_ = b.cmd.Wait()
}

// borderView is what a border router says of the mesh and of the link.
type borderView struct {
	OMR, OnLink string
	Peers       []string // RLOC16 of border routers of this mesh
	Routers     []string // addresses of those on the link
}

// prefixOf is the first prefix in lines.
func prefixOf(lines []string) string {
	for _, l := range lines {
		for _, f := range strings.Fields(l) {
			if p, err := netip.ParsePrefix(f); err == nil {
				return p.String()
			}
		}
	}
	return ""
}

var peerRLOC = regexp.MustCompile(`rloc16:0x([0-9a-f]{4})`)

func (b *otBR) view() (v borderView) {
	b.t.Helper()
	v.OMR, v.OnLink = prefixOf(b.ask("br omrprefix favored")), prefixOf(b.ask("br onlinkprefix favored"))
	for _, l := range b.ask("br peers") {
		if m := peerRLOC.FindStringSubmatch(l); m != nil {
			v.Peers = append(v.Peers, m[1])
		}
	}
	for _, l := range b.ask("br routers") {
		addr, rest, _ := strings.Cut(l, " ")
		if a, err := netip.ParseAddr(addr); err == nil && strings.Contains(rest, "reachable:yes") && strings.Contains(rest, "(peer BR)") {
			v.Routers = append(v.Routers, a.String())
		}
	}
	return v
}

func (g *gateway) view() (v borderView) {
	g.t.Helper()
	var s api.Border
	if err := json.Unmarshal([]byte(g.ctl("border", "--json")), &s); err != nil {
		g.t.Fatal(err)
	}
	v.OMR, v.Peers = s.OMR, s.Peers
	for _, l := range s.Links {
		v.OnLink = l.OnLink
		for _, r := range l.Routers {
			if r.Peer && r.Reachable {
				v.Routers = append(v.Routers, r.Address)
			}
		}
	}
	return v
}

// linkLocal is a gateway's address on the LAN.
func (n *rcpNetns) linkLocal(ifname string) string {
	n.t.Helper()
	out, err := n.command("ip", "-6", "-o", "addr", "show", "dev", ifname, "scope", "link").CombinedOutput()
	f := strings.Fields(string(out))
	if i := slices.Index(f, "inet6"); err == nil && i >= 0 && i+1 < len(f) {
		addr, _, _ := strings.Cut(f[i+1], "/")
		return addr
	}
	n.t.Fatalf("no link-local address on %s: %v: %s", ifname, err, out)
	return ""
}

// One gateway of ours and OpenThread's border router on one mesh and one LAN:
// they agree on the prefixes and know each other, either carries what the LAN's
// host and a device say to each other, and whichever stops, is killed or comes
// back, the device is reached after 10 s at most.
func TestGatewayBesideOpenThread(t *testing.T) {
	daemon, ctl := borderDaemon(t)
	rcp := otProgram(t, "ot-rcp")
	ns := newRCPNetns(t)
	ns.env = []string{nextOffset()}
	l := newLAN(t, ns)
	if out, err := l.host.command("sysctl", "-qw", "net.ipv6.conf.lan0.accept_ra_rt_info_max_plen=64").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ns2 := l.second(ns)
	ours := startGateway(t, ns, "spinel+hdlc+forkpty://"+rcp+"?forkpty-arg=1", "--infra", l.gate)
	ours.form()
	dataset := strings.TrimSpace(ours.ctl("dataset", "export"))
	theirs := newOTBR(t, ns2, ns, l.gate, rcp, 7)
	theirs.daemon, theirs.ctl = daemon, ctl
	theirs.run(dataset)
	c := ns.cli("ot-cli-ftd", 2)
	for _, s := range []string{"dataset set active " + dataset, "routerselectionjitter 1", "ifconfig up", "thread start"} {
		c.ask(s)
	}
	waitState(t, c.ask, 60*time.Second, "router")
	waitState(t, theirs.ask, 150*time.Second, "router")
	time.Sleep(10 * time.Second) // until all routers know the new one

	agreed := func(limit time.Duration) {
		t.Helper()
		began := time.Now()
		var a, b borderView
		gates := [2]string{ns.linkLocal(l.gate), ns2.linkLocal(l.gate)}
		for time.Since(began) < limit {
			a, b = ours.view(), theirs.view()
			if a.OMR != "" && a.OMR == b.OMR && a.OnLink != "" && a.OnLink == b.OnLink && len(a.Peers) == 1 && len(b.Peers) == 1 &&
				slices.Equal(a.Routers, gates[1:]) && slices.Equal(b.Routers, gates[:1]) {
				t.Logf("agreed after %v: devices %s, LAN %s", time.Since(began).Round(100*time.Millisecond), a.OMR, a.OnLink)
				return
			}
			time.Sleep(300 * time.Millisecond)
		}
		t.Errorf("after %v ours says %+v, theirs %+v; network data %q; %q", limit, a, b, theirs.ask("netdata show"), theirs.ask("br routers"))
	}
	agreed(60 * time.Second)

	addr := ""
	for end := time.Now().Add(30 * time.Second); addr == ""; time.Sleep(300 * time.Millisecond) {
		if addr = routable(c); time.Now().After(end) {
			t.Fatalf("the device has no routable address: %q", c.ask("ipaddr -v"))
		}
	}
	host := l.address(40 * time.Second)
	l.hostRoute(addr, 30*time.Second)
	for name, gate := range map[string]*rcpNetns{"ours": ns, "theirs": ns2} {
		if out, err := l.host.command("ip", "-6", "route", "add", addr, "via", gate.linkLocal(l.gate), "dev", "lan0").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, size := range []int{16, 1200} {
			l.ping(addr, size)
		}
		t.Logf("the LAN's host reaches the device through %s", name)
		if out, err := l.host.command("ip", "-6", "route", "del", addr).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if out, err := c.try(fmt.Sprintf("ping %s 500 5 0.5 64 3", host), 30*time.Second); err != nil || !strings.Contains(strings.Join(out, "\n"), "bytes from") {
		t.Errorf("the device pings %s: %v %q", host, err, out)
	}

	w := l.watch(c, addr)
	again := func() { theirs.run("") }
	w.reached("theirs is stopped", theirs.stop)
	w.reached("theirs is started again", again)
	agreed(60 * time.Second)
	w.reached("theirs is killed", theirs.kill)
	w.reached("theirs is started again", again)
	agreed(60 * time.Second)
	w.reached("ours is stopped", ours.end(syscall.SIGTERM))
	w.reached("ours is started again", ours.run)
	agreed(60 * time.Second)
	w.reached("ours is killed", ours.end(syscall.SIGKILL))
	w.reached("ours is started again", ours.run)
	agreed(60 * time.Second)
}
