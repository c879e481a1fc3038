package ieee802154

import "encoding/binary"

// SecurityLevel says what of a frame is protected (IEEE 802.15.4-2015 Table 9-6).
type SecurityLevel uint8

const (
	LevelNone SecurityLevel = iota
	LevelMIC32
	LevelMIC64
	LevelMIC128
	LevelEnc // withdrawn in 2015
	LevelEncMIC32
	LevelEncMIC64
	LevelEncMIC128
)

// MICLen returns the octets of the message integrity code: 0, 4, 8 or 16.
func (l SecurityLevel) MICLen() int {
	return [4]int{0, 4, 8, 16}[l&3]
}

func (l SecurityLevel) encrypts() bool { return l&4 != 0 }

// KeyIDMode says how a frame names its key (IEEE 802.15.4-2015 Table 9-7).
type KeyIDMode uint8

const (
	KeyIDImplicit KeyIDMode = iota // by the two addresses
	KeyIDIndex                     // index of a network-wide key
	KeyIDSource4                   // 4-octet key source and index
	KeyIDSource8                   // 8-octet key source and index
)

// sourceLen returns the octets of the key source.
func (m KeyIDMode) sourceLen() int {
	return [4]int{0, 0, 4, 8}[m&3]
}

// A Security is the auxiliary security header (IEEE 802.15.4-2015 Section 9.4).
type Security struct {
	Level     SecurityLevel
	KeyIDMode KeyIDMode

	CounterSuppressed bool // version 2015: Counter is not on the air
	ASNInNonce        bool // version 2015: the nonce is made of a slot number

	Counter uint32

	// KeySource is in the order of the air. KeyIDSource4 uses the first four
	// octets; those not used are zero.
	KeySource [8]byte
	KeyIndex  uint8 // not on the air with KeyIDImplicit
}

// Security control field (IEEE 802.15.4-2015 Figure 9-2).
const (
	controlLevel             = 0x07
	controlKeyIDShift        = 3
	controlCounterSuppressed = 1 << 5
	controlASNInNonce        = 1 << 6
)

// Append appends the header in the form of version 2006, which MLE also uses.
func (s *Security) Append(b []byte) []byte { return s.append(b, false) }

func (s *Security) append(b []byte, v2015 bool) []byte {
	suppressed := v2015 && s.CounterSuppressed
	control := byte(s.Level)&controlLevel | byte(s.KeyIDMode&3)<<controlKeyIDShift
	if suppressed {
		control |= controlCounterSuppressed
	}
	if v2015 && s.ASNInNonce {
		control |= controlASNInNonce
	}
	b = append(b, control)
	if !suppressed {
		b = binary.LittleEndian.AppendUint32(b, s.Counter)
	}
	b = append(b, s.KeySource[:s.KeyIDMode.sourceLen()]...)
	if s.KeyIDMode != KeyIDImplicit {
		b = append(b, s.KeyIndex)
	}
	return b
}

// len returns the octets of the header.
func (s *Security) len(v2015 bool) int {
	n := 1 + s.KeyIDMode.sourceLen()
	if !v2015 || !s.CounterSuppressed {
		n += 4
	}
	if s.KeyIDMode != KeyIDImplicit {
		n++
	}
	return n
}

// DecodeSecurity reads a header in the form of version 2006, which MLE also
// uses, from the start of b; rest is what follows it. off is added to the
// offset in an error.
func DecodeSecurity(b []byte, off int) (s Security, rest []byte, err error) {
	d := decoder{b: b}
	s = d.security(false)
	if e, ok := d.err.(*DecodeError); ok {
		e.Offset += off
		return Security{}, nil, e
	}
	return s, b[d.off:], nil
}

func (d *decoder) security(v2015 bool) (s Security) {
	control := d.uint8("security control")
	s.Level = SecurityLevel(control & controlLevel)
	s.KeyIDMode = KeyIDMode(control >> controlKeyIDShift & 3)
	s.CounterSuppressed = v2015 && control&controlCounterSuppressed != 0
	s.ASNInNonce = v2015 && control&controlASNInNonce != 0
	if !s.CounterSuppressed {
		if p := d.take("frame counter", 4); p != nil {
			s.Counter = binary.LittleEndian.Uint32(p)
		}
	}
	copy(s.KeySource[:], d.take("key source", s.KeyIDMode.sourceLen()))
	if s.KeyIDMode != KeyIDImplicit {
		s.KeyIndex = d.uint8("key index")
	}
	return s
}

// Nonce returns the CCM* nonce of a frame secured by the device with address
// ext (IEEE 802.15.4-2015 Section 9.3.3.1).
func Nonce(ext ExtAddr, counter uint32, level SecurityLevel) [NonceLen]byte {
	var n [NonceLen]byte
	copy(n[:], ext[:])
	binary.BigEndian.PutUint32(n[8:], counter)
	n[12] = byte(level)
	return n
}
