package mle_test

import (
	"testing"
	"time"

	"gatewayd/sim"
)

// A child that hears another router better than its parent moves to it. The
// former parent of a minimal one learns so at once.
func TestBetterParent(t *testing.T) {
	for _, kind := range []sim.Kind{sim.FTD, sim.MTD} {
		t.Run(kind.String(), func(t *testing.T) {
			w := newWorld(t, 61)
			a, b, c := w.add("a", sim.FTD), w.add("b", sim.FTD), w.add("c", kind)
			w.Link(a, b)
			w.Air().Link(a.Station(), c.Station(), -88, 0)
			c.MLE().Tuning.InformParent = true
			if kind == sim.FTD {
				if err := c.MLE().SetRouterEligible(false); err != nil {
					t.Fatal(err)
				}
			}
			w.form(a)
			w.routers(b)
			w.attach(c)
			if child(a, c) == nil {
				t.Fatal("not a child of the leader")
			}
			w.Link(b, c)
			w.await("the better parent", 10*time.Minute, func() bool { return child(b, c) != nil && c.MLE().Attached() })
			limit := 5 * time.Minute // the child's timeout
			if kind == sim.MTD {
				limit = 2 * time.Second // whose addresses the former parent knows
			}
			w.await("the former parent knows", limit, func() bool { return child(a, c) == nil })
			if n := c.MLE().Counters(); n.BetterParentAttempts != 1 || n.ParentChanges != 1 {
				t.Errorf("%d searches, %d changes", n.BetterParentAttempts, n.ParentChanges)
			}
			w.Run(time.Hour)
			if n := c.MLE().Counters(); n.BetterParentAttempts != 1 {
				t.Errorf("%d searches with a good parent", n.BetterParentAttempts)
			}
			w.connected(a, c)
		})
	}
}

// A search in vain is not repeated soon, and the child stays where it is.
func TestNoBetterParent(t *testing.T) {
	w := newWorld(t, 62)
	a, b, c, full := w.add("a", sim.FTD), w.add("b", sim.FTD), w.add("c", sim.FTD), w.add("full", sim.MTD)
	w.Link(a, b)
	w.Link(b, full)
	w.Air().Link(a.Station(), c.Station(), -88, 0)
	if err := c.MLE().SetRouterEligible(false); err != nil {
		t.Fatal(err)
	}
	if err := b.MLE().SetMaxChildren(1); err != nil {
		t.Fatal(err)
	}
	w.form(a)
	w.routers(b)
	w.attach(full, c)
	w.Link(b, c)
	w.Run(80 * time.Minute)
	if n := c.MLE().Counters(); n.BetterParentAttempts != 1 || n.ParentChanges != 0 || child(a, c) == nil {
		t.Errorf("%d searches, %d changes", n.BetterParentAttempts, n.ParentChanges)
	}
	w.connected(a, c)
}
