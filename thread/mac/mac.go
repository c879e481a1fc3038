package mac

import (
	"cmp"
	"math/rand/v2"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/radio"
	"gatewayd/thread/keys"
	"gatewayd/thread/link"
	"gatewayd/thread/linkmetrics"
	"gatewayd/thread/neighbor"
)

// Implementation constants, OpenThread's.
const (
	directRetries   = 15
	indirectRetries = 0
	csmaBackoffs    = 4
	pollWait        = 100 * time.Millisecond // for the frame a pending bit announced
	// sensitivity stands for the radio's while there has not been one: frames may
	// come by another link.
	sensitivity = -100 // dBm
)

// Source is where frames to send come from.
type Source interface {
	// NextDirect fills in the next frame that can be sent at once; false if
	// there is none.
	NextDirect(f *Frame) bool
	// DirectSent reports what became of it.
	DirectSent(f *Frame, ok bool)
	// NextIndirect fills in the next frame for a child that polled.
	NextIndirect(c *neighbor.Child, f *Frame) bool
	// IndirectSent reports what became of it. Returning true keeps the frame:
	// the same one, with the same counter, answers the child's next poll.
	IndirectSent(c *neighbor.Child, f *Frame, ok bool) (again bool)
}

// Handler is what received frames and events go to.
type Handler interface {
	// FrameReceived takes a data frame that passed all checks. The frame may
	// be kept.
	FrameReceived(r *Received)
	// Polled reports that a sleepy child was heard from by a data request, and
	// whether under its short address.
	Polled(c *neighbor.Child, short bool)
	// LinkFailed reports a unicast frame that was not acknowledged, with the
	// count of such failures in a row.
	LinkFailed(n *neighbor.Neighbor)
	// PollSent reports the end of a data poll to the parent.
	PollSent(ok, pending bool)
	// RadioUp and RadioDown pass on the radio's coming and going.
	RadioUp(i radio.Info)
	RadioDown()
}

// Received is one received data frame.
type Received struct {
	Frame    ieee802154.Frame
	Info     link.Info
	Neighbor *neighbor.Neighbor // nil if unknown
}

// Config is what a MAC needs.
type Config struct {
	Clock   *alarm.Clock
	Rand    *rand.Rand
	Keys    *keys.Manager
	Table   *neighbor.Table
	Source  Source
	Handler Handler
}

// operation is what the MAC is doing with its radio.
type operation uint8

const (
	idle operation = iota
	direct
	indirect
	indirectCSL
	poll
	pollReceive // waiting for what the parent announced
	beacon
	energyScan
	activeScan
)

// MAC is the machine. It implements radio.Handler.
type MAC struct {
	cfg   Config
	radio radio.Radio
	info  radio.Info
	up    bool

	want     radio.Settings
	channel  uint8 // the network's
	scanning uint8 // channel of a scan or discovery, or 0
	scanPAN  bool  // the PAN id is wild while scanning
	rxOn     bool  // when idle

	op       operation
	out      Frame
	tx       radio.TxFrame
	scratch  [maxPSDU]byte
	outChild *neighbor.Child
	attempts int
	overlaid bool                       // out went over the overlay, too
	held     map[*neighbor.Child]*Frame // indirect frames to repeat
	polled   []*neighbor.Child          // wait for an indirect frame
	wantPoll bool
	csl      csl
	at       uint64 // when an indirectCSL frame leaves
	beacons  int
	timer    *alarm.Timer // retry backoff, poll wait, scan time

	seq, beaconSeq uint8
	scan           scanState

	// Filter, when set, decides whether frames from a source are received and
	// at which RSSI (the command line's macfilter).
	Filter func(ext ieee802154.ExtAddr, rssi int8) (int8, bool)
	// Retries are how often a frame is sent again that was not acknowledged.
	Retries Retries
	// Beacons says whether beacon requests are answered.
	Beacons bool

	// Overlay, when set, carries frames beside the radio.
	Overlay Overlay

	// Probed, when set, is told what a neighbour's acknowledgement says of the
	// frame that it answers, to neighbours with Probing.
	Probed func(n *neighbor.Neighbor, v linkmetrics.Values)

	Counters Counters
}

// Retries are those of frames that are sent at once, and of frames that a
// sleepy child polls for.
type Retries struct{ Direct, Indirect uint8 }

// New returns a MAC whose radio is off. SetRadio must follow.
func New(cfg Config) *MAC {
	m := &MAC{cfg: cfg, rxOn: true, held: map[*neighbor.Child]*Frame{}, Retries: Retries{directRetries, indirectRetries}}
	m.timer = cfg.Clock.NewTimer(m.timeout)
	m.csl.timer = cfg.Clock.NewTimer(m.cslDue)
	m.csl.resume = cfg.Clock.NewTimer(m.Kick)
	m.seq, m.beaconSeq = uint8(cfg.Rand.Uint32()), uint8(cfg.Rand.Uint32())
	m.want.Short, m.want.AltShort = ieee802154.InvalidShort, ieee802154.InvalidShort
	m.want.PANID = ieee802154.BroadcastPAN
	m.info.RxSensitivity = sensitivity
	return m
}

// SetRadio connects the radio that the MAC commands.
func (m *MAC) SetRadio(r radio.Radio) { m.radio = r }

// Info is what the radio said of itself when it last came up.
func (m *MAC) Info() radio.Info { return m.info }

// Up reports whether the radio can be used now.
func (m *MAC) Up() bool { return m.up }

// Settings are the present ones, for reading.
func (m *MAC) Settings() radio.Settings { return m.want }

func (m *MAC) configure() {
	if m.radio == nil {
		return
	}
	s := m.want
	s.Channel = m.channel
	s.Receiving = s.Enabled && (m.rxOn || m.op == pollReceive || m.scanning != 0)
	if m.scanning != 0 {
		s.Channel = m.scanning
		if m.scanPAN {
			s.PANID = ieee802154.BroadcastPAN
		}
	}
	if m.rxOn {
		s.CSL = radio.CSL{}
	}
	s.FrameCounter = m.cfg.Keys.MACCounter()
	m.radio.Configure(m.cfg.Clock.Now(), s)
}

// Enable turns the radio on or off. Off, nothing is sent or received.
func (m *MAC) Enable(on bool) {
	m.want.Enabled = on
	m.configure()
	if on {
		m.Kick()
	}
}

// Enabled reports whether it is on.
func (m *MAC) Enabled() bool { return m.want.Enabled }

// SetChannel sets the network's channel.
func (m *MAC) SetChannel(c uint8) { m.channel = c; m.configure() }

// Channel is the network's channel.
func (m *MAC) Channel() uint8 { return m.channel }

// SetPANID sets the network's PAN id.
func (m *MAC) SetPANID(p uint16) { m.want.PANID = p; m.configure() }

// PANID is the network's PAN id.
func (m *MAC) PANID() uint16 { return m.want.PANID }

// SetShort sets the short address; ieee802154.InvalidShort for none.
func (m *MAC) SetShort(a uint16) { m.want.Short = a; m.configure() }

// Short is the short address.
func (m *MAC) Short() uint16 { return m.want.Short }

// SetAltShort sets a second short address to listen to, InvalidShort for none.
func (m *MAC) SetAltShort(a uint16) { m.want.AltShort = a; m.configure() }

// SetExt sets the extended address.
func (m *MAC) SetExt(a ieee802154.ExtAddr) { m.want.Ext = a; m.configure() }

// Ext is the extended address.
func (m *MAC) Ext() ieee802154.ExtAddr { return m.want.Ext }

// SetRxOnWhenIdle says whether the receiver is on when nothing is going on.
func (m *MAC) SetRxOnWhenIdle(on bool) { m.rxOn = on; m.configure() }

// RxOnWhenIdle reports it.
func (m *MAC) RxOnWhenIdle() bool { return m.rxOn }

// KeysChanged gives the radio the present MAC keys.
func (m *MAC) KeysChanged() {
	m.want.Keys, m.want.CounterFloor = m.cfg.Keys.RadioKeys(), m.cfg.Keys.MACFloor()
	for _, f := range m.held {
		f.prepared = false // its counter belongs to the former key
	}
	m.configure()
}

// SetSourceMatch says for which addresses the radio acknowledges a data request
// with the frame-pending bit.
func (m *MAC) SetSourceMatch(short []uint16, ext []ieee802154.ExtAddr) {
	m.want.SourceMatch = true
	m.want.SourceMatchShort, m.want.SourceMatchExt = short, ext
	m.configure()
	m.planCSL()
}

// RadioUp implements radio.Handler.
func (m *MAC) RadioUp(_ time.Time, i radio.Info) {
	m.info, m.up = i, true
	m.configure()
	m.cfg.Handler.RadioUp(i)
	m.Kick()
}

// RadioDown implements radio.Handler. The radio may have used counters that it
// did not live to report, so all that were reserved count as used.
func (m *MAC) RadioDown(time.Time) {
	if !m.up {
		return
	}
	m.up = false
	m.forgetCSL()
	if m.info.Caps.Has(radio.CapTransmitSecurity) {
		m.cfg.Keys.SkipMACReserve()
	}
	m.configure()
	m.cfg.Handler.RadioDown()
}

// Kick makes the MAC look for something to send.
func (m *MAC) Kick() {
	for m.op == idle && (m.up || m.overlayUp()) && m.want.Enabled {
		if !m.next() {
			return
		}
	}
}

// next starts the next operation; false if there is nothing to do.
func (m *MAC) next() bool {
	if !m.up {
		return m.nextDirect()
	}
	if m.csl.due && m.startCSL() {
		return true
	}
	if m.reserved() {
		return false
	}
	switch {
	case len(m.polled) > 0:
		c := m.polled[0]
		m.polled = m.polled[1:]
		m.startIndirect(c)
	case m.beacons > 0:
		m.beacons--
		m.startBeacon()
	case m.wantPoll:
		m.wantPoll = false
		m.startPoll()
	case m.scan.pending():
		m.startScan()
	default:
		return m.nextDirect()
	}
	return true
}

// nextDirect starts the next frame that can be sent at once; false if there is
// none.
func (m *MAC) nextDirect() bool {
	m.out = Frame{}
	if !m.cfg.Source.NextDirect(&m.out) {
		return false
	}
	m.op, m.csl.yield = direct, false
	if m.out.radios.Has(link.TREL) && m.sendOver() {
		return true
	}
	m.transmit(cmp.Or(int(m.out.Tries), int(m.Retries.Direct)+1) - 1)
	return true
}

func (m *MAC) startIndirect(c *neighbor.Child) {
	if f := m.held[c]; f != nil {
		delete(m.held, c)
		m.out = *f
	} else {
		m.out = Frame{}
		if !m.cfg.Source.NextIndirect(c, &m.out) {
			return
		}
	}
	m.op, m.outChild = indirect, c
	if m.out.ByTREL() {
		m.sendOver()
		return
	}
	m.transmit(int(m.Retries.Indirect))
}

// ForgetChild drops what is held for a child that is no more, or whose frames
// are to be built anew.
func (m *MAC) ForgetChild(c *neighbor.Child) {
	delete(m.held, c)
	if m.outChild == c {
		m.outChild = nil
	}
	for i, x := range m.polled {
		if x == c {
			m.polled = append(m.polled[:i], m.polled[i+1:]...)
			return
		}
	}
}

// LinkCounter is the frame counter that neighbours are told: what they have from
// this node will be above, by whatever link it comes.
func (m *MAC) LinkCounter() uint32 {
	c := m.cfg.Keys.LinkCounter()
	if floor := m.cfg.Keys.MACFloor(); floor != m.want.CounterFloor {
		m.want.CounterFloor = floor
		m.configure()
	}
	return c
}

// finish ends the present operation and starts the next.
func (m *MAC) finish() {
	m.op, m.outChild = idle, nil
	m.timer.Stop()
	m.configureIfSleeping()
	m.Kick()
}

func (m *MAC) configureIfSleeping() {
	if !m.rxOn {
		m.configure()
	}
}

func (m *MAC) timeout() {
	switch m.op {
	case direct, indirect, indirectCSL, poll, beacon:
		m.retransmit()
	case pollReceive:
		m.op = idle
		m.configure()
		m.cfg.Handler.PollSent(false, true)
		m.Kick()
	case activeScan:
		m.scanNext()
	}
}
