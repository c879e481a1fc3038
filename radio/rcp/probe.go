package rcp

import (
	"slices"

	"gatewayd/ieee802154"
	"gatewayd/radio"
)

// Metrics are the link metrics that an enhanced acknowledgment can report,
// bits as in Spinel's SPINEL_THREAD_LINK_METRIC values.
type Metrics uint8

// The metrics of Thread 1.4 Section 4.11.3.
const (
	MetricPDUs   Metrics = 1 << 0
	MetricLQI    Metrics = 1 << 1
	MetricMargin Metrics = 1 << 2
	MetricRSSI   Metrics = 1 << 3
)

// probe is a neighbour that wants to know how its frames arrive.
type probe struct {
	short   uint16
	ext     ieee802154.ExtAddr
	metrics Metrics
}

// maxProbes bounds the table, which the neighbours fill.
const maxProbes = 64

// enhAckProbing is the subtype of Thread's vendor information element that
// carries metrics.
const enhAckProbing = 0

// SetProbing says which metrics enhanced acknowledgments to a neighbour carry;
// none ends it. False if there is no room for another neighbour.
func (r *Radio) SetProbing(short uint16, ext ieee802154.ExtAddr, m Metrics) bool {
	r.probes = slices.DeleteFunc(r.probes, func(p probe) bool { return p.ext == ext })
	if m == 0 {
		return true
	}
	if len(r.probes) >= maxProbes {
		return false
	}
	r.probes = append(r.probes, probe{short: short, ext: ext, metrics: m})
	return true
}

// probe is the content of the vendor element for the sender of rx, after the
// OUI, or nil: LQI as it is, margin 0..130 dB and RSSI -130..0 dBm each
// stretched to 0..255.
func (r *Radio) probe(src ieee802154.Addr, rx *radio.RxFrame) []byte {
	for _, p := range r.probes {
		if (src.Mode == ieee802154.AddrShort && src.Short == p.short) ||
			(src.Mode == ieee802154.AddrExtended && src.Ext == p.ext) {
			b := []byte{enhAckProbing}
			if p.metrics&MetricLQI != 0 {
				b = append(b, rx.LQI)
			}
			if p.metrics&MetricMargin != 0 {
				b = append(b, stretch(int(rx.RSSI)-sensitivity))
			}
			if p.metrics&MetricRSSI != 0 {
				b = append(b, stretch(int(rx.RSSI)+130))
			}
			return b
		}
	}
	return nil
}

func stretch(dB int) uint8 { return uint8(min(max(dB, 0), 130) * 255 / 130) }
