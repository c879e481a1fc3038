package ipv6

import (
	"errors"
	"fmt"
)

// The reasons a DecodeError carries.
var (
	ErrShort   = errors.New("input ends too early")
	ErrVersion = errors.New("not IP version 6")
	ErrLength  = errors.New("impossible length")
	ErrMPL     = errors.New("not an MPL option of RFC 7731")
)

// A DecodeError says where in the input a packet stopped making sense.
type DecodeError struct {
	What   string // the element being read, "UDP header"
	Offset int    // byte offset into the slice given to the decoder
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("ipv6: %s at byte %d: %v", e.What, e.Offset, e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }

func decodeError(what string, off int, err error) error {
	return &DecodeError{What: what, Offset: off, Err: err}
}
