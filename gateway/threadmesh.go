package gateway

import (
	"net/netip"

	"gatewayd/border"
	"gatewayd/host/firewall"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
)

// threadMesh is a Thread network to border routing: what is published goes into
// its network data, and what all its border routers publish comes from there.
type threadMesh struct{ g *Gateway }

func (t threadMesh) tell(b *border.Manager) {
	n := t.g.node
	m := n.MLE()
	role := m.Role()
	mesh := border.Mesh{Attached: role >= mle.Child, Router: role >= mle.Router, RLOC16: m.RLOC16(), MeshLocal: n.MeshLocalPrefix(), Data: m.NetData()}
	if d := n.Datasets().Active(); d != nil && d.ExtPANID != nil {
		mesh.ExtPANID = *d.ExtPANID
	}
	if role == mle.Child {
		if p := &n.Table().Parent; p.State == neighbor.Valid {
			mesh.ParentQuality = min(p.Quality.In(), p.QualityOut)
		}
	}
	b.SetMesh(mesh)
}

func (t threadMesh) publish(p, old border.Publication) error {
	err := p.Apply(t.g.node.LocalData(), old)
	t.g.node.RegisterLocalData()
	return err
}

func (t threadMesh) delegated(p []border.Delegated) { t.g.infra.manager.SetDelegated(p) }

func (t threadMesh) prefixes() (own, private []netip.Prefix) {
	n := t.g.node
	for _, x := range n.MLE().NetData().Prefixes {
		if n.OnMesh(x.Prefix) {
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
