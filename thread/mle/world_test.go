package mle_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"gatewayd/sim"
	"gatewayd/thread"
	"gatewayd/thread/ip"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
)

// world is a simulated mesh on virtual time, whose frames are watched for
// reused counters.
type world struct {
	*sim.World
	t       *testing.T
	dataset meshcop.Dataset
	said    []string
}

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	w := &world{World: sim.New(seed, sim.Options{}), t: t}
	audit := w.Audit()
	t.Cleanup(func() {
		for _, fault := range audit.Faults {
			t.Error(fault)
		}
		if t.Failed() {
			for _, s := range w.said[max(0, len(w.said)-80):] {
				t.Log(s)
			}
		}
	})
	return w
}

func (w *world) add(name string, kind sim.Kind) *sim.Node {
	return w.Add(sim.Config{Name: name, Kind: kind, Log: func(e thread.Event) {
		s := fmt.Sprintf("%v %s: %s %s", w.Now().Sub(sim.Began), name, e.ID, e.Text)
		for _, a := range e.Attrs {
			s += fmt.Sprintf(" %s=%v", a.Key, a.Value)
		}
		w.said = append(w.said, s)
	}})
}

// net adds nodes that all hear each other.
func (w *world) net(kinds ...sim.Kind) []*sim.Node {
	var out []*sim.Node
	for i, k := range kinds {
		out = append(out, w.add(fmt.Sprintf("%s%d", k, i), k))
	}
	w.Link(out...)
	return out
}

func (w *world) await(what string, limit time.Duration, done func() bool) time.Duration {
	w.t.Helper()
	began := w.Now()
	if !w.RunUntil(limit, done) {
		w.t.Fatalf("%s: not within %v", what, limit)
	}
	w.said = append(w.said, fmt.Sprintf("%v -- %s", w.Now().Sub(sim.Began), what))
	return w.Now().Sub(began)
}

// form makes n the leader of a new network and returns how long that took.
func (w *world) form(n *sim.Node) time.Duration {
	w.t.Helper()
	d, err := meshcop.NewRandom(n.Random(), meshcop.AllChannels(), meshcop.AllChannels())
	if err != nil {
		w.t.Fatal(err)
	}
	w.dataset = d
	w.start(n)
	return w.await(n.Name+" leads", 10*time.Second, func() bool { return n.MLE().Role() == mle.Leader })
}

// start gives nodes the network's dataset and starts them.
func (w *world) start(nodes ...*sim.Node) {
	w.t.Helper()
	for _, n := range nodes {
		n.SetActiveDataset(&w.dataset)
		w.up(n)
	}
}

func (w *world) up(n *sim.Node) {
	w.t.Helper()
	if !n.MLE().Mode().RxOnWhenIdle() {
		n.MLE().Tuning.PollPeriod = 500 * time.Millisecond
	}
	n.InterfaceUp()
	if err := n.Start(); err != nil {
		w.t.Fatalf("%s: %v", n.Name, err)
	}
}

func (w *world) attach(nodes ...*sim.Node) {
	w.t.Helper()
	w.start(nodes...)
	for _, n := range nodes {
		w.await(n.Name+" attaches", 20*time.Second, n.MLE().Attached)
	}
}

// routers lets nodes become routers soon.
func (w *world) routers(nodes ...*sim.Node) {
	w.t.Helper()
	for _, n := range nodes {
		n.MLE().Tuning.SelectionJitter = 2 * time.Second
	}
	w.attach(nodes...)
	for _, n := range nodes {
		w.await(n.Name+" is a router", time.Minute, n.MLE().Router)
	}
}

// reaches reports whether an echo request is answered. On an air with
// collisions a query for the address may get lost, and the next one has to wait.
func (w *world) reaches(from *sim.Node, to netip.Addr) bool {
	w.t.Helper()
	ok := false
	for try := 0; try < 6 && !ok; try++ {
		if try > 0 {
			w.Run(20 * time.Second)
		}
		ended := false
		from.IP().Ping(&ip.Ping{Dst: to, Size: 16, Count: 1, Timeout: 5 * time.Second,
			Reply: func(ip.Reply) { ok = true }, Done: func(int, int) { ended = true }})
		w.RunUntil(10*time.Second, func() bool { return ok || ended })
	}
	return ok
}

// connected checks that every two nodes reach each other.
func (w *world) connected(nodes ...*sim.Node) {
	w.t.Helper()
	for _, a := range nodes {
		for _, b := range nodes {
			if a != b && !w.reaches(a, b.MLEID()) {
				w.t.Errorf("%s does not reach %s", a.Name, b.Name)
			}
		}
	}
}

func child(parent, c *sim.Node) *neighbor.Child { return parent.Table().ChildByExt(c.MAC().Ext()) }
