package mdns

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"gatewayd/dnssd"
)

// Five machines publish and browse over a link that loses a fifth of all
// deliveries. In the end, everybody knows everything, and no name is twice.
func TestLossyLink(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			n := newNetwork(t)
			n.rand = rand.New(rand.NewPCG(seed, 3))
			n.loss, n.quiet = 0.2, true
			var regs []*Registration
			found := map[string]map[string]bool{}
			for i := range 5 {
				nd := n.add(fmt.Sprint("n", i), Config{}, 1)
				mine := map[string]bool{}
				found[nd.name] = mine
				if _, err := nd.Discover("_hap._udp", func(ev Event) {
					k := fmt.Sprintf("%s at %v%v:%d", ev.Service.Instance, ev.Host, ev.Addrs, ev.Service.Port)
					switch ev.Kind {
					case Added:
						mine[k] = true
					case Removed:
						delete(mine, k)
					case Changed:
						for o := range mine {
							if o[:len(ev.Service.Instance)+4] == ev.Service.Instance+" at " {
								delete(mine, o)
							}
						}
						mine[k] = true
					}
				}); err != nil {
					t.Fatal(err)
				}
				// All want the same names, at about the same time.
				h := dnssd.Host{Name: "lamp", Addrs: addrs(fmt.Sprintf("fd00::%d", i+1)), Services: []dnssd.Service{
					{Instance: "Lamp", Type: "_hap._udp", Port: uint16(i + 1)},
				}}
				regs = append(regs, nd.publish("x", h, Options{}))
				n.run(time.Duration(n.rand.IntN(300)) * time.Millisecond)
			}
			n.run(10 * time.Minute)
			var hosts, services, want []string
			for i, r := range regs {
				st := r.Status()
				if st.State != Established || st.Services[0].State != Established {
					t.Errorf("names are %+v", st)
				}
				hosts = append(hosts, st.Host)
				services = append(services, st.Services[0].Instance)
				want = append(want, fmt.Sprintf("%s at %s.local.[fd00::%d]:%d", st.Services[0].Instance, st.Host, i+1, i+1))
			}
			slices.Sort(hosts)
			slices.Sort(services)
			if len(slices.Compact(hosts)) != 5 || len(slices.Compact(services)) != 5 {
				t.Errorf("names are %q and %q", hosts, services)
			}
			for node, have := range found {
				for _, w := range want {
					if !have[w] {
						t.Errorf("%s has not found %s; it has %v", node, w, have)
					}
				}
				if len(have) != 5 {
					t.Errorf("%s has found %d: %v", node, len(have), have)
				}
			}
			// One leaves in silence: it is forgotten when its time is over.
			n.nodes[0].down = true
			n.nodes[0].cfg.Send = nil
			n.nodes[0].SetInterfaces(nil)
			n.count = 0
			n.run(2 * time.Hour)
			t.Logf("%d packets in two hours", n.count)
			// Four live ones, with sixteen records that are asked for each 96 s.
			if n.count > 8000 {
				t.Errorf("%d packets in two hours", n.count)
			}
			for node, have := range found {
				if node != "n0" && (len(have) != 4 || have[want[0]]) {
					t.Errorf("%s still has %v", node, have)
				}
			}
		})
	}
}

// Ten thousand services of one machine: published in seconds, found by
// another, at rest without a timer, and gone with goodbyes.
func TestTenThousand(t *testing.T) {
	const many = 10000
	n := newNetwork(t)
	a := n.add("a", Config{}, 1)
	n.quiet = true
	for i := range many {
		a.publish(fmt.Sprint(i), lamp(i), Options{})
	}
	n.run(time.Minute)
	if l := a.Links()[0]; l.Names != 2*many || l.Probing != 0 {
		t.Fatalf("%d names, %d are not ready", l.Names, l.Probing)
	}
	if at := n.clock.Deadline(); !at.IsZero() {
		t.Errorf("a timer is left for %v", at)
	}
	b := n.add("b", Config{CacheLimit: 100000}, 1)
	n.quiet = false
	found := 0
	w, err := b.Browse("_hap._udp", func(ev Event) { found++ })
	if err != nil {
		t.Fatal(err)
	}
	n.run(5 * time.Second)
	if found != many {
		t.Errorf("found %d, want %d", found, many)
	}
	// The answers come in bursts that a receiver can take.
	burst := map[time.Duration]int{}
	for _, p := range n.take() {
		if p.from == "a" {
			burst[p.at]++
		}
		if len(p.b) > 1500-48 {
			t.Errorf("packet of %d bytes", len(p.b))
		}
	}
	for at, k := range burst {
		if k > burstSize {
			t.Errorf("%d packets at %v", k, at)
		}
	}
	w.Stop()
	n.quiet = true
	a.Stop()
	n.run(3 * time.Second)
	if b.cache.len() != 0 {
		t.Errorf("%d records are left", b.cache.len())
	}
}

// What a question costs a machine with ten thousand services.
func BenchmarkQuestion(b *testing.B) {
	n := newNetwork(&testing.T{})
	a := n.add("a", Config{}, 1)
	n.quiet = true
	for i := range 10000 {
		if _, err := a.Publish(fmt.Sprint(i), lamp(i), Options{}); err != nil {
			b.Fatal(err)
		}
	}
	n.run(time.Minute)
	a.down = true
	q := query(asks("Lamp 77._hap._udp.local.", TypeSRV)).Append(nil)
	from := netip.MustParseAddrPort("[fe80::99]:5353")
	b.ResetTimer()
	for b.Loop() {
		n.clock.Advance(n.clock.Now().Add(2 * time.Second))
		a.Receive(1, from, Group6, q)
	}
}
