package mac

import (
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/radio"
	"gatewayd/thread/link"
	"gatewayd/thread/neighbor"
)

// Implementation constants of sending to synchronized sleepy children.
const (
	// cslAhead is how early a frame is given to the radio: OpenThread's 2 ms,
	// and what a process on a busy host may be woken too late.
	cslAhead = 2*time.Millisecond + 4*time.Millisecond
	cslGuard = 1500 * time.Microsecond // by how much that may be too early
	cslLead  = 300 * time.Microsecond  // what a radio needs at least
	// cslReserve is how long before that nothing else is begun: the longest
	// frame, its acknowledgement, and a few backoffs.
	cslReserve = 8 * time.Millisecond
)

// csl is which synchronized child is sent to next.
type csl struct {
	timer *alarm.Timer
	due   bool // the timer has fired
	yield bool // something else may be begun, though the next window is near
	// resume goes on with what had to wait for a window, whatever became of it.
	resume *alarm.Timer
}

// SetCSL says when the radio of a sleepy device listens; the zero value ends
// it. The frames to the parent tell it.
func (m *MAC) SetCSL(c radio.CSL) {
	if m.want.CSL != c {
		m.want.CSL = c
		m.configure()
	}
}

// SetProbes says whom the acknowledgements tell of how frames arrive.
func (m *MAC) SetProbes(p []radio.Probe) { m.want.Probes = p; m.configure() }

// choose fixes what a frame is like in all its transmissions: of version 2015
// to whom an enhanced acknowledgement tells something, or listens now and then.
func (m *MAC) choose(f *Frame) {
	if f.chosen {
		return
	}
	f.chosen, f.version = true, ieee802154.Version2006
	n := m.destination(f)
	if n == nil {
		return
	}
	if n == &m.cfg.Table.Parent.Neighbor && m.want.CSL.Period > 0 && !m.rxOn && f.Security == link.Secured {
		f.version, f.csl = ieee802154.Version2015, true
		return
	}
	if c := m.cfg.Table.Child(n); c != nil && c.CSL.Synced || n.Probing != 0 {
		f.version = ieee802154.Version2015
	}
}

// heardCSL takes what a secured frame or acknowledgement tells of the moments
// at which a child listens.
func (m *MAC) heardCSL(n *neighbor.Neighbor, f *ieee802154.Frame, stamp uint64) {
	told, ok := f.CSL()
	if !ok || f.Version != ieee802154.Version2015 || told.Period < neighbor.MinCSLPeriod {
		return
	}
	c := m.cfg.Table.Child(n)
	if c == nil || c.Mode.RxOnWhenIdle() {
		return
	}
	c.CSL.Told(m.cfg.Clock.Now(), told.Period, told.Phase, stamp)
	m.planCSL()
}

// forgetCSL is for when the radio's clock is no more what it was.
func (m *MAC) forgetCSL() {
	for _, c := range m.cfg.Table.Children {
		c.CSL.Synced = false
	}
}

// nextCSL finds the child with something to send whose moment comes first.
func (m *MAC) nextCSL(from uint64) (child *neighbor.Child, at uint64) {
	for _, c := range m.cfg.Table.Children {
		if !c.CSL.Synced || c.Indirect.Queued == 0 || c.Mode.RxOnWhenIdle() || c.State == neighbor.Invalid {
			continue
		}
		if next := c.CSL.Next(from); child == nil || next < at {
			child, at = c, next
		}
	}
	return child, at
}

func micros(d time.Duration) uint64 { return uint64(d / time.Microsecond) }

// radioNow is the radio's clock; false if it cannot send at a time of it.
func (m *MAC) radioNow() (uint64, bool) {
	if !m.up || !m.want.Enabled || !m.info.Caps.Has(radio.CapTransmitTiming) {
		return 0, false
	}
	return m.radio.Clock(m.cfg.Clock.Now())
}

// planCSL waits for the next moment.
func (m *MAC) planCSL() {
	if m.op == indirectCSL || m.csl.due {
		return // what follows plans
	}
	now, ok := m.radioNow()
	if !ok {
		m.csl.timer.Stop()
		return
	}
	ahead := micros(cslAhead + m.info.BusTime)
	c, at := m.nextCSL(now + ahead)
	if c == nil {
		m.csl.timer.Stop()
		return
	}
	m.csl.timer.Start(time.Duration(at-ahead-now) * time.Microsecond)
}

func (m *MAC) cslDue() {
	m.csl.due = true
	m.Kick()
}

// startCSL gives the radio the frame for the moment that is due; false if that
// was missed, or there is nothing to send any more.
func (m *MAC) startCSL() bool {
	m.csl.due = false
	now, ok := m.radioNow()
	if !ok {
		return false
	}
	lead := micros(cslLead + m.info.BusTime)
	c, at := m.nextCSL(now + lead)
	if c == nil || at > now+micros(cslAhead+m.info.BusTime+cslGuard) {
		m.planCSL()
		return false
	}
	f := m.held[c]
	if f != nil {
		delete(m.held, c)
		m.out = *f
	} else {
		m.out = Frame{}
		if !m.cfg.Source.NextIndirect(c, &m.out) {
			m.planCSL()
			return false
		}
	}
	m.out.Channel = c.CSL.Channel
	m.op, m.outChild = indirectCSL, c
	m.at = at - micros(radio.SHR)
	m.transmit(0)
	return true
}

// reserved reports whether nothing else may begin: a child's moment is near.
func (m *MAC) reserved() bool {
	if !m.csl.timer.Running() || m.csl.yield || m.csl.timer.At().Sub(m.cfg.Clock.Now()) >= cslReserve {
		return false
	}
	m.csl.resume.Start(cslReserve)
	return true
}

// takeTurns lets something else have its turn where windows follow each other
// so closely that it never would.
func (m *MAC) takeTurns() {
	m.csl.yield = m.csl.timer.Running() && m.csl.timer.At().Sub(m.cfg.Clock.Now()) < 2*cslReserve
}

// sentCSL ends the transmission to a synchronized child. One that was not
// answered is repeated as it is: in the next windows, then to polls.
func (m *MAC) sentCSL(c *neighbor.Child, f *Frame, s radio.TxStatus) {
	if c == nil || c.State == neighbor.Invalid {
		return // gone meanwhile
	}
	f.Channel = 0
	if s == radio.TxOK {
		c.CSL.Missed = 0
		m.cfg.Source.IndirectSent(c, f, true)
		return
	}
	m.held[c] = f
	if s == radio.TxNoAck {
		c.CSL.Miss(m.at)
	}
}
