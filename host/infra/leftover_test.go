package infra

import (
	"bufio"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatewayd/host"
	"gatewayd/host/firewall"
	"gatewayd/host/sysctl"
	"gatewayd/internal/netns"
)

// sysctls lists the network settings, one to a line.
func sysctls(t *testing.T) string {
	t.Helper()
	var s strings.Builder
	for _, dir := range []string{"ipv6/conf/*/*", "ipv4/conf/*/*", "ipv4/ip_forward"} {
		files, _ := filepath.Glob("/proc/sys/net/" + dir)
		for _, file := range files {
			if b, err := os.ReadFile(file); err == nil {
				fmt.Fprintf(&s, "%s %s", file, b)
			}
		}
	}
	return s.String()
}

// What changes by itself: indexes of interfaces, and lifetimes.
var changing = regexp.MustCompile(`(?m)^\d+: |@if\d+|@\w+|expires \w+|\d+sec|link-netnsid \d+`)

// state is everything in the kernel that the gateway might change, when it
// does not change any more: the kernel checks new addresses in its own time.
func state(t *testing.T) string {
	t.Helper()
	last := ""
	for range 50 {
		now := snapshot(t)
		if now == last && !strings.Contains(now, " tentative") {
			break
		}
		last = now
		time.Sleep(40 * time.Millisecond)
	}
	return last
}

func snapshot(t *testing.T) string {
	t.Helper()
	s := netns.IP(t, "addr", "show") + netns.IP(t, "-6", "route", "show", "table", "all") + netns.IP(t, "route", "show", "table", "all") +
		netns.IP(t, "-6", "rule", "show") + netns.IP(t, "rule", "show")
	if nft, err := exec.Command("nft", "list", "ruleset").CombinedOutput(); err == nil {
		s += string(nft)
	}
	return changing.ReplaceAllString(s, "") + sysctls(t)
}

func same(t *testing.T, what, before, after string) {
	t.Helper()
	lines := func(s string) map[string]int {
		m := map[string]int{}
		for line := range strings.Lines(s) {
			m[strings.TrimSpace(line)]++
		}
		return m
	}
	b, a := lines(before), lines(after)
	for line, n := range a {
		if n > b[line] {
			t.Errorf("%s: there is now %q", what, line)
		}
	}
	for line, n := range b {
		if n > a[line] {
			t.Errorf("%s: there is no longer %q", what, line)
		}
	}
}

// A gateway is all that puts something into the kernel.
type gateway struct {
	keeper *sysctl.Keeper
	tun    *host.TUN
	table  *firewall.Table
	stop   func()
}

// start puts everything into the kernel, towards interface all0.
func start(dir string) (g *gateway, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	g = &gateway{stop: cancel}
	if g.keeper, err = sysctl.Open(dir); err != nil {
		return g, err
	}
	changed := make(chan []Link)
	f, err := New(Options{Names: []string{"all0"}, Sysctl: g.keeper, NAT64: true, Changed: func(l []Link) {
		select {
		case changed <- l:
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}})
	if err != nil {
		return g, err
	}
	done := make(chan struct{})
	go func() { f.Run(ctx); close(done) }()
	g.stop = func() { cancel(); <-done }
	links := <-changed
	for !links[0].Ready() {
		links = <-changed
	}
	now := time.Now()
	on := links[0].HostAddress(netip.MustParsePrefix("fd12::/64"))
	if err := f.SetAddresses("all0", []Address{{Prefix: on, Preferred: now.Add(time.Hour), Until: now.Add(time.Hour)}}); err != nil {
		return g, err
	}
	if err := f.SetUnreachable([]netip.Prefix{netip.MustParsePrefix("2001:db8:100::/56")}); err != nil {
		return g, err
	}
	if err := g.keeper.Prune(); err != nil {
		return g, err
	}
	if g.tun, err = host.Open(host.Options{}); err != nil {
		return g, err
	}
	mesh := netip.MustParsePrefix("fd34::/64")
	err = g.tun.Sync(host.Config{
		Addrs:  []host.Address{{Prefix: netip.MustParsePrefix("fd34::1/64")}},
		Routes: []host.Route{{Dst: mesh}},
	})
	if err != nil {
		return g, err
	}
	if g.table, err = firewall.Open(firewall.Options{}); err != nil {
		return g, err
	}
	return g, g.table.Apply(firewall.Policy{Mesh: "wpan0", Prefixes: []netip.Prefix{mesh}})
}

func (g *gateway) close(t *testing.T) {
	t.Helper()
	g.stop()
	for _, c := range []interface{ Close() error }{g.table, g.tun, g.keeper} {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

const victim = "INFRA_TEST_VICTIM"

// TestVictim is a gateway that is killed.
func TestVictim(t *testing.T) {
	dir := os.Getenv(victim)
	if dir == "" {
		t.Skip("SKIPPED: only part of TestNothingIsLeft")
	}
	if _, err := start(dir); err != nil {
		fmt.Println("failed:", err)
		return
	}
	fmt.Println("running")
	select {}
}

// What is in the kernel is the same before and after: after a stop, and after
// a kill and a successor's stop.
func TestNothingIsLeft(t *testing.T) {
	netns.Need(t)
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skipf("SKIPPED: no TUN devices here: %v", err)
	}
	wire(t, "all0", "all1")
	wire(t, "more0", "more1") // to be left alone
	netns.IP(t, "addr", "add", "2001:db8::5/64", "dev", "all0", "nodad")
	netns.IP(t, "-6", "route", "add", "2001:db8:99::/48", "via", "2001:db8::1", "proto", "static")
	if err := firewall.Probe(); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	for range 500 { // until the kernel has made all it makes
		if strings.Count(netns.IP(t, "-6", "addr", "show", "scope", "link"), "fe80") >= 4 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	before := state(t)
	dir := t.TempDir()

	g, err := start(dir)
	if err != nil {
		t.Fatal(err)
	}
	during := state(t)
	for _, want := range []string{"fd12::", "unreachable 2001:db8:100::/56", "fd34::/64 dev wpan0 proto 154"} {
		if !strings.Contains(during, want) {
			t.Fatalf("a gateway runs, and there is no %q:\n%s", want, during)
		}
	}
	g.close(t)
	same(t, "stopped", before, state(t))

	cmd := exec.Command("/proc/self/exe", "-test.run=^TestVictim$")
	cmd.Env = append(os.Environ(), victim+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "running" {
		if strings.HasPrefix(lines.Text(), "failed") {
			t.Fatal(lines.Text())
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
	killed := state(t)
	if killed == before {
		t.Error("the victim has left nothing: this tests nothing")
	}
	if g, err = start(dir); err != nil {
		t.Fatal(err)
	}
	same(t, "successor", during, state(t))
	g.close(t)
	same(t, "successor stopped", before, state(t))
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left in the data directory: %v", left)
	}
}
