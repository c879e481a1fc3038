package thread_test

import (
	"net/netip"
	"testing"
	"time"

	"gatewayd/sim"
	"gatewayd/thread/netdata"
)

// The anycast locator of a service leads to the server that is nearest, whatever
// kind of device serves and asks; without servers it leads nowhere.
func TestServiceLocator(t *testing.T) {
	w := newWorld(t, 47)
	routers := w.ring(4)
	sed := w.add("sed", sim.SED)
	w.Link(sed, routers[2])
	w.attach(sed)
	w.settle()
	service := []byte{0x11}
	aloc := func() netip.Addr {
		b := routers[0].MeshLocalPrefix().Addr().As16()
		copy(b[8:], []byte{0, 0, 0, 0xff, 0xfe, 0, 0xfc, 0x10})
		return netip.AddrFrom16(b)
	}()
	serve := func(n *sim.Node) {
		if err := n.LocalData().SetService(netdata.ThreadEnterprise, service, []byte{0}, true); err != nil {
			t.Fatal(err)
		}
		n.RegisterLocalData()
		w.await(n.Name+" is reached at the service's locator", 10*time.Second, func() bool { return n.IP().Has(aloc) })
		w.Run(2 * time.Second) // the network data spread
	}
	counted := func(from, by *sim.Node) {
		t.Helper()
		before := by.IP().Counters.RxSuccess
		if _, ok := w.ping(from, aloc, 100); !ok {
			t.Errorf("%s gets no answer", from.Name)
		}
		if by.IP().Counters.RxSuccess == before && from != by {
			t.Errorf("%s is not answered by %s", from.Name, by.Name)
		}
	}
	serve(sed)
	for _, n := range append(routers, sed) {
		counted(n, sed)
	}
	serve(routers[0])
	counted(routers[3], routers[0])
	counted(routers[2], sed)
	for _, n := range []*sim.Node{sed, routers[0]} {
		n.LocalData().RemoveService(netdata.ThreadEnterprise, service)
		n.RegisterLocalData()
	}
	w.await("nobody serves", 10*time.Second, func() bool { return !sed.IP().Has(aloc) && !routers[0].IP().Has(aloc) })
	if _, ok := w.ping(routers[1], aloc, 16); ok {
		t.Error("somebody answers though nobody serves")
	}
}
