package otcli

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"gatewayd/dnssd"
	"gatewayd/dnssd/srp"
	"gatewayd/thread/registrar"
)

func srpCommands() []command {
	return []command{
		{"client", group(srpClientCommands)},
		{"server", group(srpServerCommands)},
	}
}

func srpServerCommands() []command {
	return []command{
		{"addrmode", srpAddressMode},
		{"auto", srpAuto},
		{"disable", func(c *CLI, _ []string) error { return c.setRegistrar(false) }},
		{"domain", srpDomain},
		{"enable", func(c *CLI, _ []string) error { return c.setRegistrar(true) }},
		{"host", srpHosts},
		{"lease", srpLease},
		{"seqnum", srpSequence},
		{"service", srpServices},
		{"state", func(c *CLI, _ []string) error {
			r, err := c.registrar()
			if err == nil {
				c.line("%s", r.State())
			}
			return err
		}},
		{"ttl", srpTTL},
	}
}

// registrar is the node's SRP server.
func (c *CLI) registrar() (*registrar.Registrar, error) {
	b, err := c.router()
	if err != nil {
		return nil, err
	}
	r := b.Registrar()
	if r == nil {
		return nil, NotCapable
	}
	return r, nil
}

func (c *CLI) setRegistrar(on bool) error {
	r, err := c.registrar()
	if err == nil {
		r.SetEnabled(on)
	}
	return err
}

// srpAddressMode is
//
//	srp server addrmode [unicast|anycast]
func srpAddressMode(c *CLI, args []string) error {
	r, err := c.registrar()
	if err != nil {
		return err
	}
	switch word(args, 0) {
	case "":
		c.line("%s", r.Mode())
		return nil
	case registrar.Unicast.String():
		return r.SetMode(registrar.Unicast)
	case registrar.Anycast.String():
		return r.SetMode(registrar.Anycast)
	}
	return InvalidArgs
}

// srpAuto is whether the server follows border routing:
//
//	srp server auto [enable|disable]
func srpAuto(c *CLI, args []string) error {
	if _, err := c.registrar(); err != nil {
		return err
	}
	switch word(args, 0) {
	case "":
		c.line("%s", enabled(c.cfg.Border.AutoRegistrar()))
	case "enable":
		c.cfg.Border.SetAutoRegistrar(true)
	case "disable":
		c.cfg.Border.SetAutoRegistrar(false)
	default:
		return InvalidCommand
	}
	return nil
}

// srpDomain shows the domain, which is that of the server for good.
func srpDomain(c *CLI, args []string) error {
	r, err := c.registrar()
	if err != nil {
		return err
	}
	if len(args) > 0 {
		return NotCapable
	}
	c.line("%s", r.Server().Domain())
	return nil
}

// srpSequence is
//
//	srp server seqnum [number]
func srpSequence(c *CLI, args []string) error {
	r, err := c.registrar()
	if err != nil {
		return err
	}
	if len(args) == 0 {
		c.line("%d", r.Sequence())
		return nil
	}
	v, err := parseUint(args[0], 8)
	if err != nil {
		return err
	}
	return r.SetSequence(uint8(v))
}

// bounds reads or sets times that are granted, by their names.
func (c *CLI) bounds(args []string, of func(*srp.Bounds) []*time.Duration, names ...string) error {
	r, err := c.registrar()
	if err != nil {
		return err
	}
	b := r.Server().Bounds()
	times := of(&b)
	if len(args) == 0 {
		for i, name := range names {
			c.line("%s: %d", name, *times[i]/time.Second)
		}
		return nil
	}
	if len(args) != len(names) {
		return InvalidArgs
	}
	for i, a := range args {
		v, err := parseUint(a, 32)
		if err != nil {
			return err
		}
		*times[i] = time.Duration(v) * time.Second
	}
	if r.Server().SetBounds(b) != nil {
		return InvalidArgs
	}
	return nil
}

// srpLease is
//
//	srp server lease [min max key-min key-max]
func srpLease(c *CLI, args []string) error {
	return c.bounds(args, func(b *srp.Bounds) []*time.Duration {
		return []*time.Duration{&b.MinLease, &b.MaxLease, &b.MinKeyLease, &b.MaxKeyLease}
	}, "min lease", "max lease", "min key-lease", "max key-lease")
}

// srpTTL is
//
//	srp server ttl [min max]
func srpTTL(c *CLI, args []string) error {
	return c.bounds(args, func(b *srp.Bounds) []*time.Duration { return []*time.Duration{&b.MinTTL, &b.MaxTTL} }, "min ttl", "max ttl")
}

func addresses(all []netip.Addr) string {
	var s []string
	for _, a := range all {
		s = append(s, address(a))
	}
	return "[" + strings.Join(s, ", ") + "]"
}

func srpHosts(c *CLI, args []string) error {
	r, err := c.registrar()
	if err != nil {
		return err
	}
	if len(args) > 0 {
		return InvalidArgs
	}
	for _, h := range r.Server().Hosts() {
		c.line("%s.%s", h.Host.Name, r.Server().Domain())
		c.line(indent+"deleted: %t", !h.Live)
		if h.Live {
			c.line(indent+"addresses: %s", addresses(h.Host.Addrs))
		}
	}
	return nil
}

func srpServices(c *CLI, args []string) error {
	r, err := c.registrar()
	if err != nil {
		return err
	}
	if len(args) > 0 {
		return InvalidArgs
	}
	domain := r.Server().Domain()
	for _, h := range r.Server().Hosts() {
		for _, s := range h.Host.Services {
			if h.Live {
				c.service(&h, &s, domain)
			}
		}
		for _, n := range h.Retained {
			c.line("%s.%s.%s", n.Instance, n.Type, domain)
			c.line(indent + "deleted: true")
		}
	}
	return nil
}

func (c *CLI) service(h *srp.Registration, s *dnssd.Service, domain string) {
	subtypes := "(null)"
	if len(s.Subtypes) > 0 {
		subtypes = strings.Join(s.Subtypes, ",")
	}
	c.line("%s.%s.%s", s.Instance, s.Type, domain)
	c.line(indent + "deleted: false")
	c.line(indent+"subtypes: %s", subtypes)
	c.line(indent+"port: %d", s.Port)
	c.line(indent+"priority: %d", s.Priority)
	c.line(indent+"weight: %d", s.Weight)
	c.line(indent+"ttl: %d", s.TTL/time.Second)
	c.line(indent+"lease: %d", h.Lease/time.Second)
	c.line(indent+"key-lease: %d", h.KeyLease/time.Second)
	c.line(indent+"TXT: %s", txt(s.TXT))
	c.line(indent+"host: %s.%s", h.Host.Name, domain)
	c.line(indent+"addresses: %s", addresses(h.Host.Addrs))
}

// txt is a TXT record's data: keys, and values in hexadecimal digits.
func txt(b []byte) string {
	var entries []string
	for len(b) > 0 && int(b[0]) < len(b) {
		entry := b[1 : 1+b[0]]
		b = b[1+len(entry):]
		if len(entry) == 0 {
			continue
		}
		key, value, has := strings.Cut(string(entry), "=")
		if has {
			key += fmt.Sprintf("=%x", value)
		}
		entries = append(entries, key)
	}
	return "[" + strings.Join(entries, ", ") + "]"
}
