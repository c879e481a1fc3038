package otcli

import (
	"errors"
	"net/netip"
	"strings"

	"gatewayd/thread/meshcop"
	"gatewayd/thread/netdata"
)

// everything is a filter that lets everything through.
func everything(uint16) bool { return true }

// prefixCommand changes the on-mesh prefixes that this node serves. The leader
// learns of it by `netdata register`.
func prefixCommand(c *CLI, args []string) error {
	switch word(args, 0) {
	case "":
		d := c.localData()
		c.showPrefixes(&d, everything)
		return nil
	case "add":
		return c.addPrefix(args[1:])
	case "remove":
		return c.withdraw(args)
	case "meshlocal":
		if len(args) == 1 {
			c.line("%s", prefix(meshLocalPrefix(c)))
			return nil
		}
		p, err := parsePrefix(args[1])
		if err != nil {
			return err
		}
		if p.Bits() != 64 {
			return InvalidArgs
		}
		return c.configure(func(d *meshcop.Dataset) { d.MeshLocalPrefix = p })
	}
	return InvalidCommand
}

// withdraw removes all that this node says of a prefix: like OpenThread's, both
// commands remove what the other one added, too.
func (c *CLI) withdraw(args []string) error {
	p, err := parsePrefix(word(args, 1))
	if err != nil {
		return err
	}
	l := c.node.LocalData()
	prefix, route := l.RemovePrefix(p), l.RemoveRoute(p)
	if !prefix && !route {
		return NotFound
	}
	return nil
}

// preferences are the words for them.
var preferences = map[string]netdata.Preference{"high": netdata.High, "med": netdata.Medium, "low": netdata.Low}

// parseFlags reads what follows a prefix: words for the preference and letters
// of which set knows what they are.
func parseFlags(args []string, set func(letter byte) bool) (netdata.Preference, error) {
	preference := netdata.Medium
	for _, a := range args {
		if p, ok := preferences[a]; ok {
			preference = p
			continue
		}
		for _, b := range []byte(a) {
			if b != '-' && !set(b) {
				return preference, InvalidArgs
			}
		}
	}
	return preference, nil
}

func (c *CLI) addPrefix(args []string) error {
	p, flags, stable, err := c.parseOnMesh(args)
	if err != nil {
		return err
	}
	return c.served(c.node.LocalData().SetPrefix(p, flags, stable))
}

// parseOnMesh reads an on-mesh prefix, its flags and its preference.
func (c *CLI) parseOnMesh(args []string) (p netip.Prefix, flags netdata.PrefixFlags, stable bool, err error) {
	if p, err = parsePrefix(word(args, 0)); err != nil {
		return p, 0, false, err
	}
	letters := map[byte]netdata.PrefixFlags{
		'p': netdata.FlagPreferred, 'a': netdata.FlagSLAAC, 'd': netdata.FlagDHCP, 'c': netdata.FlagConfigure,
		'r': netdata.FlagDefault, 'o': netdata.FlagOnMesh, 'n': netdata.FlagNDDNS, 'D': netdata.FlagDomain,
	}
	preference, err := parseFlags(args[1:], func(b byte) bool {
		f, ok := letters[b]
		flags |= f
		stable = stable || b == 's'
		return ok || b == 's'
	})
	if err != nil {
		return p, 0, false, err
	}
	// DHCPv6 and SLAAC exclude each other, and SLAAC needs a /64 (RFC 4862).
	if flags.Has(netdata.FlagDHCP|netdata.FlagSLAAC) || flags.Has(netdata.FlagSLAAC) && p.Bits() != 64 ||
		p.Bits() == 0 || p == c.node.MeshLocalPrefix() {
		return p, 0, false, InvalidArgs
	}
	return p, flags.With(preference), stable, nil
}

// served notes if what this node serves is too much for network data.
func (c *CLI) served(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, netdata.ErrFull):
		c.NetDataFull()
		return NoBufs
	}
	return InvalidArgs
}

func routeCommand(c *CLI, args []string) error {
	switch word(args, 0) {
	case "":
		d := c.localData()
		c.showRoutes(&d, everything)
		return nil
	case "add":
		return c.addRoute(args[1:])
	case "remove":
		return c.withdraw(args)
	}
	return InvalidCommand
}

func (c *CLI) addRoute(args []string) error {
	p, flags, stable, err := parseRoute(args)
	if err != nil {
		return err
	}
	return c.served(c.node.LocalData().SetRoute(p, flags, stable))
}

// parseRoute reads the prefix of a route, its flags and its preference.
func parseRoute(args []string) (p netip.Prefix, flags netdata.RouteFlags, stable bool, err error) {
	if p, err = parsePrefix(word(args, 0)); err != nil {
		return p, 0, false, err
	}
	preference, err := parseFlags(args[1:], func(b byte) bool {
		switch b {
		case 's':
			stable = true
		case 'n':
			flags |= netdata.RouteNAT64
		case 'a':
			flags |= netdata.RouteAdvPIO
		}
		return strings.IndexByte("sna", b) >= 0
	})
	return p, flags.With(preference), stable, err
}

func serviceCommand(c *CLI, args []string) error {
	if len(args) == 0 {
		d := c.localData()
		c.showServices(&d, everything)
		return nil
	}
	enterprise, err := parseUint(word(args, 1), 32)
	if err != nil {
		return err
	}
	data, err := parseHex(word(args, 2), 0xff)
	if err != nil {
		return err
	}
	switch args[0] {
	case "add":
		var server []byte
		if len(args) > 3 {
			if server, err = parseHex(args[3], 0xff); err != nil {
				return err
			}
		}
		return c.served(c.node.LocalData().SetService(uint32(enterprise), data, server, true))
	case "remove":
		if !c.node.LocalData().RemoveService(uint32(enterprise), data) {
			return NotFound
		}
		return nil
	}
	return InvalidCommand
}
