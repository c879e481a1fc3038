package mle

import (
	"time"

	"gatewayd/radio"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/neighbor"
)

const (
	version12     = 3                     // the first that knows CSL
	minCSLPeriod  = 10 * time.Millisecond // implementation constants, OpenThread's
	maxCSLTimeout = 10000 * time.Second
)

// CSLTuning is when a sleepy child listens without polling (Thread 1.4 Section
// 3.2.6.3).
type CSLTuning struct {
	Period  time.Duration // 0: it does not
	Channel uint8         // 0: the network's
	Timeout time.Duration // after which silence the parent is not to rely on it: 100 s
}

// SetCSL changes it. Periods are multiples of 160 us from 10 ms on, or 0;
// timeouts at most 10000 s; channels ones of the radio. A radio that cannot
// listen now and then gives ErrNotCapable.
func (m *MLE) SetCSL(c CSLTuning) error {
	units := c.Period / radio.CSLUnit
	switch info := m.cfg.MAC.Info(); {
	case c.Period != 0 && (c.Period < minCSLPeriod || c.Period%radio.CSLUnit != 0 || units > 0xffff),
		c.Timeout < 0 || c.Timeout > maxCSLTimeout,
		c.Channel != 0 && info.Channels>>c.Channel&1 == 0:
		return ErrInvalid
	case c.Period != 0 && m.cfg.MAC.Up() && !info.CSLReceiver:
		return ErrNotCapable
	}
	was, on := m.Tuning.CSL, m.listening()
	m.Tuning.CSL = c
	m.followCSL()
	if c != was && m.role == Child && !m.mode.RxOnWhenIdle() && (on || m.listening()) {
		m.updateParent(updateNormal)
	}
	return nil
}

// listening reports whether the device listens in windows that its parent is
// told.
func (m *MLE) listening() bool {
	return m.Tuning.CSL.Period > 0 && m.role == Child && !m.mode.RxOnWhenIdle() &&
		m.cfg.Table.Parent.Version >= version12 && m.cfg.MAC.Info().CSLReceiver
}

// followCSL makes the radio listen, or not.
func (m *MLE) followCSL() {
	if !m.listening() {
		m.cfg.MAC.SetCSL(radio.CSL{})
		return
	}
	p := &m.cfg.Table.Parent
	m.cfg.MAC.SetCSL(radio.CSL{
		Period: uint16(m.Tuning.CSL.Period / radio.CSLUnit), Channel: m.Tuning.CSL.Channel,
		ParentAccuracy: p.CSLAccuracy, ParentUncertain: p.CSLUncert,
	})
	if m.poll.on {
		m.poll.rearm(m)
	}
}

// cslPoll is how often a listening child polls to tell its parent when.
func (m *MLE) cslPoll() time.Duration { return max(m.cslTimeout()-time.Second, time.Second) }

func (m *MLE) cslTimeout() time.Duration {
	if t := m.Tuning.CSL.Timeout; t > 0 {
		return t
	}
	return neighbor.DefaultCSLTimeout
}

// updateRetry is how long a child waits for the answer of its parent, which
// comes in a window.
func (m *MLE) updateRetry() time.Duration {
	if m.listening() {
		return m.Tuning.CSL.Period + retryDelay
	}
	return retryDelay
}

// csl adds when the device listens.
func (b *builder) csl() {
	b.add(TypeCSLChannel, meshcop.Channel{Number: uint16(b.m.Tuning.CSL.Channel)}.Append(nil)...)
	b.uint32(TypeCSLTimeout, seconds(b.m.cslTimeout()))
}

// cslAccuracy adds how exact the radio's clock is.
func (b *builder) cslAccuracy() {
	i := b.m.cfg.MAC.Info()
	b.add(TypeCSLAccuracy, i.CSLAccuracy, i.CSLUncertain)
}

// unknownAccuracy is assumed of a parent that does not tell: the worst.
const unknownAccuracy = 255

// optAccuracy reads a CSL Clock Accuracy TLV: ppm and 10 us.
func (r *reader) optAccuracy() (ppm, uncertain uint8, ok bool) {
	v, ok := r.opt(TypeCSLAccuracy, 2)
	if !ok {
		return unknownAccuracy, unknownAccuracy, false
	}
	return v[0], v[1], true
}

// cslMetric is what the clock of a parent costs a listening child, in the time
// that it has to listen longer (Thread 1.4 Section 4.7.2.2).
func (m *MLE) cslMetric(ppm, uncertain uint8) uint64 {
	const period = uint64(neighbor.MinCSLPeriod * radio.CSLUnit / time.Microsecond)
	k := uint64(m.cslTimeout()/time.Microsecond) / period
	return k*(k+1)*period/1e6*uint64(ppm) + k*uint64(uncertain)*10
}

// childCSL takes from a message of a child when it listens.
func (m *MLE) childCSL(x *rx, c *neighbor.Child) (told bool) {
	timeout, told := x.optUint32(TypeCSLTimeout)
	channel, hasChannel := x.opt(TypeCSLChannel, 3)
	if told {
		c.CSL.Timeout = time.Duration(timeout) * time.Second
	}
	if hasChannel {
		c.CSL.Channel = 0
		if channel[0] == 0 && channel[1] == 0 && m.cfg.MAC.Info().Channels>>channel[2]&1 == 1 {
			c.CSL.Channel = channel[2]
		}
	}
	return told
}
