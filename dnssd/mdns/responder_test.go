package mdns

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatewayd/dnssd"
)

// Records of lamp(7), and those that go with them.
const (
	lampAAAA = "sensor-7.local. 120 AAAA fd00::7"
	lampRev  = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa. 120 PTR sensor-7.local."
	lampPTR  = "_hap._udp.local. 4500 PTR Lamp 7._hap._udp.local."
	lampSRV  = "Lamp 7._hap._udp.local. 120 SRV 0 0 5000 sensor-7.local."
	lampTXT  = `Lamp 7._hap._udp.local. 4500 TXT "\x03a=1\x01b"`
	lampSub  = "_color._sub._hap._udp.local. 4500 PTR Lamp 7._hap._udp.local."
	lampNSEC = `sensor-7.local. 120 NSEC "\bsensor-7\x05local\x00\x00\x04\x00\x00\x00\b"`
)

// established is a network with one machine that has published lamp(7).
func established(t *testing.T) (*network, *node) {
	n := newNetwork(t)
	a := n.add("a", Config{}, 1)
	a.publish("lamp", lamp(7), Options{})
	n.run(10 * time.Second)
	n.take()
	return n, a
}

// hear is a packet by somebody who is not there.
func (n *network) hear(to *node, m Message) { n.inject(to, 1, "[fe80::99]:5353", true, m) }

func asks(s string, typ uint16) Question { return Question{name(s), typ, ClassIN, false} }

func query(qs ...Question) Message { return Message{Questions: qs} }

func TestProbeAndAnnounce(t *testing.T) {
	n := newNetwork(t)
	a := n.add("a", Config{}, 1)
	var seen []string
	r := a.publish("lamp", lamp(7), Options{Changed: func(r *Registration) {
		seen = append(seen, fmt.Sprint(n.clock.Now().Sub(start).Truncate(250*time.Millisecond), r.Status().State))
	}})
	n.run(10 * time.Second)
	ps := n.take()
	probe := "a: ? sensor-7.local. ANY; ? Lamp 7._hap._udp.local. ANY; auth " + lampAAAA + "; auth " + lampSRV + "; auth " + lampTXT
	announce := "a: !" + lampAAAA + "; !" + lampRev + "; " + lampPTR + "; !" + lampSRV + "; !" + lampTXT + "; " + lampSub + "; add !" + lampNSEC
	if got, want := lines(ps), strings.Join([]string{probe, probe, probe, announce, announce}, "\n"); got != want {
		t.Fatalf("sent:\n%s\nwant:\n%s", got, want)
	}
	// RFC 6762 Sections 8.1 and 8.3.
	for i, gap := range []time.Duration{250, 250, 250, 1000} {
		if d := ps[i+1].at - ps[i].at; d != gap*time.Millisecond {
			t.Errorf("packet %d comes %v after the one before, want %v ms", i+1, d, gap)
		}
	}
	if ps[0].at > 250*time.Millisecond {
		t.Errorf("first probe after %v", ps[0].at)
	}
	if fmt.Sprint(seen) != "[750ms established 750ms established]" {
		t.Errorf("told %v", seen)
	}
	if st := fmt.Sprintf("%+v", r.Status()); st != "{Owner:lamp Host:sensor-7 State:established Services:[{Type:_hap._udp Requested:Lamp 7 Instance:Lamp 7 State:established}]}" {
		t.Errorf("status %s", st)
	}
	n.run(24 * time.Hour)
	n.expect("") // at rest
}

func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		name  string
		q     Question
		delay [2]time.Duration
		want  string
	}{
		{"shared", asks("_HAP._udp.local.", TypePTR), [2]time.Duration{sharedMin, sharedMax}, // letters of the question have no case
			"a: " + lampPTR + "; add !" + lampSRV + "; add !" + lampTXT + "; add !" + lampAAAA + "; add !" + lampNSEC},
		{"subtype", asks("_color._sub._hap._udp.local.", TypePTR), [2]time.Duration{sharedMin, sharedMax},
			"a: " + lampSub + "; add !" + lampSRV + "; add !" + lampTXT + "; add !" + lampAAAA + "; add !" + lampNSEC},
		{"unique", asks("Lamp 7._hap._udp.local.", TypeSRV), [2]time.Duration{0, 0},
			"a: !" + lampSRV + "; add !" + lampAAAA + "; add !" + lampNSEC},
		{"any", asks("Lamp 7._hap._udp.local.", TypeANY), [2]time.Duration{0, 0},
			"a: !" + lampSRV + "; !" + lampTXT + "; add !" + lampAAAA + "; add !" + lampNSEC},
		{"no such type", asks("sensor-7.local.", TypeA), [2]time.Duration{0, 0},
			"a: !" + lampNSEC},
		{"no such type of a service", asks("Lamp 7._hap._udp.local.", TypeAAAA), [2]time.Duration{0, 0},
			`a: !Lamp 7._hap._udp.local. 4500 NSEC "\x06Lamp 7\x04_hap\x04_udp\x05local\x00\x00\x05\x00\x00\x80\x00@"`},
		{"reverse", asks("7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa.", TypePTR), [2]time.Duration{0, 0},
			"a: !" + lampRev + "; add !" + lampAAAA + "; add !" + lampNSEC},
		{"types", asks("_services._dns-sd._udp.local.", TypePTR), [2]time.Duration{sharedMin, sharedMax},
			"a: _services._dns-sd._udp.local. 4500 PTR _hap._udp.local."},
		{"no such name", asks("sensor-8.local.", TypeANY), [2]time.Duration{}, ""},
		{"no such type of a shared name", asks("_hap._udp.local.", TypeTXT), [2]time.Duration{}, ""},
		{"another class", Question{name("sensor-7.local."), TypeAAAA, 3, false}, [2]time.Duration{}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, a := established(t)
			at := n.clock.Now().Sub(start)
			n.hear(a, query(tt.q))
			n.run(5 * time.Second)
			ps := n.take()
			if got := lines(ps); got != tt.want {
				t.Errorf("sent:\n%s\nwant:\n%s", got, tt.want)
			}
			if len(ps) > 0 && (ps[0].at-at < tt.delay[0] || ps[0].at-at > tt.delay[1]) {
				t.Errorf("answered after %v, want %v", ps[0].at-at, tt.delay)
			}
		})
	}
}

// A host without an address has its name, and nothing to say.
func TestNoAddress(t *testing.T) {
	n := newNetwork(t)
	a, b := n.add("a", Config{}, 1), n.add("b", Config{}, 1)
	ra := a.publish("x", dnssd.Host{Name: "gw"}, Options{})
	n.run(5 * time.Second)
	probe := "a: ? gw.local. ANY"
	n.expect(probe, probe, probe)
	n.hear(a, query(asks("gw.local.", TypeAAAA)))
	n.run(5 * time.Second)
	n.expect("")
	// It cannot defend it either.
	rb := b.publish("x", dnssd.Host{Name: "gw", Addrs: addrs("fd00::2")}, Options{})
	n.run(5 * time.Second)
	if ra.Status().State != Established || rb.Status().State != Established {
		t.Errorf("names are %s; %s", names(ra), names(rb))
	}
}

// An owner that publishes another name gives the former up.
func TestAnotherName(t *testing.T) {
	n, a := established(t)
	h := lamp(7)
	h.Name = "lamp"
	r := a.publish("lamp", h, Options{})
	got := lines(n.take())
	if !strings.Contains(got, "sensor-7.local. 0 AAAA") || !strings.Contains(got, "!Lamp 7._hap._udp.local. 120 SRV 0 0 5000 lamp.local.") ||
		strings.Contains(got, " 0 SRV") || strings.Contains(got, "_hap._udp.local. 0 PTR") {
		t.Errorf("sent:\n%s", got)
	}
	n.run(5 * time.Second)
	if names(r) != "lamp established, Lamp 7 established" {
		t.Errorf("names are %s", names(r))
	}
}

// Repeated questions have one answer and cost one look.
func TestRepeatedQuestions(t *testing.T) {
	n, a := established(t)
	var m Message
	for range 500 {
		m.Questions = append(m.Questions, asks("sensor-7.local.", TypeAAAA), asks("SENSOR-7.local.", TypeAAAA))
	}
	n.hear(a, m)
	n.run(5 * time.Second)
	n.expect("a: !" + lampAAAA + "; add !" + lampNSEC)
	if got := distinct(m.Questions); len(got) != 1 {
		t.Errorf("%d are distinct", len(got))
	}
}

func TestKnownAnswers(t *testing.T) {
	n, a := established(t)
	known := func(ttl time.Duration) Message {
		m := query(asks("_hap._udp.local.", TypePTR))
		m.Answers = []Record{{name("_hap._udp.local."), TypePTR, ClassIN, false, ttl, string(name("lamp 7._HAP._udp.local."))}}
		return m
	}
	n.hear(a, known(2250*time.Second))
	n.run(5 * time.Second)
	n.expect("")
	n.hear(a, known(2249*time.Second)) // less than half
	n.run(5 * time.Second)
	if ps := n.take(); len(ps) != 1 {
		t.Errorf("sent:\n%s", lines(ps))
	}
	if c := a.Counters(); c.KnownAnswers != 1 {
		t.Errorf("%d answers were known, want 1", c.KnownAnswers)
	}

	// Known answers in a second packet (RFC 6762 Section 7.2).
	first := query(asks("_hap._udp.local.", TypePTR), asks("sensor-7.local.", TypeAAAA))
	first.Truncated = true
	second := Message{Answers: known(time.Hour).Answers}
	n.hear(a, first)
	n.run(100 * time.Millisecond)
	n.inject(a, 1, "[fe80::98]:5353", true, second) // somebody else's
	n.hear(a, second)
	n.run(5 * time.Second)
	n.expect("a: !" + lampAAAA + "; add !" + lampNSEC)
	// Without it, the answers come after 400 to 500 ms, and the delay.
	at := n.clock.Now().Sub(start)
	n.hear(a, first)
	n.run(5 * time.Second)
	ps := n.take()
	if len(ps) != 1 || ps[0].at-at < holdMin+sharedMin || ps[0].at-at > holdMax+sharedMax {
		t.Errorf("sent after %v:\n%s", at, lines(ps))
	}
}

// Another says what we were about to (RFC 6762 Section 7.4).
func TestDuplicateAnswer(t *testing.T) {
	n, a := established(t)
	n.hear(a, query(asks("_hap._udp.local.", TypePTR)))
	n.run(10 * time.Millisecond)
	r := a.records[name("_hap._udp.local.").key()][0].Record
	n.hear(a, Message{Response: true, Answers: []Record{r}})
	n.run(5 * time.Second)
	n.expect("")
	r.TTL = time.Minute // which is too short: say it ourselves (Section 6.6)
	n.hear(a, Message{Response: true, Answers: []Record{r}})
	n.run(5 * time.Second)
	if got := lines(n.take()); !strings.HasPrefix(got, "a: "+lampPTR) {
		t.Errorf("sent:\n%s", got)
	}
}

func TestRateLimit(t *testing.T) {
	n, a := established(t)
	at := n.clock.Now().Sub(start)
	for range 100 {
		n.hear(a, query(asks("sensor-7.local.", TypeAAAA)))
		n.run(25 * time.Millisecond)
	}
	n.run(5 * time.Second)
	var got []time.Duration
	for _, p := range n.take() {
		got = append(got, p.at-at)
	}
	if len(got) != 4 { // at 0, 1, 2 and 3 seconds
		t.Fatalf("100 questions in 2.5 s were answered at %v", got)
	}
	for i := range got[1:] {
		if d := got[i+1] - got[i]; d < time.Second {
			t.Errorf("record multicast again after %v", d)
		}
	}
}

func TestUnicast(t *testing.T) {
	n, a := established(t)
	qu := asks("sensor-7.local.", TypeAAAA)
	qu.Unicast = true
	n.hear(a, query(qu))
	n.run(5 * time.Second)
	n.expect("a to [fe80::99]:5353: !" + lampAAAA + "; add !" + lampNSEC)
	// After a quarter of the TTL, everybody is to hear it (RFC 6762 Section 5.4).
	n.run(30 * time.Second)
	n.hear(a, query(qu))
	n.run(5 * time.Second)
	n.expect("a: !" + lampAAAA + "; add !" + lampNSEC)
	// A question that came by unicast is answered so, to hosts of the link.
	n.inject(a, 1, "192.0.1.77:5353", false, query(asks("sensor-7.local.", TypeAAAA)))
	n.inject(a, 1, "198.51.100.1:5353", false, query(asks("sensor-7.local.", TypeAAAA)))
	n.run(5 * time.Second)
	n.expect("a to 192.0.1.77:5353: !" + lampAAAA + "; add !" + lampNSEC)
	if c := a.Counters(); c.OffLink != 1 {
		t.Errorf("%d packets were off link, want 1", c.OffLink)
	}
}

func TestLegacy(t *testing.T) {
	n, a := established(t)
	m := query(asks("Lamp 7._hap._udp.local.", TypeSRV))
	m.ID = 0x1234
	n.inject(a, 1, "[fe80::99]:40000", true, m)
	ps := n.take()
	// The question is repeated, TTLs are 10 s at most, nothing is flushed.
	want := "a to [fe80::99]:40000: ? Lamp 7._hap._udp.local. SRV; Lamp 7._hap._udp.local. 10 SRV 0 0 5000 sensor-7.local.; " +
		`add sensor-7.local. 10 AAAA fd00::7; add sensor-7.local. 10 NSEC "\bsensor-7\x05local\x00\x00\x04\x00\x00\x00\b"`
	if got := lines(ps); got != want {
		t.Fatalf("sent:\n%s\nwant:\n%s", got, want)
	}
	if b := ps[0].b; b[0] != 0x12 || b[1] != 0x34 || !strings.Contains(string(b), "\x13\x88\x08sensor-7\x05local\x00") {
		t.Errorf("sent %x: not with the id, or with SRV's target compressed", b)
	}
	n.inject(a, 1, "198.51.100.1:40000", true, m)
	n.expect("")

	for i := 100; i < 130; i++ {
		a.publish(fmt.Sprint("l", i), lamp(i), Options{})
	}
	n.run(10 * time.Second)
	n.take()
	m = query(asks("_hap._udp.local.", TypePTR))
	n.inject(a, 1, "[fe80::99]:40000", true, m)
	m.Additionals = []Record{{Name: name("."), Type: TypeOPT, Class: 1400}}
	n.inject(a, 1, "[fe80::99]:40000", true, m)
	for i, p := range n.take() {
		room := []int{512, 1400}[i]
		msg, err := DecodeMessage(p.b)
		if err != nil || len(p.b) > room || msg.Truncated != (i == 0) || len(msg.Answers) < 10 {
			t.Errorf("in %d bytes: %d, %d answers, truncated %v, %v", room, len(p.b), len(msg.Answers), msg.Truncated, err)
		}
	}
}

func TestGoodbye(t *testing.T) {
	n, a := established(t)
	a.Stop()
	bye := func(s string) string {
		return strings.NewReplacer(" 120 ", " 0 ", " 4500 ", " 0 ").Replace(s)
	}
	n.expect("a: !" + bye(lampAAAA) + "; !" + bye(lampRev) + "; " + bye(lampPTR) + "; !" + bye(lampSRV) + "; !" + bye(lampTXT) + "; " + bye(lampSub) +
		"; _services._dns-sd._udp.local. 0 PTR _hap._udp.local.")
	if _, err := a.Publish("lamp", lamp(7), Options{}); !errors.Is(err, ErrStopped) {
		t.Errorf("published after the end: %v", err)
	}
	n.run(time.Hour)
	n.expect("")
}

func TestUpdate(t *testing.T) {
	n, a := established(t)
	h := lamp(7)
	h.Services[0].TXT = []byte("\x03a=2")
	r := a.publish("lamp", h, Options{})
	n.run(10 * time.Second)
	txt := `!Lamp 7._hap._udp.local. 4500 TXT "\x03a=2"`
	// The second time all of the name is said.
	n.expect("a: "+txt, "a: "+lampPTR+"; !"+lampSRV+"; "+txt+"; "+lampSub+"; add !"+lampAAAA+"; add !"+lampNSEC)

	a.publish("lamp", h, Options{})
	n.run(10 * time.Second)
	n.expect("") // nothing is new

	// Changes faster than once a second are not all said.
	n.take()
	for i := range 40 {
		h.Services[0].TXT = fmt.Appendf(nil, "\x04a=%02d", i)
		a.publish("lamp", h, Options{})
		n.run(100 * time.Millisecond)
	}
	n.run(10 * time.Second)
	ps := n.take()
	if len(ps) != 6 || !strings.Contains(ps[4].String(), "a=39") || !strings.Contains(ps[5].String(), "a=39") {
		t.Errorf("sent:\n%s", lines(ps))
	}

	h.Services[0].Subtypes = nil
	h.Addrs = append(h.Addrs, netip.MustParseAddr("2001:db8::7"))
	a.publish("lamp", h, Options{})
	if got := lines(n.take()); !strings.Contains(got, "_color._sub._hap._udp.local. 0 PTR") ||
		!strings.Contains(got, "!"+lampAAAA) || !strings.Contains(got, "!sensor-7.local. 120 AAAA 2001:db8::7") {
		t.Errorf("sent:\n%s", got) // goodbye of what is shared; all of a unique set
	}
	n.run(10 * time.Second)
	n.take()

	h.Addrs, h.Services = h.Addrs[1:], nil
	a.publish("lamp", h, Options{})
	got := lines(n.take())
	if strings.Contains(got, "sensor-7.local. 0 AAAA") || !strings.Contains(got, "!sensor-7.local. 120 AAAA 2001:db8::7") ||
		!strings.Contains(got, "Lamp 7._hap._udp.local. 0 SRV") || !strings.Contains(got, "_hap._udp.local. 0 PTR") {
		t.Errorf("sent:\n%s", got) // what is left flushes what went
	}
	if st := r.Status(); len(st.Services) != 0 || st.State != Established {
		t.Errorf("status %+v", st)
	}
	r.Unpublish()
	if st := r.Status(); st.State != Withdrawn || len(a.records) != 0 || len(a.types) != 0 || len(a.claims) != 0 || len(a.regs) != 0 {
		t.Errorf("status %+v, and %d names of records, %d claims and %d registrations are left", st, len(a.records), len(a.claims), len(a.regs))
	}
}

func TestPublishRefuses(t *testing.T) {
	n := newNetwork(t)
	a := n.add("a", Config{}, 1)
	a.publish("lamp", lamp(7), Options{})
	for _, tt := range []struct {
		change func(h *dnssd.Host)
		err    error
	}{
		{func(h *dnssd.Host) { h.Name = "" }, ErrBadHost},
		{func(h *dnssd.Host) { h.Name = strings.Repeat("x", 64) }, ErrBadHost},
		{func(h *dnssd.Host) { h.Name = "a\nb" }, ErrBadHost},
		{func(h *dnssd.Host) { h.Name = "\xff" }, ErrBadHost},
		{func(h *dnssd.Host) { h.Name = "SENSOR-7" }, ErrNameInUse},
		{func(h *dnssd.Host) { h.Services[0].Type = "hap._udp" }, ErrBadHost},
		{func(h *dnssd.Host) { h.Services[0].Type = "_hap._sctp" }, ErrBadHost},
		{func(h *dnssd.Host) { h.Services[0].Instance = "lamp 7" }, ErrNameInUse},
		{func(h *dnssd.Host) { h.Services[0].Subtypes = []string{strings.Repeat("x", 64)} }, ErrBadHost},
		{func(h *dnssd.Host) { h.Services[0].TXT = []byte("\x05a") }, ErrBadHost},
		{func(h *dnssd.Host) { h.Services[0].TXT = make([]byte, 9000) }, ErrBadHost},
		{func(h *dnssd.Host) { h.Services = append(h.Services, h.Services[0]) }, ErrBadHost},
	} {
		h := lamp(8)
		tt.change(&h)
		if _, err := a.Publish("other", h, Options{}); !errors.Is(err, tt.err) || !strings.HasPrefix(err.Error(), "mdns: ") {
			t.Errorf("%+v: %v, want %v", h, err, tt.err)
		}
	}
	if len(a.Registrations()) != 1 {
		t.Errorf("published: %+v", a.Registrations())
	}
}

// What cannot be read, is from elsewhere or is to be ignored is counted, and
// has no other effect.
func TestBadPackets(t *testing.T) {
	n, a := established(t)
	good := query(asks("sensor-7.local.", TypeAAAA))
	other := Message{Response: true, Answers: []Record{{name("sensor-7.local."), TypeAAAA, ClassIN, true, time.Minute, string(addrs("fd00::3")[0].AsSlice())}}}
	change := func(m Message, f func(*Message)) []byte { f(&m); return m.Append(nil) }
	near, far := "[fe80::99]:5353", "[2001:db8::99]:5353"
	self := a.addr(1)
	for _, tt := range []struct {
		name  string
		iface int
		from  string
		to    netip.Addr
		b     []byte
		want  Counters
	}{
		{"no such link", 2, near, Group6, good.Append(nil), Counters{}},
		{"cut", 1, near, Group6, good.Append(nil)[:20], Counters{Received: 1, Malformed: 1}},
		{"empty", 1, near, Group6, nil, Counters{Received: 1, Malformed: 1}},
		{"long", 1, near, Group6, make([]byte, 9001), Counters{Received: 1, Malformed: 1}},
		{"another opcode", 1, near, Group6, change(good, func(m *Message) { m.Opcode = 5 }), Counters{Received: 1, Ignored: 1}},
		{"an error", 1, near, Group6, change(other, func(m *Message) { m.Rcode = 3 }), Counters{Received: 1, Ignored: 1}},
		{"answer from another port", 1, "[fe80::99]:5354", Group6, other.Append(nil), Counters{Received: 1, Ignored: 1}},
		{"answer from elsewhere", 1, far, self, other.Append(nil), Counters{Received: 1, OffLink: 1}},
		{"question from elsewhere", 1, far, self, good.Append(nil), Counters{Received: 1, OffLink: 1}},
		{"legacy question from elsewhere", 1, "[2001:db8::99]:999", Group6, good.Append(nil), Counters{Received: 1, OffLink: 1}},
		{"another class", 1, near, Group6, change(other, func(m *Message) { m.Answers[0].Class = 3 }), Counters{Received: 1}},
	} {
		before := a.Counters()
		a.Receive(tt.iface, netip.MustParseAddrPort(tt.from), tt.to, tt.b)
		n.run(5 * time.Second)
		if got := lines(n.take()); got != "" {
			t.Errorf("%s: sent %s", tt.name, got)
		}
		c := a.Counters()
		got := Counters{Received: c.Received - before.Received, Malformed: c.Malformed - before.Malformed,
			Ignored: c.Ignored - before.Ignored, OffLink: c.OffLink - before.OffLink, Conflicts: c.Conflicts - before.Conflicts}
		if got != tt.want {
			t.Errorf("%s: counted %+v, want %+v", tt.name, got, tt.want)
		}
	}
	if a.cache.len() != 0 {
		t.Errorf("%d records were kept", a.cache.len())
	}
}
