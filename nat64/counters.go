package nat64

// A Reason is what became of a packet.
type Reason uint8

const (
	Passed             Reason = iota // translated, or answered by the translation of it
	Held                             // a fragment that waits for others
	Malformed                        // lengths, versions or checksums that cannot be
	NotOurs                          // the destination is not under the prefix, or not in the pool
	IllegalSource                    // an address no packet may come from, or one behind the translator
	IllegalDestination               // an address no packet can go to
	Options                          // IPv4 options, or a source route that has not ended
	Unsupported                      // neither UDP, TCP nor ICMP that can be translated
	Expired                          // TTL or hop limit
	TooBig                           // and not to be fragmented
	Prohibited                       // Allow said no
	NoMapping                        // from the IPv4 side, and nobody's; or an error about no session of ours
	Filtered                         // from the IPv4 side, and from somebody the host did not ask
	Exhausted                        // no port, session or memory left
	BadFragment                      // overlaps with another, or does not end where it may
	numReasons
)

var reasonNames = [numReasons]string{
	"passed", "held", "malformed", "not ours", "illegal source", "illegal destination", "options",
	"unsupported", "expired", "too big", "prohibited", "no mapping", "filtered", "exhausted", "bad fragment",
}

func (r Reason) String() string {
	if r >= numReasons {
		return "unknown"
	}
	return reasonNames[r]
}

// Proto is what a mapping is about.
type Proto uint8

const (
	UDP Proto = iota
	TCP
	ICMP // echo, by identifier
	numProtos
)

func (p Proto) String() string {
	if p >= numProtos {
		return "unknown"
	}
	return [...]string{"udp", "tcp", "icmp"}[p]
}

// Traffic is whole packets, as they are on the side they come from.
type Traffic struct {
	Packets, Bytes uint64
}

func (t *Traffic) add(bytes int) {
	t.Packets++
	t.Bytes += uint64(bytes)
}

// ByProto is traffic, indexed by Proto. ICMP has the errors about the other two.
type ByProto [numProtos]Traffic

// Counters are what a Translator did since it was made.
type Counters struct {
	Out, In ByProto // from the mesh, to the mesh: translated
	// FromMesh and FromIPv4 count the packets given to the translator by what
	// became of them, indexed by Reason.
	FromMesh, FromIPv4 [numReasons]uint64

	SessionsBegun   uint64
	SessionsExpired uint64
	SessionsEvicted uint64 // ended early for room
	SessionsRevoked uint64 // ended by Recheck
	Hairpinned      uint64 // packets between hosts of the mesh

	DatagramsJoined  uint64 // put together of fragments
	DatagramsExpired uint64 // some fragment did not come
	DatagramsEvicted uint64 // given up for room

	ErrorsSent       uint64 // ICMP errors of the translator itself
	ErrorsSuppressed uint64 // over the rate
	Probes           uint64 // of idle TCP connections
}
