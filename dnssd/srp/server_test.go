package srp

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"

	"gatewayd/dnssd"
)

// What OpenThread's client sent is taken, and answered as OpenThread's server
// did.
func TestRecorded(t *testing.T) {
	b := recorded(t)
	w := newWorld(t)
	if got := w.server.Receive(peer, b[0]); !bytes.Equal(got, b[1]) {
		t.Fatalf("answer %x, want %x (%v)", got, b[1], w.lastError())
	}
	want := []Registration{{
		Host: dnssd.Host{
			Name:  "lamp1",
			Addrs: []netip.Addr{netip.MustParseAddr("fd11:22::5535:d683:1e22:b0c8")},
			TTL:   7200 * time.Second,
			Services: []dnssd.Service{{
				Instance: "lamp", Type: "_light._udp", Subtypes: []string{"_sub1"},
				Priority: 1, Weight: 2, Port: 1234, TXT: []byte("\x04test"), TTL: 7200 * time.Second,
			}},
		},
		Live: true, From: peer,
		Lease: 7200 * time.Second, KeyLease: 680400 * time.Second,
		Expires: began.Add(7200 * time.Second), KeyUntil: began.Add(680400 * time.Second),
	}}
	if d := cmp.Diff(want, w.server.Hosts(), cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})); d != "" {
		t.Fatal(d)
	}
	// The recorded answer to the removal leaves out the lease, since it is what
	// was asked for. RFC 9664 Section 4.3 wants it in every answer.
	got := w.server.Receive(peer, b[2])
	if len(got) < headerLen || !bytes.Equal(got[:4], b[3][:4]) {
		t.Fatalf("answer %x, want the beginning of %x", got, b[3])
	}
	if r := w.server.Hosts(); len(r) != 0 {
		t.Fatalf("left over: %+v", r)
	}
	if got, want := w.told(), "updated lamp1, removed lamp1"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	if len(w.store.records) != 0 {
		t.Errorf("stored: %v", w.store.records)
	}
}

// Whichever bit of the signed part of a message changes, it is not granted.
func TestTamperedSignature(t *testing.T) {
	b := recorded(t)[0]
	sig := bytes.LastIndex(b, []byte{0, 0, typeSIG, 0, classANY})
	for i := range b {
		// The SIG record's own header is not signed.
		if i >= sig && i < sig+11 {
			continue
		}
		w := newWorld(t)
		bad := slices.Clone(b)
		bad[i] ^= 1 << (i % 8)
		reply := w.server.Receive(peer, bad)
		if len(reply) >= headerLen && reply[3]&0xf == byte(NoError) {
			t.Errorf("byte %d changed, granted all the same", i)
		}
		if n := len(w.server.Hosts()); n != 0 {
			t.Errorf("byte %d changed, %d hosts", i, n)
		}
	}
}

// Signatures by somebody else's code are right too.
func TestForeignSignature(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	b := c.message(plain("a", "x"))
	m := &dns.Msg{}
	if err := m.Unpack(b); err != nil {
		t.Fatal(err)
	}
	m.Extra = m.Extra[:1]
	sig := &dns.SIG{}
	sig.KeyTag = c.keyRecord("a.default.service.arpa.", 1).DNSKEY.KeyTag()
	sig.SignerName = "a.default.service.arpa."
	sig.Algorithm = algorithmP256
	sig.Inception, sig.Expiration = uint32(began.Unix())-10, uint32(began.Unix())+10
	b, err := sig.Sign(crypto.Signer(c.key), m)
	if err != nil {
		t.Fatal(err)
	}
	if code, _ := w.receive(peer, b); code != NoError {
		t.Fatalf("code %d: %v", code, w.lastError())
	}
}

func with(a ask, f func(*ask)) ask {
	f(&a)
	return a
}

func changed(f func(*dns.Msg)) ask {
	return with(plain("a", "x"), func(a *ask) { a.change = f })
}

// What RFC 9665 Section 3.3 does not allow is refused, with its code, and
// changes nothing.
func TestRefused(t *testing.T) {
	const host, instance = "a.default.service.arpa.", "x._light._udp.default.service.arpa."
	in := func(name string, typ uint16) dns.RR_Header { return rr(name, typ, dns.ClassINET, 7200) }
	seconds := func(d int) uint32 { return uint32(began.Unix() + int64(d)) }
	add := func(rrs ...dns.RR) ask {
		return changed(func(m *dns.Msg) { m.Ns = append(m.Ns, rrs...) })
	}
	drop := func(typ uint16) ask {
		return changed(func(m *dns.Msg) {
			m.Ns = slices.DeleteFunc(m.Ns, func(r dns.RR) bool { return r.Header().Rrtype == typ })
		})
	}
	signed := func(f func(*sigWork)) ask { return with(plain("a", "x"), func(a *ask) { a.sign = f }) }
	after := func(f func([]byte) []byte) ask { return with(plain("a", "x"), func(a *ask) { a.after = f }) }
	aaaa := func(name, addr string, ttl uint32) dns.RR {
		return &dns.AAAA{Hdr: rr(name, dns.TypeAAAA, dns.ClassINET, ttl), AAAA: netip.MustParseAddr(addr).AsSlice()}
	}
	tests := []struct {
		name string
		ask  ask
		code RCode
		err  error
	}{
		{"in order", plain("a", "x"), NoError, nil},
		{"host only", plain("a"), NoError, nil},
		{"key on the service too", changed(func(m *dns.Msg) {
			k := *m.Ns[len(m.Ns)-1].(*dns.KEY)
			k.Hdr.Name = instance
			m.Ns = append(m.Ns, &k)
		}), NoError, nil},
		{"another name's case", changed(func(m *dns.Msg) { m.Ns[2].(*dns.SRV).Target = strings.ToUpper(host) }), NoError, nil},
		{"another zone", with(plain("a"), func(a *ask) { a.zone = "example.com." }), NotAuth, ErrZone},
		{"two zones", changed(func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }), FormErr, nil},
		{"zone of another type", changed(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeA }), FormErr, nil},
		{"zone of another class", changed(func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }), NotAuth, ErrZone},
		{"prerequisite", changed(func(m *dns.Msg) { m.Answer = []dns.RR{clearName(host)} }), Refuse, ErrPrerequisite},
		{"outside the zone", add(aaaa("a.example.com.", "fd00::1", 7200)), Refuse, ErrOutside},
		{"the zone itself", add(aaaa("default.service.arpa.", "fd00::1", 7200)), Refuse, ErrOutside},
		{"name of another shape", add(aaaa("b.a.default.service.arpa.", "fd00::1", 7200)), Refuse, ErrInstruction},
		{"two hosts", add(clearName("b.default.service.arpa.")), Refuse, ErrHost},
		{"host cleared twice", add(clearName(host)), Refuse, ErrHost},
		{"host not cleared", changed(func(m *dns.Msg) {
			m.Ns = slices.DeleteFunc(m.Ns, func(r dns.RR) bool { return isClearRR(r) && r.Header().Name == host })
		}), Refuse, ErrHost},
		{"no key", drop(dns.TypeKEY), Refuse, ErrHostKey},
		{"no address", drop(dns.TypeAAAA), Refuse, ErrNoAddress},
		{"no address of use", with(plain("a"), func(a *ask) { a.addrs = []string{"fe80::1", "::1", "ff02::1", "::", "127.0.0.1"} }), Refuse, ErrNoAddress},
		{"other times to live in a set", add(aaaa(host, "fd00::1", 7201)), Refuse, ErrTTL},
		{"a record nobody knows", add(&dns.MX{Hdr: in(host, dns.TypeMX), Mx: "a."}), Refuse, ErrInstruction},
		{"one more of a service", add(&dns.MX{Hdr: in(instance, dns.TypeMX), Mx: "a."}), Refuse, ErrInstruction},
		{"delete one set", add(&dns.ANY{Hdr: rr(host, dns.TypeA, dns.ClassANY, 0)}), Refuse, ErrInstruction},
		{"no pointer", drop(dns.TypePTR), Refuse, ErrService},
		{"no SRV", drop(dns.TypeSRV), Refuse, ErrService},
		{"no TXT", drop(dns.TypeTXT), Refuse, ErrService},
		{"service not cleared", changed(func(m *dns.Msg) {
			m.Ns = slices.DeleteFunc(m.Ns, func(r dns.RR) bool { return isClearRR(r) && r.Header().Name == instance })
		}), Refuse, ErrService},
		{"service cleared after the adding", add(clearName(instance)), Refuse, ErrService},
		{"two SRV", changed(func(m *dns.Msg) { m.Ns = append(m.Ns, m.Ns[2]) }), Refuse, ErrService},
		{"two TXT", changed(func(m *dns.Msg) { m.Ns = append(m.Ns, m.Ns[3]) }), Refuse, ErrService},
		{"service on another host", changed(func(m *dns.Msg) { m.Ns[2].(*dns.SRV).Target = "b.default.service.arpa." }), Refuse, ErrTarget},
		{"pointer to another type", changed(func(m *dns.Msg) { m.Ns[0].Header().Name = "_x._udp.default.service.arpa." }), Refuse, ErrService},
		{"pointer out of the zone", changed(func(m *dns.Msg) { m.Ns[0].(*dns.PTR).Ptr = "x._light._udp.local." }), Refuse, ErrOutside},
		{"pointer added and removed", add(&dns.PTR{Hdr: rr("_light._udp.default.service.arpa.", dns.TypePTR, dns.ClassNONE, 0), Ptr: instance}), Refuse, ErrService},
		{"subtype alone", changed(func(m *dns.Msg) { m.Ns[0].Header().Name = "_s._sub._light._udp.default.service.arpa." }), Refuse, ErrService},
		{"subtype twice", with(plain("a", "x"), func(a *ask) { a.services[0].Subtypes = []string{"_s", "_S"} }), Refuse, ErrService},
		{"control character", with(plain("a", "x\x01"), func(*ask) {}), FormErr, ErrLabel},
		{"not UTF-8", with(plain("a", "x\xff"), func(*ask) {}), FormErr, ErrLabel},
		{"no lease", changed(func(m *dns.Msg) { m.Extra[0].(*dns.OPT).Option = nil }), Refuse, ErrNoLease},
		{"lease of 5 bytes", changed(func(m *dns.Msg) { m.Extra[0].(*dns.OPT).Option[0].(*dns.EDNS0_LOCAL).Data = make([]byte, 5) }), FormErr, ErrRData},
		{"lease longer than the key's", with(plain("a", "x"), func(a *ask) { a.lease, a.key = 100, 99 }), Refuse, ErrLeases},
		{"no OPT", changed(func(m *dns.Msg) { m.Extra = nil }), Refuse, ErrAdditional},
		{"two OPT", changed(func(m *dns.Msg) { m.Extra = append(m.Extra, m.Extra[0]) }), Refuse, ErrAdditional},
		{"signer is another", signed(func(w *sigWork) { w.signer = "b.default.service.arpa." }), Refuse, ErrSigner},
		{"signer is outside", signed(func(w *sigWork) { w.signer = "." }), Refuse, ErrSigner},
		{"covers a type", signed(func(w *sigWork) { w.covered = typeA }), Refuse, ErrAlgorithm},
		{"another algorithm", signed(func(w *sigWork) { w.algorithm = 8 }), Refuse, ErrAlgorithm},
		{"valid now", signed(func(w *sigWork) { w.inception, w.expiration = seconds(-60), seconds(60) }), NoError, nil},
		{"expired", signed(func(w *sigWork) { w.inception, w.expiration = seconds(-60), seconds(-1) }), Refuse, ErrExpired},
		{"not valid yet", signed(func(w *sigWork) { w.inception, w.expiration = seconds(400), seconds(500) }), Refuse, ErrExpired},
		{"a client's clock is ahead", signed(func(w *sigWork) { w.inception, w.expiration = seconds(200), seconds(500) }), NoError, nil},
		{"bad signature", after(func(b []byte) []byte { b[len(b)-1] ^= 1; return b }), Refuse, ErrSignature},
		{"signature of zeroes", after(func(b []byte) []byte { clear(b[len(b)-64:]); return b }), Refuse, ErrSignature},
		{"key that is no point", changed(func(m *dns.Msg) {
			m.Ns[len(m.Ns)-1].(*dns.KEY).PublicKey = base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 64))
		}), Refuse, ErrKey},
		{"short key", changed(func(m *dns.Msg) {
			m.Ns[len(m.Ns)-1].(*dns.KEY).PublicKey = base64.StdEncoding.EncodeToString(make([]byte, 32))
		}), Refuse, ErrAlgorithm},
		{"bytes left over", after(func(b []byte) []byte { return append(b, 0) }), FormErr, ErrSurplus},
		{"cut", after(func(b []byte) []byte { return b[:len(b)-1] }), FormErr, ErrShort},
		{"too many addresses", with(plain("a"), func(a *ask) {
			for i := range maxAddrsPerHost {
				a.addrs = append(a.addrs, fmt.Sprintf("fd00::%x", i+1))
			}
		}), ServFail, ErrTooMany},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			code := w.client().send(tt.ask)
			if code != tt.code || tt.err != nil && !errors.Is(w.lastError(), tt.err) {
				t.Fatalf("code %d, %v; want %d, %v", code, w.lastError(), tt.code, tt.err)
			}
			if n := len(w.server.Hosts()); (n == 1) != (code == NoError) {
				t.Fatalf("%d hosts after code %d", n, code)
			}
			if code != NoError && w.store.writes != 0 {
				t.Fatal("written to the store")
			}
		})
	}
}

func isClearRR(r dns.RR) bool { return r.Header().Class == dns.ClassANY }

// Not everything deserves an answer.
func TestIgnored(t *testing.T) {
	w := newWorld(t)
	b := recorded(t)
	query := slices.Clone(b[0])
	query[2] = 0
	for _, in := range [][]byte{nil, b[0][:11], b[1], query} {
		if reply := w.server.Receive(peer, in); reply != nil {
			t.Errorf("%x answered with %x", in, reply)
		}
	}
	if n := w.server.Counters().Ignored; n != 4 {
		t.Errorf("%d ignored, want 4", n)
	}
}

// A message that comes again gets the answer again and is not applied again.
func TestRepeated(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	b := c.message(plain("a", "x"))
	first := w.server.Receive(peer, b)
	w.pass(time.Second)
	if again := w.server.Receive(peer, b); !bytes.Equal(first, again) {
		t.Fatalf("answers %x and %x", first, again)
	}
	if k := w.server.Counters(); k.Updates != 1 || k.Repeated != 1 {
		t.Fatalf("%+v", k)
	}
	if at := w.server.Hosts()[0].Expires; !at.Equal(began.Add(2 * time.Hour)) {
		t.Errorf("lease ends at %v", at)
	}
	// Not any more once it sent something else, which the old message would undo.
	c.must(with(plain("a"), func(a *ask) { a.lease, a.key = 0, 0 }))
	w.server.Receive(peer, b)
	if k := w.server.Counters(); k.Updates != 3 || k.Repeated != 1 {
		t.Errorf("%+v", k)
	}
	w.pass(repeatTime)
	w.server.Receive(peer, b)
	if k := w.server.Counters(); k.Updates != 4 {
		t.Errorf("%+v", k)
	}
}

func TestBounds(t *testing.T) {
	b := Bounds{
		MinLease: time.Minute, MaxLease: time.Hour, MinKeyLease: time.Hour, MaxKeyLease: 24 * time.Hour,
		MinTTL: 20 * time.Second, MaxTTL: 100 * time.Second,
	}
	w := newWorld(t, func(c *Config) { c.Bounds = b })
	c := w.client()
	for _, tt := range []struct {
		lease, key, ttl uint32
		short           bool
		want            lease
		wantTTL         time.Duration
	}{
		{1, 1, 3600, false, lease{time.Minute, time.Hour, false}, time.Minute},
		{7200, 1209600, 3600, false, lease{time.Hour, 24 * time.Hour, false}, 100 * time.Second},
		{600, 7200, 1, false, lease{10 * time.Minute, 2 * time.Hour, false}, 20 * time.Second},
		{600, 0, 50, true, lease{10 * time.Minute, 10 * time.Minute, true}, 50 * time.Second},
	} {
		a := plain("a", "x")
		a.lease, a.key, a.ttl, a.short = tt.lease, tt.key, tt.ttl, tt.short
		got := c.must(a)
		if got != tt.want {
			t.Errorf("%+v granted %+v", tt, got)
		}
		h := w.server.Hosts()[0]
		if h.Host.TTL != tt.wantTTL || h.Host.Services[0].TTL != tt.wantTTL {
			t.Errorf("%+v: times to live %v and %v", tt, h.Host.TTL, h.Host.Services[0].TTL)
		}
	}
	for _, bad := range []Bounds{
		{MinLease: 2 * time.Hour, MaxLease: time.Hour},
		{MinKeyLease: time.Second},
		{MaxKeyLease: time.Hour},
		{MinLease: time.Millisecond},
		{MaxKeyLease: 2 * longestLease},
	} {
		if _, err := New(Config{Clock: &w.clock, Bounds: bad}); err == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
}

func TestZonesAndSources(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Domain = "Mesh.example."
		c.Accept = func(zone string) bool { return zone == "old.example." }
		c.Allow = func(from netip.Addr) bool { return netip.MustParsePrefix("fd00::/8").Contains(from) }
	})
	c := w.client()
	for zone, want := range map[string]RCode{"mesh.example.": NoError, "default.service.arpa.": NoError, "old.example.": NoError, "local.": NotAuth, "example.": NotAuth} {
		if code := c.send(with(plain("a", "x"), func(a *ask) { a.zone = zone })); code != want {
			t.Errorf("zone %s: code %d, want %d", zone, code, want)
		}
	}
	if got := w.list(); got != "a[x]" {
		t.Errorf("have %s", got)
	}
	if got := w.server.Domain(); got != "Mesh.example." {
		t.Errorf("domain %s", got)
	}
	c.from = netip.MustParseAddrPort("[2001:db8::1]:1")
	if code := c.send(plain("b")); code != Refuse || !errors.Is(w.lastError(), ErrSource) {
		t.Errorf("code %d, %v", code, w.lastError())
	}
}
