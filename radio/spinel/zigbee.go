package spinel

import "bytes"

// hasASH looks for a frame of ASH, the framing of EZSP (Silicon Labs UG101):
// flag 7e, escape 7d, CRC-16 with its most significant byte first. 1a cancels
// what came before it.
func hasASH(b []byte) bool {
	for frame := range bytes.SplitSeq(b, []byte{0x7e}) {
		if i := bytes.LastIndexByte(frame, 0x1a); i >= 0 {
			frame = frame[i+1:]
		}
		raw := unescape(frame, 0x7d, 0x20)
		n := len(raw) - 2
		if n >= 1 && crc16(0xffff, raw[:n]) == uint16(raw[n])<<8|uint16(raw[n+1]) {
			return true
		}
	}
	return false
}

// unescape takes out escapes, each of which says that the next byte has been
// changed by an exclusive or.
func unescape(b []byte, escape, change byte) (raw []byte) {
	escaped := false
	for _, c := range b {
		switch {
		case escaped:
			raw, escaped = append(raw, c^change), false
		case c == escape:
			escaped = true
		default:
			raw = append(raw, c)
		}
	}
	return raw
}

// hasCPC looks for a CPC header: flag 14, address, length, control, and the
// CRC-16 of these, least significant byte first.
func hasCPC(b []byte) bool {
	for i := range b {
		h := b[i:]
		if len(h) < 7 {
			return false
		}
		if h[0] == 0x14 && crc16(0, h[:5]) == uint16(h[5])|uint16(h[6])<<8 {
			return true
		}
	}
	return false
}

// crc16 is the CRC with polynomial 0x1021, most significant bit first.
func crc16(sum uint16, b []byte) uint16 {
	for _, c := range b {
		sum ^= uint16(c) << 8
		for range 8 {
			if sum&0x8000 != 0 {
				sum = sum<<1 ^ 0x1021
			} else {
				sum <<= 1
			}
		}
	}
	return sum
}

// hasZNP looks for a frame of TI's monitor-and-test interface: fe, length, two
// bytes of command, data, and the exclusive or of all but fe.
func hasZNP(b []byte) bool {
	for i, c := range b {
		if c != 0xfe || len(b)-i < 5 {
			continue
		}
		body := b[i+1:]
		end := 3 + int(body[0])
		if end < len(body) && xor(body[:end]) == body[end] {
			return true
		}
	}
	return false
}

func xor(b []byte) (sum byte) {
	for _, c := range b {
		sum ^= c
	}
	return sum
}

// hasDeconz looks for a frame of dresden elektronik's serial protocol, in SLIP
// (RFC 1055): command, sequence number, status, the length of all but the
// checksum, least significant byte first as is the checksum, which is what
// makes the sum of all bytes zero.
func hasDeconz(b []byte) bool {
	for frame := range bytes.SplitSeq(b, []byte{0xc0}) {
		frame = bytes.ReplaceAll(bytes.ReplaceAll(frame, []byte{0xdb, 0xdc}, []byte{0xc0}), []byte{0xdb, 0xdd}, []byte{0xdb})
		n := len(frame) - 2
		if n < 5 || int(frame[3])|int(frame[4])<<8 != n {
			continue
		}
		var sum uint16
		for _, c := range frame[:n] {
			sum += uint16(c)
		}
		if sum+(uint16(frame[n])|uint16(frame[n+1])<<8) == 0 {
			return true
		}
	}
	return false
}

// hasZiGate looks for a frame of ZiGate's: 01, type and length, the exclusive
// or of all but this, data, 03; what is below 10 is escaped by 02.
func hasZiGate(b []byte) bool {
	for i, c := range b {
		end := bytes.IndexByte(b[i:], 0x03)
		if c != 0x01 || end < 0 {
			continue
		}
		raw := unescape(b[i+1:i+end], 0x02, 0x10)
		if len(raw) >= 5 && int(raw[2])<<8|int(raw[3]) == len(raw)-5 && xor(raw) == 0 {
			return true
		}
	}
	return false
}
