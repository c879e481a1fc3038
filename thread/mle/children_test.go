package mle_test

import (
	"fmt"
	"testing"
	"time"

	"gatewayd/sim"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/netdata"
)

// Children that are there stay for hours; one that is not is dropped when its
// timeout has run out.
func TestChildTimeout(t *testing.T) {
	for _, kind := range []sim.Kind{sim.MTD, sim.SED} {
		t.Run(kind.String(), func(t *testing.T) {
			w := newWorld(t, 20)
			n := w.net(sim.FTD, kind)
			a, b := n[0], n[1]
			w.form(a)
			w.start(b)
			b.MLE().Tuning.PollPeriod = 0
			b.MLE().Tuning.ChildTimeout = 30 * time.Second
			w.await("attached", 5*time.Second, b.MLE().Attached)
			rloc16 := b.MLE().RLOC16()
			w.Run(2 * time.Hour)
			if c := child(a, b); c == nil || c.State != neighbor.Valid || b.MLE().RLOC16() != rloc16 ||
				b.MLE().Counters().AttachAttempts != 1 {
				t.Fatalf("after two hours: %+v, %d attempts", c, b.MLE().Counters().AttachAttempts)
			}
			b.Kill()
			heard := child(a, b).LastHeard
			w.await("dropped", time.Minute, func() bool { return child(a, b) == nil })
			if silent := w.Now().Sub(heard); silent < 30*time.Second || silent > 31*time.Second {
				t.Errorf("dropped after %v of silence", silent)
			}
		})
	}
}

// A sleepy child whose parent forgot it notices, by being supervised, and
// comes back.
func TestSupervision(t *testing.T) {
	w := newWorld(t, 21)
	n := w.net(sim.FTD, sim.SED)
	a, b := n[0], n[1]
	w.form(a)
	w.attach(b)
	w.Run(time.Minute)
	sent := a.MAC().Counters.TxData
	w.Run(10 * time.Minute)
	if got := a.MAC().Counters.TxData - sent; got < 4 {
		t.Errorf("%d frames to the child in ten minutes", got)
	}
	if !a.MLE().RemoveChild(b.MAC().Ext()) {
		t.Fatal("no child")
	}
	w.await("child again", 10*time.Minute, func() bool { c := child(a, b); return c != nil && c.State == neighbor.Valid })
}

// A parent takes 128 children.
func TestManyChildren(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	w := newWorld(t, 22)
	a := w.add("a", sim.FTD)
	w.form(a)
	var kids []*sim.Node
	for i := range 130 {
		k := w.add(fmt.Sprint("kid", i), sim.MTD)
		kids = append(kids, k)
		w.Link(a, k)
		w.start(k)
		w.Run(200 * time.Millisecond)
	}
	w.Run(2 * time.Minute)
	attached := 0
	seen := map[uint16]bool{}
	for _, k := range kids {
		if k.MLE().Attached() {
			attached++
			if seen[k.MLE().RLOC16()] {
				t.Errorf("two children are %04x", k.MLE().RLOC16())
			}
			seen[k.MLE().RLOC16()] = true
		}
	}
	if attached != 128 || len(a.Table().Children) > 128 {
		t.Errorf("%d attached, %d in the table", attached, len(a.Table().Children))
	}
	if a.MLE().Counters().Refused[mle.RefusedFull] == 0 {
		t.Error("nobody was refused for want of room")
	}
}

// A child is not dropped for a sign that it has another parent, if it says that
// it has not; one that does not answer is.
func TestChildElsewhere(t *testing.T) {
	w := newWorld(t, 74)
	n := w.net(sim.FTD, sim.MTD, sim.SED, sim.MTD, sim.SED)
	a, here, gone := n[0], n[1:3], n[3:]
	w.form(a)
	w.attach(n[1:]...)
	w.Run(2 * time.Second)
	for _, c := range gone {
		c.Kill()
	}
	doubt := func() {
		a.Do(func() {
			for _, c := range a.Table().Children {
				a.MLE().ChildElsewhere(c)
			}
		})
	}
	doubt()
	w.Run(100 * time.Millisecond)
	doubt() // a second sign, that soon, is none that is new
	w.Run(10 * time.Second)
	for _, c := range here {
		if r := child(a, c); r == nil || r.State != neighbor.Valid || r.Doubted {
			t.Errorf("%s, which is here: %+v", c.Name, r)
		}
	}
	for _, c := range gone {
		if child(a, c) != nil {
			t.Errorf("%s, which is gone, is still a child", c.Name)
		}
	}
	w.connected(a, here[0])
}

// A sleepy child learns that its parent has gone over to another partition, even
// if the network data there have the same version.
func TestSleepyChildFollowsParent(t *testing.T) {
	w := newWorld(t, 27)
	a, b, c := w.add("a", sim.FTD), w.add("b", sim.FTD), w.add("c", sim.SED)
	a.MLE().Tuning.LeaderWeight = 65
	w.Link(b, c)
	w.form(a)
	w.start(b)
	w.await("b leads", 10*time.Second, func() bool { return b.MLE().Role() == mle.Leader })
	w.attach(c)
	for a.MLE().StableVersion() != b.MLE().StableVersion() {
		a.MLE().NetDataUpdated(a.MLE().Leader().Bump(netdata.Change{Stable: true}))
	}
	for a.MLE().DataVersion() != b.MLE().DataVersion() {
		a.MLE().NetDataUpdated(a.MLE().Leader().Bump(netdata.Change{Data: true}))
	}
	w.Run(time.Minute)
	attempts := c.MLE().Counters().AttachAttempts
	w.Link(a, b)
	w.await("b is a's router", 5*time.Minute, func() bool { return b.MLE().Role() == mle.Router })
	if a.MLE().DataVersion() != b.MLE().DataVersion() || a.MLE().StableVersion() != b.MLE().StableVersion() {
		t.Fatal("the versions differ")
	}
	w.await("c knows", time.Minute, func() bool { return c.MLE().Partition() == a.MLE().Partition() })
	if got := c.MLE().Counters().AttachAttempts; got != attempts {
		t.Errorf("%d attempts more to attach", got-attempts)
	}
}
