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

// listeners makes a leader and sleepy children that listen in windows. change
// makes their configurations others, the leader's first.
func listeners(t *testing.T, seed uint64, periods []time.Duration, spinel bool, change ...func(i int, c *sim.Config)) (w *sim.World, parent *sim.Node, children []*sim.Node) {
	t.Helper()
	w = sim.New(seed, sim.Options{})
	add := func(c sim.Config) *sim.Node {
		for _, f := range change {
			f(len(w.Nodes()), &c)
		}
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

// downlink sends a child of several a thousand echo requests and returns how
// long the slowest answers took, and how many were later than the child's period.
func downlink(t *testing.T, w *sim.World, parent *sim.Node, children []*sim.Node, periods []time.Duration) (worst []time.Duration, late int) {
	t.Helper()
	worst = make([]time.Duration, len(children))
	for i := range 1000 {
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
		if worst[c] = max(worst[c], trip); trip > periods[c]+answerTime {
			late++
		}
	}
	return worst, late
}

// answerTime is what an echo reply takes when the request has arrived, and what
// a request that just missed to be handed over in time does.
const answerTime = 30 * time.Millisecond

// A synchronized child has every one of a thousand datagrams within its period,
// and needs to ask for none: it polls once in a while to be remembered.
func TestDownlinkToListeningChild(t *testing.T) {
	for i, p := range []time.Duration{500 * time.Millisecond, 112 * time.Millisecond} {
		for _, spinel := range []bool{false, true} {
			w, parent, children := listeners(t, 21+uint64(i), []time.Duration{p}, spinel)
			polls := 0
			w.Tap(func(s medium.Sighting) {
				f, err := ieee802154.Decode(s.PSDU[:len(s.PSDU)-ieee802154.FCSLen])
				if err == nil && f.Type == ieee802154.FrameCommand {
					polls++
				}
			})
			began := w.Now()
			worst, late := downlink(t, w, parent, children, []time.Duration{p})
			took := w.Now().Sub(began)
			t.Logf("period %v, spinel %v: 1000 pings answered, at the worst after %v, %d polls in %v", p, spinel, worst[0], polls, took)
			if late > 0 {
				t.Errorf("period %v, spinel %v: %d of 1000 later than the period", p, spinel, late)
			}
			if most := int(took/(19*time.Second)) + 3; polls > most {
				t.Errorf("period %v, spinel %v: %d polls in %v", p, spinel, polls, took)
			}
		}
	}
}

// With more of them, frames sent without listening first may collide: with a
// poll of another one, once in a while, and are sent again a period later.
func TestDownlinkToListeningChildren(t *testing.T) {
	periods := []time.Duration{500 * time.Millisecond, 112 * time.Millisecond, 320 * time.Millisecond, 12 * time.Millisecond}
	w, parent, children := listeners(t, 23, periods, true)
	worst, late := downlink(t, w, parent, children, periods)
	t.Logf("1000 pings answered, at the worst after %v, %d later than the period", worst, late)
	if late > 5 {
		t.Errorf("%d of 1000 later than the period", late)
	}
}

// A child may listen on a channel of its own.
func TestDownlinkOnAnotherChannel(t *testing.T) {
	for _, spinel := range []bool{false, true} {
		periods := []time.Duration{320 * time.Millisecond}
		w, parent, children := listeners(t, 25, periods, spinel)
		c := children[0]
		c.Do(func() {
			if err := c.MLE().SetCSL(mle.CSLTuning{Period: periods[0], Channel: 20, Timeout: 20 * time.Second}); err != nil {
				t.Fatal(err)
			}
		})
		w.Run(time.Second)
		on := map[uint8]int{}
		w.Tap(func(s medium.Sighting) {
			if f, err := ieee802154.Decode(s.PSDU[:len(s.PSDU)-ieee802154.FCSLen]); err == nil && f.Type == ieee802154.FrameData && !f.Dst.IsBroadcast() && s.From == parent.ID() {
				on[s.Channel]++
			}
		})
		if _, late := downlink(t, w, parent, children, periods); late > 0 {
			t.Errorf("spinel %v: %d of 1000 later than the period", spinel, late)
		}
		// Some it asks for: when it has just polled, or seen that there is more.
		if on[20] < 950 || on[15] > 50 {
			t.Errorf("spinel %v: frames by channel: %v", spinel, on)
		}
	}
}
