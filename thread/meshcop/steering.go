package meshcop

import "fmt"

// MaxSteeringDataLen is the length of the longest steering data, and of the
// one a commissioner makes.
const MaxSteeringDataLen = 16

// SteeringData is a Bloom filter of the joiners that may join, 1 to 16 bytes
// (Thread 1.4 Section 8.4.4.3). No bytes mean that nothing was said.
type SteeringData []byte

// AllowNone is the steering data that lets nobody join.
func AllowNone() SteeringData { return SteeringData{0x00} }

// AllowAny is the steering data that lets everybody join.
func AllowAny() SteeringData { return SteeringData{0xff} }

// NewSteeringData returns an empty filter of 16 bytes, to Add joiners to.
func NewSteeringData() SteeringData { return make(SteeringData, MaxSteeringDataLen) }

// Add lets the joiner with this ID join. It does nothing to a filter without
// bytes.
func (s SteeringData) Add(id [8]byte) {
	if len(s) != 0 {
		i, j := s.bits(id)
		s.set(i)
		s.set(j)
	}
}

// AddDiscerner lets the joiners with this discerner join.
func (s SteeringData) AddDiscerner(d Discerner) { s.Add(d.hashed()) }

// Contains reports whether the joiner with this ID may join. A Bloom filter is
// sometimes wrong about those that may not.
func (s SteeringData) Contains(id [8]byte) bool {
	if len(s) == 0 {
		return false
	}
	i, j := s.bits(id)
	return s.has(i) && s.has(j)
}

// ContainsDiscerner reports whether joiners with this discerner may join.
func (s SteeringData) ContainsDiscerner(d Discerner) bool { return s.Contains(d.hashed()) }

// IsEmpty reports whether nobody may join.
func (s SteeringData) IsEmpty() bool { return s.all(0x00) }

// AllowsAny reports whether everybody may join.
func (s SteeringData) AllowsAny() bool { return len(s) != 0 && s.all(0xff) }

func (s SteeringData) all(v byte) bool {
	for _, b := range s {
		if b != v {
			return false
		}
	}
	return true
}

// DecodeSteeringData reads the value of a Steering Data TLV. Of a value longer
// than 16 bytes only those are used.
func DecodeSteeringData(b []byte) (SteeringData, error) {
	if len(b) == 0 {
		return nil, &DecodeError{What: "steering data", Err: ErrShort}
	}
	return SteeringData(b[:min(len(b), MaxSteeringDataLen)]), nil
}

func (s SteeringData) String() string { return fmt.Sprintf("%x", []byte(s)) }

// bits returns the two bits of an ID: its CRC-16s by the polynomials of CCITT
// and ANSI, modulo the filter's size.
func (s SteeringData) bits(id [8]byte) (i, j int) {
	return int(crc16(0x1021, id)) % (8 * len(s)), int(crc16(0x8005, id)) % (8 * len(s))
}

// Bit 0 is the least significant bit of the last byte.
func (s SteeringData) set(i int)      { s[len(s)-1-i/8] |= 1 << (i % 8) }
func (s SteeringData) has(i int) bool { return s[len(s)-1-i/8]&(1<<(i%8)) != 0 }

// crc16 starts from 0 and takes the most significant bit first; nothing is
// reflected or inverted.
func crc16(poly uint16, b [8]byte) uint16 {
	var crc uint16
	for _, x := range b {
		crc ^= uint16(x) << 8
		for range 8 {
			carry := crc & 0x8000
			crc <<= 1
			if carry != 0 {
				crc ^= poly
			}
		}
	}
	return crc
}
