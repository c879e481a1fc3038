package mle

import (
	"math/rand/v2"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/thread/ip"
	"gatewayd/thread/keys"
	"gatewayd/thread/mac"
	"gatewayd/thread/mesh"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/neighbor"
)

// Version is the protocol version that this package speaks: Thread 1.4.
const Version = 5

// Role is what a device is in its network.
type Role uint8

// The roles.
const (
	Disabled Role = iota
	Detached
	Child
	Router
	Leader
)

func (r Role) String() string {
	return [...]string{"disabled", "detached", "child", "router", "leader"}[r]
}

// Config is what an MLE needs. Store, Solicitor, Joining and every Events
// function may be left out.
type Config struct {
	Clock *alarm.Clock
	Rand  *rand.Rand // not to be guessed: challenges come from it
	Keys  *keys.Manager
	MAC   *mac.MAC
	Mesh  *mesh.Forwarder
	IP    *ip.Stack
	Table *neighbor.Table

	Datasets  Datasets
	Store     Store
	Solicitor Solicitor
	Joining   Joining
	Events    Events

	Mode neighbor.Mode
	// MinimalOnly is set for a device that can never be a full Thread device.
	MinimalOnly bool
	// IID is the interface identifier of the mesh-local EID. The owner keeps it
	// over restarts.
	IID [8]byte
	// MaxChildren is 128 if it is 0, and at most 511.
	MaxChildren int
}

// Datasets holds the node's operational datasets (Thread 1.4 Section 8.4.3).
// After a change, by whomever, its owner calls MLE.DatasetChanged.
type Datasets interface {
	// Active is the active dataset; nil if there is none. Not to be changed.
	Active() *meshcop.Dataset
	// Pending is the pending dataset with the delay that is left; nil if there
	// is none.
	Pending() *meshcop.Dataset
	// AdoptActive takes the active dataset of the network: its timestamp and
	// its TLVs without the timestamp.
	AdoptActive(ts meshcop.Timestamp, tlvs meshcop.TLVs)
	// AdoptPending takes the pending one.
	AdoptPending(ts meshcop.Timestamp, tlvs meshcop.TLVs)
	// ClearPending forgets the pending dataset: the network has none.
	ClearPending()
	// Stale reports whether the pending dataset is from before a restart, so
	// that the network has to tell it again.
	Stale() bool
	// TryPending makes such a dataset the active one while the network is
	// looked for there; false if there is none. EndTry ends that.
	TryPending() bool
	EndTry(found bool)
}

// NetworkInfo is what a device must know after a restart to come back as what
// it was.
type NetworkInfo struct {
	Role      Role // Detached if it never attached
	Mode      neighbor.Mode
	RLOC16    uint16
	Partition uint32
	// Of a leader: the versions of its network data, and whether it had no
	// other router in its partition. Then nobody keeps them for it.
	DataVersion, StableVersion uint8
	Alone                      bool
}

// ParentInfo is what is stored of the parent.
type ParentInfo struct {
	Ext     ieee802154.ExtAddr
	Version uint16
}

// ChildInfo is what is stored of a child.
type ChildInfo struct {
	Ext     ieee802154.ExtAddr
	RLOC16  uint16
	Mode    neighbor.Mode
	Version uint16
	Timeout time.Duration
}

// Saved is everything that is stored.
type Saved struct {
	Network  NetworkInfo
	Parent   *ParentInfo // nil if there is none
	Children []ChildInfo
}

// Store keeps things over restarts. What it is given is durable when the call
// returns.
type Store interface {
	Load() Saved
	SaveNetwork(n NetworkInfo)
	SaveParent(p ParentInfo)
	SaveChild(c ChildInfo)     // replaces what there is at its RLOC16
	DeleteChild(rloc16 uint16) // no error if there is none
}

// Reason is why a device asks for a router id, the status in its Address
// Solicit (Thread 1.4 Section 5.9.9).
type Reason uint8

// The reasons.
const (
	TooFewRouters         Reason = 2
	HaveChildIDRequest    Reason = 3
	ParentPartitionChange Reason = 4
	BorderRouterRequest   Reason = 5
)

func (r Reason) String() string {
	switch r {
	case TooFewRouters:
		return "too few routers"
	case HaveChildIDRequest:
		return "child id request"
	case ParentPartitionChange:
		return "parent partition change"
	case BorderRouterRequest:
		return "border router"
	}
	return "unknown reason"
}

// Answer is the leader's to an Address Solicit. With OK false it has no id to
// give, or there was no answer.
type Answer struct {
	OK         bool
	RLOC16     uint16
	IDSequence uint8
	RouterMask uint64 // most significant bit: id 0
}

// Solicitor talks to the leader about router ids (Address Solicit and Release,
// CoAP a/as and a/ar).
type Solicitor interface {
	// Solicit asks for a router id, for that of wanted if it is not
	// neighbor.InvalidRLOC16. done is called once.
	Solicit(reason Reason, wanted uint16, done func(Answer))
	// Release gives one back.
	Release(rloc16 uint16)
}

// Joining is what Discovery Responses tell joiners.
type Joining interface {
	// SteeringData says who may join, nil if nobody; JoinerPort is where the
	// joiner is to connect to.
	SteeringData() meshcop.SteeringData
	JoinerPort() uint16
	// CommissionerPort is that of the node's border agent, false if it is none.
	CommissionerPort() (uint16, bool)
}
