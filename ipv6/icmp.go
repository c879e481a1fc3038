package ipv6

import (
	"encoding/binary"
	"net/netip"
)

// ICMPv6 types (RFC 4443 Sections 3 and 4, RFC 4861 Section 4). Types below
// 128 are errors.
const (
	ICMPDstUnreachable   uint8 = 1
	ICMPPacketTooBig     uint8 = 2
	ICMPTimeExceeded     uint8 = 3
	ICMPParameterProblem uint8 = 4
	ICMPEchoRequest      uint8 = 128
	ICMPEchoReply        uint8 = 129
	ICMPRouterSolicit    uint8 = 133
	ICMPRouterAdvert     uint8 = 134
	ICMPNeighborSolicit  uint8 = 135
	ICMPNeighborAdvert   uint8 = 136
)

// Codes of Destination Unreachable (RFC 4443 Section 3.1).
const (
	UnreachNoRoute    uint8 = 0
	UnreachProhibited uint8 = 1
	UnreachScope      uint8 = 2
	UnreachAddress    uint8 = 3
	UnreachPort       uint8 = 4
)

// Codes of Time Exceeded and Parameter Problem (RFC 4443 Sections 3.3, 3.4).
const (
	ExceededHopLimit   uint8 = 0
	ExceededReassembly uint8 = 1
	ProblemHeader      uint8 = 0
	ProblemNextHeader  uint8 = 1
	ProblemOption      uint8 = 2
)

// ICMPHeaderLen is the size of type, code and checksum in bytes.
const ICMPHeaderLen = 4

// ICMP is an ICMPv6 message (RFC 4443 Section 2.1).
type ICMP struct {
	Type, Code uint8
	Checksum   uint16
	Body       []byte // everything after the checksum
}

// IsError reports whether the message is an error, which must not be
// answered by another (RFC 4443 Section 2.4).
func (m ICMP) IsError() bool { return m.Type < 128 }

// DecodeICMP reads an ICMPv6 message. The checksum is left to VerifyChecksum.
func DecodeICMP(b []byte) (ICMP, error) {
	if len(b) < ICMPHeaderLen {
		return ICMP{}, decodeError("ICMPv6 header", len(b), ErrShort)
	}
	return ICMP{Type: b[0], Code: b[1], Checksum: binary.BigEndian.Uint16(b[2:]), Body: b[ICMPHeaderLen:]}, nil
}

// AppendICMP appends an ICMPv6 message with its checksum.
func AppendICMP(b []byte, src, dst netip.Addr, typ, code uint8, body []byte) []byte {
	start := len(b)
	b = append(b, typ, code, 0, 0)
	b = append(b, body...)
	binary.BigEndian.PutUint16(b[start+2:], Checksum(src, dst, ProtoICMPv6, b[start:]))
	return b
}

// AppendICMPPacket appends a whole IPv6 datagram. Of h the addresses, hop
// limit, traffic class and flow label count; lengths and next header are set.
func AppendICMPPacket(b []byte, h Header, typ, code uint8, body []byte) []byte {
	h.NextHeader = ProtoICMPv6
	h.PayloadLen = uint16(ICMPHeaderLen + len(body))
	return AppendICMP(h.Append(b), h.Src, h.Dst, typ, code, body)
}

// Echo is the body of an echo request or reply (RFC 4443 Sections 4.1, 4.2).
type Echo struct {
	ID, Seq uint16
	Data    []byte
}

// DecodeEcho reads the body of an echo message.
func DecodeEcho(body []byte) (Echo, error) {
	if len(body) < 4 {
		return Echo{}, decodeError("ICMPv6 echo", len(body), ErrShort)
	}
	return Echo{ID: binary.BigEndian.Uint16(body), Seq: binary.BigEndian.Uint16(body[2:]), Data: body[4:]}, nil
}

// Append appends the body of an echo message.
func (e Echo) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, e.ID)
	b = binary.BigEndian.AppendUint16(b, e.Seq)
	return append(b, e.Data...)
}

// ErrorBody is the body of an ICMPv6 error (RFC 4443 Section 3).
type ErrorBody struct {
	Param    uint32 // the MTU of Packet Too Big, the pointer of Parameter Problem, else zero
	Invoking []byte // the packet that caused it, as much as fits
}

// DecodeErrorBody reads the body of an ICMPv6 error.
func DecodeErrorBody(body []byte) (ErrorBody, error) {
	if len(body) < 4 {
		return ErrorBody{}, decodeError("ICMPv6 error", len(body), ErrShort)
	}
	return ErrorBody{Param: binary.BigEndian.Uint32(body), Invoking: body[4:]}, nil
}

// Append appends the body of an error. The invoking packet is cut so that the
// whole datagram stays within the minimum MTU (RFC 4443 Section 2.4 (c)).
func (e ErrorBody) Append(b []byte) []byte {
	const room = MinMTU - HeaderLen - ICMPHeaderLen - 4
	b = binary.BigEndian.AppendUint32(b, e.Param)
	return append(b, e.Invoking[:min(len(e.Invoking), room)]...)
}
