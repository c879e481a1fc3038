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
	n := &Node{Name: c.Name, w: w, Station: w.air.Add()}
	id := n.Station.ID()
	if n.Name == "" {
		n.Name = fmt.Sprint(id)
	}
	var eui ieee802154.ExtAddr
	binary.BigEndian.PutUint64(eui[:], 0x0200_0000_0000_0000|uint64(id+1))
	c.Config.Random, c.Config.Store = w.source(id, 1), &n.Store
	var err error
	if n.Node, err = wpan.New(c.Config, w.clock.Now()); err != nil {
		return nil, err
	}
	n.timer = w.clock.NewTimer(func() { n.Do(func() { n.Node.Advance(w.clock.Now()) }) })
	n.radio = rcp.New(rcp.Config{Clock: &w.clock, Rand: rand.New(w.source(id, 2)), Port: n.Station, EUI64: eui, Version: "simulated"})
	n.Node.SetRadio(n.radio)
	n.radio.Start(w.clock.Now(), ear{n})
	w.nodes = append(w.nodes, n)
	n.touch()
	return n, nil
}

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
		n.touch()
	}
}

// ear passes what the radio reports to the node.
type ear struct{ n *Node }

func (e ear) RadioUp(now time.Time, i radio.Info) { e.n.Do(func() { e.n.Radio().RadioUp(now, i) }) }
func (e ear) RadioDown(now time.Time)             { e.n.Do(func() { e.n.Radio().RadioDown(now) }) }
func (e ear) Received(now time.Time, f radio.RxFrame) {
	e.n.Do(func() { e.n.Radio().Received(now, f) })
}
func (e ear) Transmitted(now time.Time, r radio.TxResult) {
	e.n.Do(func() { e.n.Radio().Transmitted(now, r) })
}
func (e ear) EnergyScanned(now time.Time, channel uint8, maxRSSI int8) {
	e.n.Do(func() { e.n.Radio().EnergyScanned(now, channel, maxRSSI) })
}
