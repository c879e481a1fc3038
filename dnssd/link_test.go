package dnssd_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"gatewayd/dnssd"
)

func printer(name string) dnssd.Host {
	return dnssd.Host{
		Name: name, Addrs: addrs("fe80::1", "2001:db8::7", "2001:db8::7", "192.0.2.7", "::ffff:192.0.2.8", "127.0.0.1"), TTL: 2 * time.Minute,
		Services: []dnssd.Service{
			{Instance: "Printer " + name, Type: "_ipp._tcp", Subtypes: []string{"_color"}, Port: 631, TXT: []byte("\x05a=b=c"), TTL: time.Hour},
		},
	}
}

// What is not registered is looked for on the links, with the addresses that
// are of use and for ten seconds.
func TestDiscoveryProxy(t *testing.T) {
	w := newWorld(t, func(c *dnssd.ResolverConfig) { c.Registry = mesh() })
	w.link.hosts[100*time.Millisecond] = printer("p1")
	w.check(w.query("_ipp._tcp.default.service.arpa.", dns.TypePTR), `NOERROR aa
		_ipp._tcp.D. 10 PTR Printer\ p1._ipp._tcp.D.
		add Printer\ p1._ipp._tcp.D. 10 SRV 0 0 631 p1.D.
		add Printer\ p1._ipp._tcp.D. 10 TXT "a=b=c"
		add p1.D. 10 AAAA 2001:db8::7
		add p1.D. 10 A 192.0.2.7`)
	w.check(w.query("_color._sub._ipp._tcp.default.service.arpa.", dns.TypePTR), `NOERROR aa
		_color._sub._ipp._tcp.D. 10 PTR Printer\ p1._ipp._tcp.D.
		add Printer\ p1._ipp._tcp.D. 10 SRV 0 0 631 p1.D.
		add Printer\ p1._ipp._tcp.D. 10 TXT "a=b=c"
		add p1.D. 10 AAAA 2001:db8::7
		add p1.D. 10 A 192.0.2.7`)
	w.check(w.query(`Printer\ p1._ipp._tcp.default.service.arpa.`, dns.TypeSRV, dns.TypeTXT), `NOERROR aa
		Printer\ p1._ipp._tcp.D. 10 SRV 0 0 631 p1.D.
		Printer\ p1._ipp._tcp.D. 10 TXT "a=b=c"
		add p1.D. 10 AAAA 2001:db8::7
		add p1.D. 10 A 192.0.2.7`)
	w.check(w.query("p1.default.service.arpa.", dns.TypeAAAA), "NOERROR aa\np1.D. 10 AAAA 2001:db8::7")
	w.check(w.query("p1.default.service.arpa.", dns.TypeA), "NOERROR aa\np1.D. 10 A 192.0.2.7")
	w.link.hosts[120*time.Millisecond] = printer("p2")
	w.check(w.query("_ipp._tcp.default.service.arpa.", dns.TypePTR), `NOERROR aa
		_ipp._tcp.D. 10 PTR Printer\ p1._ipp._tcp.D.
		_ipp._tcp.D. 10 PTR Printer\ p2._ipp._tcp.D.`)
	// Devices of the mesh and of the links, each once.
	w.link.hosts[130*time.Millisecond] = dnssd.Host{Name: "Lamp1", Services: []dnssd.Service{{Instance: "LAMP1", Type: "_hap._udp"}, {Instance: "tv", Type: "_hap._udp"}}}
	w.check(w.query("_hap._udp.default.service.arpa.", dns.TypePTR), `NOERROR aa
		_hap._udp.D. 1800 PTR lamp1._hap._udp.D.
		_hap._udp.D. 0 PTR tv._hap._udp.D.`)
	if k := w.resolver.Counters(); k.FromLink != 7 || k.FromRegistry != 1 {
		t.Errorf("%+v", k)
	}
}

// Answers come as soon as they can: who asks gives up after some seconds.
func TestDiscoveryTimes(t *testing.T) {
	w := newWorld(t, func(c *dnssd.ResolverConfig) { c.Registry = mesh() })
	took := func(name string, types ...uint16) time.Duration {
		t.Helper()
		start := w.clock.Now()
		w.ask(w.query(name+"default.service.arpa.", types...))
		return w.clock.Now().Sub(start)
	}
	type step struct {
		name string
		typ  uint16
		want time.Duration
	}
	ms := time.Millisecond
	run := func(steps ...step) {
		t.Helper()
		for _, s := range steps {
			if got := took(s.name, s.typ); got != s.want {
				t.Errorf("%s %s: after %v, want %v", s.name, dns.TypeToString[s.typ], got, s.want)
			}
		}
	}
	run(
		step{"lamp1.", dns.TypeAAAA, 0},
		step{"lamp1._hap._udp.", dns.TypeSRV, 0},
		step{"_hap._udp.", dns.TypePTR, 300 * ms}, // there might be more
		step{"_ipp._tcp.", dns.TypePTR, 4000 * ms},
		step{"nobody.", dns.TypeAAAA, 4000 * ms},
		step{"nobody.", dns.TypeHTTPS, 0},
		step{"x._ipp._tcp.", dns.TypeTXT, 4000 * ms},
	)
	w.link.hosts[0] = printer("p1") // known already
	run(
		step{"p1.", dns.TypeAAAA, 0},
		step{"p1.", dns.TypeA, 300 * ms},
		step{`Printer\ p1._ipp._tcp.`, dns.TypeSRV, 0},
		step{"_ipp._tcp.", dns.TypePTR, 300 * ms},
	)
	delete(w.link.hosts, 0)
	w.link.hosts[50*ms] = printer("p1")
	run(
		step{"p1.", dns.TypeAAAA, 50 * ms},
		step{`Printer\ p1._ipp._tcp.`, dns.TypeSRV, 100 * ms},
		step{"_ipp._tcp.", dns.TypePTR, 450 * ms},
	)
	// A host without an address of use does not keep its service from being told.
	p := printer("p1")
	p.Addrs = addrs("fe80::1")
	w.link.hosts[50*ms] = p
	run(
		step{"p1.", dns.TypeAAAA, 4000 * ms},
		step{`Printer\ p1._ipp._tcp.`, dns.TypeSRV, 550 * ms},
	)
	w.check(w.query("nobody.default.service.arpa.", dns.TypeAAAA), "NOERROR aa"+negative)
}

// A host of the links that has IPv4 only is reached through the translator.
func TestLinkHostUnderNAT64(t *testing.T) {
	w := newWorld(t)
	w.link.hosts[0] = dnssd.Host{Name: "old", Addrs: addrs("192.168.1.9"), TTL: time.Hour}
	w.check(w.query("old.default.service.arpa.", dns.TypeAAAA), "NOERROR aa"+negative+"\nadd old.D. 10 A 192.168.1.9")
	w.nat64("fd00:64::/96")
	w.check(w.query("old.default.service.arpa.", dns.TypeAAAA), "NOERROR aa\nold.D. 10 AAAA fd00:64::c0a8:109")
	w.check(w.query("old.default.service.arpa.", dns.TypeA), "NOERROR aa\nold.D. 10 A 192.168.1.9")
}

// So many questions of a client can wait; those that come again are not counted
// twice, one that ends makes room, and other clients are answered meanwhile.
func TestPendingIsBounded(t *testing.T) {
	w := newWorld(t, func(c *dnssd.ResolverConfig) { c.MaxPending = 12 })
	for i := range 3 {
		m := w.query(fmt.Sprintf("h%d.default.service.arpa.", i), dns.TypeAAAA)
		w.send(m)
		w.send(m)
	}
	if n := w.resolver.Pending(); n != 3 || len(w.sent) != 0 {
		t.Fatalf("%d pending, %d sent", n, len(w.sent))
	}
	w.check(w.query("h4.default.service.arpa.", dns.TypeAAAA), "SERVFAIL")
	w.check(w.query("www.example.", dns.TypeAAAA), "SERVFAIL")
	w.sent = nil
	got := map[netip.AddrPort]int{}
	w.answer = func(to netip.AddrPort, b []byte) { got[to]++ }
	for i := range 20 {
		b, err := w.query(fmt.Sprintf("o%d.default.service.arpa.", i), dns.TypeAAAA).Pack()
		if err != nil {
			t.Fatal(err)
		}
		w.resolver.Receive(netip.AddrPortFrom(netip.AddrFrom16([16]byte{0: 0xfd, 15: byte(i)}), 53), b)
	}
	if n := w.resolver.Pending(); n != 12 || len(got) != 11 {
		t.Errorf("%d pending, %d refused", n, len(got))
	}
	for w.resolver.Pending() > 0 {
		w.clock.Advance(w.clock.Deadline())
	}
	if k := w.resolver.Counters(); k.Repeated != 3 || k.Overload != 13 || k.Negative != 12 || len(got) != 21 || got[peer] != 3 {
		t.Errorf("%+v, answers %v", k, got)
	}
	w.answer = nil
	w.send(w.query("h5.default.service.arpa.", dns.TypeAAAA))
	w.sent = nil
	w.resolver.Stop()
	if n := w.resolver.Pending(); n != 0 || len(w.sent) != 1 || w.link.open != 0 {
		t.Errorf("%d pending, %d sent, %d open after Stop", n, len(w.sent), w.link.open)
	}
}
