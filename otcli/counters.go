package otcli

import (
	"gatewayd/thread/ip"
	"gatewayd/thread/mac"
	"gatewayd/thread/mle"
)

// counter is a counter and its name.
type counter struct {
	name  string
	value uint32
}

func counters(c *CLI, args []string) error {
	kinds := []struct {
		name  string
		show  func()
		reset func()
	}{
		{"br", c.borderCounters, func() { c.node.IP().Border = ip.BorderCounters{} }},
		{"ip", c.ipCounters, c.resetIPCounters},
		{"mac", c.macCounters, func() { c.node.MAC().Counters = mac.Counters{} }},
		{"mle", c.mleCounters, c.node.MLE().ResetCounters},
	}
	for _, k := range kinds {
		switch {
		case len(args) == 0:
			c.line("%s", k.name)
		case args[0] != k.name:
		case len(args) == 1:
			k.show()
			return nil
		case len(args) == 2 && args[1] == "reset":
			k.reset()
			return nil
		}
	}
	if len(args) == 0 {
		return nil
	}
	return InvalidArgs
}

func (c *CLI) showCounters(indent string, all []counter) {
	for _, x := range all {
		c.line("%s%s: %d", indent, x.name, x.value)
	}
}

const indent = "    "

func (c *CLI) macCounters() {
	n := &c.node.MAC().Counters
	c.line("TxTotal: %d", n.TxTotal)
	c.showCounters(indent, []counter{
		{"TxUnicast", n.TxUnicast}, {"TxBroadcast", n.TxBroadcast}, {"TxAckRequested", n.TxAckRequested},
		{"TxAcked", n.TxAcked}, {"TxNoAckRequested", n.TxNoAckRequest}, {"TxData", n.TxData}, {"TxDataPoll", n.TxDataPoll},
		{"TxBeacon", n.TxBeacon}, {"TxBeaconRequest", n.TxBeaconRequest}, {"TxOther", n.TxOther}, {"TxRetry", n.TxRetry},
		{"TxErrCca", n.TxErrCCA}, {"TxErrBusyChannel", n.TxErrBusyChannel}, {"TxErrAbort", n.TxErrAbort},
		{"TxDirectMaxRetryExpiry", n.TxDirectRetryExpired}, {"TxIndirectMaxRetryExpiry", n.TxIndirectRetryExpired},
	})
	c.line("RxTotal: %d", n.RxTotal)
	c.showCounters(indent, []counter{
		{"RxUnicast", n.RxUnicast}, {"RxBroadcast", n.RxBroadcast}, {"RxData", n.RxData}, {"RxDataPoll", n.RxDataPoll},
		{"RxBeacon", n.RxBeacon}, {"RxBeaconRequest", n.RxBeaconRequest}, {"RxOther", n.RxOther},
		{"RxAddressFiltered", n.RxAddressFiltered}, {"RxDestAddrFiltered", n.RxDestAddrFiltered},
		{"RxDuplicated", n.RxDuplicated}, {"RxErrNoFrame", n.RxErrNoFrame},
		{"RxErrNoUnknownNeighbor", n.RxErrUnknownNeighbor}, {"RxErrInvalidSrcAddr", n.RxErrInvalidSource},
		{"RxErrSec", n.RxErrSecurity}, {"RxErrFcs", n.RxErrFCS}, {"RxErrOther", n.RxErrOther},
	})
}

func (c *CLI) ipCounters() {
	n, m := &c.node.IP().Counters, &c.node.Mesh().Counters
	c.showCounters("", []counter{
		{"TxSuccess", m.Sent}, {"TxFailed", m.Unsent}, {"RxSuccess", n.RxSuccess}, {"RxFailed", n.RxFailed},
	})
}

func (c *CLI) resetIPCounters() {
	c.node.IP().Counters = ip.Counters{}
	c.node.Mesh().Counters.Sent, c.node.Mesh().Counters.Unsent = 0, 0
}

func (c *CLI) borderCounters() {
	n := &c.node.IP().Border
	for _, x := range []struct {
		name string
		t    ip.Traffic
	}{
		{"Inbound Unicast", n.InUnicast}, {"Inbound Multicast", n.InMulticast},
		{"Outbound Unicast", n.OutUnicast}, {"Outbound Multicast", n.OutMulticast},
	} {
		c.line("%s: Packets %d Bytes %d", x.name, x.t.Packets, x.t.Bytes)
	}
}

func (c *CLI) mleCounters() {
	n := c.node.MLE().Counters()
	for _, x := range []struct {
		name  string
		value uint16
	}{
		{"Role Disabled", n.Disabled}, {"Role Detached", n.Detached}, {"Role Child", n.Child},
		{"Role Router", n.Router}, {"Role Leader", n.Leader}, {"Attach Attempts", n.AttachAttempts},
		{"Partition Id Changes", n.PartitionChanges}, {"Better Partition Attach Attempts", n.BetterPartitionAttempts},
		{"Better Parent Attach Attempts", n.BetterParentAttempts}, {"Parent Changes", n.ParentChanges},
	} {
		c.line("%s: %d", x.name, x.value)
	}
	tracked := int64(0)
	for i, name := range []string{"Disabled", "Detached", "Child", "Router", "Leader"} {
		ms := n.Time[mle.Role(i)].Milliseconds()
		tracked += ms
		c.line("Time %s Milli: %d", name, ms)
	}
	c.line("Time Tracked Milli: %d", tracked)
}
