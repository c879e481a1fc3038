package rcp

import (
	"math/rand/v2"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/radio"
	"gatewayd/radio/medium"
)

// Caps is what a Radio does by itself.
const Caps = radio.CapAckTimeout | radio.CapEnergyScan | radio.CapTransmitRetries | radio.CapCSMABackoff |
	radio.CapSleepToTx | radio.CapTransmitSecurity | radio.CapTransmitTiming | radio.CapAltShort

// What a Radio is like, in dBm.
const (
	sensitivity         = -100
	defaultCCAThreshold = -75
)

// allChannels has bits 11 to 26 set.
const allChannels = 1<<(medium.LastChannel+1) - 1<<medium.FirstChannel

// Config is a Radio's. Clock, Rand and Port are required.
type Config struct {
	Clock   *alarm.Clock
	Rand    *rand.Rand
	Port    medium.Port
	EUI64   ieee802154.ExtAddr
	Version string // as the radio words it in radio.Info
	Power   int8   // dBm, where a frame leaves it to the radio
	// CCAThreshold is the energy in dBm from which a channel is busy; 0 is -75.
	CCAThreshold int8
	// AckWait is how long to wait for an acknowledgment in a medium without
	// air time; 0 is 16 ms. On air the standard sets it.
	AckWait time.Duration
	// CSLAccuracy is how far off the clock may be, in ppm.
	CSLAccuracy uint8
	// CSLUncertain is how far from the time given a frame may leave, in 10 us.
	CSLUncertain uint8
}

// Radio is one radio of a medium. It implements radio.Radio, and Heard for
// its medium. Its timers are on the Config's Clock.
type Radio struct {
	cfg     Config
	initial Config
	handler radio.Handler
	epoch   time.Time // when the radio's clock began

	set    radio.Settings // last given; its lists are in match
	listen uint8          // channel for when nothing else is going on
	match  sourceMatch
	keys   keyring
	csl    sampling
	limits map[uint8]int8 // dBm, by channel

	tx      transmission
	txTimer *alarm.Timer

	ackTimer *alarm.Timer
	ack      pendingAck

	scan      scan
	scanTimer *alarm.Timer
}

// New returns a Radio on cfg.Port. It does nothing before Start.
func New(cfg Config) *Radio {
	if cfg.CCAThreshold == 0 {
		cfg.CCAThreshold = defaultCCAThreshold
	}
	if cfg.AckWait == 0 {
		cfg.AckWait = 16 * time.Millisecond
	}
	r := &Radio{cfg: cfg, initial: cfg}
	r.txTimer = cfg.Clock.NewTimer(r.txStep)
	r.ackTimer = cfg.Clock.NewTimer(r.sendAck)
	r.scanTimer = cfg.Clock.NewTimer(r.scanStep)
	r.csl.timer = cfg.Clock.NewTimer(r.cslStep)
	cfg.Port.Attach(r)
	return r
}

// Start says whom the radio reports to, and that it is up.
func (r *Radio) Start(now time.Time, h radio.Handler) {
	r.at(now)
	r.handler = h
	h.RadioUp(now, r.Info())
}

// Info is what the radio says of itself.
func (r *Radio) Info() radio.Info {
	return radio.Info{
		EUI64:         r.cfg.EUI64,
		Caps:          Caps,
		Version:       r.cfg.Version,
		RxSensitivity: sensitivity,
		Channels:      allChannels,
		CSLAccuracy:   r.cfg.CSLAccuracy,
		CSLUncertain:  r.cfg.CSLUncertain,
		CSLReceiver:   true,
	}
}

// Configure implements radio.Radio.
func (r *Radio) Configure(now time.Time, s radio.Settings) {
	r.at(now)
	was := r.set
	r.set = s
	r.match.set(s)
	r.set.SourceMatchShort, r.set.SourceMatchExt = nil, nil
	if s.Keys.Index != 0 {
		r.keys.set(s.Keys, s.FrameCounter)
	}
	if s.Channel != was.Channel || s.Receiving != was.Receiving || s.Enabled != was.Enabled {
		r.listen = s.Channel
	}
	if was.Enabled && !s.Enabled {
		r.ackTimer.Stop()
		r.abort(now)
	}
	r.followCSL(now, was)
	r.tune(now)
}

// Reset makes the radio what New made it; its clock goes on. What is under way
// is answered first.
func (r *Radio) Reset(now time.Time) {
	r.Configure(now, radio.Settings{})
	r.keys, r.limits = keyring{}, nil
	r.cfg.Power, r.cfg.CCAThreshold = r.initial.Power, r.initial.CCAThreshold
}

// Idle reports whether the radio would take a frame or a scan.
func (r *Radio) Idle() bool { return r.tx.state == txIdle && r.scan.channel == 0 }

// LimitPower sets the most power, in dBm, that is used on a channel.
func (r *Radio) LimitPower(channel uint8, dBm int8) {
	if r.limits == nil {
		r.limits = make(map[uint8]int8)
	}
	r.limits[channel] = dBm
}

// abort answers what is under way.
func (r *Radio) abort(now time.Time) {
	if r.tx.state != txIdle {
		r.finishTx(now, radio.TxAborted)
	}
	if r.scan.channel != 0 {
		r.finishScan(now, radio.RSSIInvalid)
	}
}

// tune makes the receiver what it should be now.
func (r *Radio) tune(now time.Time) {
	channel := uint8(0)
	switch {
	case !r.set.Enabled:
	case r.scan.channel != 0:
		channel = r.scan.channel
	case r.tx.state > txWaiting:
		channel = r.tx.frame.Channel
	case r.set.Receiving:
		channel = r.listen
	case r.csl.open:
		channel = r.cslChannel()
	}
	r.cfg.Port.Tune(now, channel)
}

// Clock implements radio.Radio.
func (r *Radio) Clock(now time.Time) (uint64, bool) {
	r.at(now)
	return r.micros(now), true
}

// headStart is what the radio's clock shows when it begins: times shortly
// before are no negative ones, and At is never 0 by accident.
const headStart = time.Second

// micros is a time on the radio's clock.
func (r *Radio) micros(t time.Time) uint64 {
	return uint64((t.Sub(r.epoch) + headStart) / time.Microsecond)
}

// at notes the time of an input.
func (r *Radio) at(now time.Time) {
	r.cfg.Clock.Set(now)
	if r.epoch.IsZero() {
		r.epoch = now
	}
}

// timed reports whether frames take time in the radio's medium.
func (r *Radio) timed() bool { return r.cfg.Port.Airtime(0) > 0 }

// power is what a frame is sent with on a channel, p being asked for.
func (r *Radio) power(channel uint8, p int8) int8 {
	if p == radio.PowerDefault {
		p = r.cfg.Power
	}
	if limit, ok := r.limits[channel]; ok {
		p = min(p, limit)
	}
	return p
}
