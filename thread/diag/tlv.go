package diag

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// What can be wrong with a received TLV; a DecodeError wraps one of these or an
// error of package mle.
var (
	ErrShort   = errors.New("too short")
	ErrInvalid = errors.New("invalid value")
)

// A DecodeError says where in the input a message stopped making sense.
type DecodeError struct {
	What   string // the TLV being read, "child table"
	Offset int    // byte offset of the TLV, or of what is wrong in it
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("diag: %s at byte %d: %v", e.What, e.Offset, e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }

// extendedLength in the length byte announces a 16-bit length.
const extendedLength = 0xff

// Append appends a TLV.
func Append(b []byte, v Value) []byte {
	body := v.append(nil)
	if len(body) < extendedLength {
		b = append(b, byte(v.Type()), byte(len(body)))
	} else {
		b = binary.BigEndian.AppendUint16(append(b, byte(v.Type()), extendedLength), uint16(len(body)))
	}
	return append(b, body...)
}

// Decode reads TLVs. With an error come the values before it. Unknown types are
// kept as Raw; what a known value has beyond what it must have is ignored.
func Decode(b []byte) ([]Value, error) {
	var out []Value
	for off := 0; off < len(b); {
		v, n, err := decodeTLV(b[off:], off)
		if err != nil {
			return out, err
		}
		out = append(out, v)
		off += n
	}
	return out, nil
}

// decodeTLV reads the TLV at the start of b and returns its size.
func decodeTLV(b []byte, off int) (Value, int, error) {
	if len(b) < 2 {
		return nil, 0, &DecodeError{What: "TLV header", Offset: off, Err: ErrShort}
	}
	t, head, n := Type(b[0]), 2, int(b[1])
	if n == extendedLength {
		if len(b) < 4 {
			return nil, 0, &DecodeError{What: t.String() + " length", Offset: off, Err: ErrShort}
		}
		head, n = 4, int(binary.BigEndian.Uint16(b[2:]))
	}
	if len(b) < head+n {
		return nil, 0, &DecodeError{What: t.String(), Offset: off, Err: ErrShort}
	}
	v, err := decodeValue(t, b[head:head+n:head+n])
	if err != nil {
		return nil, 0, &DecodeError{What: t.String(), Offset: off + head, Err: err}
	}
	return v, head + n, nil
}

// Find returns the first value of its kind.
func Find[V Value](values []Value) (v V, ok bool) {
	for _, x := range values {
		if v, ok = x.(V); ok {
			return v, true
		}
	}
	return v, false
}
