package ipv6

import "encoding/binary"

// IsExtension reports whether proto is an extension header this package can
// step over.
func IsExtension(proto uint8) bool {
	switch proto {
	case ProtoHopByHop, ProtoRouting, ProtoFragment, ProtoDstOpts:
		return true
	}
	return false
}

// Ext is one extension header (RFC 8200 Section 4).
type Ext struct {
	Proto uint8  // which header this is
	Next  uint8  // protocol of what follows
	Data  []byte // after next header and length: options, or the rest of a routing or fragment header
}

// DecodeExt reads the extension header proto at the start of b.
func DecodeExt(proto uint8, b []byte) (e Ext, rest []byte, err error) {
	n := 8
	if len(b) < n {
		return Ext{}, nil, decodeError("extension header", len(b), ErrShort)
	}
	if proto != ProtoFragment { // whose second byte is reserved, not a length
		n += 8 * int(b[1])
	}
	if len(b) < n {
		return Ext{}, nil, decodeError("extension header", len(b), ErrShort)
	}
	return Ext{Proto: proto, Next: b[0], Data: b[2:n:n]}, b[n:], nil
}

// Fragment is the content of a fragment header (RFC 8200 Section 4.5).
type Fragment struct {
	Offset int  // bytes, a multiple of 8
	More   bool // not the last
	ID     uint32
}

// DecodeFragment reads the data of a fragment header.
func DecodeFragment(data []byte) (Fragment, error) {
	if len(data) < 6 {
		return Fragment{}, decodeError("fragment header", len(data), ErrShort)
	}
	v := binary.BigEndian.Uint16(data)
	return Fragment{Offset: int(v &^ 7), More: v&1 != 0, ID: binary.BigEndian.Uint32(data[2:])}, nil
}

// Append appends the whole 8-byte fragment header.
func (f Fragment) Append(b []byte, next uint8) []byte {
	v := uint16(f.Offset) &^ 7
	if f.More {
		v |= 1
	}
	b = append(b, next, 0)
	b = binary.BigEndian.AppendUint16(b, v)
	return binary.BigEndian.AppendUint32(b, f.ID)
}

// Transport walks the extension headers of a packet and returns the protocol
// of the first other header and where it starts. A fragment that is not the
// first has no such header: the walk ends at its fragment header. The packet
// may be the beginning of a longer one; the payload length is not checked.
func Transport(packet []byte) (proto uint8, offset int, err error) {
	if len(packet) < HeaderLen {
		return 0, 0, decodeError("IPv6 header", len(packet), ErrShort)
	}
	if packet[0]>>4 != 6 {
		return 0, 0, decodeError("IPv6 header", 0, ErrVersion)
	}
	proto, offset = packet[6], HeaderLen
	for IsExtension(proto) {
		e, rest, err := DecodeExt(proto, packet[offset:])
		if err != nil {
			return 0, 0, decodeError("extension header", offset, ErrShort)
		}
		if proto == ProtoFragment && binary.BigEndian.Uint16(e.Data)>>3 != 0 {
			return proto, offset, nil
		}
		proto, offset = e.Next, len(packet)-len(rest)
	}
	return proto, offset, nil
}
