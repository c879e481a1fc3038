package dataset_test

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"gatewayd/sim"
	"gatewayd/thread"
	"gatewayd/thread/ip"
	"gatewayd/thread/joining"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
	"gatewayd/thread/tmf"
)

// world is a simulated mesh whose frames are watched for reused counters.
type world struct {
	*sim.World
	t       *testing.T
	dataset meshcop.Dataset
	said    []string
	refused map[string]error // by node, the last refusal
}

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	w := &world{World: sim.New(seed, sim.Options{}), t: t, refused: map[string]error{}}
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

func (w *world) say(format string, args ...any) {
	w.said = append(w.said, fmt.Sprintf("%v ", w.Now().Sub(sim.Began))+fmt.Sprintf(format, args...))
}

func (w *world) add(name string, kind sim.Kind) *sim.Node {
	return w.Add(sim.Config{Name: name, Kind: kind, Log: func(e thread.Event) {
		w.say("%s: %s %s %v %v", name, e.ID, e.Text, e.Attrs, e.Err)
		if e.ID == "DATASET-REFUSED" {
			w.refused[name] = e.Err
		}
	}})
}

func (w *world) await(what string, limit time.Duration, done func() bool) {
	w.t.Helper()
	began := w.Now()
	if !w.RunUntil(limit, done) {
		w.t.Fatalf("%s: not within %v", what, limit)
	}
	w.say("-- %s, after %v", what, w.Now().Sub(began))
}

// captured is the active dataset of all recordings.
func captured(t *testing.T) meshcop.Dataset {
	t.Helper()
	d, err := meshcop.DecodeDataset(unhex(t, "0e080000000000010000"+"000300000f"+"4a0300000e"+"35060004001fffe0"+
		"02080001020304050607"+"0708fd000db8000a000b"+"051000112233445566778899aabbccddeeff"+
		"030c54657374204e6574776f726b"+"0102face"+"0410c3f59368445a1b6106be420a706d4cc9"+"0c0402a0f7f8"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// mesh is a network of all kinds of nodes.
type mesh struct {
	*world
	leader, router, mtd, sed *sim.Node
	nodes                    []*sim.Node
}

// newMesh makes a leader with a router and a child below that, and a sleepy
// child of either.
func newMesh(t *testing.T, seed uint64) *mesh {
	t.Helper()
	w := newWorld(t, seed)
	m := &mesh{world: w, leader: w.add("leader", sim.FTD), router: w.add("router", sim.FTD),
		mtd: w.add("mtd", sim.MTD), sed: w.add("sed", sim.SED)}
	m.nodes = []*sim.Node{m.leader, m.router, m.mtd, m.sed}
	w.Link(m.leader, m.router)
	w.Link(m.router, m.mtd, m.sed)
	w.dataset = captured(t)
	for _, n := range m.nodes {
		w.tune(n)
		w.start(n)
		w.await(n.Name+" attaches", 20*time.Second, n.MLE().Attached)
		if n.MLE().Mode().FullThread() {
			w.await(n.Name+" routes", time.Minute, n.MLE().Router)
		}
	}
	w.Run(5 * time.Second)
	return m
}

// tune makes what a test waits for happen soon.
func (w *world) tune(n *sim.Node) {
	n.MLE().Tuning.SelectionJitter = 2 * time.Second
	if !n.MLE().Mode().RxOnWhenIdle() {
		n.MLE().Tuning.PollPeriod = 500 * time.Millisecond
	}
}

func (w *world) start(n *sim.Node) {
	w.t.Helper()
	n.SetActiveDataset(&w.dataset)
	w.up(n)
}

func (w *world) up(n *sim.Node) {
	w.t.Helper()
	n.InterfaceUp()
	if err := n.Start(); err != nil {
		w.t.Fatalf("%s: %v", n.Name, err)
	}
}

// request sends a recorded request from a node to its leader and returns the
// payload of the answer.
func (w *world) request(from *sim.Node, uri string, payload []byte) []byte {
	w.t.Helper()
	var answer []byte
	done := false
	from.TMF().Send(uri, from.MLE().Locator(0xfc00), payload, tmf.Options{Source: from.RLOC()}, func(r tmf.Response, err error) {
		if err != nil {
			w.t.Errorf("%s from %s: %v", uri, from.Name, err)
		}
		answer, done = append([]byte{}, r.Payload...), true
	})
	w.await(uri+" is answered", 10*time.Second, func() bool { return done })
	return answer
}

// set sends a request to set a dataset.
func (w *world) set(from *sim.Node, uri string, s *meshcop.DatasetSet) meshcop.State {
	w.t.Helper()
	state, err := meshcop.DecodeState(w.request(from, uri, s.Append(nil)))
	if err != nil {
		w.t.Fatal(err)
	}
	return state
}

// everywhere waits until all nodes have something.
func (m *mesh) everywhere(what string, limit time.Duration, has func(n *sim.Node) bool) {
	m.t.Helper()
	for _, n := range m.nodes {
		m.await(n.Name+" has "+what, limit, func() bool { return has(n) })
	}
}

// reaches reports whether one of three echo requests is answered: the first may
// go astray while addresses are new, and an address that is asked for in vain
// is not asked for again within 15 s.
func (w *world) reaches(from *sim.Node, to netip.Addr) bool {
	w.t.Helper()
	for range 3 {
		ok, ended := false, false
		from.IP().Ping(&ip.Ping{Dst: to, Size: 16, Count: 1, Timeout: 5 * time.Second,
			Reply: func(ip.Reply) { ok = true }, Done: func(int, int) { ended = true }})
		w.RunUntil(10*time.Second, func() bool { return ok || ended })
		if ok {
			return true
		}
		w.Run(11 * time.Second)
	}
	return false
}

// connected checks that every two nodes reach each other.
func (m *mesh) connected() {
	m.t.Helper()
	for _, a := range m.nodes {
		for _, b := range m.nodes {
			if a != b && !m.reaches(a, b.MLEID()) {
				m.t.Errorf("%s does not reach %s", a.Name, b.Name)
			}
		}
	}
}

// roles are what the nodes are and how often they changed it.
func (m *mesh) roles() string {
	s := ""
	for _, n := range m.nodes {
		s += fmt.Sprintf("%s %v %04x %d; ", n.Name, n.MLE().Role(), n.MLE().RLOC16(), n.MLE().Counters().Detached)
	}
	return s
}

// commissioner makes a node the commissioner and returns its session.
func (w *world) commissioner(n *sim.Node) uint16 {
	w.t.Helper()
	if err := n.Commissioner().Start(); err != nil {
		w.t.Fatal(err)
	}
	w.await("commissioner", 10*time.Second, func() bool { return n.Commissioner().State() == joining.Active })
	return n.Commissioner().SessionID()
}

func named(name string) func(n *sim.Node) bool {
	return func(n *sim.Node) bool { return n.Datasets().Active().NetworkName == name }
}

func isOn(channel uint16) func(n *sim.Node) bool {
	return func(n *sim.Node) bool {
		return n.Datasets().Active().Channel.Number == channel && n.MAC().Channel() == uint8(channel)
	}
}

func hasPending(n *sim.Node) bool { return n.Datasets().Pending() != nil }

func isLeader(n *sim.Node) bool { return n.MLE().Role() == mle.Leader }
