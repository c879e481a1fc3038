package meshcop

import (
	"errors"
	"fmt"
)

// What can be wrong with a received value; a DecodeError wraps one of these.
var (
	ErrShort     = errors.New("too short")
	ErrLong      = errors.New("too long")
	ErrDuplicate = errors.New("appears twice")
	ErrMissing   = errors.New("missing")
	ErrInvalid   = errors.New("invalid value")
)

// A DecodeError says where in the input a message stopped making sense.
type DecodeError struct {
	What   string // the message or element being read, "Active Timestamp"
	Offset int    // byte offset into the whole input
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("meshcop: %s at byte %d: %v", e.What, e.Offset, e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }
