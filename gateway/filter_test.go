package gateway

import (
	"context"
	"crypto/rand"
	"net/netip"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"gatewayd/border"
	"gatewayd/eap"
	"gatewayd/enrol"
	"gatewayd/host/doctor"
	"gatewayd/host/firewall"
	"gatewayd/otcli"
	"gatewayd/thread"
	"gatewayd/thread/ip"
	"gatewayd/thread/meshcop"
)

// threadDevice is a Thread device on the simulated air.
type threadDevice struct {
	t *testing.T
	g *Gateway
}

// startThread runs a device of a network until the test ends.
func startThread(t *testing.T, url string, dataset meshcop.Dataset) threadDevice {
	t.Helper()
	cfg := testConfig(t)
	cfg.Radio = url
	g, _ := start(t, cfg, Options{})
	if err := g.Do(t.Context(), func(n *thread.Node) {
		if p, err := g.onMeshPrefix(); err != nil || !n.WithdrawPrefix(p) {
			t.Errorf("%v, %v", p, err)
		}
		n.SetActiveDataset(&dataset)
		if err := n.Start(); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	return threadDevice{t, g}
}

// address is the device's of a prefix, as soon as it has one.
func (d threadDevice) address(p netip.Prefix) (a netip.Addr) {
	d.t.Helper()
	until(d.t, "address of "+p.String(), 30*time.Second, func() bool {
		_ = d.g.Do(context.Background(), func(n *thread.Node) {
			for _, x := range n.IP().Addresses() {
				if p.Contains(x.Addr) {
					a = x.Addr
				}
			}
		})
		return a.IsValid()
	})
	return a
}

// reaches reports whether a ping of the device's is answered.
func (d threadDevice) reaches(from, to netip.Addr) bool {
	d.t.Helper()
	done := make(chan int, 1)
	if err := d.g.Do(d.t.Context(), func(n *thread.Node) {
		n.IP().Ping(&ip.Ping{Src: from, Dst: to, Size: 8, Count: 1, Timeout: time.Second, Done: func(_, got int) { done <- got }})
	}); err != nil {
		d.t.Fatal(err)
	}
	return <-done == 1
}

// pings reports whether a host's ping is answered; lan "" is the gateway's host.
func pings(lan string, to netip.Addr) bool {
	args := []string{"ping", "-6", "-n", "-c", "1", "-W", "1", to.String()}
	if lan != "" {
		args = append([]string{"ip", "netns", "exec", lan}, args...)
	}
	return exec.Command(args[0], args[1:]...).Run() == nil
}

// startBorder runs a gateway between the mesh and infra0 with a new network.
func startBorder(t *testing.T, cfg Config) (g *Gateway, dataset meshcop.Dataset) {
	t.Helper()
	cfg.Radio, cfg.TUN, cfg.Infra, cfg.PD, cfg.Backbone, cfg.DataDir = "sim:1", "wpan0", "infra0", "off", "off", t.TempDir()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	g, _ = start(t, cfg, Options{})
	if err := g.Do(t.Context(), func(n *thread.Node) {
		d, err := meshcop.NewRandom(rand.Reader, meshcop.AllChannels(), meshcop.MaskOf(1<<15))
		if err != nil {
			t.Error(err)
		}
		if err := g.UseDataset(&d); err != nil {
			t.Error(err)
		}
		dataset = d
	}); err != nil {
		t.Fatal(err)
	}
	return g, dataset
}

// omr waits for the prefix of the mesh's addresses.
func omr(t *testing.T, g *Gateway, other netip.Prefix) (p netip.Prefix) {
	t.Helper()
	until(t, "prefix for the mesh", 30*time.Second, func() bool {
		_ = g.Do(context.Background(), func(*thread.Node) {
			st, _, _ := g.Border()
			p = st.OMR.Favored
		})
		return p.IsValid() && p != other
	})
	return p
}

// The configuration's rules hold for devices that they name by EUI-64, whatever
// addresses those have and however these change; others go by the rest.
func TestDevicePolicy(t *testing.T) {
	lan, inside := namespaces(t)
	if !inside {
		return
	}
	cfg, err := ParseConfig("c.toml", []byte(`
[[egress-rule]]
device  = "18b4300000000002"
proto   = "icmp"
verdict = "drop"

[[inbound-rule]]
device  = "18-b4-30-00-00-00-00-03"
verdict = "drop"
`))
	if err != nil {
		t.Fatal(err)
	}
	g, dataset := startBorder(t, cfg)
	two, three := startThread(t, "sim:2", dataset), startThread(t, "sim:3", dataset)
	prefix := omr(t, g, netip.Prefix{})
	host := hostAddress(t, lan)
	check := func() {
		t.Helper()
		a2, a3 := two.address(prefix), three.address(prefix)
		until(t, "answer to the device without an egress rule", 20*time.Second, func() bool { return three.reaches(a3, host) })
		until(t, "answer of the device without an inbound rule", 20*time.Second, func() bool { return pings(lan, a2) })
		// A device that was not heard of before is let pass; not for long.
		until(t, "effect of the egress rule", 20*time.Second, func() bool { return !two.reaches(a2, host) })
		until(t, "effect of the inbound rule", 20*time.Second, func() bool { return !pings(lan, a3) })
		if !three.reaches(a3, host) || !pings(lan, a2) {
			t.Error("rules have an effect on devices that they are not about")
		}
		if !pings("", a2) || !pings("", a3) {
			t.Error("the gateway's own host does not reach its devices")
		}
	}
	check()
	first := prefix
	if err := g.Do(t.Context(), func(*thread.Node) {
		g.infra.mesh.delegated([]border.Delegated{{Prefix: netip.MustParsePrefix("2001:db8:77::/64")}})
	}); err != nil {
		t.Fatal(err)
	}
	prefix = omr(t, g, first)
	check()
	if err := g.Do(t.Context(), func(*thread.Node) {
		if f, ok := g.Filter(); !ok || !f.InForce || f.Dropped == nil || f.Dropped.Egress == 0 || f.Dropped.Inbound == 0 || len(f.Policy.Addresses) != 2 {
			t.Errorf("%+v %+v", f, f.Dropped)
		}
	}); err != nil {
		t.Fatal(err)
	}
}

// refuseNetfilter has the kernel answer this process as one that was built
// without netfilter's netlink does.
func refuseNetfilter(t *testing.T) {
	t.Helper()
	const allow, number, family, protocol = 0x7fff0000, 0, 16, 32 // SECCOMP_RET_ALLOW, offsets in struct seccomp_data
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	unless := func(v uint32, skip uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: v, Jf: skip}
	}
	program := []unix.SockFilter{
		load(number), unless(unix.SYS_SOCKET, 5),
		load(family), unless(unix.AF_NETLINK, 3),
		load(protocol), unless(unix.NETLINK_NETFILTER, 1),
		{Code: unix.BPF_RET | unix.BPF_K, K: 0x00050000 | uint32(unix.EPROTONOSUPPORT)}, // SECCOMP_RET_ERRNO
		{Code: unix.BPF_RET | unix.BPF_K, K: allow},
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	// SECCOMP_SET_MODE_FILTER with SECCOMP_FILTER_FLAG_TSYNC: all threads.
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, 1, 1, uintptr(unsafe.Pointer(&prog))); errno != 0 {
		t.Skipf("SKIPPED: seccomp: %v", errno)
	}
	runtime.KeepAlive(program)
}

// On a kernel without nftables all passes, or nothing but what is between the
// devices and the gateway's own host, as the configuration has it; and it is
// said loudly.
func TestNoNftables(t *testing.T) {
	lan, inside := namespaces(t)
	if !inside {
		return
	}
	refuseNetfilter(t)
	if _, err := firewall.Open(firewall.Options{}); err == nil || !strings.Contains(err.Error(), "this kernel has no nftables") {
		t.Fatalf("nftables: %v", err)
	}
	for _, fail := range []string{failClosed, failOpen} {
		t.Run(fail, func(t *testing.T) {
			cfg := Defaults()
			cfg.NoFirewall = fail
			g, dataset := startBorder(t, cfg)
			two := startThread(t, "sim:2", dataset)
			if fail == failOpen {
				prefix := omr(t, g, netip.Prefix{})
				a, host := two.address(prefix), hostAddress(t, lan)
				until(t, "answer to the host", 20*time.Second, func() bool { return pings(lan, a) })
				until(t, "answer to the device", 20*time.Second, func() bool { return two.reaches(a, host) })
			} else {
				a := two.address(dataset.MeshLocalPrefix)
				until(t, "answer of the device to the gateway's host", 60*time.Second, func() bool { return pings("", a) })
				time.Sleep(3 * time.Second) // for advertisements that must not come
				out, err := exec.Command("ip", "-n", lan, "-6", "route", "show", "proto", "ra").CombinedOutput()
				if err != nil || len(out) != 0 {
					t.Errorf("routes on the LAN: %v: %s", err, out)
				}
				// Not for want of routes alone.
				gate := linkLocal(t)
				for _, args := range [][]string{{"addr", "add", "fd77::7/64"}, {"route", "add", "fd00::/8", "via", gate}} {
					do := func(verb string) {
						args[1] = verb
						if out, err := exec.Command("ip", append(append([]string{"-n", lan, "-6"}, args...), "dev", "lan0")...).CombinedOutput(); err != nil {
							t.Fatalf("%v: %s", err, out)
						}
					}
					do("add")
					defer do("del")
				}
				if pings(lan, a) {
					t.Error("a host reaches the device")
				}
			}
			var f Filter
			if err := g.Do(t.Context(), func(*thread.Node) { f, _ = g.Filter() }); err != nil {
				t.Fatal(err)
			}
			if f.InForce || f.Why == nil || f.Closed != (fail == failClosed) || (f.Refused > 0) != f.Closed {
				t.Errorf("%+v", f)
			}
			o := g.cfg.Examination()
			o.Unfiltered = f.Why
			said := false
			for _, x := range doctor.Run(t.Context(), o) {
				said = said || x.Code == "HOST-NFT" && x.Level == doctor.Problem && strings.Contains(x.Text, `no-firewall = "`+fail+`"`)
			}
			if !said {
				t.Error("the examination does not find it")
			}
		})
	}
}

// linkLocal is infra0's address on the link.
func linkLocal(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("ip", "-6", "-o", "addr", "show", "dev", "infra0", "scope", "link").CombinedOutput()
	f := strings.Fields(string(out))
	if err != nil || len(f) < 4 {
		t.Fatalf("%v: %s", err, out)
	}
	a, _, _ := strings.Cut(f[3], "/")
	return a
}

// What keeps the filter away may end: then everything goes its way.
func TestFilterLater(t *testing.T) {
	lan, inside := namespaces(t)
	if !inside {
		return
	}
	other, err := firewall.Open(firewall.Options{}) // another gateway's
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	cfg := Defaults()
	cfg.NoFirewall = failClosed
	g, dataset := startBorder(t, cfg)
	if err := g.Do(t.Context(), func(*thread.Node) {
		if f, _ := g.Filter(); !f.Closed {
			t.Errorf("%+v", f)
		}
		if st, _, _ := g.Border(); st.OMR.Favored.IsValid() {
			t.Errorf("it routes: %+v", st)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	two := startThread(t, "sim:2", dataset)
	a := two.address(omr(t, g, netip.Prefix{}))
	hostAddress(t, lan)
	until(t, "answer to the host", 20*time.Second, func() bool { return pings(lan, a) })
	if err := g.Do(t.Context(), func(*thread.Node) {
		if f, _ := g.Filter(); f.Closed || !f.InForce || f.Why != nil {
			t.Errorf("%+v", f)
		}
	}); err != nil {
		t.Fatal(err)
	}
}

// command executes a command of OpenThread's command line that ends at once.
func (g *Gateway) command(t *testing.T, line string) string {
	t.Helper()
	var out strings.Builder
	if err := g.Do(t.Context(), func(*thread.Node) {
		s := g.CLI().Session(otcli.SessionConfig{Out: func(s string) { out.WriteString(s) },
			Ended: func(e otcli.Error) {
				if e != 0 {
					out.WriteString(e.Word())
				}
			}})
		s.Input(line)
		s.Close()
	}); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(strings.ReplaceAll(out.String(), "\r", ""))
}

// OpenThread's command line shows and switches what the gateway really does.
func TestBorderCommandLine(t *testing.T) {
	lan, inside := namespaces(t)
	if !inside {
		return
	}
	g, dataset := startBorder(t, Defaults())
	if got := g.command(t, "br pd state"); got != "disabled" {
		t.Errorf("br pd state: %q", got)
	}
	two := startThread(t, "sim:2", dataset)
	a := two.address(omr(t, g, netip.Prefix{}))
	hostAddress(t, lan)
	until(t, "answer to the host", 20*time.Second, func() bool { return pings(lan, a) })
	until(t, "NAT64", 30*time.Second, func() bool { return g.command(t, "nat64 state") == "PrefixManager: Active\nTranslator: Active" })
	for line, want := range map[string]string{
		"br state": "running", "br init 1 1": "InvalidState", "br pd enable": "NotCapable", "nat64 cidr": "192.168.255.0/24", "srp server state": "running",
		"srp server auto": "Disabled", "srp server addrmode anycast": "InvalidState", "br routeprf": "med",
	} {
		if got := g.command(t, line); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	for line, want := range map[string]string{
		"br omrprefix": "prf:low", "br onlinkprefix local": "fd", "nat64 mappings": "Address", "nat64 counters": "No Mapping", "srp server lease": "min lease: 30",
	} {
		if got := g.command(t, line); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	for _, line := range []string{"nat64 disable", "srp server disable", "br disable"} {
		if got := g.command(t, line); got != "" {
			t.Errorf("%s: %q", line, got)
		}
	}
	if got := g.command(t, "br state") + " " + g.command(t, "nat64 state") + " " + g.command(t, "srp server state"); got != "disabled PrefixManager: Disabled\nTranslator: Disabled disabled" {
		t.Errorf("%q", got)
	}
	until(t, "end of the route to the device", 20*time.Second, func() bool { return !pings(lan, a) })
	for _, line := range []string{"srp server auto enable", "br enable", "nat64 enable"} {
		if got := g.command(t, line); got != "" {
			t.Errorf("%s: %q", line, got)
		}
	}
	until(t, "SRP server", 40*time.Second, func() bool { return g.command(t, "srp server state") == "running" })
	a = two.address(omr(t, g, netip.Prefix{}))
	until(t, "answer to the host", 20*time.Second, func() bool { return pings(lan, a) })
}

// The rules hold in a plain network, too, whose registrations tell who has which
// address.
func TestLowpanPolicy(t *testing.T) {
	lan, inside := namespaces(t)
	if !inside {
		return
	}
	const key = "000102030405060708090a0b0c0d0e0f"
	psk, err := enrol.ParsePSK(key)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := ParseConfig("c.toml", []byte(`
[[egress-rule]]
device  = "18b4300000000002"
proto   = "icmp"
verdict = "drop"
`))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Mode, cfg.DataDir = ModeLowpan, t.TempDir()
	cfg.Radio, cfg.TUN, cfg.Infra, cfg.PD = "sim:1", "wpan0", "infra0", "off"
	g, _ := start(t, cfg, Options{})
	if err := g.DoLowpan(t.Context(), func(l *Lowpan) {
		if err := l.List.Add(enrol.Entry{Identity: "pump", Method: eap.TypePSK, PSK: psk}, false); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	two, three := startDevice(t, "sim:2", key, nil), startDevice(t, "sim:3", key, nil)
	a2, host := two.address(), hostAddress(t, lan)
	until(t, "answer of the device, which a host began to talk to", 20*time.Second, func() bool { return pings(lan, a2) })
	if two.ping(host, 16, 2) != 0 {
		t.Error("the rule has no effect")
	}
	if three.ping(host, 16, 2) == 0 || !pings("", a2) {
		t.Error("the rule has an effect on what it is not about")
	}
	if err := g.DoLowpan(t.Context(), func(*Lowpan) {
		if f, ok := g.Filter(); !ok || !f.InForce || f.Dropped.Egress == 0 || len(f.Policy.Addresses[firewall.EUI64{0x18, 0xb4, 0x30, 7: 2}]) == 0 {
			t.Errorf("%+v %+v", f, f.Dropped)
		}
	}); err != nil {
		t.Fatal(err)
	}
}
