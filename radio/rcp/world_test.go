package rcp

import (
	"math/rand/v2"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/radio"
	"gatewayd/radio/medium"
)

const testPAN = 0xface

// world is an air with radios, on virtual time.
type world struct {
	t     *testing.T
	clock *alarm.Clock
	air   *medium.Air
	seen  []medium.Sighting // what was on air, PSDUs copied
	nodes []*node
}

var began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newWorld(t *testing.T, seed uint64, change func(*medium.Config)) *world {
	w := &world{t: t, clock: new(alarm.Clock)}
	w.clock.Set(began)
	cfg := medium.Config{
		Clock: w.clock,
		Rand:  rand.New(rand.NewPCG(seed, 1)),
		Tap: func(s medium.Sighting) {
			s.PSDU = append([]byte(nil), s.PSDU...)
			w.seen = append(w.seen, s)
		},
	}
	if change != nil {
		change(&cfg)
	}
	w.air = medium.New(cfg)
	return w
}

// node is a radio that listens on channel 15 as short address 0x1000 plus its
// number.
type node struct {
	*Radio
	w       *world
	station *medium.Station
	set     radio.Settings
	up      int
	rx      []radio.RxFrame
	tx      []radio.TxResult
	scans   []int8
	onTx    func(radio.TxResult)
	onRx    func(radio.RxFrame)
}

var testKeys = radio.Keys{
	Index:    5,
	Previous: [16]byte{0: 4, 15: 4},
	Current:  [16]byte{0: 5, 15: 5},
	Next:     [16]byte{0: 6, 15: 6},
}

func (w *world) add() *node {
	n := &node{w: w, station: w.air.Add()}
	i := len(w.nodes)
	n.Radio = New(Config{
		Clock: w.clock,
		Rand:  rand.New(rand.NewPCG(uint64(i), 2)),
		Port:  n.station,
		EUI64: extOf(i),
	})
	n.set = radio.Settings{
		Enabled: true, Receiving: true, Channel: 15, PANID: testPAN,
		Short: shortOf(i), AltShort: ieee802154.InvalidShort, Ext: extOf(i),
		Keys: testKeys, FrameCounter: 100, SourceMatch: true,
	}
	for _, o := range w.nodes {
		w.air.Link(n.station, o.station, -60, 0)
	}
	w.nodes = append(w.nodes, n)
	n.Start(w.clock.Now(), n)
	n.Configure(w.clock.Now(), n.set)
	return n
}

func shortOf(i int) uint16 { return 0x1000 + uint16(i) }

func extOf(i int) ieee802154.ExtAddr {
	return ieee802154.ExtAddr{0x18, 0xb4, 0x30, 0, 0, 0, byte(i >> 8), byte(i)}
}

func (n *node) reconfigure(change func(*radio.Settings)) {
	change(&n.set)
	n.Configure(n.w.clock.Now(), n.set)
}

func (n *node) RadioUp(time.Time, radio.Info) { n.up++ }
func (n *node) RadioDown(time.Time)           {}

func (n *node) Received(_ time.Time, f radio.RxFrame) {
	n.rx = append(n.rx, f)
	if n.onRx != nil {
		n.onRx(f)
	}
}

func (n *node) Transmitted(_ time.Time, r radio.TxResult) {
	n.tx = append(n.tx, r)
	if n.onTx != nil {
		n.onTx(r)
	}
}

func (n *node) EnergyScanned(_ time.Time, _ uint8, max int8) { n.scans = append(n.scans, max) }

// send transmits with the parameters Thread uses.
func (n *node) send(f ieee802154.Frame) {
	n.Transmit(n.w.clock.Now(), txFrame(f))
}

func txFrame(f ieee802154.Frame) radio.TxFrame {
	return radio.TxFrame{
		PSDU: f.Append(nil), Channel: 15, CSMA: true, MaxBackoffs: 4, MaxRetries: 15, Power: radio.PowerDefault,
	}
}

// data is a data frame from node i to node j.
func data(i, j int, seq uint8, payload int) ieee802154.Frame {
	return ieee802154.Frame{
		Type: ieee802154.FrameData, Version: ieee802154.Version2006, AckRequest: true, PANCompressed: true, Seq: seq,
		DstPAN: testPAN, SrcPAN: testPAN,
		Dst: ieee802154.ShortAddr(shortOf(j)), Src: ieee802154.ShortAddr(shortOf(i)),
		Payload: make([]byte, payload),
	}
}

// secured is the same, with an open auxiliary security header.
func secured(f ieee802154.Frame) ieee802154.Frame {
	f.Secured = true
	f.Security = ieee802154.Security{Level: ieee802154.LevelEncMIC32, KeyIDMode: ieee802154.KeyIDIndex}
	return f
}

// run lets time pass.
func (w *world) run(d time.Duration) {
	end := w.clock.Now().Add(d)
	for {
		at := w.clock.Deadline()
		if at.IsZero() || at.After(end) {
			w.clock.Advance(end)
			return
		}
		w.clock.Advance(at)
	}
}

// runUntil lets time pass until something is true.
func (w *world) runUntil(done func() bool) {
	w.t.Helper()
	for limit := w.clock.Now().Add(time.Minute); !done(); {
		at := w.clock.Deadline()
		if at.IsZero() || at.After(limit) {
			w.t.Fatal("what the test waits for does not happen")
		}
		w.clock.Advance(at)
	}
}

// sent decodes what was on air.
func (w *world) sent() []ieee802154.Frame {
	w.t.Helper()
	var frames []ieee802154.Frame
	for _, s := range w.seen {
		f, err := ieee802154.Decode(s.PSDU[:len(s.PSDU)-ieee802154.FCSLen])
		if err != nil {
			w.t.Fatal(err)
		}
		frames = append(frames, f)
	}
	return frames
}
