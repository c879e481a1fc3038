package lowpan_test

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"gatewayd/ieee802154"
	"gatewayd/ipv6"
	"gatewayd/lowpan"
)

// hexBytes reads hexadecimal digits; a line may end in a # comment.
func hexBytes(t testing.TB, s string) []byte {
	t.Helper()
	var digits strings.Builder
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(line)
	}
	return unhex(t, digits.String())
}

func ext(s string) ieee802154.Addr {
	e, err := ieee802154.ParseExtAddr(s)
	if err != nil {
		panic(err)
	}
	return ieee802154.ExtendedAddr(e)
}

func short(a uint16) ieee802154.Addr { return ieee802154.ShortAddr(a) }

func contexts(prefixes ...string) (cs lowpan.Contexts) {
	for id, p := range prefixes {
		if p != "" {
			cs = append(cs, lowpan.Context{ID: uint8(id), Prefix: netip.MustParsePrefix(p), Compress: true})
		}
	}
	return cs
}

var meshLocal = contexts("fd00:db8:a:b::/64", "fd11:22::/64")

// vectors are packets in the form Compress writes.
var vectors = []struct {
	name     string
	src, dst ieee802154.Addr
	ctx      lowpan.Contexts
	packet   string
	wire     string
}{{
	name: "MLE Parent Request", // capture form-leader, frame 1
	src:  ext("8239438071234bc9"), dst: short(0xffff), ctx: meshLocal,
	packet: `6000 0000 002c 11 ff
		fe80000000000000 8039438071234bc9
		ff02000000000000 0000000000000002
		4d4c 4d4c 002c 41eb
		0015000000000000000001052206bdfcfbae677200c50e33177457cfe07a97f32e023bfc`,
	wire: `7f 3b  # TF elided, NH compressed, 255 hops; source elided, multicast of 8 bits
		02          # ff02::2
		f0 4d4c4d4c # UDP, ports inline
		41eb
		0015000000000000000001052206bdfcfbae677200c50e33177457cfe07a97f32e023bfc`,
}, {
	name: "TMF between RLOCs, addresses from the mesh header", // capture line4, frame 32
	src:  short(0x4c01), dst: short(0xbc00), ctx: meshLocal,
	packet: `61c0 0000 0021 11 40
		fd000db8000a000b 000000fffe004c01
		fd000db8000a000b 000000fffe00bc00
		f0bf f0bf 0021 d03e
		4202aeae6067b161026173ff01083e52107388d4dad2040102`,
	wire: `76 77 # flow label elided, 64 hops; both stateful and elided
		07       # DSCP 7
		f3 ff d03e
		4202aeae6067b161026173ff01083e52107388d4dad2040102`,
}, {
	name: "MPL echo request", // capture multicast, frame 54
	src:  short(0x9800), dst: short(0xffff), ctx: meshLocal,
	packet: `6000 0000 0020 00 40
		fd000db8000a000b fcb860817b6b5203
		ff03000000000000 0000000000000001
		3a 00 6d 04 40 00 9800
		8000 8396 0002 0002 0026c770000000000000000000000000`,
	wire: `7e 5a
		fcb860817b6b5203
		03 000001 # ff03::1
		e0 3a 06  # hop-by-hop, then ICMPv6, 6 bytes
		6d 04 40 00 9800
		8000 8396 0002 0002 0026c770000000000000000000000000`,
}, {
	name: "second context", // capture netdata-slaac, frame 39
	src:  short(0xec00), dst: short(0xec01), ctx: meshLocal,
	packet: `6000 0000 0010 3a 40
		fd11002200000000 57d09f62b4256981
		fd11002200000000 143650d85c223a1f
		8000 50ac 0001 0001 0023245200000000`,
	wire: `7a d5 11 3a # context ids follow; ICMPv6
		57d09f62b4256981 143650d85c223a1f
		8000 50ac 0001 0001 0023245200000000`,
}, {
	name: "RLOC of another node",
	src:  short(0x4c00), dst: short(0xbc00), ctx: meshLocal,
	packet: `6000 0000 0000 3b 3f
		fd000db8000a000b 000000fffe004c01
		fe80000000000000 000000fffe00fc00`,
	wire: `78 62 3b 3f # next header and 63 hops inline; 16 bits of both
		4c01 fc00`,
}, {
	name: "link-local with bits behind the prefix",
	src:  short(0x4c00), dst: short(0xbc00), ctx: meshLocal,
	packet: `6000 0000 0000 3b 01
		fe80000000000001 000000fffe004c00
		fe81000000000000 000000fffe00bc00`,
	wire: `79 00 3b
		fe80000000000001 000000fffe004c00
		fe81000000000000 000000fffe00bc00`,
}, {
	name: "unspecified source, ECN and DSCP with a flow label",
	src:  short(0x4c00), dst: short(0xbc00),
	packet: `6b9f edcb 0000 3b 02
		00000000000000000000000000000000
		ff02000000000000 00000001ff00fc00`,
	wire: `60 49
		6e 0fedcb 3b 02 # ECN 1, DSCP 46
		02 01ff00fc00   # 48 bits`,
}, {
	name: "ECN with a flow label",
	src:  short(0x4c00), dst: short(0xbc00),
	packet: `603f edcb 0000 3b 02
		20010db8000000000000000000000001
		ff05000000000000 0000010000000000`,
	wire: `68 08
		cfedcb 3b 02
		20010db8000000000000000000000001
		ff05000000000000 0000010000000000`,
}, {
	name: "group of all Thread nodes",
	src:  short(0x4c00), dst: short(0xffff), ctx: meshLocal,
	packet: `6000 0000 0000 3b 40
		fd000db8000a000b 000000fffe004c00
		ff330040fd000db8 000a000b00000001`,
	wire: `7a 7c 3b
		33 00 00000001`,
}, {
	name: "multicast with nothing after the scope",
	src:  short(0x4c00), dst: short(0xffff), ctx: meshLocal,
	packet: `6000 0000 0000 3b 40
		fd000db8000a000b 000000fffe004c00
		ff050000000000000000000000000000`,
	wire: `7a 7a 3b 05 000000`,
}, {
	name: "UDP ports of 8 bits, and unspecified destination",
	src:  short(1), dst: short(2),
	packet: `6000 0000 0009 11 40
		20010db8000000000000000000000001
		00000000000000000000000000000000
		f0b1 1633 0009 1234 ff`,
	wire: `7e 00
		20010db8000000000000000000000001
		00000000000000000000000000000000
		f2 b1 1633 1234 ff`,
}, {
	name: "UDP destination port of 8 bits",
	src:  short(1), dst: short(2),
	packet: `6000 0000 0008 11 40
		fe80000000000000 000000fffe000001
		fe80000000000000 000000fffe000002
		1633 f001 0008 0000`,
	wire: `7e 33 f1 1633 01 0000`,
}, {
	name: "multicast of larger scope, tunnelled to the MPL forwarders",
	src:  short(0x9800), dst: short(0xffff), ctx: meshLocal,
	packet: `6000 0000 0041 00 40
		fd000db8000a000b 000000fffe009800
		ff03000000000000 00000000000000fc
		29 00 6d 02 00 07 0100 # no seed: padding is needed
		6000 0000 0011 11 3f
		fd11002200000000 57d09f62b4256981
		ff05000000000000 000000000000abcd
		f0b1 f0b2 0011 beef 010203040506070809`,
	wire: `7e 7a
		03 0000fc
		e1 04 6d 02 00 07 # the padding goes
		ee
		7c da 10 3f
		57d09f62b4256981
		05 00abcd
		f3 12 beef 010203040506070809`,
}, {
	name: "hop-by-hop header with padding inside, UDP length of another packet",
	src:  short(1), dst: short(2),
	packet: `6000 0000 0018 00 40
		fe80000000000000 000000fffe000001
		fe80000000000000 000000fffe000002
		11 00 00 0101ff 0000
		1633 f001 0009 0000
		0000000000000000`,
	wire: `7e 33
		e0 11 05 000101ff00 # one Pad1 put back
		1633 f001 0009 0000
		0000000000000000`,
}, {
	name: "padding that is not zero",
	src:  short(1), dst: short(2),
	packet: `6000 0000 0008 00 40
		fe80000000000000 000000fffe000001
		fe80000000000000 000000fffe000002
		3b 00 01 04 00000001`,
	wire: `7e 33 e0 3b 06 010400000001`,
}, {
	name: "hop-by-hop header whose last option is cut",
	src:  short(1), dst: short(2),
	packet: `6000 0000 0008 00 40
		fe80000000000000 000000fffe000001
		fe80000000000000 000000fffe000002
		3b 00 01 09 00000000`,
	wire: `7e 33 e0 3b 06 010900000000`,
}, {
	name: "destination options stay inline",
	src:  short(1), dst: short(2),
	packet: `6000 0000 0008 3c 40
		fe80000000000000 000000fffe000001
		fe80000000000000 000000fffe000002
		3b 00 01 04 00000000`,
	wire: `7a 33 3c 3b 00 01 04 00000000`,
}, {
	name: "second hop-by-hop header stays inline",
	src:  short(1), dst: short(2),
	packet: `6000 0000 0010 00 40
		fe80000000000000 000000fffe000001
		fe80000000000000 000000fffe000002
		00 00 01 04 00000000
		3b 00 01 04 00000000`,
	wire: `7e 33 e0 00 00
		3b 00 01 04 00000000`,
}}

func TestVectors(t *testing.T) {
	for _, tt := range vectors {
		t.Run(tt.name, func(t *testing.T) {
			packet, wire := hexBytes(t, tt.packet), hexBytes(t, tt.wire)

			// Behind something that is there already.
			got, n, err := lowpan.Compress([]byte("head"), packet, tt.src, tt.dst, tt.ctx, 127)
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got[4:], packet[n:]...); !bytes.Equal(got, wire) {
				t.Errorf("compressed\n%x, want\n%x", got, wire)
			}

			back, err := lowpan.DecompressPacket([]byte("head"), wire, tt.src, tt.dst, tt.ctx)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(back[4:], packet) {
				t.Errorf("decompressed\n%x, want\n%x", back[4:], packet)
			}

			// The lengths of a fragmented packet come from its fragment header.
			head, _, err := lowpan.Decompress(nil, wire[:len(wire)-(len(packet)-n)], tt.src, tt.dst, tt.ctx, len(packet))
			if err != nil || !bytes.Equal(head, packet[:n]) {
				t.Errorf("headers alone\n%x, want\n%x, %v", head, packet[:n], err)
			}

			// Wherever it is cut the headers are an error, and the rest is left out.
			for i := range len(wire) - (len(packet) - n) {
				b, _, err := lowpan.Decompress([]byte("x"), wire[:i], tt.src, tt.dst, tt.ctx, len(packet))
				if !errors.Is(err, lowpan.ErrShort) || string(b) != "x" {
					t.Errorf("%d bytes: %x, %v", i, b, err)
				}
			}
		})
	}
}

// Forms that others may send.
func TestDecompressForms(t *testing.T) {
	const addrs = `fe80000000000000 000000fffe000001
		fe80000000000000 000000fffe000002`
	tests := []struct{ name, wire, packet string }{{
		name:   "uncompressed",
		wire:   `41 6000 0000 0001 3b 40` + addrs + `ff`,
		packet: `6000 0000 0001 3b 40` + addrs + `ff`,
	}, {
		name: "routing, fragment and destination options headers",
		wire: `7e 33
			e3 06 000102030405       # routing
			e5 06 0000 00000001      # fragment
			e7 02 c100               # destination options, padding elided
			f7 12                    # UDP without checksum
			aabb`,
		packet: `6000 0000 0022 2b 40` + addrs + `
			2c 00 000102030405
			3c 00 0000 00000001
			11 00 c100 01020000
			f0b1 f0b2 000a 0000
			aabb`,
	}, {
		name:   "mobility",
		wire:   `7e 33 e8 3b 06 000102030405`,
		packet: `6000 0000 0008 87 40` + addrs + `3b 00 000102030405`,
	}, {
		name:   "inner header although the flag says compressed",
		wire:   `7e 33 ef 7a 33 3b`,
		packet: `6000 0000 0028 29 40` + addrs + `6000 0000 0000 3b 40` + addrs,
	}, {
		name:   "64 bits where fewer would do",
		wire:   `7a 11 3b 000000fffe000001 000000fffe000002`,
		packet: `6000 0000 0000 3b 40` + addrs,
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := lowpan.DecompressPacket(nil, hexBytes(t, tt.wire), short(1), short(2), nil)
			if want := hexBytes(t, tt.packet); err != nil || !bytes.Equal(got, want) {
				t.Errorf("got\n%x, want\n%x, %v", got, want, err)
			}
		})
	}
}

func TestDecompressErrors(t *testing.T) {
	tests := []struct {
		name, wire string
		size       int
		err        error
		offset     int
	}{
		{name: "nothing", wire: ``, err: lowpan.ErrShort, offset: 0},
		{name: "a fragment", wire: `c0280001`, err: lowpan.ErrDispatch, offset: 0},
		{name: "uncompressed, cut", wire: `41 6000 0000`, err: lowpan.ErrShort, offset: 5},
		{name: "uncompressed, IPv4", wire: "41" + strings.Repeat("45", 40), err: ipv6.ErrVersion, offset: 1},
		{name: "reserved destination mode", wire: `7a 34 3b`, err: lowpan.ErrReserved, offset: 1},
		{name: "reserved multicast mode", wire: `7a 3d 3b`, err: lowpan.ErrReserved, offset: 3},
		{name: "unknown source context", wire: `7a f3 30 3b`, err: lowpan.ErrContext, offset: 4},
		{name: "unknown destination context", wire: `7a b7 03 3b`, err: lowpan.ErrContext, offset: 4},
		{name: "unknown multicast context", wire: `7a bc 03 3b 300000000001`, err: lowpan.ErrContext, offset: 4},
		{name: "no NHC", wire: `7e 33 80`, err: lowpan.ErrDispatch, offset: 2},
		{name: "reserved NHC", wire: `7e 33 ea 3b 06`, err: lowpan.ErrReserved, offset: 2},
		{name: "no NHC after an extension header", wire: `7e 33 e1 00 80`, err: lowpan.ErrDispatch, offset: 4},
		{name: "inner header is none", wire: `7e 33 ee 41`, err: lowpan.ErrShort, offset: 4},
		{name: "routing header of 7 bytes", wire: `7e 33 e2 3b 05 0001020304`, err: lowpan.ErrLength, offset: 2},
		{name: "fragment header of 16 bytes", wire: `7e 33 e4 3b 0e 000102030405060708090a0b0c0d`, err: lowpan.ErrLength, offset: 2},
		{name: "datagram smaller than its headers", wire: `7e 33 f3 12 beef`, size: 47, err: lowpan.ErrLength, offset: 6},
		{name: "datagram smaller than a header", wire: `7a 33 3b`, size: 39, err: lowpan.ErrLength, offset: 3},
		{name: "datagram smaller than an uncompressed header", wire: "41" + strings.Repeat("60", 40), size: 39, err: lowpan.ErrLength, offset: 0},
		{name: "datagram too large", wire: `7a 33 3b`, size: 2048, err: lowpan.ErrLength, offset: 0},
		{name: "frame too large", wire: strings.Repeat("00", 2048), err: lowpan.ErrLength, offset: 0},
		{name: "five IPv6 headers", wire: `7e33ee 7e33ee 7e33ee 7e33ee 7a333b`, err: lowpan.ErrNesting, offset: 12},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, n, err := lowpan.Decompress([]byte("x"), hexBytes(t, tt.wire), short(1), short(2), meshLocal, tt.size)
			if string(out) != "x" || n != 0 {
				t.Errorf("%d bytes became %x", n, out)
			}
			var de *lowpan.DecodeError
			if !errors.As(err, &de) || !errors.Is(err, tt.err) || de.Offset != tt.offset {
				t.Errorf("%v, want %v at byte %d", err, tt.err, tt.offset)
			}
			if err != nil && !strings.HasPrefix(err.Error(), "lowpan: ") {
				t.Errorf("whose error is %q?", err)
			}
		})
	}
	_, _, err := lowpan.Decompress(nil, hexBytes(t, `7a 33 3b`), ieee802154.Addr{}, short(2), nil, 0)
	if !errors.Is(err, lowpan.ErrAddress) {
		t.Errorf("no source address in the frame: %v", err)
	}
}

func TestCompressRefuses(t *testing.T) {
	packet := hexBytes(t, vectors[0].packet)
	wrongVersion := bytes.Clone(packet)
	wrongVersion[0] = 0x45
	for name, p := range map[string][]byte{
		"nothing": nil, "cut": packet[:len(packet)-1], "padded": append(bytes.Clone(packet), 0),
		"version 4": wrongVersion, "only a header": packet[:40], "too long": make([]byte, 2048),
	} {
		if out, n, err := lowpan.Compress([]byte("x"), p, short(1), short(2), nil, 127); err != lowpan.ErrPacket || n != 0 || string(out) != "x" {
			t.Errorf("%s: %x, %d, %v", name, out, n, err)
		}
	}
}

// With less room, fewer headers are compressed; what is written stays
// readable.
func TestCompressLimit(t *testing.T) {
	packet := hexBytes(t, vectors[12].packet) // IPv6, hop-by-hop, IPv6, UDP
	src, dst := short(0x9800), short(0xffff)
	last := -1
	var consumed []int
	for limit := 0; limit < 60; limit++ {
		b, n, err := lowpan.Compress(nil, packet, src, dst, meshLocal, limit)
		if err != nil {
			if err != lowpan.ErrSpace || last >= 0 {
				t.Errorf("limit %d: %v", limit, err)
			}
			continue
		}
		if len(b) > limit {
			t.Errorf("limit %d: %d bytes", limit, len(b))
		}
		if n != last {
			consumed = append(consumed, n)
			last = n
		}
		back, err := lowpan.DecompressPacket(nil, append(b, packet[n:]...), src, dst, meshLocal)
		if err != nil || !bytes.Equal(back, packet) {
			t.Errorf("limit %d: %v, got\n%x, want\n%x", limit, err, back, packet)
		}
	}
	if want := []int{40, 48, 88, 96}; !slices.Equal(consumed, want) {
		t.Errorf("headers end at %d, want %d", consumed, want)
	}
}

// Prefixes that do not end on a byte, or not where identifiers begin.
func TestContextPrefixLengths(t *testing.T) {
	tests := []struct {
		prefix, addr string
		mode         byte // SAM, with SAC in front
		n            int  // bytes of the address
	}{
		{"2001:db8::/32", "2001:db8::ff:fe00:1", 7, 0},
		{"2001:db8::/32", "2001:db8::ff:fe00:2", 6, 2},
		{"2001:db8::/32", "2001:db8::1", 5, 8},
		{"2001:db8::/32", "2001:db8:0:1::1", 0, 16}, // its subnet would be lost
		{"8000::/1", "8000::ff:fe00:1", 7, 0},
		{"8000::/1", "8001::ff:fe00:1", 0, 16},
		{"fc00::/7", "fc00::ff:fe00:2", 6, 2},
		{"fc00::/7", "fd00::ff:fe00:2", 0, 16},
		{"fd00:1:2:30::/60", "fd00:1:2:30::1", 5, 8},
		{"fd00:1:2:30::/60", "fd00:1:2:31::1", 0, 16},
		{"fd00:1:2:3:8000::/65", "fd00:1:2:3:8000:ff:fe00:1", 7, 0},
		{"fd00:1:2:3:8000::/65", "fd00:1:2:3:8000:ff:fe00:2", 6, 2},
		{"fd00:1:2:3:8000::/65", "fd00:1:2:3:8001::2", 5, 8},
		{"fd00:1:2:3::ff:fe00:4c00/127", "fd00:1:2:3::ff:fe00:4c01", 7, 0},
		{"fd00:1:2:3::ff:fe00:4c00/128", "fd00:1:2:3::ff:fe00:4c00", 7, 0},
		{"fd00:1:2:3::ff:fe00:4c02/127", "fd00:1:2:3::ff:fe00:4c02", 6, 2},
		{"::/0", "::ff:fe00:1", 7, 0},
	}
	for _, tt := range tests {
		ctx := contexts("fd00:db8:a:b::/64", "", "", tt.prefix)
		h := ipv6.Header{NextHeader: ipv6.ProtoNoNext, HopLimit: 64, Src: netip.MustParseAddr(tt.addr), Dst: ipv6.AllNodesLinkLocal}
		packet := h.Append(nil)
		b, _, err := lowpan.Compress(nil, packet, short(1), short(0xffff), ctx, 127)
		if err != nil {
			t.Fatal(err)
		}
		rest := 4 // encoding, next header, multicast
		if mode := b[1] >> 4 & 7; mode != tt.mode {
			t.Errorf("%s in %s: mode %d, want %d", tt.addr, tt.prefix, mode, tt.mode)
		} else if mode != 0 {
			rest++ // context ids
		}
		if len(b)-rest != tt.n {
			t.Errorf("%s in %s: %d bytes, want %d: %x", tt.addr, tt.prefix, len(b)-rest, tt.n, b)
		}
		back, err := lowpan.DecompressPacket(nil, b, short(1), short(0xffff), ctx)
		if err != nil || !bytes.Equal(back, packet) {
			t.Errorf("%s in %s: %v, got\n%x, want\n%x", tt.addr, tt.prefix, err, back, packet)
		}
	}
}

func TestContexts(t *testing.T) {
	cs := lowpan.Contexts{
		{ID: 0, Prefix: netip.MustParsePrefix("fd00:db8:a:b::/64"), Compress: true},
		{ID: 1, Prefix: netip.MustParsePrefix("fd11::/16"), Compress: true},
		{ID: 2, Prefix: netip.MustParsePrefix("fd11:22::/64")}, // on its way out
		{ID: 3, Prefix: netip.MustParsePrefix("fd11:22:0:0:8000::/65"), Compress: true},
		{ID: 4},
	}
	for addr, want := range map[string]int{
		"fd00:db8:a:b::1":     0,
		"fd11:23::1":          1,
		"fd11:22::1":          -1,
		"fd11:22:0:0:8000::1": 3,
		"fd12::1":             -1,
	} {
		c, ok := cs.ForAddr(netip.MustParseAddr(addr))
		if ok != (want >= 0) || ok && int(c.ID) != want {
			t.Errorf("%s: context %d, %v, want %d", addr, c.ID, ok, want)
		}
	}
	if c, ok := cs.ByID(2); !ok || c.ID != 2 {
		t.Error("a context on its way out cannot be found")
	}
	for _, id := range []uint8{4, 5} { // without a prefix; unknown
		if _, ok := cs.ByID(id); ok {
			t.Errorf("context %d was found", id)
		}
	}
}

func TestECN(t *testing.T) {
	for _, tt := range []struct {
		wire  string
		ecn   uint8
		ok    bool
		after string // marked, "" if that cannot be
	}{
		{`76 77 07 f3`, 0, true, `76 77 c7 f3`},
		{`68 08 8fedcb`, 2, true, `68 08 cfedcb`},
		{`60 c9 10 6e 0fedcb`, 1, true, `60 c9 10 ee 0fedcb`},
		{`7a 33 3b`, 0, true, ``},
		{`76 77`, 0, false, ``},
		{`76 f7 10`, 0, false, ``},
		{`76`, 0, false, ``},
		{`41 60`, 0, false, ``},
	} {
		b := hexBytes(t, tt.wire)
		if ecn, ok := lowpan.ECN(b); ecn != tt.ecn || ok != tt.ok {
			t.Errorf("%s: %d, %v", tt.wire, ecn, ok)
		}
		want := hexBytes(t, tt.after)
		if tt.after == "" {
			want = bytes.Clone(b)
		}
		if ok := lowpan.SetECN(b, ipv6.ECNMarked); ok != (tt.after != "") || !bytes.Equal(b, want) {
			t.Errorf("%s marked: %x, %v", tt.wire, b, ok)
		}
	}
}
