package sim

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/radio"
	"gatewayd/radio/medium"
	"gatewayd/radio/rcp"
	"gatewayd/thread"
	"gatewayd/thread/joining"
	"gatewayd/thread/neighbor"
)

// Kind is what a node can be.
type Kind uint8

// The kinds.
const (
	FTD Kind = iota // full Thread device: may become a router
	MTD             // minimal one that always listens
	SED             // sleepy end device: polls its parent
)

func (k Kind) String() string { return [...]string{"FTD", "MTD", "SED"}[k] }

// Config is a node's. Every field may be left zero.
type Config struct {
	Name string // default: its number
	Kind Kind
	// Place, in metres, links it with all nodes that have one; nil: see Link.
	Place *Place
	// Spinel puts a Spinel link and a co-processor between the node and air.
	Spinel bool
	// EUI64 is the radio's; zero is one made of the node's number.
	EUI64 ieee802154.ExtAddr
	Host  func(packet []byte)
	Log   func(thread.Event)
	// JoinerChanged and CommissionerChanged are thread.Config's.
	JoinerChanged       func(joining.Entry)
	CommissionerChanged func(joining.CommissionerState, error)
	MaxChildren         int
	KeepServed          time.Duration // thread.Config's
	ToBackbone          func(to netip.Addr, datagram []byte)
	Power               int8 // of its radio, dBm
	// Drift is by how many ppm its radio's crystal is fast. A node has its own
	// time from that too, unless there is a Spinel link between them. Accuracy
	// is what it says of itself, ppm.
	Drift    float64
	Accuracy uint8
	// TREL connects the node to the world's infrastructure link, too.
	TREL bool
}

// Place is where a node is, in metres.
type Place struct{ X, Y float64 }

// Node is a thread.Node in a World. Between two Runs its methods may be called
// freely; what happens in the middle of one, by a timer or a tap, must go
// through Do.
type Node struct {
	// Node is the present one: Restart replaces it. It is not nil while the
	// node is dead, but nothing reaches it.
	*thread.Node
	Name  string
	Store Store

	w       *World
	id      int
	cfg     Config
	life    uint64 // counts starts; 0: none yet
	alive   bool
	station *medium.Station
	timer   *alarm.Timer
	crystal *crystal   // of the radio; nil if it does not drift
	radio   *rcp.Radio // without Spinel
	line    *Line      // with
	lan     *lanPort   // with TREL
}

// Add adds a node, alive, with its interface down.
func (w *World) Add(c Config) *Node {
	n := &Node{w: w, cfg: c, Name: c.Name, station: w.air.Add()}
	n.id = n.station.ID()
	if n.Name == "" {
		n.Name = fmt.Sprint(n.id)
	}
	w.nodes = append(w.nodes, n)
	if c.Place != nil {
		n.station.Place(c.Place.X, c.Place.Y)
	}
	n.timer = w.clock.NewTimer(func() { n.Do(func() { n.Node.Advance(n.now()) }) })
	if n.cfg.EUI64 == (ieee802154.ExtAddr{}) {
		binary.BigEndian.PutUint64(n.cfg.EUI64[:], 0x0200_0000_0000_0000|uint64(n.id))
	}
	rc := rcp.Config{Clock: &w.clock, Rand: n.rand(radioStream), Port: n.station, EUI64: n.cfg.EUI64,
		Version: "simulated", Power: c.Power, CSLAccuracy: c.Accuracy}
	if c.Drift != 0 {
		n.crystal = newCrystal(w, c.Drift)
		rc.Clock, rc.Port = &n.crystal.clock, &port{Station: n.station, c: n.crystal}
	}
	if c.Spinel {
		n.line = newLine(n, rc)
	} else {
		n.radio = rcp.New(rc)
	}
	n.Restart()
	return n
}

// Streams of random numbers, one for each purpose.
const (
	nodeStream = iota + 1
	radioStream
	testStream
)

// source is the node's random numbers for a purpose: others in each life.
func (n *Node) source(stream uint64) *rand.ChaCha8 {
	var s [32]byte
	for i, v := range []uint64{n.w.seed, uint64(n.id), stream, n.life} {
		binary.BigEndian.PutUint64(s[8*i:], v)
	}
	return rand.NewChaCha8(s)
}

func (n *Node) rand(stream uint64) *rand.Rand { return rand.New(n.source(stream)) }

// Random is a source of random bytes for what a test makes for this node:
// datasets, keys.
func (n *Node) Random() *rand.ChaCha8 { return n.source(testStream) }

// ID is the station's: nodes count from 0 as long as nobody else adds stations.
func (n *Node) ID() int { return n.id }

// Station is the node's place in the air.
func (n *Node) Station() *medium.Station { return n.station }

// Line is the way to the node's co-processor; nil if it has none.
func (n *Node) Line() *Line { return n.line }

// Alive reports whether the node has power.
func (n *Node) Alive() bool { return n.alive }

// Do calls f at the world's present time, from whose clock timers may run.
func (n *Node) Do(f func()) {
	if !n.alive {
		return
	}
	n.Node.Clock().Set(n.now())
	f()
	n.touch()
}

// now is what the node's clock shows.
func (n *Node) now() time.Time {
	if n.line != nil {
		return n.w.clock.Now()
	}
	return n.radioNow()
}

// radioNow is what its radio's clock shows.
func (n *Node) radioNow() time.Time {
	if n.crystal == nil {
		return n.w.clock.Now()
	}
	return n.crystal.now()
}

// touch tells the time and waits for the node's next deadline.
func (n *Node) touch() {
	if n.crystal != nil {
		n.crystal.touch()
	}
	if !n.alive {
		return
	}
	n.Node.Clock().Set(n.now())
	if n.lan != nil {
		n.lan.announce()
	}
	at := n.Node.Deadline()
	if n.crystal != nil && n.line == nil && !at.IsZero() {
		at = n.crystal.when(at)
	}
	if at.IsZero() {
		n.timer.Stop()
	} else if !n.timer.Running() || !n.timer.At().Equal(at) {
		n.timer.StartAt(at)
	}
}

// Kill takes the power away. What is stored stays.
func (n *Node) Kill() {
	n.alive = false
	n.timer.Stop()
	if n.line != nil {
		n.line.powerOff(n.radioNow())
	} else {
		n.radio.Reset(n.radioNow())
	}
	n.touch()
}

// Restart gives the node power, after taking it away if it has some. Its
// interface is down.
func (n *Node) Restart() {
	if n.alive {
		n.Kill()
	}
	n.life++
	n.alive = true
	now := n.now()
	cfg := thread.Config{Rand: n.source(nodeStream), Store: &n.Store, Host: n.cfg.Host, Log: n.cfg.Log, MaxChildren: n.cfg.MaxChildren,
		KeepServed: n.cfg.KeepServed, ToBackbone: n.cfg.ToBackbone,
		JoinerChanged: n.cfg.JoinerChanged, CommissionerChanged: n.cfg.CommissionerChanged}
	switch n.cfg.Kind {
	case MTD:
		cfg.Mode, cfg.MinimalOnly = new(neighbor.ModeRxOnWhenIdle|neighbor.ModeFullNetworkData), true
	case SED:
		cfg.Mode, cfg.MinimalOnly = new(neighbor.ModeFullNetworkData), true
	}
	if n.cfg.TREL {
		n.lan = &lanPort{n: n, life: n.life}
		cfg.TREL = n.lan.send
	}
	n.Node = thread.New(cfg, now)
	if n.lan != nil {
		n.lan.plug(true)
		n.Node.TREL().SetEnabled(true)
	}
	if n.line != nil {
		n.line.powerOn(now)
	} else {
		n.Node.SetRadio(n.radio)
		n.radio.Start(now, ear{n, n.life})
	}
	n.touch()
}

// ear passes what the radio reports to the node of one life.
type ear struct {
	n    *Node
	life uint64
}

func (e ear) hear(f func(h radio.Handler)) {
	if e.n.life != e.life || !e.n.alive {
		return
	}
	e.n.Do(func() { f(e.n.Node.Radio()) })
}

func (e ear) RadioUp(now time.Time, i radio.Info) {
	e.hear(func(h radio.Handler) { h.RadioUp(now, i) })
}
func (e ear) RadioDown(now time.Time) { e.hear(func(h radio.Handler) { h.RadioDown(now) }) }
func (e ear) Received(now time.Time, f radio.RxFrame) {
	e.hear(func(h radio.Handler) { h.Received(now, f) })
}
func (e ear) Transmitted(now time.Time, r radio.TxResult) {
	e.hear(func(h radio.Handler) { h.Transmitted(now, r) })
}
func (e ear) EnergyScanned(now time.Time, channel uint8, maxRSSI int8) {
	e.hear(func(h radio.Handler) { h.EnergyScanned(now, channel, maxRSSI) })
}
