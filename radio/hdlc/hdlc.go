// Package hdlc frames messages on a byte stream the way Spinel serial links do:
// HDLC-like framing after RFC 1662 Section 4 (octet stuffing) and Appendix C
// (16-bit FCS), without address, control or protocol fields. This is the
// "HDLC-lite" of draft-rquattle-spinel-unified Section "UART Framing", which
// also escapes XON, XOFF and 0xf8.
package hdlc

import (
	"fmt"
	"iter"
)

// Specification constants.
const (
	flag   = 0x7e // begins and ends a frame
	escape = 0x7d // the next byte is XORed with 0x20
	flip   = 0x20

	xon     = 0x11
	xoff    = 0x13
	special = 0xf8 // the byte some serial bridges treat as their own

	fcsInit = 0xffff
	fcsGood = 0xf0b8 // of a frame together with its FCS
	fcsLen  = 2
)

// DefaultMaxFrame bounds a frame, FCS included, when Decoder.MaxFrame is not
// set. Spinel frames have at most 1300 bytes.
const DefaultMaxFrame = 2048

// fcsTable is the byte-wise table of the reflected polynomial 0x8408.
var fcsTable = func() (t [256]uint16) {
	for i := range t {
		v := uint16(i)
		for range 8 {
			if v&1 != 0 {
				v = v>>1 ^ 0x8408
			} else {
				v >>= 1
			}
		}
		t[i] = v
	}
	return t
}()

func fcs(sum uint16, b byte) uint16 { return sum>>8 ^ fcsTable[byte(sum)^b] }

// AppendFrame appends payload as one frame, opening and closing flag included.
func AppendFrame(b, payload []byte) []byte {
	sum := uint16(fcsInit)
	b = append(b, flag)
	for _, c := range payload {
		sum = fcs(sum, c)
		b = appendEscaped(b, c)
	}
	sum ^= 0xffff
	b = appendEscaped(b, byte(sum))
	b = appendEscaped(b, byte(sum>>8))
	return append(b, flag)
}

func appendEscaped(b []byte, c byte) []byte {
	switch c {
	case flag, escape, xon, xoff, special:
		return append(b, escape, c^flip)
	}
	return append(b, c)
}

// Stats counts what a Decoder saw.
type Stats struct {
	Frames   uint64 // good ones
	BadFCS   uint64 // FCS wrong, or too short to hold one
	Overlong uint64 // longer than MaxFrame
	Aborted  uint64 // ended by the sender with an escaped flag
	Skipped  uint64 // bytes outside any frame
}

// Errors is the number of frames that were lost.
func (s Stats) Errors() uint64 { return s.BadFCS + s.Overlong + s.Aborted }

func (s Stats) String() string {
	return fmt.Sprintf("%d frames, %d bad FCS, %d overlong, %d aborted, %d bytes skipped",
		s.Frames, s.BadFCS, s.Overlong, s.Aborted, s.Skipped)
}

// Decoder finds frames in a byte stream. The zero value is ready; it looks for
// a flag first. Whatever it is fed, it is in step again at the next flag.
type Decoder struct {
	// MaxFrame bounds a frame with its FCS; 0 is DefaultMaxFrame.
	MaxFrame int
	Stats    Stats

	buf     []byte
	sum     uint16
	synced  bool // a flag was seen, buf is the frame since
	escaped bool
}

// Reset forgets a frame begun, so that the next connection starts afresh.
func (d *Decoder) Reset() {
	d.buf, d.synced, d.escaped = d.buf[:0], false, false
}

// Frames yields the frames that chunk completes, without FCS. A frame is valid
// until the next one is asked for. A loop that ends early drops the rest of
// chunk.
func (d *Decoder) Frames(chunk []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, c := range chunk {
			if frame := d.add(c); frame != nil && !yield(frame) {
				return
			}
		}
	}
}

// add takes one byte and returns the frame it completes, if any.
func (d *Decoder) add(c byte) []byte {
	if c == flag {
		return d.end()
	}
	if !d.synced {
		d.Stats.Skipped++
		return nil
	}
	if c == escape {
		d.escaped = true
		return nil
	}
	if d.escaped {
		d.escaped = false
		c ^= flip
	}
	limit := d.MaxFrame
	if limit == 0 {
		limit = DefaultMaxFrame
	}
	if len(d.buf) >= limit {
		d.Stats.Overlong++
		d.Reset()
		return nil
	}
	d.buf = append(d.buf, c)
	d.sum = fcs(d.sum, c)
	return nil
}

// end handles a flag. It closes a frame and opens the next: senders may share
// one flag between two frames.
func (d *Decoder) end() []byte {
	frame, sum, escaped := d.buf, d.sum, d.escaped
	d.Reset()
	d.synced, d.sum = true, fcsInit
	switch {
	case escaped:
		d.Stats.Aborted++ // RFC 1662 Section 4.3
		return nil
	case len(frame) == 0:
		return nil // between two frames
	case len(frame) <= fcsLen || sum != fcsGood:
		d.Stats.BadFCS++
		return nil
	}
	d.Stats.Frames++
	return frame[: len(frame)-fcsLen : len(frame)-fcsLen]
}
