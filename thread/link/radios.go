package link

// Radio is a kind of link that carries MAC frames.
type Radio uint8

// The kinds.
const (
	Air  Radio = iota // IEEE 802.15.4
	TREL              // Thread over infrastructure

	NumRadios = 2
)

func (r Radio) String() string { return [...]string{"15.4", "TREL"}[r&1] }

// Radios is a set of them. The empty one is Air where frames are sent, by
// nodes that have nothing else.
type Radios uint8

// AllRadios are all of them.
const AllRadios Radios = 1<<Air | 1<<TREL

// Only is the set of one.
func Only(r Radio) Radios { return 1 << r }

// Has reports whether r is one of them.
func (s Radios) Has(r Radio) bool { return s>>r&1 == 1 }
