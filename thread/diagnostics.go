package thread

import "gatewayd/thread/diag"

func (n *Node) buildDiagnostics() {
	n.diag = diag.New(diag.Config{Clock: &n.clock, Rand: n.rand, TMF: n.tmf, IP: n.ip, MAC: n.mac, MLE: n.mle,
		Table: &n.table, EUI64: n.EUI64, StackVersion: n.cfg.StackVersion})
	n.diag.Vendor = n.cfg.Vendor
}

// Diag answers for the node in network diagnostics, and asks others.
func (n *Node) Diag() *diag.Agent { return n.diag }
