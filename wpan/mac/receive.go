package mac

import (
	"time"

	"gatewayd/ieee802154"
	"gatewayd/radio"
)

// beaconJitter spreads the answers to a beacon request.
const beaconJitter = 40 * time.Millisecond

// Received implements radio.Handler.
func (m *MAC) Received(_ time.Time, rx radio.RxFrame) {
	m.Counters.Received++
	if !m.want.Enabled {
		return
	}
	f, err := ieee802154.Decode(rx.PSDU)
	if err != nil {
		m.Counters.Malformed++
		return
	}
	switch f.Type {
	case ieee802154.FrameBeacon:
		m.heardBeacon(&f, rx)
	case ieee802154.FrameCommand:
		if !f.Secured && f.Command == ieee802154.CommandBeaconRequest && m.BeaconReply != nil && !m.beacons.Running() {
			m.beacons.Start(time.Duration(m.cfg.Rand.Int64N(int64(beaconJitter))))
		}
	case ieee802154.FrameData:
		m.heardData(&f, rx)
	}
}

func (m *MAC) heardData(f *ieee802154.Frame, rx radio.RxFrame) {
	if m.scan != nil && m.scan.channel != 0 || !m.toUs(f) || f.Src.Mode == ieee802154.AddrNone ||
		f.Src == ieee802154.ExtendedAddr(m.want.Ext) {
		m.Counters.Refused++
		return
	}
	if f.Secured {
		if !m.open(rx.PSDU, f) {
			return
		}
	} else if f.Src.Mode == ieee802154.AddrExtended && m.repeated(f) {
		return
	}
	r := Received{Src: f.Src, Dst: f.Dst, Secured: f.Secured, RSSI: rx.RSSI, LQI: rx.LQI, Payload: f.Payload}
	if f.Secured {
		r.KeyIndex = f.Security.KeyIndex
		if r.KeyIndex != m.active {
			m.cfg.Upper.KeyHeard(r.KeyIndex)
		}
	}
	m.cfg.Upper.FrameReceived(r)
}

func (m *MAC) toUs(f *ieee802154.Frame) bool {
	if f.DstPAN != m.want.PANID && f.DstPAN != ieee802154.BroadcastPAN {
		return false
	}
	switch f.Dst.Mode {
	case ieee802154.AddrShort:
		return f.Dst.IsBroadcast()
	case ieee802154.AddrExtended:
		return f.Dst.Ext == m.want.Ext
	}
	return false
}
