package spinel

import (
	"errors"
	"fmt"
)

// Why something cannot be decoded.
var (
	ErrShort    = errors.New("too short")
	ErrOverflow = errors.New("packed integer too large")
	ErrHeader   = errors.New("not a Spinel header")
	ErrString   = errors.New("string without end")
	ErrValue    = errors.New("value out of range")
)

// A DecodeError says where in the input a message stopped making sense.
type DecodeError struct {
	What   string // the element being read, "frame length"
	Offset int    // byte offset into the frame or value being decoded
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("spinel: %s at byte %d: %v", e.What, e.Offset, e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }
