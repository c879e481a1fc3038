package sim

import (
	"math/rand/v2"
	"sort"
	"time"

	"gatewayd/alarm"
	"gatewayd/radio/medium"
)

// Began is when every world begins.
var Began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Options are what a World is like. The zero value is an air with its noise
// and collisions.
type Options struct {
	Began time.Time // the zero time is the package's Began
	// Ideal, Noise, Exponent and Shadowing are the air's: see medium.Config.
	Ideal                      bool
	Noise, Exponent, Shadowing float64
}

// World is everything there is. One goroutine owns it.
type World struct {
	clock alarm.Clock
	began time.Time
	seed  uint64
	air   *medium.Air
	nodes []*Node
	taps  []func(medium.Sighting)
}

// New returns an empty World.
func New(seed uint64, o Options) *World {
	if o.Began.IsZero() {
		o.Began = Began
	}
	w := &World{seed: seed, began: o.Began}
	w.clock.Set(o.Began)
	w.air = medium.New(medium.Config{
		Clock: &w.clock, Rand: rand.New(rand.NewPCG(seed, 0)),
		Ideal: o.Ideal, Noise: o.Noise, Exponent: o.Exponent, Shadowing: o.Shadowing,
		Tap: func(s medium.Sighting) {
			for _, f := range w.taps {
				f(s)
			}
		},
	})
	return w
}

// Now is the present time of the world.
func (w *World) Now() time.Time { return w.clock.Now() }

// Clock is the world's clock, for what a test wants to happen at a time. Only
// Run and RunUntil advance it.
func (w *World) Clock() *alarm.Clock { return &w.clock }

// Air is the medium.
func (w *World) Air() *medium.Air { return w.air }

// Nodes are all nodes, dead ones too, in the order they were added.
func (w *World) Nodes() []*Node { return w.nodes }

// Tap lets f see every frame when it starts.
func (w *World) Tap(f func(medium.Sighting)) { w.taps = append(w.taps, f) }

// Link lets every two of the nodes hear each other well.
func (w *World) Link(nodes ...*Node) {
	for i, a := range nodes {
		for _, b := range nodes[:i] {
			w.air.Link(a.station, b.station, goodRSSI, 0)
		}
	}
}

// Line lets each of the nodes hear the one before and the one after.
func (w *World) Line(nodes ...*Node) {
	for i := 1; i < len(nodes); i++ {
		w.Link(nodes[i-1], nodes[i])
	}
}

// Cut makes two nodes deaf to each other.
func (w *World) Cut(a, b *Node) { w.air.Unlink(a.station, b.station) }

// goodRSSI is what is heard over a Link, dBm: link quality 3.
const goodRSSI = -60

// Run lets time pass.
func (w *World) Run(d time.Duration) { w.RunUntil(d, nil) }

// RunTo lets time pass until a moment, for a world that follows another clock.
func (w *World) RunTo(at time.Time) { w.Run(at.Sub(w.clock.Now())) }

// Deadline is when something will happen next; the zero time for never.
func (w *World) Deadline() time.Time {
	w.settle()
	return w.clock.Deadline()
}

// NodeAt is the node at a station, nil if there is none.
func (w *World) NodeAt(station int) *Node {
	if i := sort.Search(len(w.nodes), func(i int) bool { return w.nodes[i].id >= station }); i < len(w.nodes) && w.nodes[i].id == station {
		return w.nodes[i]
	}
	return nil
}

// RunUntil lets time pass until done reports true, at most limit, and reports
// whether it did. done is asked after every event.
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

// settle tells all nodes the time and notes what they wait for: whoever owns
// the world may have called them.
func (w *World) settle() {
	for _, n := range w.nodes {
		n.touch()
	}
}
