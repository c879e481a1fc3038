package ieee802154

import (
	"errors"
	"fmt"
)

// Reasons for a PSDU to be refused, wrapped in a DecodeError.
var (
	ErrShort          = errors.New("input too short")
	ErrReserved       = errors.New("reserved value")
	ErrLegacySecurity = errors.New("security suites of version 2003 are not supported")
)

// Reasons for a frame not to be secured or opened.
var (
	ErrNotSecured = errors.New("ieee802154: frame is not secured")
	ErrNonce      = errors.New("ieee802154: nonce is made of a slot number that the frame does not carry")
	ErrMIC        = errors.New("ieee802154: message integrity code does not match")
)

// A DecodeError says where in a PSDU a frame stopped making sense.
type DecodeError struct {
	What   string // the element being read, "source address"
	Offset int    // byte offset into the PSDU
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("ieee802154: %s at byte %d: %v", e.What, e.Offset, e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }
