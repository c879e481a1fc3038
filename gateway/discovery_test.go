package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"gatewayd/host/infra"
)

// The resolvers are asked as often as their answers last, and at once when the
// host is in another network.
func TestDiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		has := netip.MustParseAddr("64:ff9b::192.0.0.170")
		asked, told := 0, []netip.Prefix(nil)
		var mu sync.Mutex // of these three
		d := &discovery{g: &Gateway{log: slog.New(slog.DiscardHandler)}, moved: make(chan struct{}, 1),
			tell: func(p netip.Prefix) {
				mu.Lock()
				defer mu.Unlock()
				told = append(told, p)
			},
			ask: func(b []byte) ([]byte, error) {
				mu.Lock()
				defer mu.Unlock()
				asked++
				var q, m dns.Msg
				if err := q.Unpack(b); err != nil {
					t.Error(err)
				}
				m.SetReply(&q)
				if !has.IsValid() {
					return nil, errors.New("no resolver")
				}
				m.Answer = []dns.RR{&dns.AAAA{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeAAAA, Class: dns.ClassINET, Ttl: 610}, AAAA: net.IP(has.AsSlice())}}
				return m.Pack()
			}}
		done := make(chan struct{})
		go func() { d.run(ctx); close(done) }()
		time.Sleep(time.Hour)
		synctest.Wait()
		mu.Lock()
		if asked != 7 || len(told) != 1 || told[0] != netip.MustParsePrefix("64:ff9b::/96") {
			t.Errorf("asked %d times in an hour, told %v", asked, told)
		}
		has = netip.Addr{}
		mu.Unlock()
		lan := infra.Link{ID: "eth0", Index: 2, LinkLocal: netip.MustParseAddr("fe80::1"), Up: true}
		d.follow([]infra.Link{lan})
		d.follow([]infra.Link{lan})
		time.Sleep(time.Second)
		synctest.Wait()
		mu.Lock()
		if asked != 8 || len(told) != 2 || told[1].IsValid() {
			t.Errorf("in another network: asked %d times, told %v", asked, told)
		}
		has = netip.MustParseAddr("2001:db8::192.0.0.171")
		mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if len(told) != 3 || told[2] != netip.MustParsePrefix("2001:db8::/96") {
			t.Errorf("told %v", told)
		}
		cancel()
		<-done
	})
}
