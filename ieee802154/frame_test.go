package ieee802154_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	. "gatewayd/ieee802154"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// spaced reads hexadecimal digits with spaces and # comments.
func spaced(t testing.TB, s string) []byte {
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
	extA = ExtAddr{0x46, 0xec, 0x1b, 0x6f, 0xd5, 0xb8, 0x20, 0x67}
	extB = ExtAddr{0x76, 0x0b, 0x1d, 0x60, 0xf2, 0x3b, 0x29, 0x17}
)

var golden = []struct {
	name string
	wire string
	want Frame
}{{
	name: "beacon request",
	wire: `0308 00 ffff ffff 07`,
	want: Frame{Type: FrameCommand, DstPAN: BroadcastPAN, Dst: ShortAddr(BroadcastShort), Command: CommandBeaconRequest},
}, {
	name: "beacon of a Thread router: nothing in it",
	wire: `00c0 5a cefa 6720b8d56f1bec46`,
	want: Frame{Type: FrameBeacon, Seq: 0x5a, SrcPAN: 0xface, Src: ExtendedAddr(extA)},
}, {
	name: "immediate acknowledgment, pending",
	wire: `1200 d7`,
	want: Frame{Type: FrameAck, Pending: true, Seq: 0xd7},
}, {
	name: "two PANs", // MLE Announce
	wire: `01d8 01 ffff ffff cefa 6720b8d56f1bec46 aa`,
	want: Frame{Type: FrameData, Version: Version2006, Seq: 1, DstPAN: 0xffff, Dst: ShortAddr(0xffff), SrcPAN: 0xface,
		Src: ExtendedAddr(extA), Payload: []byte{0xaa}},
}, {
	name: "key source of 4 octets",
	wire: `49d8 01 cefa ffff 6720b8d56f1bec46
	       15 01000000 ffffffff ff   # level 5, mode 2
	       aabb 01020304`,
	want: Frame{Type: FrameData, Version: Version2006, PANCompressed: true, Seq: 1, DstPAN: 0xface, Dst: ShortAddr(0xffff),
		SrcPAN: 0xface, Src: ExtendedAddr(extA), Secured: true, Encrypted: true,
		Security: Security{Level: LevelEncMIC32, KeyIDMode: KeyIDSource4, Counter: 1,
			KeySource: [8]byte{0xff, 0xff, 0xff, 0xff}, KeyIndex: 0xff},
		Payload: []byte{0xaa, 0xbb}, MIC: []byte{1, 2, 3, 4}},
}, {
	name: "key source of 8 octets, MIC only",
	wire: `4998 01 cefa 0018 0118
	       19 01000000 0102030405060708 09
	       aabb 01020304`,
	want: Frame{Type: FrameData, Version: Version2006, PANCompressed: true, Seq: 1, DstPAN: 0xface, Dst: ShortAddr(0x1800),
		SrcPAN: 0xface, Src: ShortAddr(0x1801), Secured: true,
		Security: Security{Level: LevelMIC32, KeyIDMode: KeyIDSource8, Counter: 1,
			KeySource: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, KeyIndex: 9},
		Payload: []byte{0xaa, 0xbb}, MIC: []byte{1, 2, 3, 4}},
}, {
	name: "2006: the command identifier is not encrypted", // from ssed-csl
	wire: `6bdc d9 cefa 6720b8d56f1bec46 17293bf2601d0b76 0d 00000000 01 04 c708978e`,
	want: Frame{Type: FrameCommand, Version: Version2006, AckRequest: true, PANCompressed: true, Seq: 0xd9,
		DstPAN: 0xface, Dst: ExtendedAddr(extA), SrcPAN: 0xface, Src: ExtendedAddr(extB), Secured: true, Encrypted: true,
		Security: Security{Level: LevelEncMIC32, KeyIDMode: KeyIDIndex, KeyIndex: 1},
		Command:  CommandDataRequest, MIC: []byte{0xc7, 0x08, 0x97, 0x8e}},
}, {
	name: "2015: CSL element, then the payload", // head of a frame from ssed-csl
	wire: `69aa db cefa 0018 0118 0d 03000000 01
	       040d 2a0c 350c          # CSL, phase 3114, period 3125
	       803f                    # termination 2
	       8755 3748e8ee`,
	want: Frame{Type: FrameData, Version: Version2015, AckRequest: true, PANCompressed: true, Seq: 0xdb,
		DstPAN: 0xface, Dst: ShortAddr(0x1800), SrcPAN: 0xface, Src: ShortAddr(0x1801), Secured: true, Encrypted: true,
		Security:  Security{Level: LevelEncMIC32, KeyIDMode: KeyIDIndex, Counter: 3, KeyIndex: 1},
		HeaderIEs: []IE{CSL{Phase: 3114, Period: 3125}.IE()},
		Payload:   []byte{0x87, 0x55}, MIC: []byte{0x37, 0x48, 0xe8, 0xee}},
}, {
	name: "2015: enhanced acknowledgment, no termination", // from ssed-csl
	wire: `122e 79 cefa 6720b8d56f1bec46 040d 340c 350c`,
	want: Frame{Type: FrameAck, Version: Version2015, Pending: true, Seq: 0x79, DstPAN: 0xface, Dst: ExtendedAddr(extA),
		HeaderIEs: []IE{CSL{Phase: 3124, Period: 3125}.IE()}},
}, {
	name: "2015: no sequence number, header and payload elements, command",
	wire: `0323
	       0500 9bb8ea 00 07       # vendor
	       003f                    # termination 1
	       0288 abcd               # MLME, 2 octets
	       00f8                    # payload termination
	       04 99`,
	want: Frame{Type: FrameCommand, Version: Version2015, SeqSuppressed: true,
		HeaderIEs: []IE{VendorIE(OUIThread, []byte{0, 7})}, PayloadIEs: []IE{{ID: PayloadIEMLME, Content: []byte{0xab, 0xcd}}},
		Command: CommandDataRequest, Payload: []byte{0x99}},
}, {
	name: "2015: payload elements to the end",
	wire: `0122 01 003f 0188 aa`,
	want: Frame{Type: FrameData, Version: Version2015, Seq: 1, PayloadIEs: []IE{{ID: PayloadIEMLME, Content: []byte{0xaa}}}},
}, {
	name: "2015: terminations that nothing calls for stay in the list",
	wire: `0122 01 003f 0188 aa 00f8`,
	want: Frame{Type: FrameData, Version: Version2015, Seq: 1, HeaderIEs: nil,
		PayloadIEs: []IE{{ID: PayloadIEMLME, Content: []byte{0xaa}}, {ID: PayloadIETermination}}},
}, {
	name: "2015: only a termination",
	wire: `0122 01 803f aa`,
	want: Frame{Type: FrameData, Version: Version2015, Seq: 1, HeaderIEs: []IE{{ID: HeaderIETermination2}}, Payload: []byte{0xaa}},
}, {
	name: "2015: what is encrypted is not looked into",
	wire: `0922 01 0d 01000000 02 003f aabbcc 01020304`,
	want: Frame{Type: FrameData, Version: Version2015, Seq: 1, Secured: true, Encrypted: true,
		Security:  Security{Level: LevelEncMIC32, KeyIDMode: KeyIDIndex, Counter: 1, KeyIndex: 2},
		HeaderIEs: []IE{{ID: HeaderIETermination1}}, Payload: []byte{0xaa, 0xbb, 0xcc}, MIC: []byte{1, 2, 3, 4}},
}, {
	name: "2015: frame counter suppressed",
	wire: `0920 01 6d 02 aabbcc 01020304`,
	want: Frame{Type: FrameData, Version: Version2015, Seq: 1, Secured: true, Encrypted: true,
		Security: Security{Level: LevelEncMIC32, KeyIDMode: KeyIDIndex, CounterSuppressed: true, ASNInNonce: true, KeyIndex: 2},
		Payload:  []byte{0xaa, 0xbb, 0xcc}, MIC: []byte{1, 2, 3, 4}},
}}

func TestGolden(t *testing.T) {
	for _, tt := range golden {
		t.Run(tt.name, func(t *testing.T) {
			wire := spaced(t, tt.wire)
			got, err := Decode(wire)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
			if b := tt.want.Append(nil); !bytes.Equal(b, wire) {
				t.Errorf("appended: %x, want %x", b, wire)
			}
		})
	}
}

func TestDecodeErrors(t *testing.T) {
	tests := []struct {
		name string
		wire string
		off  int
		err  error
	}{
		{"empty", ``, 0, ErrShort},
		{"half a frame control", `41`, 0, ErrShort},
		{"extended frame", `0700 00`, 0, ErrReserved},
		{"multipurpose frame", `0500 00`, 0, ErrReserved},
		{"version 3", `0130 00`, 1, ErrReserved},
		{"addressing mode 1", `0104 00`, 1, ErrReserved},
		{"source addressing mode 1", `0140 00`, 1, ErrReserved},
		{"security of 2003", `0900 00`, 0, ErrLegacySecurity},
		{"no sequence number", `0100`, 2, ErrShort},
		{"no PAN", `0108 00 ff`, 3, ErrShort},
		{"no address", `0108 00 ffff 01`, 5, ErrShort},
		{"no source", `41d8 00 ffff ffff 01020304050607`, 7, ErrShort},
		{"no security control", `0910 00`, 3, ErrShort},
		{"counter", `0910 00 0d 010203`, 4, ErrShort},
		{"key source", `0910 00 15 01020304 010203`, 8, ErrShort},
		{"key index", `0910 00 0d 01020304`, 8, ErrShort},
		{"no room for the MIC", `0910 00 0d 01020304 01 010203`, 9, ErrShort},
		{"command identifier", `0300 00`, 3, ErrShort},
		{"secured command", `0b10 00 0d 01020304 01 01020304`, 9, ErrShort},
		{"no element", `0122 00`, 3, ErrShort},
		{"half an element", `0122 00 04`, 3, ErrShort},
		{"element content", `0122 00 040d 0102`, 5, ErrShort},
		{"element reaching into the MIC", `0922 00 0d 01020304 01 040d 01020304`, 11, ErrShort},
		{"payload element in the header", `0122 00 0088`, 3, ErrReserved},
		{"header element in the payload", `0122 00 003f 0400`, 5, ErrReserved},
		{"payload element content", `0122 00 003f 0288 01`, 7, ErrShort},
		{"no command after the elements", `0322 00 040d 01020304`, 9, ErrShort},
		{"secured beacon", `0810 00 0d 01020304 01 ff 01020304`, 9, ErrShort},
		{"secured beacon, GTS list", `0810 00 0d 01020304 01 ffcf 01 00 0102 01020304`, 13, ErrShort},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Decode(spaced(t, tt.wire))
			var de *DecodeError
			if !errors.As(err, &de) || !errors.Is(err, tt.err) || de.Offset != tt.off {
				t.Errorf("got %+v, %v, want %v at byte %d", f, err, tt.err, tt.off)
			}
		})
	}
}

// IEEE 802.15.4-2015 Table 7-2 row by row, and the rule of 2003 and 2006.
func TestPANsPresent(t *testing.T) {
	none, short, long := Addr{}, ShortAddr(1), ExtendedAddr(extA)
	tests := []struct {
		v          Version
		dst, src   Addr
		compressed bool
		want       string
	}{
		{Version2015, none, none, false, ""},
		{Version2015, none, none, true, "d"},
		{Version2015, short, none, false, "d"},
		{Version2015, long, none, false, "d"},
		{Version2015, short, none, true, ""},
		{Version2015, long, none, true, ""},
		{Version2015, none, short, false, "s"},
		{Version2015, none, long, false, "s"},
		{Version2015, none, short, true, ""},
		{Version2015, none, long, true, ""},
		{Version2015, long, long, false, "d"},
		{Version2015, long, long, true, ""},
		{Version2015, short, short, false, "ds"},
		{Version2015, short, long, false, "ds"},
		{Version2015, long, short, false, "ds"},
		{Version2015, short, short, true, "d"},
		{Version2015, short, long, true, "d"},
		{Version2015, long, short, true, "d"},
		{Version2006, none, none, false, ""},
		{Version2006, short, none, false, "d"},
		{Version2006, none, long, false, "s"},
		{Version2006, long, long, false, "ds"},
		{Version2006, long, long, true, "d"},
		{Version2003, short, long, true, "d"},
		{Version2003, short, short, false, "ds"},
	}
	for _, tt := range tests {
		f := Frame{Type: FrameData, Version: tt.v, PANCompressed: tt.compressed, DstPAN: 0x1111, SrcPAN: 0x2222, Dst: tt.dst, Src: tt.src}
		got := ""
		d, s := f.PANsPresent()
		if d {
			got += "d"
		}
		if s {
			got += "s"
		}
		if got != tt.want {
			t.Errorf("%v %v to %v, compressed %v: %q, want %q", tt.v, tt.src, tt.dst, tt.compressed, got, tt.want)
		}
		// And the receiver reads what the sender wrote.
		g, err := Decode(f.Append(nil))
		if err != nil || g.Dst != f.Dst || g.Src != f.Src || d && g.DstPAN != f.DstPAN || s && g.SrcPAN != f.SrcPAN {
			t.Errorf("%+v became %+v, %v", f, g, err)
		}
		if both := f.Dst.Mode != AddrNone && f.Src.Mode != AddrNone; both && d && !s && g.SrcPAN != g.DstPAN {
			t.Errorf("%+v: source PAN %04x not taken from the destination", f, g.SrcPAN)
		}
	}
}

func TestCompressPAN(t *testing.T) {
	short, long := ShortAddr(1), ExtendedAddr(extA)
	tests := []struct {
		v            Version
		dst, src     Addr
		dstPAN, sPAN uint16
		want         bool
	}{
		{Version2006, short, long, 0xface, 0xface, true},
		{Version2006, long, long, 0xface, 0xface, true},
		{Version2006, short, long, 0xffff, 0xface, false}, // MLE Announce
		{Version2006, Addr{}, long, 0, 0, false},
		{Version2006, short, Addr{}, 0xffff, 0xffff, false},
		{Version2015, short, short, 0xface, 0xface, true},
		{Version2015, short, long, 0xface, 0xface, true},
		{Version2015, long, long, 0xface, 0xface, false},
		{Version2015, short, short, 0xface, 0xbeef, false},
		{Version2015, long, Addr{}, 0xface, 0xface, false}, // enhanced acknowledgment
	}
	for _, tt := range tests {
		f := Frame{Type: FrameData, Version: tt.v, Dst: tt.dst, Src: tt.src, DstPAN: tt.dstPAN, SrcPAN: tt.sPAN}
		f.CompressPAN()
		if f.PANCompressed != tt.want {
			t.Errorf("%v %v to %v, PANs %04x %04x: %v, want %v", tt.v, tt.src, tt.dst, tt.sPAN, tt.dstPAN, f.PANCompressed, tt.want)
		}
	}
}

// Payload elements and command of version 2015 are hidden until Open, and all
// combinations come back from it.
func TestSealOpen2015(t *testing.T) {
	c := NewCCM([16]byte{1})
	header := []IE{CSL{Phase: 1, Period: 2}.IE()}
	payload := []IE{{ID: PayloadIEMLME, Content: []byte{1, 2, 3}}}
	for level := LevelNone; level <= LevelEncMIC128; level++ {
		for _, typ := range []FrameType{FrameBeacon, FrameData, FrameAck, FrameCommand} {
			for _, ies := range [][2][]IE{{}, {header}, {nil, payload}, {header, payload}} {
				for _, text := range []string{"", "text"} {
					f := Frame{Type: typ, Version: Version2015, Seq: 9, DstPAN: 1, Dst: ShortAddr(2), SrcPAN: 1, Src: ExtendedAddr(extA),
						PANCompressed: true, Secured: true, HeaderIEs: ies[0], PayloadIEs: ies[1], Payload: []byte(text),
						Security: Security{Level: level, KeyIDMode: KeyIDIndex, Counter: 5, KeyIndex: 1}}
					if typ == FrameCommand {
						f.Command = CommandDataRequest
					}
					psdu := f.Seal(c, extA, nil)
					g, err := Decode(psdu)
					if err != nil {
						t.Fatalf("%+v: %v", f, err)
					}
					if hidden := level >= LevelEnc; g.Encrypted != hidden || hidden && (g.Command != 0 || g.PayloadIEs != nil) {
						t.Errorf("%+v: not hidden in %+v", f, g)
					}
					if b := g.Append(nil); !bytes.Equal(b, psdu) {
						t.Errorf("%x became %x", psdu, b)
					}
					if err := g.Open(psdu, c, extA); err != nil {
						t.Fatalf("%+v: %v", f, err)
					}
					if d := cmp.Diff(f, g, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(Frame{}, "MIC")); d != "" {
						t.Errorf("-sent +opened:\n%s", d)
					}
				}
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	c := NewCCM([16]byte{1})
	plain := Frame{Type: FrameData, Version: Version2006, Payload: []byte{1}}
	psdu := plain.Append(nil)
	if err := plain.Open(psdu, c, extA); err != ErrNotSecured {
		t.Errorf("open what is not secured: %v", err)
	}
	if err := SetSecurity(psdu, 1, 1); err != ErrNotSecured {
		t.Errorf("set counter of what is not secured: %v", err)
	}
	if err := EncryptInPlace(psdu, c, extA); err != ErrNotSecured {
		t.Errorf("encrypt what is not secured: %v", err)
	}
	for _, f := range []func() error{
		func() error { return SetSecurity(psdu[:1], 1, 1) },
		func() error { return EncryptInPlace(psdu[:1], c, extA) },
	} {
		if err := f(); !errors.Is(err, ErrShort) {
			t.Errorf("cut frame: %v", err)
		}
	}

	tsch := spaced(t, `0920 01 6d 02 aabbcc 01020304`)
	f, err := Decode(tsch)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Open(tsch, c, extA); err != ErrNonce {
		t.Errorf("open with a slot number: %v", err)
	}
	if err := EncryptInPlace(tsch, c, extA); err != ErrNonce {
		t.Errorf("encrypt with a slot number: %v", err)
	}

	sealed := secured()
	psdu = sealed.Seal(c, extA, nil)
	if f, err = Decode(psdu); err != nil {
		t.Fatal(err)
	}
	before, want := bytes.Clone(psdu), f
	if err := f.Open(psdu, c, extB); err != ErrMIC {
		t.Errorf("open with another address: %v", err)
	}
	if !bytes.Equal(psdu, before) || !reflect.DeepEqual(f, want) {
		t.Error("a frame that was refused changed")
	}
}

// A good MIC does not make the plaintext a frame.
func TestOpenMalformed(t *testing.T) {
	c := NewCCM([16]byte{1})
	f := Frame{Type: FrameData, Version: Version2015, Secured: true, HeaderIEs: []IE{{ID: HeaderIETermination1}},
		Security: Security{Level: LevelEncMIC32}, Payload: []byte{0x05, 0x88, 1}} // an element of 5 octets with one
	psdu := f.Seal(c, extA, nil)
	g, err := Decode(psdu)
	if err != nil {
		t.Fatal(err)
	}
	var de *DecodeError
	if err := g.Open(psdu, c, extA); !errors.As(err, &de) || !errors.Is(err, ErrShort) || de.Offset != 12 {
		t.Errorf("got %v, want %v at byte 12", err, ErrShort)
	}
}

// A reserved bit that the sender set is part of what it authenticated.
func TestReservedBits(t *testing.T) {
	c, f := NewCCM([16]byte{1}), secured()
	psdu := f.Append(nil)
	psdu[0] |= 1 << 7
	if err := EncryptInPlace(psdu, c, extA); err != nil {
		t.Fatal(err)
	}
	g, err := Decode(psdu)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Open(psdu, c, extA); err != nil {
		t.Error(err)
	}
}

func TestSetSecurityKeyIDModes(t *testing.T) {
	for mode := KeyIDImplicit; mode <= KeyIDSource8; mode++ {
		for _, suppressed := range []bool{false, true} {
			f := Frame{Type: FrameData, Version: Version2015, Secured: true, HeaderIEs: []IE{CSL{}.IE()}, Payload: []byte("text"),
				Security: Security{Level: LevelEncMIC64, KeyIDMode: mode, CounterSuppressed: suppressed}}
			psdu := f.Append(nil)
			if err := SetSecurity(psdu, 0x55, 0x01020304); err != nil {
				t.Fatal(err)
			}
			want := f
			if mode != KeyIDImplicit {
				want.Security.KeyIndex = 0x55
			}
			if !suppressed {
				want.Security.Counter = 0x01020304
			}
			if !bytes.Equal(psdu, want.Append(nil)) {
				t.Errorf("mode %d, suppressed %v: %x, want %x", mode, suppressed, psdu, want.Append(nil))
			}
		}
	}
}

// The header as MLE carries it, from an MLE message in ssed-csl.
func TestSecurityHeader(t *testing.T) {
	wire := spaced(t, `15 08000000 00000000 01 82dc`)
	s, rest, err := DecodeSecurity(wire, 40)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Security{Level: LevelEncMIC32, KeyIDMode: KeyIDSource4, Counter: 8, KeyIndex: 1}); s != want {
		t.Errorf("got %+v, want %+v", s, want)
	}
	if b := append(s.Append(nil), rest...); !bytes.Equal(b, wire) {
		t.Errorf("appended: %x, want %x", b, wire)
	}
	var de *DecodeError
	if _, _, err := DecodeSecurity(wire[:7], 40); !errors.As(err, &de) || de.Offset != 45 {
		t.Errorf("cut: %v, want byte 45", err)
	}
}

func TestBeacon(t *testing.T) {
	wire := spaced(t, `ffcf              # no superframes, PAN coordinator, association permitted
		82 01 341200 785601       # two GTS descriptors, permitted
		12 0100 0200              # two short and one extended address pending
		6720b8d56f1bec46
		03 22`)
	got, err := DecodeBeacon(wire)
	if err != nil {
		t.Fatal(err)
	}
	want := Beacon{Superframe: 0xcfff, GTSPermit: true, GTSDirections: 1, GTS: []byte{0x34, 0x12, 0, 0x78, 0x56, 1},
		PendingShort: []uint16{1, 2}, PendingExtended: []ExtAddr{extA}, Payload: []byte{3, 0x22}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if b := want.Append(nil); !bytes.Equal(b, wire) {
		t.Errorf("appended: %x, want %x", b, wire)
	}
	if got.BeaconOrder() != 15 || got.SuperframeOrder() != 15 || !got.PANCoordinator() || !got.AssociationPermit() {
		t.Errorf("superframe: %+v", got)
	}
	if b, err := DecodeBeacon(nil); err != nil || !reflect.DeepEqual(b, Beacon{}) {
		t.Errorf("empty: %+v, %v", b, err)
	}
	if _, err := DecodeBeacon(wire[:12]); !errors.Is(err, ErrShort) {
		t.Errorf("cut: %v", err)
	}
}

func TestAddresses(t *testing.T) {
	e := ext(t, "46EC1b6fd5b82067")
	if e != extA || e.String() != "46ec1b6fd5b82067" {
		t.Errorf("parsed %v", e)
	}
	// The link-local address of the same device: fe80::44ec:1b6f:d5b8:2067.
	if iid := e.IID(); iid != [8]byte{0x44, 0xec, 0x1b, 0x6f, 0xd5, 0xb8, 0x20, 0x67} || ExtAddrFromIID(iid) != e {
		t.Errorf("interface identifier %x", iid)
	}
	for _, s := range []string{"", "46ec1b6fd5b8206", "46ec1b6fd5b8206g", "46ec1b6fd5b820670"} {
		if _, err := ParseExtAddr(s); err == nil || !strings.HasPrefix(err.Error(), "ieee802154: ") {
			t.Errorf("%q: %v", s, err)
		}
	}
	for a, want := range map[Addr]string{
		{}: "none", ShortAddr(0x1800): "0x1800", ShortAddr(1): "0x0001", ExtendedAddr(e): "46ec1b6fd5b82067",
	} {
		if a.String() != want {
			t.Errorf("%+v: %q, want %q", a, a.String(), want)
		}
	}
	if !ShortAddr(BroadcastShort).IsBroadcast() || ShortAddr(0).IsBroadcast() || ExtendedAddr(ExtAddr{}).IsBroadcast() ||
		(Addr{Short: BroadcastShort}).IsBroadcast() {
		t.Error("broadcast address")
	}
}

func TestElements(t *testing.T) {
	f := Frame{HeaderIEs: []IE{{ID: HeaderIEVendor, Content: []byte{1}}, VendorIE(0x18b430, nil), VendorIE(OUIThread, []byte{0, 5}),
		{ID: HeaderIECSL, Content: []byte{1, 2, 3}}}}
	if v, ok := f.Vendor(OUIThread); !ok || !bytes.Equal(v, []byte{0, 5}) {
		t.Errorf("vendor: %x, %v", v, ok)
	}
	if v, ok := f.Vendor(0x18b430); !ok || len(v) != 0 {
		t.Errorf("other vendor: %x, %v", v, ok)
	}
	if _, ok := f.Vendor(1); ok {
		t.Error("a vendor that is not there")
	}
	if _, ok := f.CSL(); ok {
		t.Error("CSL of 3 octets")
	}
	want := CSL{Phase: 0x1234, Period: 3125}
	f.HeaderIEs = append(f.HeaderIEs, want.IE())
	if got, ok := f.CSL(); !ok || got != want {
		t.Errorf("CSL: %+v, %v", got, ok)
	}
}

func TestImmAck(t *testing.T) {
	if b := AppendImmAck([]byte{9}, 0xd7, true); !bytes.Equal(b, []byte{9, 0x12, 0, 0xd7}) {
		t.Errorf("pending: %x", b)
	}
	if b := AppendImmAck(nil, 1, false); !bytes.Equal(b, []byte{2, 0, 1}) {
		t.Errorf("not pending: %x", b)
	}
}

// The check value of CRC-16/KERMIT, which this is by another name.
func TestFCS(t *testing.T) {
	if got := FCS([]byte("123456789")); got != 0x2189 {
		t.Errorf("FCS %04x, want 2189", got)
	}
	if got := FCS([]byte("123456789\x89\x21")); got != 0 {
		t.Errorf("over data and FCS %04x, want 0", got)
	}
}
