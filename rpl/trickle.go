package rpl

import (
	"math/rand/v2"
	"time"

	"gatewayd/alarm"
)

// trickle is the timer of RFC 6206 Section 4. Doublings and redundancy come
// from the DODAG's configuration.
type trickle struct {
	clock     *alarm.Clock
	rand      *rand.Rand
	transmit  func()
	imin      time.Duration
	imax      time.Duration
	k         uint8 // zero: never suppress (RFC 6206 Section 6.5)
	i         time.Duration
	heard     uint8         // c: consistent messages in this interval
	rest      time.Duration // from t to the end of the interval
	sent      bool          // t has passed
	timer     *alarm.Timer
	suppress  int // transmissions left out
	transmits int
}

func newTrickle(c *alarm.Clock, r *rand.Rand, transmit func()) *trickle {
	t := &trickle{clock: c, rand: r, transmit: transmit}
	t.timer = c.NewTimer(t.fire)
	return t
}

// The bounds of Imin and Imax: what a message from the air says is brought
// between them, so that nobody makes a node fill the channel.
const (
	minInterval    = 128 * time.Millisecond
	minMaxInterval = 8 * time.Second
	maxInterval    = 24 * time.Hour
)

// configure sets Imin to 2^min ms and Imax to Imin doubled that often.
func (t *trickle) configure(c DODAGConfig) {
	t.imin = max(time.Duration(1)<<min(c.IntervalMin, 26)*time.Millisecond, minInterval)
	t.imax = min(t.imin<<min(c.IntervalDoublings, 16), maxInterval)
	t.imax = max(t.imax, t.imin, minMaxInterval)
	t.k = c.Redundancy
}

// start begins with the smallest interval. RFC 6206 Section 4.2 step 1 allows
// any; a node that has just joined should be heard soon.
func (t *trickle) start() {
	t.i = t.imin
	t.begin()
}

func (t *trickle) stop() { t.timer.Stop() }

func (t *trickle) running() bool { return t.timer.Running() }

// reset is what an inconsistency does (step 6): nothing when the interval is
// the smallest already.
func (t *trickle) reset() {
	if t.running() && t.i > t.imin {
		t.start()
	}
}

// consistent counts a consistent message (step 3).
func (t *trickle) consistent() {
	if t.heard < 255 {
		t.heard++
	}
}

// begin starts an interval: t is in its second half (step 2).
func (t *trickle) begin() {
	t.heard, t.sent = 0, false
	half := t.i / 2
	at := half + time.Duration(t.rand.Int64N(int64(half)))
	t.rest = t.i - at
	t.timer.Start(at)
}

func (t *trickle) fire() {
	if t.sent { // the interval's end (step 5)
		t.i = min(t.i*2, t.imax)
		t.begin()
		return
	}
	t.sent = true
	t.timer.Start(t.rest)
	if t.k != 0 && t.heard >= t.k { // step 4
		t.suppress++
		return
	}
	t.transmits++
	t.transmit()
}
