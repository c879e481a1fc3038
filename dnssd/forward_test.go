package dnssd_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"gatewayd/alarm"
	"gatewayd/dnssd"
)

func (w *world) nat64(p string) {
	w.t.Helper()
	if err := w.resolver.SetNAT64(netip.MustParsePrefix(p)); err != nil {
		w.t.Fatal(err)
	}
}

func TestForward(t *testing.T) {
	w := newWorld(t)
	w.up.answers["www.example. AAAA"] = says("www.example. 300 IN CNAME w.example.", "w.example. 200 IN AAAA 2001:db8::1")
	w.up.answers["mail.example. MX"] = says("mail.example. 300 IN MX 10 m.example.")
	w.up.answers["broken.example. A"] = fails(dns.RcodeServerFailure)
	www := "NOERROR\nwww.example. %d CNAME w.example.\nw.example. %d AAAA 2001:db8::1"
	w.check(w.query("www.example.", dns.TypeAAAA), fmt.Sprintf(www, 300, 200))
	w.check(w.query("mail.example.", dns.TypeMX), "NOERROR\nmail.example. 300 MX 10 m.example.")
	w.check(w.query("none.example.", dns.TypeA), "NXDOMAIN\nauth example. 300 SOA ns.example. root.example. 1 2 3 4 60")
	w.check(w.query("broken.example.", dns.TypeA), "SERVFAIL")
	// From the cache, for what is left of their time.
	w.clock.Advance(w.clock.Now().Add(50 * time.Second))
	asked := len(w.up.asked)
	w.check(w.query("WWW.example.", dns.TypeAAAA), fmt.Sprintf(www, 250, 150))
	w.check(w.query("none.example.", dns.TypeA), "NXDOMAIN\nauth example. 250 SOA ns.example. root.example. 1 2 3 4 60")
	if len(w.up.asked) != asked {
		t.Errorf("asked again: %v", w.up.asked[asked:])
	}
	w.check(w.query("broken.example.", dns.TypeA), "SERVFAIL")
	w.clock.Advance(w.clock.Now().Add(11 * time.Second))
	w.check(w.query("none.example.", dns.TypeA), "NXDOMAIN\nauth example. 300 SOA ns.example. root.example. 1 2 3 4 60")
	w.clock.Advance(w.clock.Now().Add(150 * time.Second))
	w.check(w.query("www.example.", dns.TypeAAAA), fmt.Sprintf(www, 300, 200))
	if got, want := len(w.up.asked), asked+3; got != want {
		t.Errorf("%d questions, want %d: %v", got, want, w.up.asked)
	}
	// Ids are the resolver's own, and differ.
	ids := map[uint16]bool{}
	for _, b := range w.up.queries {
		ids[uint16(b[0])<<8|uint16(b[1])] = true
	}
	if len(ids) < len(w.up.queries)-1 {
		t.Errorf("%d ids in %d queries", len(ids), len(w.up.queries))
	}
}

// Some names are nobody else's business.
func TestNotForwarded(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"x.local.", "local.", "x.service.arpa.", "Service.ARPA."} {
		a := w.ask(w.query(name, dns.TypeAAAA))
		if a.Rcode != dns.RcodeNameError || len(a.Ns) != 1 {
			t.Errorf("%s: %s", name, text(a))
		}
	}
	m := w.query("www.example.", dns.TypeAAAA)
	m.RecursionDesired = false
	w.check(m, "REFUSED")
	w.check(w.query("www.example.", dns.TypeSRV, dns.TypeTXT), "REFUSED")
	if len(w.up.asked) != 0 {
		t.Errorf("asked %v", w.up.asked)
	}
	w = newWorld(t, func(c *dnssd.ResolverConfig) { c.Forward = nil })
	w.check(w.query("www.example.", dns.TypeAAAA), "REFUSED")
}

// A resolver that says nothing, too late, or something else.
func TestForwardFails(t *testing.T) {
	w := newWorld(t)
	w.up.silent = true
	w.send(w.query("www.example.", dns.TypeAAAA))
	if took := w.pass(time.Minute); took != 6*time.Second || len(w.sent) != 1 || w.sent[0][3]&0xf != dns.RcodeServerFailure {
		t.Errorf("after %v: %x", took, w.sent)
	}
	for _, f := range w.up.later {
		f()
		f()
	}
	if len(w.sent) != 1 || w.resolver.Pending() != 0 {
		t.Errorf("%d sent, %d pending", len(w.sent), w.resolver.Pending())
	}
	var forged func(*dns.Msg)
	w = newWorld(t, func(c *dnssd.ResolverConfig) {
		c.Forward = func(b []byte, done func([]byte, error)) {
			m := &dns.Msg{}
			if err := m.Unpack(b); err != nil {
				t.Error(err)
			}
			a := says("www.example. 300 IN AAAA 2001:db8::bad")
			a.SetReply(m)
			forged(a)
			p, err := a.Pack()
			done(p, err)
		}
	})
	for i, f := range []func(*dns.Msg){
		func(m *dns.Msg) { m.Id++ },
		func(m *dns.Msg) { m.Response = false },
		func(m *dns.Msg) { m.Question[0].Name = "ww.example." },
		func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeA },
		func(m *dns.Msg) { m.Question = nil },
		func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify },
	} {
		forged = f
		if a := w.ask(w.query("www.example.", dns.TypeAAAA)); a.Rcode != dns.RcodeServerFailure {
			t.Errorf("%d: %s", i, text(a))
		}
	}
	if n := w.resolver.Counters().ForwardFailed; n != 6 {
		t.Errorf("%d failed", n)
	}
}

// RFC 6147 Section 5.
func TestDNS64(t *testing.T) {
	w := newWorld(t)
	w.up.answers["v6.example. AAAA"] = says("v6.example. 300 IN AAAA 2001:db8::1")
	w.up.answers["v4.example. AAAA"] = none()
	w.up.answers["v4.example. A"] = says("v4.example. 300 IN CNAME v.example.", "v.example. 400 IN A 192.0.2.33", "v.example. 30 IN A 198.51.100.1", "v.example. 30 IN A 0.0.0.0")
	w.up.answers["mapped.example. AAAA"] = says("mapped.example. 300 IN AAAA ::ffff:192.0.2.1")
	w.up.answers["mapped.example. A"] = says("mapped.example. 700 IN A 192.0.2.1")
	w.up.answers["broken.example. AAAA"] = fails(dns.RcodeServerFailure)
	w.up.answers["broken.example. A"] = says("broken.example. 700 IN A 192.0.2.1")
	w.up.answers["empty.example. AAAA"] = none()
	w.up.answers["empty.example. A"] = none()
	w.up.answers["worse.example. AAAA"] = fails(dns.RcodeServerFailure)
	w.up.answers["worse.example. A"] = fails(dns.RcodeServerFailure)
	w.up.answers["private.example. AAAA"] = none()
	w.up.answers["private.example. A"] = says("private.example. 300 IN A 10.0.0.1")
	w.up.answers["33.2.0.192.in-addr.arpa. PTR"] = says("33.2.0.192.in-addr.arpa. 300 IN PTR v4.example.")
	const soa = "\nauth example. 300 SOA ns.example. root.example. 1 2 3 4 60"
	ask := func(name, want string) {
		t.Helper()
		w.check(w.query(name+".example.", dns.TypeAAAA), want)
	}
	ask("v4", "NOERROR"+soa) // no prefix yet
	w.nat64("2001:db8:64::/96")
	ask("v6", "NOERROR\nv6.example. 300 AAAA 2001:db8::1")
	// For no longer than the negative answer holds.
	ask("v4", `NOERROR
		v4.example. 300 CNAME v.example.
		v.example. 60 AAAA 2001:db8:64::c000:221
		v.example. 30 AAAA 2001:db8:64::c633:6401`)
	ask("mapped", "NOERROR\nmapped.example. 600 AAAA 2001:db8:64::c000:201")
	ask("broken", "NOERROR\nbroken.example. 600 AAAA 2001:db8:64::c000:201")
	ask("empty", "NOERROR"+soa)
	ask("worse", "SERVFAIL")
	ask("none", "NXDOMAIN"+soa)
	ask("private", "NOERROR\nprivate.example. 60 AAAA 2001:db8:64::a00:1")
	w.check(w.query("v4.example.", dns.TypeA), `NOERROR
		v4.example. 300 CNAME v.example.
		v.example. 400 A 192.0.2.33
		v.example. 30 A 198.51.100.1
		v.example. 30 A 0.0.0.0`)
	// Not for who validates by itself.
	m := w.query("v4.example.", dns.TypeAAAA)
	m.SetEdns0(1232, true)
	m.CheckingDisabled = true
	w.check(m, "NOERROR"+soa+"\nopt")
	m.CheckingDisabled = false
	w.check(m, `NOERROR
		v4.example. 300 CNAME v.example.
		v.example. 60 AAAA 2001:db8:64::c000:221
		v.example. 30 AAAA 2001:db8:64::c633:6401
		opt`)
	// Back from an address to a name.
	arpa, _ := dns.ReverseAddr("2001:db8:64::c000:221")
	w.check(w.query(arpa, dns.TypePTR), "NOERROR\n"+arpa+" 600 CNAME 33.2.0.192.in-addr.arpa.\n33.2.0.192.in-addr.arpa. 300 PTR v4.example.")
	arpa, _ = dns.ReverseAddr("2001:db8:65::c000:221")
	w.check(w.query(arpa, dns.TypePTR), "NXDOMAIN"+soa)
	// A prefix that changes takes the old addresses along.
	w.nat64("64:ff9b::/96")
	ask("mapped", "NOERROR\nmapped.example. 600 AAAA 64:ff9b::c000:201")
	ask("private", "NOERROR"+soa)
	w.nat64("2001:db8::/32")
	ask("mapped", "NOERROR\nmapped.example. 600 AAAA 2001:db8:c000:201::")
	if err := w.resolver.SetNAT64(netip.Prefix{}); err != nil {
		t.Error(err)
	}
	ask("mapped", "NOERROR\nmapped.example. 300 AAAA ::ffff:192.0.2.1")
	for _, bad := range []string{"2001:db8::/95", "2001:db8::1/96", "192.0.2.0/32", "::ffff:0:0/96"} {
		if err := w.resolver.SetNAT64(netip.MustParsePrefix(bad)); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

// The examples of RFC 6052 Section 2.4.
func TestEmbeddedAddresses(t *testing.T) {
	for prefix, want := range map[string]string{
		"2001:db8::/32":         "2001:db8:c000:221::",
		"2001:db8:100::/40":     "2001:db8:1c0:2:21::",
		"2001:db8:122::/48":     "2001:db8:122:c000:2:2100::",
		"2001:db8:122:300::/56": "2001:db8:122:3c0:0:221::",
		"2001:db8:122:344::/64": "2001:db8:122:344:c0:2:2100::",
		"2001:db8:122:344::/96": "2001:db8:122:344::c000:221",
		"64:ff9b::/96":          "64:ff9b::c000:221",
	} {
		w := newWorld(t)
		w.up.answers["v4.example. AAAA"] = none()
		w.up.answers["v4.example. A"] = says("v4.example. 60 IN A 192.0.2.33")
		w.up.answers["33.2.0.192.in-addr.arpa. PTR"] = says("33.2.0.192.in-addr.arpa. 300 IN PTR v4.example.")
		w.nat64(prefix)
		w.check(w.query("v4.example.", dns.TypeAAAA), "NOERROR\nv4.example. 60 AAAA "+netip.MustParseAddr(want).String())
		arpa, _ := dns.ReverseAddr(want)
		if a := w.ask(w.query(arpa, dns.TypePTR)); len(a.Answer) != 2 {
			t.Errorf("%s: %s", prefix, text(a))
		}
	}
}

// RFC 7050, RFC 8880: clients find the prefix, and nobody upstream is asked.
func TestIPv4Only(t *testing.T) {
	w := newWorld(t)
	const no = "NOERROR aa\nauth ipv4only.arpa. 10 SOA ipv4only.arpa. hostmaster.ipv4only.arpa. 0 7200 3600 86400 10"
	w.check(w.query("ipv4only.arpa.", dns.TypeAAAA), no)
	w.nat64("fd00:64::/96")
	w.check(w.query("ipv4only.arpa.", dns.TypeAAAA), "NOERROR aa\nipv4only.arpa. 60 AAAA fd00:64::c000:aa\nipv4only.arpa. 60 AAAA fd00:64::c000:ab")
	w.check(w.query("ipv4only.arpa.", dns.TypeA), "NOERROR aa\nipv4only.arpa. 60 A 192.0.0.170\nipv4only.arpa. 60 A 192.0.0.171")
	w.check(w.query("ipv4only.arpa.", dns.TypeMX), no)
	w.check(w.query("x.ipv4only.arpa.", dns.TypeA), strings.Replace(no, "NOERROR", "NXDOMAIN", 1))
	if len(w.up.asked) != 0 {
		t.Errorf("asked %v", w.up.asked)
	}
}

// The cache is bounded; the oldest answers go.
func TestCacheIsBounded(t *testing.T) {
	w := newWorld(t, func(c *dnssd.ResolverConfig) { c.CacheSize = 4 })
	for i := range 20 {
		name := fmt.Sprintf("h%d.example.", i)
		w.up.answers[name+" A"] = says(name + " 300 IN A 192.0.2.1")
		w.ask(w.query(name, dns.TypeA))
	}
	for i := range 20 {
		w.ask(w.query(fmt.Sprintf("h%d.example.", 19-i), dns.TypeA))
	}
	if k := w.resolver.Counters(); k.FromCache != 4 {
		t.Errorf("%d from the cache", k.FromCache)
	}
	w.resolver.ClearCache()
	w.ask(w.query("h19.example.", dns.TypeA))
	if k := w.resolver.Counters(); k.FromCache != 4 {
		t.Errorf("%d from the cache", k.FromCache)
	}
}

// Datagrams are cut where the client or the network cannot take more; streams
// are not.
func TestTruncated(t *testing.T) {
	many := shelf{}
	for i := range 100 {
		many = append(many, dnssd.Host{Name: fmt.Sprint("h", i), Services: []dnssd.Service{{Instance: fmt.Sprint("lamp ", i), Type: "_l._udp", TXT: []byte{0}, TTL: time.Hour}}})
	}
	big := dnssd.Host{Name: "big", Addrs: addrs("fd00::1"), TTL: time.Hour, Services: []dnssd.Service{{Instance: "big", Type: "_big._udp", TTL: time.Hour}}}
	for range 2 {
		big.Services[0].TXT = append(append(big.Services[0].TXT, 250), strings.Repeat("x", 250)...)
	}
	w := newWorld(t, func(c *dnssd.ResolverConfig) { c.Registry, c.Browser = append(many, big), nil })
	for _, tt := range []struct {
		name      string
		size      uint16 // EDNS, 0: none
		limit     int
		min       int // bytes
		truncated bool
		answers   int
	}{
		{"_l._udp.", 0, 1232, 1200, true, -1},
		{"_l._udp.", 600, 600, 560, true, -1},
		{"_l._udp.", 1, 512, 470, true, -1},
		{"_l._udp.", 9000, 1232, 1190, true, -1},
		{"_big._udp.", 512, 512, 60, false, 1}, // only what nobody asked for is missing
		{"_big._udp.", 0, 1232, 600, false, 1},
	} {
		m := w.query(tt.name+"default.service.arpa.", dns.TypePTR)
		if tt.size != 0 {
			m.SetEdns0(tt.size, false)
		}
		a := w.ask(m)
		if n := len(w.sent[0]); n > tt.limit || n < tt.min || a.Truncated != tt.truncated || tt.answers >= 0 && len(a.Answer) != tt.answers {
			t.Errorf("%s with %d: %d bytes, %d answers, truncated %v", tt.name, tt.size, n, len(a.Answer), a.Truncated)
		}
		if (tt.size != 0) != (a.IsEdns0() != nil) {
			t.Errorf("%s with %d: OPT %v", tt.name, tt.size, a.IsEdns0())
		}
	}
	b, err := w.query("_l._udp.default.service.arpa.", dns.TypePTR).Pack()
	if err != nil {
		t.Fatal(err)
	}
	var stream []byte
	w.resolver.ReceiveStream(b, func(b []byte) { stream = dnssd.AppendFrame(stream, b) })
	if _, _, ok := dnssd.NextFrame(stream[:len(stream)-1]); ok {
		t.Error("a frame that is not whole")
	}
	msg, rest, ok := dnssd.NextFrame(stream)
	a := &dns.Msg{}
	if !ok || len(rest) != 0 || a.Unpack(msg) != nil || a.Truncated || len(a.Answer) != len(many) {
		t.Errorf("stream: %v, %d left, %d answers", ok, len(rest), len(a.Answer))
	}
}

// What is no query is counted, and answered if that can do no harm.
func TestMalformed(t *testing.T) {
	w := newWorld(t)
	ok, err := w.query("lamp1.default.service.arpa.", dns.TypeAAAA).Pack()
	if err != nil {
		t.Fatal(err)
	}
	set := func(at int, v byte) []byte {
		b := append([]byte(nil), ok...)
		b[at] = v
		return b
	}
	edns := w.query("www.example.", dns.TypeAAAA)
	edns.SetEdns0(1232, false)
	edns.IsEdns0().SetVersion(1)
	version, err := edns.Pack()
	if err != nil {
		t.Fatal(err)
	}
	two := func(m *dns.Msg, second string) []byte {
		m.Question = append(m.Question, dns.Question{Name: second, Qtype: dns.TypeTXT, Qclass: dns.ClassINET})
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, tt := range []struct {
		what string
		in   []byte
		code int // -1: no answer
	}{
		{"nothing", nil, -1},
		{"half a header", ok[:11], -1},
		{"an answer", set(2, 0x81), -1},
		{"no question", ok[:12], dns.RcodeFormatError},
		{"cut", ok[:20], dns.RcodeFormatError},
		{"truncated", set(2, 0x03), dns.RcodeFormatError},
		{"update without a registry", set(2, dns.OpcodeUpdate<<3), dns.RcodeNotImplemented},
		{"notify", set(2, dns.OpcodeNotify<<3), dns.RcodeNotImplemented},
		{"other class", set(len(ok)-1, 3), dns.RcodeRefused},
		{"EDNS 1", version, dns.RcodeBadVers & 0xf},
		{"two names", two(w.query("a.default.service.arpa.", dns.TypeSRV), "b.default.service.arpa."), dns.RcodeFormatError},
		{"address and text", two(w.query("a.default.service.arpa.", dns.TypeAAAA), "a.default.service.arpa."), dns.RcodeFormatError},
		{"too long", append(append([]byte(nil), ok...), make([]byte, 1300)...), -1},
	} {
		w.sent = nil
		w.resolver.Receive(peer, tt.in)
		code := -1
		if len(w.sent) == 1 {
			code = int(w.sent[0][3] & 0xf)
			if w.sent[0][2]&0x80 == 0 || string(w.sent[0][:2]) != string(tt.in[:2]) {
				t.Errorf("%s: answer %x", tt.what, w.sent[0])
			}
		}
		if code != tt.code {
			t.Errorf("%s: code %d, want %d", tt.what, code, tt.code)
		}
	}
	if k := w.resolver.Counters(); k.Malformed != 9 || k.Queries != 4 {
		t.Errorf("%+v", k)
	}
}

func TestResolverConfig(t *testing.T) {
	c := &alarm.Clock{}
	rnd := rand.New(rand.NewPCG(1, 1))
	send := func(netip.AddrPort, []byte) {}
	for i, bad := range []dnssd.ResolverConfig{
		{Rand: rnd, Send: send},
		{Clock: c, Send: send},
		{Clock: c, Rand: rnd},
		{Clock: c, Rand: rnd, Send: send, Domains: []string{"."}},
	} {
		if _, err := dnssd.NewResolver(bad); err == nil || !strings.HasPrefix(err.Error(), "dnssd: ") {
			t.Errorf("%d: %v", i, err)
		}
	}
	failed := errors.New("no network")
	w := newWorld(t, func(c *dnssd.ResolverConfig) {
		c.Forward = func(_ []byte, done func([]byte, error)) { done(nil, failed) }
		c.Domains = []string{"Mesh.Example.", "default.service.arpa."}
		c.Registry = mesh()
	})
	w.check(w.query("www.example.", dns.TypeAAAA), "SERVFAIL")
	w.check(w.query("lamp1._hap._udp.mesh.example.", dns.TypeSRV), `NOERROR aa
		lamp1._hap._udp.mesh.example. 1800 SRV 0 0 1 lamp1.mesh.example.
		add lamp1._hap._udp.mesh.example. 1800 TXT ""
		add lamp1.mesh.example. 3600 AAAA fd11:22::1`)
}
