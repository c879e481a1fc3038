package lowpan

import (
	"errors"
	"fmt"
)

// The reasons a DecodeError carries, and those of Compress and Reassembler.
var (
	ErrShort    = errors.New("input ends too early")
	ErrDispatch = errors.New("unexpected dispatch")
	ErrReserved = errors.New("reserved encoding")
	ErrContext  = errors.New("unknown context")
	ErrAddress  = errors.New("elided address is not in the frame")
	ErrLength   = errors.New("impossible length")
	ErrNesting  = errors.New("too many headers inside each other")

	ErrPacket = errors.New("lowpan: not a whole IPv6 packet")
	ErrSpace  = errors.New("lowpan: the compressed header does not fit the frame")

	ErrOrder    = errors.New("lowpan: fragment continues no datagram")
	ErrSize     = errors.New("lowpan: datagram size out of range")
	ErrOverrun  = errors.New("lowpan: fragment goes beyond its datagram")
	ErrCapacity = errors.New("lowpan: no buffer for another datagram")
)

// A DecodeError says where in the input a header stopped making sense.
type DecodeError struct {
	What   string // the element being read, "IPHC source address"
	Offset int    // byte offset into the slice given to the decoder
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("lowpan: %s at byte %d: %v", e.What, e.Offset, e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }

func decodeError(what string, off int, err error) error {
	return &DecodeError{What: what, Offset: off, Err: err}
}
