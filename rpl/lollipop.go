package rpl

import "math/rand/v2"

// sequenceWindow is SEQUENCE_WINDOW of RFC 6550 Section 7.2.
const sequenceWindow = 16

// InitialSequence is where a lollipop counter starts after a restart: on the
// straight part, close to where the circle begins.
const InitialSequence uint8 = 256 - sequenceWindow

// randomSequence is a value on the straight part near its end: a counter that
// starts again there is likely to differ from what others remember, where a
// difference is all that counts.
func randomSequence(r *rand.Rand) uint8 { return InitialSequence + uint8(r.IntN(sequenceWindow)) }

// NextSequence increments a lollipop counter: 128 to 255 once, then 0 to 127
// round and round (RFC 6550 Section 7.2).
func NextSequence(s uint8) uint8 {
	if s == 127 {
		return 0
	}
	return s + 1
}

// An Order is how one lollipop counter stands to another.
type Order uint8

const (
	Incomparable Order = iota // too far apart: one side has lost its place
	Equal
	Older
	Newer
)

func (o Order) String() string {
	return [...]string{"incomparable", "equal", "older", "newer"}[o&3]
}

// CompareSequence says whether a is newer or older than b (RFC 6550 Section
// 7.2, rules 1 to 4).
func CompareSequence(a, b uint8) Order {
	switch {
	case a == b:
		return Equal
	case a > 127 && b <= 127:
		// a is on the straight part, b on the circle: b has passed a when
		// it is close behind the place where they meet.
		if 256+int(b)-int(a) <= sequenceWindow {
			return Older
		}
		return Newer
	case a <= 127 && b > 127:
		if 256+int(a)-int(b) <= sequenceWindow {
			return Newer
		}
		return Older
	}
	// Both on the same part. On the circle the distance is taken both ways
	// round (serial number arithmetic of RFC 1982).
	d := int(a) - int(b)
	if a <= 127 {
		d = (d + 128) % 128
		if d >= 64 {
			d -= 128
		}
	}
	switch {
	case d > 0 && d <= sequenceWindow:
		return Newer
	case d < 0 && -d <= sequenceWindow:
		return Older
	}
	return Incomparable
}
