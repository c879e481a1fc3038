package rpl

import (
	"net/netip"
	"slices"

	"gatewayd/ipv6"
)

// Originate says where a datagram of the root's own goes. In non-storing mode
// the source route is put into it directly (RFC 6554 Section 4.1), in storing
// mode the RPL option.
func (r *Root) Originate(packet []byte) Verdict {
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
	case r.own(h.Dst):
		return Verdict{Action: Deliver, Packet: packet}
	}
	return r.down(packet, h, r.own(h.Src))
}

// Enter says where a datagram goes that comes into the DODAG from the host or
// beyond: nothing may be put into it, so it goes through a tunnel (RFC 6554
// Section 4.1, RFC 9008 Sections 7.2 and 8.2).
func (r *Root) Enter(packet []byte) Verdict {
	return r.Originate(packet)
}

// down sends a datagram to where its destination is reached. The option is
// sent in storing mode only: with a source route it tells nobody anything, and
// RFC 9008 Section 8 makes it optional there.
func (r *Root) down(packet []byte, h ipv6.Header, insert bool) Verdict {
	now := r.cfg.Clock.Now()
	if r.cfg.MOP == Storing {
		rt, _, ok := r.routes.find(now, h.Dst)
		if !ok {
			return r.outside(packet, h)
		}
		if !r.cfg.OmitOption {
			if !insert {
				packet = Encapsulate(packet, r.cfg.Address, h.Dst)
			}
			packet = InsertPacketInfo(packet, PacketInfo{Down: true, Instance: r.cfg.Instance}, r.conf.hopOption())
		}
		return Verdict{Action: Forward, Next: rt.next, Packet: packet}
	}
	hops, ok := r.Route(h.Dst)
	if !ok {
		return r.outside(packet, h)
	}
	next, ok := resolve(r.cfg.NextHop, hops[0])
	if !ok {
		r.sources.suspect(now, r.cfg.Address, hops[0])
		return noRoute(packet)
	}
	last := hops[len(hops)-1]
	if len(hops) > 1 && !insert || last != h.Dst {
		packet = Encapsulate(packet, r.cfg.Address, last)
	}
	return Verdict{Action: Forward, Next: next, Packet: InsertSourceRoute(packet, hops)}
}

// inside reports whether an address is of a prefix of the DODAG.
func (r *Root) inside(a netip.Addr) bool {
	return slices.ContainsFunc(r.cfg.Prefixes, func(p PrefixInformation) bool { return p.Net().Contains(a) })
}

// outside is a datagram for somebody who is not known in the DODAG: one of its
// own addresses is unreachable, others are the host's affair.
func (r *Root) outside(packet []byte, h ipv6.Header) Verdict {
	if r.inside(h.Dst) {
		return noRoute(packet)
	}
	return Verdict{Action: Exit, Packet: RemovePacketInfo(packet)}
}

// Forward says what becomes of a datagram that a neighbour, by its link-local
// address, has sent to the root.
func (r *Root) Forward(packet []byte, from netip.Addr) Verdict {
	c, inconsistent, drop := inspect(packet, r.cfg.Instance, r.conf.dagRank(r.rank()))
	if inconsistent {
		r.trickle.reset()
	}
	if drop != nil {
		return *drop
	}
	switch {
	case isLinkLocal(c.h.Dst):
		return Verdict{Action: Deliver, Packet: c.packet}
	case c.h.Dst.IsMulticast():
		return Verdict{Action: Deliver, Packet: RemovePacketInfo(c.packet)}
	case segmentsLeft(c.packet) > 0:
		// Source routes begin at the root; none leads through it.
		return refused(c.packet, ipv6.ICMPDstUnreachable, UnreachSourceRoute, "source route through the root")
	case r.own(c.h.Dst):
		inner, ok := Decapsulate(c.packet)
		if !ok {
			return Verdict{Action: Deliver, Packet: RemovePacketInfo(c.packet)}
		}
		in, inconsistent, drop := inspect(inner, r.cfg.Instance, r.conf.dagRank(r.rank()))
		switch {
		case inconsistent || drop != nil:
			return dropped("tunnelled datagram is malformed or of another instance")
		case segmentsLeft(in.packet) > 0 || isLinkLocal(in.h.Dst) || in.h.Dst.IsMulticast():
			return dropped("tunnelled datagram is not to be routed")
		case r.own(in.h.Dst):
			return Verdict{Action: Deliver, Packet: RemovePacketInfo(in.packet)}
		}
		return r.turn(in, from, true)
	}
	return r.turn(c, from, false)
}

// turn is a datagram that has come up, in a tunnel or not, and goes down
// again, or out.
func (r *Root) turn(c checked, from netip.Addr, tunnelled bool) Verdict {
	if !r.inside(c.h.Dst) {
		if _, ok := r.Route(c.h.Dst); !ok {
			// The host's own forwarding counts the hop.
			return Verdict{Action: Exit, Packet: RemovePacketInfo(c.packet)}
		}
	}
	if v, ok := c.hop(); !ok {
		return v
	}
	if r.cfg.MOP != Storing || tunnelled {
		return r.down(c.packet, c.h, false)
	}
	rt, p, ok := r.routes.find(r.cfg.Clock.Now(), c.h.Dst)
	if ok && c.at != 0 && c.info.ForwardingError && rt.next == from {
		// RFC 6550 Section 11.2.2.3. Another child may know better.
		ok = !r.routes.without(p, rt, from)
		r.RefreshRoutes()
		r.changed()
	}
	if !ok || rt.next == from && c.at == 0 {
		return noRoute(c.packet)
	}
	c.info.ForwardingError = false
	c.mark(true, r.conf.dagRank(r.rank()))
	return Verdict{Action: Forward, Next: rt.next, Packet: c.packet}
}

// SourceRouteError takes an ICMPv6 error Destination Unreachable, Error in
// Source Routing Header, that a router has sent to the root: the hop from it
// to the destination it could not reach is avoided for a while (RFC 6550
// Section 11.2.2.3).
func (r *Root) SourceRouteError(reporter netip.Addr, e ipv6.ErrorBody) {
	if len(e.Invoking) < ipv6.HeaderLen {
		return
	}
	src, dst := netip.AddrFrom16([16]byte(e.Invoking[8:24])), netip.AddrFrom16([16]byte(e.Invoking[24:40]))
	// Only what we sent, and only a hop that is in the table as such.
	if r.own(src) && r.sources.suspect(r.cfg.Clock.Now(), reporter, dst) {
		r.changed()
	}
}
