package joining

import (
	"fmt"
	"io"

	"gatewayd/thread/meshcop"
)

// A PSKd is a joining device credential. However it is printed or marshaled as
// text, it shows as "redacted"; Reveal is the way to the characters.
type PSKd struct{ s string }

const redacted = "redacted"

// ParsePSKd checks a joining device credential (Thread 1.4 Section 8.2). The
// error is an ErrInvalidArgs.
func ParsePSKd(s string) (PSKd, error) {
	if err := meshcop.ValidPSKd(s); err != nil {
		return PSKd{}, ErrInvalidArgs.because("%w", err)
	}
	return PSKd{s}, nil
}

// Reveal returns the characters.
func (p PSKd) Reveal() string { return p.s }

func (p PSKd) String() string { return redacted }

// GoString hides the secret from %#v.
func (p PSKd) GoString() string { return redacted }

// Format hides the secret from every formatting verb.
func (p PSKd) Format(w fmt.State, _ rune) { io.WriteString(w, redacted) }

// MarshalText hides the secret from text encoders and log handlers.
func (p PSKd) MarshalText() ([]byte, error) { return []byte(redacted), nil }
