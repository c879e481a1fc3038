package linkmetrics

import (
	"math"

	"gatewayd/radio"
)

// Series is what a neighbour wants to know of the frames that we have from it.
type Series struct {
	ID      uint8
	Flags   Flags
	Metrics radio.Metrics

	pdus uint32
	lqi  average
	rssi average
}

// average is an exponential moving one with weight 1/8, of a plain mean until
// there are eight values.
type average struct {
	n    int
	mean float64
}

func (a *average) add(v int) {
	if a.n < 8 {
		a.n++
	}
	a.mean += (float64(v) - a.mean) / float64(a.n)
}

func (a *average) value() int { return int(math.Round(a.mean)) }

// Count takes a frame of a kind, one of the flags, into the series if it is of
// that kind. Link probes are data frames: beside those they do not count twice.
func (s *Series) Count(kind Flags, lqi uint8, rssi int8) {
	if s.Flags&kind == 0 || kind == LinkProbes && s.Flags&Data != 0 {
		return
	}
	s.pdus++
	s.lqi.add(int(lqi))
	s.rssi.add(int(rssi))
}

// Report is what was measured by a receiver of a sensitivity in dBm.
func (s *Series) Report(sensitivity int8) Report {
	if s.pdus == 0 {
		return Report{Status: NoFrames}
	}
	rssi := s.rssi.value()
	return Report{Values: Values{
		Metrics: s.Metrics, PDUs: s.pdus, LQI: uint8(s.lqi.value()), RSSI: int8(rssi),
		Margin: uint8(min(max(rssi-int(sensitivity), 0), 255)),
	}}
}
