package otcli

import (
	"fmt"
	"net/netip"
	"slices"

	"gatewayd/ipv6"
	"gatewayd/thread/ip"
)

func ipAddr(c *CLI, args []string) error {
	verbose := word(args, 0) == "-v"
	if verbose {
		args = args[1:]
	}
	s := c.node.IP()
	switch word(args, 0) {
	case "":
		for _, a := range slices.Backward(s.Addresses()) { // the newest first
			more := ""
			if verbose {
				more = fmt.Sprintf(" origin:%s plen:%d preferred:%d valid:1", a.Origin, a.Bits, bit(a.Preferred))
			}
			c.line("%s%s", address(a.Addr), more)
		}
	case "add":
		a, err := parseAddr(word(args, 1))
		if err != nil {
			return err
		}
		if a.IsMulticast() || a.IsUnspecified() {
			return InvalidArgs
		}
		s.Add(ip.Address{Addr: a, Bits: 64, Preferred: true, Origin: ip.OriginManual})
	case "del":
		a, err := parseAddr(word(args, 1))
		if err != nil {
			return err
		}
		i := slices.IndexFunc(s.Addresses(), func(x ip.Address) bool { return x.Addr == a })
		switch {
		case i < 0:
			return NotFound
		case s.Addresses()[i].Origin != ip.OriginManual:
			return InvalidArgs
		}
		c.node.RemoveAddress(a)
	case "linklocal":
		c.line("%s", address(c.node.MLE().LinkLocal()))
	case "rloc":
		c.line("%s", address(valid(c.node.MLE().RLOC())))
	case "mleid":
		c.line("%s", address(valid(c.node.MLE().MLEID())))
	default:
		return InvalidCommand
	}
	return nil
}

// valid is an address, or the unspecified one where there is none.
func valid(a netip.Addr) netip.Addr {
	if !a.IsValid() {
		return netip.IPv6Unspecified()
	}
	return a
}

func ipMaddr(c *CLI, args []string) error {
	s := c.node.IP()
	switch word(args, 0) {
	case "":
		for _, g := range s.Groups() {
			c.line("%s", address(g))
		}
	case "add":
		// As with OpenThread's reference devices: several at a time.
		rest := wordList{args[1:]}
		for first := true; first || !rest.empty(); first = false {
			g, err := parseGroup(rest.next())
			if err != nil {
				return err
			}
			if slices.Contains(s.Groups(), g) {
				return Already
			}
			s.Join(g)
		}
	case "del":
		g, err := parseAddr(word(args, 1))
		if err != nil {
			return err
		}
		if !slices.Contains(s.Groups(), g) {
			return NotFound
		}
		s.Leave(g)
	case "llatn":
		c.line("%s", address(ipv6.PrefixMulticast(ipv6.ScopeLink, meshLocalPrefix(c), 1)))
	case "rlatn":
		c.line("%s", address(ipv6.PrefixMulticast(ipv6.ScopeRealm, meshLocalPrefix(c), 1)))
	default:
		return InvalidCommand
	}
	return nil
}

func parseGroup(s string) (netip.Addr, error) {
	g, err := parseAddr(s)
	if err == nil && !g.IsMulticast() {
		err = InvalidArgs
	}
	return g, err
}

func unsecurePort(c *CLI, args []string) error {
	s := c.node.IP()
	port := func(f func(uint16)) error {
		if len(args) != 2 {
			return InvalidArgs
		}
		v, err := parseUint(args[1], 16)
		if err != nil || v == 0 {
			return InvalidArgs
		}
		f(uint16(v))
		return nil
	}
	switch word(args, 0) {
	case "get":
		for _, p := range s.UnsecurePorts() {
			c.print("%d ", p)
		}
		c.line("")
		return nil
	case "add":
		return port(s.AllowUnsecure)
	case "remove":
		if word(args, 1) == "all" {
			for _, p := range s.UnsecurePorts() {
				s.DenyUnsecure(p)
			}
			return nil
		}
		return port(s.DenyUnsecure)
	}
	return InvalidCommand
}
