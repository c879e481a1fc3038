package ipv6_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"gatewayd/ipv6"
)

// hexBytes reads hexadecimal digits; a line may end in a # comment.
func hexBytes(t testing.TB, s string) []byte {
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

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// A TMF message of OpenThread to a leader, from a recording.
const tmfPacket = `61c0 0000 0021 11 40
	fd000db8000a000b 000000fffe004c01
	fd000db8000a000b 000000fffe00bc00
	f0bf f0bf 0021 d03e
	4202aeae6067b161026173ff01083e52107388d4dad2040102`

// Its echo request to ff03::1, the seed's RLOC16 in the MPL option.
const mplPacket = `6000 0000 0020 00 40
	fd000db8000a000b fcb860817b6b5203
	ff03000000000000 0000000000000001
	3a 00 6d 04 40 00 9800
	80 00 8396 0002 0002 0026c770000000000000000000000000`

func TestUDPPacket(t *testing.T) {
	wire := hexBytes(t, tmfPacket)
	h, payload, err := ipv6.DecodeHeader(append(bytes.Clone(wire), "padding"...))
	want := ipv6.Header{
		TrafficClass: 0x1c, PayloadLen: 33, NextHeader: ipv6.ProtoUDP, HopLimit: 64,
		Src: addr("fd00:db8:a:b::ff:fe00:4c01"), Dst: addr("fd00:db8:a:b::ff:fe00:bc00"),
	}
	if err != nil || h != want || len(payload) != 33 || cap(payload) != 33 {
		t.Fatalf("%+v, %d bytes, %v", h, len(payload), err)
	}
	if h.DSCP() != 7 || h.ECN() != ipv6.ECNNotCapable {
		t.Errorf("DSCP %d, ECN %d", h.DSCP(), h.ECN())
	}
	if !ipv6.VerifyChecksum(h.Src, h.Dst, h.NextHeader, payload) {
		t.Error("the checksum is wrong")
	}
	u, data, err := ipv6.DecodeUDP(append(bytes.Clone(payload), "padding"...))
	if err != nil || u != (ipv6.UDP{SrcPort: 61631, DstPort: 61631, Length: 33, Checksum: 0xd03e}) || len(data) != 25 {
		t.Fatalf("%+v, %x, %v", u, data, err)
	}
	h.PayloadLen, h.NextHeader = 0, 0 // AppendUDPPacket sets them
	if got := ipv6.AppendUDPPacket(nil, h, u.SrcPort, u.DstPort, data); !bytes.Equal(got, wire) {
		t.Errorf("made\n%x, want\n%x", got, wire)
	}
}

func TestICMPPacket(t *testing.T) {
	wire := hexBytes(t, mplPacket)
	h, payload, err := ipv6.DecodeHeader(wire)
	if err != nil {
		t.Fatal(err)
	}
	proto, at, err := ipv6.Transport(wire)
	if err != nil || proto != ipv6.ProtoICMPv6 || at != 48 {
		t.Fatalf("protocol %d at %d, %v", proto, at, err)
	}
	if !ipv6.VerifyChecksum(h.Src, h.Dst, proto, wire[at:]) {
		t.Error("the checksum is wrong")
	}
	mpl, found, err := ipv6.FindMPL(wire)
	if err != nil || !found || !reflect.DeepEqual(mpl, ipv6.MPLOption{SeedLen: 2, Seq: 0, Seed: 0x9800}) {
		t.Errorf("MPL option %+v, %v, %v", mpl, found, err)
	}
	m, err := ipv6.DecodeICMP(wire[at:])
	if err != nil || m.Type != ipv6.ICMPEchoRequest || m.Code != 0 || m.Checksum != 0x8396 || m.IsError() {
		t.Fatalf("%+v, %v", m, err)
	}
	e, err := ipv6.DecodeEcho(m.Body)
	if err != nil || e.ID != 2 || e.Seq != 2 || len(e.Data) != 16 {
		t.Fatalf("%+v, %v", e, err)
	}

	// The same from its parts.
	got := h.Append(nil)
	got = ipv6.AppendMPLHeader(got, ipv6.ProtoICMPv6, mpl)
	got = ipv6.AppendICMP(got, h.Src, h.Dst, m.Type, m.Code, e.Append(nil))
	if !bytes.Equal(got, wire) {
		t.Errorf("made\n%x, want\n%x", got, wire)
	}
	plain := ipv6.AppendICMPPacket(nil, h, m.Type, m.Code, m.Body)
	if h, body, err := ipv6.DecodeHeader(plain); err != nil || h.NextHeader != ipv6.ProtoICMPv6 || !bytes.Equal(body, payload[8:]) {
		t.Errorf("without the option: %+v, %x, %v", h, body, err)
	}
}

func TestHeaderFields(t *testing.T) {
	wire := hexBytes(t, `6b9f edcb 0000 3b 02
		20010db8000000000000000000000001 ff020000000000000000000000000001`)
	want := ipv6.Header{
		TrafficClass: 0xb9, FlowLabel: 0xfedcb, NextHeader: ipv6.ProtoNoNext, HopLimit: 2,
		Src: addr("2001:db8::1"), Dst: ipv6.AllNodesLinkLocal,
	}
	h, payload, err := ipv6.DecodeHeader(wire)
	if err != nil || h != want || len(payload) != 0 {
		t.Errorf("%+v, %x, %v", h, payload, err)
	}
	h.FlowLabel |= 0xfff << 20 // more than fits is cut
	if got := h.Append(nil); !bytes.Equal(got, wire) {
		t.Errorf("made %x", got)
	}
	ipv6.SetHopLimit(wire, 1)
	ipv6.SetECN(wire, ipv6.ECNMarked)
	if h, _, _ := ipv6.DecodeHeader(wire); h.HopLimit != 1 || h.ECN() != ipv6.ECNMarked || h.DSCP() != 46 || h.FlowLabel != 0xfedcb {
		t.Errorf("changed to %+v", h)
	}
	if got := (ipv6.Header{}).Append(nil); !bytes.Equal(got, append([]byte{0x60}, make([]byte, 39)...)) {
		t.Errorf("zero header: %x", got)
	}
}

// naive is the checksum by the book, a 16-bit word at a time.
func naive(src, dst netip.Addr, proto uint8, payload []byte) uint16 {
	b := append(src.AsSlice(), dst.AsSlice()...)
	n := len(payload)
	b = append(b, byte(n>>24), byte(n>>16), byte(n>>8), byte(n), 0, 0, 0, proto)
	b = append(append(b, payload...), 0)
	sum := uint32(0)
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

func TestChecksum(t *testing.T) {
	src, dst := addr("fd00:db8:a:b:ffff:ffff:ffff:ffff"), addr("ff03::1")
	b := make([]byte, 1300)
	for i := range b {
		b[i] = byte(251 * i)
	}
	for n := range b {
		for _, fill := range []byte{0, 0xff} {
			p := bytes.Clone(b[:n])
			if fill == 0xff {
				p = bytes.Repeat([]byte{fill}, n)
			}
			if got, want := ipv6.Checksum(src, dst, ipv6.ProtoICMPv6, p), naive(src, dst, ipv6.ProtoICMPv6, p); got != want {
				t.Fatalf("%d bytes: %#x, want %#x", n, got, want)
			}
		}
	}
}

// A UDP checksum that comes out as zero is sent as 0xffff (RFC 8200 Section
// 8.1), and none at all is not valid.
func TestUDPChecksumZero(t *testing.T) {
	src, dst := addr("fe80::1"), addr("fe80::2")
	zero := ipv6.AppendUDP(nil, src, dst, 1, 2, []byte{0, 0})
	sum := zero[6:8]
	b := ipv6.AppendUDP(nil, src, dst, 1, 2, sum)
	if b[6] != 0xff || b[7] != 0xff {
		t.Fatalf("checksum %x", b[6:8])
	}
	if !ipv6.VerifyChecksum(src, dst, ipv6.ProtoUDP, b) {
		t.Error("0xffff is refused")
	}
	b[6], b[7] = 0, 0
	if ipv6.VerifyChecksum(src, dst, ipv6.ProtoUDP, b) {
		t.Error("no checksum is accepted")
	}
	if ipv6.VerifyChecksum(src, dst, ipv6.ProtoUDP, b[:7]) {
		t.Error("half a header is accepted")
	}
	b = ipv6.AppendICMP(nil, src, dst, ipv6.ICMPEchoRequest, 0, []byte("odd"))
	if !ipv6.VerifyChecksum(src, dst, ipv6.ProtoICMPv6, b) {
		t.Error("an odd length is refused")
	}
	for i := range b {
		b[i] ^= 0x10
		if ipv6.VerifyChecksum(src, dst, ipv6.ProtoICMPv6, b) {
			t.Errorf("byte %d may change", i)
		}
		b[i] ^= 0x10
	}
}

func TestDecodeErrors(t *testing.T) {
	tmf := hexBytes(t, tmfPacket)
	header := func(b []byte) error { _, _, err := ipv6.DecodeHeader(b); return err }
	udp := func(b []byte) error { _, _, err := ipv6.DecodeUDP(b); return err }
	icmp := func(b []byte) error { _, err := ipv6.DecodeICMP(b); return err }
	echo := func(b []byte) error { _, err := ipv6.DecodeEcho(b); return err }
	errBody := func(b []byte) error { _, err := ipv6.DecodeErrorBody(b); return err }
	transport := func(b []byte) error { _, _, err := ipv6.Transport(b); return err }
	mpl := func(b []byte) error { _, err := ipv6.DecodeMPL(b); return err }
	findMPL := func(b []byte) error { _, _, err := ipv6.FindMPL(b); return err }
	option := func(b []byte) error { _, _, err := ipv6.NextOption(b); return err }
	fragment := func(b []byte) error { _, err := ipv6.DecodeFragment(b); return err }
	head := func(next byte, after string) []byte {
		b := bytes.Clone(tmf[:40])
		b[6] = next
		return append(b, hexBytes(t, after)...)
	}
	tests := []struct {
		name   string
		decode func([]byte) error
		in     []byte
		err    error
		offset int
	}{
		{"header cut", header, tmf[:39], ipv6.ErrShort, 39},
		{"version 4", header, append([]byte{0x45}, tmf[1:]...), ipv6.ErrVersion, 0},
		{"payload cut", header, tmf[:72], ipv6.ErrShort, 72},
		{"UDP header cut", udp, tmf[40:47], ipv6.ErrShort, 7},
		{"UDP length 7", udp, hexBytes(t, `0001 0002 0007 ffff`), ipv6.ErrLength, 4},
		{"UDP payload cut", udp, tmf[40:72], ipv6.ErrShort, 32},
		{"ICMPv6 cut", icmp, []byte{128, 0, 0}, ipv6.ErrShort, 3},
		{"echo cut", echo, []byte{0, 1, 0}, ipv6.ErrShort, 3},
		{"error cut", errBody, []byte{0, 1, 0}, ipv6.ErrShort, 3},
		{"fragment cut", fragment, []byte{0, 1, 0, 0, 0}, ipv6.ErrShort, 5},
		{"walk without header", transport, tmf[:39], ipv6.ErrShort, 39},
		{"walk over version 4", transport, append([]byte{0x45}, tmf[1:]...), ipv6.ErrVersion, 0},
		{"walk beyond the end", transport, head(0, `3c00010400000000 1101000000000000`), ipv6.ErrShort, 48},
		{"walk to nothing", transport, head(43, ``), ipv6.ErrShort, 40},
		{"no option", option, nil, ipv6.ErrShort, 0},
		{"option without length", option, []byte{0x6d}, ipv6.ErrShort, 1},
		{"option cut", option, []byte{0x6d, 2, 0}, ipv6.ErrShort, 3},
		{"MPL cut", mpl, []byte{0x40}, ipv6.ErrShort, 1},
		{"MPL seed cut", mpl, []byte{0x40, 0, 0x98}, ipv6.ErrShort, 3},
		{"MPL seed too long", mpl, []byte{0, 0, 0x98, 0}, ipv6.ErrMPL, 2},
		{"MPL of another version", mpl, []byte{0x10, 0}, ipv6.ErrMPL, 0},
		{"hop-by-hop header cut", findMPL, head(0, `3a 01 010400000000`), ipv6.ErrShort, 40},
		{"hop-by-hop option cut", findMPL, head(0, `3a 00 0100 6d04 0000`), ipv6.ErrShort, 44},
		{"no packet to look for MPL in", findMPL, tmf[:39], ipv6.ErrShort, 39},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.decode(tt.in)
			var de *ipv6.DecodeError
			if !errors.As(err, &de) || !errors.Is(err, tt.err) || de.Offset != tt.offset {
				t.Fatalf("%v, want %v at byte %d", err, tt.err, tt.offset)
			}
			if !strings.HasPrefix(err.Error(), "ipv6: ") {
				t.Errorf("whose error is %q?", err)
			}
		})
	}
}

func TestTransport(t *testing.T) {
	head := hexBytes(t, tmfPacket)[:40]
	tests := []struct {
		name  string
		next  byte
		after string
		proto uint8
		at    int
	}{
		{"UDP at once", 17, ``, 17, 40},
		{"no next header", 59, ``, 59, 40},
		{"inner IPv6", 41, ``, 41, 40},
		{"all of them", 0, `
			3c 00 010400000000
			2b 01 0104000000000000000000000000
			2c 00 000000000000
			06 ff 0001 00000001 # first fragment; the second byte is no length`, 6, 80},
		{"later fragment", 44, `11 00 0009 00000001`, 44, 40},
		{"unknown protocol", 200, `ffff`, 200, 40},
	}
	for _, tt := range tests {
		b := append(bytes.Clone(head), hexBytes(t, tt.after)...)
		b[6] = tt.next
		if proto, at, err := ipv6.Transport(b); err != nil || proto != tt.proto || at != tt.at {
			t.Errorf("%s: protocol %d at %d, %v", tt.name, proto, at, err)
		}
	}
}

func TestFragmentHeader(t *testing.T) {
	for _, tt := range []struct {
		wire string
		want ipv6.Fragment
	}{
		{`11 00 0001 deadbeef`, ipv6.Fragment{More: true, ID: 0xdeadbeef}},
		{`11 00 04d0 00000001`, ipv6.Fragment{Offset: 1232, ID: 1}},
	} {
		b := hexBytes(t, tt.wire)
		e, rest, err := ipv6.DecodeExt(ipv6.ProtoFragment, b)
		if err != nil || len(rest) != 0 || e.Next != 17 || e.Proto != ipv6.ProtoFragment {
			t.Fatalf("%+v, %x, %v", e, rest, err)
		}
		f, err := ipv6.DecodeFragment(e.Data)
		if err != nil || f != tt.want {
			t.Errorf("%s: %+v, %v", tt.wire, f, err)
		}
		if got := tt.want.Append(nil, 17); !bytes.Equal(got, b) {
			t.Errorf("%+v became %x", tt.want, got)
		}
	}
}

func TestMPLOption(t *testing.T) {
	long := bytes.Repeat([]byte{0xab}, 16)
	tests := []struct {
		wire string // the whole hop-by-hop header
		want ipv6.MPLOption
	}{
		{`11 00 6d 02 00 07 0100`, ipv6.MPLOption{Seq: 7}},
		{`11 00 6d 04 60 ff bc00`, ipv6.MPLOption{SeedLen: 2, Max: true, Seq: 255, Seed: 0xbc00}},
		{`11 01 6d 0a 80 01 abababababababab 0100`, ipv6.MPLOption{SeedLen: 8, Seq: 1, LongSeed: long[:8]}},
		{`11 02 6d 12 c0 01 abababababababababababababababab 0100`, ipv6.MPLOption{SeedLen: 16, Seq: 1, LongSeed: long}},
	}
	for _, tt := range tests {
		b := hexBytes(t, tt.wire)
		if got := ipv6.AppendMPLHeader(nil, 17, tt.want); !bytes.Equal(got, b) {
			t.Errorf("%+v became %x, want %x", tt.want, got, b)
		}
		packet := append(ipv6.Header{NextHeader: ipv6.ProtoHopByHop}.Append(nil), b...)
		if m, found, err := ipv6.FindMPL(packet); err != nil || !found || !reflect.DeepEqual(m, tt.want) {
			t.Errorf("%s: %+v, %v, %v", tt.wire, m, found, err)
		}
	}
	without := append(ipv6.Header{NextHeader: ipv6.ProtoHopByHop}.Append(nil), hexBytes(t, `11 00 00 0101ff 0502`)...)
	without = append(without[:44], 0, 0, 0, 0)
	for _, p := range [][]byte{hexBytes(t, tmfPacket), without} {
		if _, found, err := ipv6.FindMPL(p); found || err != nil {
			t.Errorf("%x: %v, %v", p, found, err)
		}
	}
	bad := append(ipv6.Header{NextHeader: ipv6.ProtoHopByHop}.Append(nil), hexBytes(t, `11 00 6d 04 50 ff bc00`)...)
	if _, found, err := ipv6.FindMPL(bad); found || !errors.Is(err, ipv6.ErrMPL) {
		t.Errorf("another version: %v, %v", found, err)
	}
}

func TestOptions(t *testing.T) {
	alert := ipv6.Option{Type: 0x05, Data: []byte{0, 0}}
	b := ipv6.AppendOptions([]byte("x"), 58, alert, ipv6.Option{Type: ipv6.OptPad1}, ipv6.Option{Type: 0xc2, Data: make([]byte, 4)})
	if want := hexBytes(t, `3a 01 05020000 00 c20400000000 01 01 00`); !bytes.Equal(b[1:], want) {
		t.Fatalf("made %x, want %x", b[1:], want)
	}
	e, _, err := ipv6.DecodeExt(ipv6.ProtoHopByHop, b[1:])
	if err != nil {
		t.Fatal(err)
	}
	var types []uint8
	var pads int
	for data := e.Data; len(data) > 0; {
		var o ipv6.Option
		if o, data, err = ipv6.NextOption(data); err != nil {
			t.Fatal(err)
		}
		types = append(types, o.Type)
		if o.IsPad() {
			pads++
		}
	}
	if !bytes.Equal(types, []byte{5, 0, 0xc2, 1}) || pads != 2 {
		t.Errorf("options %x, %d of them padding", types, pads)
	}
	for typ, want := range map[uint8]ipv6.Action{
		0x05: ipv6.Skip, ipv6.OptMPL: ipv6.Discard, 0x8a: ipv6.DiscardTell, 0xc2: ipv6.DiscardTellUcast,
	} {
		if got := (ipv6.Option{Type: typ}).Action(); got != want {
			t.Errorf("option %#x: action %d, want %d", typ, got, want)
		}
	}
	for n := range 8 {
		pad := ipv6.AppendPad(nil, n)
		if len(pad) != n {
			t.Errorf("%d bytes of padding: %x", n, pad)
		}
		if n == 0 {
			continue
		}
		if o, rest, err := ipv6.NextOption(pad); err != nil || len(rest) != 0 || !o.IsPad() {
			t.Errorf("padding %x: %+v, %x, %v", pad, o, rest, err)
		}
	}
}

// An error about a full-size packet is itself no larger than that.
func TestErrorBody(t *testing.T) {
	packet := ipv6.AppendUDPPacket(nil, ipv6.Header{Src: addr("fe80::1"), Dst: addr("fe80::2"), HopLimit: 1}, 1, 2, make([]byte, 1232))
	if len(packet) != ipv6.MinMTU {
		t.Fatalf("%d bytes", len(packet))
	}
	body := ipv6.ErrorBody{Param: 1280, Invoking: packet}.Append(nil)
	h := ipv6.Header{Src: addr("fe80::2"), Dst: addr("fe80::1"), HopLimit: 64}
	b := ipv6.AppendICMPPacket(nil, h, ipv6.ICMPPacketTooBig, 0, body)
	if len(b) != ipv6.MinMTU {
		t.Errorf("error of %d bytes", len(b))
	}
	m, err := ipv6.DecodeICMP(b[40:])
	if err != nil || !m.IsError() {
		t.Fatalf("%+v, %v", m, err)
	}
	e, err := ipv6.DecodeErrorBody(m.Body)
	if err != nil || e.Param != 1280 || !bytes.Equal(e.Invoking, packet[:1232]) {
		t.Errorf("%d, %d bytes, %v", e.Param, len(e.Invoking), err)
	}
	small := ipv6.ErrorBody{Invoking: packet[:48]}.Append(nil)
	if len(small) != 52 {
		t.Errorf("short packet: %d bytes", len(small))
	}
}

func TestAddresses(t *testing.T) {
	for a, want := range map[string]uint8{
		"ff01::1": ipv6.ScopeInterface, "ff02::1": ipv6.ScopeLink, "ff03::fc": ipv6.ScopeRealm, "ff04::1": ipv6.ScopeAdmin,
		"ff35:40:fd00::1": ipv6.ScopeSite, "ff08::1": ipv6.ScopeOrg, "ff0e::1": ipv6.ScopeGlobal,
		"fe80::1": ipv6.ScopeLink, "::1": ipv6.ScopeInterface, "fd00::1": ipv6.ScopeGlobal, "2001:db8::1": ipv6.ScopeGlobal,
		"192.0.2.1": ipv6.ScopeGlobal, "169.254.1.1": ipv6.ScopeLink,
	} {
		if got := ipv6.Scope(addr(a)); got != want {
			t.Errorf("%s: scope %d, want %d", a, got, want)
		}
	}
	for _, tt := range []struct {
		scope  uint8
		prefix string
		want   string
	}{
		{ipv6.ScopeLink, "fd00:db8:a:b::/64", "ff32:40:fd00:db8:a:b:0:1"},
		{ipv6.ScopeRealm, "fd00:db8:a:b::/64", "ff33:40:fd00:db8:a:b:0:1"},
		{ipv6.ScopeRealm, "fd00:1:2:3f::/60", "ff33:3c:fd00:1:2:30:0:1"},
	} {
		if got := ipv6.PrefixMulticast(tt.scope, netip.MustParsePrefix(tt.prefix), 1); got != addr(tt.want) {
			t.Errorf("%s, scope %d: %v, want %s", tt.prefix, tt.scope, got, tt.want)
		}
	}
}
