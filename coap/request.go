package coap

import (
	"bytes"
	"slices"
	"time"
)

// A Handler answers a request by calling one of the Request's answering
// methods, before it returns or later. When it returns without, a confirmable
// request is acknowledged with an empty message, and the response follows
// separately (RFC 7252 Section 5.2.2).
type Handler[P comparable] func(r *Request[P])

// A Request is a request that was received. It may be kept.
type Request[P comparable] struct {
	From      P
	Multicast bool // was sent to a group
	Message

	e        *Endpoint[P]
	entry    *seenEntry[P]
	acked    bool // the empty acknowledgement was sent
	answered bool

	// shape, of the block-wise layer, turns an answer into what goes into one
	// message.
	shape func(Code, []byte, []Option) (Code, []byte, []Option)
}

// receiveRequest hands a request to its handler.
func (e *Endpoint[P]) receiveRequest(from P, m Message) {
	if m.Type > NonConfirmable {
		return // RFC 7252 Section 4.2: not a request
	}
	multicast := e.cfg.Multicast(from)
	if multicast {
		// RFC 7252 Section 8.1 forbids a confirmable request to a group. If
		// one comes nevertheless, no acknowledgement may go out.
		m.Type = NonConfirmable
	}
	key := messageKey[P]{peer: from, mid: m.MessageID}
	if old := e.seen.get(key, e.now); old != nil {
		e.replay(from, old)
		return
	}
	r := &Request[P]{
		From: from, Multicast: multicast, Message: m.Clone(),
		e: e, entry: e.seen.put(key, nil, 0, e.now, e.lifetime(m.Type)),
	}
	if _, bad := m.BadOption(e.cfg.KnownOption); bad {
		r.refuse(BadOption) // RFC 7252 Section 5.4.1
		return
	}
	if r.proxied() {
		r.refuse(ProxyingNotSupported)
		return
	}
	h := e.handlers[m.Path()]
	if h == nil {
		h = e.fallback
	}
	if h == nil {
		h = notFound[P]
	}
	h(r)
	if !r.answered && !r.acked {
		r.acknowledge()
	}
}

// refuse answers a confirmable request with an error, and drops others.
func (r *Request[P]) refuse(code Code) {
	if r.Type == Confirmable {
		r.Respond(code, nil)
		return
	}
	r.NoResponse()
}

// proxied reports whether the request is meant for another server (RFC 7252
// Section 5.10.2).
func (r *Request[P]) proxied() bool {
	_, uri := r.Option(OptionProxyURI)
	_, scheme := r.Option(OptionProxyScheme)
	return uri || scheme
}

func notFound[P comparable](r *Request[P]) { r.refuse(NotFound) }

// Answered reports whether the request got its answer.
func (r *Request[P]) Answered() bool { return r.answered }

// Respond answers the request: in the acknowledgement when it is called before
// the handler returns, else in a message of its own, confirmable like the
// request. Only the first answer counts. To respond later than in the call
// into the endpoint that is going on, use RespondAt.
func (r *Request[P]) Respond(code Code, payload []byte, opts ...Option) {
	if r.answered {
		return
	}
	r.answered = true
	if r.shape != nil {
		code, payload, opts = r.shape(code, payload, opts)
	}
	m := Message{Type: r.Type, Code: code, Token: r.Token, Options: opts, Payload: payload}
	if r.Type == Confirmable && !r.acked {
		m.Type, m.MessageID = Acknowledgement, r.MessageID
		r.finally(m.Append(nil))
		return
	}
	if r.Type == Confirmable {
		// When too many exchanges are pending, the client has to ask again.
		_, _ = r.e.send(r.From, m, RequestOptions{}, nil)
		return
	}
	m.MessageID = r.e.newMID()
	r.finally(m.Append(nil))
}

// RespondAt is Respond at a time after the handler has returned: the
// retransmissions of the response count from now.
func (r *Request[P]) RespondAt(now time.Time, code Code, payload []byte, opts ...Option) {
	r.e.now = now
	r.Respond(code, payload, opts...)
}

// Ack acknowledges a confirmable request with an empty message and gives it no
// response, for requests that expect none.
func (r *Request[P]) Ack() {
	if r.answered {
		return
	}
	r.acknowledge()
	r.answered = true
}

// NoResponse drops the request without any answer, and duplicates of it.
func (r *Request[P]) NoResponse() { r.answered = true }

// Reset rejects the request (RFC 7252 Section 4.2).
func (r *Request[P]) Reset() {
	if r.answered {
		return
	}
	r.answered = true
	if !r.Multicast {
		r.finally(emptyMessage(Reset, r.MessageID))
	}
}

func (r *Request[P]) acknowledge() {
	if r.Type == Confirmable && !r.acked {
		r.acked = true
		r.finally(emptyMessage(Acknowledgement, r.MessageID))
	}
}

// finally sends an answer that duplicates of the request get as well.
func (r *Request[P]) finally(datagram []byte) {
	r.e.seen.set(r.entry, datagram, len(datagram))
	r.e.cfg.Send(r.From, datagram)
}

// Clone returns a copy that shares no memory with m.
func (m Message) Clone() Message {
	m.Token = bytes.Clone(m.Token)
	m.Payload = bytes.Clone(m.Payload)
	m.Options = slices.Clone(m.Options)
	for i := range m.Options {
		m.Options[i].Value = bytes.Clone(m.Options[i].Value)
	}
	return m
}
