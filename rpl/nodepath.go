package rpl

import (
	"net/netip"
	"slices"

	"gatewayd/ipv6"
)

// Originate says where a datagram goes that this node, or a host behind it,
// sends. Into its own datagrams the node puts the RPL option directly; those
// of a host, and those that leave the DODAG while the option is of the type
// that others drop, go through a tunnel to the root (RFC 6553 Section 5, RFC
// 9008 Sections 7 and 8).
func (n *Node) Originate(packet []byte) Verdict {
	h, payload, err := ipv6.DecodeHeader(packet)
	if err != nil {
		return dropped(err.Error())
	}
	packet = packet[:ipv6.HeaderLen+len(payload)]
	switch {
	case isLinkLocal(h.Dst):
		return Verdict{Action: Forward, Next: h.Dst, Packet: packet}
	case h.Dst.IsMulticast():
		return dropped("multicast beyond the link is not routed by RPL")
	case n.own(h.Dst):
		return Verdict{Action: Deliver, Packet: packet}
	case n.external(h.Dst):
		return Verdict{Action: Exit, Packet: packet}
	case n.state != Joined:
		return noRoute(packet)
	}
	next, down := n.parent.addr, false
	if n.dodag.mop == Storing {
		if r, _, ok := n.routes.find(n.cfg.Clock.Now(), h.Dst); ok {
			next, down = r.next, true
		}
	}
	if n.cfg.OmitOption {
		return Verdict{Action: Forward, Next: next, Packet: packet}
	}
	info := PacketInfo{Down: down, Instance: n.dodag.instance}
	if !n.own(h.Src) || !down && !n.inside(h.Dst) && !n.conf.RPI23 {
		self, ok := n.ownAddr()
		if !ok {
			return noRoute(packet)
		}
		end := n.dodag.id
		if down { // to whom the destination is, or is behind, is not known: hop by hop
			end = h.Dst
		}
		packet = Encapsulate(packet, self, end)
	}
	return Verdict{Action: Forward, Next: next, Packet: InsertPacketInfo(packet, info, n.conf.hopOption())}
}

// external reports whether an address is of a host behind this node.
func (n *Node) external(a netip.Addr) bool {
	return slices.ContainsFunc(n.externals, func(e External) bool { return e.Prefix.Contains(a) })
}

// Forward says what becomes of a datagram that a neighbour, by its link-local
// address, has sent us.
func (n *Node) Forward(packet []byte, from netip.Addr) Verdict {
	rank := n.conf.dagRank(n.rank)
	c, inconsistent, drop := inspect(packet, n.dodag.instance, rank)
	if inconsistent {
		n.trickle.reset() // RFC 6550 Section 11.2.2.2
	}
	if drop != nil {
		return *drop
	}
	switch {
	case isLinkLocal(c.h.Dst):
		return Verdict{Action: Deliver, Packet: c.packet}
	case c.h.Dst.IsMulticast():
		return Verdict{Action: Deliver, Packet: RemovePacketInfo(c.packet)}
	case n.own(c.h.Dst):
		if segmentsLeft(c.packet) > 0 {
			if n.leaf {
				return refused(c.packet, ipv6.ICMPDstUnreachable, UnreachSourceRoute, "a leaf is no hop of a source route")
			}
			return follow(c, n.own, n.cfg.NextHop, rank)
		}
		return n.arrived(c, from)
	case segmentsLeft(c.packet) > 0:
		return refused(c.packet, ipv6.ICMPDstUnreachable, UnreachSourceRoute, "source route by an address that is not ours")
	}
	return n.pass(c, from)
}

// arrived is a datagram for us: it is unpacked when another is in it.
func (n *Node) arrived(c checked, from netip.Addr) Verdict {
	inner, ok := Decapsulate(c.packet)
	if !ok {
		return Verdict{Action: Deliver, Packet: RemovePacketInfo(c.packet)}
	}
	in, inconsistent, drop := inspect(inner, n.dodag.instance, n.conf.dagRank(n.rank))
	if inconsistent || drop != nil {
		return dropped("tunnelled datagram is malformed or of another instance")
	}
	if n.own(in.h.Dst) {
		if segmentsLeft(in.packet) > 0 {
			return dropped("source route inside a tunnel")
		}
		return Verdict{Action: Deliver, Packet: RemovePacketInfo(in.packet)}
	}
	if n.external(in.h.Dst) {
		if v, ok := in.hop(); !ok {
			return v
		}
		return Verdict{Action: Exit, Packet: RemovePacketInfo(in.packet)}
	}
	if segmentsLeft(in.packet) > 0 || isLinkLocal(in.h.Dst) {
		return dropped("tunnelled datagram is not for us")
	}
	// Somebody thinks the destination is behind us. Only the root can know
	// better, and it does when we withdraw what is gone.
	return noRoute(in.packet)
}

// pass is a datagram for another (RFC 6550 Section 11.2).
func (n *Node) pass(c checked, from netip.Addr) Verdict {
	if n.external(c.h.Dst) {
		// A storing root tunnels to the host itself: it does not know us. Its
		// tunnels have the RPL option, a host's own do not.
		if inner, ok := Decapsulate(c.packet); ok && c.at != 0 && [16]byte(inner[24:40]) == c.h.Dst.As16() {
			c.packet = slices.Clone(inner)
		}
		if v, ok := c.hop(); !ok {
			return v
		}
		return Verdict{Action: Exit, Packet: RemovePacketInfo(c.packet)}
	}
	if n.state != Joined || n.leaf {
		return noRoute(c.packet)
	}
	rank := n.conf.dagRank(n.rank)
	now := n.cfg.Clock.Now()
	if n.dodag.mop == Storing {
		if c.at != 0 && c.info.ForwardingError && from != n.parent.addr {
			// The child has no such route: forget it and try again (RFC 6550
			// Section 11.2.2.3).
			if r, p, ok := n.routes.find(now, c.h.Dst); ok && r.next == from {
				if n.routes.without(p, r, from) {
					n.dao.withdrawRoute(p, r.seq, r.external)
				}
				n.askChildren()
			}
			c.info.ForwardingError = false
			c.info.put(c.packet, c.at)
		}
		if r, _, ok := n.routes.find(now, c.h.Dst); ok {
			if r.next == from && c.at == 0 {
				return noRoute(c.packet) // nothing would stop it from going to and fro
			}
			if v, ok := c.hop(); !ok {
				return v
			}
			c.mark(true, rank)
			return Verdict{Action: Forward, Next: r.next, Packet: c.packet}
		}
	}
	if down := c.at != 0 && c.info.Down; down || from == n.parent.addr {
		if !down || n.dodag.mop != Storing {
			return noRoute(c.packet)
		}
		// Back to where it came from, which then knows that we have no such
		// route.
		if v, ok := c.hop(); !ok {
			return v
		}
		c.info.ForwardingError = true
		c.mark(true, rank)
		return Verdict{Action: Forward, Next: n.parent.addr, Packet: c.packet, Reason: "no route down"}
	}
	if v, ok := c.hop(); !ok {
		return v
	}
	c.mark(false, rank)
	return Verdict{Action: Forward, Next: n.parent.addr, Packet: c.packet}
}
