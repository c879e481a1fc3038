package mle_test

import (
	"net/netip"
	"testing"
	"time"

	"gatewayd/sim"
	"gatewayd/thread/netdata"
)

var onMesh = netip.MustParsePrefix("fd00:7:7:7::/64")

// Network data and datasets reach every device, those asleep and those that
// want only the stable part, over two hops.
func TestDataSpreads(t *testing.T) {
	w := newWorld(t, 70)
	a, r, med, sed := w.add("a", sim.FTD), w.add("r", sim.FTD), w.add("med", sim.MTD), w.add("sed", sim.SED)
	w.Link(a, r)
	w.Link(r, med, sed)
	w.form(a)
	w.routers(r)
	if err := sed.MLE().SetMode(0); err != nil { // stable network data only
		t.Fatal(err)
	}
	w.attach(med, sed)
	nodes := []*sim.Node{a, r, med, sed}
	have := func(p netip.Prefix, n *sim.Node) bool { return n.MLE().NetData().FindPrefix(p) != nil }
	flags := (netdata.FlagPreferred | netdata.FlagSLAAC | netdata.FlagOnMesh).With(netdata.Medium)

	if err := r.ServePrefix(onMesh, flags, true); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		w.await(n.Name+" has the prefix", 10*time.Second, func() bool { return have(onMesh, n) })
	}
	if e := sed.MLE().NetData().FindPrefix(onMesh).BorderRouters[0]; e.RLOC16 != netdata.AnyRLOC16 {
		t.Errorf("the stable part names %04x", e.RLOC16)
	}
	temporary := netip.MustParsePrefix("fd00:8:8:8::/64")
	if err := a.ServePrefix(temporary, flags, false); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes[:3] {
		w.await(n.Name+" has the temporary one", 10*time.Second, func() bool { return have(temporary, n) })
	}
	w.Run(10 * time.Second)
	if have(temporary, sed) {
		t.Error("a stable-only device has a temporary prefix")
	}
	// Whoever comes from elsewhere with an address of the prefix registered it.
	w.Run(3 * time.Second)
	w.connected(nodes...)

	d := w.dataset.Clone()
	d.NetworkName = "renamed"
	d.ActiveTimestamp.Seconds++
	a.SetActiveDataset(&d)
	for _, n := range nodes {
		w.await(n.Name+" has the dataset", 15*time.Second, func() bool {
			x := n.Datasets().Active()
			return x != nil && x.NetworkName == "renamed"
		})
	}
	if !r.WithdrawPrefix(onMesh) {
		t.Fatal("was not served")
	}
	for _, n := range nodes {
		w.await(n.Name+" is without it", 10*time.Second, func() bool {
			p := n.MLE().NetData().FindPrefix(onMesh)
			return p == nil || len(p.BorderRouters) == 0
		})
	}
	w.connected(nodes...)
}
