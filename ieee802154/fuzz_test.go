package ieee802154_test

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	. "gatewayd/ieee802154"
)

// What was decoded survives encoding and decoding again; so does what was
// opened, whatever the peer that has the key wrote.
func FuzzDecode(f *testing.F) {
	for _, tt := range golden {
		f.Add(spaced(f, tt.wire))
	}
	f.Add(spaced(f, `0810 00 0d 01020304 01 ffcf 82 01 341200 785601 12 0100 0200 6720b8d56f1bec46 03 22 01020304`))
	c := NewCCM([16]byte{1})
	f.Fuzz(func(t *testing.T, in []byte) {
		g, err := Decode(in)
		if err != nil {
			return
		}
		stable(t, g)
		if !g.Secured || g.Security.ASNInNonce {
			return
		}

		// Take the input for the plaintext, and be the peer.
		psdu := bytes.Clone(in)
		if err := EncryptInPlace(psdu, c, extA); err != nil {
			t.Fatalf("%x: %v", in, err)
		}
		onAir := bytes.Clone(psdu)
		if g, err = Decode(psdu); err != nil {
			t.Fatalf("%x encrypted is %x: %v", in, onAir, err)
		}
		if err := g.Open(psdu, c, extA); errors.Is(err, ErrMIC) {
			t.Fatalf("%x encrypted is %x: %v", in, onAir, err)
		} else if err != nil {
			return // the plaintext is no frame
		}
		end := len(in) - g.Security.Level.MICLen()
		if !bytes.Equal(psdu[:end], in[:end]) {
			t.Fatalf("%x opened is %x", in[:end], psdu[:end])
		}
		if n := len(g.AppendHeader(nil)); n != g.HeaderLen() {
			t.Fatalf("%+v: header of %d octets, said %d", g, n, g.HeaderLen())
		}
		// What we seal may differ in reserved bits only: it opens to the same.
		again := g.Seal(c, extA, nil)
		if len(again) != len(onAir) {
			t.Fatalf("%x sealed again is %x", onAir, again)
		}
		h, err := Decode(again)
		if err == nil {
			err = h.Open(again, c, extA)
		}
		g.MIC, h.MIC = nil, nil
		if err != nil || !reflect.DeepEqual(g, h) {
			t.Fatalf("%+v became %+v, %v", g, h, err)
		}
	})
}

func stable(t *testing.T, g Frame) {
	t.Helper()
	b := g.Append(nil)
	h, err := Decode(b)
	if err != nil || !reflect.DeepEqual(g, h) {
		t.Fatalf("%+v became %+v as %x, %v", g, h, b, err)
	}
	if n := len(g.AppendHeader(nil)); n != g.HeaderLen() || g.PrivateOffset() > len(b) {
		t.Fatalf("%+v: header of %d octets, said %d; private payload at %d", g, n, g.HeaderLen(), g.PrivateOffset())
	}
}

// What was decoded of a beacon survives encoding and decoding again.
func FuzzBeacon(f *testing.F) {
	f.Add(spaced(f, `ffcf 82 01 341200 785601 12 0100 0200 6720b8d56f1bec46 03 22`))
	f.Add([]byte{0xff, 0xcf, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		b, err := DecodeBeacon(in)
		if err != nil || len(in) == 0 {
			return
		}
		c, err := DecodeBeacon(b.Append(nil))
		if err != nil || !reflect.DeepEqual(b, c) {
			t.Fatalf("%+v became %+v, %v", b, c, err)
		}
	})
}
