package netdata

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"
)

func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func adr(s string) netip.Addr   { return netip.MustParseAddr(s) }

func br(rloc16 uint16, f PrefixFlags) BorderRouter {
	return BorderRouter{RLOC16: rloc16, Flags: f, Stable: true}
}

func hr(rloc16 uint16, p Preference) HasRoute {
	return HasRoute{RLOC16: rloc16, Flags: RouteFlags(0).With(p), Stable: true}
}

func TestContexts(t *testing.T) {
	d := decode(t, `
		03 0e 00 40 fd11002200000000 07 02 01 40   # context 1, only decompresses
		03 0c 00 30 fd3300000000 07 02 12 30
		03 0d 00 30 fd4400000000 01 03 ec00 00`)
	want := []ContextInfo{{1, pfx("fd11:22::/64"), false}, {2, pfx("fd33::/48"), true}}
	if got := slices.Collect(d.Contexts()); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestRoute(t *testing.T) {
	paros := FlagPreferred | FlagSLAAC | FlagDefault | FlagOnMesh
	d := Data{Prefixes: []Prefix{
		{Prefix: pfx("fd11:22::/64"), BorderRouters: []BorderRouter{br(0x0400, paros), br(0x0800, paros.With(High)), br(0x0c00, FlagOnMesh)}},
		{Prefix: pfx("fd99::/64"), BorderRouters: []BorderRouter{br(0x0c00, FlagOnMesh)}},
		{Prefix: pfx("fd98::/64"), Domain: 1, BorderRouters: []BorderRouter{br(0x1400, paros)}},
		{Prefix: pfx("fd97::/64"), Context: &Context{ID: 1}},
		{Prefix: pfx("fc00::/7"), HasRoutes: []HasRoute{hr(0x0400, Low), hr(0x1000, Medium)}},
		{Prefix: pfx("fd33::/48"), HasRoutes: []HasRoute{hr(0x0402, Medium), hr(0x0800, Medium), hr(0x0c00, Medium)}},
		{Prefix: pfx("fd33:0:0:1::/64"), Domain: 1, HasRoutes: []HasRoute{hr(0x1800, High)}},
	}}
	tests := []struct {
		name, src, dst string
		cost           map[uint16]int // others 0
		want           uint16
		ok             bool
	}{
		{"longest route", "fd11:22::1", "fd33::1", map[uint16]int{0x0402: 1, 0x0c00: 2, 0x0800: 1}, 0x0800, true},
		{"lowest cost", "fd11:22::1", "fd33::1", map[uint16]int{0x0402: 3, 0x0c00: 2, 0x0800: 4}, 0x0c00, true},
		{"cheap child", "fd11:22::1", "fd33::1", map[uint16]int{0x0402: 0, 0x0c00: 2, 0x0800: 4}, 0x0402, true},
		{"router before child", "fd11:22::1", "fd33::1", nil, 0x0800, true},
		{"preference before cost", "fd11:22::1", "fd44::1", map[uint16]int{0x1000: 9}, 0x1000, true},
		{"default router", "fd11:22::1", "2001:db8::1", nil, 0x0800, true},
		{"no default router", "fd99::1", "2001:db8::1", nil, 0, false},
		{"route without default router", "fd99::1", "fd33::1", nil, 0x0800, true},
		{"domain of its own", "fd98::1", "fd33:0:0:1::1", nil, 0x1800, true},
		{"no route in the domain", "fd98::1", "fd44::1", nil, 0x1400, true},
		{"longer route in another domain", "fd11:22::1", "fd33:0:0:1::1", nil, 0x0800, true},
		{"prefix withdrawn lately", "fd97::1", "fd33::1", nil, 0x0800, true},
		{"unknown source", "fd55::1", "fd33::1", nil, 0, false},
	}
	for _, tt := range tests {
		got, ok := d.Route(adr(tt.src), adr(tt.dst), func(r uint16) int { return tt.cost[r] })
		if got != tt.want || ok != tt.ok {
			t.Errorf("%s: %04x, %v", tt.name, got, ok)
		}
	}
	if got, ok := d.Route(adr("fd11:22::1"), adr("fd33::1"), nil); got != 0x0800 || !ok {
		t.Errorf("without costs %04x, %v", got, ok)
	}
	if !d.IsOnMesh(adr("fd11:22::1")) || d.IsOnMesh(adr("fd33::1")) {
		t.Error("on-mesh prefixes")
	}
	if got := d.BorderRouters(); !slices.Equal(got, []uint16{0x0400, 0x0800, 0x1400, 0x1000, 0x0402, 0x0c00, 0x1800}) {
		t.Errorf("border routers %04x", got)
	}
}

func TestSLAACPrefixes(t *testing.T) {
	d := Data{Prefixes: []Prefix{
		{Prefix: pfx("fd01::/64"), BorderRouters: []BorderRouter{
			{RLOC16: 0x0400, Flags: FlagSLAAC}, {RLOC16: 0x0800, Flags: FlagSLAAC | FlagPreferred | FlagOnMesh, Stable: true}}},
		{Prefix: pfx("fd02::/48"), BorderRouters: []BorderRouter{br(0x0400, FlagSLAAC)}},
		{Prefix: pfx("fd03::/64"), BorderRouters: []BorderRouter{br(0x0400, FlagDHCP|FlagPreferred)}},
		{Prefix: pfx("fd04::/64"), BorderRouters: []BorderRouter{br(0x0400, FlagSLAAC|FlagDomain)}},
		{Prefix: pfx("fd05::/64"), Domain: 3, BorderRouters: []BorderRouter{{RLOC16: 0x0400, Flags: FlagSLAAC}}},
	}}
	want := []SLAACPrefix{
		{Prefix: pfx("fd01::/64"), Preferred: true, OnMesh: true, Stable: true},
		{Prefix: pfx("fd05::/64"), Domain: 3},
	}
	if got := slices.Collect(d.SLAACPrefixes()); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestAnycast(t *testing.T) {
	d := Data{
		Prefixes: []Prefix{{
			Prefix: pfx("fd01::/64"), Context: &Context{ID: 2},
			BorderRouters: []BorderRouter{br(0x0400, FlagDHCP), br(0x0800, PrefixFlags(FlagConfigure).With(High)), br(0x0c01, FlagNDDNS)},
		}},
		Services: []Service{{ID: 3, Enterprise: 1, Servers: []Server{{RLOC16: 0x1401}, {RLOC16: 0x1000}}}},
	}
	for aloc, want := range map[uint16]uint16{
		0xfc02: 0x0800, // DHCPv6 agent of context 2
		0xfc41: 0x0c01, // neighbour discovery agent of context 2
		0xfc13: 0x1000, // service 3
		0xfc03: 0, 0xfc00: 0, 0xfc12: 0, 0xfc38: 0, 0xfc4f: 0, 0x0400: 0,
	} {
		if got, ok := d.Anycast(aloc, nil); got != want || ok != (want != 0) {
			t.Errorf("%04x leads to %04x, %v", aloc, got, ok)
		}
	}
	if ServiceALOC(3) != 0xfc13 {
		t.Errorf("locator of service 3 is %04x", ServiceALOC(3))
	}
}

func TestNAT64Prefix(t *testing.T) {
	nat := func(p string, pref Preference) Prefix {
		return Prefix{Prefix: pfx(p), HasRoutes: []HasRoute{{RLOC16: 0x0400, Flags: RouteNAT64.With(pref)}}}
	}
	d := Data{Prefixes: []Prefix{
		{Prefix: pfx("fd00::/96"), HasRoutes: []HasRoute{hr(0x0400, High)}}, // not NAT64
		nat("fd04::/96", Low), nat("fd03::/96", Medium), nat("fd02::/96", Medium), nat("fd01::/95", High),
	}}
	if p, ok := d.NAT64Prefix(); !ok || p != pfx("fd02::/96") {
		t.Errorf("%v, %v", p, ok)
	}
	d.Prefixes = d.Prefixes[:1]
	if p, ok := d.NAT64Prefix(); ok {
		t.Errorf("%v", p)
	}
}

func TestSRPServices(t *testing.T) {
	d := decode(t, srpWire)
	want := []SRPUnicast{{RLOC16: 0xe800, Addr: adr("fd00:db8:a:b:ec16:8115:5fc1:2122"), Port: 53536}}
	if got := d.SRPUnicasts(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}

	at := netip.AddrPortFrom(adr("fd00::1"), 53535)
	thread := func(id uint8, data []byte, servers ...Server) Service {
		return Service{ID: id, Enterprise: ThreadEnterprise, Data: data, Servers: servers}
	}
	d = Data{Services: []Service{
		thread(0, SRPUnicastService(),
			Server{RLOC16: 0x0400, Data: SRPUnicastServer(at, 1)},
			Server{RLOC16: 0x0800, Data: []byte{0xd1, 0x1f}}, // port only
			Server{RLOC16: 0x0c00},                           // says nothing
			Server{RLOC16: 0x1000, Data: make([]byte, 17)}),
		thread(1, SRPUnicastServiceAt(at, 0), Server{RLOC16: 0x1400}),
		thread(2, SRPAnycastService(7), Server{RLOC16: 0x0400}, Server{RLOC16: 0x0800, Data: []byte{2}}),
		thread(3, []byte{0x5c}, Server{RLOC16: 0x0400}), // without sequence number
		{ID: 4, Enterprise: 9, Data: SRPAnycastService(8), Servers: []Server{{RLOC16: 0x0400}}},
	}}
	want = []SRPUnicast{
		{RLOC16: 0x0400, Addr: at.Addr(), Port: 53535, Version: 1},
		{RLOC16: 0x0800, Port: 53535},
		{RLOC16: 0x1400, Addr: at.Addr(), Port: 53535, InServiceData: true},
	}
	if got := d.SRPUnicasts(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	any := []SRPAnycast{{RLOC16: 0x0400, ServiceID: 2, Sequence: 7}, {RLOC16: 0x0800, ServiceID: 2, Sequence: 7, Version: 2}}
	if got := d.SRPAnycasts(); !reflect.DeepEqual(got, any) {
		t.Errorf("%+v", got)
	}
}

func TestBackboneRouters(t *testing.T) {
	one := BackboneRouter{Sequence: 1, ReregistrationDelay: 5, MLRTimeout: 3600}
	two := BackboneRouter{Sequence: 2, ReregistrationDelay: 6, MLRTimeout: 300}
	d := Data{Services: []Service{{Enterprise: ThreadEnterprise, Data: BackboneRouterService(), Servers: []Server{
		{RLOC16: 0x0400, Data: one.ServerData()},
		{RLOC16: 0x0800, Data: two.ServerData()},
		{RLOC16: 0x0c00, Data: two.ServerData()},
		{RLOC16: 0x1000, Data: []byte{9, 0, 5, 0, 0, 0}}, // cut
	}}}}
	if n := len(d.BackboneRouters()); n != 3 {
		t.Errorf("%d Backbone Routers", n)
	}
	for leader, want := range map[uint16]uint16{0x0400: 0x0400, 0x0800: 0x0800, 0x2000: 0x0c00} {
		b, ok := d.PrimaryBackboneRouter(leader)
		if !ok || b.RLOC16 != want {
			t.Errorf("leader %04x: primary %+v, %v", leader, b, ok)
		}
	}
	b, _ := d.PrimaryBackboneRouter(0x0400)
	one.RLOC16 = 0x0400
	if b != one {
		t.Errorf("%+v, want %+v", b, one)
	}
	if _, ok := new(Data).PrimaryBackboneRouter(0); ok {
		t.Error("a Backbone Router in no data")
	}
}

func TestFind(t *testing.T) {
	d := decode(t, srpWire)
	if d.FindPrefix(pfx("fd11:22::/64")) != &d.Prefixes[0] || d.FindPrefix(pfx("fd11:22::/63")) != nil {
		t.Error("FindPrefix")
	}
	if d.FindService(ThreadEnterprise, []byte{0x5d}) != &d.Services[0] || d.FindService(1, []byte{0x5d}) != nil {
		t.Error("FindService")
	}
	if got := d.RLOC16s(); !slices.Equal(got, []uint16{0xe800}) {
		t.Errorf("servers %04x", got)
	}
}
