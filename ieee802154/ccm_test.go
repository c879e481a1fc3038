package ieee802154_test

import (
	"bytes"
	"crypto/aes"
	"math/rand/v2"
	"testing"

	. "gatewayd/ieee802154"

	"github.com/pion/dtls/v3/pkg/crypto/ccm"
)

// IEEE 802.15.4-2006 Annex C.2: a beacon (level 2), a data frame (level 4) and
// a command (level 6), as whole frames.
func TestAnnexC(t *testing.T) {
	key := [16]byte(unhex(t, "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"))
	sender := ext(t, "acde480000000001")
	tests := []struct {
		name  string
		frame Frame
		plain string // header and payload
		want  string
	}{{
		name: "beacon, MIC-64",
		frame: Frame{Type: FrameBeacon, Version: Version2006, Seq: 0x84, SrcPAN: 0x4321, Src: ExtendedAddr(sender),
			Secured: true, Security: Security{Level: LevelMIC64, Counter: 5},
			Payload: []byte{0x55, 0xcf, 0, 0, 'Q', 'R', 'S', 'T'}},
		plain: "08d0 84 2143 010000000048deac 02 05000000 55cf 00 00 51525354",
		want:  "08d0 84 2143 010000000048deac 02 05000000 55cf 00 00 51525354 223bc1ec841ab553",
	}, {
		name: "data, ENC",
		frame: Frame{Type: FrameData, Version: Version2006, AckRequest: true, PANCompressed: true, Seq: 0x84,
			DstPAN: 0x4321, Dst: ExtendedAddr(ext(t, "acde480000000002")), SrcPAN: 0x4321, Src: ExtendedAddr(sender),
			Secured: true, Security: Security{Level: LevelEnc, Counter: 5}, Payload: []byte("abcd")},
		plain: "69dc 84 2143 020000000048deac 010000000048deac 04 05000000 61626364",
		want:  "69dc 84 2143 020000000048deac 010000000048deac 04 05000000 d43e022b",
	}, {
		name: "association request, ENC-MIC-64",
		frame: Frame{Type: FrameCommand, Version: Version2006, AckRequest: true, Seq: 0x84,
			DstPAN: 0x4321, Dst: ExtendedAddr(ext(t, "acde480000000002")), SrcPAN: 0xffff, Src: ExtendedAddr(sender),
			Secured: true, Security: Security{Level: LevelEncMIC64, Counter: 5},
			Command: CommandAssociationRequest, Payload: []byte{0xce}},
		plain: "2bdc 84 2143 020000000048deac ffff 010000000048deac 06 05000000 01 ce",
		want:  "2bdc 84 2143 020000000048deac ffff 010000000048deac 06 05000000 01 d8 4fde529061f9c6f1",
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, want := NewCCM(key), spaced(t, tt.want)
			room := tt.frame.Append(nil)
			if n := len(room) - tt.frame.Security.Level.MICLen(); !bytes.Equal(room[:n], spaced(t, tt.plain)) {
				t.Errorf("plain: %x, want %s", room[:n], tt.plain)
			}
			got := tt.frame.Seal(c, sender, nil)
			if !bytes.Equal(got, want) {
				t.Errorf("sealed: %x, want %x", got, want)
			}
			f, err := Decode(got)
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Open(got, c, sender); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(f.Payload, tt.frame.Payload) || f.Command != tt.frame.Command || f.Encrypted {
				t.Errorf("opened: %+v", f)
			}
		})
	}
}

// Agreement with an implementation that shares nothing with ours but AES, over
// every length that a frame can have and each way the header can end in a block.
func TestCCMAgreesWithPion(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	key := [16]byte(random(16))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		t.Fatal(err)
	}
	own := NewCCM(key)
	for _, tagLen := range []int{4, 8, 16} {
		peer, err := ccm.NewCCM(block, tagLen, NonceLen)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 130 {
			for _, aadLen := range []int{0, 1, 13, 14, 15, 29, 30, 31, 46, 127} {
				nonce, aad, plain := [NonceLen]byte(random(NonceLen)), random(aadLen), random(n)
				want := peer.Seal(nil, nonce[:], plain, aad)
				data, tag := bytes.Clone(plain), make([]byte, tagLen)
				own.Seal(&nonce, aad, data, tag)
				if !bytes.Equal(append(bytes.Clone(data), tag...), want) {
					t.Fatalf("tag %d, data %d, header %d: %x %x, want %x", tagLen, n, aadLen, data, tag, want)
				}
				if err := own.Open(&nonce, aad, data, tag); err != nil || !bytes.Equal(data, plain) {
					t.Fatalf("tag %d, data %d, header %d: open: %v", tagLen, n, aadLen, err)
				}
			}
		}
	}
}

// Whatever bit is wrong, Open says so and leaves the ciphertext for the next key.
func TestCCMRefuses(t *testing.T) {
	c := NewCCM([16]byte{1})
	nonce, aad, data, tag := [NonceLen]byte{2}, []byte("header"), []byte("seventeen octets!"), make([]byte, 4)
	c.Seal(&nonce, aad, data, tag)
	for _, part := range [][]byte{nonce[:], aad, data, tag} {
		for i := range len(part) * 8 {
			part[i/8] ^= 1 << (i % 8)
			before := bytes.Clone(data)
			if err := c.Open(&nonce, aad, data, tag); err != ErrMIC {
				t.Fatalf("bit %d of %x: %v, want %v", i, part, err, ErrMIC)
			}
			if !bytes.Equal(data, before) {
				t.Fatalf("bit %d of %x: data changed", i, part)
			}
			part[i/8] ^= 1 << (i % 8)
		}
	}
	if err := c.Open(&nonce, aad, data, tag); err != nil || string(data) != "seventeen octets!" {
		t.Errorf("in the end: %q, %v", data, err)
	}
}

// secured is a frame of 100 octets, secured as Thread secures its data.
func secured() Frame {
	return Frame{Type: FrameData, Version: Version2006, AckRequest: true, PANCompressed: true, Seq: 1,
		DstPAN: 0xface, Dst: ShortAddr(0x1800), SrcPAN: 0xface, Src: ShortAddr(0x1801),
		Secured: true, Security: Security{Level: LevelEncMIC32, KeyIDMode: KeyIDIndex, Counter: 7, KeyIndex: 1},
		Payload: make([]byte, 100-9-6-4)}
}

func TestNoAllocations(t *testing.T) {
	c, f, sender := NewCCM([16]byte{1}), secured(), ExtAddr{1, 2, 3, 4, 5, 6, 7, 8}
	psdu := f.Seal(c, sender, nil)
	if len(psdu) != 100 {
		t.Fatalf("%d octets, want 100", len(psdu))
	}
	out, in := make([]byte, 0, MaxPSDU), make([]byte, len(psdu))
	if n := testing.AllocsPerRun(100, func() { out = f.Seal(c, sender, out[:0]) }); n != 0 {
		t.Errorf("Seal: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		copy(in, psdu)
		g, err := Decode(in)
		if err == nil {
			err = g.Open(in, c, sender)
		}
		if err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("Decode and Open: %v allocations", n)
	}
}

func BenchmarkCCMSeal(b *testing.B) {
	c, nonce, aad, data, tag := NewCCM([16]byte{}), [NonceLen]byte{}, make([]byte, 21), make([]byte, 75), make([]byte, 4)
	b.ReportAllocs()
	for b.Loop() {
		c.Seal(&nonce, aad, data, tag)
	}
}

func BenchmarkCCMOpen(b *testing.B) {
	c, nonce, aad, data, tag := NewCCM([16]byte{}), [NonceLen]byte{}, make([]byte, 21), make([]byte, 75), make([]byte, 4)
	c.Seal(&nonce, aad, data, tag)
	work := make([]byte, len(data))
	b.ReportAllocs()
	for b.Loop() {
		copy(work, data)
		if err := c.Open(&nonce, aad, work, tag); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFrameSeal(b *testing.B) {
	c, f, out := NewCCM([16]byte{}), secured(), make([]byte, 0, MaxPSDU)
	b.ReportAllocs()
	for b.Loop() {
		out = f.Seal(c, ExtAddr{}, out[:0])
	}
}

func BenchmarkFrameOpen(b *testing.B) {
	c, f := NewCCM([16]byte{}), secured()
	psdu := f.Seal(c, ExtAddr{}, nil)
	work := make([]byte, len(psdu))
	b.ReportAllocs()
	for b.Loop() {
		copy(work, psdu)
		g, err := Decode(work)
		if err == nil {
			err = g.Open(work, c, ExtAddr{})
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
