package mac

import (
	"gatewayd/ieee802154"
	"gatewayd/radio"
	"gatewayd/thread/keys"
	"gatewayd/thread/link"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/trel"
)

// Overlay is a link that carries frames beside the radio: TREL.
//
// Which neighbours are reached by what is learnt from what is received, and
// from what is acknowledged. Frames for all, and for who is not known well
// enough, go by both.
type Overlay interface {
	// Up reports whether it can be used now.
	Up() bool
	// Send sends a frame; false if there is no way to where it goes.
	Send(trel.Frame) bool
	// Confirm tells that the frame that is being received is authentic, and
	// whether it is fresh, too.
	Confirm(ext ieee802154.ExtAddr, fresh bool)
}

// What a frame that came over TREL has in place of a measurement.
const (
	overlayRSSI = -20 // dBm
	overlayLQI  = 0xff
)

// probability, in percent, that a frame goes by TREL, too, to a neighbour that
// was reached by it before but is not now.
const probability = 25

// Overlaid reports whether there is a link beside the radio.
func (m *MAC) Overlaid() bool { return m.Overlay != nil }

func (m *MAC) overlayUp() bool { return m.Overlay != nil && m.Overlay.Up() }

// Listening is the channel that is listened to; 0 for none.
func (m *MAC) Listening() uint8 {
	switch {
	case !m.want.Enabled:
		return 0
	case m.scanning != 0:
		return m.scanning
	case m.rxOn || m.op == pollReceive:
		return m.channel
	}
	return 0
}

// ListeningPAN is the PAN id that is listened to, BroadcastPAN for every one.
func (m *MAC) ListeningPAN() uint16 {
	if m.scanning != 0 && m.scanPAN {
		return ieee802154.BroadcastPAN
	}
	return m.want.PANID
}

// Choose decides by what a frame goes, from its destination and security. only
// is what it must go by; none leaves that to what is known of the destination.
// What is returned is for the frames that continue it: the same, or none if
// they are as free. Choose comes before Room.
func (m *MAC) Choose(f *Frame, only link.Radios) link.Radios {
	if m.Overlay == nil {
		return 0
	}
	n := m.destination(f)
	known := only
	switch {
	case !m.Overlay.Up():
		f.radios = link.Only(link.Air)
	case only != 0:
		f.radios = only
	case n == nil || n.Links.Known() == 0:
		f.radios = link.AllRadios
	case !m.up && n.Links.Known().Has(link.TREL):
		f.radios = link.Only(link.TREL)
	default:
		known = link.Only(n.Links.Best())
		f.radios = known
		if n.Links.Known().Has(link.TREL) && !known.Has(link.TREL) && m.cfg.Rand.IntN(100) < probability {
			f.radios, f.probe = link.AllRadios, true
		}
	}
	return known
}

// Enlarge lets the frame be as long as its links allow, as none can be that
// has to be sent on by nodes of which nothing is known.
func (f *Frame) Enlarge() { f.large = f.radios == link.Only(link.TREL) }

// Doubled reports whether the frame goes by more than one link, so that who
// receives it has to tell that it is one.
func (f *Frame) Doubled() bool { return f.radios == link.AllRadios }

// ByTREL reports whether the frame goes by TREL alone.
func (f *Frame) ByTREL() bool { return f.radios == link.Only(link.TREL) }

// sendOver sends m.out over TREL. It reports whether that was all: if the frame
// is to go by the radio, too, that is still to be done.
func (m *MAC) sendOver() bool {
	f := &m.out
	m.number(f)
	n := m.destination(f)
	sent := m.overlay(f, n)
	if n != nil && !sent {
		n.Links.Sent(link.TREL, false)
	}
	if !f.ByTREL() {
		m.overlaid = sent
		return false
	}
	out, op, child := m.out, m.op, m.outChild
	m.Counters.TxTotal++
	status := radio.TxAborted
	if sent {
		status = radio.TxOK
	}
	m.countSent(&out, radio.TxResult{Status: status}, op)
	m.op, m.outChild = idle, nil
	if op == direct {
		m.cfg.Source.DirectSent(&out, sent)
	} else if child != nil {
		m.cfg.Source.IndirectSent(child, &out, sent)
	}
	return true
}

// overlay hands the overlay a frame for a neighbour, or for nil.
func (m *MAC) overlay(f *Frame, n *neighbor.Neighbor) bool {
	b, ok := m.seal(f)
	if !ok || len(b) > trel.MaxFrame {
		return false
	}
	t := trel.Frame{Bytes: b, Channel: f.Channel, PANID: m.want.PANID, AckRequest: n != nil,
		Discovery: f.Security == link.Unsecured || f.Security == link.WellKnown}
	if t.Channel == 0 {
		t.Channel = m.channel
	}
	if f.OverridePAN {
		t.PANID = f.PANID
	}
	switch {
	case f.Dst.Mode == ieee802154.AddrExtended:
		t.Unicast, t.Dst = true, f.Dst.Ext
	case n != nil:
		t.Unicast, t.Dst = true, n.Ext
	}
	return m.Overlay.Send(t)
}

// seal returns a frame as it goes over TREL, with TREL's own key and counter.
func (m *MAC) seal(f *Frame) ([]byte, bool) {
	w := m.wire(f)
	room := len(w.Payload) + maxPSDU
	if !w.Secured {
		return w.Append(make([]byte, 0, room)), true
	}
	var ccm *ieee802154.CCM
	ok, ext := true, m.want.Ext
	switch f.Security {
	case link.JoinerKEK:
		if ccm, ok = m.cfg.Keys.KEK(); ok {
			w.Security.Counter = m.cfg.Keys.NextKEKCounter()
		}
	case link.WellKnown:
		ccm, ext = m.cfg.Keys.WellKnown(), keys.WellKnownExt
		w.Security.Counter = m.cfg.Keys.NextWellKnownCounter()
	default:
		seq := m.cfg.Keys.Sequence()
		ccm = m.cfg.Keys.TREL(seq)
		w.Security.KeyIndex = keys.Index(seq)
		w.Security.Counter, ok = m.cfg.Keys.NextTRELCounter()
	}
	if !ok {
		return nil, false
	}
	return w.Seal(ccm, ext, make([]byte, 0, room)), true
}

// TRELReceived takes a frame that came over TREL.
func (m *MAC) TRELReceived(frame []byte, channel uint8) {
	m.received(radio.RxFrame{PSDU: frame, Channel: channel, RSSI: overlayRSSI, LQI: overlayLQI, AckedPending: true}, link.TREL)
}

// TRELAcked takes what became of a frame over TREL to a neighbour.
func (m *MAC) TRELAcked(ext ieee802154.ExtAddr, ok bool) {
	n := m.cfg.Table.Find(ieee802154.ExtendedAddr(ext))
	if n == nil {
		return
	}
	n.Links.Sent(link.TREL, ok)
	n.FrameErrors.Add(ok)
	switch {
	case ok:
		n.Failures = 0
	case !m.reachable(n, link.Air):
		n.Failures++
		m.cfg.Handler.LinkFailed(n)
	}
}

// reachable reports whether a neighbour is reached by one link, so that it
// means little if the other fails.
func (m *MAC) reachable(n *neighbor.Neighbor, r link.Radio) bool {
	return m.Overlay != nil && n.Links.Good(r)
}

// HeardBy notes by what an authentic frame of a neighbour came. n may be nil.
func (m *MAC) HeardBy(n *neighbor.Neighbor, r link.Radio) {
	if m.Overlay != nil && n != nil {
		n.Links.Heard(r)
	}
}

// Authentic tells that the frame that is being received has an authentic
// sender, and whether it is known to be no replay.
func (m *MAC) Authentic(ext ieee802154.ExtAddr, r link.Radio, fresh bool) {
	if m.Overlay == nil {
		return
	}
	if r == link.TREL {
		m.Overlay.Confirm(ext, fresh)
	}
	if n := m.cfg.Table.Find(ieee802154.ExtendedAddr(ext)); n != nil && !n.Links.Known().Has(r) {
		n.Links.Heard(r)
	}
}
