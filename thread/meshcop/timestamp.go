package meshcop

import (
	"cmp"
	"encoding/binary"
	"fmt"
)

// TimestampLen is the length of an encoded Timestamp.
const TimestampLen = 8

// MaxTicks is the largest value of Timestamp.Ticks.
const MaxTicks = 0x7fff

// A Timestamp orders the versions of an Operational Dataset (Thread 1.4
// Section 8.10.1.10).
type Timestamp struct {
	Seconds       uint64 // since the Unix epoch, or any counter; 48 bits
	Ticks         uint16 // of 1/32768 s; 15 bits
	Authoritative bool   // Seconds come from a trusted time source
}

// OrphanTimestamp in an MLE Announce asks for an Announce in return; no
// dataset carries it.
var OrphanTimestamp = Timestamp{Authoritative: true}

// maxTimestamp is all ones, which stands for "no timestamp".
var maxTimestamp = Timestamp{Seconds: 1<<48 - 1, Ticks: MaxTicks, Authoritative: true}

// IsNone reports whether ts is the value of all ones that stands for no
// timestamp.
func (ts Timestamp) IsNone() bool { return ts == maxTimestamp }

// IsOrphan reports whether ts is OrphanTimestamp.
func (ts Timestamp) IsOrphan() bool { return ts == OrphanTimestamp }

// Compare returns a negative number if ts is older than u, a positive one if
// it is newer, and 0 if both are the same. No timestamp (IsNone) is older than
// any.
func (ts Timestamp) Compare(u Timestamp) int {
	if tn, un := ts.IsNone(), u.IsNone(); tn || un {
		return cmp.Compare(b2i(un), b2i(tn))
	}
	return cmp.Or(
		cmp.Compare(ts.Seconds, u.Seconds),
		cmp.Compare(ts.Ticks, u.Ticks),
		cmp.Compare(b2i(ts.Authoritative), b2i(u.Authoritative)),
	)
}

// Bytes returns the encoded timestamp.
func (ts Timestamp) Bytes() [TimestampLen]byte {
	var b [TimestampLen]byte
	binary.BigEndian.PutUint64(b[:], ts.Seconds<<16|uint64(ts.Ticks&MaxTicks)<<1|uint64(b2i(ts.Authoritative)))
	return b
}

// ParseTimestamp decodes the first 8 bytes of a timestamp TLV's value.
func ParseTimestamp(b []byte) (Timestamp, error) {
	if len(b) < TimestampLen {
		return Timestamp{}, &DecodeError{What: "timestamp", Offset: len(b), Err: ErrShort}
	}
	return timestampFrom([TimestampLen]byte(b)), nil
}

func timestampFrom(b [TimestampLen]byte) Timestamp {
	v := binary.BigEndian.Uint64(b[:])
	return Timestamp{Seconds: v >> 16, Ticks: uint16(v) >> 1, Authoritative: v&1 != 0}
}

func (ts Timestamp) String() string {
	s := fmt.Sprintf("%d.%05d", ts.Seconds, ts.Ticks)
	if ts.Authoritative {
		s += "A"
	}
	return s
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
