package rpl

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

// unhex reads hex digits with spaces and # comments.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	s = regexp.MustCompile(`#[^\n]*`).ReplaceAllString(s, "")
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// Layouts are those of the figures of RFC 6550 Section 6, RFC 6551 Section 2.1
// and RFC 4191 Section 2.3.
func TestMessages(t *testing.T) {
	tests := []struct {
		name string
		code uint8
		wire string
		want any
	}{{
		name: "DIS as RIOT's gnrc sends it",
		code: CodeDIS,
		wire: `00 00`,
		want: DIS{},
	}, {
		name: "DIS, solicited",
		code: CodeDIS,
		wire: `00 00
		       07 13  1e e0  # solicited information: instance, V I D
		       20010db8 00000000 00000000 00000001  f0`,
		want: DIS{Options: []Option{Solicited{
			MatchVersion: true, MatchInstance: true, MatchDODAG: true,
			Instance: 30, DODAGID: addr("2001:db8::1"), Version: 240,
		}}},
	}, {
		name: "DIO, non-storing, with all that a root says",
		code: CodeDIO,
		wire: `1e f0 0100       # instance, version, rank 256
		       88 f1 00 00      # G, MOP 1, Prf 0; DTSN, flags, reserved
		       20010db8 00000000 00000000 00000001
		       04 0e 10 08 0c 0a 0700 0100 0000 00 1e 003c  # configuration, RFC 9008's flag
		       08 1e 40 60 00015180 ffffffff 00000000     # prefix: /64, A R, one day, infinite
		       20010db8 00000000 00000000 00000001
		       03 0e 40 08 00000e10 20010db8 00010000     # route: /64, high preference, 1 h
		       03 06 00 18 ffffffff                       # default route, low preference`,
		want: DIO{
			Instance: 30, Version: 240, Rank: 256, Grounded: true, MOP: NonStoring, DTSN: 241,
			DODAGID: addr("2001:db8::1"),
			Options: []Option{
				DODAGConfig{
					RPI23: true, IntervalDoublings: 8, IntervalMin: 12, Redundancy: 10, MaxRankIncrease: 1792,
					MinHopRankIncrease: 256, OCP: OCPOF0, DefaultLifetime: 30, LifetimeUnit: 60,
				},
				PrefixInformation{
					Bits: 64, Autonomous: true, Router: true, Valid: 24 * time.Hour, Preferred: Infinite,
					Prefix: addr("2001:db8::1"),
				},
				RouteInformation{Prefix: prefix("2001:db8:1::/64"), Preference: 1, Lifetime: time.Hour},
				RouteInformation{Prefix: prefix("::/0"), Preference: -1, Lifetime: Infinite},
			},
		},
	}, {
		name: "DIO with metrics and an option unknown here",
		code: CodeDIO,
		wire: `00 01 ffff 17 02 00 00 fd000000 00000000 00000000 00000001
		       02 0c 03 00 00 02 00 05   # hop count 5
		             07 04 15 02 0180    # ETX 3, P, aggregated as maximum, precedence 5
		       7e 03 010203`,
		want: DIO{
			Version: 1, Rank: InfiniteRank, MOP: Storing, Preference: 7, DTSN: 2, DODAGID: addr("fd00::1"),
			Options: []Option{
				MetricContainer{[]Metric{
					HopCountMetric(5),
					{Type: MetricETX, Partial: true, Aggregate: 1, Precedence: 5, Body: []byte{1, 0x80}},
				}},
				RawOption{Type: 0x7e, Data: []byte{1, 2, 3}},
			},
		},
	}, {
		name: "DAO, storing: a host, a tag, a prefix that ends within a byte",
		code: CodeDAO,
		wire: `1e 80 00 f5
		       05 12 00 80 20010db8 00000000 02000000 0000000b
		       09 04 cafef00d
		       05 0a 00 3c 20010db8 00010030  # /60: eight bytes
		       06 04 80 80 f1 1e              # E, path control, sequence, lifetime`,
		want: DAO{Instance: 30, WantAck: true, Sequence: 245, Options: []Option{
			Target{prefix("2001:db8::200:0:0:b/128")}, TargetDescriptor(0xcafef00d), Target{prefix("2001:db8:1:30::/60")},
			Transit{External: true, PathControl: 0x80, PathSequence: 241, PathLifetime: 30},
		}},
	}, {
		name: "DAO, non-storing, local instance",
		code: CodeDAO,
		wire: `81 40 00 01 fd000000 00000000 00000000 00000001
		       05 12 00 80 fd000000 00000000 00000000 0000000b
		       06 14 00 c0 05 ff fd000000 00000000 00000000 0000000a`,
		want: DAO{Instance: 0x81, Sequence: 1, DODAGID: addr("fd00::1"), Options: []Option{
			Target{prefix("fd00::b/128")},
			Transit{PathControl: 0xc0, PathSequence: 5, PathLifetime: 255, Parent: addr("fd00::a")},
		}},
	}, {
		name: "DAO-ACK",
		code: CodeDAOAck,
		wire: `1e 00 f5 80`,
		want: DAOAck{Instance: 30, Sequence: 245, Status: StatusRejected},
	}, {
		name: "DAO-ACK, local instance",
		code: CodeDAOAck,
		wire: `81 80 01 00 fd000000 00000000 00000000 00000001`,
		want: DAOAck{Instance: 0x81, Sequence: 1, DODAGID: addr("fd00::1")},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wire := unhex(t, tt.wire)
			got, err := Decode(tt.code, wire)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("decoded %+v\nwant    %+v", got, tt.want)
			}
			if b := tt.want.(interface{ Append([]byte) []byte }).Append(nil); !reflect.DeepEqual(b, wire) {
				t.Errorf("encoded %x\nwant    %x", b, wire)
			}
		})
	}
}

func TestConsistencyCheck(t *testing.T) {
	wire := unhex(t, `1e 80 1234 fd000000 00000000 00000000 00000001 00000007`)
	want := CC{Instance: 30, Response: true, Nonce: 0x1234, DODAGID: addr("fd00::1"), Counter: 7}
	got, err := DecodeCC(wire)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("decoded %+v, %v", got, err)
	}
	if b := want.Append(nil); !reflect.DeepEqual(b, wire) {
		t.Errorf("encoded %x", b)
	}
}

// Padding and bits beyond a prefix are not kept, but do no harm.
func TestTolerated(t *testing.T) {
	got, err := DecodeDIS(unhex(t, `ff ff 00 01 02 aabb 05 0a 00 3c 20010db8 0001003f 00 01 00`))
	want := DIS{Options: []Option{Target{prefix("2001:db8:1:30::/60")}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestDecodeErrors(t *testing.T) {
	const dio = `1e f0 0100 88 f1 00 00 20010db8 00000000 00000000 00000001`
	tests := []struct {
		name string
		code uint8
		wire string
		off  int
		err  error
	}{
		{"DIS of one byte", CodeDIS, `00`, 1, ErrShort},
		{"DIO cut", CodeDIO, dio[:len(dio)-2], 23, ErrShort},
		{"option without a length", CodeDIO, dio + `04`, 25, ErrShort},
		{"option cut", CodeDIO, dio + `04 0e 00 00`, 28, ErrShort},
		{"PadN cut", CodeDIO, dio + `01 03 00 00`, 28, ErrShort},
		{"configuration too small", CodeDIO, dio + `04 02 00 00`, 28, ErrLength},
		{"prefix longer than an address", CodeDIO, dio + `05 12 00 81 20010db8 00000000 00000000 00000001`, 27, ErrLength},
		{"prefix cut", CodeDIO, dio + `05 04 00 40 2001`, 30, ErrLength},
		{"route cut", CodeDIO, dio + `03 06 40 00 00000000`, 32, ErrLength},
		{"prefix information of /129", CodeDIO, dio + `08 1e 81 40 00000000 00000000 00000000 20010db8 00000000 00000000 00000000`, 26, ErrLength},
		{"transit parent cut", CodeDAO, `00 00 00 00 06 05 00 00 00 00 20`, 11, ErrLength},
		{"metric cut", CodeDIO, dio + `02 06 07 00 00 04 0080`, 32, ErrLength},
		{"metric header cut", CodeDIO, dio + `02 02 07 00`, 28, ErrLength},
		{"DAO without its DODAGID", CodeDAO, `81 40 00 01 fd00`, 6, ErrShort},
		{"secure DIO", CodeSecure | CodeDIO, dio, 0, ErrSecured},
		{"consistency check", CodeCC, ``, 0, ErrSecured},
		{"unknown code", 0x42, ``, 0, ErrCode},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Decode(tt.code, unhex(t, tt.wire))
			var d *DecodeError
			if !errors.As(err, &d) || !errors.Is(err, tt.err) || d.Offset != tt.off {
				t.Errorf("%+v, %v; want %v at byte %d", m, err, tt.err, tt.off)
			}
		})
	}
}

// The examples of RFC 6550 Section 7.2, and what follows from its rules.
func TestLollipop(t *testing.T) {
	tests := []struct {
		a, b uint8
		want Order
	}{
		{240, 5, Newer}, // 21 away: not yet passed
		{250, 5, Older}, // 11 away: 5 is after the straight part
		{5, 250, Newer},
		{5, 240, Older},
		{240, 240, Equal},
		{241, 240, Newer},
		{3, 2, Newer},
		{2, 3, Older},
		{2, 125, Newer}, // round the circle
		{125, 2, Older},
		{10, 40, Incomparable},
		{130, 200, Incomparable},
		{127, 255, Older},
		{0, 255, Newer},
	}
	for _, tt := range tests {
		if got := CompareSequence(tt.a, tt.b); got != tt.want {
			t.Errorf("%d to %d: %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
	s := InitialSequence
	for range 1000 {
		if n := NextSequence(s); CompareSequence(n, s) != Newer || CompareSequence(s, n) != Older {
			t.Fatalf("%d after %d: %v and %v", n, s, CompareSequence(n, s), CompareSequence(s, n))
		}
		s = NextSequence(s)
	}
}
