package host

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatewayd/internal/netns"

	"github.com/vishvananda/netlink"
)

func TestSync(t *testing.T) {
	needNamespace(t)
	tun := open(t, Options{})
	pfx := netip.MustParsePrefix
	steps := []struct {
		name   string
		want   Config
		addrs  string
		routes string
	}{{
		name: "nothing",
	}, {
		name: "addresses and routes",
		want: Config{
			Addrs: []Address{
				{Prefix: pfx("fd00:1::1/64")},
				{Prefix: pfx("fe80::2/64"), OnLink: true},
			},
			Routes: []Route{{Dst: pfx("fd00:1::/64")}, {Dst: pfx("fd00:2::/60"), Metric: 77}},
		},
		addrs: `fd00:1::1/64 scope global nodad noprefixroute valid_lft forever preferred_lft forever
			fe80::2/64 scope link nodad valid_lft forever preferred_lft forever`,
		routes: `fd00:1::/64 proto 154 metric 128
			fd00:2::/60 proto 154 metric 77
			fe80::/64 proto kernel metric 256`,
	}, {
		name: "one deprecated, one longer, one route at another metric",
		want: Config{
			Addrs: []Address{
				{Prefix: pfx("fd00:1::1/64"), Deprecated: true},
				{Prefix: pfx("fe80::2/128"), OnLink: true},
			},
			Routes: []Route{{Dst: pfx("fd00:1::/64"), Metric: 128}, {Dst: pfx("fd00:2::/60"), Metric: 78}},
		},
		addrs: `fd00:1::1/64 scope global nodad deprecated dynamic noprefixroute valid_lft 2147483647sec preferred_lft 0sec
			fe80::2/128 scope link nodad valid_lft forever preferred_lft forever`,
		routes: `fd00:1::/64 proto 154 metric 128
			fd00:2::/60 proto 154 metric 78
			fe80::2 proto kernel metric 256`,
	}, {
		name: "preferred again, with the prefix's route; the default route",
		want: Config{
			Addrs:  []Address{{Prefix: pfx("fd00:1::1/64"), OnLink: true}},
			Routes: []Route{{Dst: pfx("::/0")}, {Dst: pfx("fd00:3::5/128")}},
		},
		addrs: `fd00:1::1/64 scope global nodad valid_lft forever preferred_lft forever`,
		routes: `fd00:1::/64 proto kernel metric 256
			fd00:3::5 proto 154 metric 128
			default proto 154 metric 1024`,
	}, {
		name: "nothing again",
	}}
	for _, st := range steps {
		t.Run(st.name, func(t *testing.T) {
			for range 2 {
				mustSync(t, tun, st.want)
				wantLines(t, "addresses", addresses(t, "wpan0"), st.addrs)
				wantLines(t, "routes", routes(t, "wpan0"), st.routes)
			}
		})
	}
}

// wantLines compares lines in any order, with a route's count down left out.
func wantLines(t *testing.T, what, got, want string) {
	t.Helper()
	set := func(s string) map[string]bool {
		m := map[string]bool{}
		for line := range strings.Lines(s) {
			line = strings.ReplaceAll(strings.TrimSpace(line), "2147483646sec", "2147483647sec")
			if line != "" {
				m[line] = true
			}
		}
		return m
	}
	g, w := set(got), set(want)
	for line := range g {
		if !w[line] {
			t.Errorf("%s: unexpected %q", what, line)
		}
	}
	for line := range w {
		if !g[line] {
			t.Errorf("%s: missing %q", what, line)
		}
	}
}

// A Sync with nothing to change tells the kernel nothing.
func TestSyncIdle(t *testing.T) {
	needNamespace(t)
	tun := open(t, Options{})
	config := Config{
		Addrs:  []Address{{Prefix: local}, {Prefix: netip.MustParsePrefix("fd00:2::2/64"), Deprecated: true}},
		Routes: []Route{{Dst: local.Masked()}, {Dst: netip.MustParsePrefix("::/0")}},
	}
	mustSync(t, tun, config)
	time.Sleep(50 * time.Millisecond) // the kernel's notices of it go by

	done := make(chan struct{})
	defer close(done)
	addrs, routes := make(chan netlink.AddrUpdate, 16), make(chan netlink.RouteUpdate, 16)
	if err := netlink.AddrSubscribe(addrs, done); err != nil {
		t.Fatal(err)
	}
	if err := netlink.RouteSubscribe(routes, done); err != nil {
		t.Fatal(err)
	}
	mustSync(t, tun, config)
	select {
	case u := <-addrs:
		t.Errorf("changed %+v", u)
	case u := <-routes:
		t.Errorf("changed %+v", u)
	case <-time.After(200 * time.Millisecond):
	}
	config.Routes = config.Routes[:1]
	mustSync(t, tun, config) // and a change is seen by this test
	select {
	case <-routes:
	case <-time.After(2 * time.Second):
		t.Error("saw no change when there was one")
	}
}

// What others put on the interface stays; what they took from us comes back.
func TestSyncOthers(t *testing.T) {
	needNamespace(t)
	tun := open(t, Options{})
	config := Config{Addrs: []Address{{Prefix: local}}, Routes: []Route{{Dst: local.Masked()}}}
	mustSync(t, tun, config)
	netns.IP(t, "addr", "add", "fd00:9::9/128", "dev", "wpan0", "nodad")
	netns.IP(t, "route", "add", "fd00:8::/64", "dev", "wpan0", "proto", "static")
	netns.IP(t, "addr", "del", "fd00:1::1/64", "dev", "wpan0")
	netns.IP(t, "route", "del", "fd00:1::/64", "dev", "wpan0")
	mustSync(t, tun, config)
	ours := "fd00:1::1/64 scope global nodad noprefixroute valid_lft forever preferred_lft forever\n"
	theirs := "fd00:9::9/128 scope global nodad valid_lft forever preferred_lft forever"
	wantLines(t, "addresses", addresses(t, "wpan0"), ours+theirs)
	wantLines(t, "routes", routes(t, "wpan0"), "fd00:1::/64 proto 154 metric 128\n"+
		"fd00:8::/64 proto static metric 1024\nfd00:9::9 proto kernel metric 256")

	netns.IP(t, "link", "set", "wpan0", "down") // the kernel drops all of it
	mustSync(t, tun, config)
	wantLines(t, "addresses", addresses(t, "wpan0"), ours)
	wantLines(t, "routes", routes(t, "wpan0"), "fd00:1::/64 proto 154 metric 128")

	mustSync(t, tun, Config{})
	wantLines(t, "addresses", addresses(t, "wpan0"), "")
}

func TestSyncRefuses(t *testing.T) {
	needNamespace(t)
	tun := open(t, Options{})
	good := Config{Addrs: []Address{{Prefix: local}}, Routes: []Route{{Dst: local.Masked()}}}
	mustSync(t, tun, good)
	pfx := netip.MustParsePrefix
	for want, c := range map[string]Config{
		"192.0.2.1/24 is no IPv6 address": {Addrs: []Address{{Prefix: pfx("192.0.2.1/24")}}},
		"ff02::1/64 is no IPv6 address":   {Addrs: []Address{{Prefix: pfx("ff02::1/64")}}},
		"invalid Prefix is no IPv6":       {Addrs: []Address{{}}},
		"address fd00::1 is wanted twice": {Addrs: []Address{{Prefix: pfx("fd00::1/64")}, {Prefix: pfx("fd00::1/128")}}},
		"fd00::1/64 metric 0 is no IPv6":  {Routes: []Route{{Dst: pfx("fd00::1/64")}}},
		"192.0.2.0/24 metric 0 is no":     {Routes: []Route{{Dst: pfx("192.0.2.0/24")}}},
		"fd00::1 is no IPv6 multicast":    {Groups: []netip.Addr{netip.MustParseAddr("fd00::1")}},
	} {
		if err := tun.Sync(c); err == nil || !strings.Contains(err.Error(), "host: "+want) {
			t.Errorf("%+v: %v, want %q", c, err, want)
		}
	}
	if a := addresses(t, "wpan0"); !strings.Contains(a, "fd00:1::1/64") {
		t.Errorf("refusing has changed the addresses: %q", a)
	}
}

// Two interfaces that want the same route at the same metric.
func TestSyncRouteTaken(t *testing.T) {
	needNamespace(t)
	first, second := open(t, Options{}), open(t, Options{Name: "wpan1"})
	c := Config{Routes: []Route{{Dst: local.Masked()}}}
	mustSync(t, first, c)
	c.Addrs = []Address{{Prefix: local}}
	err := second.Sync(c)
	if err == nil || !strings.Contains(err.Error(), "adding route fd00:1::/64 metric 128: another interface has it") {
		t.Errorf("Sync: %v", err)
	}
	wantLines(t, "addresses", addresses(t, "wpan1"),
		"fd00:1::1/64 scope global nodad noprefixroute valid_lft forever preferred_lft forever")
	c.Routes[0].Metric = 2000
	mustSync(t, second, c)
}
