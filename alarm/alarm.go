// Package alarm gives a machine its clock: the time it was last told, and
// timers that fire when it is told a later one.
//
// Nothing here waits. The owner of a Clock calls Advance with the time and
// sleeps until Deadline; a simulator jumps there instead.
package alarm

import (
	"container/heap"
	"time"
)

// Clock is the time of one machine and its timers. The zero value is ready;
// its time is the zero time until the first Advance or Set.
type Clock struct {
	now    time.Time
	timers timers
	seq    uint64
}

// Now is the time last given to Set or Advance.
func (c *Clock) Now() time.Time { return c.now }

// Set moves the time on without firing timers; time never moves back. It is
// for inputs other than the passing of time.
func (c *Clock) Set(now time.Time) {
	if now.After(c.now) {
		c.now = now
	}
}

// Advance moves the time to now and fires what has become due, earliest first;
// at equal times, first started first. Timers that are started while it runs
// fire too if they are due. While a timer fires, Now is now, not the time it
// was set to.
func (c *Clock) Advance(now time.Time) {
	c.Set(now)
	for n := len(c.timers); len(c.timers) > 0 && !c.timers[0].at.After(c.now); {
		heap.Pop(&c.timers).(*Timer).fire()
		// A timer that restarts itself for the present would never end.
		if n--; n < -maxRefires {
			return
		}
	}
}

// maxRefires bounds how many timers, beyond those that were waiting, one
// Advance fires.
const maxRefires = 1000

// Deadline is when Advance must be called next; the zero time for never.
// Calling it earlier is harmless.
func (c *Clock) Deadline() time.Time {
	if len(c.timers) == 0 {
		return time.Time{}
	}
	return c.timers[0].at
}

// Timer calls a function once at a set time.
type Timer struct {
	clock *Clock
	fire  func()
	at    time.Time
	seq   uint64
	index int // in the heap, or -1
}

// NewTimer returns a stopped timer.
func (c *Clock) NewTimer(fire func()) *Timer {
	return &Timer{clock: c, fire: fire, index: -1}
}

// After starts a new timer that fires once in d.
func (c *Clock) After(d time.Duration, fire func()) *Timer {
	t := c.NewTimer(fire)
	t.Start(d)
	return t
}

// Start (re)starts the timer to fire in d from Now.
func (t *Timer) Start(d time.Duration) { t.StartAt(t.clock.now.Add(d)) }

// StartAt (re)starts the timer to fire at a time.
func (t *Timer) StartAt(at time.Time) {
	t.at = at
	t.clock.seq++
	t.seq = t.clock.seq
	if t.index >= 0 {
		heap.Fix(&t.clock.timers, t.index)
		return
	}
	heap.Push(&t.clock.timers, t)
}

// StartEarlier makes sure the timer fires in d or before.
func (t *Timer) StartEarlier(d time.Duration) {
	if at := t.clock.now.Add(d); t.index < 0 || at.Before(t.at) {
		t.StartAt(at)
	}
}

// Stop stops the timer; stopping a stopped one is harmless.
func (t *Timer) Stop() {
	if t.index >= 0 {
		heap.Remove(&t.clock.timers, t.index)
	}
}

// Running reports whether the timer is going to fire.
func (t *Timer) Running() bool { return t.index >= 0 }

// At is when a running timer fires.
func (t *Timer) At() time.Time { return t.at }

// timers is a heap by time, then by order of starting.
type timers []*Timer

func (h timers) Len() int { return len(h) }
func (h timers) Less(i, j int) bool {
	if h[i].at.Equal(h[j].at) {
		return h[i].seq < h[j].seq
	}
	return h[i].at.Before(h[j].at)
}
func (h timers) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *timers) Push(x any) {
	t := x.(*Timer)
	t.index = len(*h)
	*h = append(*h, t)
}
func (h *timers) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.index = -1
	return t
}
