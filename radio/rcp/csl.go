package rcp

import (
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/radio"
	"gatewayd/radio/medium"
)

// How long before and after the moment a MAC header is expected the receiver is
// on, OpenThread's: before it lie preamble, SFD and PHY header, and up to a
// unit by which phases are rounded; after it the longest frame, and what the
// transmitter may be late.
const (
	cslAhead = 192*time.Microsecond + 320*time.Microsecond
	cslAfter = 5504 * time.Microsecond
)

// The two kinds of SHR are one; neither package imports the other.
var _ = [1]struct{}{}[radio.SHR-medium.SHR]

// sampling is coordinated sampled listening (IEEE 802.15.4-2015 Section 6.12.2).
type sampling struct {
	timer  *alarm.Timer
	open   bool
	next   time.Time // the moment of the present window or the next
	synced time.Time // when the parent was last told of the moments
}

func (r *Radio) cslPeriod() time.Duration { return time.Duration(r.set.CSL.Period) * radio.CSLUnit }

func (r *Radio) cslChannel() uint8 {
	if c := r.set.CSL.Channel; c != 0 {
		return c
	}
	return r.set.Channel
}

// followCSL begins to sample or ends it, if that is what has changed.
func (r *Radio) followCSL(now time.Time, was radio.Settings) {
	period := r.set.CSL.Period
	if !r.set.Enabled {
		period = 0
	}
	if period == was.CSL.Period && was.Enabled == r.set.Enabled {
		return
	}
	r.csl.open = false
	r.csl.timer.Stop()
	if period == 0 {
		return
	}
	r.csl.synced = now
	r.csl.next = now.Add(r.cslPeriod())
	r.waitForWindow()
}

// margins are how long the receiver is on before and after the moment.
func (r *Radio) margins() (ahead, after time.Duration) {
	c := &r.set.CSL
	ppm := time.Duration(r.Info().CSLAccuracy) + time.Duration(c.ParentAccuracy)
	drift := r.csl.next.Sub(r.csl.synced)/1e6*ppm +
		(time.Duration(r.cfg.CSLUncertain)+time.Duration(c.ParentUncertain))*10*time.Microsecond
	if !r.timed() {
		drift += r.cfg.AckWait // for what processes take to be woken
	}
	half := r.cslPeriod() / 2
	return min(cslAhead+drift, half), min(cslAfter+drift, half)
}

func (r *Radio) waitForWindow() {
	ahead, _ := r.margins()
	r.csl.timer.StartAt(r.csl.next.Add(-ahead))
}

// cslStep opens a window, or closes it.
func (r *Radio) cslStep() {
	now := r.cfg.Clock.Now()
	if r.csl.open {
		r.csl.open = false
		r.csl.next = r.csl.next.Add(r.cslPeriod())
		r.waitForWindow()
	} else {
		r.csl.open = true
		_, after := r.margins()
		r.csl.timer.StartAt(r.csl.next.Add(after))
	}
	r.tune(now)
}

// cslElement is the element of a frame whose first bit leaves at a time.
func (r *Radio) cslElement(leaves time.Time) ieee802154.CSL {
	header := leaves.Add(radio.PHR)
	if r.timed() {
		header = header.Add(radio.SHR)
	}
	period := r.cslPeriod()
	wait := r.csl.next.Sub(header) % period
	if wait < 0 {
		wait += period
	}
	return ieee802154.CSL{Phase: uint16(wait / radio.CSLUnit), Period: r.set.CSL.Period}
}

// setCSL writes the element into a frame that has room for one.
func (r *Radio) setCSL(now time.Time, psdu []byte) {
	f, err := ieee802154.Decode(psdu)
	if err != nil {
		return
	}
	for _, e := range f.HeaderIEs {
		if e.ID == ieee802154.HeaderIECSL && len(e.Content) >= 4 {
			copy(e.Content, r.cslElement(now).IE().Content) // Content lies in psdu
		}
	}
}

// wantsCSL reports whether a frame has an element that the radio fills in.
func (r *Radio) wantsCSL(f *ieee802154.Frame) bool {
	_, ok := f.CSL()
	return ok && r.set.CSL.Period != 0
}

// cslTold notes that the parent knows the moments as of now.
func (r *Radio) cslTold(now time.Time) { r.csl.synced = now }
