package joining

import (
	"io"
	"math/rand/v2"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/thread/ip"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/tmf"
)

// JoinerState is a joiner's.
type JoinerState uint8

// The states, named as OpenThread's command line does.
const (
	JoinerIdle JoinerState = iota
	JoinerDiscover
	JoinerConnecting
	JoinerConnected
	JoinerEntrust
	JoinerJoined
)

func (s JoinerState) String() string {
	return [...]string{"Idle", "Discover", "Connecting", "Connected", "Entrust", "Joined"}[s]
}

// Found is a joiner router that answered a Discovery Request.
type Found struct {
	Ext          ieee802154.ExtAddr
	ExtPANID     meshcop.ExtPANID
	NetworkName  string
	PANID        uint16
	Channel      uint8
	RSSI         int8 // dBm
	SteeringData meshcop.SteeringData
	JoinerPort   uint16 // 0 if it takes no joiners
}

// Discoverer looks for networks (MLE Discovery).
type Discoverer interface {
	// Discover asks on channels, bit n for channel n, 0 for all. found is
	// called for each answer, done at the end. It returns false if it cannot
	// begin, and calls nothing then.
	Discover(joiner bool, channels uint32, found func(Found), done func()) bool
}

// Device is the part of the node that a joiner has to change.
type Device interface {
	// SetExtAddress changes the extended and the link-local address, for good
	// if keep is set.
	SetExtAddress(e ieee802154.ExtAddr, keep bool)
	SetPANID(pan uint16)
	SetChannel(channel uint8)
}

// Vendor is what a joiner tells of itself.
type Vendor struct {
	Name, Model, SWVersion, Data string
}

// Credentials are what a joiner gets.
type Credentials struct {
	// Dataset is what is known of the active dataset. It has no timestamp, so
	// that all of it comes when the device attaches.
	Dataset meshcop.Dataset
	// KeySequence is the network's, 0 if it was not told.
	KeySequence uint32
}

// JoinerConfig is what a Joiner needs. StateChanged may be nil.
type JoinerConfig struct {
	Clock      *alarm.Clock
	Rand       *rand.Rand
	Entropy    io.Reader // for keys and addresses
	TMF        *tmf.Agent
	IP         *ip.Stack
	Keys       KEKs
	Discoverer Discoverer
	Device     Device
	// EUI64 is the radio's address.
	EUI64 func() ieee802154.ExtAddr
	// Ready reports whether the interface is up and the node not part of a
	// network.
	Ready        func() bool
	StackVersion *meshcop.StackVersion
	StateChanged func(JoinerState)
	// Joined takes the credentials, before the joiner is done.
	Joined func(Credentials)
}

// Joiner is the machine.
type Joiner struct {
	cfg   JoinerConfig
	state JoinerState
}

// NewJoiner returns a Joiner that is idle.
func NewJoiner(cfg JoinerConfig) *Joiner { return &Joiner{cfg: cfg} }

// Start looks for a network that lets this device in, and joins it. done is
// called once, with nil or an Error, unless Stop is called before.
func (j *Joiner) Start(pskd PSKd, provisioningURL string, v Vendor, done func(error)) error {
	return nil
}

// Stop gives up; done is not called.
func (j *Joiner) Stop() {}

// State is the present state.
func (j *Joiner) State() JoinerState { return j.state }

// ID is the joiner ID, made from the EUI-64 or the discerner.
func (j *Joiner) ID() ieee802154.ExtAddr { return ieee802154.ExtAddr{} }

// Discerner is the one set.
func (j *Joiner) Discerner() (meshcop.Discerner, bool) { return meshcop.Discerner{}, false }

// SetDiscerner joins by a discerner instead of the EUI-64.
func (j *Joiner) SetDiscerner(d meshcop.Discerner) error { return nil }

// ClearDiscerner joins by the EUI-64 again.
func (j *Joiner) ClearDiscerner() error { return nil }
