package gateway

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"gatewayd/host"
	hostbackbone "gatewayd/host/backbone"
	"gatewayd/host/infra"
	"gatewayd/ndp"
	"gatewayd/thread/backbone"
	"gatewayd/thread/netdata"
)

// domain is the gateway's part in a Thread domain: it speaks with the other
// Backbone Routers on the links, and as the primary of its network it answers
// there for the devices that are registered by their addresses in the domain's
// prefix. Only the goroutine that owns the node uses it.
type domain struct {
	g      *Gateway
	host   *hostbackbone.Host // nil while the node is no Backbone Router
	want   hostbackbone.Want
	link   string       // that the domain's prefix is on, for this host
	prefix netip.Prefix // that is on it
	in     chan message

	published bool // the prefix of the configuration, in the mesh
}

// message came from another Backbone Router.
type message struct {
	from, to netip.Addr
	datagram []byte
}

// fromBackbone bounds the messages that wait for the owner. More are dropped,
// as they might be on the link.
const fromBackbone = 64

// domainLifetime is for how long hosts take the domain's prefix to be on their
// link: as long as the prefixes of border routing.
const domainLifetime = 30 * time.Minute

// buildDomain makes the domain's part of a Backbone Router.
func (g *Gateway) buildDomain() {
	g.domain = &domain{g: g, in: make(chan message, fromBackbone)}
	g.drivers = append(g.drivers, g.domain.run)
}

// publish has the mesh know the domain's prefix while the node is a Backbone
// Router, if it is this gateway that gives it.
func (d *domain) publish(on bool) {
	if d.g.cfg.Domain == "" || on == d.published {
		return
	}
	p := netip.MustParsePrefix(d.g.cfg.Domain) // Validate has seen it
	if !on {
		d.published = false
		d.g.node.WithdrawPrefix(p)
		return
	}
	flags := (netdata.FlagPreferred | netdata.FlagDefault | netdata.FlagOnMesh | netdata.FlagDomain).With(netdata.Medium)
	if err := d.g.node.ServePrefix(p, flags, true); err != nil {
		if d.g.repeats.pass("BACKBONE-DOMAIN", d.g.stack.Clock().Now()) {
			d.g.log.Warn("the domain's prefix is not published in the mesh", "id", "BACKBONE-DOMAIN", "err", err)
		}
		return
	}
	d.published = true
}

// run passes on what comes from the links.
func (d *domain) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-d.in:
			d.g.deliver(func() { d.g.node.Backbone().FromBackbone(m.from, m.to, m.datagram) })
		}
	}
}

// toBackbone is thread.Config.ToBackbone.
func (g *Gateway) toBackbone(to netip.Addr, datagram []byte) {
	if g.domain != nil && g.domain.host != nil {
		g.domain.host.Send(to, datagram)
	}
}

// proxying is thread.Config.Proxying: neighbours hear of an address at once.
func (g *Gateway) proxying(a netip.Addr, on bool) {
	g.dirty = true
	if d := g.domain; on && d != nil && d.host != nil {
		d.host.Announce(a)
	}
}

// update has the links as they should be.
func (d *domain) update() {
	b := d.g.node.Backbone()
	groups := b.Groups()
	if len(groups) == 0 {
		d.close()
		return
	}
	d.publish(true)
	if d.host == nil {
		d.host, d.want = hostbackbone.New(hostbackbone.Options{Log: d.g.log, Receive: func(from, to netip.Addr, datagram []byte) {
			select {
			case d.in <- message{from, to, datagram}:
			default:
			}
		}}), hostbackbone.Want{}
	}
	want := hostbackbone.Want{Groups: groups}
	for _, l := range d.g.infra.links {
		if l.Ready() {
			want.Links = append(want.Links, hostbackbone.Link{Name: l.Name, Index: l.Index, LinkLocal: l.LinkLocal, MAC: l.MAC})
		}
	}
	for _, p := range b.Proxies() {
		if !p.Tentative {
			want.Proxied = append(want.Proxied, p.DUA)
		}
	}
	if !reflect.DeepEqual(want, d.want) {
		d.want = want
		if err := d.host.Set(want); err != nil && d.g.repeats.pass("BACKBONE-LINK", d.g.stack.Clock().Now()) {
			d.g.log.Warn("the domain's other Backbone Routers, or neighbours on a link, are not reached", "id", "BACKBONE-LINK", "err", err)
		}
	}
	d.place()
}

// place has the domain's prefix on the first link, if this node answers for
// devices there: the hosts of the links are told, and this host itself.
func (d *domain) place() {
	p, on := d.g.onBackbone()
	var link string
	if on {
		for _, l := range d.g.infra.links {
			if l.Ready() {
				link = l.ID
				break
			}
		}
	}
	if link == "" {
		p = netip.Prefix{}
	}
	if link == d.link && p == d.prefix {
		return
	}
	if d.link != "" && d.link != link {
		d.setOnLink(d.link, nil)
	}
	var options []ndp.Option
	if link != "" {
		d.setOnLink(link, []netip.Prefix{p})
		// For hosts to know, not to make addresses of.
		options = []ndp.Option{ndp.PrefixInfo{Prefix: p, OnLink: true, Valid: domainLifetime, Preferred: domainLifetime}}
	}
	d.link, d.prefix = link, p
	d.g.dirty = true // the mesh's interface has it, or has not
	d.g.infra.manager.SetExtraOptions(options)
	d.g.log.Info("the domain's prefix on the backbone link", "id", "BACKBONE-LINK", "link", link, "prefix", p)
}

func (d *domain) setOnLink(link string, p []netip.Prefix) {
	known := slices.ContainsFunc(d.g.infra.links, func(l infra.Link) bool { return l.ID == link })
	if err := d.g.infra.follower.SetOnLink(link, p); err != nil && known && d.g.repeats.pass("BACKBONE-LINK", d.g.stack.Clock().Now()) {
		d.g.log.Warn("the domain's prefix is not on the link", "id", "BACKBONE-LINK", "link", link, "err", err)
	}
}

// onLink reports whether an address is one of the domain's, for which this node
// answers on the backbone link.
func (d *domain) onLink(a netip.Addr) bool { return d != nil && d.prefix.Contains(a) }

// routes are the ways into the mesh to the domain's addresses: where its prefix is
// on the backbone link, to each that is known to be in the mesh.
func (d *domain) routes(p netip.Prefix) (all []host.Route) {
	if d == nil || d.prefix != p {
		return []host.Route{{Dst: p}}
	}
	for _, x := range d.g.node.Backbone().Proxies() {
		if !d.g.node.IP().Has(x.DUA) {
			all = append(all, host.Route{Dst: netip.PrefixFrom(x.DUA, x.DUA.BitLen())})
		}
	}
	return all
}

// close ends it on the links.
func (d *domain) close() {
	d.publish(false)
	if d.host != nil {
		d.host.Close()
		d.host = nil
	}
	d.place()
}

// stop is close at the end of the gateway, when border routing says its own
// farewell.
func (d *domain) stop() {
	if d.host != nil {
		d.host.Close()
		d.host = nil
	}
}

// onBackbone is the domain's prefix, if this node is the one to answer for
// devices on the backbone link.
func (g *Gateway) onBackbone() (netip.Prefix, bool) {
	if g.domain == nil || g.node.Backbone().State() != backbone.Primary {
		return netip.Prefix{}, false
	}
	return g.node.Backbone().DomainPrefix()
}

// shared are the prefixes that devices and hosts have addresses of.
func (g *Gateway) shared() []netip.Prefix {
	if g.node == nil {
		return nil
	}
	if p, ok := g.node.Backbone().DomainPrefix(); ok {
		return []netip.Prefix{p}
	}
	return nil
}

// checkDomainPrefix is the check of the setting domain.
func checkDomainPrefix(v string) error {
	if v == "" {
		return nil
	}
	p, err := netip.ParsePrefix(v)
	if err != nil || !p.Addr().Is6() || p.Addr().Is4In6() || p.Bits() != 64 || p != p.Masked() || p.Addr().IsLinkLocalUnicast() || p.Addr().IsMulticast() {
		return fmt.Errorf("%q is no IPv6 prefix of 64 bits, as fd00:7d03:7d03:7d03::/64", v)
	}
	return nil
}
