package dnssd_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/miekg/dns"

	"gatewayd/dnssd"
)

// queries is what a mesh asks, as bytes.
func queries(w *world) (out [][]byte) {
	add := func(m *dns.Msg) {
		b, err := m.Pack()
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, b)
	}
	for _, name := range []string{
		"default.service.arpa.", "lamp1.default.service.arpa.", "_light._udp.default.service.arpa.", "_hap._udp.default.service.arpa.",
		"_dim._sub._light._udp.default.service.arpa.", "Bath._light._udp.default.service.arpa.", `Kitchen\.\ Lamp._light._udp.default.service.arpa.`,
		`Printer\ p1._ipp._tcp.default.service.arpa.`, "_ipp._tcp.default.service.arpa.", "p1.default.service.arpa.",
		"_services._dns-sd._udp.default.service.arpa.", "www.example.", "ipv4only.arpa.", "x.local.",
	} {
		for _, typ := range []uint16{dns.TypePTR, dns.TypeSRV, dns.TypeTXT, dns.TypeAAAA, dns.TypeA, dns.TypeANY} {
			add(w.query(name, typ))
		}
	}
	add(w.query("Bath._light._udp.default.service.arpa.", dns.TypeSRV, dns.TypeTXT))
	m := w.query("www.example.", dns.TypeAAAA)
	m.SetEdns0(1232, true)
	add(m)
	return out
}

// full is a resolver of which everything can be asked.
func full(t testing.TB) *world {
	w := newWorld(t, func(c *dnssd.ResolverConfig) { c.Registry = mesh() })
	w.link.hosts[0] = printer("p1")
	w.up.answers["www.example. AAAA"] = none()
	w.up.answers["www.example. A"] = says("www.example. 300 IN A 192.0.2.1")
	w.nat64("fd00:64::/96")
	return w
}

// Whatever comes, there is at most one answer, to it and within its limit, and
// nothing is left waiting.
func FuzzResolver(f *testing.F) {
	for _, b := range queries(full(f)) {
		f.Add(b)
	}
	for _, x := range recorded(f) {
		f.Add(x.query)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w := full(t)
		w.resolver.Receive(peer, b)
		for w.resolver.Pending() > 0 {
			at := w.clock.Deadline()
			if at.IsZero() {
				t.Fatal("waits for nothing")
			}
			w.clock.Advance(at)
		}
		if len(w.sent) > 1 || w.link.open != 0 {
			t.Fatalf("%d answers, %d look-ups open", len(w.sent), w.link.open)
		}
		for _, a := range w.sent {
			m := &dns.Msg{}
			if len(a) > 1232 || !bytes.Equal(a[:2], b[:2]) || m.Unpack(a) != nil || !m.Response {
				t.Fatalf("%x answered by %x", b, a)
			}
			w.sent = nil
			w.resolver.Receive(peer, a)
			if len(w.sent) != 0 {
				t.Fatal("answered its own answer")
			}
		}
	})
}

// Whatever a resolver upstream says, the client gets one answer.
func FuzzUpstream(f *testing.F) {
	for _, m := range []*dns.Msg{none(), says("www.example. 300 IN A 192.0.2.1"), says("www.example. 1 IN CNAME w.example.", "w.example. 2 IN AAAA ::1"), fails(dns.RcodeServerFailure)} {
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[2:])
	}
	f.Add([]byte("\x000\x000000000\x00\x00\x06000000\x00\x00"))                                                     // a SOA record without data
	f.Add([]byte("\x000\x000\x00\x000000\x00\x00\x06000000\x00.,00000000000000000000000000000000000000000000\x00")) // one that ends early
	f.Fuzz(func(t *testing.T, b []byte) {
		w := newWorld(t, func(c *dnssd.ResolverConfig) {
			c.Forward = func(q []byte, done func([]byte, error)) {
				// With the right id and, if it fits, question.
				a := append(slices.Clone(q[:2]), b...)
				if len(a) >= 12 {
					a = append(append(a[:12:12], q[12:12+17]...), a[12:]...)
					a[5] = 1
					a[2] |= 0x80
				}
				done(a, nil)
			}
		})
		w.nat64("fd00:64::/96")
		for range 2 { // the second one from the cache
			w.sent = nil
			w.send(w.query("www.example.", dns.TypeAAAA))
			m := &dns.Msg{}
			if len(w.sent) != 1 || m.Unpack(w.sent[0]) != nil || len(w.sent[0]) > 1232 {
				t.Fatalf("answers %x", w.sent)
			}
		}
	})
}

// Labels survive the presentation format.
func FuzzNames(f *testing.F) {
	f.Add("a", "b.c")
	f.Add(`\`, "\x00\xff @")
	f.Fuzz(func(t *testing.T, a, b string) {
		if a == "" || b == "" || len(a) > dnssd.MaxLabel || len(b) > dnssd.MaxLabel {
			return
		}
		name := dnssd.JoinName(a, b)
		if got := dnssd.SplitName(name); !slices.Equal(got, []string{a, b}) {
			t.Fatalf("%q became %q, %q", []string{a, b}, name, got)
		}
		buf := make([]byte, 256)
		off, err := dns.PackDomainName(name, buf, 0, nil, false)
		if err != nil || off != len(a)+len(b)+3 || string(buf[1:1+len(a)]) != a {
			t.Fatalf("%q is %x, %v", name, buf[:off], err)
		}
		if dnssd.Fold(dnssd.Fold(a)) != dnssd.Fold(a) || len(dnssd.Fold(a)) != len(a) {
			t.Fatalf("%q folds to %q", a, dnssd.Fold(a))
		}
	})
}
