package otcli

import (
	"fmt"
	"strings"

	"gatewayd/ieee802154"
	"gatewayd/thread/link"
	"gatewayd/thread/neighbor"
	"gatewayd/thread/trel"
)

func trelCommands() []command {
	return []command{
		{"counters", trelCounters},
		{"disable", func(c *CLI, _ []string) error { c.node.TREL().SetEnabled(false); return nil }},
		{"enable", func(c *CLI, _ []string) error { c.node.TREL().SetEnabled(true); return nil }},
		{"filter", onOff(func(c *CLI) bool { return c.node.TREL().Filter },
			func(c *CLI, on bool) error { c.node.TREL().Filter = on; return nil })},
		{"peers", trelPeers},
		{"port", show(func(c *CLI) string { return fmt.Sprint(c.node.TREL().Port) })},
	}
}

// trelCommand shows whether the link over infrastructure is on, or is about it.
// A node without one does not know the command.
func trelCommand(c *CLI, args []string) error {
	l := c.node.TREL()
	switch {
	case l == nil:
		return InvalidCommand
	case len(args) > 0:
		return dispatch(c, trelCommands(), args)
	}
	c.line("%s", enabled(l.Enabled()))
	return nil
}

func trelCounters(c *CLI, args []string) error {
	n := &c.node.TREL().Counters
	switch word(args, 0) {
	case "":
		c.line("Inbound:  Packets %d Bytes %d", n.RxPackets, n.RxBytes)
		c.line("Outbound: Packets %d Bytes %d Failures %d", n.TxPackets, n.TxBytes, n.TxFailed)
	case "reset":
		*n = trel.Counters{}
	default:
		return InvalidArgs
	}
	return nil
}

// trelPeers is
//
//	trel peers [list]
func trelPeers(c *CLI, args []string) error {
	list := word(args, 0) == "list"
	if !list && len(args) > 0 {
		return InvalidArgs
	}
	if !list {
		c.header(column{"No", 5}, column{"Ext MAC Address", 18}, column{"Ext PAN Id", 18}, column{"IPv6 Socket Address", 50})
	}
	for i, p := range c.node.TREL().Peers() {
		at := fmt.Sprintf("[%s]:%d", address(p.Addr.Addr()), p.Addr.Port())
		if list {
			c.line("%03d ExtAddr:%s ExtPanId:%x SockAddr:%s", i+1, p.Ext, p.ExtPANID, at)
		} else {
			c.line("| %3d | %s | %x | %-48s |", i+1, p.Ext, p.ExtPANID, at)
		}
	}
	return nil
}

// multiRadio is
//
//	multiradio [neighbor ext-address|list]
func multiRadio(c *CLI, args []string) error {
	two := c.node.TREL() != nil
	switch {
	case len(args) == 0 && two:
		c.line("[15.4, TREL]")
	case len(args) == 0:
		c.line("[15.4]")
	case args[0] != "neighbor" || !two:
		return InvalidCommand
	case word(args, 1) == "list":
		for _, n := range c.neighbors() {
			c.line("ExtAddr:%s, RLOC16:0x%04x, Radios:%s", n.Ext, n.RLOC16, radiosOf(n.Neighbor))
		}
	default:
		ext, err := ieee802154.ParseExtAddr(word(args, 1))
		if err != nil {
			return InvalidArgs
		}
		n := c.node.Table().Find(ieee802154.ExtendedAddr(ext))
		if n == nil {
			return NotFound
		}
		c.line("%s", radiosOf(n))
	}
	return nil
}

// radiosOf are the links by which a neighbour is reached, with how good each is.
func radiosOf(n *neighbor.Neighbor) string {
	var all []string
	for _, r := range [...]link.Radio{link.Air, link.TREL} {
		if n.Links.Known().Has(r) {
			all = append(all, fmt.Sprintf("%s(%d)", r, n.Links.Preference(r)))
		}
	}
	return "[" + strings.Join(all, ", ") + "]"
}
