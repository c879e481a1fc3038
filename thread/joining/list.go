package joining

import (
	"slices"
	"time"

	"gatewayd/ieee802154"
)

// removeDelay is how long an accepted joiner stays on the list, OpenThread's.
const removeDelay = 20 * time.Second

// Implementation constants.
const (
	maxEntries  = 64
	maxHistory  = 64
	maxAttempts = 8 // remembered of an entry
)

// entry is an Entry with its attempts where sessions can change them.
type entry struct {
	Entry
	attempts []*Attempt
	leaving  Progress // what it is when its time is over, if nothing better
}

// snapshot is an Entry that changes no more.
func (e *entry) snapshot() Entry {
	out := e.Entry
	for _, a := range e.attempts {
		out.Attempts = append(out.Attempts, *a)
	}
	return out
}

func snapshots(es []*entry) []Entry {
	out := make([]Entry, 0, len(es))
	for _, e := range es {
		out = append(out, e.snapshot())
	}
	return out
}

// List is the list, in the order of adding.
func (c *Commissioner) List() []Entry { return snapshots(c.list) }

// History are entries that were on the list, the oldest first.
func (c *Commissioner) History() []Entry { return snapshots(c.history) }

func (c *Commissioner) find(who Who) *entry {
	for _, e := range c.list {
		if e.Who == who {
			return e
		}
	}
	return nil
}

// match is the entry that means a joiner: it alone, the longest discerner,
// anybody.
func (c *Commissioner) match(id ieee802154.ExtAddr) *entry {
	var best *entry
	for _, e := range c.list {
		if e.Who.matches(id) && (best == nil || e.Who.Kind > best.Who.Kind ||
			e.Who.Kind == ByDiscerner && best.Who.Kind == ByDiscerner && e.Who.Discerner.Bits > best.Who.Discerner.Bits) {
			best = e
		}
	}
	return best
}

// Add puts joiners on the list for a time, or changes their PSKd and time. The
// commissioner must be active.
func (c *Commissioner) Add(who Who, pskd PSKd, timeout time.Duration) error {
	switch {
	case c.state != Active:
		return ErrInvalidState
	case who.Kind == ByDiscerner && !who.Discerner.Valid():
		return ErrInvalidArgs.because("discerner %v", who)
	case pskd == PSKd{}:
		return ErrInvalidArgs.because("no PSKd")
	case timeout <= 0:
		return ErrInvalidArgs.because("timeout of %v", timeout)
	}
	e := c.find(who)
	now := c.cfg.Clock.Now()
	if e == nil {
		if len(c.list) >= maxEntries {
			return ErrNoBufs
		}
		e = &entry{Entry: Entry{Who: who, Added: now}}
		c.list = append(c.list, e)
	}
	e.PSKd, e.Expires, e.leaving = pskd, now.Add(timeout), Expired
	c.arm()
	c.publish.changed()
	c.tell(e)
	return nil
}

// Remove takes joiners from the list, after a delay that may be 0. Without a
// delay it ends their sessions too.
func (c *Commissioner) Remove(who Who, delay time.Duration) error {
	if c.state != Active {
		return ErrInvalidState
	}
	e := c.find(who)
	if e == nil {
		return ErrNotFound
	}
	if delay > 0 {
		c.removeIn(e, delay)
		return nil
	}
	c.drop(e, Removed)
	return nil
}

func (c *Commissioner) removeIn(e *entry, delay time.Duration) {
	if at := c.cfg.Clock.Now().Add(delay); at.Before(e.Expires) {
		e.Expires, e.leaving = at, Removed
		c.arm()
	}
}

// drop moves an entry from the list to the history. Only a session that has
// got the KEK, or whose entry only ran out of time, goes on.
func (c *Commissioner) drop(e *entry, as Progress) {
	c.list = slices.DeleteFunc(c.list, func(x *entry) bool { return x == e })
	if as == Removed {
		for _, s := range slices.Clone(c.sessions) {
			if s.entry == e && !s.accepted {
				s.abandon(Refused, ErrAbort.because("taken from the list"))
			}
		}
	}
	e.Removed = c.cfg.Clock.Now()
	if e.Progress != Finalized && e.Progress != Entrusted {
		e.Progress = as
	}
	if len(c.history) >= maxHistory {
		c.history = slices.Delete(c.history, 0, 1)
	}
	c.history = append(c.history, e)
	c.arm()
	c.publish.changed()
	c.tell(e)
}

// arm sets the timer to the next end of an entry's time.
func (c *Commissioner) arm() {
	c.expiry.Stop()
	for _, e := range c.list {
		if !c.expiry.Running() || e.Expires.Before(c.expiry.At()) {
			c.expiry.StartAt(e.Expires)
		}
	}
}

func (c *Commissioner) expire() {
	now := c.cfg.Clock.Now()
	for _, e := range slices.Clone(c.list) {
		if !now.Before(e.Expires) {
			c.drop(e, e.leaving)
		}
	}
	c.arm()
}

// tell reports a change of an entry.
func (c *Commissioner) tell(e *entry) {
	if c.cfg.JoinerChanged != nil {
		c.cfg.JoinerChanged(e.snapshot())
	}
}

// begin notes a new attempt of a joiner.
func (c *Commissioner) begin(e *entry, id ieee802154.ExtAddr, router uint16) *Attempt {
	now := c.cfg.Clock.Now()
	a := &Attempt{ID: id, Router: router, Progress: Connecting, Began: now, Changed: now}
	if len(e.attempts) >= maxAttempts {
		e.attempts = slices.Delete(e.attempts, 0, 1)
	}
	e.attempts = append(e.attempts, a)
	e.Progress = Connecting
	c.tell(e)
	return a
}

// progress notes how far an attempt got.
func (c *Commissioner) progress(e *entry, a *Attempt, p Progress, why error) {
	a.Progress, a.Reason, a.Changed = p, why, c.cfg.Clock.Now()
	if e.Removed.IsZero() || p == Finalized || p == Entrusted {
		e.Progress = p
	}
	if p == Refused {
		e.Refused++
		c.Counters.Refused++
	}
	c.tell(e)
}
