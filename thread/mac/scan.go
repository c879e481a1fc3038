package mac

import (
	"time"

	"gatewayd/ieee802154"
	"gatewayd/radio"
	"gatewayd/thread/link"
)

// maxBeacons bounds the beacon requests that wait for an answer.
const maxBeacons = 2

// Beacon is a node that an active scan heard.
type Beacon struct {
	Ext     ieee802154.ExtAddr
	PANID   uint16
	Channel uint8
	RSSI    int8
	LQI     uint8
	Payload []byte // after the superframe, GTS and pending fields; may be empty
}

// Energy is the highest RSSI measured on a channel, dBm.
type Energy struct {
	Channel uint8
	RSSI    int8
}

// scanState is one active or energy scan.
type scanState struct {
	wanted  bool
	energy  bool
	mask    uint32 // channels left
	dwell   time.Duration
	found   func(Beacon)
	measure func(Energy)
	done    func()
}

func (s *scanState) pending() bool { return s.wanted }

// ActiveScan sends a beacon request on every channel of mask and reports what
// answers within dwell; then calls done. It returns false while another scan
// is under way.
func (m *MAC) ActiveScan(mask uint32, dwell time.Duration, found func(Beacon), done func()) bool {
	return m.beginScan(scanState{mask: mask, dwell: dwell, found: found, done: done})
}

// EnergyScan measures every channel of mask for dwell.
func (m *MAC) EnergyScan(mask uint32, dwell time.Duration, measure func(Energy), done func()) bool {
	return m.beginScan(scanState{energy: true, mask: mask, dwell: dwell, measure: measure, done: done})
}

// Scanning reports whether a scan is waiting or under way.
func (m *MAC) Scanning() bool { return m.scan.done != nil }

func (m *MAC) beginScan(s scanState) bool {
	if m.Scanning() {
		return false
	}
	if m.info.Channels != 0 {
		s.mask &= m.info.Channels
	}
	s.wanted = true
	m.scan = s
	m.Kick()
	return true
}

func (m *MAC) startScan() {
	m.scan.wanted = false
	m.scanNext()
}

// scanNext goes on to the next channel, or ends the scan.
func (m *MAC) scanNext() {
	c, left := takeChannel(m.scan.mask)
	m.scan.mask = left
	if c == 0 {
		done := m.scan.done
		m.scan = scanState{}
		m.ListenOn(0, false)
		m.op = idle
		done()
		m.finish()
		return
	}
	if m.scan.energy {
		m.op = energyScan
		m.radio.EnergyScan(m.cfg.Clock.Now(), c, m.scan.dwell)
		return
	}
	m.op = activeScan
	m.ListenOn(c, true)
	f := Frame{Dst: ieee802154.ShortAddr(ieee802154.BroadcastShort), Security: link.Unsecured,
		OverridePAN: true, PANID: ieee802154.BroadcastPAN, Channel: c, Command: ieee802154.CommandBeaconRequest}
	w := m.wire(&f)
	m.radio.Transmit(m.cfg.Clock.Now(), radio.TxFrame{PSDU: w.Append(nil), Channel: c, RxChannel: c,
		CSMA: true, MaxBackoffs: csmaBackoffs, Secured: true, Power: radio.PowerDefault})
	m.Counters.TxBeaconRequest++
	m.timer.Start(m.scan.dwell)
}

func takeChannel(mask uint32) (channel uint8, left uint32) {
	for c := range uint8(32) {
		if mask>>c&1 == 1 && c > 0 {
			return c, mask &^ (1 << c)
		}
	}
	return 0, 0
}

// EnergyScanned implements radio.Handler.
func (m *MAC) EnergyScanned(_ time.Time, channel uint8, rssi int8) {
	if m.op != energyScan {
		return
	}
	m.scan.measure(Energy{Channel: channel, RSSI: rssi})
	m.scanNext()
}

func (m *MAC) scanBeacon(r *Received) {
	if m.op != activeScan || r.Frame.Src.Mode != ieee802154.AddrExtended {
		return
	}
	b := Beacon{Ext: r.Frame.Src.Ext, PANID: r.Frame.SrcPAN, Channel: r.Info.Channel, RSSI: r.Info.RSSI, LQI: r.Info.LQI}
	if p := r.Frame.Payload; len(p) > 4 { // superframe(2), GTS(1), pending(1)
		b.Payload = p[4:]
	}
	m.scan.found(b)
}

// ListenOn moves the receiver to another channel, for MLE discovery; 0 moves it
// back to the network's. With anyPAN the PAN id is wild there.
func (m *MAC) ListenOn(channel uint8, anyPAN bool) {
	m.scanning, m.scanPAN = channel, anyPAN
	m.configure()
}

func (m *MAC) startBeacon() {
	f := ieee802154.Frame{Type: ieee802154.FrameBeacon, Version: ieee802154.Version2003,
		Seq: m.beaconSeq, SrcPAN: m.want.PANID, Src: ieee802154.ExtendedAddr(m.want.Ext)}
	m.beaconSeq++
	m.op = beacon
	m.out = Frame{prepared: true}
	m.tx = radio.TxFrame{PSDU: f.Append(nil), Channel: m.channel, CSMA: true, MaxBackoffs: csmaBackoffs,
		Secured: true, Power: radio.PowerDefault}
	m.Counters.TxBeacon++
	m.send()
}
