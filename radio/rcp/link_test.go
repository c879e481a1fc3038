package rcp

import (
	"testing"
	"time"

	"gatewayd/radio"
	"gatewayd/radio/spinel"
)

// linked is a radio behind Spinel: node 1's settings, the host's end of the
// link, and what is reported to it.
type linked struct {
	node
	link *spinel.Link
}

func (w *world) addLinked() (*linked, *Server) {
	n := &linked{node: node{w: w}}
	station := w.air.Add()
	for _, o := range w.nodes {
		w.air.Link(station, o.station, -60, 0)
	}
	// Bytes arrive later, as on a line: else each end would be called from
	// within the other.
	later := func(receive func(time.Time, []byte)) func([]byte) {
		return func(b []byte) {
			b = append([]byte(nil), b...)
			w.clock.After(100*time.Microsecond, func() { receive(w.clock.Now(), b) })
		}
	}
	var server *Server
	n.link = spinel.NewLink(spinel.LinkConfig{
		Clock: w.clock, Handler: n,
		Send: later(func(now time.Time, b []byte) { server.Receive(now, b) }),
	})
	server = NewServer(ServerConfig{
		Config: Config{Clock: w.clock, Rand: w.nodes[0].cfg.Rand, Port: station, EUI64: extOf(1), Version: "test"},
		Send:   later(n.link.Receive),
	})
	server.Start(w.clock.Now())
	n.set = w.nodes[0].set
	n.set.Short, n.set.Ext = shortOf(1), extOf(1)
	n.link.Configure(w.clock.Now(), n.set)
	n.link.Opened(w.clock.Now())
	return n, server
}

// A radio behind a Spinel link does what the radio itself does, and is itself
// again after it crashed.
func TestUnderLink(t *testing.T) {
	w := newWorld(t, 1, nil)
	a := w.add()
	n, server := w.addLinked()
	w.runUntil(func() bool { return n.up == 1 })

	exchange := func() {
		t.Helper()
		a.rx, a.tx, n.rx, n.tx = nil, nil, nil, nil
		n.link.Transmit(w.clock.Now(), txFrame(secured(data(1, 0, 5, 20))))
		w.runUntil(func() bool { return len(n.tx) == 1 && len(a.rx) == 1 })
		if r := n.tx[0]; r.Status != radio.TxOK || !r.HeaderSet || r.KeyIndex != 5 || r.FrameCounter < 100 || len(r.Ack.PSDU) != 3 {
			t.Errorf("%+v", r)
		}
		a.send(data(0, 1, 6, 3))
		w.runUntil(func() bool { return len(n.rx) == 1 && len(a.tx) == 1 })
		if a.tx[0].Status != radio.TxOK || len(n.rx[0].PSDU) != 12 {
			t.Errorf("%v, %+v", a.tx[0].Status, n.rx[0])
		}
	}
	exchange()
	counter := n.tx[0].FrameCounter

	n.link.EnergyScan(w.clock.Now(), 20, 100*time.Millisecond)
	w.runUntil(func() bool { return len(n.scans) == 1 })
	if n.scans[0] != -100 {
		t.Errorf("energy %d dBm", n.scans[0])
	}

	server.Restart(w.clock.Now(), spinel.StatusResetCrash)
	w.runUntil(func() bool { return n.up == 2 })
	exchange()
	if c := n.tx[0].FrameCounter; c <= counter {
		t.Errorf("frame counter %d after a crash, %d before", c, counter)
	}

	// At a time on the co-processor's clock.
	w.run(time.Second)
	us, ok := n.link.Clock(w.clock.Now())
	if !ok {
		t.Fatal("its clock is not known")
	}
	f := txFrame(data(1, 0, 7, 0))
	f.CSMA, f.At = false, us+100_000
	w.seen = nil
	start := w.clock.Now()
	n.link.Transmit(start, f)
	w.run(time.Second)
	if at, _ := n.link.Clock(w.seen[0].At); at != f.At {
		t.Errorf("first bit left %d us too late", int64(at-f.At))
	}
}
