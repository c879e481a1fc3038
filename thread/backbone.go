package thread

import (
	"net/netip"
	"time"

	"gatewayd/thread/backbone"
	"gatewayd/thread/joining"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/netdata"
	"gatewayd/thread/tmf"
)

// firstParentThatRegisters is the version of parents that register their
// children's groups at the Backbone Router: Thread 1.2.
const firstParentThatRegisters = 3

// buildBackbone makes what has to do with the backbone link.
func (n *Node) buildBackbone() {
	data := func() *netdata.Data { return n.mle.NetData() }
	attached := func() bool { return n.mle.Attached() }
	n.backbone = backbone.NewRouter(backbone.RouterConfig{Clock: &n.clock, Rand: n.rand, TMF: n.tmf,
		Local: &n.server.local, Data: data, Register: n.RegisterLocalData, Attached: attached,
		RLOC16:       func() uint16 { return n.mle.RLOC16() },
		LeaderRLOC16: func() uint16 { return n.mle.LeaderRLOC16() },
		Becoming:     func() bool { return n.mle.Becoming() },
		Session: func() (uint16, bool) {
			_, session, ok := n.commissioning.info.Commissioner()
			return session, ok
		},
		Changed: func(s backbone.State) {
			n.log(Event{ID: "BACKBONE", Text: "backbone router", Attrs: []mle.Attr{{Key: "state", Value: s}}})
			n.followAnycast()
			n.changed()
		},
		Listening: func(g netip.Addr, on bool) {
			if n.cfg.Listening != nil {
				n.cfg.Listening(g, on)
			}
		},
		Proxying:     n.cfg.Proxying,
		MeshLocal:    n.MeshLocalPrefix,
		NetworkName:  n.networkName,
		Locator:      func(rloc16 uint16) netip.Addr { return n.mle.Locator(rloc16) },
		SourceRLOC16: n.sourceRLOC16,
		ToBackbone:   n.cfg.ToBackbone,
		AddressNotify: func(target netip.Addr, mleid [8]byte, last time.Duration, for16 uint16) {
			n.addr.Notify(n.mle.Locator(for16), target, mleid, &last)
		},
		AddressError: func(target netip.Addr, mleid [8]byte, to netip.Addr) { n.addr.Refute(target, mleid, to) }})
	server := func(b netdata.BackboneRouter) netip.Addr {
		if s := data().FindService(netdata.ThreadEnterprise, netdata.BackboneRouterService()); s != nil && !n.mle.Mode().FullThread() {
			return n.mle.Locator(netdata.ServiceALOC(s.ID))
		}
		return n.mle.Locator(b.RLOC16)
	}
	registers := func() bool {
		return n.mle.Mode().FullThread() || n.table.Parent.Version < firstParentThatRegisters
	}
	n.listening = backbone.NewClient(backbone.ClientConfig{Clock: &n.clock, Rand: n.rand, TMF: n.tmf,
		Registers: registers,
		Groups:    n.wideGroups,
		Primary:   n.backbone.Primary,
		Server:    server,
		RLOC:      n.RLOC,
		Session: func() (uint16, bool) {
			c := n.commissioning.commissioner
			return c.SessionID(), c.State() == joining.Active
		}})
	n.registrar = backbone.NewRegistrar(backbone.RegistrarConfig{Clock: &n.clock, Rand: n.rand, TMF: n.tmf,
		Registers: registers, Becoming: func() bool { return n.mle.Becoming() }, Holders: n.duaHolders,
		Primary: n.backbone.Primary, Server: server, RLOC: n.RLOC,
		Registered: func() { n.dua.timer.Start(duaPreferred) },
		Refused:    n.refusedDUA})
	n.dua.init(n)
	n.tmf.Handle(tmf.DUANotify, n.duaNotified)
}

func (n *Node) networkName() string {
	if d := n.datasets.Active(); d != nil {
		return d.NetworkName
	}
	return ""
}

// Backbone is the node's Backbone Router, disabled until it is enabled.
func (n *Node) Backbone() *backbone.Router { return n.backbone }

// Listening tells the network's Backbone Router what the node and its children
// listen to.
func (n *Node) Listening() *backbone.Client { return n.listening }

// wideGroups are the groups wider than the mesh that the node and its children
// listen to.
func (n *Node) wideGroups() (all []netip.Addr) {
	for _, g := range n.ip.Groups() {
		if backbone.Wide(g) {
			all = append(all, g)
		}
	}
	for _, c := range n.table.Children {
		if c.State != neighbor.Valid {
			continue
		}
		for _, a := range c.Addresses {
			if backbone.Wide(a) {
				all = append(all, a)
			}
		}
	}
	return all
}
