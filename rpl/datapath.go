package rpl

import (
	"net/netip"
	"slices"

	"gatewayd/ipv6"
)

func dropped(reason string) Verdict { return Verdict{Action: Drop, Reason: reason} }

func refused(packet []byte, typ, code uint8, reason string) Verdict {
	return Verdict{Action: Drop, Packet: packet, Tell: &Problem{Type: typ, Code: code}, Reason: reason}
}

func noRoute(packet []byte) Verdict {
	return refused(packet, ipv6.ICMPDstUnreachable, ipv6.UnreachNoRoute, "no route to the destination")
}

// AppendError appends the ICMPv6 error that a verdict says is due, from src;
// nothing when none is, or when the packet's source must not be told (RFC 4443
// Section 2.4 (e)).
func (v Verdict) AppendError(b []byte, src netip.Addr) []byte {
	if v.Tell == nil {
		return b
	}
	h, payload, err := ipv6.DecodeHeader(v.Packet)
	if err != nil || h.Src.IsMulticast() || h.Src.IsUnspecified() || h.Dst.IsMulticast() {
		return b
	}
	proto, off, err := ipv6.Transport(v.Packet)
	if err == nil && proto == ipv6.ProtoICMPv6 && off < ipv6.HeaderLen+len(payload) && v.Packet[off] < 128 {
		return b
	}
	body := ipv6.ErrorBody{Param: v.Tell.Pointer, Invoking: v.Packet}.Append(nil)
	return ipv6.AppendICMPPacket(b, ipv6.Header{Src: src, Dst: h.Src, HopLimit: meshHops}, v.Tell.Type, v.Tell.Code, body)
}

// Undelivered is the verdict on a Packet that was to be forwarded and that the
// neighbour did not take. On a source route the root has to know which hop
// fails (RFC 6550 Section 11.2.2.3).
func Undelivered(packet []byte) Verdict {
	if _, _, err := ipv6.DecodeHeader(packet); err != nil {
		return dropped(err.Error())
	}
	if at, _ := findSRH(packet); at != 0 {
		return refused(packet, ipv6.ICMPDstUnreachable, UnreachSourceRoute, "next hop of the source route does not answer")
	}
	return refused(packet, ipv6.ICMPDstUnreachable, ipv6.UnreachAddress, "next hop does not answer")
}

// checked is what the first look at a received datagram finds.
type checked struct {
	packet []byte // a copy when anything in it has to change
	h      ipv6.Header
	info   PacketInfo
	at     int // of the option's data; zero without one
}

// inspect reads a datagram and its RPL option, and checks the option against
// our rank (RFC 6550 Section 11.2.2). A drop is final.
func inspect(packet []byte, instance uint8, dagRank uint16) (c checked, inconsistent bool, drop *Verdict) {
	fail := func(v Verdict) (checked, bool, *Verdict) { return checked{}, false, &v }
	h, payload, err := ipv6.DecodeHeader(packet)
	if err != nil {
		return fail(dropped(err.Error()))
	}
	c.packet, c.h = slices.Clone(packet[:ipv6.HeaderLen+len(payload)]), h
	info, at, found, err := FindPacketInfo(c.packet)
	if err != nil {
		return fail(dropped(err.Error()))
	}
	if !found {
		return c, false, nil
	}
	c.info, c.at = info, at
	if info.Instance != instance {
		return fail(dropped("RPL option of another instance"))
	}
	// The sender of a datagram that goes down is nearer the root, of one that
	// goes up farther. A source says zero (RFC 6553 Section 3). One such
	// error may be a passing one, two are a loop (Section 11.2.2.2). What
	// comes back with a forwarding error goes against its direction.
	if s := info.SenderRank; s != 0 && !info.ForwardingError && (info.Down && s > dagRank || !info.Down && s < dagRank) {
		if info.RankError {
			v := dropped("rank error twice: a loop")
			return c, true, &v
		}
		c.info.RankError = true
		c.info.put(c.packet, at)
	}
	return c, false, nil
}

// mark writes direction and rank into the option, if the datagram has one.
func (c *checked) mark(down bool, dagRank uint16) {
	if c.at != 0 {
		c.info.Down, c.info.SenderRank = down, dagRank
		c.info.put(c.packet, c.at)
	}
}

// hop counts the hop limit down.
func (c *checked) hop() (v Verdict, ok bool) {
	if c.packet[7] <= 1 {
		return refused(c.packet, ipv6.ICMPTimeExceeded, ipv6.ExceededHopLimit, "hop limit exceeded"), false
	}
	c.packet[7]--
	return Verdict{}, true
}

func resolve(next func(netip.Addr) (netip.Addr, bool), a netip.Addr) (netip.Addr, bool) {
	if next == nil || a.IsLinkLocalUnicast() {
		return a, true
	}
	return next(a)
}

// follow takes a source route's next step, from a router.
func follow(c checked, own func(netip.Addr) bool, nextHop func(netip.Addr) (netip.Addr, bool), dagRank uint16) Verdict {
	out, next, problem, reason := advance(c.packet, own)
	if out == nil {
		return Verdict{Action: Drop, Packet: c.packet, Tell: problem, Reason: reason}
	}
	hop, ok := resolve(nextHop, next)
	if !ok {
		// The route is strict: what is not on the link cannot be next (RFC
		// 6550 Section 20.18, RFC 6554 Section 4.2).
		return refused(out, ipv6.ICMPDstUnreachable, UnreachSourceRoute, "next hop of the source route is not a neighbour")
	}
	c.packet = out
	c.mark(true, dagRank)
	return Verdict{Action: Forward, Next: hop, Packet: c.packet}
}

// hopOption is the type of the option that is sent (RFC 9008 Section 4.1.3).
func (o DODAGConfig) hopOption() uint8 {
	if o.RPI23 {
		return HopOption23
	}
	return HopOption
}
