package gateway

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"gatewayd/dnssd"
	"gatewayd/dnssd/mdns"
	"gatewayd/thread/trel"
)

// overInfra is Thread over the infrastructure links (TREL): its socket, what
// DNS-SD says of the node, and what it says of others. Only the goroutine that
// owns the node uses it, but for the socket's reading.
type overInfra struct {
	g      *Gateway
	socket *trelSocket
	links  []int  // numbers of the interfaces, in order
	name   string // of the service
	told   trel.TXT
	toldOn []int // nil: nothing is said
	found  map[trelPlace]trelFound
}

// trelPlace is an instance of the service on a link.
type trelPlace struct {
	instance string
	link     int
}

type trelFound struct {
	txt  trel.TXT
	addr netip.AddrPort
}

// trelOwner is the owner of what is published.
const trelOwner = "trel"

// buildTREL gives the node that is to be made its link over the
// infrastructure.
func (g *Gateway) buildTREL() error {
	socket, err := openTREL()
	if err != nil {
		return err
	}
	g.trel = &overInfra{g: g, socket: socket, found: map[trelPlace]trelFound{}}
	g.drivers = append(g.drivers, func(ctx context.Context) {
		socket.run(ctx, func(from netip.AddrPort, b []byte) {
			g.deliver(func() { g.node.TREL().Receive(from, b) })
		})
	})
	return nil
}

// start turns it on. Services are there.
func (t *overInfra) start() error {
	t.g.node.TREL().Port = t.socket.port
	t.g.node.TREL().SetEnabled(true)
	_, err := t.g.services.mdns.Discover(trel.Service, t.discovered)
	return err
}

// setLinks says which links there are; those that TREL is not for are left out.
func (t *overInfra) setLinks(links []mdns.Interface) {
	use := map[int]bool{}
	t.links = nil
	for _, l := range links {
		if t.g.cfg.trelOn(l.Name) && slices.ContainsFunc(l.Addrs, func(p netip.Prefix) bool { return p.Addr().Is6() }) {
			use[l.Index] = true
			t.links = append(t.links, l.Index)
		}
	}
	slices.Sort(t.links)
	t.socket.links.Store(&use)
	t.g.node.TREL().SetUp(len(use) > 0)
	t.publish()
}

// trelOn reports whether TREL is for an interface.
func (c *Config) trelOn(name string) bool {
	return c.TREL == "on" || slices.Contains(strings.Split(c.TREL, ","), name)
}

// trel reports whether the node is to have TREL.
func (c *Config) trel() bool { return c.TREL != "off" && c.Infra != "" && c.Mode == ModeThread }

// publish has DNS-SD say what the node is now, if that is new.
func (t *overInfra) publish() {
	m, now := t.g.services.mdns, t.g.node.TRELInfo()
	if !t.g.node.TREL().Up() {
		if t.toldOn != nil {
			m.Unpublish(trelOwner)
			t.toldOn = nil
		}
		return
	}
	if t.told == now && slices.Equal(t.toldOn, t.links) {
		return
	}
	if t.toldOn == nil { // it was off, and has forgotten its peers
		for _, f := range t.found {
			t.g.node.TREL().Announced(f.txt, f.addr)
		}
	}
	// The name is the address that the node had first. It stays when that
	// changes: a new name would have to be probed for, and takes a second.
	if t.name == "" {
		t.name = now.Ext.String()
	}
	t.told, t.toldOn = now, slices.Clone(t.links)
	host := dnssd.Host{Name: t.name, Services: []dnssd.Service{{Instance: t.name, Type: trel.Service, Port: t.socket.port, TXT: now.Append(nil)}}}
	if _, err := m.Publish(trelOwner, host, mdns.Options{LinkAddrs: true, Interfaces: t.links}); err != nil {
		t.g.log.Warn("TREL cannot be announced", "id", "TREL-PUBLISH", "err", err)
		return
	}
	t.g.log.Info("the node is announced for TREL", "id", "TREL", "extaddr", now.Ext, "port", t.socket.port)
}

// discovered takes what DNS-SD says of a node on a link.
func (t *overInfra) discovered(ev mdns.Event) {
	if ev.Own {
		return
	}
	at := trelPlace{dnssd.Fold(ev.Service.Instance), ev.Iface}
	was, had := t.found[at]
	delete(t.found, at)
	txt, err := trel.DecodeTXT(ev.Service.TXT)
	addr, ok := trelAddress(ev.Addrs)
	if ev.Kind != mdns.Removed && err == nil && ok {
		f := trelFound{txt, onLink(netip.AddrPortFrom(addr, ev.Service.Port), ev.Iface)}
		t.found[at] = f
		t.g.node.TREL().Announced(f.txt, f.addr)
		if !had || was.txt.Ext == txt.Ext {
			return
		}
	}
	if had {
		t.lost(was)
	}
}

// lost takes that a node is not announced any more, unless it still is on
// another link.
func (t *overInfra) lost(was trelFound) {
	for _, f := range t.found {
		if f.txt.Ext == was.txt.Ext {
			t.g.node.TREL().Announced(f.txt, f.addr)
			return
		}
	}
	t.g.node.TREL().Withdrawn(was.txt.Ext)
}

// TREL is the node's link over the infrastructure; nil if it has none. Only a
// function that Do runs may call it.
func (g *Gateway) TREL() *trel.Link {
	if g.trel == nil {
		return nil
	}
	return g.node.TREL()
}

// trelAddress chooses where to send to: an address that cannot be elsewhere
// than on the link, or else a unique local one, or else any of IPv6.
func trelAddress(addrs []netip.Addr) (netip.Addr, bool) {
	rank := func(a netip.Addr) int {
		switch {
		case !a.Is6() || a.Is4In6() || a.IsMulticast() || a.IsLoopback() || a.IsUnspecified():
			return 0
		case a.IsLinkLocalUnicast():
			return 3
		case a.IsPrivate():
			return 2
		}
		return 1
	}
	var best netip.Addr
	for _, a := range addrs {
		if rank(a) > rank(best) {
			best = a
		}
	}
	return best, best.IsValid()
}
