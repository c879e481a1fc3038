package thread_test

import (
	"fmt"
	"io"
	"net/netip"
	"testing"
	"time"

	"gatewayd/radio/spinel"
	"gatewayd/sim"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/netdata"
)

// A leader that restarts leads the same network again within ten seconds, and
// its children stay.
func TestLeaderRestarts(t *testing.T) {
	w := newWorld(t, 10)
	a := w.add("leader", sim.FTD)
	children := []*sim.Node{w.add("mtd", sim.MTD), w.add("mtd2", sim.MTD), w.add("sed", sim.SED)}
	w.Link(append(children, a)...)
	w.form(a)
	w.attach(children...)
	w.settle()
	children[2].MLE().Tuning.PollPeriod = 3 * time.Second // it sleeps through most of it
	rloc16, partition := a.MLE().RLOC16(), a.MLE().Partition()
	parents := map[*sim.Node]uint16{}
	for _, c := range children {
		parents[c] = c.MLE().RLOC16()
	}
	for round := range 3 {
		a.Kill()
		w.Run(2 * time.Second)
		a.Restart()
		w.up(a)
		w.await("leads again", 10*time.Second, func() bool { return a.MLE().Role() == mle.Leader })
		if a.MLE().RLOC16() != rloc16 || a.MLE().Partition() != partition {
			t.Errorf("round %d: %04x in partition %08x, was %04x in %08x", round,
				a.MLE().RLOC16(), a.MLE().Partition(), rloc16, partition)
		}
		for _, c := range children {
			w.await(c.Name+" is there", 10*time.Second, func() bool {
				x := a.Table().ChildByRLOC16(c.MLE().RLOC16())
				return x != nil && x.State == neighbor.Valid
			})
			if c.MLE().RLOC16() != parents[c] {
				t.Errorf("round %d: %s is %04x, was %04x", round, c.Name, c.MLE().RLOC16(), parents[c])
			}
		}
	}
	for _, c := range children {
		w.pings(a, c)
	}
}

// A router that restarts is linked with all its neighbours at once, not only
// with the one that answered first.
func TestRouterRestarts(t *testing.T) {
	w := newWorld(t, 12)
	nodes := []*sim.Node{w.add("leader", sim.FTD), w.add("a", sim.FTD), w.add("b", sim.FTD), w.add("c", sim.FTD)}
	w.Link(nodes...)
	w.form(nodes[0])
	w.attach(nodes[1:]...)
	linked := func(a, b *sim.Node) bool {
		r := a.Table().RouterByExt(b.MAC().Ext())
		return r != nil && r.State == neighbor.Valid
	}
	w.await("all are routers with links", 10*time.Minute, func() bool {
		for _, a := range nodes {
			for _, b := range nodes {
				if a != b && (a.MLE().Role() < mle.Router || !linked(a, b)) {
					return false
				}
			}
		}
		return true
	})
	for range 5 {
		n := nodes[3]
		n.Kill()
		w.Run(5 * time.Second)
		n.Restart()
		w.up(n)
		w.await("is a router again", 10*time.Second, func() bool { return n.MLE().Role() == mle.Router })
		w.Run(1500 * time.Millisecond)
		for _, o := range nodes[:3] {
			if !linked(n, o) || !linked(o, n) {
				t.Errorf("no link with %s", o.Name)
			}
		}
	}
}

// What a leader or a router served before a restart stays in the network data
// until it serves it again, and goes if it does not.
func TestServedIsKept(t *testing.T) {
	for i, who := range []string{"leader", "router"} {
		t.Run(who, func(t *testing.T) {
			w := newWorld(t, 49)
			var nodes []*sim.Node
			for i := range 3 {
				nodes = append(nodes, w.add(fmt.Sprintf("r%d", i), sim.FTD, func(c *sim.Config) { c.KeepServed = 10 * time.Second }))
			}
			w.Link(nodes...)
			w.form(nodes[0])
			w.start(nodes[1])
			w.start(nodes[2])
			w.await("all are routers", 10*time.Minute, func() bool {
				return nodes[1].MLE().Role() == mle.Router && nodes[2].MLE().Role() == mle.Router
			})
			w.settle()
			x, other := nodes[i], nodes[2]
			keep, drop := netip.MustParsePrefix("fd01::/64"), netip.MustParsePrefix("fd02::/64")
			serve := func(p netip.Prefix) {
				x.Do(func() {
					if err := x.ServePrefix(p, netdata.FlagOnMesh|netdata.FlagSLAAC, true); err != nil {
						t.Fatal(err)
					}
				})
			}
			served := func(p netip.Prefix) bool {
				e := other.MLE().NetData().FindPrefix(p)
				return e != nil && len(e.BorderRouters) == 1
			}
			serve(keep)
			serve(drop)
			w.await("both are served", 10*time.Second, func() bool { return served(keep) && served(drop) })
			x.Kill()
			w.Run(2 * time.Second)
			x.Restart()
			w.up(x)
			w.await("attached", 20*time.Second, func() bool { return x.MLE().Attached() })
			began := w.Now()
			for step := range 120 {
				w.Run(100 * time.Millisecond)
				if !served(keep) {
					t.Fatalf("the prefix is gone %v after the restart", w.Now().Sub(began))
				}
				if step == 25 {
					serve(keep)
				}
			}
			if served(drop) {
				t.Error("a prefix that is not served anymore stays")
			}
		})
	}
}

// What befalls a co-processor does not reach the mesh: children keep their
// parent, pings work again soon, and no frame counter is used twice.
func TestCoprocessorComesAndGoes(t *testing.T) {
	w := newWorld(t, 11)
	a := w.add("leader", sim.FTD, func(c *sim.Config) { c.Spinel = true })
	children := []*sim.Node{w.add("mtd", sim.MTD), w.add("sed", sim.SED)}
	w.Link(append(children, a)...)
	w.form(a)
	w.attach(children...)
	w.settle()
	befall := []struct {
		what string
		do   func()
	}{
		{"crash", func() { a.Line().Crash(spinel.StatusResetCrash) }},
		{"watchdog", func() { a.Line().Crash(spinel.StatusResetWatchdog) }},
		{"unplugged", func() {
			a.Line().Unplug(io.EOF)
			w.Run(300 * time.Millisecond)
			a.Line().Plug()
		}},
		{"crash in a datagram", func() {
			w.ping(a, children[0].MLEID(), 16)
			done := false
			w.Clock().After(20*time.Millisecond, func() { a.Line().Crash(spinel.StatusResetFault); done = true })
			w.ping(a, children[0].MLEID(), 1232)
			if !done {
				w.t.Error("the crash came too late")
			}
		}},
	}
	for round := range 20 {
		b := befall[round%len(befall)]
		was := []uint16{children[0].MLE().RLOC16(), children[1].MLE().RLOC16()}
		b.do()
		began := w.Now()
		for _, c := range children {
			ok := false
			for !ok && w.Now().Sub(began) < 6*time.Second {
				_, ok = w.pingWithin(c, a.MLEID(), 16, time.Second)
			}
			if took := w.Now().Sub(began); !ok || took > 5*time.Second {
				t.Errorf("round %d, %s: %s pings again only after %v", round, b.what, c.Name, took)
			}
		}
		for i, c := range children {
			if c.MLE().RLOC16() != was[i] {
				t.Errorf("round %d, %s: %s is %04x, was %04x", round, b.what, c.Name, c.MLE().RLOC16(), was[i])
			}
		}
		w.Run(2 * time.Minute) // the link is trusted again
	}
	if s := a.Line().Link().Stats(); s.Recoveries+s.Resets < 20 {
		t.Errorf("the link saw less than that: %+v", s)
	}
	for _, c := range children {
		if n := c.MLE().Counters().ParentChanges; n > 1 {
			t.Errorf("%s changed its parent %d times", c.Name, n)
		}
		w.pings(a, c)
	}
	w.said = append(w.said, fmt.Sprintf("%d secured frames", w.audit.Secured))
}
