package inventory_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/sim"
	"gatewayd/thread/inventory"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
	"gatewayd/thread/netdata"
)

const flags = netdata.FlagOnMesh | netdata.FlagSLAAC | netdata.FlagPreferred

var first, second = netip.MustParsePrefix("fd11:22::/64"), netip.MustParsePrefix("fd33:44::/64")

// mesh is a line of routers A, B, C, and a sleepy child of C.
func mesh(t *testing.T) (w *sim.World, nodes []*sim.Node) {
	t.Helper()
	w = sim.New(7, sim.Options{Ideal: true})
	var dataset meshcop.Dataset
	for i, kind := range []sim.Kind{sim.FTD, sim.FTD, sim.FTD, sim.SED} {
		n := w.Add(sim.Config{Name: string(rune('A' + i)), Kind: kind})
		if nodes = append(nodes, n); i == 0 {
			d, err := meshcop.NewRandom(n.Random(), meshcop.AllChannels(), meshcop.MaskOf(1<<15))
			if err != nil {
				t.Fatal(err)
			}
			dataset = d
		} else {
			w.Line(nodes[i-1:]...)
		}
		d := dataset
		n.SetActiveDataset(&d)
		n.MLE().Tuning.SelectionJitter = time.Second
		n.InterfaceUp()
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
		role := []mle.Role{mle.Leader, mle.Router, mle.Router, mle.Child}[i]
		await(t, w, n.Name+" attached", func() bool { return n.MLE().Role() == role })
	}
	if err := nodes[3].MLE().SetPollPeriod(500 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if err := nodes[0].ServePrefix(first, flags, true); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		await(t, w, n.Name+" has an address", func() bool { return address(n, first).IsValid() })
	}
	return w, nodes
}

func await(t *testing.T, w *sim.World, what string, done func() bool) {
	t.Helper()
	if !w.RunUntil(2*time.Minute, done) {
		t.Fatal("waited in vain: " + what)
	}
}

func address(n *sim.Node, p netip.Prefix) netip.Addr {
	for _, a := range n.IP().Addresses() {
		if p.Contains(a.Addr) {
			return a.Addr
		}
	}
	return netip.Addr{}
}

func find(n *sim.Node, id ieee802154.ExtAddr) (inventory.Device, bool) {
	list := n.Inventory().Devices()
	i := slices.IndexFunc(list, func(d inventory.Device) bool { return d.EUI64 == id })
	if i < 0 {
		return inventory.Device{}, false
	}
	return list[i], true
}

// knows reports whether A knows an address to be a device's.
func knows(a, device *sim.Node, p netip.Prefix) func() bool {
	return func() bool {
		d, ok := find(a, device.EUI64())
		return ok && slices.Contains(d.Addresses, address(device, p)) && d.RLOC16 == device.MLE().RLOC16()
	}
}

// Every device is found, however far and however asleep, with all its addresses
// and with those that it gets later, as soon as it uses one.
func TestFound(t *testing.T) {
	w, nodes := mesh(t)
	a, devices := nodes[0], nodes[1:]
	if w.Run(20 * time.Second); len(a.Inventory().Devices()) != 0 {
		t.Fatal("it asked before it was enabled")
	}
	a.Inventory().SetEnabled(true)
	for _, n := range devices {
		await(t, w, n.Name+" is found", knows(a, n, first))
	}
	for _, n := range devices {
		d, _ := find(a, n.EUI64())
		if len(d.Addresses) != 2 || !slices.Contains(d.Addresses, n.MLEID()) {
			t.Errorf("%s: %v", n.Name, d.Addresses)
		}
	}

	if err := a.ServePrefix(second, flags, true); err != nil {
		t.Fatal(err)
	}
	for _, n := range devices {
		await(t, w, n.Name+" has another address", func() bool { return address(n, second).IsValid() })
	}
	w.Run(30 * time.Second)
	for _, n := range devices {
		if knows(a, n, second)() {
			t.Errorf("%s was asked for nothing", n.Name)
		}
		// As when it speaks to A.
		s := address(n, second)
		if n == nodes[3] {
			a.Addr().Heard(s, nodes[2].MLE().RLOC16(), true)
		} else {
			a.Addr().Heard(s, n.MLE().RLOC16(), true)
		}
		a.Inventory().Seen(s)
		began := w.Now()
		await(t, w, n.Name+"'s other address", knows(a, n, second))
		if took := w.Now().Sub(began); took > 5*time.Second {
			t.Errorf("%s: %v", n.Name, took)
		}
	}

	a.Inventory().SetEnabled(false)
	if len(a.Inventory().Devices()) != 0 {
		t.Error("it remembers")
	}
}

// A device that is gone is forgotten, in time; and what is nobody's does no harm.
func TestForgotten(t *testing.T) {
	w, nodes := mesh(t)
	a, c := nodes[0], nodes[2]
	a.Inventory().SetEnabled(true)
	await(t, w, "C is found", knows(a, c, first))
	strange := first.Addr()
	for range 1000 {
		strange = strange.Next()
		a.Inventory().Seen(strange)
	}
	c.Stop()
	c.InterfaceDown()
	w.Run(50 * time.Minute)
	if _, ok := find(a, c.EUI64()); !ok {
		t.Error("forgotten before its time")
	}
	w.Run(25 * time.Minute)
	if d, ok := find(a, c.EUI64()); ok {
		t.Errorf("after an hour and more: %+v", d)
	}
	if _, ok := find(a, nodes[1].EUI64()); !ok {
		t.Error("B is forgotten")
	}
}
