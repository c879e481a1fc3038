package mac

import (
	"encoding/hex"
	"slices"
	"testing"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/radio"
	"gatewayd/thread/link"
	"gatewayd/thread/neighbor"
)

// What a synchronized sleepy child of OpenThread's sent its parent: its Child
// Update Request, with a phase of 2492 in a period of 3125 units, and the
// acknowledgement of the echo request that the parent sent later, with a phase
// of 3124. Without FCS.
const (
	recordedUpdate = "29eedacefa6720b8d56f1bec4617293bf2601d0b760d0100000001040dbc09350c803f6e00f9d19c095aa4468a0c00f4c391" +
		"c26252822e403b3d168cd7be79f2fda67f286f965c3bd5ff7d49c6a5176c4abccefd1db70e6e1317d547b1167e1d9d86a1c6cab67b44462" +
		"3f2f78621445f26"
	recordedAck = "1a2a7bcefa00180d0200000001040d340c350cddf44a3e"
)

var (
	recordedParent = ieee802154.ExtAddr{0x46, 0xec, 0x1b, 0x6f, 0xd5, 0xb8, 0x20, 0x67}
	recordedChild  = ieee802154.ExtAddr{0x76, 0x0b, 0x1d, 0x60, 0xf2, 0x3b, 0x29, 0x17}
)

const timingCaps = allCaps | radio.CapTransmitTiming

// parentRig is the parent of that child, which it has heard at 2 s of the
// radio's clock.
func parentRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(timingCaps)
	r.SetExt(recordedParent)
	r.SetShort(0x1800)
	r.peer.Ext, r.peer.RLOC16, r.peer.Mode = recordedChild, 0x1801, 0
	r.clock.Advance(start.Add(time.Second + 3*time.Millisecond))
	psdu, err := hex.DecodeString(recordedUpdate)
	if err != nil {
		t.Fatal(err)
	}
	r.MAC.Received(r.clock.Now(), radio.RxFrame{PSDU: psdu, Channel: 15, RSSI: -50, Timestamp: 2_000_000})
	if c := &r.peer.CSL; !c.Synced || c.Period != 3125 || c.Phase != 2492 || c.Stamp != 2_000_000 {
		t.Fatalf("%d frames received, %+v", len(r.got), c)
	}
	return r
}

// queue gives the child a frame to wait for.
func (r *rig) queue() {
	r.indirect = append(r.indirect, Frame{Dst: ieee802154.ShortAddr(0x1801), Src: ieee802154.ShortAddr(0x1800), Payload: []byte("x")})
	r.peer.Indirect.Queued++
	r.SetSourceMatch([]uint16{0x1801}, nil)
}

// until lets time pass to a moment of the radio's clock, step by step.
func (r *rig) until(us uint64) {
	end := start.Add(time.Duration(us-1e6) * time.Microsecond)
	for at := r.clock.Deadline(); !at.IsZero() && !at.After(end); at = r.clock.Deadline() {
		r.clock.Advance(at)
	}
	r.clock.Advance(end)
}

func TestSendToListeningChild(t *testing.T) {
	r := parentRig(t)
	r.queue()
	const window = 2_000_000 + 2492*160
	ahead := uint64(cslAhead / time.Microsecond)
	if r.until(window - ahead - 1); len(r.tx) != 0 {
		t.Fatalf("sent too early: %+v", r.tx)
	}
	r.until(window - ahead)
	if len(r.tx) != 1 {
		t.Fatal("not sent")
	}
	tx := r.tx[0]
	f, err := ieee802154.Decode(tx.PSDU)
	if err != nil || f.Version != ieee802154.Version2015 || !f.Secured || !f.AckRequest || len(f.HeaderIEs) != 0 {
		t.Fatalf("%+v, %v", f, err)
	}
	// The SFD ends when the child's moment has come; the first bit leaves before.
	if tx.At != window-160 || tx.CSMA || tx.MaxRetries != 0 || tx.Channel != 15 {
		t.Errorf("%+v", tx)
	}
	ack, err := hex.DecodeString(recordedAck)
	if err != nil {
		t.Fatal(err)
	}
	r.peer.Indirect.Queued = 0
	r.MAC.Transmitted(r.clock.Now(), radio.TxResult{Status: radio.TxOK, HeaderSet: true, KeyIndex: 1, FrameCounter: 1,
		Ack: radio.RxFrame{PSDU: ack, Timestamp: window + 195}})
	if c := r.peer.CSL; c.Phase != 3124 || c.Stamp != window+195 || !slices.Equal(r.sent, []bool{true}) {
		t.Errorf("after the acknowledgement %+v, sent %v", c, r.sent)
	}
}

// A frame that is not acknowledged is the very same in the next windows, and at
// the child's poll.
func TestListeningChildMisses(t *testing.T) {
	r := parentRig(t)
	r.queue()
	var at []uint64
	check := func(i int) {
		t.Helper()
		if len(r.tx) != i+1 {
			t.Fatalf("%d frames, want %d", len(r.tx), i+1)
		}
		f, _ := ieee802154.Decode(r.tx[i].PSDU)
		first, _ := ieee802154.Decode(r.tx[0].PSDU)
		if f.Seq != first.Seq || f.Version != ieee802154.Version2015 || i > 0 && (!r.tx[i].HeaderSet || f.Security.Counter != 77) {
			t.Errorf("transmission %d: %+v, %+v", i, r.tx[i], f)
		}
	}
	for i := range 4 {
		r.until(2_000_000 + 2492*160 + uint64(i)*500_000)
		check(i)
		at = append(at, r.tx[i].At)
		r.MAC.Transmitted(r.clock.Now(), radio.TxResult{Status: radio.TxNoAck, HeaderSet: i == 0, KeyIndex: 1, FrameCounter: 77})
	}
	for i := range 3 {
		if at[i+1]-at[i] != 500_000 {
			t.Errorf("sent at %d", at)
		}
	}
	if len(r.sent) != 0 {
		t.Errorf("given up: %v", r.sent)
	}
	p := frame(ieee802154.ShortAddr(0x1801), 10)
	p.Type, p.Command, p.Payload, p.Dst = ieee802154.FrameCommand, ieee802154.CommandDataRequest, nil, ieee802154.ShortAddr(0x1800)
	r.MAC.Received(r.clock.Now(), radio.RxFrame{PSDU: p.Seal(r.keys.MAC(0), recordedChild, nil), AckedPending: true})
	check(4)
	if tx := r.tx[4]; tx.At != 0 || !tx.CSMA {
		t.Errorf("to a poll: %+v", tx)
	}
}

// Nothing else begins when the moment is near; what waits follows.
func TestReserveForListeningChild(t *testing.T) {
	r := parentRig(t)
	r.queue()
	const window = 2_000_000 + 2492*160
	r.until(window - uint64((cslAhead+cslReserve)/time.Microsecond) + 1000)
	r.direct = []Frame{{Dst: ieee802154.ShortAddr(ieee802154.BroadcastShort), Src: ieee802154.ShortAddr(0x1800), Payload: []byte("later")}}
	r.Kick()
	if len(r.tx) != 0 {
		t.Fatal("began before the window")
	}
	r.until(window)
	if len(r.tx) != 1 || r.tx[0].At == 0 {
		t.Fatalf("%+v", r.tx)
	}
	r.peer.Indirect.Queued = 0
	r.MAC.Transmitted(r.clock.Now(), radio.TxResult{Status: radio.TxOK, HeaderSet: true, KeyIndex: 1, FrameCounter: 1})
	if len(r.tx) != 2 || r.tx[1].At != 0 {
		t.Errorf("what waited was not sent: %+v", r.tx)
	}
	// The child is gone before its window: what waits goes on all the same.
	r = parentRig(t)
	r.queue()
	r.until(window - uint64((cslAhead+cslReserve)/time.Microsecond) + 1000)
	r.direct = []Frame{{Dst: ieee802154.ShortAddr(ieee802154.BroadcastShort), Src: ieee802154.ShortAddr(0x1800)}}
	r.Kick()
	r.peer.Indirect.Queued, r.indirect = 0, nil
	r.SetSourceMatch(nil, nil)
	if r.until(window); len(r.tx) != 1 || r.tx[0].At != 0 {
		t.Errorf("%d frames sent", len(r.tx))
	}
}

// What tells of moments counts only if it is secured, from a child that sleeps.
func TestCSLIsBelieved(t *testing.T) {
	for name, x := range map[string]struct {
		change func(r *rig, f *ieee802154.Frame)
		want   bool
	}{
		"good":           {func(*rig, *ieee802154.Frame) {}, true},
		"unsecured":      {func(_ *rig, f *ieee802154.Frame) { f.Secured = false }, false},
		"short period":   {func(_ *rig, f *ieee802154.Frame) { f.HeaderIEs[0] = ieee802154.CSL{Period: 9}.IE() }, false},
		"always listens": {func(r *rig, _ *ieee802154.Frame) { r.peer.Mode = neighbor.ModeRxOnWhenIdle }, false},
	} {
		r := newRig(timingCaps)
		r.peer.Mode = 0
		f := frame(ieee802154.ShortAddr(childAddr), 5)
		f.Version, f.HeaderIEs = ieee802154.Version2015, []ieee802154.IE{ieee802154.CSL{Phase: 1, Period: 100}.IE()}
		f.CompressPAN()
		x.change(r, &f)
		psdu := f.Append(nil)
		if f.Secured {
			psdu = r.seal(f, theirs)
		}
		if r.air(psdu); len(r.got) != 1 || r.peer.CSL.Synced != x.want {
			t.Errorf("%s: %d received, %+v", name, len(r.got), r.peer.CSL)
		}
		if r.MAC.RadioDown(start); r.peer.CSL.Synced {
			t.Errorf("%s: believed, though the radio's clock is gone", name)
		}
	}
}

// A child that listens tells its parent when, in what is secured; it polls when
// there is more than fits a window.
func TestListeningChild(t *testing.T) {
	r := newRig(allCaps)
	r.table.Children = nil
	r.table.Parent = neighbor.Parent{Neighbor: neighbor.Neighbor{State: neighbor.Valid, Ext: theirs, RLOC16: 0x4400}}
	r.SetShort(0x4401)
	r.SetCSL(radio.CSL{Period: 3125})
	if r.settings.CSL.Period != 0 {
		t.Error("listens now and then, though it does always")
	}
	r.SetRxOnWhenIdle(false)
	if r.settings.CSL.Period != 3125 || r.settings.Receiving {
		t.Errorf("%+v", r.settings)
	}
	send := func(f Frame) ieee802154.Frame {
		r.direct, r.tx = []Frame{f}, nil
		r.Kick()
		w, err := ieee802154.Decode(r.tx[0].PSDU)
		if err != nil {
			t.Fatal(err)
		}
		r.MAC.Transmitted(start, radio.TxResult{Status: radio.TxOK})
		return w
	}
	f := Frame{Dst: ieee802154.ShortAddr(0x4400), Src: ieee802154.ShortAddr(0x4401), Payload: []byte("x")}
	if w := send(f); w.Version != ieee802154.Version2015 || len(w.HeaderIEs) != 1 || w.HeaderIEs[0].ID != ieee802154.HeaderIECSL {
		t.Errorf("to the parent: %+v", w)
	}
	if got, want := r.Room(&f), 127-2-9-6-4-6-2; got != want {
		t.Errorf("room for %d bytes, want %d", got, want)
	}
	f.Security, f.chosen = link.Unsecured, false
	if w := send(f); w.Version != ieee802154.Version2006 {
		t.Errorf("unsecured: %+v", w)
	}
	r.tx = nil
	d := frame(ieee802154.ShortAddr(0x4400), 3)
	d.Dst, d.Pending = ieee802154.ShortAddr(0x4401), true
	if r.air(r.seal(d, theirs)) != 1 || len(r.tx) != 1 {
		t.Fatalf("%d frames sent for more", len(r.tx))
	}
	if p, _ := ieee802154.Decode(r.tx[0].PSDU); p.Type != ieee802154.FrameCommand || p.Version != ieee802154.Version2015 {
		t.Errorf("%+v is no poll", p)
	}
}
