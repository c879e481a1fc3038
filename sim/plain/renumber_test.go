package plain

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// Thirty devices on bad links follow when their network gets another prefix: all
// have an address of it and no other, are reached by it, and hardly any joins anew.
// They follow back, too.
func TestRenumber(t *testing.T) {
	seeds := 3
	if testing.Short() {
		seeds = 1
	}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			l := newLab(t, 300+seed, nil)
			l.used()
			l.scatter(rand.New(rand.NewPCG(seed, 3)), 30, 0.1)
			devices := l.Nodes()[1:]
			l.await("all are in the network and reached", 15*time.Minute, func() bool {
				for _, n := range devices {
					if !addressed(n) || !l.reaches(n) {
						return false
					}
				}
				return true
			})
			l.Run(2 * time.Minute)
			since := map[uint32]time.Time{}
			for _, s := range l.root.Sessions() {
				since[s.ID] = s.Since
			}
			first := l.root.Network().Prefix
			renumber := func(p netip.Prefix, limit time.Duration) {
				t.Helper()
				began := l.Now()
				l.root.Do(func() { l.root.Renumber(p) })
				l.await("all have an address of "+p.String()+" alone and are reached", limit, func() bool {
					for _, n := range devices {
						if a := n.Addresses(); len(a) != 2 || !p.Contains(a[1]) || !l.reaches(n) {
							return false
						}
					}
					return true
				})
				t.Logf("%v: all are reached %v later", p, l.Now().Sub(began).Round(time.Second))
			}
			renumber(netip.MustParsePrefix("2001:db8:7::/64"), 5*time.Minute)
			l.Run(2 * time.Minute)
			answered := 0
			for _, n := range devices {
				answered += l.pings(l.root, n, 100) + l.pings(n, l.root, 100)
			}
			if share := float64(answered) / float64(len(devices)*20); share < 0.97 {
				t.Errorf("%.1f %% of pings were answered", 100*share)
			}
			anew := 0
			for _, s := range l.root.Sessions() {
				if at, ok := since[s.ID]; !ok || !at.Equal(s.Since) {
					anew++
				}
			}
			if anew > len(devices)/6 {
				t.Errorf("%d devices joined anew", anew)
			}
			renumber(first, 5*time.Minute)
		})
	}
}
