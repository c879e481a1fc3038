package mle

import (
	"time"

	"gatewayd/alarm"
)

// Poll timing, OpenThread's.
const (
	attachPoll   = 100 * time.Millisecond
	fastPoll     = 188 * time.Millisecond
	failedPoll   = time.Second
	quickPolls   = 4 // after an announced frame did not come
	maxFastPolls = 15
	minPoll      = 10 * time.Millisecond
)

// poller asks the parent for what it keeps for a sleepy child.
type poller struct {
	timer    *alarm.Timer
	on       bool
	attach   bool // an answer to attach or update is waited for
	fast     int  // fast polls left
	failed   bool
	timeouts int
	last     time.Time
}

func (p *poller) start(m *MLE) {
	if !p.on {
		p.on, p.failed, p.timeouts = true, false, 0
		p.last = m.cfg.Clock.Now()
	}
	p.rearm(m)
}

func (p *poller) stop(*MLE) {
	p.on, p.attach, p.fast = false, false, 0
	p.timer.Stop()
}

// attaching polls quickly while an answer to a request is waited for.
func (p *poller) attaching(m *MLE, on bool) {
	p.attach = on
	if on {
		p.start(m)
	} else if p.on {
		p.rearm(m)
	}
}

// answered ends fast polls that were for an answer which has come.
func (p *poller) answered(m *MLE) {
	p.fast = 0
	if p.on {
		p.rearm(m)
	}
}

// period is the time between the last poll and the next.
func (m *MLE) pollPeriod() time.Duration {
	p := &m.poll
	d := m.DefaultPollPeriod()
	if m.Tuning.PollPeriod > 0 {
		d = min(d, m.Tuning.PollPeriod)
	}
	if m.listening() {
		d = min(d, m.cslPoll())
	}
	if p.attach {
		d = min(d, attachPoll)
	}
	if p.fast > 0 {
		d = min(d, fastPoll)
	}
	if p.failed {
		d = min(d, failedPoll)
	}
	return max(d, minPoll)
}

// DefaultPollPeriod keeps the parent from dropping the child.
func (m *MLE) DefaultPollPeriod() time.Duration {
	return max(m.Tuning.ChildTimeout-maxTries*retryDelay, retryDelay)
}

// PollPeriod is the present period of a sleepy child.
func (m *MLE) PollPeriod() time.Duration { return m.pollPeriod() }

// SetPollPeriod sets the period; 0 is DefaultPollPeriod.
func (m *MLE) SetPollPeriod(d time.Duration) error {
	if d < 0 || d > 0 && d < minPoll || d > maxPoll {
		return ErrInvalid
	}
	m.Tuning.PollPeriod = d
	if m.poll.on {
		m.poll.rearm(m)
	}
	return nil
}

const maxPoll = (1<<26 - 1) * time.Millisecond

func (p *poller) rearm(m *MLE) {
	at := p.last.Add(m.pollPeriod())
	if soon := m.cfg.Clock.Now().Add(minPoll); at.Before(soon) {
		at = soon
	}
	p.timer.StartAt(at)
}

// pollTimer polls; PollSent goes on.
func (m *MLE) pollTimer() {
	p := &m.poll
	p.last = m.cfg.Clock.Now()
	if p.fast > 0 {
		p.fast--
	}
	p.rearm(m) // should nobody tell how it went
	m.cfg.MAC.Poll()
}

// PollNow polls at once.
func (m *MLE) PollNow() error {
	if !m.poll.on {
		return ErrState
	}
	m.pollTimer()
	return nil
}

// RequestFastPolls polls the next n times at short intervals: an answer is
// expected.
func (m *MLE) RequestFastPolls(n int) {
	p := &m.poll
	if !p.on {
		return
	}
	p.fast = min(max(p.fast, n), maxFastPolls)
	p.rearm(m)
}

// PollSent takes the outcome of a poll from the MAC. After an acknowledgement
// that announces a frame, a second call with ok false tells that none came.
func (m *MLE) PollSent(ok, pending bool) {
	p := &m.poll
	if !p.on {
		return
	}
	switch {
	case ok:
		p.failed = false
		if !pending {
			p.timeouts = 0
		}
	case pending:
		if p.timeouts++; p.timeouts <= quickPolls {
			p.timer.StartEarlier(minPoll)
			return
		}
		p.timeouts = 0
	default:
		p.failed = true
	}
	p.rearm(m)
}
