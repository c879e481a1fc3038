package pana

import (
	"errors"
	"fmt"
)

// Reasons for a DecodeError.
var (
	ErrShort  = errors.New("message ends early")
	ErrLength = errors.New("length does not fit")
)

// A DecodeError says where in the input a message stopped making sense.
type DecodeError struct {
	What   string // the element being read, "AVP value"
	Offset int    // byte offset into the message
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("pana: %s at byte %d: %v", e.What, e.Offset, e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }

// Why a message was discarded. All of RFC 5191 Section 5.5 unless noted.
var (
	ErrInvalid     = errors.New("pana: message breaks the rules of its type")
	ErrUnexpected  = errors.New("pana: message does not fit the state")
	ErrSession     = errors.New("pana: no such session")
	ErrSequence    = errors.New("pana: sequence number out of order")
	ErrAuth        = errors.New("pana: AUTH missing or wrong")
	ErrNotOffered  = errors.New("pana: algorithm was not offered")
	ErrCookie      = errors.New("pana: session identifier and sequence number were not given out")
	ErrOffLink     = errors.New("pana: not from a neighbour")
	ErrRelay       = errors.New("pana: relay element is not allowed")
	ErrRate        = errors.New("pana: too many from this source")
	ErrDecrypt     = errors.New("pana: encrypted AVPs make no sense")
	ErrForeign     = errors.New("pana: not from the authentication agent")
	ErrEAP         = errors.New("pana: EAP packet does not fit")
	ErrRandom      = errors.New("pana: no random numbers")
	errIncongruent = errors.New("pana: key identifier does not fit")
)

// Why a session was refused or ended.
var (
	ErrAuthentication = errors.New("pana: authentication rejected")
	ErrAuthorization  = errors.New("pana: authorization rejected")
	ErrAlgorithms     = errors.New("pana: no algorithm in common")
	ErrNoKeys         = errors.New("pana: the EAP method yields no keys")
	ErrRounds         = errors.New("pana: too many EAP rounds")
	ErrTimeout        = errors.New("pana: no answer")
	ErrTooLong        = errors.New("pana: handshake took too long")
	ErrCrowded        = errors.New("pana: too many handshakes")
	ErrReplaced       = errors.New("pana: the client started anew")
	ErrLifetime       = errors.New("pana: lifetime is over")
	ErrClosed         = errors.New("pana: closed")
)

// Why a call was refused.
var (
	ErrState   = errors.New("pana: not possible in this state")
	ErrPingNow = errors.New("pana: pinged just now")
)
