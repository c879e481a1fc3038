package psk

import (
	"bytes"
	"crypto/aes"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/eax"
)

// unhex reads hexadecimal digits with spaces and comments after #.
func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	var digits strings.Builder
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// RFC 4493 Section 4.
func TestCMAC(t *testing.T) {
	c := newCipher((*block)(unhex(t, "2b7e151628aed2a6abf7158809cf4f3c")))
	message := unhex(t, `6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51
		30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710`)
	tests := []struct {
		n    int
		want string
	}{
		{0, "bb1d6929e95937287fa37d129b756746"},
		{16, "070a16b46b4d4144f79bdd9dd04a287c"},
		{40, "dfa66747de9ae63030ca32611497c827"},
		{64, "51f0bebf7e3b9d92fc49741779363cfe"},
	}
	var m cmac
	m.init(c)
	for _, tt := range tests {
		for cut := range tt.n + 1 { // however it is cut
			m.reset()
			m.write(message[:cut])
			m.write(message[cut:tt.n])
			if got := m.sum(); !bytes.Equal(got[:], unhex(t, tt.want)) {
				t.Fatalf("%d octets, cut at %d: %x, want %s", tt.n, cut, *got, tt.want)
			}
		}
	}
}

// EAX against an independent implementation, in both directions.
func TestEAX(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	for n := range 70 {
		key, nonce, header, plain := random(16), random(16), random(n/2), random(n)
		c, err := aes.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		oracle, err := eax.NewEAX(c)
		if err != nil {
			t.Fatal(err)
		}
		var e eaxState
		e.init(newCipher((*block)(key)))

		b := bytes.Clone(plain)
		tag := *e.seal(nonce, header, b)
		if got, err := oracle.Open(nil, nonce, append(bytes.Clone(b), tag[:]...), header); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%d octets: oracle reads %x, %v, of %x", n, got, err, plain)
		}
		sealed := oracle.Seal(nil, nonce, plain, header)
		b = bytes.Clone(sealed[:n])
		if !e.open(nonce, header, b, sealed[n:]) || !bytes.Equal(b, plain) {
			t.Fatalf("%d octets: read %x of the oracle's %x", n, b, plain)
		}
		sealed[rng.IntN(len(sealed))] ^= 1 << rng.IntN(8)
		b = bytes.Clone(sealed[:n])
		if e.open(nonce, header, b, sealed[n:]) {
			t.Fatalf("%d octets: altered text accepted", n)
		}
	}
}

// Counter mode carries over into all octets.
func TestEAXCounter(t *testing.T) {
	var e eaxState
	e.init(newCipher(&block{}))
	for i := range e.nonceMAC {
		e.nonceMAC[i] = 0xff
	}
	b := make([]byte, 3*blockLen)
	e.crypt(b)
	var want, in block
	for i := range in {
		in[i] = 0xff
	}
	for i := range 3 { // ff..ff, 00..00, 00..01
		e.aes.Encrypt(want[:], in[:])
		if !bytes.Equal(b[i*blockLen:][:blockLen], want[:]) {
			t.Errorf("block %d: %x, want %x", i, b[i*blockLen:][:blockLen], want)
		}
		in = block{}
		in[blockLen-1] = byte(i)
	}
}

func TestNoAllocation(t *testing.T) {
	var e eaxState
	e.init(newCipher(&block{1}))
	nonce, header, b := make([]byte, 16), make([]byte, headerLen), make([]byte, 1)
	if n := testing.AllocsPerRun(100, func() { e.seal(nonce, header, b) }); n != 0 {
		t.Errorf("sealing allocates %v times", n)
	}
}
