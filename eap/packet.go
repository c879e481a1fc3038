package eap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
)

// Code is the kind of a packet (RFC 3748 Section 4).
type Code uint8

// The codes.
const (
	CodeRequest  Code = 1
	CodeResponse Code = 2
	CodeSuccess  Code = 3
	CodeFailure  Code = 4
)

func (c Code) String() string {
	switch c {
	case CodeRequest:
		return "request"
	case CodeResponse:
		return "response"
	case CodeSuccess:
		return "success"
	case CodeFailure:
		return "failure"
	default:
		return "code " + strconv.Itoa(int(c))
	}
}

// Specification constants.
const (
	headerLen         = 4 // code, identifier, length
	expandedHeaderLen = 8 // type 254, vendor, vendor's type
	maxPacketLen      = 1<<16 - 1
	// DefaultMTU is the size of packet every lower layer carries (RFC 3748
	// Section 3.1).
	DefaultMTU = 1020
)

// MethodHeaderLen is what stands before a method's data in a packet: code,
// identifier, length and type.
const MethodHeaderLen = headerLen + 1

// Errors of decoding.
var (
	// ErrShort means that something ends early.
	ErrShort = errors.New("cut short")
	// ErrLength means a length field that cannot be.
	ErrLength = errors.New("impossible length")
	// ErrCode means a code that is none of the four.
	ErrCode = errors.New("unknown code")
)

// A DecodeError says where in the input a packet stopped making sense.
type DecodeError struct {
	What   string // the element being read, "EAP header"
	Offset int    // byte offset into the packet
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("eap: %s at byte %d: %v", e.What, e.Offset, e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }

// Packet is one EAP packet (RFC 3748 Section 4).
type Packet struct {
	Code       Code
	Identifier uint8
	// Type is 0 in Success and Failure, which have none.
	Type Type
	// Vendor and VendorType are an expanded type's (RFC 3748 Section 5.7),
	// with TypeExpanded only. Vendor has 24 bits.
	Vendor     uint32
	VendorType uint32
	// Data is what follows the type.
	Data []byte
}

// Len is the packet's length in octets.
func (p Packet) Len() int {
	switch {
	case p.Code == CodeSuccess || p.Code == CodeFailure:
		return headerLen
	case p.Type == TypeExpanded:
		return headerLen + expandedHeaderLen + len(p.Data)
	default:
		return MethodHeaderLen + len(p.Data)
	}
}

// Append appends the packet to b. Data that does not fit the length field is
// a programming error.
func (p Packet) Append(b []byte) []byte {
	n := p.Len()
	if n > maxPacketLen {
		panic("eap: packet of " + strconv.Itoa(n) + " octets")
	}
	b = append(b, byte(p.Code), p.Identifier)
	b = binary.BigEndian.AppendUint16(b, uint16(n))
	if n == headerLen {
		return b
	}
	if p.Type == TypeExpanded {
		b = binary.BigEndian.AppendUint32(b, uint32(TypeExpanded)<<24|p.Vendor&(1<<24-1))
		b = binary.BigEndian.AppendUint32(b, p.VendorType)
	} else {
		b = append(b, byte(p.Type))
	}
	return append(b, p.Data...)
}

// Decode reads one packet. Data aliases b. What follows the packet's length
// is padding of the lower layer and is ignored (RFC 3748 Section 4.1).
func Decode(b []byte) (Packet, error) {
	fail := func(what string, at int, err error) (Packet, error) {
		return Packet{}, &DecodeError{What: what, Offset: at, Err: err}
	}
	if len(b) < headerLen {
		return fail("EAP header", len(b), ErrShort)
	}
	p := Packet{Code: Code(b[0]), Identifier: b[1]}
	n := int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case n < headerLen:
		return fail("length", 2, ErrLength)
	case n > len(b):
		return fail("EAP packet", len(b), ErrShort)
	}
	b = b[:n:n]
	switch p.Code {
	case CodeSuccess, CodeFailure:
		if n != headerLen { // RFC 3748 Section 4.2: the length is 4
			return fail("length", 2, ErrLength)
		}
		return p, nil
	case CodeRequest, CodeResponse:
	default:
		return fail("code", 0, ErrCode)
	}
	if n < MethodHeaderLen {
		return fail("type", headerLen, ErrShort)
	}
	p.Type = Type(b[headerLen])
	if p.Type != TypeExpanded {
		p.Data = b[MethodHeaderLen:]
		return p, nil
	}
	if n < headerLen+expandedHeaderLen {
		return fail("expanded type", n, ErrShort)
	}
	p.Vendor = binary.BigEndian.Uint32(b[headerLen:]) & (1<<24 - 1)
	p.VendorType = binary.BigEndian.Uint32(b[headerLen+4:])
	p.Data = b[headerLen+expandedHeaderLen:]
	return p, nil
}
