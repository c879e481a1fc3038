package mac

import (
	"fmt"
	"slices"
	"testing"

	"gatewayd/ieee802154"
	"gatewayd/radio"
	"gatewayd/thread/link"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/trel"
)

// overlay is TREL's place: what was given to it, and what it was told.
type overlay struct {
	up        bool
	unknown   bool // nobody is a peer
	frames    []trel.Frame
	confirmed []string
}

func (o *overlay) Up() bool { return o.up }
func (o *overlay) Send(f trel.Frame) bool {
	o.frames = append(o.frames, f)
	return !o.unknown
}
func (o *overlay) Confirm(ext ieee802154.ExtAddr, fresh bool) {
	o.confirmed = append(o.confirmed, fmt.Sprint(ext, fresh))
}

func newOverlaid(t *testing.T) (*rig, *overlay) {
	t.Helper()
	r, o := newRig(allCaps), &overlay{up: true}
	r.Overlay = o
	return r, o
}

// send has the MAC send a frame to the peer, as a source does that asks by what.
func (r *rig) send(f Frame) {
	r.Choose(&f, 0)
	r.direct = append(r.direct, f)
	r.Kick()
}

// answer ends what the radio transmits.
func (r *rig) answer(s radio.TxStatus) {
	r.tx = r.tx[:0]
	r.MAC.Transmitted(r.clock.Now(), radio.TxResult{Status: s})
}

var (
	toPeer = Frame{Dst: ieee802154.ShortAddr(childAddr), Src: ieee802154.ShortAddr(ourShort), Payload: []byte("data")}
	toAll  = Frame{Dst: ieee802154.ShortAddr(ieee802154.BroadcastShort), Src: ieee802154.ShortAddr(ourShort), Payload: []byte("data")}
)

// By what a frame goes, for each state of its destination.
func TestChoice(t *testing.T) {
	const both, air, over = "both", "air", "TREL"
	good := func(l *neighbor.Links, radios ...link.Radio) {
		for _, r := range radios {
			for range 3 {
				l.Heard(r)
			}
		}
	}
	for _, tt := range []struct {
		name    string
		prepare func(r *rig, o *overlay)
		frame   Frame
		want    string
	}{
		{"for all", func(*rig, *overlay) {}, toAll, both},
		{"nothing known", func(*rig, *overlay) {}, toPeer, both},
		{"nobody we know", func(r *rig, _ *overlay) { r.table.Children = nil }, toPeer, both},
		{"the air is good", func(r *rig, _ *overlay) { good(&r.peer.Links, link.Air) }, toPeer, air},
		{"TREL is good", func(r *rig, _ *overlay) { good(&r.peer.Links, link.TREL) }, toPeer, over},
		{"both are good", func(r *rig, _ *overlay) { good(&r.peer.Links, link.Air, link.TREL) }, toPeer, over},
		{"TREL is down", func(r *rig, o *overlay) { good(&r.peer.Links, link.TREL); o.up = false }, toPeer, air},
		{"the radio is down", func(r *rig, _ *overlay) {
			good(&r.peer.Links, link.Air)
			r.peer.Links.Heard(link.TREL)
			r.MAC.RadioDown(r.clock.Now())
		}, toPeer, over},
	} {
		r, o := newOverlaid(t)
		tt.prepare(r, o)
		r.send(tt.frame)
		got := map[[2]bool]string{{true, true}: both, {true, false}: air, {false, true}: over}[[2]bool{len(r.tx) > 0, len(o.frames) > 0}]
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A frame over TREL has TREL's key and counter, whoever encrypts for the air.
func TestSealedForTREL(t *testing.T) {
	r, o := newOverlaid(t)
	for range 3 {
		r.send(toAll)
		r.answer(radio.TxOK)
	}
	for i, f := range o.frames {
		if f.Unicast || f.AckRequest || f.Discovery || f.Channel != 15 || f.PANID != pan {
			t.Errorf("%+v", f)
		}
		d, err := ieee802154.Decode(f.Bytes)
		if err != nil || d.Security.Counter != uint32(i) || d.Open(f.Bytes, r.keys.TREL(0), ours) != nil || string(d.Payload) != "data" {
			t.Errorf("frame %d: %v %+v", i, err, d)
		}
	}
	f := toAll
	f.Security = link.Unsecured
	r.send(f)
	if last := o.frames[len(o.frames)-1]; !last.Discovery {
		t.Errorf("%+v", last)
	}
}

// What is known by TREL alone may be as long as TREL's frames.
func TestRoomOverTREL(t *testing.T) {
	r, o := newOverlaid(t)
	f := toPeer
	f.Payload = nil
	r.Choose(&f, 0)
	f.Enlarge()
	if n := r.Room(&f); n > maxPSDU {
		t.Errorf("room for %d bytes in what goes over the air, too", n)
	}
	r.peer.Links.Heard(link.TREL)
	r.Choose(&f, 0)
	f.Enlarge()
	f.Payload = slices.Repeat([]byte{1}, r.Room(&f))
	r.direct = append(r.direct, f)
	r.Kick()
	if len(o.frames) != 1 || len(o.frames[0].Bytes) != trel.MaxFrame {
		t.Fatalf("%d frames", len(o.frames))
	}
	if !slices.Equal(r.sent, []bool{true}) || len(r.tx) > 0 {
		t.Errorf("sent %v, %d over the air", r.sent, len(r.tx))
	}
}

// A frame that went by both has arrived if it did by either; a probe counts by
// the air alone.
func TestSentByBoth(t *testing.T) {
	for _, tt := range []struct {
		name     string
		unknown  bool // no peer of TREL
		probe    bool
		air      radio.TxStatus
		ok       bool
		failures int
	}{
		{"both", false, false, radio.TxOK, true, 0},
		{"TREL", false, false, radio.TxNoAck, true, 0},
		{"the air", true, false, radio.TxOK, true, 0},
		{"neither", true, false, radio.TxNoAck, false, 1},
		{"a probe, but not the air", false, true, radio.TxNoAck, false, 1},
	} {
		r, o := newOverlaid(t)
		o.unknown = tt.unknown
		f := toPeer
		f.radios, f.probe = link.AllRadios, tt.probe
		r.direct = append(r.direct, f)
		r.Kick()
		r.answer(tt.air)
		if !slices.Equal(r.sent, []bool{tt.ok}) || r.failed != tt.failures {
			t.Errorf("%s: sent %v, %d failures", tt.name, r.sent, r.failed)
		}
	}
}

// Replay is refused on each link by itself, the same frame passes on no other,
// and only what is fresh shows where its sender is.
func TestReceivedOverTREL(t *testing.T) {
	r, o := newOverlaid(t)
	f := frame(ieee802154.ShortAddr(childAddr), 5)
	over := func(psdu []byte) int {
		n := len(r.got)
		r.MAC.TRELReceived(slices.Clone(psdu), 15)
		return len(r.got) - n
	}
	good, wrong := f.Seal(r.keys.TREL(0), theirs, nil), f.Seal(r.keys.MAC(0), theirs, nil)
	for _, s := range []struct {
		what string
		got  int
		want int
	}{
		{"the air's key over TREL", over(wrong), 0},
		{"TREL's key over the air", r.air(good), 0},
		{"TREL's over TREL", over(good), 1},
		{"again", over(good), 0},
		{"the air's over the air", r.air(wrong), 1},
		{"again", r.air(wrong), 0},
	} {
		if s.got != s.want {
			t.Errorf("%s: %d handed up, want %d", s.what, s.got, s.want)
		}
	}
	if want := []string{theirs.String() + " true"}; !slices.Equal(o.confirmed, want) {
		t.Errorf("confirmed %q", o.confirmed)
	}
	if r.peer.Links.Known() != link.AllRadios {
		t.Errorf("known by %b", r.peer.Links.Known())
	}
	// Anybody on the infrastructure can send this, with any address.
	before := r.peer.Quality
	plain := f
	plain.Secured = false
	over(plain.Append(nil))
	if r.peer.Quality != before {
		t.Error("an unsecured frame changed the link's quality")
	}
}

// A neighbour that does not acknowledge over TREL counts as failing only if
// the air is no better.
func TestLostOverTREL(t *testing.T) {
	r, _ := newOverlaid(t)
	for range 4 {
		r.peer.Links.Heard(link.Air)
	}
	r.TRELAcked(theirs, false)
	if r.failed != 0 || r.peer.Failures != 0 {
		t.Errorf("%d failures although the air is good", r.failed)
	}
	r, _ = newOverlaid(t)
	r.peer.Links.Heard(link.TREL)
	r.TRELAcked(theirs, false)
	r.TRELAcked(theirs, false)
	if r.failed != 2 || r.peer.Failures != 2 {
		t.Errorf("%d failures", r.failed)
	}
	r.TRELAcked(theirs, true)
	r.TRELAcked(stranger, false)
	if r.failed != 2 || r.peer.Failures != 0 {
		t.Errorf("%d failures, %d in a row", r.failed, r.peer.Failures)
	}
}
