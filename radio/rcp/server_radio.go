package rcp

import (
	"time"

	"gatewayd/ieee802154"
	"gatewayd/radio"
	"gatewayd/radio/medium"
	"gatewayd/radio/spinel"
)

// OpenThread's own errors follow the status codes of Spinel.
const (
	statusNative          spinel.Status = 0x4000
	statusNativeNoAddress               = statusNative + 10
	statusNativeAbort                   = statusNative + 11
)

// transmit handles a frame to transmit; it is answered when it is done.
func (s *Server) transmit(f spinel.Frame) {
	if !s.set.Enabled {
		s.answerStatus(f, spinel.StatusInvalidState)
		return
	}
	if !s.radio.Idle() {
		s.answerStatus(f, spinel.StatusBusy)
		return
	}
	q, err := spinel.DecodeTxRequest(f.Value)
	if err != nil || len(q.PSDU) > ieee802154.MaxPSDU || len(q.PSDU) <= ieee802154.FCSLen {
		s.answerStatus(f, spinel.StatusParseError)
		return
	}
	q.PSDU = q.PSDU[:len(q.PSDU)-ieee802154.FCSLen]
	t := rawTransmit{tid: f.TID, request: q}
	if h, err := ieee802154.Decode(q.PSDU); err == nil && h.Secured {
		t.secured, t.keyIndex, t.counter = true, h.Security.KeyIndex, h.Security.Counter
	}
	t.request.PSDU = nil // it is the decoder's
	s.tx = t
	s.radio.Transmit(s.now(), radio.TxFrame{
		PSDU:        q.PSDU,
		Channel:     q.Channel,
		RxChannel:   q.RxChannel,
		CSMA:        q.CSMA,
		MaxBackoffs: q.MaxCSMABackoffs,
		MaxRetries:  q.MaxFrameRetries,
		Secured:     q.SecurityProcessed,
		HeaderSet:   q.HeaderUpdated,
		Retransmit:  q.Retransmission,
		At:          s.due(q),
		Power:       q.Power,
	})
}

// due is when a frame's first bit is to leave, on the radio's clock, or 0. The
// host names the end of the SFD, in the clock's low 32 bits.
func (s *Server) due(q spinel.TxRequest) uint64 {
	if q.Delay == 0 && q.Base == 0 {
		return 0
	}
	now, _ := s.radio.Clock(s.now())
	ahead := int64(int32(q.Base + q.Delay - uint32(now)))
	return now + uint64(ahead-int64(medium.SHR/time.Microsecond))
}

// Transmitted implements radio.Handler.
func (s *Server) Transmitted(_ time.Time, r radio.TxResult) {
	t := s.tx
	s.tx = rawTransmit{}
	if r.Status != radio.TxAborted && t.request.RxChannel != 0 {
		s.set.Channel = t.request.RxChannel
	}
	if t.tid == 0 {
		return
	}
	d := spinel.TxDone{Ack: spinel.RxFrame{Noise: noNoise}}
	switch r.Status {
	case radio.TxOK:
		d.Status = spinel.StatusOK
	case radio.TxNoAck:
		d.Status = spinel.StatusNoAck
	case radio.TxChannelBusy:
		d.Status = spinel.StatusCCAFailure
	default:
		d.Status = statusNativeAbort
	}
	if r.Ack.PSDU != nil {
		d.Ack = rawFrame(r.Ack)
		if h, err := ieee802154.Decode(r.Ack.PSDU); err == nil {
			d.FramePending = h.Pending
		}
	}
	d.HeaderUpdated = r.HeaderSet || t.request.HeaderUpdated
	if d.HeaderUpdated && t.secured {
		d.HasHeader, d.KeyIndex, d.FrameCounter = true, t.keyIndex, t.counter
		if r.HeaderSet {
			d.KeyIndex, d.FrameCounter = r.KeyIndex, r.FrameCounter
		}
	}
	s.write(spinel.Frame{TID: t.tid, Cmd: spinel.CmdIs, Prop: spinel.PropLastStatus, Value: d.Append(nil)})
}

// noNoise is the noise floor of a radio that does not measure it, dBm.
const noNoise = -128

// rawFrame is a received frame as Spinel has it.
func rawFrame(f radio.RxFrame) spinel.RxFrame {
	raw := spinel.RxFrame{
		PSDU:      appendFCS(f.PSDU),
		RSSI:      f.RSSI,
		Noise:     noNoise,
		Channel:   f.Channel,
		LQI:       f.LQI,
		Timestamp: f.Timestamp,
	}
	if f.AckedPending {
		raw.Flags |= spinel.FlagAckedPending
	}
	if f.AckedSecured {
		raw.Flags |= spinel.FlagAckedSecured
		raw.AckKeyIndex, raw.AckCounter = f.AckKeyIndex, f.AckCounter
	}
	return raw
}

// Received implements radio.Handler.
func (s *Server) Received(_ time.Time, f radio.RxFrame) {
	s.write(spinel.Frame{Cmd: spinel.CmdIs, Prop: spinel.PropStreamRaw, Value: rawFrame(f).Append(nil)})
}

// The states of PropMACScanState.
const (
	scanIdle   = 0
	scanEnergy = 2
)

const (
	defaultScanPeriod = 200 * time.Millisecond
	firstScanned      = medium.FirstChannel
)

// startScan begins an energy scan of the channels in the mask.
func (s *Server) startScan() spinel.Status {
	switch {
	case !s.set.Enabled || s.scan.active || !s.radio.Idle():
		return spinel.StatusInvalidState
	case len(s.scan.mask) == 0:
		return spinel.StatusInvalidArgument
	}
	s.scan.active, s.scan.next = true, 0
	s.scanNext()
	return spinel.StatusOK
}

func (s *Server) scanNext() {
	channel := s.scan.mask[s.scan.next]
	s.scan.next++
	s.radio.EnergyScan(s.now(), channel, s.scan.period)
}

// EnergyScanned implements radio.Handler.
func (s *Server) EnergyScanned(_ time.Time, channel uint8, maxRSSI int8) {
	if !s.scan.active {
		return // forgotten by a reset
	}
	s.write(spinel.Frame{Cmd: spinel.CmdIs, Prop: spinel.PropMACEnergyScanResult, Value: []byte{channel, byte(maxRSSI)}})
	if s.scan.next < len(s.scan.mask) && s.set.Enabled {
		s.scanNext()
		return
	}
	s.scan.active = false
	s.write(spinel.Frame{Cmd: spinel.CmdIs, Prop: spinel.PropMACScanState, Value: []byte{scanIdle}})
}

// RadioUp implements radio.Handler.
func (s *Server) RadioUp(time.Time, radio.Info) {}

// RadioDown implements radio.Handler.
func (s *Server) RadioDown(time.Time) {}
