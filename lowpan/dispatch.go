package lowpan

import "encoding/binary"

// Dispatch values and their masks (RFC 4944 Section 5.1, RFC 6282 Section 2).
const (
	dispatchIPv6 = 0x41
	dispatchBC0  = 0x50

	dispatchIPHC, maskIPHC   = 0x60, 0xe0
	dispatchMesh, maskMesh   = 0x80, 0xc0
	dispatchFrag1, maskFrag1 = 0xc0, 0xf8
	dispatchFragN, maskFragN = 0xe0, 0xf8
)

// IsMesh reports whether a mesh addressing header comes next.
func IsMesh(b []byte) bool { return len(b) > 0 && b[0]&maskMesh == dispatchMesh }

// IsFrag1 reports whether a first fragment header comes next.
func IsFrag1(b []byte) bool { return len(b) > 0 && b[0]&maskFrag1 == dispatchFrag1 }

// IsFragN reports whether a subsequent fragment header comes next.
func IsFragN(b []byte) bool { return len(b) > 0 && b[0]&maskFragN == dispatchFragN }

// IsFrag reports whether a fragment header of either kind comes next.
func IsFrag(b []byte) bool { return IsFrag1(b) || IsFragN(b) }

// IsIPHC reports whether a compressed IPv6 header comes next.
func IsIPHC(b []byte) bool { return len(b) > 0 && b[0]&maskIPHC == dispatchIPHC }

// IsIPv6 reports whether an uncompressed IPv6 header comes next.
func IsIPv6(b []byte) bool { return len(b) > 0 && b[0] == dispatchIPv6 }

// IsBC0 reports whether a broadcast header comes next.
func IsBC0(b []byte) bool { return len(b) > 0 && b[0] == dispatchBC0 }

// DecodeBC0 reads a broadcast header (RFC 4944 Section 11.1).
func DecodeBC0(b []byte) (seq uint8, rest []byte, err error) {
	if len(b) > 0 && b[0] != dispatchBC0 {
		return 0, nil, decodeError("broadcast header", 0, ErrDispatch)
	}
	if len(b) < 2 {
		return 0, nil, decodeError("broadcast header", len(b), ErrShort)
	}
	return b[1], b[2:], nil
}

// AppendBC0 appends a broadcast header.
func AppendBC0(b []byte, seq uint8) []byte { return append(b, dispatchBC0, seq) }

// MeshHeader is the mesh addressing header with short addresses, the only
// ones Thread uses (RFC 4944 Section 5.2).
//
//	+-+-+-+-+-------+---------------+-------------------------------+
//	|1 0|V|F| hops  | [deep hops]   |  originator, final destination
//	+-+-+-+-+-------+---------------+-------------------------------+
type MeshHeader struct {
	HopsLeft uint8 // 15 and more take an extra byte
	Src, Dst uint16
}

const (
	meshShort = 0x30 // V and F: both addresses are short
	meshDeep  = 0x0f // the hops left follow in a byte of their own
)

// DecodeMesh reads a mesh header.
func DecodeMesh(b []byte) (m MeshHeader, rest []byte, err error) {
	if len(b) == 0 {
		return MeshHeader{}, nil, decodeError("mesh header", 0, ErrShort)
	}
	if b[0]&(maskMesh|meshShort) != dispatchMesh|meshShort {
		return MeshHeader{}, nil, decodeError("mesh header with short addresses", 0, ErrDispatch)
	}
	at := 1
	if m.HopsLeft = b[0] & 0x0f; m.HopsLeft == meshDeep {
		if at = 2; len(b) >= at {
			m.HopsLeft = b[1]
		}
	}
	if len(b) < at+4 {
		return MeshHeader{}, nil, decodeError("mesh header", len(b), ErrShort)
	}
	m.Src = binary.BigEndian.Uint16(b[at:])
	m.Dst = binary.BigEndian.Uint16(b[at+2:])
	return m, b[at+4:], nil
}

// Append appends the header: 5 bytes below 15 hops, else 6.
func (m MeshHeader) Append(b []byte) []byte {
	if m.HopsLeft < meshDeep {
		b = append(b, dispatchMesh|meshShort|m.HopsLeft)
	} else {
		b = append(b, dispatchMesh|meshShort|meshDeep, m.HopsLeft)
	}
	b = binary.BigEndian.AppendUint16(b, m.Src)
	return binary.BigEndian.AppendUint16(b, m.Dst)
}

// Sizes of the fragment headers in bytes.
const (
	Frag1Len = 4
	FragNLen = 5
)

// MaxDatagram is the largest datagram size a fragment header can say.
const MaxDatagram = 1<<11 - 1

// FragHeader is a fragment header (RFC 4944 Section 5.3).
//
//	|1 1 0 0 0|   datagram size     |         datagram tag          |
//	|1 1 1 0 0|   datagram size     |         datagram tag          | offset / 8 |
type FragHeader struct {
	Size   uint16 // of the uncompressed IPv6 packet, bytes, 11 bits
	Tag    uint16
	Offset int // into the uncompressed packet, bytes, a multiple of 8; 0 in a first fragment
}

// DecodeFrag reads a fragment header of either kind. A subsequent fragment at
// offset 0 is an error: it would have to be a first one.
func DecodeFrag(b []byte) (h FragHeader, rest []byte, err error) {
	n := Frag1Len
	switch {
	case len(b) == 0:
	case IsFragN(b):
		n = FragNLen
	case !IsFrag1(b):
		return FragHeader{}, nil, decodeError("fragment header", 0, ErrDispatch)
	}
	if len(b) < n {
		return FragHeader{}, nil, decodeError("fragment header", len(b), ErrShort)
	}
	h.Size = binary.BigEndian.Uint16(b) & MaxDatagram
	h.Tag = binary.BigEndian.Uint16(b[2:])
	if n == FragNLen {
		if h.Offset = 8 * int(b[4]); h.Offset == 0 {
			return FragHeader{}, nil, decodeError("fragment offset", 4, ErrReserved)
		}
	}
	return h, b[n:], nil
}

// AppendFrag1 appends a first fragment header.
func AppendFrag1(b []byte, size, tag uint16) []byte {
	b = binary.BigEndian.AppendUint16(b, dispatchFrag1<<8|size&MaxDatagram)
	return binary.BigEndian.AppendUint16(b, tag)
}

// AppendFragN appends a subsequent fragment header; offset is a multiple of 8
// from 8 to 2040.
func AppendFragN(b []byte, size, tag uint16, offset int) []byte {
	b = binary.BigEndian.AppendUint16(b, dispatchFragN<<8|size&MaxDatagram)
	b = binary.BigEndian.AppendUint16(b, tag)
	return append(b, uint8(offset/8))
}

// Append appends the header in the kind its offset calls for.
func (h FragHeader) Append(b []byte) []byte {
	if h.Offset == 0 {
		return AppendFrag1(b, h.Size, h.Tag)
	}
	return AppendFragN(b, h.Size, h.Tag, h.Offset)
}
