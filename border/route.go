package border

import (
	"time"

	"gatewayd/alarm"
	"gatewayd/thread/netdata"
)

// goodLinkAfter is how long the link to a parent has to be good again before
// the route is preferred again.
const goodLinkAfter = 5 * time.Minute

const goodQuality = 3

// narrowAfter is how long the route stays as it is after a narrower one would
// do: a neighbour that says one thing now and the other then shall not keep the
// whole mesh busy.
const narrowAfter = 30 * time.Second

// routeKind is what the mesh is told to be reached through us: the larger, the
// wider.
type routeKind uint8

const (
	toNowhere routeKind = iota
	toULA
	toDefault
)

// A route decides on the route from the mesh to the outside.
type route struct {
	m          *Manager
	kind       routeKind
	preference netdata.Preference
	fixed      bool         // the preference was set
	timer      *alarm.Timer // the link to the parent is good again
	narrow     *alarm.Timer
}

func (r *route) init(m *Manager) {
	r.m = m
	r.timer = m.timer(r.byRole)
	r.narrow = m.timer(func() { r.set(r.needed()) })
}

func (r *route) stop() {
	r.kind = toNowhere
	r.narrow.Stop()
}

// evaluate widens the route at once, and narrows it later.
func (r *route) evaluate() {
	if !r.m.running {
		return
	}
	switch kind := r.needed(); {
	case kind >= r.kind:
		r.narrow.Stop()
		r.set(kind)
	case !r.narrow.Running():
		r.narrow.Start(narrowAfter)
	}
}

// needed returns the narrowest route that leads everywhere hosts can be.
func (r *route) needed() routeKind {
	var ula, global, beyond bool
	for _, l := range r.m.links {
		if !l.running {
			continue
		}
		ula = ula || l.factors.ulaOnLink || l.onLink.inUse()
		global = global || l.factors.nonULAOnLink
		beyond = beyond || l.factors.nonULARoute
	}
	switch {
	case global, beyond && r.m.omr.favored.infrastructureDerived():
		return toDefault
	case ula:
		return toULA
	}
	return toNowhere
}

func (r *route) set(kind routeKind) {
	if kind != r.kind {
		r.kind = kind
		r.m.changed = true
		r.m.log(Event{ID: "BORDER-ROUTE", Text: "the route out of the mesh changes", Prefix: r.publish().Prefix})
	}
}

func (r *route) publish() Route {
	flags := netdata.RouteFlags(0).With(r.preference)
	for _, l := range r.m.links {
		if l.running && l.onLink.state != OnLinkIdle {
			flags |= netdata.RouteAdvPIO
		}
	}
	switch r.kind {
	case toULA:
		return Route{allULA, flags}
	case toDefault:
		return Route{defaultRoute, flags}
	}
	return Route{}
}

// meshChanged has the route of a child with a weak link to its parent rather
// not used.
func (r *route) meshChanged(old Mesh) {
	mesh := r.m.mesh
	switch {
	case r.fixed:
	case mesh.Router != old.Router || mesh.Attached != old.Attached:
		r.byRole()
	case mesh.Router || mesh.ParentQuality == old.ParentQuality:
	case mesh.ParentQuality < goodQuality:
		r.byRole()
	case !r.timer.Running():
		r.timer.Start(goodLinkAfter)
	}
}

func (r *route) byRole() {
	r.timer.Stop()
	r.preference = netdata.Medium
	if !r.m.mesh.Router && r.m.mesh.ParentQuality < goodQuality {
		r.preference = netdata.Low
	}
	r.m.changed = true
}

// SetRoutePreference fixes the preference of the route that is published; auto
// leaves it to the role in the mesh.
func (m *Manager) SetRoutePreference(p netdata.Preference, auto bool) {
	m.route.timer.Stop()
	m.route.fixed, m.route.preference = !auto, p
	if auto {
		m.route.byRole()
	}
	m.changed = true
	m.flush()
}
