package clishape

import (
	"testing"
	"time"
)

func TestLine(t *testing.T) {
	same := [][2]string{
		{"fd00:1:0:0::/64 paos med 2c00", "fd00:2:0:0::/64 paos med c801"},
		{"fd9b:9853:3d03:671c:0:ff:fe00:fc00", "fe80:0:0:0:2033:954d:ef14:38bf"},
		{"|   1 | 0x2c01 |        240 | 5ebc2b90dd036b77 |", "| 511 | 0xc001 |          7 | 06dd17a858b0b9c3 |"},
		{"0.0%. Round-trip min/avg/max = 0/0.0/0 ms.", "33.3%. Round-trip min/avg/max = 11/12.5/13 ms."},
		{"Rloc: 2c00", "Rloc: 5400"},
	}
	for _, x := range same {
		if a, b := Line(x[0]), Line(x[1]); a != b {
			t.Errorf("%q is %q, %q is %q", x[0], a, x[1], b)
		}
	}
	other := [][2]string{
		{"fd00:1:0:0::/64 paos med 2c00", "fd00:1:0:0::/64 paro med 2c00"},
		{"|   1 | x |", "|  1 | x |"},   // a narrower column
		{"|   1 | x |", "| 1   | x |"},  // on the other side
		{"Weighting: 64", "Weight: 64"}, // another word
		{"disabled", "enabled"},
		{"Error 7: InvalidArgs", "Error 6: Parse"},
	}
	for _, x := range other {
		if a, b := Line(x[0]), Line(x[1]); a == b {
			t.Errorf("%q and %q are both %q", x[0], x[1], a)
		}
	}
}

func TestParse(t *testing.T) {
	x, err := Parse("> state\nleader\nDone\n# 2s\n> commissioner start\nDone\nCommissioner: active\n")
	if err != nil || len(x) != 2 || x[0].Command != "state" || len(x[0].Reply) != 2 || x[1].Wait != 2*time.Second || len(x[1].Reply) != 2 {
		t.Fatalf("%+v, %v", x, err)
	}
	for _, s := range []string{"leader\n", "# x\n"} {
		if _, err := Parse(s); err == nil {
			t.Errorf("%q was parsed", s)
		}
	}
}
