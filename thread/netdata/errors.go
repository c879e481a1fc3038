package netdata

import (
	"errors"
	"fmt"
)

// What can be wrong with received network data; a DecodeError wraps one of
// these.
var (
	ErrShort   = errors.New("too short")
	ErrLong    = errors.New("too long")
	ErrInvalid = errors.New("invalid value")
)

// A DecodeError says where in the input the network data stopped making sense.
type DecodeError struct {
	What   string // the element being read, "prefix TLV"
	Offset int    // byte offset into the whole network data
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("netdata: %s at byte %d: %v", e.What, e.Offset, e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }
