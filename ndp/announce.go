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

// An announcer multicasts advertisements: a few in short order when what they
// say is new, one when somebody asks, and, if it has an interval, one now and
// then.
type announcer struct {
	clock    *alarm.Clock
	rand     *rand.Rand
	send     func()
	min, max time.Duration // between unsolicited ones; zero: there are none
	timer    *alarm.Timer
	left     int // of the initial ones
	last     time.Time
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
	a.left = max(a.left-1, 0)
	wait := randDuration(a.rand, a.min, a.max)
	switch {
	case a.left == 0 && a.max == 0:
		return
	case a.max == 0:
		wait = randDuration(a.rand, maxInitialInterval/2, maxInitialInterval)
	case a.left > 0:
		wait = min(wait, maxInitialInterval)
	}
	a.timer.Start(wait)
}

func (a *announcer) stop() {
	a.left = 0
	a.timer.Stop()
}

// randDuration returns a duration from lo up to, but not including, hi.
func randDuration(r *rand.Rand, lo, hi time.Duration) time.Duration {
	if hi <= lo {
		return lo
	}
	return lo + time.Duration(r.Int64N(int64(hi-lo)))
}
