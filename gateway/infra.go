package gateway

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"gatewayd/border"
	"gatewayd/dnssd/mdns"
	"gatewayd/host/firewall"
	"gatewayd/host/infra"
	"gatewayd/host/sysctl"
	"gatewayd/ipv6"
	"gatewayd/ndp"
)

// infrastructure makes the mesh and the host's networks one: what it tells the
// links is decided by package border, what the kernel gets is put there by the
// packages below host. Only the goroutine that owns the node uses it.
type infrastructure struct {
	g         *Gateway
	mesh      routedMesh
	settings  *sysctl.Keeper
	follower  *infra.Follower
	manager   *border.Manager
	published border.Publication
	links     []infra.Link
	known     map[string]bool // links that the manager has
	wanted    map[string][]border.HostPrefix
	off       bool // as the command line has it
}

// chooseInfra, as the setting infra, is the interface of the default route.
const chooseInfra = "auto"

// infraNames are the interfaces that the configuration names.
func (c *Config) infraNames() []string {
	if c.Infra == chooseInfra {
		return nil
	}
	if c.Infra == "" {
		return nil
	}
	return strings.Split(c.Infra, ",")
}

// routedMesh is the gateway's network, of either kind, as border routing sees
// it.
type routedMesh interface {
	// tell tells the manager how the mesh is.
	tell(*border.Manager)
	// publish tells the mesh what the manager wants, in place of what it wanted
	// before.
	publish(p, old border.Publication) error
	// delegated takes the prefixes that the mesh may have.
	delegated([]border.Delegated)
	// prefixes are those of the mesh's addresses, and those that never leave it.
	prefixes() (own, private []netip.Prefix)
	// devices tells the addresses of devices whose EUI-64 is known.
	devices(each func(firewall.EUI64, netip.Addr))
	// sourceFor is an address of the gateway's to answer a device from.
	sourceFor(device netip.Addr) (netip.Addr, bool)
}

// buildInfra makes the way to the infrastructure.
func (g *Gateway) buildInfra(mesh routedMesh) error {
	i := &infrastructure{g: g, mesh: mesh, known: map[string]bool{}, wanted: map[string][]border.HostPrefix{}}
	random, err := newRand()
	if err != nil {
		return err
	}
	if i.settings, err = sysctl.Open(g.cfg.DataDir); err != nil {
		return fmt.Errorf("gateway: kernel settings: %w", err)
	}
	i.follower, err = infra.New(infra.Options{
		Names: g.cfg.infraNames(), Avoid: []string{g.cfg.TUN, nat64Name}, Sysctl: i.settings, Log: g.log,
		NAT64:   g.cfg.translates(),
		Changed: func(l []infra.Link) { g.deliver(func() { i.changed(l) }) },
		Receive: func(link string, in ndp.In) {
			g.deliver(func() { _ = i.manager.Receive(link, in) }) // what is dropped is counted there
		},
	})
	if err != nil {
		return fmt.Errorf("gateway: infra: %w", err)
	}
	i.manager = border.New(border.Config{
		Clock: g.stack.Clock(), Rand: random, Store: nodeStore{g}, Send: i.follower.Send,
		Publish: i.publish, Host: i.hostPrefixes, Log: i.event, Changed: func() { g.dirty = true },
	})
	g.drivers = append(g.drivers, func(ctx context.Context) {
		if err := i.follower.Run(ctx); err != nil && ctx.Err() == nil {
			g.log.Error("the infrastructure links are not followed any more", "id", "INFRA-FOLLOW", "err", err)
		}
	})
	g.infra = i
	if g.tun != nil {
		g.buildFilter()
	}
	return nil
}

// newRand is a source of random numbers that nobody can guess.
func newRand() (*rand.Rand, error) {
	var seed [32]byte
	if _, err := crand.Read(seed[:]); err != nil {
		return nil, fmt.Errorf("gateway: randomness: %w", err)
	}
	return rand.New(rand.NewChaCha8(seed)), nil
}

// update tells the manager how the mesh is.
func (i *infrastructure) update() {
	i.mesh.tell(i.manager)
	i.filter()
	if i.g.nat64 != nil {
		i.g.nat64.update(i.manager.Status())
	}
	if s := i.g.services; s != nil && s.auto {
		s.registrar.SetEnabled(i.manager.Status().Ready)
	}
}

// changed takes the state of all links.
func (i *infrastructure) changed(links []infra.Link) {
	i.links = links
	present := map[string]bool{}
	var multicast []mdns.Interface
	for _, l := range links {
		present[l.ID] = true
		err := i.manager.SetLink(l.ID, border.LinkState{Up: l.Ready(), LinkLocal: l.LinkLocal, Others: l.Others(), LinkAddr: l.MAC})
		if err != nil {
			i.g.log.Warn("an infrastructure link is not used", "id", "INFRA-LINK", "link", l.ID, "err", err)
		}
		if l.Index != 0 && l.Up {
			link := mdns.Interface{Index: l.Index, Name: l.Name, MTU: l.MTU}
			for _, a := range l.Addrs {
				if !a.Tentative && !a.Duplicate {
					link.Addrs = append(link.Addrs, a.Prefix)
				}
			}
			multicast = append(multicast, link)
		}
	}
	for id := range i.known {
		if !present[id] {
			i.manager.RemoveLink(id)
		}
	}
	i.known = present
	if i.g.services != nil {
		i.g.services.setLinks(multicast)
	}
	if i.g.trel != nil {
		i.g.trel.setLinks(multicast)
	}
	for id := range i.wanted {
		i.setAddresses(id)
	}
	i.filter()
	if i.g.backbone != nil {
		i.g.backbone.update()
		i.g.domain.update()
	}
	if i.g.delegation != nil {
		i.g.delegation.use(links)
	}
	if i.g.discovery != nil {
		i.g.discovery.follow(links)
	}
}

// publish puts into the network data what the manager wants there.
func (i *infrastructure) publish(p border.Publication) {
	if err := i.mesh.publish(p, i.published); err != nil {
		i.g.log.Warn("not all can be published in the mesh", "id", "BORDER-PUBLISH", "err", err)
	}
	i.published = p
	if p.NAT64.Prefix.IsValid() {
		i.g.log.Info("the mesh reaches IPv4", "id", "NAT64", "prefix", p.NAT64.Prefix, "here", p.Translate.IsValid())
	}
	i.g.dirty = true
}

// hostPrefixes gives the host addresses of the prefixes that it advertises.
func (i *infrastructure) hostPrefixes(link string, p []border.HostPrefix) {
	i.wanted[link] = p
	i.setAddresses(link)
}

func (i *infrastructure) setAddresses(link string) {
	for _, l := range i.links {
		if l.ID != link || !l.LinkLocal.IsValid() {
			continue
		}
		var list []infra.Address
		for _, p := range i.wanted[link] {
			a := infra.Address{Prefix: l.HostAddress(p.Prefix), Until: p.Until}
			if p.Deprecated {
				a.Preferred = i.g.stack.Clock().Now()
			}
			list = append(list, a)
		}
		if err := i.follower.SetAddresses(link, list); err != nil && !errors.Is(err, infra.ErrNotReady) {
			i.g.log.Warn("the host did not get its address on a link", "id", "INFRA-ADDRESS", "link", link, "err", err)
		}
	}
}

// filter lets the packet filter know the mesh's prefixes.
func (i *infrastructure) filter() {
	if i.g.filter != nil {
		i.g.filter.update()
	}
}

// event logs a decision.
func (i *infrastructure) event(e border.Event) {
	if !i.g.repeats.pass(e.ID, i.g.stack.Clock().Now()) {
		return
	}
	attrs := []any{"id", e.ID}
	if e.Link != "" {
		attrs = append(attrs, "link", e.Link)
	}
	if e.Prefix.IsValid() {
		attrs = append(attrs, "prefix", e.Prefix)
	}
	if e.Addr.IsValid() {
		attrs = append(attrs, "router", e.Addr)
	}
	if e.Err != nil {
		i.g.log.Warn(e.Text, append(attrs, "err", e.Err)...)
		return
	}
	i.g.log.Info(e.Text, attrs...)
}

// prohibited answers a datagram that leaves the mesh from an address that
// nobody outside can answer; false lets it pass.
func (i *infrastructure) prohibited(packet []byte) bool {
	h, _, err := ipv6.DecodeHeader(packet)
	if err != nil || h.Dst.IsMulticast() || h.Src.IsLinkLocalUnicast() || i.g.own(h.Dst) || i.g.domain.onLink(h.Dst) || !i.manager.Prohibited(h.Src, h.Dst) {
		return false
	}
	src, ok := i.mesh.sourceFor(h.Src)
	if !ok {
		return false
	}
	e := ipv6.AppendICMPPacket(nil, ipv6.Header{Src: src, Dst: h.Src, HopLimit: 64}, ipv6.ICMPDstUnreachable, ipv6.UnreachProhibited,
		ipv6.ErrorBody{Invoking: packet}.Append(nil))
	_ = i.g.stack.FromHost(e)
	return true
}

// start begins the work.
func (i *infrastructure) start() {
	i.tellNAT64()
	i.enable()
	if d := i.g.delegation; d != nil {
		d.resume()
	}
	i.update()
}

// tellNAT64 tells the manager whether there is a NAT64.
func (i *infrastructure) tellNAT64() {
	var n border.NAT64
	if x := i.g.nat64; x != nil {
		n = border.NAT64{Enabled: !x.off, Outside: x.outside}
	}
	i.manager.SetNAT64(n)
}

// enable has the mesh and the links routed, unless nothing could pass.
func (i *infrastructure) enable() {
	i.manager.SetEnabled(!i.off && (i.g.filter == nil || !i.g.filter.closed()))
}

// lastWords is how often the links are told that the router goes (RFC 4861
// Section 6.2.5), and how far apart.
const (
	lastWords   = 3
	lastWordGap = 100 * time.Millisecond
)

// stop says goodbye on the links, in full by the time that the mesh has heard it.
func (i *infrastructure) stop() {
	i.manager.Retire()
	for n := range lastWords - 1 {
		i.g.stack.Clock().After(time.Duration(n+1)*lastWordGap, i.manager.Withdraw)
	}
}

// close puts the kernel back to what it was. The follower has ended.
func (i *infrastructure) close() {
	if i.g.filter != nil {
		i.g.filter.close()
	}
	if err := i.settings.Close(); err != nil {
		i.g.log.Warn("a kernel setting is not what it was", "id", "SYSCTL", "err", err)
	}
}

// Border is what border routing has come to; false without infrastructure
// links. Only a function that Do runs may call it.
func (g *Gateway) Border() (border.Status, []infra.Link, bool) {
	if g.infra == nil {
		return border.Status{}, nil, false
	}
	return g.infra.manager.Status(), g.infra.links, true
}
