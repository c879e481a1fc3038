package border

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/ndp"
	"gatewayd/thread/netdata"
)

func (b *br) down(iface string) {
	s := b.m.link(iface).state
	s.Up = false
	b.m.SetLink(iface, s)
}

// The cable is pulled and comes back.
func TestLinkDown(t *testing.T) {
	l := newLab(t, 1)
	a := l.router("a", "lan", 1)
	l.foreign("r", "lan", 7, advert(goodPrefix("fdff::/64")))
	l.run(time.Minute)
	a.expectRoute("fc00::/7", "")
	a.down("eth0")
	if s := a.m.Status(); s.State != Stopped || s.Ready || s.Links[0].Running || len(s.Links[0].Routers) != 0 {
		t.Errorf("%+v", s)
	}
	if len(a.pub.OnMesh)+len(a.pub.routes()) != 0 {
		t.Errorf("still published %+v", a.pub)
	}
	l.sent()
	l.run(time.Hour)
	if got := l.sent("a "); len(got) > 0 {
		t.Errorf("sent %v", got)
	}
	a.set("eth0", a.ports["eth0"])
	l.run(20 * time.Second)
	if s := a.m.Status(); s.State != Running || !s.Ready || s.Links[0].OnLink.Favored != prefix("fdff::/64") {
		t.Errorf("%+v", s)
	}
	if rs := l.sent("a RS"); len(rs) != 3 {
		t.Errorf("asked %v", rs)
	}
	// The mesh is gone, which is something to say.
	l.run(time.Minute)
	l.sent()
	a.role.Attached = false
	a.tell()
	if got := l.sent("a RA"); len(got) != 1 || !strings.Contains(got[0], "R "+a.omr()+" medium 0") {
		t.Errorf("said %v", got)
	}
	if s := a.m.Status(); s.State != Stopped {
		t.Errorf("%+v", s)
	}
	// Another address: hosts have to hear from it.
	a.role.Attached = true
	a.tell()
	l.run(time.Minute)
	l.sent()
	a.ports["eth0"].ll = addr("fe80::99")
	a.set("eth0", a.ports["eth0"])
	l.run(100 * time.Millisecond)
	if got := l.sent("a RA"); len(got) > 1 {
		t.Errorf("said %v", got)
	}
	l.run(3 * time.Second)
	if last := a.m.links[0].lastSent; l.clock.Now().Sub(last) > 4*time.Second {
		t.Errorf("last said at %v", last)
	}
	// Without one, or without a link, there is nothing to do.
	a.m.SetLink("eth0", LinkState{Up: true})
	if s := a.m.Status(); s.State != Stopped || s.Links[0].Running {
		t.Errorf("%+v", s)
	}
	a.m.RemoveLink("eth0")
	a.m.RemoveLink("eth0")
	if s := a.m.Status(); s.State != Stopped || len(s.Links) != 0 {
		t.Errorf("%+v", s)
	}
}

// What hosts have of a prefix is deprecated over restarts and changes of the
// mesh.
func TestOldPrefixes(t *testing.T) {
	l := newLab(t, 1)
	a := l.router("a", "lan", 1)
	l.run(time.Minute)
	move := func(n byte) {
		a.role.ExtPANID = [8]byte{n, n, n, n, n, 0, n, n}
		a.tell()
		l.run(time.Minute)
	}
	of := func(n byte) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, n, n, n, n, n, n, n}), 64)
	}
	old := func() (p []netip.Prefix) {
		for _, o := range a.onLink().Old {
			p = append(p, o.Prefix)
		}
		return p
	}
	expect := func(local netip.Prefix, state OnLinkState, want ...netip.Prefix) {
		t.Helper()
		if s := a.onLink(); s.Local != local || s.State != state || !slices.Equal(old(), want) {
			t.Errorf("on-link %+v, want %v %v and old %v", s, local, state, want)
		}
	}
	expect(prefix(localOnLink), OnLinkAdvertising)
	move(1)
	expect(of(1), OnLinkAdvertising, prefix(localOnLink))
	move(2)
	move(3)
	expect(of(3), OnLinkAdvertising, prefix(localOnLink), of(1), of(2))
	move(4) // one too many: the one that ends first goes
	expect(of(4), OnLinkAdvertising, of(1), of(2), of(3))
	var hosted []netip.Prefix
	for _, h := range a.hosted["eth0"] {
		hosted = append(hosted, h.Prefix)
	}
	if !slices.Equal(hosted, []netip.Prefix{of(4), of(1), of(2), of(3)}) {
		t.Errorf("host has %v", a.hosted)
	}
	// Back to one of them.
	move(2)
	expect(of(2), OnLinkAdvertising, of(1), of(3), of(4))
	// A change of octets that do not count.
	a.role.ExtPANID[5] = 9
	a.tell()
	expect(of(2), OnLinkAdvertising, of(1), of(3), of(4))
	// Killed, and back: there is a route for them at once, and they are over in
	// time.
	a.kill()
	l.run(time.Minute)
	a.revive()
	expect(of(2), OnLinkDeprecating, of(1), of(3), of(4))
	l.run(time.Minute)
	expect(of(2), OnLinkAdvertising, of(1), of(3), of(4))
	l.run(31 * time.Minute)
	expect(of(2), OnLinkAdvertising)
	if got := string(a.store[storeOnLink+"eth0"]); got != `["`+of(2).String()+`"]` {
		t.Errorf("stored %s", got)
	}
	// A link that is removed and comes back.
	a.m.RemoveLink("eth0")
	if len(a.hosted["eth0"]) != 0 {
		t.Errorf("host has %v", a.hosted)
	}
	a.set("eth0", a.ports["eth0"])
	l.run(time.Minute)
	expect(of(2), OnLinkAdvertising)
}

func TestDamagedStore(t *testing.T) {
	l := newLab(t, 1)
	a := l.router("a", "lan", 1)
	for _, tt := range []struct{ name, ula, onLink string }{
		{"nothing of it", "fd17::/", "[1,2"},
		{"not ours", "2001:db8::/48", `["2001:db8::/64","fe80::/64"]`},
		{"wrong length", "fd17::/64", `["fd17::/48"]`},
		{"too many", "fd17:1:2::/48", `["fd01::/64","fd02::/64","fd03::/64","fd04::/64","fd05::/64"]`},
	} {
		a.store[storeULA], a.store[storeOnLink+"eth0"] = []byte(tt.ula), []byte(tt.onLink)
		a.boot()
		want := 0
		if tt.name == "too many" {
			want = maxOld
		}
		if s := a.m.Status(); s.ULA.Bits() != 48 || s.ULA.Addr().As16()[0] != 0xfd || len(s.Links[0].OnLink.Old) != want {
			t.Errorf("%s: %+v", tt.name, s)
		}
		ula := a.m.ula
		a.boot()
		if a.m.ula != ula {
			t.Errorf("%s: %v became %v", tt.name, ula, a.m.ula)
		}
	}
}

// Two links have two prefixes, and one mesh.
func TestTwoLinks(t *testing.T) {
	l := newLab(t, 1)
	a := l.router("a", "lan", 1)
	a.plug("eth1", "attic", 2)
	l.run(2 * time.Minute)
	own := subnet(a.m.ula, linkSubnet+1, 64)
	s := a.m.Status()
	if len(s.Links) != 2 || s.Links[0].OnLink.Local != prefix(localOnLink) || s.Links[1].OnLink.Local != own {
		t.Fatalf("links %+v", s.Links)
	}
	for i, iface := range []string{"eth0", "eth1"} {
		if s.Links[i].OnLink.State != OnLinkAdvertising || len(a.hosted[iface]) != 1 || a.hosted[iface][0].Prefix != s.Links[i].OnLink.Local {
			t.Errorf("%s: %+v, host %v", iface, s.Links[i].OnLink, a.hosted[iface])
		}
		if !strings.Contains(words(s.Links[i].Advertised), "R "+a.omr()+" medium 1800") {
			t.Errorf("%s: said %s", iface, words(s.Links[i].Advertised))
		}
	}
	// A router on one of them.
	f := l.foreign("r", "attic", 7, advert(goodPrefix("2001:db8:7::/64")))
	l.run(time.Minute)
	a.expectRoute("::/0", "a")
	if s := a.m.Status(); s.Links[0].OnLink.State != OnLinkAdvertising || s.Links[1].OnLink.State != OnLinkDeprecating {
		t.Errorf("links %+v", s.Links)
	}
	// The mesh stays as long as there is one.
	a.m.RemoveLink("eth1")
	l.run(narrowAfter)
	a.expectRoute("fc00::/7", "a")
	a.expectOnMesh(a.omr() + " pao low")
	// A peer that has the other link as its first: these should be one.
	f.off()
	a.set("eth1", a.ports["eth1"])
	l.router("b", "attic", 3)
	l.run(3 * time.Minute)
	s = a.m.Status()
	if s.Links[0].Conflict || !s.Links[1].Conflict {
		t.Errorf("conflict %v, %v", s.Links[0].Conflict, s.Links[1].Conflict)
	}
	for i := 2; i < MaxLinks; i++ {
		if err := a.m.SetLink(fmt.Sprint("eth", i), LinkState{}); err != nil {
			t.Error(err)
		}
	}
	if err := a.m.SetLink("more", LinkState{}); err == nil {
		t.Error("more links than there may be")
	}
}

// Two interfaces on one LAN: one of them does all the work.
func TestSameLink(t *testing.T) {
	l := newLab(t, 1)
	a := l.router("a", "lan", 1)
	a.plug("wlan0", "lan", 2)
	l.run(3 * time.Minute)
	s := a.m.Status()
	if s.Links[0].SameAs != "" || s.Links[1].SameAs != "eth0" || len(s.Links[0].Routers)+len(s.Links[1].Routers) != 0 {
		t.Errorf("links %+v", s.Links)
	}
	l.sent()
	l.run(time.Hour)
	for _, line := range l.sent("RA") {
		if strings.Contains(line, "P "+s.Links[1].OnLink.Local.String()) {
			t.Fatalf("said %s", line)
		}
	}
	if n := len(a.hosted["wlan0"]); n != 0 {
		t.Errorf("host has %v", a.hosted)
	}
	// The other takes over when the one is unplugged, and until it is back.
	a.down("eth0")
	l.sent()
	l.run(5 * time.Second)
	s = a.m.Status()
	if got := l.sent("RA"); len(got) == 0 || s.State != Running || s.Links[1].SameAs != "" || s.Links[1].OnLink.State != OnLinkAdvertising {
		t.Errorf("said %v; %+v", got, s)
	}
	a.set("eth0", a.ports["eth0"])
	l.run(30 * time.Second)
	if s = a.m.Status(); s.Links[1].SameAs != "eth0" || s.Links[1].OnLink.State != OnLinkDeprecating {
		t.Errorf("links %+v", s.Links)
	}
	// Now it is another.
	a.ports["wlan0"].lan = "attic"
	l.run(15 * time.Minute)
	s = a.m.Status()
	if s.Links[1].SameAs != "" || s.Links[1].OnLink.State != OnLinkAdvertising {
		t.Errorf("links %+v", s.Links)
	}
}

// A border router of the mesh on another LAN.
func TestPeerElsewhere(t *testing.T) {
	l := newLab(t, 1)
	a := l.router("a", "lan", 1)
	b := l.router("b", "attic", 2)
	l.run(9 * time.Minute)
	if a.m.Status().PeersOnOtherLinks {
		t.Error("too early")
	}
	l.run(2 * time.Minute)
	if s := a.m.Status(); !s.PeersOnOtherLinks || len(s.Peers) != 1 || s.Peers[0].RLOC16 != b.rloc16 || s.Peers[0].Since.Sub(start) > time.Minute {
		t.Errorf("%+v", s)
	}
	b.ports["eth0"].lan = "lan"
	l.run(6 * time.Minute)
	if s := a.m.Status(); s.PeersOnOtherLinks {
		t.Errorf("%+v", s)
	}
	b.kill()
	l.run(time.Minute)
	if s := a.m.Status(); s.PeersOnOtherLinks || len(s.Peers) != 0 {
		t.Errorf("%+v", s)
	}
}

// A peer that stops deprecates the prefix that is ours, too: hosts are told
// that it goes on.
func TestPeerStops(t *testing.T) {
	l := newLab(t, 1)
	a, b := l.router("a", "lan", 1), l.router("b", "lan", 2)
	l.run(10 * time.Minute)
	b.m.SetEnabled(false)
	l.sent()
	l.run(5 * time.Second)
	if got := l.sent("a RA"); len(got) == 0 || !strings.Contains(got[0], "P "+localOnLink+" 1800/1800") {
		t.Errorf("said %v", got)
	}
	if s := a.onLink(); s.State != OnLinkAdvertising {
		t.Errorf("on-link %+v", s)
	}
	// So it is with anybody who says so.
	l.run(10 * time.Minute)
	for a.m.links[0].next.At().Sub(l.clock.Now()) < 10*time.Second {
		l.run(time.Second)
	}
	f := &foreign{lab: l, port: l.plug("rogue", "lan", 9, func(ndp.In) {})}
	f.ra = advert(ndp.PrefixInfo{Prefix: prefix(localOnLink), OnLink: true, Autonomous: true})
	f.advertise()
	l.sent()
	l.run(5 * time.Second)
	if got := l.sent("a RA"); len(got) != 1 || !strings.Contains(got[0], "P "+localOnLink+" 1800/1800") {
		t.Errorf("said %v", got)
	}
}

// Hosts take no address of our prefix before the mesh can answer them.
func TestPublishing(t *testing.T) {
	l := newLab(t, 1)
	a := l.router("a", "lan", 1)
	publish := a.m.cfg.Publish
	a.m.cfg.Publish = func(p Publication) {
		p.Route = Route{}
		publish(p)
	}
	expect := func(want OnLinkState) {
		t.Helper()
		l.run(30 * time.Second)
		if got := a.onLink().State; got != want {
			t.Errorf("on-link prefix is %v, want %v", got, want)
		}
		if got := len(a.hosted["eth0"]) > 0; got != (want == OnLinkAdvertising) {
			t.Errorf("host has %v", a.hosted)
		}
	}
	route := func(p string, flags netdata.RouteFlags, stable bool) {
		t.Helper()
		var local netdata.Local
		if err := local.SetRoute(prefix(p), flags, stable); err != nil {
			t.Fatal(err)
		}
		if _, err := l.leader.Register(l.clock.Now(), 0x5000, local.Data(0x5000)); err != nil {
			t.Fatal(err)
		}
		l.spreadData()
	}
	expect(OnLinkPublishing)
	route("fc00::/7", 0, false)
	expect(OnLinkPublishing)
	route("fc00::/8", 0, true)
	expect(OnLinkPublishing)
	route("fdde:ad00::/32", netdata.RouteNAT64, true)
	expect(OnLinkPublishing)
	if got := l.sent("P " + localOnLink); len(got) > 0 {
		t.Errorf("said %v", got)
	}
	route("::/0", 0, true)
	expect(OnLinkAdvertising)
}

// Callbacks may call the Manager.
func TestCallbacks(t *testing.T) {
	l := newLab(t, 1)
	var m *Manager
	var local netdata.Local
	var old Publication
	leader := netdata.NewLeader(l.rand)
	mesh := l.mesh
	mesh.RLOC16 = 0x400
	changes, published := 0, 0
	m = New(Config{
		Clock: l.clock, Rand: l.rand, Store: mapStore{},
		Send: func(string, ndp.Out) error { return nil },
		Publish: func(p Publication) {
			published++
			if err := p.Apply(&local, old); err != nil {
				t.Error(err)
			}
			old = p
			// As on the leader itself: the network data changes while it is told.
			if _, err := leader.Register(l.clock.Now(), 0x400, local.Data(0x400)); err != nil {
				t.Error(err)
			}
			mesh.Data = leader.Data()
			m.SetMesh(mesh)
		},
		Changed: func() {
			changes++
			m.Status()
		},
	})
	m.SetEnabled(true)
	m.SetMesh(mesh)
	if err := m.SetLink("eth0", LinkState{Up: true, LinkLocal: addr("fe80::1")}); err != nil {
		t.Fatal(err)
	}
	l.run(time.Minute)
	s := m.Status()
	if !s.Ready || s.Links[0].OnLink.State != OnLinkAdvertising || published == 0 || published > 3 || changes == 0 {
		t.Errorf("%d publications, %d changes, %+v", published, changes, s)
	}
	before := changes
	m.SetMesh(mesh) // nothing new
	if changes != before {
		t.Error("told of no change")
	}
	m.Stop()
	if len(old.OnMesh)+len(old.routes()) != 0 || len(leader.Data().Prefixes) > 1 {
		t.Errorf("after the end: %+v, %v", old, leader.Data().Prefixes)
	}
	l.run(24 * time.Hour)
	if d := l.clock.Deadline(); !d.IsZero() {
		t.Errorf("a timer is left, for %v", d)
	}
}
