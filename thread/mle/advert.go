package mle

import (
	"net/netip"
	"time"

	"gatewayd/alarm"
	"gatewayd/thread/link"
	"gatewayd/thread/neighbor"
)

// Intervals of advertisements (Thread 1.4 Section 5.16.1).
const (
	advertMin         = time.Second
	advertPerNeighbor = 4 * time.Second
	advertMaxLow      = 12 * time.Second
	advertMaxHigh     = 32 * time.Second
	reedAdvertMin     = 570 * time.Second
	reedAdvertMax     = 630 * time.Second
)

// trickle times advertisements (RFC 6206 without suppression), or those of a
// device that may become a router, at a random plain interval.
type trickle struct {
	timer    *alarm.Timer
	on       bool
	plain    bool
	max      time.Duration
	interval time.Duration
	end      time.Time // of the interval
	sent     bool      // in it
}

func (t *trickle) stop() { t.on, t.plain = false, false; t.timer.Stop() }

func (t *trickle) startTrickle(m *MLE) {
	t.on, t.plain = true, false
	t.max = m.advertMax()
	t.begin(m, advertMin)
}

func (t *trickle) startPlain(m *MLE) {
	t.on, t.plain = true, true
	t.timer.Start(m.between(reedAdvertMin, reedAdvertMax))
}

// begin starts an interval: one transmission in its second half.
func (t *trickle) begin(m *MLE, interval time.Duration) {
	t.interval, t.sent = interval, false
	t.end = m.cfg.Clock.Now().Add(interval)
	t.timer.Start(m.between(interval/2, interval))
}

// adjust follows a change of the number of neighbours.
func (t *trickle) adjust(m *MLE) {
	if !t.on || t.plain {
		return
	}
	if t.max = m.advertMax(); t.interval > t.max {
		t.begin(m, t.max)
	}
}

// advertMax is the longest interval: longer with more neighbours to tell.
func (m *MLE) advertMax() time.Duration {
	n := 1
	for _, r := range m.cfg.Table.Routers {
		if r != nil && r.State == neighbor.Valid && r.Quality.In() >= 2 {
			n++
		}
	}
	return min(max(time.Duration(n)*advertPerNeighbor, advertMaxLow), advertMaxHigh)
}

// advertiseSoon tells neighbours that routes changed.
func (m *MLE) advertiseSoon() {
	if !m.Router() {
		return
	}
	t := &m.advert
	if !t.on || t.plain {
		t.startTrickle(m)
	} else if t.interval > advertMin {
		t.begin(m, advertMin)
	}
}

// advertise is the trickle timer.
func (m *MLE) advertise() {
	t := &m.advert
	switch {
	case t.plain:
		m.sendAdvertisement(allNodes)
		t.startPlain(m)
	case !m.Router() || !m.RouterEligible():
		t.stop()
	case !t.sent:
		t.sent = true
		t.timer.StartAt(t.end)
		m.sendAdvertisement(allNodes)
	default:
		t.begin(m, min(2*t.interval, t.max))
	}
}

// sendAdvertisement sends one, unless it would mislead: while we move to
// another partition or become a router.
func (m *MLE) sendAdvertisement(to netip.Addr) {
	if !m.Attached() || m.attach.busy() || m.routing.soliciting {
		return
	}
	b := m.build()
	b.source()
	b.leaderData()
	if m.Router() {
		b.route()
	}
	m.send(Advertisement, b.TLVs, to, link.Options{Security: link.Unsecured, SecureIfCut: true})
}

func (m *MLE) advertisementReceived(x *rx) {
	source, leader := x.uint16(TypeSource), x.leaderData()
	route, hasRoute := x.optRoute()
	if m.malformed(x) {
		return
	}
	if !m.Attached() {
		return
	}
	if m.mode.FullThread() && !m.advertisedToFull(x, source, leader, route, hasRoute) {
		return
	}
	p := &m.cfg.Table.Parent
	if m.role == Child {
		if x.n != &p.Neighbor {
			return
		}
		if p.RLOC16 != source {
			_ = m.BecomeDetached() // the parent is another router now
			return
		}
		if leader.Partition != m.partition.Partition || leader.LeaderID != m.partition.LeaderID {
			m.setPartition(leader)
			if hasRoute && m.mode.FullThread() {
				m.takeIDs(route)
				m.parentRoutes(route, neighbor.RouterID(source))
			}
			m.fetch = true
		}
		p.LastHeard = m.cfg.Clock.Now()
	} else if !x.valid() {
		return
	}
	if m.fetch || m.dataIsNewer(leader) {
		m.requestDataIn(m.jitter(responseDelay), x.ext)
	}
	x.class = peer
}

// advertisedToFull is what a full Thread device does with an advertisement. It
// reports whether the message is worth anything beyond that.
func (m *MLE) advertisedToFull(x *rx, source uint16, leader LeaderData, route *Route, hasRoute bool) bool {
	defer func() {
		// Who advertises another address is not any more what it was to us.
		if x.n != nil && x.n.State != neighbor.Invalid && x.n.RLOC16 != source && x.n != &m.cfg.Table.Parent.Neighbor {
			m.removeNeighbor(x.n)
			x.n = nil
		}
	}()
	p := &m.cfg.Table.Parent
	fromParent := m.role == Child && x.n == &p.Neighbor
	if leader.Partition != m.partition.Partition {
		return m.otherPartition(x, leader, route, hasRoute, fromParent)
	}
	if leader.LeaderID != m.partition.LeaderID {
		if !x.valid() {
			m.refuse(x, RefusedUnknown, "")
			return false
		}
		if m.role != Child {
			m.log("MLE-0016", "partition has another leader", Attr{"ours", m.partition.LeaderID}, Attr{"theirs", leader.LeaderID})
			_ = m.BecomeDetached()
			return false
		}
		return true
	}
	if !neighbor.IsRouterRLOC16(source) || !hasRoute {
		return true
	}
	id := neighbor.RouterID(source)
	if x.valid() && m.moreRecent(route) && !m.takeIDs(route) {
		return false
	}
	if m.role == Child {
		m.advertisedToREED(x, id, route, fromParent && p.RLOC16 == source)
		return true
	}
	if m.role == Router && m.shouldDowngrade(id, route) {
		m.startTransition()
	}
	r := m.cfg.Table.Router(id)
	if r == nil || source == m.rloc16 {
		return true
	}
	if r.State != neighbor.Valid && x.valid() {
		if c := m.cfg.Table.ChildByExt(x.ext); c != nil && &c.Neighbor == x.n {
			// A child of ours has become a router: the link is the same.
			r.Neighbor = c.Neighbor
			r.RLOC16, r.Mode = source, routerMode
			m.removeChild(c)
			x.n = &r.Neighbor
		}
	}
	if r.State != neighbor.Valid && r.State != neighbor.LinkRequested {
		if x.margin >= minLinkMargin && route.Has(m.routing.id) {
			m.requestLink(r, x, m.between(0, linkRequestDelay))
		}
		return false
	}
	if x.n != &r.Neighbor {
		return false // not proved to be that router
	}
	r.LastHeard = m.cfg.Clock.Now()
	m.updateRoutes(route, id)
	return true
}

// requestLink begins a link with a router that was heard.
func (m *MLE) requestLink(r *neighbor.Router, x *rx, delay time.Duration) {
	rloc16 := r.RLOC16
	r.Neighbor = m.newNeighbor(x, neighbor.LinkRequested)
	r.RLOC16, r.Mode = rloc16, routerMode
	r.RequestAt = m.cfg.Clock.Now().Add(delay)
	m.later(delayKey{LinkRequest, x.ext}, delay, func() {
		if r.State == neighbor.LinkRequested && m.cfg.Table.Router(r.ID) == r {
			m.sendLinkRequest(r)
		}
	})
}

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

// otherPartition weighs a partition that is not ours: the better one is joined.
func (m *MLE) otherPartition(x *rx, leader LeaderData, route *Route, hasRoute, fromParent bool) bool {
	if x.margin < minLinkMargin {
		m.refuse(x, RefusedWeak, "")
		return false
	}
	if g := &m.routing; hasRoute && leader.Partition == g.oldPartition && m.cfg.Clock.Now().Before(g.oldUntil) &&
		!newer(route.Sequence, g.oldSequence) {
		return false // an echo of the partition that we left
	}
	if fromParent {
		return true
	}
	single := hasRoute && route.Singleton()
	if comparePartitions(single, leader, m.Singleton(), m.partition) > 0 {
		m.startAttach(betterPartition)
	}
	return false
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

// runTicker keeps the second's tick going while there is a reason.
func (m *MLE) runTicker() {
	if !m.ticker.Running() {
		m.ticker.Start(time.Second)
	}
}

// tick is what has to be looked at every second.
func (m *MLE) tick() {
	if m.mode.FullThread() && (m.Attached() || len(m.cfg.Table.Children) > 0) {
		m.ticker.Start(time.Second)
	}
	now := m.cfg.Clock.Now()
	expired := false
	if m.routing.transition > 0 {
		m.routing.transition -= time.Second
		expired = m.routing.transition <= 0
		m.routing.transition = max(m.routing.transition, 0)
	}
	switch m.role {
	case Child:
		if expired {
			m.reedDue()
			return
		}
		m.checkLeader()
	case Router:
		m.checkLeader()
		if expired {
			m.routerDue()
		}
	case Leader:
		if expired && !m.RouterEligible() {
			_ = m.BecomeDetached()
			return
		}
	}
	m.tickChildren(now)
	m.tickRouters(now)
	if m.role == Leader {
		m.tickLeader(now)
	}
	m.syncChildren()
}

// reedDue is the end of a child's wait: it becomes a router if there are few.
func (m *MLE) reedDue() {
	if m.cfg.Table.ActiveRouters() < m.Tuning.UpgradeThreshold && m.goodNeighbor() && m.RouterEligible() {
		_ = m.BecomeRouter(TooFewRouters)
	} else {
		m.informPreviousChannel()
	}
	if !m.advert.on {
		m.sendAdvertisement(allNodes)
		m.advert.startPlain(m)
	}
}

func (m *MLE) routerDue() {
	switch {
	case !m.RouterEligible():
		_ = m.BecomeDetached()
	case m.cfg.Table.ActiveRouters() > m.Tuning.DowngradeThreshold:
		m.startAttach(downgrade)
	}
}

// checkLeader looks for another leader when ours has been silent too long.
func (m *MLE) checkLeader() {
	if m.cfg.Table.ActiveRouters() > 0 && m.leaderAge() >= m.Tuning.LeaderTimeout && !m.attach.busy() {
		m.log("MLE-0017", "leader is silent", Attr{"leader", m.partition.LeaderID})
		m.startAttach(samePartition)
	}
}

const (
	routerAge      = 100 * time.Second // of silence, after which a router is asked
	routerAgeTries = 3
)

// tickRouters asks routers that have been silent and drops those that do not
// answer.
func (m *MLE) tickRouters(now time.Time) {
	for _, r := range m.cfg.Table.Routers {
		if r == nil {
			continue
		}
		if r.RLOC16 == m.rloc16 {
			r.LastHeard = now
			continue
		}
		if !r.RequestAt.IsZero() && now.Sub(r.RequestAt) >= linkAcceptWait {
			m.removeRouterLink(r)
			continue
		}
		age := now.Sub(r.LastHeard)
		if r.State == neighbor.Valid && age >= routerAge && (r.RequestAt.IsZero() || age < routerAge+routerAgeTries*time.Second) {
			k := delayKey{LinkRequest, r.Ext}
			if !m.waits(k) {
				m.later(k, m.between(0, linkRequestDelay), func() {
					if r.State == neighbor.Valid {
						m.sendLinkRequest(r)
					}
				})
			}
		}
	}
}
