package ndp

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"runtime"
	"testing"
	"time"

	"gatewayd/alarm"
)

// What RIOT's hosts sent is answered as RIOT's border router answered.
func TestBorderAnswersRIOT(t *testing.T) {
	msgs := readRIOT(t, "testdata/riot-hosts.pcap")
	clock := new(alarm.Clock)
	clock.Set(start)
	var sent []Out
	b := NewBorder(BorderConfig{
		Clock: clock, Rand: rand.New(rand.NewPCG(1, 2)), Send: func(o Out) { sent = append(sent, o) },
		LinkAddr: riotBorder, Addr: addr("2001:db8::1"),
		Info: Info{
			Prefixes: []PrefixInfo{{Prefix: riotPrefix, Autonomous: true, Valid: Infinity, Preferred: Infinity}},
			Contexts: []ContextOption{{Prefix: riotPrefix, Compress: true, Lifetime: 6046 * time.Minute}},
			Other:    []Option{RDNSS{Lifetime: 4294966296 * time.Second, Servers: []netip.Addr{addr("2620:fe::fe")}}},
		},
	})
	answers := map[int]int{2: 6, 9: 17, 19: 22, 24: 26} // a host's message, and the recorded answer
	byFrame := make(map[int]recorded)
	for _, r := range msgs {
		byFrame[r.frame] = r
	}
	for _, r := range msgs {
		want, ok := answers[r.frame]
		if !ok {
			continue
		}
		sent = nil
		if err := b.Receive(r.In); err != nil || len(sent) != 1 {
			t.Fatalf("frame %d: %v, answers %v", r.frame, err, sent)
		}
		theirs := byFrame[want]
		if sent[0].Type != theirs.Type || sent[0].Dst != theirs.Dst || sent[0].Link != theirs.to || sent[0].HopLimit != 255 {
			t.Errorf("frame %d: answered %+v, want as frame %d: %+v", r.frame, sent[0], want, theirs)
		}
		if theirs.Type == TypeNeighborAdvert {
			if string(sent[0].Body) != string(theirs.Body) {
				t.Errorf("frame %d: answered %x, want as frame %d: %x", r.frame, sent[0].Body, want, theirs.Body)
			}
			continue
		}
		got, _ := Decode(sent[0].Type, 0, sent[0].Body)
		ours := got.(RouterAdvert)
		ref, _ := theirs.open()
		// Ours says its version, which begins at 1, and what it is capable of.
		wantOpts := append([]Option(nil), ref.(RouterAdvert).Options...)
		for i, o := range wantOpts {
			if abro, ok := o.(BorderRouter); ok {
				abro.Version = 1
				wantOpts[i] = abro
			}
		}
		wantOpts = append(wantOpts, CapRegistrar|CapBorder|CapRouter|CapEDA)
		if !reflect.DeepEqual(ours.Options, wantOpts) || ours.Lifetime != ref.(RouterAdvert).Lifetime {
			t.Errorf("frame %d: answered\n%+v, want as frame %d:\n%+v", r.frame, ours, want, wantOpts)
		}
	}
	table := b.Table()
	if len(table) != 2 || table[0].Addr != addr("2001:db8::a") || table[0].Link != riotHostA || table[1].Addr != addr("2001:db8::b") {
		t.Errorf("table %+v", table)
	}
	if l, ok := b.Resolve(addr("2001:db8::b")); !ok || l != riotHostB {
		t.Errorf("resolved %v, %v", l, ok)
	}
}

// registering is an option for a script.
func registering(n byte, lifetime time.Duration) AddressRegistration {
	return AddressRegistration{Lifetime: lifetime, ROVR: ROVROf(eui(n).b)}
}

func extended(n byte, tid TID, lifetime time.Duration) AddressRegistration {
	a := registering(n, lifetime)
	a.Extended, a.TID = true, tid
	return a
}

var naOnly = []string{" NA "}

func TestBorderStatuses(t *testing.T) {
	l := newLab(t)
	b := l.border(BorderConfig{MaxRegistrations: 3, MaxNeighbors: 2})
	for n := byte(10); n < 20; n++ {
		l.scripted(fmt.Sprintf("h%d", n), n)
	}
	l.run(time.Minute)
	l.said()
	x, y := addr("2001:db8::100"), addr("2001:db8::101")

	l.ask("h10", eui(1), registering(10, 10*time.Minute), x)
	l.expect(naOnly, `border NA to 2001:db8::100 fe80::1 10m0s success`)

	// Another node: told at the address of its EUI-64, not at the one it asked
	// from, which is not its own.
	l.ask("h11", eui(1), registering(11, 10*time.Minute), x)
	l.expect(naOnly, `border NA to fe80::b fe80::1 10m0s duplicate address`)
	l.ask("h11", eui(1), extended(11, 240, 10*time.Minute), x)
	l.expect(naOnly, `border NA to fe80::b 2001:db8::100 10m0s duplicate address tid 240`)

	// The owner by RFC 8505 from now on: what is older is stale.
	l.ask("h10", eui(1), extended(10, 5, 10*time.Minute), x)
	l.ask("h10", eui(1), extended(10, 4, 10*time.Minute), x)
	l.ask("h10", eui(1), extended(10, 5, 10*time.Minute), x) // said again
	l.ask("h10", eui(1), extended(10, 6, 10*time.Minute), x)
	l.ask("h10", eui(1), extended(10, 240, 10*time.Minute), x) // restarted
	l.expect(naOnly, `border NA to fe80::a 2001:db8::100 10m0s success tid 5
		border NA to fe80::a 2001:db8::100 10m0s moved tid 4
		border NA to fe80::a 2001:db8::100 10m0s success tid 5
		border NA to fe80::a 2001:db8::100 10m0s success tid 6
		border NA to fe80::a 2001:db8::100 10m0s success tid 240`)

	// Addresses that nobody may have, or not here.
	l.ask("h11", eui(1), extended(11, 240, 10*time.Minute), borderAddr)
	l.ask("h11", eui(1), extended(11, 240, 10*time.Minute), addr("2001:db8:1::b"))
	l.ask("h11", eui(1), registering(11, 10*time.Minute), addr("2001:db8:1::b"))
	l.expect(naOnly, `border NA to fe80::b 2001:db8::1 10m0s duplicate address tid 240
		border NA to fe80::b 2001:db8:1::b 10m0s topologically incorrect tid 240
		border NA to fe80::b fe80::1 10m0s duplicate address`)

	// Full: of neighbours with two, of all with three.
	l.ask("h11", eui(1), registering(11, 10*time.Minute), y)
	l.ask("h12", eui(1), registering(12, 10*time.Minute), addr("2001:db8::102"))
	b.Receive(dar(Duplicate{Lifetime: time.Hour, ROVR: ROVROf(eui(13).b), Addr: addr("2001:db8::103")}))
	l.ask("h12", eui(1), registering(12, 10*time.Minute), addr("2001:db8::102"))
	l.ask("h12", eui(1), extended(12, 240, 10*time.Minute), addr("2001:db8::102"))
	b.Receive(dar(Duplicate{Lifetime: time.Hour, ROVR: ROVROf(eui(14).b), Addr: addr("2001:db8::104")}))
	b.Receive(dar(Duplicate{Extended: true, TID: 240, Lifetime: time.Hour, ROVR: ROVROf(eui(14).b), Addr: addr("2001:db8::104")}))
	l.expect([]string{" NA ", " DAC "}, `border NA to 2001:db8::101 fe80::1 10m0s success
		border NA to fe80::c fe80::1 10m0s neighbor cache full
		border DAC 2001:db8::103 1h0m0s success
		border NA to fe80::c fe80::1 10m0s neighbor cache full
		border NA to fe80::c 2001:db8::102 10m0s registry saturated tid 240
		border DAC 2001:db8::104 1h0m0s neighbor cache full
		border DAC 2001:db8::104 1h0m0s registry saturated tid 240`)

	// Ended by its owner, and by time.
	l.ask("h11", eui(1), registering(11, 0), y)
	l.expect(naOnly, `border NA to 2001:db8::101 fe80::1 0s success`)
	if _, ok := b.Lookup(y); ok || b.Len() != 2 {
		t.Fatalf("still there: %+v", b.Table())
	}
	l.run(11 * time.Minute)
	if _, ok := b.Lookup(x); ok || b.Len() != 1 {
		t.Fatalf("still there: %+v", b.Table())
	}
	l.run(time.Hour)
	if b.Len() != 0 || b.reg.neighbors != 0 {
		t.Fatalf("still there: %+v, %d neighbours", b.Table(), b.reg.neighbors)
	}

	// A solicitation whose option is to be ignored is an ordinary one.
	l.said()
	l.send("h10")(outgoing(addr("fe80::a"), addr("fe80::1"), 255, eui(1), NeighborSolicit{
		Target: addr("fe80::1"), Options: []Option{registering(10, time.Minute)},
	}))
	l.run(time.Second)
	l.expect(naOnly, `border NA to fe80::a fe80::1`)
}

// dar is a request from a router some hops away.
func dar(m Duplicate) In { return darFrom(addr("2001:db8::99"), m) }

func darFrom(router netip.Addr, m Duplicate) In {
	typ, code := m.ICMP()
	return In{Src: router, Dst: borderAddr, HopLimit: 62, Type: typ, Code: code, Body: m.Append(nil)}
}

// A node that goes from one router to another keeps its address; the former
// router is told, and has no more say.
func TestBorderMoves(t *testing.T) {
	l := newLab(t)
	b := l.border(BorderConfig{})
	l.scripted("h10", 10)
	l.run(time.Minute)
	l.said()
	x, r1, r2 := addr("2001:db8::100"), addr("2001:db8::51"), addr("2001:db8::52")
	step := func(router netip.Addr, tid TID, lifetime time.Duration) {
		b.Receive(darFrom(router, Duplicate{Extended: true, TID: tid, Lifetime: lifetime, ROVR: ROVROf(eui(10).b), Addr: x}))
	}
	step(r1, 240, time.Hour)
	step(r2, 241, time.Hour)
	l.expect(nil, `border DAC 2001:db8::100 1h0m0s success tid 240
		border DAC 2001:db8::100 0s moved tid 240
		border DAC 2001:db8::100 1h0m0s success tid 241`)
	step(r1, 240, 0) // the former router cleans up
	l.expect(nil, `border DAC 2001:db8::100 0s moved tid 240`)
	if r, ok := b.Lookup(x); !ok || r.Router != r2 {
		t.Fatalf("registration %+v, %v", r, ok)
	}
	// It comes near.
	l.ask("h10", eui(1), extended(10, 242, time.Hour), x)
	l.expect([]string{"border"}, `border DAC 2001:db8::100 0s moved tid 241
		border NA to fe80::a 2001:db8::100 1h0m0s success tid 242`)
	if b.reg.neighbors != 1 {
		t.Errorf("%d neighbours", b.reg.neighbors)
	}
	// And is told to go.
	if !b.Remove(x) || b.Remove(x) {
		t.Error("removed not once")
	}
	l.expect(nil, `border NA to fe80::a 2001:db8::100 0s removed tid 242`)
}

func TestBorderSnapshot(t *testing.T) {
	l := newLab(t)
	b := l.border(BorderConfig{})
	l.scripted("h10", 10)
	l.ask("h10", eui(1), extended(10, 7, 10*time.Minute), addr("2001:db8::100"))
	b.Receive(dar(Duplicate{Extended: true, TID: 3, Lifetime: time.Hour, ROVR: countingROVR(32), Addr: addr("2001:db8::101")}))
	b.SetInfo(labInfo)
	file, err := json.Marshal(b.Snapshot())
	if err != nil {
		t.Fatal(err)
	}

	l2 := newLab(t)
	l2.clock.Set(start.Add(20 * time.Minute)) // the first one ended meanwhile
	b2 := l2.border(BorderConfig{})
	var s State
	if err := json.Unmarshal(file, &s); err != nil {
		t.Fatal(err)
	}
	b2.Restore(s)
	want := []Registration{{
		Addr: addr("2001:db8::101"), ROVR: countingROVR(32), TID: 3, Extended: true,
		Router: addr("2001:db8::99"), Expires: start.Add(time.Hour + 10*time.Millisecond),
	}}
	if got := b2.Table(); !reflect.DeepEqual(got, want) {
		t.Errorf("restored %+v\nwant %+v", got, want)
	}
	if b2.Version() != 3 {
		t.Errorf("version %d after 2, want 3", b2.Version())
	}
	l2.run(time.Hour)
	if b2.Len() != 0 {
		t.Errorf("still there: %+v", b2.Table())
	}
}

// News are multicast a few times, an answer goes to who asked, and who has no
// address is answered by multicast, not more often than every three seconds.
func TestBorderAdvertises(t *testing.T) {
	l := newLab(t)
	b := l.border(BorderConfig{})
	l.scripted("h10", 10)
	l.run(time.Minute)
	l.expect(nil, `border RA to ff02::1 v1
		border RA to ff02::1 v1
		border RA to ff02::1 v1`)
	l.run(24 * time.Hour)
	l.expect(nil, ``)
	b.SetInfo(labInfo)
	l.run(time.Minute)
	l.expect(nil, `border RA to ff02::1 v2
		border RA to ff02::1 v2
		border RA to ff02::1 v2`)
	rs := In{Src: netip.IPv6Unspecified(), Dst: allRouters, HopLimit: 255, Type: 133, Body: RouterSolicit{}.Append(nil)}
	for range 10 {
		if err := b.Receive(rs); err != nil {
			t.Fatal(err)
		}
	}
	l.run(time.Second)
	l.expect(nil, `border RA to ff02::1 v2`)
	b.Receive(rs)
	l.run(time.Second)
	l.expect(nil, ``)
	l.run(2 * time.Second)
	l.expect(nil, `border RA to ff02::1 v2`)
	b.Stop()
	l.run(time.Hour)
	l.expect(nil, `border RA to ff02::1 v2`)
	if m, _ := Decode(134, 0, l.packets[len(l.packets)-1][44:]); m.(RouterAdvert).Lifetime != 0 {
		t.Errorf("last advertisement %+v", m)
	}
}

// Ten thousand nodes register, renew, and are gone an hour later, within the
// memory that is to be expected and without a timer for each.
func TestTenThousandRegistrations(t *testing.T) {
	const n = 10000
	clock := new(alarm.Clock)
	clock.Set(start)
	var ok, full, events int
	b := NewBorder(BorderConfig{
		Clock: clock, Rand: rand.New(rand.NewPCG(1, 2)), LinkAddr: eui(1), Addr: borderAddr, Info: labInfo,
		MaxRegistrations: n,
		Send: func(o Out) {
			m, err := Decode(o.Type, o.Code, o.Body)
			if err != nil {
				t.Fatal(err)
			}
			if d, is := m.(Duplicate); is && d.Status == StatusSuccess {
				ok++
			} else if is && d.Status == StatusSaturated {
				full++
			}
		},
		Changed: func(Registration, bool) { events++ },
	})
	register := func(i int, tid TID) {
		var e [8]byte
		e[0], e[6], e[7], e[5] = 2, byte(i>>8), byte(i), 9
		err := b.Receive(dar(Duplicate{
			Extended: true, TID: tid, Lifetime: time.Hour, ROVR: ROVROf(e), Addr: joinIID(prefix("2001:db8::/64"), e),
		}))
		if err != nil {
			t.Fatal(err)
		}
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range n {
		register(i, 240)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n; each > 512 {
		t.Errorf("%d bytes for each registration", each)
	}
	for i := n; i < n+100; i++ {
		register(i, 240)
	}
	if ok != n || full != 100 || b.Len() != n {
		t.Fatalf("%d registered, %d refused, %d in the table", ok, full, b.Len())
	}
	clock.Advance(start.Add(30 * time.Minute))
	for i := range n / 2 {
		register(i, 241)
	}
	clock.Advance(start.Add(61 * time.Minute))
	if b.Len() != n/2 {
		t.Fatalf("%d left, want the half that renewed", b.Len())
	}
	clock.Advance(start.Add(91 * time.Minute))
	if b.Len() != 0 || events != n+n/2+n {
		t.Fatalf("%d left, %d events", b.Len(), events)
	}
	if !clock.Deadline().IsZero() {
		t.Errorf("a timer runs until %v", clock.Deadline())
	}
}

// Its own addresses are answered for, also to who asks for them in order to
// take them; to nobody are those of others.
func TestBorderAnswersForItself(t *testing.T) {
	l := newLab(t)
	b := l.border(BorderConfig{})
	l.scripted("h10", 10)
	l.run(time.Minute)
	l.said()
	dad := NeighborSolicit{Target: borderAddr}
	in := In{Src: netip.IPv6Unspecified(), Dst: SolicitedNode(borderAddr), HopLimit: 255, Type: TypeNeighborSolicit, Body: dad.Append(nil)}
	if err := b.Receive(in); err != nil {
		t.Fatal(err)
	}
	l.expect(nil, `border NA to ff02::1 2001:db8::1`)
	in.Body, in.Dst = NeighborSolicit{Target: addr("2001:db8::77")}.Append(nil), SolicitedNode(addr("2001:db8::77"))
	if err := b.Receive(in); !errors.Is(err, ErrIgnored) {
		t.Fatal(err)
	}
	if link, ok := b.Resolve(addr("fe80::ff:fe00:1234")); !ok || link != Short(0x1234) {
		t.Errorf("link-local address of a short one: %v, %v", link, ok)
	}
	if _, ok := b.Resolve(addr("2001:db8::77")); ok {
		t.Error("resolved an address nobody registered")
	}
	// Not its kind of message, and not for it.
	typ, code := Duplicate{Confirm: true}.ICMP()
	c := In{Src: addr("2001:db8::99"), Dst: borderAddr, Type: typ, Code: code, Body: Duplicate{Confirm: true, Addr: borderAddr}.Append(nil)}
	if err := b.Receive(c); !errors.Is(err, ErrIgnored) {
		t.Errorf("confirmation: %v", err)
	}
	other := dar(Duplicate{Lifetime: time.Hour, Addr: addr("2001:db8::5")})
	other.Dst = addr("2001:db8::2")
	if err := b.Receive(other); !errors.Is(err, ErrIgnored) || b.Len() != 0 {
		t.Errorf("request to somebody else: %v", err)
	}
}

// BenchmarkRegister renews one of ten thousand registrations at a time.
func BenchmarkRegister(b *testing.B) {
	clock := new(alarm.Clock)
	clock.Set(start)
	border := NewBorder(BorderConfig{
		Clock: clock, Rand: rand.New(rand.NewPCG(1, 2)), LinkAddr: eui(1), Addr: borderAddr, Info: labInfo, Send: func(Out) {},
	})
	ins := make([]In, 10000)
	for i := range ins {
		e := [8]byte{0: 2, 5: 9, 6: byte(i >> 8), 7: byte(i)}
		ins[i] = dar(Duplicate{Extended: true, TID: 240, Lifetime: time.Hour, ROVR: ROVROf(e), Addr: joinIID(prefix("2001:db8::/64"), e)})
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		clock.Set(clock.Now().Add(time.Millisecond))
		if err := border.Receive(ins[i%len(ins)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// A host follows a border router to another prefix. What the border router was
// before is told also after a restart.
func TestBorderRenumbers(t *testing.T) {
	l := newLab(t)
	b := l.border(BorderConfig{})
	h := l.host("h", 10, HostConfig{})
	h.Start()
	l.run(time.Minute)
	has := func(want string) {
		t.Helper()
		if got := h.Addresses(); len(got) != 1 || got[0].Addr != addr(want) || got[0].State != Registered {
			t.Errorf("%+v, want %s", got, want)
		}
	}
	has("2001:db8::a")
	second := Info{Prefixes: []PrefixInfo{{Prefix: netip.MustParsePrefix("2001:db8:7::/64"), Autonomous: true, Valid: Infinity, Preferred: Infinity}}}
	b.Renumber(addr("2001:db8:7::1"), second)
	if n := b.Len(); n != 0 {
		t.Errorf("%d registrations of the prefix before", n)
	}
	l.run(time.Minute)
	has("2001:db8:7::a")
	if got := h.BorderRouter(); got != addr("2001:db8:7::1") {
		t.Errorf("6LBR %v", got)
	}

	s := b.Snapshot()
	if s.Addr != addr("2001:db8:7::1") || len(s.Former) != 1 || s.Former[0].Addr != borderAddr {
		t.Errorf("%+v", s)
	}
	// Back at the first address, that is no former one, and the second is.
	l2 := newLab(t)
	again := l2.border(BorderConfig{})
	again.Restore(s)
	s2 := again.Snapshot()
	if s2.Version <= s.Version || len(s2.Former) != 1 || s2.Former[0].Addr != addr("2001:db8:7::1") {
		t.Errorf("%+v after %+v", s2, s)
	}
	for i := range 5 {
		again.Renumber(addr(fmt.Sprintf("2001:db8:%d::1", i+10)), second)
	}
	if n := len(again.Snapshot().Former); n != maxFormer {
		t.Errorf("%d former addresses", n)
	}
}
