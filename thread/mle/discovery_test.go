package mle_test

import (
	"errors"
	"testing"
	"time"

	"gatewayd/sim"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
)

// A device without a network finds those around, on every channel, in 300 ms
// for each; the network's own devices go on meanwhile.
func TestDiscover(t *testing.T) {
	w := newWorld(t, 60)
	n := w.net(sim.FTD, sim.FTD, sim.FTD, sim.MTD)
	w.form(n[0])
	first := w.dataset
	w.form(n[1])
	x := n[3]
	x.InterfaceUp()
	var found []mle.DiscoverResult
	done := false
	began := w.Now()
	if err := x.MLE().Discover(mle.DiscoverOptions{}, func(r mle.DiscoverResult) { found = append(found, r) }, func() { done = true }); err != nil {
		t.Fatal(err)
	}
	if err := x.MLE().Discover(mle.DiscoverOptions{}, nil, nil); !errors.Is(err, mle.ErrBusy) {
		t.Errorf("a second one: %v", err)
	}
	w.await("end", 10*time.Second, func() bool { return done })
	if took := w.Now().Sub(began); took < 16*300*time.Millisecond || took > 5200*time.Millisecond {
		t.Errorf("took %v", took)
	}
	// Each channel is asked once, so a second look may be needed.
	done = false
	if err := x.MLE().Discover(mle.DiscoverOptions{}, func(r mle.DiscoverResult) { found = append(found, r) }, func() { done = true }); err != nil {
		t.Fatal(err)
	}
	w.await("end", 10*time.Second, func() bool { return done })
	want := map[string]meshcop.Dataset{first.ExtPANID.String(): first, w.dataset.ExtPANID.String(): w.dataset}
	seen := map[string]bool{}
	for _, r := range found {
		d, ok := want[r.ExtPANID.String()]
		if !ok || r.NetworkName != d.NetworkName || r.PANID != *d.PANID || uint16(r.Channel) != d.Channel.Number || r.Version != meshcop.DiscoveryVersion {
			t.Errorf("found %+v", r)
		}
		seen[r.NetworkName] = true
	}
	if len(seen) != 2 {
		t.Errorf("found %v", seen)
	}

	// Nobody may join: a joiner is told nothing.
	found, done = nil, false
	if err := x.MLE().Discover(mle.DiscoverOptions{Joiner: true}, func(r mle.DiscoverResult) { found = append(found, r) }, func() { done = true }); err != nil {
		t.Fatal(err)
	}
	w.await("end", 10*time.Second, func() bool { return done })
	if len(found) != 0 {
		t.Errorf("a joiner found %+v", found)
	}

	// A device of a network looks around, too, and stays what it is.
	found, done = nil, false
	role := n[0].MLE().Role()
	if err := n[0].MLE().Discover(mle.DiscoverOptions{Channels: 1 << w.dataset.Channel.Number, Exclude: first.ExtPANID},
		func(r mle.DiscoverResult) { found = append(found, r) }, func() { done = true }); err != nil {
		t.Fatal(err)
	}
	w.await("end", time.Second, func() bool { return done })
	if len(found) != 1 || found[0].NetworkName != w.dataset.NetworkName || n[0].MLE().Role() != role {
		t.Errorf("the leader found %+v and is %v", found, n[0].MLE().Role())
	}
	w.attach(n[2])
}

// A dataset with a new channel is announced to a device that missed the
// change, which follows it there.
func TestAnnounce(t *testing.T) {
	w := newWorld(t, 61)
	n := w.net(sim.FTD, sim.FTD, sim.MTD)
	w.form(n[0])
	old := w.dataset.Clone()
	d := w.dataset.Clone()
	d.Channel.Number = 11 + (d.Channel.Number-11+5)%16
	d.ActiveTimestamp.Seconds++
	n[0].SetActiveDataset(&d)
	w.Run(time.Second)
	if n[0].MAC().Channel() != uint8(d.Channel.Number) {
		t.Fatal("the leader stays")
	}
	// Devices that know the old dataset, complete or not, look on the old
	// channel, then ask on the others.
	w.dataset = old
	w.start(n[2])
	took := w.await("found by announcing", time.Minute, n[2].MLE().Attached)
	t.Logf("attached after %v", took)
	w.Run(5 * time.Second)
	if got := n[2].Datasets().Active(); got == nil || got.Channel.Number != d.Channel.Number || *got.ActiveTimestamp != *d.ActiveTimestamp {
		t.Errorf("has dataset %+v", got)
	}
	if n[2].MAC().Channel() != uint8(d.Channel.Number) {
		t.Errorf("on channel %d", n[2].MAC().Channel())
	}
	w.connected(n[0], n[2])

	// A network of its own on the old channel comes over when it is told.
	w.start(n[1])
	w.await("leads the old one", 10*time.Second, func() bool { return n[1].MLE().Role() == mle.Leader })
	w.Run(5 * time.Second)
	n[0].MLE().SendAnnounce(uint8(old.Channel.Number))
	w.await("moved", time.Minute, func() bool {
		return n[1].MLE().Attached() && n[1].MLE().Partition() == n[0].MLE().Partition()
	})
	w.connected(n[0], n[1])
}

// A move that leads nowhere is taken back.
func TestAnnounceNowhere(t *testing.T) {
	w := newWorld(t, 62)
	n := w.net(sim.FTD, sim.MTD, sim.FTD)
	w.form(n[0])
	w.attach(n[1])
	w.Run(5 * time.Second)
	// Somebody with the network's key, on the same channel, speaks of a newer
	// dataset elsewhere and then is gone.
	d := w.dataset.Clone()
	d.Channel.Number = 11 + (d.Channel.Number-11+5)%16
	d.ActiveTimestamp.Seconds++
	n[2].SetActiveDataset(&d)
	n[2].InterfaceUp()
	w.Cut(n[2], n[0])
	if err := n[2].Start(); err != nil {
		t.Fatal(err)
	}
	n[2].MLE().SendAnnounce(uint8(w.dataset.Channel.Number))
	w.Run(100 * time.Millisecond)
	n[2].Kill()
	w.await("left", 5*time.Second, func() bool { return !n[1].MLE().Attached() })
	w.await("back", 2*time.Minute, func() bool { return n[1].MLE().Attached() })
	if n[1].MAC().Channel() != uint8(w.dataset.Channel.Number) {
		t.Errorf("on channel %d", n[1].MAC().Channel())
	}
	w.connected(n[0], n[1])
}
