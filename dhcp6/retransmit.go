package dhcp6

import (
	"math/rand/v2"
	"time"
)

// schedule is how often a message is sent again (RFC 8415 Sections 7.6 and 15).
type schedule struct {
	first   time.Duration // IRT
	most    time.Duration // MRT; 0: no bound
	count   int           // MRC: transmissions; 0: no bound
	forSo   time.Duration // MRD; 0: no bound
	upwards bool          // the first wait is never shorter than IRT
}

// Specification constants (RFC 8415 Section 7.6).
const (
	solMaxDelay = time.Second
	cnfMaxDelay = time.Second
	solMaxRT    = time.Hour
	// Bounds of the option by which servers change solMaxRT (Section 21.24).
	solMaxRTLeast, solMaxRTMost = 60 * time.Second, 86400 * time.Second
)

var (
	solicitTimes = schedule{first: time.Second, most: solMaxRT, upwards: true}
	requestTimes = schedule{first: time.Second, most: 30 * time.Second, count: 10}
	confirmTimes = schedule{first: time.Second, most: 4 * time.Second, forSo: 10 * time.Second}
	renewTimes   = schedule{first: 10 * time.Second, most: 600 * time.Second}
	rebindTimes  = schedule{first: 10 * time.Second, most: 600 * time.Second}
	releaseTimes = schedule{first: time.Second, count: 4}
)

// retransmission is one message's.
type retransmission struct {
	schedule
	began time.Time
	rt    time.Duration
	sent  int
}

// next counts a transmission at now and says how long to wait for an answer.
func (r *retransmission) next(now time.Time, rnd *rand.Rand) time.Duration {
	r.sent++
	vary := func(d time.Duration, least float64) time.Duration {
		return time.Duration((least + rnd.Float64()*(0.1-least)) * float64(d))
	}
	switch {
	case r.sent == 1 && r.upwards:
		r.rt = r.first + vary(r.first, 0)
	case r.sent == 1:
		r.rt = r.first + vary(r.first, -0.1)
	default:
		r.rt = 2*r.rt + vary(r.rt, -0.1)
	}
	if r.most > 0 && r.rt > r.most {
		r.rt = r.most + vary(r.most, -0.1)
	}
	if r.forSo > 0 {
		return max(min(r.rt, r.began.Add(r.forSo).Sub(now)), 0)
	}
	return r.rt
}

// over reports whether there is nothing to send any more at now.
func (r *retransmission) over(now time.Time) bool {
	return r.count > 0 && r.sent >= r.count || r.forSo > 0 && !now.Before(r.began.Add(r.forSo))
}
