package api

import (
	"errors"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"gatewayd/border"
	"gatewayd/dnssd"
	"gatewayd/dnssd/srp"
	"gatewayd/gateway"
	"gatewayd/host/firewall"
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

func TestFilterOf(t *testing.T) {
	f := gateway.Filter{InForce: true, Dropped: &firewall.Counters{Spoofed: 1, Inbound: 2, Egress: 3, Other: 4},
		Policy: firewall.Policy{Inbound: firewall.InboundNone, Addresses: map[firewall.EUI64][]netip.Addr{{7: 2}: {netip.MustParseAddr("fd00::2")}, {7: 1}: nil}}}
	want := &Filter{InForce: true, Inbound: "none", Egress: "drop", Dropped: &FilterCounters{1, 2, 3, 4},
		Devices: []FilterDevice{{"0000000000000001", []string{}}, {"0000000000000002", []string{"fd00::2"}}}}
	if got := filterOf(&f, "drop"); !reflect.DeepEqual(got, want) {
		t.Errorf("\n%+v, want\n%+v", got, want)
	}
	f = gateway.Filter{Why: errors.New("no nftables"), Closed: true}
	if got := filterOf(&f, "accept"); got.InForce || !got.Closed || got.Problem != "no nftables" || got.Dropped != nil || got.Inbound != "local" {
		t.Errorf("%+v", got)
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
