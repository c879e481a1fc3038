package coap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Reasons for a DecodeError.
var (
	ErrShort   = errors.New("message ends early")
	ErrVersion = errors.New("unknown version") // to be ignored silently, RFC 7252 Section 3
	ErrFormat  = errors.New("message format error")
)

// A DecodeError says where in the input a message stopped making sense.
type DecodeError struct {
	What   string // the element being read, "option delta"
	Offset int    // byte offset into the message
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("coap: %s at byte %d: %v", e.What, e.Offset, e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }

// Type is the type of a message (RFC 7252 Section 3).
type Type uint8

const (
	Confirmable Type = iota
	NonConfirmable
	Acknowledgement
	Reset
)

func (t Type) String() string {
	switch t {
	case Confirmable:
		return "CON"
	case NonConfirmable:
		return "NON"
	case Acknowledgement:
		return "ACK"
	case Reset:
		return "RST"
	}
	return fmt.Sprintf("type %d", uint8(t))
}

const (
	headerLen     = 4
	version       = 1
	maxTokenLen   = 8
	payloadMarker = 0xff
)

// A Message is one CoAP message (RFC 7252 Section 3).
type Message struct {
	Type      Type
	Code      Code
	MessageID uint16
	Token     []byte   // at most 8 bytes
	Options   []Option // in ascending order after Decode, in any order for Append
	Payload   []byte
}

// Decode reads a message that fills b. It rejects everything that RFC 7252
// Section 3 calls a message format error, but knows nothing about the meaning
// of codes and options: see Message.BadOption for critical options.
//
// The message aliases b. When it fails after the header (ErrFormat and
// ErrShort with at least four bytes), Type, Code and MessageID are valid, for
// they are needed to reject a confirmable message (Section 4.2).
func Decode(b []byte) (Message, error) {
	if len(b) < headerLen {
		return Message{}, &DecodeError{What: "header", Offset: len(b), Err: ErrShort}
	}
	if b[0]>>6 != version {
		return Message{}, &DecodeError{What: "header", Offset: 0, Err: ErrVersion}
	}
	m := Message{
		Type:      Type(b[0] >> 4 & 3),
		Code:      Code(b[1]),
		MessageID: binary.BigEndian.Uint16(b[2:]),
	}
	tkl := int(b[0] & 0x0f)
	if tkl > maxTokenLen {
		return m, &DecodeError{What: "token length", Offset: 0, Err: ErrFormat}
	}
	if m.Code == Empty && (tkl != 0 || len(b) > headerLen) {
		return m, &DecodeError{What: "empty message", Offset: headerLen, Err: ErrFormat}
	}
	if len(b) < headerLen+tkl {
		return m, &DecodeError{What: "token", Offset: len(b), Err: ErrShort}
	}
	off := headerLen + tkl
	if tkl > 0 {
		m.Token = b[headerLen:off:off]
	}
	var err error
	if m.Options, off, err = decodeOptions(b, off); err != nil {
		return m, err
	}
	if off == len(b) {
		return m, nil
	}
	// decodeOptions stops at the end or at the marker.
	if off++; off == len(b) {
		return m, &DecodeError{What: "payload", Offset: off, Err: ErrFormat}
	}
	m.Payload = b[off:len(b):len(b)]
	return m, nil
}

// decodeOptions reads options from b[off:] until its end or the payload
// marker, and returns where that is (RFC 7252 Section 3.1).
func decodeOptions(b []byte, off int) ([]Option, int, error) {
	var opts []Option
	number := 0
	for off < len(b) && b[off] != payloadMarker {
		start := off
		head := b[off]
		off++
		delta, next, err := extended(b, off, head>>4, "option delta")
		if err != nil {
			return nil, off, err
		}
		length, next, err := extended(b, next, head&0x0f, "option length")
		if err != nil {
			return nil, off, err
		}
		if number += delta; number > 0xffff {
			return nil, off, &DecodeError{What: "option number", Offset: start, Err: ErrFormat}
		}
		if length > len(b)-next {
			return nil, off, &DecodeError{What: "option value", Offset: len(b), Err: ErrShort}
		}
		off = next + length
		opts = append(opts, Option{Number: uint16(number), Value: b[next:off:off]})
	}
	return opts, off, nil
}

// extended reads the rest of a delta or length whose nibble was given.
func extended(b []byte, off int, nibble byte, what string) (v, next int, err error) {
	switch {
	case nibble == 15:
		return 0, off, &DecodeError{What: what, Offset: off - 1, Err: ErrFormat}
	case nibble == 14 && len(b)-off >= 2:
		return int(binary.BigEndian.Uint16(b[off:])) + 269, off + 2, nil
	case nibble == 13 && len(b)-off >= 1:
		return int(b[off]) + 13, off + 1, nil
	case nibble >= 13:
		return 0, off, &DecodeError{What: what, Offset: len(b), Err: ErrShort}
	}
	return int(nibble), off, nil
}

// Append appends the encoded message to b. The message is valid when its
// token has at most 8 bytes and no option value is longer than 65804 bytes;
// anything else is a programming error and panics.
func (m Message) Append(b []byte) []byte {
	if len(m.Token) > maxTokenLen {
		panic(fmt.Sprintf("coap: token of %d bytes", len(m.Token)))
	}
	b = append(b, version<<6|byte(m.Type&3)<<4|byte(len(m.Token)), byte(m.Code))
	b = binary.BigEndian.AppendUint16(b, m.MessageID)
	b = append(b, m.Token...)
	opts := m.Options
	if !slices.IsSortedFunc(opts, byNumber) {
		opts = slices.Clone(opts)
		slices.SortStableFunc(opts, byNumber) // the order of a repeated option has meaning
	}
	number := 0
	for _, o := range opts {
		b = o.append(b, int(o.Number)-number)
		number = int(o.Number)
	}
	if len(m.Payload) > 0 {
		b = append(b, payloadMarker)
		b = append(b, m.Payload...)
	}
	return b
}

func byNumber(a, b Option) int { return int(a.Number) - int(b.Number) }

func (o Option) append(b []byte, delta int) []byte {
	if len(o.Value) > maxOptionLen {
		panic(fmt.Sprintf("coap: option %d of %d bytes", o.Number, len(o.Value)))
	}
	b = append(b, nibble(delta)<<4|nibble(len(o.Value)))
	b = appendExtended(b, delta)
	b = appendExtended(b, len(o.Value))
	return append(b, o.Value...)
}

func nibble(v int) byte {
	switch {
	case v < 13:
		return byte(v)
	case v < 269:
		return 13
	}
	return 14
}

func appendExtended(b []byte, v int) []byte {
	switch {
	case v < 13:
		return b
	case v < 269:
		return append(b, byte(v-13))
	}
	return binary.BigEndian.AppendUint16(b, uint16(v-269))
}

// String shows the message on one line, for logs: "CON 0.02 a/as id 17".
func (m Message) String() string {
	s := fmt.Sprintf("%v %v", m.Type, m.Code)
	if p := m.Path(); p != "" {
		s += " " + p
	}
	s += fmt.Sprintf(" id %d", m.MessageID)
	if len(m.Token) > 0 {
		s += fmt.Sprintf(" token %x", m.Token)
	}
	if len(m.Payload) > 0 {
		s += fmt.Sprintf(" (%d bytes)", len(m.Payload))
	}
	return s
}
