package spinel

import (
	"encoding/binary"
	"unicode/utf8"

	"gatewayd/ieee802154"
)

// maxPacked is the length of the longest packed integer that is read: 32 bits
// in groups of seven. The draft's own limit is three bytes (Section 3.2).
const maxPacked = 5

// AppendPacked appends v as a packed unsigned integer (type i): seven bits a
// byte, least significant first, the top bit set on all but the last.
func AppendPacked(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// AppendBool appends a boolean (type b).
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// AppendData appends data preceded by its 16-bit length (type d). Data longer
// than that can say is cut.
func AppendData(b, data []byte) []byte {
	data = data[:min(len(data), 0xffff)]
	b = binary.LittleEndian.AppendUint16(b, uint16(len(data)))
	return append(b, data...)
}

// AppendString appends a string and its terminating zero (type U).
func AppendString(b []byte, s string) []byte {
	b = append(b, s...)
	return append(b, 0)
}

// Reader reads Spinel's data types one after the other. After the first error
// every read returns a zero value, so that a caller checks Err once.
type Reader struct {
	b   []byte
	off int // of b in what the Reader was made for
	err error
}

// NewReader reads from b; off is where b begins in the message, for errors.
func NewReader(b []byte, off int) *Reader { return &Reader{b: b, off: off} }

// Err is the first error, a *DecodeError.
func (r *Reader) Err() error { return r.err }

// Len is the number of bytes left; 0 after an error.
func (r *Reader) Len() int { return len(r.b) }

// Rest takes what is left.
func (r *Reader) Rest() []byte {
	b := r.b
	r.off += len(b)
	r.b = nil
	return b
}

func (r *Reader) fail(what string, err error) {
	if r.err == nil {
		r.err = &DecodeError{What: what, Offset: r.off, Err: err}
	}
	r.b = nil
}

// take returns the next n bytes, or nil.
func (r *Reader) take(what string, n int) []byte {
	if len(r.b) < n || r.err != nil {
		r.fail(what, ErrShort)
		return nil
	}
	b := r.b[:n:n]
	r.b, r.off = r.b[n:], r.off+n
	return b
}

// Uint8 reads type C; what names the element in errors, here and below.
func (r *Reader) Uint8(what string) uint8 {
	if b := r.take(what, 1); b != nil {
		return b[0]
	}
	return 0
}

// Int8 reads type c.
func (r *Reader) Int8(what string) int8 { return int8(r.Uint8(what)) }

// Bool reads type b. Everything but zero is true, as OpenThread reads it.
func (r *Reader) Bool(what string) bool { return r.Uint8(what) != 0 }

// Uint16 reads type S.
func (r *Reader) Uint16(what string) uint16 {
	if b := r.take(what, 2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

// Uint32 reads type L.
func (r *Reader) Uint32(what string) uint32 {
	if b := r.take(what, 4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// Uint64 reads type X.
func (r *Reader) Uint64(what string) uint64 {
	if b := r.take(what, 8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// Packed reads type i.
func (r *Reader) Packed(what string) uint32 {
	if r.err != nil {
		return 0
	}
	var v uint64
	for i, c := range r.b {
		v |= uint64(c&0x7f) << (7 * i)
		if c&0x80 == 0 {
			if v > 0xffffffff {
				r.fail(what, ErrOverflow)
				return 0
			}
			r.take(what, i+1)
			return uint32(v)
		}
		if i+1 == maxPacked {
			r.fail(what, ErrOverflow)
			return 0
		}
	}
	r.fail(what, ErrShort)
	return 0
}

// ExtAddr reads type E.
func (r *Reader) ExtAddr(what string) (a ieee802154.ExtAddr) {
	copy(a[:], r.take(what, len(a)))
	return a
}

// Data reads type d.
func (r *Reader) Data(what string) []byte {
	n := int(r.Uint16(what))
	return r.take(what, n)
}

// Struct reads type t: a reader over the structure's fields. Structures grow
// at their end, so what is left of them is nobody's error.
func (r *Reader) Struct(what string) Reader {
	n := int(r.Uint16(what))
	off := r.off
	return Reader{b: r.take(what, n), off: off, err: r.err}
}

// String reads type U. Bytes that are not UTF-8 are replaced.
func (r *Reader) String(what string) string {
	for i, c := range r.b {
		if c == 0 {
			s := r.take(what, i+1)[:i]
			if utf8.Valid(s) {
				return string(s)
			}
			return string([]rune(string(s)))
		}
	}
	r.fail(what, ErrString)
	return ""
}
