package rpl

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// neighbor is a node that we have heard a DIO of: a candidate parent (RFC 6550
// Section 8.2.1).
type neighbor struct {
	addr     netip.Addr // link-local
	dodag    dodag
	version  uint8
	rank     uint16 // InfiniteRank: no way by it, or not known any more
	dtsn     uint8
	conf     DODAGConfig
	hasConf  bool
	prefixes []PrefixInformation
	infos    []RouteInformation
	global   netip.Addr // its own, when it told it

	etx      uint16 // zero: not measured
	failures int    // datagrams in a row
	probes   int    // questions without an answer
	alive    time.Time
	asked    time.Time     // for its configuration
	blocked  time.Time     // not used until then
	penalty  time.Duration // of the last block
}

// block keeps a neighbour from being used for a while. It must be heard again
// after that.
func (b *neighbor) block(now time.Time) {
	if now.Before(b.blocked) {
		return
	}
	b.penalty = min(max(2*b.penalty, firstBlock), maxBlock)
	b.blocked = now.Add(b.penalty)
	b.rank = InfiniteRank
	b.etx, b.failures, b.probes = 0, 0, 0
}

// address is the neighbour's global address: what it told, or its interface
// identifier under a prefix of the DODAG.
func (b *neighbor) address() (netip.Addr, bool) {
	if b.global.IsValid() {
		return b.global, true
	}
	for _, p := range b.prefixes {
		if p.Autonomous && p.Bits == 64 {
			return withIID(p.Prefix, b.addr), true
		}
	}
	if !b.dodag.id.IsValid() {
		return netip.Addr{}, false
	}
	return withIID(b.dodag.id, b.addr), true
}

// withIID is the second address's interface identifier under the first's /64.
func withIID(prefix, iid netip.Addr) netip.Addr {
	a, b := prefix.As16(), iid.As16()
	copy(a[8:], b[8:])
	return netip.AddrFrom16(a)
}

// room returns the entry of a neighbour, making one if there is room or if a
// worse one can go.
func (n *Node) room(addr netip.Addr, rank uint16) *neighbor {
	if b := n.neighbors[addr]; b != nil {
		return b
	}
	if len(n.neighbors) >= n.cfg.MaxNeighbors {
		var worst *neighbor
		for _, b := range n.neighbors {
			if b != n.parent && (worst == nil || b.rank > worst.rank || b.rank == worst.rank && b.alive.Before(worst.alive)) {
				worst = b
			}
		}
		if worst == nil || worst.rank <= rank && worst.rank != InfiniteRank {
			return nil
		}
		delete(n.neighbors, worst.addr)
	}
	b := &neighbor{addr: addr, rank: InfiniteRank}
	n.neighbors[addr] = b
	return b
}

// receiveDIO notes what a neighbour says (RFC 6550 Section 8.2) and chooses
// parents again.
func (n *Node) receiveDIO(src netip.Addr, m DIO) error {
	if m.DODAGID.IsMulticast() || m.DODAGID.IsUnspecified() {
		return fmt.Errorf("rpl: DIO with DODAGID %v: %w", m.DODAGID, ErrAddress)
	}
	if m.Rank == InfiniteRank {
		n.poisoned(src, m)
		return nil
	}
	if m.Rank == 0 || n.state == Joined && m.Instance != n.dodag.instance || n.cfg.Accept != nil && !n.cfg.Accept(m) {
		return nil // a rank of zero is a virtual root's (Section 17), which no one is
	}
	d := dodag{m.Instance, m.DODAGID, m.MOP, m.Grounded, m.Preference}
	same := n.state == Joined && d.id == n.dodag.id
	if same {
		switch CompareSequence(m.Version, n.version) {
		case Older, Incomparable:
			// One that has not heard of the new version yet, or a root that
			// has forgotten it: it shall hear ours soon. RFC 6550 Section
			// 8.3 leaves it to us to call that an inconsistency.
			if b := n.neighbors[src]; b != nil && b != n.parent {
				b.rank = InfiniteRank
			}
			n.trickle.reset()
			return nil
		}
	}
	b := n.room(src, m.Rank)
	if b == nil {
		return nil
	}
	now := n.cfg.Clock.Now()
	trigger := b == n.parent && same && m.Version == n.version && m.DTSN != b.dtsn
	if b.dodag.id != d.id || b.dodag.instance != d.instance {
		b.hasConf, b.global, b.prefixes, b.infos = false, netip.Addr{}, nil, nil
	}
	b.dodag, b.version, b.dtsn = d, m.Version, m.DTSN
	b.alive, b.probes = now, 0
	b.options(m.Options)
	if now.Before(b.blocked) {
		return nil
	}
	b.rank = m.Rank
	if !b.hasConf { // it may be left out, and is told to who asks (Section 8.3)
		b.rank = InfiniteRank
		if now.Sub(b.asked) >= maxListen {
			b.asked = now
			n.cfg.Send(message(n.cfg.LinkLocal, src, CodeDIS, DIS{}.Append(nil)))
		}
		n.evaluate() // it may have been the parent, in another DODAG
		return nil
	}
	parent, rank, version := n.parent, n.rank, n.version
	if n.state != Poisoning {
		n.evaluate()
	}
	if n.state != Joined {
		return nil
	}
	if trigger && n.parent == b {
		n.triggered()
	}
	// A DIO from nearer the root that changes nothing is consistent (Section
	// 8.3).
	if same && parent == n.parent && rank == n.rank && version == n.version && n.conf.dagRank(m.Rank) < n.conf.dagRank(n.rank) {
		n.trickle.consistent()
	}
	return nil
}

// poisoned notes that there is no way by a neighbour (RFC 6550 Section
// 8.2.2.5).
func (n *Node) poisoned(src netip.Addr, m DIO) {
	b := n.neighbors[src]
	if b == nil || b.dodag.id != m.DODAGID || b.rank == InfiniteRank {
		return
	}
	b.rank = InfiniteRank
	b.alive = n.cfg.Clock.Now()
	if n.state == Joined {
		n.evaluate()
	}
}

// options notes what is not in the base of a DIO.
func (b *neighbor) options(opts []Option) {
	var prefixes []PrefixInformation
	var infos []RouteInformation
	for _, o := range opts {
		switch o := o.(type) {
		case DODAGConfig:
			// Without an increase there would be no order of ranks.
			if o.MinHopRankIncrease != 0 {
				b.conf, b.hasConf = o, true
			}
		case PrefixInformation:
			if o.Router && o.Prefix.IsGlobalUnicast() {
				b.global = o.Prefix
			}
			if len(prefixes) < maxPrefixes && acceptable(o.Net()) {
				prefixes = append(prefixes, o)
			}
		case RouteInformation:
			if len(infos) < maxPrefixes {
				infos = append(infos, o)
			}
		}
	}
	// A DIO need not carry them each time; what it carries is all there is.
	if prefixes != nil {
		b.prefixes = prefixes
	}
	if infos != nil {
		b.infos = infos
	}
}

// triggered answers a newer DTSN of the parent (RFC 6550 Section 9.6): all is
// announced again, and in non-storing mode the children are asked too. Any
// other DTSN counts as newer: a parent that has restarted begins anew.
func (n *Node) triggered() {
	if n.dodag.mop == NonStoring {
		n.dtsn = NextSequence(n.dtsn)
		n.trickle.reset()
	}
	n.dao.announceAll()
}

// rankVia is the rank the node would have by a neighbour, InfiniteRank when it
// must not be a parent.
func (n *Node) rankVia(b *neighbor) uint16 {
	if b.rank == InfiniteRank || !b.hasConf {
		return InfiniteRank
	}
	if n.state == Joined && b.dodag.id != n.dodag.id && !preferable(b.dodag, n.dodag) {
		return InfiniteRank
	}
	o, _ := objectiveFor(b.conf.OCP)
	r := o.rankVia(b.conf, b.rank, b.etx)
	if b.dodag.id != n.dodag.id || b.dodag.instance != n.dodag.instance {
		return r
	}
	switch CompareSequence(b.version, n.version) {
	case Newer:
		return r
	case Older, Incomparable:
		return InfiniteRank
	}
	// Within a version, rank rises by MaxRankIncrease at most (RFC 6550
	// Section 8.2.2.4 rule 3) ...
	if b.conf.MaxRankIncrease != 0 && n.lowest != InfiniteRank &&
		uint32(r) > uint32(n.lowest)+uint32(b.conf.MaxRankIncrease) {
		return InfiniteRank
	}
	// ... and a new parent must be nearer the root than what we told our
	// children we are, else it may be one of them (rules 1 and 2).
	if n.state == Joined && b != n.parent && b.conf.dagRank(b.rank) >= b.conf.dagRank(n.rank) {
		return InfiniteRank
	}
	return r
}

// preferable reports whether one DODAG is to be preferred to another whatever
// the ranks (RFC 6552 Section 4.2.1 rules 4 and 5).
func preferable(a, b dodag) bool {
	if a.grounded != b.grounded {
		return a.grounded
	}
	return a.preference > b.preference
}

// choose picks the preferred parent.
func (n *Node) choose() (best *neighbor, rank uint16) {
	rank = InfiniteRank
	for _, b := range n.ordered() {
		r := n.rankVia(b)
		if r == InfiniteRank {
			continue
		}
		if best == nil || n.precedes(b, r, best, rank) {
			best, rank = b, r
		}
	}
	return best, rank
}

// ordered are the neighbours, the present parent first and the others by
// address: the same choice for the same neighbours.
func (n *Node) ordered() []*neighbor {
	all := make([]*neighbor, 0, len(n.neighbors))
	for _, b := range n.neighbors {
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b *neighbor) int {
		switch {
		case a == n.parent:
			return -1
		case b == n.parent:
			return 1
		}
		return a.addr.Compare(b.addr)
	})
	return all
}

// precedes reports whether a neighbour is a better parent than the best so
// far.
func (n *Node) precedes(b *neighbor, r uint16, best *neighbor, rank uint16) bool {
	if b.dodag.id != best.dodag.id {
		if preferable(b.dodag, best.dodag) != preferable(best.dodag, b.dodag) {
			return preferable(b.dodag, best.dodag)
		}
	} else if o := CompareSequence(b.version, best.version); o != Equal {
		return o == Newer // the newest version of a DODAG counts
	}
	if best == n.parent && n.state == Joined {
		return n.objective.better(b.conf, r, rank)
	}
	return r < rank
}
