package spinel

import (
	"strings"
	"time"

	"gatewayd/alarm"
	"gatewayd/radio/hdlc"
)

// window is how many requests, beside a frame to transmit, may be waiting for
// their answers. RCPs answer in order and have room for 15; few are enough to
// hide the latency of USB, and never fill a small receive buffer.
const window = 4

const levelDebug = 7 // syslog's

// A request is a command that is answered.
type request struct {
	cmd   Command
	prop  Prop
	value []byte
	// done takes the answer: a value or, if that is nil, a status. It may be
	// nil itself.
	done func(value []byte, s Status)
	// setting marks what a transmission must wait for.
	setting bool

	asked   time.Time
	retried bool
}

// requests are what waits to be sent, in order, and what waits for an answer.
type requests struct {
	queue    []*request
	open     [maxTID + 1]*request // by transaction
	inFlight int                  // requests in open, but for txRequest
	settings int                  // in queue and open
	last     uint8                // transaction used last
	timer    *alarm.Timer
}

// txRequest stands in requests.open for the frame being transmitted.
var txRequest = &request{cmd: CmdSet, prop: PropStreamRaw}

func (q *requests) clear() {
	q.queue = nil
	q.open = [maxTID + 1]*request{}
	q.inFlight, q.settings = 0, 0
	q.timer.Stop()
	// last stays: a late answer must not meet a new request soon.
}

// tid takes a free transaction, or returns 0.
func (q *requests) tid(r *request) uint8 {
	for range maxTID {
		q.last = q.last%maxTID + 1
		if q.open[q.last] == nil {
			q.open[q.last] = r
			return q.last
		}
	}
	return 0
}

// ask queues a request and sends what may be sent.
func (l *Link) ask(r *request) {
	if r.setting {
		l.requests.settings++
	}
	l.requests.queue = append(l.requests.queue, r)
	l.pump()
}

// get asks for a property's value.
func (l *Link) get(p Prop, done func(value []byte, s Status)) {
	l.ask(&request{cmd: CmdGet, prop: p, done: done})
}

// pump sends requests while the window is open.
func (l *Link) pump() {
	q := &l.requests
	for len(q.queue) > 0 && q.inFlight < window {
		r := q.queue[0]
		tid := q.tid(r)
		if tid == 0 {
			return
		}
		q.queue = q.queue[1:]
		q.inFlight++
		r.asked = l.clock.Now()
		l.send(Frame{IID: l.cfg.IID, TID: tid, Cmd: r.cmd, Prop: r.prop, Value: r.value})
	}
	l.watch()
}

// watch sets the timer to the first request that will have waited too long.
func (l *Link) watch() {
	q := &l.requests
	var first time.Time
	for _, r := range q.open {
		if r != nil && r != txRequest && (first.IsZero() || r.asked.Before(first)) {
			first = r.asked
		}
	}
	if first.IsZero() {
		q.timer.Stop()
		return
	}
	q.timer.StartAt(first.Add(l.cfg.ResponseTimeout))
}

// requestsDue handles requests that have waited too long. Questions are asked
// twice, because bytes do get lost on serial lines, unless nothing has ever
// answered. A setting is not: whether it took effect is unknown, and repeated
// late it might undo a newer one.
func (l *Link) requestsDue() {
	q := &l.requests
	if l.overslept(q.timer) {
		return
	}
	late := l.clock.Now().Add(-l.cfg.ResponseTimeout)
	var again []*request
	for tid, r := range q.open {
		if r == nil || r == txRequest || r.asked.After(late) {
			continue
		}
		l.stats.Timeouts++
		if r.cmd != CmdGet || r.retried || !l.answered {
			l.lost("no answer to "+r.prop.String(), false)
			return
		}
		l.notify(Event{Kind: EventTimeout, Prop: r.prop})
		r.retried = true
		q.open[tid] = nil
		q.inFlight--
		again = append(again, r)
	}
	q.queue = append(again, q.queue...)
	l.pump()
}

// answer handles a frame that belongs to a transaction.
func (l *Link) answer(f Frame) {
	q := &l.requests
	r := q.open[f.TID]
	switch {
	case r == nil || f.Cmd < CmdIs || f.Cmd > CmdRemoved:
		l.stats.Unmatched++
		return
	case r == txRequest:
		if f.Prop != PropLastStatus {
			l.stats.Unmatched++
			return
		}
		q.open[f.TID] = nil
		l.answered = true
		l.transmitted(f.Value)
		return
	case f.Prop != r.prop && f.Prop != PropLastStatus:
		l.stats.Unmatched++ // to an earlier request with this number
		return
	}
	value, status := f.Value, StatusOK
	if f.Prop == PropLastStatus && r.prop != PropLastStatus {
		rd := NewReader(f.Value, 0)
		value, status = nil, Status(rd.Packed("status"))
		if err := rd.Err(); err != nil {
			l.malformed(r.prop, err)
			return
		}
	} else if value == nil {
		value = []byte{}
	}
	l.answered = true
	q.open[f.TID] = nil
	q.inFlight--
	if r.setting {
		q.settings--
	}
	if r.done != nil {
		r.done(value, status)
	}
	l.pump()
	l.transmitNow()
}

// send encodes a frame and hands it over.
func (l *Link) send(f Frame) {
	l.stats.FramesOut++
	l.frameBuf = f.Append(l.frameBuf[:0])
	l.wireBuf = hdlc.AppendFrame(l.wireBuf[:0], l.frameBuf)
	l.cfg.Send(l.wireBuf)
}

// logText makes a line of the RCP's fit for a log: no control characters, and
// of bounded length.
func logText(b []byte) string {
	const longest = 512
	s := strings.ToValidUTF8(string(b[:min(len(b), longest)]), "?")
	s = strings.TrimRight(s, "\x00\r\n ")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
