package ecjpake

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"regexp"
	"testing"

	"filippo.io/bigmod"
	"filippo.io/nistec"
)

// seeded yields the same bytes for the same seed.
type seeded struct {
	seed uint64
	n    uint64
	left []byte
}

func (r *seeded) Read(b []byte) (int, error) {
	if len(r.left) == 0 {
		h := sha256.Sum256(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, r.seed), r.n))
		r.left = h[:]
		r.n++
	}
	n := copy(b, r.left)
	r.left = r.left[n:]
	return n, nil
}

const vectorsPath = "../../../shared/golden/ecjpake_vectors.go.txt"

// vectors reads the named constants of mbedTLS' self-test.
func vectors(t *testing.T) map[string][]byte {
	t.Helper()
	b, err := os.ReadFile(vectorsPath)
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("SKIPPED, NOTHING VERIFIED: the EC J-PAKE vectors are not at %s", vectorsPath)
	}
	if err != nil {
		t.Fatal(err)
	}
	v := make(map[string][]byte)
	for _, m := range regexp.MustCompile(`const vec_(\w+) = "([0-9a-f]+)"`).FindAllSubmatch(b, -1) {
		h, err := hex.DecodeString(string(m[2]))
		if err != nil {
			t.Fatal(err)
		}
		v[string(m[1])] = h
	}
	if len(v) != 10 {
		t.Fatalf("%d vectors, want 10", len(v))
	}
	return v
}

// load gives e the private keys a and b instead of drawing them.
func (e *Exchange) load(t *testing.T, a, b []byte) {
	t.Helper()
	set := func(b []byte) *bigmod.Nat {
		n, err := bigmod.NewNat().SetBytes(b, order)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	e.x1, e.x2 = set(a), set(b)
	e.pub1, e.pub2 = mul(generator, e.x1), mul(generator, e.x2)
	e.roundOne = []byte{1}
}

// The messages of another implementation are accepted, and lead to its
// premaster secret on either side.
func TestVectors(t *testing.T) {
	v := vectors(t)
	c, err := New(Client, v["password"], &seeded{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Server, v["password"], &seeded{})
	if err != nil {
		t.Fatal(err)
	}
	c.load(t, v["x1"], v["x2"])
	s.load(t, v["x3"], v["x4"])
	for _, step := range []struct {
		name string
		read func([]byte) error
		b    []byte
	}{
		{"client's round one", s.ReadRoundOne, v["cli_one"]},
		{"server's round one", c.ReadRoundOne, v["srv_one"]},
		{"server's round two", c.ReadRoundTwo, v["srv_two"]},
		{"client's round two", s.ReadRoundTwo, v["cli_two"]},
	} {
		if err := step.read(step.b); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
	}
	for _, e := range []*Exchange{c, s} {
		got, err := e.Secret()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, v["pms"]) {
			t.Errorf("%v: premaster secret %x, want %x", e.role, got, v["pms"])
		}
	}
}

// exchange runs both sides up to the premaster secrets.
func exchange(tb testing.TB, client, server string, seed uint64) (c, s []byte) {
	tb.Helper()
	must := func(b []byte, err error) []byte {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return b
	}
	ec, err := New(Client, []byte(client), &seeded{seed: seed})
	if err != nil {
		tb.Fatal(err)
	}
	es, err := New(Server, []byte(server), &seeded{seed: ^seed})
	if err != nil {
		tb.Fatal(err)
	}
	must(nil, es.ReadRoundOne(must(ec.RoundOne())))
	must(nil, ec.ReadRoundOne(must(es.RoundOne())))
	must(nil, ec.ReadRoundTwo(must(es.RoundTwo())))
	must(nil, es.ReadRoundTwo(must(ec.RoundTwo())))
	return must(ec.Secret()), must(es.Secret())
}

// Equal secrets agree, different ones do not, and neither shows before the end.
func TestExchange(t *testing.T) {
	tests := []struct {
		client, server string
		agree          bool
	}{
		{"J01NME", "J01NME", true},
		{"J01NME", "J01NMF", false},
		{"J01NME", "J01NM", false},
		{"\x00J01NME", "J01NME", true}, // a number has no leading zeros
		{"0123456789ABCDEFGHJKLMNPRSTUVWXY", "0123456789ABCDEFGHJKLMNPRSTUVWXY", true},
	}
	for _, tt := range tests {
		for seed := range uint64(4) {
			c, s := exchange(t, tt.client, tt.server, seed)
			if bytes.Equal(c, s) != tt.agree {
				t.Errorf("%q and %q: %x and %x", tt.client, tt.server, c, s)
			}
		}
	}
}

func TestNew(t *testing.T) {
	for _, tt := range []struct {
		name   string
		role   Role
		secret []byte
		rand   io.Reader
	}{
		{"empty secret", Client, nil, &seeded{}},
		{"long secret", Client, make([]byte, MaxSecret+1), &seeded{}},
		{"zero secret", Server, make([]byte, 6), &seeded{}},
		{"secret that is the order", Server, order.Nat().Bytes(order), &seeded{}},
		{"no randomness", Client, []byte("J01NME"), nil},
		{"no role", Role(2), []byte("J01NME"), &seeded{}},
	} {
		if _, err := New(tt.role, tt.secret, tt.rand); err == nil {
			t.Errorf("%s: accepted", tt.name)
		}
	}
}

func TestOrder(t *testing.T) {
	e, err := New(Client, []byte("J01NME"), &seeded{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.RoundTwo(); err != ErrOrder {
		t.Errorf("RoundTwo first: %v", err)
	}
	if err := e.ReadRoundTwo(nil); err != ErrOrder {
		t.Errorf("ReadRoundTwo first: %v", err)
	}
	if _, err := e.Secret(); err != ErrOrder {
		t.Errorf("Secret first: %v", err)
	}
	a, err := e.RoundOne()
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := e.RoundOne(); !bytes.Equal(a, b) {
		t.Error("RoundOne: other bytes at the second call")
	}
}

func TestRandomnessRunsOut(t *testing.T) {
	e, err := New(Client, []byte("J01NME"), io.LimitReader(&seeded{}, 100))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.RoundOne(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

func TestDestroy(t *testing.T) {
	e, err := New(Client, []byte("J01NME"), &seeded{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.RoundOne(); err != nil {
		t.Fatal(err)
	}
	keys := []*bigmod.Nat{e.s, e.x1, e.x2}
	e.Destroy()
	for i, k := range keys {
		if k.IsZero() == 0 {
			t.Errorf("key %d is still there", i)
		}
	}
	if _, err := e.RoundOne(); !errors.Is(err, ErrOrder) {
		t.Errorf("RoundOne of a destroyed exchange: %v", err)
	}
	if _, err := e.Secret(); err != ErrOrder {
		t.Errorf("Secret of a destroyed exchange: %v", err)
	}
	e.Destroy()
}

// peerRoundOne is a good message to spoil: the keys and proofs of a server.
func peerRoundOne(tb testing.TB) []byte {
	tb.Helper()
	s, err := New(Server, []byte("J01NME"), &seeded{seed: 7})
	if err != nil {
		tb.Fatal(err)
	}
	b, err := s.RoundOne()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestReadRoundOneErrors(t *testing.T) {
	good := peerRoundOne(t)
	if len(good) != 330 {
		t.Fatalf("this seed gives %d bytes; the offsets below are for 330", len(good))
	}
	tests := []struct {
		name  string
		spoil func(b []byte) []byte
		err   error
		off   int
	}{
		{"empty", func(b []byte) []byte { return nil }, ErrShort, 0},
		{"cut in the first key", func(b []byte) []byte { return b[:65] }, ErrShort, 0},
		{"cut in the response", func(b []byte) []byte { return b[:164] }, ErrShort, 133},
		{"no second key", func(b []byte) []byte { return b[:165] }, ErrShort, 165},
		{"left over", func(b []byte) []byte { return append(b, 0) }, ErrLong, 330},
		{"length of a compressed point", func(b []byte) []byte { b[0] = 33; return b }, ErrPoint, 0},
		{"form of a hybrid point", func(b []byte) []byte { b[1] = 6; return b }, ErrPoint, 0},
		{"infinity", func(b []byte) []byte { return append([]byte{1, 0}, b...) }, ErrPoint, 0},
		{"not on the curve", func(b []byte) []byte { b[65] ^= 1; return b }, ErrPoint, 0},
		{"commitment not on the curve", func(b []byte) []byte { b[131] ^= 1; return b }, ErrPoint, 66},
		{"empty response", func(b []byte) []byte { b[132] = 0; return b }, ErrScalar, 132},
		{"long response", func(b []byte) []byte { b[132] = 33; return b }, ErrScalar, 132},
		{"response above the order", func(b []byte) []byte {
			copy(b[133:], bytes.Repeat([]byte{0xff}, 32))
			return b
		}, ErrScalar, 132},
		{"another response", func(b []byte) []byte { b[164] ^= 1; return b }, ErrProof, 66},
		{"keys with each other's proof", func(b []byte) []byte {
			copy(b, b[165:231])
			return b
		}, ErrProof, 66},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := New(Client, []byte("J01NME"), &seeded{})
			if err != nil {
				t.Fatal(err)
			}
			err = c.ReadRoundOne(tt.spoil(bytes.Clone(good)))
			var de *DecodeError
			if !errors.As(err, &de) || !errors.Is(err, tt.err) || de.Offset != tt.off {
				t.Errorf("got %v, want %v at %d", err, tt.err, tt.off)
			}
		})
	}
}

// A side does not take its own proofs back (the identity is part of them).
func TestReflection(t *testing.T) {
	c, err := New(Client, []byte("J01NME"), &seeded{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.RoundOne()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.ReadRoundOne(b); !errors.Is(err, ErrProof) {
		t.Errorf("got %v, want %v", err, ErrProof)
	}
}

// A response keeps its value without leading zeros and with them.
func TestShortResponse(t *testing.T) {
	for seed := uint64(0); ; seed++ {
		if seed == 5000 {
			t.Fatal("no seed gave a short response")
		}
		s, err := New(Server, []byte("J01NME"), &seeded{seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.RoundOne()
		if err != nil {
			t.Fatal(err)
		}
		n := int(b[132])
		if n == scalarLen {
			continue
		}
		c, err := New(Client, []byte("J01NME"), &seeded{})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.ReadRoundOne(b); err != nil {
			t.Errorf("response of %d bytes: %v", n, err)
		}
		padded := append(bytes.Clone(b[:132]), scalarLen)
		padded = append(padded, make([]byte, scalarLen-n)...)
		padded = append(padded, b[133:]...)
		if err := c.ReadRoundOne(padded); err != nil {
			t.Errorf("response filled up to %d bytes: %v", scalarLen, err)
		}
		return
	}
}

func TestReadRoundTwoCurve(t *testing.T) {
	c, err := New(Client, []byte("J01NME"), &seeded{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.RoundOne(); err != nil {
		t.Fatal(err)
	}
	if err := c.ReadRoundOne(peerRoundOne(t)); err != nil {
		t.Fatal(err)
	}
	if err := c.ReadRoundTwo([]byte{3, 0, 24}); !errors.Is(err, ErrCurve) {
		t.Errorf("secp384r1: %v, want %v", err, ErrCurve)
	}
	if err := c.ReadRoundTwo([]byte{3, 0}); !errors.Is(err, ErrShort) {
		t.Errorf("cut: %v, want %v", err, ErrShort)
	}
}

func TestSumRefusesInfinity(t *testing.T) {
	g := generator
	if _, err := sum(g, nistec.NewP256Point().Negate(g)); !errors.Is(err, ErrPoint) {
		t.Errorf("got %v, want %v", err, ErrPoint)
	}
}

// No input makes a reader panic, and what differs from the one good message
// beyond leading zeros of a response is refused.
func FuzzReadRoundOne(f *testing.F) {
	good := peerRoundOne(f)
	f.Add(good)
	f.Add(good[:165])
	f.Add([]byte{1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := New(Client, []byte("J01NME"), &seeded{})
		if err != nil {
			t.Fatal(err)
		}
		if c.ReadRoundOne(b) == nil && len(b) == len(good) && !bytes.Equal(b, good) {
			t.Fatalf("took %x", b)
		}
		if _, err := c.RoundOne(); err != nil {
			t.Fatal(err)
		}
		if c.ReadRoundTwo(b) == nil {
			t.Fatalf("took %x as round two", b)
		}
	})
}

func BenchmarkBothSides(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		exchange(b, "J01NME", "J01NME", 1)
	}
}
