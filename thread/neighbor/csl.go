package neighbor

import "time"

// DefaultCSLTimeout is after which silence a child counts as not synchronized,
// if it did not say.
const DefaultCSLTimeout = 100 * time.Second

// MinCSLPeriod is the shortest period there is, in units of 160 us.
const MinCSLPeriod = 10

// CSL is when a synchronized sleepy child listens (Thread 1.4 Section 3.2.6.3).
type CSL struct {
	Synced        bool
	Period, Phase uint16        // as the child told last, in units of 160 us
	Stamp         uint64        // of the frame that told, microseconds of the radio's clock
	Heard         time.Time     // when that was
	Channel       uint8         // 0: the network's
	Timeout       time.Duration // 0: DefaultCSLTimeout
	Missed        int           // windows in which it did not answer since it did

	// latest is what was told last where Stamp and Phase are of an earlier
	// frame, whose stamp is believed more.
	latest moment
	rest   uint64 // no window before this moment is used
}

// moment is one at which a child listens.
type moment struct {
	stamp uint64
	phase uint16
}

const (
	cslUnit  = 160 // microseconds
	maxDrift = 200 // ppm, of a child's clock against the radio's

	// After so many windows without an answer the child is left to poll, and
	// only some windows are tried until it is heard from or its time is over:
	// the second, the third, the sixth from there, then every twelfth.
	cslWindows = 4
	mostRest   = 4
)

// Told takes what a frame told. Radios that are programs, or that stamp frames
// in software, do so late at times and never early: of two moments that differ
// by more than clocks do, the earlier one is tried first.
func (c *CSL) Told(now time.Time, period, phase uint16, stamp uint64) {
	fresh := moment{stamp, phase}
	same := c.Synced && c.Period == period && c.Missed == 0 && stamp > c.Stamp
	c.Synced, c.Period, c.Heard, c.latest = true, period, now, fresh
	c.Missed, c.rest = 0, 0
	if same {
		at := stamp + uint64(phase)*cslUnit
		late := int64(at - c.Next(at-uint64(period)*cslUnit/2))
		if late > cslUnit+int64(stamp-c.Stamp)*maxDrift/1e6 {
			return
		}
	}
	c.Stamp, c.Phase = stamp, phase
}

// Miss counts the window at a moment in which the child did not answer. The
// next one is the other of the two moments, if there are two.
func (c *CSL) Miss(at uint64) {
	if c.Missed++; c.Missed >= cslWindows {
		c.rest = at + uint64(c.Period)*cslUnit*3/2<<min(c.Missed-cslWindows, mostRest-1)
	}
	other := c.latest
	c.latest = moment{c.Stamp, c.Phase}
	c.Stamp, c.Phase = other.stamp, other.phase
}

// Next is the first moment from a time on at which the SFD of a frame for the
// child is to end, all in microseconds of the radio's clock.
func (c *CSL) Next(from uint64) uint64 {
	from = max(from, c.rest)
	at, period := c.Stamp+uint64(c.Phase)*cslUnit, max(uint64(c.Period), 1)*cslUnit
	if at < from {
		at += (from - at + period - 1) / period * period
	}
	return at
}

// Expired reports whether the child has not told for too long.
func (c *CSL) Expired(now time.Time) bool {
	timeout := c.Timeout
	if timeout == 0 {
		timeout = DefaultCSLTimeout
	}
	return c.Synced && now.Sub(c.Heard) >= timeout
}

// Child is the child that a record belongs to, nil if it is no child's.
func (t *Table) Child(n *Neighbor) *Child {
	for _, c := range t.Children {
		if &c.Neighbor == n {
			return c
		}
	}
	return nil
}
