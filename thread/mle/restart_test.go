package mle_test

import (
	"testing"
	"time"

	"gatewayd/sim"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
)

// A leader without other routers leads again in 4.5 s, the same partition,
// with newer network data; its children need not attach again.
func TestLoneLeaderRestarts(t *testing.T) {
	w := newWorld(t, 50)
	n := w.net(sim.FTD, sim.MTD)
	a, b := n[0], n[1]
	w.form(a)
	w.attach(b)
	w.Run(10 * time.Second)
	partition, rloc16, version := a.MLE().Partition(), a.MLE().RLOC16(), a.MLE().DataVersion()
	a.Restart()
	w.up(a)
	if took := w.await("leader", 10*time.Second, func() bool { return a.MLE().Role() == mle.Leader }); took > 5*time.Second {
		t.Errorf("after %v", took)
	}
	if a.MLE().Partition() != partition || a.MLE().RLOC16() != rloc16 || a.MLE().DataVersion() == version {
		t.Errorf("leads %08x as %04x, data %d; was %08x, %04x, %d", a.MLE().Partition(), a.MLE().RLOC16(), a.MLE().DataVersion(),
			partition, rloc16, version)
	}
	w.await("child is proved", 5*time.Second, func() bool { c := child(a, b); return c != nil && c.State == neighbor.Valid })
	w.connected(a, b)
	if got := b.MLE().Counters().AttachAttempts; got != 1 {
		t.Errorf("%d attempts of the child", got)
	}
}

// A leader with another router comes back by what that remembers.
func TestLeaderRestartsAmongRouters(t *testing.T) {
	w := newWorld(t, 51)
	n := w.net(sim.FTD, sim.FTD, sim.SED)
	w.form(n[0])
	w.routers(n[1])
	w.attach(n[2])
	w.Run(time.Minute)
	for _, x := range []*sim.Node{n[0], n[1]} {
		was, rloc16, partition := x.MLE().Role(), x.MLE().RLOC16(), x.MLE().Partition()
		x.Restart()
		w.up(x)
		took := w.await(x.Name+" is back", 10*time.Second, func() bool { return x.MLE().Role() == was })
		if took > 5*time.Second || x.MLE().RLOC16() != rloc16 || x.MLE().Partition() != partition {
			t.Errorf("%v after %v, %04x in %08x; was %04x in %08x", was, took, x.MLE().RLOC16(), x.MLE().Partition(), rloc16, partition)
		}
		w.Run(30 * time.Second)
		w.connected(n...)
	}
}

// A child of any kind comes back to its parent without attaching.
func TestChildRestarts(t *testing.T) {
	for _, kind := range []sim.Kind{sim.FTD, sim.MTD, sim.SED} {
		t.Run(kind.String(), func(t *testing.T) {
			w := newWorld(t, 52)
			n := w.net(sim.FTD, kind)
			w.form(n[0])
			n[1].MLE().Tuning.SelectionJitter = time.Hour
			w.attach(n[1])
			w.Run(10 * time.Second)
			rloc16 := n[1].MLE().RLOC16()
			n[1].Restart()
			w.up(n[1])
			took := w.await("child again", 3*time.Second, n[1].MLE().Attached)
			if n[1].MLE().RLOC16() != rloc16 || n[1].MLE().Counters().AttachAttempts != 0 {
				t.Errorf("%04x after %v, was %04x; %d attempts", n[1].MLE().RLOC16(), took, rloc16, n[1].MLE().Counters().AttachAttempts)
			}
			w.Run(2 * time.Second)
			w.connected(n...)
		})
	}
}

// Stopping and starting again is a restart, too.
func TestStopAndStart(t *testing.T) {
	w := newWorld(t, 53)
	n := w.net(sim.FTD, sim.MTD)
	w.form(n[0])
	w.attach(n[1])
	partition := n[0].MLE().Partition()
	n[0].Stop()
	if n[0].MLE().Role() != mle.Disabled || n[0].MLE().RLOC16() != neighbor.InvalidRLOC16 {
		t.Errorf("%v, %04x", n[0].MLE().Role(), n[0].MLE().RLOC16())
	}
	w.Run(2 * time.Second)
	if err := n[0].Start(); err != nil {
		t.Fatal(err)
	}
	w.await("leads again", 10*time.Second, func() bool { return n[0].MLE().Role() == mle.Leader })
	if n[0].MLE().Partition() != partition {
		t.Error("another partition")
	}
	w.await("child", 10*time.Second, func() bool { c := child(n[0], n[1]); return c != nil && c.State == neighbor.Valid })
	w.connected(n...)
}
