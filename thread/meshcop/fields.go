package meshcop

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"unicode/utf8"
)

// fields takes the TLVs of one message apart by type. It remembers the first
// error, so that a decoder reads straight through and asks once, in finish.
// What no call asked for is unknown.
type fields struct {
	b    TLVs
	err  error
	used [256]bool
}

func newFields(b []byte) *fields {
	f := &fields{b: b}
	f.err = f.b.Validate()
	return f
}

// raw returns the first value of type t and its offset.
func (f *fields) raw(t Type) (v []byte, off int, ok bool) {
	if f.err != nil {
		return nil, 0, false
	}
	f.used[t] = true
	for off < len(f.b) {
		tlv, end, err := f.b.next(off)
		if err != nil {
			return nil, 0, false // cannot be: newFields validated
		}
		if tlv.Type == t {
			return tlv.Value, end - len(tlv.Value), true
		}
		off = end
	}
	return nil, 0, false
}

func (f *fields) fail(t Type, off int, err error) {
	if f.err == nil {
		f.err = &DecodeError{What: t.String(), Offset: off, Err: err}
	}
}

// require fails unless a TLV of each type is there.
func (f *fields) require(types ...Type) {
	for _, t := range types {
		if f.err == nil && !f.b.Has(t) {
			f.fail(t, len(f.b), ErrMissing)
		}
	}
}

// fixed returns the first n bytes of a value that must have at least n.
func (f *fields) fixed(t Type, n int) (v []byte, ok bool) {
	v, off, ok := f.raw(t)
	if !ok {
		return nil, false
	}
	if len(v) < n {
		f.fail(t, off, fmt.Errorf("%w: %d bytes, want %d", ErrShort, len(v), n))
		return nil, false
	}
	return v[:n], true
}

func (f *fields) uint8(t Type) *uint8 {
	if v, ok := f.fixed(t, 1); ok {
		return new(v[0])
	}
	return nil
}

func (f *fields) uint16(t Type) *uint16 {
	if v, ok := f.fixed(t, 2); ok {
		return new(binary.BigEndian.Uint16(v))
	}
	return nil
}

func (f *fields) uint32(t Type) *uint32 {
	if v, ok := f.fixed(t, 4); ok {
		return new(binary.BigEndian.Uint32(v))
	}
	return nil
}

func (f *fields) key(t Type) *Key {
	if v, ok := f.fixed(t, len(Key{})); ok {
		return new(Key(v))
	}
	return nil
}

func (f *fields) eight(t Type) *[8]byte {
	if v, ok := f.fixed(t, 8); ok {
		return new([8]byte(v))
	}
	return nil
}

func (f *fields) extPANID(t Type) *ExtPANID {
	if v, ok := f.fixed(t, 8); ok {
		return new(ExtPANID(v))
	}
	return nil
}

func (f *fields) timestamp(t Type) *Timestamp {
	if v, ok := f.fixed(t, TimestampLen); ok {
		return new(timestampFrom([TimestampLen]byte(v)))
	}
	return nil
}

func (f *fields) prefix64(t Type) netip.Prefix {
	if v, ok := f.fixed(t, 8); ok {
		return prefix64([8]byte(v))
	}
	return netip.Prefix{}
}

// bytes returns a value of at most most bytes.
func (f *fields) bytes(t Type, most int) []byte {
	v, off, ok := f.raw(t)
	if !ok {
		return nil
	}
	if len(v) > most {
		f.fail(t, off+most, fmt.Errorf("%w: %d bytes, at most %d", ErrLong, len(v), most))
		return nil
	}
	return v
}

// text returns a UTF-8 value without control characters.
func (f *fields) text(t Type, most int) string {
	v, off, ok := f.raw(t)
	if !ok {
		return ""
	}
	if len(v) > most {
		f.fail(t, off+most, fmt.Errorf("%w: %d bytes, at most %d", ErrLong, len(v), most))
		return ""
	}
	if at := badText(v); at >= 0 {
		f.fail(t, off+at, fmt.Errorf("%w: not printable UTF-8", ErrInvalid))
		return ""
	}
	return string(v)
}

// badText returns the offset of the first byte of v that is not valid UTF-8 or
// is an ASCII control character, or -1.
func badText(v []byte) int {
	for i := 0; i < len(v); {
		r, n := utf8.DecodeRune(v[i:])
		if r == utf8.RuneError && n == 1 || r < ' ' || r == 0x7f {
			return i
		}
		i += n
	}
	return -1
}

// finish returns the TLVs nobody asked for and the first error.
func (f *fields) finish() (unknown []TLV, err error) {
	if f.err != nil {
		return nil, f.err
	}
	for t := range f.b.All() {
		if !f.used[t.Type] {
			unknown = append(unknown, t)
		}
	}
	return unknown, nil
}

func prefix64(b [8]byte) netip.Prefix {
	var a [16]byte
	copy(a[:], b[:])
	return netip.PrefixFrom(netip.AddrFrom16(a), 64)
}

func appendPrefix64(b []byte, t Type, p netip.Prefix) []byte {
	a := p.Addr().As16()
	return AppendTLV(b, t, a[:8])
}
