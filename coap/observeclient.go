package coap

import (
	"errors"
	"time"
)

// ErrNotObserved says that the server ended an observation, or that it does
// not offer one; the last notification has its reason.
var ErrNotObserved = errors.New("coap: resource is not observed")

// Observation parameters (RFC 7641 Section 3).
const (
	defaultMaxAge  = 60 * time.Second  // RFC 7252 Section 5.10.5
	reorderLimit   = 128 * time.Second // RFC 7641 Section 3.4
	refreshMin     = 5 * time.Second   // after Max-Age, RFC 7641 Section 3.3.1
	refreshSpread  = 10 * time.Second
	deregister     = 1
	longestRefresh = 24 * time.Hour
)

// An Observation receives the states of a resource (RFC 7641 Section 3).
type Observation[P comparable] struct {
	e       *Endpoint[P]
	to      P
	request Message
	opts    TransferOptions
	notify  func(Response[P], error)

	x     *Exchange[P] // the registration, which all notifications answer
	fetch *Transfer[P] // the rest of a state longer than one block
	have  bool         // seq and at are set
	seq   uint32
	at    time.Time
	fresh bool // the registration under way got its first response
	over  bool
}

// Observe asks a peer for a resource and for its changes. notify is called for
// every state the resource takes on, not for states that arrive out of order.
// The last call has an error: ErrNotObserved, ErrTimeout, ErrReset, ErrBusy or
// ErrBadOption. States longer than a block are fetched whole; one that changes
// meanwhile is skipped.
//
// When a state outlives its Max-Age without another one, the observation is
// registered anew, and ends with ErrTimeout if the server is gone.
func (e *Endpoint[P]) Observe(now time.Time, to P, m Message, opts TransferOptions, notify func(Response[P], error)) (*Observation[P], error) {
	m = m.Clone()
	m.MessageID = 0
	if m.Token == nil {
		m.Token = e.newToken()
	}
	m.SetObserve(0)
	opts.FinishAtAck, opts.Multiple = false, true
	o := &Observation[P]{e: e, to: to, request: m, opts: opts, notify: notify}
	e.now = now
	if err := o.register(); err != nil {
		return nil, err
	}
	return o, nil
}

// Cancel ends the observation and tells the server so; notify is not called
// again. It has no effect on an observation that is over, or nil.
func (o *Observation[P]) Cancel(now time.Time) {
	if o == nil || o.over {
		return
	}
	o.e.now = now
	o.stop()
	m := o.request
	m.SetObserve(deregister)
	// If this cannot be sent, the next notification is rejected, which ends
	// the observation too.
	_, _ = o.e.Request(now, o.to, m, o.once(), nil)
}

// once returns the options of a request with one response.
func (o *Observation[P]) once() RequestOptions {
	opts := o.opts.RequestOptions
	opts.Multiple = false
	return opts
}

func (o *Observation[P]) stop() {
	o.over = true
	o.x.Cancel()
	o.fetch.Cancel()
}

func (o *Observation[P]) end(r Response[P], err error) {
	if !o.over {
		o.stop()
		o.notify(r, err)
	}
}

// register sends the request, for the first time or again with the same token.
func (o *Observation[P]) register() error {
	old := o.x
	o.x, o.fresh, o.have = nil, false, false
	old.Cancel()
	var x *Exchange[P]
	x, err := o.e.Request(o.e.now, o.to, o.request, o.opts.RequestOptions, func(r Response[P], err error) {
		switch {
		case o.over || o.x != x: // replaced
		case err == ErrTimeout && o.fresh:
			o.refresh()
		case err != nil:
			o.end(r, err)
		default:
			o.receive(r)
		}
	})
	o.x = x
	return err
}

// refresh registers again: the last state is too old.
func (o *Observation[P]) refresh() {
	if err := o.register(); err != nil {
		o.end(Response[P]{}, err)
	}
}

// receive handles the first response and all notifications.
func (o *Observation[P]) receive(r Response[P]) {
	seq, ok := r.Observe()
	if !ok || !r.Code.IsSuccess() {
		o.notify(r, nil)
		o.end(r, ErrNotObserved)
		return
	}
	o.fresh = true
	o.expectWithin(r)
	if o.have && !newer(o.seq, seq, o.e.now.Sub(o.at)) {
		return
	}
	o.have, o.seq, o.at = true, seq, o.e.now
	o.fetch.Cancel()
	o.fetch = nil
	if b, ok := r.Block2(); !ok || !b.More {
		o.notify(r, nil)
		return
	}
	o.fetch = o.e.newTransfer(o.to, o.request, o.opts, func(r Response[P], err error) {
		if err == nil && !o.over {
			o.notify(r, nil)
		}
	})
	o.fetch.downloaded(r)
}

// expectWithin lets the registration expire when r is too old.
func (o *Observation[P]) expectWithin(r Response[P]) {
	age := defaultMaxAge
	if v, ok := r.Uint(OptionMaxAge); ok {
		age = time.Duration(v) * time.Second
	}
	age += refreshMin + time.Duration(o.e.cfg.Rand.Int64N(int64(refreshSpread)))
	o.x.arm(min(age, longestRefresh))
}

// newer compares the sequence numbers of two notifications that arrived with a
// time between them (RFC 7641 Section 3.4).
func newer(v1, v2 uint32, between time.Duration) bool {
	return v1 < v2 && v2-v1 < 1<<23 || v1 > v2 && v1-v2 > 1<<23 || between > reorderLimit
}
