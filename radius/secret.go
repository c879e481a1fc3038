package radius

import (
	"fmt"
	"io"
)

// A Secret is what a RADIUS client and server share (RFC 2865 Section 3).
// However it is printed or marshaled as text, it shows as "redacted".
type Secret []byte

const redacted = "redacted"

func (s Secret) String() string { return redacted }

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return redacted }

// Format hides the secret from every formatting verb.
func (s Secret) Format(w fmt.State, _ rune) { io.WriteString(w, redacted) }

// MarshalText hides the secret from text encoders and log handlers.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
