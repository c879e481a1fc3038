package update

import "testing"

func TestCompareVersions(t *testing.T) {
	// From the oldest to the newest; what is in one row is of the same age.
	ages := [][]string{
		{"0", "0.0"},
		{"0-3-gabc"},
		{"0-12-g0123abc", "v0-12-gfff-dirty"},
		{"0.9"},
		{"1.0-rc1"},
		{"1.0-rc1-2-gabc"},
		{"1.0-rc2"},
		{"1.0-rc10"},
		{"1", "v1.0", "1.0.0", "1.0-dirty"},
		{"1.0-1-gabc"},
		{"1.0.1"},
		{"1.2"},
		{"1.10"},
		{"2026.11.23"},
	}
	for i, row := range ages {
		for _, a := range row {
			for j, other := range ages {
				for _, b := range other {
					got, err := CompareVersions(a, b)
					if err != nil || sign(got) != sign(i-j) {
						t.Errorf("%s and %s: %d, %v; want %d", a, b, got, err, sign(i-j))
					}
				}
			}
		}
	}
	for _, bad := range []string{"", "v", "37118f2", "1.", "1.x", "-1", "+1", "1.+1", "1-", "1-rc", "1-rc0", "1-rc1-2", "1-2", "1-2-abc", "1-2-gxyz", "1-2-g1-3", "1.99999999999"} {
		if _, err := CompareVersions(bad, "1"); err == nil {
			t.Errorf("%q passed", bad)
		}
		if _, err := CompareVersions("1", bad); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}
