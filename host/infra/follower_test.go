package infra

import (
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"gatewayd/internal/netns"
	"gatewayd/ipv6"
	"gatewayd/ndp"
)

func ready(l Link) bool { return l.Ready() }

func TestFollow(t *testing.T) {
	netns.Need(t)
	r := run(t, Options{Names: []string{"inf0", "inf1"}})
	r.await(t, "inf0", "absent", func(l Link) bool { return l.Index == 0 })

	wire(t, "inf0", "peer0")
	l := r.await(t, "inf0", "ready", ready)
	if l.Name != "inf0" || l.MTU != 1500 || l.MAC.Len() != 6 || !strings.HasPrefix(l.LinkLocal.String(), "fe80::") {
		t.Errorf("link %+v", l)
	}

	netns.IP(t, "link", "set", "inf0", "mtu", "1400")
	r.await(t, "inf0", "of MTU 1400", func(l Link) bool { return l.MTU == 1400 })
	netns.IP(t, "link", "set", "inf0", "address", "02:00:00:00:00:77")
	r.await(t, "inf0", "of another MAC", func(l Link) bool { return l.MAC == ndp.EUI48([6]byte{2, 0, 0, 0, 0, 0x77}) })

	netns.IP(t, "addr", "add", "2001:db8:5::5/64", "dev", "inf0", "nodad")
	netns.IP(t, "addr", "add", "192.0.2.5/24", "dev", "inf0")
	l = r.await(t, "inf0", "with addresses", func(l Link) bool { return len(l.Addrs) == 3 })
	if p := l.Prefixes(); len(p) != 1 || p[0] != netip.MustParsePrefix("2001:db8:5::/64") {
		t.Errorf("prefixes %v of %+v", p, l.Addrs)
	}
	netns.IP(t, "addr", "add", "fe80::5/64", "dev", "inf0", "nodad")
	first := l.LinkLocal
	l = r.await(t, "inf0", "with two link-local addresses", func(l Link) bool { return len(l.Others()) == 1 })
	if l.LinkLocal != first || l.Others()[0] != netip.MustParseAddr("fe80::5") {
		t.Errorf("link-local address was %v and is %v besides %v", first, l.LinkLocal, l.Others())
	}

	netns.IP(t, "link", "set", "peer0", "down") // the carrier goes
	r.await(t, "inf0", "down", func(l Link) bool { return !l.Up })
	netns.IP(t, "link", "set", "peer0", "up")
	r.await(t, "inf0", "ready again", ready)
	netns.IP(t, "link", "set", "inf0", "down")
	r.await(t, "inf0", "down", func(l Link) bool { return !l.Up && !l.LinkLocal.IsValid() })
	netns.IP(t, "link", "set", "inf0", "name", "lan0")
	r.await(t, "inf0", "renamed", func(l Link) bool { return l.Name == "lan0" && l.Index != 0 })
	netns.IP(t, "link", "set", "lan0", "up")
	r.await(t, "inf0", "ready under the new name", func(l Link) bool { return l.Ready() && l.Name == "lan0" })

	// Another of the name that was asked for takes its place.
	wire(t, "inf0", "peer1")
	l = r.await(t, "inf0", "the named one", func(l Link) bool { return l.Ready() && l.Name == "inf0" })
	netns.IP(t, "link", "del", "inf0")
	r.await(t, "inf0", "the renamed one", func(m Link) bool { return m.Index != l.Index })
	netns.IP(t, "link", "del", "lan0")
	r.await(t, "inf0", "gone", func(l Link) bool { return l.Index == 0 && l.Name == "" })
	wire(t, "inf0", "peer2")
	r.await(t, "inf0", "back", ready)
	if l := r.Links()[1]; l.ID != "inf1" || l.Index != 0 {
		t.Errorf("second link %+v", l)
	}
}

// A link-local address that is being checked for duplicates is not used yet.
func TestDuplicateDetection(t *testing.T) {
	netns.Need(t)
	netns.IP(t, "link", "add", "dad0", "type", "veth", "peer", "name", "dad1")
	defer exec.Command("ip", "link", "del", "dad1").Run()
	r := run(t, Options{Names: []string{"dad0"}})
	netns.IP(t, "link", "set", "dad1", "up")
	start := time.Now()
	netns.IP(t, "link", "set", "dad0", "up")
	r.await(t, "dad0", "checking", func(l Link) bool { return l.Up && len(l.Addrs) == 1 && l.Addrs[0].Tentative && !l.Ready() })
	r.await(t, "dad0", "ready", ready)
	if d := time.Since(start); d < 500*time.Millisecond {
		t.Errorf("ready after %v, sooner than the detection takes", d)
	}
}

func TestChooses(t *testing.T) {
	netns.Need(t)
	wire(t, "up0", "up0p")
	wire(t, "up1", "up1p")
	wire(t, "mesh0", "mesh0p")
	r := run(t, Options{Avoid: []string{"mesh0"}})
	time.Sleep(50 * time.Millisecond)
	if l := r.Links(); len(l) != 0 {
		t.Fatalf("chose %+v without a default route", l)
	}
	netns.IP(t, "-6", "route", "add", "default", "dev", "mesh0", "metric", "1")
	netns.IP(t, "-6", "route", "add", "default", "dev", "up1", "metric", "5")
	r.await(t, "up1", "chosen", ready)
	netns.IP(t, "-6", "route", "add", "default", "dev", "up0", "metric", "4")
	time.Sleep(50 * time.Millisecond)
	r.await(t, "up1", "still chosen", ready)
	netns.IP(t, "-6", "route", "del", "default", "dev", "up1")
	r.await(t, "up0", "chosen", ready)
	netns.IP(t, "-6", "route", "del", "default", "dev", "up0")
	time.Sleep(50 * time.Millisecond)
	r.await(t, "up0", "kept without a default route", ready)
	netns.IP(t, "-6", "route", "del", "default", "dev", "mesh0")
}

func TestMessages(t *testing.T) {
	netns.Need(t)
	wire(t, "msg0", "msg1")
	r := run(t, Options{Names: []string{"msg0", "msg1"}})
	l0, l1 := r.await(t, "msg0", "ready", ready), r.await(t, "msg1", "ready", ready)

	ra := ndp.RouterAdvert{HopLimit: 64, Lifetime: time.Minute, Options: []ndp.Option{
		ndp.PrefixInfo{Prefix: netip.MustParsePrefix("fd12::/64"), OnLink: true, Valid: time.Hour, Preferred: time.Hour}}}
	typ, code := ra.ICMP()
	send := func(link string, o ndp.Out) {
		t.Helper()
		if err := r.Send(link, o); err != nil {
			t.Fatal(err)
		}
	}
	send("msg0", ndp.Out{Src: l0.LinkLocal, Dst: ipv6.AllNodesLinkLocal, Type: typ, Code: code, Body: ra.Append(nil)})
	in := r.message(t, func(link string, in ndp.In) bool { return link == "msg1" && in.Type == typ && in.Src == l0.LinkLocal })
	if in.Dst != ipv6.AllNodesLinkLocal || in.HopLimit != 255 {
		t.Errorf("received %+v", in)
	}
	m, err := ndp.Decode(in.Type, in.Code, in.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := ndp.Validate(in, m); err != nil {
		t.Error(err)
	}

	// To all routers, which each link is; and to the link's address alone.
	rs := ndp.RouterSolicit{Options: []ndp.Option{ndp.SourceLinkAddr{Addr: l1.MAC}}}
	typ, code = rs.ICMP()
	for _, dst := range []netip.Addr{ipv6.AllRoutersLinkLocal, l0.LinkLocal} {
		send("msg1", ndp.Out{Src: l1.LinkLocal, Dst: dst, Type: typ, Code: code, Body: rs.Append(nil)})
		r.message(t, func(link string, in ndp.In) bool {
			return link == "msg0" && in.Type == typ && in.Src == l1.LinkLocal && in.Dst == dst && in.HopLimit == 255
		})
	}

	// Nothing else gets through: an echo request does not.
	exec.Command("ping", "-c1", "-W1", "-I", "msg1", "ff02::1").Run()
	r.mu.Lock()
	for _, g := range r.got {
		if g.in.Type < 133 || g.in.Type > 137 {
			t.Errorf("received type %d", g.in.Type)
		}
	}
	r.got = nil
	r.mu.Unlock()

	// And all of it again after the interface was away.
	netns.IP(t, "link", "del", "msg0")
	r.await(t, "msg0", "gone", func(l Link) bool { return l.Index == 0 })
	if err := r.Send("msg0", ndp.Out{Src: l0.LinkLocal, Dst: ipv6.AllNodesLinkLocal, Type: typ}); err == nil {
		t.Error("sent on an interface that does not exist")
	}
	wire(t, "msg0", "msg1")
	r.await(t, "msg0", "ready", ready)
	l1 = r.await(t, "msg1", "ready", ready)
	send("msg1", ndp.Out{Src: l1.LinkLocal, Dst: ipv6.AllRoutersLinkLocal, Type: typ, Code: code, Body: rs.Append(nil)})
	r.message(t, func(link string, in ndp.In) bool { return link == "msg0" && in.Type == typ })
}
