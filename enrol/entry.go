package enrol

import (
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"gatewayd/eap"
	"gatewayd/ieee802154"
)

// PSKLen is the length of a pre-shared key in bytes (RFC 4764 Section 2).
const PSKLen = 16

// A PSK is a pre-shared key. It shows itself to nobody.
type PSK struct{ key [PSKLen]byte }

// ParsePSK reads 32 hexadecimal digits; colons, dashes and spaces between them
// do not count.
func ParsePSK(s string) (PSK, error) {
	clean := strings.Map(func(r rune) rune {
		if r == ':' || r == '-' || unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
	b, err := hex.DecodeString(clean)
	switch {
	case err != nil:
		return PSK{}, errors.New("enrol: a pre-shared key is 32 hexadecimal digits, this has others") // not which: it is a secret
	case len(b) != PSKLen:
		return PSK{}, fmt.Errorf("enrol: a pre-shared key is 32 hexadecimal digits, not %d", len(clean))
	case subtle.ConstantTimeCompare(b, make([]byte, PSKLen)) == 1:
		return PSK{}, errors.New("enrol: a key of zeros protects nothing")
	}
	return PSK{[PSKLen]byte(b)}, nil
}

// Reveal returns the key, for the method that needs it.
func (p PSK) Reveal() []byte { return append([]byte(nil), p.key[:]...) }

func (PSK) String() string { return "redacted" }

// GoString keeps %#v from telling.
func (PSK) GoString() string { return "redacted" }

// MaxIdentity bounds an identity in bytes (RFC 7542 Section 2.2 bounds a NAI so).
const MaxIdentity = 253

// Anybody, as the identity of an entry for EAP-TLS, is every certificate of the
// certificate authority.
const Anybody = "*"

// An Entry lets one identity in.
type Entry struct {
	// Identity is what the peer is called: of EAP-PSK its ID_P, of EAP-TLS a
	// subject's common name or alternative name, or Anybody.
	Identity string
	Method   eap.Type
	PSK      PSK                 // of EAP-PSK
	EUI64    *ieee802154.ExtAddr // only this device; nil: any
	Until    time.Time           // zero: without end
	Added    time.Time
	Last     Attempt
}

// Attempt is how the last try to get in by an entry ended.
type Attempt struct {
	At     time.Time // zero: none yet
	Device string    // calling station
	OK     bool
	Reason string // if not OK
}

// CheckIdentity says what is wrong with an identity, or nil.
func CheckIdentity(id string) error {
	switch {
	case id == "":
		return errors.New("enrol: the identity is empty")
	case len(id) > MaxIdentity:
		return fmt.Errorf("enrol: the identity has %d bytes, at most %d are allowed", len(id), MaxIdentity)
	}
	for _, r := range id {
		if r == unicode.ReplacementChar || unicode.IsControl(r) {
			return fmt.Errorf("enrol: %q is no identity: it has control characters or is not UTF-8", id)
		}
	}
	return nil
}

// check says what is wrong with an entry, or nil.
func (e *Entry) check() error {
	if err := CheckIdentity(e.Identity); err != nil {
		return err
	}
	switch e.Method {
	case eap.TypePSK:
		if e.PSK == (PSK{}) {
			return fmt.Errorf("enrol: %s: EAP-PSK needs a key", e.Identity)
		}
		if e.Identity == Anybody {
			return errors.New("enrol: one key for everybody is no credential: name the identity")
		}
	case eap.TypeTLS:
		if e.PSK != (PSK{}) {
			return fmt.Errorf("enrol: %s: EAP-TLS has no pre-shared key", e.Identity)
		}
	default:
		return fmt.Errorf("enrol: %s: credentials are for EAP-PSK and EAP-TLS, not %v", e.Identity, e.Method)
	}
	return nil
}

// valid says why the entry does not let a device in, or nil.
func (e *Entry) valid(now time.Time, station string) error {
	if !e.Until.IsZero() && now.After(e.Until) {
		return fmt.Errorf("enrol: the credential of %s ended %v ago", e.Identity, now.Sub(e.Until).Round(time.Second))
	}
	if e.EUI64 != nil && station != Station(*e.EUI64) {
		return fmt.Errorf("enrol: the credential of %s is for the device %v only", e.Identity, *e.EUI64)
	}
	return nil
}

// Station is a device's EUI-64 as RADIUS writes it (RFC 3580 Section 3.21).
func Station(a ieee802154.ExtAddr) string {
	parts := make([]string, len(a))
	for i, b := range a {
		parts[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(parts, "-")
}
