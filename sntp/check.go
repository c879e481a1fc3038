package sntp

import (
	"errors"
	"fmt"
	"time"
)

// Errors of Check.
var (
	ErrNotAsked = errors.New("sntp: this is no answer to the request")
	ErrNoTime   = errors.New("sntp: the server has no time itself")
)

// A KissError is a server that sends clients away (RFC 5905 Section 7.4).
type KissError struct{ Code string } // "RATE", "DENY"

func (e *KissError) Error() string { return fmt.Sprintf("sntp: the server refuses: %s", e.Code) }

// maxStratum is the farthest from a reference clock that has a time.
const maxStratum = 15

// Request is what to send. nonce is a random number that is not zero.
func Request(nonce Timestamp) Packet {
	return Packet{Version: 4, Mode: ModeClient, Transmit: nonce}
}

// A Sample is what came of a request.
type Sample struct {
	Offset time.Duration // what the own clock must be put forward by
	Delay  time.Duration // there and back, without the server's own
}

// Check makes a Sample of the answer to Request(nonce), which was sent and came
// back at these times of the own clock. They must be read so that the clock is
// not set in between.
func Check(p Packet, nonce Timestamp, sent, came time.Time) (Sample, error) {
	switch {
	case p.Mode != ModeServer || p.Version < 1 || p.Version > 4 || p.Originate != nonce:
		return Sample{}, ErrNotAsked
	case p.Stratum == 0:
		code := []byte{}
		for _, c := range p.RefID {
			if ' ' < c && c < 0x7f {
				code = append(code, c)
			}
		}
		return Sample{}, &KissError{string(code)}
	case p.Stratum > maxStratum || p.Leap == leapUnknown || p.Transmit == 0 || p.Receive == 0:
		return Sample{}, ErrNoTime
	}
	received, answered := p.Receive.Time(sent), p.Transmit.Time(sent)
	there, back := received.Sub(sent), answered.Sub(came)
	return Sample{Offset: there/2 + back/2, Delay: came.Sub(sent) - answered.Sub(received)}, nil
}
