package dtls

// window is the anti-replay window over the last 64 records of an epoch
// (RFC 6347 Section 4.1.2.6). The zero value has seen nothing.
type window struct {
	top  uint64 // highest sequence number accepted
	bits uint64 // bit i: top-i was accepted
}

// fresh reports whether record n was neither accepted before nor is too old to
// tell.
func (w *window) fresh(n uint64) bool {
	if w.bits == 0 || n > w.top {
		return true
	}
	return w.top-n < 64 && w.bits>>(w.top-n)&1 == 0
}

// accept notes that record n, fresh and authentic, was taken.
func (w *window) accept(n uint64) {
	if w.bits == 0 || n > w.top {
		w.bits, w.top = w.bits<<(n-w.top)|1, n // a shift by 64 or more leaves zero
		return
	}
	w.bits |= 1 << (w.top - n)
}
