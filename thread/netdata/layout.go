package netdata

// TLV types of the network data (Thread 1.4 Section 5.18).
const (
	typeHasRoute      = 0
	typePrefix        = 1
	typeBorderRouter  = 2
	typeContext       = 3
	typeCommissioning = 4
	typeService       = 5
	typeServer        = 6

	// typeUnknown stands for all others in a run.
	typeUnknown = 0xff
)

// A run is n successive elements of one kind in encoded network data. A list
// of runs is the layout in which something was received: while it still covers
// the elements exactly, it is encoded again, else the order is a fixed one.
type run struct {
	kind   uint8
	stable bool // of border routers and routes, which share a TLV
	n      int
}

// count is how many elements of a kind there are.
type count = run

// fits reports whether the layout has exactly the given elements. Counts of
// zero may be left out.
func fits(layout []run, counts ...count) bool {
	left := map[count]int{}
	for _, c := range counts {
		left[count{kind: c.kind, stable: c.stable}] += c.n
	}
	for _, r := range layout {
		left[count{kind: r.kind, stable: r.stable}] -= r.n
	}
	for _, n := range left {
		if n != 0 {
			return false
		}
	}
	return true
}

// addRun appends one element to the layout. Elements that have a TLV of their
// own are merged into one run.
func addRun(layout []run, kind uint8) []run {
	if n := len(layout); n > 0 && layout[n-1].kind == kind {
		layout[n-1].n++
		return layout
	}
	return append(layout, run{kind: kind, n: 1})
}
