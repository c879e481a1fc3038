package ndp

import (
	"encoding/hex"
	"fmt"
)

// A ROVR is a registration ownership verifier of 64, 128, 192 or 256 bits (RFC
// 8505 Section 4.1); that of RFC 6775 is the registering node's EUI-64. It can
// be compared with ==.
type ROVR struct {
	n uint8
	b [32]byte
}

// MakeROVR returns the verifier in b; ok is false if its length is none of 8,
// 16, 24 and 32 octets.
func MakeROVR(b []byte) (r ROVR, ok bool) {
	if len(b) == 0 || len(b)%8 != 0 || len(b) > len(r.b) {
		return ROVR{}, false
	}
	r.n = uint8(copy(r.b[:], b))
	return r, true
}

// ROVROf returns the verifier that is an EUI-64.
func ROVROf(eui [8]byte) ROVR {
	r := ROVR{n: 8}
	copy(r.b[:], eui[:])
	return r
}

// IsValid reports whether there is one.
func (r ROVR) IsValid() bool { return r.n != 0 }

// Len is the number of octets.
func (r ROVR) Len() int { return int(r.n) }

// Bytes returns the octets.
func (r ROVR) Bytes() []byte { return append([]byte(nil), r.b[:r.n]...) }

// first64 is what the messages of RFC 6775 can carry of it.
func (r ROVR) first64() ROVR { return ROVROf([8]byte(r.b[:8])) }

// String returns the octets as hexadecimal digits.
func (r ROVR) String() string { return hex.EncodeToString(r.b[:r.n]) }

// MarshalText writes the octets as hexadecimal digits.
func (r ROVR) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, r.b[:r.n]), nil }

// UnmarshalText reads what MarshalText wrote.
func (r *ROVR) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil {
		return fmt.Errorf("ndp: ROVR %q: %w", text, err)
	}
	v, ok := MakeROVR(b)
	if !ok && len(b) != 0 {
		return fmt.Errorf("ndp: ROVR %q: %d octets", text, len(b))
	}
	*r = v
	return nil
}
