package mac

import (
	"slices"
	"testing"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/radio"
	"gatewayd/thread/keys"
	"gatewayd/thread/link"
	"gatewayd/thread/neighbor"
)

// What an input does with a frame before it is heard, bits of its first byte.
const (
	sealKEK     = 1 // the lowest two bits: with which key it is secured
	sealNetwork = 2
	sealAnybody = 3
	fromOther   = 1 << 2 // by a stranger
	ackPending  = 1 << 3
	answerRadio = 1 << 4 // what the MAC transmits gets through
	timePasses  = 1 << 5
	byTREL      = 1 << 6
)

var joinerKEK = [16]byte{1, 2, 3}

// sealAs secures a frame in one of the ways above; what is no frame stays.
func sealAs(r *rig, how byte, psdu []byte) []byte {
	f, err := ieee802154.Decode(psdu)
	if how&3 == 0 || err != nil || f.Encrypted {
		return slices.Clone(psdu)
	}
	ext := theirs
	if how&fromOther != 0 {
		ext = stranger
	}
	f.Secured, f.Version = true, max(f.Version, ieee802154.Version2006)
	f.Security.Level, f.Security.CounterSuppressed, f.Security.ASNInNonce = ieee802154.LevelEncMIC32, false, false
	switch how & 3 {
	case sealKEK:
		f.Security.KeyIDMode = ieee802154.KeyIDImplicit
		return f.Seal(ieee802154.NewCCM(joinerKEK), ext, nil)
	case sealNetwork:
		f.Security.KeyIDMode, f.Security.KeyIndex = ieee802154.KeyIDIndex, 1
		if how&byTREL != 0 {
			return f.Seal(r.keys.TREL(0), ext, nil)
		}
		return f.Seal(r.keys.MAC(0), ext, nil)
	default:
		f.Security.KeyIDMode, f.Security.KeyIndex = ieee802154.KeyIDSource4, keys.WellKnownIndex
		return f.Seal(r.keys.WellKnown(), keys.WellKnownExt, nil)
	}
}

// Whatever is on the air, only data frames to us are handed up; those called
// secure open under the key they name, come from a neighbour that may speak
// and never twice.
func FuzzReceived(f *testing.F) {
	data := frame(ieee802154.ShortAddr(childAddr), 5)
	data.Secured = false
	plain := data.Append(nil)
	poll := data
	poll.Type, poll.Command, poll.Payload = ieee802154.FrameCommand, ieee802154.CommandDataRequest, nil
	beacon := []byte{0x03, 0x08, 7, 0xff, 0xff, 0xff, 0xff, ieee802154.CommandBeaconRequest}
	for how := range byte(4) {
		f.Add(byte(neighbor.Valid), chunk(nil, how, plain))
		f.Add(byte(neighbor.Restored), chunk(chunk(nil, how, poll.Append(nil)), how|ackPending, poll.Append(nil)))
	}
	f.Add(byte(neighbor.Valid), chunk(chunk(nil, sealNetwork, plain), sealNetwork, plain))
	f.Add(byte(neighbor.Valid), chunk(chunk(chunk(nil, sealNetwork|byTREL, plain), sealNetwork, plain), sealNetwork|byTREL, plain))
	f.Add(byte(neighbor.Invalid), chunk(nil, answerRadio, beacon))

	f.Fuzz(func(t *testing.T, state byte, in []byte) {
		r := newRig(allCaps)
		r.Beacons = true
		o := &overlay{up: true}
		r.Overlay = o
		r.keys.SetKEK(joinerKEK)
		r.peer.State = neighbor.State(state % byte(neighbor.ParentResponded+1))
		r.peer.Mode = neighbor.Mode(state & 0x0f)
		var counters [link.NumRadios][]uint32
		for len(in) > 1 {
			how, n := in[0], min(int(in[1]), len(in)-2)
			psdu := sealAs(r, how, in[2:2+n])
			in = in[2+n:]
			if how&timePasses != 0 {
				r.clock.Advance(r.clock.Now().Add(100 * time.Millisecond))
			}
			before := len(r.got)
			by := link.Air
			if how&byTREL != 0 {
				by = link.TREL
				r.MAC.TRELReceived(slices.Clone(psdu), 15)
			} else {
				r.MAC.Received(r.clock.Now(), radio.RxFrame{PSDU: slices.Clone(psdu), Channel: 15, RSSI: -50, AckedPending: how&ackPending != 0})
			}
			for _, g := range r.got[before:] {
				if g.Info.Radio != by {
					t.Fatalf("a frame over %v counts as one over %v", by, g.Info.Radio)
				}
				if c, ok := mayPass(t, r, psdu, g); ok {
					counters[by] = append(counters[by], c)
				}
			}
			if how&answerRadio != 0 && len(r.tx) > 0 {
				r.tx = r.tx[:0]
				r.MAC.Transmitted(r.clock.Now(), radio.TxResult{Status: radio.TxOK})
			}
		}
		for by, counters := range counters {
			if !slices.IsSorted(counters) || len(slices.Compact(slices.Clone(counters))) != len(counters) {
				t.Fatalf("replay: frames over %v with the counters %d were handed up", link.Radio(by), counters)
			}
		}
		if len(r.MAC.polled) > 1 || r.beacons > maxBeacons {
			t.Fatalf("%d children and %d beacons wait", len(r.MAC.polled), r.beacons)
		}
	})
}

// mayPass checks a frame that was handed up against what was on the air, and
// returns its counter if the network's key secured it.
func mayPass(t *testing.T, r *rig, psdu []byte, g *Received) (counter uint32, ok bool) {
	t.Helper()
	air := slices.Clone(psdu)
	f, err := ieee802154.Decode(air)
	if err != nil || f.Type != ieee802154.FrameData {
		t.Fatalf("handed up %x: %v %v", psdu, f.Type, err)
	}
	switch f.Dst.Mode {
	case ieee802154.AddrShort:
		ok = f.Dst.Short == ourShort || f.Dst.IsBroadcast()
	case ieee802154.AddrExtended:
		ok = f.Dst.Ext == ours
	default:
		ok = true
	}
	if f.Dst.Mode != ieee802154.AddrNone && f.DstPAN != pan && f.DstPAN != ieee802154.BroadcastPAN || !ok {
		t.Fatalf("handed up %x, for %v in %04x", psdu, f.Dst, f.DstPAN)
	}
	mode := f.Security.KeyIDMode
	if g.Info.Secured != (f.Secured && mode <= ieee802154.KeyIDIndex) {
		t.Fatalf("%x called secure: %t", psdu, g.Info.Secured)
	}
	if !f.Secured {
		return 0, false
	}
	key, ext := r.keys.WellKnown(), keys.WellKnownExt
	switch mode {
	case ieee802154.KeyIDImplicit:
		key, ext = ieee802154.NewCCM(joinerKEK), f.Src.Ext
	case ieee802154.KeyIDIndex:
		if g.Neighbor != &r.peer.Neighbor || r.peer.State != neighbor.Valid {
			t.Fatalf("%x from a neighbour in state %v", psdu, r.peer.State)
		}
		seq, _ := r.keys.SequenceOf(f.Security.KeyIndex)
		key, ext = r.keys.MAC(seq), theirs
		if g.Info.Radio == link.TREL {
			key = r.keys.TREL(seq)
		}
	}
	if err := f.Open(air, key, ext); err != nil {
		t.Fatalf("%x: %v", psdu, err)
	}
	return f.Security.Counter, mode == ieee802154.KeyIDIndex && f.Security.Counter != ^uint32(0)
}

// chunk appends a frame to an input.
func chunk(b []byte, how byte, psdu []byte) []byte {
	return append(append(b, how, byte(len(psdu))), psdu...)
}
