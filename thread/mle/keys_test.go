package mle_test

import (
	"testing"
	"time"

	"gatewayd/sim"
)

// When one node moves to the next key sequence the others follow, and go on
// talking.
func TestKeyRotation(t *testing.T) {
	w := newWorld(t, 80)
	n := w.net(sim.FTD, sim.FTD, sim.MTD, sim.SED)
	w.form(n[0])
	w.routers(n[1])
	w.attach(n[2], n[3])
	w.Run(10 * time.Second)
	for want := uint32(1); want <= 2; want++ {
		for _, x := range n {
			x.Keys().SetGuard(0)
		}
		n[0].Keys().SetSequence(want)
		w.Run(time.Minute)
		w.connected(n...)
		for _, x := range n {
			if got := x.Keys().Sequence(); got != want {
				t.Errorf("%s has sequence %d, want %d", x.Name, got, want)
			}
		}
	}
}

// A device that slept through many changes of key takes the present one from
// who answers its challenge; nobody else moves it far.
func TestKeyJump(t *testing.T) {
	w := newWorld(t, 81)
	n := w.net(sim.FTD, sim.FTD, sim.MTD)
	w.form(n[0])
	n[0].Keys().SetSequence(40)
	w.attach(n[2])
	if got := n[2].Keys().Sequence(); got != 40 {
		t.Errorf("attached with sequence %d", got)
	}
	w.connected(n[0], n[2])

	// The guard: having just moved, they do not follow one more step.
	w.attach(n[1])
	n[0].Keys().SetGuard(time.Hour)
	n[1].Keys().SetGuard(time.Hour)
	n[0].Keys().SetSequence(41)
	w.Run(2 * time.Minute)
	if got := n[1].Keys().Sequence(); got != 41 {
		t.Errorf("the first step after a start was not followed: %d", got)
	}
	n[1].Keys().SetSequence(42)
	w.Run(2 * time.Minute)
	if got := n[0].Keys().Sequence(); got == 42 {
		t.Error("followed within the guard time")
	}
}
