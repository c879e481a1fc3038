package mac

import (
	"time"

	"gatewayd/ieee802154"
	"gatewayd/radio"
	"gatewayd/thread/keys"
	"gatewayd/thread/link"
	"gatewayd/thread/linkmetrics"
	"gatewayd/thread/neighbor"
)

// verdict is why a frame goes no further.
type verdict uint8

const (
	accept verdict = iota
	duplicate
	refuseSecurity
	refuseUnknown
	refuseDestination
	refuseSource
	refuseFiltered
	refuseState
	refuseMalformed
)

// Received implements radio.Handler.
func (m *MAC) Received(_ time.Time, rx radio.RxFrame) { m.received(rx, link.Air) }

func (m *MAC) received(rx radio.RxFrame, by link.Radio) {
	m.Counters.RxTotal++
	if rx.AckedSecured {
		m.cfg.Keys.UsedMACCounter(rx.AckKeyIndex, rx.AckCounter)
	}
	if !m.want.Enabled {
		return
	}
	r := &Received{}
	r.Info.Radio = by
	v := m.accept(rx, r)
	if v != accept && !(v == duplicate && m.op == pollReceive) {
		m.Counters.refused(v)
		return
	}
	forUs := r.Frame.Dst.Mode != ieee802154.AddrNone && !r.Frame.Dst.IsBroadcast()
	switch {
	case m.op == pollReceive && forUs:
		m.polledFrame(r)
		defer m.Kick() // what waited for the end of it
		if v == duplicate {
			m.Counters.refused(v)
			return
		}
	case forUs && r.Frame.Pending && !m.rxOn && r.Neighbor == &m.cfg.Table.Parent.Neighbor:
		m.wantPoll = true // it came in a window of ours, and there is more
		defer m.Kick()
	}
	if m.scanning != 0 && m.scanning != m.channel && m.op == activeScan && r.Frame.Type != ieee802154.FrameBeacon {
		return
	}
	switch r.Frame.Type {
	case ieee802154.FrameBeacon:
		m.Counters.RxBeacon++
		m.scanBeacon(r)
	case ieee802154.FrameCommand:
		m.command(r, rx)
	case ieee802154.FrameData:
		m.Counters.RxData++
		m.cfg.Handler.FrameReceived(r)
	default:
		m.Counters.RxOther++
	}
}

// accept checks one frame as Thread's MAC does, and fills in r. Its order is:
// addresses, the default-deny table of security, the neighbour's state.
func (m *MAC) accept(rx radio.RxFrame, r *Received) verdict {
	f, err := ieee802154.Decode(rx.PSDU)
	if err != nil {
		return refuseMalformed
	}
	r.Frame = f
	r.Info = link.Info{Src: f.Src, Dst: f.Dst, SrcPAN: f.SrcPAN, DstPAN: f.DstPAN,
		Channel: rx.Channel, Radio: r.Info.Radio, RSSI: rx.RSSI, LQI: rx.LQI}
	if v := m.checkDestination(&f); v != accept {
		return v
	}
	if f.Src.Mode != ieee802154.AddrNone {
		r.Neighbor = m.cfg.Table.Find(f.Src)
	}
	ext, v := m.checkSource(r)
	if v != accept {
		return v
	}
	if f.Dst.IsBroadcast() {
		m.Counters.RxBroadcast++
	} else {
		m.Counters.RxUnicast++
	}
	if f.Secured {
		v = m.open(rx.PSDU, r, ext)
		if v != accept {
			return v
		}
	}
	if v := m.heard(r); v != accept {
		return v
	}
	if f.Secured && r.Info.KeyIDMode == 1 {
		if r.Info.Radio == link.Air {
			m.heardCSL(r.Neighbor, &r.Frame, rx.Timestamp)
		}
		m.HeardBy(r.Neighbor, r.Info.Radio)
		m.Authentic(ext, r.Info.Radio, r.Neighbor.State == neighbor.Valid)
	}
	return accept
}

func (m *MAC) checkDestination(f *ieee802154.Frame) verdict {
	pan := m.want.PANID
	if m.scanning != 0 && m.scanPAN {
		pan = ieee802154.BroadcastPAN
	}
	switch f.Dst.Mode {
	case ieee802154.AddrShort:
		switch {
		case f.Dst.IsBroadcast():
			if !m.rxOn && m.op != pollReceive && m.scanning == 0 {
				return refuseDestination // sleepy: broadcast comes as unicast
			}
		case f.Dst.Short != m.want.Short && (f.Dst.Short != m.want.AltShort || f.Dst.Short == ieee802154.InvalidShort):
			return refuseDestination
		}
	case ieee802154.AddrExtended:
		if f.Dst.Ext != m.want.Ext {
			return refuseDestination
		}
	default:
		return accept
	}
	if f.DstPAN != ieee802154.BroadcastPAN && f.DstPAN != pan {
		return refuseDestination
	}
	return accept
}

// checkSource finds the sender's extended address.
func (m *MAC) checkSource(r *Received) (ext ieee802154.ExtAddr, v verdict) {
	switch r.Frame.Src.Mode {
	case ieee802154.AddrNone:
		return ext, accept
	case ieee802154.AddrShort:
		if r.Neighbor == nil {
			return ext, refuseUnknown
		}
		ext = r.Neighbor.Ext
	case ieee802154.AddrExtended:
		ext = r.Frame.Src.Ext
	}
	if ext == m.want.Ext {
		return ext, refuseSource
	}
	if m.Filter != nil {
		rssi, ok := m.Filter(ext, r.Info.RSSI)
		if !ok {
			return ext, refuseFiltered
		}
		if rssi != r.Info.RSSI && r.Neighbor != nil {
			r.Neighbor.Quality.Restart() // a fixed RSSI counts at once
		}
		r.Info.RSSI = rssi
	}
	return ext, accept
}

// open decrypts a secured frame. What is not in this table is refused:
//
//	level 5, mode 0, data or command  a joiner session's KEK, extended source
//	level 5, mode 1                   the network's MAC key, a known neighbour
//	level 5, mode 2, data             the well-known key; counts as unsecured
func (m *MAC) open(psdu []byte, r *Received, ext ieee802154.ExtAddr) verdict {
	f := &r.Frame
	if f.Security.Level != ieee802154.LevelEncMIC32 || f.Src.Mode == ieee802154.AddrNone {
		return refuseSecurity
	}
	r.Info.KeyIDMode = uint8(f.Security.KeyIDMode)
	switch f.Security.KeyIDMode {
	case 0:
		ccm, ok := m.cfg.Keys.KEK()
		if !ok || f.Src.Mode != ieee802154.AddrExtended || f.Open(psdu, ccm, ext) != nil {
			return refuseSecurity
		}
		r.Info.Secured = true
	case 1:
		r.Info.Secured = true
		return m.openNetwork(psdu, r, ext)
	case 2:
		if f.Type != ieee802154.FrameData || f.Open(psdu, m.cfg.Keys.WellKnown(), keys.WellKnownExt) != nil {
			return refuseSecurity
		}
	default:
		return refuseSecurity
	}
	return accept
}

// openNetwork checks replay and MIC of a frame under the network's MAC key.
func (m *MAC) openNetwork(psdu []byte, r *Received, ext ieee802154.ExtAddr) verdict {
	f, n := &r.Frame, r.Neighbor
	if n == nil {
		return refuseSecurity
	}
	lowest, key := &n.LinkCounter, m.cfg.Keys.MAC
	if r.Info.Radio == link.TREL {
		lowest, key = &n.Links.TRELCounter, m.cfg.Keys.TREL
	}
	seq, ok := m.cfg.Keys.SequenceOf(f.Security.KeyIndex)
	if !ok {
		return refuseSecurity
	}
	counter := f.Security.Counter
	if counter == ^uint32(0) {
		return refuseSecurity // the last one: nothing newer could follow, so it could be replayed
	}
	if n.State == neighbor.Valid {
		switch {
		case seq < n.KeySequence:
			return refuseSecurity
		case seq == n.KeySequence && counter+1 == *lowest:
			return duplicate
		case seq == n.KeySequence && counter < *lowest:
			return refuseSecurity
		}
	}
	if f.Open(psdu, key(seq), ext) != nil {
		return refuseSecurity
	}
	if n.State != neighbor.Valid {
		return accept
	}
	if seq != n.KeySequence {
		n.StartCounters(0)
		n.KeySequence, n.MLECounter = seq, 0
	}
	*lowest = counter + 1
	if r.Info.Radio == link.Air {
		n.LinkAckCounter = max(n.LinkAckCounter, counter+1)
	}
	if seq > m.cfg.Keys.Sequence() {
		m.cfg.Keys.Heard(seq)
	}
	return accept
}

// heard notes a frame on its neighbour's record and checks that the link is in
// a state to carry it.
func (m *MAC) heard(r *Received) verdict {
	n := r.Neighbor
	if n == nil {
		return accept
	}
	if r.Info.Radio == link.TREL && (!r.Frame.Secured || r.Info.KeyIDMode != 1) {
		return accept // from anywhere on the infrastructure
	}
	n.Quality.Heard(r.Info.RSSI, m.info.RxSensitivity)
	switch r.Frame.Type {
	case ieee802154.FrameData:
		n.Count(linkmetrics.Data, r.Info.LQI, r.Info.RSSI)
	case ieee802154.FrameCommand:
		n.Count(linkmetrics.DataRequests, r.Info.LQI, r.Info.RSSI)
	}
	if !r.Frame.Secured || r.Info.KeyIDMode != 1 {
		return accept
	}
	switch n.State {
	case neighbor.Valid:
	case neighbor.Restored, neighbor.ChildUpdateRequest:
		// A child that is to prove itself may only poll.
		if r.Frame.Type != ieee802154.FrameCommand || r.Frame.Command != ieee802154.CommandDataRequest {
			return refuseState
		}
	default:
		return refuseUnknown
	}
	if n == &m.cfg.Table.Parent.Neighbor || r.Frame.Type == ieee802154.FrameData && !n.Mode.RxOnWhenIdle() && n.Version >= keepAliveVersion {
		n.LastHeard = m.cfg.Clock.Now()
	}
	return accept
}

// keepAliveVersion is the Thread version (1.2) from which a sleepy child's
// data frames show that it is alive.
const keepAliveVersion = 3

func (m *MAC) command(r *Received, rx radio.RxFrame) {
	switch r.Frame.Command {
	case ieee802154.CommandBeaconRequest:
		m.Counters.RxBeaconRequest++
		if m.Beacons && r.Info.Radio == link.Air && m.beacons < maxBeacons {
			m.beacons++
			m.Kick()
		}
	case ieee802154.CommandDataRequest:
		m.Counters.RxDataPoll++
		if r.Info.Secured && r.Info.KeyIDMode == 1 && r.Neighbor != nil {
			m.dataRequest(r, rx.AckedPending)
		}
	default:
		m.Counters.RxOther++
	}
}

// dataRequest serves a sleepy child's poll. Only one that was acknowledged with
// the pending bit finds the child listening.
func (m *MAC) dataRequest(r *Received, pending bool) {
	c := m.cfg.Table.ChildByExt(r.Neighbor.Ext)
	if c == nil || &c.Neighbor != r.Neighbor || c.Mode.RxOnWhenIdle() {
		return
	}
	c.Failures = 0
	if !c.CSL.Synced {
		c.Links.Polled = r.Info.Radio
	}
	m.cfg.Handler.Polled(c, r.Frame.Src.Mode == ieee802154.AddrShort)
	if !pending {
		return
	}
	for _, x := range m.polled {
		if x == c {
			return
		}
	}
	m.polled = append(m.polled, c)
	m.Kick()
}
