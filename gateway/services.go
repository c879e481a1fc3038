package gateway

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"gatewayd/dnssd"
	"gatewayd/dnssd/mdns"
	"gatewayd/dnssd/multicast"
	"gatewayd/dnssd/srp"
	"gatewayd/host/doctor"
	"gatewayd/store"
	"gatewayd/thread/ip"
	"gatewayd/thread/link"
	"gatewayd/thread/registrar"
)

// services are the names and services of a Thread gateway: what devices register
// by SRP is published on the infrastructure links by mDNS, and what is there,
// devices find by DNS. Only the goroutine that owns the node uses them.
type services struct {
	g         *Gateway
	srp       *srp.Server
	registrar *registrar.Registrar // has srp at the node
	auto      bool                 // it is there while the mesh is routed, as the command line has it
	table     *store.Table
	dns       *dnssd.Resolver
	mdns      *mdns.Machine
	sockets   *multicast.Sockets
}

// buildServices makes the services of a gateway that has infrastructure links.
func (g *Gateway) buildServices() error {
	s := &services{g: g}
	random, err := newRand()
	if err != nil {
		return err
	}
	if s.sockets, err = multicast.Open(); err != nil {
		return fmt.Errorf("gateway: multicast DNS: %w", err)
	}
	if s.table, err = g.store.Table("services"); err != nil {
		s.sockets.Close()
		return err
	}
	clock := g.node.Clock()
	s.mdns = mdns.New(mdns.Config{Clock: clock, Rand: random, Send: s.sockets.Send})
	s.srp, err = srp.New(srp.Config{Clock: clock, Store: s.table, Notify: s.event})
	if err == nil {
		s.dns, err = dnssd.NewResolver(dnssd.ResolverConfig{Clock: clock, Rand: random, Registry: s.srp, Browser: mdns.Browser{Machine: s.mdns},
			Forward: newUpstream(g).forward, Update: s.srp.Receive,
			Send: func(to netip.AddrPort, b []byte) { s.answer(dnssd.ResolverPort, to, b) }})
	}
	if err != nil {
		s.close()
		return fmt.Errorf("gateway: services: %w", err)
	}
	s.srp.Subscribe(s.changed)
	for _, r := range s.srp.Hosts() { // of an earlier run
		if r.Live {
			s.publish(r.Host)
		}
	}
	s.registrar = registrar.New(registrar.Config{Server: s.srp, IP: g.node.IP(), Publisher: g.node.Publisher(), Addresses: g.node.Addr(),
		Attached: g.node.MLE().Attached, Port: srp.FirstPort, Resolver: true})
	s.registrar.SetEnabled(true)
	g.node.IP().HandleUDP(dnssd.ResolverPort, func(d *ip.Datagram) { s.dns.Receive(d.Src, d.Payload) })
	g.drivers = append(g.drivers, func(ctx context.Context) {
		err := s.sockets.Run(ctx, func(d multicast.Datagram) {
			g.deliver(func() { s.mdns.Receive(d.Iface, d.From, d.To, d.Bytes) })
		})
		if err != nil && ctx.Err() == nil {
			g.log.Error("multicast DNS has ended", "id", "MDNS-SOCKET", "err", err)
		}
	})
	g.services = s
	return nil
}

// answer sends a datagram into the mesh from a port of the node.
func (s *services) answer(port uint16, to netip.AddrPort, b []byte) {
	_ = s.g.node.IP().SendUDP(ip.Datagram{Src: netip.AddrPortFrom(netip.Addr{}, port), Dst: to, Payload: b}, link.Options{})
}

// setLinks says which links there are.
func (s *services) setLinks(links []mdns.Interface) {
	if err := s.sockets.SetInterfaces(links); err != nil {
		s.g.log.Warn("multicast DNS is not on every link", "id", "MDNS-LINK", "err", err)
	}
	s.mdns.SetInterfaces(links)
}

// changed is the advertising proxy: what is registered is published.
func (s *services) changed(e srp.Event) {
	switch e.Kind {
	case srp.HostUpdated:
		s.publish(e.Host)
	case srp.HostRemoved:
		s.mdns.Unpublish(owner(e.Host))
	}
}

func owner(h dnssd.Host) string { return "srp " + dnssd.Fold(h.Name) }

// publish publishes a device by those of its addresses that the links can reach.
func (s *services) publish(h dnssd.Host) {
	var addrs []netip.Addr
	meshLocal := s.g.node.MeshLocalPrefix()
	for _, a := range h.Addrs {
		if !a.IsLinkLocalUnicast() && !meshLocal.Contains(a) {
			addrs = append(addrs, a)
		}
	}
	h.Addrs = addrs
	if len(addrs) == 0 {
		s.mdns.Unpublish(owner(h))
		return
	}
	if _, err := s.mdns.Publish(owner(h), h, mdns.Options{}); err != nil {
		s.g.log.Warn("a device's services cannot be published", "id", "SRP-PUBLISH", "host", h.Name, "err", err)
	}
}

// unseen are the links on which what was looked for was not seen.
func (s *services) unseen(links []mdns.Visibility) (all []doctor.Unseen) {
	for _, v := range links {
		var families []string
		if !v.OK4() {
			families = append(families, "IPv4")
		}
		if !v.OK6() {
			families = append(families, "IPv6")
		}
		if len(families) == 0 {
			continue
		}
		u := doctor.Unseen{Family: strings.Join(families, " and ")}
		if v.Name != "" {
			u.Name = v.Name.String()
		}
		for _, l := range s.mdns.Links() {
			if l.Iface == v.Iface {
				u.Link = l.Name
				all = append(all, u)
			}
		}
	}
	return all
}

// event logs what happens to registrations, each kind at a bounded rate.
func (s *services) event(e srp.Event) {
	if e.Kind == srp.HostRenewed || !s.g.repeats.pass("SRP-"+e.Kind.String(), s.g.node.Clock().Now()) {
		return
	}
	if e.Err != nil {
		s.g.log.Warn("service registration", "id", "SRP", "event", e.Kind.String(), "host", e.Host.Name, "from", e.From, "err", e.Err)
		return
	}
	s.g.log.Info("service registration", "id", "SRP", "event", e.Kind.String(), "host", e.Host.Name, "services", len(e.Host.Services))
}

// stop says goodbye on the links.
func (s *services) stop() {
	s.registrar.SetEnabled(false)
	s.dns.Stop()
	s.mdns.Stop()
}

// close closes what is open. The sockets' goroutine has ended, or never began.
func (s *services) close() {
	s.sockets.Close()
	s.table.Close()
}

// Registered are the services that devices have registered; nil without
// infrastructure links. Only a function that Do runs may call it.
func (g *Gateway) Registered() []srp.Registration {
	if g.services == nil {
		return nil
	}
	return g.services.srp.Hosts()
}

// ServiceCounters count what names and services have come to.
type ServiceCounters struct {
	SRP             srp.Counters
	DNS             dnssd.ResolverCounters
	MDNS            mdns.Counters
	Hosts, Services int // registered
	MDNSNames       int // established on all links
}

// ServiceCounters are those of a gateway with infrastructure links, else false.
// Only a function that Do runs may call it.
func (g *Gateway) ServiceCounters() (ServiceCounters, bool) {
	s := g.services
	if s == nil {
		return ServiceCounters{}, false
	}
	c := ServiceCounters{SRP: s.srp.Counters(), DNS: s.dns.Counters(), MDNS: s.mdns.Counters()}
	c.Hosts, c.Services = s.srp.Len()
	for _, l := range s.mdns.Links() {
		c.MDNSNames += l.Names
	}
	return c, true
}
