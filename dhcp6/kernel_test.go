package dhcp6

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"gatewayd/alarm"
	"gatewayd/internal/netns"
)

// between runs a test between two network namespaces: ours, with interface srv,
// and the client's, with interface cli at the other end.
func between(t *testing.T, programs ...string) (theirs string, inside bool) {
	t.Helper()
	return netns.Between(t, "srv", "cli", func(w *netns.Wire) {
		// Addresses by hand: the kernel's would be tentative for seconds.
		w.IP(w.Ours, "link", "set", "srv", "addrgenmode", "none")
		w.IP(w.Peer, "link", "set", "cli", "addrgenmode", "none")
		w.IP(w.Ours, "addr", "add", "fe80::1/64", "dev", "srv", "nodad")
		w.IP(w.Peer, "addr", "add", "fe80::1234:5678/64", "dev", "cli", "nodad")
	}, programs...)
}

// served is a server on interface srv.
type served struct {
	mu     sync.Mutex
	server *Server
	types  []string // of the messages that came
}

func (s *served) leases() []Lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.server.Leases()
}

// had reports whether messages of a type came.
func (s *served) had(typ dhcpv6.MessageType) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.types {
		if t == typ.String() {
			return true
		}
	}
	return false
}

func serve(t *testing.T, pools ...Pool) *served {
	t.Helper()
	ifi, err := net.InterfaceByName("srv")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenMulticastUDP("udp6", ifi, net.UDPAddrFromAddrPort(netip.AddrPortFrom(AllServersAndRelays.WithZone("srv"), ServerPort)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	clock := new(alarm.Clock)
	clock.Set(time.Now())
	s := &served{}
	s.server, err = NewServer(Config{
		Clock: clock, DUID: serverDUID, Pools: pools, RapidCommit: true,
		Preferred: 4 * time.Second, Valid: 8 * time.Second, DNS: []netip.Addr{netip.MustParseAddr("2001:db8::53")},
		Notify: func(e Event) { t.Logf("%v %v %v", e.Kind, e.Lease.Addr, e.Err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		b := make([]byte, 65536)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			s.mu.Lock()
			clock.Advance(time.Now())
			if m, err := dhcpv6.FromBytes(b[:n]); err == nil {
				s.types = append(s.types, m.Type().String())
				t.Logf("%v: %x", m.Type(), b[:n])
			}
			if r, to := s.server.Receive(from, b[:n], false); r != nil {
				conn.WriteToUDPAddrPort(r, to)
			}
			s.mu.Unlock()
		}
	}()
	return s
}

// eventually waits for something to hold.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for limit := time.Now().Add(15 * time.Second); !holds(); {
		if time.Now().After(limit) {
			t.Fatalf("%s: does not happen", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// inClient is a command in the client's namespace.
func inClient(name string, args ...string) *exec.Cmd {
	cmd := netns.Command(netns.Peer(), name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// addrs is what the client's interface has.
func addrs(t *testing.T) string {
	t.Helper()
	out, err := inClient("ip", "-6", "-o", "addr", "show", "dev", "cli", "scope", "global").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func stop(cmd *exec.Cmd) {
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	cmd.Wait()
}

// The client of ISC gets, renews and releases an address.
func TestDhclient(t *testing.T) {
	if _, inside := between(t, "dhclient"); !inside {
		return
	}
	s := serve(t, Pool{Prefix: meshPrefix, EUI64: true})
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		return p
	}
	told := filepath.Join(dir, "told")
	script := write("script", `#!/bin/sh
echo "$reason $new_ip6_address $new_dhcp6_name_servers" >> `+told+`
case $reason in
BOUND6|RENEW6|REBIND6) ip -6 addr replace $new_ip6_address/128 dev $interface nodad valid_lft $new_max_life preferred_lft $new_preferred_life;;
RELEASE6|EXPIRE6|STOP6) ip -6 addr del $old_ip6_address/128 dev $interface;;
esac
exit 0
`)
	args := []string{"-6", "-v", "-cf", write("conf", "also request dhcp6.name-servers;\n"), "-lf", filepath.Join(dir, "leases"),
		"-pf", filepath.Join(dir, "pid"), "-sf", script}
	cmd := inClient("dhclient", append(args, "-d", "cli")...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer stop(cmd)
	eventually(t, "an address", func() bool { return strings.Contains(addrs(t), "2001:db8:1:2::1234:5678/128") })
	eventually(t, "a renewal", func() bool {
		b, _ := os.ReadFile(told)
		return s.had(dhcpv6.MessageTypeRenew) && strings.Contains(string(b), "RENEW6")
	})
	if l := s.leases(); len(l) != 1 || l[0].Addr != netip.MustParseAddr("2001:db8:1:2::1234:5678") {
		t.Errorf("leases %v", l)
	}
	stop(cmd)
	if out, err := inClient("dhclient", append(args, "-r", "cli")...).CombinedOutput(); err != nil {
		t.Fatalf("release: %v: %s", err, out)
	}
	eventually(t, "a release", func() bool { return s.had(dhcpv6.MessageTypeRelease) && len(s.leases()) == 0 })
	b, err := os.ReadFile(told)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"BOUND6 2001:db8:1:2::1234:5678 2001:db8::53", "RENEW6 2001:db8:1:2::1234:5678", "RELEASE6"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the client was not told %q:\n%s", want, b)
		}
	}
}

// So does dhcpcd, by rapid commit; and moves when the prefix does.
func TestDhcpcd(t *testing.T) {
	if _, inside := between(t, "dhcpcd"); !inside {
		return
	}
	s := serve(t, Pool{Prefix: meshPrefix})
	conf := filepath.Join(t.TempDir(), "conf")
	if err := os.WriteFile(conf, []byte(`duid ll
option rapid_commit
noipv4
noipv6rs
noarp
nodelay
interface cli
ipv6
ia_na 1
`), 0o600); err != nil {
		t.Fatal(err)
	}
	// What it keeps of leases goes with it.
	cmd := inClient("unshare", "-m", "sh", "-c", "for d in /var/lib/dhcpcd /run/dhcpcd; do mkdir -p $d && mount -t tmpfs none $d || exit 1; done; exec \"$@\"", "sh",
		"dhcpcd", "-B", "-d", "-f", conf, "--script", "/bin/true", "cli")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer stop(cmd)
	eventually(t, "an address", func() bool { return strings.Contains(addrs(t), "2001:db8:1:2:") })
	l := s.leases()
	if len(l) != 1 || !strings.Contains(addrs(t), l[0].Addr.String()) {
		t.Errorf("leases %v, addresses %s", l, addrs(t))
	}
	if s.had(dhcpv6.MessageTypeRequest) {
		t.Error("no rapid commit")
	}
	s.mu.Lock()
	err := s.server.SetPools([]Pool{{Prefix: netip.MustParsePrefix("2001:db8:7:8::/64")}})
	s.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a new address, and no old one", func() bool {
		a := addrs(t)
		return strings.Contains(a, "2001:db8:7:8:") && !strings.Contains(a, "2001:db8:1:2:")
	})
}
