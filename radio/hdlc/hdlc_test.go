package hdlc

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// decode feeds in as one chunk and returns copies of the frames.
func decode(d *Decoder, in []byte) (frames [][]byte) {
	for f := range d.Frames(in) {
		frames = append(frames, bytes.Clone(f))
	}
	return frames
}

func TestFrame(t *testing.T) {
	tests := []struct{ name, payload, wire string }{
		{"reset, recorded", "800102", "7e 800102 eaf0 7e"},
		{"reset done, recorded", "80060070", "7e 80060070 ee74 7e"},
		{"protocol version, recorded", "810201", "7e 810201 c5b2 7e"},
		{"every byte that is escaped", "7e7d1113f8", "7e 7d5e 7d5d 7d31 7d33 7dd8 8171 7e"},
		{"check value of X-25 is 906e", "313233343536373839", "7e 313233343536373839 6e90 7e"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			payload, wire := unhex(t, tt.payload), unhex(t, tt.wire)
			if got := AppendFrame(nil, payload); !bytes.Equal(got, wire) {
				t.Errorf("encoded %x, want %x", got, wire)
			}
			var d Decoder
			if got := decode(&d, wire); len(got) != 1 || !bytes.Equal(got[0], payload) {
				t.Errorf("decoded %x, want %x", got, payload)
			}
		})
	}
}

// An FCS can hold bytes that are escaped too.
func TestEscapedFCS(t *testing.T) {
	found := 0
	for i := range 1 << 16 {
		payload := []byte{byte(i), byte(i >> 8)}
		wire := AppendFrame(nil, payload)
		if bytes.Count(wire, []byte{flag}) != 2 {
			t.Fatalf("%x has a flag inside: %x", payload, wire)
		}
		if len(wire) > 6 {
			found++
		}
		var d Decoder
		if got := decode(&d, wire); len(got) != 1 || !bytes.Equal(got[0], payload) {
			t.Fatalf("%x came back as %x", payload, got)
		}
	}
	if found < 1000 {
		t.Errorf("only %d frames had escapes", found)
	}
}

func TestResync(t *testing.T) {
	const good = "7e 810201 c5b2 7e"
	tests := []struct {
		name, wire string
		want       Stats
	}{
		{"noise before", "61620d0a" + good, Stats{Frames: 1, Skipped: 4}},
		{"shared flag", "7e 810201 c5b2 7e 80060070 ee74 7e", Stats{Frames: 2}},
		{"flags between", good + "7e7e" + good, Stats{Frames: 2}},
		{"bad FCS", "7e 810202 c5b2 7e" + good, Stats{Frames: 1, BadFCS: 1}},
		{"cut, then whole", "7e 8102" + good, Stats{Frames: 1, BadFCS: 1}},
		{"FCS only", "7e 0000 7e" + good, Stats{Frames: 1, BadFCS: 1}},
		{"aborted", "7e 8102 7d7e" + good, Stats{Frames: 1, Aborted: 1}},
		{"overlong", "7e" + strings.Repeat("55", 40) + good, Stats{Frames: 1, Overlong: 1, Skipped: 7}},
		{"text between", good + "6f6f70730a" + good, Stats{Frames: 2, BadFCS: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := Decoder{MaxFrame: 32}
			frames := decode(&d, unhex(t, tt.wire))
			if d.Stats != tt.want {
				t.Errorf("stats %v, want %v", d.Stats, tt.want)
			}
			if len(frames) != int(tt.want.Frames) || !bytes.Contains(slices.Concat(frames...), unhex(t, "810201")) {
				t.Errorf("frames %x", frames)
			}
		})
	}
}

func TestLongestFrame(t *testing.T) {
	for _, n := range []int{30, 31} {
		d := Decoder{MaxFrame: 32}
		got := decode(&d, AppendFrame(nil, make([]byte, n)))
		if want := n <= 30; (len(got) == 1) != want {
			t.Errorf("%d bytes and FCS in 32: %d frames", n, len(got))
		}
	}
}

// A loop that is left early leaves the decoder usable.
func TestBreak(t *testing.T) {
	var d Decoder
	two := append(AppendFrame(nil, []byte{1}), AppendFrame(nil, []byte{2})...)
	for range d.Frames(two) {
		break
	}
	if got := decode(&d, AppendFrame(nil, []byte{3})); len(got) != 1 || got[0][0] != 3 {
		t.Errorf("after a break: %x", got)
	}
}

// Frames come out the same however the stream is cut into chunks, and what
// AppendFrame made is always found after any noise.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte("\x7e\x80\x01\x02\xea\xf0\x7e"), uint64(1))
	f.Add([]byte("boot\r\n\x7e\x81\x02\x01\xc5\xb2\x7e\x7d\x7e\x7d"), uint64(7))
	f.Add(AppendFrame(nil, bytes.Repeat([]byte{flag}, 200)), uint64(3))
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		whole := Decoder{MaxFrame: 300}
		want := decode(&whole, in)

		rng := rand.New(rand.NewPCG(seed, 0))
		parts := Decoder{MaxFrame: 300}
		var got [][]byte
		for rest := in; len(rest) > 0; {
			n := 1 + rng.IntN(len(rest))
			got = append(got, decode(&parts, rest[:n])...)
			rest = rest[n:]
		}
		if !slices.EqualFunc(got, want, bytes.Equal) || parts.Stats != whole.Stats {
			t.Fatalf("in chunks %x, at once %x", got, want)
		}
		for _, f := range want {
			var d Decoder
			if again := decode(&d, AppendFrame(nil, f)); len(again) != 1 || !bytes.Equal(again[0], f) {
				t.Fatalf("%x came back as %x", f, again)
			}
		}
		if after := decode(&whole, AppendFrame([]byte{flag}, []byte{1, 2, 3})); len(after) == 0 || !bytes.Equal(after[len(after)-1], []byte{1, 2, 3}) {
			t.Fatalf("not in step after %x", in)
		}
	})
}

func BenchmarkDecoder(b *testing.B) {
	wire := AppendFrame(nil, make([]byte, 150))
	var d Decoder
	b.SetBytes(int64(len(wire)))
	b.ReportAllocs()
	for b.Loop() {
		for range d.Frames(wire) {
		}
	}
}
