package border

import (
	"net/netip"
	"slices"
	"time"

	"gatewayd/ndp"
	"gatewayd/thread/netdata"
)

const (
	// routeEnds is how long a route to a prefix that left the mesh is
	// advertised, as one of the last choice.
	routeEnds = 300 * time.Second
	// maxRIOs bounds the advertisement to less than the smallest MTU.
	maxRIOs = 24
)

// A rio is a route to the mesh that we advertise.
type rio struct {
	prefix netip.Prefix
	until  time.Time // of one that is not in the mesh anymore, else zero
}

// routeOptions returns the routes of an advertisement. A route that is over is
// said to be so once.
func (l *link) routeOptions() (opts []ndp.Option) {
	now := l.m.now()
	old := l.rios
	l.rios = nil
	for _, p := range l.m.meshPrefixes() {
		if len(l.rios) < maxRIOs {
			l.rios = append(l.rios, rio{prefix: p})
		}
	}
	var first earliest
	for _, r := range old {
		if slices.ContainsFunc(l.rios, func(x rio) bool { return x.prefix == r.prefix }) {
			continue
		}
		if r.until.IsZero() {
			r.until = now.Add(routeEnds)
		}
		if !r.until.After(now) || len(l.rios) == maxRIOs {
			opts = append(opts, ndp.RouteInfo{Prefix: r.prefix, Preference: ndp.Low})
			continue
		}
		l.rios = append(l.rios, r)
		first.add(r.until)
	}
	var live []ndp.Option
	for _, r := range l.rios {
		lifetime := time.Duration(advertLifetime)
		if !r.until.IsZero() {
			lifetime = r.until.Sub(now)
		}
		live = append(live, ndp.RouteInfo{Prefix: r.prefix, Preference: l.preferenceOf(r), Lifetime: lifetime})
	}
	if !first.t.IsZero() {
		l.next.StartEarlier(max(first.t.Sub(now), minBetween))
	}
	return append(live, opts...)
}

func (l *link) preferenceOf(r rio) ndp.Preference {
	if !r.until.IsZero() {
		return ndp.Low
	}
	return l.m.rioPreference.get()
}

// meshPrefixes returns the prefixes of the mesh that hosts are told of, the
// more important ones first: our OMR prefix once the mesh knows it, the one
// in favor, other OMR prefixes, and other on-mesh prefixes. A domain prefix is
// the Backbone Router's to advertise.
func (m *Manager) meshPrefixes() (all []netip.Prefix) {
	add := func(p netip.Prefix) {
		if !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	local := m.omr.local
	if (m.omr.added || m.omr.holds(local)) && m.inData(local) {
		add(local)
	}
	if f := m.omr.favored; f.prefix.IsValid() && !f.domain && f.prefix != local {
		add(f.prefix)
	}
	each := func(omr bool) {
		for _, e := range m.data.Prefixes {
			for _, b := range e.BorderRouters {
				if b.Flags.Has(netdata.FlagOnMesh) && !b.Flags.Has(netdata.FlagDomain) && e.Prefix != local &&
					e.Prefix.Bits() > 0 && isOMR(e.Prefix, b) == omr {
					add(e.Prefix)
				}
			}
		}
	}
	each(true)
	each(false)
	return all
}

// rioPreference is the preference of the routes we advertise: routers of the
// mesh forward better than children.
type rioPreference struct {
	m     *Manager
	value ndp.Preference
	fixed bool
	role  ndp.Preference
}

func (r *rioPreference) get() ndp.Preference {
	if r.fixed {
		return r.value
	}
	return r.role
}

func (r *rioPreference) meshChanged() {
	r.role = ndp.Low
	if r.m.mesh.Router {
		r.role = ndp.Medium
	}
}

// SetRIOPreference fixes the preference of the routes that are advertised;
// auto leaves it to the role in the mesh.
func (m *Manager) SetRIOPreference(p ndp.Preference, auto bool) {
	m.rioPreference.value, m.rioPreference.fixed = p, !auto
	m.changed = true
	m.scheduleAll(evaluationDelay)
	m.flush()
}

// SetExtraOptions adds options to the advertisements, RDNSS or PREF64 for one.
func (m *Manager) SetExtraOptions(opts []ndp.Option) {
	m.extra = slices.Clone(opts)
	m.scheduleAll(evaluationDelay)
	m.flush()
}
