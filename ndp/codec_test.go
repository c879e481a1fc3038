package ndp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	oracle "github.com/mdlayher/ndp"
)

var comment = regexp.MustCompile(`#.*`)

// unhex reads hexadecimal digits with comments behind #.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(comment.ReplaceAllString(s, "")), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var optionVectors = []struct {
	name string
	wire string
	want Option
	// again is what the value encodes to, if not the same: reserved bits and
	// padding that is not zero
	again string
}{{
	name: "source link-layer address, EUI-48",
	wire: `01 01 0200 5e10 0001`,
	want: SourceLinkAddr{EUI48([6]byte{2, 0, 0x5e, 0x10, 0, 1})},
}, {
	name: "target link-layer address, EUI-64 and padding",
	wire: `02 02 0200 0000 0000 000a  0000 0000 0000`,
	want: TargetLinkAddr{EUI64([8]byte{0: 2, 7: 0xa})},
}, {
	name:  "EUI-64, padding not zero",
	wire:  `02 02 0200 0000 0000 000a  0000 0000 0001`,
	want:  TargetLinkAddr{EUI64([8]byte{0: 2, 7: 0xa})},
	again: `02 02 0200 0000 0000 000a  0000 0000 0000`,
}, {
	name: "short address and padding, RFC 4944 Section 8",
	wire: `01 01 1800 0000 0000`,
	want: SourceLinkAddr{Short(0x1800)},
}, {
	name: "link-layer address of a length nobody has",
	wire: `01 03 0102030405060708090a0b0c0d0e0f10111213141516`,
	want: RawOption{1, []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22}},
}, {
	name: "prefix, flags A and P",
	wire: `03 04 40 50  00278d00 00093a80 00000000  20010db8000100020000000000000000`,
	want: PrefixInfo{
		Prefix: prefix("2001:db8:1:2::/64"), Autonomous: true, Delegated: true,
		Valid: 30 * 24 * time.Hour, Preferred: 7 * 24 * time.Hour,
	},
}, {
	name: "prefix with the router's address, flags L and R, infinite",
	wire: `03 04 40 a0  ffffffff ffffffff 00000000  20010db8000100020000000000000001`,
	want: PrefixInfo{
		Prefix: prefix("2001:db8:1:2::1/64"), OnLink: true, Router: true, Valid: Infinity, Preferred: Infinity,
	},
}, {
	name:  "prefix with bits beyond its length and reserved ones",
	wire:  `03 04 3c 4f  0000000a 00000005 11223344  20010db80001000f0000000000000001`,
	want:  PrefixInfo{Prefix: prefix("2001:db8:1::/60"), Autonomous: true, Valid: 10 * time.Second, Preferred: 5 * time.Second},
	again: `03 04 3c 40  0000000a 00000005 00000000  20010db8000100000000000000000000`,
}, {
	name: "prefix longer than an address: ignored",
	wire: `03 04 81 40  0000000a 00000005 00000000  20010db8000100000000000000000000`,
	want: RawOption{3, []byte{0x81, 0x40, 0, 0, 0, 10, 0, 0, 0, 5, 0, 0, 0, 0, 0x20, 1, 0xd, 0xb8, 0, 1, 29: 0}},
}, {
	name: "redirected header",
	wire: `04 02 000000000000  6000000000003aff`,
	want: RedirectedHeader{Packet: []byte{0x60, 0, 0, 0, 0, 0, 0x3a, 0xff}},
}, {
	name: "MTU",
	wire: `05 01 0000 00000500`,
	want: MTU(1280),
}, {
	name: "nonce",
	wire: `0e 01 010203040506`,
	want: Nonce{1, 2, 3, 4, 5, 6},
}, {
	name: "default route, no octets of prefix",
	wire: `18 01 00 08  00000708`,
	want: RouteInfo{Prefix: prefix("::/0"), Preference: High, Lifetime: 30 * time.Minute},
}, {
	name: "route /1",
	wire: `18 02 01 00  00000001  8000000000000000`,
	want: RouteInfo{Prefix: prefix("8000::/1"), Lifetime: time.Second},
}, {
	name: "route /7, low preference",
	wire: `18 02 07 18  00000708  fc00000000000000`,
	want: RouteInfo{Prefix: prefix("fc00::/7"), Preference: Low, Lifetime: 30 * time.Minute},
}, {
	name: "route /60 keeps its last nibble",
	wire: `18 02 3c 00  00000708  fd00000100020030`,
	want: RouteInfo{Prefix: prefix("fd00:1:2:30::/60"), Lifetime: 30 * time.Minute},
}, {
	name:  "route /60, bits beyond it",
	wire:  `18 02 3c 00  00000708  fd0000010002003f`,
	want:  RouteInfo{Prefix: prefix("fd00:1:2:30::/60"), Lifetime: 30 * time.Minute},
	again: `18 02 3c 00  00000708  fd00000100020030`,
}, {
	name: "route /65 takes the longest form",
	wire: `18 03 41 00  00000708  fd000001000200308000000000000000`,
	want: RouteInfo{Prefix: prefix("fd00:1:2:30:8000::/65"), Lifetime: 30 * time.Minute},
}, {
	name: "route /127",
	wire: `18 03 7f 00  ffffffff  fd000000000000000000000000000002`,
	want: RouteInfo{Prefix: prefix("fd00::2/127"), Lifetime: Infinity},
}, {
	name:  "route /64 in the longest form",
	wire:  `18 03 40 00  00000708  fd000001000200300000000000000000`,
	want:  RouteInfo{Prefix: prefix("fd00:1:2:30::/64"), Lifetime: 30 * time.Minute},
	again: `18 02 40 00  00000708  fd00000100020030`,
}, {
	name: "route of reserved preference: ignored",
	wire: `18 01 00 10  00000708`,
	want: RawOption{24, []byte{0, 0x10, 0, 0, 7, 8}},
}, {
	name: "route /64 without room for it: ignored",
	wire: `18 01 40 00  00000708`,
	want: RawOption{24, []byte{0x40, 0, 0, 0, 7, 8}},
}, {
	name: "two DNS servers",
	wire: `19 05 0000 00000e10  20010db8000000000000000000000053 20010db8000000000000000000000054`,
	want: RDNSS{Lifetime: time.Hour, Servers: []netip.Addr{addr("2001:db8::53"), addr("2001:db8::54")}},
}, {
	name: "no DNS server: ignored",
	wire: `19 01 0000 00000e10`,
	want: RawOption{25, []byte{0, 0, 0, 0, 0xe, 0x10}},
}, {
	name: "flags extension",
	wire: `1a 01 800000000001`,
	want: FlagsExtension{0: 0x80, 5: 1},
}, {
	name: "search domains, padded",
	wire: `1f 04 0000 00000e10
	       04 686f6d65 04 61727061 00              # home.arpa
	       07 6578616d706c65 00 00000000         # example`,
	want: DNSSL{Lifetime: time.Hour, Domains: []string{"home.arpa", "example"}},
}, {
	name: "search domain that does not end: ignored",
	wire: `1f 02 0000 00000e10 07 6578616d706c65`,
	want: RawOption{31, append([]byte{0, 0, 0, 0, 0xe, 0x10, 7}, "example"...)},
}, {
	name: "ARO, RFC 6775",
	wire: `21 02 00 00 0000 000f  020000000000000a`,
	want: AddressRegistration{Lifetime: 15 * time.Minute, ROVR: ROVROf([8]byte{0: 2, 7: 0xa})},
}, {
	name: "EARO, 64-bit ROVR, R and T, TID 240, moved",
	wire: `21 02 03 00 03 f0 003c  020000000000000a`,
	want: AddressRegistration{
		Status: StatusMoved, Route: true, Extended: true, TID: 240, Lifetime: time.Hour, ROVR: ROVROf([8]byte{0: 2, 7: 0xa}),
	},
}, {
	name: "EARO, 256-bit ROVR, opaque 7 with I 2",
	wire: `21 05 00 07 09 01 ffff  000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f`,
	want: AddressRegistration{
		Opaque: 7, I: 2, Extended: true, TID: 1, Lifetime: 65535 * time.Minute, ROVR: countingROVR(32),
	},
}, {
	name: "EARO, 128-bit ROVR",
	wire: `21 03 00 00 01 01 0001  000102030405060708090a0b0c0d0e0f`,
	want: AddressRegistration{Extended: true, TID: 1, Lifetime: time.Minute, ROVR: countingROVR(16)},
}, {
	name: "ARO without an EUI-64: ignored",
	wire: `21 01 00 00 0000 000f`,
	want: RawOption{33, []byte{0, 0, 0, 0, 0, 0xf}},
}, {
	name: "context 3, 64 bits",
	wire: `22 02 40 13 0000 179e  20010db800000000`,
	want: ContextOption{ID: 3, Prefix: prefix("2001:db8::/64"), Compress: true, Lifetime: 6046 * time.Minute},
}, {
	name: "context 15 of a whole address, not for compression",
	wire: `22 03 80 0f 0000 0001  20010db8000000000000000000000001`,
	want: ContextOption{ID: 15, Prefix: prefix("2001:db8::1/128"), Lifetime: time.Minute},
}, {
	name: "context of 65 bits in room for 64: ignored",
	wire: `22 02 41 13 0000 179e  20010db800000000`,
	want: RawOption{34, []byte{0x41, 0x13, 0, 0, 0x17, 0x9e, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0}},
}, {
	name: "border router, low half of the version first",
	wire: `23 03 0002 0001 2710  20010db8000000000000000000000001`,
	want: BorderRouter{Version: 0x00010002, Lifetime: 10000 * time.Minute, Addr: addr("2001:db8::1")},
}, {
	name: "capabilities D, L, B and E",
	wire: `24 01 003a 00000000`,
	want: CapEDA | CapRouter | CapBorder | CapRegistrar,
}, {
	name: "PREF64 /96",
	wire: `26 02 0708  0064ff9b0000000000000000`,
	want: PREF64{Prefix: prefix("64:ff9b::/96"), Lifetime: 1800 * time.Second},
}, {
	name: "PREF64 /32, longest lifetime",
	wire: `26 02 fffd  20010db80000000000000000`,
	want: PREF64{Prefix: prefix("2001:db8::/32"), Lifetime: 65528 * time.Second},
}, {
	name: "PREF64 of no length: ignored",
	wire: `26 02 0706  0064ff9b0000000000000000`,
	want: RawOption{38, []byte{7, 6, 0, 0x64, 0xff, 0x9b, 13: 0}},
}, {
	name: "unknown",
	wire: `c8 01 010203040506`,
	want: RawOption{200, []byte{1, 2, 3, 4, 5, 6}},
}}

func countingROVR(n int) ROVR {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	r, _ := MakeROVR(b)
	return r
}

func TestOptions(t *testing.T) {
	for _, tt := range optionVectors {
		t.Run(tt.name, func(t *testing.T) {
			wire := unhex(t, tt.wire)
			got, err := DecodeOptions(wire, 0)
			if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], tt.want) {
				t.Fatalf("decoded %#v, %v\nwant    %#v", got, err, tt.want)
			}
			want := wire
			if tt.again != "" {
				want = unhex(t, tt.again)
			}
			if b := got[0].Append([]byte{0xee}); !bytes.Equal(b[1:], want) || b[0] != 0xee {
				t.Fatalf("encoded\n%x, want\n%x", b[1:], want)
			}
		})
	}
}

// mdlayher/ndp, where it knows an option and does not get it wrong, reads what
// we write as the same thing, and writes the same.
func TestOptionsOracle(t *testing.T) {
	compared := 0
	for _, tt := range optionVectors {
		switch o := tt.want.(type) {
		case RawOption, AddressRegistration, ContextOption, BorderRouter, Capabilities, FlagsExtension, RedirectedHeader:
			continue // passed through as they are
		case SourceLinkAddr:
			if o.Addr.Len() != 6 {
				continue // reads only these
			}
		case TargetLinkAddr:
			continue
		case RouteInfo:
			if o.Prefix.Bits()%8 != 0 {
				continue // loses the last bits
			}
		case PrefixInfo:
			if o.Delegated || o.Router {
				continue // does not know the flags
			}
		}
		ours := tt.want.Append(nil)
		ra := RouterAdvert{Lifetime: time.Second, Options: []Option{tt.want}}
		m, err := oracle.ParseMessage(append([]byte{134, 0, 0, 0}, ra.Append(nil)...))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		theirs, err := oracle.MarshalMessage(m)
		if err != nil || !bytes.Equal(theirs[16:], ours) {
			t.Errorf("%s: theirs %x, %v, ours %x", tt.name, theirs[16:], err, ours)
		}
		compared++
	}
	if compared < 10 {
		t.Errorf("only %d options compared", compared)
	}
}

var messageVectors = []struct {
	name      string
	typ, code uint8
	wire      string
	want      Message
}{{
	name: "router solicitation", typ: 133,
	wire: `00000000  01 01 02005e100001`,
	want: RouterSolicit{Options: []Option{SourceLinkAddr{EUI48([6]byte{2, 0, 0x5e, 0x10, 0, 1})}}},
}, {
	name: "router advertisement, M, O, H, high preference, P and SNAC", typ: 134,
	wire: `40 ee 0708  00007530 000003e8`,
	want: RouterAdvert{
		HopLimit: 64, Managed: true, Other: true, HomeAgent: true, Preference: High, Proxy: true, SNAC: true,
		Lifetime: 30 * time.Minute, Reachable: 30 * time.Second, Retrans: time.Second,
	},
}, {
	name: "router advertisement of low preference", typ: 134,
	wire: `00 18 0001  00000000 00000000`,
	want: RouterAdvert{Preference: Low, Lifetime: time.Second},
}, {
	name: "neighbour solicitation", typ: 135,
	wire: `00000000  fe800000000000000000000000000001`,
	want: NeighborSolicit{Target: addr("fe80::1")},
}, {
	name: "neighbour advertisement, R, S and O", typ: 136,
	wire: `e0000000  fe800000000000000000000000000001  02 01 02005e100001`,
	want: NeighborAdvert{
		Router: true, Solicited: true, Override: true, Target: addr("fe80::1"),
		Options: []Option{TargetLinkAddr{EUI48([6]byte{2, 0, 0x5e, 0x10, 0, 1})}},
	},
}, {
	name: "redirect", typ: 137,
	wire: `00000000  fe800000000000000000000000000001  20010db8000000000000000000000001`,
	want: Redirect{Target: addr("fe80::1"), Destination: addr("2001:db8::1")},
}, {
	name: "DAR", typ: 157,
	wire: `00 00 000f  020000000000000a  20010db800000000000000000000000a`,
	want: Duplicate{Lifetime: 15 * time.Minute, ROVR: ROVROf([8]byte{0: 2, 7: 0xa}), Addr: addr("2001:db8::a")},
}, {
	name: "DAC, duplicate", typ: 158,
	wire: `01 00 000f  020000000000000a  20010db800000000000000000000000a`,
	want: Duplicate{
		Confirm: true, Status: StatusDuplicate, Lifetime: 15 * time.Minute,
		ROVR: ROVROf([8]byte{0: 2, 7: 0xa}), Addr: addr("2001:db8::a"),
	},
}, {
	name: "EDAR, 64-bit ROVR", typ: 157, code: 1,
	wire: `00 f1 000f  020000000000000a  20010db800000000000000000000000a`,
	want: Duplicate{
		Extended: true, TID: 241, Lifetime: 15 * time.Minute, ROVR: ROVROf([8]byte{0: 2, 7: 0xa}), Addr: addr("2001:db8::a"),
	},
}, {
	name: "EDAC, 256-bit ROVR", typ: 158, code: 4,
	wire: `03 05 000f  000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
	       20010db800000000000000000000000a`,
	want: Duplicate{
		Confirm: true, Extended: true, Status: StatusMoved, TID: 5, Lifetime: 15 * time.Minute,
		ROVR: countingROVR(32), Addr: addr("2001:db8::a"),
	},
}}

func TestMessages(t *testing.T) {
	for _, tt := range messageVectors {
		t.Run(tt.name, func(t *testing.T) {
			wire := unhex(t, tt.wire)
			got, err := Decode(tt.typ, tt.code, wire)
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Fatalf("decoded %+v, %v\nwant    %+v", got, err, tt.want)
			}
			if b := got.Append(nil); !bytes.Equal(b, wire) {
				t.Fatalf("encoded\n%x, want\n%x", b, wire)
			}
			if typ, code := got.ICMP(); typ != tt.typ || code != tt.code {
				t.Fatalf("type %d code %d, want %d, %d", typ, code, tt.typ, tt.code)
			}
		})
	}
}

func TestReservedPreferenceIsMedium(t *testing.T) {
	m, err := Decode(134, 0, unhex(t, `00 10 0001 00000000 00000000`))
	if err != nil || m.(RouterAdvert).Preference != Medium {
		t.Fatalf("%+v, %v", m, err)
	}
}

func TestMalformed(t *testing.T) {
	for _, tt := range []struct {
		name      string
		typ, code uint8
		wire      string
		off       int
		err       error
	}{
		{"solicitation cut", 133, 0, `000000`, 3, ErrShort},
		{"advertisement cut", 134, 0, `0000000000000000000000`, 11, ErrShort},
		{"EDAR of 128 bits cut to one of 64", 157, 2, `00 f1 000f 020000000000000a 20010db800000000000000000000000a`, 28, ErrShort},
		{"EDAR of 320 bits", 157, 5, ``, 0, ErrCode},
		{"EDAR with a code prefix", 157, 0x11, ``, 0, ErrCode},
		{"option of length zero", 133, 0, `00000000 01 01 02005e100001 05 00 000000000000`, 13, ErrZeroLength},
		{"option without length", 133, 0, `00000000 01`, 5, ErrShort},
		{"option cut", 133, 0, `00000000 03 04 000000000000`, 12, ErrShort},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Decode(tt.typ, tt.code, unhex(t, tt.wire))
			var de *DecodeError
			if !errors.As(err, &de) || de.Offset != tt.off || !errors.Is(err, tt.err) {
				t.Fatalf("%+v, %v, want %v at byte %d", m, err, tt.err, tt.off)
			}
		})
	}
	if _, err := Decode(128, 0, nil); !errors.Is(err, ErrType) {
		t.Errorf("echo request: %v", err)
	}
}

func TestValidate(t *testing.T) {
	ll, global, group := addr("fe80::1"), addr("2001:db8::1"), addr("ff02::1")
	none := netip.IPv6Unspecified()
	slla := []Option{SourceLinkAddr{riotHostA}}
	for _, tt := range []struct {
		name string
		in   In
		m    Message
		want error
	}{
		{"good RS", In{Src: ll, Dst: allRouters, HopLimit: 255}, RouterSolicit{Options: slla}, nil},
		{"forwarded RS", In{Src: ll, Dst: allRouters, HopLimit: 254}, RouterSolicit{}, ErrHopLimit},
		{"RS with a code", In{Src: ll, Dst: allRouters, HopLimit: 255, Code: 1}, RouterSolicit{}, ErrBadCode},
		{"RS from nowhere", In{Src: none, Dst: allRouters, HopLimit: 255}, RouterSolicit{}, nil},
		{"RS from nowhere with an address", In{Src: none, Dst: allRouters, HopLimit: 255}, RouterSolicit{Options: slla}, ErrOption},
		{"good RA", In{Src: ll, Dst: group, HopLimit: 255}, RouterAdvert{}, nil},
		{"RA from a routable address", In{Src: global, Dst: group, HopLimit: 255}, RouterAdvert{}, ErrSource},
		{"good NS", In{Src: ll, Dst: global, HopLimit: 255}, NeighborSolicit{Target: global, Options: slla}, nil},
		{"NS for a group", In{Src: ll, Dst: global, HopLimit: 255}, NeighborSolicit{Target: group}, ErrTarget},
		{"DAD", In{Src: none, Dst: SolicitedNode(global), HopLimit: 255}, NeighborSolicit{Target: global}, nil},
		{"DAD to one", In{Src: none, Dst: global, HopLimit: 255}, NeighborSolicit{Target: global}, ErrDest},
		{"DAD with an address", In{Src: none, Dst: SolicitedNode(global), HopLimit: 255}, NeighborSolicit{Target: global, Options: slla}, ErrOption},
		{"good NA", In{Src: ll, Dst: group, HopLimit: 255}, NeighborAdvert{Target: global}, nil},
		{"NA for a group", In{Src: ll, Dst: ll, HopLimit: 255}, NeighborAdvert{Target: group}, ErrTarget},
		{"solicited NA to all", In{Src: ll, Dst: group, HopLimit: 255}, NeighborAdvert{Target: global, Solicited: true}, ErrDest},
		{"good redirect", In{Src: ll, Dst: global, HopLimit: 255}, Redirect{Target: ll, Destination: global}, nil},
		{"redirect on link", In{Src: ll, Dst: global, HopLimit: 255}, Redirect{Target: global, Destination: global}, nil},
		{"redirect from far", In{Src: global, Dst: global, HopLimit: 255}, Redirect{Target: ll, Destination: global}, ErrSource},
		{"redirect to a routable router", In{Src: ll, Dst: global, HopLimit: 255}, Redirect{Target: global, Destination: addr("2001:db8::9")}, ErrTarget},
		{"redirect of a group", In{Src: ll, Dst: global, HopLimit: 255}, Redirect{Target: ll, Destination: group}, ErrTarget},
		{"good DAR", In{Src: global, Dst: global, HopLimit: 61}, Duplicate{Addr: global}, nil},
		{"DAR from nowhere", In{Src: none, Dst: global}, Duplicate{Addr: global}, ErrSource},
		{"DAR to a group", In{Src: global, Dst: group}, Duplicate{Addr: global}, ErrDest},
		{"DAR for a group", In{Src: global, Dst: global}, Duplicate{Addr: group}, ErrTarget},
		{"DAR with a status", In{Src: global, Dst: global}, Duplicate{Addr: global, Status: 1}, ErrStatus},
		{"DAC with a status", In{Src: global, Dst: global}, Duplicate{Confirm: true, Addr: global, Status: 1}, nil},
	} {
		if err := Validate(tt.in, tt.m); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

// Rows of RFC 6550 Section 7.2.
func TestTID(t *testing.T) {
	for _, tt := range []struct {
		a, b  TID
		order int
		ok    bool
	}{
		{5, 5, 0, true},
		{6, 5, 1, true},
		{5, 6, -1, true},
		{0, 127, 1, true}, // the round part wraps at 128
		{127, 0, -1, true},
		{15, 127, 1, true},
		{16, 127, 0, false}, // 17 apart
		{60, 5, 0, false},
		{241, 240, 1, true},
		{240, 241, -1, true},
		{255, 128, 0, false},
		{240, 5, 1, true}, // the example of the RFC: a node that restarted
		{5, 240, -1, true},
		{250, 5, -1, true}, // one that has come round
		{5, 250, 1, true},
		{240, 0, -1, true},
		{0, 240, 1, true},
	} {
		got, ok := tt.a.Compare(tt.b)
		if ok != tt.ok || ok && (got > 0) != (tt.order > 0) || ok && (got < 0) != (tt.order < 0) {
			t.Errorf("%d and %d: %d, %v, want %d, %v", tt.a, tt.b, got, ok, tt.order, tt.ok)
		}
	}
	for _, tt := range [][2]TID{{240, 241}, {255, 0}, {0, 1}, {127, 0}} {
		if got := tt[0].Next(); got != tt[1] {
			t.Errorf("after %d comes %d, want %d", tt[0], got, tt[1])
		}
	}
}

func TestLinkAddr(t *testing.T) {
	for _, tt := range []struct {
		l    LinkAddr
		text string
		ll   string
	}{
		{Short(0x1800), "0x1800", "fe80::ff:fe00:1800"},
		{riotHostA, "02:00:00:00:00:00:00:0a", "fe80::a"},
		{EUI48([6]byte{2, 0, 0x5e, 0x10, 0, 1}), "02:00:5e:10:00:01", "fe80::5eff:fe10:1"},
	} {
		if tt.l.String() != tt.text || tt.l.LinkLocal() != addr(tt.ll) {
			t.Errorf("%v, %v, want %s, %s", tt.l, tt.l.LinkLocal(), tt.text, tt.ll)
		}
		if n := tt.l.Len(); n != 6 && (iidLinkAddr(tt.l.LinkLocal()) != tt.l || FromIEEE802154(tt.l.IEEE802154()) != tt.l) {
			t.Errorf("%v: became %v, %v", tt.l, iidLinkAddr(tt.l.LinkLocal()), FromIEEE802154(tt.l.IEEE802154()))
		}
		text, _ := tt.l.MarshalText()
		var again LinkAddr
		if err := again.UnmarshalText(text); err != nil || again != tt.l {
			t.Errorf("%v as %s became %v, %v", tt.l, text, again, err)
		}
	}
	var l LinkAddr
	if err := l.UnmarshalText([]byte("010203")); err == nil {
		t.Error("a link-layer address of 3 octets")
	}
	var r ROVR
	if err := r.UnmarshalText([]byte("010203")); err == nil {
		t.Error("a ROVR of 3 octets")
	}
}

func TestDecodeErrorText(t *testing.T) {
	_, err := Decode(TypeNeighborSolicit, 0, make([]byte, 19))
	if want := "ndp: neighbour solicitation at byte 19: input ends too early"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// Values that do not fit are cut, not wrapped round; what is not over does not
// become zero, which would take it back.
func TestLifetimesAreRounded(t *testing.T) {
	for _, tt := range []struct {
		o    Option
		want Option
	}{
		{PrefixInfo{Prefix: riotPrefix, Valid: Infinity + time.Hour, Preferred: time.Millisecond},
			PrefixInfo{Prefix: riotPrefix, Valid: Infinity, Preferred: time.Second}},
		{RouteInfo{Prefix: riotPrefix, Lifetime: -time.Second}, RouteInfo{Prefix: riotPrefix}},
		{ContextOption{Prefix: riotPrefix, Lifetime: time.Second}, ContextOption{Prefix: riotPrefix, Lifetime: time.Minute}},
		{BorderRouter{Addr: borderAddr}, BorderRouter{Addr: borderAddr, Lifetime: time.Minute}},
		{PREF64{Prefix: prefix("64:ff9b::/96"), Lifetime: 30 * time.Hour}, PREF64{Prefix: prefix("64:ff9b::/96"), Lifetime: 65528 * time.Second}},
		{AddressRegistration{ROVR: countingROVR(8), Lifetime: 100 * 24 * time.Hour},
			AddressRegistration{ROVR: countingROVR(8), Lifetime: 65535 * time.Minute}},
	} {
		got, err := DecodeOptions(tt.o.Append(nil), 0)
		if err != nil || !reflect.DeepEqual(got, []Option{tt.want}) {
			t.Errorf("%+v became %+v, %v, want %+v", tt.o, got, err, tt.want)
		}
	}
	m, err := Decode(TypeRouterAdvert, 0, RouterAdvert{Lifetime: 100 * time.Hour, Reachable: time.Microsecond}.Append(nil))
	if ra, ok := m.(RouterAdvert); err != nil || !ok || ra.Lifetime != 65535*time.Second || ra.Reachable != time.Millisecond {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestDomainsThatAreNone(t *testing.T) {
	long := strings.Repeat("a", 63)
	o := DNSSL{Lifetime: time.Hour, Domains: []string{
		"", "a..b", long + "a", strings.Join([]string{long, long, long, long}, "."), "ok.example", ".",
	}}
	got, err := DecodeOptions(o.Append(nil), 0)
	if want := (DNSSL{Lifetime: time.Hour, Domains: []string{"ok.example"}}); err != nil || !reflect.DeepEqual(got, []Option{want}) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}

func TestNames(t *testing.T) {
	for want, got := range map[string]fmt.Stringer{
		"low": Low, "medium": Medium, "high": High, "Preference(5)": Preference(5),
		"moved": StatusMoved, "validation failed": StatusValidationFailed, "status 11": Status(11),
		"tentative": Tentative, "registered": Registered, "refused": Refused, "AddressState(9)": AddressState(9),
		"020000000000000a": ROVROf(riotHostA.b), "none": LinkAddr{},
	} {
		if got.String() != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if a, r := riotHostA.Bytes(), ROVROf(riotHostA.b).Bytes(); !bytes.Equal(a, r) || len(a) != 8 {
		t.Errorf("%x, %x", a, r)
	}
}
