package meshcop

import (
	"encoding/hex"
	"fmt"
	"io"
)

// A Key is a 16-byte secret: network key, PSKc or KEK. However it is printed
// or marshaled as text, it shows as "redacted"; Reveal is the way to the
// bytes.
type Key [16]byte

const redacted = "redacted"

// Reveal returns the secret.
func (k Key) Reveal() [16]byte { return k }

func (k Key) String() string { return redacted }

// GoString hides the secret from %#v.
func (k Key) GoString() string { return redacted }

// Format hides the secret from every formatting verb.
func (k Key) Format(w fmt.State, _ rune) { io.WriteString(w, redacted) }

// MarshalText hides the secret from text encoders and log handlers.
func (k Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// An ExtPANID is an Extended PAN ID.
type ExtPANID [8]byte

func (x ExtPANID) String() string { return hex.EncodeToString(x[:]) }
