package mle

import (
	"time"

	"gatewayd/thread/neighbor"
)

// Detach tells the parent, or the leader, that the device leaves, and stops
// after that.
func (m *MLE) Detach(done func()) {
	if m.leave != nil {
		m.leave.Stop()
	}
	switch m.role {
	case Child:
		m.updateParent(updateLeaving)
	case Router:
		m.release(m.rloc16)
	}
	m.leave = m.cfg.Clock.After(leaveTime, func() {
		m.Stop()
		if done != nil {
			done()
		}
	})
}

// leaveTime is how long the last message may take.
const leaveTime = time.Second

// SetMode changes the mode, which the parent is told or that makes the device
// attach anew.
func (m *MLE) SetMode(mode neighbor.Mode) error {
	mode |= neighbor.ModeSecureDataReq
	if mode.FullThread() && (m.cfg.MinimalOnly || !mode.RxOnWhenIdle()) {
		return ErrNotCapable
	}
	old := m.mode
	if mode == old {
		return nil
	}
	m.mode = mode
	m.save()
	if !mode.FullThread() {
		m.clearAltShort()
	}
	switch {
	case m.role == Disabled:
	case m.Attached() && (old.FullThread() != mode.FullThread() ||
		!m.child.asSleepy && old.RxOnWhenIdle() && !mode.RxOnWhenIdle()):
		m.attach.cycles = 0
		m.removeChildren()
		return m.BecomeDetached()
	case m.role == Detached:
		m.attach.cycles = 0
		m.becomeDetached()
		m.startAttach(anyPartition)
	case m.role == Child:
		m.followMode()
		m.armSupervision()
		m.updateParent(updateNormal)
	}
	return nil
}

// SetChildTimeout changes after which silence the parent drops us.
func (m *MLE) SetChildTimeout(d time.Duration) error {
	if d < minChildTimeout || d > maxChildTimeout {
		return ErrInvalid
	}
	if d != m.Tuning.ChildTimeout {
		m.Tuning.ChildTimeout = d
		if m.role == Child {
			m.updateParent(updateNormal)
		}
	}
	return nil
}

// Limits of the child timeout.
const (
	minChildTimeout = 5 * time.Second
	maxChildTimeout = (1<<32 - 1) * time.Second
)
