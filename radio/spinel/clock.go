package spinel

import "time"

// Implementation constants of the clock estimate.
const (
	maxDrift     = 500e-6                // of any two clocks, relative
	minDriftSpan = 10 * time.Second      // between samples, to tell their drift
	maxClockJump = 20 * time.Millisecond // beyond drift: the RCP's clock restarted
	maxClockRTT  = 50 * time.Millisecond // longer round trips say too little
)

// remoteClock estimates the RCP's clock from samples: like NTP, a remote time
// is taken to be of the middle between asking and hearing.
type remoteClock struct {
	known  bool
	local  time.Time // of the last sample
	remote uint64    // microseconds, at local
	rtt    time.Duration
	drift  float64 // of the remote clock against the local one, relative
}

// at is the remote time at the local time t.
func (c *remoteClock) at(t time.Time) uint64 {
	us := float64(t.Sub(c.local)) / float64(time.Microsecond)
	return c.remote + uint64(int64(us+us*c.drift))
}

// add takes a sample: asked and heard locally, remote in between. It reports
// whether the sample was any good.
func (c *remoteClock) add(asked, heard time.Time, remote uint64) bool {
	rtt := heard.Sub(asked)
	if rtt < 0 || rtt > maxClockRTT && c.known {
		return false
	}
	local := asked.Add(rtt / 2)
	if !c.known {
		*c = remoteClock{known: true, local: local, remote: remote, rtt: rtt}
		return true
	}
	span := local.Sub(c.local)
	off := time.Duration(int64(remote-c.at(local))) * time.Microsecond
	allowed := maxClockJump + time.Duration(2*maxDrift*float64(span))
	switch {
	case off > allowed || off < -allowed:
		*c = remoteClock{known: true, local: local, remote: remote, rtt: rtt}
		return true
	case span < minDriftSpan:
		if rtt > c.rtt {
			return false // the one before is as good
		}
	default:
		// Half of what is left over corrects the drift: round trips are not
		// symmetric, so one sample is not believed entirely.
		c.drift += float64(off) / float64(span) / 2
		c.drift = max(-maxDrift, min(maxDrift, c.drift))
	}
	c.local, c.remote, c.rtt = local, remote, rtt
	return true
}
