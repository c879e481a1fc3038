package mle

import (
	"time"

	"gatewayd/ieee802154"
)

// delayKey names a message that is going to be sent: one kind to one neighbour
// waits at a time.
type delayKey struct {
	c  Command
	to ieee802154.ExtAddr // zero for a group
}

// maxDelayed bounds the messages that wait; more are not sent.
const maxDelayed = 256

// later sends a message in d, instead of one of its kind that waits already.
func (m *MLE) later(k delayKey, d time.Duration, send func()) {
	if t := m.delayed[k]; t != nil {
		t.Stop()
	} else if len(m.delayed) >= maxDelayed {
		return
	}
	m.delayed[k] = m.cfg.Clock.After(d, func() {
		delete(m.delayed, k)
		send()
	})
}

// waits reports whether such a message is going to be sent.
func (m *MLE) waits(k delayKey) bool { return m.delayed[k] != nil }

// waiting counts the messages of a kind that are going to be sent.
func (m *MLE) waiting(c Command) int {
	n := 0
	for k := range m.delayed {
		if k.c == c {
			n++
		}
	}
	return n
}

func (m *MLE) forget(k delayKey) {
	if t := m.delayed[k]; t != nil {
		t.Stop()
		delete(m.delayed, k)
	}
}

func (m *MLE) forgetAll() {
	for k := range m.delayed {
		m.forget(k)
	}
}

// jitter is a random time from 1 ms on, less than 1 ms plus d.
func (m *MLE) jitter(d time.Duration) time.Duration {
	return time.Millisecond + time.Duration(m.cfg.Rand.Int64N(int64(d)))
}

// between is a random time from lo to less than hi.
func (m *MLE) between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(m.cfg.Rand.Int64N(int64(hi-lo)))
}
