package otcli

import (
	"errors"
	"fmt"
	"time"

	"gatewayd/thread/addr"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
)

// children are the attached ones.
func (c *CLI) children() []*neighbor.Child {
	var out []*neighbor.Child
	for _, x := range c.node.Table().Children {
		if x.State == neighbor.Valid {
			out = append(out, x)
		}
	}
	return out
}

func child(c *CLI, args []string) error {
	switch word(args, 0) {
	case "table":
		c.header(column{"ID", 5}, column{"RLOC16", 8}, column{"Timeout", 12}, column{"Age", 12}, column{"LQ In", 7},
			column{"C_VN", 6}, column{"R", 1}, column{"D", 1}, column{"N", 1}, column{"Ver", 3}, column{"CSL", 3},
			column{"QMsgCnt", 7}, column{"Suprvsn", 7}, column{"Extended MAC", 18})
		for _, x := range c.children() {
			c.line("| %3d | 0x%04x | %10d | %10d | %5d | %4d |%1d|%1d|%1d|%3d| %1d | %5d | %5d | %s |",
				neighbor.ChildID(x.RLOC16), x.RLOC16, x.Timeout/time.Second, c.age(x.LastHeard), x.Quality.In(), x.NetData,
				bit(x.Mode.RxOnWhenIdle()), bit(x.Mode.FullThread()), bit(x.Mode.FullNetworkData()), x.Version, bit(x.CSL.Synced),
				x.Indirect.Queued, x.Supervision/time.Second, x.Ext)
		}
		c.line("")
		return nil
	case "list":
		for _, x := range c.children() {
			c.print("%d ", neighbor.ChildID(x.RLOC16))
		}
		c.line("")
		return nil
	}
	id, err := parseUint(word(args, 0), 16)
	if err != nil {
		return err
	}
	for _, x := range c.children() {
		if id == uint64(neighbor.ChildID(x.RLOC16)) || id == uint64(x.RLOC16) {
			c.showChild(x)
			return nil
		}
	}
	return NotFound
}

func (c *CLI) showChild(x *neighbor.Child) {
	// The reference takes N of the mode from D; scripts compare.
	m := x.Mode & (neighbor.ModeRxOnWhenIdle | neighbor.ModeFullThread)
	if m.FullThread() {
		m |= neighbor.ModeFullNetworkData
	}
	c.line("Child ID: %d", neighbor.ChildID(x.RLOC16))
	c.line("Rloc: %04x", x.RLOC16)
	c.line("Ext Addr: %s", x.Ext)
	c.line("Mode: %s", m)
	c.line("CSL Synchronized: %d ", bit(x.CSL.Synced))
	c.line("Net Data: %d", x.NetData)
	c.line("Timeout: %d", x.Timeout/time.Second)
	c.line("Age: %d", c.age(x.LastHeard))
	c.line("Link Quality In: %d", x.Quality.In())
	c.line("RSSI: %d", x.Quality.Average())
	c.line("Supervision Interval: %d", x.Supervision/time.Second)
}

func childIP(c *CLI, args []string) error {
	switch word(args, 0) {
	case "":
		for _, x := range c.children() {
			for _, a := range x.Addresses {
				if !a.IsMulticast() {
					c.line("%04x: %s", x.RLOC16, address(a))
				}
			}
		}
		return nil
	case "max":
		t := &c.node.MLE().Tuning
		return number(8, func(*CLI) uint64 { return uint64(t.MaxChildAddresses) }, func(_ *CLI, v uint64) error {
			t.MaxChildAddresses = int(v)
			return nil
		})(c, args[1:])
	}
	return InvalidCommand
}

// peer is a neighbour that the device has a link with.
type peer struct {
	*neighbor.Neighbor
	child bool
}

// neighbors are the children, then the routers; of a child that is a full
// Thread device its parent.
func (c *CLI) neighbors() []peer {
	var out []peer
	for _, x := range c.children() {
		out = append(out, peer{&x.Neighbor, true})
	}
	t := c.node.Table()
	if m := c.node.MLE(); !m.Router() && m.Mode().FullThread() && t.Parent.State == neighbor.Valid {
		out = append(out, peer{&t.Parent.Neighbor, false})
	}
	for _, r := range t.Routers {
		if r != nil && r.State == neighbor.Valid && (len(out) == 0 || r.Ext != out[0].Ext) {
			out = append(out, peer{&r.Neighbor, false})
		}
	}
	return out
}

func neighborCommand(c *CLI, args []string) error {
	switch word(args, 0) {
	case "table":
		c.header(column{"Role", 6}, column{"RLOC16", 8}, column{"Age", 5}, column{"Avg RSSI", 10}, column{"Last RSSI", 11},
			column{"R", 1}, column{"D", 1}, column{"N", 1}, column{"Extended MAC", 18}, column{"Version", 9})
		for _, n := range c.neighbors() {
			role := 'R'
			if n.child {
				role = 'C'
			}
			c.line("| %3c  | 0x%04x | %3d | %8d | %9d |%1d|%1d|%1d| %s | %7d |", role, n.RLOC16, c.age(n.LastHeard),
				n.Quality.Average(), n.Quality.Last(), bit(n.Mode.RxOnWhenIdle()), bit(n.Mode.FullThread()),
				bit(n.Mode.FullNetworkData()), n.Ext, n.Version)
		}
		c.line("")
	case "list":
		for _, n := range c.neighbors() {
			c.print("0x%04x ", n.RLOC16)
		}
		c.line("")
	case "conntime":
		if word(args, 1) == "list" {
			for _, n := range c.neighbors() {
				c.line("0x%04x %s age:%d conn-time:%d", n.RLOC16, n.Ext, c.age(n.LastHeard), c.age(n.ConnectedAt))
			}
			return nil
		}
		c.header(column{"RLOC16", 8}, column{"Extended MAC", 18}, column{"Last Heard (Age)", 18}, column{"Connection Time", 18})
		for _, n := range c.neighbors() {
			c.line("| 0x%04x | %s | %16s | %16s |", n.RLOC16, n.Ext,
				clockTime(duration(uint64(c.age(n.LastHeard)), time.Second)),
				clockTime(duration(uint64(c.age(n.ConnectedAt)), time.Second)))
		}
	case "linkquality":
		c.header(column{"RLOC16", 8}, column{"Extended MAC", 18}, column{"Frame Error", 13}, column{"Msg Error", 11},
			column{"Avg RSS", 9}, column{"Last RSS", 10}, column{"Age", 7})
		for _, n := range c.neighbors() {
			c.line("| 0x%04x | %s | %9s %% | %7s %% | %7d | %8d | %5d |", n.RLOC16, n.Ext,
				percent(uint16(n.FrameErrors)), percent(uint16(n.MessageErrors)), n.Quality.Average(), n.Quality.Last(), c.age(n.LastHeard))
		}
	default:
		return InvalidArgs
	}
	return nil
}

// routerInfo is a line of the router table. The device itself is in it too.
func (c *CLI) routerInfo(r *neighbor.Router) (ext fmt.Stringer, age int64, link bool) {
	if neighbor.RouterRLOC16(r.ID) == c.node.MLE().RLOC16() {
		return c.node.MAC().Ext(), 0, false
	}
	return r.Ext, min(c.age(r.LastHeard), 255), r.State == neighbor.Valid
}

func router(c *CLI, args []string) error {
	routers := c.node.Table().Routers
	switch word(args, 0) {
	case "table":
		c.header(column{"ID", 4}, column{"RLOC16", 8}, column{"Next Hop", 10}, column{"Path Cost", 11}, column{"LQ In", 7},
			column{"LQ Out", 8}, column{"Age", 5}, column{"Extended MAC", 18}, column{"Link", 6})
		for _, r := range routers {
			if r == nil {
				continue
			}
			ext, age, link := c.routerInfo(r)
			c.line("| %2d | 0x%04x | %8d | %9d | %5d | %6d | %3d | %s | %4d |", r.ID, neighbor.RouterRLOC16(r.ID),
				r.NextHop, r.Cost, c.qualityIn(r), r.QualityOut, age, ext, bit(link))
		}
		c.line("")
		return nil
	case "list":
		for _, r := range routers {
			if r != nil {
				c.print("%d ", r.ID)
			}
		}
		c.line("")
		return nil
	}
	id, err := parseUint(word(args, 0), 16)
	if err != nil {
		return err
	}
	if id > neighbor.MaxRouterID {
		if !neighbor.IsRouterRLOC16(uint16(id)) {
			return InvalidArgs
		}
		id = uint64(neighbor.RouterID(uint16(id)))
	}
	r := c.node.Table().Router(uint8(id))
	if r == nil {
		return NotFound
	}
	c.showRouter(r)
	return nil
}

// qualityIn is that of a router that is a neighbour, else 0.
func (c *CLI) qualityIn(r *neighbor.Router) uint8 {
	if r.State != neighbor.Valid {
		return 0
	}
	return r.Quality.In()
}

func (c *CLI) showRouter(r *neighbor.Router) {
	ext, age, link := c.routerInfo(r)
	c.line("Alloc: 1")
	c.line("Router ID: %d", r.ID)
	c.line("Rloc: %04x", neighbor.RouterRLOC16(r.ID))
	c.line("Next Hop: %04x", neighbor.RouterRLOC16(r.NextHop))
	c.line("Link: %d", bit(link))
	if link {
		c.line("Ext Addr: %s", ext)
		c.line("Cost: %d", r.Cost)
		c.line("Link Quality In: %d", r.Quality.In())
		c.line("Link Quality Out: %d", r.QualityOut)
		c.line("Age: %d", age)
	}
}

func parent(c *CLI, args []string) error {
	switch word(args, 0) {
	case "":
		p := c.node.Table().Parent
		c.line("Ext Addr: %s", p.Ext)
		c.line("Rloc: %x", p.RLOC16)
		c.line("Link Quality In: %d", p.Quality.In())
		c.line("Link Quality Out: %d", p.QualityOut)
		c.line("Age: %d", c.age(p.LastHeard))
		c.line("Version: %d", p.Version)
		c.line("CSL clock accuracy: %d", p.CSLAccuracy)
		c.line("CSL uncertainty: %d", p.CSLUncert)
		return nil
	case "search":
		return c.node.MLE().SearchParent()
	}
	return InvalidArgs
}

func nextHop(c *CLI, args []string) error {
	m := c.node.MLE()
	hop := func(rloc16 uint16) (uint16, bool) {
		if h, ok := m.NextHop(rloc16); ok && m.Attached() {
			return h, true
		}
		return neighbor.InvalidRLOC16, false
	}
	if len(args) > 0 {
		v, err := parseUint(args[0], 16)
		if err != nil {
			return err
		}
		h, _ := hop(uint16(v))
		c.line("0x%04x cost:%d", h, m.PathCost(uint16(v)))
		return nil
	}
	c.header(column{"ID", 6}, column{"NxtHop", 6}, column{"Cost", 6})
	for _, r := range c.node.Table().Routers {
		if r == nil {
			continue
		}
		rloc16 := neighbor.RouterRLOC16(r.ID)
		if h, ok := hop(rloc16); ok {
			c.line("| %4d | %4d | %4d |", r.ID, neighbor.RouterID(h), m.PathCost(rloc16))
		} else {
			c.line("| %4d | %4s | %4s |", r.ID, "-", "-")
		}
	}
	return nil
}

func eidCache(c *CLI, _ []string) error {
	for _, e := range c.node.Addr().Entries() {
		left := int64((max(0, e.Until.Sub(c.now())) + time.Second - 1) / time.Second)
		s := fmt.Sprintf("%s %04x %s canEvict=%d", address(e.Target), e.RLOC16, e.Kind, bit(e.CanEvict(c.now())))
		switch {
		case e.Kind == addr.Cached && e.MLEID.IsValid():
			s += fmt.Sprintf(" transTime=%d eid=%s", e.LastTransaction/time.Second, address(e.MLEID))
		case e.Kind != addr.Cached:
			s += fmt.Sprintf(" timeout=%d", left)
		}
		if e.Kind == addr.Retry {
			s += fmt.Sprintf(" retryDelay=%d rampDown=%d", e.RetryDelay()/time.Second, bit(!c.now().Before(e.Until)))
		}
		c.line("%s", s)
	}
	return nil
}

func childMax(c *CLI) uint64 { return uint64(c.node.MLE().MaxChildren()) }

func setChildMax(c *CLI, v uint64) error {
	err := c.node.MLE().SetMaxChildren(int(v))
	if errors.Is(err, mle.ErrState) {
		return InvalidState
	}
	if err != nil {
		return InvalidArgs
	}
	return nil
}
