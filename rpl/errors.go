package rpl

import (
	"errors"
	"fmt"
)

// The reasons a DecodeError carries.
var (
	ErrShort   = errors.New("input ends too early")
	ErrLength  = errors.New("impossible length")
	ErrSecured = errors.New("secured RPL message: security is not supported")
	ErrCode    = errors.New("unknown RPL message code")
	ErrType    = errors.New("not of this type")
	ErrAddress = errors.New("address not allowed here")
)

// A DecodeError says where in the input a message stopped making sense.
type DecodeError struct {
	What   string // the element being read, "DIO base"
	Offset int    // byte offset into the slice given to the decoder
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("rpl: %s at byte %d: %v", e.What, e.Offset, e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }

func decodeError(what string, off int, err error) error {
	return &DecodeError{What: what, Offset: off, Err: err}
}
