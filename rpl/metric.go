package rpl

import "encoding/binary"

// Types of metric objects (RFC 6551 Section 6.1).
const (
	MetricHopCount uint8 = 3
	MetricETX      uint8 = 7
)

// MetricContainer carries metrics and constraints of a path (RFC 6551 Section
// 2.1).
type MetricContainer struct {
	Metrics []Metric
}

// Metric is one metric or constraint object.
//
//	+---------------+---------+-+-+-+-+-----+-------+---------------+
//	|     Type      |Res Flags|P|C|O|R|  A  | Prec  |    Length     |
//	+---------------+---------+-+-+-+-+-----+-------+---------------+
type Metric struct {
	Type       uint8
	Partial    bool  // P: not all nodes of the path could add to it
	Constraint bool  // C: a constraint, not a metric
	Optional   bool  // O: of a constraint
	Recorded   bool  // R: each hop's value, not the aggregate
	Aggregate  uint8 // A: 0 sum, 1 maximum, 2 minimum, 3 product
	Precedence uint8 // 0 to 15, low first
	Body       []byte
}

// ETX returns the metric's value in 1/128 transmissions: the last entry of an
// ETX object (RFC 6551 Section 4.3.2).
func (m Metric) ETX() (uint16, bool) {
	if m.Type != MetricETX || len(m.Body) < 2 {
		return 0, false
	}
	return binary.BigEndian.Uint16(m.Body[len(m.Body)&^1-2:]), true
}

// HopCount returns the hops of a hop count object (RFC 6551 Section 3.3).
func (m Metric) HopCount() (uint8, bool) {
	if m.Type != MetricHopCount || len(m.Body) < 2 {
		return 0, false
	}
	return m.Body[1], true
}

// ETXMetric is an aggregated ETX in 1/128 transmissions.
func ETXMetric(etx uint16) Metric {
	return Metric{Type: MetricETX, Body: binary.BigEndian.AppendUint16(nil, etx)}
}

// HopCountMetric is an aggregated hop count.
func HopCountMetric(hops uint8) Metric {
	return Metric{Type: MetricHopCount, Body: []byte{0, hops}}
}

// Append appends the container with its type and length. The objects take at
// most 255 bytes.
func (o MetricContainer) Append(b []byte) []byte {
	at := len(b) + 1
	b = append(b, OptMetricContainer, 0)
	for _, m := range o.Metrics {
		b = append(b, m.Type,
			flag(m.Partial, 4)|flag(m.Constraint, 2)|flag(m.Optional, 1),
			flag(m.Recorded, 0x80)|m.Aggregate&7<<4|m.Precedence&15,
			uint8(len(m.Body)))
		b = append(b, m.Body...)
	}
	b[at] = uint8(len(b) - at - 1)
	return b
}

func decodeMetrics(d []byte, off int) (o MetricContainer, err error) {
	for at := 0; at < len(d); {
		if len(d) < at+4 {
			return MetricContainer{}, decodeError("metric object header", off+len(d), ErrLength)
		}
		end := at + 4 + int(d[at+3])
		if len(d) < end {
			return MetricContainer{}, decodeError("metric object", off+len(d), ErrLength)
		}
		o.Metrics = append(o.Metrics, Metric{
			Type:       d[at],
			Partial:    d[at+1]&4 != 0,
			Constraint: d[at+1]&2 != 0,
			Optional:   d[at+1]&1 != 0,
			Recorded:   d[at+2]&0x80 != 0,
			Aggregate:  d[at+2] >> 4 & 7,
			Precedence: d[at+2] & 15,
			Body:       d[at+4 : end : end],
		})
		at = end
	}
	return o, nil
}
