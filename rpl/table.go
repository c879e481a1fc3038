package rpl

import (
	"net/netip"
	"slices"
	"time"
)

// RouteEntry is one target in a Table.
type RouteEntry struct {
	Target   netip.Prefix
	Next     netip.Addr   // in storing mode, the child it goes by
	Parents  []netip.Addr // in non-storing mode, preferred first
	Hops     []netip.Addr // in non-storing mode, the way there; none if it is not complete
	Sequence uint8
	External bool
	Left     time.Duration // of its lifetime; Infinite
}

// RootTable is a snapshot of a Root.
type RootTable struct {
	DODAGID       netip.Addr
	Instance      uint8
	Version, DTSN uint8
	MOP           MOP
	Rank          uint16
	Running       bool
	Listening     bool          // for the version of an earlier life
	Interval      time.Duration // of the trickle timer
	Routes        []RouteEntry
}

// NeighborEntry is one candidate parent in a Table.
type NeighborEntry struct {
	Addr     netip.Addr
	Global   netip.Addr // invalid when not known
	Rank     uint16     // its own; InfiniteRank when it cannot be used now
	Via      uint16     // ours, if it were the preferred parent
	ETX      uint16     // in 1/128 transmissions; zero when not measured
	Version  uint8
	Parent   bool // is the preferred parent
	Possible bool // is in the parent set
	Heard    time.Duration
}

// NodeTable is a snapshot of a Node.
type NodeTable struct {
	State     State
	Leaf      bool
	DODAGID   netip.Addr // invalid when it was never in one
	Instance  uint8
	Version   uint8
	MOP       MOP
	Rank      uint16
	Parent    netip.Addr // invalid without one
	Interval  time.Duration
	Unacked   int // DAOs that wait for their acknowledgement
	Neighbors []NeighborEntry
	Routes    []RouteEntry
}

// Table returns what the root knows, targets in order.
func (r *Root) Table() RootTable {
	t := RootTable{
		DODAGID: r.cfg.Address, Instance: r.cfg.Instance, Version: r.version, DTSN: r.dtsn, MOP: r.cfg.MOP,
		Rank: r.rank(), Running: r.running, Listening: r.listening.Running(), Interval: r.trickle.i,
	}
	now := r.cfg.Clock.Now()
	t.Routes = r.routes.entries(now)
	for p, s := range r.sources.m {
		e := RouteEntry{Target: p, Sequence: s.seq, External: s.external}
		for _, q := range s.parents {
			e.Parents = append(e.Parents, q.addr)
			e.Left = max(e.Left, left(now, q.expires))
		}
		e.Hops, _ = r.Route(p.Addr())
		t.Routes = append(t.Routes, e)
	}
	sortEntries(t.Routes)
	return t
}

// Table returns what the node knows, in order of addresses.
func (n *Node) Table() NodeTable {
	t := NodeTable{
		State: n.state, Leaf: n.cfg.Leaf || n.leaf, DODAGID: n.dodag.id, Instance: n.dodag.instance,
		Version: n.version, MOP: n.dodag.mop, Rank: n.rank, Interval: n.trickle.i, Unacked: len(n.dao.pending),
	}
	now := n.cfg.Clock.Now()
	if n.parent != nil {
		t.Parent = n.parent.addr
	}
	for _, b := range n.neighbors {
		via := n.rankVia(b)
		t.Neighbors = append(t.Neighbors, NeighborEntry{
			Addr: b.addr, Global: b.global, Rank: b.rank, Via: via, ETX: b.etx, Version: b.version,
			Parent: b == n.parent, Possible: via != InfiniteRank, Heard: now.Sub(b.alive),
		})
	}
	slices.SortFunc(t.Neighbors, func(a, b NeighborEntry) int { return a.Addr.Compare(b.Addr) })
	t.Routes = n.routes.entries(now)
	sortEntries(t.Routes)
	return t
}

// State is how far the node is.
func (n *Node) State() State { return n.state }

// Parent is the preferred parent's link-local address.
func (n *Node) Parent() (netip.Addr, bool) {
	if n.parent == nil {
		return netip.Addr{}, false
	}
	return n.parent.addr, true
}

func (t *routes) entries(now time.Time) (out []RouteEntry) {
	for p, r := range t.m {
		out = append(out, RouteEntry{Target: p, Next: r.next, Sequence: r.seq, External: r.external, Left: left(now, r.expires)})
	}
	return out
}

func left(now, expires time.Time) time.Duration {
	if expires.IsZero() {
		return Infinite
	}
	return max(expires.Sub(now), 0)
}

func sortEntries(e []RouteEntry) {
	slices.SortFunc(e, func(a, b RouteEntry) int {
		if c := a.Target.Addr().Compare(b.Target.Addr()); c != 0 {
			return c
		}
		return a.Target.Bits() - b.Target.Bits()
	})
}
