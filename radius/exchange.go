package radius

import (
	"fmt"
	"slices"
	"time"

	"gatewayd/alarm"
)

// Retransmission (RFC 5080 Section 2.2.1).
const (
	initialRT  = 2 * time.Second  // IRT
	maxRT      = 16 * time.Second // MRT
	maxTries   = 5                // MRC
	maxElapsed = 30 * time.Second // MRD: no further server is asked after that
)

// exchange is one request until it is answered or given up.
type exchange struct {
	c     *Client
	code  Code
	attrs Attributes // without Message-Authenticator
	// only is the one server that may be asked; nil: any of the pool.
	only  *endpoint
	pool  []*endpoint
	tries int // at one server; 0: the configuration's
	// done is called once, unless the exchange is cancelled.
	done func(x *exchange, p Packet, err error)

	at     *endpoint // being asked, or nil
	by     *endpoint // who answered
	tried  []*endpoint
	slot   int
	queued bool // in at.waiting
	auth   [16]byte
	raw    []byte
	sent   int
	began  time.Time // altogether
	first  time.Time // at this server
	rt     time.Duration
	timer  *alarm.Timer
	bad    error // why the last answer was discarded
}

// start asks the best server. done may be called before it returns.
func (x *exchange) start() {
	x.c.Counters.Requests++
	x.began = x.c.cfg.Clock.Now()
	x.timer = x.c.cfg.Clock.NewTimer(x.due)
	if e := x.pick(); e != nil {
		x.ask(e)
		return
	}
	x.finish(Packet{}, ErrNoServer)
}

// pick returns the server to ask next, nil for none: the first that lives,
// else the first of the dead. To ask a dead one costs less than to refuse
// everyone.
func (x *exchange) pick() *endpoint {
	if x.only != nil {
		if len(x.tried) > 0 {
			return nil
		}
		return x.only
	}
	var dead *endpoint
	for _, e := range x.pool {
		switch {
		case slices.Contains(x.tried, e):
		case !e.dead:
			return e
		case dead == nil:
			dead = e
		}
	}
	return dead
}

func (x *exchange) ask(e *endpoint) {
	x.at = e
	x.tried = append(x.tried, e)
	x.begin()
}

// begin sends the request for the first time, or queues it.
func (x *exchange) begin() {
	e := x.at
	if !e.take(x) {
		if len(e.waiting) >= x.c.cfg.Waiting {
			x.c.Counters.Refused++
			x.at = nil
			x.finish(Packet{}, ErrBusy)
			return
		}
		x.queued = true
		e.waiting = append(e.waiting, x)
		return
	}
	p := Packet{Code: x.code, ID: uint8(x.slot), Attributes: x.attrs}
	if x.code != AccountingRequest {
		x.c.entropy(p.Authenticator[:])
	}
	x.raw = p.AppendRequest(nil, e.secret)
	x.auth = [16]byte(x.raw[authOffset:])
	x.sent, x.first = 0, x.c.cfg.Clock.Now()
	x.rt = x.c.jitter(initialRT)
	x.transmit()
}

func (x *exchange) transmit() {
	x.sent++
	x.timer.Start(x.rt)
	x.c.cfg.Send(x.slot>>8, x.at.addr, x.raw)
}

// jitter is d changed by up to a tenth.
func (c *Client) jitter(d time.Duration) time.Duration {
	return d + time.Duration((c.rand.Float64()*2-1)*float64(d)/10)
}

// due repeats the request, or goes on to the next server. A server that others
// found dead meanwhile is left at once.
func (x *exchange) due() {
	next := x.pick()
	if next != nil && (next.dead || x.c.cfg.Clock.Now().Sub(x.began) >= maxElapsed) {
		next = nil
	}
	tries := x.tries
	switch {
	case tries > 0:
	case next != nil:
		tries = x.c.cfg.Tries
	default:
		tries = maxTries
	}
	if x.sent < tries && !(x.at.dead && next != nil) {
		x.c.Counters.Retransmissions++
		// RTprev doubled, and jitter of a tenth of RTprev.
		x.rt = min(x.rt+x.c.jitter(x.rt), x.c.jitter(maxRT))
		x.transmit()
		return
	}
	e := x.at
	if x.code != StatusServer {
		e.gaveUp(x.first)
	}
	x.leave()
	if next == nil {
		x.c.Counters.Unanswered++
		err := ErrNoAnswer
		if x.only != nil && x.code != StatusServer {
			err = ErrServerLost
		}
		if x.bad != nil {
			err = fmt.Errorf("%w; the last answer was discarded: %w", err, x.bad)
		}
		x.finish(Packet{}, err)
		return
	}
	x.c.Counters.Failovers++
	x.ask(next)
}

// leave gives back what the exchange holds of its server.
func (x *exchange) leave() {
	e := x.at
	if e == nil {
		return
	}
	x.at = nil
	x.timer.Stop()
	if x.queued {
		x.queued = false
		e.waiting = slices.DeleteFunc(e.waiting, func(y *exchange) bool { return y == x })
		return
	}
	e.release(x)
}

// finish ends the exchange with an answer or an error.
func (x *exchange) finish(p Packet, err error) {
	x.by = x.at
	done := x.done
	x.done = nil
	x.leave()
	if done != nil {
		done(x, p, err)
	}
}

// cancel ends the exchange silently.
func (x *exchange) cancel() {
	x.done = nil
	x.leave()
}

// verify checks the authenticators of an answer. The answer to a Status-Server
// may lack a Message-Authenticator: FreeRADIUS before 3.2.5 sends none there.
// It decides nothing but whom to ask next, and its request, which must have
// one, cannot be altered to make the Response Authenticator collide.
func (x *exchange) verify(b []byte) error {
	if x.code != StatusServer {
		return VerifyResponse(b, x.at.secret, x.auth)
	}
	b, err := trim(b)
	if err != nil {
		return err
	}
	return verifyResponse(b, x.at.secret, x.auth, false)
}
