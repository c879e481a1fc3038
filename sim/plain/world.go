package plain

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/radio"
	"gatewayd/radio/medium"
	"gatewayd/radio/rcp"
	"gatewayd/sim"
	"gatewayd/wpan"
)

// Began is when a world's time begins, unless told otherwise.
var Began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// World is everything there is. One goroutine owns it.
type World struct {
	clock alarm.Clock
	seed  uint64
	air   *medium.Air
	nodes []*Node
	taps  []func(medium.Sighting)
}

// New returns an empty World whose time begins at began.
func New(seed uint64, began time.Time) *World {
	w := &World{seed: seed}
	w.clock.Set(began)
	w.air = medium.New(medium.Config{Clock: &w.clock, Rand: rand.New(rand.NewPCG(seed, 0)),
		Tap: func(s medium.Sighting) {
			for _, f := range w.taps {
				f(s)
			}
		}})
	return w
}

// Now is the present time of the world.
func (w *World) Now() time.Time { return w.clock.Now() }

// Clock is the world's clock. Only Run and RunUntil advance it.
func (w *World) Clock() *alarm.Clock { return &w.clock }

// Air is the medium.
func (w *World) Air() *medium.Air { return w.air }

// Nodes are all nodes in the order they were added.
func (w *World) Nodes() []*Node { return w.nodes }

// Tap lets f see every frame when it starts.
func (w *World) Tap(f func(medium.Sighting)) { w.taps = append(w.taps, f) }

// goodRSSI is what is heard over a Link, dBm.
const goodRSSI = -60

// Link lets two stations hear each other well, but for a share of frames, 0 to
// 1, that is lost.
func (w *World) Link(a, b *medium.Station, loss float64) { w.air.Link(a, b, goodRSSI, loss) }

// Cut makes two stations deaf to each other.
func (w *World) Cut(a, b *medium.Station) { w.air.Unlink(a, b) }

// Node is a wpan.Node in a World.
type Node struct {
	*wpan.Node
	Name    string
	Station *medium.Station
	Store   sim.Store

	w     *World
	cfg   wpan.Config
	eui   ieee802154.ExtAddr
	life  uint64
	alive bool
	timer *alarm.Timer
	radio *rcp.Radio
}

// Config is a node's: that of package wpan, without what the world provides.
type Config struct {
	Name string
	wpan.Config
}

// Add adds a node that is off. Its EUI-64 is made of its number.
func (w *World) Add(c Config) (*Node, error) {
	n := &Node{Name: c.Name, w: w, cfg: c.Config, Station: w.air.Add()}
	id := n.Station.ID()
	if n.Name == "" {
		n.Name = fmt.Sprint(id)
	}
	binary.BigEndian.PutUint64(n.eui[:], 0x0200_0000_0000_0000|uint64(id+1))
	n.timer = w.clock.NewTimer(func() {
		if n.alive {
			n.Do(func() { n.Node.Advance(w.clock.Now()) })
		}
	})
	n.radio = rcp.New(rcp.Config{Clock: &w.clock, Rand: rand.New(w.source(id, 2)), Port: n.Station, EUI64: n.eui, Version: "simulated"})
	if err := n.boot(); err != nil {
		return nil, err
	}
	w.nodes = append(w.nodes, n)
	return n, nil
}

// boot makes the node of this life, off.
func (n *Node) boot() error {
	c := n.cfg
	c.Random, c.Store = n.w.source(n.Station.ID(), 1+2*n.life), &n.Store
	node, err := wpan.New(c, n.w.clock.Now())
	if err != nil {
		return err
	}
	n.Node, n.alive = node, true
	n.Node.SetRadio(n.radio)
	n.radio.Start(n.w.clock.Now(), ear{n, n.life})
	n.touch()
	return nil
}

// Kill is what a power cut does: nothing is said, nothing is stored.
func (n *Node) Kill() {
	n.alive = false
	n.life++
	n.timer.Stop()
	n.radio.Reset(n.w.clock.Now())
}

// Restart kills the node, if it lives, and starts another one on what it had
// stored. Change, if not nil, changes its configuration.
func (n *Node) Restart(change func(*wpan.Config)) error {
	if n.alive {
		n.Kill()
	}
	if change != nil {
		change(&n.cfg)
	}
	if err := n.boot(); err != nil {
		return err
	}
	n.Do(n.Node.Start)
	return nil
}

// Forget makes the node forget all that it stored, as a factory reset does.
func (n *Node) Forget() { n.Store = sim.Store{} }

// source is a node's random numbers for a purpose.
func (w *World) source(id int, stream uint64) *rand.ChaCha8 {
	var s [32]byte
	for i, v := range []uint64{w.seed, uint64(id), stream} {
		binary.BigEndian.PutUint64(s[8*i:], v)
	}
	return rand.NewChaCha8(s)
}

// Do calls f at the world's present time.
func (n *Node) Do(f func()) {
	n.Node.Clock().Set(n.w.clock.Now())
	f()
	n.touch()
}

func (n *Node) touch() {
	n.Node.Clock().Set(n.w.clock.Now())
	if at := n.Node.Deadline(); at.IsZero() {
		n.timer.Stop()
	} else if !n.timer.Running() || !n.timer.At().Equal(at) {
		n.timer.StartAt(at)
	}
}

// Run lets time pass.
func (w *World) Run(d time.Duration) { w.RunUntil(d, nil) }

// RunTo lets time pass until a moment, for a world that follows another clock.
func (w *World) RunTo(at time.Time) { w.Run(at.Sub(w.clock.Now())) }

// Deadline is when something will happen next; the zero time for never.
func (w *World) Deadline() time.Time {
	w.settle()
	return w.clock.Deadline()
}

// RunUntil lets time pass until done reports true, at most limit, and reports
// whether it did.
func (w *World) RunUntil(limit time.Duration, done func() bool) bool {
	end := w.clock.Now().Add(limit)
	w.settle()
	defer w.settle()
	for done == nil || !done() {
		at := w.clock.Deadline()
		if at.IsZero() || at.After(end) {
			w.clock.Advance(end)
			return false
		}
		w.clock.Advance(at)
	}
	return true
}

func (w *World) settle() {
	for _, n := range w.nodes {
		if n.alive {
			n.touch()
		}
	}
}

// ear passes what the radio reports to the node of one life.
type ear struct {
	n    *Node
	life uint64
}

func (e ear) tell(f func(radio.Handler)) {
	if e.n.alive && e.n.life == e.life {
		e.n.Do(func() { f(e.n.Radio()) })
	}
}

func (e ear) RadioUp(now time.Time, i radio.Info) {
	e.tell(func(h radio.Handler) { h.RadioUp(now, i) })
}
func (e ear) RadioDown(now time.Time) { e.tell(func(h radio.Handler) { h.RadioDown(now) }) }
func (e ear) Received(now time.Time, f radio.RxFrame) {
	e.tell(func(h radio.Handler) { h.Received(now, f) })
}
func (e ear) Transmitted(now time.Time, r radio.TxResult) {
	e.tell(func(h radio.Handler) { h.Transmitted(now, r) })
}
func (e ear) EnergyScanned(now time.Time, channel uint8, maxRSSI int8) {
	e.tell(func(h radio.Handler) { h.EnergyScanned(now, channel, maxRSSI) })
}
