package mle_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/sim"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
)

// line forms a network of routers in a line.
func line(w *world, n int) []*sim.Node {
	var out []*sim.Node
	for i := range n {
		out = append(out, w.add(fmt.Sprint("r", i), sim.FTD))
	}
	w.Line(out...)
	w.form(out[0])
	for _, r := range out[1:] {
		w.routers(r)
	}
	w.Run(time.Minute)
	return out
}

// Routers in a line learn the way to each other, and what it costs.
func TestRoutesInLine(t *testing.T) {
	w := newWorld(t, 30)
	n := line(w, 5)
	for i, a := range n {
		for j, b := range n {
			hops := max(i-j, j-i)
			if c := a.MLE().PathCost(b.MLE().RLOC16()); int(c) != hops {
				t.Errorf("from %d to %d: cost %d, %d hops", i, j, c, hops)
			}
			if i == j {
				continue
			}
			next := i + (j-i)/hops
			if hop, ok := a.MLE().NextHop(b.MLE().RLOC16()); !ok || hop != n[next].MLE().RLOC16() {
				t.Errorf("from %d to %d: by %04x", i, j, hop)
			}
		}
	}
	w.connected(n...)

	// The far end goes away: its id is taken back, and not given again soon.
	last := neighbor.RouterID(n[4].MLE().RLOC16())
	n[4].Kill()
	w.await("id taken back", 10*time.Minute, func() bool { return n[0].Table().Router(last) == nil })
	w.await("everywhere", time.Minute, func() bool { return n[3].Table().Router(last) == nil })
	if a := n[0].MLE().SolicitReceived(ieee802154.ExtAddr{9}, neighbor.RouterRLOC16(last), mle.HaveChildIDRequest); !a.OK ||
		neighbor.RouterID(a.RLOC16) == last {
		t.Errorf("asked for the old id at once: %+v", a)
	}
	w.Run(101 * time.Second)
	if a := n[0].MLE().SolicitReceived(ieee802154.ExtAddr{8}, neighbor.RouterRLOC16(last), mle.HaveChildIDRequest); !a.OK ||
		neighbor.RouterID(a.RLOC16) != last {
		t.Errorf("asked for the old id later: %+v", a)
	}
}

// A route that breaks is replaced by the way around.
func TestWayAround(t *testing.T) {
	w := newWorld(t, 31)
	var n []*sim.Node
	for i := range 4 {
		n = append(n, w.add(fmt.Sprint("r", i), sim.FTD))
	}
	for i := range n {
		w.Link(n[i], n[(i+1)%4])
	}
	w.form(n[0])
	for _, r := range n[1:] {
		w.routers(r)
	}
	w.Run(time.Minute)
	w.connected(n...)
	w.Cut(n[0], n[1])
	w.await("the other way", 5*time.Minute, func() bool {
		hop, ok := n[0].MLE().NextHop(n[1].MLE().RLOC16())
		return ok && hop == n[3].MLE().RLOC16() && n[0].MLE().PathCost(n[1].MLE().RLOC16()) == 3
	})
	w.Run(time.Minute)
	w.connected(n...)
}

// The rules by which a leader gives ids away.
func TestSolicit(t *testing.T) {
	w := newWorld(t, 32)
	a := w.add("a", sim.FTD)
	w.form(a)
	m := a.MLE()
	ext := func(i int) ieee802154.ExtAddr { return ieee802154.ExtAddr{2, 0, 0, 0, 0, 0, 0, byte(i)} }
	sequence := m.RouterIDSequence()
	for i := 1; i < 16; i++ {
		if got := m.SolicitReceived(ext(i), neighbor.InvalidRLOC16, mle.TooFewRouters); !got.OK || !neighbor.IsRouterRLOC16(got.RLOC16) {
			t.Fatalf("%d: %+v", i, got)
		}
	}
	if got := m.RouterIDSequence() - sequence; got != 15 {
		t.Errorf("sequence grew by %d", got)
	}
	for _, x := range []struct {
		what   string
		ext    ieee802154.ExtAddr
		reason mle.Reason
		ok     bool
	}{
		{"enough routers", ext(16), mle.TooFewRouters, false},
		{"has an id already", ext(3), mle.TooFewRouters, true},
		{"a child waits", ext(17), mle.HaveChildIDRequest, true},
		{"partition changed", ext(18), mle.ParentPartitionChange, true},
		{"border router", ext(19), mle.BorderRouterRequest, true},
		{"no such reason", ext(20), 77, false},
	} {
		if got := m.SolicitReceived(x.ext, neighbor.InvalidRLOC16, x.reason); got.OK != x.ok {
			t.Errorf("%s: %+v", x.what, got)
		}
	}
	for i := 21; i < 60; i++ {
		m.SolicitReceived(ext(i), neighbor.InvalidRLOC16, mle.HaveChildIDRequest)
	}
	if n := a.Table().ActiveRouters(); n != 32 {
		t.Errorf("%d routers", n)
	}
	first := m.SolicitReceived(ext(1), neighbor.InvalidRLOC16, mle.TooFewRouters)
	if m.ReleaseReceived(ext(2), first.RLOC16) || !m.ReleaseReceived(ext(1), first.RLOC16) {
		t.Error("released to or by somebody else")
	}
	if a.Table().Router(neighbor.RouterID(first.RLOC16)) != nil {
		t.Error("still allocated")
	}
}

// In a dense network some routers step back to be children, and everybody
// stays connected.
func TestTooManyRouters(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	w := newWorld(t, 33)
	var n []*sim.Node
	for i := range 20 {
		n = append(n, w.add(fmt.Sprint("r", i), sim.FTD))
	}
	w.Link(n...)
	for _, x := range n {
		x.MLE().Tuning.SelectionJitter = 5 * time.Second
		x.MLE().Tuning.UpgradeThreshold, x.MLE().Tuning.DowngradeThreshold = 20, 32
	}
	w.form(n[0])
	w.attach(n[1:]...)
	w.await("all are routers", 5*time.Minute, func() bool { return n[0].Table().ActiveRouters() == 20 })
	w.Run(2 * time.Minute)
	for _, x := range n {
		x.MLE().Tuning.UpgradeThreshold, x.MLE().Tuning.DowngradeThreshold = 8, 12
	}
	w.await("some step back", 30*time.Minute, func() bool { return n[0].Table().ActiveRouters() <= 12 })
	w.Run(2 * time.Minute)
	for _, x := range n {
		if !x.MLE().Attached() || x.MLE().Partition() != n[0].MLE().Partition() {
			t.Errorf("%s: %v in %08x", x.Name, x.MLE().Role(), x.MLE().Partition())
		}
		if x != n[0] && !w.reaches(x, n[0].MLEID()) {
			t.Errorf("%s (%v) does not reach the leader", x.Name, x.MLE().Role())
		}
	}
}

// A child that may become a router, and asked another router for a link, does
// not wait for the answer as a router.
func TestRequestBeforeBecomingRouter(t *testing.T) {
	w := newWorld(t, 73)
	n := w.net(sim.FTD, sim.FTD, sim.FTD)
	w.form(n[0])
	w.routers(n[1])
	w.Air().UnlinkOneWay(n[2].Station(), n[1].Station()) // it is heard, and does not hear
	n[2].MLE().Tuning.SelectionJitter = time.Hour
	w.attach(n[2])
	id := neighbor.RouterID(n[1].MLE().RLOC16())
	w.await("a Link Request", time.Minute, func() bool { return n[2].Table().Router(id).State == neighbor.LinkRequested })
	w.RunUntil(4*time.Second, func() bool { return !n[2].Table().Router(id).RequestAt.After(w.Now()) })
	if err := n[2].MLE().BecomeRouter(mle.TooFewRouters); err != nil {
		t.Fatal(err)
	}
	w.await("a router", time.Second, n[2].MLE().Router)
	if r := n[2].Table().Router(id); r.State == neighbor.Invalid && !r.RequestAt.IsZero() {
		t.Errorf("waits since %v", r.RequestAt)
	}
	w.Run(3 * time.Minute)
	given := 0
	for _, s := range w.said {
		if strings.Contains(s, n[2].Name+": MLE-0020") {
			given++
		}
	}
	// Each request that is not answered ends once.
	if given > 30 {
		t.Errorf("%d links given up", given)
	}
}

// A router that has been silent for long, and is asked, keeps its link if an
// advertisement of its comes in place of the answer.
func TestHeardInsteadOfAnswer(t *testing.T) {
	tried := 0
	for seed := uint64(80); seed < 380; seed++ {
		w := newWorld(t, seed)
		n := w.net(sim.FTD, sim.FTD)
		a, b := n[0], n[1]
		w.form(a)
		w.routers(b)
		w.Run(time.Minute)
		r := a.Table().Router(neighbor.RouterID(b.MLE().RLOC16()))
		w.Air().UnlinkOneWay(b.Station(), a.Station())
		w.await("a request", 2*time.Minute, func() bool { return !r.RequestAt.IsZero() })
		w.Run(20 * time.Millisecond)
		w.Air().UnlinkOneWay(a.Station(), b.Station())
		w.Run(500 * time.Millisecond) // the answer, in vain
		w.Air().LinkOneWay(b.Station(), a.Station(), -60, 0)
		asked := r.RequestAt
		w.RunUntil(2400*time.Millisecond, func() bool { return r.LastHeard.After(asked) })
		if !r.LastHeard.After(asked) {
			continue
		}
		tried++
		w.Run(5 * time.Second)
		if r.State != neighbor.Valid {
			t.Errorf("seed %d: the link is %v", seed, r.State)
		}
	}
	if tried == 0 {
		t.Error("no advertisement came in time")
	}
}
