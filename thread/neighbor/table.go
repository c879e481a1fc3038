package neighbor

import (
	"net/netip"
	"time"

	"gatewayd/ieee802154"
)

// RLOC16 layout: six bits of router id, one reserved, nine of child id.
const (
	MaxRouterID   = 62
	InvalidID     = 63
	MaxChildID    = 511
	InvalidRLOC16 = 0xfffe
)

// RouterRLOC16 is the RLOC16 of the router with an id.
func RouterRLOC16(id uint8) uint16 { return uint16(id) << 10 }

// RouterID is the router id in an RLOC16.
func RouterID(rloc16 uint16) uint8 { return uint8(rloc16 >> 10) }

// ChildID is the child id in an RLOC16; 0 is a router's.
func ChildID(rloc16 uint16) uint16 { return rloc16 & MaxChildID }

// IsRouterRLOC16 reports whether an RLOC16 is a router's.
func IsRouterRLOC16(rloc16 uint16) bool { return rloc16&0x3ff == 0 && rloc16>>10 <= MaxRouterID }

// Child is a device that we are the parent of.
type Child struct {
	Neighbor
	Timeout     time.Duration
	Supervision time.Duration
	Addresses   []netip.Addr // what it registered; the mesh-local EID first
	Challenge   []byte       // that we sent it and wait for
	Requested   []byte       // TLV types of its Child ID Request
	NetData     uint8        // version of the network data it has
	Partition   uint32       // whose these are
	Asked       time.Time    // last Child Update Request that we sent it
	Tries       int          // Child Update Requests sent in vain
	Doubted     bool         // it may have another parent, and is being asked
	LastSent    time.Time    // last frame that it took from us when it polled
	// UseShort is set once the child is known to have taken its short address:
	// until the first indirect frame after the Child ID Response is delivered,
	// indirect frames go to the extended one.
	UseShort bool
	Indirect Indirect
	CSL      CSL
}

// Indirect is the state of transmission to a sleepy child.
type Indirect struct {
	Queued int // datagrams waiting
}

// Router is a router of the partition: its place in the route table and, if
// it is a neighbour too, its link.
type Router struct {
	Neighbor
	ID         uint8
	NextHop    uint8 // router id, or InvalidID
	Cost       uint8 // from NextHop on, 0 if not known
	QualityOut uint8 // how well it hears us, from its own Route TLV
	Challenge  []byte
	RequestAt  time.Time // of the last Link Request not answered yet
}

// Unlink ends the link with the router, or the request for one.
func (r *Router) Unlink() { r.State, r.RequestAt, r.Challenge = Invalid, time.Time{}, nil }

// Table is everything around one node. The zero value is empty.
type Table struct {
	Children  []*Child
	Routers   [MaxRouterID + 1]*Router // allocated ids; nil where there is none
	Parent    Parent
	Candidate Parent
}

// ChildByRLOC16 finds a child by its short address, in whatever state.
func (t *Table) ChildByRLOC16(rloc16 uint16) *Child {
	for _, c := range t.Children {
		if c.RLOC16 == rloc16 && c.State != Invalid {
			return c
		}
	}
	return nil
}

// ChildByExt finds a child by its extended address, in whatever state.
func (t *Table) ChildByExt(ext ieee802154.ExtAddr) *Child {
	for _, c := range t.Children {
		if c.Ext == ext && c.State != Invalid {
			return c
		}
	}
	return nil
}

// ChildByAddress finds the child that registered an IPv6 address.
func (t *Table) ChildByAddress(a netip.Addr) *Child {
	for _, c := range t.Children {
		if c.State != Valid {
			continue
		}
		for _, x := range c.Addresses {
			if x == a {
				return c
			}
		}
	}
	return nil
}

// Router finds an allocated router by id.
func (t *Table) Router(id uint8) *Router {
	if id > MaxRouterID {
		return nil
	}
	return t.Routers[id]
}

// RouterByExt finds a router that is a neighbour by its extended address.
func (t *Table) RouterByExt(ext ieee802154.ExtAddr) *Router {
	for _, r := range t.Routers {
		if r != nil && r.State != Invalid && r.Ext == ext {
			return r
		}
	}
	return nil
}

// ActiveRouters counts the allocated router ids.
func (t *Table) ActiveRouters() int {
	n := 0
	for _, r := range t.Routers {
		if r != nil {
			n++
		}
	}
	return n
}

// Find looks a MAC source address up among all neighbours: parent, candidate,
// children, routers. It returns nil for an unknown one.
func (t *Table) Find(a ieee802154.Addr) *Neighbor {
	if t.Parent.State != Invalid && t.Parent.is(a) {
		return &t.Parent.Neighbor
	}
	switch a.Mode {
	case ieee802154.AddrShort:
		if IsRouterRLOC16(a.Short) {
			if r := t.Router(RouterID(a.Short)); r != nil && r.State != Invalid {
				return &r.Neighbor
			}
		} else if c := t.ChildByRLOC16(a.Short); c != nil {
			return &c.Neighbor
		}
	case ieee802154.AddrExtended:
		if c := t.ChildByExt(a.Ext); c != nil {
			return &c.Neighbor
		}
		if r := t.RouterByExt(a.Ext); r != nil {
			return &r.Neighbor
		}
	}
	if t.Candidate.State != Invalid && t.Candidate.is(a) {
		return &t.Candidate.Neighbor
	}
	return nil
}

func (n *Neighbor) is(a ieee802154.Addr) bool {
	switch a.Mode {
	case ieee802154.AddrShort:
		return n.RLOC16 == a.Short
	case ieee802154.AddrExtended:
		return n.Ext == a.Ext
	}
	return false
}

// RemoveChild takes a child out of the table.
func (t *Table) RemoveChild(c *Child) {
	for i, x := range t.Children {
		if x == c {
			c.State = Invalid
			t.Children = append(t.Children[:i], t.Children[i+1:]...)
			return
		}
	}
}
