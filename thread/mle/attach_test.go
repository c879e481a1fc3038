package mle_test

import (
	"testing"
	"time"

	"gatewayd/sim"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
)

// A network is formed by its first device 6.5 s after that begins to look for
// another one: after two requests to routers and four to all.
func TestFormNetwork(t *testing.T) {
	w := newWorld(t, 1)
	a := w.add("a", sim.FTD)
	if took := w.form(a); took < 6500*time.Millisecond || took > 7300*time.Millisecond {
		t.Errorf("leader after %v", took)
	}
	m := a.MLE()
	d, ok := m.LeaderData()
	if !ok || d.LeaderID != neighbor.RouterID(m.RLOC16()) || d.Weight != 64 || d.Partition != m.Partition() {
		t.Errorf("leader data %+v, %v", d, ok)
	}
	for _, want := range []struct {
		addr string
		have bool
	}{
		{m.LinkLocal().String(), a.IP().Has(m.LinkLocal())},
		{"ML-EID", a.IP().Has(m.MLEID())},
		{"RLOC", a.IP().Has(m.RLOC())},
		{"leader ALOC", a.IP().Has(m.Locator(0xfc00))},
	} {
		if !want.have {
			t.Errorf("without address %s", want.addr)
		}
	}
	if !m.Singleton() || m.PathCost(m.RLOC16()) != 0 {
		t.Errorf("singleton %v, cost to itself %d", m.Singleton(), m.PathCost(m.RLOC16()))
	}
}

// Devices of every kind become children, with what a child must know.
func TestAttach(t *testing.T) {
	for _, kind := range []sim.Kind{sim.FTD, sim.MTD, sim.SED} {
		t.Run(kind.String(), func(t *testing.T) {
			w := newWorld(t, 2)
			n := w.net(sim.FTD, kind)
			a, b := n[0], n[1]
			w.form(a)
			b.MLE().Tuning.SelectionJitter = time.Hour
			w.start(b)
			if took := w.await("attached", 5*time.Second, b.MLE().Attached); took > 3*time.Second {
				t.Errorf("attached after %v", took)
			}
			w.Run(2 * time.Second)
			c := child(a, b)
			if c == nil || c.State != neighbor.Valid || c.RLOC16 != b.MLE().RLOC16() || c.Mode != b.MLE().Mode() || c.Version != mle.Version {
				t.Fatalf("the parent has %+v", c)
			}
			if neighbor.RouterID(c.RLOC16) != neighbor.RouterID(a.MLE().RLOC16()) || neighbor.ChildID(c.RLOC16) == 0 {
				t.Errorf("short address %04x", c.RLOC16)
			}
			if kind != sim.FTD && (len(c.Addresses) == 0 || c.Addresses[0] != b.MLEID()) {
				t.Errorf("registered %v, has %v", c.Addresses, b.MLEID())
			}
			if b.MLE().Partition() != a.MLE().Partition() || b.MLE().DataVersion() != a.MLE().DataVersion() {
				t.Error("does not know its partition")
			}
			if hop, ok := b.MLE().NextHop(0x1234); !ok || hop != a.MLE().RLOC16() {
				t.Errorf("next hop %04x, %v", hop, ok)
			}
			if hop, ok := a.MLE().NextHop(c.RLOC16); !ok || hop != c.RLOC16 {
				t.Errorf("the parent's next hop to it is %04x, %v", hop, ok)
			}
			w.connected(a, b)
		})
	}
}

// A full device becomes a router when the leader has few; then its former
// parent has it as a neighbour and not as a child.
func TestBecomeRouter(t *testing.T) {
	w := newWorld(t, 3)
	n := w.net(sim.FTD, sim.FTD)
	a, b := n[0], n[1]
	w.form(a)
	w.attach(b)
	took := w.await("router", 130*time.Second, b.MLE().Router)
	if took < time.Second {
		t.Errorf("router after %v, without jitter", took)
	}
	w.Run(3 * time.Second)
	if child(a, b) != nil {
		t.Error("still a child of the leader")
	}
	for _, x := range [][2]*sim.Node{{a, b}, {b, a}} {
		r := x[0].Table().Router(neighbor.RouterID(x[1].MLE().RLOC16()))
		if r == nil || r.State != neighbor.Valid || r.Ext != x[1].MAC().Ext() || r.QualityOut != 3 {
			t.Errorf("%s knows of %s: %+v", x[0].Name, x[1].Name, r)
		}
		if c := x[0].MLE().PathCost(x[1].MLE().RLOC16()); c != 1 {
			t.Errorf("cost %d", c)
		}
	}
	w.connected(a, b)
}

// A child whose parent goes away finds another, even one that has to become a
// router for it.
func TestParentGoesAway(t *testing.T) {
	w := newWorld(t, 4)
	a, r, reed, c := w.add("a", sim.FTD), w.add("r", sim.FTD), w.add("reed", sim.FTD), w.add("c", sim.MTD)
	w.Link(a, r, reed)
	w.Link(r, c)
	w.Link(reed, c)
	reed.MLE().Tuning.SelectionJitter = time.Hour
	w.form(a)
	w.routers(r)
	w.attach(reed)
	w.attach(c)
	if child(r, c) == nil {
		t.Fatal("not a child of the router")
	}
	r.Kill()
	w.await("a new parent", 10*time.Minute, func() bool { return reed.MLE().Router() && child(reed, c) != nil && c.MLE().Attached() })
	w.connected(a, c)
	if n := c.MLE().Counters().ParentChanges; n != 1 {
		t.Errorf("%d changes of parent", n)
	}
}

// A device with another network key gets no answer and forms its own network.
func TestWrongKey(t *testing.T) {
	w := newWorld(t, 5)
	n := w.net(sim.FTD, sim.FTD, sim.MTD)
	w.form(n[0])
	d := w.dataset.Clone()
	d.NetworkKey[3] ^= 1
	w.dataset = d
	w.start(n[1], n[2])
	w.Run(time.Minute)
	if n[1].MLE().Role() != mle.Leader || n[1].MLE().Partition() == n[0].MLE().Partition() {
		t.Errorf("%v of %08x", n[1].MLE().Role(), n[1].MLE().Partition())
	}
	if p := &n[2].Table().Parent; !n[2].MLE().Attached() || p.Ext != n[1].MAC().Ext() {
		t.Errorf("child of %v", p.Ext)
	}
	if got := n[0].MLE().Counters().Refused[mle.RefusedMIC]; got == 0 {
		t.Error("nothing refused")
	}
	if len(n[0].Table().Children) != 0 {
		t.Error("has a child")
	}
}

// A mode that is changed on the fly reaches the parent.
func TestModeChange(t *testing.T) {
	w := newWorld(t, 6)
	n := w.net(sim.FTD, sim.SED)
	a, b := n[0], n[1]
	w.form(a)
	w.attach(b)
	rloc16 := b.MLE().RLOC16()
	for _, mode := range []neighbor.Mode{neighbor.ModeRxOnWhenIdle | neighbor.ModeFullNetworkData, neighbor.ModeFullNetworkData, 0} {
		if err := b.MLE().SetMode(mode); err != nil {
			t.Fatal(err)
		}
		w.Run(3 * time.Second)
		if c := child(a, b); c == nil || c.State != neighbor.Valid || c.Mode != b.MLE().Mode() {
			t.Errorf("mode %v: the parent has %+v", mode, c)
		}
		if b.MLE().RLOC16() != rloc16 {
			t.Errorf("mode %v: attached anew", mode)
		}
		w.connected(a, b)
	}
	if err := b.MLE().SetMode(neighbor.ModeFullThread | neighbor.ModeRxOnWhenIdle); err == nil && b.MLE().Mode().FullThread() {
		w.await("as a full device", 10*time.Second, func() bool {
			c := child(a, b)
			return c != nil && c.State == neighbor.Valid && c.Mode.FullThread()
		})
	}
}
