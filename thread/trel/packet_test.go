package trel

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"gatewayd/ieee802154"
)

// unhex reads hexadecimal digits with blanks and # comments.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var (
	one = ieee802154.ExtAddr{0x5e, 0x57, 0x85, 0xba, 0x3a, 0x63, 0xad, 0xb9}
	two = ieee802154.ExtAddr{0xce, 0x79, 0x2a, 0x29, 0xd3, 0x11, 0x1a, 0xea}
)

func TestPacket(t *testing.T) {
	tests := []struct {
		name string
		wire string
		want Packet
	}{{
		name: "broadcast",
		wire: `00 0f face 00000102   # broadcast, channel 15, PAN, number
		       5e5785ba3a63adb9      # source
		       4198                  # frame`,
		want: Packet{Type: Broadcast, Channel: 15, PANID: 0xface, Number: 0x102, Src: one, Payload: []byte{0x41, 0x98}},
	}, {
		name: "unicast, to be acknowledged",
		wire: `05 1a ffff ffffffff   # unicast and ack request, channel 26
		       5e5785ba3a63adb9 ce792a29d3111aea
		       6198`,
		want: Packet{Type: Unicast, AckRequest: true, Channel: 26, PANID: 0xffff, Number: 0xffffffff, Src: one, Dst: two, Payload: []byte{0x61, 0x98}},
	}, {
		name: "ack",
		wire: `02 0b 1234 00000007   # ack
		       ce792a29d3111aea 5e5785ba3a63adb9`,
		want: Packet{Type: Ack, Channel: 11, PANID: 0x1234, Number: 7, Src: two, Dst: one, Payload: []byte{}},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wire := unhex(t, tt.wire)
			got, err := Decode(wire)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("decoded %+v, %v", got, err)
			}
			if b := tt.want.Append(nil); !bytes.Equal(b, wire) {
				t.Errorf("encoded %x", b)
			}
		})
	}
}

func TestPacketRefused(t *testing.T) {
	for _, tt := range []struct {
		name, wire string
		err        error
		off        int
	}{
		{"nothing", "", ErrShort, 0},
		{"version 1", "20 0b face 00000000 0000000000000000", ErrVersion, 0},
		{"type 3", "03 0b face 00000000 0000000000000000 0000000000000000", ErrType, 0},
		{"a broadcast's source is cut", "00 0b face 00000000 00000000000000", ErrShort, 15},
		{"a unicast without destination", "01 0b face 00000000 0000000000000000", ErrShort, 16},
		{"an ack's destination is cut", "02 0b face 00000000 0000000000000000 00000000000000", ErrShort, 23},
	} {
		_, err := Decode(unhex(t, tt.wire))
		var d *DecodeError
		if !errors.Is(err, tt.err) || !errors.As(err, &d) || d.Offset != tt.off {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	// Reserved bits are not looked at.
	if p, err := Decode(unhex(t, "18 0b face 00000000 0000000000000000 aa")); err != nil || p.Type != Broadcast || p.AckRequest {
		t.Errorf("%+v, %v", p, err)
	}
}

// What was decoded survives encoding, but for reserved bits.
func FuzzPacket(f *testing.F) {
	f.Add(unhex(f, "000bface000001025e5785ba3a63adb94198"))
	f.Add(unhex(f, "051affffffffffff5e5785ba3a63adb9ce792a29d3111aea6198"))
	f.Add(unhex(f, "020b123400000007ce792a29d3111aea5e5785ba3a63adb9"))
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := Decode(in)
		if err != nil {
			return
		}
		out := p.Append(nil)
		if len(out) != len(in) || out[0] != in[0]&^0x18 || !bytes.Equal(out[1:], in[1:]) {
			t.Fatalf("%x became %x", in, out)
		}
	})
}

func TestTXT(t *testing.T) {
	want := TXT{Ext: one, ExtPANID: ExtPANID{0xf0, 0xd9, 0xc0, 0x01, 0xf0, 0x0d, 0x2e, 0x43}}
	wire := unhex(t, `0b 78613d 5e5785ba3a63adb9   # xa=
	                  0b 78703d f0d9c001f00d2e43   # xp=`)
	if b := want.Append(nil); !bytes.Equal(b, wire) {
		t.Errorf("encoded %x", b)
	}
	for name, in := range map[string]string{
		"as it is sent":        "0b78613d5e5785ba3a63adb9 0b78703df0d9c001f00d2e43",
		"the other way around": "0b58503df0d9c001f00d2e43 0b58413d5e5785ba3a63adb9",
		"with more":            "00 0372763d 0b78613d5e5785ba3a63adb9 0178 0b78703df0d9c001f00d2e43",
	} {
		if got, err := DecodeTXT(unhex(t, in)); err != nil || got != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, tt := range map[string]struct {
		in  string
		err error
	}{
		"nothing":         {"", ErrMissing},
		"no network":      {"0b78613d5e5785ba3a63adb9", ErrMissing},
		"no address":      {"0b78703df0d9c001f00d2e43", ErrMissing},
		"seven bytes":     {"0a78613d5e5785ba3a63ad 0b78703df0d9c001f00d2e43", ErrLength},
		"two addresses":   {"0b78613d5e5785ba3a63adb9 0b78613d5e5785ba3a63adb9 0b78703df0d9c001f00d2e43", ErrDuplicate},
		"an entry is cut": {"0b78613d5e5785ba3a63adb9 0b78703df0d9c001f00d2e", ErrShort},
	} {
		if got, err := DecodeTXT(unhex(t, tt.in)); !errors.Is(err, tt.err) || got != (TXT{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// What TXT data say can be said again.
func FuzzTXT(f *testing.F) {
	f.Add(TXT{Ext: one}.Append(nil))
	f.Add([]byte("\x02xa\x00\x0bxp=12345678"))
	f.Fuzz(func(t *testing.T, in []byte) {
		a, err := DecodeTXT(in)
		if err != nil {
			return
		}
		if b, err := DecodeTXT(a.Append(nil)); err != nil || a != b {
			t.Fatalf("%+v became %+v, %v", a, b, err)
		}
	})
}
