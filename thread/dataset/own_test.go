package dataset_test

import (
	"errors"
	"testing"
	"time"

	"gatewayd/sim"
	"gatewayd/thread/dataset"
	"gatewayd/thread/meshcop"
)

// A node's own newer dataset goes to the leader, and by it to everybody.
func TestOwnActive(t *testing.T) {
	m := newMesh(t, 50)
	d := captured(t)
	d.ActiveTimestamp.Seconds, d.NetworkName = 5, "router's"
	m.router.SetActiveDataset(&d)
	m.everywhere("the name", 10*time.Second, named("router's"))
	if own, _ := m.router.Datasets().Own(); own != nil {
		t.Error("the router still has one of its own")
	}

	// One that would cut the others off is used by nobody before the delay.
	d.ActiveTimestamp.Seconds, d.Channel = 6, &meshcop.Channel{Number: 21}
	m.sed.SetActiveDataset(&d)
	m.everywhere("the pending dataset", 15*time.Second, hasPending)
	m.Run(20 * time.Second)
	m.everywhere("its channel", 0, isOn(15))
	m.everywhere("moved", 15*time.Second, isOn(21))
	m.connected()
}

// A node brings what it has set with it.
func TestOwnActiveAtAttach(t *testing.T) {
	m := newMesh(t, 51)
	d := captured(t)
	d.ActiveTimestamp.Seconds, d.NetworkName = 7, "brought along"
	n := m.add("guest", sim.FTD)
	m.Link(n, m.leader)
	n.SetActiveDataset(&d)
	m.up(n)
	m.nodes = append(m.nodes, n)
	m.everywhere("the name", 30*time.Second, named("brought along"))
	m.connected()
}

// Pending datasets likewise: they do not run before the leader has them.
func TestOwnPending(t *testing.T) {
	m := newMesh(t, 52)
	d := captured(t)
	d.ActiveTimestamp.Seconds, d.PendingTimestamp = 5, &meshcop.Timestamp{Seconds: 5}
	d.Channel, d.Delay = &meshcop.Channel{Number: 22}, new(uint32(1000))
	m.mtd.Datasets().SetPending(&d)
	m.everywhere("the pending dataset", 15*time.Second, hasPending)
	m.Run(20 * time.Second)
	m.everywhere("its channel", 0, isOn(15)) // the leader made it 30 s
	m.everywhere("moved", 15*time.Second, isOn(22))
	m.connected()

	// One that is older than the network's comes to nothing.
	d.Channel = &meshcop.Channel{Number: 23}
	m.mtd.Datasets().SetPending(&d)
	m.Run(2 * time.Minute)
	m.everywhere("its channel", 0, isOn(22))
}

// An updater moves the network from any node and tells when that is done.
func TestUpdate(t *testing.T) {
	for i, who := range []string{"leader", "router", "mtd", "sed"} {
		t.Run(who, func(t *testing.T) {
			m := newMesh(t, uint64(60+i))
			n := m.nodes[i].Datasets()
			var result error
			done := false
			change := meshcop.Dataset{Channel: &meshcop.Channel{Number: 24}, NetworkName: "moved", Delay: new(uint32(40_000))}
			if err := n.Update(&change, func(err error) { result, done = err, true }); err != nil {
				t.Fatal(err)
			}
			if err := n.Update(&change, nil); !errors.Is(err, dataset.ErrBusy) {
				t.Errorf("a second one: %v", err)
			}
			m.Run(30 * time.Second)
			if done || !n.Updating() {
				t.Fatalf("done already: %v", result)
			}
			m.await("done", 20*time.Second, func() bool { return done })
			if result != nil || n.Updating() {
				t.Error(result)
			}
			m.everywhere("moved", 5*time.Second, func(n *sim.Node) bool { return isOn(24)(n) && named("moved")(n) })
			m.connected()
			if err := n.Update(&change, nil); !errors.Is(err, dataset.ErrUnchanged) {
				t.Errorf("the same again: %v", err)
			}
		})
	}
}

// Of two who change the network, at most one succeeds, and the other knows.
func TestUpdateSuperseded(t *testing.T) {
	m := newMesh(t, 65)
	var results [2]error
	for i, n := range []*sim.Node{m.router, m.mtd} {
		results[i] = errors.New("not yet")
		change := meshcop.Dataset{Channel: &meshcop.Channel{Number: uint16(12 + i)}, Delay: new(uint32(30_000))}
		if err := n.Datasets().Update(&change, func(err error) { results[i] = err }); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			m.Run(time.Second)
		}
	}
	m.Run(2 * time.Minute)
	won := 0
	for i, err := range results {
		switch {
		case err == nil:
			won++
			m.everywhere("moved", 0, isOn(uint16(12+i)))
		case !errors.Is(err, dataset.ErrSuperseded) && !errors.Is(err, dataset.ErrRejected):
			t.Errorf("update %d: %v", i, err)
		}
	}
	if won != 1 {
		t.Errorf("%d of them succeeded: %v", won, results)
	}
	m.connected()
}

// What an updater does not begin, or gives up.
func TestUpdateRefused(t *testing.T) {
	m := newMesh(t, 66)
	d := m.router.Datasets()
	if err := d.Update(&meshcop.Dataset{ActiveTimestamp: &meshcop.Timestamp{Seconds: 9}}, nil); !errors.Is(err, dataset.ErrNotUpdate) {
		t.Error(err)
	}
	if err := d.Update(&meshcop.Dataset{Channel: &meshcop.Channel{Number: 15}}, nil); !errors.Is(err, dataset.ErrUnchanged) {
		t.Error(err)
	}
	var result error
	m.leader.Kill()
	if err := d.Update(&meshcop.Dataset{Channel: &meshcop.Channel{Number: 16}}, func(err error) { result = err }); err != nil {
		t.Fatal(err)
	}
	m.Run(10 * time.Second)
	d.CancelUpdate()
	if !errors.Is(result, dataset.ErrCancelled) || d.Updating() {
		t.Error(result)
	}
	if _, own := d.Own(); own != nil {
		t.Error("it is still offered")
	}
	m.mtd.Stop()
	if err := m.mtd.Datasets().Update(&meshcop.Dataset{Channel: &meshcop.Channel{Number: 16}}, nil); !errors.Is(err, dataset.ErrDetached) {
		t.Error(err)
	}
}

// A pending dataset is revoked by one that changes nothing.
func TestRevoke(t *testing.T) {
	m := newMesh(t, 67)
	if err := m.mtd.Datasets().Revoke(nil); !errors.Is(err, dataset.ErrNoPending) {
		t.Error(err)
	}
	moved := errors.New("not yet")
	change := meshcop.Dataset{NetworkKey: &meshcop.Key{5}, Delay: new(uint32(600_000))}
	if err := m.mtd.Datasets().Update(&change, func(err error) { moved = err }); err != nil {
		t.Fatal(err)
	}
	m.everywhere("the pending dataset", 15*time.Second, hasPending)
	revoked := errors.New("not yet")
	if err := m.sed.Datasets().Revoke(func(err error) { revoked = err }); err != nil {
		t.Fatal(err)
	}
	m.await("revoked", time.Minute, func() bool { return revoked == nil })
	if !errors.Is(moved, dataset.ErrSuperseded) {
		t.Errorf("who wanted to move: %v", moved)
	}
	m.Run(11 * time.Minute)
	for _, n := range m.nodes {
		if n.Keys().NetworkKey() != m.dataset.NetworkKey.Reveal() || hasPending(n) {
			t.Errorf("%s has another key, or a pending dataset still", n.Name)
		}
	}
	m.connected()
}
