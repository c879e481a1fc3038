package mle

import (
	"gatewayd/ieee802154"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/neighbor"
)

// Events are what an MLE tells its owner. They are called in the middle of its
// work: who wants to command it from there should do so later.
type Events struct {
	RoleChanged      func(from, to Role)
	NetDataChanged   func() // contents or versions
	PartitionChanged func() // also to the first one
	// RouterRemoved tells that a router id is not in the partition any more.
	RouterRemoved  func(id uint8)
	RoutersChanged func() // router table or its routes
	ChildAdded     func(c *neighbor.Child)
	ChildRemoved   func(c *neighbor.Child)
	// ChildRegistered tells that a child's addresses are others.
	ChildRegistered func(c *neighbor.Child)
	ParentChanged   func()
	// AddressesReady tells that the locator is another one.
	AddressesReady func()
	// Announced tells of an Announce that says what ours would.
	Announced func()
	// Discovered tells of a device that looks for networks.
	Discovered func(ext ieee802154.ExtAddr, q meshcop.DiscoveryRequest)
	Log        func(e Event)
}

// Event is something an operator may want to know.
type Event struct {
	ID   string // stable, as "MLE-0001"
	What string
	Attr []Attr
}

// Attr is one value of an Event.
type Attr struct {
	Key   string
	Value any
}
