package thread_test

import (
	"net/netip"
	"testing"
	"time"

	"gatewayd/sim"
)

// A device answers from the moment it has its address: a datagram that comes
// before its parent knows the address waits for that.
func TestFirstPing(t *testing.T) {
	for _, kind := range []sim.Kind{sim.FTD, sim.MTD, sim.SED} {
		t.Run(kind.String(), func(t *testing.T) {
			w := newWorld(t, 100)
			a, b := w.add("leader", sim.FTD), w.add("device", kind)
			w.Link(a, b)
			w.form(a)
			w.serve(a)
			w.attach(b)
			w.await("address", 10*time.Second, func() bool { return address(b) != netip.Addr{} })
			if _, ok := w.ping(a, address(b), 16); !ok {
				t.Error("no answer")
			}
		})
	}
}
