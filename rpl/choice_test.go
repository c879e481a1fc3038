package rpl

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestGroundedAndPreferredDODAGsWin(t *testing.T) {
	b := newBench()
	n := b.withNode(t, NodeConfig{ProbeInterval: -1, Accept: func(m DIO) bool { return m.DODAGID != addr("fd00::bad") }})
	of := func(id string, grounded bool, preference uint8) func(*DIO) {
		return func(m *DIO) { m.DODAGID, m.Grounded, m.Preference = addr(id), grounded, preference }
	}
	steps := []struct {
		from string
		dio  func(*DIO)
		want string
	}{
		{"fe80::a", of("fd00::bad", true, 7), "invalid IP"}, // refused by Accept
		{"fe80::c", of("fd00:1::1", false, 0), "fe80::c"},
		{"fe80::d", of("fd00:2::1", false, 0), "fe80::c"}, // no better: stay
		{"fe80::e", of("fd00:3::1", true, 0), "fe80::e"},  // grounded
		{"fe80::f", of("fd00:4::1", false, 7), "fe80::e"},
		{"fe80::f", of("fd00:4::1", true, 1), "fe80::f"}, // preferred
	}
	for i, s := range steps {
		b.hear(t, s.from, CodeDIO, announce(NonStoring, 241, 512, "fd00::a", s.dio))
		if got, _ := n.Parent(); got.String() != s.want {
			t.Errorf("step %d: parent %v, want %s", i, got, s.want)
		}
	}
}

func TestConfigurationIsAskedFor(t *testing.T) {
	b := newBench()
	n := b.withNode(t, NodeConfig{})
	bare := announce(NonStoring, 241, 512, "fd00::a", func(m *DIO) { m.Options = nil })
	b.hear(t, "fe80::a", CodeDIO, bare)
	b.hear(t, "fe80::a", CodeDIO, bare)
	if dis := b.take(CodeDIS); len(dis) != 1 || dis[0].Dst != addr("fe80::a") || n.State() != Searching {
		t.Fatalf("%v, asked %+v", n.State(), dis)
	}
	// An increase of zero would put all nodes at one rank.
	b.hear(t, "fe80::a", CodeDIO, announce(NonStoring, 241, 512, "fd00::a", func(m *DIO) { m.Options = []Option{DODAGConfig{LifetimeUnit: 60}} }))
	if n.State() != Searching {
		t.Fatal("joined a DODAG without an order of ranks")
	}
	b.hear(t, "fe80::a", CodeDIO, announce(NonStoring, 241, 512, "fd00::a"))
	b.hear(t, "fe80::a", CodeDIO, bare)
	if n.State() != Joined {
		t.Error("not joined with the configuration known")
	}
}

func TestManyNeighbors(t *testing.T) {
	b := newBench()
	n := b.withNode(t, NodeConfig{MaxNeighbors: 4, ProbeInterval: -1})
	for i := range 40 {
		b.hear(t, fmt.Sprintf("fe80::1:%x", i), CodeDIO, announce(NonStoring, 241, uint16(5000-100*i), "fd00::a"))
	}
	// The last ones were the nearest; each was worth a change of parent when
	// it was a transmission nearer.
	tb := n.Table()
	if len(tb.Neighbors) != 4 || tb.Rank > 5000-100*39+2*768 {
		t.Errorf("%+v", tb)
	}
	for _, e := range tb.Neighbors {
		if e.Parent != (e.Addr == tb.Parent) || e.Parent && !e.Possible {
			t.Errorf("%+v", e)
		}
	}
}

func TestETXMovesTheParent(t *testing.T) {
	b := newBench()
	n := b.withNode(t, NodeConfig{ProbeInterval: -1})
	mr := func(m *DIO) { m.Options[0] = DODAGConfig{OCP: OCPMRHOF}.withDefaults() }
	b.hear(t, "fe80::a", CodeDIO, announce(NonStoring, 241, 256, "fd00::a", mr))
	b.hear(t, "fe80::c", CodeDIO, announce(NonStoring, 241, 256, "fd00::c", mr))
	first, _ := n.Parent()
	n.LinkSent(first, true, 1)
	if p, _ := n.Parent(); p != first || n.Table().Rank != 256+ETXUnit {
		t.Fatalf("%+v", n.Table())
	}
	for range 30 {
		n.LinkSent(first, true, 4)
	}
	if p, _ := n.Parent(); p == first || n.State() != Joined {
		t.Errorf("%+v", n.Table())
	}
}

func TestAddressesChange(t *testing.T) {
	b := newBench()
	var got [][]PrefixInformation
	n := b.withNode(t, NodeConfig{ProbeInterval: -1, Prefixes: func(p []PrefixInformation) { got = append(got, p) }})
	b.hear(t, "fe80::a", CodeDIO, announce(NonStoring, 241, 512, "fd00::a"))
	b.hear(t, "fe80::a", CodeDIO, announce(NonStoring, 241, 512, "fd00::a"))
	if len(got) != 1 || len(got[0]) != 1 || got[0][0].Net() != prefix("fd00::/64") || got[0][0].Router || got[0][0].Prefix != addr("fd00::") {
		t.Errorf("prefixes: %+v", got)
	}
	b.run(2 * time.Second)
	b.sent = nil
	n.SetAddresses(addr("fd00::b2"))
	b.run(2 * time.Second)
	lifetimes := make(map[string]uint8)
	for _, s := range b.take(CodeDAO) {
		for _, p := range pathsOf(daoOf(t, s).Options) {
			for _, x := range p.targets {
				lifetimes[x.String()] = p.transits[0].PathLifetime
			}
		}
	}
	if want := map[string]uint8{"fd00::b/128": 0, "fd00::b2/128": 30}; !reflect.DeepEqual(lifetimes, want) {
		t.Errorf("announced %v, want %v", lifetimes, want)
	}
}

// An address may be made of a prefix as soon as that is known.
func TestAddressFromPrefix(t *testing.T) {
	b := newBench()
	var n *Node
	n = b.withNode(t, NodeConfig{ProbeInterval: -1, Prefixes: func(p []PrefixInformation) {
		n.SetAddresses(withIID(p[0].Prefix, addr("fe80::b5")))
	}})
	n.SetAddresses()
	b.hear(t, "fe80::a", CodeDIO, announce(NonStoring, 241, 512, "fd00::a"))
	b.run(2 * time.Second)
	out := b.take(CodeDAO)
	if len(out) != 1 || out[0].Src != addr("fd00::b5") || optionsOfKind[Target](t, daoOf(t, out[0]).Options)[0].Prefix != prefix("fd00::b5/128") {
		t.Errorf("%+v", out)
	}
}

// A node that restarts counts from the beginning. Who remembers more says so,
// and the node goes on until it is heard again.
func TestForgottenPathSequence(t *testing.T) {
	b := newBench()
	n := b.withNode(t, NodeConfig{ProbeInterval: -1})
	b.hear(t, "fe80::a", CodeDIO, announce(NonStoring, 241, 512, "fd00::a"))
	known, accepted := uint8(250), false
	for range 20 {
		b.run(3 * time.Second)
		for _, s := range b.take(CodeDAO) {
			m := daoOf(t, s)
			seq := optionsOfKind[Transit](t, m.Options)[0].PathSequence
			a := DAOAck{Sequence: m.Sequence, Status: StatusStale}
			if CompareSequence(seq, known) == Newer {
				a.Status, accepted = StatusAccepted, true
			}
			if err := n.Receive(addr("fd00::1"), addr("fd00::b"), CodeDAOAck, a.Append(nil)); err != nil {
				t.Fatal(err)
			}
		}
		if accepted {
			return
		}
	}
	t.Errorf("still at sequence %d", n.dao.path)
}

func TestRootCommands(t *testing.T) {
	b := newBench()
	changes := 0
	r := b.withRoot(t, RootConfig{MOP: Storing, Changed: func() { changes++ }})
	b.run(time.Minute)
	m := DAO{Options: []Option{Target{prefix("fd00::c/128")}, Transit{PathSequence: 240, PathLifetime: 0xff}}}
	if err := r.Receive(addr("fe80::a"), addr("fe80::1"), CodeDAO, m.Append(nil)); err != nil {
		t.Fatal(err)
	}
	if tb := r.Table(); len(tb.Routes) != 1 || tb.Routes[0].Left != Infinite || tb.Routes[0].Next != addr("fe80::a") {
		t.Errorf("%+v", tb)
	}
	dtsn := r.Table().DTSN
	r.NeighborLost(addr("fe80::a"))
	if tb := r.Table(); len(tb.Routes) != 0 || CompareSequence(tb.DTSN, dtsn) != Newer || changes != 2 {
		t.Errorf("%+v, %d changes", tb, changes)
	}
	b.sent = nil
	r.SetPrefixes(PrefixInformation{Bits: 60, Autonomous: true, Prefix: addr("fd00:7:0:10::")})
	b.run(1024 * time.Millisecond)
	out := b.take(CodeDIO)
	if len(out) != 1 {
		t.Fatalf("%d DIOs", len(out))
	}
	d, _ := DecodeDIO(out[0].Body)
	if p := optionsOfKind[PrefixInformation](t, d.Options); len(p) != 1 || p[0].Net() != prefix("fd00:7:0:10::/60") {
		t.Errorf("%+v", d)
	}
	r.Stop()
	out = b.take(CodeDIO)
	if d, _ = DecodeDIO(out[0].Body); len(out) != 1 || d.Rank != InfiniteRank {
		t.Errorf("at the end: %+v", out)
	}
	// A DAO from where none may come is an error that says so.
	r.Start()
	err := r.Receive(addr("fd00::a"), addr("fd00::1"), CodeDAO, m.Append(nil))
	if err == nil || !strings.HasPrefix(err.Error(), "rpl: DAO from fd00::a") {
		t.Errorf("%v", err)
	}
}

// A root that is full says so, and takes others when there is room again.
func TestRootIsFull(t *testing.T) {
	b := newBench()
	r := b.withRoot(t, RootConfig{MOP: NonStoring, MaxTargets: 10})
	dao := func(i int) uint8 {
		t.Helper()
		m := DAO{WantAck: true, Options: []Option{Target{prefix(fmt.Sprintf("fd00::%x/128", i+2))},
			Transit{PathSequence: 240, PathLifetime: 30, Parent: addr("fd00::1")}}}
		b.sent = nil
		if err := r.Receive(addr("fd00::a"), addr("fd00::1"), CodeDAO, m.Append(nil)); err != nil {
			t.Fatal(err)
		}
		a, _ := DecodeDAOAck(b.take(CodeDAOAck)[0].Body)
		return a.Status
	}
	for i := range 20 {
		want := StatusAccepted
		if i >= 10 {
			want = StatusRejected
		}
		if s := dao(i); s != want {
			t.Errorf("target %d: status %d, want %d", i, s, want)
		}
	}
	b.run(31 * time.Minute)
	if s := dao(15); s != StatusAccepted {
		t.Errorf("after the others' lifetime: status %d", s)
	}
}

func TestMetrics(t *testing.T) {
	if v, ok := ETXMetric(384).ETX(); !ok || v != 384 {
		t.Errorf("ETX %d, %v", v, ok)
	}
	if v, ok := HopCountMetric(7).HopCount(); !ok || v != 7 {
		t.Errorf("hop count %d, %v", v, ok)
	}
	if _, ok := (Metric{Type: MetricETX, Body: []byte{1}}).ETX(); ok {
		t.Error("ETX of one byte")
	}
	if _, ok := ETXMetric(1).HopCount(); ok {
		t.Error("ETX is no hop count")
	}
}

// A host moves from router b to router c: the root believes the registration
// that was last, in whatever order it hears of it, and what b withdraws is not
// what c announces.
func TestHostMoves(t *testing.T) {
	host := prefix("fd00::ee/128")
	by := func(router string, tid, lifetime uint8) DAO {
		return DAO{WantAck: true, Sequence: 1, Options: []Option{Target{host},
			Transit{External: true, PathControl: 0x80, PathSequence: tid, PathLifetime: lifetime, Parent: addr(router)}}}
	}
	up := func(router string) DAO {
		return DAO{Options: []Option{Target{netip.PrefixFrom(addr(router), 128)},
			Transit{PathControl: 0x80, PathSequence: 240, PathLifetime: 30, Parent: addr("fd00::1")}}}
	}
	const b, c = "fd00::b", "fd00::c"
	for _, tt := range []struct {
		name string
		said []DAO
	}{
		{"in order", []DAO{by(b, 240, 30), by(b, 240, 0), by(c, 241, 30)}},
		{"withdrawn late", []DAO{by(b, 240, 30), by(c, 241, 30), by(b, 240, 0)}},
		{"withdrawn late, by another count", []DAO{by(b, 13, 30), by(c, 14, 30), by(b, 15, 0)}},
		{"announced late", []DAO{by(c, 241, 30), by(b, 240, 30)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lab := newBench()
			r := lab.withRoot(t, RootConfig{MOP: NonStoring})
			for _, m := range append([]DAO{up(b), up(c)}, tt.said...) {
				if err := r.Receive(addr(b), addr("fd00::1"), CodeDAO, m.Append(nil)); err != nil {
					t.Fatal(err)
				}
			}
			if hops, ok := r.Route(host.Addr()); !ok || hops[len(hops)-1] != addr(c) {
				t.Errorf("by %v", hops)
			}
		})
	}

	// And a router says it so.
	lab := newBench()
	n := lab.withNode(t, NodeConfig{ProbeInterval: -1})
	lab.hear(t, "fe80::a", CodeDIO, announce(NonStoring, 241, 512, "fd00::a"))
	lab.run(2 * time.Second)
	lab.take(CodeDAO)
	n.SetExternal(External{Prefix: host, Sequence: 77, Counted: true})
	lab.run(1500 * time.Millisecond)
	n.SetExternal()
	lab.run(1500 * time.Millisecond)
	var got []Transit
	for _, s := range lab.take(CodeDAO) {
		for _, x := range optionsOfKind[Transit](t, daoOf(t, s).Options) {
			if x.External {
				got = append(got, x)
			}
		}
	}
	want := []Transit{
		{External: true, PathControl: 0x80, PathSequence: 77, PathLifetime: 30, Parent: addr(b)},
		{External: true, PathSequence: 77, Parent: addr(b)},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}
