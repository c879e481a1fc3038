package thread_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"gatewayd/sim"
	"gatewayd/thread/backbone"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/netdata"
)

var domainPrefix = netip.MustParsePrefix("fd00:7d03:7d03:7d03::/64")

// domain makes a node a Backbone Router of the domain.
func (w *world) domain(n *sim.Node) {
	w.t.Helper()
	if err := n.ServePrefix(domainPrefix, netdata.FlagOnMesh|netdata.FlagPreferred|netdata.FlagDomain|netdata.FlagDefault, true); err != nil {
		w.t.Fatal(err)
	}
	n.Backbone().SetEnabled(true)
	w.await(n.Name+" is the Backbone Router", 20*time.Second, func() bool { return n.Backbone().State() == backbone.Primary })
}

func dua(n *sim.Node) netip.Addr {
	a, _ := n.DUA()
	return a
}

// proxies reports whether a Backbone Router knows a node by its address.
func proxies(b, n *sim.Node) bool {
	a, ok := n.DUA()
	return ok && slices.ContainsFunc(b.Backbone().Proxies(), func(p backbone.Proxy) bool { return p.DUA == a && !p.Tentative })
}

// Nodes of every kind have an address of the domain, are known by it to the
// Backbone Router and to its successor, and are reached.
func TestDomain(t *testing.T) {
	w := newWorld(t, 62)
	routers := w.ring(4)
	sed, mtd := w.add("sed", sim.SED), w.add("mtd", sim.MTD)
	w.Link(sed, routers[2])
	w.Link(mtd, routers[1])
	w.attach(sed, mtd)
	w.settle()
	first, second := routers[0], routers[3]
	w.domain(first)
	all := append(slices.Clone(routers), sed, mtd)
	knows := func(b *sim.Node) bool {
		return !slices.ContainsFunc(all, func(n *sim.Node) bool { return !proxies(b, n) })
	}
	w.await("the Backbone Router knows all", 30*time.Second, func() bool { return knows(first) })
	for _, n := range all {
		if n != first {
			if _, ok := w.ping(first, dua(n), 16); !ok {
				t.Errorf("%s does not answer at %v", n.Name, dua(n))
			}
		}
	}
	if err := second.ServePrefix(domainPrefix, netdata.FlagOnMesh|netdata.FlagPreferred|netdata.FlagDomain|netdata.FlagDefault, true); err != nil {
		t.Fatal(err)
	}
	second.Backbone().SetEnabled(true)
	w.Run(10 * time.Second)
	if len(second.Backbone().Proxies()) != 0 {
		t.Error("the second one has addresses")
	}
	had := dua(sed)
	first.Backbone().SetEnabled(false)
	w.await("the second Backbone Router knows all", time.Minute, func() bool { return knows(second) })
	if len(first.Backbone().Proxies()) != 0 || dua(sed) != had {
		t.Errorf("%v, and %v was %v", first.Backbone().Proxies(), dua(sed), had)
	}
	if preferred(routers[1]) {
		t.Error("preferred at once")
	}
	w.await("preferred", 3*time.Minute, func() bool { return preferred(routers[1]) })
	first.WithdrawPrefix(domainPrefix)
	second.WithdrawPrefix(domainPrefix)
	w.await("nobody has an address", time.Minute, func() bool {
		return !slices.ContainsFunc(all, func(n *sim.Node) bool { return dua(n).IsValid() })
	})
}

func preferred(n *sim.Node) bool {
	for _, a := range n.IP().Addresses() {
		if a.Addr == dua(n) {
			return a.Preferred
		}
	}
	return false
}

// Of nodes with one address the second one takes another one, for good.
func TestDomainDuplicate(t *testing.T) {
	for _, kind := range []sim.Kind{sim.FTD, sim.MTD, sim.SED} {
		t.Run(kind.String(), func(t *testing.T) {
			w := newWorld(t, 63)
			a, b, c := w.add("first", sim.FTD), w.add("parent", sim.FTD), w.add("second", kind)
			w.Link(a, b)
			w.Link(b, c)
			w.form(a)
			iid := [8]byte{1, 2, 3, 4, 5, 6, 7, 8}
			for _, n := range []*sim.Node{a, c} {
				if !n.SetDUAInterfaceID(&iid) {
					t.Fatal("refused")
				}
			}
			w.domain(a)
			w.await("the first one has it", 30*time.Second, func() bool { return proxies(a, a) })
			w.attach(b)
			w.await("a router", 3*time.Minute, b.MLE().Router)
			w.attach(c)
			w.await("the second one has another one", time.Minute, func() bool {
				return dua(c).IsValid() && dua(c) != dua(a) && proxies(a, c)
			})
			was := dua(c)
			c.Restart()
			w.up(c)
			w.await("the same after a restart", time.Minute, func() bool { return dua(c).IsValid() })
			if dua(c) != was {
				t.Errorf("%v after a restart, was %v", dua(c), was)
			}
			if c.SetDUAInterfaceID(&[8]byte{}) {
				t.Error("an identifier of zeros is taken")
			}
		})
	}
}

// Two meshes of a domain are linked by their Backbone Routers: devices find each
// other's addresses, and no address is in both.
func TestTwoMeshes(t *testing.T) {
	w := newWorld(t, 64)
	var a, b *sim.Node
	shore := func(from, to func() *sim.Node) func(netip.Addr, []byte) {
		return func(dst netip.Addr, datagram []byte) {
			ll := netip.MustParseAddr("fe80::1%eth0") // each has one neighbour
			if !dst.IsMulticast() {
				dst = ll
			}
			to().Clock().After(time.Millisecond, func() { to().Backbone().FromBackbone(ll, dst, datagram) })
		}
	}
	host := map[string][]byte{} // what left the meshes last
	build := func(name string, from, to func() *sim.Node) *sim.Node {
		return w.add(name, sim.FTD, func(c *sim.Config) {
			c.ToBackbone = shore(from, to)
			c.Host = func(p []byte) { host[name] = p }
		})
	}
	first, second := func() *sim.Node { return a }, func() *sim.Node { return b }
	a, b = build("a", first, second), build("b", second, first)
	x, y := w.add("x", sim.FTD), w.add("y", sim.SED)
	w.Link(a, x)
	w.Link(b, y)
	iid := [8]byte{1, 2, 3, 4, 5, 6, 7, 8}
	if !x.SetDUAInterfaceID(&iid) || !y.SetDUAInterfaceID(&iid) {
		t.Fatal("refused")
	}
	w.form(a)
	w.domain(a)
	w.attach(x)
	w.await("x is known", time.Minute, func() bool { return proxies(a, x) })
	d, err := meshcop.NewRandom(b.Random(), meshcop.AllChannels(), meshcop.AllChannels())
	if err != nil {
		t.Fatal(err)
	}
	w.dataset = d
	w.start(b)
	w.await("b leads", 20*time.Second, b.MLE().Router)
	w.domain(b)
	w.attach(y)
	w.await("y has another address", time.Minute, func() bool { return proxies(b, y) && dua(y) != dua(x) })

	if _, ok := w.ping(x, dua(y), 16); ok {
		t.Error("there is no backbone to answer by")
	}
	if !a.Backbone().Abroad(dua(y)) {
		t.Error("the first mesh does not know where the second one's device is")
	}
	if _, ok := w.ping(x, dua(y), 16); ok || len(host["a"]) == 0 || netip.AddrFrom16([16]byte(host["a"][24:40])) != dua(y) {
		t.Errorf("what left the mesh: %x", host["a"])
	}
}
