package nat64

import "encoding/binary"

const headerLen4 = 20 // an IPv4 header without options

// Flags and fragment offset of an IPv4 header, in the word that holds them (RFC
// 791 Section 3.1).
const (
	flagDF     = 0x4000
	flagMF     = 0x2000
	offsetMask = 0x1fff
)

// Protocol numbers that differ from IPv6's.
const protoICMP4 = 1

// header4 is an IPv4 header without options.
//
//	0                   1                   2                   3
//	+-------+-------+---------------+-------------------------------+
//	|   4   |   5   | service type  |         total length          |
//	+-------+-------+---------------+-------------------------------+
//	|        identification         |flags|     fragment offset     |
//	+---------------+---------------+-------------------------------+
//	| time to live  |   protocol    |        header checksum        |
//	+---------------+---------------+-------------------------------+
//	|                     source, destination                       |
type header4 struct {
	tos      uint8
	id       uint16
	df, more bool
	offset   int // bytes
	ttl      uint8
	proto    uint8
	src, dst uint32
}

func (h *header4) fragment() bool { return h.more || h.offset != 0 }

// decode4 reads a header. The payload is cut to the total length, as a link may
// pad.
func decode4(b []byte) (h header4, payload []byte, r Reason) {
	if len(b) < headerLen4 || b[0]>>4 != 4 {
		return h, nil, Malformed
	}
	hdr, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if hdr < headerLen4 || total < hdr || len(b) < total || foldSum(sum(0, b[:hdr])) != 0xffff {
		return h, nil, Malformed
	}
	h.get(b)
	if hdr != headerLen4 {
		return h, nil, Options
	}
	if n := total - hdr; h.fragment() && (n == 0 || h.more && n%8 != 0 || h.offset+n > 65535-headerLen4) {
		return h, nil, BadFragment
	}
	return h, b[headerLen4:total], Passed
}

// get reads the fields of a header of at least 20 bytes.
func (h *header4) get(b []byte) {
	_ = b[headerLen4-1]
	frag := binary.BigEndian.Uint16(b[6:])
	*h = header4{
		tos: b[1], id: binary.BigEndian.Uint16(b[4:]),
		df: frag&flagDF != 0, more: frag&flagMF != 0, offset: int(frag&offsetMask) * 8,
		ttl: b[8], proto: b[9],
		src: binary.BigEndian.Uint32(b[12:]), dst: binary.BigEndian.Uint32(b[16:]),
	}
}

// append appends the header of a packet with n bytes of payload.
func (h *header4) append(b []byte, n int) []byte {
	frag := uint16(h.offset / 8)
	if h.df {
		frag |= flagDF
	}
	if h.more {
		frag |= flagMF
	}
	at := len(b)
	b = append(b, 0x45, h.tos)
	b = binary.BigEndian.AppendUint16(b, uint16(headerLen4+n))
	b = binary.BigEndian.AppendUint16(b, h.id)
	b = binary.BigEndian.AppendUint16(b, frag)
	b = append(b, h.ttl, h.proto, 0, 0)
	b = binary.BigEndian.AppendUint32(b, h.src)
	b = binary.BigEndian.AppendUint32(b, h.dst)
	binary.BigEndian.PutUint16(b[at+10:], ^foldSum(sum(0, b[at:])))
	return b
}
