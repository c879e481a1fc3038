package spinel

import "encoding/binary"

// PowerDefault in TxRequest.Power leaves the transmit power to the RCP.
const PowerDefault int8 = 127

// TxRequest is a frame to transmit: the value of a CmdSet of PropStreamRaw.
type TxRequest struct {
	PSDU              []byte // FCS included; its content does not matter
	Channel           uint8
	MaxCSMABackoffs   uint8
	MaxFrameRetries   uint8
	CSMA              bool
	HeaderUpdated     bool // key index and frame counter are final
	Retransmission    bool
	SecurityProcessed bool // encrypted and authenticated already
	// The frame leaves Delay microseconds after Base, an instant of the RCP's
	// clock modulo 2^32; at once if Delay is 0.
	Delay, Base uint32
	RxChannel   uint8 // afterwards
	Power       int8  // dBm
}

// Append encodes the request.
func (q TxRequest) Append(b []byte) []byte {
	b = AppendData(b, q.PSDU)
	b = append(b, q.Channel, q.MaxCSMABackoffs, q.MaxFrameRetries)
	b = AppendBool(b, q.CSMA)
	b = AppendBool(b, q.HeaderUpdated)
	b = AppendBool(b, q.Retransmission)
	b = AppendBool(b, q.SecurityProcessed)
	b = binary.LittleEndian.AppendUint32(b, q.Delay)
	b = binary.LittleEndian.AppendUint32(b, q.Base)
	return append(b, q.RxChannel, byte(q.Power))
}

// DecodeTxRequest decodes a request as an RCP does: everything after the
// channel is optional. PSDU aliases b.
func DecodeTxRequest(b []byte) (TxRequest, error) {
	r := NewReader(b, 0)
	q := TxRequest{PSDU: r.Data("frame to transmit"), Channel: r.Uint8("channel")}
	if err := r.Err(); err != nil {
		return TxRequest{}, err
	}
	q.MaxCSMABackoffs, q.MaxFrameRetries, q.CSMA = 4, 3, true // macMaxCSMABackoffs, macMaxFrameRetries
	q.RxChannel, q.Power = q.Channel, PowerDefault
	if r.has(1) {
		q.MaxCSMABackoffs = r.Uint8("CSMA backoffs")
	}
	if r.has(1) {
		q.MaxFrameRetries = r.Uint8("frame retries")
	}
	if r.has(1) {
		q.CSMA = r.Bool("CSMA")
	}
	if r.has(1) {
		q.HeaderUpdated = r.Bool("header updated")
	}
	if r.has(1) {
		q.Retransmission = r.Bool("retransmission")
	}
	if r.has(1) {
		q.SecurityProcessed = r.Bool("security processed")
	}
	if r.has(4) {
		q.Delay = r.Uint32("delay")
	}
	if r.has(4) {
		q.Base = r.Uint32("delay base")
	}
	if r.has(1) {
		q.RxChannel = r.Uint8("receive channel")
	}
	if r.has(1) {
		q.Power = r.Int8("power")
	}
	return q, nil
}

// has reports whether n bytes are left for an optional field. If not, no later
// field can be there either, and reading ends.
func (r *Reader) has(n int) bool {
	if r.Len() < n {
		r.Rest()
		return false
	}
	return true
}

// The flags of RxFrame.
const (
	FlagTransmitted  uint16 = 0x0001 // a frame the RCP itself sent
	FlagBadFCS       uint16 = 0x0004
	FlagDuplicate    uint16 = 0x0008
	FlagAckedPending uint16 = 0x0010 // acknowledged with the frame-pending bit
	FlagAckedSecured uint16 = 0x0020 // acknowledged with a secured Enh-Ack
)

// RxFrame is a received frame: the value of a PropStreamRaw that the RCP
// sends, and in TxDone the acknowledgement.
type RxFrame struct {
	PSDU      []byte // FCS included; empty when there is none
	RSSI      int8   // dBm
	Noise     int8   // dBm
	Flags     uint16
	Channel   uint8
	LQI       uint8
	Timestamp uint64 // microseconds
	// Error is OpenThread's error number for a frame that could not be
	// received; 0 for all others.
	Error uint32
	// Of the Enh-Ack that was sent, when FlagAckedSecured is set.
	AckKeyIndex uint8
	AckCounter  uint32
}

const macDataLen = 5 // key index and frame counter

// Append encodes the frame with its MAC data.
func (f RxFrame) Append(b []byte) []byte {
	b = AppendData(b, f.PSDU)
	b = append(b, byte(f.RSSI), byte(f.Noise))
	b = binary.LittleEndian.AppendUint16(b, f.Flags)
	b = append(b, 10, 0, f.Channel, f.LQI) // PHY data, a struct of 10 bytes
	b = binary.LittleEndian.AppendUint64(b, f.Timestamp)
	at := len(b)
	b = AppendPacked(append(b, 0, 0), f.Error) // vendor data
	binary.LittleEndian.PutUint16(b[at:], uint16(len(b)-at-2))
	b = append(b, macDataLen, 0, f.AckKeyIndex)
	return binary.LittleEndian.AppendUint32(b, f.AckCounter)
}

// DecodeRxFrame decodes a frame; PSDU aliases b. Fields that are missing at
// the end are zero, those beyond the known ones are ignored.
func DecodeRxFrame(b []byte) (RxFrame, error) {
	r := NewReader(b, 0)
	f := r.rxFrame(true)
	if err := r.Err(); err != nil {
		return RxFrame{}, err
	}
	return f, nil
}

// rxFrame reads a frame. RCPs without transmit security may not know the MAC
// data, and what follows then is something else.
func (r *Reader) rxFrame(macData bool) (f RxFrame) {
	f.PSDU = r.Data("frame")
	f.Noise = -128
	if r.Len() == 0 {
		return f
	}
	f.RSSI = r.Int8("RSSI")
	f.Noise = r.Int8("noise floor")
	f.Flags = r.Uint16("flags")
	if r.Len() == 0 {
		return f
	}
	phy := r.Struct("PHY data")
	if phy.has(1) {
		f.Channel = phy.Uint8("channel")
	}
	if phy.has(1) {
		f.LQI = phy.Uint8("LQI")
	}
	if phy.has(8) {
		f.Timestamp = phy.Uint64("timestamp")
	}
	if r.Len() == 0 {
		return f
	}
	if vendor := r.Struct("vendor data"); vendor.Len() > 0 {
		f.Error = vendor.Packed("receive error")
		if err := vendor.Err(); err != nil && r.err == nil {
			r.err, r.b = err, nil
		}
	}
	if !macData || r.Len() == 0 {
		return f
	}
	if mac := r.Struct("MAC data"); mac.Len() >= macDataLen {
		f.AckKeyIndex = mac.Uint8("acknowledgement key index")
		f.AckCounter = mac.Uint32("acknowledgement frame counter")
	}
	return f
}

// TxDone is what became of a TxRequest: the value of the PropLastStatus that
// answers it.
type TxDone struct {
	Status        Status
	FramePending  bool    // the acknowledgement says there is more
	HeaderUpdated bool    // the RCP set key index and frame counter
	Ack           RxFrame // only with StatusOK
	// Key index and frame counter of the frame sent, if HasHeader.
	HasHeader    bool
	KeyIndex     uint8
	FrameCounter uint32
}

// Append encodes the answer.
func (d TxDone) Append(b []byte) []byte {
	b = AppendPacked(b, uint32(d.Status))
	b = AppendBool(b, d.FramePending)
	b = AppendBool(b, d.HeaderUpdated)
	if d.Status == StatusOK {
		b = d.Ack.Append(b)
	}
	if d.HasHeader {
		b = append(b, d.KeyIndex)
		b = binary.LittleEndian.AppendUint32(b, d.FrameCounter)
	}
	return b
}

// DecodeTxDone decodes an answer; Ack.PSDU aliases b. A status alone is what
// an RCP answers when it did not try. macData says whether frames carry MAC
// data, which they do from RCPs with transmit security.
func DecodeTxDone(b []byte, macData bool) (TxDone, error) {
	r := NewReader(b, 0)
	d := TxDone{Status: Status(r.Packed("status"))}
	if r.Len() > 0 {
		d.FramePending = r.Bool("frame pending")
		d.HeaderUpdated = r.Bool("header updated")
	}
	if d.Status == StatusOK && r.Len() > 0 {
		d.Ack = r.rxFrame(macData)
	}
	if d.HeaderUpdated && r.Len() >= macDataLen {
		d.HasHeader = true
		d.KeyIndex = r.Uint8("key index")
		d.FrameCounter = r.Uint32("frame counter")
	}
	if err := r.Err(); err != nil {
		return TxDone{}, err
	}
	return d, nil
}

// keyIDMode1 as the security control field of a frame has it.
const keyIDMode1 = 1 << 3

// MACKeys is the value of PropRCPMACKey, for key id mode 1.
type MACKeys struct {
	Index                   uint8
	Previous, Current, Next [16]byte
}

// Append encodes the keys.
func (k MACKeys) Append(b []byte) []byte {
	b = append(b, keyIDMode1, k.Index)
	b = AppendData(b, k.Previous[:])
	b = AppendData(b, k.Current[:])
	return AppendData(b, k.Next[:])
}

// DecodeMACKeys decodes the keys. Other key id modes and key lengths are
// errors.
func DecodeMACKeys(b []byte) (k MACKeys, err error) {
	r := NewReader(b, 0)
	if mode := r.Uint8("key id mode"); r.Err() == nil && mode != keyIDMode1 {
		return MACKeys{}, &DecodeError{What: "key id mode", Err: ErrValue}
	}
	k.Index = r.Uint8("key index")
	for _, key := range []*[16]byte{&k.Previous, &k.Current, &k.Next} {
		at := r.off
		b := r.Data("key")
		if r.Err() == nil && len(b) != len(key) {
			r.off = at
			r.fail("key", ErrValue)
		}
		copy(key[:], b)
	}
	if err := r.Err(); err != nil {
		return MACKeys{}, err
	}
	return k, nil
}
