package nat64

// State is how far a TCP session is (RFC 6146 Section 3.5.2.2). Sessions of
// other protocols have None.
type State uint8

const (
	None        State = iota
	V6Init            // SYN from the mesh
	V4Init            // SYN from the IPv4 side
	Established       // SYN from both
	V6Fin             // FIN from the mesh
	V4Fin             // FIN from the IPv4 side
	BothFin           // FIN from both
	Trans             // reset, long idle, or found running
)

func (s State) String() string {
	if int(s) >= len(stateNames) {
		return "unknown"
	}
	return stateNames[s]
}

var stateNames = [...]string{"none", "v6 init", "v4 init", "established", "v6 fin", "v4 fin", "both fin", "trans"}

// TCP flags (RFC 9293 Section 3.1).
const (
	flagFIN = 0x01
	flagSYN = 0x02
	flagRST = 0x04
	flagACK = 0x10
)

// class is what a session's timeout depends on.
type class uint8

const (
	classUDP class = iota
	classICMP
	classTransitory
	classEstablished
	numClasses
)

// begin is the state of a session that a segment begins; false if it must not.
func begin(flags uint8, fromMesh bool) (State, bool) {
	switch {
	case flags&flagRST != 0:
		return None, false
	case flags&flagSYN != 0 && fromMesh:
		return V6Init, true
	case flags&flagSYN != 0:
		return V4Init, true
	}
	return Trans, fromMesh && flags&flagACK != 0
}

// step returns the state after a segment, and whether the segment keeps the
// session alive.
func step(s State, flags uint8, fromMesh bool) (State, bool) {
	syn, fin, rst := flags&flagSYN != 0, flags&flagFIN != 0, flags&flagRST != 0
	switch s {
	case V6Init:
		if syn && !fromMesh {
			return Established, true
		}
		return s, syn
	case V4Init:
		if syn && fromMesh {
			return Established, true
		}
		return s, false
	case Established:
		switch {
		case rst:
			return Trans, true
		case fin && fromMesh:
			return V6Fin, true
		case fin:
			return V4Fin, true
		}
		return s, true
	case V6Fin, V4Fin:
		if rst {
			return Trans, true // ends as it would have without the FIN
		}
		if fin && fromMesh == (s == V4Fin) {
			return BothFin, true
		}
		return s, true
	case Trans:
		if rst {
			return s, false
		}
		return Established, true
	case BothFin:
		if syn && fromMesh {
			return V6Init, true // a host that is in a hurry to use its port again
		}
	}
	return s, false // BothFin else only waits for its end
}

// classOf is the timeout of a state.
func classOf(p Proto, s State) class {
	switch {
	case p == UDP:
		return classUDP
	case p == ICMP:
		return classICMP
	case s == Established || s == V6Fin || s == V4Fin:
		return classEstablished
	}
	return classTransitory
}
