package gateway

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatewayd/border"
	"gatewayd/eap"
	"gatewayd/enrol"
	"gatewayd/internal/netns"
	"gatewayd/pana"
)

// namespaces has a test run once more in a namespace with the interface infra0,
// whose other end lan0 is in a host's namespace. It returns the name of that
// one, or false if the test has been run.
func namespaces(t *testing.T) (lan string, inside bool) {
	t.Helper()
	lan, inside = netns.Between(t, "infra0", "lan0", func(w *netns.Wire) {
		w.Set(w.Ours, "ipv6/conf/infra0/accept_dad", "0")
		w.Set(w.Peer, "ipv6/conf/lan0/accept_dad", "0")
		w.Set(w.Peer, "ipv6/conf/lan0/accept_ra_rt_info_max_plen", "64")
	})
	if inside {
		t.Setenv("PORT_OFFSET", "94")
	}
	return lan, inside
}

// kernel is what a gateway might leave in its namespace.
func kernel(t *testing.T) string {
	t.Helper()
	var all []string
	for _, c := range [][]string{
		{"ip", "-6", "route", "show", "table", "all"}, {"ip", "-o", "addr"}, {"ip", "-6", "rule"}, {"nft", "list", "ruleset"},
		{"sh", "-c", "grep -r . /proc/sys/net/ipv6/conf/*/forwarding /proc/sys/net/ipv6/conf/*/accept_ra /proc/sys/net/ipv6/conf/*/accept_ra_rt_info_max_plen /proc/sys/net/ipv4/ip_forward"},
	} {
		if _, err := exec.LookPath(c[0]); err != nil {
			continue
		}
		out, err := exec.Command(c[0], c[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v: %s", c, err, out)
		}
		for line := range strings.Lines(string(out)) {
			all = append(all, strings.TrimSpace(running.ReplaceAllString(line, "")))
		}
	}
	return strings.Join(all, "\n")
}

// running are lifetimes, and what the kernel says sometimes.
var running = regexp.MustCompile(`(expires|valid_lft|preferred_lft) \S+|hoplimit \d+|pref \w+`)

// hostAddress is the LAN host's address of an advertised prefix.
func hostAddress(t *testing.T, lan string) (a netip.Addr) {
	t.Helper()
	until(t, "address of an advertised prefix", 20*time.Second, func() bool {
		out, _ := exec.Command("ip", "-n", lan, "-6", "-o", "addr", "show", "dev", "lan0", "scope", "global", "-tentative").CombinedOutput()
		if f := strings.Fields(string(out)); len(f) > 3 {
			a = netip.MustParsePrefix(f[3]).Addr()
		}
		return a.IsValid()
	})
	return a
}

// A host on the LAN, whose kernel takes routes of advertisements, and a device
// of a plain network reach each other, in one frame and in fragments. Afterwards
// nothing of ours is left in the kernel.
func TestLowpanInfra(t *testing.T) {
	lan, inside := namespaces(t)
	if !inside {
		return
	}
	const key = "000102030405060708090a0b0c0d0e0f"
	psk, err := enrol.ParsePSK(key)
	if err != nil {
		t.Fatal(err)
	}
	before := kernel(t)
	cfg := plainConfig(t)
	cfg.Radio, cfg.TUN, cfg.Infra, cfg.PD = "sim:1", "wpan0", "infra0", "off"
	g, stop := start(t, cfg, Options{})
	var prefix netip.Prefix
	if err := g.DoLowpan(t.Context(), func(l *Lowpan) {
		prefix = l.Node.Network().Prefix
		if err := l.List.Add(enrol.Entry{Identity: "pump", Method: eap.TypePSK, PSK: psk}, false); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	d := startDevice(t, "sim:2", key, nil)
	to := d.address()
	if !prefix.Contains(to) {
		t.Fatalf("the device has %v, not of %v", to, prefix)
	}
	host := hostAddress(t, lan)
	until(t, "route to the device", 20*time.Second, func() bool {
		out, _ := exec.Command("ip", "-n", lan, "-6", "route", "get", to.String()).CombinedOutput()
		return strings.Contains(string(out), " via fe80:")
	})
	t.Logf("%v after its start the device can be reached", time.Since(began).Round(100*time.Millisecond))
	for _, size := range []string{"16", "500", "1200"} {
		out, err := exec.Command("ip", "netns", "exec", lan, "ping", "-6", "-n", "-c", "3", "-i", "0.2", "-W", "3", "-s", size, to.String()).CombinedOutput()
		if err != nil {
			t.Errorf("the host pings the device with %s bytes: %v: %s", size, err, out)
		}
	}
	for _, size := range []int{16, 1200} {
		if n := d.ping(host, size, 3); n == 0 {
			t.Errorf("the device pings the host %v with %d bytes: no answer", host, size)
		}
	}
	if err := g.DoLowpan(t.Context(), func(*Lowpan) {
		if st, links, ok := g.Border(); !ok || st.OMR.Favored != prefix || len(st.Peers) != 0 || len(links) != 1 {
			t.Errorf("border routing is %+v on %+v", st, links)
		}
	}); err != nil {
		t.Fatal(err)
	}
	stop()
	if after := kernel(t); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// kea runs ISC's DHCPv6 server in the LAN host's namespace until the test ends.
// It delegates a prefix.
func kea(t *testing.T, lan string) {
	t.Helper()
	program, err := exec.LookPath("kea-dhcp6")
	if err != nil {
		t.Skip("SKIPPED: no kea-dhcp6 (package kea-dhcp6-server)")
	}
	dir := t.TempDir()
	config, log := filepath.Join(dir, "kea.json"), filepath.Join(dir, "log")
	text := fmt.Sprintf(`{"Dhcp6": {
"interfaces-config": {"interfaces": ["lan0"]},
"lease-database": {"type": "memfile", "persist": true, "name": %q},
"valid-lifetime": 4000, "preferred-lifetime": 3000, "renew-timer": 1000, "rebind-timer": 2000,
"control-socket": {"socket-type": "unix", "socket-name": %q}, "data-directory": %q,
"subnet6": [{"id": 1, "subnet": "2001:db8:1::/64", "interface": "lan0", "rapid-commit": true,
"pd-pools": [{"prefix": "2001:db8:100::", "prefix-len": 48, "delegated-len": 60}]}],
"loggers": [{"name": "kea-dhcp6", "severity": "INFO", "output_options": [{"output": "stdout"}]}]}}`,
		filepath.Join(dir, "leases"), filepath.Join(dir, "control"), dir)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command("ip", "netns", "exec", lan, program, "-c", config)
	cmd.Env = append(os.Environ(), "KEA_PIDFILE_DIR="+dir, "KEA_LOCKFILE_DIR="+dir)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	until(t, "Kea", 10*time.Second, func() bool {
		b, _ := os.ReadFile(log)
		return strings.Contains(string(b), "DHCP6_STARTED")
	})
}

// The LAN delegates a prefix (Kea): a network that runs already takes it, its
// devices follow without joining anew, and the host reaches them by it. After a
// restart it is the same, and without the delegation the network has its own
// again.
func TestLowpanDelegation(t *testing.T) {
	lan, inside := namespaces(t)
	if !inside {
		return
	}
	const key = "000102030405060708090a0b0c0d0e0f"
	psk, err := enrol.ParsePSK(key)
	if err != nil {
		t.Fatal(err)
	}
	cfg := plainConfig(t)
	cfg.Radio, cfg.TUN, cfg.Infra = "sim:1", "wpan0", "infra0"
	cfg.Lowpan.DHCP = true
	g, stop := start(t, cfg, Options{})
	prefix := func() (p netip.Prefix) {
		t.Helper()
		if err := g.DoLowpan(t.Context(), func(l *Lowpan) { p = l.Node.Network().Prefix }); err != nil {
			t.Fatal(err)
		}
		return p
	}
	home := prefix()
	if err := g.DoLowpan(t.Context(), func(l *Lowpan) {
		if err := l.List.Add(enrol.Entry{Identity: "pump", Method: eap.TypePSK, PSK: psk}, false); err != nil {
			t.Error(err)
		}
		if err := l.SaveList(); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	var joined atomic.Int32
	d := startDevice(t, "sim:2", key, func(e pana.Event) {
		if e.Kind == pana.SessionAuthorized {
			joined.Add(1)
		}
	})
	if a := d.address(); !home.Contains(a) {
		t.Fatalf("the device has %v, not of %v", a, home)
	}

	kea(t, lan)
	pool := netip.MustParsePrefix("2001:db8:100::/48")
	until(t, "address of the delegated prefix", 30*time.Second, func() bool { return pool.Contains(d.address()) })
	to := d.address()
	if n := joined.Load(); n != 1 {
		t.Errorf("the device has joined %d times", n)
	}
	reach := func() {
		t.Helper()
		hostAddress(t, lan)
		until(t, "answer of the device to the LAN's host", 30*time.Second, func() bool {
			return exec.Command("ip", "netns", "exec", lan, "ping", "-6", "-n", "-c", "1", "-W", "1", to.String()).Run() == nil
		})
	}
	reach()

	stop()
	g, stop = start(t, cfg, Options{})
	if p := prefix(); !p.Contains(to) || !pool.Contains(p.Addr()) {
		t.Errorf("after the restart %v", p)
	}
	reach()
	if err := g.DoLowpan(t.Context(), func(*Lowpan) { g.infra.mesh.delegated(nil) }); err != nil {
		t.Fatal(err)
	}
	until(t, "address of the network's own prefix", 30*time.Second, func() bool { return home.Contains(d.address()) })
	stop()
}

func TestChoosePrefix(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p := netip.MustParsePrefix
	home := p("fd00:7::/64")
	d := func(s string, preferred, valid time.Duration) border.Delegated {
		return border.Delegated{Prefix: p(s), Preferred: now.Add(preferred), Valid: now.Add(valid)}
	}
	const hour = time.Hour
	for _, tt := range []struct {
		name    string
		list    []border.Delegated
		present netip.Prefix
		want    string
	}{
		{"none", nil, p("2001:db8:1::/64"), "fd00:7::/64"},
		{"wide", []border.Delegated{d("2001:db8:1:10::/60", hour, hour)}, home, "2001:db8:1:10::/64"},
		{"host bits", []border.Delegated{d("2001:db8:1:1f::1/60", hour, hour)}, home, "2001:db8:1:10::/64"},
		{"for ever", []border.Delegated{{Prefix: p("2001:db8:1::/64")}}, home, "2001:db8:1::/64"},
		{"the first", []border.Delegated{d("2001:db8:2::/64", hour, hour), d("2001:db8:1::/64", hour, hour)}, home, "2001:db8:2::/64"},
		{"the present one", []border.Delegated{d("2001:db8:2::/64", hour, hour), d("2001:db8:1::/56", hour, hour)}, p("2001:db8:1::/64"), "2001:db8:1::/64"},
		{"deprecated", []border.Delegated{d("2001:db8:2::/64", hour, hour), d("2001:db8:1::/64", 0, hour)}, p("2001:db8:1::/64"), "2001:db8:2::/64"},
		{"too long", []border.Delegated{d("2001:db8:2::/80", hour, hour)}, home, "fd00:7::/64"},
		{"over", []border.Delegated{d("2001:db8:2::/64", -hour, 0)}, home, "fd00:7::/64"},
	} {
		if got := choosePrefix(tt.list, tt.present, home, now); got.String() != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
