package thread_test

import (
	"net/netip"
	"testing"
	"time"

	"gatewayd/sim"
	"gatewayd/thread/netdata"
)

// Of five routers that publish a prefix three serve it, also after one of them
// is gone.
func TestPublish(t *testing.T) {
	w := newWorld(t, 48)
	routers := w.ring(5)
	prefix := netip.MustParsePrefix("fd00:1234::/64")
	for _, n := range routers {
		n.Do(func() {
			if err := n.Publisher().Prefix(prefix, netdata.FlagOnMesh|netdata.FlagSLAAC, true); err != nil {
				t.Fatal(err)
			}
		})
	}
	servers := func() (all []*sim.Node) {
		for _, n := range routers {
			if n.Alive() && n.Publisher().Added(prefix) {
				all = append(all, n)
			}
		}
		return all
	}
	w.Run(time.Minute)
	if n := len(servers()); n != 3 {
		t.Fatalf("%d serve", n)
	}
	before := servers()
	w.Run(5 * time.Minute)
	for i, n := range servers() {
		if n != before[i] {
			t.Errorf("%s serves now", n.Name)
		}
	}
	for _, n := range before {
		if n.MLE().Leader() == nil {
			n.Kill()
			break
		}
	}
	w.await("another one serves", 10*time.Minute, func() bool { return len(servers()) == 3 })
}
