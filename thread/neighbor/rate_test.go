package neighbor

import "testing"

func TestRate(t *testing.T) {
	var r Rate
	for i, x := range []struct {
		ok   bool
		want Rate
	}{{true, 0}, {false, 1024}, {false, 2032}, {true, 2000}} {
		if r.Add(x.ok); r != x.want {
			t.Errorf("%d: %d, want %d", i, r, x.want)
		}
	}
	for range 1000 {
		r.Add(false)
	}
	if r < 0xffe0 {
		t.Errorf("all failed: %#x", r)
	}
	for range 1000 {
		r.Add(true)
	}
	if r > 32 {
		t.Errorf("none failed: %#x", r)
	}
}
