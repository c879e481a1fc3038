package ipv6

import (
	"encoding/binary"
	"net/netip"
)

// HeaderLen is the size of the fixed header in bytes.
const HeaderLen = 40

// MinMTU is the packet size every IPv6 link carries (RFC 8200 Section 5), and
// the MTU of a 6LoWPAN link (RFC 4944 Section 4).
const MinMTU = 1280

// Protocol numbers of the next header field (IANA, RFC 8200).
const (
	ProtoHopByHop uint8 = 0
	ProtoTCP      uint8 = 6
	ProtoUDP      uint8 = 17
	ProtoIPv6     uint8 = 41
	ProtoRouting  uint8 = 43
	ProtoFragment uint8 = 44
	ProtoICMPv6   uint8 = 58
	ProtoNoNext   uint8 = 59
	ProtoDstOpts  uint8 = 60
	ProtoMobility uint8 = 135
)

// Values of the ECN field, the low two bits of the traffic class (RFC 3168
// Section 5).
const (
	ECNNotCapable uint8 = 0
	ECNCapable1   uint8 = 1
	ECNCapable0   uint8 = 2
	ECNMarked     uint8 = 3
)

// Header is the fixed IPv6 header (RFC 8200 Section 3).
//
//	0                   1                   2                   3
//	+-------+---------------+---------------------------------------+
//	|   6   | traffic class |              flow label               |
//	+-------+---------------+-------+---------------+---------------+
//	|        payload length         |  next header  |   hop limit   |
//	+-------------------------------+---------------+---------------+
//	|                       source, destination                     |
type Header struct {
	TrafficClass uint8
	FlowLabel    uint32 // 20 bits
	PayloadLen   uint16 // bytes after this header
	NextHeader   uint8
	HopLimit     uint8
	Src, Dst     netip.Addr
}

// DecodeHeader reads the header at the start of b and returns what it says is
// the payload: bytes beyond the payload length, which a link may have padded
// with, are cut off; fewer bytes are ErrShort.
func DecodeHeader(b []byte) (h Header, payload []byte, err error) {
	if len(b) < HeaderLen {
		return Header{}, nil, decodeError("IPv6 header", len(b), ErrShort)
	}
	if b[0]>>4 != 6 {
		return Header{}, nil, decodeError("IPv6 header", 0, ErrVersion)
	}
	vtf := binary.BigEndian.Uint32(b)
	h = Header{
		TrafficClass: uint8(vtf >> 20),
		FlowLabel:    vtf & 0xfffff,
		PayloadLen:   binary.BigEndian.Uint16(b[4:]),
		NextHeader:   b[6],
		HopLimit:     b[7],
		Src:          netip.AddrFrom16([16]byte(b[8:24])),
		Dst:          netip.AddrFrom16([16]byte(b[24:40])),
	}
	end := HeaderLen + int(h.PayloadLen)
	if len(b) < end {
		return Header{}, nil, decodeError("IPv6 payload", len(b), ErrShort)
	}
	return h, b[HeaderLen:end:end], nil
}

// Append appends the 40 bytes of the header to b. An invalid address is
// written as the unspecified one.
func (h Header) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, 6<<28|uint32(h.TrafficClass)<<20|h.FlowLabel&0xfffff)
	b = binary.BigEndian.AppendUint16(b, h.PayloadLen)
	b = append(b, h.NextHeader, h.HopLimit)
	src, dst := h.Src.As16(), h.Dst.As16()
	b = append(b, src[:]...)
	return append(b, dst[:]...)
}

// ECN returns the congestion bits of the traffic class.
func (h Header) ECN() uint8 { return h.TrafficClass & 3 }

// DSCP returns the upper six bits of the traffic class (RFC 2474).
func (h Header) DSCP() uint8 { return h.TrafficClass >> 2 }

// SetHopLimit overwrites the hop limit of an encoded packet, which no
// checksum covers. packet must hold at least the fixed header.
func SetHopLimit(packet []byte, hops uint8) { packet[7] = hops }

// SetECN overwrites the congestion bits of an encoded packet, which must hold
// at least the fixed header.
func SetECN(packet []byte, ecn uint8) {
	packet[1] = packet[1]&^0x30 | ecn&3<<4
}
