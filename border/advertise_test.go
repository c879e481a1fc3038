package border

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"gatewayd/ndp"
)

// unhex reads bytes with comments.
func unhex(t *testing.T, s string) string {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// capture collects what a border router sends.
func (b *br) capture() *[]ndp.Out {
	all := new([]ndp.Out)
	send := b.m.cfg.Send
	b.m.cfg.Send = func(link string, o ndp.Out) error {
		*all = append(*all, o)
		return send(link, o)
	}
	return all
}

// optionsOf returns the options of an advertisement.
func optionsOf(o ndp.Out) []ndp.Option {
	m, err := ndp.Decode(o.Type, o.Code, o.Body)
	if ra, ok := m.(ndp.RouterAdvert); ok && err == nil {
		return ra.Options
	}
	return nil
}

func TestGolden(t *testing.T) {
	l := newLab(t, 1)
	a := l.router("a", "lan", 1)
	a.store[storeULA] = []byte("fd11:2233:4455::/48")
	a.boot()
	all := a.capture()
	l.run(time.Minute)
	l.mesh.ExtPANID = [8]byte{1, 2, 3, 4, 5, 6, 7, 8}
	a.role.ExtPANID = l.mesh.ExtPANID
	before := l.clock.Now()
	a.tell()
	l.run(20 * time.Second)
	a.m.SetEnabled(false)
	var rs, first, other, last ndp.Out
	lastAfter := l.clock.Now().Sub(before)
	for _, o := range *all {
		said := words(optionsOf(o))
		switch {
		case o.Type == ndp.TypeRouterSolicit:
			rs = o
		case first.Body == nil && strings.Contains(said, " R "):
			first = o
		case other.Body == nil && strings.Count(said, " P ") == 2:
			other = o
		}
		last = o
	}
	if rs.Dst != addr("ff02::2") || rs.Src != addr("fe80::5eff:fe00:1") || rs.HopLimit != 255 {
		t.Errorf("solicitation %v to %v, hop limit %d", rs.Src, rs.Dst, rs.HopLimit)
	}
	if first.Dst != addr("ff02::1") || first.Src != addr("fe80::5eff:fe00:1") || first.HopLimit != 255 {
		t.Errorf("advertisement %v to %v, hop limit %d", first.Src, first.Dst, first.HopLimit)
	}
	same := func(what string, got []byte, want string) {
		t.Helper()
		if string(got) != unhex(t, want) {
			t.Errorf("%s\n%x, want\n%x", what, got, unhex(t, want))
		}
	}
	same("solicitation", rs.Body, `
		00000000
		01 01 02005e000001   # source link-layer address`)
	same("first", first.Body, `
		00 02 0000           # hop limit not said, SNAC router, no default router
		00000000 00000000    # reachable and retransmission time not said
		03 04 40 c0          # prefix information, /64, L and A
		00000708 00000708    # valid, preferred 1800 s
		00000000 fddead00beefcafe 0000000000000000  # fd, xpan 0 to 4, 6 and 7
		18 02 40 00 00000708 # route information, /64, medium, 1800 s
		fd11223344550001     # subnet 1 of the ULA
		01 01 02005e000001`)
	// The old on-link prefix runs out since its last advertisement.
	o := []byte(other.Body)
	valid := uint32(o[12+32+4])<<24 | uint32(o[12+32+5])<<16 | uint32(o[12+32+6])<<8 | uint32(o[12+32+7])
	if valid == 0 || valid > 1800 {
		t.Errorf("old prefix is valid for %d s", valid)
	}
	o[12+32+6], o[12+32+7] = 0, 0
	same("after another extended PAN ID", o, `
		00 02 0000 00000000 00000000
		03 04 40 c0 00000708 00000708 00000000 fd01020304050708 0000000000000000
		03 04 40 c0 00000000 00000000 00000000 fddead00beefcafe 0000000000000000  # preferred 0
		18 02 40 00 00000708 fd11223344550001
		01 01 02005e000001`)
	b := []byte(last.Body)
	for _, at := range []int{12 + 4, 12 + 32 + 4} {
		got := time.Duration(uint32(b[at+2])<<8|uint32(b[at+3])) * time.Second
		if got > 1800*time.Second || got < 1800*time.Second-lastAfter-time.Minute {
			t.Errorf("prefix in the last advertisement is valid for %v", got)
		}
		b[at+2], b[at+3] = 0, 0
	}
	same("last", b, `
		00 02 0000 00000000 00000000
		03 04 40 c0 00000000 00000000 00000000 fd01020304050708 0000000000000000
		03 04 40 c0 00000000 00000000 00000000 fddead00beefcafe 0000000000000000
		18 02 40 00 00000000 fd11223344550001  # route lifetime 0
		01 01 02005e000001`)
	n := len(*all)
	a.m.Withdraw()
	if len(*all) != n+1 || string((*all)[n].Body) == "" || (*all)[n].Type != ndp.TypeRouterAdvert {
		t.Error("the last advertisement is not repeated")
	}
	a.m.SetEnabled(true)
	if a.m.Withdraw(); len(*all) != n+1 {
		t.Error("withdrawn while running")
	}
}

func TestTiming(t *testing.T) {
	for seed := range uint64(20) {
		l := newLab(t, seed)
		a := l.router("a", "lan", 1)
		var sent []time.Time
		var rs []time.Time
		send := a.m.cfg.Send
		a.m.cfg.Send = func(link string, o ndp.Out) error {
			switch o.Type {
			case ndp.TypeRouterAdvert:
				sent = append(sent, l.clock.Now())
			case ndp.TypeRouterSolicit:
				rs = append(rs, l.clock.Now())
			}
			return send(link, o)
		}
		within := func(what string, from, to time.Time, least, most time.Duration) {
			t.Helper()
			if d := to.Sub(from); d < least || d > most {
				t.Errorf("seed %d: %s after %v, want %v to %v", seed, what, d, least, most)
			}
		}
		l.run(20 * time.Minute)
		if len(rs) != 3 || len(sent) < 8 {
			t.Fatalf("seed %d: %d solicitations, %d advertisements", seed, len(rs), len(sent))
		}
		within("first solicitation", start, rs[0], 0, time.Second)
		within("second solicitation", rs[0], rs[1], 4*time.Second, 4*time.Second)
		within("third solicitation", rs[1], rs[2], 4*time.Second, 4*time.Second)
		within("first advertisement", rs[2], sent[0], time.Second, 6*time.Second)
		for i := 1; i < len(sent); i++ {
			least, most := 165*time.Second, 195*time.Second
			if i <= 3 {
				least, most = 14*time.Second, 18*time.Second
			}
			within("advertisement", sent[i-1], sent[i], least, most)
		}
		n, asked := len(sent), l.clock.Now()
		quiet := asked.Sub(sent[n-1]) >= minBetween
		host := l.plug("host", "lan", 0x50, func(ndp.In) {})
		f := &foreign{lab: l, port: host}
		for range 20 {
			f.send(allRouters, ndp.RouterSolicit{})
		}
		l.run(4 * time.Second)
		if len(sent) != n+1 {
			t.Fatalf("seed %d: %d answers", seed, len(sent)-n)
		}
		if quiet {
			within("answer", asked, sent[n], 0, 501*time.Millisecond)
		}
		// As many as there are solicitations, but 3 s apart.
		for range 60 {
			f.send(allRouters, ndp.RouterSolicit{})
			l.run(500 * time.Millisecond)
		}
		if got := len(sent) - n - 1; got < 8 || got > 11 {
			t.Errorf("seed %d: %d answers in 30 s", seed, got)
		}
		for i := n + 1; i < len(sent); i++ {
			within("answers", sent[i-1], sent[i], minBetween, time.Hour)
		}
	}
}

// Hosts know but one router at an address: what radvd beside us says of it is
// said by us, too.
func TestMirror(t *testing.T) {
	l := newLab(t, 3)
	a := l.router("a", "lan", 1)
	l.run(time.Minute)
	a.m.Receive("eth0", radvd(a, ndp.RouterAdvert{
		HopLimit: 64, Other: true, Preference: ndp.High, Lifetime: 600 * time.Second, Reachable: 30 * time.Second,
		Options: []ndp.Option{goodPrefix("2001:db8:7::/64")},
	}))
	all := a.capture()
	l.run(5 * time.Second)
	header := func() ndp.RouterAdvert {
		t.Helper()
		if len(*all) == 0 {
			t.Fatal("nothing was sent")
		}
		for i := len(*all) - 1; i >= 0; i-- {
			if o := (*all)[i]; o.Type == ndp.TypeRouterAdvert {
				m, err := ndp.Decode(o.Type, o.Code, o.Body)
				if err != nil {
					t.Fatal(err)
				}
				return m.(ndp.RouterAdvert)
			}
		}
		return ndp.RouterAdvert{}
	}
	h := header()
	if h.HopLimit != 64 || h.Managed || !h.Other || h.Preference != ndp.High || h.Lifetime != 600*time.Second ||
		h.Reachable != 30*time.Second || !h.SNAC {
		t.Errorf("mirrored %+v", h)
	}
	s := a.m.Status().Links[0]
	if len(s.Routers) != 1 || !s.Routers[0].Local || s.OnLink.Favored != prefix("2001:db8:7::/64") {
		t.Errorf("status %+v", s)
	}
	// It is not asked whether it is there, which the host could not answer.
	l.sent()
	l.run(5 * time.Minute)
	if ns := l.sent("NS"); len(ns) > 0 {
		t.Errorf("probed: %v", ns)
	}
	// Not heard again, it is asked for, and then over.
	l.run(6 * time.Minute)
	if h = header(); h.Lifetime != 0 || h.Other || h.HopLimit != 0 {
		t.Errorf("after the end %+v", h)
	}
	// Said to be over.
	a.m.Receive("eth0", radvd(a, ndp.RouterAdvert{Lifetime: 600 * time.Second}))
	l.run(5 * time.Second)
	if h = header(); h.Lifetime != 600*time.Second {
		t.Errorf("header %+v", h)
	}
	a.m.Receive("eth0", radvd(a, ndp.RouterAdvert{}))
	l.run(5 * time.Second)
	if h = header(); h.Lifetime != 0 {
		t.Errorf("header %+v", h)
	}
}

// radvd returns an advertisement of another program on the host.
func radvd(b *br, ra ndp.RouterAdvert) ndp.In {
	return ndp.In{Src: b.ports["eth0"].ll, Dst: allNodes, HopLimit: 255, Type: ndp.TypeRouterAdvert, Body: ra.Append(nil)}
}

// M and O are those of routers that are no stub network's.
func TestFlags(t *testing.T) {
	l := newLab(t, 4)
	a := l.router("a", "lan", 1)
	l.foreign("stub", "lan", 7, ndp.RouterAdvert{Managed: true, SNAC: true})
	main := l.foreign("main", "lan", 8, ndp.RouterAdvert{Other: true})
	l.run(time.Minute)
	if f := a.m.links[0].factors; f.managed || !f.other {
		t.Errorf("factors %+v", f)
	}
	h := a.m.links[0].header()
	if h.Managed || !h.Other {
		t.Errorf("header %+v", h)
	}
	main.off()
	l.run(75 * time.Second)
	if h := a.m.links[0].header(); h.Other {
		t.Errorf("header without the router %+v", h)
	}
}

func TestSendFails(t *testing.T) {
	l := newLab(t, 5)
	a := l.router("a", "lan", 1)
	a.sendFail = true
	l.run(5 * time.Minute)
	if s := a.m.Status(); s.Ready || s.Links[0].Counters.RSSent != 0 || s.Links[0].Counters.SendFailed < 50 || len(l.log) > 0 {
		t.Errorf("%+v", s.Links[0].Counters)
	}
	a.sendFail = false
	l.run(20 * time.Second)
	if s := a.m.Status(); !s.Ready || s.Links[0].Counters.RSSent != 3 || s.Links[0].Counters.RASent == 0 {
		t.Errorf("%+v", s.Links[0].Counters)
	}
}
