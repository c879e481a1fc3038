package thread_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatewayd/sim"
	"gatewayd/thread"
	"gatewayd/thread/ip"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/mle"
	"gatewayd/thread/netdata"
)

// world is a simulated mesh whose frames are watched for reused counters.
type world struct {
	*sim.World
	t       *testing.T
	audit   *sim.Audit
	dataset meshcop.Dataset
	said    []string
}

// Variables of the environment for who looks for something.
const (
	captureEnv = "GATEWAYD_CAPTURE" // a directory: tests leave their frames there
	seedEnv    = "GATEWAYD_SEED"    // a number: other worlds than the usual ones
)

// seeded is the seed of a test, or another one where the environment asks for
// it.
func seeded(t *testing.T, seed uint64) uint64 {
	t.Helper()
	v := os.Getenv(seedEnv)
	if v == "" {
		return seed
	}
	n, err := strconv.ParseUint(v, 0, 32)
	if err != nil {
		t.Fatal(err)
	}
	return seed + n<<32
}

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	w := &world{World: sim.New(seeded(t, seed), sim.Options{}), t: t}
	w.audit = w.Audit()
	if dir := os.Getenv(captureEnv); dir != "" {
		f, err := os.Create(filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "-")+".pcapng"))
		if err != nil {
			t.Fatal(err)
		}
		failed, err := w.Capture(f)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := failed(); err != nil {
				t.Error(err)
			}
			f.Close()
		})
	}
	t.Cleanup(func() {
		for _, fault := range w.audit.Faults {
			t.Error(fault)
		}
		if t.Failed() {
			for _, s := range w.said[max(0, len(w.said)-60):] {
				t.Log(s)
			}
		}
	})
	return w
}

func (w *world) at() time.Duration { return w.Now().Sub(sim.Began) }

// add adds a node whose events are shown if the test fails.
func (w *world) add(name string, kind sim.Kind, change ...func(*sim.Config)) *sim.Node {
	c := sim.Config{Name: name, Kind: kind, Log: func(e thread.Event) {
		s := fmt.Sprintf("%v %s: %s %s", w.at(), name, e.ID, e.Text)
		for _, a := range e.Attrs {
			s += fmt.Sprintf(" %s=%v", a.Key, a.Value)
		}
		if e.Err != nil {
			s += fmt.Sprintf(": %v", e.Err)
		}
		w.said = append(w.said, s)
	}}
	for _, f := range change {
		f(&c)
	}
	return w.Add(c)
}

// await lets time pass until done, and fails the test after limit.
func (w *world) await(what string, limit time.Duration, done func() bool) {
	w.t.Helper()
	began := w.Now()
	if !w.RunUntil(limit, done) {
		w.t.Fatalf("%s: not within %v", what, limit)
	}
	w.said = append(w.said, fmt.Sprintf("%v -- %s, after %v", w.at(), what, w.Now().Sub(began)))
}

// form makes a network of which n is the leader.
func (w *world) form(n *sim.Node) {
	w.t.Helper()
	d, err := meshcop.NewRandom(n.Random(), meshcop.AllChannels(), meshcop.AllChannels())
	if err != nil {
		w.t.Fatal(err)
	}
	w.dataset = d
	if os.Getenv(captureEnv) != "" {
		w.t.Logf("network key %x", d.NetworkKey.Reveal())
	}
	w.start(n)
	w.await(n.Name+" leads", 10*time.Second, func() bool { return n.MLE().Role() == mle.Leader })
}

// start gives a node the network's dataset and starts it.
func (w *world) start(n *sim.Node) {
	w.t.Helper()
	n.SetActiveDataset(&w.dataset)
	w.up(n)
}

// up starts a node that has a dataset.
func (w *world) up(n *sim.Node) {
	w.t.Helper()
	n.InterfaceUp()
	if err := n.Start(); err != nil {
		w.t.Fatalf("%s: %v", n.Name, err)
	}
}

// attach lets nodes attach that have the network's dataset.
func (w *world) attach(nodes ...*sim.Node) {
	w.t.Helper()
	for _, n := range nodes {
		if n.MLE().Mode().RxOnWhenIdle() == false {
			n.MLE().Tuning.PollPeriod = 500 * time.Millisecond
		}
		w.start(n)
	}
	for _, n := range nodes {
		w.await(n.Name+" attaches", 20*time.Second, func() bool { return n.MLE().Attached() })
	}
}

// settle gives children the time to register their addresses, and routers to
// learn of each other.
func (w *world) settle() { w.Run(5 * time.Second) }

// ping sends one echo request and returns how long the answer took.
func (w *world) ping(from *sim.Node, to netip.Addr, size int) (time.Duration, bool) {
	w.t.Helper()
	return w.pingWithin(from, to, size, 5*time.Second)
}

func (w *world) pingWithin(from *sim.Node, to netip.Addr, size int, limit time.Duration) (time.Duration, bool) {
	w.t.Helper()
	var rtt time.Duration
	var ok, ended bool
	p := &ip.Ping{Dst: to, Size: size, Count: 1, Timeout: limit,
		Reply: func(r ip.Reply) {
			if r.Size != size {
				w.t.Errorf("%s got %d bytes back of %d", from.Name, r.Size, size)
			}
			rtt, ok = r.RTT, true
		},
		Done: func(int, int) { ended = true }}
	if !from.IP().Ping(p) {
		w.t.Fatalf("%s does not ping", from.Name)
	}
	w.RunUntil(2*limit, func() bool { return ok || ended })
	w.said = append(w.said, fmt.Sprintf("%v -- %s pings %v, %d bytes: %v, %v", w.at(), from.Name, to, size, ok, rtt))
	return rtt, ok
}

// sizes are one frame, several, and an MTU of data.
var sizes = []int{16, 500, 1232}

// pings pings in both directions, at every size.
func (w *world) pings(a, b *sim.Node) {
	w.t.Helper()
	for _, size := range sizes {
		for _, x := range [][2]*sim.Node{{a, b}, {b, a}} {
			was := [2]uint16{a.MLE().RLOC16(), b.MLE().RLOC16()}
			_, ok := w.ping(x[0], x[1].MLEID(), size)
			if !ok && was != [2]uint16{a.MLE().RLOC16(), b.MLE().RLOC16()} {
				// What is on its way to a child that becomes a router is lost.
				_, ok = w.ping(x[0], x[1].MLEID(), size)
			}
			if !ok {
				w.t.Errorf("%s to %s with %d bytes: no answer", x[0].Name, x[1].Name, size)
			}
		}
	}
}

var testPrefix = netip.MustParsePrefix("fd00:1234:5678:1::/64")

// serve makes a node the border router of testPrefix.
func (w *world) serve(n *sim.Node) {
	w.t.Helper()
	flags := (netdata.FlagPreferred | netdata.FlagSLAAC | netdata.FlagOnMesh | netdata.FlagDefault).With(netdata.Medium)
	if err := n.ServePrefix(testPrefix, flags, true); err != nil {
		w.t.Fatal(err)
	}
}

// address is a node's own one in testPrefix.
func address(n *sim.Node) netip.Addr {
	for _, a := range n.IP().Addresses() {
		if a.Origin == ip.OriginSLAAC && testPrefix.Contains(a.Addr) {
			return a.Addr
		}
	}
	return netip.Addr{}
}
