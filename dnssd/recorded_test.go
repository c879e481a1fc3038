package dnssd_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"gatewayd/dnssd"
	"gatewayd/dnssd/srp"
)

// exchange is a line of testdata/openthread.hex.
type exchange struct {
	at            time.Duration
	port          string // "srp" or "dns"
	query, answer []byte
}

func recorded(t testing.TB) (out []exchange) {
	t.Helper()
	text, err := os.ReadFile("testdata/openthread.hex")
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(text)) {
		f := strings.Fields(l)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		at, err := strconv.ParseFloat(f[0], 64)
		if err != nil {
			t.Fatal(err)
		}
		q, err := hex.DecodeString(f[2])
		if err != nil {
			t.Fatal(err)
		}
		a, err := hex.DecodeString(f[3])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, exchange{time.Duration(at * float64(time.Second)), f[1], q, a})
	}
	return out
}

// records is a section without its order and case, and how long it holds.
func records(rrs []dns.RR) (out []string, ttls []uint32) {
	for _, rr := range rrs {
		rr = dns.Copy(rr)
		ttls = append(ttls, rr.Header().Ttl)
		rr.Header().Ttl = 0
		out = append(out, dnssd.Fold(rr.String()))
	}
	slices.Sort(out)
	slices.Sort(ttls)
	return out, ttls
}

// A session of OpenThread's client has the answers that OpenThread's server
// gave it.
func TestRecordedSession(t *testing.T) {
	var server *srp.Server
	w := newWorld(t, func(c *dnssd.ResolverConfig) {
		s, err := srp.New(srp.Config{Clock: c.Clock})
		if err != nil {
			t.Fatal(err)
		}
		server = s
		c.Registry, c.Browser, c.Forward = s, nil, nil
	})
	for _, x := range recorded(t) {
		w.clock.Advance(began.Add(x.at))
		if x.port == "srp" {
			got := server.Receive(peer, x.query)
			// Where nothing but what was asked for is granted, the recorded answer
			// does not say so (but RFC 9664 Section 4.3 wants it).
			if len(x.answer) == 12 && len(got) > 12 {
				if asked := x.query[bytes.Index(x.query, []byte{0, 2, 0, 8})+4:][:8]; !bytes.Equal(got[len(got)-8:], asked) {
					t.Errorf("after %v granted %x of %x", x.at, got[len(got)-8:], asked)
				}
				got = slices.Concat(got[:10], []byte{0, 0})
			}
			if !bytes.Equal(got, x.answer) {
				t.Errorf("after %v update answered with\n%x, want\n%x", x.at, got, x.answer)
			}
			continue
		}
		w.sent = nil
		w.resolver.Receive(peer, x.query)
		if len(w.sent) != 1 {
			t.Fatalf("after %v: %d answers", x.at, len(w.sent))
		}
		got, want := &dns.Msg{}, &dns.Msg{}
		if err := got.Unpack(w.sent[0]); err != nil {
			t.Fatal(err)
		}
		if err := want.Unpack(x.answer); err != nil {
			t.Fatal(err)
		}
		same := got.Id == want.Id && got.Rcode == want.Rcode && len(got.Question) >= len(want.Question)
		for _, s := range [][2][]dns.RR{{got.Answer, want.Answer}, {got.Extra, want.Extra}} {
			a, ta := records(s[0])
			b, tb := records(s[1])
			same = same && slices.Equal(a, b) && slices.EqualFunc(ta, tb, func(a, b uint32) bool { return a+1 >= b && a <= b+1 })
		}
		if !same || got.Truncated {
			t.Errorf("after %v\n%v\nwant\n%v", x.at, got, want)
		}
	}
	if hosts, services := server.Len(); hosts != 0 || services != 0 {
		t.Errorf("%d hosts, %d services at the end", hosts, services)
	}
}
