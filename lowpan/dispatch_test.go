package lowpan_test

import (
	"bytes"
	"errors"
	"testing"

	"gatewayd/lowpan"
)

func TestDispatch(t *testing.T) {
	is := []struct {
		name string
		f    func([]byte) bool
	}{
		{"mesh", lowpan.IsMesh}, {"frag1", lowpan.IsFrag1}, {"fragN", lowpan.IsFragN}, {"frag", lowpan.IsFrag},
		{"iphc", lowpan.IsIPHC}, {"ipv6", lowpan.IsIPv6}, {"bc0", lowpan.IsBC0},
	}
	want := func(b byte) map[string]bool {
		switch {
		case b == 0x41:
			return map[string]bool{"ipv6": true}
		case b == 0x50:
			return map[string]bool{"bc0": true}
		case b >= 0x60 && b <= 0x7f:
			return map[string]bool{"iphc": true}
		case b >= 0x80 && b <= 0xbf:
			return map[string]bool{"mesh": true}
		case b >= 0xc0 && b <= 0xc7:
			return map[string]bool{"frag1": true, "frag": true}
		case b >= 0xe0 && b <= 0xe7:
			return map[string]bool{"fragN": true, "frag": true}
		}
		return nil
	}
	for b := range 256 {
		for _, tt := range is {
			if got := tt.f([]byte{byte(b)}); got != want(byte(b))[tt.name] {
				t.Errorf("%#x: %s is %v", b, tt.name, got)
			}
		}
	}
	for _, tt := range is {
		if tt.f(nil) {
			t.Errorf("nothing is %s", tt.name)
		}
	}
}

func TestMeshHeader(t *testing.T) {
	tests := []struct {
		wire string
		want lowpan.MeshHeader
	}{
		{`bf 13 4c01 bc00`, lowpan.MeshHeader{HopsLeft: 19, Src: 0x4c01, Dst: 0xbc00}}, // capture line4, frame 32
		{`bf 0f 4c01 bc00`, lowpan.MeshHeader{HopsLeft: 15, Src: 0x4c01, Dst: 0xbc00}},
		{`be 4c01 bc00`, lowpan.MeshHeader{HopsLeft: 14, Src: 0x4c01, Dst: 0xbc00}},
		{`b0 4c01 bc00`, lowpan.MeshHeader{HopsLeft: 0, Src: 0x4c01, Dst: 0xbc00}},
	}
	for _, tt := range tests {
		b := hexBytes(t, tt.wire)
		m, rest, err := lowpan.DecodeMesh(append(bytes.Clone(b), 0x7a, 0x33))
		if err != nil || m != tt.want || !bytes.Equal(rest, []byte{0x7a, 0x33}) {
			t.Errorf("%s: %+v, %x, %v", tt.wire, m, rest, err)
		}
		if got := tt.want.Append(nil); !bytes.Equal(got, b) {
			t.Errorf("%+v became %x", tt.want, got)
		}
		for i := range b {
			if _, _, err := lowpan.DecodeMesh(b[:i]); !errors.Is(err, lowpan.ErrShort) {
				t.Errorf("%x: %v", b[:i], err)
			}
		}
	}
	// The longer form for few hops is legal, if wasteful.
	if m, _, err := lowpan.DecodeMesh(hexBytes(t, `bf 01 4c01 bc00`)); err != nil || m.HopsLeft != 1 {
		t.Errorf("long form: %+v, %v", m, err)
	}
	for _, wire := range []string{`85 0011223344556677 8899aabbccddeeff`, `a5 0011223344556677 0001`, `95 0001 0011223344556677`, `7a33`} {
		if _, _, err := lowpan.DecodeMesh(hexBytes(t, wire)); !errors.Is(err, lowpan.ErrDispatch) {
			t.Errorf("%s: %v", wire, err)
		}
	}
}

func TestBroadcastHeader(t *testing.T) {
	b := lowpan.AppendBC0(nil, 0x17)
	if seq, rest, err := lowpan.DecodeBC0(append(b, 0x7a)); !bytes.Equal(b, []byte{0x50, 0x17}) || seq != 0x17 || len(rest) != 1 || err != nil {
		t.Errorf("%x: %d, %x, %v", b, seq, rest, err)
	}
	for _, wire := range []string{``, `50`} {
		if _, _, err := lowpan.DecodeBC0(hexBytes(t, wire)); !errors.Is(err, lowpan.ErrShort) {
			t.Errorf("%q: %v", wire, err)
		}
	}
	if _, _, err := lowpan.DecodeBC0([]byte{0x51, 0}); !errors.Is(err, lowpan.ErrDispatch) {
		t.Errorf("another dispatch: %v", err)
	}
}

func TestFragHeader(t *testing.T) {
	tests := []struct {
		wire string
		want lowpan.FragHeader
	}{
		{`c418 5b3e`, lowpan.FragHeader{Size: 1048, Tag: 0x5b3e}},
		{`e418 5b3e 0e`, lowpan.FragHeader{Size: 1048, Tag: 0x5b3e, Offset: 112}},
		{`e7ff ffff ff`, lowpan.FragHeader{Size: 2047, Tag: 0xffff, Offset: 2040}},
	}
	for _, tt := range tests {
		b := hexBytes(t, tt.wire)
		h, rest, err := lowpan.DecodeFrag(append(bytes.Clone(b), 1, 2, 3))
		if err != nil || h != tt.want || len(rest) != 3 {
			t.Errorf("%s: %+v, %x, %v", tt.wire, h, rest, err)
		}
		if got := tt.want.Append(nil); !bytes.Equal(got, b) {
			t.Errorf("%+v became %x", tt.want, got)
		}
		for i := range b {
			if _, _, err := lowpan.DecodeFrag(b[:i]); !errors.Is(err, lowpan.ErrShort) {
				t.Errorf("%x: %v", b[:i], err)
			}
		}
	}
	var de *lowpan.DecodeError
	if _, _, err := lowpan.DecodeFrag(hexBytes(t, `e418 5b3e 00`)); !errors.As(err, &de) || de.Offset != 4 || de.Err != lowpan.ErrReserved {
		t.Errorf("next fragment at the start: %v", err)
	}
	if _, _, err := lowpan.DecodeFrag(hexBytes(t, `7a33 3b`)); !errors.Is(err, lowpan.ErrDispatch) {
		t.Errorf("no fragment: %v", err)
	}
}
