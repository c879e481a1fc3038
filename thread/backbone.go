package thread

import (
	"net/netip"

	"gatewayd/thread/backbone"
	"gatewayd/thread/joining"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/netdata"
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
		}})
	n.listening = backbone.NewClient(backbone.ClientConfig{Clock: &n.clock, Rand: n.rand, TMF: n.tmf,
		Registers: func() bool {
			return n.mle.Mode().FullThread() || n.table.Parent.Version < firstParentThatRegisters
		},
		Groups:  n.wideGroups,
		Primary: n.backbone.Primary,
		Server: func(b netdata.BackboneRouter) netip.Addr {
			if s := data().FindService(netdata.ThreadEnterprise, netdata.BackboneRouterService()); s != nil && !n.mle.Mode().FullThread() {
				return n.mle.Locator(netdata.ServiceALOC(s.ID))
			}
			return n.mle.Locator(b.RLOC16)
		},
		RLOC: n.RLOC,
		Session: func() (uint16, bool) {
			c := n.commissioning.commissioner
			return c.SessionID(), c.State() == joining.Active
		}})
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
