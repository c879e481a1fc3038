package wpan

import (
	"encoding/json"
	"net/netip"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/ipv6"
	"gatewayd/ndp"
	"gatewayd/rpl"
)

// routing finds the way of datagrams with routable destinations.
type routing interface {
	// originate sends a datagram of the node or its host.
	originate(h ipv6.Header, packet []byte, o sending)
	// arrived takes one that a neighbour sent here.
	arrived(h ipv6.Header, packet []byte, info Link)
	// control takes an RPL message.
	control(h ipv6.Header, m ipv6.ICMP, info Link)
	// trouble takes an ICMPv6 error that came to this node; false if it is not
	// about a way.
	trouble(h ipv6.Header, m ipv6.ICMP) bool
	// linkSent tells how a frame to a neighbour went.
	linkSent(to netip.Addr, ok bool, transmissions int)
	// addressed tells that the node's addresses are others.
	addressed()
	// neighbour tells of a neighbour's address that was registered, or is gone.
	neighbour(r ndp.Registration, present bool)
	stop()
}

func (n *Node) beginRouting() {
	switch n.cfg.Role {
	case Coordinator:
		n.routing = newRootRouting(n)
	case Router:
		n.routing = newRouterRouting(n)
	default:
		n.routing = &hostRouting{n: n}
	}
	n.routing.addressed()
}

// nextHop is the neighbour that has a routable address: by what it registered
// here, or by the address itself, which is made of a link-layer address.
func (n *Node) nextHop(a netip.Addr) (netip.Addr, bool) {
	if hop, ok := n.resolve(a); ok {
		return linkLocal(hop.Ext), true
	}
	if n.offMesh(a) {
		return netip.Addr{}, false
	}
	return linkLocal(linkAddress(a).Ext), true
}

// obey does what RPL decided about a datagram.
func (n *Node) obey(v rpl.Verdict, o sending, exit func(packet []byte)) {
	switch v.Action {
	case rpl.Deliver:
		if h, _, err := ipv6.DecodeHeader(v.Packet); err == nil {
			n.deliver(h, v.Packet, Link{Secured: true})
		}
		o.finish(true)
	case rpl.Exit:
		exit(v.Packet)
		o.finish(true)
	case rpl.Forward:
		hop, ok := n.nextHop(v.Next)
		if v.Next.IsLinkLocalUnicast() {
			hop, ok = v.Next, true
		}
		if !ok {
			n.Counters.Unroutable++
			o.finish(false)
			return
		}
		n.toAir(v.Packet, linkAddress(hop), o)
	default:
		n.Counters.Unroutable++
		o.finish(false)
		if src, ok := n.SourceFor(n.global()); ok && v.Tell != nil {
			if e := v.AppendError(nil, src); len(e) > 0 {
				n.tell(e)
			}
		}
	}
}

// tell sends an ICMPv6 error of this node, at a bounded rate.
func (n *Node) tell(packet []byte) {
	now := n.clock.Now()
	h, _, err := ipv6.DecodeHeader(packet)
	if err != nil || now.Before(n.nextError) {
		return
	}
	n.nextError = now.Add(errorPeriod)
	if n.cfg.Role == Coordinator && n.offMesh(h.Dst) || n.has(h.Dst) {
		n.toHost(packet)
		return
	}
	n.send(packet, sending{})
}

// rplMessage sends a message of RPL.
func (n *Node) rplMessage(s rpl.Send) {
	n.send(ipv6.AppendICMPPacket(nil, ipv6.Header{Src: s.Src, Dst: s.Dst, HopLimit: s.HopLimit}, s.Type, s.Code, s.Body),
		sending{urgent: true})
}

// rootRouting is a coordinator's.
type rootRouting struct {
	n    *Node
	root *rpl.Root
}

func newRootRouting(n *Node) routing {
	mop := rpl.NonStoring
	if n.cfg.Storing {
		mop = rpl.Storing
	}
	r := &rootRouting{n: n}
	var err error
	r.root, err = rpl.NewRoot(rpl.RootConfig{
		Clock: &n.clock, Rand: n.rand, Send: n.rplMessage, NextHop: n.nextHop,
		LinkLocal: n.addrs[0], Address: n.global(), MOP: mop,
		// What does only storing mode may know nothing of the RPL option, and
		// must drop what has it (RFC 6553 Section 6): RIOT's nodes do.
		OmitOption:     n.cfg.Storing,
		VersionChanged: r.saveVersion, LastVersion: r.loadVersion(),
		Config: rpl.DODAGConfig{OCP: rpl.OCPMRHOF},
		Prefixes: []rpl.PrefixInformation{{Prefix: n.network.Prefix.Addr(), Bits: 64, Autonomous: true,
			Valid: rpl.Infinite, Preferred: rpl.Infinite}},
	})
	if err != nil {
		// The configuration is made here, of a network that was checked.
		panic("wpan: " + err.Error())
	}
	r.root.Start()
	return r
}

func (r *rootRouting) saveVersion(v uint8) {
	b, err := json.Marshal(v)
	if err == nil {
		err = r.n.cfg.Store.Save(storeRouting, b)
	}
	if err != nil {
		r.n.log(Event{ID: "LOWPAN-STORE", Text: "RPL's version cannot be stored", Err: err})
	}
}

func (r *rootRouting) loadVersion() *uint8 {
	b, lost, ok := r.n.cfg.Store.Load(storeRouting)
	var v uint8
	if !ok || lost > 0 || json.Unmarshal(b, &v) != nil {
		return nil
	}
	return &v
}

func (r *rootRouting) originate(h ipv6.Header, packet []byte, o sending) {
	if r.direct(packet, o) {
		return
	}
	r.n.obey(r.root.Enter(packet), o, r.exit)
}

func (r *rootRouting) arrived(h ipv6.Header, packet []byte, info Link) {
	v := r.root.Forward(packet, linkLocal(info.Src.Ext))
	if v.Action == rpl.Drop && v.Tell != nil && v.Tell.Type == ipv6.ICMPDstUnreachable && v.Tell.Code == ipv6.UnreachNoRoute &&
		r.direct(rpl.RemovePacketInfo(v.Packet), sending{}) {
		return
	}
	if v.Action == rpl.Forward {
		r.n.Counters.Forwarded++
	}
	r.n.obey(v, sending{}, r.exit)
}

// direct sends a datagram to a neighbour that does not speak RPL, a host.
func (r *rootRouting) direct(packet []byte, o sending) bool {
	h, _, err := ipv6.DecodeHeader(packet)
	if err != nil {
		return false
	}
	if _, known := r.root.Route(h.Dst); known {
		return false
	}
	reg, ok := r.n.border.Lookup(h.Dst)
	if !ok || !reg.Neighbor() {
		return false
	}
	r.n.toAir(packet, reg.Link.IEEE802154(), o)
	return true
}

// exit gives the host a datagram that leaves the mesh. Nodes have addresses of
// the mesh and speak in no other name (RFC 2827).
func (r *rootRouting) exit(packet []byte) {
	if h, _, err := ipv6.DecodeHeader(packet); err != nil || !r.n.network.Prefix.Contains(h.Src) {
		r.n.Counters.Refused++
		return
	}
	r.n.toHost(packet)
}

func (r *rootRouting) control(h ipv6.Header, m ipv6.ICMP, _ Link) {
	if r.root.Receive(h.Src, h.Dst, m.Code, m.Body) != nil {
		r.n.Counters.Malformed++
	}
}

func (r *rootRouting) trouble(h ipv6.Header, m ipv6.ICMP) bool {
	if m.Type != ipv6.ICMPDstUnreachable || m.Code != rpl.UnreachSourceRoute {
		return false
	}
	if e, err := ipv6.DecodeErrorBody(m.Body); err == nil {
		r.root.SourceRouteError(h.Src, e)
	}
	return true
}

func (r *rootRouting) linkSent(netip.Addr, bool, int) {}
func (r *rootRouting) addressed()                     {}

func (r *rootRouting) neighbour(reg ndp.Registration, present bool) {
	if !present {
		r.root.NeighborLost(reg.Addr)
	}
}

func (r *rootRouting) stop() { r.root.Stop() }

// routerRouting is a router's.
type routerRouting struct {
	n        *Node
	node     *rpl.Node
	speakers map[ieee802154.ExtAddr]bool // registered neighbours that speak RPL
	settle   *alarm.Timer
}

// maxSpeakers bounds who is remembered to speak RPL until the next look at who
// is registered.
const maxSpeakers = 256

func newRouterRouting(n *Node) routing {
	r := &routerRouting{n: n, speakers: map[ieee802154.ExtAddr]bool{}}
	r.settle = n.clock.NewTimer(r.announce)
	var err error
	r.node, err = rpl.NewNode(rpl.NodeConfig{
		Clock: &n.clock, Rand: n.rand, Send: n.rplMessage, NextHop: n.nextHop, LinkLocal: n.addrs[0],
		Changed: func() { // register with the router that routes go by
			if parent, ok := r.node.Parent(); ok && n.host != nil {
				n.host.Prefer(parent)
			}
		},
	})
	if err != nil {
		panic("wpan: " + err.Error()) // the configuration is made here
	}
	r.node.Start()
	return r
}

func (r *routerRouting) originate(h ipv6.Header, packet []byte, o sending) {
	if r.node.State() != rpl.Joined {
		r.n.toDefaultRouter(h, packet, o)
		return
	}
	r.n.obey(r.node.Originate(packet), o, r.exit)
}

func (r *routerRouting) arrived(h ipv6.Header, packet []byte, info Link) {
	from := linkLocal(info.Src.Ext)
	if r.fromHost(h, info) {
		// A host's datagram enters here, as if it were the router's own.
		if h.HopLimit <= 1 {
			r.n.fail(h, packet, ipv6.ICMPTimeExceeded, ipv6.ExceededHopLimit, 0)
			return
		}
		ipv6.SetHopLimit(packet, h.HopLimit-1)
		r.n.Counters.Forwarded++
		r.n.obey(r.node.Originate(packet), sending{}, r.exit)
		return
	}
	v := r.node.Forward(packet, from)
	if r.n.has(h.Dst) && v.Action == rpl.Drop && v.Tell != nil && v.Tell.Type == ipv6.ICMPDstUnreachable && v.Tell.Code == ipv6.UnreachNoRoute {
		// A tunnel of the root to a host that was behind this router before a
		// restart, and may be still.
		if in, _, err := ipv6.DecodeHeader(v.Packet); err == nil && in.HopLimit > 1 && !r.n.has(in.Dst) && routable(in.Dst) {
			v = rpl.Verdict{Action: rpl.Exit, Packet: rpl.RemovePacketInfo(v.Packet)}
			ipv6.SetHopLimit(v.Packet, in.HopLimit-1)
		}
	}
	if v.Action == rpl.Forward || v.Action == rpl.Exit {
		r.n.Counters.Forwarded++
	}
	r.n.obey(v, sending{}, r.exit)
}

// fromHost reports a datagram of a neighbour that does not speak RPL: without
// any of RPL's headers, from an address that it registered here or that is made
// of its link-layer address. A router that was restarted does not remember who
// registered.
func (r *routerRouting) fromHost(h ipv6.Header, info Link) bool {
	if h.NextHeader == ipv6.ProtoHopByHop || h.NextHeader == ipv6.ProtoRouting || r.n.has(h.Dst) {
		return false
	}
	if _, ok := r.n.router.Resolve(h.Src); ok {
		return true
	}
	return info.Src.Mode == ieee802154.AddrExtended && linkAddress(h.Src) == info.Src && !r.speakers[info.Src.Ext]
}

// exit gives a datagram to the host behind this router that it is for.
func (r *routerRouting) exit(packet []byte) {
	h, _, err := ipv6.DecodeHeader(packet)
	if err != nil {
		return
	}
	hop, ok := r.n.nextHop(h.Dst)
	if !ok {
		r.n.fail(h, packet, ipv6.ICMPDstUnreachable, ipv6.UnreachAddress, 0)
		return
	}
	r.n.toAir(packet, linkAddress(hop), sending{})
}

func (r *routerRouting) control(h ipv6.Header, m ipv6.ICMP, info Link) {
	if info.Src.Mode == ieee802154.AddrExtended && len(r.speakers) < maxSpeakers && h.Src.IsLinkLocalUnicast() {
		if !r.speakers[info.Src.Ext] {
			r.speakers[info.Src.Ext] = true
			r.settle.StartEarlier(settleTime)
		}
	}
	if r.node.Receive(h.Src, h.Dst, m.Code, m.Body) != nil {
		r.n.Counters.Malformed++
	}
}

func (r *routerRouting) trouble(ipv6.Header, ipv6.ICMP) bool { return false }

func (r *routerRouting) linkSent(to netip.Addr, ok bool, transmissions int) {
	r.node.LinkSent(to, ok, transmissions)
}

func (r *routerRouting) addressed() {
	r.node.SetAddresses(r.n.addrs[1:]...)
}

// neighbour announces the hosts behind this router. Routers register here too,
// but announce themselves: two announcements of one address would compete. RFC
// 9010 has a flag to tell them apart; who registers by RFC 6775 is given time to
// be heard speaking RPL.
func (r *routerRouting) neighbour(reg ndp.Registration, present bool) {
	if present && !reg.Extended {
		r.settle.StartEarlier(settleTime)
		return
	}
	r.settle.StartEarlier(0)
}

// settleTime is how long a newly registered node may take to speak RPL.
const settleTime = 5 * time.Second

func (r *routerRouting) announce() {
	if r.n.router == nil {
		return
	}
	var targets []rpl.External
	speakers := map[ieee802154.ExtAddr]bool{}
	for _, reg := range r.n.router.Table() {
		ext := reg.Link.IEEE802154().Ext
		speaks := r.speakers[ext]
		if speaks {
			speakers[ext] = true
		}
		if !reg.Addr.IsLinkLocalUnicast() && !speaks && (reg.Route || !reg.Extended) {
			targets = append(targets, rpl.External{Prefix: netip.PrefixFrom(reg.Addr, 128),
				Sequence: uint8(reg.TID), Counted: reg.Extended})
		}
	}
	r.speakers = speakers
	r.node.SetExternal(targets...)
}

func (r *routerRouting) stop() {
	r.settle.Stop()
	r.node.Stop()
}

// toDefaultRouter sends a datagram by the router that neighbour discovery found.
func (n *Node) toDefaultRouter(h ipv6.Header, packet []byte, o sending) {
	if n.host == nil {
		n.Counters.Unroutable++
		o.finish(false)
		return
	}
	d, ok := n.host.DefaultRouter()
	if !ok {
		n.Counters.Unroutable++
		o.finish(false)
		return
	}
	n.toAir(packet, linkAddress(d.Addr), o)
}

// Forever is the lifetime of a Route without end.
const Forever = rpl.Infinite

// Routes is what a coordinator knows of the way to its nodes.
func (n *Node) Routes() []rpl.RouteEntry {
	r, ok := n.routing.(*rootRouting)
	if !ok {
		return nil
	}
	return r.root.Table().Routes
}

// Reaches reports whether a coordinator knows a way to an address.
func (n *Node) Reaches(a netip.Addr) bool {
	r, ok := n.routing.(*rootRouting)
	if !ok {
		return false
	}
	if _, ok := r.root.Route(a); ok {
		return true
	}
	reg, ok := n.border.Lookup(a)
	return ok && reg.Neighbor()
}
