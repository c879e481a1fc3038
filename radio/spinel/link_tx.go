package spinel

import (
	"bytes"
	"time"

	"gatewayd/alarm"
	"gatewayd/radio"
)

const (
	fcsLen  = 2
	maxPSDU = 127 // aMaxPhyPacketSize

	// invalidStates is how many frames in a row an RCP may refuse because of
	// its state before it counts as not being what it was told to be.
	invalidStates = 3
)

// transmission is the frame being transmitted.
type transmission struct {
	active bool // it has not been answered
	sent   bool // it is with the RCP
	frame  radio.TxFrame
	psdu   []byte // of frame, and of the next one
	value  []byte // likewise: the request
	timer  *alarm.Timer
	wrong  int // refusals in a row
}

func (t *transmission) clear() {
	t.active, t.sent, t.frame, t.wrong = false, false, radio.TxFrame{}, 0
	t.timer.Stop()
}

// Transmit sends one frame. It waits for settings to be confirmed first, so
// that no frame leaves with an old key or counter.
func (l *Link) Transmit(now time.Time, f radio.TxFrame) {
	l.clock.Set(now)
	if l.state != Ready || l.tx.active || len(f.PSDU)+fcsLen > maxPSDU || len(f.PSDU) == 0 {
		l.cfg.Handler.Transmitted(l.clock.Now(), radio.TxResult{Status: radio.TxAborted})
		return
	}
	l.tx.active, l.tx.frame = true, f
	l.tx.psdu = append(append(l.tx.psdu[:0], f.PSDU...), 0, 0) // room for the FCS
	l.tx.frame.PSDU = l.tx.psdu
	l.transmitNow()
}

// transmitNow sends the frame if nothing is in its way.
func (l *Link) transmitNow() {
	if !l.tx.active || l.tx.sent || l.requests.settings > 0 {
		return
	}
	tid := l.requests.tid(txRequest)
	if tid == 0 {
		return // the next answer frees one
	}
	f := &l.tx.frame
	q := TxRequest{
		PSDU:              f.PSDU,
		Channel:           f.Channel,
		MaxCSMABackoffs:   f.MaxBackoffs,
		MaxFrameRetries:   f.MaxRetries,
		CSMA:              f.CSMA,
		HeaderUpdated:     f.HeaderSet || f.Secured,
		Retransmission:    f.Retransmit,
		SecurityProcessed: f.Secured,
		RxChannel:         f.RxChannel,
		Power:             f.Power,
	}
	if q.RxChannel == 0 {
		q.RxChannel = f.Channel
	}
	timeout := l.cfg.TransmitTimeout
	if f.At != 0 {
		// An RCP is told when the SFD ends, not when the first bit leaves.
		due := f.At + uint64(radio.SHR/time.Microsecond)
		q.Delay = 1
		if us, ok := l.Clock(l.clock.Now()); ok && due > us {
			q.Delay = uint32(min(due-us, 1<<31))
			timeout += time.Duration(q.Delay) * time.Microsecond
		}
		q.Base = uint32(due) - q.Delay
	}
	l.tx.sent = true
	l.tx.timer.Start(timeout)
	l.tx.value = q.Append(l.tx.value[:0])
	l.send(Frame{IID: l.cfg.IID, TID: tid, Cmd: CmdSet, Prop: PropStreamRaw, Value: l.tx.value})
}

// transmitted handles the answer to a frame.
func (l *Link) transmitted(value []byte) {
	macData := l.id.Info.Caps.Has(radio.CapTransmitSecurity)
	d, err := DecodeTxDone(value, macData)
	if err != nil {
		l.malformed(PropStreamRaw, err)
		l.lost("malformed answer to a frame to transmit", false)
		return
	}
	f := l.tx.frame
	wrong := l.tx.wrong
	l.tx.clear()
	l.stats.Transmitted++

	var r radio.TxResult
	switch d.Status {
	case StatusOK:
		r.Status = radio.TxOK
	case StatusNoAck:
		r.Status = radio.TxNoAck
	case StatusCCAFailure:
		r.Status = radio.TxChannelBusy
	case StatusInvalidState:
		r.Status = radio.TxAborted
		l.tx.wrong = wrong + 1
	default:
		r.Status = radio.TxAborted
	}
	if ack, ok := rxFrame(d.Ack); ok {
		r.Ack = ack
	}
	if d.HasHeader && !f.HeaderSet && !f.Secured {
		l.counterUsed(d.KeyIndex, d.FrameCounter)
		r.HeaderSet, r.KeyIndex, r.FrameCounter = true, d.KeyIndex, d.FrameCounter
	}
	// The RCP stays where it was told to listen afterwards.
	after := f.RxChannel
	if after == 0 {
		after = f.Channel
	}
	if after != l.want.Channel {
		delete(l.told.asked, setting{prop: PropPhyChan})
		l.told.deferred = true
	}
	if l.told.deferred {
		l.reconcile()
	}
	l.pump()
	l.cfg.Handler.Transmitted(l.clock.Now(), r)
	if wrong+1 >= invalidStates && d.Status == StatusInvalidState {
		l.lost("it refuses to transmit", false)
	}
}

// rxFrame turns a frame as the RCP reports it into one for the MAC; false if
// there is none.
func rxFrame(f RxFrame) (radio.RxFrame, bool) {
	if len(f.PSDU) <= fcsLen {
		return radio.RxFrame{}, false
	}
	return radio.RxFrame{
		PSDU:         bytes.Clone(f.PSDU[:len(f.PSDU)-fcsLen]),
		Channel:      f.Channel,
		RSSI:         f.RSSI,
		LQI:          f.LQI,
		Timestamp:    f.Timestamp,
		AckedPending: f.Flags&FlagAckedPending != 0,
		AckedSecured: f.Flags&FlagAckedSecured != 0,
		AckKeyIndex:  f.AckKeyIndex,
		AckCounter:   f.AckCounter,
	}, true
}

// received handles a frame from the air.
func (l *Link) received(value []byte) {
	f, err := DecodeRxFrame(value)
	if err == nil && len(f.PSDU) > maxPSDU {
		err = &DecodeError{What: "frame", Err: ErrValue}
	}
	if err != nil {
		l.malformed(PropStreamRaw, err)
		return
	}
	if f.Error != 0 || f.Flags&(FlagTransmitted|FlagBadFCS) != 0 {
		l.stats.Dropped++
		return
	}
	r, ok := rxFrame(f)
	if !ok || l.state != Ready || !l.want.Receiving {
		l.stats.Dropped++
		return
	}
	if r.AckedSecured {
		l.counterUsed(r.AckKeyIndex, r.AckCounter)
	}
	l.stats.Received++
	l.cfg.Handler.Received(l.clock.Now(), r)
}

// energyScan is the scan under way.
type energyScan struct {
	active  bool
	channel uint8
	timer   *alarm.Timer
}

func (s *energyScan) clear() {
	s.active = false
	s.timer.Stop()
}

// scanState is what PropMACScanState is set to.
const scanStateEnergy = 2

// EnergyScan measures the strongest energy on a channel for d, which counts in
// milliseconds. Where it cannot be done the answer is radio.RSSIInvalid.
func (l *Link) EnergyScan(now time.Time, channel uint8, d time.Duration) {
	l.clock.Set(now)
	if l.state != Ready || l.scan.active || !l.id.Info.Caps.Has(radio.CapEnergyScan) {
		l.cfg.Handler.EnergyScanned(l.clock.Now(), channel, radio.RSSIInvalid)
		return
	}
	l.scan.active, l.scan.channel = true, channel
	l.scan.timer.Start(d + l.cfg.TransmitTimeout)
	ms := uint16(min(max(d.Milliseconds(), 1), 0xffff))
	l.scanSet(PropMACScanMask, channel)
	l.scanSet(PropMACScanPeriod, byte(ms), byte(ms>>8))
	l.scanSet(PropMACScanState, scanStateEnergy)
}

// scanSet sets a property for the scan; if it is refused, that was the scan.
func (l *Link) scanSet(p Prop, value ...byte) {
	channel := l.scan.channel
	l.ask(&request{cmd: CmdSet, prop: p, value: value, done: func(_ []byte, s Status) {
		if s != StatusOK && l.scan.active && l.scan.channel == channel {
			l.refused(p, s)
			l.scanEnded(radio.RSSIInvalid)
		}
	}})
}

// scanned handles a result.
func (l *Link) scanned(value []byte) {
	r := NewReader(value, 0)
	channel, rssi := r.Uint8("channel"), r.Int8("RSSI")
	if err := r.Err(); err != nil {
		l.malformed(PropMACEnergyScanResult, err)
		return
	}
	if !l.scan.active || l.scan.channel != channel {
		l.stats.Unmatched++
		return
	}
	l.scanEnded(rssi)
}

func (l *Link) scanEnded(rssi int8) {
	channel := l.scan.channel
	l.scan.clear()
	l.reconcile()
	l.cfg.Handler.EnergyScanned(l.clock.Now(), channel, rssi)
}

// Clock is the RCP's clock at now.
func (l *Link) Clock(now time.Time) (uint64, bool) {
	if l.state != Ready && l.state != Syncing || !l.remote.known {
		return 0, false
	}
	return l.remote.at(now), true
}
