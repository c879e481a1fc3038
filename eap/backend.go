package eap

import "time"

// Outcome is how far a conversation is.
type Outcome uint8

// The outcomes.
const (
	Continue Outcome = iota
	Success
	Failure
)

func (o Outcome) String() string {
	return [...]string{"continue", "success", "failure"}[min(o, Failure)]
}

// Result is one answer of an EAP server or peer to its lower layer.
type Result struct {
	Outcome Outcome
	// Packet is the EAP packet to deliver to the other side; nil for none.
	// With Success and Failure it is the packet of that code.
	Packet []byte
	// Key material of a key-generating method, with Success only (RFC 5247
	// Section 1.2): 64 bytes each. The receiver owns and wipes them.
	MSK, EMSK []byte
	// SessionID is the method's (RFC 5247 Section 1.4), may be nil.
	SessionID []byte
	// Identity is who was authenticated, as the method proved it; before
	// that, what the peer claimed.
	Identity string
	// Method is the one that ran, 0 while none was agreed on.
	Method Type
	// Lifetime is how long the authorization holds; 0: the authenticator
	// decides.
	Lifetime time.Duration
	// Wait is how long the lower layer should wait for the peer before it
	// repeats the packet (RFC 3579 Section 3.1); 0: the lower layer decides.
	Wait time.Duration
	// Reason says why it failed, in words for a log. Nil unless Failure.
	Reason error
}

// Conversation is one EAP conversation as an authenticator sees it. Results
// come through the function given to Backend.Converse, at once (before the
// call returns) or later; at most one per call of Begin or Receive, except
// that a conversation may end itself with a Failure at any time.
type Conversation interface {
	// Begin asks for the first request.
	Begin()
	// Receive takes the peer's response.
	Receive(response []byte)
	// Close ends the conversation and wipes its secrets. Nothing is answered
	// any more. It may be called at any time and more than once.
	Close()
}

// Backend is where an authenticator sends peers: to the Server of this
// package, or to a RADIUS server.
type Backend interface {
	// Converse opens a conversation about port. answer is called on the
	// goroutine that owns the machine.
	Converse(port Port, answer func(Result)) Conversation
}

// Port describes where and how the peer is attached, for policy and for
// RADIUS attributes (RFC 3580 Section 3).
type Port struct {
	CallingStation string // the peer: its EUI-64 as "02-00-5E-10-00-00-00-01", or its address
	CalledStation  string // the authenticator
	Number         uint32 // NAS-Port
	// MTU is the largest EAP packet the lower layer carries; 0: no limit but
	// the method's own (1020, RFC 3748 Section 3.1).
	MTU int
}
