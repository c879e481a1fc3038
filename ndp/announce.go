package ndp

import (
	"math/rand/v2"
	"time"

	"gatewayd/alarm"
	"gatewayd/ipv6"
)

var (
	allNodes   = ipv6.AllNodesLinkLocal
	allRouters = ipv6.AllRoutersLinkLocal
)

// Router constants (RFC 4861 Section 10).
const (
	maxInitialInterval = 16 * time.Second
	maxInitialAdverts  = 3
	maxFinalAdverts    = 3
	minDelayBetweenRAs = 3 * time.Second
	maxRADelay         = 500 * time.Millisecond
)

// An announcer multicasts a few advertisements when what they say is new, and
// one when somebody without an address asks.
type announcer struct {
	clock *alarm.Clock
	rand  *rand.Rand
	send  func()
	timer *alarm.Timer
	left  int
	last  time.Time
}

func newAnnouncer(clock *alarm.Clock, r *rand.Rand, send func()) *announcer {
	a := &announcer{clock: clock, rand: r, send: send}
	a.timer = clock.NewTimer(a.fire)
	return a
}

// news has the next advertisements sent.
func (a *announcer) news() {
	a.left = maxInitialAdverts
	a.soon()
}

// soon has one sent, after a random delay and not too soon after the last (RFC
// 4861 Section 6.2.6).
func (a *announcer) soon() {
	a.left = max(a.left, 1)
	at := a.clock.Now().Add(randDuration(a.rand, 0, maxRADelay))
	if next := a.last.Add(minDelayBetweenRAs); !a.last.IsZero() && next.After(at) {
		at = next
	}
	if !a.timer.Running() || at.Before(a.timer.At()) {
		a.timer.StartAt(at)
	}
}

func (a *announcer) fire() {
	a.last = a.clock.Now()
	a.send()
	if a.left--; a.left > 0 {
		a.timer.Start(randDuration(a.rand, maxInitialInterval/2, maxInitialInterval))
	}
}

func (a *announcer) stop() { a.left = 0; a.timer.Stop() }

// randDuration returns a duration from lo up to, but not including, hi.
func randDuration(r *rand.Rand, lo, hi time.Duration) time.Duration {
	if hi <= lo {
		return lo
	}
	return lo + time.Duration(r.Int64N(int64(hi-lo)))
}
