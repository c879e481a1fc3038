package neighbor

import (
	"slices"
	"testing"
	"time"
)

func TestCSLNext(t *testing.T) {
	c := CSL{Synced: true, Period: 3125, Phase: 2492, Stamp: 10_000_000} // 500 ms, 398.72 ms
	for _, x := range []struct{ from, want uint64 }{
		{0, 10_398_720},
		{10_398_720, 10_398_720},
		{10_398_721, 10_898_720},
		{10_898_721, 11_398_720},
		{70_000_000, 70_398_720},
	} {
		if got := c.Next(x.from); got != x.want {
			t.Errorf("from %d: %d, want %d", x.from, got, x.want)
		}
	}
}

// A moment that was told late does not displace an earlier one at once; one
// that drifted does, and so does one that is tried when the earlier is missed.
func TestCSLTold(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const period, ms = 625, 1000 // 100 ms
	told := func(c *CSL, at uint64) { c.Told(now, period, 0, at) }
	next := func(c *CSL) uint64 { return c.Next(c.Stamp+1) % (100 * ms) }
	for _, x := range []struct {
		name string
		told []uint64
		miss int
		want uint64
	}{
		{"first", []uint64{1_007_000}, 0, 7000},
		{"earlier", []uint64{1_007_000, 1_206_000}, 0, 6000},
		{"rounded", []uint64{1_007_000, 1_207_150}, 0, 7150},
		{"late", []uint64{1_007_000, 1_212_000}, 0, 7000},
		{"late twice", []uint64{1_007_000, 1_212_000, 1_309_000}, 0, 7000},
		{"late, then missed", []uint64{1_007_000, 1_212_000}, 1, 12000},
		{"late, then missed twice", []uint64{1_007_000, 1_212_000}, 2, 7000},
		{"drifted for 100 s", []uint64{1_007_000, 101_012_000}, 0, 12000},
		{"just before, over the end of a period", []uint64{1_000_050, 1_199_900}, 0, 99900},
	} {
		var c CSL
		for _, at := range x.told {
			told(&c, at)
		}
		for range x.miss {
			c.Miss(c.Next(c.Stamp + 1))
		}
		if got := next(&c); got != x.want {
			t.Errorf("%s: %d us into the period, want %d", x.name, got, x.want)
		}
	}
	c := CSL{}
	told(&c, 1_007_000)
	c.Miss(1_007_000)
	if told(&c, 1_250_000); next(&c) != 50_000 {
		t.Error("what a child tells after it was missed is not believed")
	}
	if c.Expired(now.Add(99*time.Second)) || !c.Expired(now.Add(DefaultCSLTimeout)) {
		t.Error("the default timeout is not 100 s")
	}
}

// A child that does not answer is tried less and less often.
func TestCSLRest(t *testing.T) {
	var c CSL
	c.Told(time.Time{}, 625, 0, 1_000_000)
	at := uint64(1_000_000)
	var skipped []uint64
	for range 10 {
		c.Miss(at)
		next := c.Next(at + 1)
		skipped = append(skipped, (next-at)/100_000)
		at = next
	}
	if want := []uint64{1, 1, 1, 2, 3, 6, 12, 12, 12, 12}; !slices.Equal(skipped, want) {
		t.Errorf("the next of %d windows, want %d", skipped, want)
	}
	if c.Told(time.Time{}, 625, 0, at); c.Next(at+1) != at+100_000 || c.Missed != 0 {
		t.Error("heard from, it is not tried at once")
	}
}

// The next moment is not before the time asked from, less than a period after
// it unless that lies ahead, and at one of the child's.
func FuzzCSLNext(f *testing.F) {
	f.Add(uint64(1), uint16(3125), uint16(7), uint64(9))
	f.Add(uint64(1)<<50, uint16(10), uint16(65535), uint64(1)<<51)
	f.Fuzz(func(t *testing.T, stamp uint64, period, phase uint16, from uint64) {
		stamp, from = stamp>>1, from>>1
		c := CSL{Synced: true, Period: period, Phase: phase, Stamp: stamp}
		at, first, step := c.Next(from), stamp+uint64(phase)*cslUnit, uint64(max(period, 1))*cslUnit
		if at < from || at < first || (at-first)%step != 0 || at != first && at-from >= step {
			t.Fatalf("%d, first %d, every %d, from %d", at, first, step, from)
		}
	})
}
