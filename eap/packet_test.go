package eap

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
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

// The first four were recorded between OpenPANA's client and hostapd.
var packets = []struct {
	name string
	wire string
	want Packet
}{{
	name: "identity request",
	wire: `01 8c 0005 01`,
	want: Packet{Code: CodeRequest, Identifier: 0x8c, Type: TypeIdentity, Data: []byte{}},
}, {
	name: "identity response",
	wire: `02 8c 0009 01 75736572`,
	want: Packet{Code: CodeResponse, Identifier: 0x8c, Type: TypeIdentity, Data: []byte("user")},
}, {
	name: "first message of EAP-PSK",
	wire: `01 8d 0025 2f  00 9f95a0bc1a26412211847881c3cded2a 7061612e6578616d706c652e6e6574`,
	want: Packet{Code: CodeRequest, Identifier: 0x8d, Type: TypePSK, Data: append([]byte{
		0x00, 0x9f, 0x95, 0xa0, 0xbc, 0x1a, 0x26, 0x41, 0x22, 0x11, 0x84, 0x78, 0x81, 0xc3, 0xcd, 0xed, 0x2a},
		"paa.example.net"...)},
}, {
	name: "success",
	wire: `03 8e 0004`,
	want: Packet{Code: CodeSuccess, Identifier: 0x8e},
}, {
	name: "failure",
	wire: `04 00 0004`,
	want: Packet{Code: CodeFailure},
}, {
	name: "legacy Nak",
	wire: `02 02 0007 03 0d 2f`,
	want: Packet{Code: CodeResponse, Identifier: 2, Type: TypeNak, Data: []byte{13, 47}},
}, {
	name: "expanded Nak that wants EAP-TLS and a method of vendor 20",
	wire: `02 02 001c  fe 000000 00000003
	       fe 000000 0000000d  fe 000014 00000006`,
	want: Packet{Code: CodeResponse, Identifier: 2, Type: TypeExpanded, VendorType: 3, Data: []byte{
		0xfe, 0, 0, 0, 0, 0, 0, 13, 0xfe, 0, 0, 20, 0, 0, 0, 6}},
}, {
	name: "expanded type",
	wire: `01 02 000d  fe 00372a 00000001 aa`,
	want: Packet{Code: CodeRequest, Identifier: 2, Type: TypeExpanded, Vendor: 0x372a, VendorType: 1, Data: []byte{0xaa}},
}}

func TestPacket(t *testing.T) {
	for _, tt := range packets {
		t.Run(tt.name, func(t *testing.T) {
			wire := unhex(t, tt.wire)
			got, err := Decode(append(bytes.Clone(wire), "padding"...))
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("decoded %+v, %v, want %+v", got, err, tt.want)
			}
			if b := tt.want.Append([]byte("x")); !bytes.Equal(b[1:], wire) || tt.want.Len() != len(wire) {
				t.Errorf("encoded %x, length %d, want %x", b[1:], tt.want.Len(), wire)
			}
			for n := range wire {
				var e *DecodeError
				if _, err := Decode(wire[:n]); !errors.As(err, &e) || !errors.Is(err, ErrShort) || e.Offset != n {
					t.Errorf("cut to %d: %v", n, err)
				}
			}
		})
	}
}

func TestDecodeError(t *testing.T) {
	tests := []struct {
		name string
		wire string
		what string
		off  int
		err  error
	}{
		{"length below the header", `01 01 0003 01`, "length", 2, ErrLength},
		{"length beyond the packet", `01 01 0006 01`, "EAP packet", 5, ErrShort},
		{"request without a type", `01 01 0004`, "type", 4, ErrShort},
		{"success with data", `03 01 0005 00`, "length", 2, ErrLength},
		{"code 0", `00 01 0005 01`, "code", 0, ErrCode},
		{"code 5, of EAP-Initiate", `05 01 0005 01`, "code", 0, ErrCode},
		{"expanded type cut", `01 01 000b fe 00372a 000000`, "expanded type", 11, ErrShort},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Decode(unhex(t, tt.wire))
			var e *DecodeError
			if !errors.As(err, &e) || e.What != tt.what || e.Offset != tt.off || e.Err != tt.err {
				t.Errorf("%v, want %s at %d: %v", err, tt.what, tt.off, tt.err)
			}
		})
	}
}

func TestNakTypes(t *testing.T) {
	tests := []struct {
		name string
		wire string
		want []Type
	}{
		{"legacy", `02 01 0007 03 2f 0d`, []Type{TypePSK, TypeTLS}},
		{"legacy, nothing wanted", `02 01 0006 03 00`, nil},
		{"legacy, without the zero", `02 01 0005 03`, nil},
		{"expanded", packets[6].wire, []Type{TypeTLS}},
		{"expanded, nothing wanted", `02 01 0014 fe000000 00000003 fe000000 00000000`, nil},
		{"expanded, last one cut", `02 01 0017 fe000000 00000003 fe000000 0000000d fe0000`, []Type{TypeTLS}},
		{"expanded, an expanded type in it", `02 01 0014 fe000000 00000003 fe000000 000000fe`, nil},
		{"expanded, something else in it", `02 01 0014 fe000000 00000003 0d000000 0000000d`, nil},
		{"no Nak", `02 01 0007 2f 2f 0d`, nil},
		{"a request", `01 01 0007 03 2f 0d`, nil},
		{"another vendor's type 3", `02 01 0014 fe000001 00000003 fe000000 0000000d`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Decode(unhex(t, tt.wire))
			if err != nil {
				t.Fatal(err)
			}
			if got := p.NakTypes(); !slices.Equal(got, tt.want) {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

// What was decoded survives encoding and decoding again, and a Nak names no
// type that cannot be asked for.
func FuzzDecode(f *testing.F) {
	for _, tt := range packets {
		f.Add(unhex(f, tt.wire))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := Decode(in)
		if err != nil {
			var e *DecodeError
			if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(in) {
				t.Fatalf("%v for %d octets", err, len(in))
			}
			return
		}
		b := p.Append(nil)
		if !bytes.Equal(b, in[:len(b)]) || p.Len() != len(b) {
			t.Fatalf("%x became %x", in, b)
		}
		for _, want := range p.NakTypes() {
			if want == 0 || want == TypeExpanded && p.Type == TypeExpanded {
				t.Fatalf("%x asks for %v", in, want)
			}
		}
	})
}
