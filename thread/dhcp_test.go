package thread_test

import (
	"net/netip"
	"testing"
	"time"

	"gatewayd/sim"
	"gatewayd/thread/netdata"
)

// Devices of every kind get an address of a prefix with the DHCP flag from its
// agent, over several hops, and lose it with the prefix.
func TestDHCP(t *testing.T) {
	w := newWorld(t, 49)
	routers := w.ring(4)
	sed, mtd := w.add("sed", sim.SED), w.add("mtd", sim.MTD)
	w.Link(sed, routers[2])
	w.Link(mtd, routers[1])
	w.attach(sed, mtd)
	w.settle()
	prefix := netip.MustParsePrefix("fd11:22::/64")
	agent, nodes := routers[0], append(routers, sed, mtd)
	if err := agent.ServePrefix(prefix, netdata.FlagDHCP|netdata.FlagOnMesh|netdata.FlagPreferred, true); err != nil {
		t.Fatal(err)
	}
	of := func(n *sim.Node) netip.Addr {
		b, iid := prefix.Addr().As16(), n.EUI64().IID()
		copy(b[8:], iid[:])
		return netip.AddrFrom16(b)
	}
	has := func(want bool) func() bool {
		return func() bool {
			for _, n := range nodes {
				if n.IP().Has(of(n)) != want {
					return false
				}
			}
			return true
		}
	}
	w.await("all have an address", 20*time.Second, has(true))
	w.Run(5 * time.Second)
	for _, n := range nodes[1:] {
		_, ok := w.ping(agent, of(n), 32)
		if !ok { // an address query was lost
			w.Run(16 * time.Second)
			_, ok = w.ping(agent, of(n), 32)
		}
		if !ok {
			t.Errorf("%s does not answer at %v", n.Name, of(n))
		}
	}
	agent.WithdrawPrefix(prefix)
	w.await("nobody has one", 20*time.Second, has(false))
}
