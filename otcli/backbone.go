package otcli

import (
	"errors"
	"net/netip"
	"strings"
	"time"

	"gatewayd/coap"
	"gatewayd/thread/backbone"
	"gatewayd/thread/netdata"
)

func backboneCommands() []command {
	return []command{
		{"config", backboneConfig},
		{"disable", func(c *CLI, _ []string) error { c.node.Backbone().SetEnabled(false); return nil }},
		{"enable", func(c *CLI, _ []string) error { c.node.Backbone().SetEnabled(true); return nil }},
		{"jitter", number(8, func(c *CLI) uint64 { return uint64(c.node.Backbone().Jitter / time.Second) },
			func(c *CLI, v uint64) error { c.node.Backbone().Jitter = time.Duration(v) * time.Second; return nil })},
		{"mgmt", backboneManagement},
		{"register", func(c *CLI, _ []string) error { return c.node.Backbone().Register() }},
		{"state", show(func(c *CLI) string { return c.node.Backbone().State().String() })},
	}
}

// backboneCommand shows the network's primary Backbone Router, or is about the
// node's own.
func backboneCommand(c *CLI, args []string) error {
	if len(args) > 0 {
		return dispatch(c, backboneCommands(), args)
	}
	b, ok := c.node.Backbone().Primary()
	if !ok {
		c.line("BBR Primary: None")
		return nil
	}
	c.line("BBR Primary:")
	c.line("server16: 0x%04X", b.RLOC16)
	c.showBackbone(b)
	return nil
}

func (c *CLI) showBackbone(b netdata.BackboneRouter) {
	c.line("seqno:    %d", b.Sequence)
	c.line("delay:    %d secs", b.ReregistrationDelay)
	c.line("timeout:  %d secs", b.MLRTimeout)
}

// backboneConfig is
//
//	bbr config [seqno number] [delay seconds] [timeout seconds]
func backboneConfig(c *CLI, args []string) error {
	r := c.node.Backbone()
	s := r.Settings()
	if len(args) == 0 {
		c.showBackbone(netdata.BackboneRouter{Sequence: s.Sequence, ReregistrationDelay: uint16(s.Delay / time.Second),
			MLRTimeout: uint32(s.Timeout / time.Second)})
		return nil
	}
	for w := (wordList{args}); !w.empty(); {
		bits := map[string]int{"seqno": 8, "delay": 16, "timeout": 32}
		key := w.next()
		if bits[key] == 0 {
			return InvalidArgs
		}
		v, err := parseUint(w.next(), bits[key])
		if err != nil {
			return err
		}
		switch key {
		case "seqno":
			s.Sequence = uint8(v)
		case "delay":
			s.Delay = time.Duration(v) * time.Second
		case "timeout":
			s.Timeout = time.Duration(v) * time.Second
		}
	}
	return r.SetSettings(s)
}

// backboneManagement is
//
//	bbr mgmt mlr listener
//	bbr mgmt dua
//
// the second of which shows the addresses of the domain that are registered: the
// address, the device's mesh-local identifier, who registered it, and when the
// device was last heard, in seconds.
func backboneManagement(c *CLI, args []string) error {
	switch strings.Join(args, " ") {
	case "mlr listener":
		for _, l := range c.node.Backbone().Listeners() {
			c.line("%s %d", address(l.Group), l.Expires.Sub(c.now())/time.Second)
		}
	case "dua":
		for _, p := range c.node.Backbone().Proxies() {
			c.line("%s %x 0x%04x %d", address(p.DUA), p.MLEID, p.RLOC16, c.now().Sub(p.Last)/time.Second)
		}
	default:
		return InvalidCommand
	}
	return nil
}

// dua is about the interface identifier of the node's own address in the
// domain:
//
//	dua iid [identifier|clear]
func dua(c *CLI, args []string) error {
	if word(args, 0) != "iid" {
		return InvalidCommand
	}
	switch w := word(args, 1); w {
	case "":
		if iid := c.node.DUAInterfaceID(); iid != nil {
			c.line("%x", *iid)
		}
	case "clear":
		c.node.SetDUAInterfaceID(nil)
	default:
		b, err := parseHex(w, 8)
		if err != nil {
			return err
		}
		if len(b) != 8 || !c.node.SetDUAInterfaceID((*[8]byte)(b)) {
			return InvalidArgs
		}
	}
	return nil
}

// multicastListener registers groups as a commissioner:
//
//	mlr reg address... [timeout]
func multicastListener(c *CLI, args []string) error {
	if word(args, 0) != "reg" {
		return InvalidCommand
	}
	w := wordList{args[1:]}
	var groups []netip.Addr
	for len(groups) < backbone.MaxGroups {
		a, err := parseAddr(w.peek())
		if err != nil {
			break
		}
		groups = append(groups, a)
		w.next()
	}
	var timeout *uint32
	if v, err := parseUint(w.peek(), 32); err == nil {
		w.next()
		s := uint32(v)
		timeout = &s
	}
	if !w.empty() || len(groups) == 0 {
		return InvalidArgs
	}
	err := c.node.Listening().Register(groups, timeout, func(a backbone.Answer, err error) {
		if err == nil {
			c.line("status %d, %d failed", a.Status, len(a.Failed))
			for _, g := range a.Failed {
				c.line("%s", address(g))
			}
		}
		c.finish(ended(err))
	})
	if err != nil {
		return err
	}
	return Pending
}

// ended is what a command ends with whose request was answered so.
func ended(err error) error {
	if errors.Is(err, coap.ErrTimeout) {
		return ResponseTimeout
	}
	if err != nil {
		return Parse
	}
	return nil
}
