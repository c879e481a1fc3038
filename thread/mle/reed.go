package mle

import (
	"time"

	"gatewayd/thread/neighbor"
)

// Links of a child with routers other than its parent: a few soon, some more
// slowly and by chance (so that not all children of a dense network ask).
const (
	childLinks      = 3
	moreChildLinks  = 9
	childLinkMin    = 1500 * time.Millisecond
	childLinkMax    = 3 * time.Second
	moreLinkMax     = 10 * time.Second
	moreLinksAfter  = 300 * time.Second
	moreLinksChance = 5 // percent
)

// advertisedToREED is what a child that may become a router learns.
func (m *MLE) advertisedToREED(x *rx, id uint8, route *Route, fromParent bool) {
	if fromParent {
		if m.routing.transition == 0 && m.eligible && m.cfg.Table.ActiveRouters() < m.Tuning.UpgradeThreshold {
			m.startTransition()
		}
		m.parentRoutes(route, id)
		return
	}
	r := m.cfg.Table.Router(id)
	if r == nil {
		return
	}
	if r.State == neighbor.Valid {
		if x.n == &r.Neighbor {
			r.LastHeard = m.cfg.Clock.Now()
		}
		return
	}
	if r.State == neighbor.LinkRequested || x.n != nil {
		return
	}
	n := 0
	for _, o := range m.cfg.Table.Routers {
		if o != nil && o.State == neighbor.Valid && o.Quality.In() >= 1 {
			n++
		}
	}
	switch {
	case n < childLinks:
		m.requestLink(r, x, m.between(childLinkMin, childLinkMax))
	case n < moreChildLinks && neighbor.QualityOf(int(x.margin)) >= 2 &&
		m.cfg.Clock.Now().Sub(m.child.attachedAt) > moreLinksAfter && m.cfg.Rand.IntN(100) < moreLinksChance:
		m.requestLink(r, x, m.between(childLinkMin, moreLinkMax))
	}
}

// shouldDowngrade reports whether a router is not needed: there are too many,
// it has links enough, few children, and a neighbour reaches all that it does.
func (m *MLE) shouldDowngrade(id uint8, route *Route) bool {
	const minNeighbors, childrenPerRouter = 7, 3
	excess := m.cfg.Table.ActiveRouters() - m.Tuning.DowngradeThreshold
	if m.cfg.Table.Router(id) == nil || m.routing.transition != 0 || excess <= 0 || m.keepRouter ||
		m.countChildren() >= excess*childrenPerRouter {
		return false
	}
	links := 0
	for _, r := range m.cfg.Table.Routers {
		if r == nil || r.State != neighbor.Valid || twoWay(r) < 2 {
			continue
		}
		links++
		if r.ID == id {
			continue
		}
		if e := route.Entries[r.ID]; !route.Has(r.ID) || min(e.In, e.Out) < twoWay(r) {
			return false
		}
	}
	return links >= minNeighbors
}

// KeepRouter says that this router is needed as one: it does not step back for
// there being too many.
func (m *MLE) KeepRouter(on bool) { m.keepRouter = on }

// Becoming reports whether the node will soon try to become a router, or step
// back from being one.
func (m *MLE) Becoming() bool { return m.routing.transition != 0 }

// goodNeighbor reports whether any router is heard well enough to become one
// beside it.
func (m *MLE) goodNeighbor() bool {
	good := func(n *neighbor.Neighbor) bool {
		return n.Quality.Known() && m.margin(n.Quality.Last()) >= minLinkMargin
	}
	if good(&m.cfg.Table.Parent.Neighbor) {
		return true
	}
	for _, r := range m.cfg.Table.Routers {
		if r != nil && r.State == neighbor.Valid && good(&r.Neighbor) {
			return true
		}
	}
	return false
}
