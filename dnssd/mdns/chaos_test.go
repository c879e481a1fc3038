package mdns

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"gatewayd/dnssd"
)

// Machines publish, change, withdraw, browse, lose and get links at random,
// over links that lose packets. When that has ended, each finds what there is,
// no more and no less, and no name is twice on a link.
func TestChaos(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { chaos(t, seed) })
	}
}

func chaos(t *testing.T, seed uint64) {
	n := newNetwork(t)
	n.rand = rand.New(rand.NewPCG(seed, 4))
	n.loss, n.quiet = 0.1, true
	pick := rand.New(rand.NewPCG(seed, 5))
	type member struct {
		*node
		found map[string]bool
		watch *Watch
		regs  map[string]*Registration
		up    bool
	}
	var all []*member
	for i, links := range [][]int{{1}, {1, 2}, {2}, {1}} {
		all = append(all, &member{node: n.add(fmt.Sprint("n", i), Config{CacheLimit: 500}, links...), regs: map[string]*Registration{}, up: true})
	}
	browse := func(m *member) {
		m.found = map[string]bool{}
		found := m.found
		w, err := m.Discover("_hap._udp", func(ev Event) {
			k := fmt.Sprintf("%d %s", ev.Iface, ev.Service.Instance)
			switch {
			case ev.Kind == Removed:
				if !found[k] {
					t.Errorf("%s lost %s, which it did not have", m.name, k)
				}
				delete(found, k)
			case found[k] != (ev.Kind == Changed):
				t.Errorf("%s: %v %s, having it: %v", m.name, ev.Kind, k, found[k])
			default:
				found[k] = true
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		m.watch = w
	}
	for step := range 150 {
		m := all[pick.IntN(len(all))]
		switch pick.IntN(8) {
		case 0, 1, 2:
			owner := fmt.Sprint(pick.IntN(3))
			// Few names: others want them too.
			h := dnssd.Host{Name: fmt.Sprint("host", pick.IntN(4)), Addrs: addrs(fmt.Sprintf("fd00::%d", 1+step))}
			for range pick.IntN(3) {
				h.Services = append(h.Services, dnssd.Service{
					Instance: fmt.Sprint("Lamp ", pick.IntN(5)), Type: "_hap._udp", Port: uint16(pick.IntN(1000)),
				})
			}
			if r, err := m.Publish(owner, h, Options{LinkAddrs: pick.IntN(2) == 0}); err == nil {
				m.regs[owner] = r
			}
		case 3:
			owner := fmt.Sprint(pick.IntN(3))
			m.Unpublish(owner)
			delete(m.regs, owner)
		case 4:
			if m.up = !m.up; m.up {
				m.node.up()
			} else {
				m.SetInterfaces(nil)
			}
		case 5:
			if m.watch == nil {
				browse(m)
			} else {
				m.watch.Stop()
				m.watch = nil
			}
		case 6:
			m.Check(func([]Visibility) {})
		case 7:
			m.Query(Query{Name: name("host1.local."), Types: []uint16{TypeAAAA, TypeA}}, func(Answer) {})
		}
		n.run(time.Duration(pick.IntN(3000)) * time.Millisecond)
	}
	n.loss = 0
	for _, m := range all {
		if !m.up {
			m.up = true
			m.node.up()
		}
		if m.watch == nil {
			browse(m)
		}
	}
	n.count = 0
	n.run(3 * time.Hour)
	if n.count > 40000 {
		t.Errorf("%d packets in three quiet hours", n.count)
	}
	want := map[int]map[string]bool{1: {}, 2: {}} // by link
	for _, m := range all {
		for owner, r := range m.regs {
			st := r.Status()
			if st.State != Established {
				t.Errorf("%s: %s is %+v", m.name, owner, st)
			}
			for _, l := range m.links {
				names := []string{"host " + st.Host}
				for _, s := range st.Services {
					names = append(names, s.Instance)
				}
				for _, nm := range names {
					if want[l][nm] {
						t.Errorf("link %d has %s twice", l, nm)
					}
					want[l][nm] = true
				}
			}
		}
	}
	for _, m := range all {
		all := map[string]bool{}
		for _, l := range m.links {
			for nm := range want[l] {
				if len(nm) < 5 || nm[:5] != "host " {
					all[fmt.Sprintf("%d %s", l, nm)] = true
				}
			}
		}
		if !maps.Equal(all, m.found) {
			t.Errorf("%s has found %q, want %q", m.name, slices.Sorted(maps.Keys(m.found)), slices.Sorted(maps.Keys(all)))
		}
		m.watch.Stop()
		m.Stop()
	}
	n.run(48 * time.Hour)
	if !n.clock.Deadline().IsZero() {
		t.Errorf("a timer is left for %v", n.clock.Deadline())
	}
}
