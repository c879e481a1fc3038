package border

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"gatewayd/ndp"
	"gatewayd/thread/netdata"
)

// A lanHost is a host of the LAN with a stock kernel: what it has heard, until
// it ends.
type lanHost struct {
	lab    *lab
	onLink map[netip.Prefix]*hostPrefix
	routes map[hostRoute]time.Time // until when
}

type hostPrefix struct{ preferred, valid time.Time }

type hostRoute struct {
	router netip.Addr
	prefix netip.Prefix
}

func (l *lab) host(lan string, n byte) *lanHost {
	h := &lanHost{lab: l, onLink: map[netip.Prefix]*hostPrefix{}, routes: map[hostRoute]time.Time{}}
	l.plug("host", lan, n, func(in ndp.In) {
		if m, err := ndp.Decode(in.Type, in.Code, in.Body); err == nil {
			if ra, ok := m.(ndp.RouterAdvert); ok {
				h.advertised(in.Src, ra)
			}
		}
	})
	return h
}

func (h *lanHost) advertised(src netip.Addr, ra ndp.RouterAdvert) {
	now := h.lab.clock.Now()
	for _, o := range ra.Options {
		switch o := o.(type) {
		case ndp.RouteInfo:
			h.routes[hostRoute{src, o.Prefix}] = now.Add(o.Lifetime)
		case ndp.PrefixInfo:
			p := h.onLink[o.Prefix]
			if p == nil {
				p = &hostPrefix{}
				h.onLink[o.Prefix] = p
			}
			p.preferred = now.Add(o.Preferred)
			if end := now.Add(o.Valid); o.Valid > 2*time.Hour || end.After(p.valid) {
				p.valid = end
			}
		}
	}
}

// good returns the prefixes for new addresses, in order.
func (h *lanHost) good() (p []netip.Prefix) {
	for q, x := range h.onLink {
		if x.preferred.After(h.lab.clock.Now()) {
			p = append(p, q)
		}
	}
	slices.SortFunc(p, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	return p
}

// reaches reports whether there is a route to a prefix through a router that
// is there. A kernel finds out by itself which are not.
func (h *lanHost) reaches(p netip.Prefix) bool {
	for r, until := range h.routes {
		if r.prefix == p && until.After(h.lab.clock.Now()) && slices.ContainsFunc(h.lab.ports, func(x *port) bool { return x.ll == r.router && !x.down }) {
			return true
		}
	}
	return false
}

// Several border routers and other routers on a LAN, a tenth of the messages
// lost, restarts of all kinds, prefixes that come and go. In the end all agree,
// and on the way hosts are not without a way to the mesh for long.
func TestSimulation(t *testing.T) {
	seeds := uint64(30)
	if testing.Short() {
		seeds = 5
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { simulate(t, seed) })
	}
}

const (
	// mostLost is how long a host may lack a route to the OMR prefix while a
	// border router is there all the time: to decide, to register, to advertise,
	// and once more if that is lost.
	mostLost = 45 * time.Second
	// mostUnrouted is the same for the mesh's route to the outside.
	mostUnrouted = 20 * time.Second
)

func simulate(t *testing.T, seed uint64) {
	l := newLab(t, seed)
	l.loss = 0.1
	brs := []*br{l.router("a", "lan", 1), l.router("b", "lan", 2), l.router("c", "lan", 3)}
	routers := []*foreign{
		l.foreign("r", "lan", 7, ndp.RouterAdvert{Lifetime: time.Hour, Options: []ndp.Option{goodPrefix("2001:db8:7::/64")}}),
		l.foreign("s", "lan", 8, advert(goodPrefix("fdf7::/64"), ndp.RouteInfo{Prefix: prefix("fd55::/48"), Lifetime: time.Hour})),
	}
	host := l.host("lan", 0x50)
	up, routerUp := []bool{true, true, true}, []bool{true, true}
	var lost, unrouted, alive time.Duration
	const tick = time.Second
	check := func() {
		if slices.Contains(up, true) {
			alive += tick
		} else {
			alive = 0
		}
		favored := favoredOf(l.leader.Data())
		if lost += tick; favored.IsValid() && host.reaches(favored) || alive == 0 {
			lost = 0
		}
		if unrouted += tick; routeOf(l.leader.Data()) || alive == 0 {
			unrouted = 0
		}
		// A boot takes 15 s until there is something to say.
		if lost > mostLost+15*time.Second || unrouted > mostUnrouted+15*time.Second {
			t.Fatalf("at %v: no route for %v, mesh without one for %v; up %v, OMR %v, data %v", l.clock.Now().Sub(start), lost, unrouted, up, favored, l.leader.Data().Prefixes)
		}
		for _, b := range brs {
			if b.m.Status().State == Running && len(b.pub.OnMesh) > 1+maxOld {
				t.Fatalf("%s publishes %s", b.name, b.onMesh())
			}
		}
	}
	for range 120 {
		for range 30 + l.rand.IntN(240) {
			l.run(tick)
			check()
		}
		i := l.rand.IntN(len(brs))
		b := brs[i]
		switch action := l.rand.IntN(8); {
		case action == 0 && up[i]: // killed
			b.kill()
			up[i] = false
		case action == 1 && up[i]: // stopped in order
			b.m.SetEnabled(false)
			up[i] = false
			l.run(time.Second)
			b.kill()
		case action == 2 && up[i]: // restarted at once
			b.boot()
		case action <= 3 && !up[i]:
			b.revive()
			up[i] = true
		case action == 4 && up[i]:
			b.m.SetDelegated([]Delegated{forever(fmt.Sprintf("2001:db8:%x::/56", 0x100+l.rand.IntN(8)<<8))})
		case action == 5 && up[i]:
			b.m.SetDelegated(nil)
		case action == 6 && up[i]: // the cable
			b.down("eth0")
			l.run(time.Duration(l.rand.IntN(20)) * time.Second)
			b.set("eth0", b.ports["eth0"])
			lost, unrouted = 0, 0
		case action == 7:
			j := l.rand.IntN(len(routers))
			if routerUp[j] = !routerUp[j]; routerUp[j] {
				routers[j].on()
			} else {
				routers[j].off()
			}
		}
	}
	for i, b := range brs {
		if !up[i] {
			b.revive()
			up[i] = true
		}
	}
	for range 900 {
		l.run(tick)
		check()
	}

	// All agree: on the good prefix of a router that is there, or else on ours.
	wantOnLink := prefix(localOnLink)
	switch {
	case routerUp[0]:
		wantOnLink = prefix("2001:db8:7::/64")
	case routerUp[1]:
		wantOnLink = prefix("fdf7::/64")
	}
	favored := favoredOf(l.leader.Data())
	serving := 0
	for _, b := range brs {
		s := b.m.Status()
		if !s.Ready || s.OMR.Favored != favored {
			t.Errorf("%s: ready %v, OMR %+v; the mesh has %v", b.name, s.Ready, s.OMR, favored)
		}
		if len(b.pub.OnMesh) > 0 && b.pub.OnMesh[0].Flags.Has(netdata.FlagPreferred) {
			serving++
			if b.pub.OnMesh[0].Prefix != favored {
				t.Errorf("%s publishes %s, the mesh has %v", b.name, b.onMesh(), favored)
			}
		}
		o := s.Links[0].OnLink
		if o.Favored != wantOnLink {
			t.Errorf("%s: on-link %+v, want %v", b.name, o, wantOnLink)
		}
		if (o.State == OnLinkAdvertising) != (wantOnLink == prefix(localOnLink)) && routerUp[0] {
			t.Errorf("%s: on-link %+v, though there is %v", b.name, o, wantOnLink)
		}
		if peers := countPeers(s.Links[0].Routers); peers > len(brs)-1 || s.PeersOnOtherLinks {
			t.Errorf("%s: %d peers, elsewhere %v", b.name, peers, s.PeersOnOtherLinks)
		}
	}
	// More than one only if it is the same delegated prefix.
	if serving == 0 || serving > 1 && isULA(favored) {
		t.Errorf("%d border routers serve %v", serving, favored)
	}
	if good := host.good(); !slices.Contains(good, wantOnLink) {
		t.Errorf("hosts have %v, want %v", good, wantOnLink)
	}
}

func countPeers(all []RouterStatus) (n int) {
	for _, r := range all {
		if r.Peer {
			n++
		}
	}
	return n
}

// favoredOf is the OMR prefix that devices take, worked out anew.
func favoredOf(d *netdata.Data) (best netip.Prefix) {
	pref := netdata.Low
	for _, e := range d.Prefixes {
		for _, b := range e.BorderRouters {
			p := b.Flags.Preference()
			if b.Flags.Has(slaac) && (!best.IsValid() || p > pref || p == pref && e.Prefix.Addr().Less(best.Addr())) {
				best, pref = e.Prefix, p
			}
		}
	}
	return best
}

// routeOf reports whether the mesh has a way out to the LAN.
func routeOf(d *netdata.Data) bool {
	return slices.ContainsFunc(d.Prefixes, func(e netdata.Prefix) bool {
		return (e.Prefix == defaultRoute || e.Prefix == allULA) && len(e.HasRoutes) > 0
	})
}

// Without other routers there is exactly one on-link prefix, whatever happens.
func TestSimulationAlone(t *testing.T) {
	for seed := range uint64(10) {
		l := newLab(t, seed)
		l.loss = 0.2
		brs := []*br{l.router("a", "lan", 1), l.router("b", "lan", 2)}
		host := l.host("lan", 0x50)
		l.run(time.Minute)
		for round := range 40 {
			b := brs[round%2]
			switch l.rand.IntN(3) {
			case 0:
				b.kill()
				l.run(time.Duration(l.rand.IntN(1000)) * time.Second)
				b.revive()
			case 1:
				b.m.SetEnabled(false)
				l.run(time.Duration(l.rand.IntN(1000)) * time.Second)
				b.m.SetEnabled(true)
			case 2:
				b.boot()
			}
			l.run(time.Duration(300+l.rand.IntN(300)) * time.Second)
			if p := host.good(); len(p) != 1 || p[0] != prefix(localOnLink) {
				t.Errorf("seed %d round %d: hosts favor %v", seed, round, p)
			}
		}
	}
}
