package ndp

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

var lanRA = RouterAdvert{
	SNAC: true, Lifetime: 30 * time.Minute,
	Options: []Option{
		PrefixInfo{Prefix: prefix("2001:db8:1::/64"), OnLink: true, Autonomous: true, Valid: 24 * time.Hour, Preferred: 4 * time.Hour},
		RouteInfo{Prefix: prefix("fd00:1:2:30::/60"), Lifetime: 30 * time.Minute},
		RDNSS{Lifetime: 30 * time.Minute, Servers: []netip.Addr{addr("2001:db8:1::53"), addr("2001:db8:1::54")}},
		PREF64{Prefix: prefix("64:ff9b::/96"), Lifetime: 30 * time.Minute},
	},
}

func (l *lab) advertiser(cfg AdvertiserConfig) *Advertiser {
	n := l.add(&labNode{name: "adv", link: EUI48([6]byte{2, 0, 0x5e, 0, 0, 1}), own: func(netip.Addr) bool { return false }})
	cfg.Clock, cfg.Rand, cfg.Send = l.clock, l.rand, l.send("adv")
	cfg.Src, cfg.LinkAddr = n.link.LinkLocal(), n.link
	a := NewAdvertiser(cfg)
	n.receive = a.Receive
	return a
}

func (l *lab) listener() *Listener {
	n := l.add(&labNode{name: "lis", link: EUI48([6]byte{2, 0, 0x5e, 0, 0, 2}), own: func(netip.Addr) bool { return false }})
	lis := NewListener(ListenerConfig{
		Clock: l.clock, Rand: l.rand, Send: l.send("lis"), Src: n.link.LinkLocal(), LinkAddr: n.link,
	})
	n.receive = lis.Receive
	return lis
}

// times returns when the lines of the log were said, and empties it.
func (l *lab) times() (at []time.Duration) {
	for _, s := range l.log {
		stamp, _, _ := strings.Cut(s, " ")
		d, err := time.ParseDuration(stamp)
		if err != nil {
			l.t.Fatal(err)
		}
		at = append(at, d)
	}
	l.log = nil
	return at
}

// Three in short order, then one in three to ten minutes (RFC 4861 Section
// 6.2.4).
func TestAdvertiserIntervals(t *testing.T) {
	l := newLab(t)
	l.advertiser(AdvertiserConfig{}).Set(lanRA)
	l.run(24 * time.Hour)
	at := l.times()
	if len(at) < 24*6 || len(at) > 24*18 || at[0] > maxRADelay {
		t.Fatalf("%d advertisements in a day, the first at %v", len(at), at[0])
	}
	shortest, longest := time.Hour, time.Duration(0)
	for i := 1; i < len(at); i++ {
		wait := at[i] - at[i-1]
		if i < maxInitialAdverts {
			if wait > maxInitialInterval+100*time.Millisecond {
				t.Errorf("waited %v before advertisement %d", wait, i+1)
			}
			continue
		}
		shortest, longest = min(shortest, wait), max(longest, wait)
	}
	if shortest < 199*time.Second || longest > 601*time.Second || longest-shortest < 300*time.Second {
		t.Errorf("waited from %v to %v", shortest, longest)
	}
}

// However many ask, they get one answer in three seconds.
func TestAdvertiserAnswers(t *testing.T) {
	l := newLab(t)
	a := l.advertiser(AdvertiserConfig{})
	rs := In{Src: addr("fe80::2"), Dst: allRouters, HopLimit: 255, Type: 133, Body: RouterSolicit{}.Append(nil)}
	if err := a.Receive(rs); err != nil || len(l.log) != 0 {
		t.Fatalf("before there is anything to say: %v, %v", err, l.log)
	}
	a.Set(lanRA)
	l.run(5 * time.Minute)
	l.times()
	asked := l.clock.Now().Sub(start)
	for range 100 {
		a.Receive(rs)
		l.run(100 * time.Millisecond)
	}
	at := l.times()
	if len(at) < 3 || len(at) > 4 || at[0]-asked > maxRADelay+100*time.Millisecond {
		t.Errorf("asked at %v for ten seconds, answered at %v", asked, at)
	}
	for i := 1; i < len(at); i++ {
		if at[i]-at[i-1] < minDelayBetweenRAs-100*time.Millisecond {
			t.Errorf("answered at %v", at)
		}
	}
	rs.HopLimit = 254
	if err := a.Receive(rs); !errors.Is(err, ErrHopLimit) {
		t.Errorf("forwarded solicitation: %v", err)
	}
	if err := a.Receive(In{Type: TypeNeighborSolicit}); !errors.Is(err, ErrIgnored) {
		t.Errorf("neighbour solicitation: %v", err)
	}
}

// inForce lists what a listener has of its only router.
func inForce(t *testing.T, lis *Listener) (s []string) {
	t.Helper()
	rs := lis.Routers()
	if len(rs) > 1 {
		t.Fatalf("routers %+v", rs)
	}
	for _, r := range rs {
		if !r.Expires.IsZero() {
			s = append(s, "default")
		}
		for _, o := range r.Options {
			s = append(s, fmt.Sprint(keyOf(o.Option).what))
		}
	}
	return s
}

// What is not said anymore is taken back at those who heard it, and no more.
func TestAdvertiserWithdraws(t *testing.T) {
	l := newLab(t)
	a, lis := l.advertiser(AdvertiserConfig{}), l.listener()
	a.Set(lanRA)
	l.run(time.Minute)
	all := []string{"default", "2001:db8:1::/64", "fd00:1:2:30::/60", "2001:db8:1::53", "2001:db8:1::54", "64:ff9b::/96"}
	if got := inForce(t, lis); !reflect.DeepEqual(got, all) {
		t.Fatalf("in force %q, want %q", got, all)
	}
	r := lis.Routers()[0]
	if !r.Advert.SNAC || r.Link != EUI48([6]byte{2, 0, 0x5e, 0, 0, 1}) || r.Addr != addr("fe80::5eff:fe00:1") ||
		r.Options[0].Ends.Before(start.Add(24*time.Hour)) || r.Options[0].Preferred.After(start.Add(5*time.Hour)) {
		t.Errorf("heard %+v", r)
	}
	ra := lanRA
	ra.Options = []Option{lanRA.Options[0], RDNSS{Lifetime: time.Hour, Servers: []netip.Addr{addr("2001:db8:1::54")}}}
	a.Set(ra)
	l.run(time.Minute)
	if got, want := inForce(t, lis), []string{"default", "2001:db8:1::/64", "2001:db8:1::54"}; !reflect.DeepEqual(got, want) {
		t.Fatalf("in force %q, want %q", got, want)
	}
	if len(a.gone) != 0 {
		t.Errorf("still takes back %v", a.gone)
	}
	a.Stop()
	a.Withdraw()
	l.run(time.Second)
	if got, want := inForce(t, lis), []string{"2001:db8:1::/64"}; !reflect.DeepEqual(got, want) {
		t.Fatalf("in force %q, want %q", got, want)
	}
	if p := lis.Routers()[0].Options[0]; p.Preferred.After(l.clock.Now()) {
		t.Errorf("still preferred: %+v", p)
	}
	l.said()
	l.run(2 * time.Hour)
	l.expect(nil, ``)
	if got := lis.Routers(); len(got) != 0 {
		t.Errorf("after two hours: %+v", got)
	}
	if !l.clock.Deadline().IsZero() {
		t.Errorf("a timer runs until %v", l.clock.Deadline())
	}
}

func TestListenerAges(t *testing.T) {
	l := newLab(t)
	changes := 0
	lis := NewListener(ListenerConfig{Clock: l.clock, Changed: func() { changes++ }})
	ra := RouterAdvert{Lifetime: time.Minute, Options: []Option{
		RouteInfo{Prefix: prefix("2001:db8:1::/48"), Lifetime: 2 * time.Minute},
		RouteInfo{Prefix: prefix("2001:db8:2::/48"), Lifetime: Infinity},
		RouteInfo{Prefix: prefix("2001:db8:3::/48")},
		PrefixInfo{Prefix: prefix("2001:db8:4::/64"), Valid: time.Hour, Preferred: 2 * time.Hour},
		MTU(1400),
	}}
	hear := func(src netip.Addr) error {
		return lis.Receive(In{Src: src, Dst: allNodes, HopLimit: 255, Type: 134, Body: ra.Append(nil)})
	}
	hear(addr("fe80::1"))
	if got, want := inForce(t, lis), []string{"default", "2001:db8:1::/48", "2001:db8:2::/48"}; !reflect.DeepEqual(got, want) {
		t.Fatalf("in force %q, want %q", got, want)
	}
	if r := lis.Routers()[0]; r.MTU != 1400 || !r.Options[1].Ends.IsZero() {
		t.Errorf("heard %+v", r)
	}
	l.run(90 * time.Second)
	if got, want := inForce(t, lis), []string{"2001:db8:1::/48", "2001:db8:2::/48"}; !reflect.DeepEqual(got, want) {
		t.Fatalf("in force %q, want %q", got, want)
	}
	l.run(time.Hour)
	if got, want := inForce(t, lis), []string{"2001:db8:2::/48"}; !reflect.DeepEqual(got, want) || changes != 3 {
		t.Fatalf("in force %q, want %q; %d changes", got, want, changes)
	}

	// More routers than there can be, and more than one can say.
	for i := range 200 {
		ra.Options = nil
		for j := range 100 {
			ra.Options = append(ra.Options, RouteInfo{
				Prefix: netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd, 1: byte(j)}), 16), Lifetime: time.Hour,
			})
		}
		err := hear(netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 15: byte(i)}))
		if full := i >= maxHeardRouters; full != errors.Is(err, ErrBusy) {
			t.Fatalf("router %d: %v", i, err)
		}
	}
	rs := lis.Routers()
	if len(rs) != maxHeardRouters || len(rs[0].Options) != maxHeardOptions {
		t.Errorf("%d routers, %d options", len(rs), len(rs[0].Options))
	}
}

func TestListenerSolicits(t *testing.T) {
	l := newLab(t)
	lis := l.listener()
	lis.Solicit()
	l.run(time.Minute)
	l.expect(nil, `lis RS to ff02::2
		lis RS to ff02::2
		lis RS to ff02::2`)
	a := l.advertiser(AdvertiserConfig{})
	a.Set(lanRA)
	l.run(5 * time.Minute)
	l.said()
	lis.Solicit()
	l.run(10 * time.Second)
	l.expect(nil, `lis RS to ff02::2
		adv RA to ff02::1 v0`)
	lis.Stop()
}
