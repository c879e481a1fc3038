package ndp

import (
	"errors"
	"reflect"
	"testing"
	"time"
)

// mesh is a border router, two routers that hear it, and what hears whom
// beyond.
func mesh(t *testing.T, cfg RouterConfig) (l *lab, b *Border, r1, r2 *Router) {
	l = newLab(t)
	b = l.border(BorderConfig{})
	r1, _ = l.router("r1", 0x51, cfg)
	r2, _ = l.router("r2", 0x52, cfg)
	for _, n := range l.nodes {
		n.hears = []string{"border", "r1", "r2"}
	}
	l.run(2 * time.Minute)
	l.said()
	if len(b.Table()) != 2 {
		t.Fatalf("routers did not register: %+v", b.Table())
	}
	return l, b, r1, r2
}

// hearing adds a scripted node that hears only some.
func (l *lab) hearing(name string, n byte, who ...string) *labNode {
	node := l.scripted(name, n)
	node.hears = who
	for _, w := range who {
		other := l.node(w)
		other.hears = append(other.hears, name)
	}
	return node
}

var dadOnly = []string{" DAR ", " DAC ", " NA "}

func TestRouterRegistersWithBorder(t *testing.T) {
	l, b, r1, _ := mesh(t, RouterConfig{})
	l.hearing("h10", 10, "r1")
	x := addr("2001:db8::100")
	l.ask("h10", eui(0x51), extended(10, 240, 10*time.Minute), x)
	l.expect(dadOnly, `r1 DAR 2001:db8::100 10m0s success tid 240
		border DAC 2001:db8::100 10m0s success tid 240
		r1 NA to fe80::a 2001:db8::100 10m0s success tid 240`)
	want := Registration{
		Addr: x, ROVR: ROVROf(eui(10).b), TID: 240, Extended: true, Router: addr("2001:db8::51"),
	}
	got, _ := b.Lookup(x)
	want.Expires = got.Expires
	if got != want {
		t.Errorf("registered %+v, want %+v", got, want)
	}
	if link, ok := r1.Resolve(x); !ok || link != eui(10) {
		t.Errorf("neighbour %v, %v", link, ok)
	}

	// A node of RFC 6775 gets the messages of RFC 6775.
	l.hearing("h11", 11, "r1")
	l.ask("h11", eui(0x51), registering(11, 10*time.Minute), addr("2001:db8::101"))
	l.expect(dadOnly, `r1 DAR 2001:db8::101 10m0s success
		border DAC 2001:db8::101 10m0s success
		r1 NA to 2001:db8::101 fe80::51 10m0s success`)

	// Link-local addresses are of no interest to the border.
	l.ask("h11", eui(0x51), extended(11, 240, 10*time.Minute), addr("fe80::1234"))
	l.expect(dadOnly, `r1 NA to fe80::b fe80::1234 10m0s success tid 240`)

	// Renewed and ended with both.
	l.ask("h10", eui(0x51), extended(10, 241, 20*time.Minute), x)
	l.ask("h10", eui(0x51), extended(10, 242, 0), x)
	l.expect(dadOnly, `r1 DAR 2001:db8::100 20m0s success tid 241
		border DAC 2001:db8::100 20m0s success tid 241
		r1 NA to fe80::a 2001:db8::100 20m0s success tid 241
		r1 DAR 2001:db8::100 0s success tid 242
		border DAC 2001:db8::100 0s success tid 242
		r1 NA to fe80::a 2001:db8::100 0s success tid 242`)
	if _, ok := b.Lookup(x); ok || len(r1.Table()) != 2 {
		t.Errorf("still there: %+v, %+v", b.Table(), r1.Table())
	}
	l.run(time.Hour)
	if len(r1.Table()) != 0 {
		t.Errorf("still there: %+v", r1.Table())
	}
}

// Two nodes want one address through two routers: the second is refused, and
// has left no trace.
func TestConflictThroughTwoRouters(t *testing.T) {
	l, b, r1, r2 := mesh(t, RouterConfig{})
	l.hearing("h10", 10, "r1")
	l.hearing("h11", 11, "r2")
	x := addr("2001:db8::100")
	for _, legacy := range []bool{false, true} {
		first, second := extended(10, 240, 10*time.Minute), extended(11, 240, 10*time.Minute)
		want := `r1 DAR 2001:db8::100 10m0s success tid 240
			border DAC 2001:db8::100 10m0s success tid 240
			r1 NA to fe80::a 2001:db8::100 10m0s success tid 240
			r2 DAR 2001:db8::100 10m0s success tid 240
			border DAC 2001:db8::100 10m0s duplicate address tid 240
			r2 NA to fe80::b 2001:db8::100 10m0s duplicate address tid 240`
		if legacy {
			first, second = registering(10, 10*time.Minute), registering(11, 10*time.Minute)
			want = `r1 DAR 2001:db8::100 10m0s success
				border DAC 2001:db8::100 10m0s success
				r1 NA to 2001:db8::100 fe80::51 10m0s success
				r2 DAR 2001:db8::100 10m0s success
				border DAC 2001:db8::100 10m0s duplicate address
				r2 NA to fe80::b fe80::52 10m0s duplicate address`
		}
		l.ask("h10", eui(0x51), first, x)
		l.ask("h11", eui(0x52), second, x)
		l.expect(dadOnly, want)
		if got, _ := b.Lookup(x); got.ROVR != ROVROf(eui(10).b) || got.Router != addr("2001:db8::51") {
			t.Errorf("registered %+v", got)
		}
		if len(r1.Table()) != 1 || len(r2.Table()) != 0 {
			t.Errorf("tables %+v, %+v", r1.Table(), r2.Table())
		}
		l.run(11 * time.Minute)
		l.said()
	}
}

// At the router itself: an owner there, and an address of its own.
func TestConflictAtOneRouter(t *testing.T) {
	l, _, _, _ := mesh(t, RouterConfig{})
	l.hearing("h10", 10, "r1")
	l.hearing("h11", 11, "r1")
	l.ask("h10", eui(0x51), extended(10, 240, 10*time.Minute), addr("2001:db8::100"))
	l.said()
	l.ask("h11", eui(0x51), extended(11, 240, 10*time.Minute), addr("2001:db8::100"))
	l.ask("h11", eui(0x51), extended(11, 240, 10*time.Minute), addr("2001:db8::51"))
	l.ask("h11", eui(0x51), extended(11, 240, 10*time.Minute), addr("2001:db8:1::b"))
	l.ask("h10", eui(0x51), extended(10, 239, 10*time.Minute), addr("2001:db8::100"))
	l.expect(dadOnly, `r1 NA to fe80::b 2001:db8::100 10m0s duplicate address tid 240
		r1 NA to fe80::b 2001:db8::51 10m0s duplicate address tid 240
		r1 NA to fe80::b 2001:db8:1::b 10m0s topologically incorrect tid 240
		r1 NA to fe80::a 2001:db8::100 10m0s moved tid 239`)
}

// A node moves from one router to the other: the border tells the first, which
// forgets it.
func TestMoveBetweenRouters(t *testing.T) {
	l, b, r1, r2 := mesh(t, RouterConfig{})
	l.hearing("h10", 10, "r1", "r2")
	x := addr("2001:db8::100")
	l.ask("h10", eui(0x51), extended(10, 240, 10*time.Minute), x)
	l.ask("h10", eui(0x52), extended(10, 241, 10*time.Minute), x)
	l.run(time.Second)
	l.expect(dadOnly, `r1 DAR 2001:db8::100 10m0s success tid 240
		border DAC 2001:db8::100 10m0s success tid 240
		r1 NA to fe80::a 2001:db8::100 10m0s success tid 240
		r2 DAR 2001:db8::100 10m0s success tid 241
		border DAC 2001:db8::100 0s moved tid 240
		border DAC 2001:db8::100 10m0s success tid 241
		r1 NA to fe80::a 2001:db8::100 0s moved tid 240
		r2 NA to fe80::a 2001:db8::100 10m0s success tid 241`)
	if len(r1.Table()) != 0 || len(r2.Table()) != 1 {
		t.Errorf("tables %+v, %+v", r1.Table(), r2.Table())
	}
	// What the first still has in the air comes too late.
	l.ask("h10", eui(0x51), extended(10, 240, 10*time.Minute), x)
	l.expect(dadOnly, `r1 DAR 2001:db8::100 10m0s success tid 240
		border DAC 2001:db8::100 10m0s moved tid 240
		r1 NA to fe80::a 2001:db8::100 10m0s moved tid 240`)
	if got, _ := b.Lookup(x); got.Router != addr("2001:db8::52") {
		t.Errorf("registered %+v", got)
	}
	// The border's own removal reaches the node.
	b.Remove(x)
	l.run(time.Second)
	l.expect(dadOnly, `border DAC 2001:db8::100 0s removed tid 241
		r2 NA to fe80::a 2001:db8::100 0s removed tid 241`)
}

// While the border cannot be reached a registration is tentative, and then
// nothing; the node is not told anything.
func TestBorderUnreachable(t *testing.T) {
	l, _, r1, _ := mesh(t, RouterConfig{MaxPending: 1})
	l.hearing("h10", 10, "r1")
	l.hearing("h11", 11, "r1")
	l.drop = func(from, to *labNode, m Message) bool { return to.name == "border" }
	l.ask("h10", eui(0x51), extended(10, 240, 10*time.Minute), addr("2001:db8::100"))
	l.ask("h10", eui(0x51), extended(10, 240, 10*time.Minute), addr("2001:db8::100")) // impatient
	if len(r1.Table()) != 0 || len(r1.pending) != 1 {
		t.Errorf("%+v, %d pending", r1.Table(), len(r1.pending))
	}
	l.ask("h11", eui(0x51), extended(11, 240, 10*time.Minute), addr("2001:db8::101")) // no room
	l.ask("h11", eui(0x51), extended(11, 240, 10*time.Minute), addr("2001:db8::100")) // undecided
	l.run(time.Minute)
	l.expect(dadOnly, `r1 DAR 2001:db8::100 10m0s success tid 240
		r1 DAR 2001:db8::100 10m0s success tid 240
		r1 DAR 2001:db8::100 10m0s success tid 240`)
	if len(r1.pending) != 0 {
		t.Errorf("%d pending", len(r1.pending))
	}
	l.drop = nil
	l.ask("h10", eui(0x51), extended(10, 240, 10*time.Minute), addr("2001:db8::100"))
	if len(r1.Table()) != 1 {
		t.Errorf("table %+v", r1.Table())
	}
}

func TestRouterFull(t *testing.T) {
	l, _, _, _ := mesh(t, RouterConfig{MaxNeighbors: 1})
	l.hearing("h10", 10, "r1")
	l.hearing("h11", 11, "r1")
	l.ask("h10", eui(0x51), extended(10, 240, 10*time.Minute), addr("2001:db8::100"))
	l.ask("h11", eui(0x51), extended(11, 240, 10*time.Minute), addr("2001:db8::101"))
	l.ask("h10", eui(0x51), extended(10, 241, 10*time.Minute), addr("2001:db8::100"))
	l.expect([]string{" NA "}, `r1 NA to fe80::a 2001:db8::100 10m0s success tid 240
		r1 NA to fe80::b 2001:db8::101 10m0s neighbor cache full tid 240
		r1 NA to fe80::a 2001:db8::100 10m0s success tid 241`)
}

// A confirmation nobody asked for, or of another node, changes nothing.
func TestUnexpectedConfirmation(t *testing.T) {
	l, _, r1, _ := mesh(t, RouterConfig{})
	l.hearing("h10", 10, "r1")
	x := addr("2001:db8::100")
	l.ask("h10", eui(0x51), extended(10, 240, 10*time.Minute), x)
	for _, m := range []Duplicate{
		{Confirm: true, Extended: true, TID: 240, Lifetime: time.Hour, ROVR: ROVROf(eui(10).b), Addr: x},
		{Confirm: true, Extended: true, TID: 240, Status: StatusMoved, ROVR: ROVROf(eui(11).b), Addr: x},
		{Confirm: true, Extended: true, TID: 239, Status: StatusMoved, ROVR: ROVROf(eui(10).b), Addr: x},
		{Confirm: true, Status: StatusMoved, ROVR: ROVROf(eui(10).b), Addr: x},
		{Confirm: true, Extended: true, TID: 240, Status: StatusRemoved, ROVR: ROVROf(eui(10).b), Addr: addr("2001:db8::101")},
	} {
		in := darFrom(borderAddr, m)
		in.Dst = addr("2001:db8::51")
		if err := r1.Receive(in); !errors.Is(err, ErrNoMatch) {
			t.Errorf("%+v: %v", m, err)
		}
	}
	if len(r1.Table()) != 1 {
		t.Errorf("table %+v", r1.Table())
	}
}

// What the border says goes from router to router, by version; old news that
// still go round are not listened to, and lifetimes only get shorter.
func TestInfoSpreads(t *testing.T) {
	l := newLab(t)
	info := labInfo
	info.Prefixes = []PrefixInfo{{Prefix: prefix("2001:db8::/64"), Autonomous: true, Valid: 2 * time.Hour, Preferred: time.Hour}}
	info.Other = []Option{RouteInfo{Prefix: prefix("2001:db8:ff::/48"), Lifetime: time.Hour}}
	b := l.border(BorderConfig{Info: info})
	r1, _ := l.router("r1", 0x51, RouterConfig{})
	r2, h2 := l.router("r2", 0x52, RouterConfig{})
	l.node("border").hears = []string{"r1"}
	l.node("r1").hears = []string{"border", "r2"}
	l.node("r2").hears = []string{"r1"}
	l.run(5 * time.Minute)
	if got, ok := h2.DefaultRouter(); !ok || got.Addr != addr("fe80::51") || h2.BorderRouter() != borderAddr {
		t.Fatalf("second router uses %+v, 6LBR %v", got, h2.BorderRouter())
	}
	if got, ok := b.Lookup(addr("2001:db8::52")); !ok || got.Router != addr("2001:db8::51") {
		t.Errorf("second router is registered as %+v, %v", got, ok)
	}
	probe := l.hearing("h10", 10, "r2")
	asks := func() RouterAdvert {
		t.Helper()
		probe.got = nil
		l.send("h10")(outgoing(addr("fe80::a"), allRouters, 255, LinkAddr{}, RouterSolicit{Options: []Option{SourceLinkAddr{eui(10)}}}))
		l.run(100 * time.Millisecond)
		for _, in := range probe.got {
			if m, err := in.open(); err == nil && in.Type == TypeRouterAdvert && in.Dst == addr("fe80::a") {
				return m.(RouterAdvert)
			}
		}
		t.Fatalf("no answer in %+v", probe.got)
		return RouterAdvert{}
	}
	ra := asks()
	pio, _ := Find[PrefixInfo](ra.Options)
	abro, _ := Find[BorderRouter](ra.Options)
	rio, _ := Find[RouteInfo](ra.Options)
	caps, _ := Find[Capabilities](ra.Options)
	if pio.Valid >= 2*time.Hour || pio.Valid < 110*time.Minute || pio.Preferred >= time.Hour ||
		abro.Version != 1 || abro.Addr != borderAddr || !reflect.DeepEqual(rio, info.Other[0]) ||
		caps != CapRegistrar|CapRouter|CapEDA || len(All[ContextOption](ra.Options)) != 1 {
		t.Errorf("advertised %+v", ra)
	}

	// The next version arrives at the far end by itself, and an older one is
	// not listened to after it.
	info.Prefixes[0].Prefix = prefix("2001:db8:1::/64")
	b.SetInfo(info)
	l.run(10 * time.Second)
	ra = asks()
	if pio, _ = Find[PrefixInfo](ra.Options); pio.Prefix != prefix("2001:db8:1::/64") || len(All[PrefixInfo](ra.Options)) != 1 {
		t.Errorf("advertised %+v", ra)
	}
	old := outgoing(addr("fe80::51"), allNodes, 255, LinkAddr{}, RouterAdvert{Lifetime: time.Hour, Options: append(
		[]Option{BorderRouter{Version: 1, Lifetime: time.Hour, Addr: borderAddr}}, labInfo.options()...)})
	r2.Receive(In{Src: old.Src, Dst: old.Dst, HopLimit: 255, Type: old.Type, Body: old.Body, Link: eui(0x51)})
	if n := r2.networks[0]; n.version != 2 || len(n.prefixes) != 1 {
		t.Errorf("after old news: %+v", n)
	}

	// Without the border all of it comes to its end: nobody extends what he
	// heard by hearing it from others.
	l.node("border").down = true
	l.run(2 * time.Hour)
	if n := r1.networks; len(n) != 1 || len(n[0].prefixes) != 0 {
		t.Errorf("after two hours without border: %+v", n)
	}
	if n := r2.networks; len(n) != 1 || len(n[0].prefixes) != 0 || len(h2.Addresses()) != 0 {
		t.Errorf("after two hours without border: %+v, %+v", n, h2.Addresses())
	}
}

func TestRouterWithoutBorder(t *testing.T) {
	l := newLab(t)
	r, _ := l.router("r1", 0x51, RouterConfig{})
	l.scripted("h10", 10)
	l.run(time.Second)
	l.said()
	q := outgoing(addr("fe80::a"), addr("fe80::51"), 255, eui(0x51), NeighborSolicit{
		Target: addr("2001:db8::100"), Options: []Option{SourceLinkAddr{eui(10)}, extended(10, 240, time.Hour)},
	})
	if err := r.Receive(In{Src: q.Src, Dst: q.Dst, HopLimit: 255, Type: q.Type, Body: q.Body}); !errors.Is(err, ErrNoBorder) {
		t.Errorf("registered: %v", err)
	}
	rs := outgoing(addr("fe80::a"), allRouters, 255, LinkAddr{}, RouterSolicit{Options: []Option{SourceLinkAddr{eui(10)}}})
	if err := r.Receive(In{Src: rs.Src, Dst: rs.Dst, HopLimit: 255, Type: rs.Type, Body: rs.Body}); err != nil {
		t.Errorf("solicited: %v", err)
	}
	l.expect([]string{"NA", "RA", "DAR"}, ``)
	r.Stop()
}
