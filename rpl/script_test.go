package rpl

import (
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"gatewayd/alarm"
)

func TestTrickle(t *testing.T) {
	var c alarm.Clock
	c.Set(epoch)
	var sent []time.Duration
	tr := newTrickle(&c, rand.New(rand.NewPCG(1, 1)), func() { sent = append(sent, c.Now().Sub(epoch)) })
	tr.configure(DODAGConfig{IntervalMin: 10, IntervalDoublings: 4, Redundancy: 2})
	tr.start()
	run := func(to time.Duration) {
		for d := c.Deadline(); !d.After(epoch.Add(to)); d = c.Deadline() {
			c.Advance(d)
		}
		c.Set(epoch.Add(to))
	}
	// Intervals of 1.024 s doubled to 16.384 s; each sends in its second half.
	const i = 1024 * time.Millisecond
	run(63 * i)
	begin := time.Duration(0)
	for n, length := range []time.Duration{i, 2 * i, 4 * i, 8 * i, 16 * i, 16 * i} {
		if n >= len(sent) || sent[n] < begin+length/2 || sent[n] >= begin+length {
			t.Fatalf("interval %d from %v of %v: sent at %v", n, begin, length, sent)
		}
		begin += length
	}
	// Two consistent messages suppress it, once.
	run(begin + i)
	n := len(sent)
	tr.consistent()
	tr.consistent()
	run(begin + 16*i - 1)
	if len(sent) != n {
		t.Errorf("sent in spite of redundancy 2")
	}
	run(begin + 16*i)
	tr.reset()
	run(begin + 17*i)
	if len(sent) != n+1 {
		t.Errorf("sent %d times after a reset, want once", len(sent)-n)
	}
}

func TestObjectives(t *testing.T) {
	of0c, mrhofc := DODAGConfig{MinHopRankIncrease: 256}, DODAGConfig{MinHopRankIncrease: 128}
	tests := []struct {
		name string
		o    objective
		c    DODAGConfig
		rank uint16
		etx  uint16
		want uint16
	}{
		{"OF0, link not known: three steps", of0{}, of0c, 256, 0, 256 + 768},
		{"OF0, perfect link: one step", of0{}, of0c, 256, 128, 512},
		{"OF0, ETX 2: four steps", of0{}, of0c, 256, 256, 256 + 1024},
		{"OF0, ETX 3.6: nine steps", of0{}, of0c, 256, 460, 256 + 9*256},
		{"OF0, ETX 5: not used", of0{}, of0c, 256, 640, InfiniteRank},
		{"OF0, at the end of ranks", of0{}, of0c, 65300, 128, InfiniteRank},
		{"MRHOF, ETX 1.5", mrhof{}, mrhofc, 128, 192, 320},
		{"MRHOF, at least a hop", mrhof{}, of0c, 256, 128, 512},
		{"MRHOF, ETX above 4", mrhof{}, mrhofc, 128, 513, InfiniteRank},
		{"MRHOF, path above 256", mrhof{}, mrhofc, 32700, 128, InfiniteRank},
	}
	for _, tt := range tests {
		if got := tt.o.rankVia(tt.c, tt.rank, tt.etx); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
	if (mrhof{}).better(mrhofc, 1000, 1191) || !(mrhof{}).better(mrhofc, 1000, 1192) {
		t.Error("MRHOF's hysteresis is not 192")
	}
}

// optionsOfKind are the options of one type in a message.
func optionsOfKind[O Option](t testing.TB, opts []Option) (out []O) {
	for _, o := range opts {
		if o, ok := o.(O); ok {
			out = append(out, o)
		}
	}
	return out
}

func daoOf(t testing.TB, s Send) DAO {
	t.Helper()
	m, err := DecodeDAO(s.Body)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestNonStoringNodeAnnouncesItself(t *testing.T) {
	b := newBench()
	n := b.withNode(t, NodeConfig{ProbeInterval: -1})
	n.SetExternal(External{Prefix: prefix("fd00::ee/128")})
	b.run(time.Second)
	if dis := b.take(CodeDIS); len(dis) != 1 || dis[0].Dst != AllNodes || dis[0].HopLimit != 255 {
		t.Fatalf("asked: %+v", dis)
	}
	b.hear(t, "fe80::a", CodeDIO, announce(NonStoring, 241, 512, "fd00::a"))
	if n.State() != Joined || n.Table().Rank != 512+768 {
		t.Fatalf("%+v", n.Table())
	}
	b.run(2 * time.Second)
	out := b.take(CodeDAO)
	if len(out) != 1 || out[0].Src != addr("fd00::b") || out[0].Dst != addr("fd00::1") || out[0].HopLimit != 64 {
		t.Fatalf("announced: %+v", out)
	}
	m := daoOf(t, out[0])
	want := []Option{
		Target{prefix("fd00::b/128")},
		Transit{PathControl: 0x80, PathSequence: n.dao.path, PathLifetime: 30, Parent: addr("fd00::a")},
		Target{prefix("fd00::ee/128")},
		Transit{External: true, PathControl: 0x80, PathSequence: n.dao.path, PathLifetime: 30, Parent: addr("fd00::b")},
	}
	if !m.WantAck || !reflect.DeepEqual(m.Options, want) {
		t.Errorf("DAO %+v", m)
	}

	// Not acknowledged: again with the same path sequence, ever later.
	b.run(3 * time.Second)
	out = b.take(CodeDAO)
	if len(out) != 1 || !reflect.DeepEqual(daoOf(t, out[0]).Options, want) {
		t.Fatalf("retry: %+v", out)
	}
	ack := DAOAck{Sequence: daoOf(t, out[0]).Sequence}
	if err := n.Receive(addr("fd00::1"), addr("fd00::b"), CodeDAOAck, ack.Append(nil)); err != nil {
		t.Fatal(err)
	}
	b.run(10 * time.Minute)
	if out := b.take(CodeDAO); len(out) != 0 || n.Table().Unacked != 0 {
		t.Errorf("%d DAOs after the acknowledgement", len(out))
	}
	b.run(6 * time.Minute) // half of the lifetime has passed
	if out := b.take(CodeDAO); len(out) == 0 {
		t.Error("not refreshed")
	}
	// Asked by a newer DTSN, it announces itself and asks its own children.
	dtsn := n.dtsn
	b.hear(t, "fe80::a", CodeDIO, announce(NonStoring, 241, 512, "fd00::a", func(m *DIO) { m.DTSN = 2 }))
	b.run(2 * time.Second)
	if out := b.take(CodeDAO); len(out) == 0 || CompareSequence(n.dtsn, dtsn) != Newer {
		t.Errorf("%d DAOs after a newer DTSN, own DTSN %d after %d", len(out), n.dtsn, dtsn)
	}
	n.Stop()
	out = b.take(CodeDAO)
	if len(out) != 1 || optionsOfKind[Transit](t, daoOf(t, out[0]).Options)[0].PathLifetime != 0 {
		t.Errorf("at the end: %+v", out)
	}
}

func TestPoisonAndRepair(t *testing.T) {
	b := newBench()
	n := b.withNode(t, NodeConfig{ProbeInterval: -1})
	b.hear(t, "fe80::a", CodeDIO, announce(NonStoring, 241, 512, "fd00::a"))
	b.hear(t, "fe80::c", CodeDIO, announce(NonStoring, 241, 2048, "fd00::c")) // farther than we are: perhaps below us
	b.run(time.Minute)
	b.sent = nil

	b.hear(t, "fe80::a", CodeDIO, announce(NonStoring, 241, InfiniteRank, "fd00::a"))
	if n.State() != Poisoning {
		t.Fatalf("%v: joined by a node that may be below", n.State())
	}
	b.run(3500 * time.Millisecond)
	poison := 0
	for _, s := range b.sent {
		if m, err := DecodeDIO(s.Body); s.Code == CodeDIO && err == nil && m.Rank == InfiniteRank && s.Dst == AllNodes {
			poison++
		}
	}
	if poison != poisons || n.State() != Searching {
		t.Errorf("poisoned %d times, %v", poison, n.State())
	}
	// An older version is not joined again, the same one is within bounds.
	b.hear(t, "fe80::d", CodeDIO, announce(NonStoring, 240, 512, "fd00::d"))
	b.hear(t, "fe80::e", CodeDIO, announce(NonStoring, 241, 512+768+24*256, "fd00::e"))
	if n.State() != Searching {
		t.Fatalf("joined by %+v", n.Table())
	}
	b.hear(t, "fe80::c", CodeDIO, announce(NonStoring, 241, 2048, "fd00::c"))
	if p, _ := n.Parent(); n.State() != Joined || p != addr("fe80::c") {
		t.Errorf("%+v", n.Table())
	}
	// A new version resets the bounds and the choice.
	b.hear(t, "fe80::e", CodeDIO, announce(NonStoring, 242, 512+768+24*256, "fd00::e"))
	if p, _ := n.Parent(); p != addr("fe80::e") || n.Table().Version != 242 {
		t.Errorf("%+v", n.Table())
	}
}

func TestParentThatIsSilentIsGivenUp(t *testing.T) {
	b := newBench()
	n := b.withNode(t, NodeConfig{})
	b.hear(t, "fe80::a", CodeDIO, announce(NonStoring, 241, 512, "fd00::a"))
	b.run(59 * time.Second)
	b.sent = nil
	b.run(25 * time.Second)
	if dis := b.take(CodeDIS); len(dis) != maxProbes || dis[0].Dst != addr("fe80::a") {
		t.Fatalf("asked: %+v", dis)
	}
	b.run(10 * time.Second)
	if n.State() == Joined {
		t.Error("still joined")
	}

	b = newBench()
	n = b.withNode(t, NodeConfig{})
	b.hear(t, "fe80::a", CodeDIO, announce(NonStoring, 241, 512, "fd00::a"))
	for range maxFailures {
		n.LinkSent(addr("fe80::a"), false, 4)
	}
	if n.State() == Joined {
		t.Error("joined after four failures")
	}
}

func TestLeaf(t *testing.T) {
	multicast := func(m *DIO) { m.MOP = StoringMulticast }
	unknown := func(m *DIO) {
		c := DODAGConfig{}.withDefaults()
		c.OCP = 99
		m.Options[0] = c
	}
	for _, tt := range []struct {
		name string
		cfg  NodeConfig
		dio  []byte
	}{
		{"configured", NodeConfig{Leaf: true}, announce(NonStoring, 241, 512, "fd00::a")},
		{"mode not supported", NodeConfig{}, announce(Storing, 241, 512, "fd00::a", multicast)},
		{"objective function not known", NodeConfig{}, announce(Storing, 241, 512, "fd00::a", unknown)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench()
			tt.cfg.ProbeInterval = -1
			n := b.withNode(t, tt.cfg)
			b.hear(t, "fe80::a", CodeDIO, tt.dio)
			if n.State() != Joined || !n.Table().Leaf {
				t.Fatalf("%+v", n.Table())
			}
			b.run(time.Hour)
			b.hear(t, "fe80::c", CodeDIS, []byte{0, 0})
			b.run(time.Minute)
			if out := b.take(CodeDIO); len(out) != 0 {
				t.Errorf("a leaf announces: %+v", out)
			}
			if err := n.Receive(addr("fe80::c"), addr("fe80::b"), CodeDIS, []byte{0, 0}); err != nil {
				t.Fatal(err)
			}
			out := b.take(CodeDIO)
			if len(out) != 1 || out[0].Dst != addr("fe80::c") {
				t.Fatalf("answer: %+v", out)
			}
			if m, _ := DecodeDIO(out[0].Body); m.Rank != InfiniteRank {
				t.Errorf("a leaf's rank: %d", m.Rank)
			}
			if v := n.Forward(echo("fd00::c", "fd00::9", 64), addr("fe80::c")); v.Action != Drop {
				t.Errorf("a leaf routes: %+v", v)
			}
		})
	}
}

func TestStoringRouter(t *testing.T) {
	b := newBench()
	n := b.withNode(t, NodeConfig{ProbeInterval: -1})
	b.hear(t, "fe80::a", CodeDIO, announce(Storing, 241, 512, "fd00::"))
	child := func(from, target string, seq, lifetime uint8) (status uint8) {
		t.Helper()
		b.sent = nil
		m := DAO{WantAck: true, Sequence: 7, Options: []Option{Target{prefix(target)}, Transit{PathSequence: seq, PathLifetime: lifetime}}}
		if err := n.Receive(addr(from), addr("fe80::b"), CodeDAO, m.Append(nil)); err != nil {
			t.Fatal(err)
		}
		acks := b.take(CodeDAOAck)
		if len(acks) != 1 || acks[0].Dst != addr(from) || acks[0].Src != addr("fe80::b") {
			t.Fatalf("acknowledgement: %+v", acks)
		}
		a, _ := DecodeDAOAck(acks[0].Body)
		return a.Status
	}
	told := func() map[string]uint8 { // target to lifetime
		b.run(2 * time.Second)
		out := make(map[string]uint8)
		for _, s := range b.take(CodeDAO) {
			m := daoOf(t, s)
			if s.Dst != addr("fe80::a") {
				t.Errorf("DAO to %v", s.Dst)
			}
			for _, p := range pathsOf(m.Options) {
				for _, x := range p.targets {
					out[x.String()] = p.transits[0].PathLifetime
				}
			}
			if err := n.Receive(addr("fe80::a"), addr("fe80::b"), CodeDAOAck, DAOAck{Sequence: m.Sequence}.Append(nil)); err != nil {
				t.Fatal(err)
			}
		}
		return out
	}
	told()
	if s := child("fe80::c", "fd00::c/128", 245, 20); s != StatusAccepted {
		t.Errorf("status %d", s)
	}
	if got := told(); !reflect.DeepEqual(got, map[string]uint8{"fd00::c/128": 20}) {
		t.Errorf("told the parent: %v", got)
	}
	if v := n.Forward(echo("fd00::9", "fd00::c", 64), addr("fe80::a")); v.Action != Forward || v.Next != addr("fe80::c") {
		t.Errorf("down: %+v", v)
	}
	if s := child("fe80::d", "fd00::c/128", 244, 20); s != StatusStale {
		t.Errorf("an older sequence by another: status %d", s)
	}
	if s := child("fe80::d", "fd00::c/128", 246, 20); s != StatusAccepted {
		t.Errorf("a newer sequence by another: status %d", s)
	}
	child("fe80::c", "fd00::c/128", 247, 0) // not its any more
	if got := told(); !reflect.DeepEqual(got, map[string]uint8{"fd00::c/128": 20}) {
		t.Errorf("told the parent: %v", got)
	}
	// With one sequence by two children, the other stays when one withdraws.
	child("fe80::e", "fd00::c/128", 246, 20)
	child("fe80::e", "fd00::c/128", 246, 0)
	if v := n.Originate(echo("fd00::b", "fd00::c", 64)); v.Next != addr("fe80::d") {
		t.Errorf("after a withdrawal: %+v", v)
	}
	told()
	// A datagram that comes back was sent to one who does not have the route.
	back := InsertPacketInfo(echo("fd00::9", "fd00::c", 64), PacketInfo{Down: true, ForwardingError: true, SenderRank: 9}, HopOption)
	v := n.Forward(back, addr("fe80::d"))
	info, _, _, _ := FindPacketInfo(v.Packet)
	if v.Action != Forward || v.Next != addr("fe80::a") || !info.ForwardingError || !info.Down || len(n.Table().Routes) != 0 {
		t.Errorf("back: %+v with %+v, routes %v", v, info, n.Table().Routes)
	}
	if got := told(); !reflect.DeepEqual(got, map[string]uint8{"fd00::c/128": 0}) {
		t.Errorf("told the parent: %v", got)
	}
	// Its own parent is not below it.
	if s := child("fe80::a", "fd00::f/128", 240, 20); s < StatusRejected {
		t.Errorf("a DAO of the parent: status %d", s)
	}
}

func TestRootGoesBeyondWhatItForgot(t *testing.T) {
	b := newBench()
	var versions []uint8
	r := b.withRoot(t, RootConfig{MOP: NonStoring, VersionChanged: func(v uint8) { versions = append(versions, v) }})
	hear := func(version uint8) {
		t.Helper()
		if err := r.Receive(addr("fe80::a"), AllNodes, CodeDIO, announce(NonStoring, version, 1024, "fd00::a")); err != nil {
			t.Fatal(err)
		}
	}
	hear(250) // at once: it may be forged
	b.run(repairInterval)
	hear(240) // older, equal: nothing new
	hear(241)
	hear(250)
	hear(255)
	b.run(repairInterval)
	hear(255)
	b.run(repairInterval)
	r.GlobalRepair()
	if want := []uint8{241, 251, 0, 1}; !reflect.DeepEqual(versions, want) {
		t.Errorf("versions %v, want %v", versions, want)
	}
}

func TestDISThatMeansOthers(t *testing.T) {
	b := newBench()
	r := b.withRoot(t, RootConfig{MOP: NonStoring})
	ask := func(to netip.Addr, s Solicited) int {
		t.Helper()
		b.sent = nil
		if err := r.Receive(addr("fe80::a"), to, CodeDIS, DIS{Options: []Option{s}}.Append(nil)); err != nil {
			t.Fatal(err)
		}
		b.run(1024 * time.Millisecond)
		return len(b.take(CodeDIO))
	}
	b.run(30 * time.Minute)
	if n := ask(addr("fe80::1"), Solicited{MatchInstance: true, Instance: 5}); n != 0 {
		t.Errorf("%d answers to a question about another instance", n)
	}
	if n := ask(addr("fe80::1"), Solicited{MatchDODAG: true, DODAGID: addr("fd00::1")}); n != 1 {
		t.Errorf("%d answers to a question about us", n)
	}
	if n := ask(AllNodes, Solicited{MatchVersion: true, Version: 241}); n != 1 {
		t.Errorf("%d announcements after a question to all", n)
	}
}

func TestConfigurationErrors(t *testing.T) {
	var c alarm.Clock
	good := RootConfig{Clock: &c, Rand: rand.New(rand.NewPCG(1, 1)), Send: func(Send) {}, LinkLocal: addr("fe80::1"), Address: addr("fd00::1")}
	if _, err := NewRoot(good); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*RootConfig){
		"no output":      func(c *RootConfig) { c.Send = nil },
		"multicast mode": func(c *RootConfig) { c.MOP = StoringMulticast },
		"DODAGID":        func(c *RootConfig) { c.Address = addr("fe80::1") },
		"link-local":     func(c *RootConfig) { c.LinkLocal = addr("fd00::1") },
		"OCP":            func(c *RootConfig) { c.Config.OCP = 9 },
	} {
		bad := good
		spoil(&bad)
		if _, err := NewRoot(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := NewNode(NodeConfig{Clock: &c}); err == nil {
		t.Error("node without output: no error")
	}
}
