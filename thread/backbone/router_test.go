package backbone

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"gatewayd/thread/netdata"
)

// In a network without a primary one makes itself that, after a while; if two
// do so at once, one of them gives way.
func TestElection(t *testing.T) {
	for seed := range uint64(20) {
		b := newBench(t, seed)
		b.add(0x0400)
		x, y := b.add(0x0800), b.add(0x0c00)
		x.detached, y.detached = true, true
		x.SetEnabled(true)
		y.SetEnabled(true)
		x.detached, y.detached = false, false
		b.changed()
		b.run(900 * time.Millisecond)
		if x.State() != Secondary || y.State() != Secondary {
			t.Fatalf("too soon: %v %v", x.State(), y.State())
		}
		b.run(8 * time.Second)
		if x.State() == y.State() || x.State() != Primary && y.State() != Primary {
			t.Errorf("seed %d: %v and %v", seed, x.State(), y.State())
		}
		if all := b.data().BackboneRouters(); len(all) != 1 {
			t.Errorf("seed %d: %v", seed, all)
		}
	}
}

func TestWhoIsPrimary(t *testing.T) {
	for _, x := range []struct {
		name  string
		first uint16 // primary before, sequence 10
		other uint16 // comes with a sequence
		seq   uint8
		wins  bool
	}{
		{"a higher sequence", 0x0800, 0x0c00, 11, true},
		{"a lower sequence", 0x0800, 0x0c00, 9, false},
		{"the same, and a higher locator", 0x0800, 0x0c00, 10, true},
		{"the same, and a lower locator", 0x0c00, 0x0800, 10, false},
		{"the leader", 0x0800, 0x0400, 1, true},
		{"against the leader", 0x0400, 0x0800, 20, false},
	} {
		b := newBench(t, 1)
		nodes := map[uint16]*node{}
		for _, r := range []uint16{0x0400, 0x0800, 0x0c00} {
			nodes[r] = b.add(r)
		}
		first, other := nodes[x.first], nodes[x.other]
		set := func(n *node, seq uint8) {
			if err := n.SetSettings(Settings{seq, 5 * time.Second, time.Hour}); err != nil {
				t.Fatal(err)
			}
			n.SetEnabled(true)
			b.run(time.Second)
		}
		set(first, 10)
		set(other, x.seq)
		if first.State() != Primary || other.State() != Secondary {
			t.Fatalf("%s: at first %v, %v", x.name, first.State(), other.State())
		}
		if err := other.Register(); err != nil {
			t.Fatal(err)
		}
		b.run(time.Second)
		if won := other.State() == Primary; won != x.wins || (first.State() == Primary) == won {
			t.Errorf("%s: %v, %v", x.name, first.State(), other.State())
		}
		if all := b.data().BackboneRouters(); len(all) != 1 {
			t.Errorf("%s: left %v", x.name, all)
		}
		// Who was primary and lost has another sequence next time.
		if got := first.Settings().Sequence; got == 11 != x.wins {
			t.Errorf("%s: sequence %d", x.name, got)
		}
	}
}

// Who comes back finds itself in the network data, and has all register again.
func TestRestart(t *testing.T) {
	b := newBench(t, 2)
	b.add(0x0400)
	n := b.add(0x0800)
	if err := n.local.SetService(netdata.ThreadEnterprise, netdata.BackboneRouterService(), Settings{126, 7 * time.Second, 600 * time.Second}.data(), true); err != nil {
		t.Fatal(err)
	}
	n.detached = true
	n.SetEnabled(true)
	n.detached = false
	n.Router.Update()
	b.run(time.Second)
	if want := (Settings{0, 7 * time.Second, 600 * time.Second}); n.Settings() != want || n.State() != Primary {
		t.Errorf("%v with %+v", n.State(), n.Settings())
	}
	n.SetEnabled(false)
	b.run(time.Second)
	if all := b.data().BackboneRouters(); len(all) != 0 || n.State() != Disabled {
		t.Errorf("disabled, and there is %v", all)
	}
	if !slices.Equal(n.states, []State{Secondary, Primary, Disabled}) {
		t.Errorf("states %v", n.states)
	}
}

// Nothing is registered under a locator that is about to change.
func TestBecoming(t *testing.T) {
	b := newBench(t, 3)
	b.add(0x0400)
	n := b.add(0x0801)
	n.becoming, n.detached = true, true
	n.SetEnabled(true)
	n.detached = false
	b.changed()
	b.run(time.Minute)
	if n.State() != Secondary {
		t.Errorf("%v", n.State())
	}
	n.becoming = false
	b.run(3 * time.Second)
	if n.State() != Primary {
		t.Errorf("afterwards %v", n.State())
	}
}

func TestSettings(t *testing.T) {
	b := newBench(t, 4)
	n := b.add(0x0400)
	if err := n.Register(); !errors.Is(err, ErrDisabled) {
		t.Errorf("registering while disabled: %v", err)
	}
	n.SetEnabled(true)
	b.run(time.Second)
	for _, x := range []struct {
		delay, timeout time.Duration
		ok             bool
	}{
		{1 * time.Second, 300 * time.Second, true}, {0, 300 * time.Second, false}, {time.Second, 299 * time.Second, false},
		{150 * time.Second, 300 * time.Second, false}, {149 * time.Second, 300 * time.Second, true},
		{time.Second, MaxTimeout, true}, {time.Second, MaxTimeout + time.Second, false}, {65536 * time.Second, MaxTimeout, false},
	} {
		if err := n.SetSettings(Settings{5, x.delay, x.timeout}); (err == nil) != x.ok {
			t.Errorf("%+v: %v", x, err)
		}
		if p, ok := n.Primary(); x.ok && (!ok || settingsOf(p) != n.Settings()) {
			t.Errorf("%+v: told are %+v", x, p)
		}
	}
	next := Settings{}
	for from, to := range map[uint8]uint8{0: 1, 125: 126, 126: 0, 127: 0, 128: 129, 253: 254, 254: 128, 255: 128} {
		next.Sequence = from
		if next.next(); next.Sequence != to {
			t.Errorf("%d after %d", next.Sequence, from)
		}
	}
}

// What a Backbone Router answers, and what it then has.
func TestAnswers(t *testing.T) {
	b := newBench(t, 5)
	n, c := b.add(0x0400), b.add(0x0800)
	n.SetEnabled(true)
	b.run(time.Second)
	seconds := func(s uint32) *uint32 { return &s }
	for _, x := range []struct {
		name    string
		session uint16 // of the commissioner; the request's is c's
		r       Registration
		want    Answer
		has     []netip.Addr
	}{
		{"one", 0, Registration{Groups: addrs("ff04::1")}, Answer{}, addrs("ff04::1")},
		{"again", 0, Registration{Groups: addrs("ff04::1")}, Answer{}, addrs("ff04::1")},
		{"a bad one among good", 0, Registration{Groups: addrs("ff05::1", "ff03::1", "fd00::1", "ff0e::1")},
			Answer{Invalid, addrs("ff03::1", "fd00::1")}, addrs("ff04::1", "ff05::1", "ff0e::1")},
		{"a timeout of a node's own has no effect", 0, Registration{Groups: addrs("ff04::1"), Timeout: seconds(0)}, Answer{},
			addrs("ff04::1", "ff05::1", "ff0e::1")},
		{"another commissioner's session", 7, Registration{Groups: addrs("ff04::2"), Timeout: seconds(60)}, Answer{Status: GeneralFailure},
			addrs("ff04::1", "ff05::1", "ff0e::1")},
		{"the commissioner's", 9, Registration{Groups: addrs("ff04::2"), Timeout: seconds(60)}, Answer{},
			addrs("ff04::1", "ff05::1", "ff0e::1", "ff04::2")},
		{"for ever", 9, Registration{Groups: addrs("ff04::3"), Timeout: seconds(Forever)}, Answer{Status: NoPersistent},
			addrs("ff04::1", "ff05::1", "ff0e::1", "ff04::2")},
		{"the end of some", 9, Registration{Groups: addrs("ff04::1", "ff0e::1", "ff04::77"), Timeout: seconds(0)}, Answer{},
			addrs("ff05::1", "ff04::2")},
	} {
		n.session, c.session = x.session, 0
		if x.session != 0 {
			c.session = 9
		}
		if got := c.ask(n, x.r); got.Status != x.want.Status || !slices.Equal(got.Failed, x.want.Failed) {
			t.Errorf("%s: %+v, want %+v", x.name, got, x.want)
		}
		var has []netip.Addr
		for _, l := range n.Listeners() {
			has = append(has, l.Group)
		}
		if !slices.Equal(has, x.has) {
			t.Errorf("%s: %v, want %v", x.name, has, x.has)
		}
	}
	want := []string{"+ff04::1", "+ff05::1", "+ff0e::1", "+ff04::2", "-ff04::1", "-ff0e::1"}
	if !slices.Equal(n.heard, want) {
		t.Errorf("told: %q", n.heard)
	}
	b.run(61 * time.Second)
	if n.Listens(netip.MustParseAddr("ff04::2")) || !n.Listens(netip.MustParseAddr("ff05::1")) {
		t.Errorf("after a minute: %v", n.Listeners())
	}
	b.run(time.Hour)
	if len(n.Listeners()) > 0 {
		t.Errorf("after an hour: %v", n.Listeners())
	}
}

// A secondary takes no registrations, a full table no more of them.
func TestRefusals(t *testing.T) {
	b := newBench(t, 6)
	n, s, c := b.add(0x0400), b.add(0x0800), b.add(0x0c00)
	n.SetEnabled(true)
	b.run(time.Second)
	s.SetEnabled(true)
	b.run(time.Second)
	if got := c.ask(s, Registration{Groups: addrs("ff04::1")}); got.Status != NotPrimary {
		t.Errorf("a secondary: %+v", got)
	}
	var last Answer
	for i := 0; i < MaxListeners+5; i += MaxGroups {
		var r Registration
		for j := range MaxGroups {
			r.Groups = append(r.Groups, netip.MustParseAddr(fmt.Sprintf("ff04::%x", i+j+1)))
		}
		last = c.ask(n, r)
	}
	if last.Status != NoResources || len(last.Failed) != MaxGroups || len(n.Listeners()) != MaxListeners {
		t.Errorf("%+v, %d listeners", last, len(n.Listeners()))
	}
	if a := n.register(Registration{}, &GroupsError{17}); a.Status != GeneralFailure {
		t.Errorf("a broken list: %+v", a)
	}
	n.SetEnabled(false)
	if len(n.Listeners()) != 0 || len(n.heard) != 2*MaxListeners {
		t.Errorf("disabled: %d listeners, %d told", len(n.Listeners()), len(n.heard))
	}
}
