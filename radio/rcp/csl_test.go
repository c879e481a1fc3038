package rcp

import (
	"testing"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/radio"
)

// withCSL is a frame of version 2015 with an element for the radio to fill in.
func withCSL(f ieee802154.Frame) ieee802154.Frame {
	f.Version = ieee802154.Version2015
	f.HeaderIEs = []ieee802154.IE{ieee802154.CSL{}.IE()}
	f.CompressPAN()
	return f
}

// A sleeping radio hears every frame that is sent at the moments which its last
// frame or acknowledgement told of, and nothing in between.
func TestCSLReceiver(t *testing.T) {
	const period = 625 // 100 ms
	w := newWorld(t, 1, nil)
	parent, child := w.add(), w.add()
	child.reconfigure(func(s *radio.Settings) {
		s.Receiving = false
		s.CSL = radio.CSL{Period: period}
	})
	child.send(withCSL(secured(data(1, 0, 1, 5))))
	w.runUntil(func() bool { return len(parent.rx) == 1 && len(child.tx) == 1 })
	if r := child.tx[0]; r.Status != radio.TxOK || !r.HeaderSet {
		t.Fatalf("%+v", r)
	}
	f, err := ieee802154.Decode(parent.rx[0].PSDU)
	if err != nil {
		t.Fatal(err)
	}
	heard := parent.rx[0].Timestamp
	told, ok := f.CSL()
	if !ok || told.Period != period || told.Phase >= period {
		t.Fatalf("told %+v, %v", told, ok)
	}
	if f.Open(parent.rx[0].PSDU, ieee802154.NewCCM(testKeys.Current), extOf(1)) != nil {
		t.Error("the element was filled in after the frame was secured")
	}
	for i := range 200 {
		w.run(time.Duration(37*i%211) * time.Millisecond)
		now, _ := parent.Clock(w.clock.Now())
		const unit = uint64(radio.CSLUnit / time.Microsecond)
		at := heard + uint64(told.Phase)*unit
		for at < now+2000 {
			at += period * unit
		}
		tx := txFrame(secured(data(0, 1, uint8(10+i), 90)))
		tx.CSMA, tx.MaxRetries, tx.At = false, 0, at-uint64(radio.SHR/time.Microsecond)
		if i%4 == 3 {
			tx.At += 50_000 // between two windows
		}
		f, _ := ieee802154.Decode(tx.PSDU)
		f.Version = ieee802154.Version2015
		tx.PSDU = f.Append(nil)
		n, got := len(parent.tx), len(child.rx)
		parent.Transmit(w.clock.Now(), tx)
		w.runUntil(func() bool { return len(parent.tx) > n })
		r := parent.tx[n]
		if i%4 == 3 {
			if len(child.rx) != got || r.Status != radio.TxNoAck {
				t.Fatalf("frame %d was heard between the windows", i)
			}
			continue
		}
		if len(child.rx) != got+1 || r.Status != radio.TxOK {
			t.Fatalf("frame %d: %v", i, r.Status)
		}
		ack, err := ieee802154.Decode(r.Ack.PSDU)
		if err != nil {
			t.Fatal(err)
		}
		if told, ok = ack.CSL(); !ok || told.Period != period {
			t.Fatalf("acknowledgement %d tells %+v, %v", i, told, ok)
		}
		heard = r.Ack.Timestamp
	}
	child.reconfigure(func(s *radio.Settings) { s.CSL = radio.CSL{} })
	if child.csl.timer.Running() || child.csl.open {
		t.Error("still listens when that was ended")
	}
}

// The longer ago the parent was told, the longer the radio listens; never for
// more than the period.
func TestCSLMargins(t *testing.T) {
	w := newWorld(t, 1, nil)
	n := w.add()
	n.reconfigure(func(s *radio.Settings) {
		s.CSL = radio.CSL{Period: 6250, ParentAccuracy: 20, ParentUncertain: 5} // 1 s
	})
	ahead, after := n.margins()
	// 50 us for what the parent is uncertain, 20 for its drift in a period.
	if want := cslAhead + 70*time.Microsecond; ahead != want || after != cslAfter+70*time.Microsecond {
		t.Errorf("%v ahead and %v after, want %v", ahead, after, want)
	}
	w.run(100 * time.Second)
	if ahead, _ := n.margins(); ahead < cslAhead+2*time.Millisecond || ahead > cslAhead+2200*time.Microsecond {
		t.Errorf("%v ahead after 100 s", ahead)
	}
	n.reconfigure(func(s *radio.Settings) { s.CSL.Period = 20 })
	if ahead, after := n.margins(); ahead.Round(time.Microsecond) != cslAhead+50*time.Microsecond || after != 1600*time.Microsecond {
		t.Errorf("%v ahead and %v after in a period of 3.2 ms", ahead, after)
	}
}
