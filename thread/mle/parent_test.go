package mle_test

import (
	"fmt"
	"testing"
	"time"

	"gatewayd/sim"
	"gatewayd/thread/mle"
)

// Many routers that do not hear each other answer one device. They do not keep
// the air busy with it, and those heard well are heard.
func TestManyParents(t *testing.T) {
	const routers = 20
	w := newWorld(t, 71)
	child := w.add("child", sim.MTD)
	var n []*sim.Node
	for i := range routers {
		r := w.add(fmt.Sprint("r", i), sim.FTD)
		r.MLE().Tuning.UpgradeThreshold, r.MLE().Tuning.DowngradeThreshold = 32, 33
		n = append(n, r)
	}
	w.Link(n...) // until all of them are routers: beside each other
	w.form(n[0])
	for _, r := range n[1:] {
		r.MLE().Tuning.SelectionJitter = 5 * time.Second
	}
	w.start(n[1:]...)
	for _, r := range n {
		w.await(r.Name+" is a router", 3*time.Minute, r.MLE().Router)
	}
	w.Run(time.Minute)
	for i, r := range n {
		for _, o := range n[:i] {
			w.Air().Link(r.Station(), o.Station(), -90, 0) // below what makes a channel busy
		}
		w.Air().Link(r.Station(), child.Station(), -80, 0)
	}
	m := w.Meter()
	w.attach(child)
	w.Run(2 * time.Second)
	asked, answers := m.MLE[mle.ParentRequest].Frames, m.MLE[mle.ParentResponse].Frames
	if asked == 0 || answers < routers || answers > 3*routers*asked {
		t.Errorf("%d Parent Requests made for %d Parent Responses by %d routers", asked, answers, routers)
	}
}

// A Parent Response that is not acknowledged may have arrived: further ones have
// the same challenge. When the device does not wait any more they end.
func TestParentResponseRepeated(t *testing.T) {
	w := newWorld(t, 72)
	n := w.net(sim.FTD, sim.MTD)
	w.form(n[0])
	w.start(n[1])
	all := w.listen(n[0])
	w.await("a request", 5*time.Second, func() bool { _, ok := find(all, mle.ParentRequest); return ok })
	w.RunUntil(10*time.Millisecond, func() bool { return child(n[0], n[1]) != nil })
	w.Air().UnlinkOneWay(n[1].Station(), n[0].Station())
	w.Run(time.Second) // and the tries of the last one
	counters, challenge := map[string]bool{}, ""
	for _, x := range *all {
		if x.Command != mle.ParentResponse {
			continue
		}
		c, _ := x.TLVs.Find(mle.TypeChallenge)
		counter, _ := x.TLVs.Find(mle.TypeMLECounter)
		if challenge == "" {
			challenge = string(c)
		}
		if string(c) != challenge {
			t.Errorf("challenges %x and %x", challenge, c)
		}
		counters[string(counter)] = true
	}
	if len(counters) < 2 {
		t.Errorf("sent %d times", len(counters))
	}
	if len(*all) > 60 {
		t.Errorf("%d messages", len(*all))
	}
	sent := len(*all)
	w.Run(time.Second)
	for _, x := range (*all)[sent:] {
		if x.Command == mle.ParentResponse {
			t.Error("sent when nobody waits for it")
		}
	}
}
