package ipv6

import (
	"encoding/binary"
	"net/netip"
)

// UDPHeaderLen is the size of the UDP header in bytes.
const UDPHeaderLen = 8

// UDP is the UDP header (RFC 768).
type UDP struct {
	SrcPort, DstPort uint16
	Length           uint16 // header and payload, bytes
	Checksum         uint16
}

// DecodeUDP reads the header at the start of b. Bytes beyond the UDP length
// are cut off the payload; a length below 8 or beyond b is an error. The
// checksum is left to VerifyChecksum.
func DecodeUDP(b []byte) (u UDP, payload []byte, err error) {
	if len(b) < UDPHeaderLen {
		return UDP{}, nil, decodeError("UDP header", len(b), ErrShort)
	}
	u = UDP{
		SrcPort:  binary.BigEndian.Uint16(b),
		DstPort:  binary.BigEndian.Uint16(b[2:]),
		Length:   binary.BigEndian.Uint16(b[4:]),
		Checksum: binary.BigEndian.Uint16(b[6:]),
	}
	n := int(u.Length)
	if n < UDPHeaderLen {
		return UDP{}, nil, decodeError("UDP length", 4, ErrLength)
	}
	if n > len(b) {
		return UDP{}, nil, decodeError("UDP payload", len(b), ErrShort)
	}
	return u, b[UDPHeaderLen:n:n], nil
}

// AppendUDP appends a UDP datagram with its checksum. payload is at most
// 65527 bytes.
func AppendUDP(b []byte, src, dst netip.Addr, srcPort, dstPort uint16, payload []byte) []byte {
	start := len(b)
	b = binary.BigEndian.AppendUint16(b, srcPort)
	b = binary.BigEndian.AppendUint16(b, dstPort)
	b = binary.BigEndian.AppendUint16(b, uint16(UDPHeaderLen+len(payload)))
	b = append(b, 0, 0)
	b = append(b, payload...)
	binary.BigEndian.PutUint16(b[start+6:], Checksum(src, dst, ProtoUDP, b[start:]))
	return b
}

// AppendUDPPacket appends a whole IPv6 datagram. Of h the addresses, hop
// limit, traffic class and flow label count; lengths and next header are set.
func AppendUDPPacket(b []byte, h Header, srcPort, dstPort uint16, payload []byte) []byte {
	h.NextHeader = ProtoUDP
	h.PayloadLen = uint16(UDPHeaderLen + len(payload))
	return AppendUDP(h.Append(b), h.Src, h.Dst, srcPort, dstPort, payload)
}
