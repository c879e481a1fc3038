package border

import (
	"gatewayd/thread"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
)

// OfThread is the state of a Thread node's mesh.
func OfThread(n *thread.Node) Mesh {
	m := n.MLE()
	role := m.Role()
	mesh := Mesh{Attached: role >= mle.Child, Router: role >= mle.Router, Leader: role == mle.Leader, RLOC16: m.RLOC16(), MeshLocal: n.MeshLocalPrefix(), Data: m.NetData()}
	if d := n.Datasets().Active(); d != nil && d.ExtPANID != nil {
		mesh.ExtPANID = *d.ExtPANID
	}
	if role == mle.Child {
		if p := &n.Table().Parent; p.State == neighbor.Valid {
			mesh.ParentQuality = min(p.Quality.In(), p.QualityOut)
		}
	}
	return mesh
}

// Publish has a Thread node serve p in place of old.
func (p Publication) Publish(n *thread.Node, old Publication) error {
	err := p.Apply(n.LocalData(), old)
	n.RegisterLocalData()
	return err
}
