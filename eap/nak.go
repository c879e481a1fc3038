package eap

import "encoding/binary"

// appendNak appends a legacy Nak's data (RFC 3748 Section 5.3.1): the wanted
// types, or 0 for none.
func appendNak(b []byte, want []Type) []byte {
	if len(want) == 0 {
		return append(b, 0)
	}
	for _, t := range want {
		b = append(b, byte(t))
	}
	return b
}

// appendExpandedNak appends the data of an expanded Nak (RFC 3748 Section
// 5.3.2): the wanted types in expanded form, or the expanded type 0 for none.
func appendExpandedNak(b []byte, want []Type) []byte {
	if len(want) == 0 {
		want = []Type{0}
	}
	for _, t := range want {
		b = append(b, byte(TypeExpanded), 0, 0, 0)
		b = binary.BigEndian.AppendUint32(b, uint32(t))
	}
	return b
}

// isNak reports whether p is a Nak of either form.
func (p Packet) isNak() bool {
	return p.Type == TypeNak || p.Type == TypeExpanded && p.Vendor == 0 && p.VendorType == uint32(TypeNak)
}

// NakTypes lists the types a Nak asks for, in its order; none if p is no Nak
// or wants none. Vendors' types of an expanded Nak and what follows the last
// whole one are skipped.
func (p Packet) NakTypes() []Type {
	var want []Type
	switch {
	case p.Code != CodeResponse || !p.isNak():
	case p.Type == TypeNak:
		for _, t := range p.Data {
			if t != 0 {
				want = append(want, Type(t))
			}
		}
	default:
		for b := p.Data; len(b) >= expandedHeaderLen; b = b[expandedHeaderLen:] {
			vendor := binary.BigEndian.Uint32(b) & (1<<24 - 1)
			t := binary.BigEndian.Uint32(b[4:])
			if b[0] == byte(TypeExpanded) && vendor == 0 && t > 0 && t < uint32(TypeExpanded) {
				want = append(want, Type(t))
			}
		}
	}
	return want
}
