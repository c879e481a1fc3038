package dnssd

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// answerWith is what a resolver says to the question: addresses, each with a
// lifetime.
func answerWith(t testing.TB, rcode int, ttl uint32, addrs ...string) []byte {
	t.Helper()
	var q, m dns.Msg
	if err := q.Unpack(new(Discovery).Query(7)); err != nil {
		t.Fatal(err)
	}
	m.SetRcode(&q, rcode)
	m.Answer = append(m.Answer, &dns.CNAME{Hdr: dns.RR_Header{Name: "ipv4only.arpa.", Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 5}, Target: "x.example."})
	for _, a := range addrs {
		m.Answer = append(m.Answer, &dns.AAAA{Hdr: dns.RR_Header{Name: "x.example.", Rrtype: dns.TypeAAAA, Class: dns.ClassINET, Ttl: ttl}, AAAA: net.ParseIP(a)})
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The question is RFC 7050's, as it goes over the wire.
func TestDiscoveryQuery(t *testing.T) {
	want := "\x12\x34" + // id
		"\x01\x00" + // recursion desired, checking left to the resolver
		"\x00\x01\x00\x00\x00\x00\x00\x00" +
		"\x08ipv4only\x04arpa\x00" +
		"\x00\x1c\x00\x01" // AAAA, IN
	if got := new(Discovery).Query(0x1234); string(got) != want {
		t.Errorf("%q", got)
	}
}

// Prefixes of all lengths (RFC 6052 Section 2.4 has them), and what is none.
func TestDiscovered(t *testing.T) {
	for _, x := range []struct{ name, addr, other, want string }{
		{"32", "2001:db8:c000:aa::", "", "2001:db8::/32"},
		{"40", "2001:db8:1c0:0:aa::", "", "2001:db8:100::/40"},
		{"48", "2001:db8:122:c000:0:aa00::", "", "2001:db8:122::/48"},
		{"56", "2001:db8:122:3c0:0:aa::", "", "2001:db8:122:300::/56"},
		{"64", "2001:db8:122:344:c0:0:aa00:0", "", "2001:db8:122:344::/64"},
		{"96", "2001:db8:122:344::192.0.0.170", "", "2001:db8:122:344::/96"},
		{"well-known", "64:ff9b::192.0.0.171", "", "64:ff9b::/96"},
		{"with a suffix", "2001:db8:c000:aa::1234", "", "2001:db8::/32"},
		{"twice, the other one tells", "2001:db8:c000:aa::192.0.0.170", "2001:db8:c000:aa::192.0.0.172", "2001:db8::/32"},
		{"twice", "2001:db8:c000:aa::192.0.0.170", "", ""},
		{"another address", "2001:db8::1", "", ""},
		{"another, and one", "2001:db8::1", "64:ff9b::192.0.0.171", "64:ff9b::/96"},
		{"mapped", "::ffff:192.0.0.170", "", ""},
		{"link-local", "fe80::192.0.0.170", "", ""},
	} {
		all := []string{x.addr}
		if x.other != "" {
			all = append(all, x.other)
		}
		p, ttl, err := discovered(answerWith(t, dns.RcodeSuccess, 600, all...))
		var want netip.Prefix
		if x.want != "" {
			want = netip.MustParsePrefix(x.want)
		}
		if err != nil || p != want || p.IsValid() && ttl != 10*time.Minute {
			t.Errorf("%s: %v for %v, %v", x.name, p, ttl, err)
		}
	}
}

// A prefix holds as long as its answer, and over the resolvers' silence until
// that ends.
func TestDiscovery(t *testing.T) {
	var d Discovery
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	down := errors.New("silence")
	for _, x := range []struct {
		what    string
		after   time.Duration
		answer  []byte
		failed  error
		prefix  string
		changed bool
		next    time.Duration
		wrong   bool
	}{
		{"no resolver", 0, nil, down, "", false, discoverRetry, true},
		{"no NAT64", discoverRetry, answerWith(t, dns.RcodeSuccess, 60), nil, "", false, discoverNone, false},
		{"one", discoverNone, answerWith(t, dns.RcodeSuccess, 600, "64:ff9b::192.0.0.170"), nil, "64:ff9b::/96", true, 590 * time.Second, false},
		{"silence", 590 * time.Second, nil, down, "64:ff9b::/96", false, discoverRetry, true},
		{"for too long", discoverRetry, answerWith(t, dns.RcodeServerFailure, 0), nil, "", true, discoverRetry, true},
		{"a short one", time.Minute, answerWith(t, dns.RcodeSuccess, 1, "64:ff9b::192.0.0.170"), nil, "64:ff9b::/96", true, 50 * time.Second, false},
		{"a long one", time.Minute, answerWith(t, dns.RcodeSuccess, 1e6, "64:ff9b::192.0.0.170"), nil, "64:ff9b::/96", false, time.Hour - discoverBefore, false},
		{"another one", time.Hour, answerWith(t, dns.RcodeSuccess, 600, "2001:db8::192.0.0.170"), nil, "2001:db8::/96", true, 590 * time.Second, false},
		{"gone", time.Minute, answerWith(t, dns.RcodeNameError, 0), nil, "", true, discoverNone, false},
		{"nonsense", time.Minute, []byte("nonsense"), nil, "", false, discoverRetry, true},
		{"a question", time.Minute, new(Discovery).Query(1), nil, "", false, discoverRetry, true},
	} {
		now = now.Add(x.after)
		changed, err := d.Answered(now, x.answer, x.failed)
		var want netip.Prefix
		if x.prefix != "" {
			want = netip.MustParsePrefix(x.prefix)
		}
		if changed != x.changed || d.Prefix() != want || d.Next() != now.Add(x.next) || (err != nil) != x.wrong {
			t.Errorf("%s: %v %v, next in %v, %v", x.what, changed, d.Prefix(), d.Next().Sub(now), err)
		}
	}
}

// Whatever a resolver says, a prefix that is found is one that addresses can be
// made of, and the next question comes within the hour.
func FuzzDiscovery(f *testing.F) {
	f.Add(answerWith(f, dns.RcodeSuccess, 600, "64:ff9b::192.0.0.170"))
	f.Add(answerWith(f, dns.RcodeSuccess, 600, "2001:db8:c000:aa::192.0.0.170", "2001:db8:122:344:c0:0:aa00:0"))
	f.Add(new(Discovery).Query(1))
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, b []byte) {
		var d Discovery
		_, err := d.Answered(now, b, nil)
		if p := d.Prefix(); p.IsValid() && (err != nil || !validNAT64(p)) {
			t.Errorf("%v, %v", p, err)
		}
		if in := d.Next().Sub(now); in < 10*time.Second || in > time.Hour {
			t.Errorf("next in %v", in)
		}
	})
}
