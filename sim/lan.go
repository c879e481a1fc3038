package sim

import (
	"net/netip"
	"time"

	"gatewayd/thread/trel"
)

// The infrastructure link of a World, for nodes with TREL: datagrams take
// lanDelay, and what DNS-SD would find of a node is known to all others after
// discovery.
const (
	lanDelay  = time.Millisecond
	discovery = 300 * time.Millisecond
	lanPortNo = 9200
)

// lanPort is where one life of a node is plugged in.
type lanPort struct {
	n    *Node
	life uint64
	in   bool
	told trel.TXT // what the others were told
	// Drop, of datagrams that the node sends.
	drop func(b []byte) bool
}

// addr is the node's on the link.
func (n *Node) addr() netip.AddrPort {
	a := netip.MustParseAddr("fe80::1:0").As16()
	a[14], a[15] = byte(n.id>>8), byte(n.id)
	return netip.AddrPortFrom(netip.AddrFrom16(a), lanPortNo)
}

// Plug connects the node to the infrastructure link, or takes it off: it knows
// at once that it is.
func (n *Node) Plug(in bool) { n.Do(func() { n.lan.plug(in) }) }

func (p *lanPort) plug(in bool) {
	p.in, p.told = in, trel.TXT{}
	p.n.Node.TREL().SetUp(in)
}

// DropTREL loses what the node sends over the infrastructure link for which f
// says so, without anybody knowing; nil loses nothing.
func (n *Node) DropTREL(f func(b []byte) bool) { n.lan.drop = f }

// peers are the ports that are plugged in beside this one.
func (p *lanPort) peers(f func(*lanPort)) {
	for _, n := range p.n.w.nodes {
		if q := n.lan; q != nil && q != p && q.in && n.alive {
			f(q)
		}
	}
}

// hear runs f in the node, if it still is the one that was plugged in.
func (p *lanPort) hear(f func(*trel.Link)) {
	if p.n.lan == p && p.n.alive && p.in {
		p.n.Do(func() { f(p.n.Node.TREL()) })
	}
}

func (p *lanPort) send(to netip.AddrPort, b []byte) bool {
	if !p.in || !p.n.alive {
		return false
	}
	if p.drop != nil && p.drop(b) {
		return true
	}
	from := p.n.addr()
	p.peers(func(q *lanPort) {
		if q.n.addr() == to {
			own := append([]byte(nil), b...)
			p.n.w.clock.After(lanDelay, func() { q.hear(func(l *trel.Link) { l.Receive(from, own) }) })
		}
	})
	return true
}

// announce tells the others what is new of the node, and it what the others
// are when it comes.
func (p *lanPort) announce() {
	now := p.n.Node.TRELInfo()
	if !p.in || now == p.told {
		return
	}
	came := p.told == trel.TXT{}
	p.told = now
	p.n.w.clock.After(discovery, func() {
		if !p.in || p.n.lan != p {
			return
		}
		p.peers(func(q *lanPort) {
			q.hear(func(l *trel.Link) { l.Announced(now, p.n.addr()) })
			if came {
				theirs := q.n.Node.TRELInfo()
				p.hear(func(l *trel.Link) { l.Announced(theirs, q.n.addr()) })
			}
		})
	})
}
