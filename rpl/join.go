package rpl

import (
	"slices"
)

// evaluate chooses the preferred parent and the rank again.
func (n *Node) evaluate() {
	if n.state == Poisoning || n.state == Stopped {
		return
	}
	switch best, rank := n.choose(); {
	case best != nil:
		n.adopt(best, rank)
	case n.state == Joined:
		n.lose()
	}
}

// adopt makes a neighbour the preferred parent.
func (n *Node) adopt(b *neighbor, rank uint16) {
	was, old, oldRank := n.state, n.parent, n.rank
	moved := old != b
	other := was != Joined || b.dodag.id != n.dodag.id || b.dodag.instance != n.dodag.instance
	newVersion := n.dodag.id != b.dodag.id || n.dodag.instance != b.dodag.instance || n.version != b.version
	if was == Joined && moved && n.dodag.mop == Storing {
		n.dao.moved(old, b)
	}
	if newVersion {
		n.lowest = InfiniteRank
	}
	if n.dodag.id != b.dodag.id || n.dodag.instance != b.dodag.instance {
		n.routes.clear()
	}
	n.state, n.parent, n.rank = Joined, b, rank
	mop := n.dodag.mop
	n.dodag, n.version = b.dodag, b.version
	n.lowest = min(n.lowest, rank)
	n.take(b)
	n.solicit.Stop()
	n.dropVia(b.addr) // who is above us is not below us
	if moved || n.conf != b.conf || mop != b.dodag.mop {
		n.configure(b)
	}
	switch {
	case other || newVersion:
		// A new DODAG version is an inconsistency (RFC 6550 Section 8.3).
		n.dtsn = NextSequence(n.dtsn)
		n.trickle.stop()
		if !n.leaf {
			n.trickle.start()
		}
	case moved, n.farFromAdvertised():
		n.trickle.reset()
	}
	if was != Joined || moved {
		b.probes = 0
		b.alive = n.cfg.Clock.Now()
		if n.cfg.ProbeInterval > 0 {
			n.probe.Start(n.cfg.ProbeInterval)
		}
	}
	if moved || other || newVersion {
		n.dao.announceAll()
	}
	if was != Joined || moved || newVersion || oldRank != rank {
		n.changed()
	}
}

// configure takes a parent's DODAG configuration. What a node does not know
// makes it a leaf (RFC 6550 Sections 6.3.1 and 8.5).
func (n *Node) configure(b *neighbor) {
	n.conf = b.conf
	var known bool
	n.objective, known = objectiveFor(b.conf.OCP)
	n.leaf = n.cfg.Leaf || !known || b.dodag.mop > Storing
	n.trickle.configure(b.conf)
}

// farFromAdvertised reports whether our rank has gone so far from what others
// last heard that they should hear it soon. When it has risen, a child may not
// be below us any more: a circle of nodes that follow each other must count up
// fast to the limit that ends it.
func (n *Node) farFromAdvertised() bool {
	a, b := int(n.conf.dagRank(n.advertised)), int(n.conf.dagRank(n.rank))
	return b > a || a-b > defaultStep
}

// take passes on what the root says by way of the parent.
func (n *Node) take(b *neighbor) {
	n.infos = b.infos
	same := slices.EqualFunc(n.prefixes, b.prefixes, func(p, q PrefixInformation) bool {
		// The address in it is the sender's.
		p.Prefix, p.Router, q.Prefix, q.Router = p.Net().Addr(), false, q.Net().Addr(), false
		return p == q
	})
	n.prefixes = b.prefixes
	if !same && n.cfg.Prefixes != nil {
		out := slices.Clone(b.prefixes)
		for i, p := range out {
			out[i].Prefix, out[i].Router = p.Net().Addr(), false
		}
		n.cfg.Prefixes(out)
	}
}

// lose is what becomes of a node without a parent: it poisons its sub-DODAG,
// and joins again only after its children have had the time to leave (RFC 6550
// Section 8.2.2.5).
func (n *Node) lose() {
	n.state, n.parent, n.rank = Poisoning, nil, InfiniteRank
	n.lostAt = n.cfg.Clock.Now()
	n.trickle.stop()
	n.probe.Stop()
	n.dao.stop()
	n.routes.clear()
	for _, b := range n.neighbors {
		b.rank = InfiniteRank // known again by its next DIO
	}
	n.poisonLeft = poisons
	if n.leaf {
		n.poisonLeft = 0
	}
	n.changed()
	n.poisonMore()
}

// poisonMore sends the next poisoning DIO; after the last the search begins.
func (n *Node) poisonMore() {
	if n.poisonLeft == 0 {
		n.beginSearch()
		return
	}
	n.poisonLeft--
	n.sendPoison()
	n.poison.Start(n.trickle.imin/2 + n.jitter(n.trickle.imin/2))
}

// sendPoison says that there is no way to the root by this node.
func (n *Node) sendPoison() {
	if n.leaf {
		return
	}
	m := n.dio()
	m.Rank = InfiniteRank
	n.cfg.Send(message(n.cfg.LinkLocal, AllNodes, CodeDIO, m.Append(nil)))
}
