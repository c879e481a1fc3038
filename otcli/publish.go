package otcli

import (
	"net/netip"

	"gatewayd/thread/publish"
)

// netdataPublish serves something while too few others do:
//
//	netdata publish dnssrp anycast sequence [version]
//	netdata publish dnssrp unicast [address] port [version]
//	netdata publish prefix prefix flags preference
//	netdata publish route prefix flags preference
//	netdata publish replace old-prefix prefix flags preference
func netdataPublish(c *CLI, args []string) error {
	p := c.node.Publisher()
	switch word(args, 0) {
	case "dnssrp":
		return publishServer(p, args[1:])
	case "prefix":
		prefix, flags, stable, err := c.parseOnMesh(args[1:])
		if err != nil {
			return err
		}
		return p.Prefix(prefix, flags, stable)
	case "route":
		prefix, flags, stable, err := parseRoute(args[1:])
		if err != nil {
			return err
		}
		return p.Route(prefix, flags, stable)
	case "replace":
		old, err := parsePrefix(word(args, 1))
		if err != nil {
			return err
		}
		prefix, flags, stable, err := parseRoute(args[2:])
		if err != nil {
			return err
		}
		return p.ReplaceRoute(old, prefix, flags, stable)
	}
	return InvalidArgs
}

// publishServer publishes a DNS/SRP server.
func publishServer(p *publish.Publisher, args []string) error {
	kind := word(args, 0)
	if kind != "anycast" && kind != "unicast" {
		return InvalidArgs
	}
	w := wordList{args[1:]}
	bits := 8
	var at netip.Addr
	if kind == "unicast" {
		bits = 16
		if a, err := parseAddr(w.peek()); err == nil {
			at = a
			w.next()
		}
	}
	n, err := parseUint(w.next(), bits)
	if err != nil {
		return err
	}
	var version uint64
	if !w.empty() {
		if version, err = parseUint(w.next(), 8); err != nil {
			return err
		}
	}
	switch {
	case !w.empty():
		return InvalidArgs
	case kind == "anycast":
		p.Anycast(uint8(n), uint8(version))
	default:
		p.Unicast(netip.AddrPortFrom(at, uint16(n)), uint8(version))
	}
	return nil
}

func netdataUnpublish(c *CLI, args []string) error {
	if word(args, 0) == "dnssrp" {
		c.node.Publisher().UnpublishService()
		return nil
	}
	p, err := parsePrefix(word(args, 0))
	if err != nil {
		return InvalidArgs
	}
	return c.node.Publisher().Unpublish(p)
}
