package ndp

import (
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"gatewayd/alarm"
)

func seedMessages(f *testing.F) {
	for _, tt := range messageVectors {
		f.Add(tt.typ, tt.code, unhex(f, tt.wire))
	}
	var opts []byte
	for _, tt := range optionVectors {
		opts = append(opts, unhex(f, tt.wire)...)
	}
	f.Add(TypeRouterSolicit, uint8(0), append(make([]byte, 4), opts...))
	for _, file := range []string{"testdata/riot-hosts.pcap", "testdata/riot-multihop.pcap"} {
		for _, r := range readRIOT(f, file) {
			f.Add(r.Type, r.Code, r.Body)
		}
	}
}

// What was decoded is the same after encoding and decoding again, and encodes
// to the same bytes from then on.
func FuzzDecode(f *testing.F) {
	seedMessages(f)
	f.Fuzz(func(t *testing.T, typ, code uint8, body []byte) {
		m, err := Decode(typ, code, body)
		if err != nil {
			return
		}
		typ2, code2 := m.ICMP()
		b := m.Append(nil)
		again, err := Decode(typ2, code2, b)
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
		if b2 := again.Append(nil); string(b2) != string(b) {
			t.Fatalf("%x became %x", b, b2)
		}
	})
}

// Of two transaction ids that can be compared one is newer, whichever way they
// are asked, and the next is newer than the last.
func FuzzTID(f *testing.F) {
	f.Add(uint8(240), uint8(5))
	f.Fuzz(func(t *testing.T, a, b uint8) {
		x, ok1 := TID(a).Compare(TID(b))
		y, ok2 := TID(b).Compare(TID(a))
		if ok1 != ok2 || ok1 && (x > 0) != (y < 0) {
			t.Fatalf("%d and %d: %d, %v and %d, %v", a, b, x, ok1, y, ok2)
		}
		if order, ok := TID(a).Next().Compare(TID(a)); !ok || order <= 0 {
			t.Fatalf("after %d comes %d, which is not newer", a, TID(a).Next())
		}
	})
}

// fuzzSources are who a fuzzed message comes from.
var fuzzSources = []netip.Addr{
	addr("fe80::1"), addr("fe80::a"), addr("2001:db8::a"), addr("2001:db8::1"), addr("2001:db8::51"), addr("::"),
}

// Whatever all of the machines receive, and however much time passes, they
// stay within their bounds and say only what can be understood.
func FuzzMachines(f *testing.F) {
	add := func(m Message) {
		typ, code := m.ICMP()
		f.Add(uint8(1), typ, code, m.Append(nil), uint16(60))
	}
	seedSequence(add)
	f.Fuzz(func(t *testing.T, src, typ, code uint8, body []byte, pass uint16) {
		clock := new(alarm.Clock)
		clock.Set(start)
		r := rand.New(rand.NewPCG(1, 2))
		sent := 0
		send := func(o Out) {
			sent++
			if m, err := Decode(o.Type, o.Code, o.Body); err != nil {
				t.Fatalf("sent %+v: %v", m, err)
			}
			if !isUnicast(o.Src) || !o.Dst.IsValid() || o.Dst.IsUnspecified() {
				t.Fatalf("sent from %v to %v", o.Src, o.Dst)
			}
		}
		b := NewBorder(BorderConfig{Clock: clock, Rand: r, Send: send, LinkAddr: eui(1), Addr: borderAddr, Info: labInfo, MaxRegistrations: 2})
		h := NewHost(HostConfig{Clock: clock, Rand: r, Send: send, LinkAddr: eui(0x51)})
		h.Start()
		rt := NewRouter(RouterConfig{
			Clock: clock, Rand: r, Send: send, LinkAddr: eui(0x51), Host: h, MaxNeighbors: 2, MaxPending: 2,
			Addr: func() netip.Addr { return addr("2001:db8::51") },
		})
		lis := NewListener(ListenerConfig{Clock: clock})
		good := RouterAdvert{Lifetime: time.Hour, Options: append(
			[]Option{BorderRouter{Version: 1, Lifetime: time.Hour, Addr: borderAddr}, CapRegistrar | CapEDA}, labInfo.options()...)}
		rt.Receive(In{Src: addr("fe80::1"), Dst: allNodes, HopLimit: 255, Type: TypeRouterAdvert, Body: good.Append(nil), Link: eui(1)})
		for _, dst := range []netip.Addr{addr("fe80::1"), borderAddr, addr("2001:db8::51"), addr("fe80::51"), allNodes} {
			in := In{Src: fuzzSources[int(src)%len(fuzzSources)], Dst: dst, HopLimit: 255, Type: typ, Code: code, Body: body}
			b.Receive(in)
			rt.Receive(in)
			lis.Receive(in)
			clock.Advance(clock.Now().Add(time.Duration(pass) * time.Second))
		}
		if b.Len() > 2 || len(rt.Table()) > 2 || len(rt.pending) > 2 || len(rt.networks) > maxNetworks ||
			len(h.routers) > maxRouters || len(h.addrs) > maxHostAddrs || len(lis.routers) > maxHeardRouters {
			t.Fatalf("grew: %d, %d, %d, %d", b.Len(), len(rt.Table()), len(rt.pending), len(h.addrs))
		}
		if sent > 100 {
			t.Fatalf("said %d things", sent)
		}
	})
}

// seedSequence gives one message of each kind that a machine acts on.
func seedSequence(add func(Message)) {
	rovr := ROVROf(eui(10).b)
	add(RouterSolicit{Options: []Option{SourceLinkAddr{eui(10)}}})
	add(RouterAdvert{Lifetime: time.Hour, Options: append([]Option{
		BorderRouter{Version: 2, Lifetime: time.Hour, Addr: addr("2001:db8::2")}, CapRegistrar}, labInfo.options()...)})
	add(RouterAdvert{Options: []Option{BorderRouter{Version: 2, Addr: borderAddr}, ContextOption{ID: 1, Prefix: riotPrefix, Lifetime: time.Minute}}})
	add(NeighborSolicit{Target: addr("2001:db8::a"), Options: []Option{SourceLinkAddr{eui(10)}, extended(10, 240, time.Hour)}})
	add(NeighborSolicit{Target: addr("fe80::51"), Options: []Option{SourceLinkAddr{eui(10)}, registering(10, time.Hour)}})
	add(NeighborSolicit{Target: addr("fe80::51")})
	add(NeighborAdvert{Target: addr("2001:db8::51"), Options: []Option{extended(0x51, 240, time.Hour)}})
	add(Duplicate{Extended: true, TID: 240, Lifetime: time.Hour, ROVR: rovr, Addr: addr("2001:db8::a")})
	add(Duplicate{Confirm: true, Status: StatusMoved, ROVR: rovr, Addr: addr("2001:db8::a")})
}
