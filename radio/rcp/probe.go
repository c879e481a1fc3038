package rcp

import (
	"gatewayd/ieee802154"
	"gatewayd/radio"
)

// maxProbes bounds the table, which the neighbours fill.
const maxProbes = 64

// enhAckProbing is the subtype of Thread's vendor information element that
// carries metrics.
const enhAckProbing = 0

// probe is the content of the vendor element for the sender of rx, after the
// OUI, or nil: LQI as it is, margin 0..130 dB and RSSI -130..0 dBm each
// stretched to 0..255.
func (r *Radio) probe(src ieee802154.Addr, rx *radio.RxFrame) []byte {
	for _, p := range r.set.Probes {
		if (src.Mode == ieee802154.AddrShort && src.Short == p.Short) ||
			(src.Mode == ieee802154.AddrExtended && src.Ext == p.Ext) {
			b := []byte{enhAckProbing}
			if p.Metrics&radio.MetricLQI != 0 {
				b = append(b, rx.LQI)
			}
			if p.Metrics&radio.MetricMargin != 0 {
				b = append(b, stretch(int(rx.RSSI)-sensitivity))
			}
			if p.Metrics&radio.MetricRSSI != 0 {
				b = append(b, stretch(int(rx.RSSI)+130))
			}
			return b
		}
	}
	return nil
}

func stretch(dB int) uint8 { return uint8(min(max(dB, 0), 130) * 255 / 130) }
