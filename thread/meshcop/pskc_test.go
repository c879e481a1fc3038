package meshcop

import (
	"encoding/hex"
	"strings"
	"testing"
)

func TestCMAC(t *testing.T) {
	// RFC 4493 Section 4.
	key := [16]byte(unhex(t, "2b7e1516 28aed2a6 abf71588 09cf4f3c"))
	message := unhex(t, `6bc1bee2 2e409f96 e93d7e11 7393172a ae2d8a57 1e03ac9c 9eb76fac 45af8e51
		30c81c46 a35ce411 e5fbc119 1a0a52ef f69f2445 df4f9b17 ad2b417b e66c3710`)
	tests := []struct {
		n    int
		want string
	}{
		{0, "bb1d6929e95937287fa37d129b756746"},
		{16, "070a16b46b4d4144f79bdd9dd04a287c"},
		{40, "dfa66747de9ae63030ca32611497c827"},
		{64, "51f0bebf7e3b9d92fc49741779363cfe"},
	}
	c := newCMAC(key)
	for _, tt := range tests {
		got := c.mac(message[:tt.n])
		if hex.EncodeToString(got[:]) != tt.want {
			t.Errorf("%d bytes: %x, want %s", tt.n, got, tt.want)
		}
	}
}

func TestPRF(t *testing.T) {
	// RFC 4615 Section 4: keys of 18, 16 and 10 bytes.
	key := unhex(t, "000102030405060708090a0b0c0d0e0fedcb")
	message := unhex(t, "000102030405060708090a0b0c0d0e0f10111213")
	tests := []struct {
		n    int
		want string
	}{
		{18, "84a348a4a45d235babfffc0d2b4da09a"},
		{16, "980ae87b5f4c9c5214f5b6a8455e4c2d"},
		{10, "290d9e112edb09ee141fcf64c0b72f3d"},
	}
	for _, tt := range tests {
		got := newPRF(key[:tt.n]).mac(message)
		if hex.EncodeToString(got[:]) != tt.want {
			t.Errorf("key of %d bytes: %x, want %s", tt.n, got, tt.want)
		}
	}
}

func TestPSKc(t *testing.T) {
	// The example of the Thread specification, which OpenThread nodes with the
	// same credentials computed as well.
	got, err := PSKc("12SECRETPASSWORD34", "Test Network", ExtPANID{0, 1, 2, 3, 4, 5, 6, 7})
	if err != nil {
		t.Fatal(err)
	}
	if want := "c3f59368445a1b6106be420a706d4cc9"; hex.EncodeToString(got[:]) != want {
		t.Errorf("PSKc %x, want %s", got.Reveal(), want)
	}
}

func TestPSKcRefuses(t *testing.T) {
	tests := []struct{ name, passphrase, network, want string }{
		{"short", "12345", "n", "5 bytes"},
		{"long", strings.Repeat("x", 256), "n", "256 bytes"},
		{"not UTF-8", "secret\xff", "n", "UTF-8"},
		{"long name", "123456", "seventeen bytes!!", "17 bytes"},
	}
	for _, tt := range tests {
		_, err := PSKc(tt.passphrase, tt.network, ExtPANID{})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func BenchmarkPSKc(b *testing.B) {
	for b.Loop() {
		PSKc("12SECRETPASSWORD34", "Test Network", ExtPANID{})
	}
}
