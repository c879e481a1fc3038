package lowpan

import (
	"gatewayd/ieee802154"
	"gatewayd/ipv6"
)

// AppendFirst appends what the first, and perhaps only, frame of a packet
// carries after the MAC and mesh headers, in at most room bytes: the
// compressed headers and as much payload as fits, behind a first fragment
// header with this tag if that is not all of it, or if fragment asks for one
// anyway. next is the offset into packet where the following frame goes on;
// the packet is complete when it equals len(packet). Errors are those of
// Compress.
func AppendFirst(b, packet []byte, src, dst ieee802154.Addr, ctx Contexts, room int, tag uint16, fragment bool) (out []byte, next int, err error) {
	// The headers leave room for the fragment header whether it is needed or
	// not, so that the choice of headers does not depend on the payload.
	start := len(b)
	b, n, err := Compress(b, packet, src, dst, ctx, room-Frag1Len)
	if err != nil {
		return b, 0, err
	}
	left := room - (len(b) - start)
	if !fragment && len(packet)-n <= left {
		return append(b, packet[n:]...), len(packet), nil
	}
	b = append(b, 0, 0, 0, 0)
	copy(b[start+Frag1Len:], b[start:len(b)-Frag1Len])
	AppendFrag1(b[:start], uint16(len(packet)), tag)
	end := n + payloadLen(len(packet)-n, left-Frag1Len)
	return append(b, packet[n:end]...), end, nil
}

// AppendNext appends what a following frame carries, in at most room bytes:
// the fragment header and the packet from offset, which is the next of the
// frame before. A room of less than 13 bytes is ErrSpace.
func AppendNext(b, packet []byte, offset, room int, tag uint16) (out []byte, next int, err error) {
	n := payloadLen(len(packet)-offset, room-FragNLen)
	if n <= 0 {
		return b, offset, ErrSpace
	}
	b = AppendFragN(b, uint16(len(packet)), tag, offset)
	return append(b, packet[offset:offset+n]...), offset + n, nil
}

// payloadLen is how much of left bytes a fragment with room takes: all but
// the last carry a multiple of 8 (RFC 4944 Section 5.3). The headers before
// them in the packet are a multiple of 8 already.
func payloadLen(left, room int) int {
	if left <= room {
		return left
	}
	return max(room, 0) &^ 7
}

// MTU is the largest packet a 6LoWPAN link carries (RFC 4944 Section 4).
const MTU = ipv6.MinMTU
