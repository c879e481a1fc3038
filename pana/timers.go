package pana

import (
	"errors"
	"math/rand/v2"
	"time"
)

// Retransmission says how a message is repeated until it is answered (RFC 5191
// Section 9).
type Retransmission struct {
	Initial     time.Duration // IRT
	Max         time.Duration // MRT; 0: no limit
	Count       int           // MRC: transmissions in all; 0: no limit
	MaxDuration time.Duration // MRD; 0: no limit
	// Linear makes every wait one Initial longer than the last one, instead
	// of doubling it.
	Linear bool
}

// The RFC's parameters (RFC 5191 Section 9), and those of ZigBee IP devices.
var (
	standardInitiation = Retransmission{Initial: time.Second, Max: 120 * time.Second}
	standardRequest    = Retransmission{Initial: time.Second, Max: 30 * time.Second, Count: 10}
	zigbeeInitiation   = Retransmission{Initial: 10 * time.Second, Max: 60 * time.Second, Count: 5, Linear: true}
	zigbeeRequest      = Retransmission{Initial: 20 * time.Second, Max: 60 * time.Second, Count: 4, Linear: true}
)

// Timers are the times of a machine. What is left zero is the profile's.
type Timers struct {
	Initiation Retransmission // PCI, by the client
	Request    Retransmission // everything that has an answer
	// Handshake is how long one may take from its start to its end.
	Handshake time.Duration
	// Ping is the least time between two liveness tests of one side.
	Ping time.Duration
}

// Implementation constants.
const (
	defaultHandshake = 120 * time.Second
	defaultPing      = 10 * time.Second
)

func (t Timers) complete(p Profile) (Timers, error) {
	initiation, request := standardInitiation, standardRequest
	if p == ZigBeeIP {
		initiation, request = zigbeeInitiation, zigbeeRequest
	}
	if t.Initiation == (Retransmission{}) {
		t.Initiation = initiation
	}
	if t.Request == (Retransmission{}) {
		t.Request = request
	}
	if t.Handshake == 0 {
		t.Handshake = defaultHandshake
	}
	if t.Ping == 0 {
		t.Ping = defaultPing
	}
	if t.Initiation.Initial <= 0 || t.Request.Initial <= 0 || t.Handshake < 0 || t.Ping < 0 {
		return t, errors.New("pana: timers must be positive")
	}
	return t, nil
}

// repeating is the state of one message that is repeated.
type repeating struct {
	wait  time.Duration // RT
	began time.Time
	at    time.Time // the next transmission; zero if there is none to come
	sent  int
}

// begin starts over at the first transmission.
func (r *repeating) begin(p *Retransmission, now time.Time, rnd *rand.Rand) {
	*r = repeating{wait: p.Initial + jitter(p.Initial, rnd), began: now, sent: 1}
	r.schedule(p, now)
}

// again counts a repetition and reports whether there is to be one; if not,
// the other side has failed to answer.
func (r *repeating) again(p *Retransmission, now time.Time, rnd *rand.Rand) bool {
	if p.Count != 0 && r.sent >= p.Count || p.MaxDuration != 0 && now.Sub(r.began) >= p.MaxDuration {
		r.stop()
		return false
	}
	if p.Linear {
		r.wait += p.Initial + jitter(p.Initial, rnd)
	} else {
		r.wait += r.wait + jitter(r.wait, rnd)
	}
	if p.Max != 0 && r.wait > p.Max {
		r.wait = p.Max + jitter(p.Max, rnd)
	}
	r.sent++
	r.schedule(p, now)
	return true
}

// schedule sets when the next transmission is due: after the wait, but no
// later than the whole of it may last.
func (r *repeating) schedule(p *Retransmission, now time.Time) {
	r.at = now.Add(r.wait)
	if end := r.began.Add(p.MaxDuration); p.MaxDuration != 0 && r.at.After(end) {
		r.at = end
	}
}

func (r *repeating) stop() { r.at = time.Time{} }

// jitter is between -0.1 d and 0.1 d.
func jitter(d time.Duration, rnd *rand.Rand) time.Duration {
	return time.Duration((rnd.Float64()*2 - 1) * 0.1 * float64(d))
}

// earliest is the earliest of some times, of which the zero ones do not count.
func earliest(ts ...time.Time) time.Time {
	var e time.Time
	for _, t := range ts {
		if !t.IsZero() && (e.IsZero() || t.Before(e)) {
			e = t
		}
	}
	return e
}
