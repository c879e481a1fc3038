package linkmetrics

import (
	"fmt"

	"gatewayd/radio"
)

// Types of sub-TLVs.
const (
	subReport       = 0
	subQueryID      = 1
	subQueryOptions = 2
	subForward      = 3
	subStatus       = 5
	subEnhAck       = 7

	extendedLength = 0xff
)

// Status is the answer to a request.
type Status uint8

// The statuses.
const (
	Success       Status = 0
	NoRoom        Status = 1
	Registered    Status = 2 // there is such a series already
	UnknownSeries Status = 3
	NoFrames      Status = 4 // of the series were received
	OtherError    Status = 254
	// NoAnswer is not sent: it stands for the lack of an answer.
	NoAnswer Status = 255
)

func (s Status) String() string {
	switch s {
	case Success:
		return "success"
	case NoRoom:
		return "cannot support new series"
	case Registered:
		return "series id already registered"
	case UnknownSeries:
		return "series id not recognized"
	case NoFrames:
		return "no matching frames received"
	case OtherError:
		return "other error"
	case NoAnswer:
		return "no answer"
	}
	return fmt.Sprintf("status %d", uint8(s))
}

// Series ids with a meaning.
const (
	SingleProbe = 0   // of a query: what its own frames were like
	AllSeries   = 255 // to be removed
)

// each calls f with every sub-TLV; those with an extended length, which none of
// the known ones has, are passed over.
func each(b []byte, f func(typ byte, v []byte, off int) error) error {
	for off := 0; off < len(b); {
		rest := b[off:]
		if len(rest) < 2 {
			return &DecodeError{"sub-TLV", off, ErrShort}
		}
		head, n, typ := 2, int(rest[1]), rest[0]
		if n == extendedLength {
			if len(rest) < 4 {
				return &DecodeError{"sub-TLV", off, ErrShort}
			}
			head, n = 4, int(rest[2])<<8|int(rest[3])
		}
		if len(rest) < head+n {
			return &DecodeError{"sub-TLV", off, ErrShort}
		}
		if head == 2 {
			if err := f(typ, rest[2:2+n:2+n], off+2); err != nil {
				return err
			}
		}
		off += head + n
	}
	return nil
}

// Query is the value of a Link Metrics Query TLV: for what was measured in a
// series, or of Metrics in the query's own frames.
type Query struct {
	Series  uint8
	Metrics radio.Metrics // with SingleProbe
}

// Append appends the value.
func (q Query) Append(b []byte) []byte {
	b = append(b, subQueryID, 1, q.Series)
	if q.Metrics == 0 {
		return b
	}
	list := appendIDs(nil, q.Metrics)
	return append(append(b, subQueryOptions, byte(len(list))), list...)
}

// DecodeQuery reads one.
func DecodeQuery(b []byte) (q Query, err error) {
	found := false
	err = each(b, func(typ byte, v []byte, off int) (err error) {
		switch typ {
		case subQueryID:
			if len(v) < 1 {
				return &DecodeError{"query id", off, ErrShort}
			}
			q.Series, found = v[0], true
		case subQueryOptions:
			q.Metrics, _, err = decodeIDs(v, off)
		}
		return err
	})
	if err == nil && !found {
		err = &DecodeError{"query id", len(b), ErrMissing}
	}
	if err != nil {
		return Query{}, err
	}
	return q, nil
}

// Report is the value of a Link Metrics Report TLV: Values if Status is Success.
type Report struct {
	Status Status
	Values Values
}

// Append appends the value.
func (r *Report) Append(b []byte) []byte {
	if r.Status != Success {
		return AppendStatus(b, r.Status)
	}
	return r.Values.appendReports(b)
}

// DecodeReport reads one: values, or one status that is all there is.
func DecodeReport(b []byte) (r Report, err error) {
	reports, statuses := 0, 0
	err = each(b, func(typ byte, v []byte, off int) error {
		switch typ {
		case subStatus:
			if len(v) < 1 {
				return &DecodeError{"status", off, ErrShort}
			}
			if statuses++; statuses > 1 || reports > 0 {
				return &DecodeError{"status", off, ErrInvalid}
			}
			r.Status = Status(v[0])
		case subReport:
			if reports++; statuses > 0 {
				return &DecodeError{"report", off, ErrInvalid}
			}
			return r.Values.decodeReport(v, off)
		}
		return nil
	})
	if err == nil && reports+statuses == 0 {
		err = &DecodeError{"report or status", len(b), ErrMissing}
	}
	if err != nil {
		return Report{}, err
	}
	return r, nil
}

// Flags are which frames a series is of.
type Flags uint8

// The flags.
const (
	LinkProbes   Flags = 1 << 0 // MLE Link Probes; not counted beside Data
	Data         Flags = 1 << 1 // MAC data frames
	DataRequests Flags = 1 << 2 // MAC data requests
	Acks         Flags = 1 << 3 // acknowledgements
)

// Forward asks for a series; without Flags for its end.
type Forward struct {
	Series  uint8
	Flags   Flags
	Metrics radio.Metrics
}

// EnhAck asks for metrics in enhanced acknowledgements, or for their end.
type EnhAck struct {
	Register bool
	Metrics  radio.Metrics
}

// Request is the value of a Link Metrics Management TLV in a request: one of
// the two.
type Request struct {
	Forward *Forward
	EnhAck  *EnhAck
	// Reserved says that it has metrics that are not known, or flags.
	Reserved bool
}

// Append appends the value.
func (r *Request) Append(b []byte) []byte {
	if f := r.Forward; f != nil {
		list := appendIDs(nil, f.Metrics)
		b = append(b, subForward, byte(2+len(list)), f.Series, byte(f.Flags))
		return append(b, list...)
	}
	list := appendIDs(nil, r.EnhAck.Metrics)
	flag := byte(0)
	if r.EnhAck.Register {
		flag = 1
	}
	return append(append(b, subEnhAck, byte(1+len(list)), flag), list...)
}

// DecodeRequest reads one.
func DecodeRequest(b []byte) (r Request, err error) {
	err = each(b, func(typ byte, v []byte, off int) error {
		n := map[byte]int{subForward: 2, subEnhAck: 1}[typ]
		switch {
		case n == 0:
			return nil
		case r.Forward != nil || r.EnhAck != nil:
			return &DecodeError{"second request", off, ErrInvalid}
		case len(v) < n:
			return &DecodeError{"request", off, ErrShort}
		}
		m, other, err := decodeIDs(v[n:], off+n)
		if err != nil {
			return err
		}
		r.Reserved = other
		if typ == subForward {
			r.Forward = &Forward{Series: v[0], Flags: Flags(v[1]), Metrics: m}
			return nil
		}
		r.EnhAck = &EnhAck{Register: v[0] == 1, Metrics: m}
		r.Reserved = other || v[0] > 1
		return nil
	})
	if err == nil && r.Forward == nil && r.EnhAck == nil {
		err = &DecodeError{"request", len(b), ErrMissing}
	}
	if err != nil {
		return Request{}, err
	}
	return r, nil
}

// AppendStatus appends the value of a Link Metrics Management TLV in a response.
func AppendStatus(b []byte, s Status) []byte { return append(b, subStatus, 1, byte(s)) }

// DecodeStatus reads one.
func DecodeStatus(b []byte) (s Status, err error) {
	found := false
	err = each(b, func(typ byte, v []byte, off int) error {
		switch {
		case typ != subStatus:
			return nil
		case len(v) < 1:
			return &DecodeError{"status", off, ErrShort}
		case found:
			return &DecodeError{"second status", off, ErrInvalid}
		}
		s, found = Status(v[0]), true
		return nil
	})
	if err == nil && !found {
		err = &DecodeError{"status", len(b), ErrMissing}
	}
	return s, err
}
