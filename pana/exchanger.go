package pana

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"time"
)

// An exchanger numbers one side's requests, repeats the one that is not
// answered, and answers repeated requests of the other side from its memory
// (RFC 5191 Section 5.2).
type exchanger struct {
	request  []byte // waits for its answer; nil if none does
	seq      uint32 // of the last request
	numbered bool   // there was a last request
	peerKnow bool   // the other side has sent a request
	peerSeq  uint32 // its last one
	answer   []byte // to that
	repeat   repeating
}

// next is the sequence number of a new request. The first one is random.
func (e *exchanger) next(random io.Reader) (uint32, error) {
	if e.numbered {
		return e.seq + 1, nil
	}
	return randomUint32(random)
}

// begin remembers a request that is being sent.
func (e *exchanger) begin(b []byte, p *Retransmission, now time.Time, rnd *rand.Rand) {
	e.request = b
	e.seq = binary.BigEndian.Uint32(b[12:])
	e.numbered = true
	e.repeat.begin(p, now, rnd)
}

// answers reports whether m answers the request that waits.
func (e *exchanger) answers(m *Message) bool {
	if e.request == nil || m.request() || m.Seq != e.seq {
		return false
	}
	return Type(binary.BigEndian.Uint16(e.request[6:])) == m.Type &&
		Flags(binary.BigEndian.Uint16(e.request[4:]))&flagsKnown&^(FlagReconfig|FlagRequest) ==
			m.Flags&flagsKnown&^FlagReconfig
}

// done forgets the request, which was answered or given up.
func (e *exchanger) done() {
	e.request = nil
	e.repeat.stop()
}

// received forgets the request of a type whose effect shows that it has
// arrived, though its answer has not.
func (e *exchanger) received(t Type) {
	if e.request != nil && Type(binary.BigEndian.Uint16(e.request[6:])) == t {
		e.done()
	}
}

// fresh reports whether m is the next request of the other side.
func (e *exchanger) fresh(m *Message) bool { return !e.peerKnow || m.Seq == e.peerSeq+1 }

// duplicate reports whether m is the last request of the other side again.
func (e *exchanger) duplicate(m *Message) bool {
	return e.peerKnow && m.Seq == e.peerSeq && e.answer != nil
}

// answered remembers the answer to the request numbered seq.
func (e *exchanger) answered(seq uint32, b []byte) {
	e.peerKnow, e.peerSeq, e.answer = true, seq, b
}

// rekey protects what may have to be repeated with the keys that are valid
// from now on. What cannot be protected again is not repeated.
func (e *exchanger) rekey(sa *SA) {
	if e.request != nil && !sa.reseal(e.request) {
		e.done()
	}
	if e.answer != nil && !sa.reseal(e.answer) {
		e.answer = nil
	}
}

func randomUint32(random io.Reader) (uint32, error) {
	var b [4]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return 0, ErrRandom
	}
	return binary.BigEndian.Uint32(b[:]), nil
}

func randomBytes(random io.Reader, n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(random, b); err != nil {
		return nil, ErrRandom
	}
	return b, nil
}
