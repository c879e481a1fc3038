package thread

import (
	"net/netip"
	"time"

	"gatewayd/thread/dataset"
	"gatewayd/thread/meshcop"
)

func (n *Node) buildDatasets() {
	n.datasets = dataset.New(dataset.Config{Clock: &n.clock, Rand: n.rand, TMF: n.tmf,
		Save:     func(s dataset.State) { _ = n.save(storeDatasets, s) },
		Attached: func() bool { return n.mle.Attached() },
		Leading:  func() bool { return n.mle.Leader() != nil },
		Leader:   func() netip.Addr { return n.mle.Locator(alocLeader) },
		RLOC:     n.RLOC,
		Session: func() (uint16, bool) {
			c := n.commissioning.info.Commissioning()
			if c.SessionID == nil {
				return 0, false
			}
			return *c.SessionID, true
		},
		ActiveChanged:  n.activeChanged,
		PendingChanged: func() { n.mle.DatasetChanged(); n.changed() },
		DeviceChanged:  func() { n.commissioning.petitions.DatasetChanged() },
		Log:            func(id, text string, err error) { n.log(Event{ID: id, Text: text, Err: err}) }})
}

// SetActiveDataset replaces the active dataset. A node that is child or router
// offers it to its network's leader, and uses it when the network does.
func (n *Node) SetActiveDataset(d *meshcop.Dataset) { n.datasets.SetActive(d) }

// activeChanged makes the node follow its active dataset.
func (n *Node) activeChanged() {
	was := n.mle.MeshLocal()
	if d := n.datasets.Active(); d != nil {
		if d.NetworkKey != nil {
			n.keys.SetNetworkKey(d.NetworkKey.Reveal(), true)
		}
		if d.SecurityPolicy != nil {
			n.keys.SetRotation(time.Duration(d.SecurityPolicy.RotationHours) * time.Hour)
		}
	}
	n.mle.DatasetChanged()
	if n.mle.MeshLocal() != was {
		n.addr.Clear()
		n.publish.Update()
		n.commissioning.commissioner.Update()
	}
	n.changed()
}
