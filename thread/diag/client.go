package diag

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/coap"
	"gatewayd/thread/tmf"
)

// maxQueries bounds the queries that wait for answers at a time.
const maxQueries = 16

// Report is what a node told of itself.
type Report struct {
	From    netip.Addr
	Payload []byte
	// Values are the payload's TLVs, up to the first that is malformed, which
	// Err is about.
	Values []Value
	Err    error
}

func newReport(from netip.Addr, payload []byte) Report {
	r := Report{From: from, Payload: bytes.Clone(payload)}
	r.Values, r.Err = Decode(r.Payload)
	return r
}

// Get asks one node. done is called once, later, with its report or the error
// that there is none; an error returned means that it is not called.
func (a *Agent) Get(to netip.Addr, types []Type, done func(Report, error)) (*tmf.Exchange, error) {
	var failed error
	sending := true
	x, err := a.send(tmf.DiagnosticGet, to, Append(nil, Types(types)), func(r tmf.Response, err error) {
		switch {
		case sending:
			failed = err
		case err != nil:
			done(Report{}, err)
		case r.Code != coap.Changed:
			done(Report{}, fmt.Errorf("%w: %v", ErrRefused, r.Code))
		default:
			done(newReport(r.From.Remote.Addr(), r.Payload), nil)
		}
	})
	sending = false
	if err == nil {
		err = failed
	}
	return x, err
}

// Reset asks a node, or the nodes of a group, to set counters to 0: those of
// TypeMACCounters and TypeMLECounters. done may be nil; of a group it is called
// with the first answer.
func (a *Agent) Reset(to netip.Addr, types []Type, done func(error)) error {
	_, err := a.send(tmf.DiagnosticReset, to, Append(nil, Types(types)), func(r tmf.Response, err error) {
		if err == nil && r.Code != coap.Changed {
			err = fmt.Errorf("%w: %v", ErrRefused, r.Code)
		}
		if done != nil {
			done(err)
		}
	})
	return err
}

func (a *Agent) send(path string, to netip.Addr, payload []byte, done func(tmf.Response, error)) (*tmf.Exchange, error) {
	if !a.cfg.MLE.Attached() {
		return nil, ErrState
	}
	return a.cfg.TMF.Send(path, to, payload, tmf.Options{Source: a.source(to)}, done), nil
}

// Query is a query that waits for answers.
type Query struct {
	a      *Agent
	id     uint16
	wait   time.Duration
	timer  *alarm.Timer
	answer func(Report)
	done   func()
}

// Query asks a node or the nodes of a group, this one too if it is of that
// group. answer is called for each message that answers, until wait is over;
// then done, which may be nil, unless Stop was called.
func (a *Agent) Query(to netip.Addr, types []Type, wait time.Duration, answer func(Report), done func()) (*Query, error) {
	if !a.cfg.MLE.Attached() {
		return nil, ErrState
	}
	if len(a.queries) >= maxQueries {
		return nil, ErrBusy
	}
	a.lastID++
	q := &Query{a: a, id: a.lastID, wait: wait, answer: answer, done: done}
	q.timer = a.cfg.Clock.NewTimer(func() {
		q.Stop()
		if q.done != nil {
			q.done()
		}
	})
	q.Extend()
	a.queries = append(a.queries, q)
	payload := Append(Append(nil, Types(types)), QueryID(q.id))
	a.cfg.TMF.Send(tmf.DiagnosticGetQuery, to, payload, tmf.Options{NonConfirmable: true, Source: a.source(to)}, nil)
	if to.IsMulticast() && slices.Contains(a.cfg.IP.Groups(), to) {
		a.answer(a.source(to), 0, payload, true)
	}
	return q, nil
}

// Extend lets the query wait anew from now.
func (q *Query) Extend() { q.timer.Start(q.wait) }

// Stop ends the query.
func (q *Query) Stop() {
	q.timer.Stop()
	q.a.queries = slices.DeleteFunc(q.a.queries, func(x *Query) bool { return x == q })
}

// answerReceived takes an answer to a query of ours. Those to others, which we
// may have given up, are acknowledged too.
func (a *Agent) answerReceived(r *tmf.Request) {
	if r.Type != coap.Confirmable || r.Code != coap.POST {
		r.NoResponse()
		return
	}
	r.Respond(coap.Changed, nil)
	rep := newReport(r.From.Remote.Addr(), r.Payload)
	id, ok := Find[QueryID](rep.Values)
	if !ok {
		return
	}
	for _, q := range a.queries {
		if q.id == uint16(id) {
			q.answer(rep)
			return
		}
	}
}
