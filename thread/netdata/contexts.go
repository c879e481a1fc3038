package netdata

import "time"

// contexts says which 6LoWPAN context ids the leader has given away. Id 0, the
// mesh-local prefix, is never given away.
type contexts [contextID + 1]struct {
	used    bool
	removal time.Time // when the id becomes free again; zero while in use
}

// lowestFree returns the lowest free id, or 0.
func (c *contexts) lowestFree() uint8 {
	for id := 1; id < len(c); id++ {
		if !c[id].used {
			return uint8(id)
		}
	}
	return 0
}

// use marks an id as in use.
func (c *contexts) use(id uint8) {
	if id == 0 {
		return
	}
	c[id].used, c[id].removal = true, time.Time{}
}

// retire makes an id that is in use free at the given time.
func (c *contexts) retire(id uint8, at time.Time) {
	if c[id].used && c[id].removal.IsZero() {
		c[id].removal = at
	}
}

func (c *contexts) free(id uint8) { c[id].used, c[id].removal = false, time.Time{} }

// deadline returns when the next id becomes free, or the zero time.
func (c *contexts) deadline() (t time.Time) {
	for _, x := range c {
		if !x.removal.IsZero() && (t.IsZero() || x.removal.Before(t)) {
			t = x.removal
		}
	}
	return t
}

// expired returns an id that is to become free by now, or 0.
func (c *contexts) expired(now time.Time) uint8 {
	for id := 1; id < len(c); id++ {
		if t := c[id].removal; !t.IsZero() && !t.After(now) {
			return uint8(id)
		}
	}
	return 0
}
