package dtls

import (
	"encoding/binary"
	"fmt"
)

// Specification constants: handshake messages (RFC 5246 Section 7.4, RFC 6347
// Section 4.2.2).
const (
	helloRequest       = 0
	clientHelloType    = 1
	serverHelloType    = 2
	helloVerifyRequest = 3
	serverKeyExchange  = 12
	serverHelloDone    = 14
	clientKeyExchange  = 16
	finishedType       = 20

	messageHeaderLen = 12
)

// Implementation constants: what a peer can make us keep while it has not
// proved anything. The largest message of the suite is a ClientHello of about
// 500 bytes; a peer has at most four messages in one flight.
const (
	maxMessage = 2048
	maxPending = 4
)

var messageNames = map[uint8]string{
	helloRequest:       "HelloRequest",
	clientHelloType:    "ClientHello",
	serverHelloType:    "ServerHello",
	helloVerifyRequest: "HelloVerifyRequest",
	serverKeyExchange:  "ServerKeyExchange",
	serverHelloDone:    "ServerHelloDone",
	clientKeyExchange:  "ClientKeyExchange",
	finishedType:       "Finished",
}

func messageName(t uint8) string {
	if s, ok := messageNames[t]; ok {
		return s
	}
	return fmt.Sprintf("handshake message %d", t)
}

// A message is a whole handshake message.
type message struct {
	typ  uint8
	seq  uint16
	body []byte
}

// append writes the message in one fragment, the form that goes into the
// transcript however it travelled (RFC 6347 Section 4.2.6).
func (m message) append(b []byte) []byte { return m.appendPart(b, 0, len(m.body)) }

// appendPart writes the fragment of n bytes at off.
func (m message) appendPart(b []byte, off, n int) []byte {
	b = append(b, m.typ)
	b = appendUint24(b, len(m.body))
	b = binary.BigEndian.AppendUint16(b, m.seq)
	b = appendUint24(b, off)
	b = appendUint24(b, n)
	return append(b, m.body[off:off+n]...)
}

func appendUint24(b []byte, v int) []byte {
	return append(b, byte(v>>16), byte(v>>8), byte(v))
}

func uint24(b []byte) int { return int(b[0])<<16 | int(b[1])<<8 | int(b[2]) }

// A fragment is a part of a handshake message, possibly all of it.
type fragment struct {
	typ  uint8
	seq  uint16
	len  int // of the whole message
	off  int
	data []byte
}

func (f fragment) whole() bool { return len(f.data) == f.len }

// nextFragment splits the first fragment off the plain text of a record.
func nextFragment(b []byte) (f fragment, rest []byte, ok bool) {
	if len(b) < messageHeaderLen {
		return fragment{}, nil, false
	}
	f = fragment{typ: b[0], len: uint24(b[1:]), seq: binary.BigEndian.Uint16(b[4:]), off: uint24(b[6:])}
	n := uint24(b[9:])
	b = b[messageHeaderLen:]
	if n > len(b) || f.off+n > f.len || f.len > maxMessage {
		return fragment{}, nil, false
	}
	f.data = b[:n:n]
	return f, b[n:], true
}

// reassembly puts the fragments of up to maxPending messages together and
// hands the messages out in order.
type reassembly struct {
	next  uint16 // message_seq to be handed out next
	slots [maxPending]*partial
}

type partial struct {
	message
	have []uint64 // bit i: byte i is there
	left int
}

// add takes in a fragment. Fragments outside of the window and such that
// contradict an earlier one are dropped; the sender repeats what is missing.
func (r *reassembly) add(f fragment) {
	if f.seq-r.next >= maxPending { // modulo 2^16: also what is behind
		return
	}
	slot := &r.slots[f.seq%maxPending]
	p := *slot
	if p == nil {
		p = &partial{
			message: message{typ: f.typ, seq: f.seq, body: make([]byte, f.len)},
			have:    make([]uint64, (f.len+63)/64),
			left:    f.len,
		}
		*slot = p
	}
	if p.typ != f.typ || len(p.body) != f.len {
		return
	}
	for i, v := range f.data {
		o := f.off + i
		if bit := uint64(1) << (o % 64); p.have[o/64]&bit == 0 {
			p.have[o/64] |= bit
			p.body[o] = v
			p.left--
		}
	}
}

// pop hands out the next message once it is whole.
func (r *reassembly) pop() (message, bool) {
	slot := &r.slots[r.next%maxPending]
	p := *slot
	if p == nil || p.left > 0 {
		return message{}, false
	}
	*slot = nil
	r.next++
	return p.message, true
}

// empty reports whether no fragment is waiting.
func (r *reassembly) empty() bool { return r.slots == [maxPending]*partial{} }
