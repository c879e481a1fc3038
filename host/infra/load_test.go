package infra

import (
	"context"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"gatewayd/host/sysctl"
	"gatewayd/internal/netns"
	"gatewayd/ipv6"
	"gatewayd/ndp"
)

// A Follower that has put everything in place leaves the kernel alone.
func TestIdle(t *testing.T) {
	netns.Need(t)
	wire(t, "idl0", "idl1")
	keeper, err := sysctl.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer keeper.Close()
	r := run(t, Options{Names: []string{"idl0"}, Sysctl: keeper})
	defer r.stop()
	l := r.await(t, "idl0", "ready", ready)
	a := l.HostAddress(netip.MustParsePrefix("fd12::/64"))
	if err := r.SetAddresses("idl0", []Address{{Prefix: a, Until: time.Now().Add(time.Hour)}}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	done := make(chan struct{})
	defer close(done)
	addrs, routes := make(chan netlink.AddrUpdate, 16), make(chan netlink.RouteUpdate, 16)
	if err := netlink.AddrSubscribe(addrs, done); err != nil {
		t.Fatal(err)
	}
	if err := netlink.RouteSubscribe(routes, done); err != nil {
		t.Fatal(err)
	}
	again := func() {
		t.Helper()
		for range 5 {
			r.again()
			time.Sleep(20 * time.Millisecond)
		}
		if err := r.SetAddresses("idl0", []Address{{Prefix: a, Until: time.Now().Add(time.Hour)}}); err != nil {
			t.Fatal(err)
		}
	}
	again()
	select {
	case u := <-addrs:
		t.Errorf("changed %+v", u)
	case u := <-routes:
		t.Errorf("changed %+v", u)
	case <-time.After(200 * time.Millisecond):
	}
	netns.IP(t, "addr", "add", "fd13::1/64", "dev", "idl0", "nodad") // and a change is seen by this test
	select {
	case <-addrs:
	case <-time.After(2 * time.Second):
		t.Error("saw no change when there was one")
	}
}

// A flood of advertisements that nobody has time for holds up nothing else and
// is dropped by the kernel, not kept.
func TestFlood(t *testing.T) {
	netns.Need(t)
	wire(t, "fld0", "fld1")
	release := make(chan struct{})
	var got atomic.Int64
	f, err := New(Options{Names: []string{"fld0", "fld1"}, Receive: func(string, ndp.In) { got.Add(1); <-release }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	for range 500 {
		if l := f.Links(); l[0].Ready() && l[1].Ready() {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	l := f.Links()
	ra := ndp.RouterAdvert{Lifetime: time.Hour, Options: []ndp.Option{ndp.RouteInfo{Prefix: netip.MustParsePrefix("fd77::/64"), Lifetime: time.Hour}}}
	typ, code := ra.ICMP()
	out := ndp.Out{Src: l[1].LinkLocal, Dst: ipv6.AllNodesLinkLocal, Type: typ, Code: code, Body: ra.Append(nil)}
	for range 20000 {
		if err := f.Send("fld1", out); err != nil {
			t.Fatal(err)
		}
	}
	if n := got.Load(); n > 1 {
		t.Errorf("Receive was called %d times before it returned", n)
	}
	start := time.Now()
	if err := f.SetAddresses("fld0", []Address{{Prefix: netip.MustParsePrefix("fd12::1/64")}}); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("an address took %v", d)
	}
	close(release)
	cancel()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("Run does not end")
	}
	if n := got.Load(); n >= 20000 {
		t.Errorf("all %d messages were kept", n)
	}
}

func TestAltName(t *testing.T) {
	netns.Need(t)
	wire(t, "alt0", "alt1")
	netns.IP(t, "link", "property", "add", "dev", "alt0", "altname", "enx-the-long-name-of-it")
	r := run(t, Options{Names: []string{"enx-the-long-name-of-it"}})
	if l := r.await(t, "enx-the-long-name-of-it", "ready", ready); l.Name != "alt0" {
		t.Errorf("link %+v", l)
	}
}
