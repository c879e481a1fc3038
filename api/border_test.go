package api

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"gatewayd/border"
	"gatewayd/dnssd"
	"gatewayd/dnssd/srp"
)

func TestBorderOf(t *testing.T) {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	st := border.Status{State: border.Running,
		OMR:   border.OMRStatus{Favored: netip.MustParsePrefix("fd00:1::/64")},
		Peers: []border.Peer{{RLOC16: 0x4400}},
		Links: []border.LinkStatus{{Name: "eth0", Up: true,
			OnLink:  border.OnLinkStatus{Favored: netip.MustParsePrefix("fd00:2::/64"), State: border.OnLinkAdvertising},
			Routers: []border.RouterStatus{{Addr: netip.MustParseAddr("fe80::1"), Reachable: true, Peer: true, Heard: now.Add(-time.Second)}}}},
	}
	st.Published.Route.Prefix = netip.MustParsePrefix("::/0")
	out := Border{Peers: []string{}, Links: []BorderLink{}}
	borderOf(&out, &st, now)
	want := Border{State: "running", OMR: "fd00:1::/64", Route: "::/0", Peers: []string{"0x4400"},
		Links: []BorderLink{{Name: "eth0", Up: true, OnLink: "fd00:2::/64", OnLinkState: "advertising",
			Routers: []BorderRouter{{Address: "fe80::1", Reachable: true, Peer: true, Age: 1}}}}}
	if !reflect.DeepEqual(out, want) {
		t.Errorf("\n%+v, want\n%+v", out, want)
	}
}

func TestRegistered(t *testing.T) {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	r := srp.Registration{Live: true, Expires: now.Add(time.Minute), Host: dnssd.Host{Name: "lamp", Addrs: []netip.Addr{netip.MustParseAddr("fd00::1")},
		Services: []dnssd.Service{{Instance: "Kitchen", Type: "_hap._udp", Subtypes: []string{"_x"}, Port: 5683}}}}
	want := RegisteredHost{Name: "lamp", Addresses: []string{"fd00::1"}, Left: 60,
		Services: []RegisteredService{{Instance: "Kitchen", Type: "_hap._udp", Subtypes: []string{"_x"}, Port: 5683}}}
	if got := registered(&r, now); !reflect.DeepEqual(got, want) {
		t.Errorf("\n%+v, want\n%+v", got, want)
	}
	r.Live = false
	if got := registered(&r, now); got.Left != 0 {
		t.Errorf("only the name: %+v", got)
	}
}
