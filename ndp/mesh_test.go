package ndp

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Thirty hosts behind five routers, of which a fifth of all transmissions is
// lost, some of which come and go, for six hours: when the air is quiet again,
// everybody is registered once and where it is, and nobody else is.
func TestLossyMesh(t *testing.T) {
	const routers, hosts = 5, 30
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			l := newLab(t)
			l.rand = rand.New(rand.NewPCG(seed, 7))
			b := l.border(BorderConfig{RouterLifetime: 20 * time.Minute})
			rs := make([]*Router, routers)
			hs := make(map[string]*Host)
			var near []string // what routers and border hear: each other
			near = append(near, "border")
			for i := range rs {
				name := fmt.Sprint("r", i)
				rs[i], hs[name] = l.router(name, byte(0x50+i), RouterConfig{RouterLifetime: 20 * time.Minute})
				hs[name].Prefer(addr("fe80::1"))
				near = append(near, name)
			}
			modes := []RegisterMode{RegisterAuto, RegisterARO}
			for i := range hosts {
				name := fmt.Sprint("h", i)
				hs[name] = l.host(name, byte(0x80+i), HostConfig{Mode: modes[i%2], Lifetime: 10 * time.Minute})
			}
			// A host hears two routers, and is heard by them.
			place := func(name string) {
				for _, r := range l.nodes {
					r.hears = slices.DeleteFunc(r.hears, func(s string) bool { return s == name })
				}
				n := l.node(name)
				i := l.rand.IntN(routers)
				n.hears = []string{near[1+i], near[1+(i+1)%routers]}
				for _, r := range n.hears {
					l.node(r).hears = append(l.node(r).hears, name)
				}
			}
			for _, r := range near {
				l.node(r).hears = slices.Clone(near)
			}
			for i := range hosts {
				place(fmt.Sprint("h", i))
				hs[fmt.Sprint("h", i)].Start()
			}
			l.drop = func(_, _ *labNode, _ Message) bool { return l.rand.IntN(5) == 0 }
			for range 6 * 12 {
				l.run(5 * time.Minute)
				l.log, l.packets = nil, nil
				name := fmt.Sprint("h", l.rand.IntN(hosts))
				switch l.rand.IntN(3) {
				case 0:
					place(name)
				case 1: // restarts without memory, of its transaction ids too
					hs[name].Stop()
					l.run(time.Second)
					hs[name].Start()
				case 2:
					l.node(name).down = !l.node(name).down
				}
			}
			l.drop = nil
			for _, n := range l.nodes {
				n.down = false
			}
			l.run(time.Hour)

			want := make(map[string]bool)
			for name, h := range hs {
				as := h.Addresses()
				if len(as) != 1 || as[0].State != Registered {
					t.Errorf("%s has %+v", name, as)
					continue
				}
				reg, ok := b.Lookup(as[0].Addr)
				if !ok || reg.ROVR != ROVROf(l.node(name).link.b) {
					t.Errorf("%s is registered as %+v, %v", name, reg, ok)
				}
				if reg.Router.IsValid() && joinIID(linkLocalPrefix, [8]byte(reg.Router.AsSlice()[8:])) != as[0].Router {
					t.Errorf("%s is with %v, the border has %+v", name, as[0].Router, reg)
				}
				want[as[0].Addr.String()] = true
			}
			for _, r := range b.Table() {
				if !want[r.Addr.String()] {
					t.Errorf("registered without an owner: %+v", r)
				}
			}
			for i, r := range rs {
				if len(r.pending) != 0 {
					t.Errorf("router %d still waits for %d confirmations", i, len(r.pending))
				}
			}
		})
	}
}
