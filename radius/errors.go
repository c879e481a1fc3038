package radius

import (
	"errors"
	"fmt"
)

// A DecodeError says where in the input a packet stopped making sense.
type DecodeError struct {
	What   string // the element being read, "attribute"
	Offset int    // byte offset into the whole packet
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("radius: %s at byte %d: %v", e.What, e.Offset, e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }

// Why a packet was refused.
var (
	ErrShort                    = errors.New("too short")
	ErrLength                   = errors.New("bad length")
	ErrAuthenticator            = errors.New("radius: wrong authenticator: do the shared secrets differ?")
	ErrMessageAuthenticator     = errors.New("radius: wrong Message-Authenticator: do the shared secrets differ?")
	ErrNoMessageAuthenticator   = errors.New("radius: no Message-Authenticator, which is required")
	ErrTwoMessageAuthenticators = errors.New("radius: more than one Message-Authenticator")
	ErrKey                      = errors.New("radius: key attribute does not decrypt: do the shared secrets differ?")
)

// Why a conversation failed, in its Result's Reason.
var (
	ErrRejected   = errors.New("radius: the server rejected the peer")
	ErrNoAnswer   = errors.New("radius: no server answered")
	ErrServerLost = errors.New("radius: the server stopped answering in the middle of a conversation")
	ErrNoKeys     = errors.New("radius: the server accepted the peer but gave no keys")
	ErrService    = errors.New("radius: the server demands a service that there is not")
	ErrUnexpected = errors.New("radius: the server's answer carries no EAP packet that fits its code")
	ErrBusy       = errors.New("radius: too many requests are waiting")
	ErrPacketSize = errors.New("radius: the EAP packet does not fit a RADIUS packet")
	ErrNoServer   = errors.New("radius: no server is configured")
	ErrConfig     = errors.New("radius: bad configuration")
)
