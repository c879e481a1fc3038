package srp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"gatewayd/dnssd"
)

// What can be wrong with bytes.
var (
	ErrShort   = errors.New("ends too early")
	ErrName    = errors.New("not a valid name")
	ErrLabel   = errors.New("a label that is not text")
	ErrRData   = errors.New("data of the wrong length")
	ErrSurplus = errors.New("bytes after the last record")
)

// A DecodeError says where in a message it stopped making sense.
type DecodeError struct {
	What   string // the element being read
	Offset int
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("srp: %s at byte %d: %v", e.What, e.Offset, e.Err)
}

func (e *DecodeError) Unwrap() error { return e.Err }

// Numbers of DNS (RFC 1035, RFC 2136, RFC 2535, RFC 6891).
const (
	headerLen = 12

	flagResponse = 0x8000
	opcodeMask   = 0x7800
	opcodeUpdate = 5 << 11

	typeA    = 1
	typeSOA  = 6
	typePTR  = 12
	typeTXT  = 16
	typeSIG  = 24
	typeKEY  = 25
	typeAAAA = 28
	typeSRV  = 33
	typeOPT  = 41
	typeANY  = 255

	classIN   = 1
	classNONE = 254
	classANY  = 255
)

// header is the header of an update (RFC 2136 Section 2.2).
type header struct {
	id, flags                                 uint16
	zones, prerequisites, updates, additional uint16
}

func decodeHeader(b []byte) (h header, err error) {
	if len(b) < headerLen {
		return h, &DecodeError{"header", 0, ErrShort}
	}
	at := func(i int) uint16 { return binary.BigEndian.Uint16(b[2*i:]) }
	return header{at(0), at(1), at(2), at(3), at(4), at(5)}, nil
}

// record is a resource record. Its data aliases the message.
type record struct {
	name       []string
	typ, class uint16
	ttl        uint32
	data       []byte
	start      int // of the record in the message
	dataStart  int
}

// reader takes a message apart, from left to right.
type reader struct {
	msg []byte
	off int
}

func (r *reader) fail(what string, err error) error { return &DecodeError{what, r.off, err} }

func (r *reader) uint16() (uint16, error) {
	if len(r.msg)-r.off < 2 {
		return 0, r.fail("number", ErrShort)
	}
	v := binary.BigEndian.Uint16(r.msg[r.off:])
	r.off += 2
	return v, nil
}

// question reads a name, type and class, which is what the zone section has.
func (r *reader) question() (name []string, typ, class uint16, err error) {
	if name, err = r.name(); err != nil {
		return
	}
	if typ, err = r.uint16(); err != nil {
		return
	}
	class, err = r.uint16()
	return
}

func (r *reader) record() (rec record, err error) {
	rec.start = r.off
	if rec.name, rec.typ, rec.class, err = r.question(); err != nil {
		return rec, err
	}
	if len(r.msg)-r.off < 6 {
		return rec, r.fail("record", ErrShort)
	}
	rec.ttl = binary.BigEndian.Uint32(r.msg[r.off:])
	n := int(binary.BigEndian.Uint16(r.msg[r.off+4:]))
	r.off += 6
	rec.dataStart = r.off
	if len(r.msg)-r.off < n {
		return rec, r.fail("record", ErrShort)
	}
	rec.data = r.msg[r.off : r.off+n]
	r.off += n
	return rec, nil
}

// name reads a name, which may be compressed (RFC 1035 Section 4.1.4), and goes
// on behind it.
func (r *reader) name() ([]string, error) {
	labels, next, err := decodeName(r.msg, r.off)
	r.off = next
	return labels, err
}

// nameIn reads a name that begins in rec's data, skip bytes into it, and
// returns how many bytes of the data it and what is skipped take.
func (r *reader) nameIn(rec record, skip int) (labels []string, n int, err error) {
	if len(rec.data) < skip {
		return nil, 0, &DecodeError{"record", rec.dataStart, ErrRData}
	}
	// Reading stops where the data does: a name that crosses its end is cut.
	end := rec.dataStart + len(rec.data)
	labels, next, err := decodeName(r.msg[:end], rec.dataStart+skip)
	return labels, next - rec.dataStart, err
}

// decodeName returns the labels of the name at an offset, and where it ends.
func decodeName(msg []byte, off int) (labels []string, next int, err error) {
	fail := func(at int, err error) ([]string, int, error) {
		return nil, off, &DecodeError{"name", at, err}
	}
	size := 1
	for at, limit, jumped := off, off, false; ; {
		if at >= len(msg) {
			return fail(at, ErrShort)
		}
		c := int(msg[at])
		switch {
		case c == 0:
			if !jumped {
				next = at + 1
			}
			return labels, next, nil
		case c&0xc0 == 0xc0:
			if at+1 >= len(msg) {
				return fail(at, ErrShort)
			}
			to := c&0x3f<<8 | int(msg[at+1])
			// Only ever further back, so that reading ends.
			if to >= limit || to < headerLen {
				return fail(at, ErrName)
			}
			if !jumped {
				next, jumped = at+2, true
			}
			at, limit = to, to
		case c > dnssd.MaxLabel:
			return fail(at, ErrName)
		default:
			if at+1+c > len(msg) {
				return fail(at, ErrShort)
			}
			if size += 1 + c; size > dnssd.MaxName {
				return fail(at, ErrName)
			}
			label := string(msg[at+1 : at+1+c])
			if !isText(label) {
				return fail(at, ErrLabel)
			}
			labels = append(labels, label)
			at += 1 + c
		}
	}
}

// isText reports whether a label can be shown to people and kept as a string.
func isText(label string) bool {
	for i := 0; i < len(label); i++ {
		if label[i] < ' ' || label[i] == 0x7f {
			return false
		}
	}
	return utf8.ValidString(label)
}

// appendName appends a name uncompressed.
func appendName(b []byte, labels []string) []byte {
	for _, l := range labels {
		b = append(append(b, byte(len(l))), l...)
	}
	return append(b, 0)
}
