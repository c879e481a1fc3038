package mdns

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/dnssd"
)

// names are the labels of a registration's host and services.
func names(r *Registration) string {
	st := r.Status()
	s := []string{fmt.Sprintf("%s %v", st.Host, st.State)}
	for _, x := range st.Services {
		s = append(s, fmt.Sprintf("%s %v", x.Instance, x.State))
	}
	return strings.Join(s, ", ")
}

// Who comes later takes another name, and who was there keeps it.
func TestRename(t *testing.T) {
	n := newNetwork(t)
	a, b := n.add("a", Config{}, 1), n.add("b", Config{}, 1)
	ra := a.publish("x", lamp(7), Options{})
	n.run(5 * time.Second)
	n.take()
	h := lamp(7)
	h.Addrs = addrs("fd00::8")
	h.Services[0].Port = 8
	rb := b.publish("x", h, Options{})
	n.run(10 * time.Second)
	if got, want := names(ra)+"; "+names(rb), "sensor-7 established, Lamp 7 established; sensor-7-2 established, Lamp 7 (2) established"; got != want {
		t.Errorf("names are %s, want %s", got, want)
	}
	got := lines(n.take())
	if !strings.Contains(got, "!Lamp 7 (2)._hap._udp.local. 120 SRV 0 0 8 sensor-7-2.local.") || strings.Contains(got, " 0 PTR") {
		t.Errorf("sent:\n%s", got)
	}
	if c := b.Counters(); c.Conflicts != 2 {
		t.Errorf("%d conflicts, want 2", c.Conflicts)
	}
	// A third one finds both taken.
	c := n.add("c", Config{}, 1)
	h.Services[0].Port = 9
	h.Addrs = addrs("fd00::9")
	rc := c.publish("x", h, Options{})
	n.run(20 * time.Second)
	if got, want := names(rc), "sensor-7-3 established, Lamp 7 (3) established"; got != want {
		t.Errorf("names are %s, want %s", got, want)
	}
	// Published again, the names stay as they are.
	b.publish("x", h, Options{})
	n.run(5 * time.Second)
	if got, want := names(rb), "sensor-7-2 established, Lamp 7 (2) established"; got != want {
		t.Errorf("names are %s, want %s", got, want)
	}
}

// Who has a name is not heard while the link has one of IPv4 and IPv6 only:
// names are probed for anew when it gets the other.
func TestRenameWithFamily(t *testing.T) {
	n := newNetwork(t)
	a := n.add("a", Config{}, 1)
	a.publish("x", lamp(7), Options{})
	n.run(5 * time.Second)
	n.loss = 1 // others hear IPv4 only
	b := n.add("b", Config{}, 1)
	h := lamp(7)
	h.Addrs, h.Services[0].Port = addrs("fd00::8"), 8
	r := b.publish("x", h, Options{})
	n.run(5 * time.Second)
	if got, want := names(r), "sensor-7 established, Lamp 7 established"; got != want {
		t.Errorf("alone, names are %s, want %s", got, want)
	}
	n.loss = 0
	i := b.Machine.links[0].Interface
	i.V4 = true
	b.SetInterfaces([]Interface{i})
	n.run(10 * time.Second)
	if got, want := names(r), "sensor-7-2 established, Lamp 7 (2) established"; got != want {
		t.Errorf("names are %s, want %s", got, want)
	}
}

func TestRenamePolicy(t *testing.T) {
	n := newNetwork(t)
	a, b := n.add("a", Config{}, 1), n.add("b", Config{}, 1)
	a.publish("x", lamp(7), Options{})
	n.run(5 * time.Second)
	h := lamp(7)
	h.Addrs, h.Services[0].Port = addrs("fd00::8"), 8
	var asked []Conflict
	r := b.publish("x", h, Options{Rename: func(c Conflict) (string, bool) {
		asked = append(asked, c)
		return "other", c.Type == ""
	}})
	changes := 0
	r.opt.Changed = func(*Registration) { changes++ }
	n.run(10 * time.Second)
	if got, want := names(r), "other established, Lamp 7 given up"; got != want {
		t.Errorf("names are %s, want %s", got, want)
	}
	want := []Conflict{
		{Owner: "x", Iface: 1, Requested: "sensor-7", Current: "sensor-7", Count: 1},
		{Owner: "x", Iface: 1, Type: "_hap._udp", Requested: "Lamp 7", Current: "Lamp 7", Count: 1},
	}
	if !slices.Equal(asked, want) || changes != 3 {
		t.Errorf("asked of %+v, want %+v; told %d times", asked, want, changes)
	}
	// The other goes; who gave up may try again.
	a.Stop()
	n.run(5 * time.Second)
	b.publish("x", h, Options{})
	n.run(5 * time.Second)
	if got, want := names(r), "other established, Lamp 7 established"; got != want {
		t.Errorf("names are %s, want %s", got, want)
	}
	// A host that gives up takes its services along.
	c := n.add("c", Config{}, 1)
	h = lamp(7)
	h.Name, h.Services[0].Instance = "other", "Another"
	rc := c.publish("x", h, Options{Rename: func(Conflict) (string, bool) { return "", false }})
	n.run(5 * time.Second)
	if got, want := names(rc), "other given up, Another given up"; got != want {
		t.Errorf("names are %s, want %s", got, want)
	}
}

// Two who publish the same data agree (RFC 6762 Section 9).
func TestSameDataIsNoConflict(t *testing.T) {
	n := newNetwork(t)
	a, b := n.add("a", Config{}, 1), n.add("b", Config{}, 1)
	ra := a.publish("x", lamp(7), Options{})
	n.run(3 * time.Second)
	rb := b.publish("x", lamp(7), Options{})
	n.run(3 * time.Second)
	if got, want := names(ra)+"; "+names(rb), "sensor-7 established, Lamp 7 established; sensor-7 established, Lamp 7 established"; got != want {
		t.Errorf("names are %s, want %s", got, want)
	}
	// One says goodbye, the other says that it is there (Section 6.6).
	n.take()
	ra.Unpublish()
	n.run(3 * time.Second)
	got := lines(n.take())
	if !strings.Contains(got, "b: ") || !strings.Contains(got[strings.Index(got, "b: "):], lampSRV) {
		t.Errorf("sent:\n%s", got)
	}
	if c := a.Counters().Conflicts + b.Counters().Conflicts; c != 0 {
		t.Errorf("%d conflicts", c)
	}
}

// Both probe at once: the lexicographically later data wins (RFC 6762
// Section 8.2), whoever was first.
func TestSimultaneousProbes(t *testing.T) {
	for _, tt := range []struct {
		a, b  string // addresses
		loser int
	}{
		{"fd00::1", "fd00::2", 0},
		{"fd00::2", "fd00::1", 1},
		{"fd00::ff", "fd00::1:0", 0},
	} {
		for seed := range uint64(5) {
			n := newNetwork(t)
			a, b := n.add("a", Config{}, 1), n.add("b", Config{}, 1)
			b.cfg.Rand = rand.New(rand.NewPCG(seed, 9))
			ra := a.publish("x", dnssd.Host{Name: "gw", Addrs: addrs(tt.a)}, Options{})
			rb := b.publish("x", dnssd.Host{Name: "gw", Addrs: addrs(tt.b)}, Options{})
			n.run(10 * time.Second)
			want := []string{"gw established; gw-2 established", "gw-2 established; gw established"}[1-tt.loser]
			if got := names(ra) + "; " + names(rb); got != want {
				t.Errorf("%v, seed %d: names are %s, want %s", tt, seed, got, want)
			}
			if d := [...]uint64{a.Counters().Deferred, b.Counters().Deferred}; d[tt.loser] == 0 || d[1-tt.loser] != 0 {
				t.Errorf("%v, seed %d: deferred %v", tt, seed, d)
			}
		}
	}
}

func TestTieBreakOrder(t *testing.T) {
	rec := func(typ uint16, data string) Record { return Record{Type: typ, Class: ClassIN, Data: data} }
	// RFC 6762 Section 8.2.1: the example's and such that differ otherwise.
	for _, tt := range []struct {
		ours, theirs []Record
		lost         bool
	}{
		{[]Record{rec(TypeA, "\xa9\xfe\x63\xc8")}, []Record{rec(TypeA, "\xa9\xfe\xc8\x32")}, true}, // bytes have no sign
		{[]Record{rec(TypeA, "\xa9\xfe\xc8\x32")}, []Record{rec(TypeA, "\xa9\xfe\x63\xc8")}, false},
		{[]Record{rec(TypeA, "\x01\x01\x01\x01")}, []Record{rec(TypeA, "\x01\x01\x01\x01")}, false},
		{[]Record{rec(TypeA, "\xff\xff\xff\xff")}, []Record{rec(TypeAAAA, strings.Repeat("\x00", 16))}, true}, // type first
		{[]Record{rec(TypeA, "\x01\x01\x01\x01")}, []Record{rec(TypeA, "\x01\x01\x01\x01"), rec(TypeA, "\x00\x00\x00\x00")}, false},
		{[]Record{rec(TypeA, "\x01\x01\x01\x01")}, []Record{rec(TypeA, "\x01\x01\x01\x01"), rec(TypeA, "\x02\x00\x00\x00")}, true}, // more wins
		{[]Record{rec(TypeTXT, "\x01")}, []Record{rec(TypeTXT, "\x01a")}, true},
	} {
		if lost := slices.CompareFunc(sorted(tt.ours), sorted(tt.theirs), lexical) < 0; lost != tt.lost {
			t.Errorf("%v against %v: lost %v", tt.ours, tt.theirs, lost)
		}
	}
}

// A network that was two becomes one: both have the name.
func TestMerge(t *testing.T) {
	n := newNetwork(t)
	a, b := n.add("a", Config{}, 1), n.add("b", Config{}, 1)
	a.down = true
	ra := a.publish("x", dnssd.Host{Name: "gw", Addrs: addrs("fd00::1")}, Options{})
	n.run(5 * time.Second)
	a.down, b.down = false, true
	rb := b.publish("x", dnssd.Host{Name: "gw", Addrs: addrs("fd00::2")}, Options{})
	n.run(500 * time.Millisecond)
	b.down = false
	b.SetInterfaces(nil) // its cable is moved: it probes anew
	b.up()
	n.run(10 * time.Second)
	if got, want := names(ra)+"; "+names(rb), "gw established; gw-2 established"; got != want {
		t.Errorf("names are %s, want %s", got, want)
	}
	// Somebody who does not probe takes ours: we probe, nobody answers, and it
	// is ours again.
	n.take()
	n.hear(a, Message{Response: true, Answers: []Record{{name("gw.local."), TypeAAAA, ClassIN, true, time.Minute, string(addrs("fd00::3")[0].AsSlice())}}})
	n.run(10 * time.Second)
	if got, want := names(ra), "gw established"; got != want {
		t.Errorf("names are %s, want %s", got, want)
	}
	if got := n.take(); len(got) != 5 { // three probes, two announcements
		t.Errorf("sent:\n%s", lines(got))
	}
	// It insists: it answers our probe.
	n.hear(a, Message{Response: true, Answers: []Record{{name("gw.local."), TypeAAAA, ClassIN, true, time.Minute, string(addrs("fd00::3")[0].AsSlice())}}})
	n.run(300 * time.Millisecond)
	n.hear(a, Message{Response: true, Answers: []Record{{name("gw.local."), TypeAAAA, ClassIN, true, time.Minute, string(addrs("fd00::3")[0].AsSlice())}}})
	n.run(10 * time.Second)
	if got, want := names(ra), "gw-3 established"; got != want {
		t.Errorf("names are %s, want %s", got, want)
	}
}

// Who fights for every name slows us down (RFC 6762 Section 8.1), and no more.
func TestConflictStorm(t *testing.T) {
	n := newNetwork(t)
	a := n.add("a", Config{}, 1)
	r := a.publish("x", dnssd.Host{Name: "gw", Addrs: addrs("fd00::1")}, Options{})
	for range 60 * 20 {
		n.run(50 * time.Millisecond)
		c := r.claims[""]
		n.hear(a, Message{Response: true, Answers: []Record{{c.name, TypeAAAA, ClassIN, true, time.Minute, string(addrs("fd00::3")[0].AsSlice())}}})
	}
	c := a.Counters()
	if c.Conflicts < stormCount || c.Conflicts > stormCount+15 {
		t.Errorf("%d conflicts in a minute", c.Conflicts)
	}
	n.run(time.Minute)
	if r.Status().State != Established {
		t.Errorf("names are %s", names(r))
	}
}

// Defence is at once, and not held back by the limit of one a second.
func TestDefence(t *testing.T) {
	n, a := established(t)
	n.hear(a, query(asks("sensor-7.local.", TypeAAAA)))
	n.run(300 * time.Millisecond)
	n.take()
	at := n.clock.Now().Sub(start)
	m := query(asks("sensor-7.local.", TypeANY))
	m.Authorities = []Record{{name("sensor-7.local."), TypeAAAA, ClassIN, false, time.Minute, string(addrs("fd00::3")[0].AsSlice())}}
	n.hear(a, m)
	n.run(100 * time.Millisecond)
	ps := n.take()
	if len(ps) != 1 || ps[0].at != at || !strings.HasPrefix(ps[0].String(), "a: !"+lampAAAA) {
		t.Errorf("sent:\n%s", lines(ps))
	}
}

// On two links that are one, nobody is in conflict with oneself; on two that
// are two, each has its own addresses.
func TestTwoLinks(t *testing.T) {
	n := newNetwork(t)
	a, b, c := n.add("a", Config{}, 1, 2), n.add("b", Config{}, 1), n.add("c", Config{}, 2)
	r := a.publish("self", dnssd.Host{Name: "gw"}, Options{LinkAddrs: true})
	only := a.publish("only", lamp(7), Options{Interfaces: []int{2}})
	n.run(10 * time.Second)
	got := map[string]string{}
	for _, nd := range []*node{b, c} {
		for _, host := range []string{"gw", "sensor-7"} {
			if _, err := nd.ResolveHost(host, func(ev Event) {
				got[nd.name] += fmt.Sprint(ev.Kind, ev.Host, ev.Addrs)
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	n.run(10 * time.Second)
	if got["b"] != "addedgw.local.[192.0.1.1 fe80::1:1]" || got["c"] != "addedgw.local.[192.0.2.1 fe80::2:1]addedsensor-7.local.[fd00::7]" {
		t.Errorf("found %q", got)
	}
	if s := names(r) + names(only); strings.Contains(s, "probing") {
		t.Errorf("names are %s", s)
	}

	// A cable joins them: what a says on one comes to it on the other.
	join := func(p packet) {
		other := 3 - p.iface
		src := netip.AddrPortFrom(a.addr(p.iface), Port)
		n.clock.After(time.Millisecond, func() { a.Receive(other, src, Group6, p.b) })
	}
	n.take()
	a.SetInterfaces(nil)
	a.up()
	for range 400 {
		n.run(10 * time.Millisecond)
		for _, p := range n.take() {
			if p.from == "a" {
				join(p)
			}
		}
	}
	if s := names(r); s != "gw established" || a.Counters().Conflicts != 0 {
		t.Errorf("names are %s, after %d conflicts", s, a.Counters().Conflicts)
	}
	// An address that goes on one link flushes there alone.
	n.take()
	a.SetInterfaces([]Interface{
		{Index: 1, Addrs: []netip.Prefix{netip.MustParsePrefix("fe80::1:1/64")}},
		{Index: 2, Addrs: []netip.Prefix{netip.MustParsePrefix("fe80::2:1/64"), netip.MustParsePrefix("192.0.2.1/24")}, V6: true},
	})
	n.run(time.Second / 2)
	for _, p := range n.take() {
		if p.iface != 1 || !strings.Contains(p.String(), "192.0.1.1") && !strings.Contains(p.String(), "fe80::1:1") {
			t.Errorf("sent on link %d:\n%v", p.iface, p)
		}
	}
}

// Another responder of the same host sends from the same address and port.
func TestBesideAnother(t *testing.T) {
	n, a := established(t)
	self := netip.AddrPortFrom(a.addr(1), Port)
	// Its question may be byte for byte one of ours, which came back already.
	if _, err := a.Browse("_hap._udp", func(Event) {}); err != nil {
		t.Fatal(err)
	}
	n.run(500 * time.Millisecond)
	ps := n.take()
	if len(ps) != 1 {
		t.Fatalf("sent:\n%s", lines(ps))
	}
	a.Receive(1, self, Group6, ps[0].b)
	n.run(500 * time.Millisecond)
	if got := lines(n.take()); !strings.Contains(got, "a: "+lampPTR) {
		t.Errorf("it is not answered:\n%s", got)
	}
	h := a.Counters()
	a.Receive(1, self, Group6, Message{Response: true, Answers: []Record{
		{name("sensor-7.local."), TypeAAAA, ClassIN, true, time.Minute, string(addrs("fd00::3")[0].AsSlice())},
	}}.Append(nil))
	if c := a.Counters(); c.Conflicts != h.Conflicts+1 {
		t.Error("its claim to our name is no conflict")
	}
}

// A machine without links, or whose link goes while it probes, is quiet.
func TestLinksComeAndGo(t *testing.T) {
	n := newNetwork(t)
	a := n.add("a", Config{}, 1)
	a.SetInterfaces(nil)
	r := a.publish("x", lamp(7), Options{})
	n.run(time.Minute)
	n.expect("")
	for _, d := range []time.Duration{0, 100, 300, 600, 900, 1200} {
		a.up()
		n.run(d * time.Millisecond)
		a.SetInterfaces(nil)
		n.take()
		n.run(time.Minute)
		n.expect("")
	}
	a.up()
	n.run(5 * time.Second)
	if got := names(r); got != "sensor-7 established, Lamp 7 established" || len(n.take()) != 5 {
		t.Errorf("names are %s", got)
	}
	if at := n.clock.Deadline(); !at.IsZero() {
		t.Errorf("a timer is left for %v", at)
	}
}
