package rpl

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// random makes a connected mesh: places on a square, links by distance, loss
// that grows with it.
func random(w *world, cfg RootConfig, nodes int, leaves int) {
	type place struct{ x, y float64 }
	const reach = 0.3
	w.addRoot(cfg)
	places := []place{{0.5, 0.1}}
	for i := range nodes {
		w.addNode(NodeConfig{Leaf: i >= nodes-leaves})
		// Leaves carry nobody: a place counts only when a router is near.
		for {
			p := place{w.rand.Float64(), w.rand.Float64()}
			near := false
			for _, q := range places[:min(len(places), nodes-leaves+1)] {
				near = near || math.Hypot(p.x-q.x, p.y-q.y) < reach*0.8
			}
			if near {
				places = append(places, p)
				break
			}
		}
		for j, q := range places[:len(places)-1] {
			if d := math.Hypot(places[i+1].x-q.x, places[i+1].y-q.y); d < reach {
				w.join(i+2, j+1, 0.35*(d/reach)*(d/reach))
			}
		}
	}
}

// both are pairs to ping: the root and every node, and some nodes among each
// other.
func (w *world) pairs() (out [][2]int) {
	all := w.reachable()
	for k, i := range all {
		out = append(out, [2]int{1, i}, [2]int{i, 1})
		if k%5 == 0 {
			if j := all[w.rand.IntN(len(all))]; j != i {
				out = append(out, [2]int{i, j})
			}
		}
	}
	return out
}

func (w *world) allPing() error {
	if err := w.checkUp(); err != nil {
		return err
	}
	if failed := w.pingAll(w.pairs(), 4); failed != nil {
		return fmt.Errorf("no answer: %v", failed)
	}
	return nil
}

// bounded fails when tables are larger than the mesh explains.
func (w *world) bounded() {
	w.t.Helper()
	for _, s := range w.stations {
		if s.root != nil {
			if n := len(s.root.Table().Routes); n > len(w.stations) {
				w.t.Errorf("root has %d routes for %d nodes", n, len(w.stations))
			}
			continue
		}
		t := s.node.Table()
		if len(t.Neighbors) > defaultMaxNeighbors || len(t.Routes) > len(w.stations) {
			w.t.Errorf("node %d has %d neighbours and %d routes", s.i, len(t.Neighbors), len(t.Routes))
		}
	}
}

func TestMesh(t *testing.T) {
	for _, mop := range []MOP{NonStoring, Storing} {
		for _, ocp := range []uint16{OCPOF0, OCPMRHOF} {
			for seed := range uint64(2) {
				t.Run(fmt.Sprintf("%v/ocp %d/seed %d", mop, ocp, seed), func(t *testing.T) {
					t.Parallel()
					mesh(t, mop, ocp, seed)
				})
			}
		}
	}
}

func mesh(t *testing.T, mop MOP, ocp uint16, seed uint64) {
	w := newWorld(t, seed)
	random(w, RootConfig{MOP: mop, Config: DODAGConfig{OCP: ocp}}, 50, 8)

	d := w.until("forming", 3*time.Minute, w.checkUp)
	t.Logf("all nodes have a way up after %v", d)
	t.Logf("all pings answered after %v", w.until("pings", 2*time.Minute, w.allPing))
	w.bounded()

	// Steady: nobody changes anything for long, and it is quiet.
	w.run(30 * time.Minute)
	before := w.frames
	w.run(30 * time.Minute)
	t.Logf("%d frames in a quiet half hour", w.frames-before)
	w.until("pings after an hour", 2*time.Minute, w.allPing)

	// Every sixth router dies.
	for i := 5; i < 40; i += 6 {
		w.stations[i].dead = true
	}
	t.Logf("repaired after %v", w.until("repair", 10*time.Minute, w.allPing))
	w.bounded()

	// They come back with empty memories.
	for _, s := range w.stations {
		if s.dead {
			s.restart()
		}
	}
	t.Logf("returned after %v", w.until("return", 10*time.Minute, w.allPing))

	// The root restarts, remembering nothing either.
	old := w.stations[0].root.Table().Version
	w.stations[0].dead = true
	w.run(20 * time.Second)
	w.stations[0].restart()
	t.Logf("root back after %v", w.until("restart of the root", 10*time.Minute, w.allPing))
	if v := w.stations[0].root.Table().Version; CompareSequence(v, old) != Newer {
		t.Errorf("version %d after %d", v, old)
	}
	w.bounded()

	w.stations[0].root.GlobalRepair()
	w.run(time.Minute)
	t.Logf("after a global repair: %v", w.until("global repair", 5*time.Minute, w.allPing))
	w.bounded()
}
