package register

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/dnssd"
	"gatewayd/dnssd/srp"
)

var (
	serverAt = netip.MustParseAddrPort("[fd00::1]:53535")
	clientAt = netip.MustParseAddrPort("[fd00::2]:49155")
)

// A lab is a client and a server on virtual time.
type lab struct {
	*Client
	t      *testing.T
	clock  *alarm.Clock
	server *srp.Server
	addrs  []netip.Addr
	loss   func() bool // of a message
	sent   int
	told   []string
}

func newLab(t *testing.T) *lab {
	l := &lab{t: t, clock: &alarm.Clock{}, addrs: []netip.Addr{netip.MustParseAddr("fd11::2")}, loss: func() bool { return false }}
	l.clock.Set(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
	var err error
	if l.server, err = srp.New(srp.Config{Clock: l.clock}); err != nil {
		t.Fatal(err)
	}
	l.Client = l.client(func(err error, removed []Service) {
		s := fmt.Sprint(err)
		for _, x := range removed {
			s += fmt.Sprintf(" -%s %v", x.Instance, x.State)
		}
		l.told = append(l.told, s)
	})
	return l
}

// client makes a client with a key of its own.
func (l *lab) client(changed func(error, []Service)) (c *Client) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		l.t.Fatal(err)
	}
	c = New(Config{Clock: l.clock, Rand: rand.New(rand.NewPCG(1, 2)), Random: crand.Reader, Key: key, Changed: changed,
		Addresses: func() []netip.Addr { return l.addrs },
		Send: func(to netip.AddrPort, b []byte) {
			l.sent++
			if to != serverAt {
				l.t.Errorf("sent to %v", to)
			}
			if l.loss() {
				return
			}
			reply := l.server.Receive(clientAt, b)
			l.clock.After(10*time.Millisecond, func() { c.Receive(serverAt, reply) })
		}})
	return c
}

func (l *lab) run(d time.Duration) {
	end := l.clock.Now().Add(d)
	for {
		at := l.clock.Deadline()
		if at.IsZero() || at.After(end) {
			break
		}
		l.clock.Advance(at)
	}
	l.clock.Advance(end)
}

// registered is what the server has.
func (l *lab) registered() string {
	var s []string
	for _, h := range l.server.Hosts() {
		x := h.Host.Name
		if !h.Live {
			x += " kept"
		}
		for _, a := range h.Host.Addrs {
			x += " " + a.String()
		}
		for _, y := range h.Host.Services {
			x += fmt.Sprintf(" %s.%s:%d%v %q", y.Instance, y.Type, y.Port, y.Subtypes, y.TXT)
		}
		for _, n := range h.Retained {
			x += " (" + n.Instance + ")"
		}
		s = append(s, x)
	}
	return strings.Join(s, "; ")
}

func (l *lab) expect(want string) {
	l.t.Helper()
	if got := l.registered(); got != want {
		l.t.Errorf("registered %q, want %q", got, want)
	}
}

func (l *lab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Error(err)
	}
}

func lamp(name string) dnssd.Service {
	return dnssd.Service{Instance: name, Type: "_hap._udp", Subtypes: []string{"_x"}, Port: 5, TXT: []byte("\x03a=b")}
}

// A host with its services is registered, changed, renewed and removed.
func TestLife(t *testing.T) {
	l := newLab(t)
	l.must(l.SetHostName("lamp"))
	l.must(l.SetAutoAddress())
	l.must(l.AddService(lamp("Kitchen Lamp")))
	l.run(time.Minute)
	l.expect("") // no server
	l.Start(serverAt)
	l.run(time.Second)
	l.expect(`lamp fd11::2 Kitchen Lamp._hap._udp:5[_x] "\x03a=b"`)
	if h := l.Host(); h.State != Registered || l.Services()[0].State != Registered {
		t.Errorf("%+v %+v", h, l.Services())
	}

	l.addrs = append(l.addrs, netip.MustParseAddr("fd11::3"))
	l.AddressesChanged()
	l.must(l.AddService(dnssd.Service{Instance: "b", Type: "_b._tcp", Port: 6}))
	l.run(time.Second)
	l.expect(`lamp fd11::2 fd11::3 b._b._tcp:6[] "\x00" Kitchen Lamp._hap._udp:5[_x] "\x03a=b"`)
	l.must(l.RemoveService("b", "_b._tcp"))
	l.run(time.Second)
	l.expect(`lamp fd11::2 fd11::3 Kitchen Lamp._hap._udp:5[_x] "\x03a=b" (b)`)

	before := l.sent
	l.run(24 * time.Hour)
	if n := l.sent - before; n < 12 || n > 15 {
		t.Errorf("%d renewals in a day", n)
	}
	l.expect(`lamp fd11::2 fd11::3 Kitchen Lamp._hap._udp:5[_x] "\x03a=b" (b)`)

	l.must(l.RemoveHost(false, false))
	l.run(time.Second)
	l.expect("lamp kept (b) (Kitchen Lamp)")
	if h := l.Host(); h.State != Removed || h.Name != "" || len(l.Services()) != 0 {
		t.Errorf("%+v %+v", h, l.Services())
	}
	if got := strings.Join(l.told, ", "); !strings.HasPrefix(got, "<nil>, <nil>, <nil> -b Removed, ") || !strings.HasSuffix(got, "<nil> -Kitchen Lamp Removed") {
		t.Errorf("told %s", got)
	}
	l.must(l.SetHostName("lamp"))
	l.must(l.SetAddresses([]netip.Addr{netip.MustParseAddr("fd11::9")}))
	l.must(l.AddService(lamp("x")))
	l.run(time.Second)
	l.must(l.RemoveHost(true, false))
	l.run(time.Second)
	l.expect("")
}

// What is lost is said again, and what changed meanwhile is said, too.
func TestLoss(t *testing.T) {
	l := newLab(t)
	lost := 0
	l.loss = func() bool { lost++; return lost <= 3 }
	l.must(l.SetHostName("h"))
	l.must(l.SetAddresses([]netip.Addr{netip.MustParseAddr("fd11::2")}))
	l.must(l.AddService(lamp("a")))
	l.Start(serverAt)
	l.run(time.Second)
	l.must(l.AddService(lamp("b")))
	l.run(time.Second)
	l.expect("")
	l.run(30 * time.Second)
	l.expect(`h fd11::2 a._hap._udp:5[_x] "\x03a=b" b._hap._udp:5[_x] "\x03a=b"`)
	for _, s := range l.Services() {
		if s.State != Registered {
			t.Errorf("%+v", s)
		}
	}
	// Another server is told everything.
	l.server, _ = srp.New(srp.Config{Clock: l.clock})
	l.Stop()
	if h := l.Host(); h.State != ToRefresh || l.Server().IsValid() {
		t.Errorf("%+v", h)
	}
	l.run(time.Hour)
	l.expect("")
	l.Start(serverAt)
	l.run(time.Second)
	l.expect(`h fd11::2 a._hap._udp:5[_x] "\x03a=b" b._hap._udp:5[_x] "\x03a=b"`)
	l.ClearHost()
	l.run(24 * time.Hour)
	l.expect("h kept (a) (b)") // as its lease has ended
}

// A name that is another's is told, and tried again.
func TestConflict(t *testing.T) {
	l := newLab(t)
	other := l.client(nil)
	for _, c := range []*Client{other, l.Client} {
		l.must(c.SetHostName("h"))
		l.must(c.SetAutoAddress())
		l.must(c.AddService(lamp("a")))
		c.Start(serverAt)
		l.run(time.Second)
	}
	l.run(time.Minute)
	if len(l.told) < 3 || len(l.told) > 10 || l.told[0] != ErrDuplicated.Error() || l.Host().State != ToAdd {
		t.Errorf("told %q, %+v", l.told, l.Host())
	}
	l.must(other.RemoveHost(true, false))
	l.run(10 * time.Minute)
	if l.Host().State != Registered {
		t.Errorf("%+v", l.Host())
	}
}

func TestRefusedHere(t *testing.T) {
	l := newLab(t)
	l.must(l.AddService(lamp("a")))
	for what, err := range map[string][2]error{
		"long name":       {l.SetHostName(strings.Repeat("x", 64)), ErrInvalid},
		"no addresses":    {l.SetAddresses(nil), ErrInvalid},
		"many addresses":  {l.SetAddresses(make([]netip.Addr, 11)), ErrFull},
		"type":            {l.AddService(dnssd.Service{Instance: "x", Type: "_x"}), ErrInvalid},
		"twice":           {l.AddService(lamp("a")), ErrExists},
		"unknown":         {l.RemoveService("b", "_hap._udp"), ErrNotFound},
		"unknown again":   {l.ClearService("b", "_hap._udp"), ErrNotFound},
		"removal of none": {l.RemoveHost(false, true), ErrState},
	} {
		if err[0] != err[1] {
			t.Errorf("%s: %v, want %v", what, err[0], err[1])
		}
	}
	for i := range maxServices {
		err := l.AddService(lamp(fmt.Sprint(i)))
		if (i == maxServices-1) != (err == ErrFull) {
			t.Errorf("service %d: %v", i+1, err)
		}
	}
	// Without a server a service that was never registered is gone at once.
	l.must(l.RemoveService("a", "_hap._udp"))
	if l.find("a", "_hap._udp") != nil {
		t.Error("it is there")
	}
}

// Whatever comes for an answer, the client goes on.
func FuzzReceive(f *testing.F) {
	f.Add([]byte{0, 1, 0xa8, 0, 0, 0, 0, 0, 0, 0, 0, 0}, false)
	f.Fuzz(func(t *testing.T, b []byte, right bool) {
		l := newLab(t)
		l.loss = func() bool { return true }
		_ = l.SetHostName("h")
		_ = l.SetAutoAddress()
		_ = l.AddService(lamp("a"))
		l.Start(serverAt)
		l.run(time.Second)
		if len(b) > 1 && right {
			b[0], b[1] = byte(l.id>>8), byte(l.id)
		}
		l.Receive(serverAt, b)
		l.loss = func() bool { return false }
		l.run(2 * time.Hour)
		if l.Host().State != Registered {
			t.Fatalf("%x: %+v", b, l.Host())
		}
	})
}
