package netdata

import (
	"bytes"
	"cmp"
	"iter"
	"net/netip"
)

// A ContextInfo is one context for 6LoWPAN header compression.
type ContextInfo struct {
	ID       uint8
	Prefix   netip.Prefix
	Compress bool // may be used to compress; decompressing is always right
}

// Contexts iterates over the contexts in the network data. Context 0, the
// mesh-local prefix, is not among them.
func (d *Data) Contexts() iter.Seq[ContextInfo] {
	return func(yield func(ContextInfo) bool) {
		for _, p := range d.Prefixes {
			if c := p.Context; c != nil && !yield(ContextInfo{ID: c.ID, Prefix: p.Prefix, Compress: c.Compress}) {
				return
			}
		}
	}
}

// FindPrefix returns the entry of exactly this prefix, or nil.
func (d *Data) FindPrefix(p netip.Prefix) *Prefix {
	for i := range d.Prefixes {
		if d.Prefixes[i].Prefix == p {
			return &d.Prefixes[i]
		}
	}
	return nil
}

// FindService returns the entry of exactly this service, or nil.
func (d *Data) FindService(enterprise uint32, data []byte) *Service {
	for i := range d.Services {
		if s := &d.Services[i]; s.Enterprise == enterprise && bytes.Equal(s.Data, data) {
			return s
		}
	}
	return nil
}

// ServicesOf iterates over the services of an enterprise whose data starts with
// prefix.
func (d *Data) ServicesOf(enterprise uint32, prefix []byte) iter.Seq[*Service] {
	return func(yield func(*Service) bool) {
		for i := range d.Services {
			s := &d.Services[i]
			if s.Enterprise == enterprise && bytes.HasPrefix(s.Data, prefix) && !yield(s) {
				return
			}
		}
	}
}

// IsOnMesh reports whether an address belongs to a prefix that is on the mesh,
// so that it is reached by address query instead of by route. The mesh-local
// prefix is the caller's to check.
func (d *Data) IsOnMesh(a netip.Addr) bool {
	for _, p := range d.Prefixes {
		if p.Prefix.Contains(a) && p.has(FlagOnMesh) {
			return true
		}
	}
	return false
}

func (p *Prefix) has(f PrefixFlags) bool {
	for _, e := range p.BorderRouters {
		if e.Flags.Has(f) {
			return true
		}
	}
	return false
}

// DomainPrefix returns the Thread domain's prefix: the first that a border
// router calls so (Thread 1.4 Section 5.22). It is a /64.
func (d *Data) DomainPrefix() (netip.Prefix, bool) {
	for i := range d.Prefixes {
		if p := &d.Prefixes[i]; p.Prefix.Bits() == 64 && p.has(FlagDomain) {
			return p.Prefix, true
		}
	}
	return netip.Prefix{}, false
}

// A SLAACPrefix is a prefix in which nodes give themselves addresses.
type SLAACPrefix struct {
	Prefix    netip.Prefix
	Domain    uint8
	Preferred bool // some border router calls its addresses preferred
	OnMesh    bool // else addresses are not on-link with others of the prefix
	Stable    bool
}

// SLAACPrefixes iterates over the prefixes for SLAAC: /64, SLAAC flag, not a
// Thread domain prefix, on the word of one border router or several.
func (d *Data) SLAACPrefixes() iter.Seq[SLAACPrefix] {
	return func(yield func(SLAACPrefix) bool) {
		for _, p := range d.Prefixes {
			s, ok := SLAACPrefix{Prefix: p.Prefix, Domain: p.Domain}, false
			for _, e := range p.BorderRouters {
				if !e.Flags.Has(FlagSLAAC) || e.Flags.Has(FlagDomain) {
					continue
				}
				ok = true
				s.Preferred = s.Preferred || e.Flags.Has(FlagPreferred)
				s.OnMesh = s.OnMesh || e.Flags.Has(FlagOnMesh)
				s.Stable = s.Stable || e.Stable
			}
			if ok && p.Prefix.Bits() == 64 && !yield(s) {
				return
			}
		}
	}
}

// A CostFunc returns the cost of the path to a node; lower is better.
type CostFunc func(rloc16 uint16) int

// isRouter reports whether a locator is that of a router, not of a child.
func isRouter(rloc16 uint16) bool { return rloc16&childIDMask == 0 }

const (
	routerIDShift = 10
	childIDMask   = 0x01ff
)

// better compares two servers (Thread 1.4 Section 5.10): higher preference,
// lower cost, router before child. Cost may be nil.
func better(ap, bp Preference, a, b uint16, cost CostFunc) bool {
	c := cmp.Compare(ap, bp)
	if c == 0 && cost != nil {
		c = cmp.Compare(cost(b), cost(a))
	}
	if c == 0 {
		c = cmp.Compare(b2i(isRouter(a)), b2i(isRouter(b)))
	}
	return c > 0
}

// Route returns the border router for packets from src, an address in a prefix
// of the network data, to dst outside the mesh (Thread 1.4 Section 5.10.1): in
// the domain of the source's prefix, the longest route that covers the
// destination, else the prefix's default router.
func (d *Data) Route(src, dst netip.Addr, cost CostFunc) (rloc16 uint16, ok bool) {
	for i := range d.Prefixes {
		p := &d.Prefixes[i]
		if len(p.BorderRouters) == 0 && p.Context == nil || !p.Prefix.Contains(src) {
			continue // no prefix that addresses are of, or were until lately
		}
		if rloc16, ok = d.ExternalRoute(p.Domain, dst, cost); ok {
			return rloc16, true
		}
		if rloc16, ok = p.bestBorderRouter(FlagDefault, cost); ok {
			return rloc16, true
		}
	}
	return 0, false
}

// ExternalRoute returns the border router with the longest route of a domain
// that covers dst.
func (d *Data) ExternalRoute(domain uint8, dst netip.Addr, cost CostFunc) (rloc16 uint16, ok bool) {
	var best HasRoute
	bits := -1
	for _, p := range d.Prefixes {
		if p.Domain != domain || !p.Prefix.Contains(dst) || p.Prefix.Bits() <= bits {
			continue
		}
		for i, e := range p.HasRoutes {
			if i == 0 || better(e.Flags.Preference(), best.Flags.Preference(), e.RLOC16, best.RLOC16, cost) {
				best, bits = e, p.Prefix.Bits()
			}
		}
	}
	return best.RLOC16, bits >= 0
}

// bestBorderRouter returns the best of the border routers that have one of the
// flags.
func (p *Prefix) bestBorderRouter(anyOf PrefixFlags, cost CostFunc) (rloc16 uint16, ok bool) {
	var best BorderRouter
	for _, e := range p.BorderRouters {
		if e.Flags&anyOf == 0 {
			continue
		}
		if !ok || better(e.Flags.Preference(), best.Flags.Preference(), e.RLOC16, best.RLOC16, cost) {
			best, ok = e, true
		}
	}
	return best.RLOC16, ok
}

// Anycast locators, RLOC16-like (Thread 1.4 Section 5.2.2.2).
const (
	anycastDHCPFirst    = 0xfc01
	anycastDHCPLast     = 0xfc0f
	anycastServiceFirst = 0xfc10
	anycastServiceLast  = 0xfc2f
	anycastNDFirst      = 0xfc40
	anycastNDLast       = 0xfc4e
)

// Anycast returns the node to which a packet for an anycast locator goes: that
// of a DHCPv6 agent, a neighbour discovery agent or a service. The locators of
// the leader, the commissioner and the primary Backbone Router are the
// caller's to know.
func (d *Data) Anycast(aloc16 uint16, cost CostFunc) (rloc16 uint16, ok bool) {
	switch {
	case aloc16 >= anycastDHCPFirst && aloc16 <= anycastDHCPLast:
		return d.agent(uint8(aloc16-anycastDHCPFirst+1), FlagDHCP|FlagConfigure, cost)
	case aloc16 >= anycastNDFirst && aloc16 <= anycastNDLast:
		return d.agent(uint8(aloc16-anycastNDFirst+1), FlagNDDNS, cost)
	case aloc16 >= anycastServiceFirst && aloc16 <= anycastServiceLast:
		for _, s := range d.Services {
			if uint16(s.ID) == aloc16-anycastServiceFirst {
				return s.best(cost)
			}
		}
	}
	return 0, false
}

func (d *Data) agent(context uint8, anyOf PrefixFlags, cost CostFunc) (rloc16 uint16, ok bool) {
	for i := range d.Prefixes {
		if p := &d.Prefixes[i]; p.Context != nil && p.Context.ID == context {
			return p.bestBorderRouter(anyOf, cost)
		}
	}
	return 0, false
}

func (s *Service) best(cost CostFunc) (rloc16 uint16, ok bool) {
	for i, e := range s.Servers {
		if i == 0 || better(Medium, Medium, e.RLOC16, rloc16, cost) {
			rloc16, ok = e.RLOC16, true
		}
	}
	return rloc16, ok
}

// AgentALOC returns the anycast locator of the DHCPv6 agents of the prefix with
// a context.
func AgentALOC(context uint8) uint16 { return anycastDHCPFirst - 1 + uint16(context) }

// AgentAt reports whether a node is a DHCPv6 agent of the prefix.
func (p *Prefix) AgentAt(rloc16 uint16) bool {
	for _, e := range p.BorderRouters {
		if e.RLOC16 == rloc16 && e.Flags&(FlagDHCP|FlagConfigure) != 0 {
			return true
		}
	}
	return false
}

// ServiceALOC returns the anycast locator of a service.
func ServiceALOC(serviceID uint8) uint16 { return anycastService + uint16(serviceID) }

// RLOC16s returns the locators of all border routers and servers, each once, in
// no particular order.
func (d *Data) RLOC16s() []uint16 {
	seen := map[uint16]bool{}
	var out []uint16
	add := func(rloc16 uint16) {
		if !seen[rloc16] {
			seen[rloc16] = true
			out = append(out, rloc16)
		}
	}
	for _, p := range d.Prefixes {
		for _, e := range p.BorderRouters {
			add(e.RLOC16)
		}
		for _, e := range p.HasRoutes {
			add(e.RLOC16)
		}
	}
	for _, s := range d.Services {
		for _, e := range s.Servers {
			add(e.RLOC16)
		}
	}
	return out
}

// BorderRouters returns the locators of the nodes that connect the mesh to
// other networks: those with a route, or with an on-mesh prefix for which they
// are default router or which is the Thread domain prefix.
func (d *Data) BorderRouters() []uint16 {
	var out Data
	for _, p := range d.Prefixes {
		q := Prefix{HasRoutes: p.HasRoutes}
		for _, e := range p.BorderRouters {
			if e.Flags.Has(FlagOnMesh) && e.Flags&(FlagDefault|FlagDomain) != 0 {
				q.BorderRouters = append(q.BorderRouters, e)
			}
		}
		out.Prefixes = append(out.Prefixes, q)
	}
	return out.RLOC16s()
}

// NAT64Prefix returns the NAT64 prefix nodes use: that of the route with the
// highest preference, of equals the smallest.
func (d *Data) NAT64Prefix() (netip.Prefix, bool) {
	var best netip.Prefix
	var pref Preference
	for _, p := range d.Prefixes {
		if !ValidNAT64(p.Prefix) {
			continue
		}
		for _, e := range p.HasRoutes {
			if !e.Flags.Has(RouteNAT64) {
				continue
			}
			c := cmp.Compare(e.Flags.Preference(), pref)
			if !best.IsValid() || c > 0 || c == 0 && p.Prefix.Compare(best) < 0 {
				best, pref = p.Prefix, e.Flags.Preference()
			}
		}
	}
	return best, best.IsValid()
}

// ValidNAT64 reports whether a prefix has a length that can hold an IPv4
// address (RFC 6052 Section 2.2).
func ValidNAT64(p netip.Prefix) bool {
	switch p.Bits() {
	case 32, 40, 48, 56, 64, 96:
		return true
	}
	return false
}
