package otcli

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"gatewayd/thread/diag"
)

// What a simulated radio has no other values for.
const (
	noRegion     = "  "
	txPower      = "0 dBm"
	ccaThreshold = "-75 dBm"

	apiVersion      = 470 // of OpenThread's API whose replies these are
	defaultLogLevel = 3
	maxLogLevel     = 5
)

// NodeFilter is a medium that can be told not to hear some nodes.
type NodeFilter interface {
	// Deny does not hear a node any more; Allow hears only those allowed.
	Deny(node int) error
	Allow(node int) error
	Clear()
	// Filtered are the nodes named and whether only they are heard.
	Filtered() (nodes []int, only bool)
}

// leave calls a function of Config, that of a command. It may not come back to
// this CLI.
// debugged are the commands of `debug`.
var debugged = []string{"version", "state", "rloc16", "extaddr", "ipaddr", "ipmaddr", "channel", "panid", "extpanid", "netdata show",
	"netdata show -x", "partitionid", "leaderdata", "child table", "childip", "neighbor table", "router table", "nexthop", "eidcache",
	"deviceprops", "bufferinfo"}

// debug executes all commands that tell what state the node is in.
func debug(c *CLI, _ []string) error {
	for _, s := range debugged {
		c.line("$ %s", s)
		if err := c.run(strings.Fields(s)); err != nil {
			e := errorOf(err)
			c.line("Error %d: %s", uint8(e), e.Word())
		}
	}
	return nil
}

func (c *CLI) leave(name string, f func()) error {
	if f == nil {
		if s := c.cfg.Instead[name]; s != "" {
			c.line("%s", s)
		}
		return NotCapable
	}
	f()
	return Pending
}

func version(c *CLI, args []string) error {
	switch word(args, 0) {
	case "":
		c.line("%s", c.cfg.Version)
	case "api":
		c.line("%d", apiVersion)
	default:
		return InvalidCommand
	}
	return nil
}

// vendorCommand shows and sets what the node tells of who made it.
func vendorCommand(c *CLI, args []string) error {
	v := &c.node.Diag().Vendor
	text := func(s *string, most int) error {
		return setting(func(*CLI) string { return *s }, func(_ *CLI, v string) error {
			if len(v) > most || !utf8.ValidString(v) {
				return InvalidArgs
			}
			*s = v
			return nil
		})(c, args[1:])
	}
	switch word(args, 0) {
	case "name":
		return text(&v.Name, diag.MaxVendorName)
	case "model":
		return text(&v.Model, diag.MaxVendorModel)
	case "swversion":
		return text(&v.Version, diag.MaxVendorVersion)
	case "appurl":
		return text(&v.AppURL, diag.MaxAppURL)
	}
	return InvalidArgs
}

// logCommand accepts a log level; what is logged is its owner's affair.
func logCommand(c *CLI, args []string) error {
	switch word(args, 0) {
	case "level":
		return number(8, func(c *CLI) uint64 { return c.level }, func(c *CLI, v uint64) error {
			if v > maxLogLevel {
				return InvalidArgs
			}
			c.level = v
			return nil
		})(c, args[1:])
	}
	return InvalidArgs
}

func uptime(c *CLI, args []string) error {
	up := c.now().Sub(c.started)
	switch word(args, 0) {
	case "":
		c.line("%s.%03d", clockTime(up), up.Milliseconds()%1000)
	case "ms":
		c.line("%d", up.Milliseconds())
	default:
		return InvalidArgs
	}
	return nil
}

// bufferInfo shows how many datagrams wait and their size. Memory is not divided
// into buffers here: each datagram counts as one.
func bufferInfo(c *CLI, args []string) error {
	switch word(args, 0) {
	case "":
		l := c.node.Mesh().Load()
		c.line("total: %d", l.Capacity)
		c.line("free: %d", l.Capacity-l.Queued)
		c.line("max-used: %d", l.Peak)
		c.line("6lo send: %d %d %d", l.Queued, l.Queued, l.Bytes)
		for _, name := range []string{"6lo reas", "ip6", "mpl", "mle", "coap", "coap secure", "application coap"} {
			c.line("%s: 0 0 0", name)
		}
		return nil
	}
	return InvalidArgs
}

func nodeIDFilter(c *CLI, args []string) error {
	f := c.cfg.NodeFilter
	if f == nil {
		return NotCapable
	}
	switch word(args, 0) {
	case "":
		nodes, only := f.Filtered()
		s := "off"
		switch {
		case only:
			s = "allow-list"
		case len(nodes) > 0:
			s = "deny-list"
		}
		for _, n := range nodes {
			s += fmt.Sprintf(" %d", n)
		}
		c.line("%s", s)
		return nil
	case "clear":
		f.Clear()
		return nil
	case "deny", "allow":
		n, err := parseUint(word(args, 1), 16)
		if err != nil {
			return err
		}
		do := f.Deny
		if args[0] == "allow" {
			do = f.Allow
		}
		if do(int(n)) != nil {
			return InvalidArgs
		}
		return nil
	}
	return InvalidCommand
}
