package meshcop

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestValidPSKd(t *testing.T) {
	tests := []struct{ pskd, want string }{
		{"J01NME", ""},
		{"WR0NGPSKD", ""},
		{strings.Repeat("A", 32), ""},
		{"J0INME", `'I' at position 3`},
		{"J01NMO", `'O' at position 6`},
		{"QWERTY", `'Q' at position 1`},
		{"ABCDEZ", `'Z' at position 6`},
		{"J01nME", `'n' at position 4 must be upper-case`},
		{"J01-ME", `'-' at position 4`},
		{"J01NMÄ", `'Ä' at position 6`},
		{"J01NM", "5 characters"},
		{"", "0 characters"},
		{strings.Repeat("A", 33), "33 characters"},
	}
	for _, tt := range tests {
		err := ValidPSKd(tt.pskd)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.pskd, err, tt.want)
		}
	}
}

func TestJoinerID(t *testing.T) {
	// What OpenThread nodes show as their EUI-64 and joiner ID.
	tests := []struct{ eui64, want string }{
		{"18b4300000000002", "d65e64fa83f81cf7"},
		{"18b4300000000003", "92335c4b320830fb"},
	}
	for _, tt := range tests {
		got := JoinerID([8]byte(unhex(t, tt.eui64)))
		if hex.EncodeToString(got[:]) != tt.want {
			t.Errorf("%s: %x, want %s", tt.eui64, got, tt.want)
		}
	}
}

func TestDiscerner(t *testing.T) {
	tests := []struct {
		d    Discerner
		id   string
		want bool
	}{
		{Discerner{0xabc, 12}, "0000000000000abc", true},
		{Discerner{0xabc, 12}, "fffffffffffffabc", true},
		{Discerner{0xabc, 12}, "0000000000000bbc", false},
		{Discerner{0xabc, 11}, "0000000000000abc", false}, // 12 bits in 11
		{Discerner{1, 1}, "0000000000000003", true},
		{Discerner{1 << 63, 64}, "8000000000000000", true},
		{Discerner{1 << 63, 64}, "8000000000000001", false},
		{Discerner{0, 0}, "0000000000000000", false},
		{Discerner{0, 65}, "0000000000000000", false},
	}
	for _, tt := range tests {
		if got := tt.d.Matches([8]byte(unhex(t, tt.id))); got != tt.want {
			t.Errorf("%+v matches %s: %v", tt.d, tt.id, got)
		}
	}
}

func TestDiscernerJoinerID(t *testing.T) {
	src := rand.NewChaCha8([32]byte{1})
	for bits := uint8(1); bits <= 56; bits++ {
		d := Discerner{Value: 0xa5a5a5a5a5a5a5a5 & (1<<bits - 1), Bits: bits}
		id, err := d.JoinerID(src)
		if err != nil || !d.Matches(id) || id[0]&localBit == 0 {
			t.Errorf("%+v: %x, %v", d, id, err)
		}
		s := NewSteeringData()
		s.AddDiscerner(d)
		if !s.ContainsDiscerner(d) || s.IsEmpty() {
			t.Errorf("%+v is not in its steering data %v", d, s)
		}
	}
	if _, err := (Discerner{Bits: 12}).JoinerID(bytes.NewReader(nil)); err == nil {
		t.Error("a joiner ID without randomness")
	}
	if _, err := (Discerner{Bits: 65}).JoinerID(src); err == nil {
		t.Error("a joiner ID of 65 bits")
	}
}

func TestSteeringData(t *testing.T) {
	// Published by an OpenThread commissioner for the joiner 18b4300000000003.
	in := unhex(t, "00000000000008002000000000000000")
	id := JoinerID([8]byte(unhex(t, "18b4300000000003")))
	s := NewSteeringData()
	if !s.IsEmpty() || s.Contains(id) {
		t.Errorf("new filter %v is not empty", s)
	}
	s.Add(id)
	if !bytes.Equal(s, in) {
		t.Errorf("filter %v, want %x", s, in)
	}
	other := JoinerID([8]byte(unhex(t, "18b4300000000002")))
	if s.Contains(other) {
		t.Errorf("%v contains %x", s, other)
	}
	if s.AllowsAny() || s.IsEmpty() {
		t.Errorf("%v is any %v, empty %v", s, s.AllowsAny(), s.IsEmpty())
	}
}

func TestSteeringDataEnds(t *testing.T) {
	id := [8]byte{1}
	tests := []struct {
		s                   SteeringData
		contains, any, none bool
	}{
		{AllowAny(), true, true, false},
		{AllowNone(), false, false, true},
		{nil, false, false, true},
		{SteeringData{0xff, 0xff, 0xff}, true, true, false},
	}
	for _, tt := range tests {
		if got := tt.s.Contains(id); got != tt.contains {
			t.Errorf("%v contains: %v", tt.s, got)
		}
		if tt.s.AllowsAny() != tt.any || tt.s.IsEmpty() != tt.none {
			t.Errorf("%v: any %v, none %v", tt.s, tt.s.AllowsAny(), tt.s.IsEmpty())
		}
	}
	SteeringData(nil).Add(id) // must not panic
	if _, err := DecodeSteeringData(nil); err == nil {
		t.Error("steering data without bytes decoded")
	}
	if s, err := DecodeSteeringData(make([]byte, 20)); err != nil || len(s) != 16 {
		t.Errorf("20 bytes became %v, %v", s, err)
	}
}

// Whoever was added is contained, at every length.
func FuzzSteeringData(f *testing.F) {
	f.Add(uint8(16), uint64(0x92335c4b320830fb), uint64(0xd65e64fa83f81cf7))
	f.Add(uint8(1), uint64(0), uint64(1))
	f.Fuzz(func(t *testing.T, n uint8, a, b uint64) {
		s := make(SteeringData, 1+n%MaxSteeringDataLen)
		da, db := Discerner{a, 64}, Discerner{b, 64}
		s.AddDiscerner(da)
		s.AddDiscerner(db)
		if !s.ContainsDiscerner(da) || !s.ContainsDiscerner(db) {
			t.Fatalf("%x or %x is not in %v", a, b, s)
		}
	})
}
