package joining

import (
	"io"
	"math/rand/v2"
	"net/netip"
	"time"

	"gatewayd/alarm"
	"gatewayd/thread/ip"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/tmf"
)

// CommissionerState is a commissioner's.
type CommissionerState uint8

// The states, named as OpenThread's command line does.
const (
	Disabled CommissionerState = iota
	Petitioning
	Active
)

func (s CommissionerState) String() string {
	return [...]string{"disabled", "petitioning", "active"}[s]
}

// CommissionerConfig is what a Commissioner needs. StateChanged, JoinerChanged
// and Relayed may be nil.
type CommissionerConfig struct {
	Clock   *alarm.Clock
	Rand    *rand.Rand
	Entropy io.Reader // for keys
	TMF     *tmf.Agent
	IP      *ip.Stack
	// Attached reports whether the node is part of a network.
	Attached func() bool
	// RLOC16 is the node's own; Address the mesh-local address of an RLOC16 or
	// ALOC16.
	RLOC16  func() uint16
	Address func(locator16 uint16) netip.Addr
	// StateChanged is called with the new state, and why, if the commissioner
	// did not come to it by command.
	StateChanged func(s CommissionerState, why error)
	// JoinerChanged is called with an entry of which something changed.
	JoinerChanged func(e Entry)
	// Relayed takes the payloads of RLY_RX.ntf while the commissioner is not
	// active: those of a border agent's commissioner.
	Relayed func(payload []byte)
	// DatasetChanged is called when the leader says so.
	DatasetChanged func()
}

// Commissioner is the machine.
type Commissioner struct {
	cfg   CommissionerConfig
	state CommissionerState
}

// NewCommissioner returns a Commissioner that is disabled.
func NewCommissioner(cfg CommissionerConfig) *Commissioner { return &Commissioner{cfg: cfg} }

// Start petitions the leader.
func (c *Commissioner) Start() error { return nil }

// Stop resigns and forgets the list.
func (c *Commissioner) Stop() error { return nil }

// State is the present state.
func (c *Commissioner) State() CommissionerState { return c.state }

// SessionID is that of the session; it counts only while active.
func (c *Commissioner) SessionID() uint16 { return 0 }

// ID is the name under which the commissioner petitions.
func (c *Commissioner) ID() string { return "" }

// SetID changes it, at most 64 bytes of UTF-8.
func (c *Commissioner) SetID(id string) error { return nil }

// SetProvisioningURL sets the URL that a joiner that names one must name.
func (c *Commissioner) SetProvisioningURL(url string) error { return nil }

// Add puts joiners on the list, or changes their PSKd and time.
func (c *Commissioner) Add(who Who, pskd PSKd, timeout time.Duration) error { return nil }

// Remove takes joiners from the list, after a delay that may be 0.
func (c *Commissioner) Remove(who Who, delay time.Duration) error { return nil }

// List is the list, in the order of adding.
func (c *Commissioner) List() []Entry { return nil }

// History are entries that were on the list, the oldest first.
func (c *Commissioner) History() []Entry { return nil }

// SteeringData is what the list amounts to.
func (c *Commissioner) SteeringData() meshcop.SteeringData { return nil }
