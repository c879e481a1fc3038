// Package neighbor holds what a Thread node knows of the nodes around it: its
// children, the routers of its partition and its parent.
//
// The MAC reads it to check frames, the mesh forwarder to route, and MLE keeps
// it. It holds state and looks things up; it decides nothing.
package neighbor

import (
	"time"

	"gatewayd/ieee802154"
	"gatewayd/radio"
	"gatewayd/thread/linkmetrics"
)

// Mode is the value of MLE's Mode TLV.
type Mode uint8

// The mode bits.
const (
	ModeRxOnWhenIdle    Mode = 1 << 3
	ModeSecureDataReq   Mode = 1 << 2 // always set when sent, ignored when received
	ModeFullThread      Mode = 1 << 1
	ModeFullNetworkData Mode = 1 << 0
)

// RxOnWhenIdle reports whether the device always listens.
func (m Mode) RxOnWhenIdle() bool { return m&ModeRxOnWhenIdle != 0 }

// FullThread reports whether it is a full Thread device.
func (m Mode) FullThread() bool { return m&ModeFullThread != 0 }

// FullNetworkData reports whether it wants more than the stable network data.
func (m Mode) FullNetworkData() bool { return m&ModeFullNetworkData != 0 }

// String is the mode in the command line's letters: r, d and n, or - for none.
func (m Mode) String() string {
	s := ""
	if m.RxOnWhenIdle() {
		s += "r"
	}
	if m.FullThread() {
		s += "d"
	}
	if m.FullNetworkData() {
		s += "n"
	}
	if s == "" {
		return "-"
	}
	return s
}

// State is how far a link has come.
type State uint8

// The states.
const (
	Invalid            State = iota
	Restored                 // from stored settings; to be proved
	ParentRequested          // sent us a Parent Request, we answered
	ChildIDRequested         // asked for a child id, not answered yet
	ChildUpdateRequest       // a stored child that we asked to prove itself
	LinkRequested            // a Link Request is under way
	Valid
	ParentResponded // a candidate that answered our Parent Request
)

func (s State) String() string {
	return [...]string{"invalid", "restored", "parent-request", "child-id-request",
		"child-update", "link-request", "valid", "parent-response"}[s]
}

// Neighbor is a node that we share a link with, or are about to.
type Neighbor struct {
	State   State
	Ext     ieee802154.ExtAddr
	RLOC16  uint16
	Mode    Mode
	Version uint16 // as in MLE's Version TLV: 2 is Thread 1.1, 5 is 1.4

	// Replay protection: the key sequence last seen and, for it, the lowest
	// counters still acceptable. Data frames and acknowledgements count apart.
	KeySequence    uint32
	LinkCounter    uint32
	LinkAckCounter uint32
	MLECounter     uint32

	Links Links

	LastHeard   time.Time
	ConnectedAt time.Time
	Quality     Quality
	Failures    int // unicast transmissions that failed since one succeeded
	// FrameErrors is of transmissions to the neighbour that it did not
	// acknowledge, MessageErrors of whole datagrams.
	FrameErrors, MessageErrors Rate

	// Probing are the metrics that its acknowledgements tell us, of the frames
	// it has from us.
	Probing radio.Metrics
	// Series are what it wants to know of the frames that we have from it.
	Series []*linkmetrics.Series
}

// StartCounters sets the frame counters to what the neighbour says: what is
// below is a replay, by whatever link it comes.
func (n *Neighbor) StartCounters(c uint32) {
	n.LinkCounter, n.LinkAckCounter, n.Links.TRELCounter = c, c, c
}

// FindSeries finds one by its id, nil if there is none.
func (n *Neighbor) FindSeries(id uint8) *linkmetrics.Series {
	for _, s := range n.Series {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// Count takes a frame of a kind that came from the neighbour into its series.
func (n *Neighbor) Count(kind linkmetrics.Flags, lqi uint8, rssi int8) {
	for _, s := range n.Series {
		s.Count(kind, lqi, rssi)
	}
}

// Usable reports whether frames from the neighbour may be checked against its
// counters at all: it has proved itself or is being restored.
func (n *Neighbor) Usable() bool {
	return n.State == Valid || n.State == Restored || n.State == ChildUpdateRequest
}

// Address is where frames for the neighbour go: its short address once it has
// a valid one.
func (n *Neighbor) Address() ieee802154.Addr {
	if n.State == Valid || n.State == Restored || n.State == ChildUpdateRequest {
		return ieee802154.ShortAddr(n.RLOC16)
	}
	return ieee802154.ExtendedAddr(n.Ext)
}
