package border

import (
	"net/netip"
	"testing"
	"time"

	"gatewayd/ndp"
)

// Whatever neighbours say: no panic, bounded tables, a bounded rate of our own
// messages, only messages that others can read (the lab decodes them), and
// once they are silent, routes are gone and on-link prefixes for old addresses
// only.
func FuzzReceive(f *testing.F) {
	seed := func(msgs ...ndp.Message) {
		var b []byte
		for _, m := range msgs {
			typ, _ := m.ICMP()
			body := m.Append(nil)
			b = append(b, typ, 7, byte(len(body)))
			b = append(b, body...)
		}
		f.Add(b)
	}
	seed(advert(goodPrefix("fd99::/64")), ndp.RouterSolicit{}, ndp.NeighborAdvert{Solicited: true, Target: addr("fe80::7")})
	seed(ndp.RouterAdvert{Managed: true, Lifetime: time.Hour, Options: []ndp.Option{goodPrefix(localOnLink), ndp.RouteInfo{Prefix: prefix("fd01::/7"), Lifetime: ndp.Infinity}}},
		ndp.RouterAdvert{Lifetime: 0, Options: []ndp.Option{ndp.RouteInfo{Prefix: prefix("::/0"), Lifetime: time.Second}}})
	seed(advert(goodPrefix("2001:db8::/64")), advert(ndp.PrefixInfo{Prefix: prefix("2001:db8::/64"), OnLink: true, Autonomous: true}))
	f.Add([]byte{134, 1, 20, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 1, 2, 3, 4, 5, 6})
	f.Fuzz(func(t *testing.T, in []byte) {
		l := newLab(t, 1)
		a := l.router("a", "lan", 1)
		l.run(20 * time.Second)
		sent := 0
		send := a.m.cfg.Send
		a.m.cfg.Send = func(link string, o ndp.Out) error {
			sent++
			return send(link, o)
		}
		began := l.clock.Now()
		for len(in) >= 3 {
			n := min(int(in[2]), len(in)-3)
			src := [16]byte{0: 0xfe, 1: 0x80, 15: in[1]}
			if in[1] == 1 {
				src = a.ports["eth0"].ll.As16() // another program beside us
			}
			msg := ndp.In{Src: netip.AddrFrom16(src), Dst: allNodes, HopLimit: 255, Type: in[0], Body: in[3 : 3+n]}
			if in[0] == ndp.TypeNeighborSolicit || in[0] == ndp.TypeNeighborAdvert {
				msg.Dst = a.ports["eth0"].ll
			}
			a.m.Receive("eth0", msg)
			l.run(time.Duration(in[1]) * 100 * time.Millisecond)
			in = in[3+n:]
			if s := a.m.Status().Links[0]; len(s.Routers) > MaxRouters || len(s.Prefixes) > MaxPrefixes {
				t.Fatalf("%d routers, %d prefixes", len(s.Routers), len(s.Prefixes))
			}
		}
		l.run(time.Hour)
		// Advertisements at most every 3 s; three solicitations at a time, and
		// five for each router.
		if most := int(l.clock.Now().Sub(began)/minBetween) + 600; sent > most {
			t.Errorf("%d messages", sent)
		}
		now := l.clock.Now()
		s := a.m.Status().Links[0]
		for _, r := range s.Routers {
			if r.Reachable && !r.Local || r.Managed && r.Local {
				t.Errorf("router that never answers: %+v", r)
			}
		}
		for _, p := range s.Prefixes {
			if left := p.Heard.Add(p.Valid).Sub(now); !p.OnLink || p.Preferred != 0 || left <= 0 || left > maxLifetime {
				t.Errorf("left over: %+v", p)
			}
		}
		if s.OnLink.State != OnLinkAdvertising || s.OnLink.Favored != prefix(localOnLink) {
			t.Errorf("on-link %+v", s.OnLink)
		}
	})
}
