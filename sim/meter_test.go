package sim_test

import (
	"testing"
	"time"

	"gatewayd/radio/medium"
	"gatewayd/sim"
	"gatewayd/thread/ip"
)

// Every frame is counted once, and pings are data: none before them, and the
// fragments of a long one are not taken for anything else.
func TestMeter(t *testing.T) {
	w := network(t, 5, 3, func(i int, c *sim.Config) { c.Kind = sim.Kind(i) })
	m := w.Meter()
	frames, bytes := 0, 0
	w.Tap(func(s medium.Sighting) { frames++; bytes += len(s.PSDU) })
	w.Run(time.Minute)
	if n := m.ByClass[sim.ClassData].Frames; n != 0 {
		t.Errorf("%d frames of data in a network at rest", n)
	}
	for _, c := range []sim.Class{sim.ClassMLE, sim.ClassPoll, sim.ClassAck} {
		if m.ByClass[c].Frames == 0 {
			t.Errorf("no %v", c)
		}
	}
	other := m.ByClass[sim.ClassOther].Frames
	received := 0
	n := w.Nodes()
	n[0].Do(func() {
		n[0].IP().Ping(&ip.Ping{Dst: n[1].MLEID(), Size: 500, Count: 1, Timeout: 5 * time.Second,
			Done: func(_, got int) { received = got }})
	})
	w.Run(6 * time.Second)
	if received != 1 {
		t.Fatal("not answered")
	}
	if got := m.ByClass[sim.ClassData]; got.Frames < 10 || got.Bytes < 1000 || m.ByClass[sim.ClassOther].Frames != other {
		t.Errorf("500 bytes there and back are %+v, and %d other frames", got, m.ByClass[sim.ClassOther].Frames-other)
	}
	for _, c := range m.ByClass {
		frames -= c.Frames
		bytes -= c.Bytes
		if c.AirTime != time.Duration(c.Bytes+6*c.Frames)*medium.ByteTime {
			t.Errorf("%+v", c)
		}
	}
	if frames != 0 || bytes != 0 {
		t.Errorf("%d frames and %d bytes are not counted", frames, bytes)
	}
}
