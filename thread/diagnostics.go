package thread

import (
	"gatewayd/thread/diag"
	"gatewayd/thread/inventory"
)

func (n *Node) buildDiagnostics() {
	n.diag = diag.New(diag.Config{Clock: &n.clock, Rand: n.rand, TMF: n.tmf, IP: n.ip, MAC: n.mac, MLE: n.mle,
		Table: &n.table, EUI64: n.EUI64, StackVersion: n.cfg.StackVersion})
	n.diag.Vendor = n.cfg.Vendor
	n.inventory = inventory.New(inventory.Config{Clock: &n.clock, Diag: n.diag, MLE: n.mle, Table: &n.table,
		Lookup: n.addr.Lookup, Changed: n.changed})
}

// Diag answers for the node in network diagnostics, and asks others.
func (n *Node) Diag() *diag.Agent { return n.diag }

// Inventory tells devices' addresses by their EUI-64s, once it is enabled.
func (n *Node) Inventory() *inventory.Inventory { return n.inventory }
