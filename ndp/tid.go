package ndp

// A TID is the transaction id of a registration, a lollipop counter (RFC 8505
// Section 5.2, RFC 6550 Section 7.2): from 128 to 255 it counts up after a
// restart, then it goes round from 0 to 127.
type TID uint8

const (
	// FirstTID is what a node that has no memory starts with: late enough in
	// the straight part to be newer than most of the round one.
	FirstTID TID = 256 - sequenceWindow

	sequenceWindow = 16
	lollipop       = 128
)

// Next returns the id of the transaction that follows.
func (t TID) Next() TID {
	if t == lollipop-1 {
		return 0
	}
	return t + 1 // 255 becomes 0
}

// Compare returns a positive number if t is newer than u, a negative one if it
// is older and 0 if both are the same. ok is false if neither can be said,
// because they are too far apart.
func (t TID) Compare(u TID) (order int, ok bool) {
	a, b := int(t), int(u)
	switch {
	case a == b:
		return 0, true
	case a >= lollipop && b < lollipop:
		if 256+b-a <= sequenceWindow {
			return -1, true
		}
		return 1, true
	case a < lollipop && b >= lollipop:
		if 256+a-b <= sequenceWindow {
			return 1, true
		}
		return -1, true
	}
	d := a - b
	if a < lollipop { // the round part wraps at 128
		if d > lollipop/2 {
			d -= lollipop
		} else if d < -lollipop/2 {
			d += lollipop
		}
	}
	return d, d <= sequenceWindow && d >= -sequenceWindow
}
