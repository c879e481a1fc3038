package otcli

import (
	"errors"
	"fmt"
	"strings"

	"gatewayd/thread/meshcop"
	"gatewayd/thread/netdata"
)

func netdataCommands() []command {
	return []command{
		{"full", netdataFull},
		{"length", show(func(c *CLI) string { return fmt.Sprint(c.node.MLE().NetData().Len()) })},
		{"maxlength", netdataMaxLength},
		{"publish", netdataPublish},
		{"register", netdataRegister},
		{"show", netdataShow},
		{"steeringdata", steeringData},
		{"unpublish", netdataUnpublish},
	}
}

// netdataRegister tells the leader what this node serves.
func netdataRegister(c *CLI, _ []string) error {
	m := c.node.MLE()
	// What there is with what we serve, merged as the leader will do it.
	l := netdata.RestoreLeader(c.now(), m.NetData().Clone(), 0, 0, func(uint8) bool { return true })
	if _, err := l.Register(c.now(), m.RLOC16(), c.localData()); errors.Is(err, netdata.ErrFull) {
		c.NetDataFull()
	}
	c.node.RegisterLocalData()
	return nil
}

func netdataMaxLength(c *CLI, args []string) error {
	switch {
	case len(args) == 0:
		c.line("%d", c.node.LargestNetData())
	case len(args) == 1 && args[0] == "reset":
		c.node.ForgetLargestNetData()
	default:
		return InvalidArgs
	}
	return nil
}

// NetDataFull notes that network data did not fit: what this node wants to
// serve, or what the leader was asked to take.
func (c *CLI) NetDataFull() { c.full = true }

func netdataFull(c *CLI, args []string) error {
	switch {
	case len(args) == 0:
		c.line("%s", yesNo(c.full))
	case len(args) == 1 && args[0] == "reset":
		c.full = false
	default:
		return InvalidArgs
	}
	return nil
}

func netdataShow(c *CLI, args []string) error {
	local, binary := false, false
	any, rloc16 := true, uint16(0)
	for _, a := range args {
		switch a {
		case "local":
			local = true
		case "-x":
			binary = true
		default:
			v, err := parseUint(a, 16)
			if err != nil {
				return err
			}
			any, rloc16 = false, uint16(v)
		}
	}
	if (local || binary) && !any {
		return InvalidArgs
	}
	d := c.node.MLE().NetData()
	if local {
		own := c.localData()
		d = &own
	}
	if binary {
		c.line("%x", d.Append(nil))
		return nil
	}
	of := func(r uint16) bool { return any || r == rloc16 }
	c.line("Prefixes:")
	c.showPrefixes(d, of)
	c.line("Routes:")
	c.showRoutes(d, of)
	c.line("Services:")
	c.showServices(d, of)
	if !local && any {
		c.showContexts(d)
		c.showCommissioning(d)
	}
	return nil
}

// localData is what the node itself serves.
func (c *CLI) localData() netdata.Data { return c.node.LocalData().Data(c.node.MLE().RLOC16()) }

func (c *CLI) showPrefixes(d *netdata.Data, of func(rloc16 uint16) bool) {
	for _, p := range d.Prefixes {
		for _, e := range p.BorderRouters {
			if of(e.RLOC16) {
				c.line("%s%s %s %04x", prefix(p.Prefix), blank(prefixFlags(e)), e.Flags.Preference(), e.RLOC16)
			}
		}
	}
}

func (c *CLI) showRoutes(d *netdata.Data, of func(rloc16 uint16) bool) {
	for _, p := range d.Prefixes {
		for _, e := range p.HasRoutes {
			if of(e.RLOC16) {
				flags := e.Flags.String()
				if e.Stable {
					flags = "s" + flags
				}
				c.line("%s%s %s %04x", prefix(p.Prefix), blank(flags), e.Flags.Preference(), e.RLOC16)
			}
		}
	}
}

func (c *CLI) showServices(d *netdata.Data, of func(rloc16 uint16) bool) {
	for _, s := range d.Services {
		for _, e := range s.Servers {
			if of(e.RLOC16) {
				stable := ""
				if e.Stable {
					stable = " s"
				}
				c.line("%d %x %x%s %04x %d", s.Enterprise, s.Data, e.Data, stable, e.RLOC16, s.ID)
			}
		}
	}
}

func (c *CLI) showContexts(d *netdata.Data) {
	c.line("Contexts:")
	for x := range d.Contexts() {
		compress := "-"
		if x.Compress {
			compress = "c"
		}
		c.line("%s %d %s", prefix(x.Prefix), x.ID, compress)
	}
}

func (c *CLI) showCommissioning(d *netdata.Data) {
	c.line("Commissioning:")
	m, err := d.Commissioning.Decode()
	if err != nil {
		m = meshcop.CommissioningData{}
	}
	s := []string{"-", "-", "-", "-"}
	if m.SessionID != nil {
		s[0] = fmt.Sprint(*m.SessionID)
	}
	if m.BorderAgentLocator != nil {
		s[1] = fmt.Sprintf("%04x", *m.BorderAgentLocator)
	}
	if m.JoinerUDPPort != nil {
		s[2] = fmt.Sprint(*m.JoinerUDPPort)
	}
	if m.SteeringData != nil {
		s[3] = m.SteeringData.String()
	}
	if len(m.Unknown) > 0 {
		s = append(s, "e")
	}
	c.line("%s", strings.Join(s, " "))
}

// prefixFlags are the letters of an on-mesh prefix, s for a stable one after o.
func prefixFlags(e netdata.BorderRouter) string {
	s := e.Flags.String()
	if !e.Stable {
		return s
	}
	i := strings.IndexAny(s, "nD")
	if i < 0 {
		i = len(s)
	}
	return s[:i] + "s" + s[i:]
}

// blank puts a blank before a word that is not empty.
func blank(s string) string {
	if s == "" {
		return ""
	}
	return " " + s
}

func steeringData(c *CLI, args []string) error {
	if word(args, 0) != "check" {
		return InvalidArgs
	}
	if word(args, 1) == "" {
		return InvalidArgs
	}
	s := c.node.Commissioning().SteeringData()
	d, is, err := parseDiscerner(args[1])
	if err != nil {
		return err
	}
	found := func() bool { return s.ContainsDiscerner(d) }
	if !is {
		e, err := parseExt(args[1])
		if err != nil {
			return err
		}
		found = func() bool { return s.Contains(meshcop.JoinerID(e)) }
	}
	switch {
	case s == nil:
		return InvalidState
	case !found():
		return NotFound
	}
	return nil
}
