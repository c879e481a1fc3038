package thread

import (
	"gatewayd/thread/trel"
)

// buildTREL makes the link over infrastructure, if the node is to have one. It
// is off until it is turned on.
func (n *Node) buildTREL() {
	if n.cfg.TREL == nil {
		return
	}
	n.trel = trel.New(trel.Config{Clock: &n.clock, Handler: n.mac, Send: n.cfg.TREL,
		Ext: n.mac.Ext, PANID: n.mac.ListeningPAN, Channel: n.mac.Listening,
		ExtPANID: func() trel.ExtPANID { return n.TRELInfo().ExtPANID }})
	n.mac.Overlay = n.trel
}

// TREL is the link over infrastructure; nil if the node has none.
func (n *Node) TREL() *trel.Link { return n.trel }

// TRELInfo is what DNS-SD is to say of the node.
func (n *Node) TRELInfo() trel.TXT {
	t := trel.TXT{Ext: n.mac.Ext()}
	if d := n.datasets.Active(); d != nil && d.ExtPANID != nil {
		t.ExtPANID = trel.ExtPANID(*d.ExtPANID)
	}
	return t
}
