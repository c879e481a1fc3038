package mac

import (
	"math/bits"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/radio"
)

// Beacon is a network that an active scan heard of.
type Beacon struct {
	Src     ieee802154.ExtAddr
	PANID   uint16
	Channel uint8
	RSSI    int8 // dBm
	LQI     uint8
	ieee802154.Beacon
}

// maxBeacons bounds what one scan reports.
const maxBeacons = 64

type scan struct {
	left    uint32 // channels
	channel uint8  // present one, 0 before the first
	dwell   time.Duration
	found   []Beacon
	done    func([]Beacon)
}

// Scan sends a beacon request on every channel of mask, listens for dwell after
// each, and calls done with what answered. It returns false while another scan
// is under way.
func (m *MAC) Scan(mask uint32, dwell time.Duration, done func([]Beacon)) bool {
	if m.scan != nil {
		return false
	}
	if m.info.Channels != 0 {
		mask &= m.info.Channels
	}
	m.scan = &scan{left: mask, dwell: dwell, done: done}
	m.Kick()
	return true
}

// scanNext goes on to the next channel, or ends the scan.
func (m *MAC) scanNext() {
	s := m.scan
	if s == nil {
		return
	}
	if s.left == 0 {
		m.scan, m.op = nil, idle
		m.configure()
		s.done(s.found)
		m.Kick()
		return
	}
	s.channel = uint8(bits.TrailingZeros32(s.left))
	s.left &= s.left - 1
	m.configure()
	f := ieee802154.Frame{Type: ieee802154.FrameCommand, Version: ieee802154.Version2003, Seq: m.seq,
		DstPAN: ieee802154.BroadcastPAN, Dst: ieee802154.ShortAddr(ieee802154.BroadcastShort),
		Command: ieee802154.CommandBeaconRequest}
	m.seq++
	m.radio.Transmit(m.cfg.Clock.Now(), radio.TxFrame{PSDU: f.Append(nil), Channel: s.channel, RxChannel: s.channel,
		CSMA: true, MaxBackoffs: csmaBackoffs, Secured: true, Power: radio.PowerDefault})
}

func (m *MAC) heardBeacon(f *ieee802154.Frame, rx radio.RxFrame) {
	m.Counters.BeaconsHeard++
	if m.scan == nil || m.scan.channel != rx.Channel || f.Src.Mode != ieee802154.AddrExtended {
		return
	}
	b, err := ieee802154.DecodeBeacon(f.Payload)
	if err != nil {
		m.Counters.Malformed++
		return
	}
	heard := Beacon{Src: f.Src.Ext, PANID: f.SrcPAN, Channel: rx.Channel, RSSI: rx.RSSI, LQI: rx.LQI, Beacon: b}
	for i, x := range m.scan.found {
		if x.Src == heard.Src && x.PANID == heard.PANID && x.Channel == heard.Channel {
			m.scan.found[i] = heard // somebody else's scan was answered, too
			return
		}
	}
	if len(m.scan.found) < maxBeacons {
		m.scan.found = append(m.scan.found, heard)
	}
}

func (m *MAC) sendBeacon() {
	b, ok := m.BeaconReply()
	if !ok {
		return
	}
	f := ieee802154.Frame{Type: ieee802154.FrameBeacon, Version: ieee802154.Version2003, Seq: m.seq,
		SrcPAN: m.want.PANID, Src: ieee802154.ExtendedAddr(m.want.Ext), Payload: b.Append(nil)}
	m.seq++
	m.op = beacon
	m.Counters.BeaconsSent++
	m.transmit(f.Append(nil), false, 0)
}
