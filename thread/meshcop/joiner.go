package meshcop

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
)

// Limits of a joining device credential, in characters.
const (
	MinPSKdLen = 6
	MaxPSKdLen = 32
)

// DefaultJoinerPort is the UDP port of a joiner, and of a joiner router unless
// the commissioning data names another one.
const DefaultJoinerPort = 1000

// localBit marks an EUI-64 as locally administered.
const localBit = 0x02

// ValidPSKd checks a joining device credential (Thread 1.4 Section 8.2): 6 to
// 32 of the digits and upper-case letters, without I, O, Q and Z, which are
// easily misread. The error names the first character that must not be there.
func ValidPSKd(pskd string) error {
	for i, r := range pskd {
		switch {
		case r == 'I' || r == 'O' || r == 'Q' || r == 'Z':
			return fmt.Errorf("meshcop: PSKd: letter %q at position %d is not used in joining device credentials", r, i+1)
		case r >= 'a' && r <= 'z':
			return fmt.Errorf("meshcop: PSKd: %q at position %d must be upper-case", r, i+1)
		case (r < '0' || r > '9') && (r < 'A' || r > 'Z'):
			return fmt.Errorf("meshcop: PSKd: %q at position %d is neither a digit nor a letter A to Z", r, i+1)
		}
	}
	if n := len(pskd); n < MinPSKdLen || n > MaxPSKdLen {
		return fmt.Errorf("meshcop: PSKd: %d characters, must have %d to %d", n, MinPSKdLen, MaxPSKdLen)
	}
	return nil
}

// JoinerID returns the identity under which a device with the given EUI-64
// joins (Thread 1.4 Section 8.4.4.2): the start of its SHA-256, made a locally
// administered address.
func JoinerID(eui64 [8]byte) [8]byte {
	h := sha256.Sum256(eui64[:])
	id := [8]byte(h[:8])
	id[0] |= localBit
	return id
}

// A Discerner is a number of Bits bits, 1 to 64, that stands for a joiner
// instead of its EUI-64 (Thread 1.4 Section 8.4.4.2). It takes the low-order
// end of the joiner ID.
type Discerner struct {
	Value uint64
	Bits  uint8
}

// Valid reports whether the number has 1 to 64 bits and fits them.
func (d Discerner) Valid() bool { return d.Bits >= 1 && d.Bits <= 64 && d.Value&^d.mask() == 0 }

func (d Discerner) mask() uint64 { return 1<<d.Bits - 1 } // all ones for 64

// Matches reports whether a joiner ID was made from the discerner.
func (d Discerner) Matches(id [8]byte) bool {
	return d.Valid() && (binary.BigEndian.Uint64(id[:])^d.Value)&d.mask() == 0
}

// JoinerID returns a joiner ID for the discerner, its other bits read from
// rand. The first byte is made that of a locally administered address, whatever
// the discerner says there.
func (d Discerner) JoinerID(rand io.Reader) ([8]byte, error) {
	if !d.Valid() {
		return [8]byte{}, fmt.Errorf("meshcop: discerner %#x does not have %d bits, or that is not 1 to 64", d.Value, d.Bits)
	}
	var id [8]byte
	if _, err := io.ReadFull(rand, id[:]); err != nil {
		return [8]byte{}, fmt.Errorf("meshcop: joiner ID: %w", err)
	}
	v := binary.BigEndian.Uint64(id[:])
	binary.BigEndian.PutUint64(id[:], v&^d.mask()|d.Value&d.mask())
	id[0] |= localBit
	return id, nil
}

// hashed is what the steering data of a discerner is computed over: the
// number, right-aligned in zeros.
func (d Discerner) hashed() [8]byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], d.Value&d.mask())
	return b
}
