package sim_test

import (
	"runtime"
	"testing"
	"time"
	"weak"

	"gatewayd/sim"
)

// Of a node that is started anew nothing is left of its former life but what is
// stored.
func TestRestartLeavesNothing(t *testing.T) {
	for _, spinel := range []bool{false, true} {
		w := network(t, 6, 3, func(_ int, c *sim.Config) { c.Spinel, c.Drift = spinel, 10 })
		n := w.Nodes()[1]
		former := weak.Make(n.Node)
		n.Restart()
		w.Run(time.Minute)
		runtime.GC()
		if former.Value() != nil {
			t.Errorf("spinel %v: the former node is still there", spinel)
		}
	}
}
