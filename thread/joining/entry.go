package joining

import (
	"fmt"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/thread/meshcop"
)

// Kind is how a joiner is recognized.
type Kind uint8

// The kinds, the weakest first.
const (
	Anybody Kind = iota
	ByDiscerner
	ByEUI64
)

func (k Kind) String() string { return [...]string{"any", "discerner", "eui64"}[k] }

// Who is a joiner, or the joiners, that a PSKd is for. The zero value is
// anybody.
type Who struct {
	Kind      Kind
	EUI64     ieee802154.ExtAddr
	Discerner meshcop.Discerner
}

// EUI64 is the joiner with a factory-assigned address.
func EUI64(e ieee802154.ExtAddr) Who { return Who{Kind: ByEUI64, EUI64: e} }

// Discerned are the joiners with a discerner.
func Discerned(d meshcop.Discerner) Who { return Who{Kind: ByDiscerner, Discerner: d} }

func (w Who) String() string {
	switch w.Kind {
	case ByEUI64:
		return w.EUI64.String()
	case ByDiscerner:
		return fmt.Sprintf("%#x/%d", w.Discerner.Value, w.Discerner.Bits)
	}
	return "*"
}

// matches reports whether a joiner ID is one of those meant.
func (w Who) matches(id ieee802154.ExtAddr) bool {
	switch w.Kind {
	case ByEUI64:
		return meshcop.JoinerID(w.EUI64) == id
	case ByDiscerner:
		return w.Discerner.Matches(id)
	}
	return true
}

// Progress is how far a joiner got.
type Progress uint8

// The stages.
const (
	Waiting    Progress = iota // was not seen yet
	Connecting                 // has begun the handshake
	Connected                  // has the right PSKd
	Finalized                  // was accepted; the joiner router has the KEK
	Entrusted                  // has taken the answer and waits for the network's credentials
	Refused                    // for the reason given
	Lost                       // fell silent half-way
	Expired                    // the time it was given is over
	Removed                    // taken from the list
)

func (p Progress) String() string {
	return [...]string{"waiting", "connecting", "connected", "finalized", "entrusted", "refused", "lost", "expired", "removed"}[p]
}

// Attempt is one session of a joiner with the commissioner.
type Attempt struct {
	ID       ieee802154.ExtAddr // joiner ID, the address it joins under
	Router   uint16             // RLOC16 of its joiner router
	Progress Progress
	Reason   error     // why it was Refused or is Lost
	Began    time.Time // of the attempt
	Changed  time.Time // when Progress was reached
	// Device is what the joiner said about itself; nil before JOIN_FIN.
	Device *meshcop.JoinerFinalize
}

// Entry is one line of the commissioner's list.
type Entry struct {
	Who     Who
	PSKd    PSKd
	Added   time.Time
	Expires time.Time
	Removed time.Time // zero while it is on the list
	// Progress is that of the latest attempt, Waiting before the first, or
	// Expired or Removed where none came to its end before.
	Progress Progress
	// Attempts are the latest, the oldest first; Refused counts all whose
	// PSKd was another one, or that were refused for something else.
	Attempts []Attempt
	Refused  int
}
