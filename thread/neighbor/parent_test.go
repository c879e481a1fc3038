package neighbor

import (
	"math/rand/v2"
	"testing"
)

// A message that others overtook is taken, each only once, and not when it was
// sent before the counter that the parent told.
func TestOvertaken(t *testing.T) {
	var p Parent
	p.MLECounter = 100
	p.before = 100
	for i, x := range []struct {
		counter uint32
		want    bool
	}{
		{99, false}, {100, true}, {100, false}, {103, true}, {101, true}, {101, false}, {103, false}, {102, true},
		{166, true}, {103, false}, {104, true}, {230, true}, {166, false}, {167, true}, {229, true}, {229, false}, {1000, true}, {230, false},
	} {
		if got := take(&p, x.counter); got != x.want {
			t.Errorf("%d: %d taken: %v", i, x.counter, got)
		}
	}
	p.MLECounter = 1100 // told by the parent
	if take(&p, 1099) || !take(&p, 1101) || take(&p, 1099) || !take(&p, 1100) {
		t.Error("after the counter was told")
	}
}

func take(p *Parent, counter uint32) bool {
	if counter < p.MLECounter {
		return p.Overtaken(counter)
	}
	p.Heard(counter)
	return true
}

// Whatever the order, no counter is taken twice.
func FuzzOvertaken(f *testing.F) {
	f.Add(uint64(1), uint32(0))
	f.Add(uint64(2), ^uint32(0)-80)
	f.Fuzz(func(t *testing.T, seed uint64, first uint32) {
		r := rand.New(rand.NewPCG(seed, 0))
		p := Parent{Neighbor: Neighbor{MLECounter: first}}
		taken := map[uint32]bool{}
		for range 200 {
			at := int64(p.MLECounter) + r.Int64N(150) - 100
			if at < 0 || at >= int64(^uint32(0)) {
				continue
			}
			c := uint32(at)
			switch got := take(&p, c); {
			case got && (taken[c] || c < first):
				t.Fatalf("%d taken twice, or before %d", c, first)
			case got:
				taken[c] = true
			}
		}
	})
}
