package netdata

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatewayd/thread/meshcop"
)

var t0 = time.Unix(1_000_000, 0)

func newLeader() *Leader { return NewLeader(rand.New(rand.NewPCG(1, 2))) }

func encoded(l *Leader) string { return fmt.Sprintf("%x", l.Data().Append(nil)) }

// What an OpenThread leader's network data was at each step of a recording: a
// border router on the leader registers paros fd11:22::/64 and the route
// fd33::/48, then withdraws the prefix.
func TestLeaderAsRecorded(t *testing.T) {
	l := newLeader()
	v, s := l.Version(), l.StableVersion()
	expect := func(when, want string, dv, ds uint8) {
		t.Helper()
		v, s = v+dv, s+ds
		if got := encoded(l); got != fmt.Sprintf("%x", wire(t, want)) {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
		if l.Version() != v || l.StableVersion() != s {
			t.Errorf("%s: versions %d/%d, want %d/%d", when, l.Version(), l.StableVersion(), v, s)
		}
	}

	if _, err := l.SetCommissioning(meshcop.TLVs(wire(t, "0b02 dcc6"))); err != nil {
		t.Fatal(err)
	}
	expect("session", "08 04 0b02 dcc6", 1, 0)

	var own Local
	own.SetPrefix(pfx("fd11:22::/64"), FlagPreferred|FlagSLAAC|FlagDefault|FlagOnMesh, true)
	own.SetRoute(pfx("fd33::/48"), 0, true)
	if own.Registered(l.Data(), 0xec00) {
		t.Error("registered before it is")
	}
	c, err := l.Register(t0, 0xec00, own.Data(0xec00))
	if err != nil || c != (Change{Data: true, Stable: true}) {
		t.Errorf("%+v, %v", c, err)
	}
	expect("registered", `08 04 0b02 dcc6 03 14 00 40 fd11002200000000 05 04 ec00 3300 07 02 11 40
		03 0d 00 30 fd3300000000 01 03 ec00 00`, 1, 1)
	if !own.Registered(l.Data(), 0xec00) || own.Registered(l.Data(), 0xec01) {
		t.Error("Registered is wrong")
	}

	// Once more: nothing changes.
	if c, err := l.Register(t0, 0xec00, own.Data(0xec00)); err != nil || c != (Change{}) {
		t.Errorf("registered again: %+v, %v", c, err)
	}

	own.RemovePrefix(pfx("fd11:22::/64"))
	l.Register(t0, 0xec00, own.Data(0xec00))
	expect("withdrawn", `08 04 0b02 dcc6 03 0e 00 40 fd11002200000000 07 02 01 40
		03 0d 00 30 fd3300000000 01 03 ec00 00`, 1, 1)

	// The context goes after the reuse delay.
	if got := l.Deadline(); !got.Equal(t0.Add(DefaultReuseDelay)) {
		t.Errorf("deadline %v", got)
	}
	if c := l.Advance(t0.Add(DefaultReuseDelay - 1)); c != (Change{}) {
		t.Errorf("early: %+v", c)
	}
	l.Advance(t0.Add(DefaultReuseDelay))
	expect("forgotten", "08 04 0b02 dcc6 03 0d 00 30 fd3300000000 01 03 ec00 00", 1, 1)
	if !l.Deadline().IsZero() {
		t.Errorf("deadline %v with nothing to do", l.Deadline())
	}
}

// The body of an SVR_DATA.ntf as a router sent it, and an empty one after it.
func TestLeaderServerData(t *testing.T) {
	l := newLeader()
	l.SetCommissioning(meshcop.TLVs(wire(t, "0b02 9d17")))
	if _, err := l.Register(t0, 0x8400, decode(t, "03100040fd11002200000000 0504 8400 3300")); err != nil {
		t.Fatal(err)
	}
	if got := encoded(l); got != "08040b029d1703140040fd1100220000000005048400330007021140" {
		t.Error(got)
	}
	l.Register(t0, 0x8400, Data{})
	if got := encoded(l); got != "08040b029d17030e0040fd1100220000000007020140" {
		t.Error(got)
	}
}

func onMesh(p string, rloc16 uint16, stable bool) Data {
	return Data{Prefixes: []Prefix{{
		Prefix:        pfx(p),
		BorderRouters: []BorderRouter{{RLOC16: rloc16, Flags: FlagOnMesh, Stable: stable}},
	}}}
}

// A server whose locator changes takes its entries along in one change.
func TestLeaderServerMoves(t *testing.T) {
	l := newLeader()
	l.Register(t0, 0x0401, onMesh("fd01::/64", 0x0401, true))
	l.Register(t0, 0x0402, onMesh("fd02::/64", 0x0402, true))
	id := l.Data().Prefixes[0].Context.ID
	version := l.Version()
	c, err := l.Register(t0, 0x4800, onMesh("fd01::/64", 0x4800, true), 0x0401)
	if err != nil || !c.Stable || l.Version() != version+1 {
		t.Errorf("%+v, %v, version %d became %d", c, err, version, l.Version())
	}
	p := l.Data().FindPrefix(pfx("fd01::/64"))
	if p == nil || len(p.BorderRouters) != 1 || p.BorderRouters[0].RLOC16 != 0x4800 {
		t.Fatalf("%+v", l.Data())
	}
	if p.Context == nil || p.Context.ID != id || !p.Context.Compress {
		t.Errorf("context %+v, had id %d", p.Context, id)
	}
	if l.Data().FindPrefix(pfx("fd02::/64")) == nil {
		t.Errorf("another server's prefix is gone: %+v", l.Data())
	}
	if _, err := l.Register(t0, 0x4c00, onMesh("fd01::/64", 0x4800, true), 0x4800); err == nil || l.Data().FindPrefix(pfx("fd01::/64")) == nil {
		t.Errorf("malformed entries: %v, %+v", err, l.Data())
	}
}

func TestLeaderVersions(t *testing.T) {
	tests := []struct {
		name   string
		do     func(l *Leader) Change
		dv, ds uint8
	}{
		{"temporary prefix", func(l *Leader) Change {
			c, _ := l.Register(t0, 0x0400, onMesh("fd01::/64", 0x0400, false))
			return c
		}, 1, 0},
		{"it becomes stable", func(l *Leader) Change {
			c, _ := l.Register(t0, 0x0400, onMesh("fd01::/64", 0x0400, true))
			return c
		}, 1, 1},
		{"a second server", func(l *Leader) Change {
			c, _ := l.Register(t0, 0x0401, onMesh("fd01::/64", 0x0401, false))
			return c
		}, 1, 0},
		{"a locator nobody has", func(l *Leader) Change { return l.RemoveRLOC16(t0, 0x0402) }, 0, 0},
		{"a child", func(l *Leader) Change { return l.RemoveRLOC16(t0, 0x0401) }, 1, 0},
		{"a router id nobody has", func(l *Leader) Change { return l.RemoveRouter(t0, 2) }, 0, 0},
		{"a router", func(l *Leader) Change { return l.RemoveRouter(t0, 1) }, 1, 1},
		{"a dataset", func(l *Leader) Change { return l.Bump(Change{Stable: true}) }, 1, 1},
		{"nothing", func(l *Leader) Change { return l.Bump(Change{}) }, 0, 0},
	}
	l := newLeader()
	l.version, l.stable = 254, 255 // they wrap
	for _, tt := range tests {
		v, s := l.Version(), l.StableVersion()
		c := tt.do(l)
		if l.Version()-v != tt.dv || l.StableVersion()-s != tt.ds {
			t.Errorf("%s: versions %d/%d became %d/%d", tt.name, v, s, l.Version(), l.StableVersion())
		}
		if c.Data != (tt.dv > 0) || c.Stable != (tt.ds > 0) {
			t.Errorf("%s: %+v", tt.name, c)
		}
	}
}

// Whether a stable context compresses is no change of the stable data: who has
// not heard of it decompresses all the same.
func TestLeaderStableContext(t *testing.T) {
	l := newLeader()
	l.Register(t0, 0x0400, onMesh("fd01::/64", 0x0400, true))
	l.RemoveRouter(t0, 1)
	if c, _ := l.Register(t0, 0x0800, onMesh("fd01::/64", 0x0800, false)); !c.Data || c.Stable {
		t.Errorf("brought back: %+v", c)
	}
	if c := l.RemoveRouter(t0, 2); !c.Data || c.Stable {
		t.Errorf("left: %+v", c)
	}
	if c := l.Advance(t0.Add(l.ReuseDelay)); !c.Stable {
		t.Errorf("over: %+v", c)
	}
}

func TestLeaderRefuses(t *testing.T) {
	p := func(subs string) string {
		b := wire(t, subs)
		return fmt.Sprintf("03 %02x 00 40 fd11002200000000 %x", 10+len(b), b)
	}
	tests := []struct{ name, wire, want string }{
		{"foreign router", p("0504 0800 3300"), "another locator"},
		{"foreign route", p("0103 0800 00"), "another locator"},
		{"foreign server", "0b07 80 01 5d 0d02 0800", "another locator"},
		{"prefix twice", p("0504 0400 3300") + p("0103 0400 00"), "twice"},
		{"service twice", "0b07 80 01 5d 0d02 0400 0b07 80 01 5d 0d02 0400", "twice"},
		{"two stable routers", p("0508 0400 3300 0400 0100"), "more than one"},
		{"two stable route TLVs", p("0103 0400 00 0103 0400 40"), "more than one"},
		{"router without entry", p("0500 0103 0400 00"), "no entry"},
		{"empty prefix", p(""), "no entry"},
		{"prefix with a context only", p("0702 1140"), "no entry"},
		{"two servers", "0b0c 80 01 5d 0d02 0400 0d03 0400 01", "more than one"},
		{"no server", "0b03 80 01 5d", "no entry"},
	}
	for _, tt := range tests {
		l := newLeader()
		before := onMesh("fd77::/64", 0x0400, true)
		l.Register(t0, 0x0400, before)
		want, v := encoded(l), l.Version()
		c, err := l.Register(t0, 0x0400, decode(t, tt.wire))
		if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), tt.want) || c != (Change{}) {
			t.Errorf("%s: %+v, %v", tt.name, c, err)
		}
		if encoded(l) != want || l.Version() != v {
			t.Errorf("%s changed the data", tt.name)
		}
	}
	// One stable and one temporary entry of each kind, and more types, are fine.
	l := newLeader()
	ok := p("0504 0400 3300 0404 0400 0100 0103 0400 00 0003 0400 40 0702 1f40 4101 aa") + "7f 01 00"
	if _, err := l.Register(t0, 0x0400, decode(t, ok)); err != nil {
		t.Error(err)
	}
	if got := encoded(l); got != fmt.Sprintf("%x", wire(t, "03 24 00 40 fd11002200000000 0504 0400 3300 0404 0400 0100 0702 1140 0103 0400 00 0003 0400 40")) {
		t.Error(got)
	}
}

func TestLeaderContextIDs(t *testing.T) {
	l := newLeader()
	set := func(now time.Time, rloc16 uint16, prefixes ...int) error {
		d := Data{}
		for _, n := range prefixes {
			d.Prefixes = append(d.Prefixes, onMesh(fmt.Sprintf("%x::/16", 0xfd00+n), rloc16, true).Prefixes...)
		}
		_, err := l.Register(now, rloc16, d)
		return err
	}
	ids := func() string {
		var s []string
		for c := range l.Data().Contexts() {
			x := fmt.Sprintf("%d:%02x", c.ID, c.Prefix.Addr().As16()[1])
			if !c.Compress {
				x += "-"
			}
			s = append(s, x)
		}
		return strings.Join(s, " ")
	}
	at := func(s int) time.Time { return t0.Add(time.Duration(s) * time.Second) }
	steps := []struct {
		do   func()
		want string
	}{
		{func() { set(at(0), 0x0400, 1, 2, 3) }, "1:01 2:02 3:03"},
		{func() { set(at(10), 0x0800, 2) }, "1:01 2:02 3:03"},
		{func() { set(at(20), 0x0400, 3) }, "1:01- 2:02 3:03"}, // 2 still has a server
		{func() { set(at(30), 0x0800) }, "1:01- 2:02- 3:03"},
		{func() { set(at(40), 0x0400, 3, 4) }, "1:01- 2:02- 3:03 4:04"},     // ids in delay are not given
		{func() { set(at(50), 0x0800, 1) }, "1:01 2:02- 3:03 4:04"},         // back in time: the same id
		{func() { l.Advance(at(329)) }, "1:01 2:02- 3:03 4:04"},             //
		{func() { l.Advance(at(330)) }, "1:01 3:03 4:04"},                   // 300 s after at(30)
		{func() { set(at(340), 0x0c00, 5, 6) }, "1:01 3:03 4:04 2:05 5:06"}, // lowest free
	}
	for i, s := range steps {
		s.do()
		if got := ids(); got != s.want {
			t.Errorf("step %d: %s, want %s", i, got, s.want)
		}
	}

	// Fifteen ids, then none: the prefixes after it are dropped.
	l = newLeader()
	var many []int
	for n := range 17 {
		many = append(many, n+1)
	}
	err := set(t0, 0x0400, many...)
	if !errors.Is(err, ErrFull) || len(l.Data().Prefixes) != 15 {
		t.Errorf("%v, %d prefixes", err, len(l.Data().Prefixes))
	}
}

func TestLeaderFull(t *testing.T) {
	l := newLeader()
	d := Data{}
	for n := range 12 { // 22 bytes each: 11 fit
		d.Prefixes = append(d.Prefixes, onMesh(fmt.Sprintf("fd%02x::/64", n), 0x0400, true).Prefixes...)
	}
	c, err := l.Register(t0, 0x0400, d)
	if !errors.Is(err, ErrFull) || !c.Stable || l.Data().Len() > MaxSize || len(l.Data().Prefixes) != 11 {
		t.Errorf("%+v, %v, %d bytes, %d prefixes", c, err, l.Data().Len(), len(l.Data().Prefixes))
	}
	before := encoded(l)
	if _, err := l.SetCommissioning(make(meshcop.TLVs, 40)); !errors.Is(err, ErrFull) || encoded(l) != before {
		t.Errorf("commissioning data: %v", err)
	}
}

func TestLeaderServices(t *testing.T) {
	l := newLeader()
	svc := func(rloc16 uint16, stable bool, data ...byte) Data {
		return Data{Services: []Service{{ID: 9, Enterprise: ThreadEnterprise, Data: data, Servers: []Server{{RLOC16: rloc16, Data: []byte{1}, Stable: stable}}}}}
	}
	l.Register(t0, 0x0400, svc(0x0400, true, 0x01))
	l.Register(t0, 0x0800, svc(0x0800, false, 0x5d))
	l.Register(t0, 0x0c00, svc(0x0c00, true, 0x01))
	if got := encoded(l); got != fmt.Sprintf("%x", wire(t, `
		0b 0d 80 01 01  0d 03 0400 01  0d 03 0c00 01
		0a 08 81 01 5d  0c 03 0800 01`)) {
		t.Error(got)
	}
	l.Register(t0, 0x0400, Data{})
	l.Register(t0, 0x0800, Data{})
	l.Register(t0, 0x1000, svc(0x1000, true, 0x5c, 1)) // id 1 is free again, 0 is not
	if got := encoded(l); got != fmt.Sprintf("%x", wire(t, "0b 08 80 01 01 0d 03 0c00 01 0b 09 81 02 5c01 0d 03 1000 01")) {
		t.Error(got)
	}
	// Sixteen ids.
	l = newLeader()
	var d Data
	for n := range 17 {
		d.Services = append(d.Services, Service{Enterprise: ThreadEnterprise, Data: []byte{byte(n)}, Servers: []Server{{RLOC16: 0x0400}}})
	}
	if _, err := l.Register(t0, 0x0400, d); !errors.Is(err, ErrFull) || len(l.Data().Services) != 16 {
		t.Errorf("%v, %d services", err, len(l.Data().Services))
	}
}

func TestRestoreLeader(t *testing.T) {
	d := decode(t, `
		08 04  0b02 5c2a
		03 18  00 40 fd11002200000000  05 08 e800 3300 0400 3300  07 02 13 40
		03 0e  00 40 fd22002200000000  07 02 01 40
		03 14  00 40 fd33002200000000  05 04 0401 3300  07 02 12 40`)
	l := RestoreLeader(t0, d, 7, 8, func(id uint8) bool { return id == 0xe800>>10 })
	want := wire(t, `
		08 04  0b02 5c2a
		03 14  00 40 fd11002200000000  05 04 e800 3300  07 02 13 40
		03 0e  00 40 fd22002200000000  07 02 01 40
		03 0e  00 40 fd33002200000000  07 02 02 40`)
	if got := l.Data().Append(nil); !bytes.Equal(got, want) {
		t.Errorf("%x\nwant %x", got, want)
	}
	if l.Version() == 7 || l.StableVersion() == 8 {
		t.Error("dropping a router did not count")
	}
	if _, err := l.Register(t0, 0xe800, onMesh("fd44::/64", 0xe800, true)); err != nil {
		t.Fatal(err)
	}
	if p := l.Data().FindPrefix(pfx("fd44::/64")); p.Context.ID != 4 {
		t.Errorf("context %d, want 4", p.Context.ID)
	}
	if !l.Deadline().Equal(t0.Add(DefaultReuseDelay)) {
		t.Errorf("deadline %v", l.Deadline())
	}
	l.Advance(t0.Add(DefaultReuseDelay))
	if n := len(l.Data().Prefixes); n != 1 { // fd44::/64, which replaced fd11:22::/64
		t.Errorf("%d prefixes after the delay", n)
	}

	// Context 0 is never given away; meeting it must not keep Advance busy.
	l = RestoreLeader(t0, decode(t, "03 0e 00 40 fd22002200000000 07 02 00 40"), 0, 0, func(uint8) bool { return true })
	if !l.Deadline().IsZero() {
		t.Errorf("deadline %v for context 0", l.Deadline())
	}
}

func TestLocal(t *testing.T) {
	var l Local
	if err := l.SetPrefix(netip.MustParsePrefix("10.0.0.0/8"), 0, true); err == nil {
		t.Error("an IPv4 prefix")
	}
	if err := l.SetPrefix(netip.Prefix{}, 0, true); err == nil {
		t.Error("no prefix")
	}
	if err := l.SetRoute(pfx("fd01::/95"), RouteNAT64, true); err == nil {
		t.Error("a NAT64 prefix of 95 bits")
	}
	if err := l.SetService(1, make([]byte, 256), nil, true); err == nil {
		t.Error("service data of 256 bytes")
	}
	if err := l.SetService(1, []byte{1}, make([]byte, 250), true); !errors.Is(err, ErrFull) {
		t.Error("a service that does not fit")
	}
	l.SetPrefix(pfx("fd01::1/64"), FlagOnMesh, false) // host bits do not count
	l.SetPrefix(pfx("fd01::/64"), FlagOnMesh|FlagSLAAC, true)
	l.SetRoute(pfx("fd01::/64"), RouteFlags(0).With(Low), false)
	l.SetService(ThreadEnterprise, []byte{0x5d}, []byte{1}, true)
	l.SetService(ThreadEnterprise, []byte{0x5d}, []byte{2}, true)
	d := l.Data(0x0401)
	want := wire(t, `
		03 15 00 40 fd01000000000000 05 04 0401 1100 00 03 0401 c0
		0b 08 80 01 5d 0d 03 0401 02`)
	if got := d.Append(nil); !bytes.Equal(got, want) {
		t.Errorf("%x\nwant %x", got, want)
	}

	ld := newLeader()
	if _, err := ld.Register(t0, 0x0401, d); err != nil {
		t.Fatal(err)
	}
	if !l.Registered(ld.Data(), 0x0401) {
		t.Error("not registered")
	}
	for _, remove := range []func() bool{
		func() bool { return l.RemovePrefix(pfx("fd01::/64")) },
		func() bool { return l.RemoveRoute(pfx("fd01::/64")) },
		func() bool { return l.RemoveService(ThreadEnterprise, []byte{0x5d}) },
	} {
		if !remove() || remove() {
			t.Error("removal did not say what it removed")
		}
		if l.Registered(ld.Data(), 0x0401) {
			t.Error("still registered after a removal")
		}
		ld.Register(t0, 0x0401, l.Data(0x0401))
		if !l.Registered(ld.Data(), 0x0401) {
			t.Error("not registered after an update")
		}
	}
	if d := l.Data(0x0401); d.Len() != 0 {
		t.Errorf("left over %x", d.Append(nil))
	}
}

// Whatever servers do, the network data fits, decodes to itself, has each
// context and service id once, versions count exactly the changes that were
// reported, and a context that is not in use has a time at which it goes.
func FuzzLeader(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 1, 4, 5, 6, 2, 200, 3, 1, 4, 0})
	f.Add([]byte{0, 0, 255, 0, 1, 255, 0, 2, 255, 1, 0, 1, 1, 2, 200, 2, 200, 0, 3, 255})
	f.Fuzz(func(t *testing.T, ops []byte) {
		l := newLeader()
		now := t0
		next := func() byte {
			if len(ops) == 0 {
				return 0
			}
			b := ops[0]
			ops = ops[1:]
			return b
		}
		for len(ops) > 0 {
			data, stable := encodedParts(l)
			v, s := l.Version(), l.StableVersion()
			var c Change
			switch next() % 5 {
			case 0:
				rloc16 := uint16(next()%6) << 9
				c, _ = l.Register(now, rloc16, registration(rloc16, next(), next()))
			case 1:
				c = l.RemoveRouter(now, next()%4)
			case 2:
				now = now.Add(time.Duration(next()) * 2 * time.Second)
				c = l.Advance(now)
			case 3:
				c, _ = l.SetCommissioning(make(meshcop.TLVs, next()))
			case 4:
				c = l.RemoveRLOC16(now, uint16(next()%6)<<9)
			}
			b := l.Data().Append(nil)
			if len(b) > MaxSize {
				t.Fatalf("%d bytes", len(b))
			}
			d, err := Decode(b)
			if err != nil || !bytes.Equal(d.Append(nil), b) {
				t.Fatalf("%x does not decode to itself: %v", b, err)
			}
			if (l.Version() != v) != c.Data || (l.StableVersion() != s) != c.Stable || c.Stable && !c.Data {
				t.Fatalf("change %+v, versions %d/%d to %d/%d", c, v, s, l.Version(), l.StableVersion())
			}
			newData, newStable := encodedParts(l)
			if newData != data && !c.Data || newStable != stable && !c.Stable {
				t.Fatalf("%+v but %s became %s, stable %s became %s", c, data, newData, stable, newStable)
			}
			checkIDs(t, l)
		}
	})
}

// encodedParts is the network data, and its stable part but for whether contexts
// compress.
func encodedParts(l *Leader) (all, stable string) {
	s := l.Data().StableSubset()
	for i := range s.Prefixes {
		if c := s.Prefixes[i].Context; c != nil {
			s.Prefixes[i].Context = &Context{ID: c.ID, Bits: c.Bits, Stable: c.Stable}
		}
	}
	return encoded(l), fmt.Sprintf("%x", s.Append(nil))
}

// registration makes up to 16 entries from two bytes.
func registration(rloc16 uint16, which, how byte) Data {
	var d Data
	for i := range 8 {
		if which&(1<<i) == 0 {
			continue
		}
		stable := how&(1<<i) != 0
		p := Prefix{Prefix: netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, byte(i), how & 3}), 40+8*(i%4))}
		if i%3 != 0 {
			p.BorderRouters = []BorderRouter{{RLOC16: rloc16, Flags: FlagOnMesh, Stable: stable}}
		}
		if i%3 != 1 {
			p.HasRoutes = []HasRoute{{RLOC16: rloc16, Stable: !stable}}
		}
		d.Prefixes = append(d.Prefixes, p)
		if how&0x10 != 0 {
			d.Services = append(d.Services, Service{Enterprise: ThreadEnterprise, Data: []byte{how, byte(i)},
				Servers: []Server{{RLOC16: rloc16, Data: make([]byte, how>>5), Stable: stable}}})
		}
	}
	return d
}

func checkIDs(t *testing.T, l *Leader) {
	contexts, services := map[uint8]bool{0: true}, map[uint8]bool{}
	for _, p := range l.Data().Prefixes {
		if len(p.BorderRouters) > 0 && (p.Context == nil || !p.Context.Compress) {
			t.Fatalf("%v has routers and no context to compress with", p)
		}
		if p.Context == nil {
			continue
		}
		if contexts[p.Context.ID] || p.Context.ID > 15 {
			t.Fatalf("context %d twice", p.Context.ID)
		}
		contexts[p.Context.ID] = true
		if !p.Context.Compress && l.Deadline().IsZero() {
			t.Fatalf("context %d is never removed", p.Context.ID)
		}
	}
	for id, c := range l.contexts {
		if c.used && !contexts[uint8(id)] {
			t.Fatalf("context %d leaked", id)
		}
	}
	for _, s := range l.Data().Services {
		if services[s.ID] || s.ID > 15 {
			t.Fatalf("service %d twice", s.ID)
		}
		services[s.ID] = true
	}
}
