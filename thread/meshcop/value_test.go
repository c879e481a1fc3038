package meshcop

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestTimestamp(t *testing.T) {
	tests := []struct {
		wire string
		want Timestamp
		text string
	}{
		{"0000000000010000", Timestamp{Seconds: 1}, "1.00000"},
		{"000000000000 0001", OrphanTimestamp, "0.00000A"},
		{"ffffffffffff ffff", maxTimestamp, "281474976710655.32767A"},
		{"123456789abc 8000", Timestamp{Seconds: 0x123456789abc, Ticks: 0x4000}, "20015998343868.16384"},
	}
	for _, tt := range tests {
		in := unhex(t, tt.wire)
		got, err := ParseTimestamp(in)
		if err != nil || got != tt.want || got.String() != tt.text {
			t.Errorf("%s: %v, %v", tt.wire, got, err)
		}
		if out := got.Bytes(); !slices.Equal(out[:], in) {
			t.Errorf("%s became %x", tt.wire, out)
		}
	}
	if _, err := ParseTimestamp(make([]byte, 7)); !errors.Is(err, ErrShort) {
		t.Errorf("7 bytes: %v", err)
	}
}

func TestTimestampCompare(t *testing.T) {
	// Each is older than those after it.
	order := []Timestamp{
		maxTimestamp, // no timestamp
		{},
		OrphanTimestamp,
		{Ticks: 1},
		{Seconds: 1},
		{Seconds: 1, Authoritative: true},
		{Seconds: 1, Ticks: 1},
		{Seconds: 1<<48 - 1, Ticks: MaxTicks},
	}
	for i, a := range order {
		for j, b := range order {
			if got := a.Compare(b); got < 0 != (i < j) || got > 0 != (i > j) {
				t.Errorf("%v against %v: %d", a, b, got)
			}
		}
	}
}

func TestChannelMask(t *testing.T) {
	in := unhex(t, "00 04 001fffe0")
	m, err := DecodeChannelMask(in)
	if err != nil || m.Bits() != 0x07fff800 || !reflect.DeepEqual(m, AllChannels()) {
		t.Fatalf("%v, %v", m, err)
	}
	if got := m.Append(nil); !slices.Equal(got, in) {
		t.Errorf("encoded %x", got)
	}
	if got := m.Channels(); len(got) != 16 || got[0] != 11 || got[15] != 26 {
		t.Errorf("channels %v", got)
	}
	one := MaskOf(1 << 15)
	if got := one.Append(nil); hex.EncodeToString(got) != "000400010000" {
		t.Errorf("channel 15 is %x", got)
	}
	if !one.Contains(Channel{Number: 15}) || one.Contains(Channel{Number: 14}) || one.Contains(Channel{Page: 2, Number: 15}) {
		t.Errorf("%v contains the wrong channels", one)
	}

	// Other pages are kept; only page 0 counts.
	in = unhex(t, "02 02 ffff  00 04 00100000")
	m, err = DecodeChannelMask(in)
	if err != nil || !slices.Equal(m.Channels(), []uint8{11}) || !slices.Equal(m.Append(nil), in) {
		t.Errorf("%v, %v", m, err)
	}
	c := m.Clone()
	in[6] = 0xff
	if reflect.DeepEqual(c, m) {
		t.Error("the clone shares memory")
	}

	for _, tt := range []struct {
		wire string
		off  int
	}{{"", 0}, {"00", 0}, {"00 04 001fff", 0}, {"00 03 001fff", 1}, {"00 04 001fffe0 01", 6}} {
		_, err := DecodeChannelMask(unhex(t, tt.wire))
		var de *DecodeError
		if !errors.As(err, &de) || de.Offset != tt.off {
			t.Errorf("%q: %v, want offset %d", tt.wire, err, tt.off)
		}
	}
}

func TestDecodeChannel(t *testing.T) {
	for wire, ok := range map[string]bool{
		"00000b": true, "00001a": true, "00000a": false, "00001b": false, "02000f": false, "0000": false, "00010b": false,
	} {
		if c, err := DecodeChannel(unhex(t, wire)); (err == nil) != ok {
			t.Errorf("%s: %v, %v", wire, c, err)
		}
	}
}

func TestSecurityPolicy(t *testing.T) {
	tests := []struct {
		name, wire string
		want       SecurityPolicy
		out        string // if it is not the same
	}{
		{"default", "02a0f7f8", DefaultSecurityPolicy(), ""},
		{"one byte of flags", "02a0f7", DefaultSecurityPolicy(), "02a0f7f8"},
		{"everything on", "0002 f8 bf", SecurityPolicy{
			RotationHours: 2, ObtainNetworkKey: true, NativeCommissioning: true, Routers: true, ExternalCommissioning: true,
			Beacons: true, CommercialCommission: true, AutonomousEnrollment: true, NetworkKeyProvisioning: true,
			TobleLink: true, NonCCMRouters: true, VersionThreshold: 7,
		}, ""},
		{"everything off", "ffff 07 78", SecurityPolicy{RotationHours: 0xffff}, ""},
		{"reserved bits and a third byte", "02a0f7c0aa", DefaultSecurityPolicy(), "02a0f7f8"},
	}
	for _, tt := range tests {
		got, err := DecodeSecurityPolicy(unhex(t, tt.wire))
		if err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
		out := tt.out
		if out == "" {
			out = tt.wire
		}
		if b := got.Append(nil); !slices.Equal(b, unhex(t, out)) {
			t.Errorf("%s became %x", tt.name, b)
		}
	}
	if _, err := DecodeSecurityPolicy([]byte{2, 0xa0}); !errors.Is(err, ErrShort) {
		t.Errorf("no flags: %v", err)
	}
}

func TestStackVersion(t *testing.T) {
	// As an OpenThread joiner sends it.
	b := unhex(t, "18b430000010")
	v := stackVersionFrom(b)
	if v != (StackVersion{OUI: 0x18b430, Minor: 1}) || v.String() != "18b430 0.1.0 build 0" {
		t.Errorf("%+v", v)
	}
	v = StackVersion{OUI: 0xaabbcc, Build: 0xdef, Revision: 1, Minor: 2, Major: 3}
	if got := v.Append(nil); hex.EncodeToString(got) != "aabbccdef123" || stackVersionFrom(got) != v {
		t.Errorf("%+v became %x", v, got)
	}
}

// However a key is shown, its bytes are not.
func TestKeyIsRedacted(t *testing.T) {
	k := Key(unhex(t, "00112233445566778899aabbccddeeff"))
	d := Dataset{NetworkKey: &k, PSKc: &k}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("key", "k", k, "d", d)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("key", "k", k, "d", d)
	js, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	shown := []string{log.String(), string(js)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%d", "%q", "%c"} {
		shown = append(shown, fmt.Sprintf(verb, k), fmt.Sprintf(verb, &k), fmt.Sprintf(verb, struct{ K Key }{k}))
	}
	for _, s := range shown {
		if !strings.Contains(s, "redacted") && !strings.Contains(s, "0x") {
			t.Errorf("no mark of redaction in %q", s)
		}
		for _, secret := range []string{"112233", "17 34 51", "[0 17", "0x11"} {
			if strings.Contains(s, secret) {
				t.Errorf("%q shows the key", s)
			}
		}
	}
	if k.Reveal() != [16]byte(k) {
		t.Error("Reveal changed the key")
	}
}
