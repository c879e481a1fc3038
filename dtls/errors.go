package dtls

import (
	"errors"
	"fmt"
)

var (
	// ErrWrongSecret: the two sides did not arrive at the same keys, which
	// means that they were given different secrets. Wrapped in an *AlertError.
	ErrWrongSecret = errors.New("dtls: the peer has a different secret")

	// ErrTimeout: the handshake did not end in time.
	ErrTimeout = errors.New("dtls: handshake timed out")

	// ErrClosed: the session was closed, by Close or by the peer.
	ErrClosed = errors.New("dtls: session closed")

	// ErrPeerClosed: the peer sent close_notify. It is an ErrClosed as well.
	ErrPeerClosed = fmt.Errorf("%w by the peer", ErrClosed)

	// ErrNotEstablished: data was written before the handshake ended.
	ErrNotEstablished = errors.New("dtls: handshake not finished")

	// ErrTooLong: data does not fit into one record of one datagram.
	ErrTooLong = errors.New("dtls: data does not fit into one record")
)

// An AlertError is a fatal alert that ended the session.
type AlertError struct {
	Alert  Alert
	Remote bool  // the peer sent the alert; else this side did
	Err    error // what was wrong; nil when the peer did not let us know
}

func (e *AlertError) Error() string {
	switch {
	case e.Remote && e.Err == nil:
		return fmt.Sprintf("dtls: the peer sent a fatal alert: %v", e.Alert)
	case e.Remote:
		return fmt.Sprintf("%v (the peer sent a fatal alert: %v)", e.Err, e.Alert)
	default:
		return fmt.Sprintf("%v (alert %v sent)", e.Err, e.Alert)
	}
}

func (e *AlertError) Unwrap() error { return e.Err }

// fatal returns the error for a fault of the peer that alert a answers.
func fatal(a Alert, format string, args ...any) error {
	return &AlertError{Alert: a, Err: fmt.Errorf("dtls: "+format, args...)}
}

// A DecodeError says where in a handshake message the fault is.
type DecodeError struct {
	What   string // the element being read, "ClientHello cookie"
	Offset int    // byte offset into the body of the message
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("dtls: %s at byte %d: %v", e.What, e.Offset, e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }

// What can be wrong with the form of a message; wrapped in a DecodeError.
var (
	ErrShort     = errors.New("message too short")
	ErrLong      = errors.New("bytes left over")
	ErrDuplicate = errors.New("extension given twice")
	ErrValue     = errors.New("value not allowed")
)

// An Alert is an AlertDescription (RFC 5246 Section 7.2).
type Alert uint8

// The alerts this package sends or has an opinion on.
const (
	AlertCloseNotify          Alert = 0
	AlertUnexpectedMessage    Alert = 10
	AlertBadRecordMAC         Alert = 20
	AlertHandshakeFailure     Alert = 40
	AlertIllegalParameter     Alert = 47
	AlertDecodeError          Alert = 50
	AlertDecryptError         Alert = 51
	AlertProtocolVersion      Alert = 70
	AlertInternalError        Alert = 80
	AlertUserCanceled         Alert = 90
	AlertNoRenegotiation      Alert = 100
	AlertUnsupportedExtension Alert = 110
)

var alertNames = map[Alert]string{
	AlertCloseNotify:          "close_notify",
	AlertUnexpectedMessage:    "unexpected_message",
	AlertBadRecordMAC:         "bad_record_mac",
	22:                        "record_overflow",
	AlertHandshakeFailure:     "handshake_failure",
	AlertIllegalParameter:     "illegal_parameter",
	49:                        "access_denied",
	AlertDecodeError:          "decode_error",
	AlertDecryptError:         "decrypt_error",
	AlertProtocolVersion:      "protocol_version",
	71:                        "insufficient_security",
	AlertInternalError:        "internal_error",
	AlertUserCanceled:         "user_canceled",
	AlertNoRenegotiation:      "no_renegotiation",
	AlertUnsupportedExtension: "unsupported_extension",
}

// String returns the name of RFC 5246, or the number.
func (a Alert) String() string {
	if s, ok := alertNames[a]; ok {
		return s
	}
	return fmt.Sprintf("alert %d", uint8(a))
}

// Alert levels (RFC 5246 Section 7.2).
const (
	levelWarning = 1
	levelFatal   = 2
)
