package sim_test

import (
	"testing"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/radio/medium"
	"gatewayd/sim"
	"gatewayd/thread/ip"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
)

// listeners makes a leader and sleepy children that listen in windows.
func listeners(t *testing.T, seed uint64, periods []time.Duration, spinel bool) (w *sim.World, parent *sim.Node, children []*sim.Node) {
	t.Helper()
	w = sim.New(seed, sim.Options{})
	add := func(c sim.Config) *sim.Node {
		n := w.Add(c)
		d, err := meshcop.NewRandom(w.Nodes()[0].Random(), meshcop.AllChannels(), meshcop.MaskOf(1<<15))
		if err != nil {
			t.Fatal(err)
		}
		w.Link(w.Nodes()...)
		n.SetActiveDataset(&d)
		n.InterfaceUp()
		w.Run(time.Second)
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
		return n
	}
	parent = add(sim.Config{Name: "parent", Spinel: spinel})
	w.RunUntil(20*time.Second, func() bool { return parent.MLE().Role() == mle.Leader })
	for _, p := range periods {
		c := add(sim.Config{Kind: sim.SED})
		if !w.RunUntil(20*time.Second, func() bool { return c.MLE().Role() == mle.Child }) {
			t.Fatal("not attached")
		}
		c.Do(func() {
			if err := c.MLE().SetCSL(mle.CSLTuning{Period: p, Timeout: 20 * time.Second}); err != nil {
				t.Fatal(err)
			}
		})
		children = append(children, c)
	}
	w.Run(2 * time.Second)
	for _, c := range parent.Table().Children {
		if !c.CSL.Synced {
			t.Fatalf("child %04x is not synchronized: %+v", c.RLOC16, c.CSL)
		}
	}
	return w, parent, children
}

// A synchronized child has every one of a thousand datagrams within its period,
// and needs to ask for none: it polls once in a while to be remembered.
func TestDownlinkToListeningChildren(t *testing.T) {
	for _, spinel := range []bool{false, true} {
		periods := []time.Duration{500 * time.Millisecond, 112 * time.Millisecond}
		w, parent, children := listeners(t, 21, periods, spinel)
		polls := 0
		w.Tap(func(s medium.Sighting) {
			f, err := ieee802154.Decode(s.PSDU[:len(s.PSDU)-ieee802154.FCSLen])
			if err == nil && f.Type == ieee802154.FrameCommand {
				polls++
			}
		})
		began := w.Now()
		const pings = 1000
		var worst [2]time.Duration
		for i := range pings {
			c := i % len(children)
			w.Run(time.Duration(53*i%997) * time.Millisecond)
			var trip time.Duration
			ended := false
			parent.Do(func() {
				parent.IP().Ping(&ip.Ping{Dst: children[c].MLEID(), Size: 16, Count: 1, Timeout: 5 * time.Second,
					Reply: func(r ip.Reply) { trip = r.RTT },
					Done:  func(int, int) { ended = true }})
			})
			w.RunUntil(6*time.Second, func() bool { return ended })
			if trip == 0 {
				t.Fatalf("ping %d was not answered", i)
			}
			worst[c] = max(worst[c], trip)
		}
		took := w.Now().Sub(began)
		t.Logf("spinel %v: %d pings answered, at the worst after %v, %d polls in %v", spinel, pings, worst, polls, took)
		for c, p := range periods {
			// A window may be missed by a collision with nobody: there is none.
			if worst[c] > p+20*time.Millisecond {
				t.Errorf("spinel %v: the child with a period of %v answered after %v", spinel, p, worst[c])
			}
		}
		if most := 2*int(took/(19*time.Second)) + 4; polls > most {
			t.Errorf("spinel %v: %d polls in %v", spinel, polls, took)
		}
	}
}
