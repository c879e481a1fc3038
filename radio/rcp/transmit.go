package rcp

import (
	"time"

	"gatewayd/ieee802154"
	"gatewayd/radio"
	"gatewayd/radio/medium"
)

// CSMA-CA and acknowledgments (IEEE 802.15.4-2020 Sections 6.2.5.1, 6.6.3.3
// and 11.3, and Tables 8-94 and 11-1).
const (
	unitBackoff = 20 * medium.Symbol
	minBE       = 3
	maxBE       = 5
	ccaTime     = 8 * medium.Symbol
	turnaround  = 12 * medium.Symbol
	// ackWait is macAckWaitDuration: turnaround, preamble to PHY header, an
	// immediate acknowledgment, one backoff period.
	ackWait = 54 * medium.Symbol
	// An enhanced acknowledgment may be longer by its addresses, security
	// header, information elements and code.
	enhAckExtra = 60 * medium.ByteTime
)

// maxRetryBE bounds the extra pause before a retry after a missing
// acknowledgment: 0 to 2^n unit backoffs, n growing from 0. Without it two
// stations that cannot hear each other would collide again and again.
const maxRetryBE = 5

type txState uint8

const (
	txIdle    txState = iota
	txWaiting         // backing off, or for when the frame is due
	txSensing         // clear channel assessment
	txTurning         // from receiving to transmitting
	txOnAir
	txAwaitAck
)

// transmission is the frame being sent.
type transmission struct {
	state txState
	frame radio.TxFrame
	psdu  []byte // secured, with FCS
	// plain is the frame without either, if it has a CSL element: psdu is made
	// of it when it leaves.
	plain  []byte
	key    *keySlot // that secures it, or nil
	result radio.TxResult

	wantAck bool
	version ieee802154.Version
	seq     uint8

	backoffs uint8 // failed CCAs in a row
	retries  uint8
	retryBE  int
}

// Transmit implements radio.Radio.
func (r *Radio) Transmit(now time.Time, f radio.TxFrame) {
	r.at(now)
	if !r.set.Enabled || !r.Idle() || !r.prepare(f) {
		r.handler.Transmitted(now, radio.TxResult{Status: radio.TxAborted})
		return
	}
	if f.At != 0 {
		r.waitUntilDue(now)
		return
	}
	r.backOff()
}

// prepare makes r.tx of a frame; false if it cannot be sent.
func (r *Radio) prepare(f radio.TxFrame) bool {
	if f.Channel < medium.FirstChannel || f.Channel > medium.LastChannel ||
		len(f.PSDU) == 0 || len(f.PSDU)+ieee802154.FCSLen > ieee802154.MaxPSDU {
		return false
	}
	t := transmission{frame: f}
	t.psdu = append(make([]byte, 0, len(f.PSDU)+ieee802154.FCSLen), f.PSDU...)
	t.frame.PSDU = nil
	// What is no frame goes out as it is; nobody could acknowledge it.
	if h, err := ieee802154.Decode(t.psdu); err == nil {
		t.wantAck, t.version, t.seq = h.AckRequest, h.Version, h.Seq
		if h.Secured && !f.Secured && !r.fillHeader(&t, h.Security) {
			return false
		}
		if !f.Secured && r.wantsCSL(&h) {
			t.plain = t.psdu
		}
	}
	if t.plain == nil {
		if t.key != nil && ieee802154.EncryptInPlace(t.psdu, t.key.ccm, r.set.Ext) != nil {
			return false
		}
		t.psdu = appendFCS(t.psdu)
	}
	r.tx = t
	return true
}

// finishCSL makes the PSDU of a frame that leaves now and has a CSL element.
func (r *Radio) finishCSL(now time.Time) {
	t := &r.tx
	t.psdu = append(make([]byte, 0, len(t.plain)+ieee802154.FCSLen), t.plain...)
	r.setCSL(now, t.psdu)
	if t.key != nil {
		_ = ieee802154.EncryptInPlace(t.psdu, t.key.ccm, r.set.Ext) // decoded before
	}
	t.psdu = appendFCS(t.psdu)
}

// fillHeader finds the key of a frame to be secured, and fills in key index and
// counter if they are open.
func (r *Radio) fillHeader(t *transmission, sec ieee802154.Security) bool {
	if sec.KeyIDMode != ieee802154.KeyIDIndex {
		return false // only the host has other keys
	}
	index := r.set.Keys.Index
	if t.frame.HeaderSet {
		index = sec.KeyIndex
	}
	key := r.keys.find(index)
	if key == nil {
		return false
	}
	if !t.frame.HeaderSet {
		counter, ok := key.take()
		if !ok || ieee802154.SetSecurity(t.psdu, index, counter) != nil {
			return false
		}
		t.result.HeaderSet, t.result.KeyIndex, t.result.FrameCounter = true, index, counter
	}
	t.key = key
	return true
}

func appendFCS(psdu []byte) []byte {
	fcs := ieee802154.FCS(psdu)
	return append(psdu, byte(fcs), byte(fcs>>8))
}

// waitUntilDue waits so that the first bit leaves at frame.At.
func (r *Radio) waitUntilDue(now time.Time) {
	due := time.Duration(int64(r.tx.frame.At-r.micros(now))) * time.Microsecond
	if r.tx.frame.CSMA && r.timed() {
		due -= ccaTime + turnaround
	}
	r.enter(txWaiting, max(due, 0))
}

// backOff begins a round of CSMA-CA.
func (r *Radio) backOff() {
	be := min(minBE+int(r.tx.backoffs), maxBE)
	if !r.tx.frame.CSMA || r.tx.frame.MaxBackoffs == 0 {
		r.enter(txWaiting, 0)
		return
	}
	r.enter(txWaiting, r.pause(be))
}

// pause draws 0 to 2^be-1 backoff periods.
func (r *Radio) pause(be int) time.Duration {
	return time.Duration(r.cfg.Rand.IntN(1<<be)) * unitBackoff
}

// enter goes to a state for a time, which txStep ends.
func (r *Radio) enter(s txState, d time.Duration) {
	r.tx.state = s
	r.tune(r.cfg.Clock.Now())
	r.txTimer.Start(d)
}

// txStep is what happens at the end of a state.
func (r *Radio) txStep() {
	now := r.cfg.Clock.Now()
	switch r.tx.state {
	case txWaiting:
		switch {
		case r.ack.until.After(now):
			r.enter(txWaiting, r.ack.until.Sub(now))
		case r.tx.frame.CSMA && r.timed():
			r.enter(txSensing, ccaTime)
		default:
			r.emit(now)
		}
	case txSensing:
		if r.cfg.Port.Energy(now, r.tx.frame.Channel) >= r.cfg.CCAThreshold {
			r.channelBusy(now)
			return
		}
		r.enter(txTurning, turnaround)
	case txTurning:
		// A frame may have ended during the assessment that is being
		// acknowledged now.
		if r.ack.until.After(now) {
			r.enter(txWaiting, r.ack.until.Sub(now))
			return
		}
		r.emit(now)
	case txOnAir:
		if !r.tx.wantAck {
			r.finishTx(now, radio.TxOK)
			return
		}
		r.awaitAck()
	case txAwaitAck:
		r.missingAck(now)
	}
}

// emit puts the frame on air.
func (r *Radio) emit(now time.Time) {
	if r.tx.plain != nil {
		r.finishCSL(now)
	}
	r.enter(txOnAir, r.cfg.Port.Airtime(len(r.tx.psdu)))
	r.cfg.Port.Transmit(now, r.tx.frame.Channel, r.power(r.tx.frame.Channel, r.tx.frame.Power), r.tx.psdu)
	if !r.timed() {
		r.txTimer.Stop()
		r.txStep()
	}
}

func (r *Radio) awaitAck() {
	wait := r.cfg.AckWait
	if r.timed() {
		wait = ackWait
		if r.tx.version == ieee802154.Version2015 {
			wait += enhAckExtra
		}
	}
	r.enter(txAwaitAck, wait)
}

func (r *Radio) channelBusy(now time.Time) {
	if r.tx.backoffs < r.tx.frame.MaxBackoffs {
		r.tx.backoffs++
		r.backOff()
		return
	}
	if !r.again() {
		r.finishTx(now, radio.TxChannelBusy)
		return
	}
	r.backOff()
}

func (r *Radio) missingAck(now time.Time) {
	if !r.again() {
		r.finishTx(now, radio.TxNoAck)
		return
	}
	extra := r.pause(r.tx.retryBE)
	r.tx.retryBE = min(r.tx.retryBE+1, maxRetryBE)
	r.backOff()
	r.txTimer.StartAt(r.txTimer.At().Add(extra))
}

// again counts a retry; false if there are none left.
func (r *Radio) again() bool {
	if r.tx.retries >= r.tx.frame.MaxRetries {
		return false
	}
	r.tx.retries++
	r.tx.backoffs = 0
	return true
}

// acknowledged takes an acknowledgment; false if it is not the one awaited.
func (r *Radio) acknowledged(now time.Time, h *ieee802154.Frame, rx radio.RxFrame) bool {
	if r.tx.state != txAwaitAck || h.SeqSuppressed || h.Seq != r.tx.seq || rx.Channel != r.tx.frame.Channel {
		return false
	}
	if h.Dst.Mode != ieee802154.AddrNone && !r.isOurs(h.Dst) {
		return false // an enhanced one, to somebody else
	}
	r.tx.result.Ack = rx
	if r.tx.plain != nil {
		r.cslTold(now)
	}
	r.finishTx(now, radio.TxOK)
	return true
}

// finishTx reports what became of the frame.
func (r *Radio) finishTx(now time.Time, s radio.TxStatus) {
	r.txTimer.Stop()
	res := r.tx.result
	res.Status = s
	r.listen = r.tx.frame.Channel
	if c := r.tx.frame.RxChannel; c != 0 {
		r.listen = c
	}
	r.tx = transmission{}
	r.tune(now)
	r.handler.Transmitted(now, res)
}
