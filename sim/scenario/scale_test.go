package scenario

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"
)

// scaleEnv, if it is set, runs what takes minutes: every seed of the large mesh,
// and the thousand nodes.
const scaleEnv = "GATEWAYD_SCALE"

func needsScale(t *testing.T) {
	if os.Getenv(scaleEnv) == "" {
		t.Skipf("takes minutes: set %s=1", scaleEnv)
	}
}

// hour is what a process has at a time of its mesh.
type hour struct {
	at         time.Duration
	heap       uint64 // bytes
	goroutines int
}

// lives runs a scenario and looks at the process every so often.
func lives(t *testing.T, s *Scenario, every time.Duration) (*Report, []hour) {
	t.Helper()
	var hours []hour
	r := live(t, s, 1, Options{Unaudited: true, Look: func(at time.Duration) {
		if at%every != 0 {
			return
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		hours = append(hours, hour{at, m.HeapAlloc, runtime.NumGoroutine()})
	}})
	for _, h := range hours {
		t.Logf("after %v: %.1f MB, %d goroutines", h.at, float64(h.heap)/1e6, h.goroutines)
	}
	return r, hours
}

// steady checks that from the first to the last look nothing has become much
// more: what is measured itself takes a little, eight bytes a ping.
func steady(t *testing.T, hours []hour, mayGrow uint64) {
	t.Helper()
	first, last := hours[0], hours[len(hours)-1]
	if last.heap > first.heap+mayGrow || last.goroutines > first.goroutines {
		t.Errorf("%d bytes and %d goroutines after %v, %d and %d after %v",
			first.heap, first.goroutines, first.at, last.heap, last.goroutines, last.at)
	}
}

// Nodes that come, go and talk to each other for hours need no more memory in
// the end than in the beginning.
func TestHoursWithoutLeak(t *testing.T) {
	s, err := Parse("f", []byte(`
duration = "4h"
[[nodes]]
name = "r"
count = 4
origins = [[0.0, 0.0], [5000.0, 0.0], [0.0, 5000.0]]
placement = "grid"
spacing = 15.0
drift = 20.0
router-selection-jitter = "5s"
[[nodes]]
name = "c"
kind = "mtd"
count = 4
origins = [[0.0, 0.0], [5000.0, 0.0], [0.0, 5000.0]]
placement = "random"
area = [15.0, 15.0]
drift = 20.0
[[nodes]]
name = "s"
kind = "sed"
count = 2
origins = [[0.0, 0.0], [5000.0, 0.0], [0.0, 5000.0]]
placement = "random"
area = [15.0, 15.0]
poll = "10s"
drift = 20.0
[[traffic]]
local = true
every = "4s"
size = 300
tries = 3
timeout = "30s"
start = "5m"
[[events]]
at = "2h30m"
do = "kill"
nodes = ["r2", "c1", "s1", "r6"]
[[events]]
at = "3h"
do = "revive"
nodes = ["r2", "c1", "s1", "r6"]
[expect]
converge-within = "10m"
partitions = 3
delivery = 0.99
`))
	if err != nil {
		t.Fatal(err)
	}
	r, hours := lives(t, s, time.Hour)
	if !r.Passed() {
		t.Errorf("%v %v %v", r.Unmet, r.Faults, r.Pings.Lost)
	}
	steady(t, hours[1:], 256<<10)
}

// A thousand nodes do so, too.
func TestThousandNodesForHours(t *testing.T) {
	needsScale(t)
	r, hours := lives(t, load(t, "thousand.toml"), 30*time.Minute)
	if !r.Passed() {
		t.Errorf("%v %v %v", r.Unmet, r.Faults, r.Pings.Lost)
	}
	steady(t, hours[1:], 8<<20)
}

// In a mesh of 32 routers and 300 children every node reaches every router, with
// each of 20 seeds, ten times as fast as in real life at least.
func TestLargeMeshes(t *testing.T) {
	needsScale(t)
	s := load(t, "large.toml")
	for seed := uint64(1); seed <= 20; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			began := time.Now()
			r := live(t, s, seed, Options{})
			speed := r.Duration / time.Since(began).Seconds()
			if !r.Passed() {
				t.Errorf("%v %v %v", r.Unmet, r.Faults, r.Pings.Lost)
			}
			if speed < 10 {
				t.Errorf("%.1f times real time", speed)
			}
			t.Logf("converged after %v s, %d of %d answered, %d asked again, %.0f times real time",
				*r.Phases[0].Converged, r.Pings.Answered, r.Pings.Sent, r.Pings.Repeated, speed)
		})
	}
}
