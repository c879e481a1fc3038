package diag

import (
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/coap"
	"gatewayd/ipv6"
	"gatewayd/thread/ip"
	"gatewayd/thread/link"
	"gatewayd/thread/mac"
	"gatewayd/thread/tmf"
)

// Implementation constants.
const (
	// enough is when an answer is sent and another one begun.
	enough = 800
	// maxPayload fits an IPv6 packet of the mesh's MTU with the longest CoAP
	// header of ours: token, two path options, payload marker.
	maxPayload = ip.MTU - ipv6.HeaderLen - ipv6.UDPHeaderLen - 4 - 8 - 5 - 1
	tlvHead    = 4 // at most
	answerLen  = 2 + 2
	// maxAnswering bounds the queries being answered at a time.
	maxAnswering = 8
	// leisure spreads the answers of many to a query to a group (RFC 7252
	// Section 8.2).
	leisure = 500 * time.Millisecond
)

// requested is the list of types in a request, each once.
func requested(payload []byte) (list Types, err error) {
	values, err := Decode(payload)
	if err != nil {
		return nil, err
	}
	all, _ := Find[Types](values)
	for _, t := range all {
		if !slices.Contains(list, t) {
			list = append(list, t)
		}
	}
	return list, nil
}

// getReceived answers Diagnostic Get with what fits one message.
func (a *Agent) getReceived(r *tmf.Request) {
	if r.Type != coap.Confirmable || r.Code != coap.POST {
		r.NoResponse()
		return
	}
	types, err := requested(r.Payload)
	if err != nil {
		r.Respond(coap.BadRequest, nil)
		return
	}
	var out []byte
	for _, t := range types {
		if v := a.value(t, maxPayload-len(out)-tlvHead); v != nil {
			if b := Append(out, v); len(b) <= maxPayload {
				out = b
			}
		}
	}
	r.Respond(coap.Changed, out)
}

// resetReceived sets counters to 0.
func (a *Agent) resetReceived(r *tmf.Request) {
	if r.Code != coap.POST {
		r.NoResponse()
		return
	}
	values, _, err := decodeTLV(r.Payload, 0)
	types, ok := values.(Types)
	if err != nil || !ok {
		r.Respond(coap.BadRequest, nil)
		return
	}
	for _, t := range types {
		switch t {
		case TypeMACCounters:
			a.cfg.MAC.Counters = mac.Counters{}
		case TypeMLECounters:
			a.cfg.MLE.ResetCounters()
		}
	}
	if r.Multicast {
		r.NoResponse()
		return
	}
	r.Respond(coap.Changed, nil)
}

// queryReceived answers Diagnostic Query with messages of their own.
func (a *Agent) queryReceived(r *tmf.Request) {
	if r.Code != coap.POST {
		r.NoResponse()
		return
	}
	if r.Type == coap.Confirmable {
		r.Respond(coap.Changed, nil)
	} else {
		r.NoResponse()
	}
	a.answer(r.From.Remote.Addr(), r.From.Priority, r.Payload, r.Multicast)
}

// answer begins to answer a query.
func (a *Agent) answer(to netip.Addr, priority link.Priority, query []byte, group bool) {
	types, err := requested(query)
	if err != nil || len(types) == 0 || a.answering >= maxAnswering {
		return
	}
	a.answering++
	d := &delivery{a: a, to: to, priority: priority, messages: a.answers(types, query)}
	if !group {
		d.next()
		return
	}
	d.timer = a.cfg.Clock.NewTimer(d.next)
	d.timer.Start(time.Duration(a.cfg.Rand.Int64N(int64(leisure))))
}

// answers are the payloads of the answers to a query.
func (a *Agent) answers(types Types, query []byte) [][]byte {
	w := answerWriter{}
	if values, err := Decode(query); err == nil {
		if id, ok := Find[QueryID](values); ok {
			w.head = Append(nil, id)
		}
	}
	w.now = slices.Clone(w.head)
	for _, t := range types {
		if t.List() {
			a.list(t, w.add)
		} else if v := a.value(t, maxPayload-len(w.head)-answerLen-tlvHead); v != nil {
			w.add(v)
		}
	}
	w.end(true)
	return w.out
}

// answerWriter makes messages of about the same size out of values.
type answerWriter struct {
	out  [][]byte
	head []byte // what each begins with
	now  []byte // the one being made
}

func (w *answerWriter) add(v Value) {
	b := Append(nil, v)
	if len(w.now) >= enough || len(w.now)+len(b)+answerLen > maxPayload {
		w.end(false)
		w.now = slices.Clone(w.head)
	}
	w.now = append(w.now, b...)
}

func (w *answerWriter) end(last bool) {
	w.out = append(w.out, Append(w.now, Answer{Last: last, Index: uint8(len(w.out) & 0x7f)}))
}

// delivery sends answers one after the other.
type delivery struct {
	a        *Agent
	to       netip.Addr
	priority link.Priority
	messages [][]byte
	timer    *alarm.Timer // of the first
}

// next sends the next answer. What follows an answer that is not acknowledged
// is not sent.
func (d *delivery) next() {
	if len(d.messages) == 0 {
		d.a.answering--
		return
	}
	m := d.messages[0]
	d.messages = d.messages[1:]
	o := tmf.Options{Source: d.a.source(d.to), Priority: d.priority}
	d.a.cfg.TMF.Send(tmf.DiagnosticGetAnswer, d.to, m, o, func(r tmf.Response, err error) {
		if err != nil || r.Code != coap.Changed {
			d.messages = nil
		}
		d.next()
	})
}
