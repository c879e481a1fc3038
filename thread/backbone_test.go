package thread_test

import (
	"net/netip"
	"testing"
	"time"

	"gatewayd/sim"
	"gatewayd/thread/backbone"
	"gatewayd/thread/ip"
	"gatewayd/thread/link"
)

// Groups that nodes of every kind listen to are registered with the Backbone
// Router: by themselves, or by the parents of those that are no full Thread
// devices. When another node becomes the primary, it learns of all of them.
func TestListeners(t *testing.T) {
	w := newWorld(t, 61)
	routers := w.ring(4)
	sed, mtd := w.add("sed", sim.SED), w.add("mtd", sim.MTD)
	w.Link(sed, routers[2])
	w.Link(mtd, routers[1])
	w.attach(sed, mtd)
	w.settle()

	all := map[*sim.Node]netip.Addr{}
	for i, n := range []*sim.Node{routers[0], routers[3], sed, mtd} {
		g := netip.AddrFrom16([16]byte{0: 0xff, 1: 0x04, 15: byte(i + 1)})
		all[n] = g
		n.IP().Join(g)
	}
	w.Run(10 * time.Second) // parents hear of it
	knows := func(n *sim.Node) bool {
		for _, g := range all {
			if !n.Backbone().Listens(g) {
				return false
			}
		}
		return n.Backbone().State() == backbone.Primary
	}
	first, second := routers[1], routers[3]
	first.Backbone().SetEnabled(true)
	w.await("the first Backbone Router knows all groups", 20*time.Second, func() bool { return knows(first) })
	second.Backbone().SetEnabled(true)
	w.Run(10 * time.Second)
	if s := second.Backbone().State(); s != backbone.Secondary {
		t.Errorf("the second one is %v", s)
	}

	first.Stop()
	w.await("the second one is the primary and knows all that is left", 10*time.Minute, func() bool {
		delete(all, mtd) // its parent is gone, and there is no other in reach
		return knows(second)
	})
	w.up(first)
	w.await("the first one is back, as the second", 3*time.Minute, func() bool {
		return first.MLE().Router() && first.Backbone().State() == backbone.Secondary && second.Backbone().State() == backbone.Primary
	})
	w.Run(time.Minute)
	if n := len(routers[0].MLE().NetData().BackboneRouters()); n != 1 {
		t.Errorf("%d Backbone Routers in the network data", n)
	}

	// A datagram to a group that a sleepy child listens to gets there.
	heard := 0
	sed.IP().HandleUDP(4321, func(*ip.Datagram) { heard++ })
	for range 10 {
		err := routers[0].IP().SendUDP(ip.Datagram{Dst: netip.AddrPortFrom(all[sed], 4321), Payload: []byte("hello")}, link.Options{})
		if err != nil {
			t.Fatal(err)
		}
		w.Run(2 * time.Second)
	}
	if heard < 8 || heard > 10 { // multicast may get lost
		t.Errorf("the sleepy child hears %d of 10 datagrams", heard)
	}
}
