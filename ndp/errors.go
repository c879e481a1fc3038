package ndp

import (
	"errors"
	"fmt"
)

// The reasons a DecodeError carries.
var (
	ErrShort      = errors.New("input ends too early")
	ErrZeroLength = errors.New("option of length zero")
	ErrCode       = errors.New("unknown code")
)

// The reasons for which a receiver drops a message (RFC 4861 Sections 6.1, 7.1
// and 8.1, RFC 6775 Section 8.2).
var (
	ErrType     = errors.New("ndp: not a neighbour discovery message")
	ErrHopLimit = errors.New("ndp: the hop limit is not 255: the message was forwarded")
	ErrBadCode  = errors.New("ndp: the code is not 0")
	ErrSource   = errors.New("ndp: source address not allowed for this message")
	ErrDest     = errors.New("ndp: destination address not allowed for this message")
	ErrTarget   = errors.New("ndp: target address is a multicast address or none")
	ErrOption   = errors.New("ndp: link-layer address of an unspecified source")
	ErrStatus   = errors.New("ndp: a request with a status")
)

// A DecodeError says where in the body of a message it stopped making sense.
type DecodeError struct {
	What   string // the element being read, "router advertisement"
	Offset int    // bytes after the checksum
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("ndp: %s at byte %d: %v", e.What, e.Offset, e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }
