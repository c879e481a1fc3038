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

// transmit sends m.out for the operation that was set.
func (m *MAC) transmit(retries int) {
	f := &m.out
	again := f.prepared
	m.number(f)
	psdu, secured, ok := m.secure(f)
	if !ok {
		m.sent(radio.TxResult{Status: radio.TxAborted})
		return
	}
	channel := f.Channel
	if channel == 0 {
		channel = m.channel
	}
	rx := m.channel
	if m.scanning != 0 {
		rx = m.scanning
	}
	m.attempts = 0
	m.tx = radio.TxFrame{
		PSDU: psdu, Channel: channel, RxChannel: rx,
		CSMA: true, MaxBackoffs: csmaBackoffs, MaxRetries: uint8(retries),
		Secured: secured, HeaderSet: f.header && !secured, Retransmit: again,
		Power: radio.PowerDefault,
	}
	if m.op == indirectCSL {
		m.tx.At, m.tx.CSMA, m.tx.MaxBackoffs = m.at, false, 0
	}
	m.Counters.TxTotal++
	m.send()
}

// number gives a frame its sequence number, unless it has one.
func (m *MAC) number(f *Frame) {
	if !f.prepared {
		f.prepared, f.header = true, false
		f.seq = m.seq
		m.seq++
	}
}

func (m *MAC) send() {
	if !m.up {
		m.sent(radio.TxResult{Status: radio.TxAborted})
		return
	}
	m.radio.Transmit(m.cfg.Clock.Now(), m.tx)
}

// secure returns the PSDU of a frame, encrypted unless the radio does that.
func (m *MAC) secure(f *Frame) (psdu []byte, done, ok bool) {
	w := m.wire(f)
	if !w.Secured {
		return w.Append(make([]byte, 0, maxPSDU)), true, true
	}
	var ccm *ieee802154.CCM
	ext := m.want.Ext
	switch f.Security {
	case link.JoinerKEK:
		if ccm, ok = m.cfg.Keys.KEK(); !ok {
			return nil, false, false
		}
		if !f.header {
			f.counter = m.cfg.Keys.NextKEKCounter()
		}
	case link.WellKnown:
		ccm, ext = m.cfg.Keys.WellKnown(), keys.WellKnownExt
		f.keyIndex = keys.WellKnownIndex
		if !f.header {
			f.counter = m.cfg.Keys.NextWellKnownCounter()
		}
	default:
		if m.info.Caps.Has(radio.CapTransmitSecurity) {
			if f.header {
				w.Security.KeyIndex, w.Security.Counter = f.keyIndex, f.counter
			}
			if !m.cfg.Keys.ReserveMAC() {
				return nil, false, false
			}
			return w.Append(make([]byte, 0, maxPSDU)), false, true
		}
		ccm = m.cfg.Keys.MAC(m.cfg.Keys.Sequence())
		if !f.header {
			if f.counter, ok = m.cfg.Keys.NextMACCounter(); !ok {
				return nil, false, false
			}
			f.keyIndex = keys.Index(m.cfg.Keys.Sequence())
		}
	}
	f.header = true
	w.Security.KeyIndex, w.Security.Counter = f.keyIndex, f.counter
	return w.Seal(ccm, ext, make([]byte, 0, maxPSDU)), true, true
}

// Transmitted implements radio.Handler.
func (m *MAC) Transmitted(_ time.Time, r radio.TxResult) {
	switch m.op {
	case direct, indirect, indirectCSL, poll, beacon:
	default:
		return // late: the operation ended otherwise
	}
	if r.HeaderSet {
		m.out.header, m.out.keyIndex, m.out.counter = true, r.KeyIndex, r.FrameCounter
		m.cfg.Keys.UsedMACCounter(r.KeyIndex, r.FrameCounter)
	}
	if r.Status == radio.TxOK && r.Ack.PSDU != nil && !m.checkAck(&r.Ack) {
		r.Status = radio.TxNoAck
	}
	if n := m.destination(&m.out); n != nil && (r.Status == radio.TxOK || r.Status == radio.TxNoAck) {
		n.FrameErrors.Add(r.Status == radio.TxOK)
	}
	if m.mayRetry(r.Status) {
		m.attempts++
		m.Counters.TxRetry++
		m.timer.Start(m.backoff())
		return
	}
	m.sent(r)
}

// mayRetry reports whether the MAC has to try again for a radio that does not
// by itself.
func (m *MAC) mayRetry(s radio.TxStatus) bool {
	switch s {
	case radio.TxNoAck:
		return !m.info.Caps.Has(radio.CapTransmitRetries) && m.attempts < int(m.tx.MaxRetries)
	case radio.TxChannelBusy:
		return !m.info.Caps.Has(radio.CapCSMABackoff) && m.attempts < csmaBackoffs
	}
	return false
}

// backoff is a random number of unit backoff periods, 320 us each.
func (m *MAC) backoff() time.Duration {
	be := min(3+m.attempts, 5)
	return time.Duration(m.cfg.Rand.IntN(1<<be)) * 320 * time.Microsecond
}

func (m *MAC) retransmit() {
	m.tx.Retransmit = true
	if m.out.header && !m.tx.Secured {
		m.tx.HeaderSet = true
		_ = ieee802154.SetSecurity(m.tx.PSDU, m.out.keyIndex, m.out.counter)
	}
	m.send()
}

// heardAt is the RSSI of an acknowledgment as the filter has it.
func (m *MAC) heardAt(n *neighbor.Neighbor, rssi int8) int8 {
	if m.Filter != nil {
		rssi, _ = m.Filter(n.Ext, rssi)
	}
	return rssi
}

// sent ends a transmission for good.
func (m *MAC) sent(r radio.TxResult) {
	acked := r.Status == radio.TxOK
	f, op, child := m.out, m.op, m.outChild
	m.countSent(&f, r, op)
	pending := acked && len(r.Ack.PSDU) > 0 && r.Ack.PSDU[0]&0x10 != 0
	n := m.destination(&f)
	if n != nil && m.Overlay != nil {
		n.Links.Sent(link.Air, acked)
	}
	ok := acked || m.overlaid && !f.probe
	m.overlaid = false
	if n != nil && acked {
		n.Failures = 0
		if r.Ack.PSDU != nil {
			rssi := m.heardAt(n, r.Ack.RSSI)
			n.Quality.Heard(rssi, m.info.RxSensitivity)
			n.Count(linkmetrics.Acks, r.Ack.LQI, rssi)
		}
	}
	m.op, m.outChild = idle, nil
	switch op {
	case direct:
		m.cfg.Source.DirectSent(&f, ok)
	case indirect:
		if child != nil && m.cfg.Source.IndirectSent(child, &f, ok) && child.State != neighbor.Invalid {
			m.held[child] = &f
		}
	case indirectCSL:
		m.sentCSL(child, &f, r.Status)
		m.planCSL()
		m.takeTurns()
	case poll:
		if ok && pending {
			m.op = pollReceive
			m.configure()
			m.timer.Start(pollWait)
		}
		m.cfg.Handler.PollSent(ok, pending)
	}
	if n != nil && !ok && r.Status == radio.TxNoAck && op != indirect && op != indirectCSL && !m.reachable(n, link.TREL) {
		n.Failures++
		m.cfg.Handler.LinkFailed(n)
	}
	if m.op == idle {
		m.finish()
	}
}

// destination is the neighbour a unicast frame goes to.
func (m *MAC) destination(f *Frame) *neighbor.Neighbor {
	if f.Dst.Mode == ieee802154.AddrNone || f.Dst.IsBroadcast() {
		return nil
	}
	return m.cfg.Table.Find(f.Dst)
}

// checkAck verifies an enhanced acknowledgement (IEEE 802.15.4-2015 Section
// 6.7.4): one that is secured counts only if the key is that of the frame, the
// counter is not an old one and the MIC is good.
func (m *MAC) checkAck(a *radio.RxFrame) bool {
	f, err := ieee802154.Decode(a.PSDU)
	if err != nil {
		return false
	}
	if !f.Secured {
		return true
	}
	n := m.destination(&m.out)
	if n == nil || f.Version != ieee802154.Version2015 ||
		f.Security.Level != ieee802154.LevelEncMIC32 || f.Security.KeyIDMode != 1 ||
		f.Security.KeyIndex != m.out.keyIndex || f.Security.Counter < n.LinkAckCounter {
		return false
	}
	seq, ok := m.cfg.Keys.SequenceOf(f.Security.KeyIndex)
	if !ok || f.Open(a.PSDU, m.cfg.Keys.MAC(seq), n.Ext) != nil {
		return false
	}
	n.LinkAckCounter = f.Security.Counter
	m.heardCSL(n, &f, a.Timestamp)
	if ie, ok := f.Vendor(ieee802154.OUIThread); ok && n.Probing != 0 && m.Probed != nil {
		if v, ok := linkmetrics.DecodeElement(ie, n.Probing); ok {
			m.Probed(n, v)
		}
	}
	return true
}
