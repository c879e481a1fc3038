package pcap

import (
	"encoding/binary"
	"math"
)

// TAP pseudo-header: version, reserved octet, length of header and TLVs
// together, then TLVs padded to 4 octets; all little endian.
const (
	tapHeaderLen = 4

	tapFCSType = 0  // u8
	tapRSS     = 1  // float32, dBm
	tapChannel = 3  // u16 number, u8 page
	tapLQI     = 10 // u8
)

// Values of the FCS type TLV.
const (
	fcsNone = 0
	fcs16   = 1
	fcs32   = 2
)

func (p *Packet) decodeTAP(b []byte) {
	if len(b) < tapHeaderLen || b[0] != 0 {
		return
	}
	n := int(binary.LittleEndian.Uint16(b[2:]))
	if n < tapHeaderLen || n > len(b) {
		return
	}
	fcs := uint8(fcsNone)
	for t := b[tapHeaderLen:n]; len(t) >= 4; {
		typ, size := binary.LittleEndian.Uint16(t), int(binary.LittleEndian.Uint16(t[2:]))
		t = t[4:]
		if size > len(t) {
			return
		}
		v := t[:size]
		t = t[min(size+pad4(size), len(t)):]
		switch {
		case typ == tapFCSType && size >= 1:
			fcs = v[0]
		case typ == tapRSS && size >= 4:
			if dBm := float64(math.Float32frombits(binary.LittleEndian.Uint32(v))); dBm >= math.MinInt8 && dBm <= math.MaxInt8 {
				p.HasRSSI, p.RSSI = true, int8(math.Round(dBm))
			}
		case typ == tapChannel && size >= 3:
			if ch := binary.LittleEndian.Uint16(v); ch <= math.MaxUint8 {
				p.Channel = uint8(ch)
			}
		case typ == tapLQI && size >= 1:
			p.HasLQI, p.LQI = true, v[0]
		}
	}
	p.setPSDU(b[n:], fcs)
}

// appendTAP appends the pseudo-header and the PSDU.
func (p *Packet) appendTAP(b []byte) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0) // version, reserved, and the length, below
	fcs := uint8(fcsNone)
	if p.HasFCS {
		fcs = fcs16
	}
	b = appendTLV(b, tapFCSType, fcs)
	if p.HasRSSI {
		b = appendTLV(b, tapRSS, binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(p.RSSI)))...)
	}
	if p.Channel != 0 {
		b = appendTLV(b, tapChannel, p.Channel, 0, 0)
	}
	if p.HasLQI {
		b = appendTLV(b, tapLQI, p.LQI)
	}
	binary.LittleEndian.PutUint16(b[start+2:], uint16(len(b)-start))
	b = append(b, p.PSDU...)
	if p.HasFCS {
		b = binary.LittleEndian.AppendUint16(b, p.FCS)
	}
	return b
}

func appendTLV(b []byte, typ uint16, v ...byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, typ)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(v)))
	b = append(b, v...)
	return append(b, make([]byte, pad4(len(v)))...)
}

func pad4(n int) int { return -n & 3 }
