package sim_test

import (
	"math"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/sim"
	"gatewayd/thread/ip"
	"gatewayd/thread/mle"
)

// A node's time goes as fast as its crystal: what it does every second it does
// earlier and earlier.
func TestDrift(t *testing.T) {
	for _, ppm := range []float64{0, 1, -1, 40, -40, 250, -250} {
		w := sim.New(1, sim.Options{})
		n := w.Add(sim.Config{Drift: ppm})
		began, count := n.Clock().Now(), 0
		var last time.Time // of the world
		var timer *alarm.Timer
		timer = n.Clock().NewTimer(func() { count++; last = w.Now(); timer.Start(time.Second) })
		timer.Start(time.Second)
		const d = 1000 * time.Second
		w.Run(d)
		if got, want := n.Clock().Now().Sub(began)-d, time.Duration(ppm*float64(d)/1e6); (got - want).Abs() > time.Nanosecond {
			t.Errorf("%v ppm: off by %v after %v, want %v", ppm, got, d, want)
		}
		if got, want := last.Sub(sim.Began), time.Duration(float64(count)*1e9/(1+ppm/1e6)); (got-want).Abs() > time.Microsecond || math.Abs(float64(count)-1000) > 1 {
			t.Errorf("%v ppm: second %d was over at %v, want %v", ppm, count, got, want)
		}
	}
}

// A child and its parent whose clocks go apart find each other in its windows
// after a long silence, if they know how far apart that may be. If they do not,
// some windows are missed: the clocks do drift.
func TestDownlinkToDriftingChild(t *testing.T) {
	const ppm, period, silence = 100, 500 * time.Millisecond, 90 * time.Second
	for _, spinel := range []bool{false, true} {
		missed := map[uint8]int{}
		for _, accuracy := range []uint8{0, ppm} {
			for _, sign := range []float64{1, -1} {
				w, parent, children := listeners(t, 26, []time.Duration{period}, spinel, func(i int, c *sim.Config) {
					c.Drift, c.Accuracy = sign*ppm, accuracy
					if i > 0 {
						c.Drift = -c.Drift
					}
				})
				c := children[0]
				c.Do(func() {
					if err := c.MLE().SetCSL(mle.CSLTuning{Period: period, Timeout: 2 * silence}); err != nil {
						t.Fatal(err)
					}
				})
				for range 30 {
					w.Run(silence)
					var trip time.Duration
					ended := false
					parent.Do(func() {
						parent.IP().Ping(&ip.Ping{Dst: c.MLEID(), Size: 16, Count: 1, Timeout: 5 * time.Second,
							Reply: func(r ip.Reply) { trip = r.RTT }, Done: func(int, int) { ended = true }})
					})
					w.RunUntil(6*time.Second, func() bool { return ended })
					if trip == 0 || trip > period+answerTime {
						missed[accuracy]++
					}
				}
			}
		}
		if missed[ppm] != 0 || missed[0] == 0 {
			t.Errorf("spinel %v: windows missed of 60, by the accuracy known: %v", spinel, missed)
		}
	}
}
