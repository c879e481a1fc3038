package gateway

import (
	"net/netip"
	"slices"

	"gatewayd/border"
	"gatewayd/host/firewall"
)

// threadMesh is a Thread network to border routing: what is published goes into
// its network data, and what all its border routers publish comes from there.
type threadMesh struct{ g *Gateway }

func (t threadMesh) tell(b *border.Manager) { b.SetMesh(border.OfThread(t.g.node)) }

func (t threadMesh) publish(p, old border.Publication) error { return p.Publish(t.g.node, old) }

func (t threadMesh) delegated(p []border.Delegated) { t.g.infra.manager.SetDelegated(p) }

func (t threadMesh) prefixes() (own, private []netip.Prefix) {
	n := t.g.node
	for _, x := range n.MLE().NetData().Prefixes {
		if n.OnMesh(x.Prefix) && !slices.Contains(t.g.shared(), x.Prefix) {
			own = append(own, x.Prefix)
		}
	}
	if ml := n.MeshLocalPrefix(); ml.IsValid() {
		private = append(private, ml)
	}
	return own, private
}

func (t threadMesh) sourceFor(device netip.Addr) (netip.Addr, bool) {
	return t.g.node.IP().SourceFor(device)
}

func (t threadMesh) devices(each func(firewall.EUI64, netip.Addr)) {
	for _, d := range t.g.node.Inventory().Devices() {
		for _, a := range d.Addresses {
			each(firewall.EUI64(d.EUI64), a)
		}
	}
}
