package diag

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/thread/mle"
	"gatewayd/thread/neighbor"
)

// wire reads hexadecimal with blanks and comments.
func wire(t testing.TB, commented string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(commented) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func ext(s string) (e ieee802154.ExtAddr) {
	if n, err := hex.Decode(e[:], []byte(s)); err != nil || n != len(e) {
		panic(s)
	}
	return e
}

func adr(s string) netip.Addr { return netip.MustParseAddr(s) }

// routes is a Route TLV with entries by router id.
func routes(sequence uint8, entries map[uint8]mle.RouteEntry) Route {
	r := mle.Route{Sequence: sequence}
	for id, e := range entries {
		r.Mask |= 1 << (63 - id)
		r.Entries[id] = e
	}
	return Route{r}
}

// What OpenThread's nodes sent: a router's and a sleepy child's answer to a get,
// answers to queries.
var golden = []struct {
	name string
	wire string
	want []Value
}{{
	name: "request",
	wire: `12 14 00 01 02 03 04 05 06 07 08 09 0e 0f 10 11 13 18 19 1a 1b 1c`,
	want: []Value{Types{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14, 15, 16, 17, 19, 24, 25, 26, 27, 28}},
}, {
	name: "query",
	wire: `12 05 00 01 04 05 10   21 02 44ea`,
	want: []Value{Types{0, 1, 4, 5, 16}, QueryID(0x44ea)},
}, {
	name: "router",
	wire: `
		00 08 462a43c6d639da7a
		01 02 a000
		02 01 0f
		04 0a 00 01 00 00 01 dc 02 0500 01  # one good link, cost 1 to the leader, 1280 bytes for a sleepy child
		05 0b dc 0000020000800000 f1 01     # routers 22 and 40
		06 08 3be9c844 41 7f fb 16
		07 06 08040b02491e
		08 30 fd000db8000a000b000000fffe00a000 fd000db8000a000bdfc87e3b58a103c9 fe80000000000000442a43c6d639da7a
		09 24 00000000 00000000 00000000 0000000b 00000004 00000000 00000004 00000004 00000000
		10 03 6601 04                       # 256 s, good link, child 1, sleepy
		11 01 00
		13 04 000000f0
		18 02 0005
		19 00 1a 00 1b 00
		1c 1a 4f50454e5448524541442f3361653734316639353b2053494d55  # shortened`,
	want: []Value{
		ExtAddress(ext("462a43c6d639da7a")), Address16(0xa000),
		Mode(neighbor.ModeRxOnWhenIdle | neighbor.ModeSecureDataReq | neighbor.ModeFullThread | neighbor.ModeFullNetworkData),
		Connectivity{mle.Connectivity{LinkQuality: [4]uint8{3: 1}, LeaderCost: 1, IDSequence: 220, ActiveRouters: 2,
			SED: true, SEDBuffer: 1280, SEDDatagrams: 1}},
		routes(220, map[uint8]mle.RouteEntry{22: {Out: 3, In: 3, Cost: 1}, 40: {Cost: 1}}),
		LeaderData{mle.LeaderData{Partition: 0x3be9c844, Weight: 65, DataVersion: 127, StableVersion: 251, LeaderID: 22}},
		NetworkData{8, 4, 11, 2, 0x49, 0x1e},
		Addresses{adr("fd00:db8:a:b:0:ff:fe00:a000"), adr("fd00:db8:a:b:dfc8:7e3b:58a1:3c9"), adr("fe80::442a:43c6:d639:da7a")},
		MACCounters{InUnicast: 11, InBroadcast: 4, OutUnicast: 4, OutBroadcast: 4},
		ChildTable{{Timeout: 12, Quality: 3, ID: 1, Mode: neighbor.ModeSecureDataReq}},
		ChannelPages{0}, MaxChildTimeout(240 * time.Second), Version(5),
		Text{TypeVendorName, ""}, Text{TypeVendorModel, ""}, Text{TypeVendorVersion, ""},
		Text{TypeStackVersion, "OPENTHREAD/3ae741f95; SIMU"},
	},
}, {
	name: "sleepy child",
	wire: `00 08 eaa46f8014fd4359  01 02 a001  02 01 04  03 04 000000f0  07 00`,
	want: []Value{ExtAddress(ext("eaa46f8014fd4359")), Address16(0xa001), Mode(neighbor.ModeSecureDataReq),
		PollTimeout(240 * time.Second), NetworkData{}},
}, {
	name: "answer with lists",
	wire: `
		21 02 86ef
		00 08 72e57e023d37fe8b
		01 02 d800
		1d 2b 08 d801 226e47a297b9647f 0005 000000f0 00000000 0000000d 0081 50 ec ec 0000 0000 0000 0000 00000000 00
		1d 2b a8 d802 de717bd6f91bbffd 0005 000000f0 0000000a 0000000b 0000 50 ec ec 0000 0000 0000 0000 00000000 00
		1d 00
		1e 12 d801 fd41eaa98b3500005ad48f8fdf1bbb3b
		1e 12 d802 fd41eaa98b3500002942c4b707eb2995
		1e 00
		1f 18 80 9000 66287c458a31e2a6 0005 0000000e 50 ec ec 0000 0000
		1f 00
		20 02 8000`,
	want: []Value{
		QueryID(0x86ef), ExtAddress(ext("72e57e023d37fe8b")), Address16(0xd800),
		Child{RLOC16: 0xd801, Ext: ext("226e47a297b9647f"), Version: 5, Timeout: 240 * time.Second,
			Connected: 13 * time.Second, Supervision: 129 * time.Second,
			Link: Link{Margin: 80, Average: -20, Last: -20, MeasuresErrors: true}},
		Child{RxOnWhenIdle: true, FullNetworkData: true, RLOC16: 0xd802, Ext: ext("de717bd6f91bbffd"), Version: 5,
			Timeout: 240 * time.Second, Age: 10 * time.Second, Connected: 11 * time.Second,
			Link: Link{Margin: 80, Average: -20, Last: -20, MeasuresErrors: true}},
		End{TypeChild},
		ChildAddresses{0xd801, []netip.Addr{adr("fd41:eaa9:8b35:0:5ad4:8f8f:df1b:bb3b")}},
		ChildAddresses{0xd802, []netip.Addr{adr("fd41:eaa9:8b35:0:2942:c4b7:7eb:2995")}},
		End{TypeChildAddresses},
		RouterNeighbor{RLOC16: 0x9000, Ext: ext("66287c458a31e2a6"), Version: 5, Connected: 14 * time.Second,
			Link: Link{Margin: 80, Average: -20, Last: -20, MeasuresErrors: true}},
		End{TypeRouterNeighbor},
		Answer{Last: true},
	},
}, {
	name: "rest",
	wire: `
		17 08 18b4300000000002
		22 42 0000 0001 0001 0001 0000 0001 0001 0000 0000
		      0000000000003ac8 0000000000000045 00000000000004f4 00000000000001b3 00000000000033dc 0000000000000000
		23 03 612e62`,
	want: []Value{
		EUI64(ext("18b4300000000002")),
		MLECounters{Detached: 1, Child: 1, Router: 1, AttachAttempts: 1, PartitionChanges: 1,
			Tracked: 15048 * time.Millisecond, DisabledTime: 69 * time.Millisecond, DetachedTime: 1268 * time.Millisecond,
			ChildTime: 435 * time.Millisecond, RouterTime: 13276 * time.Millisecond},
		Text{TypeVendorAppURL, "a.b"},
	},
}, {
	// Not recorded: what OpenThread never sends, and the far ends of fields.
	name: "others",
	wire: `
		0e 01 64  0f 02 0ce4
		1d 2b 78 0401 0000000000000001 0004 00000001 00000002 00000003 0004 05 7f 7f ffff 8000 0006 0bb8 00000064 0f
		20 02 007f  20 02 0000
		0b 02 0102`,
	want: []Value{
		BatteryLevel(100), SupplyVoltage(3300),
		Child{FullThread: true, FullNetworkData: true, RLOC16: 0x401, Ext: ext("0000000000000001"), Version: 4,
			Timeout: time.Second, Age: 2 * time.Second, Connected: 3 * time.Second, Supervision: 4 * time.Second,
			Link:   Link{Margin: 5, Average: UnknownRSSI, Last: UnknownRSSI, MeasuresErrors: true, FrameErrors: 0xffff, MessageErrors: 0x8000},
			Queued: 6, CSL: CSL{Synchronized: true, Period: 3000, Timeout: 100 * time.Second, Channel: 15}},
		Answer{Index: 127}, Answer{}, Raw{11, []byte{1, 2}},
	},
}}

func TestGolden(t *testing.T) {
	for _, tt := range golden {
		t.Run(tt.name, func(t *testing.T) {
			b := wire(t, tt.wire)
			got, err := Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(tt.want) {
				t.Fatalf("%d values, want %d: %+v", len(got), len(tt.want), got)
			}
			var again []byte
			for i, v := range got {
				if !reflect.DeepEqual(v, tt.want[i]) {
					t.Errorf("%v: %+v\nwant %+v", v.Type(), v, tt.want[i])
				}
				again = Append(again, tt.want[i])
			}
			if !bytes.Equal(again, b) {
				t.Errorf("encoded %x\nwant    %x", again, b)
			}
		})
	}
}

// A TLV of 255 bytes or more has a length of 16 bits.
func TestExtendedLength(t *testing.T) {
	for _, n := range []int{15, 16, 70} {
		v := make(Addresses, n)
		for i := range v {
			v[i] = netip.AddrFrom16([16]byte{0xfd, 15: byte(i)})
		}
		b := Append(nil, v)
		head := []byte{8, byte(16 * n)}
		if n > 15 {
			head = []byte{8, 0xff, byte(16 * n >> 8), byte(16 * n)}
		}
		if got, err := Decode(b); err != nil || !bytes.HasPrefix(b, head) || !reflect.DeepEqual(got, []Value{v}) {
			t.Errorf("%d addresses: %x, %v", n, b[:4], err)
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	for _, tt := range []struct {
		wire   string
		values int // before it
		off    int
		err    error
	}{
		{"01 02 0400  00", 1, 4, ErrShort},       // half a header
		{"01 02 0400  00 08 01", 1, 4, ErrShort}, // cut
		{"08 ff 01", 0, 0, ErrShort},             // half a length
		{"08 ff 0010 00", 0, 0, ErrShort},        // cut
		{"01 01 04", 0, 2, ErrShort},
		{"00 07 01020304050607", 0, 2, ErrShort},
		{"02 00", 0, 2, ErrShort},
		{"08 0f 000000000000000000000000000000", 0, 2, ErrShort}, // not a whole address
		{"10 04 66010466", 0, 2, ErrShort},
		{"09 04 00000000", 0, 2, ErrShort},
		{"1d 01 80", 0, 2, ErrShort}, // neither a child nor the end
		{"1e 03 040100", 0, 2, ErrShort},
		{"1f 01 80", 0, 2, ErrShort},
		{"20 01 80", 0, 2, ErrShort},
		{"22 02 0000", 0, 2, ErrShort},
		{"04 02 0000", 0, 2, mle.ErrShort},
		{"05 09 01 8000000000000000", 0, 2, mle.ErrShort}, // a router without its entry
		{"06 08 00000001 40 01 01 3f", 0, 2, mle.ErrInvalid},
	} {
		values, err := Decode(wire(t, tt.wire))
		var d *DecodeError
		if !errors.As(err, &d) || !errors.Is(err, tt.err) || d.Offset != tt.off || len(values) != tt.values {
			t.Errorf("%s: %d values, %v", tt.wire, len(values), err)
		}
	}
}

func TestTimeoutCode(t *testing.T) {
	for d, want := range map[time.Duration]uint8{
		0: 4, time.Second: 4, 2 * time.Second: 5, 3 * time.Second: 6, 240 * time.Second: 12, 256 * time.Second: 12,
		257 * time.Second: 13, 1 << 27 * time.Second: 31, 1 << 30 * time.Second: 31,
	} {
		if got := TimeoutCode(d); got != want {
			t.Errorf("%v: %d, want %d", d, got, want)
		}
	}
}

func TestClip(t *testing.T) {
	for _, tt := range []struct {
		in   string
		n    int
		want string
	}{{"abc", 3, "abc"}, {"abcd", 3, "abc"}, {"aä", 2, "a"}, {"ä", 1, ""}, {"", 0, ""}} {
		if got := clip(tt.in, tt.n); got != tt.want {
			t.Errorf("%q in %d: %q", tt.in, tt.n, got)
		}
	}
}

func ExampleDecode() {
	values, err := Decode([]byte{1, 2, 0xa0, 0x01, 24, 2, 0, 5})
	rloc16, _ := Find[Address16](values)
	_, hasMode := Find[Mode](values)
	fmt.Printf("%d values, %#04x, mode: %t, %v\n", len(values), uint16(rloc16), hasMode, err)
	// Output: 2 values, 0xa001, mode: false, <nil>
}
