package publish

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/netdata"
)

// bench is a publisher, and network data that others and it make.
type bench struct {
	*Publisher
	clock      alarm.Clock
	local      netdata.Local
	others     map[uint16]*netdata.Local
	mleid      netip.Addr
	rloc16     uint16
	detached   bool
	registered int
}

func newBench(seed uint64) *bench {
	b := &bench{others: map[uint16]*netdata.Local{}, mleid: netip.MustParseAddr("fd00::1234"), rloc16: 0x4000}
	b.clock.Set(time.Unix(1e9, 0))
	b.Publisher = New(Config{Clock: &b.clock, Rand: rand.New(rand.NewPCG(seed, 0)), Local: &b.local, Data: b.data,
		Attached: func() bool { return !b.detached }, RLOC16: func() uint16 { return b.rloc16 },
		Router: func() bool { return neighbor.IsRouterRLOC16(b.rloc16) },
		MLEID:  func() netip.Addr { return b.mleid }, Register: func() { b.registered++ }})
	return b
}

// data is what all serve.
func (b *bench) data() *netdata.Data {
	at := b.clock.Now()
	l := netdata.RestoreLeader(at, netdata.Data{}, 0, 0, func(uint8) bool { return true })
	for rloc16, x := range b.others {
		if _, err := l.Register(at, rloc16, x.Data(rloc16)); err != nil {
			panic(err)
		}
	}
	if _, err := l.Register(at, b.rloc16, b.local.Data(b.rloc16)); err != nil {
		panic(err)
	}
	return l.Data()
}

func (b *bench) run(d time.Duration) {
	for range d / (100 * time.Millisecond) {
		b.clock.Advance(b.clock.Now().Add(100 * time.Millisecond))
	}
}

func (b *bench) other(rloc16 uint16, serve func(l *netdata.Local) error) {
	l := &netdata.Local{}
	if err := serve(l); err != nil {
		panic(err)
	}
	b.others[rloc16] = l
	b.Update()
}

var prefix = netip.MustParsePrefix("fd00:1234::/64")

const paros = netdata.FlagPreferred | netdata.FlagSLAAC | netdata.FlagDefault | netdata.FlagOnMesh

// An entry comes while fewer than wanted are there, and goes when there are
// more; who stays is the same for all.
func TestPrefix(t *testing.T) {
	same := func(l *netdata.Local) error { return l.SetPrefix(prefix, paros, true) }
	for _, x := range []struct {
		name   string
		others []uint16
		serve  func(l *netdata.Local) error
		want   bool // after the first delay
		fourth bool // still there after one more entry and the short delay
		end    bool // and after the long one
	}{
		{"alone", nil, same, true, true, true},
		{"two others", []uint16{0x0400, 0x0800}, same, true, true, false},
		{"two others, later ones", []uint16{0x8000, 0x8400}, same, true, true, false},
		{"two children", []uint16{0x8001, 0x8002}, same, true, true, false},
		{"three others", []uint16{0x0400, 0x0800, 0x0c00}, same, false, false, false},
		{"three others of less preference", []uint16{0x0400, 0x0800, 0x0c00},
			func(l *netdata.Local) error { return l.SetPrefix(prefix, paros.With(netdata.Low), true) }, true, true, true},
		{"three others of more preference", []uint16{0x8000, 0x8400, 0x8800},
			func(l *netdata.Local) error { return l.SetPrefix(prefix, paros.With(netdata.High), true) }, false, false, false},
		{"three others that say something else", []uint16{0x0400, 0x0800, 0x0c00},
			func(l *netdata.Local) error { return l.SetPrefix(prefix, paros|netdata.FlagConfigure, true) }, true, true, true},
		{"three others that are not stable", []uint16{0x0400, 0x0800, 0x0c00},
			func(l *netdata.Local) error { return l.SetPrefix(prefix, paros, false) }, true, true, true},
	} {
		b := newBench(1)
		for _, r := range x.others {
			b.other(r, x.serve)
		}
		if err := b.Prefix(prefix, paros, true); err != nil {
			t.Fatal(err)
		}
		if b.Added(prefix) {
			t.Errorf("%s: added at once", x.name)
		}
		b.run(addWithin + time.Second)
		if b.Added(prefix) != x.want {
			t.Errorf("%s: added %v", x.name, b.Added(prefix))
		}
		b.other(0xa000, x.serve)
		b.run(keepLonger - time.Second)
		if b.Added(prefix) != x.fourth {
			t.Errorf("%s: with one more, added %v", x.name, b.Added(prefix))
		}
		b.run(removeWithin + 2*time.Second)
		if b.Added(prefix) != x.end {
			t.Errorf("%s: at the end, added %v", x.name, b.Added(prefix))
		}
		if got := b.data().FindPrefix(prefix); got == nil || b.registered == 0 && x.want {
			t.Errorf("%s: %v, registered %d times", x.name, got, b.registered)
		}
	}
}

// An entry that all the others would rather keep goes sooner.
func TestWhoGoes(t *testing.T) {
	gone := func(rloc16 uint16) time.Duration {
		b := newBench(2)
		b.rloc16 = rloc16
		if err := b.Prefix(prefix, paros, true); err != nil {
			t.Fatal(err)
		}
		b.run(addWithin + time.Second)
		for _, r := range []uint16{0x4400, 0x4800, 0x4c00} {
			b.other(r, func(l *netdata.Local) error { return l.SetPrefix(prefix, paros, true) })
		}
		began := b.clock.Now()
		for b.Added(prefix) {
			b.run(100 * time.Millisecond)
		}
		return b.clock.Now().Sub(began)
	}
	for rloc16, last := range map[uint16]bool{0x4000: true, 0x5000: false, 0x4001: false} {
		if d := gone(rloc16); d > keepLonger != last || d > keepLonger+removeWithin+time.Second {
			t.Errorf("%04x went after %v", rloc16, d)
		}
	}
}

// What comes and goes within a delay changes nothing.
func TestWaits(t *testing.T) {
	b := newBench(3)
	for _, r := range []uint16{0x8000, 0x8400, 0x8800} {
		b.other(r, func(l *netdata.Local) error { return l.SetPrefix(prefix, paros, true) })
	}
	if err := b.Prefix(prefix, paros, true); err != nil {
		t.Fatal(err)
	}
	gone := b.others[0x8000]
	delete(b.others, 0x8000)
	b.Update()
	b.others[0x8000] = gone
	b.Update()
	b.run(addWithin + time.Second)
	if b.Added(prefix) {
		t.Error("added though enough others came back")
	}
	delete(b.others, 0x8000)
	b.detached = true
	b.Update()
	b.run(addWithin + time.Second)
	if b.Added(prefix) {
		t.Error("added while detached")
	}
	b.detached = false
	b.Update()
	b.run(addWithin + time.Second)
	if !b.Added(prefix) {
		t.Error("not added")
	}
	b.others[0x8000] = gone
	b.Update()
	delete(b.others, 0x8000)
	b.Update()
	b.run(time.Minute)
	if !b.Added(prefix) {
		t.Error("removed though the fourth one went")
	}
}

func TestRoutes(t *testing.T) {
	b := newBench(4)
	p := func(s string) netip.Prefix { return netip.MustParsePrefix(s) }
	for i, x := range []struct {
		old, new string
		flags    netdata.RouteFlags
		stable   bool
		err      error
	}{
		{"fd00:1::/64", "fd00:1::/64", 0, false, ErrNotStable},
		{"fd00:1::/64", "fd00:1::/64", 0, true, nil},
		{"fd00:2::/64", "fd00:2::/64", 0, true, nil},
		{"fd00:2::/64", "::/0", netdata.RouteAdvPIO, true, nil},
		{"::/0", "::/0", netdata.RouteFlags(0).With(netdata.High), true, nil},
		{"fd00:3::/64", "fd00:3::/64", 0, true, nil},
		{"fd00:4::/64", "fd00:4::/64", 0, true, ErrFull},
	} {
		if err := b.ReplaceRoute(p(x.old), p(x.new), x.flags, x.stable); err != x.err {
			t.Errorf("%d: %v, want %v", i, err, x.err)
		}
	}
	if err := b.Prefix(p("::/0"), paros, true); err != ErrWrongPrefix {
		t.Errorf("an on-mesh prefix of no length: %v", err)
	}
	b.run(addWithin + time.Second)
	if d := b.data(); len(d.Prefixes) != 3 || d.FindPrefix(p("::/0")).HasRoutes[0].Flags.Preference() != netdata.High {
		t.Errorf("%v", d)
	}
	// One that is served is replaced at once; of another kind it is not.
	if err := b.ReplaceRoute(p("fd00:3::/64"), p("fd00:5::/64"), 0, true); err != nil || !b.Added(p("fd00:5::/64")) || b.Added(p("fd00:3::/64")) {
		t.Errorf("replaced: %v", err)
	}
	if err := b.Prefix(p("fd00:5::/64"), paros, true); err != nil || b.Added(p("fd00:5::/64")) {
		t.Errorf("a prefix in place of a route: %v", err)
	}
	b.run(addWithin + time.Second)
	if x := b.data().FindPrefix(p("fd00:5::/64")); x == nil || len(x.BorderRouters) != 1 || len(x.HasRoutes) != 0 {
		t.Errorf("%v", x)
	}
	if err := b.Unpublish(p("fd00:5::/64")); err != nil {
		t.Error(err)
	}
	if err := b.Unpublish(p("fd00:5::/64")); err != ErrNotFound {
		t.Errorf("again: %v", err)
	}
	if x := b.data().FindPrefix(p("fd00:5::/64")); x != nil {
		t.Errorf("left: %v", x)
	}
}

// Of the ways to publish a DNS/SRP server the mesh-local EID is the last one.
func TestService(t *testing.T) {
	elsewhere := netip.MustParseAddrPort("[fd00::99]:53535")
	serve := func(service, server []byte) func(l *netdata.Local) error {
		return func(l *netdata.Local) error {
			return l.SetService(netdata.ThreadEnterprise, service, server, true)
		}
	}
	b := newBench(5)
	b.Unicast(netip.AddrPortFrom(netip.Addr{}, 1234), 0)
	b.run(addWithin + time.Second)
	own := func() []netdata.SRPUnicast {
		d := b.local.Data(b.rloc16)
		return d.SRPUnicasts()
	}
	if u := own(); !b.Service() || len(u) != 1 || u[0].Addr != b.mleid || u[0].Port != 1234 || u[0].InServiceData {
		t.Fatalf("%+v", u)
	}
	b.mleid = netip.MustParseAddr("fd01::1234")
	b.Update()
	if u := own(); len(u) != 1 || u[0].Addr != b.mleid {
		t.Errorf("after the mesh-local EID changed: %+v", u)
	}
	b.other(0x8000, serve(netdata.SRPUnicastServiceAt(elsewhere, 0), nil))
	b.run(keepLonger + removeWithin + time.Second)
	if b.Service() {
		t.Error("still there beside one in service data")
	}
	b.Unicast(netip.MustParseAddrPort("[fd00::98]:53535"), 1)
	b.run(addWithin + time.Second)
	if u := own(); len(u) != 1 || !u[0].InServiceData || u[0].Version != 1 {
		t.Errorf("%+v", u)
	}
	for r := uint16(0x8000); r <= 0x9c00; r += 0x0400 {
		b.other(r, serve(netdata.SRPAnycastService(7), []byte{1}))
	}
	b.Anycast(7, 1)
	b.run(addWithin + time.Second)
	if b.Service() {
		t.Error("a ninth anycast server")
	}
	b.Anycast(7, 2)
	b.run(addWithin + time.Second)
	if !b.Service() {
		t.Error("not there with the highest version")
	}
	b.UnpublishService()
	if d := b.local.Data(b.rloc16); b.Service() || len(d.Services) != 0 {
		t.Errorf("left: %v", d)
	}
}
