package rcp

import (
	"encoding/binary"
	"slices"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/radio"
	"gatewayd/radio/medium"
)

// pendingAck is the acknowledgment on its way out.
type pendingAck struct {
	psdu    []byte // with FCS
	channel uint8
	until   time.Time // the transmitter is taken until then
}

// Heard implements medium.Receiver.
func (r *Radio) Heard(now time.Time, f medium.Frame) {
	r.at(now)
	// FCS over a frame and its own FCS is zero.
	if !r.set.Enabled || len(f.PSDU) <= ieee802154.FCSLen || len(f.PSDU) > ieee802154.MaxPSDU || r.forAnother(f.PSDU) ||
		ieee802154.FCS(f.PSDU) != 0 {
		return
	}
	rx := radio.RxFrame{
		PSDU:      slices.Clone(f.PSDU[:len(f.PSDU)-ieee802154.FCSLen]),
		Channel:   f.Channel,
		RSSI:      f.RSSI,
		LQI:       f.LQI,
		Timestamp: r.micros(f.SFD),
	}
	h, err := ieee802154.Decode(rx.PSDU)
	if err == nil && h.Type == ieee802154.FrameAck && r.acknowledged(now, &h, rx) {
		return
	}
	switch {
	case r.set.Promiscuous:
	case err != nil || h.Type == ieee802154.FrameAck || !r.wants(&h):
		return
	case h.AckRequest && h.Dst.Mode != ieee802154.AddrNone && !h.Dst.IsBroadcast():
		r.acknowledge(now, &h, &rx)
	}
	r.handler.Received(now, rx)
}

// forAnother reports by a frame's first bytes that it is of no interest (IEEE
// 802.15.4-2020 Section 7.2.2). Most that are heard in a large mesh are not, and
// need not be looked at further.
func (r *Radio) forAnother(psdu []byte) bool {
	const dstAt = 5 // behind control, sequence and PAN id, in frames up to version 2006
	kind, mode, version := ieee802154.FrameType(psdu[0]&7), psdu[1]>>2&3, psdu[1]>>4&3
	var dst ieee802154.Addr
	switch {
	case r.set.Promiscuous:
		return false
	case kind == ieee802154.FrameAck:
		return r.tx.state != txAwaitAck
	case kind != ieee802154.FrameData && kind != ieee802154.FrameCommand || version > uint8(ieee802154.Version2006):
		return false
	case mode == uint8(ieee802154.AddrShort) && len(psdu) >= dstAt+2:
		dst = ieee802154.ShortAddr(binary.LittleEndian.Uint16(psdu[dstAt:]))
	case mode == uint8(ieee802154.AddrExtended) && len(psdu) >= dstAt+8:
		dst = ieee802154.ExtendedAddr(ieee802154.ExtAddr(binary.BigEndian.AppendUint64(nil, binary.LittleEndian.Uint64(psdu[dstAt:]))))
	default:
		return false
	}
	return !dst.IsBroadcast() && !r.isOurs(dst)
}

// wants is the frame filter (IEEE 802.15.4-2020 Section 6.6.2), without what
// only the host can know: frames without a destination all pass.
func (r *Radio) wants(h *ieee802154.Frame) bool {
	if dstPAN, _ := h.PANsPresent(); dstPAN && h.DstPAN != ieee802154.BroadcastPAN && h.DstPAN != r.set.PANID {
		return false
	}
	return h.Dst.Mode == ieee802154.AddrNone || h.Dst.IsBroadcast() || r.isOurs(h.Dst)
}

func (r *Radio) isOurs(a ieee802154.Addr) bool {
	if a.Mode == ieee802154.AddrExtended {
		return a.Ext == r.set.Ext
	}
	return a.Short != ieee802154.InvalidShort && (a.Short == r.set.Short || a.Short == r.set.AltShort)
}

// acknowledge answers a frame and notes in rx what the answer said.
func (r *Radio) acknowledge(now time.Time, h *ieee802154.Frame, rx *radio.RxFrame) {
	pending := mayHavePending(h) && r.match.pending(h.Src)
	var psdu []byte
	if h.Version == ieee802154.Version2015 {
		if psdu = r.enhancedAck(h, pending, rx); psdu == nil {
			return
		}
	} else {
		psdu = ieee802154.AppendImmAck(nil, h.Seq, pending)
	}
	rx.AckedPending = pending
	r.ack = pendingAck{psdu: appendFCS(psdu), channel: rx.Channel}
	if !r.timed() {
		r.sendAck()
		return
	}
	r.ack.until = now.Add(turnaround + r.cfg.Port.Airtime(len(r.ack.psdu)))
	r.ackTimer.Start(turnaround)
}

// mayHavePending reports whether an acknowledgment of h may carry the frame
// pending bit: answers to data requests, and to data, for Thread's parents
// announce frames to their children with it. The command of an encrypted
// frame of version 2015 cannot be seen.
func mayHavePending(h *ieee802154.Frame) bool {
	switch h.Type {
	case ieee802154.FrameData:
		return true
	case ieee802154.FrameCommand:
		return h.Version == ieee802154.Version2015 || h.Command == ieee802154.CommandDataRequest
	}
	return false
}

// enhancedAck builds the acknowledgment of a frame of version 2015, or none if
// it would have to be secured and there is no key for that.
func (r *Radio) enhancedAck(h *ieee802154.Frame, pending bool, rx *radio.RxFrame) []byte {
	ack := ieee802154.EnhAck(h, pending)
	if r.set.CSL.Period != 0 {
		leaves := r.cfg.Clock.Now()
		if r.timed() {
			leaves = leaves.Add(turnaround)
		}
		ack.HeaderIEs = append(ack.HeaderIEs, r.cslElement(leaves).IE())
	}
	if data := r.probe(h.Src, rx); data != nil {
		ack.HeaderIEs = append(ack.HeaderIEs, ieee802154.VendorIE(ieee802154.OUIThread, data))
	}
	if !ack.Secured {
		return ack.Append(nil)
	}
	if ack.Security.KeyIDMode != ieee802154.KeyIDIndex {
		return nil
	}
	key := r.keys.find(ack.Security.KeyIndex)
	if key == nil {
		return nil
	}
	counter, ok := key.take()
	if !ok {
		return nil
	}
	ack.Security.Counter = counter
	rx.AckedSecured, rx.AckKeyIndex, rx.AckCounter = true, key.index, counter
	r.cslTold(r.cfg.Clock.Now())
	return ack.Seal(key.ccm, r.set.Ext, nil)
}

func (r *Radio) sendAck() {
	now := r.cfg.Clock.Now()
	r.cfg.Port.Transmit(now, r.ack.channel, r.power(r.ack.channel, radio.PowerDefault), r.ack.psdu)
}

// sourceMatch says whose data requests are answered with "frame pending".
type sourceMatch struct {
	on    bool
	short map[uint16]bool
	ext   map[ieee802154.ExtAddr]bool
}

func (m *sourceMatch) set(s radio.Settings) {
	m.on = s.SourceMatch
	m.short = make(map[uint16]bool, len(s.SourceMatchShort))
	for _, a := range s.SourceMatchShort {
		m.short[a] = true
	}
	m.ext = make(map[ieee802154.ExtAddr]bool, len(s.SourceMatchExt))
	for _, a := range s.SourceMatchExt {
		m.ext[a] = true
	}
}

func (m *sourceMatch) pending(src ieee802154.Addr) bool {
	if !m.on {
		return true
	}
	switch src.Mode {
	case ieee802154.AddrShort:
		return m.short[src.Short]
	case ieee802154.AddrExtended:
		return m.ext[src.Ext]
	}
	return false
}
