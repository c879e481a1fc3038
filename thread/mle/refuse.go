package mle

// Refusal is why a message goes no further.
type Refusal uint8

// The reasons.
const (
	RefusedHopLimit  Refusal = iota // not 255: it came from beyond the link
	RefusedEnvelope                 // suite, security control or length
	RefusedMIC                      // not sealed with a key of this network
	RefusedReplay                   // counter or key sequence of the past
	RefusedSuite                    // may not come without security
	RefusedMalformed                // a TLV is missing or makes no sense
	RefusedState                    // not in this role, or nobody asked for it
	RefusedUnknown                  // from a node that is no neighbour
	RefusedChallenge                // does not answer what was asked
	RefusedFull                     // no room, as in the child table
	RefusedPartition                // of another partition or leader
	RefusedWeak                     // the link is too weak
	refusals
)

func (r Refusal) String() string {
	return [...]string{"hop limit", "envelope", "integrity", "replay", "unsecured", "malformed", "state",
		"unknown sender", "challenge", "no room", "partition", "weak link"}[r]
}
