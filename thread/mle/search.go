package mle

import (
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/thread/link"
	"gatewayd/thread/neighbor"
)

// A child looks for a better parent now and then: implementation constants,
// OpenThread's.
const (
	searchInterval = 9 * time.Minute
	searchJitter   = 15 * time.Second
	searchBackoff  = 10 * time.Hour   // after a search by a minimal device, which costs it energy
	weakParent     = -65              // dBm, below which a minimal device searches
	betterBy       = 7                // dB that a router must be heard better than the parent
	reselectAfter  = 90 * time.Minute // before the same router is asked again
)

// search is the search for a better parent.
type search struct {
	timer    *alarm.Timer
	backoff  bool
	selected ieee802154.ExtAddr
	asked    map[ieee802154.ExtAddr]time.Time
}

// armSearch starts the time to the next search of a child that has got its
// parent.
func (m *MLE) armSearch() {
	if m.search.backoff && m.search.timer.Running() || m.Tuning.ParentSearch == 0 {
		return
	}
	m.search.timer.Start(m.between(m.Tuning.ParentSearch, m.Tuning.ParentSearch+searchJitter))
}

// searchParent is the timer. A full Thread device hears routers around it and
// asks one that it hears clearly better than its parent; another one can only
// ask everybody.
func (m *MLE) searchParent() {
	s := &m.search
	s.backoff = false
	if m.role != Child {
		return
	}
	switch {
	case m.mode.FullThread():
		if m.selectParent() {
			m.counters.BetterParentAttempts++
			m.startAttach(selectedParent)
		}
	case m.cfg.Table.Parent.Quality.Known() && m.cfg.Table.Parent.Quality.Average() < weakParent:
		s.backoff = true
		s.timer.Start(searchBackoff)
		m.counters.BetterParentAttempts++
		m.startAttach(betterParent)
		return
	}
	m.armSearch()
}

// SearchParent looks for a better parent now.
func (m *MLE) SearchParent() error {
	switch {
	case m.role != Child:
		return ErrState
	case m.attach.busy():
		return ErrBusy
	}
	m.counters.BetterParentAttempts++
	m.startAttach(betterParent)
	return nil
}

// selectParent finds the router that is heard best, if that is worth it and it
// was not asked lately.
func (m *MLE) selectParent() bool {
	s, t, now := &m.search, m.cfg.Table, m.cfg.Clock.Now()
	for e, at := range s.asked {
		if now.Sub(at) >= reselectAfter {
			delete(s.asked, e)
		}
	}
	var best *neighbor.Router
	for _, r := range t.Routers {
		if r == nil || r.State != neighbor.Valid || r.RLOC16 == t.Parent.RLOC16 || now.Sub(r.LastHeard) >= routerAge ||
			!s.asked[r.Ext].IsZero() || int(r.Quality.Average()) < int(t.Parent.Quality.Average())+betterBy {
			continue
		}
		if best == nil || r.Quality.Average() > best.Quality.Average() {
			best = r
		}
	}
	if best == nil {
		return false
	}
	s.selected, s.asked[best.Ext] = best.Ext, now
	m.log("MLE-0019", "a router is heard better than the parent", Attr{"router", best.RLOC16})
	return true
}

// askSelected sends the Parent Request to the present parent and the router
// selected: the answers of both are compared.
func (m *MLE) askSelected(mask uint8) {
	m.attach.challenge = m.newChallenge()
	for _, to := range [...]ieee802154.ExtAddr{m.cfg.Table.Parent.Ext, m.search.selected} {
		m.send(ParentRequest, m.parentRequest(mask).TLVs, linkLocal(to), link.Options{Security: link.Unsecured})
	}
}
