package border

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatewayd/ndp"
)

const localOnLink = "fdde:ad00:beef:cafe::/64"

// advert is what a router with one on-link prefix says.
func advert(opts ...ndp.Option) ndp.RouterAdvert { return ndp.RouterAdvert{Options: opts} }

func (b *br) onLink() OnLinkStatus { return b.m.Status().Links[0].OnLink }

// expectRoute checks the route that is published.
func (b *br) expectRoute(p string, flags string) {
	b.lab.t.Helper()
	if r := b.pub.Route; r.Prefix != prefix(p) || r.Flags.String() != flags {
		b.lab.t.Errorf("%v: publishes route %v %v, want %v %q", b.lab.clock.Now().Sub(start), r.Prefix, r.Flags, p, flags)
	}
}

// A network that has a router needs no on-link prefix of ours, and is what the
// route leads to.
func TestGoodRouter(t *testing.T) {
	for _, tt := range []struct {
		name    string
		ra      ndp.RouterAdvert
		favored string
		route   string
	}{
		{"internet", advert(goodPrefix("2001:db8:7::/64")), "2001:db8:7::/64", "::/0"},
		{"ULA", advert(goodPrefix("fd99::/64")), "fd99::/64", "fc00::/7"},
		{"both", advert(goodPrefix("fd99::/64"), goodPrefix("2001:db8:7::/64")), "2001:db8:7::/64", "::/0"},
		{"two, the smaller", advert(goodPrefix("fd99::/64"), goodPrefix("fd98::/64")), "fd98::/64", "fc00::/7"},
		{"rather delegates", advert(ndp.PrefixInfo{
			Prefix: prefix("2001:db8:7::/64"), OnLink: true, Delegated: true, Valid: time.Hour, Preferred: time.Hour,
		}), "2001:db8:7::/64", "::/0"},
		{"default route only", ndp.RouterAdvert{Lifetime: time.Hour}, "", "fc00::/7"},
		{"preferred too short", advert(ndp.PrefixInfo{
			Prefix: prefix("fd99::/64"), OnLink: true, Autonomous: true, Valid: time.Hour, Preferred: 1799 * time.Second,
		}), "", "fc00::/7"},
		{"preferred just long enough", advert(ndp.PrefixInfo{
			Prefix: prefix("fd99::/64"), OnLink: true, Autonomous: true, Valid: time.Hour, Preferred: 1800 * time.Second,
		}), "fd99::/64", "fc00::/7"},
		{"not on link", advert(ndp.PrefixInfo{Prefix: prefix("fd99::/64"), Autonomous: true, Valid: time.Hour, Preferred: time.Hour}), "", "fc00::/7"},
		{"not for addresses", advert(ndp.PrefixInfo{Prefix: prefix("fd99::/64"), OnLink: true, Valid: time.Hour, Preferred: time.Hour}), "", "fc00::/7"},
		{"of another length", advert(goodPrefix("fd99::/63"), goodPrefix("2001:db8::/32"), goodPrefix("::/0")), "", "fc00::/7"},
		{"nobody's", advert(goodPrefix("::/64"), goodPrefix("fe80::/64"), goodPrefix("ff02::/64"), goodPrefix("64:ff9b::/64")), "", "fc00::/7"},
		{"preferred beyond valid", advert(ndp.PrefixInfo{
			Prefix: prefix("fd99::/64"), OnLink: true, Autonomous: true, Valid: time.Hour, Preferred: 2 * time.Hour,
		}), "", "fc00::/7"},
		{"ours, from elsewhere", advert(goodPrefix(localOnLink)), "", "fc00::/7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, 1)
			a := l.router("a", "lan", 1)
			l.foreign("r", "lan", 7, tt.ra)
			l.run(5 * time.Minute)
			s := a.onLink()
			want, state, flags := tt.favored, OnLinkIdle, ""
			if want == "" {
				want, state, flags = localOnLink, OnLinkAdvertising, "a"
			}
			if s.Favored != prefix(want) || s.State != state {
				t.Errorf("on-link %+v", s)
			}
			a.expectRoute(tt.route, flags)
			if got := len(l.sent("a RA 0s P")) > 0; got != (state == OnLinkAdvertising) {
				t.Errorf("advertised its own prefix: %v", got)
			}
		})
	}
}

// A router that comes later ends our prefix if its own is smaller.
func TestRouterComes(t *testing.T) {
	t.Run("smaller", func(t *testing.T) {
		l := newLab(t, 1)
		a := l.router("a", "lan", 1)
		l.run(5 * time.Minute)
		if h := a.hosted["eth0"]; len(h) != 1 || h[0] != (HostPrefix{Prefix: prefix(localOnLink)}) {
			t.Errorf("host has %+v", h)
		}
		lastSaid := a.m.links[0].onLink.expires
		f := l.foreign("r", "lan", 7, advert(goodPrefix("2001:db8:7::/64")))
		l.sent()
		l.run(5 * time.Second)
		if s := a.onLink(); s.State != OnLinkDeprecating || s.Favored != prefix("2001:db8:7::/64") {
			t.Errorf("on-link %+v", s)
		}
		if got := l.sent("a RA"); len(got) == 0 || !strings.Contains(got[0], "P "+localOnLink) || !strings.Contains(got[0], "/0 R ") {
			t.Errorf("said %v", got)
		}
		if h := a.hosted["eth0"]; len(h) != 1 || h[0] != (HostPrefix{prefix(localOnLink), true, lastSaid}) {
			t.Errorf("host has %+v, until %v", h, lastSaid)
		}
		a.expectRoute("::/0", "a")
		l.run(lastSaid.Sub(l.clock.Now()) - time.Second)
		if s := a.onLink(); s.State != OnLinkDeprecating {
			t.Errorf("on-link %+v", s)
		}
		l.run(2 * time.Second)
		if s := a.onLink(); s.State != OnLinkIdle || len(a.hosted["eth0"]) != 0 || len(a.store) != 1 {
			t.Errorf("on-link %+v, host %v, stored %q", s, a.hosted, a.store)
		}
		a.expectRoute("::/0", "")
		// And when it goes: 60 s until it is asked, five times, 2 s more, and 4 s
		// to decide.
		f.off()
		l.run(60*time.Second + 2*time.Second + 6*time.Second + 5*time.Second)
		if s := a.onLink(); s.State != OnLinkAdvertising || s.Favored != prefix(localOnLink) {
			t.Errorf("on-link %+v", s)
		}
		// Hosts still have addresses of the router's prefix.
		a.expectRoute("::/0", "a")
		if s := a.m.Status().Links[0].Routers; len(s) != 1 || s[0].Reachable {
			t.Errorf("routers %+v", s)
		}
		l.run(2 * 24 * time.Hour)
		a.expectRoute("fc00::/7", "a")
		if s := a.m.Status().Links[0]; len(s.Routers)+len(s.Prefixes) != 0 {
			t.Errorf("left over: %+v %+v", s.Routers, s.Prefixes)
		}
	})
	t.Run("larger", func(t *testing.T) {
		l := newLab(t, 1)
		a := l.router("a", "lan", 1)
		l.run(5 * time.Minute)
		l.foreign("r", "lan", 7, advert(goodPrefix("fdff::/64")))
		l.run(time.Hour)
		if s := a.onLink(); s.State != OnLinkAdvertising {
			t.Errorf("on-link %+v", s)
		}
		// After a restart, there is no need for ours.
		a.kill()
		l.run(time.Minute)
		a.revive()
		l.run(time.Minute)
		if s := a.onLink(); s.State != OnLinkDeprecating || s.Favored != prefix("fdff::/64") {
			t.Errorf("on-link %+v", s)
		}
	})
}

// A router that answers when it is asked whether it is there, but advertises
// nothing anymore, is asked for it after ten minutes.
func TestStale(t *testing.T) {
	l := newLab(t, 2)
	a := l.router("a", "lan", 1)
	f := l.foreign("r", "lan", 7, advert(goodPrefix("2001:db8:7::/64"), ndp.RouteInfo{Prefix: prefix("fd55::/48"), Lifetime: time.Hour}))
	l.run(time.Minute)
	f.timer.Stop()
	f.ra.Options = nil // to the solicitations it has nothing to say
	heard := a.m.links[0].routers[0].said
	l.sent()
	l.run(heard.Add(599 * time.Second).Sub(l.clock.Now()))
	if rs := l.sent("a RS"); len(rs) > 0 {
		t.Errorf("asked: %v", rs)
	}
	if s := a.m.Status().Links[0]; len(s.Prefixes) != 2 || s.OnLink.State != OnLinkIdle || !s.Routers[0].Reachable {
		t.Errorf("%+v", s)
	}
	l.run(16 * time.Second)
	if rs := l.sent("a RS"); len(rs) != 3 {
		t.Errorf("asked: %v", rs)
	}
	s := a.m.Status().Links[0]
	if len(s.Prefixes) != 1 || s.Prefixes[0].Preferred != 0 || s.OnLink.State != OnLinkAdvertising {
		t.Errorf("%+v", s)
	}
	// It is not asked for again and again.
	l.run(time.Hour)
	if rs := l.sent("a RS"); len(rs) != 0 {
		t.Errorf("asked again: %v", rs)
	}
	// Two routers with the same: the later counts.
	f.ra = advert(goodPrefix("2001:db8:7::/64"))
	g := l.foreign("s", "lan", 8, f.ra)
	f.advertise()
	g.advertise()
	l.run(time.Minute)
	f.timer.Stop()
	l.sent()
	l.run(30 * time.Minute)
	if rs := l.sent("a RS"); len(rs) != 0 {
		t.Errorf("asked though one of two routers is fresh: %v", rs)
	}
}

// A router that does not answer is asked five times.
func TestProbe(t *testing.T) {
	l := newLab(t, 2)
	a := l.router("a", "lan", 1)
	f := l.foreign("r", "lan", 7, advert(goodPrefix("2001:db8:7::/64")))
	l.run(time.Minute)
	f.timer.Stop()
	l.run(5 * time.Minute)
	if ns := l.sent("a NS"); len(ns) < 3 || len(ns) > 6 || !a.m.links[0].routers[0].reachable() {
		t.Errorf("a router that answers: %v", ns)
	}
	heard := a.m.links[0].routers[0].heard
	f.off()
	l.run(heard.Add(57 * time.Second).Sub(l.clock.Now()))
	if ns := l.sent("a NS"); len(ns) != 0 {
		t.Errorf("asked early: %v", ns)
	}
	l.run(12 * time.Second)
	if ns := l.sent("a NS"); len(ns) != 5 {
		t.Errorf("asked %v", ns)
	}
	r := a.m.Status().Links[0]
	if r.Routers[0].Reachable || r.Prefixes[0].Preferred != 0 {
		t.Errorf("%+v", r)
	}
	// What nobody asked for is no answer.
	a.m.Receive("eth0", ndp.In{
		Src: f.port.ll, Dst: allNodes, HopLimit: 255, Type: ndp.TypeNeighborAdvert,
		Body: ndp.NeighborAdvert{Override: true, Target: f.port.ll}.Append(nil),
	})
	if a.m.links[0].routers[0].reachable() {
		t.Error("an unsolicited advertisement counts")
	}
	// It comes back.
	f.on()
	l.run(10 * time.Second)
	if r = a.m.Status().Links[0]; !r.Routers[0].Reachable || r.OnLink.Favored != prefix("2001:db8:7::/64") {
		t.Errorf("%+v", r)
	}
}

// Another's word cannot end an address (RFC 4862 Section 5.5.3).
func TestAdopt(t *testing.T) {
	l := newLab(t, 2)
	a := l.router("a", "lan", 1)
	l.run(time.Minute)
	say := func(opts ...ndp.Option) error {
		return a.m.Receive("eth0", ndp.In{
			Src: addr("fe80::7"), Dst: allNodes, HopLimit: 255, Type: ndp.TypeRouterAdvert, Body: advert(opts...).Append(nil),
		})
	}
	pio := func(valid, preferred time.Duration) ndp.Option {
		return ndp.PrefixInfo{Prefix: prefix("2001:db8:7::/64"), OnLink: true, Autonomous: true, Valid: valid, Preferred: preferred}
	}
	const h = time.Hour
	for i, tt := range []struct{ valid, preferred, left time.Duration }{
		{12 * h, 12 * h, 12 * h},
		{3 * h, 3 * h, 3 * h},
		{h, h, 2 * h}, // not below two hours
		{0, 0, 2 * h}, // deprecated, not gone
		{ndp.Infinity, ndp.Infinity, maxLifetime},
		{0, 0, 2 * h},
	} {
		say(pio(tt.valid, tt.preferred))
		r := a.m.links[0].routers[0].onLink[0]
		if left := r.ends().Sub(l.clock.Now()); left != tt.left || r.preferred != min(tt.preferred, maxLifetime) {
			t.Errorf("%d: %v left, preferred %v", i, left, r.preferred)
		}
	}
	l.run(h)
	say(pio(0, 0)) // does not prolong it either
	if left := a.m.links[0].routers[0].onLink[0].ends().Sub(l.clock.Now()); left != h {
		t.Errorf("%v left after an hour", left)
	}
	// A route is over when its router says so.
	say(ndp.RouteInfo{Prefix: prefix("fd55::/48"), Lifetime: h})
	if n := len(a.m.Status().Links[0].Prefixes); n != 2 {
		t.Errorf("%d entries", n)
	}
	say(ndp.RouteInfo{Prefix: prefix("fd55::/48")})
	if n := len(a.m.Status().Links[0].Prefixes); n != 1 {
		t.Errorf("%d entries", n)
	}
	// The header's lifetime is overruled by the option.
	ra := advert(ndp.RouteInfo{Prefix: prefix("::/0"), Lifetime: h, Preference: ndp.High})
	a.m.Receive("eth0", ndp.In{Src: addr("fe80::8"), Dst: allNodes, HopLimit: 255, Type: ndp.TypeRouterAdvert, Body: ra.Append(nil)})
	if p := a.m.links[0].router(addr("fe80::8")).routes; len(p) != 1 || p[0].preference != ndp.High || p[0].valid != h {
		t.Errorf("routes %+v", p)
	}
	// Routes to nowhere.
	n := len(a.m.Status().Links[0].Prefixes)
	say(ndp.RouteInfo{Prefix: prefix("fe80::/64"), Lifetime: h}, ndp.RouteInfo{Prefix: prefix("ff00::/8"), Lifetime: h})
	if got := len(a.m.Status().Links[0].Prefixes); got != n {
		t.Errorf("%d entries, want %d", got, n)
	}
}

// The tables are bounded, whoever fills them does not crowd out others, and
// floods make us no louder.
func TestFlood(t *testing.T) {
	l := newLab(t, 6)
	a := l.router("a", "lan", 1)
	l.run(time.Minute)
	say := func(from int, opts ...ndp.Option) error {
		src := netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 8: 0xbb, 14: byte(from >> 8), 15: byte(from)})
		return a.m.Receive("eth0", ndp.In{
			Src: src, Dst: allNodes, HopLimit: 255, Type: ndp.TypeRouterAdvert, Body: advert(opts...).Append(nil),
		})
	}
	many := func(n int) (opts []ndp.Option) {
		for i := range n {
			opts = append(opts, ndp.RouteInfo{Prefix: prefix(fmt.Sprintf("fd%02x:%x::/48", 1+i/200, i)), Lifetime: time.Duration(math.MaxUint32) * time.Second})
		}
		return opts
	}
	if err := say(1, many(200)...); !errors.Is(err, ErrTooMany) {
		t.Errorf("200 routes of a router: %v", err)
	}
	if n := len(a.m.Status().Links[0].Prefixes); n != MaxPrefixes {
		t.Errorf("%d entries", n)
	}
	// Another gets its share.
	for i := range 4 {
		if err := say(2, many(4)...); err != nil {
			t.Errorf("four routes of another router, time %d: %v", i, err)
		}
	}
	if err := say(3, goodPrefix("2001:db8:7::/64")); err != nil {
		t.Errorf("prefix of a third: %v", err)
	}
	if n := len(a.m.Status().Links[0].Prefixes); n != MaxPrefixes {
		t.Errorf("%d entries", n)
	}
	if p := a.m.links[0].routers; p[1].size() != 4 || p[2].size() != 1 {
		t.Errorf("others have %d and %d", p[1].size(), p[2].size())
	}
	refused := 0
	for i := range 1000 {
		if errors.Is(say(10+i, ndp.RouteInfo{Prefix: prefix("fd44::/48"), Lifetime: time.Hour}), ErrTooMany) {
			refused++
		}
	}
	s := a.m.Status().Links[0]
	if len(s.Routers) != MaxRouters || refused != 1000-(MaxRouters-3) || int(s.Counters.RoutersRefused) != refused {
		t.Errorf("%d routers, %d refused, counters %+v", len(s.Routers), refused, s.Counters)
	}
	if len(s.Prefixes) > MaxPrefixes {
		t.Errorf("%d entries", len(s.Prefixes))
	}
	// A real router gets in when those that are not there have not answered.
	l.run(75 * time.Second)
	l.foreign("r", "lan", 7, advert(goodPrefix("2001:db8:9::/64")))
	l.run(5 * time.Second)
	if r := a.m.links[0].router(mac(7).LinkLocal()); r == nil || r.size() != 1 {
		t.Errorf("no room for a router that is there: %+v", r)
	}
	// And so it does if they had prefixes, which are not over yet.
	for i := range MaxRouters {
		say(2000+i, goodPrefix(fmt.Sprintf("2001:db8:a:%x::/64", i)))
	}
	l.run(75 * time.Second)
	if n := len(a.m.links[0].routers); n != MaxRouters {
		t.Errorf("%d routers", n)
	}
	l.foreign("s", "lan", 9, advert(goodPrefix("2001:db8:9::/64")))
	l.run(5 * time.Second)
	if r := a.m.links[0].router(mac(9).LinkLocal()); r == nil {
		t.Error("no room for a router that is there")
	}
	l.sent()
	ra := 0
	for i := range 600 {
		say(2, many(1+i%7)...)
		l.run(100 * time.Millisecond)
		ra += len(l.sent("a RA"))
	}
	if ra > 21 {
		t.Errorf("%d advertisements in a minute", ra)
	}
}

// An RA of a peer border router counts for nothing, but the router is known
// for what it is.
func TestPeerIsKnown(t *testing.T) {
	l := newLab(t, 7)
	a, b := l.router("a", "lan", 1), l.router("b", "lan", 2)
	l.run(5 * time.Minute)
	for _, x := range []*br{a, b} {
		s := x.m.Status()
		if r := s.Links[0].Routers; len(r) != 1 || !r[0].Peer || !r[0].SNAC || !r[0].Reachable || len(s.Links[0].Prefixes) != 2 {
			t.Errorf("%s: routers %+v, prefixes %+v", x.name, r, s.Links[0].Prefixes)
		}
		if s.Links[0].OnLink.State != OnLinkAdvertising || s.Links[0].OnLink.Favored != prefix(localOnLink) {
			t.Errorf("%s: %+v", x.name, s.Links[0].OnLink)
		}
		x.expectRoute("fc00::/7", "a")
		if len(s.Peers) != 1 || s.PeersOnOtherLinks {
			t.Errorf("%s: peers %+v, %v", x.name, s.Peers, s.PeersOnOtherLinks)
		}
	}
	// Nobody else of another mesh with the same on-link prefix and another OMR.
	l.foreign("other", "lan", 9, advert(goodPrefix(localOnLink), ndp.RouteInfo{Prefix: prefix("fd01:2:3:4::/64"), Lifetime: time.Hour}))
	l.run(time.Minute)
	for _, r := range a.m.Status().Links[0].Routers {
		if r.Peer != (r.Addr == b.ports["eth0"].ll) {
			t.Errorf("router %+v", r)
		}
	}
	// But one that has led to another prefix of this mesh before.
	late := advert(goodPrefix(localOnLink), ndp.RouteInfo{Prefix: prefix("fd05::/64"), Lifetime: time.Hour},
		ndp.RouteInfo{Prefix: prefix(a.m.Status().OMR.Favored.String()), Lifetime: time.Hour})
	late.SNAC = true
	l.foreign("late", "lan", 10, late)
	l.run(time.Minute)
	peers := 0
	for _, r := range a.m.Status().Links[0].Routers {
		if r.Peer {
			peers++
		}
	}
	if peers != 2 {
		t.Errorf("%d peers of %+v", peers, a.m.Status().Links[0].Routers)
	}
}

// Who claims that the mesh's addresses are on the link is not believed.
func TestClaimsMesh(t *testing.T) {
	l := newLab(t, 7)
	a := l.router("a", "lan", 1)
	l.run(time.Minute)
	l.foreign("rogue", "lan", 9, advert(goodPrefix(a.omr()), goodPrefix(l.mesh.MeshLocal.String())))
	l.run(5 * time.Minute)
	if s := a.onLink(); s.State != OnLinkAdvertising || s.Favored != prefix(localOnLink) {
		t.Errorf("on-link %+v", s)
	}
	a.expectOnMesh(a.omr() + " pao low")
}

func TestReceive(t *testing.T) {
	l := newLab(t, 8)
	a := l.router("a", "lan", 1)
	good := ndp.In{Src: addr("fe80::7"), Dst: allNodes, HopLimit: 255, Type: ndp.TypeRouterAdvert, Body: advert(goodPrefix("fd99::/64")).Append(nil)}
	with := func(change func(*ndp.In)) ndp.In {
		in := good
		change(&in)
		return in
	}
	for _, tt := range []struct {
		name string
		link string
		in   ndp.In
		err  error
	}{
		{"good", "eth0", good, nil},
		{"elsewhere", "eth1", good, ErrNoLink},
		{"forwarded", "eth0", with(func(in *ndp.In) { in.HopLimit = 64 }), ndp.ErrHopLimit},
		{"not link-local", "eth0", with(func(in *ndp.In) { in.Src = addr("2001:db8::1") }), ndp.ErrSource},
		{"code", "eth0", with(func(in *ndp.In) { in.Code = 1 }), ndp.ErrBadCode},
		{"cut", "eth0", with(func(in *ndp.In) { in.Body = in.Body[:20] }), ndp.ErrShort},
		{"option of no length", "eth0", with(func(in *ndp.In) { in.Body = append(in.Body[:12:12], 3, 0, 0, 0, 0, 0, 0, 0) }), ndp.ErrZeroLength},
		{"echo", "eth0", with(func(in *ndp.In) { in.Type = 128 }), ndp.ErrIgnored},
		{"answer of nobody", "eth0", ndp.In{
			Src: addr("fe80::9"), Dst: a.ports["eth0"].ll, HopLimit: 255, Type: ndp.TypeNeighborAdvert,
			Body: ndp.NeighborAdvert{Solicited: true, Target: addr("fe80::9")}.Append(nil),
		}, ndp.ErrIgnored},
		{"own solicitation", "eth0", ndp.In{
			Src: a.ports["eth0"].ll, Dst: allRouters, HopLimit: 255, Type: ndp.TypeRouterSolicit, Body: ndp.RouterSolicit{}.Append(nil),
		}, ndp.ErrIgnored},
	} {
		if err := a.m.Receive(tt.link, tt.in); !errors.Is(err, tt.err) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.err)
		}
	}
	if c := a.m.Status().Links[0].Counters; c.Malformed != 5 || c.RAReceived != 1 {
		t.Errorf("%+v", c)
	}
	a.m.SetEnabled(false)
	if err := a.m.Receive("eth0", good); err != ndp.ErrIgnored {
		t.Errorf("while disabled: %v", err)
	}
}
