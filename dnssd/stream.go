package dnssd

import "encoding/binary"

// AppendFrame appends a message as streams carry it, behind its length (RFC
// 1035 Section 4.2.2).
func AppendFrame(b, msg []byte) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(msg))), msg...)
}

// NextFrame takes the first message from what was read of a stream. Without a
// whole one it reports false; more must be read.
func NextFrame(b []byte) (msg, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, b, false
	}
	n := 2 + int(binary.BigEndian.Uint16(b))
	if len(b) < n {
		return nil, b, false
	}
	return b[2:n:n], b[n:], true
}
