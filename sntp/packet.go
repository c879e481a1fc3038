// Package sntp is the Simple Network Time Protocol: messages of NTP version 4
// (RFC 5905 Section 7.3) and what a client that asks one server at a time makes
// of an answer (RFC 4330 Section 5).
//
//   - wire: Packet and Timestamp, bytes in and bytes out
//   - Check: whether an answer may be believed, and how far the own clock is off
//
// A request tells nothing of its sender: the transmit timestamp is a random
// number, which the answer must bring back (RFC 9769 describes why).
//
// Nothing here opens a socket, reads a clock or starts a goroutine.
package sntp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Port is NTP's.
const Port = 123

// packetLen is a message's without extensions and authentication.
const packetLen = 48

// Modes (RFC 5905 Section 7.3).
const (
	ModeClient = 3
	ModeServer = 4
)

// leapUnknown is said by a server whose own clock is not set.
const leapUnknown = 3

// A Timestamp is seconds since 1900, modulo 2^32, and their fraction (RFC 5905
// Section 6). Zero is none.
type Timestamp uint64

// epoch is NTP's, in seconds before Unix's.
const epoch = 2208988800

// TimestampOf is the Timestamp of a time.
func TimestampOf(t time.Time) Timestamp {
	return Timestamp(uint64(uint32(t.Unix()+epoch))<<32 | uint64(t.Nanosecond())<<32/1e9)
}

// Time is the time that lies within 68 years of near.
func (t Timestamp) Time(near time.Time) time.Time {
	ahead := int32(uint32(t>>32) - uint32(near.Unix()+epoch))
	return time.Unix(near.Unix()+int64(ahead), int64(uint64(uint32(t))*1e9>>32))
}

// A Packet is a message. Root delay, root dispersion, precision and reference
// time, of which a simple client makes nothing, are left out.
type Packet struct {
	Leap      uint8 // 2 bits
	Version   uint8 // 3 bits
	Mode      uint8 // 3 bits
	Stratum   uint8
	Poll      int8
	RefID     [4]byte // of stratum 0 a code in ASCII, which says why there is no time
	Originate Timestamp
	Receive   Timestamp
	Transmit  Timestamp
}

// Append appends the message.
func (p Packet) Append(b []byte) []byte {
	b = append(b, p.Leap<<6|p.Version&7<<3|p.Mode&7, p.Stratum, byte(p.Poll), 0)
	b = append(b, make([]byte, 8)...)
	b = append(b, p.RefID[:]...)
	b = append(b, make([]byte, 8)...)
	for _, t := range []Timestamp{p.Originate, p.Receive, p.Transmit} {
		b = binary.BigEndian.AppendUint64(b, uint64(t))
	}
	return b
}

// ErrShort is a message's that ends early.
var ErrShort = errors.New("ends early")

// A DecodeError says where a message stopped making sense.
type DecodeError struct {
	What   string
	Offset int
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("sntp: %s at byte %d: %v", e.What, e.Offset, e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }

// Decode reads a message. What follows it, extensions and authentication, is
// ignored.
func Decode(b []byte) (p Packet, err error) {
	if len(b) < packetLen {
		return p, &DecodeError{"packet", len(b), ErrShort}
	}
	at := func(i int) Timestamp { return Timestamp(binary.BigEndian.Uint64(b[i:])) }
	p = Packet{Leap: b[0] >> 6, Version: b[0] >> 3 & 7, Mode: b[0] & 7, Stratum: b[1], Poll: int8(b[2]), RefID: [4]byte(b[12:16]),
		Originate: at(24), Receive: at(32), Transmit: at(40)}
	return p, nil
}
