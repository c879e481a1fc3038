package border

import (
	"errors"
	"net/netip"
	"slices"

	"gatewayd/thread/netdata"
)

// A Publication is what belongs into the network data. All of it is stable.
type Publication struct {
	// OnMesh are OMR prefixes: at most one for new addresses, first, and those
	// that it replaces.
	OnMesh []OnMeshPrefix
	// Route is the route to the outside: ::/0, or fc00::/7 while there is no
	// way to the internet. No Prefix: there is none.
	Route Route
	// NAT64 is the route to a NAT64.
	NAT64 Route
	// Translate is the prefix that our own NAT64 has to serve; zero if it is
	// not needed.
	Translate netip.Prefix
}

// OnMeshPrefix is a prefix that devices take addresses of.
type OnMeshPrefix struct {
	Prefix netip.Prefix
	Flags  netdata.PrefixFlags
}

// Route is a route to the outside of the mesh.
type Route struct {
	Prefix netip.Prefix
	Flags  netdata.RouteFlags
}

func (p Publication) equal(q Publication) bool {
	return slices.Equal(p.OnMesh, q.OnMesh) && p.Route == q.Route && p.NAT64 == q.NAT64 && p.Translate == q.Translate
}

// Apply puts p into what a node serves, in place of old. What is new comes
// before what is over goes.
func (p Publication) Apply(l *netdata.Local, old Publication) error {
	var errs []error
	for _, o := range p.OnMesh {
		errs = append(errs, l.SetPrefix(o.Prefix, o.Flags, true))
	}
	for _, r := range p.routes() {
		errs = append(errs, l.SetRoute(r.Prefix, r.Flags, true))
	}
	for _, o := range old.OnMesh {
		if !slices.ContainsFunc(p.OnMesh, func(x OnMeshPrefix) bool { return x.Prefix == o.Prefix }) {
			l.RemovePrefix(o.Prefix)
		}
	}
	for _, r := range old.routes() {
		if !slices.ContainsFunc(p.routes(), func(x Route) bool { return x.Prefix == r.Prefix }) {
			l.RemoveRoute(r.Prefix)
		}
	}
	return errors.Join(errs...)
}

func (p Publication) routes() (all []Route) {
	for _, r := range []Route{p.Route, p.NAT64} {
		if r.Prefix.IsValid() {
			all = append(all, r)
		}
	}
	return all
}

// publication returns what belongs into the network data now.
func (m *Manager) publication() (p Publication) {
	if !m.running {
		p.OnMesh = m.left
		return p
	}
	p.OnMesh = m.omr.publish(m.route.kind == toDefault)
	p.Route = m.route.publish()
	p.NAT64, p.Translate = m.nat64.publish()
	return p
}
