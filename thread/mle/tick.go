package mle

import (
	"time"

	"gatewayd/thread/neighbor"
)

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
		if r.State == neighbor.Valid && r.LastHeard.After(r.RequestAt) {
			r.RequestAt = time.Time{} // it lives, though its answer was lost
		}
		if !r.RequestAt.IsZero() && now.Sub(r.RequestAt) >= linkAcceptWait {
			m.log("MLE-0020", "link given up", Attr{"router", r.RLOC16}, Attr{"reason", "no answer to a request"})
			m.removeRouterLink(r)
			continue
		}
		age := now.Sub(r.LastHeard)
		if r.State == neighbor.Valid && age >= routerAge && (r.RequestAt.IsZero() || age < routerAge+routerAgeTries*time.Second) {
			k := delayKey{LinkRequest, r.Ext}
			if !m.waits(k) {
				m.later(k, m.between(0, linkRequestDelay), func() {
					if r.State == neighbor.Valid && m.cfg.Clock.Now().Sub(r.LastHeard) >= routerAge {
						m.sendLinkRequest(r)
					}
				})
			}
		}
	}
}
