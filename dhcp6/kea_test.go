package dhcp6

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"gatewayd/alarm"
)

// uplink is a Client on interface srv, whose clock can be put forward.
type uplink struct {
	mu     sync.Mutex
	t      *testing.T
	clock  *alarm.Clock
	offset time.Duration
	client *Client
	sent   []string
}

// do runs f in the client's time.
func (u *uplink) do(f func(c *Client)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.clock.Advance(time.Now().Add(u.offset))
	f(u.client)
}

func (u *uplink) state() (s ClientState) {
	u.do(func(c *Client) { s = c.State() })
	return s
}

func (u *uplink) delegation() (d Delegation) {
	u.do(func(c *Client) { d = c.Delegation() })
	return d
}

func (u *uplink) had(typ dhcpv6.MessageType) (yes bool) {
	u.do(func(*Client) {
		for _, s := range u.sent {
			yes = yes || s == typ.String()
		}
	})
	return yes
}

func newUplink(t *testing.T, change func(*ClientConfig)) *uplink {
	t.Helper()
	conn, err := net.ListenUDP("udp6", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("[fe80::1%srv]:546")))
	if err != nil {
		t.Fatal(err)
	}
	u := &uplink{t: t, clock: new(alarm.Clock)}
	u.clock.Set(time.Now())
	cfg := ClientConfig{
		Clock: u.clock, Rand: rand.New(rand.NewPCG(1, uint64(os.Getpid()))), DUID: duid(1), IAID: 7,
		Send: func(b []byte) {
			u.sent = append(u.sent, dhcpv6.MessageType(b[0]).String())
			t.Logf("send %v", dhcpv6.MessageType(b[0]))
			conn.WriteToUDPAddrPort(b, netip.AddrPortFrom(AllServersAndRelays.WithZone("srv"), ServerPort))
		},
		Changed: func(d Delegation) { t.Logf("prefixes %+v", d.Prefixes) },
	}
	change(&cfg)
	u.client = NewClient(cfg)
	done := make(chan struct{})
	go func() {
		b := make([]byte, 65536)
		for {
			n, _, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			u.do(func(c *Client) { c.Receive(b[:n]) })
		}
	}()
	go func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
				u.do(func(*Client) {})
			}
		}
	}()
	t.Cleanup(func() {
		close(done)
		conn.Close()
	})
	return u
}

// kea runs ISC's server in the client's namespace.
func kea(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	conf := filepath.Join(dir, "kea.json")
	text := fmt.Sprintf(`{"Dhcp6": {
  "interfaces-config": {"interfaces": ["cli"], "service-sockets-max-retries": 50, "service-sockets-retry-wait-time": 100},
  "lease-database": {"type": "memfile", "persist": true, "name": "%s/leases", "lfc-interval": 0},
  "server-id": {"type": "LL", "htype": 27, "identifier": "0200000000000099", "persist": false},
  "option-data": [{"name": "dns-servers", "data": "2001:db8::53"}, {"name": "sntp-servers", "data": "2001:db8::123"}],
  "preferred-lifetime": 3000, "valid-lifetime": 4000, "renew-timer": 1000, "rebind-timer": 2000,
  "subnet6": [{"id": 1, "subnet": "2001:db8::/64", "interface": "cli", "rapid-commit": true,
    "pd-pools": [{"prefix": "2001:db8:4000::", "prefix-len": 36, "delegated-len": 60}]}],
  "loggers": [{"name": "kea-dhcp6", "severity": "INFO", "output_options": [{"output": "stdout"}]}]
}}`, dir)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := inClient("env", "KEA_PIDFILE_DIR="+dir, "KEA_LOCKFILE_DIR="+dir, "kea-dhcp6", "-c", conf)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// A prefix of Kea's: asked for by length, renewed, rebound, confirmed over a
// restart, released, and got by rapid commit.
func TestKea(t *testing.T) {
	if _, inside := between(t, "kea-dhcp6"); !inside {
		return
	}
	dir := t.TempDir()
	server := kea(t, dir)
	defer stop(server)
	u := newUplink(t, func(c *ClientConfig) { c.Hint = netip.MustParsePrefix("::/60") })
	u.do(func(c *Client) { c.Start() })
	eventually(t, "a prefix", func() bool { return u.state() == Delegating })
	d := u.delegation()
	if len(d.Prefixes) != 1 || d.Prefixes[0].Prefix.Bits() != 60 || !strings.HasPrefix(d.Prefixes[0].Prefix.String(), "2001:db8:4") ||
		len(d.DNS) != 1 || len(d.SNTP) != 1 || d.T2.Sub(d.T1) != 1000*time.Second {
		t.Errorf("%+v", d)
	}
	prefix := d.Prefixes[0].Prefix

	u.do(func(*Client) { u.offset += 1000 * time.Second })
	eventually(t, "a renewal", func() bool { return u.had(dhcpv6.MessageTypeRenew) && u.state() == Delegating })
	if d := u.delegation(); d.Prefixes[0].Prefix != prefix {
		t.Errorf("renewed %+v", d)
	}
	u.do(func(*Client) { u.offset += 2000 * time.Second })
	eventually(t, "a rebinding", func() bool { return u.had(dhcpv6.MessageTypeRebind) && u.state() == Delegating })
	last := u.delegation()
	if last.Prefixes[0].Prefix != prefix {
		t.Errorf("rebound %+v", last)
	}
	// Kea has forgotten everything: another binding of the same.
	stop(server)
	os.Remove(filepath.Join(dir, "leases"))
	server = kea(t, dir)
	defer stop(server)
	u.do(func(c *Client) { c.LinkChanged() })
	eventually(t, "a confirmation", func() bool { return u.state() == Delegating })
	if d := u.delegation(); len(d.Prefixes) != 1 || d.Prefixes[0].Prefix != prefix {
		t.Errorf("confirmed %+v", d)
	}
	u.do(func(c *Client) { c.Release() })
	eventually(t, "a release", func() bool { return u.state() == Stopped })

	u.do(func(c *Client) {
		c.cfg.RapidCommit, u.sent = true, nil
		c.Start()
	})
	eventually(t, "a prefix by rapid commit", func() bool { return u.state() == Delegating })
	if u.had(dhcpv6.MessageTypeRequest) {
		t.Error("it was requested")
	}
}
