package thread

import (
	"net/netip"
	"slices"

	"gatewayd/thread/backbone"
	"gatewayd/thread/ip"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/netdata"
	"gatewayd/thread/publish"
	"gatewayd/thread/tmf"
)

// handle binds the TMF messages that belong to no part alone.
func (n *Node) handle() {
	n.tmf.Handle(tmf.AddressSolicit, n.solicited)
	n.tmf.Handle(tmf.AddressRelease, n.released)
	n.tmf.Handle(tmf.ServerData, n.server.received)
}

// mleEvents is what follows when something changes in the mesh around us.
func (n *Node) mleEvents() mle.Events {
	return mle.Events{
		RoleChanged: func(_, to mle.Role) {
			if to < mle.Child {
				n.slaac.clear()
			}
			if to == mle.Router {
				n.registrar.BecameRouter()
			}
			n.datasets.RoleChanged()
			n.commissioning.survey.roleChanged(n)
			n.commissioning.commissioner.Update()
			if to == mle.Leader {
				n.commissioning.petitions.Reset()
			}
			n.netDataChanged()
		},
		NetDataChanged:   n.netDataChanged,
		PartitionChanged: func() { n.addr.Clear() },
		RouterRemoved:    n.addr.ForgetRouter,
		Announced:        func() { n.commissioning.survey.announcer.Heard() },
		RoutersChanged:   n.changed,
		ChildAdded:       func(*neighbor.Child) { n.changed() },
		ChildRemoved: func(c *neighbor.Child) {
			n.addr.ForgetNode(c.RLOC16)
			n.dropChildData(c)
			n.changed()
		},
		ChildRegistered: func(c *neighbor.Child) {
			for _, a := range c.Addresses {
				n.addr.Arrived(a) // it is here now, wherever it was
			}
			n.listening.ChildChanged()
			n.registrar.Changed(childIID(c))
			n.changed()
		},
		ParentChanged:  n.changed,
		AddressesReady: n.locatorChanged,
		Log: func(e mle.Event) {
			n.log(Event{ID: e.ID, Text: e.What, Attrs: e.Attr})
		},
	}
}

// netDataChanged follows the network data.
func (n *Node) netDataChanged() {
	n.largestData = max(n.largestData, n.mle.NetData().Len())
	if n.mle.Attached() {
		n.slaac.update(n.mle.NetData())
		n.dua.update(n.mle.NetData())
		n.server.timer.StartEarlier(0)
	} else {
		n.dua.remove()
	}
	n.publish.Update()
	n.backbone.Update()
	n.listening.Update()
	n.registrar.Update()
	n.followAnycast()
	n.agent.Update()
	n.dhcp.Update()
	n.commissioning.router.Update()
	n.commissioning.survey.server.Update()
	n.changed()
}

// addressesChanged follows the node's addresses and groups.
func (n *Node) addressesChanged() {
	n.mle.AddressesChanged()
	n.listening.GroupsChanged()
	n.changed()
}

// locatorChanged follows the node's locator, to which answers come.
func (n *Node) locatorChanged() {
	n.netDataChanged()
	if rloc16 := n.mle.RLOC16(); n.rloc16 != rloc16 {
		n.rloc16 = rloc16
		n.addr.Restart()
	}
}

// RemoveAddress takes an address from the node, which may get another one in
// its prefix.
func (n *Node) RemoveAddress(a netip.Addr) {
	n.ip.Remove(a)
	if n.mle.Attached() {
		n.slaac.update(n.mle.NetData())
	}
}

// followAnycast has the node's addresses hold the anycast locators of the
// services that it serves, of the prefixes that it is the DHCPv6 agent of, and
// of the primary Backbone Router if it is that (Thread 1.4 Section 5.2.2.2).
func (n *Node) followAnycast() {
	var want []netip.Addr
	if n.mle.Attached() {
		for _, s := range n.mle.NetData().Services {
			if slices.ContainsFunc(s.Servers, func(e netdata.Server) bool { return e.RLOC16 == n.mle.RLOC16() }) {
				want = append(want, n.mle.Locator(netdata.ServiceALOC(s.ID)))
			}
		}
		for _, p := range n.mle.NetData().Prefixes {
			if p.Context != nil && p.AgentAt(n.mle.RLOC16()) {
				want = append(want, n.mle.Locator(netdata.AgentALOC(p.Context.ID)))
			}
		}
		if n.backbone.State() == backbone.Primary {
			want = append(want, n.mle.Locator(alocPrimaryBackbone))
		}
	}
	had := n.anycast
	n.anycast = want
	for _, a := range had {
		if !slices.Contains(want, a) {
			n.ip.Remove(a)
		}
	}
	for _, a := range want {
		n.ip.Add(ip.Address{Addr: a, Bits: 64, Preferred: true, Locator: true})
	}
}

// dropChildData removes what a child that is gone served to the network.
func (n *Node) dropChildData(c *neighbor.Child) {
	for _, r := range n.mle.NetData().RLOC16s() {
		if r == c.RLOC16 {
			n.server.purge(c.RLOC16)
			return
		}
	}
}

// ServePrefix makes the node a border router for an on-mesh prefix. It is
// registered with the leader as soon as the node is attached.
func (n *Node) ServePrefix(p netip.Prefix, flags netdata.PrefixFlags, stable bool) error {
	if err := n.server.local.SetPrefix(p, flags, stable); err != nil {
		return err
	}
	n.server.timer.StartEarlier(0)
	return nil
}

// WithdrawPrefix ends ServePrefix; false if the node does not serve it.
func (n *Node) WithdrawPrefix(p netip.Prefix) bool {
	ok := n.server.local.RemovePrefix(p)
	n.server.timer.StartEarlier(0)
	return ok
}

// LocalData is what the node itself serves, to be changed and then registered
// with RegisterLocalData.
func (n *Node) LocalData() *netdata.Local { return &n.server.local }

// Publisher serves prefixes, routes and services while too few others do.
func (n *Node) Publisher() *publish.Publisher { return n.publish }

// RegisterLocalData tells the leader if what the node serves has changed.
func (n *Node) RegisterLocalData() { n.server.timer.StartEarlier(0) }

// LargestNetData is the length of the largest network data there was, in bytes,
// since the node began or ForgetLargestNetData.
func (n *Node) LargestNetData() int { return n.largestData }

// ForgetLargestNetData lets LargestNetData begin with the present one.
func (n *Node) ForgetLargestNetData() { n.largestData = n.mle.NetData().Len() }

// OnMesh reports whether addresses in a prefix are in the mesh.
func (n *Node) OnMesh(p netip.Prefix) bool { return n.mle.NetData().IsOnMesh(p.Addr()) }
