package rcp

import (
	"time"

	"gatewayd/radio"
	"gatewayd/radio/medium"
)

// scanSample is how often energy is read in a scan: as often as a frame of
// the least length could come and go.
const scanSample = 20 * medium.Symbol

// scan is the energy scan under way; channel 0 is none.
type scan struct {
	channel uint8
	end     time.Time
	max     int8
}

// EnergyScan implements radio.Radio. The result is 127, which is no
// measurement, when there cannot be one.
func (r *Radio) EnergyScan(now time.Time, channel uint8, d time.Duration) {
	r.at(now)
	if !r.set.Enabled || !r.Idle() ||
		channel < medium.FirstChannel || channel > medium.LastChannel {
		r.handler.EnergyScanned(now, channel, radio.RSSIInvalid)
		return
	}
	r.scan = scan{channel: channel, end: now.Add(d), max: -128}
	r.tune(now)
	r.scanTimer.Start(0)
}

func (r *Radio) scanStep() {
	now := r.cfg.Clock.Now()
	r.scan.max = max(r.scan.max, r.cfg.Port.Energy(now, r.scan.channel))
	left := r.scan.end.Sub(now)
	if left <= 0 {
		r.finishScan(now, r.scan.max)
		return
	}
	r.scanTimer.Start(min(left, scanSample))
}

func (r *Radio) finishScan(now time.Time, result int8) {
	channel := r.scan.channel
	r.scan = scan{}
	r.scanTimer.Stop()
	r.tune(now)
	r.handler.EnergyScanned(now, channel, result)
}
