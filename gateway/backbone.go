package gateway

import (
	"net/netip"
	"reflect"

	"gatewayd/host/mroute"
	"gatewayd/thread/backbone"
)

// crossing has multicast cross between the mesh and the infrastructure links
// while the node is the network's primary Backbone Router. Only the goroutine
// that owns the node uses it.
type crossing struct {
	g      *Gateway
	router *mroute.Router // nil while it is not the primary
	want   mroute.Want
}

// buildBackbone makes the node a Backbone Router, if the host's kernel can do
// its work; otherwise that is left to others.
func (g *Gateway) buildBackbone() {
	if err := mroute.Probe(); err != nil {
		g.log.Warn("multicast does not cross between the mesh and the links", "id", "BACKBONE", "err", err)
		return
	}
	g.backbone = &crossing{g: g}
	g.buildDomain()
	g.node.Backbone().SetEnabled(true)
}

// listening follows the groups that devices listen to.
func (g *Gateway) listening(netip.Addr, bool) { g.dirty = true }

// update has the kernel route what it should.
func (c *crossing) update() {
	n := c.g.node
	if n.Backbone().State() != backbone.Primary {
		c.close()
		return
	}
	if c.router == nil {
		mesh := mroute.Link{Name: c.g.tun.Name(), Index: c.g.tun.Index()}
		r, err := mroute.Open(mesh, c.g.log)
		if err != nil {
			// Whoever can do it may be the primary.
			c.g.log.Error("multicast does not cross between the mesh and the links", "id", "BACKBONE", "err", err)
			n.Backbone().SetEnabled(false)
			return
		}
		c.router, c.want = r, mroute.Want{}
	}
	var want mroute.Want
	for _, l := range c.g.infra.links {
		if l.Ready() {
			want.Links = append(want.Links, mroute.Link{Name: l.Name, Index: l.Index})
		}
	}
	for _, l := range n.Backbone().Listeners() {
		want.Groups = append(want.Groups, l.Group)
	}
	if ml := n.MeshLocalPrefix(); ml.IsValid() {
		want.Closed = []netip.Prefix{ml}
	}
	if reflect.DeepEqual(want, c.want) {
		return
	}
	c.want = want
	if err := c.router.Set(want); err != nil && c.g.repeats.pass("BACKBONE", c.g.stack.Clock().Now()) {
		c.g.log.Warn("not all multicast crosses between the mesh and the links", "id", "BACKBONE", "err", err)
	}
}

// close ends what the kernel does.
func (c *crossing) close() {
	if c.router != nil {
		_ = c.router.Close()
		c.router = nil
	}
}
