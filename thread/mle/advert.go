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

// AdvertisementMax is the longest interval between advertisements of a router
// with the neighbours there are.
func (m *MLE) AdvertisementMax() time.Duration { return m.advertMax() }

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
