package dnssd_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"gatewayd/alarm"
	"gatewayd/dnssd"
	"gatewayd/dnssd/srp"
)

var (
	began = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	peer  = netip.MustParseAddrPort("[fd00:db8:a:b:add3:5ffd:4385:b778]:49153")
)

// shelf is a Registry of what a test puts there.
type shelf []dnssd.Host

func (s shelf) FindHost(name string) (dnssd.Host, bool) {
	for _, h := range s {
		if dnssd.Fold(h.Name) == dnssd.Fold(name) {
			return h, true
		}
	}
	return dnssd.Host{}, false
}

func (s shelf) FindService(instance, typ string) (dnssd.Host, dnssd.Service, bool) {
	for _, h := range s {
		for _, v := range h.Services {
			if dnssd.Fold(v.Instance) == dnssd.Fold(instance) && dnssd.Fold(v.Type) == dnssd.Fold(typ) {
				return h, v, true
			}
		}
	}
	return dnssd.Host{}, dnssd.Service{}, false
}

func (s shelf) Browse(typ, subtype string, each func(dnssd.Service) bool) {
	for _, h := range s {
		for _, v := range h.Services {
			if dnssd.Fold(v.Type) == dnssd.Fold(typ) && (subtype == "" || slices.Contains(v.Subtypes, subtype)) && !each(v) {
				return
			}
		}
	}
}

func (s shelf) Types(each func(string) bool) {
	seen := map[string]bool{}
	for _, h := range s {
		for _, v := range h.Services {
			if !seen[v.Type] && !each(v.Type) {
				return
			}
			seen[v.Type] = true
		}
	}
}

// link is a Browser: hosts that answer after a delay of their own.
type link struct {
	clock *alarm.Clock
	hosts map[time.Duration]dnssd.Host // by how long they take
	open  int                          // what was started and not stopped
}

func (l *link) each(f func(h dnssd.Host)) (stop func()) {
	l.open++
	stopped := false
	for after, h := range l.hosts {
		g := func() {
			if !stopped {
				f(h)
			}
		}
		if after == 0 {
			g() // before the caller knows how to stop it
		} else {
			l.clock.After(after, g)
		}
	}
	return func() {
		if stopped {
			panic("stopped twice")
		}
		stopped = true
		l.open--
	}
}

func (l *link) Browse(typ, subtype string, found func(string, time.Duration)) func() {
	return l.each(func(h dnssd.Host) {
		for _, s := range h.Services {
			if s.Type == typ && (subtype == "" || slices.Contains(s.Subtypes, subtype)) {
				found(s.Instance, s.TTL)
			}
		}
	})
}

func (l *link) Resolve(instance, typ string, found func(dnssd.Host)) func() {
	return l.each(func(h dnssd.Host) {
		for _, s := range h.Services {
			if s.Type == typ && dnssd.Fold(s.Instance) == dnssd.Fold(instance) {
				found(dnssd.Host{Name: h.Name, TTL: h.TTL, Services: []dnssd.Service{s}})
			}
		}
	})
}

func (l *link) ResolveHost(name string, found func(dnssd.Host)) func() {
	return l.each(func(h dnssd.Host) {
		if dnssd.Fold(h.Name) == dnssd.Fold(name) {
			found(h)
		}
	})
}

// upstream is the host's resolvers: answers by "name type".
type upstream struct {
	answers map[string]*dns.Msg
	asked   []string
	queries [][]byte
	silent  bool
	later   []func()
}

func (u *upstream) forward(b []byte, done func([]byte, error)) {
	m := &dns.Msg{}
	if err := m.Unpack(b); err != nil {
		done(nil, err)
		return
	}
	u.queries = append(u.queries, b)
	key := m.Question[0].Name + " " + dns.TypeToString[m.Question[0].Qtype]
	u.asked = append(u.asked, key)
	if u.silent {
		u.later = append(u.later, func() { done(nil, errors.New("late")) })
		return
	}
	a := u.answers[key]
	if a == nil {
		a = &dns.Msg{}
		a.Rcode = dns.RcodeNameError
		a.Ns = []dns.RR{soa}
	}
	a = a.Copy()
	rcode := a.Rcode
	a.SetReply(m)
	a.Rcode, a.RecursionAvailable = rcode, true
	packed, err := a.Pack()
	done(packed, err)
}

var soa = parse("example. 300 IN SOA ns.example. root.example. 1 2 3 4 60")

func parse(s string) dns.RR {
	rr, err := dns.NewRR(s)
	if err != nil {
		panic(err)
	}
	return rr
}

func says(rrs ...string) *dns.Msg {
	m := &dns.Msg{}
	for _, s := range rrs {
		m.Answer = append(m.Answer, parse(s))
	}
	return m
}

func none() *dns.Msg { return &dns.Msg{Ns: []dns.RR{soa}} }

func fails(rcode int) *dns.Msg {
	m := &dns.Msg{}
	m.Rcode = rcode
	return m
}

// world is a resolver with all that it asks.
type world struct {
	t        testing.TB
	clock    alarm.Clock
	resolver *dnssd.Resolver
	link     *link
	up       *upstream
	sent     [][]byte
	answer   func(to netip.AddrPort, b []byte) // nil: into sent
	id       uint16
}

func newWorld(t testing.TB, change ...func(*dnssd.ResolverConfig)) *world {
	t.Helper()
	w := &world{t: t, up: &upstream{answers: map[string]*dns.Msg{}}}
	w.clock.Set(began)
	w.link = &link{clock: &w.clock, hosts: map[time.Duration]dnssd.Host{}}
	c := dnssd.ResolverConfig{
		Clock:   &w.clock,
		Rand:    rand.New(rand.NewPCG(1, 2)),
		Browser: w.link,
		Forward: w.up.forward,
		Send: func(to netip.AddrPort, b []byte) {
			if w.answer != nil {
				w.answer(to, b)
				return
			}
			if to != peer {
				t.Errorf("sent to %v", to)
			}
			w.sent = append(w.sent, b)
		},
	}
	for _, f := range change {
		f(&c)
	}
	r, err := dnssd.NewResolver(c)
	if err != nil {
		t.Fatal(err)
	}
	w.resolver = r
	t.Cleanup(func() {
		if r.Pending() == 0 && w.link.open != 0 {
			t.Errorf("%d look-ups were not stopped", w.link.open)
		}
	})
	return w
}

func (w *world) query(name string, types ...uint16) *dns.Msg {
	m := &dns.Msg{}
	w.id++
	m.Id = w.id
	m.RecursionDesired = true
	for _, t := range types {
		m.Question = append(m.Question, dns.Question{Name: name, Qtype: t, Qclass: dns.ClassINET})
	}
	return m
}

func (w *world) send(m *dns.Msg) {
	w.t.Helper()
	b, err := m.Pack()
	if err != nil {
		w.t.Fatal(err)
	}
	w.resolver.Receive(peer, b)
}

// pass lets time pass, from timer to timer, until there is an answer.
func (w *world) pass(d time.Duration) (took time.Duration) {
	start := w.clock.Now()
	end := start.Add(d)
	for len(w.sent) == 0 {
		at := w.clock.Deadline()
		if at.IsZero() || at.After(end) {
			w.clock.Advance(end)
			break
		}
		w.clock.Advance(at)
	}
	return w.clock.Now().Sub(start)
}

// ask sends a query and returns the answer.
func (w *world) ask(m *dns.Msg) *dns.Msg {
	w.t.Helper()
	w.sent = nil
	w.send(m)
	w.pass(time.Minute)
	if len(w.sent) != 1 {
		w.t.Fatalf("%d answers to %v", len(w.sent), m)
	}
	a := &dns.Msg{}
	if err := a.Unpack(w.sent[0]); err != nil {
		w.t.Fatalf("%v: %x", err, w.sent[0])
	}
	if a.Id != m.Id || !a.Response || !slices.Equal(a.Question, m.Question) {
		w.t.Fatalf("%v\nanswered by\n%v", m, a)
	}
	return a
}

// text is an answer as lines, shorter than its own.
func text(m *dns.Msg) string {
	var b strings.Builder
	b.WriteString(dns.RcodeToString[m.Rcode])
	if m.Authoritative {
		b.WriteString(" aa")
	}
	if m.Truncated {
		b.WriteString(" tc")
	}
	for _, s := range []struct {
		name string
		rrs  []dns.RR
	}{{"", m.Answer}, {"auth ", m.Ns}, {"add ", m.Extra}} {
		for _, rr := range s.rrs {
			if rr.Header().Rrtype == dns.TypeOPT {
				fmt.Fprintf(&b, "\nopt")
				continue
			}
			l := strings.Join(strings.Fields(strings.ReplaceAll(rr.String(), "\tIN\t", " ")), " ")
			fmt.Fprintf(&b, "\n%s%s", s.name, strings.ReplaceAll(l, "default.service.arpa.", "D."))
		}
	}
	return b.String()
}

// check compares an answer with lines that are indented as the test is.
func (w *world) check(m *dns.Msg, want string) {
	w.t.Helper()
	got := text(w.ask(m))
	var lines []string
	for l := range strings.Lines(want) {
		if l = strings.TrimSpace(l); l != "" {
			lines = append(lines, l)
		}
	}
	if want := strings.Join(lines, "\n"); got != want {
		w.t.Errorf("%v:\n%s\nwant\n%s", m.Question, got, want)
	}
}

func addrs(list ...string) (out []netip.Addr) {
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

// mesh is a few devices that have registered.
func mesh() shelf {
	return shelf{
		{Name: "lamp1", Addrs: addrs("fd11:22::1"), TTL: time.Hour, Services: []dnssd.Service{
			{Instance: "Kitchen. Lamp", Type: "_light._udp", Subtypes: []string{"_dim"}, Priority: 1, Weight: 2, Port: 1234, TXT: []byte("\x04a=b\\\x00"), TTL: time.Hour},
			{Instance: "lamp1", Type: "_hap._udp", Port: 1, TXT: []byte{0}, TTL: 30 * time.Minute},
		}},
		{Name: "lamp2", Addrs: addrs("fd11:22::2", "192.0.2.2"), TTL: time.Hour, Services: []dnssd.Service{
			{Instance: "Bath", Type: "_light._udp", Port: 1235, TXT: []byte("\x01x"), TTL: time.Hour},
		}},
	}
}

const negative = `
	auth D. 10 SOA D. hostmaster.D. 0 7200 3600 86400 10`

// Names of the registry are answered at once; nothing else is known.
func TestRegistered(t *testing.T) {
	const (
		ptr, srv, txt, aaaa, a = dns.TypePTR, dns.TypeSRV, dns.TypeTXT, dns.TypeAAAA, dns.TypeA
	)
	w := newWorld(t, func(c *dnssd.ResolverConfig) { c.Registry, c.Browser = mesh(), nil })
	for _, tt := range []struct {
		name  string
		types []uint16
		want  string
	}{
		{"lamp1.D.", []uint16{aaaa}, "NOERROR aa\nlamp1.D. 3600 AAAA fd11:22::1"},
		{"LAMP1.D.", []uint16{aaaa}, "NOERROR aa\nLAMP1.D. 3600 AAAA fd11:22::1"},
		{"lamp1.D.", []uint16{a}, "NOERROR aa" + negative + "\nadd lamp1.D. 3600 AAAA fd11:22::1"},
		{"lamp2.D.", []uint16{a}, "NOERROR aa\nlamp2.D. 3600 A 192.0.2.2"},
		{"lamp2.D.", []uint16{dns.TypeANY}, "NOERROR aa\nlamp2.D. 3600 AAAA fd11:22::2\nlamp2.D. 3600 A 192.0.2.2"},
		{"lamp3.D.", []uint16{aaaa}, "NXDOMAIN aa" + negative},
		{"x.lamp1.D.", []uint16{aaaa}, "NXDOMAIN aa" + negative},
		{"_hap._udp.D.", []uint16{ptr}, `NOERROR aa
			_hap._udp.D. 1800 PTR lamp1._hap._udp.D.
			add lamp1._hap._udp.D. 1800 SRV 0 0 1 lamp1.D.
			add lamp1._hap._udp.D. 1800 TXT ""
			add lamp1.D. 3600 AAAA fd11:22::1`},
		{"_light._udp.D.", []uint16{ptr}, `NOERROR aa
			_light._udp.D. 3600 PTR Kitchen\.\ Lamp._light._udp.D.
			_light._udp.D. 3600 PTR Bath._light._udp.D.`},
		{"_dim._sub._light._udp.D.", []uint16{ptr}, `NOERROR aa
			_dim._sub._light._udp.D. 3600 PTR Kitchen\.\ Lamp._light._udp.D.
			add Kitchen\.\ Lamp._light._udp.D. 3600 SRV 1 2 1234 lamp1.D.
			add Kitchen\.\ Lamp._light._udp.D. 3600 TXT "a=b\\" ""
			add lamp1.D. 3600 AAAA fd11:22::1`},
		{"_none._udp.D.", []uint16{ptr}, "NXDOMAIN aa" + negative},
		{`kitchen\.\ lamp._light._udp.D.`, []uint16{srv, txt}, `NOERROR aa
			kitchen\.\ lamp._light._udp.D. 3600 SRV 1 2 1234 lamp1.D.
			kitchen\.\ lamp._light._udp.D. 3600 TXT "a=b\\" ""
			add lamp1.D. 3600 AAAA fd11:22::1`},
		{"Bath._light._udp.D.", []uint16{srv}, `NOERROR aa
			Bath._light._udp.D. 3600 SRV 0 0 1235 lamp2.D.
			add Bath._light._udp.D. 3600 TXT "x"
			add lamp2.D. 3600 AAAA fd11:22::2
			add lamp2.D. 3600 A 192.0.2.2`},
		{"Bath._light._udp.D.", []uint16{txt, srv}, `NOERROR aa
			Bath._light._udp.D. 3600 SRV 0 0 1235 lamp2.D.
			Bath._light._udp.D. 3600 TXT "x"
			add lamp2.D. 3600 AAAA fd11:22::2
			add lamp2.D. 3600 A 192.0.2.2`},
		{"Bath._light._udp.D.", []uint16{aaaa}, "NOERROR aa" + negative},
		{"Shed._light._udp.D.", []uint16{srv}, "NXDOMAIN aa" + negative},
		{"D.", []uint16{dns.TypeSOA}, "NOERROR aa\nD. 10 SOA D. hostmaster.D. 0 7200 3600 86400 10"},
		{"D.", []uint16{dns.TypeNS}, "NOERROR aa" + negative},
		{"b._dns-sd._udp.D.", []uint16{ptr}, "NOERROR aa\nb._dns-sd._udp.D. 10 PTR D."},
		{"_services._dns-sd._udp.D.", []uint16{ptr}, `NOERROR aa
			_services._dns-sd._udp.D. 10 PTR _light._udp.D.
			_services._dns-sd._udp.D. 10 PTR _hap._udp.D.`},
		{"r._dns-sd._udp.D.", []uint16{ptr}, "NXDOMAIN aa" + negative},
	} {
		w.check(w.query(strings.ReplaceAll(tt.name, "D.", "default.service.arpa."), tt.types...), tt.want)
	}
	if n := len(w.up.asked); n != 0 {
		t.Errorf("forwarded %v", w.up.asked)
	}
}

// What OpenThread's client registers, others find.
func TestAfterRecordedRegistration(t *testing.T) {
	w := newWorld(t, func(c *dnssd.ResolverConfig) {
		c.Browser = nil
		s, err := srp.New(srp.Config{Clock: c.Clock})
		if err != nil {
			t.Fatal(err)
		}
		c.Registry, c.Update = s, s.Receive
	})
	text, err := os.ReadFile("srp/testdata/openthread.hex")
	if err != nil {
		t.Fatal(err)
	}
	var recorded [][]byte
	for l := range strings.Lines(string(text)) {
		if b, err := hex.DecodeString(strings.TrimSpace(l)); err == nil && len(b) > 0 {
			recorded = append(recorded, b)
		}
	}
	w.resolver.Receive(peer, recorded[0])
	if len(w.sent) != 1 || !bytes.Equal(w.sent[0], recorded[1]) {
		t.Fatalf("answered %x", w.sent)
	}
	w.clock.Advance(began.Add(200 * time.Second))
	w.check(w.query("_light._udp.default.service.arpa.", dns.TypePTR), `NOERROR aa
		_light._udp.D. 7000 PTR lamp._light._udp.D.
		add lamp._light._udp.D. 7000 SRV 1 2 1234 lamp1.D.
		add lamp._light._udp.D. 7000 TXT "test"
		add lamp1.D. 7000 AAAA fd11:22::5535:d683:1e22:b0c8`)
}
