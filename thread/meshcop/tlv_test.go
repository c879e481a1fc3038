package meshcop

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

func TestTLVs(t *testing.T) {
	ts := TLVs(wire(t, `
		1001 01           # state
		11ff 0003 aabbcc  # encapsulation, extended length though it is short
		1001 ff           # a second state
		f000              # unknown, empty`))
	if err := ts.Validate(); err != nil {
		t.Fatal(err)
	}
	var types []Type
	for tlv := range ts.All() {
		types = append(types, tlv.Type)
	}
	if !slices.Equal(types, []Type{TypeState, TypeJoinerDTLSEncapsulation, TypeState, 0xf0}) {
		t.Errorf("types %v", types)
	}
	if v, ok := ts.Find(TypeState); !ok || !bytes.Equal(v, []byte{1}) {
		t.Errorf("state %x, %v", v, ok)
	}
	if v, ok := ts.Find(TypeJoinerDTLSEncapsulation); !ok || !bytes.Equal(v, []byte{0xaa, 0xbb, 0xcc}) {
		t.Errorf("encapsulation %x, %v", v, ok)
	}
	if ts.Has(TypePANID) {
		t.Error("found a PAN ID")
	}
	if got := ts.Without(TypeState, 0xf0); !bytes.Equal(got, wire(t, "1103 aabbcc")) {
		t.Errorf("without state: %x", got)
	}
	if Type(0xf0).String() != "TLV 240" || TypePSKc.String() != "PSKc" {
		t.Errorf("names %v, %v", Type(0xf0), TypePSKc)
	}
}

func TestTLVsBroken(t *testing.T) {
	for in, off := range map[string]int{
		"10":                       0,
		"1002 01":                  0,
		"1001 01 11":               3,
		"1001 01 11ff 00":          3,
		"1001 01 11ff 0002 aa":     3,
		"1001 01 11ff ffff aaaaa0": 3,
	} {
		ts := TLVs(unhex(t, in))
		var de *DecodeError
		if err := ts.Validate(); !errors.As(err, &de) || de.Offset != off || !errors.Is(err, ErrShort) {
			t.Errorf("%s: %v, want offset %d", in, err, off)
		}
		n := 0
		for range ts.All() {
			n++
		}
		if n != off/3 {
			t.Errorf("%s: %d TLVs before the break", in, n)
		}
	}
}

func TestAppendTLVLengths(t *testing.T) {
	for _, n := range []int{0, 1, 254, 255, 256, MaxTLVLength} {
		v := bytes.Repeat([]byte{0x5a}, n)
		b := AppendTLV(nil, TypeUDPEncapsulation, v)
		if long := n >= 255; long != (b[1] == 0xff) {
			t.Errorf("%d bytes: header %x", n, b[:2])
		}
		if got, ok := TLVs(b).Find(TypeUDPEncapsulation); !ok || !bytes.Equal(got, v) {
			t.Errorf("%d bytes became %d", n, len(got))
		}
	}
}

// What every message must have, and what it does not understand.
func TestMissingAndUnknown(t *testing.T) {
	tests := []struct {
		name     string
		required []Type
		wire     string
	}{
		{"finalize", []Type{TypeState}, "1001 01"},
		{"entrust", []Type{TypeNetworkKey}, "0510 00112233445566778899aabbccddeeff"},
		{"relay-rx", []Type{TypeJoinerUDPPort, TypeJoinerIID, TypeJoinerRouterLocator, TypeJoinerDTLSEncapsulation},
			"1202 03e8 1308 90335c4b320830fb 1402 7c00 1101 16"},
		{"udp-proxy", []Type{TypeUDPEncapsulation, TypeIPv6Address},
			"3005 f0bf f0bf 40 3110 fd000db8000a000b000000fffe005400"},
		{"petition", []Type{TypeCommissionerID}, "0a01 41"},
		{"petition-response", []Type{TypeState}, "1001 ff"},
		{"keep-alive", []Type{TypeState, TypeCommissionerSessionID}, "1001 01 0b02 0001"},
		{"announce-begin", []Type{TypeCommissionerSessionID, TypeChannelMask, TypeCount, TypePeriod},
			"0b02 0001 3506 0004001fffe0 3601 02 3702 0020"},
		{"energy-scan", []Type{TypeCommissionerSessionID, TypeChannelMask, TypeCount, TypePeriod, TypeScanDuration},
			"0b02 0001 3506 0004001fffe0 3601 02 3702 0020 3802 0010"},
		{"energy-report", []Type{TypeChannelMask, TypeEnergyList}, "3506 0004001fffe0 3902 a0b0"},
		{"pan-id-query", []Type{TypeChannelMask, TypePANID}, "3506 0004001fffe0 0102 face"},
		{"discovery-request", []Type{TypeDiscoveryRequest}, "8002 5800"},
		{"discovery-response", []Type{TypeDiscoveryResponse}, "8102 5800"},
	}
	byName := map[string]codec{}
	for _, c := range codecs {
		byName[c.name] = c
	}
	for _, tt := range tests {
		full := unhex(t, tt.wire)
		run := byName[tt.name].run
		with := append(slices.Clone(full), 0xf3, 1, 0x77)
		out, err := run(with)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if v, ok := TLVs(out).Find(0xf3); !ok || !bytes.Equal(v, []byte{0x77}) {
			t.Errorf("%s lost the unknown TLV: %x", tt.name, out)
		}
		if again, err := run(out); err != nil || !bytes.Equal(again, out) {
			t.Errorf("%s: %x became %x, %v", tt.name, out, again, err)
		}
		for _, r := range tt.required {
			var de *DecodeError
			_, err := run(TLVs(full).Without(r))
			if !errors.As(err, &de) || !errors.Is(err, ErrMissing) || de.What != r.String() {
				t.Errorf("%s without %v: %v", tt.name, r, err)
			}
			// Too short to be read.
			if r != TypeJoinerDTLSEncapsulation && r != TypeCommissionerID && r != TypeEnergyList {
				cut := AppendTLV(TLVs(full).Without(r), r, nil)
				if _, err := run(cut); !errors.Is(err, ErrShort) {
					t.Errorf("%s with empty %v: %v", tt.name, r, err)
				}
			}
		}
	}
}
