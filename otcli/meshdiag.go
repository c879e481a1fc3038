package otcli

import (
	"fmt"
	"time"

	"gatewayd/thread/diag"
	"gatewayd/thread/neighbor"
)

func meshDiagCommands() []command {
	return []command{
		{"childip6", survey(meshDiagChildIP6)},
		{"childtable", survey(meshDiagChildTable)},
		{"routerneighbortable", survey(meshDiagNeighbors)},
		{"topology", meshDiagTopology},
	}
}

// survey is a command about one router.
func survey(start func(c *CLI, router uint16) error) func(*CLI, []string) error {
	return func(c *CLI, args []string) error {
		router, err := parseUint(word(args, 0), 16)
		if err != nil {
			return err
		}
		if len(args) > 1 || !neighbor.IsRouterRLOC16(uint16(router)) {
			return InvalidArgs
		}
		if err := start(c, uint16(router)); err != nil {
			return err
		}
		return Pending
	}
}

func meshDiagChildTable(c *CLI, router uint16) error {
	_, err := c.node.Diag().ChildTable(router, func(x diag.Child) {
		c.line("rloc16:0x%04x ext-addr:%v ver:%d", x.RLOC16, x.Ext, x.Version)
		c.line(indent+"timeout:%d age:%d supvn:%d q-msg:%d", x.Timeout/time.Second, x.Age/time.Second,
			x.Supervision/time.Second, x.Queued)
		kind := "mtd"
		if x.FullThread {
			kind = "ftd"
		}
		c.line(indent+"rx-on:%s type:%s full-net:%s", yesNo(x.RxOnWhenIdle), kind, yesNo(x.FullNetworkData))
		c.showLink(&x.Link)
		c.line(indent+"conn-time:%s", clockTime(x.Connected))
		c.line(indent+"csl - sync:%s period:%d timeout:%d channel:%d", yesNo(x.CSL.Synchronized), x.CSL.Period,
			x.CSL.Timeout/time.Second, x.CSL.Channel)
	}, c.finish)
	return err
}

func meshDiagNeighbors(c *CLI, router uint16) error {
	_, err := c.node.Diag().RouterNeighbors(router, func(x diag.RouterNeighbor) {
		c.line("rloc16:0x%04x ext-addr:%v ver:%d", x.RLOC16, x.Ext, x.Version)
		c.showLink(&x.Link)
		c.line(indent+"conn-time:%s", clockTime(x.Connected))
	}, c.finish)
	return err
}

func (c *CLI) showLink(l *diag.Link) {
	c.line(indent+"rss - ave:%d last:%d margin:%d", l.Average, l.Last, l.Margin)
	if l.MeasuresErrors {
		c.line(indent+"err-rate - frame:%s%% msg:%s%% ", percent(l.FrameErrors), percent(l.MessageErrors))
	}
}

// percent is a rate of which 0xffff is all.
func percent(rate uint16) string {
	n := uint32(rate) * 10000 / 0xffff
	return fmt.Sprintf("%d.%02d", n/100, n%100)
}

func meshDiagChildIP6(c *CLI, router uint16) error {
	_, err := c.node.Diag().ChildAddresses(router, func(x diag.ChildAddresses) {
		c.line("child-rloc16: 0x%04x", x.RLOC16)
		for _, a := range x.Addresses {
			c.line(indent+"%s", address(a))
		}
	}, c.finish)
	return err
}

// meshDiagTopology is meshdiag topology [ip6-addrs] [children].
func meshDiagTopology(c *CLI, args []string) error {
	var o diag.TopologyOptions
	for _, a := range args {
		switch a {
		case "ip6-addrs":
			o.Addresses = true
		case "children":
			o.Children = true
		default:
			return InvalidArgs
		}
	}
	if _, err := c.node.Diag().Topology(o, c.showMeshRouter, c.finish); err != nil {
		return err
	}
	return Pending
}

func (c *CLI) showMeshRouter(r diag.Router) {
	s := fmt.Sprintf("id:%02d rloc16:0x%04x ext-addr:%v", r.ID, r.RLOC16, r.Ext)
	if r.Version > 0 {
		s += fmt.Sprintf(" ver:%d", r.Version)
	}
	c.line("%s", s+note("me", r.Self)+note("parent", r.Parent)+note("leader", r.Leader)+note("br", r.BorderRouter))
	for lq := uint8(3); lq > 0; lq-- {
		ids := ""
		for id, e := range r.Links.Entries {
			if r.Links.Has(uint8(id)) && e.In == lq {
				ids += fmt.Sprintf("%02d ", id)
			}
		}
		if ids != "" {
			c.line(indent+"%d-links:{ %s}", lq, ids)
		}
	}
	if r.Addresses != nil {
		c.line(indent + "ip6-addrs:")
		for _, a := range r.Addresses {
			c.line(indent+indent+"%s", address(a))
		}
	}
	switch {
	case r.Children == nil:
	case len(r.Children) == 0:
		c.line(indent + "children: none")
	default:
		c.line(indent + "children:")
		for _, x := range r.Children {
			c.line("%s", indent+indent+fmt.Sprintf("rloc16:0x%04x lq:%d, mode:%v", x.RLOC16, x.Quality, x.Mode)+
				note("me", x.Self)+note("br", x.BorderRouter))
		}
	}
}

// note is a remark behind a line, if it is true.
func note(s string, is bool) string {
	if !is {
		return ""
	}
	return " - " + s
}
