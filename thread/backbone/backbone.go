package backbone

import (
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/coap"
	"gatewayd/thread/tmf"
)

// Limits of what is remembered of other meshes.
const (
	// maxAbroad is how many addresses are known to be beyond the backbone.
	maxAbroad = 256
	// abroadFor is how long one is believed to be there, if the answer is not
	// repeated.
	abroadFor = 5 * time.Minute
)

// Group is the multicast group of the Backbone Routers of a network or a
// domain, by its prefix (Thread 1.4 Section 5.21: RFC 3306, of link-local
// scope).
func Group(p netip.Prefix) netip.Addr {
	b := [16]byte{0xff, 0x32, 0, byte(p.Bits()), 15: 3}
	a := p.Masked().Addr().As16()
	copy(b[4:12], a[:8])
	return netip.AddrFrom16(b)
}

// backbonePeer is another Backbone Router: its link-local address, with the link
// as the zone.
type backbonePeer struct {
	addr  netip.Addr
	group bool // it spoke to a group
}

// backboneEnd is the router's end of TMF on the backbone link.
type backboneEnd struct {
	r     *Router
	end   *coap.Endpoint[backbonePeer]
	timer *alarm.Timer
}

func (w *backboneEnd) init(r *Router) {
	w.r = r
	w.timer = r.cfg.Clock.NewTimer(func() {
		w.end.Advance(r.cfg.Clock.Now())
		w.rearm()
	})
}

// open begins to speak, and close ends it.
func (w *backboneEnd) open() {
	r := w.r
	w.end = coap.New(coap.Config[backbonePeer]{
		Rand: r.cfg.Rand,
		Send: func(to backbonePeer, b []byte) {
			if r.cfg.ToBackbone != nil {
				r.cfg.ToBackbone(to.addr, b)
			}
		},
		Multicast: func(p backbonePeer) bool { return p.group },
		SamePeer:  func(sent, got backbonePeer) bool { return sent.addr == got.addr },
	})
	w.end.Handle(tmf.BackboneQuery, r.queried)
	w.end.Handle(tmf.BackboneAnswer, r.answered)
	w.end.Handle(tmf.BackboneListeners, r.reported)
}

func (w *backboneEnd) close() {
	w.end.CancelAll()
	w.timer.Stop()
	w.end = nil
}

func (w *backboneEnd) rearm() {
	if at := w.end.Deadline(); at.IsZero() {
		w.timer.Stop()
	} else {
		w.timer.StartAt(at)
	}
}

func (w *backboneEnd) send(path string, to netip.Addr, confirmable bool, payload []byte) {
	m := coap.Message{Type: coap.NonConfirmable, Code: coap.POST, Payload: payload}
	var done func(coap.Response[backbonePeer], error)
	if confirmable {
		m.Type = coap.Confirmable
		done = func(coap.Response[backbonePeer], error) {} // who does not confirm is gone, or does not care
	}
	m.SetPath(path)
	_, _ = w.end.Request(w.r.cfg.Clock.Now(), backbonePeer{addr: to}, m, coap.RequestOptions{}, done) // what is lost is asked again
	w.rearm()
}

// FromBackbone takes a datagram that came to TMF's port on the backbone link:
// from is a link-local address with the link as its zone, to another one or a
// group. Others than Backbone Routers' are dropped.
func (r *Router) FromBackbone(from, to netip.Addr, datagram []byte) {
	if r.state == Disabled || !from.IsLinkLocalUnicast() || !to.IsLinkLocalUnicast() && !slices.Contains(r.Groups(), to.WithZone("")) {
		return
	}
	r.backbone.end.Receive(r.cfg.Clock.Now(), backbonePeer{from, to.IsMulticast()}, datagram)
	r.backbone.rearm()
}

// Groups are those to listen to on the backbone link, if there is any reason.
func (r *Router) Groups() (all []netip.Addr) {
	if r.state == Disabled {
		return nil
	}
	if p := r.cfg.MeshLocal(); p.IsValid() {
		all = append(all, Group(p))
	}
	if p, ok := r.DomainPrefix(); ok {
		all = append(all, Group(p))
	}
	return all
}

// domainGroup is where the domain's Backbone Routers are; false without a
// domain.
func (r *Router) domainGroup() (netip.Addr, bool) {
	p, ok := r.DomainPrefix()
	if !ok {
		return netip.Addr{}, false
	}
	return Group(p), true
}

// query asks the domain's Backbone Routers who has an address: for a device of
// the mesh, by its locator, or for nobody in particular, as a duplicate
// (BB.qry).
func (r *Router) query(dua netip.Addr, for16 *uint16) {
	to, ok := r.domainGroup()
	if !ok {
		return
	}
	t := tmf.TLVs(nil).AppendAddr(tmf.Target, dua)
	if for16 != nil {
		t = t.AppendUint16(tmf.RLOC16, *for16)
	}
	r.backbone.send(tmf.BackboneQuery, to, false, t)
}

// Extend takes an Address Query further, which the mesh may have no answer to:
// if the node is the primary Backbone Router and the address is one of the
// domain's, those of other meshes are asked.
func (r *Router) Extend(target netip.Addr, from uint16) {
	if r.state == Primary && r.InDomain(target) && r.proxy(target) < 0 {
		r.query(target, &from)
	}
}

// queried is BB.qry: somebody in another mesh looks for an address, or for
// duplicates of it.
func (r *Router) queried(q *coap.Request[backbonePeer]) {
	q.NoResponse()
	t := tmf.TLVs(q.Payload)
	dua, err := t.Addr(tmf.Target)
	if err != nil || r.state != Primary || q.Type != coap.NonConfirmable || q.Code != coap.POST {
		return
	}
	i := r.proxy(dua)
	if i < 0 || r.proxies[i].Tentative {
		return
	}
	a := r.answer(r.proxies[i])
	if v, err := t.Uint16(tmf.RLOC16); err == nil {
		a = a.AppendUint16(tmf.RLOC16, v)
	}
	r.backbone.send(tmf.BackboneAnswer, q.From.addr, true, a)
}

// answer says that a proxy is ours.
func (r *Router) answer(p Proxy) tmf.TLVs {
	last := max(r.cfg.Clock.Now().Sub(p.Last), 0)
	return tmf.TLVs(nil).AppendAddr(tmf.Target, p.DUA).Append(tmf.MLEID, p.MLEID[:]...).
		AppendUint32(tmf.LastTransaction, uint32(last/time.Second)).Append(tmf.NetworkName, []byte(r.cfg.NetworkName())...)
}

// announce tells the domain that an address is here (PRO_BB.ntf).
func (r *Router) announce(p Proxy) {
	if to, ok := r.domainGroup(); ok {
		r.backbone.send(tmf.BackboneAnswer, to, false, r.answer(p))
	}
}

// answered is BB.ans, and PRO_BB.ntf.
func (r *Router) answered(q *coap.Request[backbonePeer]) {
	t := tmf.TLVs(q.Payload)
	dua, err1 := t.Addr(tmf.Target)
	id, err2 := t.Find(tmf.MLEID, 8)
	last, err3 := t.Uint32(tmf.LastTransaction)
	_, err4 := t.Find(tmf.NetworkName, 0)
	proactive := q.Type != coap.Confirmable
	switch {
	case r.state != Primary:
		q.NoResponse()
		return
	case q.Code != coap.POST || err1 != nil || err2 != nil || err3 != nil || err4 != nil:
		if proactive {
			q.NoResponse()
		} else {
			q.Respond(coap.BadRequest, nil)
		}
		return
	case proactive:
		q.NoResponse()
	default:
		q.Respond(coap.Changed, nil)
	}
	ago := min(time.Duration(last)*time.Second, oldest)
	switch for16, err := t.Uint16(tmf.RLOC16); {
	case !r.InDomain(dua):
	case proactive:
		r.claimed(dua, [8]byte(id), ago)
	case err != nil:
		r.refuted(dua, [8]byte(id))
	default:
		r.abroadIs(dua)
		if for16 == r.cfg.RLOC16() {
			return // this node's own datagrams leave the mesh from now on
		}
		r.cfg.AddressNotify(dua, [8]byte(id), ago, for16)
	}
}

// refuted takes that an address that we look for duplicates of is another
// device's, in another mesh.
func (r *Router) refuted(dua netip.Addr, id [8]byte) {
	i := r.proxy(dua)
	if i < 0 {
		return
	}
	if p := r.proxies[i]; p.MLEID != id {
		r.dropProxy(i)
		r.cfg.AddressError(dua, id, r.cfg.Locator(p.RLOC16))
		return
	}
	r.proxies = slices.Clone(r.proxies) // the same device, which has moved here
	r.proxies[i].queries = dadQueries
}

// claimed takes that another Backbone Router has an address. Where the device
// was heard last it is; of two devices the one registered there keeps it.
func (r *Router) claimed(dua netip.Addr, id [8]byte, ago time.Duration) {
	i := r.proxy(dua)
	if i < 0 {
		return
	}
	switch p := r.proxies[i]; {
	case p.MLEID != id:
		r.dropProxy(i)
		r.cfg.AddressError(dua, id, netip.Addr{})
	case ago <= r.cfg.Clock.Now().Sub(p.Last).Truncate(time.Second):
		r.dropProxy(i)
	case !p.Tentative:
		r.announce(p)
	}
}

// abroadIs takes that an address is in another mesh.
func (r *Router) abroadIs(dua netip.Addr) {
	now := r.cfg.Clock.Now()
	if r.abroad == nil {
		r.abroad = map[netip.Addr]time.Time{}
	}
	if _, ok := r.abroad[dua]; !ok && len(r.abroad) >= maxAbroad {
		var first netip.Addr
		for a, until := range r.abroad {
			if !first.IsValid() || until.Before(r.abroad[first]) {
				first = a
			}
		}
		delete(r.abroad, first)
	}
	r.abroad[dua] = now.Add(abroadFor)
}

// FromBeyond takes that a datagram came from the backbone: a source in the
// domain that no device has registered is there, so that answers to it leave the
// mesh.
func (r *Router) FromBeyond(src netip.Addr) {
	if r.state == Primary && r.domain.Contains(src) && r.proxy(src) < 0 {
		r.abroadIs(src)
	}
}

func (r *Router) forgetAbroad(dua netip.Addr) { delete(r.abroad, dua) }

// Abroad reports whether an address of the domain is in another mesh, reached
// by the backbone link.
func (r *Router) Abroad(a netip.Addr) bool {
	until, ok := r.abroad[a]
	return ok && r.state == Primary && r.cfg.Clock.Now().Before(until)
}

// report tells the network's other Backbone Routers of registered groups
// (BMLR.ntf), so that one that takes over knows them.
func (r *Router) report(groups []netip.Addr, lasts time.Duration) {
	if p := r.cfg.MeshLocal(); p.IsValid() && len(groups) > 0 {
		t := appendGroups(nil, groups).AppendUint32(tmf.Timeout, uint32(lasts/time.Second))
		r.backbone.send(tmf.BackboneListeners, Group(p), false, t)
	}
}

// reported is BMLR.ntf.
func (r *Router) reported(q *coap.Request[backbonePeer]) {
	q.NoResponse()
	m, err := DecodeRegistration(q.Payload)
	if err != nil || m.Timeout == nil || r.state != Secondary || q.Code != coap.POST {
		return
	}
	for _, g := range m.Groups {
		if *m.Timeout == 0 {
			r.remove(g)
		} else {
			r.hear(g, min(time.Duration(*m.Timeout)*time.Second, MaxTimeout))
		}
	}
}
