package thread_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"gatewayd/ipv6"
	"gatewayd/sim"
	"gatewayd/thread/ip"
	"gatewayd/thread/mle"
)

// together waits until all nodes are attached in one partition.
func (w *world) together(limit time.Duration, nodes ...*sim.Node) {
	w.t.Helper()
	w.await("all in one partition", limit, func() bool {
		leaders := 0
		for _, n := range nodes {
			if !n.MLE().Attached() || n.MLE().Partition() != nodes[0].MLE().Partition() {
				return false
			}
			if n.MLE().Role() == mle.Leader {
				leaders++
			}
		}
		return leaders == 1
	})
}

// reach waits until one node can ping another.
func (w *world) reach(limit time.Duration, from, to *sim.Node) {
	w.t.Helper()
	for end := w.Now().Add(limit); w.Now().Before(end); {
		if _, ok := w.pingWithin(from, to.MLEID(), 100, 3*time.Second); ok {
			return
		}
		w.Run(time.Second)
	}
	w.t.Errorf("%s does not reach %s within %v", from.Name, to.Name, limit)
}

// ring makes full Thread devices that hear their two neighbours only, all
// routers.
func (w *world) ring(count int) []*sim.Node {
	w.t.Helper()
	var nodes []*sim.Node
	for i := range count {
		nodes = append(nodes, w.add(fmt.Sprintf("r%d", i), sim.FTD))
	}
	w.Line(nodes...)
	w.Link(nodes[0], nodes[count-1])
	w.form(nodes[0])
	for _, n := range nodes[1:] {
		w.start(n)
	}
	w.await("the ring is closed", 10*time.Minute, func() bool {
		for _, n := range nodes {
			if n.MLE().Role() < mle.Router || n.MLE().Partition() != nodes[0].MLE().Partition() {
				return false
			}
		}
		return true
	})
	w.Run(time.Minute)
	return nodes
}

// When the leader is gone for good, another one leads; datagrams find another
// way around the ring.
func TestLeaderDies(t *testing.T) {
	w := newWorld(t, 40)
	nodes := w.ring(5)
	w.reach(time.Minute, nodes[1], nodes[4])
	nodes[0].Kill()
	rest := nodes[1:]
	w.together(15*time.Minute, rest...) // each partition grows by routers, which take their time
	w.reach(2*time.Minute, nodes[1], nodes[4])
	w.reach(time.Minute, nodes[4], nodes[1])

	nodes[0].Restart()
	w.up(nodes[0])
	w.together(15*time.Minute, nodes...)
	w.reach(2*time.Minute, nodes[0], nodes[2])
}

// Children whose parent is gone find another one; who talks to them finds them
// there.
func TestParentDies(t *testing.T) {
	for _, kind := range []sim.Kind{sim.MTD, sim.SED} {
		t.Run(kind.String(), func(t *testing.T) {
			w := newWorld(t, 41)
			nodes := w.ring(4)
			child := w.add("child", kind)
			w.Link(child, nodes[1])
			w.attach(child)
			child.MLE().Tuning.ChildTimeout = 20 * time.Second
			w.settle()
			w.pings(nodes[3], child)
			w.Link(child, nodes[2])
			nodes[1].Kill()
			w.await("another parent", 5*time.Minute, func() bool {
				return child.MLE().Attached() && child.Table().Parent.Ext == nodes[2].MAC().Ext()
			})
			w.reach(3*time.Minute, nodes[3], child)
			w.reach(time.Minute, child, nodes[0])
		})
	}
}

// Two partitions that come to hear each other become one.
func TestPartitionsMerge(t *testing.T) {
	w := newWorld(t, 42)
	a, b, c, d := w.add("a", sim.FTD), w.add("b", sim.FTD), w.add("c", sim.FTD), w.add("d", sim.MTD)
	w.Link(a, b)
	w.Link(c, d)
	w.form(a)
	w.attach(b)
	w.attach(c)
	w.attach(d)
	w.await("two leaders", time.Minute, func() bool { return c.MLE().Role() == mle.Leader })
	if a.MLE().Partition() == c.MLE().Partition() {
		t.Fatal("the same partition by accident")
	}
	w.Run(3 * time.Minute)
	w.Link(b, c)
	w.together(10*time.Minute, a, b, c, d)
	w.reach(2*time.Minute, a, d)
	w.reach(time.Minute, d, a)
}

// A child that moves from one parent to another is found at its new place.
func TestChildMoves(t *testing.T) {
	for _, kind := range []sim.Kind{sim.MTD, sim.SED} {
		t.Run(kind.String(), func(t *testing.T) {
			w := newWorld(t, 43)
			nodes := w.ring(4)
			child := w.add("child", kind)
			w.Link(child, nodes[1])
			w.attach(child)
			w.settle()
			w.pings(nodes[0], child)
			for _, to := range []*sim.Node{nodes[2], nodes[3], nodes[1]} {
				for _, n := range nodes {
					w.Cut(child, n)
				}
				w.Link(child, to)
				w.await("attaches to "+to.Name, 10*time.Minute, func() bool {
					return child.MLE().Attached() && child.Table().Parent.Ext == to.MAC().Ext()
				})
				w.reach(time.Minute, child, nodes[0])
				w.reach(3*time.Minute, nodes[0], child)
			}
		})
	}
}

// An echo request to all nodes of the mesh is answered by all, sleepy ones too.
func TestMulticast(t *testing.T) {
	w := newWorld(t, 44)
	nodes := w.ring(4)
	sed, mtd := w.add("sed", sim.SED), w.add("mtd", sim.MTD)
	w.Link(sed, nodes[2])
	w.Link(mtd, nodes[3])
	w.attach(sed, mtd)
	w.settle()
	group := ipv6.PrefixMulticast(ipv6.ScopeRealm, nodes[0].MeshLocalPrefix(), 1)
	all := append([]*sim.Node{sed, mtd}, nodes...)
	for _, from := range []*sim.Node{nodes[0], mtd, sed} {
		// So that the answers need not ask for the way, all at once.
		for _, n := range all {
			w.reach(time.Minute, n, from)
		}
		answers := map[netip.Addr]bool{}
		ok := from.IP().Ping(&ip.Ping{Dst: group, Size: 20, Count: 3, Interval: 3 * time.Second, Timeout: 3 * time.Second,
			Reply: func(r ip.Reply) { answers[r.From] = true }})
		if !ok {
			t.Fatal("no ping")
		}
		w.Run(10 * time.Second)
		for _, n := range all {
			if n != from && !answers[n.MLEID()] {
				t.Errorf("%s does not answer %s", n.Name, from.Name)
			}
		}
	}
}

// The network's keys rotate under way; no counter is used twice.
func TestKeyRotation(t *testing.T) {
	w := newWorld(t, 45)
	a, b, c, d := w.add("leader", sim.FTD), w.add("router", sim.FTD), w.add("mtd", sim.MTD), w.add("sed", sim.SED)
	w.Link(a, b)
	w.Link(b, c, d)
	w.form(a)
	w.attach(b)
	w.attach(c, d)
	w.settle()
	w.reach(time.Minute, a, c)
	for seq := uint32(1); seq <= 3; seq++ {
		a.Keys().SetSequence(seq)
		w.reach(time.Minute, a, b)
		w.reach(time.Minute, a, c)
		w.reach(time.Minute, a, d)
		w.await("everybody follows", 2*time.Minute, func() bool {
			for _, n := range []*sim.Node{b, c, d} {
				if n.Keys().Sequence() != seq {
					return false
				}
			}
			return true
		})
		for _, n := range []*sim.Node{b, c, d} {
			n.Keys().SetGuard(0) // as if weeks had passed
		}
		a.Keys().SetGuard(0)
	}
	for _, n := range []*sim.Node{b, c, d} {
		if n.MLE().Counters().ParentChanges > 1 {
			t.Errorf("%s changed its parent", n.Name)
		}
	}
}

// Everybody reaches everybody in a network over links that lose frames.
func TestLossyMesh(t *testing.T) {
	w := newWorld(t, 46)
	var nodes []*sim.Node
	const side = 4
	for i := range side * side {
		kind := sim.FTD
		if i%5 == 4 {
			kind = sim.MTD
		}
		n := w.add(fmt.Sprint("n", i), kind)
		nodes = append(nodes, n)
		for j, o := range nodes[:i] {
			dx, dy := i%side-j%side, i/side-j/side
			if dx*dx+dy*dy <= 2 {
				w.Air().Link(n.Station(), o.Station(), -65, 0.1)
			}
		}
	}
	w.form(nodes[0])
	for _, n := range nodes[1:] {
		w.start(n)
	}
	w.together(10*time.Minute, nodes...)
	w.Run(5 * time.Minute)
	w.together(5*time.Minute, nodes...)
	for _, x := range [][2]int{{0, 15}, {15, 0}, {3, 12}, {12, 3}, {5, 10}, {4, 11}, {9, 14}} {
		w.reach(30*time.Second, nodes[x[0]], nodes[x[1]])
	}
}
