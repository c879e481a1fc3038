package meshcop

import (
	"encoding/binary"
	"iter"
)

// extendedLength in the length byte announces a 16-bit length.
const extendedLength = 0xff

// MaxTLVLength is the longest value a TLV can carry, by its extended length.
const MaxTLVLength = 0xffff

// A TLV is one type with its value.
type TLV struct {
	Type  Type
	Value []byte
}

// Append appends the encoded TLV to b.
func (t TLV) Append(b []byte) []byte { return AppendTLV(b, t.Type, t.Value) }

// AppendTLV appends one TLV to b, with an extended length if the value needs
// one. Values longer than MaxTLVLength are not valid.
func AppendTLV(b []byte, t Type, value []byte) []byte {
	b = appendHeader(b, t, len(value))
	return append(b, value...)
}

func appendHeader(b []byte, t Type, n int) []byte {
	if n < extendedLength {
		return append(b, byte(t), byte(n))
	}
	return appendExtendedHeader(b, t, n)
}

// appendExtendedHeader uses an extended length whatever the length is, as is
// usual for encapsulated datagrams.
func appendExtendedHeader(b []byte, t Type, n int) []byte {
	b = append(b, byte(t), extendedLength)
	return binary.BigEndian.AppendUint16(b, uint16(n))
}

// AppendUint8 appends a TLV with a one-byte value.
func AppendUint8(b []byte, t Type, v uint8) []byte { return append(b, byte(t), 1, v) }

// AppendUint16 appends a TLV with a 16-bit value.
func AppendUint16(b []byte, t Type, v uint16) []byte {
	return binary.BigEndian.AppendUint16(append(b, byte(t), 2), v)
}

// AppendUint32 appends a TLV with a 32-bit value.
func AppendUint32(b []byte, t Type, v uint32) []byte {
	return binary.BigEndian.AppendUint32(append(b, byte(t), 4), v)
}

// AppendString appends a TLV with a text value.
func AppendString(b []byte, t Type, s string) []byte {
	return append(appendHeader(b, t, len(s)), s...)
}

// TLVs is an encoded sequence of TLVs as received.
type TLVs []byte

// next reads the TLV at off and returns where the one after it starts. The
// offset reported with an error is that of the TLV's header.
func (ts TLVs) next(off int) (t TLV, end int, err error) {
	b := ts[off:]
	if len(b) < 2 {
		return TLV{}, 0, &DecodeError{What: "TLV header", Offset: off, Err: ErrShort}
	}
	t.Type = Type(b[0])
	n, h := int(b[1]), 2
	if n == extendedLength {
		if len(b) < 4 {
			return TLV{}, 0, &DecodeError{What: t.Type.String() + " TLV length", Offset: off, Err: ErrShort}
		}
		n, h = int(binary.BigEndian.Uint16(b[2:])), 4
	}
	if len(b) < h+n {
		return TLV{}, 0, &DecodeError{What: t.Type.String() + " TLV value", Offset: off, Err: ErrShort}
	}
	t.Value = b[h : h+n : h+n]
	return t, off + h + n, nil
}

// Validate checks that the sequence is a whole number of TLVs. The error, a
// *DecodeError, holds the offset of the first one that is cut off.
func (ts TLVs) Validate() error {
	for off := 0; off < len(ts); {
		_, end, err := ts.next(off)
		if err != nil {
			return err
		}
		off = end
	}
	return nil
}

// All iterates over the TLVs in order and stops where the sequence breaks.
func (ts TLVs) All() iter.Seq[TLV] {
	return func(yield func(TLV) bool) {
		for off := 0; off < len(ts); {
			t, end, err := ts.next(off)
			if err != nil || !yield(t) {
				return
			}
			off = end
		}
	}
}

// Find returns the value of the first TLV of type t.
func (ts TLVs) Find(t Type) (value []byte, ok bool) {
	for tlv := range ts.All() {
		if tlv.Type == t {
			return tlv.Value, true
		}
	}
	return nil, false
}

// Has reports whether there is a TLV of type t.
func (ts TLVs) Has(t Type) bool {
	_, ok := ts.Find(t)
	return ok
}

// Without returns a copy of the sequence that leaves out every TLV whose type
// is given.
func (ts TLVs) Without(types ...Type) TLVs {
	out := make(TLVs, 0, len(ts))
	for tlv := range ts.All() {
		if !containsType(types, tlv.Type) {
			out = tlv.Append(out)
		}
	}
	return out
}

func containsType(types []Type, t Type) bool {
	for _, x := range types {
		if x == t {
			return true
		}
	}
	return false
}

func appendTLVs(b []byte, ts []TLV) []byte {
	for _, t := range ts {
		b = t.Append(b)
	}
	return b
}
