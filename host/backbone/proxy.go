package backbone

import (
	"net/netip"

	"gatewayd/ipv6"
	"gatewayd/ndp"
)

// answer is what to say to an IPv6 packet that came over the link; false if that
// is nothing. All that is not a neighbour solicitation as it must be, for a
// proxied address, is passed over.
func (l Link) answer(packet []byte, proxied func(netip.Addr) bool) (o ndp.Out, ok bool) {
	h, body, err := ipv6.DecodeHeader(packet)
	if err != nil || h.NextHeader != ipv6.ProtoICMPv6 || len(body) < int(h.PayloadLen) {
		return o, false
	}
	body = body[:h.PayloadLen]
	m, err := ipv6.DecodeICMP(body)
	if err != nil || m.Type != ndp.TypeNeighborSolicit || !ipv6.VerifyChecksum(h.Src, h.Dst, ipv6.ProtoICMPv6, body) {
		return o, false
	}
	msg, err := ndp.Decode(m.Type, m.Code, m.Body)
	if err != nil {
		return o, false
	}
	ns, ok := msg.(ndp.NeighborSolicit)
	in := ndp.In{Src: h.Src, Dst: h.Dst, HopLimit: h.HopLimit, Type: m.Type, Code: m.Code, Body: m.Body}
	if !ok || ndp.Validate(in, msg) != nil || !proxied(ns.Target) || h.Src == ns.Target {
		return o, false
	}
	return l.advert(ns.Target, h.Src)
}

// advert says that an address is reached here: to whom asked, or to all if that
// is nobody or one that has no address yet. It is the last word on where the
// address is, in place of what neighbours know (Override): the device has
// registered here, and no other Backbone Router claims it.
func (l Link) advert(a, asked netip.Addr) (o ndp.Out, ok bool) {
	if !l.MAC.IsValid() {
		return o, false
	}
	na := ndp.NeighborAdvert{Override: true, Target: a, Options: []ndp.Option{ndp.TargetLinkAddr{Addr: l.MAC}}}
	dst := ipv6.AllNodesLinkLocal
	if asked.IsValid() && !asked.IsUnspecified() {
		dst, na.Solicited = asked, true
	}
	typ, code := na.ICMP()
	return ndp.Out{Src: l.LinkLocal, Dst: dst, HopLimit: 255, Type: typ, Code: code, Body: na.Append(nil)}, true
}
