package thread_test

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/ipv6"
	"gatewayd/lowpan"
	"gatewayd/radio/medium"
	"gatewayd/sim"
	"gatewayd/thread/keys"
	"gatewayd/thread/mle"
)

// attacker is a transmitter that everybody hears, and its memory.
type attacker struct {
	w       *world
	station *medium.Station
	heard   [][]byte
}

func (w *world) attacker(victims ...*sim.Node) *attacker {
	x := &attacker{w: w, station: w.Air().Add()}
	for _, v := range victims {
		w.Air().Link(x.station, v.Station(), -50, 0)
	}
	w.Tap(func(s medium.Sighting) {
		if s.From != x.station.ID() {
			x.heard = append(x.heard, bytes.Clone(s.PSDU))
		}
	})
	return x
}

// send transmits a frame without FCS.
func (x *attacker) send(psdu []byte) {
	fcs := ieee802154.FCS(psdu)
	x.transmit(append(bytes.Clone(psdu), byte(fcs), byte(fcs>>8)))
}

// transmit waits for silence: what collides would prove nothing.
func (x *attacker) transmit(psdu []byte) {
	x.w.Run(time.Millisecond)
	x.w.await("silence", time.Second, func() bool {
		return x.station.Energy(x.w.Now(), uint8(x.w.dataset.Channel.Number)) < -90
	})
	x.station.Transmit(x.w.Now(), uint8(x.w.dataset.Channel.Number), 0, psdu)
	x.w.Run(10 * time.Millisecond)
}

// attacked is a network under attack.
func attacked(t *testing.T, seed uint64) (w *world, a, b *sim.Node, x *attacker) {
	w = newWorld(t, seed)
	a, b = w.add("leader", sim.FTD), w.add("device", sim.MTD)
	w.Link(a, b)
	x = w.attacker(a, b)
	w.form(a)
	w.attach(b)
	w.settle()
	w.pings(a, b)
	return w, a, b, x
}

// undisturbed checks that nothing has changed between the two.
func undisturbed(w *world, a, b *sim.Node) func() {
	leader, child, partition := a.MLE().RLOC16(), b.MLE().RLOC16(), a.MLE().Partition()
	changes := b.MLE().Counters().ParentChanges
	return func() {
		w.t.Helper()
		if a.MLE().RLOC16() != leader || b.MLE().RLOC16() != child || a.MLE().Partition() != partition || b.MLE().Role() != mle.Child ||
			b.MLE().Counters().ParentChanges != changes {
			w.t.Errorf("disturbed: %v %04x, %v %04x", a.MLE().Role(), a.MLE().RLOC16(), b.MLE().Role(), b.MLE().RLOC16())
		}
		w.pings(a, b)
	}
}

// Frames of the past, sent again by somebody, are refused.
func TestReplayedFrames(t *testing.T) {
	w, a, b, x := attacked(t, 30)
	check := undisturbed(w, a, b)
	old := x.heard
	delivered := [2]uint32{a.IP().Counters.RxSuccess, b.IP().Counters.RxSuccess}
	refused := func() uint32 {
		n := uint32(0)
		for _, v := range []*sim.Node{a, b} {
			c := v.MAC().Counters
			n += c.RxErrSecurity + c.RxDuplicated
		}
		return n
	}
	mleRefused := func() uint32 {
		return a.MLE().Counters().Refused[mle.RefusedReplay] + b.MLE().Counters().Refused[mle.RefusedReplay]
	}
	before, beforeMLE := refused(), mleRefused()
	secured, messages := uint32(0), uint32(0)
	for _, psdu := range old {
		if f, err := ieee802154.Decode(psdu[:len(psdu)-2]); err == nil && f.Type == ieee802154.FrameData {
			if f.Secured && f.Security.KeyIDMode == ieee802154.KeyIDIndex {
				secured++
			} else if !f.Secured {
				messages++
			}
			x.transmit(psdu)
		}
	}
	if got := refused() - before; got < secured {
		t.Errorf("%d of %d replayed frames refused", got, secured)
	}
	if got := mleRefused() - beforeMLE; got == 0 {
		t.Errorf("%d of %d replayed MLE messages refused", got, messages)
	}
	// What MLE got counts as a datagram; nothing else may have.
	if got := a.IP().Counters.RxSuccess + b.IP().Counters.RxSuccess - delivered[0] - delivered[1]; got > 2*messages+4 {
		t.Errorf("%d datagrams delivered", got)
	}
	check()
}

// forged is a data frame from the device to the leader with an echo request in
// it, as the caller changes and seals it.
func forged(w *world, a, b *sim.Node, change func(f *ieee802154.Frame)) ieee802154.Frame {
	packet := ipv6.AppendICMPPacket(nil, ipv6.Header{Src: b.MLE().LinkLocal(), Dst: a.MLE().LinkLocal(), HopLimit: 64},
		ipv6.ICMPEchoRequest, 0, ipv6.Echo{ID: 1, Seq: 1}.Append(nil))
	f := ieee802154.Frame{
		Type: ieee802154.FrameData, Version: ieee802154.Version2006, PANCompressed: true, Seq: 77,
		DstPAN: *w.dataset.PANID, SrcPAN: *w.dataset.PANID,
		Dst: ieee802154.ExtendedAddr(a.MAC().Ext()), Src: ieee802154.ExtendedAddr(b.MAC().Ext()),
		Secured: true,
		Security: ieee802154.Security{Level: ieee802154.LevelEncMIC32, KeyIDMode: ieee802154.KeyIDIndex,
			KeyIndex: keys.Index(0), Counter: 1 << 30},
	}
	payload, used, err := lowpan.Compress(nil, packet, f.Src, f.Dst, nil, len(packet))
	if err != nil {
		w.t.Fatal(err)
	}
	f.Payload = append(payload, packet[used:]...)
	change(&f)
	return f
}

// Frames that are not secured as the network's frames are go no further.
func TestForgedFrames(t *testing.T) {
	w, a, b, x := attacked(t, 31)
	check := undisturbed(w, a, b)
	var other [16]byte
	other[3] = 3
	wrong := ieee802154.NewCCM(other)
	_, mac := keys.Derive(w.dataset.NetworkKey.Reveal(), 0)
	right := ieee802154.NewCCM(mac)
	refused := func() uint32 {
		c := a.MAC().Counters
		return c.RxErrSecurity + c.RxErrUnknownNeighbor + c.RxErrInvalidSource + c.RxErrOther + a.IP().Counters.Refused
	}
	send := func(f ieee802154.Frame, ccm *ieee802154.CCM) (delivered bool) {
		before := a.IP().Counters.RxSuccess
		if !f.Secured {
			x.send(f.Append(nil))
		} else {
			x.send(f.Seal(ccm, f.Src.Ext, nil))
		}
		return a.IP().Counters.RxSuccess != before
	}
	for _, tt := range []struct {
		what   string
		ccm    *ieee802154.CCM
		change func(f *ieee802154.Frame)
	}{
		{"another key", wrong, func(*ieee802154.Frame) {}},
		{"no security", nil, func(f *ieee802154.Frame) { f.Secured = false }},
		{"MIC only", right, func(f *ieee802154.Frame) { f.Security.Level = ieee802154.LevelMIC32 }},
		{"encrypted without MIC", right, func(f *ieee802154.Frame) { f.Security.Level = ieee802154.LevelEnc }},
		{"a longer MIC", right, func(f *ieee802154.Frame) { f.Security.Level = ieee802154.LevelEncMIC64 }},
		{"the implicit key", right, func(f *ieee802154.Frame) { f.Security.KeyIDMode = ieee802154.KeyIDImplicit }},
		{"a key source of 4 bytes", right, func(f *ieee802154.Frame) { f.Security.KeyIDMode = ieee802154.KeyIDSource4 }},
		{"a key source of 8 bytes", right, func(f *ieee802154.Frame) { f.Security.KeyIDMode = ieee802154.KeyIDSource8 }},
		{"a key index of no sequence", right, func(f *ieee802154.Frame) { f.Security.KeyIndex = 99 }},
		{"a stranger's address", right, func(f *ieee802154.Frame) {
			f.Src = ieee802154.ExtendedAddr(ieee802154.ExtAddr{2, 3, 4, 5, 6, 7, 8, 9})
		}},
		{"our own address", right, func(f *ieee802154.Frame) { f.Src = ieee802154.ExtendedAddr(a.MAC().Ext()) }},
	} {
		before := refused()
		for try := 0; try < 3 && refused() == before; try++ { // it may collide
			if send(forged(w, a, b, tt.change), tt.ccm) {
				t.Errorf("%s: delivered", tt.what)
			}
		}
		if refused() == before {
			t.Errorf("%s: not counted", tt.what)
		}
	}
	check()
	// The forger's frames are well made: with the right key one gets through.
	if !send(forged(w, a, b, func(*ieee802154.Frame) {}), right) {
		t.Error("the right key: not delivered")
	}
}

// MLE messages that nobody in the network sealed are refused, and counted.
func TestForgedMLE(t *testing.T) {
	w, a, b, x := attacked(t, 32)
	check := undisturbed(w, a, b)
	r := rand.New(rand.NewPCG(1, 1))
	count := func() (n uint32) {
		for _, v := range a.MLE().Counters().Refused {
			n += v
		}
		return n
	}
	before := count()
	const sent = 200
	for i := range sent {
		m := []byte{0, 0x15, byte(i), 0, 0, 0x40, 0, 0, 0, 0, keys.Index(0)}
		for range 20 + r.IntN(20) {
			m = append(m, byte(r.Uint32()))
		}
		if i%4 == 0 {
			m = append([]byte{255}, m[1:]...) // the suite without security
			m[1] = byte(i / 4)                // each command
		}
		packet := ipv6.AppendUDPPacket(nil, ipv6.Header{Src: b.MLE().LinkLocal(), Dst: a.MLE().LinkLocal(), HopLimit: 255}, 19788, 19788, m)
		f := ieee802154.Frame{Type: ieee802154.FrameData, Version: ieee802154.Version2006, PANCompressed: true, Seq: byte(i),
			DstPAN: *w.dataset.PANID, SrcPAN: *w.dataset.PANID,
			Dst: ieee802154.ExtendedAddr(a.MAC().Ext()), Src: ieee802154.ExtendedAddr(b.MAC().Ext())}
		payload, used, err := lowpan.Compress(nil, packet, f.Src, f.Dst, nil, len(packet))
		if err != nil {
			t.Fatal(err)
		}
		f.Payload = append(payload, packet[used:]...)
		x.send(f.Append(nil))
	}
	if got := count() - before; got < sent*9/10 {
		t.Errorf("%d of %d refused", got, sent)
	}
	check()
}
