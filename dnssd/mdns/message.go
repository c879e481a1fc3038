package mdns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// A Question is one (RFC 1035 Section 4.1.2).
type Question struct {
	Name    Name
	Type    uint16
	Class   uint16 // without the topmost bit
	Unicast bool   // that bit: a unicast answer is wanted (RFC 6762 Section 5.4)
}

// A Message is a packet of DNS.
type Message struct {
	ID            uint16
	Response      bool
	Opcode        uint8
	Authoritative bool
	Truncated     bool // more known answers follow (RFC 6762 Section 7.2)
	Rcode         uint8
	Questions     []Question
	Answers       []Record
	Authorities   []Record
	Additionals   []Record
}

// Specification constants.
const (
	headerLen = 12
	topBit    = 0x8000 // of a class
	// maxPacket is RFC 6762 Section 17's limit, with headers.
	maxPacket = 9000

	flagResponse      = 0x8000
	flagAuthoritative = 0x0400
	flagTruncated     = 0x0200
)

// Errors within a DecodeError.
var (
	ErrShort   = errors.New("ends early")
	ErrLong    = errors.New("longer than 9000 bytes")
	ErrPointer = errors.New("compression does not lead backwards")
	ErrData    = errors.New("data does not fit its type")
)

// A DecodeError says where in the input a message stopped making sense.
type DecodeError struct {
	What   string // the element being read, "question"
	Offset int    // byte offset into the message
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("mdns: %s at byte %d: %v", e.What, e.Offset, e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }

// DecodeMessage reads a packet. Bytes after the last record are ignored.
func DecodeMessage(b []byte) (m Message, err error) {
	d := decoder{b: b}
	switch {
	case len(b) < headerLen:
		return m, &DecodeError{"header", 0, ErrShort}
	case len(b) > maxPacket:
		return m, &DecodeError{"message", maxPacket, ErrLong}
	}
	flags := binary.BigEndian.Uint16(b[2:])
	m.ID = binary.BigEndian.Uint16(b)
	m.Response = flags&flagResponse != 0
	m.Opcode = uint8(flags >> 11 & 15)
	m.Authoritative = flags&flagAuthoritative != 0
	m.Truncated = flags&flagTruncated != 0
	m.Rcode = uint8(flags & 15)
	d.off = headerLen
	for range binary.BigEndian.Uint16(b[4:]) {
		m.Questions = append(m.Questions, d.question())
		if d.err != nil {
			return Message{}, d.err
		}
	}
	for i, to := range []*[]Record{&m.Answers, &m.Authorities, &m.Additionals} {
		for range binary.BigEndian.Uint16(b[6+2*i:]) {
			*to = append(*to, d.record())
			if d.err != nil {
				return Message{}, d.err
			}
		}
	}
	return m, nil
}

// decoder reads on until its first error.
type decoder struct {
	b   []byte
	off int
	err error
}

func (d *decoder) fail(what string, at int, err error) {
	if d.err == nil {
		d.err = &DecodeError{what, at, err}
	}
}

// take is the next n bytes.
func (d *decoder) take(what string, n int) []byte {
	if d.err != nil || len(d.b)-d.off < n {
		d.fail(what, d.off, ErrShort)
		return make([]byte, n)
	}
	d.off += n
	return d.b[d.off-n : d.off]
}

// name reads a name, which may end in a pointer back (RFC 1035 Section 4.1.4).
// Each pointer must lead to before what has been read of the name: there are
// no loops.
func (d *decoder) name() Name {
	if d.err != nil {
		return ""
	}
	var out []byte
	at, floor, end := d.off, d.off, -1
	for {
		if at >= len(d.b) {
			d.fail("name", at, ErrShort)
			return ""
		}
		switch c := int(d.b[at]); {
		case c == 0:
			if end < 0 {
				end = at + 1
			}
			d.off = end
			if len(out)+1 > maxName {
				d.fail("name", at, ErrName)
				return ""
			}
			return Name(append(out, 0))
		case c <= maxLabel:
			if at+1+c > len(d.b) {
				d.fail("label", at, ErrShort)
				return ""
			}
			out = append(out, d.b[at:at+1+c]...)
			if len(out)+1 > maxName {
				d.fail("name", at, ErrName)
				return ""
			}
			at += 1 + c
		case c >= 0xc0:
			if at+2 > len(d.b) {
				d.fail("name", at, ErrShort)
				return ""
			}
			to := (c&0x3f)<<8 | int(d.b[at+1])
			if to >= floor || to < headerLen {
				d.fail("name", at, ErrPointer)
				return ""
			}
			if end < 0 {
				end = at + 2
			}
			at, floor = to, to
		default:
			d.fail("label", at, ErrLabel)
			return ""
		}
	}
}

func (d *decoder) question() (q Question) {
	q.Name = d.name()
	b := d.take("question", 4)
	q.Type = binary.BigEndian.Uint16(b)
	q.Class = binary.BigEndian.Uint16(b[2:])
	q.Unicast = q.Class&topBit != 0
	q.Class &^= topBit
	return q
}

func (d *decoder) record() (r Record) {
	r.Name = d.name()
	b := d.take("record", 10)
	r.Type = binary.BigEndian.Uint16(b)
	r.Class = binary.BigEndian.Uint16(b[2:])
	r.TTL = time.Duration(binary.BigEndian.Uint32(b[4:])) * time.Second
	n := int(binary.BigEndian.Uint16(b[8:]))
	if r.Type != TypeOPT { // whose class is a size (RFC 6891 Section 6.1.2)
		r.Flush = r.Class&topBit != 0
		r.Class &^= topBit
	}
	if d.err == nil && len(d.b)-d.off < n {
		d.fail("data", d.off, ErrShort)
	}
	if d.err == nil {
		r.Data = d.data(r.Type, n)
	}
	return r
}

// data reads n bytes, which are there, of a type's data.
func (d *decoder) data(typ uint16, n int) string {
	start, end := d.off, d.off+n
	bad := func() string {
		d.fail("data of "+typeName(typ), start, ErrData)
		return ""
	}
	l, names := layouts[typ]
	switch {
	case typ == TypeA && n != 4, typ == TypeAAAA && n != 16:
		return bad()
	case typ == TypeTXT:
		return d.txt(n)
	case !names:
		return string(d.take("data", n))
	case n < l.before:
		return bad()
	}
	out := append([]byte(nil), d.take("data", l.before)...)
	for range l.names {
		out = append(out, d.name()...)
	}
	if d.err != nil {
		return ""
	}
	// Only these two have something after their names.
	if d.off > end || d.off < end && typ != TypeSOA && typ != TypeNSEC {
		return bad()
	}
	return string(append(out, d.take("data", end-d.off)...))
}

// txt reads strings. None at all stands for one empty one (RFC 6763
// Section 6.1).
func (d *decoder) txt(n int) string {
	at := d.off
	b := d.take("data", n)
	if n == 0 {
		return "\x00"
	}
	if !validTXT(b) {
		d.fail("data of TXT", at, ErrData)
		return ""
	}
	return string(b)
}

// validTXT reports whether b is one or more strings with their lengths.
func validTXT(b []byte) bool {
	i := 0
	for i < len(b) {
		i += 1 + int(b[i])
	}
	return i == len(b) && i > 0
}
