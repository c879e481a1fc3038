package rcp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/radio"
	"gatewayd/radio/medium"
)

func TestAcknowledgedFrame(t *testing.T) {
	w := newWorld(t, 1, nil)
	a, b, c := w.add(), w.add(), w.add()
	if a.up != 1 {
		t.Fatalf("RadioUp called %d times", a.up)
	}
	f := data(0, 1, 77, 10)
	a.send(f)
	w.run(time.Second)

	if len(a.tx) != 1 || a.tx[0].Status != radio.TxOK {
		t.Fatalf("transmitted: %+v", a.tx)
	}
	ack, err := ieee802154.Decode(a.tx[0].Ack.PSDU)
	if err != nil || ack.Type != ieee802154.FrameAck || ack.Seq != 77 || ack.Pending {
		t.Errorf("acknowledgment %+v, %v", ack, err)
	}
	if len(b.rx) != 1 || !bytes.Equal(b.rx[0].PSDU, f.Append(nil)) || b.rx[0].RSSI != -60 || b.rx[0].LQI < 250 {
		t.Fatalf("received %+v", b.rx)
	}
	if len(c.rx) != 0 {
		t.Errorf("a third radio received %+v", c.rx)
	}

	// 9 bytes of header, 10 of payload, 2 of FCS, 6 before; then 12 symbols.
	if len(w.seen) != 2 {
		t.Fatalf("%d frames on air", len(w.seen))
	}
	gap := w.seen[1].At.Sub(w.seen[0].At)
	if want := (6+21)*32*time.Microsecond + 192*time.Microsecond; gap != want {
		t.Errorf("acknowledgment began %v after the frame, want %v", gap, want)
	}
	// The SFD ends five bytes after the frame's first bit.
	clock, _ := b.Clock(w.seen[0].At)
	if b.rx[0].Timestamp != clock+160 {
		t.Errorf("timestamp %d, first bit at %d", b.rx[0].Timestamp, clock)
	}
}

func TestBroadcast(t *testing.T) {
	w := newWorld(t, 1, nil)
	a, b, c := w.add(), w.add(), w.add()
	f := data(0, 0, 1, 5)
	f.Dst = ieee802154.ShortAddr(ieee802154.BroadcastShort)
	a.send(f) // still asks for an acknowledgment; nobody must answer
	w.run(10 * time.Second)
	if len(b.rx) == 0 || len(c.rx) == 0 {
		t.Fatal("not received by everybody")
	}
	if a.tx[0].Status != radio.TxNoAck || len(w.seen) != 16 {
		t.Errorf("status %v, %d frames on air", a.tx[0].Status, len(w.seen))
	}
	w.seen, a.tx = nil, nil
	f.AckRequest = false
	a.send(f)
	w.run(time.Second)
	if len(a.tx) != 1 || a.tx[0].Status != radio.TxOK || len(w.seen) != 1 {
		t.Errorf("%+v, %d frames on air", a.tx, len(w.seen))
	}
}

func TestFilter(t *testing.T) {
	const alt = 0x4400
	ext := func(f *ieee802154.Frame, j int) {
		f.Dst = ieee802154.ExtendedAddr(extOf(j))
	}
	tests := []struct {
		name     string
		change   func(*ieee802154.Frame)
		received bool
		acked    bool
	}{
		{"short", func(f *ieee802154.Frame) {}, true, true},
		{"other short", func(f *ieee802154.Frame) { f.Dst.Short++ }, false, false},
		{"alternate", func(f *ieee802154.Frame) { f.Dst.Short = alt }, true, true},
		{"invalid short", func(f *ieee802154.Frame) { f.Dst.Short = ieee802154.InvalidShort }, false, false},
		{"extended", func(f *ieee802154.Frame) { ext(f, 1) }, true, true},
		{"other extended", func(f *ieee802154.Frame) { ext(f, 7) }, false, false},
		{"other PAN", func(f *ieee802154.Frame) { f.DstPAN = 0x1234; f.PANCompressed = false }, false, false},
		{"broadcast PAN", func(f *ieee802154.Frame) { f.DstPAN = 0xffff; f.PANCompressed = false }, true, true},
		{"broadcast", func(f *ieee802154.Frame) { f.Dst.Short = 0xffff }, true, false},
		{"no destination", func(f *ieee802154.Frame) { f.Dst = ieee802154.Addr{}; f.PANCompressed = false }, true, false},
		{"beacon", func(f *ieee802154.Frame) {
			*f = ieee802154.Frame{Type: ieee802154.FrameBeacon, SrcPAN: 0x4321, Src: ieee802154.ShortAddr(0)}
		}, true, false},
		{"acknowledgment", func(f *ieee802154.Frame) { *f = ieee802154.Frame{Type: ieee802154.FrameAck, Seq: 9} }, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, 1, nil)
			a, b := w.add(), w.add()
			b.reconfigure(func(s *radio.Settings) { s.AltShort = alt })
			f := data(0, 1, 9, 0)
			tt.change(&f)
			tx := txFrame(f)
			tx.MaxRetries = 0
			a.Transmit(w.clock.Now(), tx)
			w.run(time.Second)
			if got := len(b.rx) == 1; got != tt.received {
				t.Errorf("received: %v", got)
			}
			if got := len(w.seen) == 2; got != tt.acked {
				t.Errorf("acknowledged: %v", got)
			}
		})
	}
}

func TestPromiscuous(t *testing.T) {
	w := newWorld(t, 1, nil)
	a, _, c := w.add(), w.add(), w.add()
	c.reconfigure(func(s *radio.Settings) { s.Promiscuous = true; s.Short = shortOf(1) })
	a.send(data(0, 1, 1, 3))
	w.run(time.Second)
	// The frame and its acknowledgment, of which c sends none: two would collide.
	if len(c.rx) != 2 || len(w.seen) != 2 || a.tx[0].Status != radio.TxOK {
		t.Errorf("%d received, %d on air, %v", len(c.rx), len(w.seen), a.tx[0].Status)
	}
}

func TestRetries(t *testing.T) {
	w := newWorld(t, 3, nil)
	a, b := w.add(), w.add()
	w.air.LinkOneWay(a.station, b.station, -60, 0.5)
	w.air.LinkOneWay(b.station, a.station, -60, 0.3)
	for i := range 200 {
		a.send(data(0, 1, uint8(i), 20))
		w.runUntil(func() bool { return len(a.tx) == i+1 })
	}
	for i, r := range a.tx {
		if r.Status != radio.TxOK {
			t.Errorf("frame %d: %v", i, r.Status)
		}
	}
	frames := 0
	for _, s := range w.seen {
		if s.From == 0 {
			frames++
		}
	}
	// One try succeeds with a chance of 0.5*0.7: 2.86 tries a frame.
	if mean := float64(frames) / 200; mean < 2.4 || mean > 3.3 {
		t.Errorf("%.2f tries a frame", mean)
	}
	if dup := len(b.rx) - 200; dup <= 0 {
		t.Errorf("lost acknowledgments made %d duplicates", dup)
	}

	// And with nobody there: all retries, one sequence number, growing pauses.
	w.air.Unlink(a.station, b.station)
	w.seen, a.tx = nil, nil
	a.send(data(0, 1, 33, 0))
	w.run(10 * time.Second)
	if len(a.tx) != 1 || a.tx[0].Status != radio.TxNoAck || len(w.seen) != 16 {
		t.Fatalf("%+v, %d tries", a.tx, len(w.seen))
	}
	for _, f := range w.sent() {
		if f.Seq != 33 {
			t.Errorf("sequence number %d", f.Seq)
		}
	}
}

func TestChannelBusy(t *testing.T) {
	w := newWorld(t, 1, nil)
	a, b := w.add(), w.add()
	jam := w.air.Add()
	w.air.Link(jam, a.station, -50, 0)
	// The longest frames, end to end.
	long := make([]byte, 127)
	var next func()
	next = func() {
		jam.Transmit(w.clock.Now(), 15, 0, long)
		w.clock.After(medium.Airtime(127), next)
	}
	next()
	tx := txFrame(data(0, 1, 1, 0))
	tx.MaxRetries = 0
	a.Transmit(w.clock.Now(), tx)
	w.run(time.Second)
	if len(a.tx) != 1 || a.tx[0].Status != radio.TxChannelBusy || len(b.rx) != 0 {
		t.Errorf("%+v", a.tx)
	}
	// Without CSMA it goes out, and b is too far from the jammer to mind.
	tx.CSMA = false
	a.Transmit(w.clock.Now(), tx)
	w.run(time.Second)
	if len(b.rx) != 1 {
		t.Errorf("b received %d", len(b.rx))
	}
}

// CSMA-CA lets ten stations share a channel; without it they destroy each
// other's frames.
func TestCSMA(t *testing.T) {
	delivered := func(csma bool) (n int) {
		for seed := range uint64(20) {
			w := newWorld(t, seed, nil)
			sink := w.add()
			for range 10 {
				w.add()
			}
			r := rand.New(rand.NewPCG(seed, 7))
			for i, s := range w.nodes[1:] {
				tx := txFrame(data(i+1, 0, uint8(i), 60))
				tx.CSMA, tx.MaxRetries = csma, 3
				w.clock.After(time.Duration(r.IntN(20_000))*time.Microsecond, func() { s.Transmit(w.clock.Now(), tx) })
			}
			w.run(time.Second)
			seen := map[byte]bool{}
			for _, f := range sink.rx {
				seen[f.PSDU[2]] = true
			}
			n += len(seen)
		}
		return n
	}
	with, without := delivered(true), delivered(false)
	if with < 185 || without > with*3/4 {
		t.Errorf("of 200 frames %d arrive with CSMA-CA, %d without", with, without)
	}
}

func TestTransmitSecurity(t *testing.T) {
	w := newWorld(t, 1, nil)
	a, b := w.add(), w.add()
	f := secured(data(0, 1, 1, 30))
	for range 3 {
		a.send(f)
		w.run(time.Second)
	}
	ccm := ieee802154.NewCCM(testKeys.Current)
	for i, rx := range b.rx {
		if r := a.tx[i]; !r.HeaderSet || r.KeyIndex != 5 || r.FrameCounter != 100+uint32(i) {
			t.Errorf("result %d: %+v", i, r)
		}
		got, err := ieee802154.Decode(rx.PSDU)
		if err != nil || got.Security.Counter != 100+uint32(i) || got.Security.KeyIndex != 5 {
			t.Fatalf("frame %d: %+v, %v", i, got.Security, err)
		}
		if err := got.Open(rx.PSDU, ccm, extOf(0)); err != nil || !bytes.Equal(got.Payload, f.Payload) {
			t.Errorf("frame %d: %v, payload %x", i, err, got.Payload)
		}
	}

	// The host may have set the header before: here an older key's.
	f.Security.KeyIndex, f.Security.Counter = 4, 7
	tx := txFrame(f)
	tx.HeaderSet = true
	a.Transmit(w.clock.Now(), tx)
	w.run(time.Second)
	last := b.rx[len(b.rx)-1]
	got, _ := ieee802154.Decode(last.PSDU)
	if err := got.Open(last.PSDU, ieee802154.NewCCM(testKeys.Previous), extOf(0)); err != nil || got.Security.Counter != 7 {
		t.Errorf("counter %d, %v", got.Security.Counter, err)
	}
	if a.tx[3].HeaderSet {
		t.Error("claims to have filled in what the host did")
	}

	// Or all of it.
	tx = txFrame(f)
	tx.Secured = true
	a.Transmit(w.clock.Now(), tx)
	w.run(time.Second)
	if last := b.rx[len(b.rx)-1]; !bytes.Equal(last.PSDU, tx.PSDU) {
		t.Errorf("sent %x, want %x", last.PSDU, tx.PSDU)
	}

	// No key for this one.
	f.Security.KeyIDMode = ieee802154.KeyIDImplicit
	a.send(f)
	f.Security.KeyIDMode, f.Security.KeyIndex = ieee802154.KeyIDIndex, 99
	tx = txFrame(f)
	tx.HeaderSet = true
	a.Transmit(w.clock.Now(), tx)
	w.run(time.Second)
	for _, r := range a.tx[5:] {
		if r.Status != radio.TxAborted {
			t.Errorf("sent without a key: %v", r)
		}
	}
}

// Counters belong to keys: no pair of them repeats when the keys move on, or
// back, and a counter given by the host only ever raises one.
func TestFrameCounters(t *testing.T) {
	var k keyring
	rot := func(n byte) radio.Keys {
		return radio.Keys{Index: n, Previous: [16]byte{n - 1}, Current: [16]byte{n}, Next: [16]byte{n + 1}}
	}
	used := map[string]bool{}
	take := func(index uint8) uint32 {
		t.Helper()
		c, ok := k.find(index).take()
		if id := fmt.Sprintf("%d/%d", index, c); !ok || used[id] {
			t.Fatalf("key %d, counter %d: %v, used before: %v", index, c, ok, used[id])
		} else {
			used[id] = true
		}
		return c
	}
	k.set(rot(5), 10)
	take(5)
	k.set(rot(5), 3) // a stale value
	if c := take(5); c != 11 {
		t.Errorf("counter %d, want 11", c)
	}
	k.set(rot(5), 1000)
	if c := take(5); c != 1000 {
		t.Errorf("counter %d, want 1000", c)
	}
	take(6) // an acknowledgment to one who is ahead
	take(4)
	k.set(rot(6), 0)
	if c := take(6); c != 1 {
		t.Errorf("counter %d, want 1", c)
	}
	if c := take(5); c != 1001 {
		t.Errorf("counter %d, want 1001", c)
	}
	k.set(rot(5), 0)
	take(5)
	take(6)
	if k.find(9) != nil {
		t.Error("found a key with index 9")
	}
	k.set(rot(5), 0xffffffff)
	if _, ok := k.find(5).take(); ok {
		t.Error("the last counter was used")
	}
}

func TestKeyIndexWraps(t *testing.T) {
	for _, tt := range []struct{ index, prev, next uint8 }{{1, 128, 2}, {2, 1, 3}, {128, 127, 1}} {
		if p, n := neighbourIndex(tt.index, -1), neighbourIndex(tt.index, 1); p != tt.prev || n != tt.next {
			t.Errorf("%d is between %d and %d", tt.index, p, n)
		}
	}
}

func TestEnhancedAck(t *testing.T) {
	w := newWorld(t, 1, nil)
	a, b := w.add(), w.add()
	f := data(0, 1, 50, 10)
	f.Version = ieee802154.Version2015
	a.send(f)
	w.run(time.Second)
	ack, err := ieee802154.Decode(a.tx[0].Ack.PSDU)
	if err != nil || ack.Version != ieee802154.Version2015 || ack.Seq != 50 || ack.Dst != f.Src || ack.Secured || ack.DstPAN != testPAN {
		t.Fatalf("%+v, %v", ack, err)
	}

	// Secured: with the key that the frame has, and a counter of b's.
	for i, index := range []uint8{4, 5, 6} {
		key := [3][16]byte{testKeys.Previous, testKeys.Current, testKeys.Next}[i]
		f := secured(f)
		f.Security.KeyIndex, f.Security.Counter = index, 1
		tx := txFrame(f)
		tx.HeaderSet = true
		a.Transmit(w.clock.Now(), tx)
		w.run(time.Second)
		res := a.tx[len(a.tx)-1]
		if res.Status != radio.TxOK {
			t.Fatalf("key %d: %v", index, res.Status)
		}
		ack, err := ieee802154.Decode(res.Ack.PSDU)
		if err != nil || ack.Security.KeyIndex != index {
			t.Fatalf("key %d: %+v, %v", index, ack, err)
		}
		if err := ack.Open(res.Ack.PSDU, ieee802154.NewCCM(key), extOf(1)); err != nil {
			t.Errorf("key %d: %v", index, err)
		}
		rx := b.rx[len(b.rx)-1]
		if !rx.AckedSecured || rx.AckKeyIndex != index || rx.AckCounter != ack.Security.Counter {
			t.Errorf("key %d: %+v, counter %d in the acknowledgment", index, rx, ack.Security.Counter)
		}
	}

	// The acknowledgment's counter is not used again by a frame of b's.
	acked := b.rx[2].AckCounter
	b.send(secured(data(1, 0, 51, 1)))
	w.run(time.Second)
	if c := b.tx[0].FrameCounter; c != acked+1 {
		t.Errorf("frame counter %d after an acknowledgment with %d", c, acked)
	}

	// A key b does not have: received, for the host may know it, not acknowledged.
	a.reconfigure(func(s *radio.Settings) { s.Keys.Index = 60 })
	n := len(b.rx)
	tx := txFrame(secured(f))
	tx.MaxRetries = 0
	a.Transmit(w.clock.Now(), tx)
	w.run(time.Second)
	if len(b.rx) != n+1 || a.tx[len(a.tx)-1].Status != radio.TxNoAck {
		t.Errorf("%d received, %v", len(b.rx)-n, a.tx[len(a.tx)-1].Status)
	}
}

func TestProbing(t *testing.T) {
	w := newWorld(t, 1, nil)
	a, b := w.add(), w.add()
	w.air.Link(a.station, b.station, -75, 0)
	b.reconfigure(func(s *radio.Settings) {
		s.Probes = []radio.Probe{{Short: shortOf(0), Ext: extOf(0), Metrics: radio.MetricMargin | radio.MetricRSSI}}
	})
	probe := func() ([]byte, bool) {
		f := data(0, 1, 50, 10)
		f.Version = ieee802154.Version2015
		a.send(f)
		w.run(time.Second)
		ack, err := ieee802154.Decode(a.tx[len(a.tx)-1].Ack.PSDU)
		if err != nil {
			t.Fatal(err)
		}
		return ack.Vendor(ieee802154.OUIThread)
	}
	// Margin 25 dB and RSSI -75 dBm of 130 each, as 0..255.
	if ie, ok := probe(); !ok || !bytes.Equal(ie, []byte{0, 49, 107}) {
		t.Errorf("vendor element % x, %v", ie, ok)
	}
	b.reconfigure(func(s *radio.Settings) { s.Probes = nil })
	if ie, ok := probe(); ok {
		t.Errorf("vendor element % x after it was ended", ie)
	}
}

func TestSourceMatch(t *testing.T) {
	poll := func(ext bool) ieee802154.Frame {
		f := data(0, 1, 5, 0)
		f.Type, f.Command, f.Payload = ieee802154.FrameCommand, ieee802154.CommandDataRequest, nil
		if ext {
			f.Src = ieee802154.ExtendedAddr(extOf(0))
		}
		return f
	}
	beaconRequest := poll(false)
	beaconRequest.Command = ieee802154.CommandBeaconRequest
	tests := []struct {
		name    string
		frame   ieee802154.Frame
		match   func(*radio.Settings)
		pending bool
	}{
		{"off: everybody", poll(false), func(s *radio.Settings) { s.SourceMatch = false }, true},
		{"on: nobody", poll(false), func(s *radio.Settings) {}, false},
		{"short listed", poll(false), func(s *radio.Settings) { s.SourceMatchShort = []uint16{7, shortOf(0)} }, true},
		{"other short listed", poll(false), func(s *radio.Settings) { s.SourceMatchShort = []uint16{7} }, false},
		{"ext listed", poll(true), func(s *radio.Settings) { s.SourceMatchExt = []ieee802154.ExtAddr{extOf(0)} }, true},
		{"short listed, ext polls", poll(true), func(s *radio.Settings) { s.SourceMatchShort = []uint16{shortOf(0)} }, false},
		{"data", data(0, 1, 5, 3), func(s *radio.Settings) { s.SourceMatchShort = []uint16{shortOf(0)} }, true},
		{"another command", beaconRequest, func(s *radio.Settings) { s.SourceMatch = false }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, 1, nil)
			a, b := w.add(), w.add()
			b.reconfigure(tt.match)
			a.send(tt.frame)
			w.run(time.Second)
			ack, err := ieee802154.Decode(a.tx[0].Ack.PSDU)
			if err != nil || ack.Pending != tt.pending || b.rx[0].AckedPending != tt.pending {
				t.Errorf("pending %v, reported %v, %v", ack.Pending, b.rx[0].AckedPending, err)
			}
		})
	}
}

func TestEnergyScan(t *testing.T) {
	w := newWorld(t, 1, nil)
	a, b := w.add(), w.add()
	b.reconfigure(func(s *radio.Settings) { s.Channel = 20 })
	f := data(1, 9, 1, 100)
	f.AckRequest = false
	tx := txFrame(f)
	tx.Channel = 20
	w.clock.After(30*time.Millisecond, func() { b.Transmit(w.clock.Now(), tx) })
	a.EnergyScan(w.clock.Now(), 20, 100*time.Millisecond)
	w.run(99 * time.Millisecond)
	if len(a.scans) != 0 {
		t.Fatal("result before the time is over")
	}
	w.run(time.Second)
	a.EnergyScan(w.clock.Now(), 21, 100*time.Millisecond)
	w.run(time.Second)
	if want := []int8{-60, -100}; !reflect.DeepEqual(a.scans, want) {
		t.Errorf("measured %v dBm, want %v", a.scans, want)
	}
	// And it is back on its channel.
	b.reconfigure(func(s *radio.Settings) { s.Channel = 15 })
	b.send(data(1, 0, 2, 1))
	w.run(time.Second)
	if len(a.rx) != 1 {
		t.Error("the receiver did not come back from the scan")
	}
}

func TestSleepAndChannels(t *testing.T) {
	w := newWorld(t, 1, nil)
	a, b := w.add(), w.add()
	once := func(n *node, change func(*radio.TxFrame)) radio.TxStatus {
		tx := txFrame(data(n.station.ID(), 1-n.station.ID(), 1, 0))
		tx.MaxRetries = 0
		change(&tx)
		n.Transmit(w.clock.Now(), tx)
		w.run(time.Second)
		return n.tx[len(n.tx)-1].Status
	}
	same := func(*radio.TxFrame) {}

	b.reconfigure(func(s *radio.Settings) { s.Receiving = false })
	if s := once(a, same); s != radio.TxNoAck || len(b.rx) != 0 {
		t.Errorf("asleep: %v, received %d", s, len(b.rx))
	}
	// A sleeper wakes for its own frame and the acknowledgment.
	if s := once(b, same); s != radio.TxOK {
		t.Errorf("from asleep: %v", s)
	}
	if s := once(a, same); s != radio.TxNoAck {
		t.Errorf("asleep again: %v", s)
	}

	b.reconfigure(func(s *radio.Settings) { s.Receiving, s.Channel = true, 20 })
	if s := once(a, same); s != radio.TxNoAck {
		t.Errorf("on another channel: %v", s)
	}
	if s := once(a, func(f *radio.TxFrame) { f.Channel, f.RxChannel = 20, 15 }); s != radio.TxOK {
		t.Errorf("on its channel: %v", s)
	}
	// a listens on 15, as it was told to afterwards.
	if s := once(b, func(f *radio.TxFrame) { f.RxChannel = 20 }); s != radio.TxOK {
		t.Errorf("back: %v", s)
	}

	b.reconfigure(func(s *radio.Settings) { s.Enabled = false })
	if s := once(b, same); s != radio.TxAborted {
		t.Errorf("disabled: %v", s)
	}
	if s := once(a, func(f *radio.TxFrame) { f.Channel, f.RxChannel = 20, 15 }); s != radio.TxNoAck {
		t.Errorf("to a disabled one: %v", s)
	}

	// Disabling answers what is under way.
	a.Transmit(w.clock.Now(), txFrame(data(0, 1, 1, 0)))
	a.reconfigure(func(s *radio.Settings) { s.Enabled = false })
	if s := a.tx[len(a.tx)-1].Status; s != radio.TxAborted {
		t.Errorf("disabled under way: %v", s)
	}
	a.reconfigure(func(s *radio.Settings) { s.Enabled = true })
	a.EnergyScan(w.clock.Now(), 15, time.Second)
	a.reconfigure(func(s *radio.Settings) { s.Enabled = false })
	if len(a.scans) != 1 || a.scans[0] != radio.RSSIInvalid {
		t.Errorf("scan: %v", a.scans)
	}
	w.run(time.Second) // nothing is left that would answer twice
	if len(a.scans) != 1 {
		t.Errorf("scan: %v", a.scans)
	}
}

func TestTransmitAt(t *testing.T) {
	for _, csma := range []bool{false, true} {
		w := newWorld(t, 1, nil)
		a, b := w.add(), w.add()
		now, _ := a.Clock(w.clock.Now())
		tx := txFrame(data(0, 1, 1, 0))
		tx.CSMA, tx.At = csma, now+250_000
		a.Transmit(w.clock.Now(), tx)
		w.run(time.Second)
		if d := w.seen[0].At.Sub(began); d != 250*time.Millisecond || len(b.rx) != 1 {
			t.Errorf("CSMA %v: sent after %v", csma, d)
		}
		// Too late is now.
		start := w.clock.Now()
		tx.At, tx.CSMA = now+1, false
		a.Transmit(start, tx)
		w.run(time.Second)
		if at := w.seen[2].At; !at.Equal(start) {
			t.Errorf("a late one was sent after %v", at.Sub(start))
		}
	}
}

func TestRefused(t *testing.T) {
	w := newWorld(t, 1, nil)
	a := w.add()
	good := txFrame(data(0, 1, 1, 0))
	for name, change := range map[string]func(*radio.TxFrame){
		"too long":      func(f *radio.TxFrame) { f.PSDU = make([]byte, 126) },
		"empty":         func(f *radio.TxFrame) { f.PSDU = nil },
		"channel 10":    func(f *radio.TxFrame) { f.Channel = 10 },
		"channel 27":    func(f *radio.TxFrame) { f.Channel = 27 },
		"during a scan": func(f *radio.TxFrame) { a.EnergyScan(w.clock.Now(), 15, time.Second) },
	} {
		tx := good
		change(&tx)
		a.tx = nil
		a.Transmit(w.clock.Now(), tx)
		if len(a.tx) != 1 || a.tx[0].Status != radio.TxAborted {
			t.Errorf("%s: %+v", name, a.tx)
		}
	}
	w.run(2 * time.Second)
	a.scans = nil
	a.EnergyScan(w.clock.Now(), 27, time.Second)
	if len(a.scans) != 1 || a.scans[0] != radio.RSSIInvalid {
		t.Errorf("scan of channel 27: %v", a.scans)
	}
}

// Frames of 127 bytes from one radio to another: preamble, frame, turnaround,
// acknowledgment, and CSMA-CA with a mean backoff of 3.5 periods between them.
func TestThroughput(t *testing.T) {
	w := newWorld(t, 1, nil)
	a, b := w.add(), w.add()
	seq := uint8(0)
	next := func(radio.TxResult) {
		seq++
		a.send(data(0, 1, seq, 116))
	}
	a.onTx = next
	next(radio.TxResult{})
	w.run(10 * time.Second)
	bits := 0
	for _, f := range b.rx {
		bits += 8 * (len(f.PSDU) + ieee802154.FCSLen)
	}
	kbps := float64(bits) / 10 / 1000
	per := 133*32 + 192 + 11*32 + 3.5*320 + 128 + 192 // microseconds
	if want := 127 * 8 / per * 1000; kbps < want*0.98 || kbps > want*1.02 {
		t.Errorf("%.1f kbit/s, want %.1f", kbps, want)
	}
}

// The same seeds give the same frames at the same times, others do not.
func TestDeterminism(t *testing.T) {
	trace := func(seed uint64) string {
		w := newWorld(t, seed, func(c *medium.Config) { c.Shadowing = 4 })
		r := rand.New(rand.NewPCG(seed, 9))
		for range 20 {
			n := w.add()
			n.station.Place(r.Float64()*60, r.Float64()*60)
		}
		for i, n := range w.nodes {
			n.onTx = func(radio.TxResult) {
				if len(n.tx) < 10 {
					n.send(secured(data(i, (i+7)%20, uint8(len(n.tx)), 40)))
				}
			}
			n.send(data(i, (i+1)%20, 0, 40))
		}
		w.run(time.Minute)
		var b bytes.Buffer
		for _, s := range w.seen {
			fmt.Fprintf(&b, "%v %d %x\n", s.At.Sub(began), s.From, s.PSDU)
		}
		fmt.Fprintf(&b, "%+v\n", w.air.Stats())
		return b.String()
	}
	one := trace(1)
	if one != trace(1) {
		t.Error("two runs with one seed differ")
	}
	if one == trace(2) {
		t.Error("two seeds make no difference")
	}
}

// What is on air comes in order, whatever it is, and never brings a radio down.
func FuzzHeard(f *testing.F) {
	f.Add(txFrame(data(0, 1, 1, 5)).PSDU)
	f.Add(txFrame(secured(data(0, 1, 1, 5))).PSDU)
	f.Add([]byte{0x02, 0x00, 0x4d})
	f.Fuzz(func(t *testing.T, psdu []byte) {
		if len(psdu) > 125 {
			return
		}
		w := newWorld(t, 1, nil)
		b := w.add()
		b.reconfigure(func(s *radio.Settings) { s.SourceMatch = false })
		jam := w.air.Add()
		w.air.Link(jam, b.station, -50, 0)
		jam.Transmit(w.clock.Now(), 15, 0, appendFCS(append([]byte(nil), psdu...)))
		w.run(time.Second)
		h, err := ieee802154.Decode(psdu)
		acks := len(w.seen) - 1
		switch {
		case len(b.rx) > 1 || acks > 1:
			t.Fatalf("received %d times, %d acknowledgments", len(b.rx), acks)
		case len(b.rx) == 1 && (err != nil || h.Type == ieee802154.FrameAck || !bytes.Equal(b.rx[0].PSDU, psdu)):
			t.Fatalf("received %x", b.rx[0].PSDU)
		case acks == 1 && (err != nil || !h.AckRequest || len(b.rx) != 1):
			t.Fatal("acknowledged what did not ask for it")
		}
	})
}
