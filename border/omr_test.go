package border

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/ndp"
	"gatewayd/thread/netdata"
)

// onMesh returns the published OMR prefixes in words.
func (b *br) onMesh() string {
	var s []string
	for _, o := range b.pub.OnMesh {
		s = append(s, o.Prefix.String()+" "+o.Flags.String()+" "+o.Flags.Preference().String())
	}
	return strings.Join(s, ", ")
}

func (b *br) expectOnMesh(want string) {
	b.lab.t.Helper()
	if got := b.onMesh(); got != want {
		b.lab.t.Errorf("%v %s publishes %q, want %q", b.lab.clock.Now().Sub(start), b.name, got, want)
	}
}

// omr returns the OMR prefix made of the ULA.
func (b *br) omr() string { return subnet(b.m.ula, omrSubnet, 64).String() }

// serve has another node of the mesh serve a prefix.
func (l *lab) serve(rloc16 uint16, p string, flags netdata.PrefixFlags) {
	var local netdata.Local
	if p != "" {
		if err := local.SetPrefix(prefix(p), flags, true); err != nil {
			l.t.Fatal(err)
		}
	}
	if _, err := l.leader.Register(l.clock.Now(), rloc16, local.Data(rloc16)); err != nil {
		l.t.Fatal(err)
	}
	l.spreadData()
}

const slaac = netdata.FlagOnMesh | netdata.FlagSLAAC | netdata.FlagPreferred

// Of two border routers one serves the prefix, and the other takes over.
func TestOMRAgreed(t *testing.T) {
	for seed := range uint64(20) {
		l := newLab(t, seed)
		a, b := l.router("a", "lan", 1), l.router("b", "lan", 2)
		l.run(time.Minute)
		first, second := a, b
		if len(a.pub.OnMesh) == 0 {
			first, second = b, a
		}
		first.expectOnMesh(first.omr() + " pao low")
		second.expectOnMesh("")
		for _, x := range l.brs {
			if s := x.m.Status(); s.OMR.Favored != prefix(first.omr()) || s.OMR.FavoredPreference != netdata.Low || s.OMR.Local != prefix(x.omr()) {
				t.Errorf("seed %d: %s: %+v", seed, x.name, s.OMR)
			}
			l.sent()
			l.run(4 * time.Minute)
			if got := l.sent(x.name + " RA"); len(got) == 0 || !strings.Contains(got[len(got)-1], "R "+first.omr()+" medium 1800") {
				t.Errorf("seed %d: %s said %v", seed, x.name, got)
			}
		}
		// The other takes over, and the route to the first one's addresses ends.
		first.m.SetEnabled(false)
		l.sent()
		l.run(6 * time.Second)
		second.expectOnMesh(second.omr() + " pao low")
		l.run(8 * time.Second)
		got := l.sent(second.name + " RA")
		if len(got) == 0 || !strings.Contains(got[len(got)-1], "R "+second.omr()+" medium 1800") ||
			!strings.Contains(got[len(got)-1], "R "+first.omr()+" low 29") {
			t.Errorf("seed %d: said %v", seed, got)
		}
		l.run(10 * time.Minute)
		got = l.sent(second.name + " RA")
		ends := l.clock.Now()
		over := slices.IndexFunc(got, func(s string) bool { return strings.Contains(s, "R "+first.omr()+" low 0") })
		if at, err := time.ParseDuration(strings.Fields(got[max(over, 0)])[0]); err != nil || ends.Sub(start.Add(at)) < 4*time.Minute+30*time.Second {
			t.Errorf("seed %d: the route to what is gone ends only at %v", seed, at)
		}
		if over < 0 || over+1 == len(got) || strings.Contains(strings.Join(got[over+1:], ""), first.omr()) {
			t.Errorf("seed %d: said %v", seed, got)
		}
	}
}

// One that retires leaves devices their addresses: for old connections only, if
// there is another to take over, and in either case nothing goes out by it.
func TestOMRRetire(t *testing.T) {
	l := newLab(t, 1)
	a, b := l.router("a", "lan", 1), l.router("b", "lan", 2)
	l.run(time.Minute)
	first, second := a, b
	if len(a.pub.OnMesh) == 0 {
		first, second = b, a
	}
	l.sent()
	first.m.Retire()
	if got := l.sent(first.name + " RA"); len(got) != 1 || !strings.Contains(got[0], "R "+first.omr()+" medium 0") {
		t.Errorf("last word %v", got)
	}
	first.expectOnMesh(first.omr() + " ao low")
	if len(first.pub.routes()) != 0 || first.pub.Translate.IsValid() {
		t.Errorf("still published: %+v", first.pub)
	}
	l.run(15 * time.Second)
	second.expectOnMesh(second.omr() + " pao low")
	got := l.sent(" RA")
	if slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, first.name+" RA") }) {
		t.Errorf("it speaks on: %v", got)
	}
	if len(got) == 0 || !strings.Contains(got[len(got)-1], "R "+first.omr()+" medium 1800") || !strings.Contains(got[len(got)-1], "R "+second.omr()+" medium 1800") {
		t.Errorf("the other said %v", got)
	}

	// With nobody to take over, the addresses are as good as before.
	l = newLab(t, 2)
	a = l.router("a", "lan", 1)
	l.run(time.Minute)
	a.m.Retire()
	a.expectOnMesh(a.omr() + " pao low")
	if len(a.pub.routes()) != 0 {
		t.Errorf("still published: %+v", a.pub)
	}
	a.m.SetEnabled(true)
	l.run(time.Minute)
	a.expectOnMesh(a.omr() + " pao low")
	if len(a.pub.routes()) == 0 {
		t.Error("nothing is routed when it works again")
	}
}

// A router that comes back finds what it served still in the network data, and
// devices keep their addresses.
func TestOMRRestart(t *testing.T) {
	l := newLab(t, 1)
	a := l.router("a", "lan", 1)
	l.run(10 * time.Minute)
	before := a.onMesh()
	a.boot()
	a.expectOnMesh(before)
	if before != a.omr()+" pao low" {
		t.Errorf("publishes %q", before)
	}
	if a.onLink().State != OnLinkDeprecating {
		t.Errorf("on-link prefix after the restart: %+v", a.onLink())
	}
	l.run(time.Minute)
	a.expectOnMesh(before)
	if a.onLink().State != OnLinkAdvertising {
		t.Errorf("on-link prefix: %+v", a.onLink())
	}
}

// Another prefix of the mesh, better or worse than ours.
func TestOMRElection(t *testing.T) {
	for _, tt := range []struct {
		name   string
		prefix string
		flags  netdata.PrefixFlags
		ours   bool
	}{
		{"of a higher preference", "fdff::/64", slaac.With(netdata.Medium), false},
		{"larger", "fdff::/64", slaac.With(netdata.Low), true},
		{"smaller", "fd00::/64", slaac.With(netdata.Low), false},
		{"not for new addresses", "fd00::/64", (slaac &^ netdata.FlagPreferred).With(netdata.High), true},
		{"not on-mesh", "fd00::/64", (slaac &^ netdata.FlagOnMesh).With(netdata.High), true},
		{"no SLAAC", "fd00::/64", (slaac &^ netdata.FlagSLAAC).With(netdata.High), true},
		{"too long", "fd00::/80", slaac.With(netdata.High), true},
		{"domain prefix", "fd00:7::/64", (slaac | netdata.FlagDomain).With(netdata.High), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, 1)
			a := l.router("a", "lan", 1)
			l.run(30 * time.Second)
			l.serve(0x5000, tt.prefix, tt.flags)
			l.sent()
			l.run(25 * time.Second)
			want := ""
			if tt.ours {
				want = a.omr() + " pao low"
			}
			a.expectOnMesh(want)
			last := l.sent("a RA")
			said := strings.Contains(last[len(last)-1], "R "+tt.prefix)
			// What is on the mesh is said to be, but not the domain prefix.
			if onMesh := tt.flags.Has(netdata.FlagOnMesh) && !tt.flags.Has(netdata.FlagDomain); said != onMesh {
				t.Errorf("advertised: %v", last)
			}
			l.serve(0x5000, "", 0)
			l.run(10 * time.Second)
			a.expectOnMesh(a.omr() + " pao low")
		})
	}
}

// forever is a delegated prefix without an end.
func forever(p string) Delegated { return Delegated{Prefix: prefix(p)} }

// The provider gives another prefix: the mesh has the new one before the old
// one goes, and the route to the old one stays.
func TestRenumber(t *testing.T) {
	l := newLab(t, 1)
	a := l.router("a", "lan", 1)
	l.foreign("r", "lan", 7, ndp.RouterAdvert{Lifetime: time.Hour, Options: []ndp.Option{goodPrefix("2001:db8:7::/64")}})
	l.run(2 * time.Minute)
	a.expectOnMesh(a.omr() + " paro low")
	if s := a.m.Status(); s.Delegation != DelegationRunning || !a.m.DelegationWanted() {
		t.Errorf("delegation %v", s.Delegation)
	}
	a.m.SetDelegated([]Delegated{forever("fd77::/56"), forever("2001:db8:100::/56"), forever("2001:db8::/10"), forever("2001:db8:1::/96")})
	l.run(5 * time.Second)
	a.expectOnMesh("2001:db8:100::/64 paro med, " + a.omr() + " aro low")
	a.expectRoute("::/0", "")
	if s := a.m.Status(); s.Delegated.Prefix != prefix("2001:db8:100::/64") || s.OMR.Favored != prefix("2001:db8:100::/64") {
		t.Errorf("status %+v", s)
	}
	// The ULA was there for two minutes, and stays for another two.
	l.run(2 * time.Minute)
	a.expectOnMesh("2001:db8:100::/64 paro med")

	l.run(time.Hour)
	until := l.clock.Now().Add(20 * time.Minute)
	gap := func() {
		t.Helper()
		if !l.has(prefix("2001:db8:100::/64")) && !l.has(prefix("2001:db8:200::/64")) {
			t.Fatal("the mesh has neither prefix")
		}
	}
	a.m.SetDelegated([]Delegated{{Prefix: prefix("2001:db8:100::/56"), Preferred: l.clock.Now(), Valid: until}, forever("2001:db8:200::/56")})
	l.sent()
	for range 100 {
		l.run(100 * time.Millisecond)
		gap()
		if !favoredOf(l.leader.Data()).IsValid() {
			t.Fatal("the mesh has no prefix for new addresses")
		}
	}
	a.expectOnMesh("2001:db8:200::/64 paro med, 2001:db8:100::/64 aro med")
	said := l.sent("a RA")
	if n := len(said) - 1; n < 0 || !strings.Contains(said[n], "R 2001:db8:200::/64 medium 1800") || !strings.Contains(said[n], "R 2001:db8:100::/64 medium 1800") {
		t.Errorf("said %v", said)
	}
	l.run(until.Sub(l.clock.Now()) - time.Second)
	a.expectOnMesh("2001:db8:200::/64 paro med, 2001:db8:100::/64 aro med")
	l.run(2 * time.Second)
	a.expectOnMesh("2001:db8:200::/64 paro med")

	// None at all: back to the ULA, with time for the devices.
	l.run(time.Hour)
	a.m.SetDelegated(nil)
	l.run(10 * time.Second)
	a.expectOnMesh(a.omr() + " paro low, 2001:db8:200::/64 aro med")
	l.run(30 * time.Minute)
	a.expectOnMesh(a.omr() + " paro low")

	// Its time is over, without a word.
	a.m.SetDelegated([]Delegated{{Prefix: prefix("2001:db8:300::/64"), Preferred: l.clock.Now().Add(time.Hour), Valid: l.clock.Now().Add(65 * time.Minute)}})
	l.run(10 * time.Second)
	if !strings.HasPrefix(a.onMesh(), "2001:db8:300::/64 paro med") {
		t.Errorf("publishes %q", a.onMesh())
	}
	l.run(time.Hour)
	a.expectOnMesh(a.omr() + " paro low, 2001:db8:300::/64 aro med")
	l.run(5 * time.Minute)
	a.expectOnMesh(a.omr() + " paro low")
	// Taken back at once: some time for the devices all the same.
	a.m.SetDelegated([]Delegated{forever("2001:db8:600::/64")})
	l.run(10 * time.Minute)
	a.m.SetDelegated([]Delegated{{Prefix: prefix("2001:db8:600::/64"), Preferred: l.clock.Now(), Valid: l.clock.Now()}})
	l.run(50 * time.Second)
	a.expectOnMesh(a.omr() + " paro low, 2001:db8:600::/64 aro med")
	l.run(20 * time.Second)
	a.expectOnMesh(a.omr() + " paro low")
	// A flapping one leaves nothing behind.
	for range 10 {
		a.m.SetDelegated([]Delegated{forever("2001:db8:400::/64")})
		l.run(5 * time.Second)
		a.m.SetDelegated([]Delegated{forever("2001:db8:500::/64")})
		l.run(5 * time.Second)
	}
	if n := len(a.pub.OnMesh); n > 2 {
		t.Errorf("publishes %q", a.onMesh())
	}
}

func TestPick(t *testing.T) {
	l := newLab(t, 1)
	a := l.router("a", "lan", 1)
	past, soon := start.Add(-time.Second), start.Add(time.Hour)
	for _, tt := range []struct {
		name string
		list []Delegated
		want string
	}{
		{"none", nil, "invalid Prefix"},
		{"as it is", []Delegated{forever("2001:db8:1:2::/64")}, "2001:db8:1:2::/64"},
		{"cut", []Delegated{forever("2001:db8:1:20::/60")}, "2001:db8:1:20::/64"},
		{"host bits", []Delegated{forever("2001:db8:1:2f::1/60")}, "2001:db8:1:20::/64"},
		{"global before ULA", []Delegated{forever("fd01::/48"), forever("2001:db8::/48")}, "2001:db8::/64"},
		{"deprecated", []Delegated{{prefix("2001:db8::/48"), past, soon}, {prefix("fd01::/48"), soon, soon}}, "fd01::/64"},
		{"over", []Delegated{{prefix("2001:db8::/48"), time.Time{}, past}}, "invalid Prefix"},
		{"too long", []Delegated{forever("2001:db8::/65")}, "invalid Prefix"},
		{"too short", []Delegated{forever("2001::/16"), forever("::/0")}, "invalid Prefix"},
		{"nobody's", []Delegated{forever("fe80::/64"), forever("ff02::/64"), forever("::/64"), {}}, "invalid Prefix"},
	} {
		a.m.SetDelegated(tt.list)
		if got := a.m.pd.pick().Prefix.String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	many := make([]Delegated, 10000)
	a.m.SetDelegated(many)
	if n := len(a.m.pd.list); n != maxDelegated {
		t.Errorf("%d prefixes kept", n)
	}
}

// A better prefix of ours takes the place of another's, and one of another's
// that of ours, which stays for old connections and is still routed to.
func TestOMRReplaced(t *testing.T) {
	l := newLab(t, 1)
	a := l.router("a", "lan", 1)
	l.serve(0x5000, "fd00::/64", slaac.With(netdata.Low))
	l.run(3 * time.Minute)
	a.expectOnMesh("")
	a.m.SetDelegated([]Delegated{forever("2001:db8:100::/64")})
	l.run(3 * time.Minute)
	a.expectOnMesh("2001:db8:100::/64 pao med")
	l.serve(0x5000, "2001:db8::/64", slaac.With(netdata.High))
	l.sent()
	l.run(20 * time.Second)
	a.expectOnMesh("2001:db8:100::/64 ao med")
	got := l.sent("a RA")
	if last := got[len(got)-1]; !strings.Contains(last, "R 2001:db8:100::/64 medium 1800") || !strings.Contains(last, "R 2001:db8::/64 medium 1800") {
		t.Errorf("said %s", last)
	}
	l.run(3 * time.Minute)
	a.expectOnMesh("")

	l = newLab(t, 1)
	a = l.router("a", "lan", 1)
	l.run(3 * time.Minute)
	l.serve(0x5000, "fd00::/64", slaac.With(netdata.Low))
	l.sent()
	l.run(20 * time.Second)
	a.expectOnMesh(a.omr() + " ao low")
	got = l.sent("a RA")
	if last := got[len(got)-1]; !strings.Contains(last, "R "+a.omr()+" medium 1800") || !strings.Contains(last, "R fd00::/64 medium 1800") {
		t.Errorf("said %s", last)
	}
}

// has reports whether the leader's network data has an OMR prefix.
func (l *lab) has(p netip.Prefix) bool { return l.leader.Data().FindPrefix(p) != nil }

// Of two border routers with delegated prefixes one is idle.
func TestTwoDelegations(t *testing.T) {
	l := newLab(t, 1)
	a, b := l.router("a", "lan", 1), l.router("b", "lan", 2)
	l.run(5 * time.Minute)
	b.m.SetDelegated([]Delegated{forever("2001:db8:b::/64")})
	l.run(30 * time.Second)
	a.m.SetDelegated([]Delegated{forever("2001:db8:a::/64")})
	l.run(30 * time.Second)
	if !strings.HasPrefix(b.onMesh(), "2001:db8:b::/64 pao med") || strings.Contains(a.onMesh(), "2001:db8:a") {
		t.Errorf("a %q, b %q", a.onMesh(), b.onMesh())
	}
	if a.m.DelegationWanted() || !b.m.DelegationWanted() || a.m.Status().Delegation != DelegationIdle {
		t.Error("the wrong one is idle")
	}
	b.kill()
	l.run(20 * time.Second)
	if !strings.HasPrefix(a.onMesh(), "2001:db8:a::/64 pao med") || !a.m.DelegationWanted() {
		t.Errorf("a %q", a.onMesh())
	}
	b.revive()
	b.m.SetDelegated([]Delegated{forever("2001:db8:b::/64")})
	l.run(time.Minute)
	if strings.Contains(b.onMesh(), "2001:db8:b") {
		t.Errorf("b %q", b.onMesh())
	}
	// Both at once: the smaller stays.
	a.kill()
	b.kill()
	l.run(time.Minute)
	a.revive()
	b.revive()
	a.m.SetDelegated([]Delegated{forever("2001:db8:a::/64")})
	b.m.SetDelegated([]Delegated{forever("2001:db8:b::/64")})
	l.run(2 * time.Minute)
	a.expectOnMesh("2001:db8:a::/64 pao med")
	b.expectOnMesh("")
}

// Hosts prefer the way through a router of the mesh, and the mesh that through
// a border router with a good link.
func TestPreferences(t *testing.T) {
	l := newLab(t, 1)
	a := l.router("a", "lan", 1)
	change := func(f func(*Mesh)) {
		f(&a.role)
		a.tell()
		l.sent()
		l.run(5 * time.Second)
	}
	rio := func(want string) {
		t.Helper()
		l.run(4 * time.Minute)
		if got := l.sent("a RA"); !strings.Contains(got[len(got)-1], "R "+a.omr()+" "+want) {
			t.Errorf("said %v, want %s", got, want)
		}
	}
	l.run(time.Minute)
	rio("medium")
	a.expectRoute("fc00::/7", "a")
	change(func(m *Mesh) { m.Router, m.ParentQuality = false, 3 })
	if got := a.pub.Route.Flags.Preference(); got != netdata.Medium {
		t.Errorf("child with a good link: %v", got)
	}
	rio("low")
	change(func(m *Mesh) { m.ParentQuality = 2 })
	if got := a.pub.Route.Flags.Preference(); got != netdata.Low {
		t.Errorf("child with a weak link: %v", got)
	}
	change(func(m *Mesh) { m.ParentQuality = 3 })
	if ra := l.sent("a RA"); len(ra) > 0 {
		t.Errorf("hosts are told of the mesh's links: %v", ra)
	}
	l.run(4*time.Minute + 50*time.Second)
	if got := a.pub.Route.Flags.Preference(); got != netdata.Low {
		t.Errorf("child with a link that is good since five minutes: %v", got)
	}
	l.run(10 * time.Second)
	if got := a.pub.Route.Flags.Preference(); got != netdata.Medium {
		t.Errorf("child with a good link again: %v", got)
	}
	change(func(m *Mesh) { m.ParentQuality = 1 })
	a.m.SetRoutePreference(netdata.High, false)
	if got := a.pub.Route.Flags.Preference(); got != netdata.High {
		t.Errorf("set to high: %v", got)
	}
	a.m.SetRoutePreference(0, true)
	if got := a.pub.Route.Flags.Preference(); got != netdata.Low {
		t.Errorf("not set anymore: %v", got)
	}
	a.m.SetRIOPreference(ndp.High, false)
	rio("high")
	a.m.SetRIOPreference(0, true)
	rio("low")
	change(func(m *Mesh) { m.Router = true })
	if got := a.pub.Route.Flags.Preference(); got != netdata.Medium {
		t.Errorf("router: %v", got)
	}
	rio("medium")
	a.m.SetExtraOptions([]ndp.Option{ndp.MTU(1400)})
	l.run(5 * time.Second)
	if _, ok := ndp.Find[ndp.MTU](a.m.Status().Links[0].Advertised); !ok {
		t.Error("extra option not advertised")
	}
}

// The default route needs somebody who knows the addresses of the mesh.
func TestDefaultRoute(t *testing.T) {
	l := newLab(t, 1)
	a := l.router("a", "lan", 1)
	l.foreign("r", "lan", 7, ndp.RouterAdvert{Lifetime: time.Hour})
	l.run(time.Minute)
	a.expectRoute("fc00::/7", "a")
	a.m.SetDelegated([]Delegated{forever("2001:db8:100::/64")})
	l.run(10 * time.Second)
	a.expectRoute("::/0", "a")
	if !strings.HasPrefix(a.onMesh(), "2001:db8:100::/64 paro med") {
		t.Errorf("publishes %q", a.onMesh())
	}
	a.m.SetDelegated(nil)
	l.run(10 * time.Second)
	a.expectRoute("::/0", "a")
	l.run(narrowAfter)
	a.expectRoute("fc00::/7", "a")
}

// A router that cannot make up its mind keeps nobody busy.
func TestUndecided(t *testing.T) {
	l := newLab(t, 1)
	a := l.router("a", "lan", 1)
	a.m.SetDelegated([]Delegated{forever("2001:db8:100::/64")})
	main := l.foreign("main", "lan", 8, advert(goodPrefix("fd99::/64")))
	l.run(time.Minute)
	f := l.foreign("rogue", "lan", 7, ndp.RouterAdvert{})
	published := 0
	publish := a.m.cfg.Publish
	a.m.cfg.Publish = func(p Publication) {
		published++
		publish(p)
	}
	l.sent()
	rs, ra := 0, 0
	for i := range 1200 {
		switch i % 4 {
		case 0:
			f.ra = ndp.RouterAdvert{Lifetime: time.Hour}
		case 1:
			f.ra = ndp.RouterAdvert{}
		case 2:
			f.ra = advert(ndp.RouteInfo{Prefix: prefix("fd77::/48"), Lifetime: time.Second})
		}
		f.advertise()
		if i == 200 {
			main.off()
		}
		l.run(500 * time.Millisecond)
		for _, line := range l.sent("a R") {
			if strings.Contains(line, "a RS") {
				rs++
			} else {
				ra++
			}
		}
		if i == 600 && a.onLink().State != OnLinkAdvertising {
			t.Errorf("on-link %+v", a.onLink())
		}
	}
	if published > 3 {
		t.Errorf("%d publications in ten minutes", published)
	}
	if rs > 33 || ra > 201 {
		t.Errorf("%d solicitations and %d advertisements in ten minutes", rs, ra)
	}
	a.expectRoute("::/0", "a")
}

func TestNAT64(t *testing.T) {
	l := newLab(t, 1)
	a, b := l.router("a", "lan", 1), l.router("b", "lan", 2)
	own := func(x *br) netip.Prefix { return subnet(x.m.ula, nat64Subnet, 96) }
	l.run(time.Minute)
	if a.pub.NAT64.Prefix.IsValid() {
		t.Error("published, though disabled")
	}
	a.m.SetNAT64(NAT64{Enabled: true})
	b.m.SetNAT64(NAT64{Enabled: true})
	l.run(30 * time.Second)
	first, second := a, b
	if !a.pub.NAT64.Prefix.IsValid() {
		first, second = b, a
	}
	want := Route{own(first), netdata.RouteNAT64.With(netdata.Low)}
	if first.pub.NAT64 != want || first.pub.Translate != own(first) || second.pub.NAT64.Prefix.IsValid() || second.pub.Translate.IsValid() {
		t.Errorf("published %+v, %+v", first.pub, second.pub)
	}
	// The infrastructure's is of use only to addresses it knows.
	second.m.SetNAT64(NAT64{Enabled: true, Outside: prefix("64:ff9b::/96")})
	l.run(10 * time.Second)
	if second.pub.NAT64.Prefix.IsValid() {
		t.Errorf("published %+v", second.pub.NAT64)
	}
	second.m.SetDelegated([]Delegated{forever("2001:db8:100::/64")})
	l.run(time.Minute)
	want = Route{prefix("64:ff9b::/96"), netdata.RouteNAT64.With(netdata.Medium)}
	if second.pub.NAT64 != want || second.pub.Translate.IsValid() || first.pub.NAT64.Prefix.IsValid() || first.pub.Translate.IsValid() {
		t.Errorf("published %+v, %+v", second.pub, first.pub)
	}
	if s := second.m.Status().NAT64; s.Local != own(second) || s.Favored != want.Prefix || s.FavoredPreference != netdata.Medium {
		t.Errorf("status %+v", s)
	}
	// Who knows the same one says so, too: there is no gap when the other goes.
	first.m.SetNAT64(NAT64{Enabled: true, Outside: prefix("64:ff9b::/96")})
	l.run(10 * time.Second)
	if first.pub.NAT64 != want {
		t.Errorf("published %+v", first.pub.NAT64)
	}
	second.m.SetNAT64(NAT64{Enabled: false})
	l.run(time.Minute)
	first.m.SetNAT64(NAT64{Enabled: true, Outside: prefix("64:ff9b::/95")})
	for range 100 {
		if l.run(100 * time.Millisecond); !first.pub.NAT64.Prefix.IsValid() {
			t.Fatal("no NAT64 while the prefix changes")
		}
	}
	l.run(time.Minute)
	if second.pub.NAT64.Prefix.IsValid() || first.pub.Translate != own(first) {
		t.Errorf("published %+v, %+v", second.pub, first.pub)
	}
	// Two at once: the smaller stays.
	first.m.SetNAT64(NAT64{})
	l.run(time.Minute)
	a.m.SetNAT64(NAT64{Enabled: true})
	b.m.SetNAT64(NAT64{Enabled: true})
	a.m.nat64.evaluate()
	b.m.nat64.evaluate()
	a.m.flush()
	b.m.flush()
	l.run(time.Minute)
	low, high := a, b
	if own(b).Addr().Less(own(a).Addr()) {
		low, high = b, a
	}
	if low.pub.Translate != own(low) || high.pub.NAT64.Prefix.IsValid() {
		t.Errorf("published %+v, %+v", low.pub, high.pub)
	}
}

// What a router of the link advertises of its NAT64 comes before what the
// resolvers say, for as long as it is said, and only for addresses that are
// known outside.
func TestHeardNAT64(t *testing.T) {
	l := newLab(t, 1)
	a := l.router("a", "lan", 1)
	a.m.SetNAT64(NAT64{Enabled: true})
	a.m.SetDelegated([]Delegated{forever("2001:db8:100::/64")})
	l.run(time.Minute)
	expect := func(what, outside string, translates bool) {
		t.Helper()
		s := a.m.Status().NAT64
		var want netip.Prefix
		if outside != "" {
			want = prefix(outside)
		}
		if s.Outside != want || a.pub.Translate.IsValid() != translates || !translates && a.pub.NAT64 != (Route{want, netdata.RouteNAT64.With(netdata.Medium)}) {
			t.Errorf("%s: %+v, published %+v, translating for %v", what, s, a.pub.NAT64, a.pub.Translate)
		}
	}
	expect("nothing", "", true)
	says := func(lifetime time.Duration, prefixes ...string) ndp.RouterAdvert {
		ra := ndp.RouterAdvert{Lifetime: time.Hour, Options: []ndp.Option{goodPrefix("2001:db8:7::/64")}}
		for _, p := range prefixes {
			ra.Options = append(ra.Options, ndp.PREF64{Prefix: prefix(p), Lifetime: lifetime})
		}
		return ra
	}
	r := l.foreign("r", "lan", 7, says(10*time.Minute, "2001:db8:64::/96", "64:ff9b::/96", "ff02::/96"))
	l.run(time.Minute)
	expect("heard", "64:ff9b::/96", false)
	a.m.SetNAT64(NAT64{Enabled: true, Outside: prefix("2001:db8:46::/96")})
	l.run(time.Minute)
	expect("heard and asked for", "64:ff9b::/96", false)
	r.ra = says(0, "2001:db8:64::/96", "64:ff9b::/96")
	r.advertise()
	l.run(time.Minute)
	expect("taken back", "2001:db8:46::/96", false)
	r.ra = says(8*time.Minute, "2001:db8:64::/96")
	r.advertise()
	l.run(time.Minute)
	expect("heard again", "2001:db8:64::/96", false)
	r.off()
	l.run(9 * time.Minute)
	expect("over", "2001:db8:46::/96", false)
	a.m.SetNAT64(NAT64{Enabled: true})
	l.run(time.Minute)
	expect("nothing any more", "", true)
	// Whatever a router says, there is an end to it.
	r.on()
	r.ra = says(time.Hour, "2001:db8:1::/96", "2001:db8:2::/96", "2001:db8:3::/96", "2001:db8:4::/96", "2001:db8:5::/96")
	r.advertise()
	l.run(time.Second)
	if n := a.m.Status().Links[0].Counters.PrefixesRefused; n == 0 || len(a.m.links[0].routers[0].nat64) != maxNAT64 {
		t.Errorf("%d refused, %d kept", n, len(a.m.links[0].routers[0].nat64))
	}
}

func TestProhibited(t *testing.T) {
	l := newLab(t, 1)
	a := l.router("a", "lan", 1)
	src := func() netip.Addr { return prefix(a.omr()).Addr().Next() }
	if a.m.Prohibited(src(), addr("2001:db8::1")) {
		t.Error("prohibited before anything is decided")
	}
	l.foreign("r", "lan", 7, ndp.RouterAdvert{Lifetime: time.Hour, Options: []ndp.Option{
		goodPrefix("2001:db8:7::/64"), ndp.RouteInfo{Prefix: prefix("2001:db8:8::/48"), Lifetime: time.Hour},
	}})
	l.run(time.Minute)
	a.m.SetNAT64(NAT64{Enabled: true})
	l.serve(0x5000, "fd66::/64", slaac.With(netdata.Low))
	l.run(time.Minute)
	nat64 := a.pub.NAT64.Prefix.Addr().Next()
	for _, tt := range []struct {
		src, dst string
		want     bool
	}{
		{src().String(), "2001:db8:9::1", true},
		{src().String(), "fd44::1", true},
		{src().String(), "2001:db8:7::1", false}, // on the link
		{src().String(), "2001:db8:8:1::1", false},
		{src().String(), nat64.String(), false},
		{src().String(), "ff0e::1", false},
		{src().String(), "fe80::1", false},
		{"fd66::1", "2001:db8:9::1", true}, // another border router's
		{"fd67::1", "2001:db8:9::1", false},
		{"2001:db8:100::1", "2001:db8:9::1", false},
	} {
		if got := a.m.Prohibited(addr(tt.src), addr(tt.dst)); got != tt.want {
			t.Errorf("%s to %s: %v", tt.src, tt.dst, got)
		}
	}
	// Hosts with addresses of ours.
	if on := prefix(localOnLink).Addr().Next(); !a.m.Prohibited(src(), on) {
		t.Error("allowed to a prefix that is not on the link")
	} else if a.m.links[0].onLink.state = OnLinkDeprecating; a.m.Prohibited(src(), on) {
		t.Error("prohibited to a prefix of ours")
	}
	// Somebody else knows it to be reachable.
	l.serve(0x5400, "fd66::/64", slaac.With(netdata.Medium))
	l.run(10 * time.Second)
	if a.m.Prohibited(addr("fd66::1"), addr("2001:db8:9::1")) {
		t.Error("prohibited from a prefix of medium preference")
	}
}
