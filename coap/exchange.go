package coap

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// RequestOptions override the Config for one request. Every field may be left
// zero.
type RequestOptions struct {
	AckTimeout      time.Duration
	AckRandomFactor float64
	MaxRetransmit   int // negative: none
	ResponseTimeout time.Duration

	// FinishAtAck ends a confirmable request at its acknowledgement, empty or
	// with a response, instead of waiting for a separate response.
	FinishAtAck bool

	// Multiple keeps the request open after a response, as for a request to a
	// group: done is called for every response and at last with ErrTimeout, a
	// ResponseTimeout after the request.
	Multiple bool
}

// A Response is what a request was answered with. With FinishAtAck, and with
// ErrReset, the message may be empty.
type Response[P comparable] struct {
	From P
	Message
}

// exchangeState is where an Exchange stands.
type exchangeState uint8

const (
	held    exchangeState = iota // not sent yet, because of NSTART
	sent                         // confirmable, waits for the acknowledgement
	waiting                      // acknowledged or non-confirmable, waits for the response
	over
)

func (s exchangeState) String() string {
	return [...]string{"held", "sent", "waiting", "over"}[s]
}

// An Exchange is a request, or a confirmable response, that waits for its
// answer.
type Exchange[P comparable] struct {
	e        *Endpoint[P]
	to       P
	mid      uint16
	token    string
	datagram []byte
	con      bool
	request  bool // waits for a response, not only for the acknowledgement
	opts     RequestOptions
	done     func(Response[P], error)

	state    exchangeState
	interval time.Duration // of the next retransmission
	retries  int           // retransmissions left
	deadline time.Time
	index    int // in the heap of timers; -1: not there
}

// Request sends a request to a peer. m needs Type (Confirmable or
// NonConfirmable), Code and whatever options and payload it has; a MessageID
// of zero and a nil Token are filled in.
//
// done, which may be nil, is called exactly once (but see
// RequestOptions.Multiple), never from within Request: with the response, or
// with ErrTimeout, ErrReset, ErrCancelled or ErrBadOption. A response with an
// error code is a response. Of a non-confirmable request without done nothing
// is remembered, and the returned exchange is nil.
//
// An error means that nothing was sent and done will not be called: ErrBusy,
// ErrInUse, ErrInvalid.
func (e *Endpoint[P]) Request(now time.Time, to P, m Message, opts RequestOptions, done func(Response[P], error)) (*Exchange[P], error) {
	if !m.Code.IsRequest() {
		return nil, ErrInvalid
	}
	e.now = now
	if m.Token == nil {
		m.Token = e.newToken()
	}
	return e.send(to, m, opts, done)
}

// send starts an exchange, for requests and confirmable responses.
func (e *Endpoint[P]) send(to P, m Message, opts RequestOptions, done func(Response[P], error)) (*Exchange[P], error) {
	if m.Type > NonConfirmable || len(m.Token) > maxTokenLen {
		return nil, ErrInvalid
	}
	if m.MessageID == 0 {
		m.MessageID = e.newMID()
	}
	con := m.Type == Confirmable
	if !con && done == nil {
		e.cfg.Send(to, m.Append(nil))
		return nil, nil
	}
	if e.byMID[m.MessageID] != nil {
		return nil, ErrInUse
	}
	if len(e.byMID) >= e.cfg.MaxPending {
		return nil, ErrBusy
	}
	x := &Exchange[P]{
		e: e, to: to, mid: m.MessageID, token: string(m.Token), datagram: m.Append(nil),
		con: con, request: m.Code.IsRequest(), opts: e.withDefaults(opts), done: done, index: -1,
	}
	e.byMID[x.mid] = x
	if x.request {
		e.byToken[x.token] = append(e.byToken[x.token], x)
	}
	if con && e.inFlightTo(to) {
		e.queued = append(e.queued, x)
		return x, nil
	}
	x.start()
	return x, nil
}

// withDefaults fills in what a request does not override.
func (e *Endpoint[P]) withDefaults(o RequestOptions) RequestOptions {
	changed := o.AckTimeout > 0 || o.AckRandomFactor > 0 || o.MaxRetransmit != 0
	orDefault(&o.AckTimeout, e.cfg.AckTimeout)
	orDefault(&o.AckRandomFactor, e.cfg.AckRandomFactor)
	if o.MaxRetransmit == 0 {
		o.MaxRetransmit = e.cfg.MaxRetransmit
	}
	o.MaxRetransmit = max(o.MaxRetransmit, 0)
	if o.ResponseTimeout <= 0 {
		o.ResponseTimeout = e.cfg.ResponseTimeout
		if changed {
			o.ResponseTimeout = transmitWait(o.AckTimeout, o.AckRandomFactor, o.MaxRetransmit)
		}
	}
	return o
}

// newMID returns a message id that no exchange uses. Zero is left out, as it
// stands for "not chosen".
func (e *Endpoint[P]) newMID() uint16 {
	for {
		e.lastMID++
		if e.lastMID != 0 && e.byMID[e.lastMID] == nil {
			return e.lastMID
		}
	}
}

// newToken returns a token that no request uses.
func (e *Endpoint[P]) newToken() []byte {
	t := make([]byte, e.cfg.TokenLength)
	for {
		for i := range t {
			t[i] = byte(e.cfg.Rand.Uint32())
		}
		if len(e.byToken[string(t)]) == 0 {
			return t
		}
	}
}

// inFlightTo reports whether NSTART forbids one more message to a peer
// (RFC 7252 Section 4.7).
func (e *Endpoint[P]) inFlightTo(to P) bool {
	if e.cfg.NSTART <= 0 {
		return false
	}
	n := 0
	for _, x := range e.byMID {
		if x.state == sent && x.to == to {
			n++
		}
	}
	return n >= e.cfg.NSTART
}

// MessageID returns the message id in use.
func (x *Exchange[P]) MessageID() uint16 { return x.mid }

// Token returns the token in use.
func (x *Exchange[P]) Token() []byte { return []byte(x.token) }

// Cancel ends the exchange; done is called with ErrCancelled before Cancel
// returns. It has no effect on an exchange that is over, or nil.
func (x *Exchange[P]) Cancel() {
	if x != nil {
		x.finish(Response[P]{}, ErrCancelled)
	}
}

// start sends the message for the first time.
func (x *Exchange[P]) start() {
	if x.con {
		x.state = sent
		x.interval = x.opts.AckTimeout
		if spread := int64(float64(x.interval) * (x.opts.AckRandomFactor - 1)); spread > 0 {
			x.interval += time.Duration(x.e.cfg.Rand.Int64N(spread + 1))
		}
		x.retries = x.opts.MaxRetransmit
		x.arm(x.interval)
	} else {
		x.state = waiting
		x.arm(x.opts.ResponseTimeout)
	}
	x.e.cfg.Send(x.to, x.datagram)
}

// expire retransmits or gives up (RFC 7252 Section 4.2).
func (x *Exchange[P]) expire() {
	if x.state != sent || x.retries == 0 {
		x.finish(Response[P]{}, ErrTimeout)
		return
	}
	x.retries--
	x.interval *= 2
	x.arm(x.interval)
	x.e.cfg.Send(x.to, x.datagram)
}

// acknowledged handles an empty acknowledgement.
func (x *Exchange[P]) acknowledged(from P, m Message) {
	if !x.request || x.opts.FinishAtAck {
		x.finish(Response[P]{From: from, Message: m}, nil)
		return
	}
	x.wait()
}

// wait stops the retransmissions and waits for the response.
func (x *Exchange[P]) wait() {
	x.state = waiting
	x.arm(x.opts.ResponseTimeout)
	x.e.release(x.to)
}

// responded handles the response. It acknowledges the request too, whose own
// acknowledgement may be lost (RFC 7252 Section 5.2.2).
func (x *Exchange[P]) responded(r Response[P]) {
	if !x.opts.Multiple {
		x.finish(r, nil)
		return
	}
	if x.state == sent {
		x.wait()
	}
	if x.done != nil {
		x.done(r, nil)
	}
}

// finish ends the exchange and tells its owner.
func (x *Exchange[P]) finish(r Response[P], err error) {
	if x.state == over {
		return
	}
	x.state = over
	e := x.e
	x.disarm()
	delete(e.byMID, x.mid)
	if x.request {
		same := slices.DeleteFunc(e.byToken[x.token], func(y *Exchange[P]) bool { return y == x })
		if len(same) == 0 {
			delete(e.byToken, x.token)
		} else {
			e.byToken[x.token] = same
		}
	}
	e.queued = slices.DeleteFunc(e.queued, func(y *Exchange[P]) bool { return y == x })
	e.release(x.to)
	if x.done != nil {
		x.done(r, err)
	}
}

// release starts what NSTART held back for a peer.
func (e *Endpoint[P]) release(to P) {
	for {
		i := slices.IndexFunc(e.queued, func(x *Exchange[P]) bool { return x.to == to })
		if i < 0 || e.inFlightTo(to) {
			return
		}
		x := e.queued[i]
		e.queued = slices.Delete(e.queued, i, i+1)
		x.start()
	}
}

// arm sets the timer to d from now.
func (x *Exchange[P]) arm(d time.Duration) {
	x.deadline = x.e.now.Add(d)
	if x.index < 0 {
		heap.Push(&x.e.timers, x)
		return
	}
	heap.Fix(&x.e.timers, x.index)
}

func (x *Exchange[P]) disarm() {
	if x.index >= 0 {
		heap.Remove(&x.e.timers, x.index)
	}
}

// timerHeap is a container/heap of exchanges by deadline; equal deadlines go
// by message id, so that a run can be repeated.
type timerHeap[P comparable] []*Exchange[P]

func (h timerHeap[P]) Len() int { return len(h) }

func (h timerHeap[P]) Less(i, j int) bool {
	if c := h[i].deadline.Compare(h[j].deadline); c != 0 {
		return c < 0
	}
	return h[i].mid < h[j].mid
}

func (h timerHeap[P]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timerHeap[P]) Push(v any) {
	x := v.(*Exchange[P])
	x.index = len(*h)
	*h = append(*h, x)
}

func (h *timerHeap[P]) Pop() any {
	old := *h
	x := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	x.index = -1
	return x
}

func sortByMID[P comparable](xs []*Exchange[P]) {
	slices.SortFunc(xs, func(a, b *Exchange[P]) int { return cmp.Compare(a.mid, b.mid) })
}
