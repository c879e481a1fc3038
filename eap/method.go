package eap

import "time"

// ServerMethodFactory makes the server's side of a method for one
// conversation.
type ServerMethodFactory interface {
	Type() Type
	Start(ServerContext) (ServerMethod, error)
}

// ServerContext is what a method may know of the conversation it is for.
type ServerContext struct {
	// Identity is what the peer claimed in its Identity response: unproven,
	// and possibly nothing but a realm.
	Identity string
	Port     Port
}

// ServerMethod is the server's side of a method in one conversation.
type ServerMethod interface {
	// Next takes the peer's response, or the zero Packet at first, and says
	// what comes now. A next request will have the identifier id.
	Next(response Packet, id uint8) ServerStep
	// Close wipes secrets and ends whatever is under way. It may be called
	// more than once.
	Close()
}

// ServerStep is a method's reaction to a response.
type ServerStep struct {
	// Ignore discards the response: the request that is out stands.
	Ignore bool
	// Outcome is how the method ended, or Continue: then Data is sent.
	Outcome Outcome
	// Data is the next request's, what follows its type.
	Data []byte

	// With Success: who was authenticated and the keys, see Result.
	Identity  string
	MSK, EMSK []byte
	SessionID []byte
	Lifetime  time.Duration

	// Reason is why, with Failure.
	Reason error
}

// PeerMethodFactory makes the peer's side of a method for one conversation.
type PeerMethodFactory interface {
	Type() Type
	Start(PeerContext) (PeerMethod, error)
}

// PeerContext is what a method may know of the conversation it is for.
type PeerContext struct {
	Identity string // as sent in the Identity response
	MTU      int    // the largest packet the lower layer carries, never 0
}

// PeerMethod is the peer's side of a method in one conversation.
type PeerMethod interface {
	// Next takes a request and says what to answer.
	Next(request Packet) PeerStep
	// Close wipes secrets and ends whatever is under way. It may be called
	// more than once.
	Close()
}

// MethodState is how far a peer's method is (RFC 4137 Section 4.2,
// methodState).
type MethodState uint8

// The states of a peer's method.
const (
	MethodCont    MethodState = iota // the server must send more, no result is taken
	MethodMayCont                    // it may send more, or a result
	MethodDone                       // it has no more to send
)

// Decision is what a peer's method thinks of a result that the server sends
// (RFC 4137 Section 4.2, decision).
type Decision uint8

// The decisions.
const (
	DecideFail     Decision = iota // not authenticated: no Success is taken
	DecideCondSucc                 // Success is taken and so is Failure
	DecideUncond                   // the server proved that it accepted: no Failure is taken
)

// PeerStep is a method's reaction to a request.
type PeerStep struct {
	// Ignore discards the request, without an answer.
	Ignore bool
	// Abort ends the conversation with Reason, without an answer.
	Abort    bool
	State    MethodState
	Decision Decision
	// Data is the response's, what follows its type.
	Data []byte

	// The keys, as soon as they are known and the decision is not to fail,
	// see Result.
	MSK, EMSK []byte
	SessionID []byte
	Identity  string // who the server is, as the method proved it

	// Reason is why, when the decision is to fail or with Abort.
	Reason error
}
