package meshcop

import (
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// An active dataset as OpenThread shows it, its TLVs in an unusual order.
const activeWire = `
	4a03 00 0017                               # wake-up channel 23
	3506 00 04 001fffe0                        # channel mask, all
	0c04 02a0 f7f8                             # security policy
	0510 00112233445566778899aabbccddeeff      # network key
	0102 face
	0003 00 000f                               # channel 15
	0208 0001020304050607                      # extended PAN ID
	0708 fd000db8000a000b                      # mesh-local prefix
	030c 54657374204e6574776f726b              # Test Network
	0410 c3f59368445a1b6106be420a706d4cc9      # PSKc
	0e08 0000000000010000                      # active timestamp 1`

func wire(t testing.TB, commented string) []byte {
	t.Helper()
	var s strings.Builder
	for line := range strings.Lines(commented) {
		code, _, _ := strings.Cut(line, "#")
		s.WriteString(code)
	}
	return unhex(t, s.String())
}

func activeDataset() Dataset {
	return Dataset{
		ActiveTimestamp: &Timestamp{Seconds: 1},
		Channel:         &Channel{Number: 15},
		WakeupChannel:   &Channel{Number: 23},
		ChannelMask:     AllChannels(),
		ExtPANID:        &ExtPANID{0, 1, 2, 3, 4, 5, 6, 7},
		MeshLocalPrefix: netip.MustParsePrefix("fd00:db8:a:b::/64"),
		NetworkKey:      &Key{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff},
		NetworkName:     "Test Network",
		PANID:           new(uint16(0xface)),
		PSKc:            &Key{0xc3, 0xf5, 0x93, 0x68, 0x44, 0x5a, 0x1b, 0x61, 0x06, 0xbe, 0x42, 0x0a, 0x70, 0x6d, 0x4c, 0xc9},
		SecurityPolicy:  new(DefaultSecurityPolicy()),
	}
}

func TestDataset(t *testing.T) {
	in := wire(t, activeWire)
	d, err := DecodeDataset(in)
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Append(nil); !slices.Equal(got, in) {
		t.Errorf("encoded %x\nwant    %x", got, in)
	}
	want := activeDataset()
	d.order = nil
	if !reflect.DeepEqual(d, want) {
		t.Errorf("decoded\n%+v, want\n%+v", d, want)
	}
	if !d.Commissioned() || len(d.MissingActive()) != 0 {
		t.Errorf("missing %v", d.MissingActive())
	}
	if got := d.MissingPending(); !slices.Equal(got, []Type{TypePendingTimestamp, TypeDelayTimer}) {
		t.Errorf("missing for a pending dataset: %v", got)
	}
}

func TestDatasetNewOrder(t *testing.T) {
	// `dataset init new` of OpenThread writes this order.
	d := activeDataset()
	want := wire(t, `
		0e08 0000000000010000  0003 00 000f  4a03 00 0017  3506 00 04 001fffe0  0208 0001020304050607
		0708 fd000db8000a000b  0510 00112233445566778899aabbccddeeff  030c 54657374204e6574776f726b
		0102 face  0410 c3f59368445a1b6106be420a706d4cc9  0c04 02a0 f7f8`)
	if got := d.Append(nil); !slices.Equal(got, want) {
		t.Errorf("encoded %x\nwant    %x", got, want)
	}
}

func TestDatasetUnknown(t *testing.T) {
	in := wire(t, "fe02 0102 0102 face c900 0003 00 000f")
	d, err := DecodeDataset(in)
	if err != nil || len(d.Unknown) != 2 || !d.Has(0xfe) || !d.Has(0xc9) || d.Has(0xfd) {
		t.Fatalf("%+v, %v", d, err)
	}
	if got := d.Append(nil); !slices.Equal(got, in) {
		t.Errorf("encoded %x", got)
	}
	c := d.Clone()
	in[2] = 0xee
	if got := c.Append(nil); got[2] != 0x01 {
		t.Error("the clone shares memory with the input")
	}
	d.Remove(0xfe)
	d.Remove(TypePANID)
	if got := d.Append(nil); !slices.Equal(got, wire(t, "c900 0003 00 000f")) {
		t.Errorf("after removal %x", got)
	}
}

func TestDecodeDatasetErrors(t *testing.T) {
	tests := []struct {
		name, wire string
		err        error
		off        int
	}{
		{"header cut", "0102 face 02", ErrShort, 4},
		{"value cut", "0102 face 0208 00", ErrShort, 4},
		{"extended length", "fe ff 0001 00", ErrInvalid, 1},
		{"duplicate", "0102 face 0102 face", ErrDuplicate, 4},
		{"duplicate unknown", "fe00 fe00", ErrDuplicate, 2},
		{"short PAN ID", "0101 fa", ErrShort, 2},
		{"short timestamp", "0e07 00000000000000", ErrShort, 2},
		{"short key", "050f 00112233445566778899aabbccddee", ErrShort, 2},
		{"channel 27", "0003 00 001b", ErrInvalid, 2},
		{"wake-up channel on page 2", "4a03 02 000f", ErrInvalid, 2},
		{"empty channel mask", "3500", ErrShort, 2},
		{"channel mask of 3 bytes", "3505 00 03 001fff", ErrInvalid, 3},
		{"name not UTF-8", "0303 4fff4f", ErrInvalid, 3},
		{"name with control character", "0303 4f4f0a", ErrInvalid, 4},
		{"name of 17 bytes", "0311" + strings.Repeat("41", 17), ErrLong, 18},
		{"name of no bytes", "0300", ErrShort, 2},
		{"policy without flags", "0c02 02a0", ErrShort, 4},
		{"255 bytes", "c0fd" + strings.Repeat("00", 253), ErrLong, 254},
	}
	for _, tt := range tests {
		_, err := DecodeDataset(wire(t, tt.wire))
		var de *DecodeError
		if !errors.As(err, &de) || !errors.Is(err, tt.err) || de.Offset != tt.off {
			t.Errorf("%s: %v, want %v at %d", tt.name, err, tt.err, tt.off)
		} else if !strings.HasPrefix(err.Error(), "meshcop: ") {
			t.Errorf("%s: message %q", tt.name, err)
		}
	}
	if _, err := DecodeDataset(wire(t, "c0fc"+strings.Repeat("00", 252))); err != nil {
		t.Errorf("254 bytes: %v", err)
	}
	// Longer values than needed are read as far as they are known.
	if d, err := DecodeDataset(wire(t, "0103 face ff")); err != nil || *d.PANID != 0xface {
		t.Errorf("PAN ID of 3 bytes: %v, %v", d, err)
	}
}

func TestDatasetMerge(t *testing.T) {
	d := activeDataset()
	d.Unknown = []TLV{{0xc0, []byte{1}}, {0xc1, []byte{2}}}
	before := d.Clone()
	set := Dataset{
		ActiveTimestamp: &Timestamp{Seconds: 7},
		NetworkName:     "NewName",
		ChannelMask:     MaskOf(1 << 20),
		MeshLocalPrefix: netip.MustParsePrefix("fd01::/64"),
		Unknown:         []TLV{{0xc1, []byte{3}}, {0xc2, nil}},
	}
	old := d
	d.Merge(&set)
	want := before
	want.ActiveTimestamp, want.NetworkName, want.ChannelMask = &Timestamp{Seconds: 7}, "NewName", MaskOf(1<<20)
	want.MeshLocalPrefix = netip.MustParsePrefix("fd01::/64")
	want.Unknown = []TLV{{0xc0, []byte{1}}, {0xc1, []byte{3}}, {0xc2, nil}}
	if !reflect.DeepEqual(d, want) {
		t.Errorf("merged\n%+v, want\n%+v", d, want)
	}
	if old.Unknown[1].Value[0] != 2 {
		t.Error("merging changed another copy")
	}
}

func TestDatasetOnly(t *testing.T) {
	// MGMT_ACTIVE_GET of network name and channel, and its answer.
	types, err := DecodeGet(wire(t, "0d02 0300"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := DecodeDataset(wire(t, activeWire))
	if err != nil {
		t.Fatal(err)
	}
	o := d.Only(types)
	if got := o.Append(nil); !slices.Equal(got, wire(t, "0003 00 000f 030c 54657374204e6574776f726b")) {
		t.Errorf("answer %x", got)
	}
	if len(d.MissingActive()) != 0 {
		t.Error("Only changed the dataset")
	}
	for _, typ := range canonical {
		o := d.Only([]Type{typ})
		for _, u := range canonical {
			if o.Has(u) != (u == typ && d.Has(u)) {
				t.Errorf("only %v: has %v is %v", typ, u, o.Has(u))
			}
		}
	}
}

func TestDatasetSetSession(t *testing.T) {
	m, err := DecodeDatasetSet(wire(t, "0b02 c80b 0102 face"))
	if err != nil || m.SessionID == nil || *m.SessionID != 0xc80b || m.Dataset.Has(TypeCommissionerSessionID) || *m.Dataset.PANID != 0xface {
		t.Fatalf("%+v, %v", m, err)
	}
	if got := m.Append(nil); !slices.Equal(got, wire(t, "0b02 c80b 0102 face")) {
		t.Errorf("encoded %x", got)
	}
	if _, err := DecodeDatasetSet(wire(t, "0b01 c8")); !errors.Is(err, ErrShort) {
		t.Errorf("session of one byte: %v", err)
	}
}

func TestNewRandom(t *testing.T) {
	src := rand.NewChaCha8([32]byte{2})
	seen := map[uint16]bool{}
	preferred := MaskOf(1<<15 | 1<<20 | 1<<25)
	for range 200 {
		d, err := NewRandom(src, AllChannels(), preferred)
		if err != nil {
			t.Fatal(err)
		}
		if m := d.MissingActive(); len(m) != 0 {
			t.Fatalf("missing %v", m)
		}
		if !preferred.Contains(*d.Channel) || !d.WakeupChannel.Valid() || *d.PANID == 0xffff ||
			!netip.MustParsePrefix("fd00::/8").Overlaps(d.MeshLocalPrefix) || !strings.HasPrefix(d.NetworkName, "OpenThread-") {
			t.Fatalf("dataset %+v", d)
		}
		if _, err := DecodeDataset(d.Append(nil)); err != nil {
			t.Fatal(err)
		}
		seen[d.Channel.Number] = true
	}
	if len(seen) != 3 {
		t.Errorf("channels used: %v", seen)
	}
	if d, err := NewRandom(src, MaskOf(1<<26), MaskOf(1<<11)); err != nil || d.Channel.Number != 26 {
		t.Errorf("nothing preferred is supported: %v, %v", d.Channel, err)
	}
	if _, err := NewRandom(src, nil, nil); err == nil {
		t.Error("a dataset without a channel")
	}
	if _, err := NewRandom(io.LimitReader(src, 20), AllChannels(), nil); err == nil {
		t.Error("a dataset without randomness")
	}
}
