package srp

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gatewayd/dnssd"
)

// A name belongs to the key that asked first, until the key's lease ends.
func TestFirstComeFirstServed(t *testing.T) {
	w := newWorld(t)
	first, second := w.client(), w.client()
	first.must(plain("a", "x"))
	for _, a := range []ask{plain("a"), plain("A"), plain("b", "x"), plain("b", "X"), with(plain("b"), func(a *ask) {
		a.remove = []dnssd.Service{{Instance: "x", Type: "_light._udp"}}
	})} {
		if code := second.send(a); code != YXDomain {
			t.Errorf("host %s with %v: code %d, want %d", a.host, a.services, code, YXDomain)
		}
	}
	if code := second.send(with(plain("b", "x"), func(a *ask) { a.services[0].Type = "_other._udp" })); code != NoError {
		t.Errorf("same instance of another type: code %d", code)
	}
	// The first one withdraws but keeps its names.
	first.must(with(plain("a", "x"), func(a *ask) { a.lease, a.key = 0, 3600 }))
	if got := w.list(); got != "b[x]" {
		t.Errorf("have %s", got)
	}
	w.pass(time.Hour - time.Second)
	if code := second.send(plain("a")); code != YXDomain {
		t.Errorf("name kept: code %d", code)
	}
	if code := second.send(plain("b", "x")); code != YXDomain {
		t.Errorf("service's name kept: code %d", code)
	}
	w.pass(time.Second)
	if code := second.send(plain("a", "x")); code != NoError {
		t.Errorf("name free: code %d, %v", code, w.lastError())
	}
	if n := w.server.Counters().Conflicts; n != 7 {
		t.Errorf("%d conflicts", n)
	}
}

// A device with a new key is not let in before the old one's lease ends, not
// even with the old one's signature on the new key.
func TestKeyChange(t *testing.T) {
	w := newWorld(t)
	old, young := w.client(), w.client()
	old.must(with(plain("a", "x"), func(a *ask) { a.lease, a.key = 60, 600 }))
	if code := young.send(plain("a", "x")); code != YXDomain {
		t.Fatalf("code %d", code)
	}
	forged := with(plain("c"), func(a *ask) {})
	b := old.message(forged)
	swapped := slices.Clone(b)
	i := strings.Index(string(b), string(old.public()))
	copy(swapped[i:], young.public())
	if code, _ := w.receive(peer, swapped); code != Refuse || !errors.Is(w.lastError(), ErrSignature) {
		t.Fatalf("code %d, %v", code, w.lastError())
	}
	w.pass(600 * time.Second)
	if code := young.send(plain("a", "x")); code != NoError {
		t.Fatalf("code %d, %v", code, w.lastError())
	}
}

func TestLeasesEnd(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	lasts := func(a ask, lease, key uint32) ask {
		a.lease, a.key = lease, key
		return a
	}
	c.must(lasts(plain("a", "x", "y"), 100, 1000))
	w.pass(50 * time.Second)
	c.must(lasts(plain("a", "y", "z"), 100, 1000)) // x is not mentioned
	steps := []struct {
		at   int // seconds
		list string
		told string
	}{
		{50, "a[x y z]", "updated a, updated a"},
		{99, "a[x y z]", ""},
		{100, "a[y z]", "updated a"},
		{149, "a[y z]", ""},
		{150, "", "removed a"},
	}
	for _, s := range steps {
		w.pass(began.Add(time.Duration(s.at) * time.Second).Sub(w.clock.Now()))
		if list, told := w.list(), w.told(); list != s.list || told != s.told {
			t.Errorf("after %d s: %q, told %q; want %q, %q", s.at, list, told, s.list, s.told)
		}
	}
	r := w.server.Hosts()
	if len(r) != 1 || len(r[0].Retained) != 3 || r[0].Live {
		t.Fatalf("%+v", r)
	}
	w.pass(850 * time.Second) // the name of x
	if r := w.server.Hosts(); len(r) != 1 || len(r[0].Retained) != 2 {
		t.Errorf("%+v", r)
	}
	w.pass(50 * time.Second)
	if r := w.server.Hosts(); len(r) != 0 {
		t.Errorf("%+v", r)
	}
	if at := w.clock.Deadline(); !at.IsZero() {
		t.Errorf("a timer runs for nothing, at %v", at)
	}
	if len(w.store.records) != 0 || w.told() != "" {
		t.Errorf("stored %v, told", w.store.records)
	}
	if n := w.server.Counters().Expired; n != 2 {
		t.Errorf("%d expired, want a service and a host", n)
	}
}

// Look-ups do not find what has ended, though the timer is late, and promise
// nothing beyond the lease.
func TestLookUp(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	a := plain("Lamp-1", "Kitchen Lamp")
	a.lease, a.services[0].Subtypes = 100, []string{"_dim", "_RGB"}
	c.must(a)
	c.must(with(plain("lamp-2", "bath"), func(a *ask) { a.lease = 50 }))
	w.clock.Set(began.Add(20 * time.Second))
	s := w.server
	browse := func(typ, subtype string) (out []string) {
		s.Browse(typ, subtype, func(v dnssd.Service) bool {
			out = append(out, fmt.Sprintf("%s/%v", v.Instance, v.TTL))
			return true
		})
		return out
	}
	if got := fmt.Sprint(browse("_LIGHT._udp", "")); got != "[bath/30s Kitchen Lamp/1m20s]" {
		t.Error(got)
	}
	if got := fmt.Sprint(browse("_light._udp", "_rgb")); got != "[Kitchen Lamp/1m20s]" {
		t.Error(got)
	}
	if got := browse("_light._udp", "_x"); got != nil {
		t.Error(got)
	}
	if h, ok := s.FindHost("LAMP-1"); !ok || h.Name != "Lamp-1" || len(h.Services) != 1 || h.TTL != 80*time.Second {
		t.Errorf("%+v, %v", h, ok)
	}
	if h, v, ok := s.FindService("kitchen lamp", "_light._UDP"); !ok || h.Name != "Lamp-1" || v.Port != 1234 || v.TTL != 80*time.Second || h.Services != nil {
		t.Errorf("%+v, %+v, %v", h, v, ok)
	}
	var types []string
	s.Types(func(typ string) bool { types = append(types, typ); return true })
	if fmt.Sprint(types) != "[_light._udp]" {
		t.Error(types)
	}
	w.clock.Set(began.Add(50 * time.Second)) // without firing
	if _, ok := s.FindHost("lamp-2"); ok {
		t.Error("a host after its lease")
	}
	if _, _, ok := s.FindService("bath", "_light._udp"); ok {
		t.Error("a service after its lease")
	}
	if got := fmt.Sprint(browse("_light._udp", "")); got != "[Kitchen Lamp/50s]" {
		t.Error(got)
	}
}

// Subtypes are those of the last update; a service goes by itself; the rest of
// the host stays.
func TestChanges(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	sub := func(subtypes ...string) ask {
		a := plain("a", "x", "y")
		a.services[0].Subtypes = subtypes
		return a
	}
	c.must(sub("_s1", "_s2"))
	c.must(sub("_s2", "_s1")) // told: the order is another
	c.must(sub("_s2", "_s1"))
	c.must(sub("_s2"))
	if got := w.server.Hosts()[0].Host.Services[0].Subtypes; fmt.Sprint(got) != "[_s2]" {
		t.Errorf("subtypes %v", got)
	}
	remove := plain("a")
	remove.remove = []dnssd.Service{{Instance: "x", Type: "_light._udp"}, {Instance: "unknown", Type: "_light._udp"}}
	c.must(remove)
	if got := w.list(); got != "a[y]" {
		t.Errorf("have %s", got)
	}
	if r := w.server.Hosts()[0].Retained; len(r) != 1 || r[0].Instance != "x" {
		t.Errorf("names kept: %+v", r)
	}
	c.must(plain("a", "x")) // it comes back
	// The same key's other host takes over a service.
	c.must(plain("b", "x"))
	if got := w.list(); got != "a[y] b[x]" {
		t.Errorf("have %s", got)
	}
	want := "updated a, updated a, renewed a, updated a, updated a, updated a, updated a, updated b"
	if got := w.told(); got != want {
		t.Errorf("told %s\nwant %s", got, want)
	}
	if !w.server.Forget("B") || w.server.Forget("b") {
		t.Error("forget")
	}
	if got := w.list() + ", " + w.told(); got != "a[y], removed b" {
		t.Error(got)
	}
	// Lease 0 takes services along that the update does not name.
	c.must(with(plain("a"), func(a *ask) { a.lease, a.key = 0, 0 }))
	if got := w.list() + ", " + w.told(); got != ", removed a" {
		t.Error(got)
	}
	// Short: no key lease of its own, so nothing is kept.
	c.must(with(plain("a", "x"), func(a *ask) { a.short = true }))
	c.must(with(plain("a"), func(a *ask) { a.short, a.lease = true, 0 }))
	if r := w.server.Hosts(); len(r) != 0 {
		t.Errorf("%+v", r)
	}
	// A name can be had without anything on it.
	c.must(with(plain("n"), func(a *ask) { a.addrs, a.lease, a.key = nil, 0, 60 }))
	if r := w.server.Hosts(); len(r) != 1 || r[0].Live {
		t.Errorf("%+v", r)
	}
}

func TestSubscribers(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	var one, two []string
	cancel := w.server.Subscribe(func(e Event) { one = append(one, fmt.Sprint(e.Kind, e.Host.Name, len(e.Host.Services))) })
	w.server.Subscribe(func(e Event) { two = append(two, e.Kind.String()) })
	c.must(plain("a", "x"))
	cancel()
	c.must(with(plain("a"), func(a *ask) { a.lease = 0 }))
	if got := fmt.Sprint(one, two); got != "[updateda1] [updated removed]" {
		t.Error(got)
	}
}

// Leases go on while the server is away.
func TestRestart(t *testing.T) {
	w := newWorld(t)
	c, other := w.client(), w.client()
	c.must(with(plain("a", "x", "y"), func(a *ask) {
		a.lease, a.services[0].Subtypes, a.addrs = 100, []string{"_s"}, []string{"fd00::1", "192.0.2.1"}
	}))
	c.must(with(plain("b", "z"), func(a *ask) { a.lease, a.key = 50, 200 }))
	c.must(with(plain("gone"), func(a *ask) { a.lease, a.key = 30, 40 }))
	before := w.server.Hosts()
	w.start()
	same := []cmp.Option{cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}), cmpopts.EquateEmpty()}
	if d := cmp.Diff(before, w.server.Hosts(), same...); d != "" {
		t.Fatal(d)
	}
	w.told()
	w.clock.Set(began.Add(60 * time.Second))
	w.start()
	if got := w.list(); got != "a[x y]" {
		t.Errorf("have %s", got)
	}
	if _, found := w.store.records["gone"]; found {
		t.Error("a name after its lease is still stored")
	}
	if code := other.send(plain("b")); code != YXDomain {
		t.Errorf("a name that is kept: code %d", code)
	}
	if _, _, ok := w.server.FindService("x", "_light._udp"); !ok {
		t.Error("a service is not found")
	}
	w.told()
	w.pass(40 * time.Second)
	if got := w.told(); got != "removed a" {
		t.Errorf("told %s", got)
	}
}

// Damage in the store costs what is damaged.
func TestDamagedStore(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	c.must(plain("a", "x"))
	c.must(plain("b", "y"))
	good := string(w.store.records["b"])
	for i, bad := range []string{
		"", "{}", "null", `{"name":"b"}`, "\x00",
		strings.Replace(good, `"name":"b"`, `"name":""`, 1),
		strings.Replace(good, `"key":"AgED`, `"key":"AAAA`, 1),
		strings.Replace(good, `"type":"_light._udp"`, `"type":"light"`, 1),
		strings.Replace(good, `"txt":"BHRlc3Q="`, `"txt":""`, 1),
		strings.Replace(good, `"keyExpiry":"2026-01-08T21:00:00Z"`, `"keyExpiry":"yesterday"`, 1),
		strings.Replace(good, `"name":"b"`, `"name":"a"`, 1),
	} {
		if bad == good {
			t.Fatalf("%d: nothing changed in %s", i, good)
		}
		w.store.records["b"] = []byte(bad)
		w.told()
		w.start()
		if got := w.list(); got != "a[x]" {
			t.Errorf("%d: have %s", i, got)
		}
		if got := w.told(); got != "record broken b" {
			t.Errorf("%d: told %s", i, got)
		}
	}
	w.store.records["b"] = []byte(strings.Replace(good, `"instance":"y"`, `"instance":"x"`, 1))
	w.start()
	if got := w.list(); got != "a[x] b[]" {
		t.Errorf("a service on two hosts: have %s", got)
	}
	w.store.err = errors.New("disk gone")
	if _, err := New(Config{Clock: &w.clock, Store: w.store}); err == nil || !strings.Contains(err.Error(), "disk gone") {
		t.Errorf("%v", err)
	}
}

// Without a disk, registrations go on.
func TestFailingStore(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	w.store.err = errors.New("disk full")
	c.must(plain("a"))
	if got := w.told(); got != "store failed a, updated a" {
		t.Errorf("told %s", got)
	}
	c.must(with(plain("a"), func(a *ask) { a.lease, a.key = 0, 0 }))
	if got := w.told(); got != "store failed a, removed a" {
		t.Errorf("told %s", got)
	}
}

// When the server is full, who is in stays in.
func TestFull(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxHosts, c.MaxServices = 2, 3 })
	c := w.client()
	c.must(plain("a", "x", "y"))
	c.must(plain("b", "z"))
	for _, a := range []ask{plain("c"), plain("a", "x", "new"), with(plain("c"), func(a *ask) { a.lease = 0 })} {
		if code := c.send(a); code != ServFail || !errors.Is(w.lastError(), ErrFull) {
			t.Errorf("code %d, %v", code, w.lastError())
		}
	}
	c.must(plain("a", "x", "y"))
	var many []string
	for i := range maxServicesPerHost/2 + 1 {
		many = append(many, fmt.Sprint("s", i))
	}
	w = newWorld(t)
	c = w.client()
	for i := 0; i < len(many); i += 10 {
		c.must(plain("a", many[i:min(i+10, len(many))]...))
	}
	for i := range many {
		many[i] = "t" + many[i]
	}
	code := NoError
	for i := 0; i < len(many) && code == NoError; i += 10 {
		code = c.send(plain("a", many[i:min(i+10, len(many))]...))
	}
	if _, services := w.server.Len(); code != ServFail || services > maxServicesPerHost || !errors.Is(w.lastError(), ErrTooMany) {
		t.Errorf("code %d, %d services, %v", code, services, w.lastError())
	}
}

// One device that registers all it can leaves room to others.
func TestGreedyDevice(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	send := func(i int) RCode {
		return c.send(plain(fmt.Sprint("h", i), fmt.Sprint("s", i)))
	}
	i := 0
	for ; i < 1000 && send(i) == NoError; i++ {
	}
	if i != defaultPerSource/2 || !errors.Is(w.lastError(), ErrTooMany) {
		t.Errorf("%d hosts with a service each, %v", i, w.lastError())
	}
	if code := send(0); code != NoError {
		t.Errorf("renewing: code %d", code)
	}
	if code := c.send(with(plain("x"), func(a *ask) { a.lease = 0 })); code != ServFail {
		t.Errorf("a mere name: code %d", code)
	}
	// Another one's name moves over only if there is room.
	c.from = netip.MustParseAddrPort("[fd00::2]:1")
	if code := send(i); code != NoError {
		t.Errorf("another address: code %d, %v", code, w.lastError())
	}
	c.from = peer
	if code := send(i); code != ServFail {
		t.Errorf("moving there: code %d", code)
	}
	c.must(with(plain("h0"), func(a *ask) { a.lease, a.key = 0, 0 }))
	if code := send(i); code != NoError {
		t.Errorf("after one was given up: code %d, %v", code, w.lastError())
	}
	w.pass(200 * time.Hour)
	if n := len(w.server.regs.sources); n != 0 {
		t.Errorf("%d sources are left", n)
	}
}

// Ten thousand services: memory is bounded, there is nothing to do at rest, and
// all of them renewing takes far less than 1 % of the time between renewals.
func TestTenThousandServices(t *testing.T) {
	const n = 10_000
	w := newWorld(t)
	c := w.client()
	register := func() {
		for i := range n {
			a := plain(fmt.Sprintf("host-%d", i), fmt.Sprintf("service %d", i))
			b := c.message(a)
			peer := netip.AddrPortFrom(netip.AddrFrom16([16]byte{0: 0xfd, 14: byte(i >> 8), 15: byte(i)}), 49153)
			if code, _ := w.receive(peer, b); code != NoError {
				t.Fatalf("%d: code %d, %v", i, code, w.lastError())
			}
			w.events = nil
		}
	}
	heap := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := heap()
	register()
	w.store.records = nil // not the server's memory
	each := (heap() - before) / n
	hosts, services := w.server.Len()
	if hosts != n || services != n {
		t.Fatalf("%d hosts, %d services", hosts, services)
	}
	if code := c.send(plain("one-more", "one more")); code != ServFail {
		t.Errorf("one more host: code %d", code)
	}
	found := 0
	w.server.Browse("_light._udp", "", func(dnssd.Service) bool { found++; return true })
	if found != n {
		t.Errorf("%d found", found)
	}
	if at := w.clock.Deadline(); !at.Equal(began.Add(2 * time.Hour)) {
		t.Errorf("something to do at %v", at)
	}
	w.store.records = map[string][]byte{}
	start := time.Now()
	w.pass(2 * time.Hour)
	took := time.Since(start)
	if w.list() != "" {
		t.Error("something is left")
	}
	t.Logf("%d bytes for each host with its service, %v for all to expire", each, took)
	if each > 3000 {
		t.Errorf("%d bytes for each host with its service", each)
	}
}
