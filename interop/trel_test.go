//go:build interop

package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// trelDaemon finds OpenThread's POSIX host that was built with TREL and
// multicast DNS for it: docs/interop.md.
func trelDaemon(t *testing.T) (daemon, ctl string) {
	t.Helper()
	dir := os.Getenv("OT_TREL_DIR")
	for _, sub := range []string{"", "src/posix"} {
		daemon, ctl = filepath.Join(dir, sub, "ot-daemon"), filepath.Join(dir, sub, "ot-ctl")
		if dir != "" && isProgram(daemon) && isProgram(ctl) {
			return daemon, ctl
		}
	}
	t.Skip("SKIPPED: no ot-daemon and ot-ctl with TREL in OT_TREL_DIR")
	return "", ""
}

// cut takes a gateway's port off the LAN's bridge, or puts it back: its
// interface stays up, and what it sends is lost.
func (l *lan) cut(port string, off bool) {
	l.t.Helper()
	args := []string{"-n", l.host.name, "link", "set", port, "master", "lan0"}
	if off {
		args = append(args[:5], "nomaster")
	}
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		l.t.Fatalf("ip %v: %v: %s", args, err, out)
	}
}

// ours and theirs are asked the same way.
type asker func(command string) []string

func (g *gateway) ask(command string) []string {
	g.t.Helper()
	var got []string
	for line := range strings.Lines(g.ctl(append([]string{"ctl"}, strings.Fields(command)...)...)) {
		if line = strings.TrimSpace(line); line != "Done" && line != "" {
			got = append(got, line)
		}
	}
	return got
}

// one is the only line of an answer.
func (a asker) one(command string) string {
	return strings.Join(a(command), " ")
}

// partition is that of a router; others count as having none.
func (a asker) partition() string {
	if role := a.one("state"); role != "router" && role != "leader" {
		return ""
	}
	return a.one("partitionid")
}

// One network in two places: a gateway of ours and OpenThread's POSIX host, each
// with a device, on airs that do not hear each other and on one LAN. By TREL
// they become one partition and every node reaches every other; without the LAN
// both halves go on, and when it is back they merge.
func TestTREL(t *testing.T) {
	daemon, ctl := trelDaemon(t)
	rcp := otProgram(t, "ot-rcp")
	ns := newRCPNetns(t)
	ns.env = []string{nextOffset()}
	l := newLAN(t, ns)
	ns2 := l.second(ns)

	gate := startGateway(t, ns, "spinel+hdlc+forkpty://"+rcp+"?forkpty-arg=1", "--infra", l.gate)
	gate.form()
	dataset := strings.TrimSpace(gate.ctl("dataset", "export"))
	host := newOTBR(t, ns2, ns2, l.gate, rcp, 7)
	host.daemon, host.ctl, host.more = daemon, ctl, []string{"trel://" + l.gate}
	host.run(dataset)
	ours, theirs := asker(gate.ask), asker(host.ask)
	theirs("routerselectionjitter 1")

	began := time.Now()
	joined := func(limit time.Duration, what string) {
		t.Helper()
		began := time.Now()
		var a, b string
		for time.Since(began) < limit {
			if a, b = ours.partition(), theirs.partition(); a != "" && a == b {
				t.Logf("%s: one partition after %v", what, time.Since(began).Round(100*time.Millisecond))
				return
			}
			time.Sleep(200 * time.Millisecond)
		}
		t.Fatalf("%s: after %v ours is in partition %q, theirs in %q\nours: %q\n%q\ntheirs: %q\n%q", what, limit, a, b,
			ours("trel peers list"), ours("trel counters"), theirs("trel peers list"), theirs("trel counters"))
	}
	joined(150*time.Second, "first")
	t.Logf("a router by TREL alone after %v", time.Since(began).Round(100*time.Millisecond))

	// Only TREL is between them, and both say so.
	ext := ours.one("extaddr")
	if got := theirs.one("multiradio neighbor " + ext); !strings.HasPrefix(got, "[TREL(") {
		t.Errorf("theirs reaches ours by %q", got)
	}
	if got := ours.one("multiradio neighbor " + theirs.one("extaddr")); !strings.HasPrefix(got, "[TREL(") {
		t.Errorf("ours reaches theirs by %q", got)
	}
	if got := theirs.one("trel peers list"); !strings.Contains(got, "ExtAddr:"+ext) {
		t.Errorf("theirs has the peers %q", got)
	}

	devices := [2]*otCLI{ns.cli("ot-cli-ftd", 2), ns2.cli("ot-cli-ftd", 3)}
	for _, c := range devices {
		for _, s := range []string{"dataset set active " + dataset, "routerselectionjitter 1", "ifconfig up", "thread start"} {
			c.ask(s)
		}
	}
	for _, c := range devices {
		waitState(t, c.ask, 90*time.Second, "router", "child")
	}
	time.Sleep(20 * time.Second) // until all routes are known
	mleid := func(a asker) string { return a.one("ipaddr mleid") }
	reach := func(what string, from func(string) ([]string, error), to string) {
		t.Helper()
		for _, size := range []int{16, 100, 1000} {
			var got []string
			answered := 0
			for try := 0; try < 3 && answered < 4; try++ { // addresses have to be found first
				got, _ = from(fmt.Sprintf("ping %s %d 5 0.3 64 3", to, size))
				answered = strings.Count(strings.Join(got, "\n"), "bytes from")
			}
			if answered < 4 {
				t.Errorf("%s: of 5 echo requests of %d bytes %d were answered: %q", what, size, answered, got)
			}
		}
	}
	byCLI := func(c *otCLI) func(string) ([]string, error) {
		return func(s string) ([]string, error) { return c.try(s, 30*time.Second) }
	}
	always := func(a asker) func(string) ([]string, error) {
		return func(s string) ([]string, error) { return a(s), nil }
	}
	all := func(what string) {
		t.Helper()
		reach(what+": ours to theirs", always(ours), mleid(theirs))
		reach(what+": theirs to ours", always(theirs), mleid(ours))
		reach(what+": device to device", byCLI(devices[0]), mleid(devices[1].ask))
		reach(what+": device to device", byCLI(devices[1]), mleid(devices[0].ask))
	}
	all("first")

	// The LAN is dead, and nobody's interface knows.
	l.cut("lan1", true)
	began = time.Now()
	for a, b := "", ""; a == b || a == "" || b == ""; a, b = ours.partition(), theirs.partition() {
		if time.Since(began) > 4*time.Minute {
			t.Fatal("one partition without a link")
		}
		time.Sleep(500 * time.Millisecond)
	}
	t.Logf("two partitions after %v without the LAN", time.Since(began).Round(time.Second))
	time.Sleep(10 * time.Second)
	reach("alone: ours", byCLI(devices[0]), mleid(ours))
	reach("alone: theirs", byCLI(devices[1]), mleid(theirs))

	l.cut("lan1", false)
	joined(4*time.Minute, "again")
	time.Sleep(30 * time.Second)
	all("again")
	t.Logf("ours: %q; theirs: %q", ours("trel counters"), theirs("trel counters"))
}

// Two gateways of ours in two places: they find each other by mDNS, and again
// within a second when one has another address; a LAN that blinks is not
// noticed.
func TestTRELTwoGateways(t *testing.T) {
	rcp := otProgram(t, "ot-rcp")
	ns := newRCPNetns(t)
	ns.env = []string{nextOffset()}
	l := newLAN(t, ns)
	ns2 := l.second(ns)
	radio := "spinel+hdlc+forkpty://" + rcp + "?forkpty-arg=1"
	first := startGateway(t, ns, radio, "--infra", l.gate)
	first.form()
	second := startGateway(t, ns2, radio, "--infra", l.gate, "--trel", l.gate)
	second.ctl("dataset", "import", strings.TrimSpace(first.ctl("dataset", "export")))
	second.waitRole(60*time.Second, "child", "router")
	a, b := asker(first.ask), asker(second.ask)
	partition := a.one("partitionid")
	if got := b.one("partitionid"); got != partition {
		t.Fatalf("the second gateway is in partition %s, not %s", got, partition)
	}

	found := func(ext string) time.Duration {
		t.Helper()
		began := time.Now()
		for !strings.Contains(a.one("trel peers list"), "ExtAddr:"+ext+" ExtPanId:"+a.one("extpanid")) {
			if time.Since(began) > 20*time.Second {
				t.Fatalf("%s is not found: %q", ext, a("trel peers list"))
			}
			time.Sleep(20 * time.Millisecond)
		}
		return time.Since(began)
	}
	found(b.one("extaddr"))
	time.Sleep(3 * time.Second) // announcements are a second apart
	for _, s := range []string{"thread stop", "ifconfig down", "extaddr 0a0b0c0d0e0f0a0b"} {
		b(s)
	}
	took := found("0a0b0c0d0e0f0a0b")
	t.Logf("a new address is known after %v", took.Round(time.Millisecond))
	if took > time.Second {
		t.Errorf("a new address is known after %v", took)
	}
	for _, s := range []string{"routerselectionjitter 1", "ifconfig up", "thread start"} {
		b(s)
	}
	second.waitRole(150*time.Second, "router")
	for end := time.Now().Add(60 * time.Second); b.one("partitionid") != partition; time.Sleep(300 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the second gateway is in partition %s, not %s", b.one("partitionid"), partition)
		}
	}

	to := a.one("ipaddr mleid")
	for range 5 { // the LAN blinks
		l.cut("lan1", true)
		time.Sleep(300 * time.Millisecond)
		l.cut("lan1", false)
		time.Sleep(2 * time.Second)
	}
	answered := strings.Count(strings.Join(b(fmt.Sprintf("ping %s 1000 10 0.3 64 3", to)), "\n"), "bytes from")
	if answered < 9 || b.one("partitionid") != partition {
		t.Errorf("after the LAN blinked %d of 10 echo requests were answered, in partition %s, which was %s", answered, b.one("partitionid"), partition)
	}
	if s := second.ctl("trel"); !strings.Contains(s, "up, UDP port") || !strings.Contains(s, a.one("extaddr")) {
		t.Errorf("status:\n%s", s)
	} else {
		t.Logf("status:\n%s", s)
	}
	a("trel disable")
	if got := a("trel peers list"); len(got) != 0 {
		t.Errorf("TREL is off and has the peers %q", got)
	}
	a("trel enable")
	if took := found("0a0b0c0d0e0f0a0b"); took > time.Second {
		t.Errorf("turned on again, TREL knows its peer after %v", took)
	}
	second.end(syscall.SIGTERM)()
	began := time.Now()
	for strings.Contains(first.ctl("trel"), "0a0b0c0d0e0f0a0b") && strings.Contains(first.ctl("trel"), "yes") {
		if time.Since(began) > 5*time.Second {
			t.Errorf("a gateway that has stopped is still announced:\n%s", first.ctl("trel"))
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
}
