package sim

import (
	"time"

	"gatewayd/alarm"
	"gatewayd/radio/medium"
)

// crystal is a clock that runs too fast or too slow, with the timers of what
// has its time from it.
type crystal struct {
	w     *World
	rate  float64 // by how much it is fast: 1e-6 is 1 ppm
	clock alarm.Clock
	timer *alarm.Timer // on the world's clock, for the next of its own
	next  time.Time    // when that fires, as the crystal shows it
}

func newCrystal(w *World, ppm float64) *crystal {
	c := &crystal{w: w, rate: ppm / 1e6}
	c.clock.Set(c.now())
	c.timer = w.clock.NewTimer(func() {
		c.clock.Advance(c.now())
		c.touch()
	})
	return c
}

// now is what it shows.
func (c *crystal) now() time.Time { return c.shows(c.w.clock.Now()) }

// shows is what it shows at a time of the world.
func (c *crystal) shows(t time.Time) time.Time {
	d := t.Sub(c.w.began)
	return c.w.began.Add(d + time.Duration(float64(d)*c.rate))
}

// when is the first moment at which it shows a time.
func (c *crystal) when(shown time.Time) time.Time {
	t := shown.Add(-time.Duration(float64(shown.Sub(c.w.began)) * c.rate / (1 + c.rate)))
	for c.shows(t).Before(shown) {
		t = t.Add(1)
	}
	for !c.shows(t.Add(-1)).Before(shown) {
		t = t.Add(-1)
	}
	return t
}

// touch waits for the next of its timers.
func (c *crystal) touch() {
	c.clock.Set(c.now())
	c.arm()
}

func (c *crystal) arm() {
	at := c.clock.Deadline()
	switch {
	case at.IsZero():
		c.timer.Stop()
	case !c.timer.Running() || !at.Equal(c.next):
		c.next = at
		c.timer.StartAt(c.when(at))
	}
}

// port is a station whose radio has its time from a crystal. The radio tells
// the present time in each call; the world knows it, too.
type port struct {
	*medium.Station
	c *crystal
	r medium.Receiver
}

// Attach implements medium.Port.
func (p *port) Attach(r medium.Receiver) { p.r = r; p.Station.Attach(p) }

// Tune implements medium.Port.
func (p *port) Tune(_ time.Time, channel uint8) { p.Station.Tune(p.c.w.clock.Now(), channel) }

// Transmit implements medium.Port.
func (p *port) Transmit(_ time.Time, channel uint8, power int8, psdu []byte) {
	p.Station.Transmit(p.c.w.clock.Now(), channel, power, psdu)
}

// Energy implements medium.Port.
func (p *port) Energy(_ time.Time, channel uint8) int8 {
	return p.Station.Energy(p.c.w.clock.Now(), channel)
}

// Heard implements medium.Receiver.
func (p *port) Heard(now time.Time, f medium.Frame) {
	shown := p.c.shows(now)
	f.SFD = shown.Add(f.SFD.Sub(now)) // no clock drifts within a frame
	p.r.Heard(shown, f)
	p.c.arm()
}
