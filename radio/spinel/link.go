package spinel

import (
	"fmt"
	"time"

	"gatewayd/alarm"
	"gatewayd/radio"
	"gatewayd/radio/hdlc"
)

// Implementation constants.
const (
	defaultResponseTimeout = 2 * time.Second
	defaultResetTimeout    = 2 * time.Second
	defaultTransmitTimeout = 5 * time.Second
	defaultProbeInterval   = 15 * time.Second
	defaultClockInterval   = time.Minute

	firstBackoff  = 250 * time.Millisecond // before the second recovery in a row
	maxBackoff    = 30 * time.Second
	stableAfter   = time.Minute            // ready for so long: failures are forgotten
	roundsToOpen  = 3                      // failures in a row before asking for EventReopen
	grace         = 200 * time.Millisecond // for answers, after this process was held up
	keptFirst     = 512                    // bytes kept of what was received first, for Recognise
	maxMalformed  = 64                     // properties whose nonsense is reported
	unusableRetry = time.Minute            // somebody may have flashed it
)

// LinkConfig is what a Link needs. Durations that are zero have a default.
type LinkConfig struct {
	Clock   *alarm.Clock  // required; the Link's timers are on it
	Handler radio.Handler // required
	// Send takes bytes for the RCP, one HDLC frame a call; required. The slice
	// is the Link's again when Send returns. Without a connection they are
	// to be dropped.
	Send   func(b []byte)
	Notify func(Event) // may be nil

	Tuning radio.Tuning
	// BusTime is how long the longest frame takes on the line, in addition to
	// half of what a short question and its answer take.
	BusTime          time.Duration
	IID              uint8 // Spinel interface, 0..3
	NoReset          bool  // do not reset the RCP when it is opened
	SkipVersionCheck bool  // accept any Spinel and RCP API version

	ResponseTimeout time.Duration // for an answer; 2 s
	ResetTimeout    time.Duration // for the RCP to come back from a reset; 2 s
	TransmitTimeout time.Duration // for a frame to be sent; 5 s
	ProbeInterval   time.Duration // of silence before the RCP is asked for a sign of life; 15 s
	ClockInterval   time.Duration // between readings of the RCP's clock; 60 s
}

// Link is the host's end of a Spinel connection to an RCP, as a radio.Radio.
// Its owner tells it when a connection was opened, what was received and when
// it closed, and calls the Clock's Advance; all from one goroutine.
//
// A Link never gives the RCP up: whatever goes wrong, it resets the RCP and
// makes it what Settings say, at growing intervals. Only that the device
// should be opened anew it leaves to its owner (EventReopen).
type Link struct {
	cfg   LinkConfig
	clock *alarm.Clock
	dec   hdlc.Decoder
	stats Stats

	state     State
	timer     *alarm.Timer // of state Resetting, Suspect and Unusable
	resets    int          // tried in this round
	restarted bool         // it said once while syncing that it was reset
	failures  int          // rounds that failed in a row
	upSince   time.Time    // in state Ready

	first    []byte // what was received first on this connection
	answered bool   // something sensible came since Opened
	heard    time.Time
	reported map[Prop]bool // as malformed

	requests requests
	frameBuf []byte
	wireBuf  []byte
	id       Identity
	remote   remoteClock
	reading  bool // the clock
	readings int  // of the clock, since the RCP was reset
	probe    *alarm.Timer
	sync     *alarm.Timer // of the clock

	want radio.Settings
	told settings
	tx   transmission
	scan energyScan
}

var _ radio.Radio = (*Link)(nil)

// NewLink returns a Link in state Absent. It panics if a required field of cfg
// is missing.
func NewLink(cfg LinkConfig) *Link {
	if cfg.Clock == nil || cfg.Handler == nil || cfg.Send == nil {
		panic("spinel: NewLink needs Clock, Handler and Send")
	}
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&cfg.ResponseTimeout, defaultResponseTimeout)
	def(&cfg.ResetTimeout, defaultResetTimeout)
	def(&cfg.TransmitTimeout, defaultTransmitTimeout)
	def(&cfg.ProbeInterval, defaultProbeInterval)
	def(&cfg.ClockInterval, defaultClockInterval)
	l := &Link{cfg: cfg, clock: cfg.Clock, reported: make(map[Prop]bool)}
	l.timer = l.clock.NewTimer(l.expired)
	l.probe = l.clock.NewTimer(l.probeDue)
	l.sync = l.clock.NewTimer(l.readClock)
	l.requests.timer = l.clock.NewTimer(l.requestsDue)
	l.tx.timer = l.clock.NewTimer(func() {
		if !l.overslept(l.tx.timer) {
			l.lost("no answer to a frame to transmit", false)
		}
	})
	l.scan.timer = l.clock.NewTimer(func() {
		if !l.overslept(l.scan.timer) {
			l.lost("an energy scan did not end", false)
		}
	})
	l.told.forget()
	return l
}

// State is where the link is.
func (l *Link) State() State { return l.state }

// Identity is what the RCP said of itself since it was last reset; fields are
// filled in as it answers.
func (l *Link) Identity() Identity { return l.id }

// Stats counts what happened so far.
func (l *Link) Stats() Stats { return l.stats }

// LineStats counts frames that arrived and those that were damaged.
func (l *Link) LineStats() hdlc.Stats { return l.dec.Stats }

// First is what was received first on this connection, for Recognise.
func (l *Link) First() []byte { return l.first }

// Opened says that there is a connection to an RCP of which nothing is known.
func (l *Link) Opened(now time.Time) {
	l.clock.Set(now)
	if l.state != Absent {
		l.drop("opened anew")
	}
	l.dec.Reset()
	l.first, l.answered = l.first[:0], false
	clear(l.reported)
	if l.cfg.NoReset {
		l.restarted = false
		l.identify("opened")
		return
	}
	l.reset("opened")
}

// overslept reports whether a timer fires so late that this process must have
// been held up. Answers may be waiting unread: they get a moment more.
func (l *Link) overslept(t *alarm.Timer) bool {
	if l.clock.Now().Sub(t.At()) < grace {
		return false
	}
	t.Start(grace)
	return true
}

// Closed says that the connection ended, because of err.
func (l *Link) Closed(now time.Time, err error) {
	l.clock.Set(now)
	if l.state == Absent {
		return
	}
	cause := "closed"
	if err != nil {
		cause = err.Error()
	}
	l.drop(cause)
}

// drop goes to Absent.
func (l *Link) drop(cause string) {
	l.failures = 0
	l.timer.Stop()
	l.leave(Absent, cause)
}

// Receive takes bytes from the connection.
func (l *Link) Receive(now time.Time, chunk []byte) {
	l.clock.Set(now)
	if l.state == Absent {
		return
	}
	if room := keptFirst - len(l.first); room > 0 && !l.answered {
		l.first = append(l.first, chunk[:min(room, len(chunk))]...)
	}
	for b := range l.dec.Frames(chunk) {
		l.stats.FramesIn++
		f, err := DecodeFrame(b)
		if err != nil {
			l.malformed(propUnknown, err)
			continue
		}
		if f.IID != l.cfg.IID {
			l.stats.Ignored++
			continue
		}
		l.heard = now
		l.frame(f)
	}
}

// frame handles one frame for us.
func (l *Link) frame(f Frame) {
	if f.Cmd == CmdIs && f.Prop == PropLastStatus {
		if s := Status(NewReader(f.Value, 0).Packed("status")); s.IsReset() && l.requests.open[f.TID] == nil {
			l.answered = true
			l.resetSeen(s)
			return
		}
	}
	if f.TID != 0 {
		l.answer(f)
		return
	}
	if f.Cmd != CmdIs {
		l.stats.Ignored++
		return
	}
	switch f.Prop {
	case PropStreamRaw:
		l.received(f.Value)
	case PropMACEnergyScanResult:
		l.scanned(f.Value)
	case PropStreamDebug:
		l.notify(Event{Kind: EventLog, Level: levelDebug, Text: logText(f.Value)})
	case PropStreamLog:
		r := NewReader(f.Value, 0)
		text, level := r.String("log line"), uint8(levelDebug)
		if r.Len() > 0 {
			level = r.Uint8("log level")
		}
		if err := r.Err(); err != nil {
			l.malformed(f.Prop, err)
			return
		}
		l.notify(Event{Kind: EventLog, Level: level, Text: logText([]byte(text))})
	case PropMACScanState, PropLastStatus:
		// The end of a scan is its result; a status alone says nothing.
	default:
		l.stats.Ignored++
	}
}

// resetSeen handles the RCP saying that it was reset.
func (l *Link) resetSeen(s Status) {
	switch l.state {
	case Resetting:
		l.identify(fmt.Sprintf("reset: %v", s))
	case Unusable:
		l.identify("it was reset")
	case Syncing, Ready:
		// A program that was just started, or a chip whose reset was slow,
		// says so once; more than once is a fault.
		if l.state == Syncing && !l.restarted {
			l.restarted = true
			l.identify(fmt.Sprintf("reset: %v", s))
			return
		}
		l.stats.SelfResets++
		l.notify(Event{Kind: EventReset, Status: s})
		l.lost(fmt.Sprintf("reset by itself: %v", s), true)
	}
}

// reset begins a round: the stack first, then the chip.
func (l *Link) reset(cause string) {
	l.resets = 0
	l.restarted = false
	l.enter(Resetting, cause)
	l.sendReset()
}

func (l *Link) sendReset() {
	kind := ResetStack
	if l.resets > 0 {
		kind = ResetPlatform
	}
	l.resets++
	l.stats.Resets++
	l.send(Frame{IID: l.cfg.IID, Cmd: CmdReset, Value: []byte{byte(kind)}})
	l.timer.Start(l.cfg.ResetTimeout)
}

// expired is the end of the time that a state may last.
func (l *Link) expired() {
	switch l.state {
	case Resetting:
		if l.resets < 2 {
			l.sendReset()
			return
		}
		// Some RCPs never answer a reset. All settings are sent anyway.
		l.identify("no answer to a reset")
	case Suspect, Unusable:
		l.reset("trying again")
	}
}

// lost handles a radio that can no longer be relied on. resetDone says that
// the RCP is already fresh from a reset.
func (l *Link) lost(cause string, resetDone bool) {
	if l.state != Syncing && l.state != Ready {
		return
	}
	if l.state == Ready {
		l.stats.Recoveries++
		if l.clock.Now().Sub(l.upSince) >= stableAfter {
			l.failures = 0
		}
	}
	l.failures++
	var wait time.Duration
	if l.failures > 1 {
		wait = min(firstBackoff<<min(l.failures-2, 10), maxBackoff)
	}
	if !l.answered {
		cause = fmt.Sprintf("%s; %s", cause, Recognise(l.first))
	}
	failures := l.failures
	l.leave(Suspect, cause)
	if l.state != Suspect {
		return // the handler closed it
	}
	if failures%roundsToOpen == 0 {
		l.notify(Event{Kind: EventReopen, Text: cause})
		if l.state != Suspect {
			return
		}
	}
	switch {
	case wait > 0:
		l.timer.Start(wait)
	case resetDone:
		l.identify("it is fresh")
	default:
		l.reset("recovering")
	}
}

// unusable is for a radio that works but is not for us.
func (l *Link) unusable(cause string) {
	l.leave(Unusable, cause)
	if l.state == Unusable {
		l.timer.Start(unusableRetry)
	}
}

// leave goes to a state without a radio, and answers what is under way.
func (l *Link) leave(to State, cause string) {
	wasReady := l.state == Ready
	l.forget()
	tx, scan := l.tx.active, l.scan.active
	l.tx.clear()
	l.scan.clear()
	l.enter(to, cause)
	now := l.clock.Now()
	if wasReady {
		l.cfg.Handler.RadioDown(now)
	}
	if tx {
		l.stats.Transmitted++
		l.cfg.Handler.Transmitted(now, radio.TxResult{Status: radio.TxAborted})
	}
	if scan {
		l.cfg.Handler.EnergyScanned(now, l.scan.channel, radio.RSSIInvalid)
	}
}

// forget forgets all that a reset makes void.
func (l *Link) forget() {
	l.requests.clear()
	l.probe.Stop()
	l.sync.Stop()
	l.told.forget()
	l.remote, l.reading, l.readings = remoteClock{}, false, 0
}

// enter changes the state and says so.
func (l *Link) enter(to State, cause string) {
	from := l.state
	l.state = to
	l.timer.Stop()
	l.notify(Event{Kind: EventState, From: from, To: to, Text: cause})
}

func (l *Link) notify(e Event) {
	if l.cfg.Notify != nil {
		l.cfg.Notify(e)
	}
}

// malformed counts nonsense and reports it once for each property.
func (l *Link) malformed(p Prop, err error) {
	l.stats.Malformed++
	if l.reported[p] || len(l.reported) >= maxMalformed {
		return
	}
	l.reported[p] = true
	l.notify(Event{Kind: EventMalformed, Prop: p, Err: err})
}
