package mac

import (
	"math/rand/v2"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/radio"
)

// Implementation constants.
const (
	frameRetries = 7 // the most that IEEE 802.15.4 allows (macMaxFrameRetries)
	plainRetries = 3 // its default, for devices that may not be there
	csmaBackoffs = 4
	maxNeighbors = 1024 // whose counters are kept
)

// MaxPayload is what a frame without security carries between two extended
// addresses in one PAN.
const MaxPayload = ieee802154.MaxPSDU - ieee802154.FCSLen - 21

// Frame is a frame to send.
type Frame struct {
	Dst       ieee802154.Addr
	Unsecured bool // no key, although there is one
	Pending   bool // another frame to the same destination follows
	Payload   []byte
}

// Received is a data frame that passed every check.
type Received struct {
	Src, Dst ieee802154.Addr
	Secured  bool
	KeyIndex uint8 // if Secured
	RSSI     int8  // dBm
	LQI      uint8
	Payload  []byte
}

// Upper is the layer above.
type Upper interface {
	// NextFrame fills in the next frame to send; false if there is none.
	NextFrame(f *Frame) bool
	// FrameSent reports what became of it: acknowledged, if it was unicast, and
	// how many transmissions that took, as far as the radio tells.
	FrameSent(f *Frame, ok bool, transmissions int)
	// FrameReceived takes a frame, which belongs to it then.
	FrameReceived(r Received)
	// KeyHeard reports a frame under a key that is known but not in use.
	KeyHeard(index uint8)
	// KeyMissing reports a frame under a key that is not known, which may be
	// anybody's invention.
	KeyMissing(index uint8)
	// RadioUp and RadioDown pass on the radio's coming and going.
	RadioUp(i radio.Info)
	RadioDown()
}

// Config is what a MAC needs.
type Config struct {
	Clock *alarm.Clock
	Rand  *rand.Rand
	Upper Upper
	// Counter gives out the frame counters of this node.
	Counter *Counter
}

// Counters count frames.
type Counters struct {
	Sent, Unacknowledged, Busy, Retries      uint64
	Received, Malformed, Refused, Duplicates uint64
	Replayed, NoKey, BadMIC                  uint64
	BeaconsSent, BeaconsHeard                uint64
}

type operation uint8

const (
	idle operation = iota
	data
	beacon
	scanning
)

// MAC is the machine. It implements radio.Handler.
type MAC struct {
	cfg   Config
	radio radio.Radio
	info  radio.Info
	up    bool
	want  radio.Settings

	op       operation
	out      Frame
	tx       radio.TxFrame
	attempts int
	retry    *alarm.Timer
	kicking  bool
	seq      uint8

	keys      map[uint8]*ieee802154.CCM
	active    uint8 // key index in use, 0: none
	neighbors map[ieee802154.ExtAddr]*neighbor

	beacons     *alarm.Timer // running: a beacon is due
	beaconDue   bool
	scan        *scan
	scanTimer   *alarm.Timer
	BeaconReply func() (ieee802154.Beacon, bool) // what a beacon request is answered with; nil: nothing

	Counters Counters
}

// New returns a MAC whose radio is off. SetRadio must follow.
func New(cfg Config) *MAC {
	m := &MAC{cfg: cfg, keys: map[uint8]*ieee802154.CCM{}, neighbors: map[ieee802154.ExtAddr]*neighbor{}, seq: uint8(cfg.Rand.Uint32())}
	m.retry = cfg.Clock.NewTimer(m.retransmit)
	m.beacons = cfg.Clock.NewTimer(func() { m.beaconDue = true; m.Kick() })
	m.scanTimer = cfg.Clock.NewTimer(m.scanNext)
	m.want.Short, m.want.AltShort = ieee802154.InvalidShort, ieee802154.InvalidShort
	m.want.PANID = ieee802154.BroadcastPAN
	m.want.SourceMatch = true // nobody polls
	return m
}

// SetRadio connects the radio that the MAC commands.
func (m *MAC) SetRadio(r radio.Radio) { m.radio = r; m.configure() }

// Up reports whether the radio can be used now.
func (m *MAC) Up() bool { return m.up }

// Ext is this node's address.
func (m *MAC) Ext() ieee802154.ExtAddr { return m.want.Ext }

// Channel and PANID are the network's.
func (m *MAC) Channel() uint8 { return m.want.Channel }

// PANID is the network's.
func (m *MAC) PANID() uint16 { return m.want.PANID }

// SetExt sets the extended address.
func (m *MAC) SetExt(a ieee802154.ExtAddr) { m.want.Ext = a; m.configure() }

// SetNetwork sets channel and PAN id.
func (m *MAC) SetNetwork(channel uint8, pan uint16) {
	m.want.Channel, m.want.PANID = channel, pan
	m.configure()
}

// Enable turns the radio on or off.
func (m *MAC) Enable(on bool) {
	m.want.Enabled, m.want.Receiving = on, on
	m.configure()
	m.Kick()
}

func (m *MAC) configure() {
	if m.radio == nil {
		return
	}
	s := m.want
	if m.scan != nil && m.scan.channel != 0 {
		s.Channel, s.PANID = m.scan.channel, ieee802154.BroadcastPAN
	}
	m.radio.Configure(m.cfg.Clock.Now(), s)
}

// RadioUp implements radio.Handler.
func (m *MAC) RadioUp(_ time.Time, i radio.Info) {
	m.info, m.up = i, true
	m.configure()
	m.cfg.Upper.RadioUp(i)
	m.Kick()
}

// RadioDown implements radio.Handler.
func (m *MAC) RadioDown(time.Time) {
	if !m.up {
		return
	}
	m.up = false
	m.cfg.Upper.RadioDown()
}

// EnergyScanned implements radio.Handler.
func (m *MAC) EnergyScanned(time.Time, uint8, int8) {}

// Kick makes the MAC look for something to send.
func (m *MAC) Kick() {
	if m.kicking {
		return // the loop below goes on by itself
	}
	m.kicking = true
	defer func() { m.kicking = false }()
	for m.op == idle && m.up && m.want.Enabled {
		switch {
		case m.scan != nil:
			m.op = scanning
			m.scanNext()
		case m.beaconDue:
			m.beaconDue = false
			m.sendBeacon()
		default:
			m.out = Frame{}
			if !m.cfg.Upper.NextFrame(&m.out) {
				return
			}
			m.op = data
			m.sendData()
		}
	}
}

// Room is how many bytes of payload a frame holds.
func (m *MAC) Room(f *Frame) int {
	h := m.header(f)
	return ieee802154.MaxPSDU - ieee802154.FCSLen - h.HeaderLen() - micLen(&h)
}

func micLen(f *ieee802154.Frame) int {
	if !f.Secured {
		return 0
	}
	return f.Security.Level.MICLen()
}

// header makes a data frame's header, all but its counter.
func (m *MAC) header(f *Frame) ieee802154.Frame {
	w := ieee802154.Frame{Type: ieee802154.FrameData, Version: ieee802154.Version2006,
		DstPAN: m.want.PANID, SrcPAN: m.want.PANID, Dst: f.Dst, Src: ieee802154.ExtendedAddr(m.want.Ext),
		AckRequest: !f.Dst.IsBroadcast(), Pending: f.Pending}
	if m.active != 0 && !f.Unsecured {
		w.Secured = true
		w.Security = ieee802154.Security{Level: ieee802154.LevelEncMIC32, KeyIDMode: ieee802154.KeyIDIndex, KeyIndex: m.active}
	}
	w.CompressPAN()
	return w
}

func (m *MAC) sendData() {
	w := m.header(&m.out)
	w.Seq, w.Payload = m.seq, m.out.Payload
	m.seq++
	var psdu []byte
	if w.Secured {
		var ok bool
		if w.Security.Counter, ok = m.cfg.Counter.Next(); !ok {
			m.finish(false)
			return
		}
		psdu = w.Seal(m.keys[m.active], m.want.Ext, make([]byte, 0, ieee802154.MaxPSDU))
	} else {
		psdu = w.Append(make([]byte, 0, ieee802154.MaxPSDU))
	}
	retries := uint8(frameRetries)
	if !w.Secured && m.active != 0 {
		retries = plainRetries
	}
	m.transmit(psdu, w.AckRequest, retries)
}

func (m *MAC) transmit(psdu []byte, acked bool, retries uint8) {
	m.attempts = 1
	m.tx = radio.TxFrame{PSDU: psdu, Channel: m.want.Channel, CSMA: true, MaxBackoffs: csmaBackoffs,
		Secured: true, Power: radio.PowerDefault}
	if acked {
		m.tx.MaxRetries = retries
	}
	m.radio.Transmit(m.cfg.Clock.Now(), m.tx)
}

func (m *MAC) retransmit() {
	if m.op != data && m.op != beacon {
		return
	}
	if !m.up {
		m.finish(false)
		return
	}
	m.attempts++
	m.Counters.Retries++
	m.tx.Retransmit = true
	m.radio.Transmit(m.cfg.Clock.Now(), m.tx)
}

// Transmitted implements radio.Handler.
func (m *MAC) Transmitted(_ time.Time, r radio.TxResult) {
	switch m.op {
	case idle:
		return
	case scanning:
		m.scanTimer.Start(m.scan.dwell) // the request is out: now its answers
		return
	}
	again := false
	switch r.Status {
	case radio.TxNoAck:
		again = !m.info.Caps.Has(radio.CapTransmitRetries) && m.attempts <= int(m.tx.MaxRetries)
	case radio.TxChannelBusy:
		again = !m.info.Caps.Has(radio.CapCSMABackoff) && m.attempts <= csmaBackoffs
	}
	if again && m.up {
		// A random number of unit backoff periods, 320 us each.
		m.retry.Start(time.Duration(m.cfg.Rand.IntN(1<<min(2+m.attempts, 5))) * 320 * time.Microsecond)
		return
	}
	if r.Status == radio.TxNoAck && m.info.Caps.Has(radio.CapTransmitRetries) {
		m.attempts += int(m.tx.MaxRetries)
	}
	m.finish(r.Status == radio.TxOK)
	switch r.Status {
	case radio.TxNoAck:
		m.Counters.Unacknowledged++
	case radio.TxChannelBusy:
		m.Counters.Busy++
	}
}

func (m *MAC) finish(ok bool) {
	op, f := m.op, m.out
	m.op = idle
	if op == data {
		m.Counters.Sent++
		m.cfg.Upper.FrameSent(&f, ok, m.attempts)
	}
	m.Kick()
}
