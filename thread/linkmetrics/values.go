package linkmetrics

import (
	"encoding/binary"
	"errors"
	"fmt"

	"gatewayd/radio"
)

// What can be wrong with received sub-TLVs; a DecodeError wraps one of these.
var (
	ErrShort   = errors.New("too short")
	ErrInvalid = errors.New("invalid value")
	ErrMissing = errors.New("missing")
)

// A DecodeError says where a list of sub-TLVs stopped making sense.
type DecodeError struct {
	What   string
	Offset int
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("linkmetrics: %s at byte %d: %v", e.What, e.Offset, e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }

// Values are what was measured: of those in Metrics.
type Values struct {
	Metrics radio.Metrics
	PDUs    uint32
	LQI     uint8
	Margin  uint8 // dB
	RSSI    int8  // dBm
}

// Type identifiers: what is measured and how it is averaged.
const (
	idPDUs   = 0x40 // a count of 32 bits
	idLQI    = 0x09 // these are exponential moving averages
	idMargin = 0x0a
	idRSSI   = 0x0b

	idExtended = 0x80 // another byte of the identifier follows
	idLong     = 0x40 // the value has 32 bits
)

var ids = [...]struct {
	metric radio.Metrics
	id     byte
}{{radio.MetricPDUs, idPDUs}, {radio.MetricLQI, idLQI}, {radio.MetricMargin, idMargin}, {radio.MetricRSSI, idRSSI}}

// appendIDs appends the type identifiers of metrics.
func appendIDs(b []byte, m radio.Metrics) []byte {
	for _, x := range ids {
		if m&x.metric != 0 {
			b = append(b, x.id)
		}
	}
	return b
}

// decodeIDs reads type identifiers, each of which may be there once. other
// reports whether there were some that are reserved.
func decodeIDs(b []byte, off int) (m radio.Metrics, other bool, err error) {
	for i := 0; i < len(b); i++ {
		var metric radio.Metrics
		for _, x := range ids {
			if x.id == b[i] {
				metric = x.metric
			}
		}
		switch {
		case metric != 0 && m&metric != 0:
			return 0, false, &DecodeError{"type identifier", off + i, fmt.Errorf("%w: %#x twice", ErrInvalid, b[i])}
		case metric != 0:
			m |= metric
		case b[i]&idExtended != 0:
			i++
		default:
			other = true
		}
	}
	return m, other, nil
}

// scale is the number of dB that 8 bits are stretched over.
const scale = 130

// stretch maps 0 to 130 dB to 0 to 255, to the closest.
func stretch(dB int) byte { return byte((min(max(dB, 0), scale)*255 + scale/2) / scale) }

func shrink(v byte) int { return (int(v)*scale + 127) / 255 }

// shrinkRSSI is the RSSI in dBm, which has 8 bits: two steps fewer.
func shrinkRSSI(v byte) int8 { return int8(max(shrink(v)-scale, -128)) }

// appendReports appends a Report sub-TLV for each value.
func (v *Values) appendReports(b []byte) []byte {
	for _, x := range ids {
		if v.Metrics&x.metric == 0 {
			continue
		}
		switch x.id {
		case idPDUs:
			b = binary.BigEndian.AppendUint32(append(b, subReport, 5, x.id), v.PDUs)
		case idLQI:
			b = append(b, subReport, 2, x.id, v.LQI)
		case idMargin:
			b = append(b, subReport, 2, x.id, stretch(int(v.Margin)))
		default:
			b = append(b, subReport, 2, x.id, stretch(int(v.RSSI)+scale))
		}
	}
	return b
}

// decodeReport reads the value of one Report sub-TLV. Metrics that are not
// known are passed over.
func (v *Values) decodeReport(b []byte, off int) error {
	if len(b) < 2 || b[0]&(idExtended|idLong) == idLong && len(b) < 5 {
		return &DecodeError{"report", off, ErrShort}
	}
	for _, x := range ids {
		if x.id == b[0] {
			v.Metrics |= x.metric
		}
	}
	switch b[0] {
	case idPDUs:
		v.PDUs = binary.BigEndian.Uint32(b[1:])
	case idLQI:
		v.LQI = b[1]
	case idMargin:
		v.Margin = uint8(shrink(b[1]))
	case idRSSI:
		v.RSSI = shrinkRSSI(b[1])
	}
	return nil
}

// enhAckProbing is the subtype of Thread's vendor element with metrics.
const enhAckProbing = 0

// DecodeElement reads the content of Thread's vendor element behind its OUI:
// the metrics m, in the order LQI, margin, RSSI. It is false if that is no such
// element, or not of these metrics.
func DecodeElement(b []byte, m radio.Metrics) (Values, bool) {
	v := Values{Metrics: m &^ radio.MetricPDUs}
	if len(b) == 0 || b[0] != enhAckProbing {
		return Values{}, false
	}
	b = b[1:]
	for _, x := range ids[1:] {
		if m&x.metric == 0 {
			continue
		}
		if len(b) == 0 {
			return Values{}, false
		}
		switch x.id {
		case idLQI:
			v.LQI = b[0]
		case idMargin:
			v.Margin = uint8(shrink(b[0]))
		case idRSSI:
			v.RSSI = shrinkRSSI(b[0])
		}
		b = b[1:]
	}
	return v, true
}
