package ndp

import "net/netip"

// A request is a neighbour solicitation that asks for an address to be
// registered.
type request struct {
	src    netip.Addr // whom to answer
	link   LinkAddr   // its link-layer address
	target netip.Addr
	addr   netip.Addr // to be registered
	aro    AddressRegistration
}

// registrationRequest returns the request in a solicitation; ok is false if it
// is an ordinary one: without the option, or the option is to be ignored
// because there is no source address or no link-layer address to it (RFC 6775
// Section 6.5).
func registrationRequest(in In, m NeighborSolicit) (q request, ok bool) {
	aro, ok := Find[AddressRegistration](m.Options)
	ll, hasLink := Find[SourceLinkAddr](m.Options)
	if !ok || !hasLink || in.Src.IsUnspecified() || aro.Status != StatusSuccess {
		return request{}, false
	}
	q = request{src: in.Src, link: ll.Addr, target: m.Target, addr: in.Src, aro: aro}
	if aro.Extended {
		q.addr = m.Target // RFC 8505 Section 5.5
	}
	if !isUnicast(q.addr) {
		return request{}, false
	}
	return q, true
}

// registration is what the request would become in the table.
func (q request) registration() Registration {
	return Registration{
		Addr: q.addr, ROVR: q.aro.ROVR, TID: q.aro.TID, Extended: q.aro.Extended, Route: q.aro.Route, Link: q.link,
	}
}

// answer returns the neighbour advertisement that tells the status. A refused
// node of RFC 6775 is told at the link-local address of its EUI-64, since the
// address it asked from may be somebody else's (Section 6.5.2). RFC 8505 nodes
// ask from an address that is theirs.
func (q request) answer(self netip.Addr, status Status) Out {
	dst, link := q.src, q.link
	if status != StatusSuccess && q.aro.ROVR.Len() == 8 && (!q.aro.Extended || q.src == q.addr) {
		link = EUI64([8]byte(q.aro.ROVR.b[:8]))
		dst = link.LinkLocal()
	}
	aro := q.aro
	aro.Status = q.status(status)
	return outgoing(self, dst, localHopLimit, link, NeighborAdvert{
		Router: true, Solicited: true, Target: q.target, Options: []Option{aro},
	})
}

// status translates for a node of RFC 6775, which knows of three.
func (q request) status(s Status) Status {
	switch {
	case q.aro.Extended || s <= StatusCacheFull:
		return s
	case s == StatusSaturated:
		return StatusCacheFull
	}
	return StatusDuplicate
}

// notice returns the advertisement that tells a neighbour, unasked, that its
// registration is no more (RFC 8505 Section 5.7).
func notice(self netip.Addr, r Registration, status Status) Out {
	dst := r.Link.LinkLocal()
	if !r.Extended {
		dst = EUI64([8]byte(r.ROVR.b[:8])).LinkLocal()
	}
	return outgoing(self, dst, localHopLimit, r.Link, NeighborAdvert{
		Router: true, Target: r.Addr,
		Options: []Option{AddressRegistration{Status: status, Extended: r.Extended, TID: r.TID, ROVR: r.ROVR}},
	})
}

// advertiseSelf answers an ordinary solicitation for an address of ours (RFC
// 4861 Section 7.2.4).
func advertiseSelf(in In, target netip.Addr, link LinkAddr, router bool) Out {
	dst, next, solicited := in.Src, in.Link, true
	if dst.IsUnspecified() {
		dst, next, solicited = allNodes, LinkAddr{}, false
	}
	return outgoing(target, dst, localHopLimit, next, NeighborAdvert{
		Router: router, Solicited: solicited, Override: true, Target: target,
		Options: []Option{TargetLinkAddr{link}},
	})
}
