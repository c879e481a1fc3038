package pana

import (
	"net/netip"
	"strconv"
	"time"

	"gatewayd/eap"
)

// EventKind is what happened to a session.
type EventKind uint8

// The events of an agent. A client has those of its own session, and no
// SessionMoved.
const (
	SessionOpened          EventKind = iota // its first handshake begins
	SessionAuthorized                       // the client has access
	SessionReauthenticated                  // it has got new keys
	SessionRefused                          // the first handshake failed, see Reason
	SessionTerminated                       // access is over, see Reason
	SessionMoved                            // the client is somewhere else now
	SessionPushed                           // what was pushed is acknowledged
)

func (k EventKind) String() string {
	names := [...]string{"opened", "authorized", "re-authenticated", "refused", "terminated", "moved", "pushed"}
	if int(k) < len(names) {
		return names[k]
	}
	return "event " + strconv.Itoa(int(k))
}

// Event is something that happened to a session.
type Event struct {
	Kind    EventKind
	Session Info
	// Reason says why it was refused or terminated, in words for a log; nil
	// for a termination that the other side asked for.
	Reason error
	// Cause is the other side's, if it terminated the session; 0 otherwise.
	Cause Cause
}

// State is how far a session is.
type State uint8

// The states.
const (
	Idle           State = iota // a client that has not started
	Initiating                  // a client that looks for the agent
	Authenticating              // the first handshake
	Open                        // access
	Reauthenticating
	Terminating // waits for the other side to agree
	Closed
)

func (s State) String() string {
	names := [...]string{"idle", "initiating", "authenticating", "open", "re-authenticating", "terminating", "closed"}
	if int(s) < len(names) {
		return names[s]
	}
	return "state " + strconv.Itoa(int(s))
}

// Info describes a session at one moment.
type Info struct {
	ID       uint32
	PaC      netip.AddrPort
	PRE      netip.AddrPort // zero: the client is a neighbour
	State    State
	Identity string
	Method   eap.Type
	Suite    Suite
	KeyID    uint32        // 0: no keys yet
	Since    time.Time     // of the first authorization, or of the handshake
	Lifetime time.Duration // Forever: no end
	Expires  time.Time     // zero: never, or not authorized yet
	// Reconfigure says, to a client, that it shall get itself a new address.
	Reconfigure bool
}
