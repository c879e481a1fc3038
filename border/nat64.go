package border

import (
	"net/netip"
	"slices"

	"gatewayd/thread/netdata"
)

// NAT64 is what there is of IPv4.
type NAT64 struct {
	Enabled bool // there is a translator of our own, or one outside
	// Outside is the prefix of the infrastructure's own NAT64, as its resolvers
	// tell (RFC 7050); zero: none. What its routers advertise (RFC 8781) comes
	// first.
	Outside netip.Prefix
}

// A nat64 decides on the NAT64 prefix of the mesh.
type nat64 struct {
	m          *Manager
	have       NAT64
	local      netip.Prefix
	published  netip.Prefix
	preference netdata.Preference
}

func (n *nat64) init(m *Manager) {
	n.m = m
	n.local = subnet(m.ula, nat64Subnet, 96)
}

func (n *nat64) stop() { n.published = netip.Prefix{} }

// SetNAT64 tells whether there is a NAT64. Whether our own is in use is in the
// Publication.
func (m *Manager) SetNAT64(n NAT64) {
	if n.Outside.IsValid() {
		n.Outside = n.Outside.Masked()
		if !netdata.ValidNAT64(n.Outside) {
			n.Outside = netip.Prefix{}
		}
	}
	m.nat64.have = n
	if !n.Enabled {
		m.nat64.stop()
	}
	m.changed = true
	m.scheduleAll(evaluationDelay)
	m.flush()
}

// outside returns the prefix of the infrastructure's NAT64; zero: none.
func (n *nat64) outside() (best netip.Prefix) {
	for _, l := range n.m.links {
		if p := l.factors.nat64; l.running && p.IsValid() && p != n.local && (!best.IsValid() || smaller(p, best)) {
			best = p
		}
	}
	if !best.IsValid() && n.have.Outside != n.local {
		return n.have.Outside
	}
	return best
}

// offer returns the prefix we would publish: that of the infrastructure needs
// a source address that is known there.
func (n *nat64) offer() (netip.Prefix, netdata.Preference) {
	if p := n.outside(); p.IsValid() && n.m.omr.favored.infrastructureDerived() {
		return p, netdata.Medium
	}
	return n.local, netdata.Low
}

// best returns the NAT64 route of the network data that nodes use.
func (n *nat64) best() (best Route) {
	for _, e := range n.m.data.Prefixes {
		for _, r := range e.HasRoutes {
			if !r.Flags.Has(netdata.RouteNAT64) || !netdata.ValidNAT64(e.Prefix) {
				continue
			}
			b := best.Flags.Preference()
			if p := r.Flags.Preference(); !best.Prefix.IsValid() || p > b || p == b && smaller(e.Prefix, best.Prefix) {
				best = Route{e.Prefix, r.Flags}
			}
		}
	}
	return best
}

// smaller orders prefixes as border routers do: by address, then length.
func smaller(p, q netip.Prefix) bool {
	return p.Addr().Less(q.Addr()) || p.Addr() == q.Addr() && p.Bits() < q.Bits()
}

func (n *nat64) evaluate() {
	if !n.have.Enabled || !n.m.running {
		return
	}
	prefix, preference := n.offer()
	best := n.best()
	n.published, n.preference = prefixIf(!best.Prefix.IsValid() || best.Flags.Preference() < preference ||
		best.Prefix == n.published || best.Prefix == prefix, prefix), preference
}

func prefixIf(ok bool, p netip.Prefix) netip.Prefix {
	if !ok {
		return netip.Prefix{}
	}
	return p
}

func (n *nat64) publish() (r Route, translate netip.Prefix) {
	if !n.published.IsValid() {
		return r, translate
	}
	return Route{n.published, netdata.RouteNAT64.With(n.preference)}, prefixIf(n.published == n.local, n.local)
}

// contains reports whether an address stands for one of IPv4.
func (n *nat64) contains(a netip.Addr) bool {
	return slices.ContainsFunc(n.m.data.Prefixes, func(e netdata.Prefix) bool {
		return e.Prefix.Contains(a) && slices.ContainsFunc(e.HasRoutes, func(r netdata.HasRoute) bool {
			return r.Flags.Has(netdata.RouteNAT64)
		})
	})
}
