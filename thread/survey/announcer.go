package survey

import (
	"math/bits"
	"math/rand/v2"
	"time"

	"gatewayd/alarm"
)

// Constants of a network's own Announces (Thread 1.4 Section 4.8.2 leaves them
// open; these are OpenThread's).
const (
	announceInterval   = 688 * time.Second
	announceRedundancy = 8 // heard in an interval, they make our own needless
	announceJitter     = 500 * time.Millisecond
)

// AnnouncerConfig is what an Announcer needs.
type AnnouncerConfig struct {
	Clock *alarm.Clock
	Rand  *rand.Rand
	// Announce sends an MLE Announce on a channel.
	Announce func(channel uint8)
	// Channels are those of the active dataset that the radio can use, channel
	// n at 1<<n, and the network's own one.
	Channels func() (all uint32, own uint8)
}

// Announcer tells on all channels where the network is, a few times an hour and
// less often where others do. Nodes that were away when the network moved find
// it by that.
type Announcer struct {
	cfg   AnnouncerConfig
	timer *alarm.Timer // of the interval (RFC 6206 Section 4.2, with Imin = Imax)
	sends *alarm.Timer
	ends  time.Time // of the interval
	heard int
	left  uint32 // channels of the round under way
	own   uint8  // the network's, the first one: others hear us there
	gap   time.Duration
}

// NewAnnouncer returns an Announcer that is stopped.
func NewAnnouncer(cfg AnnouncerConfig) *Announcer {
	a := &Announcer{cfg: cfg}
	a.timer = cfg.Clock.NewTimer(a.due)
	a.sends = cfg.Clock.NewTimer(a.send)
	return a
}

// Run starts or stops it: only a node that always listens and may be a router
// announces.
func (a *Announcer) Run(on bool) {
	switch {
	case !on:
		a.timer.Stop()
		a.sends.Stop()
	case !a.timer.Running():
		a.begin(a.cfg.Clock.Now())
	}
}

// Heard counts an Announce that says what ours would.
func (a *Announcer) Heard() { a.heard++ }

func (a *Announcer) begin(at time.Time) {
	a.heard, a.ends = 0, at.Add(announceInterval)
	a.timer.StartAt(at.Add(announceInterval/2 + time.Duration(a.cfg.Rand.Int64N(int64(announceInterval/2)))))
}

// due is the moment within an interval, and then its end.
func (a *Announcer) due() {
	now := a.cfg.Clock.Now()
	if !now.Before(a.ends) {
		a.begin(a.ends)
		return
	}
	a.timer.StartAt(a.ends)
	if a.heard >= announceRedundancy || a.sends.Running() {
		return
	}
	all, own := a.cfg.Channels()
	if all&^(1<<own) == 0 {
		return // there is nowhere else
	}
	a.left, a.own = all, own
	a.gap = announceInterval / 2 / time.Duration(bits.OnesCount32(all))
	a.sends.Start(time.Duration(a.cfg.Rand.Int64N(int64(announceJitter))))
}

func (a *Announcer) send() {
	c := a.own
	if a.left>>c&1 == 0 {
		c = uint8(bits.TrailingZeros32(a.left))
	}
	a.cfg.Announce(c)
	if a.left &^= 1 << c; a.left != 0 {
		a.sends.Start(a.gap - announceJitter + time.Duration(a.cfg.Rand.Int64N(int64(2*announceJitter))))
	}
}
