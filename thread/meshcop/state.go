package meshcop

import "fmt"

// State is the outcome in an answer, or what a commissioner wants to become
// (Thread 1.4 Section 8.10.1.14).
type State uint8

// Values of State.
const (
	StatePending State = 0
	StateAccept  State = 1
	StateReject  State = 0xff
)

func (s State) String() string {
	switch s {
	case StatePending:
		return "pending"
	case StateAccept:
		return "accept"
	case StateReject:
		return "reject"
	}
	return fmt.Sprintf("state %#02x", uint8(s))
}

// AppendState appends a State TLV, which is the whole answer to JOIN_FIN,
// LEAD_KA and every MGMT set request.
func AppendState(b []byte, s State) []byte { return AppendUint8(b, TypeState, uint8(s)) }

// DecodeState reads the State TLV of an answer.
func DecodeState(b []byte) (State, error) {
	f := newFields(b)
	s := f.state()
	_, err := f.finish()
	return s, err
}

// state reads the State TLV, which must be there.
func (f *fields) state() State {
	f.require(TypeState)
	if v := f.uint8(TypeState); v != nil {
		return State(*v)
	}
	return StatePending
}

// sessionID reads the Commissioner Session ID TLV, which must be there.
func (f *fields) sessionID() uint16 {
	f.require(TypeCommissionerSessionID)
	return value(f.uint16(TypeCommissionerSessionID))
}

// value returns what p points to, or zero.
func value[T any](p *T) T {
	if p == nil {
		return *new(T)
	}
	return *p
}
