package mle_test

import (
	"testing"
	"time"

	"gatewayd/sim"
	"gatewayd/thread/mle"
)

// Two partitions that come to hear each other become one, children and all.
func TestMerge(t *testing.T) {
	w := newWorld(t, 40)
	a, b, c, d := w.add("a", sim.FTD), w.add("b", sim.FTD), w.add("c", sim.MTD), w.add("d", sim.FTD)
	w.Link(b, c)
	w.form(a)
	w.start(b)
	w.await("b leads", 10*time.Second, func() bool { return b.MLE().Role() == mle.Leader })
	w.attach(c)
	if a.MLE().Partition() == b.MLE().Partition() {
		t.Fatal("one partition before they met")
	}
	w.Link(a, b)
	took := w.await("one partition", 5*time.Minute, func() bool {
		return a.MLE().Partition() == b.MLE().Partition() && b.MLE().Partition() == c.MLE().Partition() &&
			a.MLE().Attached() && b.MLE().Attached() && c.MLE().Attached()
	})
	t.Logf("merged after %v", took)
	w.Run(time.Minute)
	leaders := 0
	for _, n := range []*sim.Node{a, b, c} {
		if n.MLE().Role() == mle.Leader {
			leaders++
		}
	}
	if leaders != 1 {
		t.Errorf("%d leaders", leaders)
	}
	w.connected(a, b, c)

	// A third joins as if nothing had been.
	w.Link(d, a)
	w.attach(d)
	w.connected(a, d)
}

// The heavier partition wins, whatever the ids are.
func TestMergeByWeight(t *testing.T) {
	w := newWorld(t, 41)
	a, b := w.add("a", sim.FTD), w.add("b", sim.FTD)
	a.MLE().Tuning.LeaderWeight, a.MLE().Tuning.PreferredPartition = 65, 1
	b.MLE().Tuning.PreferredPartition = 0xffffffff
	w.form(a)
	w.start(b)
	w.await("b leads", 10*time.Second, func() bool { return b.MLE().Role() == mle.Leader })
	w.Link(a, b)
	w.await("b joins a", 5*time.Minute, func() bool { return b.MLE().Partition() == 1 })
	if a.MLE().Role() != mle.Leader {
		t.Errorf("a is %v", a.MLE().Role())
	}
}

// When the leader dies another router takes over.
func TestLeaderDies(t *testing.T) {
	w := newWorld(t, 42)
	n := w.net(sim.FTD, sim.FTD, sim.FTD, sim.MTD)
	w.form(n[0])
	w.routers(n[1], n[2])
	w.attach(n[3])
	w.Run(time.Minute)
	old := n[0].MLE().Partition()
	n[0].Kill()
	took := w.await("another leader", 5*time.Minute, func() bool {
		leaders := 0
		for _, x := range n[1:] {
			if x.MLE().Role() == mle.Leader {
				leaders++
			}
		}
		return leaders == 1 && n[1].MLE().Partition() == n[2].MLE().Partition() && n[3].MLE().Partition() == n[1].MLE().Partition()
	})
	if took < 100*time.Second {
		t.Errorf("given up after %v", took)
	}
	if n[1].MLE().Partition() == old {
		t.Error("the old partition")
	}
	w.Run(time.Minute)
	w.connected(n[1:]...)
}
