package tls

import (
	"encoding/binary"
	"fmt"

	"gatewayd/eap"
)

// Specification constants: the flags octet (RFC 5216 Section 3.1).
const (
	flagLength = 0x80 // a 4-octet length of the whole message follows
	flagMore   = 0x40 // not the last fragment
	flagStart  = 0x20

	lengthLen = 4
)

// Implementation constants.
const (
	// maxMessage bounds the reassembly of one TLS flight. A certificate chain
	// is a few kilobytes.
	maxMessage = 64 << 10
	// minMTU leaves a fragment some room beside its header.
	minMTU = 64
)

// sender cuts a message into fragments.
type sender struct {
	mtu  int
	rest []byte
	more bool // in the midst of a message
}

// load takes the message to be sent. An empty one is a single, empty packet.
func (s *sender) load(message []byte) { s.rest, s.more = message, false }

// pending reports whether an acknowledgement is due before more is sent.
func (s *sender) pending() bool { return s.more }

// next is the data of the next packet.
func (s *sender) next() []byte {
	room := s.mtu - eap.MethodHeaderLen - 1
	flags := byte(0)
	b := make([]byte, 1, 1+min(room, lengthLen+len(s.rest)))
	if !s.more && len(s.rest) > room {
		flags |= flagLength
		b = binary.BigEndian.AppendUint32(b, uint32(len(s.rest)))
		room -= lengthLen
	}
	n := min(room, len(s.rest))
	b = append(b, s.rest[:n]...)
	s.rest = s.rest[n:]
	if s.more = len(s.rest) > 0; s.more {
		flags |= flagMore
	}
	b[0] = flags
	return b
}

// receiver puts fragments together.
type receiver struct {
	b     []byte
	total int // as announced, -1: not
	busy  bool
}

// packet is one packet's data, taken apart.
type packet struct {
	start bool
	more  bool
	total int // -1: none
	data  []byte
}

// empty reports whether p acknowledges and nothing else.
func (p packet) empty() bool { return !p.start && !p.more && len(p.data) == 0 }

func parse(b []byte) (packet, error) {
	if len(b) == 0 {
		return packet{}, fmt.Errorf("%w: no flags", ErrFragment)
	}
	// The lower bits are a version in other methods of this family, and
	// reserved here: ignored.
	p := packet{start: b[0]&flagStart != 0, more: b[0]&flagMore != 0, total: -1, data: b[1:]}
	if b[0]&flagLength == 0 {
		return p, nil
	}
	if len(p.data) < lengthLen {
		return packet{}, fmt.Errorf("%w: length cut short", ErrFragment)
	}
	n := binary.BigEndian.Uint32(p.data)
	if n > maxMessage {
		return packet{}, fmt.Errorf("%w: %d octets announced, at most %d are taken", ErrTooLong, n, maxMessage)
	}
	p.total, p.data = int(n), p.data[lengthLen:]
	return p, nil
}

// add takes a fragment. When it was the last, message is the whole, valid
// until the next call; it may be empty.
func (r *receiver) add(p packet) (message []byte, done bool, err error) {
	if !r.busy {
		r.b, r.total, r.busy = r.b[:0], -1, true
	}
	if p.total >= 0 {
		if r.total >= 0 && p.total != r.total {
			return nil, false, fmt.Errorf("%w: length %d after %d", ErrFragment, p.total, r.total)
		}
		r.total = p.total
	}
	limit := maxMessage
	if r.total >= 0 {
		limit = r.total
	}
	if n := len(r.b) + len(p.data); n > limit {
		if r.total >= 0 {
			return nil, false, fmt.Errorf("%w: more than the %d octets announced", ErrFragment, r.total)
		}
		return nil, false, fmt.Errorf("%w: more than %d octets", ErrTooLong, maxMessage)
	}
	r.b = append(r.b, p.data...)
	if p.more {
		if len(p.data) == 0 {
			return nil, false, fmt.Errorf("%w: empty, with more to come", ErrFragment)
		}
		return nil, false, nil
	}
	if r.total >= 0 && len(r.b) != r.total {
		return nil, false, fmt.Errorf("%w: %d octets of the %d announced", ErrFragment, len(r.b), r.total)
	}
	r.busy = false
	return r.b, true, nil
}
