package zep

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"gatewayd/ieee802154"
)

// Port is ZEP's UDP port.
const Port = 17754

// Type is what a Packet is. Version 1 has data only.
type Type uint8

// The types.
const (
	Data  Type = 1
	Ack   Type = 2   // of a Packet by its receiver, not of a frame
	Hello Type = 255 // RIOT's: Payload is the sender's EUI-64
)

func (t Type) String() string {
	switch t {
	case Data:
		return "data"
	case Ack:
		return "ack"
	case Hello:
		return "hello"
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// Lengths of headers, bytes.
const (
	dataLen1 = 16
	dataLen2 = 32
	ackLen   = 8
)

// payloadMax is the largest payload: the length is of seven bits, as in the
// PHY's header.
const payloadMax = ieee802154.MaxPSDU

// Packet is one datagram.
type Packet struct {
	Version uint8 // 1 or 2
	Type    Type
	Seq     uint32 // not in version 1
	// The others are zero in an Ack.

	Channel uint8
	Device  uint16 // of the sender's choice
	// FCS says what a Data frame ends with: the FCS itself or, if false, the
	// two bytes that some receivers put in its place, see PSDU.
	FCS     bool
	LQI     uint8
	Time    Timestamp // not in version 1
	Payload []byte
}

// Timestamp is a time as NTP writes it: seconds since 1900 and, in the lower
// half, their binary fraction (RFC 5905 Section 6). 0 is none.
type Timestamp uint64

// ntpUnix is how many seconds 1970 is later than 1900.
const ntpUnix = 2208988800

// NewTimestamp makes a Timestamp of a time.
func NewTimestamp(t time.Time) Timestamp {
	sec := uint64(uint32(t.Unix() + ntpUnix))
	return Timestamp(sec<<32 | (uint64(t.Nanosecond())<<32+uint64(time.Second)-1)/uint64(time.Second))
}

// Time is the time, from 1968 to 2104 (RFC 4330 Section 3).
func (ts Timestamp) Time() time.Time {
	sec := int64(ts >> 32)
	if sec < 1<<31 {
		sec += 1 << 32
	}
	nsec := uint64(uint32(ts)) * uint64(time.Second) >> 32
	return time.Unix(sec-ntpUnix, int64(nsec))
}

// What is wrong with a datagram.
var (
	ErrShort    = errors.New("too short")
	ErrPreamble = errors.New("not EX")
	ErrVersion  = errors.New("unknown version")
	ErrType     = errors.New("unknown type")
	ErrLength   = errors.New("longer than a frame can be")
)

// A DecodeError says where a datagram stopped making sense.
type DecodeError struct {
	What   string
	Offset int
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("zep: %s at byte %d: %v", e.What, e.Offset, e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }

// Decode takes a datagram apart. Reserved bytes and what follows the payload
// are ignored. Payload aliases b.
func Decode(b []byte) (Packet, error) {
	fail := func(what string, offset int, err error) (Packet, error) {
		return Packet{}, &DecodeError{what, offset, err}
	}
	switch {
	case len(b) < 2:
		return fail("preamble", 0, ErrShort)
	case b[0] != 'E' || b[1] != 'X':
		return fail("preamble", 0, ErrPreamble)
	case len(b) < 4:
		return fail("header", len(b), ErrShort)
	}
	p := Packet{Version: b[2], Type: Data}
	head := dataLen1
	fields := b[3:]
	switch p.Version {
	case 1:
	case 2:
		p.Type = Type(b[3])
		head = dataLen2
		fields = b[4:]
	default:
		return fail("version", 2, ErrVersion)
	}
	switch p.Type {
	case Data, Hello:
	case Ack:
		if len(b) < ackLen {
			return fail("acknowledgment", len(b), ErrShort)
		}
		p.Seq = binary.BigEndian.Uint32(b[4:])
		return p, nil
	default:
		return fail("type", 3, ErrType)
	}
	if len(b) < head {
		return fail("header", len(b), ErrShort)
	}
	p.Channel = fields[0]
	p.Device = binary.BigEndian.Uint16(fields[1:])
	p.FCS = fields[3] != 0
	p.LQI = fields[4]
	if p.Version == 2 {
		p.Time = Timestamp(binary.BigEndian.Uint64(fields[5:]))
		p.Seq = binary.BigEndian.Uint32(fields[13:])
	}
	n := int(b[head-1])
	switch {
	case n > payloadMax:
		return fail("length", head-1, ErrLength)
	case len(b) < head+n:
		return fail("payload", len(b), ErrShort)
	}
	p.Payload = b[head : head+n : head+n]
	return p, nil
}

// Append appends the datagram to b. Version 1 is for data only, and Payload at
// most 127 bytes long.
func (p Packet) Append(b []byte) []byte {
	b = append(b, 'E', 'X', p.Version)
	if p.Version != 1 {
		b = append(b, byte(p.Type))
	}
	if p.Type == Ack {
		return binary.BigEndian.AppendUint32(b, p.Seq)
	}
	b = append(b, p.Channel)
	b = binary.BigEndian.AppendUint16(b, p.Device)
	mode := byte(0)
	if p.FCS {
		mode = 1
	}
	b = append(b, mode, p.LQI)
	if p.Version == 1 {
		b = append(b, make([]byte, 7)...) // reserved
	} else {
		b = binary.BigEndian.AppendUint64(b, uint64(p.Time))
		b = binary.BigEndian.AppendUint32(b, p.Seq)
		reserved := [10]byte{}
		if p.Type == Hello {
			copy(reserved[:], "HELLO")
		}
		b = append(b, reserved[:]...)
	}
	b = append(b, byte(len(p.Payload)))
	return append(b, p.Payload...)
}

// crcOK is the bit by which a receiver says in place of an FCS that it was
// right, in the second of the two bytes; the first is an RSSI.
const crcOK = 1 << 7

// PSDU returns the frame of a Data packet with an FCS; nil if there is none, or
// the receiver that reports it says that it came with a wrong one. It may alias
// Payload.
func (p Packet) PSDU() []byte {
	n := len(p.Payload) - ieee802154.FCSLen
	if p.Type != Data || n < 1 {
		return nil
	}
	if p.FCS {
		return p.Payload
	}
	if p.Payload[n+1]&crcOK == 0 {
		return nil
	}
	fcs := ieee802154.FCS(p.Payload[:n])
	return append(p.Payload[:n:n], byte(fcs), byte(fcs>>8))
}
