package infra

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/host/sysctl"
	"gatewayd/internal/netns"
)

// has reports whether the interface has an address with these words in ip's
// line of it.
func has(t *testing.T, iface, address string, words ...string) bool {
	t.Helper()
	for line := range strings.Lines(netns.IP(t, "-6", "-o", "addr", "show", "dev", iface)) {
		f := strings.Fields(line)
		if slices.Contains(f, address) && !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(f, w) }) {
			return true
		}
	}
	return false
}

func TestAddresses(t *testing.T) {
	netns.Need(t)
	wire(t, "adr0", "adr1")
	r := run(t, Options{Names: []string{"adr0"}})
	l := r.await(t, "adr0", "ready", ready)
	p := netip.MustParsePrefix("fd12:3456::/64")
	mine := l.HostAddress(p)
	if !p.Contains(mine.Addr()) || mine.Addr().As16()[15] != l.LinkLocal.As16()[15] {
		t.Fatalf("address %v of link-local %v", mine, l.LinkLocal)
	}
	set := func(list ...Address) {
		t.Helper()
		if err := r.SetAddresses("adr0", list); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	a := Address{Prefix: mine, Preferred: now.Add(900 * time.Second), Until: now.Add(1800 * time.Second)}
	set(a)
	if !has(t, "adr0", mine.String(), "preferred_lft", "900sec", "1800sec") {
		t.Errorf("added: %s", netns.IP(t, "-6", "addr", "show", "dev", "adr0"))
	}
	r.await(t, "adr0", "told of ours", func(l Link) bool {
		return slices.ContainsFunc(l.Addrs, func(a Addr) bool { return a.Prefix == mine && a.Ours })
	})
	if s := netns.IP(t, "-6", "route", "show", "dev", "adr0"); !strings.Contains(s, "fd12:3456::/64 proto 154 metric 513 expires 1") {
		t.Errorf("no route for the prefix: %s", s)
	}

	a.Preferred = now // deprecated
	set(a)
	if !has(t, "adr0", mine.String(), "deprecated", "1800sec") {
		t.Errorf("deprecated: %s", netns.IP(t, "-6", "addr", "show", "dev", "adr0"))
	}
	a.Preferred, a.Until = time.Time{}, time.Time{} // for ever
	set(a)
	if !has(t, "adr0", mine.String(), "3600sec") && !has(t, "adr0", mine.String(), "3599sec") || has(t, "adr0", mine.String(), "deprecated") {
		t.Errorf("for ever: %s", netns.IP(t, "-6", "addr", "show", "dev", "adr0"))
	}

	// What others put there stays, what they remove comes back.
	netns.IP(t, "addr", "add", "2001:db8::9/64", "dev", "adr0", "nodad")
	netns.IP(t, "addr", "del", mine.String(), "dev", "adr0")
	r.await(t, "adr0", "repaired", func(l Link) bool {
		return slices.ContainsFunc(l.Addrs, func(a Addr) bool { return a.Prefix == mine })
	})
	netns.IP(t, "link", "set", "adr0", "down") // the kernel drops them
	r.await(t, "adr0", "down", func(l Link) bool { return !l.Up })
	netns.IP(t, "link", "set", "adr0", "up")
	r.await(t, "adr0", "repaired", func(l Link) bool {
		return l.Ready() && slices.ContainsFunc(l.Addrs, func(a Addr) bool { return a.Prefix == mine })
	})
	netns.IP(t, "addr", "add", "2001:db8::9/64", "dev", "adr0", "nodad")
	set()
	if has(t, "adr0", mine.String()) || !has(t, "adr0", "2001:db8::9/64") {
		t.Errorf("removed: %s", netns.IP(t, "-6", "addr", "show", "dev", "adr0"))
	}

	if err := r.SetAddresses("adr9", nil); err == nil {
		t.Error("a link that is not followed took addresses")
	}
	for _, bad := range []string{"192.0.2.1/24", "ff02::1/64", "::/64"} {
		if err := r.SetAddresses("adr0", []Address{{Prefix: netip.MustParsePrefix(bad)}}); err == nil {
			t.Errorf("took %s for an address", bad)
		}
	}
}

// An address that the other end has already is reported, and not fought over.
func TestAddressTaken(t *testing.T) {
	netns.Need(t)
	wire(t, "tkn0", "tkn1")
	netns.Set(t, "ipv6/conf/tkn0/accept_dad", "1")
	netns.Set(t, "ipv6/conf/tkn0/dad_transmits", "1")
	r := run(t, Options{Names: []string{"tkn0"}})
	r.await(t, "tkn0", "ready", ready)
	netns.IP(t, "addr", "add", "fd99::1/64", "dev", "tkn1", "nodad")
	a := netip.MustParsePrefix("fd99::1/64")
	if err := r.SetAddresses("tkn0", []Address{{Prefix: a}}); err != nil {
		t.Fatal(err)
	}
	r.await(t, "tkn0", "told of the duplicate", func(l Link) bool {
		return slices.ContainsFunc(l.Addrs, func(a Addr) bool { return a.Duplicate })
	})
}

// The kernel is told anew before what it was told ends, and not all the time.
func TestLasts(t *testing.T) {
	now := time.Now()
	in := func(d time.Duration) time.Time { return now.Add(d) }
	for _, tt := range []struct {
		name        string
		told, until time.Time
		want        bool
	}{
		{"never told", time.Time{}, time.Time{}, false},
		{"for ever, just told", in(lease), time.Time{}, true},
		{"for ever, half over", in(lease / 2), time.Time{}, false},
		{"longer than a lease", in(lease - time.Minute), in(3 * lease), true},
		{"as told", in(time.Minute), in(time.Minute + time.Second), true},
		{"shortened", in(lease), in(time.Minute), false},
		{"lengthened", in(time.Minute), in(time.Hour), false},
	} {
		if got := lasts(now, tt.told, tt.until); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	if got := leased(now, in(time.Minute)); got != in(time.Minute) {
		t.Errorf("leased to %v", got)
	}
	if got := leased(now, time.Time{}); got != in(lease) {
		t.Errorf("leased to %v", got)
	}
}

func TestUnreachable(t *testing.T) {
	netns.Need(t)
	r := run(t, Options{})
	p := netip.MustParsePrefix("2001:db8:100::/56")
	if err := r.SetUnreachable([]netip.Prefix{p}); err != nil {
		t.Fatal(err)
	}
	if s := netns.IP(t, "-6", "route", "show", "type", "unreachable"); !strings.Contains(s, "2001:db8:100::/56") || !strings.Contains(s, "proto 154") {
		t.Errorf("routes %q", s)
	}
	for _, wide := range []string{"::/0", "fc00::/7", "2000::/3", "10.0.0.0/8"} {
		if err := r.SetUnreachable([]netip.Prefix{netip.MustParsePrefix(wide)}); err == nil {
			t.Errorf("took %s", wide)
		}
	}
	r.stop()
	if s := netns.IP(t, "-6", "route", "show", "type", "unreachable"); s != "" {
		t.Errorf("left %q", s)
	}
}

// A prefix is on a link without an address of it, as long as that is said.
func TestOnLink(t *testing.T) {
	netns.Need(t)
	wire(t, "onl0", "onl1")
	r := run(t, Options{Names: []string{"onl0"}})
	r.await(t, "onl0", "ready", ready)
	p := netip.MustParsePrefix("fd00:7d03:7d03:7d03::/64")
	if err := r.SetOnLink("onl0", []netip.Prefix{p}); err != nil {
		t.Fatal(err)
	}
	has := func() bool {
		return strings.Contains(netns.IP(t, "-6", "route", "show", "dev", "onl0"), p.String()+" proto 154 metric 513")
	}
	if !has() || strings.Contains(netns.IP(t, "-6", "addr", "show", "dev", "onl0"), "fd00:7d03") {
		t.Errorf("routes %q", netns.IP(t, "-6", "route", "show", "dev", "onl0"))
	}
	if err := r.SetOnLink("onl0", nil); err != nil || has() {
		t.Errorf("%v; routes %q", err, netns.IP(t, "-6", "route", "show", "dev", "onl0"))
	}
	for _, wide := range []string{"::/0", "fc00::/7", "10.0.0.0/8"} {
		if err := r.SetOnLink("onl0", []netip.Prefix{netip.MustParsePrefix(wide)}); err == nil {
			t.Errorf("took %s", wide)
		}
	}
	if err := r.SetOnLink("onl9", []netip.Prefix{p}); err == nil {
		t.Error("took a link that there is not")
	}
	if err := r.SetOnLink("onl0", []netip.Prefix{p}); err != nil || !has() {
		t.Fatal(err)
	}
	r.stop()
	if has() {
		t.Errorf("left %q", netns.IP(t, "-6", "route", "show", "dev", "onl0"))
	}
}

func TestSettings(t *testing.T) {
	netns.Need(t)
	wire(t, "set0", "set1")
	wire(t, "oth0", "oth1")
	before := sysctls(t)
	keeper, err := sysctl.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, Options{Names: []string{"set0"}, Sysctl: keeper, NAT64: true})
	r.await(t, "set0", "ready", ready)
	for key, want := range map[string]string{
		"ipv6/conf/all/forwarding":                  "1",
		"ipv6/conf/set0/forwarding":                 "1",
		"ipv6/conf/set0/accept_ra":                  "2",
		"ipv6/conf/set0/accept_ra_rt_info_max_plen": "64",
		"ipv4/conf/set0/forwarding":                 "1",
		"ipv4/ip_forward":                           "0", // nobody else's affair
		"ipv6/conf/oth0/forwarding":                 "0",
		"ipv6/conf/oth0/accept_ra":                  "1",
	} {
		if got := netns.Setting(t, key); got != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}

	// Renamed, and gone and back.
	netns.IP(t, "link", "set", "set0", "down")
	netns.IP(t, "link", "set", "set0", "name", "ren0")
	r.await(t, "set0", "renamed", func(l Link) bool { return l.Name == "ren0" })
	netns.IP(t, "link", "set", "ren0", "name", "set0", "up")
	r.await(t, "set0", "ready", ready)
	netns.IP(t, "link", "del", "set0")
	r.await(t, "set0", "gone", func(l Link) bool { return l.Index == 0 })
	wire(t, "set0", "set1")
	r.await(t, "set0", "ready", ready)
	if got := netns.Setting(t, "ipv6/conf/set0/accept_ra"); got != "2" {
		t.Errorf("accept_ra of the new interface is %s", got)
	}
	r.stop()
	if err := keeper.Close(); err != nil {
		t.Error(err)
	}
	same(t, "settings", before, sysctls(t))
}
