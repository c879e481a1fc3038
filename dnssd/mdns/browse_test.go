package mdns

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/dnssd"
)

// alone is a network with one machine.
func alone(t *testing.T, cfg Config) (*network, *node) {
	n := newNetwork(t)
	return n, n.add("a", cfg, 1)
}

// says is a response by somebody who is not there.
func (n *network) says(to *node, rs ...Record) { n.hear(to, Message{Response: true, Answers: rs}) }

func ptr(instance string, ttl time.Duration) Record {
	return Record{name("_hap._udp.local."), TypePTR, ClassIN, false, ttl, string(name(instance + "._hap._udp.local."))}
}

func srv(instance, host string, port byte, ttl time.Duration) Record {
	return Record{name(instance + "._hap._udp.local."), TypeSRV, ClassIN, true, ttl, "\x00\x00\x00\x00\x00" + string(port) + string(name(host))}
}

func txt(instance, data string, ttl time.Duration) Record {
	return Record{name(instance + "._hap._udp.local."), TypeTXT, ClassIN, true, ttl, data}
}

func aaaa(host, addr string, ttl time.Duration) Record {
	return Record{name(host), TypeAAAA, ClassIN, true, ttl, string(addrs(addr)[0].AsSlice())}
}

// log collects events in the form of a line each.
type log struct{ lines []string }

func (l *log) add(ev Event) {
	s := fmt.Sprintf("%v %s", ev.Kind, ev.Service.Instance)
	if ev.Host != "" {
		s += fmt.Sprintf(" %v:%d %v", ev.Host, ev.Service.Port, ev.Addrs)
	}
	l.lines = append(l.lines, s)
}

func (l *log) expect(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(l.lines, want) {
		t.Errorf("events:\n%s\nwant:\n%s", strings.Join(l.lines, "\n"), strings.Join(want, "\n"))
	}
	l.lines = nil
}

func TestBrowse(t *testing.T) {
	n, a := alone(t, Config{})
	var ev log
	w, err := a.Browse("_hap._udp", ev.add)
	if err != nil {
		t.Fatal(err)
	}
	n.run(200 * time.Millisecond)
	n.says(a, ptr("One", time.Hour), ptr("Two", time.Hour))
	n.says(a, ptr("one", time.Hour)) // the same
	n.says(a, Record{name("_hap._udp.local."), TypePTR, ClassIN, false, time.Hour, string(name("X._http._tcp.local."))})
	ev.expect(t, "added One", "added Two")
	n.says(a, ptr("One", 0)) // goodbye: a second for others to object (RFC 6762 Section 10.1)
	n.run(900 * time.Millisecond)
	ev.expect(t)
	n.run(200 * time.Millisecond)
	ev.expect(t, "removed One")
	n.says(a, ptr("Two", 0))
	n.run(500 * time.Millisecond)
	n.says(a, ptr("Two", time.Hour))
	n.run(time.Minute)
	ev.expect(t)

	var late log
	w2, _ := a.Browse("_hap._udp", late.add)
	late.expect(t, "added Two")
	w2.Stop()
	a.SetInterfaces(nil)
	ev.expect(t, "removed Two")
	late.expect(t)
	w.Stop()
	w.Stop()
	n.run(24 * time.Hour)
	if len(a.topics) != 0 || !n.clock.Deadline().IsZero() {
		t.Errorf("%d topics are left, and timers for %v", len(a.topics), n.clock.Deadline())
	}
	for _, bad := range []string{"hap._udp", "_hap", "_hap._udp.local", "_x._sub._hap", strings.Repeat("x", 64) + "._sub._hap._udp"} {
		if _, err := a.Browse(bad, ev.add); err == nil || !strings.HasPrefix(err.Error(), "mdns: ") {
			t.Errorf("browsing %q: %v", bad, err)
		}
	}
}

// Questions come less and less often, with what is known (RFC 6762
// Sections 5.2 and 7.1).
func TestQuestionSchedule(t *testing.T) {
	n, a := alone(t, Config{})
	if _, err := a.Browse("_hap._udp", func(Event) {}); err != nil {
		t.Fatal(err)
	}
	n.run(500 * time.Millisecond)
	n.says(a, ptr("One", time.Hour))
	n.run(12 * time.Hour)
	ps := n.take()
	if ps[0].at < askMin || ps[0].at > askMax || ps[0].String() != "a: ? _hap._udp.local. PTR" {
		t.Errorf("first question at %v: %v", ps[0].at, ps[0])
	}
	if got := ps[1].String(); got != "a: ? _hap._udp.local. PTR; _hap._udp.local. 3599 PTR One._hap._udp.local." {
		t.Errorf("second question %v", got)
	}
	var gaps []string
	for i := range ps[1:] {
		gaps = append(gaps, (ps[i+1].at - ps[i].at).Round(time.Second).String())
	}
	// The doubling ends with an hour; before one, the record is asked for as
	// it grows old, at 80, 85, 90 and 95 % of its time.
	got := strings.Join(gaps, " ")
	if !strings.HasPrefix(got, "1s 2s 4s 8s 16s 32s 1m4s 2m8s 4m16s 8m32s ") || !strings.HasSuffix(got, " 1h0m0s 1h0m0s 1h0m0s") {
		t.Errorf("gaps are %s", got)
	}
	if len(gaps) > 30 {
		t.Errorf("%d questions in half a day", len(gaps))
	}
}

func TestRefresh(t *testing.T) {
	n, a := alone(t, Config{})
	var ev log
	w, err := a.ResolveHost("hw", ev.add)
	if err != nil {
		t.Fatal(err)
	}
	n.run(200 * time.Millisecond)
	n.take()
	base := n.clock.Now().Sub(start)
	nsec := Record{name("hw.local."), TypeNSEC, ClassIN, true, 1000 * time.Second, string(name("hw.local.")) + bitmap([]uint16{TypeAAAA})}
	n.says(a, aaaa("hw.local.", "fd00::1", 100*time.Second), nsec)
	n.run(99 * time.Second)
	ps := n.take()
	if len(ps) != 4 {
		t.Fatalf("asked:\n%s", lines(ps))
	}
	for i, p := range ps {
		at := p.at - base
		lo := time.Duration(refresh[i]) * time.Second
		if at < lo || at > lo+2*time.Second || p.String() != "a: ? hw.local. AAAA" {
			t.Errorf("question %d after %v: %v", i, at, p)
		}
	}
	ev.expect(t, "added  hw.local.:0 [fd00::1]")
	n.run(2 * time.Second)
	ev.expect(t, "removed  hw.local.:0 [fd00::1]")
	// It is lost, and looked for anew; there is still no A.
	n.run(4 * time.Second)
	if got := lines(n.take()); got != strings.Repeat("a: ? hw.local. AAAA\n", 2)+"a: ? hw.local. AAAA" {
		t.Errorf("asked:\n%s", got)
	}
	n.says(a, aaaa("hw.local.", "fd00::1", 100*time.Second))
	n.run(time.Second)
	// Nobody wants it any more: it grows old in silence.
	w.Stop()
	n.take()
	n.run(time.Hour)
	n.expect("")
	if a.cache.len() != 0 {
		t.Errorf("%d records are left", a.cache.len())
	}
}

func TestCacheFlush(t *testing.T) {
	n, a := alone(t, Config{})
	var ev log
	if _, err := a.ResolveHost("hw", ev.add); err != nil {
		t.Fatal(err)
	}
	// Two packets within a second are of one set (RFC 6762 Section 10.2).
	n.says(a, aaaa("hw.local.", "fd00::1", time.Hour))
	n.run(500 * time.Millisecond)
	n.says(a, aaaa("hw.local.", "fd00::2", time.Hour))
	n.run(5 * time.Second)
	n.says(a, aaaa("hw.local.", "fd00::2", time.Hour), aaaa("hw.local.", "fd00::3", time.Hour))
	n.run(5 * time.Second)
	ev.expect(t, "added  hw.local.:0 [fd00::1]", "changed  hw.local.:0 [fd00::1 fd00::2]",
		"changed  hw.local.:0 [fd00::1 fd00::2 fd00::3]", "changed  hw.local.:0 [fd00::2 fd00::3]")
	// Without the bit, nothing is flushed.
	r := aaaa("hw.local.", "fd00::4", time.Hour)
	r.Flush = false
	n.says(a, r)
	n.run(5 * time.Second)
	ev.expect(t, "changed  hw.local.:0 [fd00::2 fd00::3 fd00::4]")
}

func TestDiscover(t *testing.T) {
	n, a := alone(t, Config{})
	var ev log
	w, err := a.Discover("_hap._udp", ev.add)
	if err != nil {
		t.Fatal(err)
	}
	n.run(200 * time.Millisecond)
	n.take()
	n.says(a, ptr("One", time.Hour))
	n.run(200 * time.Millisecond)
	n.expect("a: ? One._hap._udp.local. SRV; ? One._hap._udp.local. TXT")
	n.says(a, srv("One", "hw.local.", 80, time.Hour), txt("One", "\x01a", time.Hour))
	n.run(200 * time.Millisecond)
	n.expect("a: ? hw.local. AAAA; ? hw.local. A")
	ev.expect(t)
	n.says(a, aaaa("hw.local.", "fd00::1", time.Hour))
	ev.expect(t, "added One hw.local.:80 [fd00::1]")
	n.run(5 * time.Second)
	n.says(a, srv("One", "hw.local.", 81, time.Hour))
	ev.expect(t, "changed One hw.local.:81 [fd00::1]")
	n.says(a, txt("One", "\x01b", time.Hour))
	ev.expect(t, "changed One hw.local.:81 [fd00::1]")
	n.run(5 * time.Second)
	ev.expect(t) // the old ones have gone
	n.says(a, srv("One", "HW2.local.", 81, time.Hour), aaaa("hw2.local.", "fd00::2", time.Hour))
	ev.expect(t, "changed One HW2.local.:81 [fd00::2]")
	n.says(a, ptr("One", 0))
	n.run(2 * time.Second)
	ev.expect(t, "removed One HW2.local.:81 [fd00::2]")
	n.says(a, ptr("One", time.Hour))
	ev.expect(t, "added One HW2.local.:81 [fd00::2]")
	w.Stop()
	if len(a.topics) != 0 {
		t.Errorf("%d topics are left", len(a.topics))
	}
	n.says(a, ptr("Two", time.Hour), srv("Two", "hw2.local.", 81, time.Hour), txt("Two", "\x00", time.Hour))
	ev.expect(t)
}

// What is published here is found here too.
func TestDiscoverOwn(t *testing.T) {
	n, a := alone(t, Config{})
	var ev log
	if _, err := a.Discover("_hap._udp", func(e Event) {
		if !e.Own {
			t.Errorf("%+v is not own", e)
		}
		ev.add(e)
	}); err != nil {
		t.Fatal(err)
	}
	r := a.publish("lamp", lamp(7), Options{})
	n.run(5 * time.Second)
	h := lamp(7)
	h.Services[0].Port = 6
	a.publish("lamp", h, Options{})
	r.Unpublish()
	ev.expect(t, "added Lamp 7 sensor-7.local.:5000 [fd00::7]", "changed Lamp 7 sensor-7.local.:6 [fd00::7]", "removed Lamp 7 sensor-7.local.:6 [fd00::7]")
}

// Another asks what we were about to (RFC 6762 Section 7.3).
func TestDuplicateQuestion(t *testing.T) {
	n, a := alone(t, Config{})
	if _, err := a.Browse("_hap._udp", func(Event) {}); err != nil {
		t.Fatal(err)
	}
	n.hear(a, query(asks("_hap._udp.local.", TypePTR)))
	n.run(900 * time.Millisecond)
	n.expect("")
	n.run(200 * time.Millisecond)
	n.expect("a: ? _hap._udp.local. PTR")
	// It knows something that we do not: then its answers are not enough.
	n.run(1500 * time.Millisecond)
	m := query(asks("_hap._udp.local.", TypePTR))
	m.Answers = []Record{ptr("One", time.Hour)}
	n.hear(a, m)
	n.run(500 * time.Millisecond)
	n.expect("a: ? _hap._udp.local. PTR")
	if c := a.Counters(); c.Duplicates != 1 {
		t.Errorf("%d duplicates, want 1", c.Duplicates)
	}
}

// Others ask in vain for what we believe in (RFC 6762 Section 10.5).
func TestUnanswered(t *testing.T) {
	n, a := alone(t, Config{})
	var ev log
	if _, err := a.Browse("_hap._udp", ev.add); err != nil {
		t.Fatal(err)
	}
	n.says(a, ptr("One", time.Hour), ptr("Two", time.Hour))
	ev.expect(t, "added One", "added Two")
	n.run(time.Minute)
	n.take()
	m := query(asks("_hap._udp.local.", TypePTR))
	m.Answers = []Record{ptr("Two", time.Hour)}
	n.hear(a, m)
	n.hear(a, m) // the copy in the other family
	n.run(2 * time.Second)
	n.expect("")
	n.hear(a, m)
	n.run(time.Second)
	n.expect("a: ? _hap._udp.local. PTR; _hap._udp.local. 3537 PTR Two._hap._udp.local.")
	ev.expect(t)
	n.run(10 * time.Second)
	ev.expect(t, "removed One")
	// An answer in time saves it.
	for range 2 {
		n.hear(a, query(asks("_hap._udp.local.", TypePTR)))
		n.run(2 * time.Second)
	}
	n.says(a, ptr("Two", time.Hour))
	n.run(time.Minute)
	ev.expect(t)
}

func TestCacheBound(t *testing.T) {
	n, a := alone(t, Config{CacheLimit: 100})
	n.quiet = true
	var ev log
	if _, err := a.Browse("_hap._udp", ev.add); err != nil {
		t.Fatal(err)
	}
	n.says(a, ptr("One", time.Hour))
	for i := range 1000 {
		n.says(a, txt(fmt.Sprint("T", i), "\x00", time.Hour))
	}
	ev.expect(t, "added One")
	if a.cache.len() != 100 || a.Counters().Evicted != 901 || a.Links()[0].Cached != 100 {
		t.Errorf("%d records, %d evicted", a.cache.len(), a.Counters().Evicted)
	}
	for i := range 200 { // what is wanted goes last, but it goes
		n.says(a, ptr(fmt.Sprint("P", i), time.Hour))
	}
	if a.cache.len() != 100 || len(ev.lines) != 301 || ev.lines[100] != "removed One" && !slices.Contains(ev.lines, "removed One") {
		t.Errorf("%d records, %d events", a.cache.len(), len(ev.lines))
	}
}

func TestQuery(t *testing.T) {
	n, a := alone(t, Config{})
	a.publish("lamp", lamp(7), Options{})
	n.run(5 * time.Second)
	var got []string
	ask := func(nm string, types ...uint16) {
		begin := n.clock.Now()
		got = nil
		a.Query(Query{Name: name(nm), Types: types, Timeout: 5 * time.Second}, func(an Answer) {
			s := fmt.Sprint(n.clock.Now().Sub(begin).Round(10 * time.Millisecond))
			for _, r := range an.Records {
				s += " " + r.String()
			}
			for _, r := range an.Additionals {
				s += " + " + r.String()
			}
			if an.Denied {
				s += " denied"
			}
			got = append(got, s)
		})
	}
	expect := func(want string) {
		t.Helper()
		n.run(10 * time.Second)
		if len(got) != 1 || got[0] != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	ask("hw.local.", TypeAAAA)
	n.run(time.Second)
	n.says(a, aaaa("hw.local.", "fd00::1", time.Hour))
	expect("1s hw.local. 3600 AAAA fd00::1")
	ask("hw.local.", TypeAAAA)
	expect("0s hw.local. 3590 AAAA fd00::1")

	ask("hw2.local.", TypeA)
	n.run(time.Second)
	n.says(a, Record{name("hw2.local."), TypeNSEC, ClassIN, true, time.Hour, string(name("hw2.local.")) + bitmap([]uint16{TypeAAAA})})
	expect("1.5s denied") // another may have it after all

	ask("nobody.local.", TypeAAAA, TypeA)
	expect("5s")

	ask("_x._udp.local.", TypePTR)
	n.run(time.Second)
	x := Record{name("_x._udp.local."), TypePTR, ClassIN, false, time.Hour, string(name("X._x._udp.local."))}
	n.says(a, x)
	n.run(100 * time.Millisecond)
	x.Data = string(name("Y._x._udp.local."))
	n.says(a, x, Record{name("Y._x._udp.local."), TypeSRV, ClassIN, true, time.Hour, "\x00\x00\x00\x00\x00\x01" + string(name("hw.local."))})
	expect("1.5s _x._udp.local. 3599 PTR X._x._udp.local. _x._udp.local. 3599 PTR Y._x._udp.local. + " +
		"Y._x._udp.local. 3599 SRV 0 0 1 hw.local. + hw.local. 3557 AAAA fd00::1")

	ask("sensor-7.local.", TypeAAAA)
	expect("0s " + lampAAAA)
	ask("sensor-7.local.", TypeA)
	expect("500ms denied")

	ask("never.local.", TypeA)
	lk := a.Query(Query{Name: name("never.local."), Types: []uint16{TypeA}}, func(Answer) { t.Error("cancelled") })
	lk.Cancel()
	lk.Cancel()
	expect("5s")
	if len(a.topics) != 0 {
		t.Errorf("%d topics are left", len(a.topics))
	}
}

// Known answers that do not fit follow in further packets, and the responder
// waits for them.
func TestManyKnownAnswers(t *testing.T) {
	n := newNetwork(t)
	a, b := n.add("a", Config{}, 1), n.add("b", Config{}, 1)
	for i := range 200 {
		a.publish(fmt.Sprint(i), lamp(i), Options{})
	}
	n.run(20 * time.Second)
	found := 0
	if _, err := b.Browse("_hap._udp", func(Event) { found++ }); err != nil {
		t.Fatal(err)
	}
	n.run(900 * time.Millisecond)
	if found != 200 {
		t.Errorf("found %d, want 200", found)
	}
	n.take()
	n.run(30 * time.Second)
	answered, truncated := 0, 0
	for _, p := range n.take() {
		m, _ := DecodeMessage(p.b)
		if len(p.b) > 1500-48 {
			t.Errorf("packet of %d bytes", len(p.b))
		}
		if p.from == "a" {
			answered += len(m.Answers)
		} else if m.Truncated {
			truncated++
		}
	}
	if answered != 0 || truncated == 0 {
		t.Errorf("%d answers to who knows them, in %d truncated packets", answered, truncated)
	}
}

// Alone on port 5353, the first question asks for unicast.
func TestExclusive(t *testing.T) {
	n := newNetwork(t)
	a := n.add("a", Config{}, 1)
	a.publish("lamp", lamp(7), Options{})
	n.run(10 * time.Second)
	b := n.add("b", Config{Exclusive: true}, 1)
	n.take()
	var ev log
	if _, err := b.Discover("_hap._udp", ev.add); err != nil {
		t.Fatal(err)
	}
	n.run(500 * time.Millisecond)
	ps := n.take()
	if len(ps) != 2 || ps[0].String() != "b: ? _hap._udp.local. PTR QU" || !strings.HasPrefix(ps[1].String(), "a to [fe80::1:2]:5353: "+lampPTR) {
		t.Errorf("sent:\n%s", lines(ps))
	}
	ev.expect(t, "added Lamp 7 sensor-7.local.:5000 [fd00::7]")
	n.run(2 * time.Second)
	if got := lines(n.take()); strings.Contains(got, "QU") {
		t.Errorf("sent:\n%s", got)
	}
	b.publish("lamp", lamp(8), Options{})
	n.run(500 * time.Millisecond)
	if got := lines(n.take()); !strings.HasPrefix(got, "b: ? sensor-8.local. ANY QU; ? Lamp 8._hap._udp.local. ANY QU; auth") {
		t.Errorf("sent:\n%s", got)
	}
}

func TestCheck(t *testing.T) {
	n := newNetwork(t)
	a := n.add("a", Config{}, 1, 2)
	check := func() (got []Visibility) {
		a.Check(func(v []Visibility) {
			if got != nil {
				t.Error("told twice")
			}
			got = v
		})
		n.run(3 * time.Second)
		return got
	}
	for i, v := range check() { // nothing is published: the question is all
		if want := (Visibility{Iface: i + 1, V6: true, Asked6: true}); v != want || !v.OK() {
			t.Errorf("found %+v, want %+v", v, want)
		}
	}
	a.publish("lamp", lamp(7), Options{})
	n.run(5 * time.Second)
	want := Visibility{Iface: 1, Name: name("Lamp 7._hap._udp.local."), V6: true, Asked6: true, Seen6: true}
	v := check()
	if len(v) != 2 || v[0] != want || !v[0].OK() {
		t.Errorf("found %+v, want %+v", v, want)
	}
	// A firewall that lets nothing in again.
	a.down = true
	v = check()
	if len(v) != 2 || v[1].OK() || v[1].Asked6 || v[1].Seen6 {
		t.Errorf("found %+v", v)
	}
	a.SetInterfaces(nil)
	told := false
	a.Check(func(v []Visibility) { told = v == nil })
	if !told {
		t.Error("not told of no links")
	}
}

func TestBrowser(t *testing.T) {
	n, a := alone(t, Config{})
	b := Browser{a.Machine}
	var got []string
	host := func(h dnssd.Host) { got = append(got, fmt.Sprintf("%+v", h)) }
	stops := []func(){
		b.Browse("_hap._udp", "", func(i string, ttl time.Duration) { got = append(got, i+" "+ttl.String()) }),
		b.Browse("_hap._udp", "_color", func(i string, ttl time.Duration) { t.Error(i) }),
		b.Resolve("One", "_hap._udp", host),
		b.ResolveHost("hw", host),
		b.ResolveHost(strings.Repeat("x", 64), host),
	}
	n.says(a, ptr("One", time.Hour), srv("One", "hw.local.", 80, time.Hour), txt("One", "\x00", time.Hour))
	n.says(a, aaaa("hw.local.", "fd00::1", time.Hour))
	svc := "Services:[{Instance:One Type:_hap._udp Subtypes:[] Priority:0 Weight:0 Port:80 TXT:[0] TTL:1h0m0s}]}"
	want := []string{
		"One 1h0m0s",
		"{Name:hw Addrs:[] TTL:2m0s " + svc,
		"{Name:hw Addrs:[fd00::1] TTL:2m0s Services:[]}",
		"{Name:hw Addrs:[fd00::1] TTL:2m0s " + svc,
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
	for _, stop := range stops {
		stop()
	}
	if len(a.topics) != 0 {
		t.Errorf("%d topics are left", len(a.topics))
	}
}

func TestBrowseTypes(t *testing.T) {
	n := newNetwork(t)
	a, b := n.add("a", Config{}, 1), n.add("b", Config{}, 1)
	got := map[string]string{}
	for _, nd := range []*node{a, b} {
		nd.BrowseTypes(func(ev Event) {
			got[nd.name] += fmt.Sprintf("%v %s own %v; ", ev.Kind, ev.Service.Type, ev.Own)
		})
	}
	n.says(b, Record{enumeration, TypePTR, ClassIN, false, time.Hour, string(name("_x.local."))}) // is none
	r := a.publish("1", lamp(1), Options{})
	a.publish("2", lamp(2), Options{})
	n.run(5 * time.Second)
	r.Unpublish()
	n.run(5 * time.Second)
	a.Unpublish("2")
	n.run(5 * time.Second)
	if want := "added _hap._udp own true; removed _hap._udp own true; "; got["a"] != want || got["b"] != strings.ReplaceAll(want, "true", "false") {
		t.Errorf("found %q", got)
	}
}

func TestInstance(t *testing.T) {
	i, s, err := Instance(name(`Lamp 2\.5._HAP._udp.Local.`))
	if err != nil || i != "Lamp 2.5" || s != "_HAP._udp" {
		t.Errorf("%q of %q, %v", i, s, err)
	}
	for _, bad := range []string{".", "local.", "_hap._udp.local.", "a.b.c.d.local.", "a._hap._udp.arpa."} {
		if _, _, err := Instance(name(bad)); err == nil {
			t.Errorf("%s is a service's name", bad)
		}
	}
}

// Who stops from within an event gets no more of them.
func TestStopWithin(t *testing.T) {
	n, a := alone(t, Config{})
	var w, d *Watch
	events := 0
	w, _ = a.Browse("_hap._udp", func(Event) { events++; w.Stop() })
	d, _ = a.Discover("_hap._udp", func(Event) { events++; d.Stop() })
	for _, i := range []string{"One", "Two"} {
		n.hear(a, Message{Response: true, Answers: []Record{ptr("One", time.Hour), ptr("Two", time.Hour),
			srv(i, "hw.local.", 80, time.Hour), txt(i, "\x00", time.Hour), aaaa("hw.local.", "fd00::1", time.Hour)}})
	}
	n.run(time.Minute)
	if events != 2 || len(a.topics) != 0 {
		t.Errorf("%d events, and %d topics are left", events, len(a.topics))
	}
}
