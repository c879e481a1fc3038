package thread

import (
	"net/netip"

	"gatewayd/ieee802154"
	"gatewayd/ipv6"
	"gatewayd/lowpan"
	"gatewayd/thread/addr"
	"gatewayd/thread/ip"
	"gatewayd/thread/link"
	"gatewayd/thread/mesh"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
)

// Anycast locators (Thread 1.4 Section 5.2.2.2).
const (
	alocLeader            = 0xfc00
	alocCommissionerFirst = 0xfc30
	alocCommissionerLast  = 0xfc37
	alocPrimaryBackbone   = 0xfc38
)

// ipSide passes received datagrams to the IPv6 layer.
type ipSide struct{ n *Node }

func (s ipSide) Receive(packet []byte, info link.Info) {
	s.n.childLeft(packet, info)
	s.n.ip.Receive(packet, info)
}

// childLeft drops a minimal child that tells its former parent, by an empty
// datagram to it from elsewhere, that it has another one.
func (n *Node) childLeft(packet []byte, info link.Info) {
	h, rest, err := ipv6.DecodeHeader(packet)
	if err != nil || h.NextHeader != ipv6.ProtoNoNext || len(rest) > 0 || !info.Secured || info.Src.Mode != ieee802154.AddrShort ||
		neighbor.RouterID(info.Src.Short) == neighbor.RouterID(n.mle.RLOC16()) || !n.ip.Has(h.Dst) {
		return
	}
	if c := n.table.ChildByAddress(h.Src); c != nil && !c.Mode.FullThread() {
		n.mle.RemoveChild(c.Ext)
	}
}

// routes is how the forwarder finds its way: by locators, the children, the
// network data and address resolution.
type routes struct{ n *Node }

// Locate implements mesh.Routes.
func (r routes) Locate(src, dst netip.Addr) (uint16, mesh.Verdict) {
	n := r.n
	if !n.mle.Attached() {
		return 0, mesh.Unreachable
	}
	if n.mle.Role() == mle.Child && !n.mle.Mode().FullThread() {
		return n.table.Parent.RLOC16, mesh.Found // everything goes by the parent
	}
	if rloc16, ok := n.locator(dst); ok {
		return n.locate(rloc16)
	}
	if c := n.table.ChildByAddress(dst); c != nil {
		return c.RLOC16, mesh.Found
	}
	data := n.mle.NetData()
	if n.meshLocal(dst) || data.IsOnMesh(dst) {
		switch rloc16, s := n.addr.Resolve(dst); s {
		case addr.Known:
			return rloc16, mesh.Found
		case addr.Asked:
			return 0, mesh.Pending
		}
		return 0, mesh.Unreachable
	}
	if rloc16, ok := data.Route(src, dst, n.pathCost); ok && rloc16 != n.mle.RLOC16() {
		return rloc16, mesh.Found
	}
	return 0, mesh.Unreachable
}

// locate is where an RLOC16 or ALOC16 is.
func (n *Node) locate(rloc16 uint16) (uint16, mesh.Verdict) {
	if rloc16 < alocLeader {
		return rloc16, mesh.Found
	}
	switch {
	case rloc16 >= alocCommissionerFirst && rloc16 <= alocCommissionerLast:
		if at, ok := n.commissionerLocator(); ok {
			return at, mesh.Found
		}
	case rloc16 == alocPrimaryBackbone:
		if b, ok := n.mle.NetData().PrimaryBackboneRouter(n.mle.LeaderRLOC16()); ok {
			return b.RLOC16, mesh.Found
		}
	default:
		if at, ok := n.mle.ResolveAnycast(rloc16); ok {
			return at, mesh.Found
		}
	}
	return 0, mesh.Unreachable
}

func (n *Node) pathCost(rloc16 uint16) int { return int(n.mle.PathCost(rloc16)) }

// locator is the RLOC16 in a mesh-local address that is a locator.
func (n *Node) locator(a netip.Addr) (uint16, bool) {
	b := a.As16()
	if !n.meshLocal(a) || [6]byte(b[8:14]) != [6]byte{0, 0, 0, 0xff, 0xfe, 0} {
		return 0, false
	}
	return uint16(b[14])<<8 | uint16(b[15]), true
}

// sourceRLOC16 is the RLOC16 of a node that sent from its locator.
func (n *Node) sourceRLOC16(a netip.Addr) (uint16, bool) {
	rloc16, ok := n.locator(a)
	return rloc16, ok && rloc16 < alocLeader
}

// NextHop implements mesh.Routes.
func (r routes) NextHop(rloc16 uint16) (uint16, bool) { return r.n.mle.NextHop(rloc16) }

// Router implements mesh.Routes.
func (r routes) Router() bool { return r.n.mle.Role() >= mle.Router }

// EveryGroup implements mesh.Routes.
func (r routes) EveryGroup(g netip.Addr) bool { return r.n.mle.EveryGroup(g) }

// Contexts implements mesh.Routes.
func (r routes) Contexts() lowpan.Contexts { return r.n.mle.Contexts() }

// Unroutable implements mesh.Routes: a frame that we cannot send on is a sign
// of a route that is not what it was.
func (r routes) Unroutable(dst uint16) { r.n.mle.RouteFailed(dst) }

// Reachable implements mesh.Routes. Who is not on the mesh may be behind us.
func (r routes) Reachable(rloc16 uint16, dst netip.Addr) bool {
	n := r.n
	if rloc16 == n.mle.RLOC16() {
		return n.ip.Has(dst) || n.mle.Router() && n.isNeighbor(dst) || !n.meshLocal(dst) && !n.mle.NetData().IsOnMesh(dst) ||
			n.backbone.Abroad(dst)
	}
	return n.routable(rloc16)
}

// routable reports whether there is a way to another node.
func (n *Node) routable(rloc16 uint16) bool {
	own := n.mle.RLOC16()
	switch {
	case rloc16 == own:
		return false
	case !n.mle.Router():
		return true
	case neighbor.RouterID(rloc16) == neighbor.RouterID(own):
		return n.table.ChildByRLOC16(rloc16) != nil
	}
	_, ok := n.mle.NextHop(rloc16)
	return ok
}

// isNeighbor reports whether an address is that of a child, or a neighbour's
// locator.
func (n *Node) isNeighbor(a netip.Addr) bool {
	if rloc16, ok := n.locator(a); ok {
		return n.table.Find(ieee802154.ShortAddr(rloc16)) != nil
	}
	return n.table.ChildByAddress(a) != nil
}

// Unreachable implements mesh.Routes: by ICMPv6 (RFC 4443 Section 3.1), at
// which the mesh node forgets what it believed.
func (r routes) Unreachable(src uint16, packet []byte) {
	n := r.n
	if at, ok := n.ip.SourceFor(n.mle.Locator(src)); ok {
		n.ip.SendUnreachable(at, n.mle.Locator(src), packet)
	}
}

// Heard implements mesh.Routes. Only full Thread devices look for addresses
// and so learn where they are.
func (r routes) Heard(src netip.Addr, rloc16, at uint16) {
	n := r.n
	if !n.mle.Attached() || !n.mle.Mode().FullThread() || src.IsMulticast() {
		return
	}
	if _, isLocator := n.locator(src); isLocator || !n.meshLocal(src) && !n.mle.NetData().IsOnMesh(src) {
		return
	}
	ours := !n.here(rloc16) && n.here(at)
	n.addr.Heard(src, rloc16, ours)
	if c := n.table.ChildByAddress(src); c != nil && !c.Mode.FullThread() &&
		neighbor.RouterID(rloc16) != neighbor.RouterID(n.mle.RLOC16()) {
		n.mle.ChildElsewhere(c)
	}
}

// here reports whether an RLOC16 is ours or that of a child that we resolve for.
func (n *Node) here(rloc16 uint16) bool {
	if rloc16 == n.mle.RLOC16() {
		return true
	}
	c := n.table.ChildByRLOC16(rloc16)
	return c != nil && !c.Mode.FullThread()
}

// reaches reports whether the mesh has a way to an address that is not ours.
func (n *Node) reaches(src, dst netip.Addr) bool {
	data := n.mle.NetData()
	if data.IsOnMesh(dst) {
		return !n.backbone.Abroad(dst)
	}
	rloc16, ok := data.Route(src, dst, n.pathCost)
	return ok && rloc16 != n.mle.RLOC16()
}

// exits reports whether this node is the way out of the mesh to an address.
func (n *Node) exits(src, dst netip.Addr) bool {
	data := n.mle.NetData()
	if !n.mle.Attached() {
		return false
	}
	if data.IsOnMesh(dst) {
		return n.backbone.Abroad(dst)
	}
	rloc16, ok := data.Route(src, dst, n.pathCost)
	return ok && rloc16 == n.mle.RLOC16()
}

// wantsCopy reports whether a sleepy child listens to a group.
func (n *Node) wantsCopy(g netip.Addr) bool {
	for _, c := range n.table.Children {
		if c.State != neighbor.Valid || c.Mode.RxOnWhenIdle() {
			continue
		}
		for _, a := range c.Addresses {
			if a == g {
				return true
			}
		}
	}
	return false
}

// MeshLocalPrefix is the network's, the zero prefix if there is no dataset.
func (n *Node) MeshLocalPrefix() netip.Prefix { return n.mle.MeshLocal() }

func (n *Node) meshLocal(a netip.Addr) bool {
	p := n.mle.MeshLocal()
	return p.IsValid() && p.Contains(a)
}

// MLEID is the node's mesh-local EID: its address in this network for good.
func (n *Node) MLEID() netip.Addr { return n.mle.MLEID() }

// RLOC is the node's routing locator, which changes with its place.
func (n *Node) RLOC() netip.Addr { return n.mle.RLOC() }

func (n *Node) removeChildAddress(c *neighbor.Child, a netip.Addr) {
	for i, x := range c.Addresses {
		if x == a && i > 0 {
			c.Addresses = append(c.Addresses[:i], c.Addresses[i+1:]...)
			return
		}
	}
}

// duplicateAddress gives up an address that another device has.
func (n *Node) duplicateAddress(a netip.Addr) {
	if a == n.dua.addr {
		n.dua.duplicate()
		return
	}
	for _, x := range n.ip.Addresses() {
		if x.Addr == a && x.Origin != ip.OriginThread {
			n.log(Event{ID: "ADDR-DUPLICATE", Text: "another device has this address: removed", Attrs: []mle.Attr{{Key: "address", Value: a}}})
			n.ip.Remove(a)
		}
	}
}
