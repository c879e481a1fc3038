package ndp

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/lowpan"
)

// What RIOT's border router sent makes our host do what RIOT's host did: it
// registers by the same solicitation, and is content with the answer.
func TestHostWithRIOT(t *testing.T) {
	byFrame := make(map[int]recorded)
	for _, r := range readRIOT(t, "testdata/riot-hosts.pcap") {
		byFrame[r.frame] = r
	}
	clock := new(alarm.Clock)
	clock.Set(start)
	var sent []Out
	var contexts []lowpan.Context
	h := NewHost(HostConfig{
		Clock: clock, Rand: rand.New(rand.NewPCG(1, 2)), Send: func(o Out) { sent = append(sent, o) },
		LinkAddr: riotHostA, Contexts: func(c []lowpan.Context) { contexts = c },
	})
	h.Start()
	clock.Advance(start.Add(time.Second))
	same := func(frame int) {
		t.Helper()
		want := byFrame[frame]
		if len(sent) != 1 {
			t.Fatalf("sent %+v, want frame %d", sent, frame)
		}
		o := sent[0]
		if o.Src != want.Src || o.Dst != want.Dst || o.Type != want.Type || string(o.Body) != string(want.Body) {
			t.Fatalf("sent %+v, want frame %d: %+v", o, frame, want)
		}
		sent = nil
	}
	same(2)
	if err := h.Receive(byFrame[6].In); err != nil {
		t.Fatal(err)
	}
	same(9)
	if want := []lowpan.Context(riotContexts); !reflect.DeepEqual(contexts, want) {
		t.Errorf("contexts %+v, want %+v", contexts, want)
	}
	if err := h.Receive(byFrame[17].In); err != nil {
		t.Fatal(err)
	}
	want := []Address{{
		Addr: addr("2001:db8::a"), State: Registered, Router: addr("fe80::1"), TID: FirstTID,
		Expires: clock.Now().Add(15 * time.Minute), Preferred: never, Valid: never,
	}}
	if got := h.Addresses(); !reflect.DeepEqual(got, want) {
		t.Errorf("addresses %+v\nwant %+v", got, want)
	}
	// RIOT's reachability test of its neighbour.
	if err := h.Receive(byFrame[28].In); err != nil {
		t.Fatal(err)
	}
	if m, _ := Decode(sent[0].Type, 0, sent[0].Body); !reflect.DeepEqual(m, NeighborAdvert{
		Solicited: true, Override: true, Target: addr("2001:db8::a"), Options: []Option{TargetLinkAddr{riotHostA}},
	}) || sent[0].Dst != addr("2001:db8::1") || sent[0].Link != riotBorder {
		t.Errorf("answered %+v: %+v", sent[0], m)
	}
}

// A second RIOT node that is a router passes the border's information on; a
// host takes it up from there.
func TestHostWithRIOTRouter(t *testing.T) {
	clock := new(alarm.Clock)
	clock.Set(start)
	var sent []Out
	h := NewHost(HostConfig{
		Clock: clock, Rand: rand.New(rand.NewPCG(1, 2)), Send: func(o Out) { sent = append(sent, o) }, LinkAddr: riotHostA,
	})
	h.Start()
	for _, r := range readRIOT(t, "testdata/riot-multihop.pcap") {
		if r.to == riotHostA {
			h.Receive(r.In)
		}
	}
	got := h.Addresses()
	if len(got) != 1 || got[0].State != Registered || got[0].Router != addr("fe80::b") || h.BorderRouter() != addr("2001:db8::1") {
		t.Errorf("addresses %+v, 6LBR %v", got, h.BorderRouter())
	}
}

// Three solicitations every ten seconds, then less and less often, RFC 6775
// Section 5.3.
func TestHostBacksOff(t *testing.T) {
	l := newLab(t)
	l.host("h", 10, HostConfig{}).Start()
	l.run(10 * time.Minute)
	var last time.Duration
	var waits []time.Duration
	for i, line := range l.log {
		stamp, _, _ := strings.Cut(line, " ")
		at, err := time.ParseDuration(stamp)
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			waits = append(waits, at-last)
		}
		last = at
	}
	for i, want := range []time.Duration{10, 10, 10, 20, 40, 60, 60} {
		want *= time.Second
		if got := waits[i]; got > want || got < want*9/10-100*time.Millisecond {
			t.Errorf("waited %v before solicitation %d, want %v", got, i+2, want)
		}
	}
}

func TestHostRegistersAndRenews(t *testing.T) {
	l := newLab(t)
	b := l.border(BorderConfig{})
	changed := 0
	h := l.host("h", 10, HostConfig{ShortAddr: Short(0x1234), Lifetime: 10 * time.Minute, Changed: func() { changed++ }})
	h.Start()
	l.run(5 * time.Second)
	l.expect([]string{"NS", "NA"}, `h NS 2001:db8::a 10m0s success tid 240
		border NA to fe80::a 2001:db8::a 10m0s success tid 240
		h NS 2001:db8::ff:fe00:1234 10m0s success tid 240
		border NA to fe80::a 2001:db8::ff:fe00:1234 10m0s success tid 240`)
	if link, _ := b.Resolve(addr("2001:db8::ff:fe00:1234")); link != eui(10) || changed == 0 {
		t.Errorf("resolved %v, %d changes", link, changed)
	}
	for range 600 { // ten hours
		l.run(time.Minute)
		if b.Len() != 2 {
			t.Fatalf("registered: %+v", b.Table())
		}
	}
	for _, a := range h.Addresses() {
		if a.State != Registered || a.TID == 240 {
			t.Errorf("%+v", a)
		}
	}
	h.SetShortAddr(LinkAddr{})
	if got := h.Addresses(); len(got) != 1 || got[0].Addr != addr("2001:db8::a") {
		t.Errorf("without a short address: %+v", got)
	}
	l.run(time.Minute)
	l.said()
	h.Stop()
	l.run(time.Second)
	if !strings.Contains(l.said("NS"), "h NS 2001:db8::a 0s success") || b.Len() > 1 {
		t.Errorf("registered after the end: %+v", b.Table())
	}
	if len(h.Addresses()) != 0 || len(h.contexts) != 0 {
		t.Errorf("still has %+v, %+v", h.Addresses(), h.contexts)
	}
}

// A router of which the capabilities say nothing gets an ARO.
func TestHostModes(t *testing.T) {
	for _, tt := range []struct {
		mode RegisterMode
		caps []Option
		want string
	}{
		{RegisterAuto, nil, `h NS fe80::1 15m0s success`},
		{RegisterAuto, []Option{CapRegistrar}, `h NS 2001:db8::a 15m0s success tid 240`},
		{RegisterARO, []Option{CapRegistrar}, `h NS fe80::1 15m0s success`},
		{RegisterEARO, nil, `h NS 2001:db8::a 15m0s success tid 240`},
	} {
		l := newLab(t)
		l.scripted("r", 1)
		h := l.host("h", 10, HostConfig{Mode: tt.mode})
		h.Start()
		l.advertise("r", time.Hour, Medium, tt.caps...)
		l.expect([]string{"NS"}, tt.want)
	}
}

// advertise has a scripted router send what the border would.
func (l *lab) advertise(name string, lifetime time.Duration, pref Preference, more ...Option) {
	link := l.node(name).link
	opts := append([]Option{SourceLinkAddr{link}, BorderRouter{Version: 1, Lifetime: 1000 * time.Hour, Addr: borderAddr}}, labInfo.options()...)
	l.send(name)(outgoing(link.LinkLocal(), allNodes, 255, LinkAddr{}, RouterAdvert{
		Lifetime: lifetime, Preference: pref, Options: append(opts, more...),
	}))
	l.run(2 * time.Millisecond)
}

// answers has a scripted router answer a registration.
func (l *lab) answers(name, host string, target LinkAddr, aro AddressRegistration) {
	link, to := l.node(name).link, l.node(host).link
	a := joinIID(prefix("2001:db8::/64"), target.IID())
	if !aro.Extended {
		a = link.LinkLocal()
	}
	l.send(name)(outgoing(link.LinkLocal(), to.LinkLocal(), 255, to, NeighborAdvert{
		Router: true, Solicited: true, Target: a, Options: []Option{aro},
	}))
	l.run(2 * time.Millisecond)
}

// One that says it knows RFC 8505 and then answers by RFC 6775 is asked again
// that way, for it has registered another address than it was asked to.
func TestHostFallsBack(t *testing.T) {
	l := newLab(t)
	l.scripted("r", 1)
	h := l.host("h", 10, HostConfig{})
	h.Start()
	l.advertise("r", time.Hour, Medium, CapRegistrar)
	legacy := registering(10, 15*time.Minute)
	l.said()
	l.send("r")(outgoing(addr("fe80::1"), addr("fe80::a"), 255, eui(10), NeighborAdvert{
		Router: true, Solicited: true, Target: addr("2001:db8::a"), Options: []Option{legacy},
	}))
	l.run(2 * time.Millisecond)
	l.expect([]string{"NS"}, `h NS fe80::1 15m0s success`)
	l.answers("r", "h", eui(10), legacy)
	if got := h.Addresses(); got[0].State != Registered {
		t.Errorf("%+v", got)
	}
	if r, _ := h.DefaultRouter(); r.Extended {
		t.Errorf("%+v", r)
	}
}

func TestHostAndStatuses(t *testing.T) {
	states := func(h *Host) (s string) {
		for _, a := range h.Addresses() {
			s += a.State.String() + " " + a.Status.String()
		}
		return s
	}
	for _, tt := range []struct {
		name   string
		status Status
		state  string
		within time.Duration // and this is said within
		next   string
	}{
		{"duplicate", StatusDuplicate, "refused duplicate address", 14 * time.Minute, ``},
		{"duplicate, later", StatusDuplicate, "refused duplicate address", 17 * time.Minute, `h NS 2001:db8::a 15m0s success tid 241`},
		{"full", StatusCacheFull, "tentative neighbor cache full", time.Minute, `h NS 2001:db8::a 15m0s success tid 241`},
		{"saturated", StatusSaturated, "tentative registry saturated", time.Minute, `h NS 2001:db8::a 15m0s success tid 241`},
		{"moved", StatusMoved, "tentative moved", 2 * time.Second, `h NS 2001:db8::a 15m0s success tid 255`},
		{"topology", StatusTopology, "refused topologically incorrect", 10 * time.Second, `h NS 2001:db8::a 15m0s success tid 241`},
		{"removed", StatusRemoved, "tentative removed", 2 * time.Second, `h NS 2001:db8::a 15m0s success tid 241`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			l.scripted("r", 1)
			h := l.host("h", 10, HostConfig{})
			h.Start()
			l.advertise("r", 10*time.Hour, Medium, CapRegistrar)
			aro := extended(10, 240, 15*time.Minute)
			aro.Status = tt.status
			l.answers("r", "h", eui(10), aro)
			if got := states(h); got != tt.state {
				t.Fatalf("%s, want %s", got, tt.state)
			}
			if own := h.own(addr("2001:db8::a")); own == strings.HasPrefix(tt.state, "refused") {
				t.Errorf("answers for the address: %v", own)
			}
			l.said()
			l.run(tt.within)
			first, _, _ := strings.Cut(l.said("h NS"), "\n")
			if first != tt.next {
				t.Errorf("said %q, want %q", first, tt.next)
			}
		})
	}
}

// Told over and over that somebody else is more recent, it gives the address up.
func TestHostMovedForGood(t *testing.T) {
	l := newLab(t)
	l.scripted("r", 1)
	h := l.host("h", 10, HostConfig{})
	h.Start()
	l.advertise("r", 10*time.Hour, Medium, CapRegistrar)
	for range maxMoved {
		aro := extended(10, h.Addresses()[0].TID, 15*time.Minute)
		aro.Status = StatusMoved
		l.answers("r", "h", eui(10), aro)
		l.run(2 * time.Second)
	}
	if got := h.Addresses()[0]; got.State != Refused {
		t.Errorf("%+v", got)
	}
}

// A host that has lost count registers again whatever its router and its border
// router remember, even if that is not the same.
func TestHostLosesCount(t *testing.T) {
	stale := func(known TID, r Registration) bool {
		return Registration{TID: known, Extended: true}.staleFor(r.TID, true)
	}
	for router := range 256 {
		for border := range 256 {
			atRouter, atBorder := TID(router), TID(border)
			forgotten := false // the router lets go of what the border router calls old
			a := hostAddr{tid: FirstTID - 1}
			for {
				a.tid = a.tid.Next()
				r := Registration{TID: a.tid, Extended: true}
				if forgotten || !stale(atRouter, r) {
					if !stale(atBorder, r) {
						break
					}
					forgotten = true
				}
				if !a.lostCount() {
					t.Fatalf("router %d, border %d: given up at %d", router, border, a.tid)
				}
			}
		}
	}
}

// A registration that is ended by the router is made again; what does not
// concern the registration is not heard.
func TestHostNoticed(t *testing.T) {
	l := newLab(t)
	b := l.border(BorderConfig{})
	h := l.host("h", 10, HostConfig{})
	h.Start()
	l.run(5 * time.Second)
	l.said()
	l.scripted("x", 99)
	wrong := extended(10, 240, 0)
	wrong.Status = StatusRemoved
	l.answers("x", "h", eui(10), wrong) // not our router
	wrong.TID = 239
	l.answers("border", "h", eui(10), wrong) // an earlier registration
	if got := h.Addresses()[0]; got.State != Registered {
		t.Fatalf("%+v", got)
	}
	l.said()
	b.Remove(addr("2001:db8::a"))
	l.run(5 * time.Second)
	l.expect(nil, `border NA to fe80::a 2001:db8::a 0s removed tid 240
		h NS 2001:db8::a 15m0s success tid 241
		border NA to fe80::a 2001:db8::a 15m0s success tid 241`)
	if got := h.Addresses()[0]; got.State != Registered || b.Len() != 1 {
		t.Errorf("%+v", got)
	}
}

// With two routers: the better one first; when it does not answer, or is full,
// or says farewell, or its time is over, the other. Without any it looks for
// one again.
func TestHostMovesToAnotherRouter(t *testing.T) {
	for _, tt := range []struct {
		name string
		lose func(l *lab)
	}{
		{"silent", func(l *lab) {
			l.node("r1").down = true
			l.runUntil("h NS") // it renews
			l.run(time.Minute) // and finds out
		}},
		{"full", func(l *lab) {
			l.runUntil("h NS")
			aro := extended(10, 241, 15*time.Minute)
			aro.Status = StatusCacheFull
			l.answers("r1", "h", eui(10), aro)
		}},
		{"farewell", func(l *lab) { l.advertise("r1", 0, Medium, CapRegistrar) }},
		{"lifetime over", func(l *lab) {
			for range 14 {
				l.advertise("r1", time.Minute, High, CapRegistrar)
				l.advertise("r2", 10*time.Hour, Medium, CapRegistrar)
				l.run(10 * time.Second)
			}
			l.run(time.Minute)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			l.scripted("r1", 1)
			l.scripted("r2", 2)
			h := l.host("h", 10, HostConfig{})
			h.Start()
			l.advertise("r1", 10*time.Hour, High, CapRegistrar)
			l.advertise("r2", 10*time.Hour, Medium, CapRegistrar)
			l.answers("r1", "h", eui(10), extended(10, 240, 15*time.Minute))
			if got := h.Addresses()[0]; got.State != Registered || got.Router != addr("fe80::1") {
				t.Fatalf("%+v", got)
			}
			tt.lose(l)
			l.answers("r2", "h", eui(10), extended(10, h.Addresses()[0].TID, 15*time.Minute))
			if got := h.Addresses()[0]; got.State != Registered || got.Router != addr("fe80::2") {
				t.Fatalf("%+v", got)
			}
			l.node("r1").down = false
			l.said()
			l.advertise("r1", 0, Medium)
			l.advertise("r2", 0, Medium)
			if _, ok := h.DefaultRouter(); ok || h.Addresses()[0].State != Tentative {
				t.Errorf("%+v", h.Addresses())
			}
			l.run(time.Second)
			l.expect([]string{"RS"}, `h RS to ff02::2`)
		})
	}
}

// runUntil lets up to an hour pass until one of the nodes says something.
func (l *lab) runUntil(words string) {
	l.t.Helper()
	l.said()
	for range 3600 {
		l.run(time.Second)
		if l.said(words) != "" {
			return
		}
	}
	l.t.Fatalf("nobody said %q", words)
}

// Contexts come and go with what the router says, and in time.
func TestHostContexts(t *testing.T) {
	l := newLab(t)
	l.scripted("r", 1)
	var told []string
	h := l.host("h", 10, HostConfig{Contexts: func(cs []lowpan.Context) {
		s := ""
		for _, c := range cs {
			s += string('0'+rune(c.ID)) + map[bool]string{true: "+", false: "-"}[c.Compress]
		}
		told = append(told, s)
	}})
	h.Start()
	say := func(cs ...Option) {
		l.send("r")(outgoing(addr("fe80::1"), allNodes, 255, LinkAddr{}, RouterAdvert{Lifetime: time.Hour, Options: cs}))
		l.run(2 * time.Millisecond)
	}
	one, two := prefix("2001:db8:1::/64"), prefix("2001:db8:2::/64")
	say(ContextOption{ID: 1, Prefix: one, Compress: true, Lifetime: time.Hour})
	say(ContextOption{ID: 1, Prefix: one, Compress: true, Lifetime: time.Hour}) // nothing new
	say(ContextOption{ID: 2, Prefix: two, Compress: true, Lifetime: 2 * time.Minute})
	say(ContextOption{ID: 1, Prefix: one, Lifetime: time.Hour})
	say(ContextOption{ID: 1, Prefix: one})
	l.run(3 * time.Minute)
	if want := []string{"1+", "1+2+", "1-2+", "2+", ""}; !reflect.DeepEqual(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

// The router in use is asked before what it said ends.
func TestHostRenewsInformation(t *testing.T) {
	l := newLab(t)
	l.border(BorderConfig{RouterLifetime: 10 * time.Minute})
	h := l.host("h", 10, HostConfig{})
	h.Start()
	l.run(5 * time.Second)
	for range 180 {
		l.run(time.Minute)
		if _, ok := h.DefaultRouter(); !ok {
			t.Fatalf("no router after %v", l.clock.Now().Sub(start))
		}
	}
	if n := strings.Count(l.said("h RS to fe80::1"), "\n"); n < 20 || n > 35 {
		t.Errorf("asked %d times in three hours", n+1)
	}
}

// A prefix that ends takes its address with it; one that is to be used by
// DHCPv6 makes none.
func TestHostPrefixes(t *testing.T) {
	l := newLab(t)
	l.scripted("r", 1)
	h := l.host("h", 10, HostConfig{})
	h.Start()
	l.send("r")(outgoing(addr("fe80::1"), allNodes, 255, LinkAddr{}, RouterAdvert{Lifetime: time.Hour, Options: []Option{
		PrefixInfo{Prefix: prefix("2001:db8:1::/64"), Autonomous: true, Valid: 2 * time.Minute, Preferred: time.Minute},
		PrefixInfo{Prefix: prefix("2001:db8:2::/64"), Valid: time.Hour, Preferred: time.Hour},
		PrefixInfo{Prefix: prefix("2001:db8:3::/48"), Autonomous: true, Valid: time.Hour, Preferred: time.Hour},
		PrefixInfo{Prefix: prefix("2001:db8:4::/64"), Autonomous: true, Valid: time.Hour, Preferred: 2 * time.Hour},
		PrefixInfo{Prefix: prefix("fe80::/64"), Autonomous: true, Valid: time.Hour, Preferred: time.Hour},
	}}))
	l.run(time.Second)
	got := h.Addresses()
	if len(got) != 1 || got[0].Addr != addr("2001:db8:1::a") ||
		got[0].Valid.Sub(start).Round(time.Second) != 2*time.Minute || got[0].Preferred.Sub(start).Round(time.Second) != time.Minute {
		t.Errorf("%+v", got)
	}
	l.run(2 * time.Minute)
	if got := h.Addresses(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// Asked to, it moves to another router and back, if it can.
func TestHostPrefers(t *testing.T) {
	l := newLab(t)
	l.scripted("r1", 1)
	l.scripted("r2", 2)
	h := l.host("h", 10, HostConfig{Route: true})
	h.Start()
	uses := func(want string) {
		t.Helper()
		if r, _ := h.DefaultRouter(); r.Addr != addr(want) {
			t.Fatalf("uses %+v, want %s", r, want)
		}
	}
	h.Prefer(addr("fe80::2")) // not heard of yet
	l.advertise("r1", 10*time.Hour, High, CapRegistrar)
	uses("fe80::1")
	l.said()
	l.advertise("r2", 10*time.Hour, Low, CapRegistrar)
	uses("fe80::2")
	l.expect([]string{"NS"}, `h NS 2001:db8::a 15m0s success tid 241`)
	if m, _ := Decode(TypeNeighborSolicit, 0, l.packets[len(l.packets)-1][44:]); !All[AddressRegistration](m.(NeighborSolicit).Options)[0].Route {
		t.Errorf("does not ask for a route: %+v", m)
	}
	h.Prefer(addr("fe80::1"))
	uses("fe80::1")
	h.Prefer(addr("fe80::3"))
	uses("fe80::1")
	l.answers("r1", "h", eui(10), extended(10, h.Addresses()[0].TID, 15*time.Minute))
	l.node("r1").down = true
	l.runUntil("h NS")
	l.run(time.Minute)
	h.Prefer(addr("fe80::1")) // which does not answer
	uses("fe80::2")
}

// The options that are for others to use.
func TestHostOptions(t *testing.T) {
	l := newLab(t)
	other := []Option{
		RouteInfo{Prefix: prefix("2001:db8:ff::/48"), Lifetime: time.Hour},
		RouteInfo{Prefix: prefix("2001:db8:fe::/48"), Lifetime: time.Hour},
		DNSSL{Lifetime: time.Hour, Domains: []string{"home.arpa"}},
		MTU(1280),
	}
	info := labInfo
	info.Other = other
	l.border(BorderConfig{Info: info})
	h := l.host("h", 10, HostConfig{})
	h.Start()
	l.run(time.Minute)
	if got := h.Options(); !reflect.DeepEqual(got, other) {
		t.Errorf("options %+v, want %+v", got, other)
	}
	if h.LinkLocal() != addr("fe80::a") {
		t.Errorf("link-local %v", h.LinkLocal())
	}
}
