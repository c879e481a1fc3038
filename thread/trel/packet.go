package trel

import (
	"encoding/binary"
	"errors"
	"fmt"

	"gatewayd/ieee802154"
)

// Type is what a packet is.
type Type uint8

// The types.
const (
	Broadcast Type = 0
	Unicast   Type = 1
	Ack       Type = 2
)

func (t Type) String() string {
	return [...]string{"broadcast", "unicast", "ack", "reserved"}[t&typeMask]
}

// Fields of the first byte:
//
//	 0 1 2 3 4 5 6 7
//	+-----+---+-+---+
//	| ver | 0 |A|typ|
//	+-----+---+-+---+
const (
	typeMask    = 0x03
	ackFlag     = 0x04
	versionMask = 0xe0 // the version is 0
)

// Lengths of the header, in bytes: a broadcast has no destination.
const (
	broadcastHeaderLen = 16
	unicastHeaderLen   = 24
)

// MaxFrame is the longest MAC frame, in bytes, security included: what is left
// of IPv6's minimum MTU behind the headers of IPv6, UDP and a unicast packet.
// There is no frame check sequence.
const MaxFrame = 1280 - 40 - 8 - unicastHeaderLen

// Packet is a TREL packet: the header, and a MAC frame without its frame check
// sequence as payload, which acknowledgements do not have. Fields are in
// network byte order on the wire.
type Packet struct {
	Type       Type
	AckRequest bool
	Channel    uint8
	PANID      uint16 // that the frame is for
	Number     uint32 // what an acknowledgement repeats
	Src        ieee802154.ExtAddr
	Dst        ieee802154.ExtAddr // all zero in a broadcast
	Payload    []byte
}

// Append appends the packet.
func (p Packet) Append(b []byte) []byte {
	control := byte(p.Type & typeMask)
	if p.AckRequest {
		control |= ackFlag
	}
	b = append(b, control, p.Channel)
	b = binary.BigEndian.AppendUint16(b, p.PANID)
	b = binary.BigEndian.AppendUint32(b, p.Number)
	b = append(b, p.Src[:]...)
	if p.Type != Broadcast {
		b = append(b, p.Dst[:]...)
	}
	return append(b, p.Payload...)
}

// Reasons for a packet to be refused, wrapped in a DecodeError.
var (
	ErrShort   = errors.New("input too short")
	ErrVersion = errors.New("unknown version")
	ErrType    = errors.New("reserved type")
)

// A DecodeError says where in a packet, or in TXT data, something is wrong.
type DecodeError struct {
	What   string // the element being read, "source"
	Offset int    // byte offset
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("trel: %s at byte %d: %v", e.What, e.Offset, e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }

// Decode reads a packet. Its payload aliases b. Bits 3 and 4 of the first byte
// are ignored; errors are *DecodeError.
func Decode(b []byte) (Packet, error) {
	fail := func(what string, off int, err error) (Packet, error) {
		return Packet{}, &DecodeError{What: what, Offset: off, Err: err}
	}
	if len(b) < 1 {
		return fail("control", 0, ErrShort)
	}
	if b[0]&versionMask != 0 {
		return fail("version", 0, ErrVersion)
	}
	p := Packet{Type: Type(b[0] & typeMask), AckRequest: b[0]&ackFlag != 0}
	n := unicastHeaderLen
	switch p.Type {
	case Broadcast:
		n = broadcastHeaderLen
	case Unicast, Ack:
	default:
		return fail("type", 0, ErrType)
	}
	if len(b) < n {
		return fail("header", len(b), ErrShort)
	}
	p.Channel = b[1]
	p.PANID = binary.BigEndian.Uint16(b[2:])
	p.Number = binary.BigEndian.Uint32(b[4:])
	p.Src = ieee802154.ExtAddr(b[8:16])
	if p.Type != Broadcast {
		p.Dst = ieee802154.ExtAddr(b[16:24])
	}
	p.Payload = b[n:len(b):len(b)]
	return p, nil
}
