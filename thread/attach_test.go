package thread_test

import (
	"testing"
	"time"

	"gatewayd/sim"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
)

// A network begins with one node, which leads it soon.
func TestLeaderForms(t *testing.T) {
	w := newWorld(t, 1)
	a := w.add("leader", sim.FTD)
	w.form(a)
	if took := w.at(); took > 8*time.Second {
		t.Errorf("leader after %v", took)
	}
	if !neighbor.IsRouterRLOC16(a.MLE().RLOC16()) {
		t.Errorf("leader with RLOC16 %04x", a.MLE().RLOC16())
	}
	if _, ok := w.ping(a, a.RLOC(), 16); !ok {
		t.Error("does not answer itself")
	}
}

// Every kind of device attaches to the leader and both ping each other.
func TestAttach(t *testing.T) {
	for _, radio := range []string{"plain", "spinel"} {
		for _, kind := range []sim.Kind{sim.FTD, sim.MTD, sim.SED} {
			t.Run(radio+"/"+kind.String(), func(t *testing.T) {
				w := newWorld(t, 2)
				spinel := func(c *sim.Config) { c.Spinel = radio == "spinel" }
				a, b := w.add("leader", sim.FTD, spinel), w.add("device", kind, spinel)
				w.Link(a, b)
				w.form(a)
				w.attach(b)
				if b.MLE().Role() != mle.Child || b.Table().Parent.RLOC16 != a.MLE().RLOC16() {
					t.Fatalf("%v of %04x", b.MLE().Role(), b.Table().Parent.RLOC16)
				}
				w.settle()
				w.pings(a, b)
				if _, ok := w.ping(a, b.RLOC(), 16); !ok {
					t.Error("the child's locator does not answer")
				}
				if _, ok := w.ping(a, b.MLE().LinkLocal(), 16); !ok {
					t.Error("the child's link-local address does not answer")
				}
			})
		}
	}
}

// A full Thread device becomes a router by itself while there are few.
func TestChildBecomesRouter(t *testing.T) {
	w := newWorld(t, 3)
	a, b := w.add("leader", sim.FTD), w.add("router", sim.FTD)
	w.Link(a, b)
	w.form(a)
	w.attach(b)
	w.await("router id", 4*time.Minute, func() bool { return b.MLE().Role() == mle.Router })
	w.settle()
	w.pings(a, b)
	if len(a.Table().Children) != 0 {
		t.Errorf("the leader still has %d children", len(a.Table().Children))
	}
}

// Datagrams go over four hops; the routers find out how.
func TestLine(t *testing.T) {
	w := newWorld(t, 4)
	nodes := []*sim.Node{w.add("leader", sim.FTD), w.add("r1", sim.FTD), w.add("r2", sim.FTD), w.add("r3", sim.FTD), w.add("end", sim.MTD)}
	w.Line(nodes...)
	w.form(nodes[0])
	for _, n := range nodes[1:] {
		w.start(n)
	}
	w.await("the whole line", 10*time.Minute, func() bool {
		for _, n := range nodes[:4] {
			if n.MLE().Role() < mle.Router {
				return false
			}
		}
		return nodes[4].MLE().Attached()
	})
	w.Run(time.Minute)
	w.pings(nodes[0], nodes[4])
	w.pings(nodes[1], nodes[3])
	for _, n := range nodes {
		if n.MLE().Partition() != nodes[0].MLE().Partition() {
			t.Errorf("%s is in another partition", n.Name)
		}
	}
}

// Devices give themselves addresses in the prefix that a border router serves,
// and give them up after it is withdrawn.
func TestAddressesOnAPrefix(t *testing.T) {
	w := newWorld(t, 5)
	a := w.add("leader", sim.FTD)
	devices := []*sim.Node{w.add("ftd", sim.FTD), w.add("mtd", sim.MTD), w.add("sed", sim.SED)}
	w.Link(append(devices, a)...)
	w.form(a)
	w.serve(a)
	w.attach(devices...)
	for _, n := range devices {
		w.await(n.Name+" has an address", 10*time.Second, func() bool { return address(n).IsValid() })
	}
	w.settle()
	for _, n := range devices {
		for _, size := range sizes {
			if _, ok := w.ping(a, address(n), size); !ok {
				t.Errorf("%s does not answer at its own address, %d bytes", n.Name, size)
			}
			if _, ok := w.ping(n, address(a), size); !ok {
				t.Errorf("the leader does not answer %s at its own address, %d bytes", n.Name, size)
			}
		}
	}
	if !a.WithdrawPrefix(testPrefix) {
		t.Fatal("the prefix was not served")
	}
	w.Run(6 * time.Minute)
	for _, n := range append(devices, a) {
		if address(n).IsValid() {
			t.Errorf("%s keeps %v", n.Name, address(n))
		}
	}
}
