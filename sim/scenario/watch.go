package scenario

import (
	"gatewayd/ieee802154"
	"gatewayd/sim"
	"gatewayd/thread/mle"
)

// watch looks once a second whether the mesh is as it should be.
type watch struct {
	r      *run
	phases []Phase
	island []int // of each node; nil: to be found anew
	good   bool
}

// begin begins a phase. Events at the same time are one.
func (w *watch) begin(what string) {
	at := w.r.at().Seconds()
	if n := len(w.phases); n > 0 && w.phases[n-1].At == at {
		w.phases[n-1].Event += ", " + what
		return
	}
	w.phases = append(w.phases, Phase{At: at, Event: what})
	w.good = false
}

// changed says that nodes or links have come or gone.
func (w *watch) changed() { w.island = nil }

func (w *watch) look() {
	p := &w.phases[len(w.phases)-1]
	switch good := w.converged(); {
	case !good:
		p.Converged = nil
		w.good = false
	case !w.good:
		took := w.r.at().Seconds() - p.At
		p.Converged = &took
		w.good = true
	}
}

// converged reports whether all nodes that were started and have power are
// attached, and each island is one partition with one leader and no child of a
// parent that is gone.
func (w *watch) converged() bool {
	r := w.r
	if w.island == nil {
		w.findIslands()
	}
	parents := map[ieee802154.ExtAddr]int{}
	for i, n := range r.nodes {
		if n.Alive() && r.joined[i] && n.MLE().Router() {
			parents[n.MAC().Ext()] = i
		}
	}
	partition, leaders := map[int]uint32{}, map[int]int{}
	for i, n := range r.nodes {
		if !n.Alive() || !r.joined[i] {
			continue
		}
		m, here := n.MLE(), w.island[i]
		if !m.Attached() {
			return false
		}
		if p, ok := partition[here]; ok && p != m.Partition() {
			return false
		}
		partition[here] = m.Partition()
		switch m.Role() {
		case mle.Leader:
			leaders[here]++
		case mle.Child:
			if p, ok := parents[n.Table().Parent.Ext]; !ok || w.island[p] != here {
				return false
			}
		}
	}
	for here := range partition {
		if leaders[here] != 1 {
			return false
		}
	}
	return len(partition) > 0
}

// findIslands numbers the sets of nodes that can reach each other: over links
// above the noise, and through full devices.
func (w *watch) findIslands() {
	r := w.r
	noise := r.s.Air.Noise
	if noise == 0 {
		noise = -100
	}
	hears := func(from, to int) bool {
		rssi, loss, up := r.w.Air().LinkBetween(r.nodes[from].Station(), r.nodes[to].Station())
		return up && loss < 1 && (r.s.Air.Ideal || rssi+float64(r.groups[from].Power) >= noise)
	}
	w.island = make([]int, len(r.nodes))
	in := func(i int) bool { return r.nodes[i].Alive() && r.joined[i] }
	full := func(i int) bool { return r.groups[i].Kind == Kind(sim.FTD) }
	number := 0
	flood := func(seed int) {
		number++
		w.island[seed] = number
		for queue := []int{seed}; len(queue) > 0; queue = queue[1:] {
			i := queue[0]
			if !full(i) {
				continue
			}
			for j := range r.nodes {
				if w.island[j] == 0 && in(j) && hears(i, j) && hears(j, i) {
					w.island[j] = number
					queue = append(queue, j)
				}
			}
		}
	}
	// From full devices first: others belong to the first island that has them.
	for _, first := range []bool{true, false} {
		for i := range r.nodes {
			if w.island[i] == 0 && in(i) && full(i) == first {
				flood(i)
			}
		}
	}
}

// Phase is the time from the start or an event to the next one.
type Phase struct {
	At    float64 `json:"at"` // seconds
	Event string  `json:"event"`
	// Converged is how many seconds into the phase the mesh was as it should
	// be, to within one, and stayed so; nil if it was not at its end.
	Converged *float64 `json:"converged"`
}
