package dhcp6

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
)

// Whatever comes, in whatever order: answers can be taken apart, leases stay
// within bounds and pools, and the tables agree with each other and the store.
func FuzzServer(f *testing.F) {
	seed := newWorld(&testing.T{}, nil)
	a := netip.MustParseAddr("2001:db8:1:2::5555")
	all := [][]byte{
		seed.message(dhcpv6.MessageTypeSolicit, clientID(1), ianaOf(1)).ToBytes(),
		seed.message(dhcpv6.MessageTypeRequest, clientID(1), serverID(), ianaOf(1), ianaOf(2)).ToBytes(),
		seed.message(dhcpv6.MessageTypeRenew, clientID(1), serverID(), ianaOf(1, a)).ToBytes(),
		seed.message(dhcpv6.MessageTypeRelease, clientID(1), serverID(), ianaOf(1, a)).ToBytes(),
		seed.message(dhcpv6.MessageTypeDecline, clientID(1), serverID(), ianaOf(1, a)).ToBytes(),
		seed.message(dhcpv6.MessageTypeInformationRequest, dhcpv6.OptRequestedOption(23, 24, 31, 32)).ToBytes(),
		relayed(seed.message(dhcpv6.MessageTypeSolicit, clientID(1), ianaOf(1)), 0, "2001:db8:1:2::1", "fe80::1").ToBytes(),
	}
	for i, m := range all {
		f.Add(m, all[(i+1)%len(all)], all[1], i%2 == 0)
	}
	f.Fuzz(func(t *testing.T, m1, m2, m3 []byte, unicast bool) {
		w := newWorld(t, func(c *Config) {
			c.MaxLeases = 8
			c.Pools = []Pool{{Prefix: netip.MustParsePrefix("2001:db8:1:2::/124")}, {Prefix: netip.MustParsePrefix("fd00:1::/64"), EUI64: true}}
			c.DNS, c.SNTP, c.Search, c.Refresh = []netip.Addr{a}, []netip.Addr{a}, []string{"a.example"}, time.Hour
		})
		for _, m := range [][]byte{m1, m2, m3, m1} {
			r, to := w.server.Receive(client, m, unicast)
			if r == nil {
				continue
			}
			if _, err := dhcpv6.FromBytes(r); err != nil || !to.IsValid() {
				t.Fatalf("answer %x to %v: %v", r, to, err)
			}
			leases := w.server.Leases()
			if len(leases) > 8 || len(leases) != len(w.store.leases) {
				t.Fatalf("%d leases, %d stored", len(leases), len(w.store.leases))
			}
			bound := 0
			for _, l := range leases {
				if w.server.pool(l.Addr) == nil || !l.Valid.After(w.clock.Now()) {
					t.Fatalf("lease %+v", l)
				}
				if l.State == Bound {
					bound++
					if !slices.Contains(w.server.leases.byIA[iaKey(l.DUID, l.IAID)], w.server.leases.byAddr[l.Addr]) {
						t.Fatalf("lease %+v is not found by its client", l)
					}
				}
			}
			n := 0
			for _, of := range w.server.leases.byIA {
				n += len(of)
			}
			if n != bound || w.server.leases.declined != len(leases)-bound {
				t.Fatalf("%d bound, %d by association, %d declined of %d", bound, n, w.server.leases.declined, len(leases))
			}
			w.pass(time.Minute)
		}
	})
}
