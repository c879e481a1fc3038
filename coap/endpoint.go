package coap

import (
	"errors"
	"math/rand/v2"
	"time"
)

// How an exchange can end without a response.
var (
	ErrTimeout   = errors.New("coap: no answer")
	ErrReset     = errors.New("coap: peer answered with a reset")
	ErrCancelled = errors.New("coap: cancelled")
	ErrBadOption = errors.New("coap: response has an unknown critical option")
)

// Why a message was not sent.
var (
	ErrBusy    = errors.New("coap: too many requests are waiting for an answer")
	ErrInUse   = errors.New("coap: message id is in use")
	ErrInvalid = errors.New("coap: message cannot be sent")
)

// Transmission parameters (RFC 7252 Section 4.8).
const (
	defaultAckTimeout       = 2 * time.Second
	defaultAckRandomFactor  = 1.5
	defaultMaxRetransmit    = 4
	defaultExchangeLifetime = 247 * time.Second
	defaultNonLifetime      = 145 * time.Second
)

// Bounds of this implementation.
const (
	defaultTokenLength  = 2
	defaultMaxPending   = 128
	defaultCacheEntries = 256
	defaultCacheBytes   = 64 << 10
)

// Config configures an Endpoint. Rand and Send are required; every other
// field may be left zero.
type Config[P comparable] struct {
	Rand *rand.Rand // message ids, tokens, spread of retransmissions

	// Send transmits a datagram. It may keep the datagram, which is never
	// changed again, but must not change it itself, nor call Receive or
	// Advance of this endpoint before it returns.
	Send func(to P, datagram []byte)

	// SamePeer reports whether an answer from got may belong to what was sent
	// to sent. Default: equality. Requests to a multicast or anycast address
	// are answered from another address, which only the caller can judge.
	SamePeer func(sent, got P) bool

	// Multicast reports whether a message received from p was addressed to a
	// group. Default: never.
	Multicast func(p P) bool

	// KnownOption reports whether handlers understand a critical option that
	// this package does not define. Default: none.
	KnownOption func(number uint16) bool

	AckTimeout       time.Duration // default 2 s
	AckRandomFactor  float64       // default 1.5
	MaxRetransmit    int           // default 4; negative: none
	ResponseTimeout  time.Duration // from the last transmission or the ACK; default MAX_TRANSMIT_WAIT, 93 s
	ExchangeLifetime time.Duration // how long confirmable messages are remembered; default 247 s
	NonLifetime      time.Duration // the same for non-confirmable ones; default 145 s

	NSTART      int // most confirmable messages in flight to one peer; default: no limit
	TokenLength int // of tokens made here, 2 to 8 bytes; default 2

	MaxPending   int // most exchanges waiting for an answer; default 128, at most 16384
	CacheEntries int // most messages remembered against duplicates; default 256
	CacheBytes   int // most bytes of answers remembered with them; default 64 KiB
}

func (c *Config[P]) setDefaults() {
	if c.Rand == nil || c.Send == nil {
		panic("coap: Config needs Rand and Send")
	}
	if c.SamePeer == nil {
		c.SamePeer = func(sent, got P) bool { return sent == got }
	}
	if c.Multicast == nil {
		c.Multicast = func(P) bool { return false }
	}
	orDefault(&c.AckTimeout, defaultAckTimeout)
	orDefault(&c.AckRandomFactor, defaultAckRandomFactor)
	if c.MaxRetransmit == 0 {
		c.MaxRetransmit = defaultMaxRetransmit
	}
	c.MaxRetransmit = max(c.MaxRetransmit, 0)
	if c.ResponseTimeout <= 0 {
		c.ResponseTimeout = transmitWait(c.AckTimeout, c.AckRandomFactor, c.MaxRetransmit)
	}
	orDefault(&c.ExchangeLifetime, defaultExchangeLifetime)
	orDefault(&c.NonLifetime, defaultNonLifetime)
	orDefault(&c.TokenLength, defaultTokenLength)
	c.TokenLength = min(max(c.TokenLength, 2), maxTokenLen)
	orDefault(&c.MaxPending, defaultMaxPending)
	// Far fewer than there are message ids and tokens, so that a free one is
	// found soon.
	c.MaxPending = min(c.MaxPending, 1<<14)
	orDefault(&c.CacheEntries, defaultCacheEntries)
	orDefault(&c.CacheBytes, defaultCacheBytes)
}

func orDefault[T int | float64 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// transmitWait is MAX_TRANSMIT_WAIT (RFC 7252 Section 4.8.2).
func transmitWait(timeout time.Duration, factor float64, retransmit int) time.Duration {
	return time.Duration(float64(timeout) * float64(uint64(1)<<min(retransmit+1, 16)-1) * factor)
}

// messageKey identifies a message (RFC 7252 Section 4.5).
type messageKey[P comparable] struct {
	peer P
	mid  uint16
}

// seenCache maps the messages received to what a duplicate is answered with;
// nil: nothing.
type (
	seenCache[P comparable] = cache[messageKey[P], []byte]
	seenEntry[P comparable] = cacheEntry[messageKey[P], []byte]
)

// An Endpoint sends and receives CoAP messages: client and server at once
// (RFC 7252 Sections 4 and 5). P identifies a peer and the way to it.
//
// Its methods must not be called concurrently. Callbacks may call every method
// but Receive and Advance.
type Endpoint[P comparable] struct {
	cfg      Config[P]
	now      time.Time // of the event being handled, or the last one
	handlers map[string]Handler[P]
	fallback Handler[P]
	lastMID  uint16
	byMID    map[uint16]*Exchange[P]
	byToken  map[string][]*Exchange[P]
	timers   timerHeap[P]
	queued   []*Exchange[P] // held back by NSTART, oldest first
	seen     seenCache[P]
}

// New returns an endpoint. It panics when cfg lacks Rand or Send.
func New[P comparable](cfg Config[P]) *Endpoint[P] {
	cfg.setDefaults()
	return &Endpoint[P]{
		cfg:      cfg,
		handlers: make(map[string]Handler[P]),
		lastMID:  uint16(cfg.Rand.Uint32()),
		byMID:    make(map[uint16]*Exchange[P]),
		byToken:  make(map[string][]*Exchange[P]),
		seen:     newCache[messageKey[P], []byte](cfg.CacheEntries, cfg.CacheBytes),
	}
}

// Handle registers the handler of a path in the form Message.Path returns
// ("a/as"), for all methods. A nil handler removes it.
func (e *Endpoint[P]) Handle(path string, h Handler[P]) {
	if h == nil {
		delete(e.handlers, path)
		return
	}
	e.handlers[path] = h
}

// HandleRest registers the handler of all other paths. Without one,
// confirmable requests are answered with 4.04 and others not at all.
func (e *Endpoint[P]) HandleRest(h Handler[P]) { e.fallback = h }

// Deadline returns when Advance has to be called next; zero: no need.
func (e *Endpoint[P]) Deadline() time.Time {
	if len(e.timers) == 0 {
		return time.Time{}
	}
	return e.timers[0].deadline
}

// Advance does what is due at now: retransmissions and timeouts. Calling it
// early is harmless.
func (e *Endpoint[P]) Advance(now time.Time) {
	e.now = now
	for len(e.timers) > 0 && !e.timers[0].deadline.After(now) {
		e.timers[0].expire()
	}
}

// Pending returns how many exchanges wait for an answer.
func (e *Endpoint[P]) Pending() int { return len(e.byMID) }

// CancelAll ends every pending exchange with ErrCancelled, as when the network
// went away, and forgets what was received.
func (e *Endpoint[P]) CancelAll() {
	all := make([]*Exchange[P], 0, len(e.byMID))
	for _, x := range e.byMID {
		all = append(all, x)
	}
	sortByMID(all)
	for _, x := range all {
		x.Cancel()
	}
	e.seen = newCache[messageKey[P], []byte](e.cfg.CacheEntries, e.cfg.CacheBytes)
}

// Receive handles a datagram; it does not keep it. Malformed datagrams are
// rejected or dropped as RFC 7252 Section 4 asks.
func (e *Endpoint[P]) Receive(now time.Time, from P, datagram []byte) {
	e.now = now
	m, err := Decode(datagram)
	switch {
	case err != nil:
		var de *DecodeError
		if errors.As(err, &de) && de.Err != ErrVersion && len(datagram) >= headerLen {
			e.reject(from, m)
		}
	case m.Code == Empty:
		e.receiveEmpty(from, m)
	case m.Code.IsRequest():
		e.receiveRequest(from, m)
	case m.Code.IsResponse():
		e.receiveResponse(from, m)
	default:
		e.reject(from, m)
	}
}

// reject answers a confirmable message with a reset (RFC 7252 Section 4.2);
// others are ignored, and so is everything sent to a group (Section 8.1).
func (e *Endpoint[P]) reject(from P, m Message) {
	if m.Type == Confirmable {
		e.reset(from, m)
	}
}

func (e *Endpoint[P]) reset(from P, m Message) {
	if !e.cfg.Multicast(from) {
		e.cfg.Send(from, emptyMessage(Reset, m.MessageID))
	}
}

func emptyMessage(t Type, mid uint16) []byte {
	return Message{Type: t, MessageID: mid}.Append(nil)
}

// receiveEmpty handles acknowledgements, resets and pings.
func (e *Endpoint[P]) receiveEmpty(from P, m Message) {
	if m.Type == Confirmable {
		e.reject(from, m) // "CoAP ping", RFC 7252 Section 4.3
		return
	}
	x := e.byMID[m.MessageID]
	if x == nil || x.state == held || !e.cfg.SamePeer(x.to, from) {
		return
	}
	switch {
	case m.Type == Acknowledgement && x.state == sent:
		x.acknowledged(from, m)
	case m.Type == Reset:
		x.finish(Response[P]{From: from, Message: m}, ErrReset)
	}
}

// receiveResponse matches a response to its request (RFC 7252 Section 5.3.2).
func (e *Endpoint[P]) receiveResponse(from P, m Message) {
	switch m.Type {
	case Reset:
		return // a reset is empty, RFC 7252 Section 4.2
	case Acknowledgement:
		x := e.byMID[m.MessageID]
		// OpenThread's command line answers what is not confirmable like this,
		// too.
		if x == nil || x.con && x.state != sent || x.state == held || !x.request || x.token != string(m.Token) || !e.cfg.SamePeer(x.to, from) {
			return
		}
		r := Response[P]{From: from, Message: m.Clone()}
		if _, bad := m.BadOption(e.cfg.KnownOption); bad {
			x.finish(r, ErrBadOption)
			return
		}
		x.responded(r)
		return
	}
	key := messageKey[P]{peer: from, mid: m.MessageID}
	if old := e.seen.get(key, e.now); old != nil {
		e.replay(from, old)
		return
	}
	x := e.waiting(from, m.Token)
	if _, bad := m.BadOption(e.cfg.KnownOption); x == nil || bad {
		// Also for non-confirmable messages: an observer ends an observation
		// it has forgotten like this (RFC 7641 Section 3.6).
		e.reset(from, m)
		return
	}
	var ack []byte
	if m.Type == Confirmable && !e.cfg.Multicast(from) {
		ack = emptyMessage(Acknowledgement, m.MessageID)
	}
	e.replay(from, e.seen.put(key, ack, len(ack), e.now, e.lifetime(m.Type)))
	x.responded(Response[P]{From: from, Message: m.Clone()})
}

// waiting returns the request with a token that from may answer.
func (e *Endpoint[P]) waiting(from P, token []byte) *Exchange[P] {
	for _, x := range e.byToken[string(token)] {
		if x.state != held && e.cfg.SamePeer(x.to, from) {
			return x
		}
	}
	return nil
}

// replay answers a duplicate like the original.
func (e *Endpoint[P]) replay(to P, old *seenEntry[P]) {
	if old.value != nil {
		e.cfg.Send(to, old.value)
	}
}

func (e *Endpoint[P]) lifetime(t Type) time.Duration {
	if t == Confirmable {
		return e.cfg.ExchangeLifetime
	}
	return e.cfg.NonLifetime
}
