package nat64

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"gatewayd/ipv6"
)

// sessionsOfAll opens a session of each protocol and returns the packets as IPv4
// saw them, and the answers as the mesh saw them.
func sessionsOfAll(b *bench) (sent [numProtos][]byte, got [numProtos][]byte) {
	sent[UDP] = b.out(udp6(device, under(server), 5000, 53, []byte("question")))
	sent[TCP] = b.out(tcp6(device, under(server), 5001, 80, flagSYN, []byte("data")))
	sent[ICMP] = b.out(echo6(device, under(server), 128, 5002, 1, []byte("ping")))
	own := src4(sent[UDP])
	got[UDP] = b.in(udp4(server, own, 53, word(sent[UDP], 20), []byte("answer")))
	got[TCP] = b.in(tcp4(server, own, 80, word(sent[TCP], 20), flagSYN|flagACK, nil))
	got[ICMP] = b.in(echo4(server, own, 0, word(sent[ICMP], 24), 1, []byte("ping")))
	return sent, got
}

// An error about what a host of the mesh sent reaches it, and has in it what the
// host sent.
func TestErrorsFromIPv4(t *testing.T) {
	b := newBench(t, nil)
	// Another host has the ports first, so that they are translated.
	for _, p := range [][]byte{
		udp6(device2, under(server), 5000, 53, nil), tcp6(device2, under(server), 5001, 80, flagSYN, nil),
		echo6(device2, under(server), 128, 5002, 1, nil),
	} {
		b.out(p)
	}
	sent, _ := sessionsOfAll(b)
	router := netip.MustParseAddr("192.0.2.1")
	original := [numProtos][]byte{
		udp6(device, under(server), 5000, 53, []byte("question")),
		tcp6(device, under(server), 5001, 80, flagSYN, []byte("data")),
		echo6(device, under(server), 128, 5002, 1, []byte("ping")),
	}
	for proto, p := range sent {
		before := b.Usage()
		// Routers may quote eight bytes of the payload or all of it.
		for _, n := range []int{28, len(p)} {
			e := b.in(icmp4(router, src4(p), 11, 0, 0, p[:n]))
			if src6(e) != under(router) || dst6(e) != device || e[40] != 3 || e[41] != 0 {
				t.Errorf("%v: %x", Proto(proto), e)
			}
			want := bytes.Clone(original[proto])
			want[7]-- // the hop limit has been decremented
			if inner := e[48:]; !bytes.Equal(inner, want[:min(len(want), 20+n)]) {
				t.Errorf("%v: quotes\n%x, want\n%x", Proto(proto), inner, want)
			}
		}
		b.wait(time.Second)
		if b.Usage() != before {
			t.Error("an error changed the tables")
		}
	}
	// Errors about what was never sent go nowhere.
	p := bytes.Clone(sent[UDP])
	copy(p[16:], server2.AsSlice())
	b.refused4(icmp4(router, src4(p), 11, 0, 0, p), NoMapping)
	p = bytes.Clone(sent[UDP])
	p[21]++
	b.refused4(icmp4(router, src4(p), 11, 0, 0, p), NoMapping)
	p = bytes.Clone(sent[UDP])
	p[7] = 1 // not the first fragment
	b.refused4(icmp4(router, src4(p), 11, 0, 0, p), NoMapping)
	// Or with a wrong checksum, or too short.
	e := icmp4(router, src4(p), 11, 0, 0, sent[UDP])
	e[22]++
	b.refused4(e, Malformed)
	b.refused4(icmp4(router, src4(p), 11, 0, 0, sent[UDP][:19]), Malformed)
	b.refused4(icmp4(router, src4(p), 11, 0, 0, sent[UDP][:27]), Unsupported)
	// Extensions are cut off: 28 bytes of datagram padded to 128.
	ext := append(append(bytes.Clone(sent[UDP]), make([]byte, 128-len(sent[UDP]))...), 0x20, 0, 0, 0, 0, 8, 1, 1, 0, 0, 0, 0)
	if x := b.in(icmp4(router, src4(p), 11, 0, 32<<16, ext)); len(x) != 40+8+40+16 || binary.BigEndian.Uint32(x[44:]) != 0 {
		t.Errorf("with extensions: %x", x)
	}
}

// And the other way.
func TestErrorsFromMesh(t *testing.T) {
	b := newBench(t, nil)
	for _, p := range [][]byte{
		udp6(device2, under(server), 5000, 53, nil), tcp6(device2, under(server), 5001, 80, flagSYN, nil),
		echo6(device2, under(server), 128, 5002, 1, nil),
	} {
		b.out(p)
	}
	sent, got := sessionsOfAll(b)
	own := src4(sent[UDP])
	original := [numProtos][]byte{
		udp4(server, own, 53, word(sent[UDP], 20), []byte("answer")),
		tcp4(server, own, 80, word(sent[TCP], 20), flagSYN|flagACK, nil),
		echo4(server, own, 0, word(sent[ICMP], 24), 1, []byte("ping")),
	}
	router := netip.MustParseAddr("fd00:1::1") // has no session itself
	for proto, p := range got {
		for _, from := range []netip.Addr{device, router} {
			e := b.out(icmp6(from, under(server), 1, 4, 0, p))
			if src4(e) != own || dst4(e) != server || e[20] != 3 || e[21] != 3 {
				t.Errorf("%v: %x", Proto(proto), e)
			}
			want, inner := bytes.Clone(original[proto]), bytes.Clone(e[28:])
			want[8]--
			copy(want[4:8], inner[4:8]) // identification and DF are not kept
			copy(want[10:12], inner[10:12])
			if !bytes.Equal(inner, want) {
				t.Errorf("%v: quotes\n%x, want\n%x", Proto(proto), inner, want)
			}
		}
	}
	// Quotes are cut to what IPv4 allows.
	big := b.in(udp4(server, own, 53, word(sent[UDP], 20), make([]byte, 1000)))
	if e := b.out(icmp6(device, under(server), 1, 4, 0, big)); len(e) != 576 {
		t.Errorf("an error of %d bytes", len(e))
	}
	b.refused6(icmp6(device, under(server2), 1, 4, 0, got[UDP]), NoMapping)
	p := bytes.Clone(got[UDP])
	p[41]++ // another remote port
	b.refused6(icmp6(device, under(server), 1, 4, 0, p), NoMapping)
	b.refused6(icmp6(device, under(server), 1, 4, 0, got[UDP][:47]), Unsupported)
	b.refused6(icmp6(device, under(server), 1, 4, 0, got[UDP][:39]), Malformed)
	e := icmp6(device, under(server), 1, 4, 0, got[UDP])
	e[42]++
	b.refused6(e, Malformed)
}

// RFC 7915 Sections 4.2 and 5.2, line by line.
func TestErrorTables(t *testing.T) {
	type line struct{ typ, code, param, typ2, code2, param2 int }
	drop := -1
	for _, l := range []line{
		{3, 0, 0, 1, 0, 0}, {3, 1, 0, 1, 0, 0}, {3, 2, 0, 4, 1, 6}, {3, 3, 0, 1, 4, 0}, {3, 5, 0, 1, 0, 0}, {3, 8, 0, 1, 0, 0},
		{3, 9, 0, 1, 1, 0}, {3, 10, 0, 1, 1, 0}, {3, 11, 0, 1, 0, 0}, {3, 12, 0, 1, 0, 0}, {3, 13, 0, 1, 1, 0}, {3, 14, 0, drop, 0, 0},
		{3, 15, 0, 1, 1, 0}, {3, 16, 0, drop, 0, 0},
		{3, 4, 1400, 2, 0, 1420}, {3, 4, 1000, 2, 0, 1280}, {3, 4, 1500, 2, 0, 1500}, {3, 4, 9000, 2, 0, 1500}, {3, 4, 0, 2, 0, 1280},
		{11, 0, 0, 3, 0, 0}, {11, 1, 0, 3, 1, 0}, {11, 2, 0, drop, 0, 0},
		{12, 0, 0 << 24, 4, 0, 0}, {12, 0, 8 << 24, 4, 0, 7}, {12, 0, 9 << 24, 4, 0, 6}, {12, 2, 12 << 24, 4, 0, 8}, {12, 0, 16 << 24, 4, 0, 24},
		{12, 0, 4 << 24, drop, 0, 0}, {12, 0, 20 << 24, drop, 0, 0}, {12, 1, 0, drop, 0, 0},
		{4, 0, 0, drop, 0, 0}, {5, 0, 0, drop, 0, 0},
	} {
		e, ok := errorTo6(icmpError{uint8(l.typ), uint8(l.code), uint32(l.param)}, 1300, 1500, 1500)
		want := icmpError{uint8(l.typ2), uint8(l.code2), uint32(l.param2)}
		if ok != (l.typ2 != drop) || ok && e != want {
			t.Errorf("to IPv6 %+v: %+v, %v", l, e, ok)
		}
	}
	for _, l := range []line{
		{1, 0, 0, 3, 1, 0}, {1, 1, 0, 3, 10, 0}, {1, 2, 0, 3, 1, 0}, {1, 3, 0, 3, 1, 0}, {1, 4, 0, 3, 3, 0}, {1, 5, 0, drop, 0, 0},
		{2, 0, 1280, 3, 4, 1260}, {2, 0, 100, 3, 4, 1260}, {2, 0, 1400, 3, 4, 1380}, {2, 0, 1 << 30, 3, 4, 1480},
		{3, 0, 0, 11, 0, 0}, {3, 1, 0, 11, 1, 0}, {3, 2, 0, drop, 0, 0},
		{4, 1, 6, 3, 2, 0}, {4, 0, 6, 12, 0, 9 << 24}, {4, 0, 7, 12, 0, 8 << 24}, {4, 0, 39, 12, 0, 16 << 24}, {4, 0, 2, drop, 0, 0},
		{4, 0, 40, drop, 0, 0}, {4, 2, 0, drop, 0, 0}, {100, 0, 0, drop, 0, 0},
	} {
		e, ok := errorTo4(icmpError{uint8(l.typ), uint8(l.code), uint32(l.param)}, 1500, 1500)
		want := icmpError{uint8(l.typ2), uint8(l.code2), uint32(l.param2)}
		if ok != (l.typ2 != drop) || ok && e != want {
			t.Errorf("to IPv4 %+v: %+v, %v", l, e, ok)
		}
	}
}

// The translator is a router: hop limits and sizes count.
func TestOwnErrors(t *testing.T) {
	b := newBench(t, func(c *Config) { c.MTU4 = 1300 })
	sent, _ := sessionsOfAll(b)
	own := src4(sent[UDP])

	p := udp6(device, under(server), 5000, 53, []byte("x"))
	ipv6.SetHopLimit(p, 1)
	e := b.refused6(p, Expired)
	if e == nil || e[40] != 3 || e[41] != 0 || src6(e) != b.Addr() || dst6(e) != device || !bytes.Equal(e[48:], p) {
		t.Errorf("hop limit: %x", e)
	}
	q := udp4(server, own, 53, 5000, []byte("x"))
	q[8] = 1
	q = seal(t, q)
	e = b.refused4(q, Expired)
	if e == nil || e[20] != 11 || e[21] != 0 || src4(e) != own || dst4(e) != server || !bytes.Equal(e[28:], q) {
		t.Errorf("TTL: %x", e)
	}

	// 1281 bytes is one too many for the mesh.
	big := func(n int, frag uint16) []byte {
		p := udp4(server, own, 53, 5000, make([]byte, n))
		binary.BigEndian.PutUint16(p[6:], frag)
		return seal(t, p)
	}
	if p := b.in(big(1280-40-8, 0x4000)); len(p) != 1280 {
		t.Errorf("%d bytes", len(p))
	}
	e = b.refused4(big(1280-40-8+1, 0x4000), TooBig)
	if e == nil || e[20] != 3 || e[21] != 4 || word(e, 26) != 1260 || len(e) != 576 {
		t.Errorf("too big for the mesh: %x", e)
	}
	// And 1301 one too many for IPv4.
	e = b.refused6(udp6(device, under(server), 5000, 53, make([]byte, 1300-20-8+1)), TooBig)
	if e == nil || e[40] != 2 || binary.BigEndian.Uint32(e[44:]) != 1320 || len(e) != 1280 {
		t.Errorf("too big for IPv4: %x", e)
	}
	if p := b.out(udp6(device, under(server), 5000, 53, make([]byte, 1300-20-8))); word(p, 6) != 0x4000 {
		t.Errorf("a large packet may be fragmented: %x", p[:20])
	}
	if p := b.out(udp6(device, under(server), 5000, 53, make([]byte, 1260-20-8))); word(p, 6) != 0 {
		t.Errorf("a small packet may not be fragmented: %x", p[:20])
	}

	// A routing header that has not ended, named by the place of what is wrong.
	h := head6(device, under(server))
	h.NextHeader, h.PayloadLen = 43, 8+8
	p = append(h.Append(nil), 17, 0, 4, 1, 0, 0, 0, 0)
	p = append(p, udp6(device, under(server), 5000, 53, nil)[40:]...)
	e = b.refused6(p, Options)
	if e == nil || e[40] != 4 || e[41] != 0 || binary.BigEndian.Uint32(e[44:]) != 43 {
		t.Errorf("routing header: %x", e)
	}
	// Protocols that there are no sessions of.
	h.NextHeader = 50
	e = b.refused6(append(h.Append(nil), make([]byte, 16)...), Unsupported)
	if e == nil || e[40] != 1 || e[41] != 4 {
		t.Errorf("ESP: %x", e)
	}
	e = b.refused4(ip4(server, own, 47, 64, 1, 0, make([]byte, 8)), Unsupported)
	if e == nil || e[20] != 3 || e[21] != 2 {
		t.Errorf("GRE: %x", e)
	}
	// No error about an error.
	p = icmp6(device, under(server), 1, 4, 0, make([]byte, 48))
	ipv6.SetHopLimit(p, 1)
	if e := b.refused6(p, Expired); e != nil {
		t.Errorf("answer to an error: %x", e)
	}
	q = icmp4(server, own, 3, 3, 0, make([]byte, 28))
	q[8] = 1
	if e := b.refused4(seal(t, q), Expired); e != nil {
		t.Errorf("answer to an error: %x", e)
	}
}

// Errors have a rate.
func TestErrorRate(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Limits.ErrorRate = 10 })
	p := udp6(device, under(server), 5000, 53, nil)
	ipv6.SetHopLimit(p, 1)
	flood := func(want int) {
		t.Helper()
		for range 1000 {
			b.FromMesh(p)
		}
		if mesh, _ := b.take(); len(mesh) != want {
			t.Errorf("%d errors, want %d", len(mesh), want)
		}
	}
	flood(10)
	flood(0)
	b.wait(250 * time.Millisecond)
	flood(2)
	b.wait(50 * time.Millisecond)
	flood(1)
	b.wait(time.Hour)
	flood(10)
	// The other side has its own.
	if e := b.refused4(udp4(server, netip.MustParseAddr("192.168.255.1"), 53, 777, nil), NoMapping); e == nil {
		t.Error("nothing is said to the other side")
	}
	if c := b.Counters(); c.ErrorsSent != 24 || c.ErrorsSuppressed != 5*1000-23 {
		t.Errorf("%d sent, %d not", c.ErrorsSent, c.ErrorsSuppressed)
	}
}

// IPv4 options are never translated: not valid ones, and not those that claim a
// length that would have the translator read elsewhere (CVE-2026-8369).
func TestOptionsDropped(t *testing.T) {
	b := newBench(t, nil)
	own := src4(b.out(udp6(device, under(server), 5000, 53, nil)))
	plain := udp4(server, own, 53, 5000, []byte("payload of some length, so that there is enough"))
	for name, options := range map[string][]byte{
		"no operation":       {1, 1, 1, 0},
		"loose source route": {131, 7, 4, 10, 0, 0, 1, 0},
		"record route":       {7, 7, 4, 0, 0, 0, 0, 0},
		"length beyond":      {131, 255, 4, 0},
		"length zero":        {131, 0, 0, 0},
		"forty bytes":        bytes.Repeat([]byte{1}, 40),
	} {
		p := append(append(bytes.Clone(plain[:20]), options...), plain[20:]...)
		p[0] = 0x45 + byte(len(options)/4)
		binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
		copy(p[10:], []byte{0, 0})
		binary.BigEndian.PutUint16(p[10:], checksum(p[:20+len(options)]))
		if e := b.refused4(p, Options); e != nil {
			t.Errorf("%s: answered with %x", name, e)
		}
	}
	// A header that says to be longer than the packet, or shorter than a header.
	for _, first := range []byte{0x4f, 0x44, 0x40, 0x55} {
		p := ip4(server, own, 17, 64, 1, 0, make([]byte, 8))
		p[0] = first
		b.refused4(seal4(p), Malformed)
	}
	if c := b.Counters(); c.FromIPv4[Options] != 6 || c.FromIPv4[Malformed] != 4 {
		t.Errorf("counters %+v", c)
	}
}

func seal4(p []byte) []byte {
	copy(p[10:], []byte{0, 0})
	n := min(int(p[0]&15)*4, len(p))
	binary.BigEndian.PutUint16(p[10:], checksum(p[:n]))
	return p
}

func TestMalformed(t *testing.T) {
	b := newBench(t, nil)
	own := src4(b.out(udp6(device, under(server), 5000, 53, nil)))
	good4 := udp4(server, own, 53, 5000, []byte("x"))
	good6 := udp6(device, under(server), 5000, 53, []byte("x"))
	for n := range good4 {
		b.refused4(good4[:n], Malformed)
	}
	for n := range good6 {
		b.refused6(good6[:n], Malformed)
	}
	change := func(p []byte, at int, v byte) []byte {
		p = bytes.Clone(p)
		p[at] = v
		return p
	}
	b.refused4(change(good4, 8, 63), Malformed)  // header checksum
	b.refused4(change(good4, 25, 10), Malformed) // UDP length
	b.refused4(change(good4, 25, 7), Malformed)
	b.refused6(change(good6, 45, 10), Malformed)
	b.refused6(change(change(good6, 46, 0), 47, 0), Malformed) // no UDP checksum
	b.refused6(udp6(device, under(server), 0, 53, nil), Malformed)
	b.refused6(udp6(device, under(server), 5000, 0, nil), Malformed)
	b.refused6(change(tcp6(device, under(server), 1, 2, flagSYN, nil), 52, 4<<4), Malformed)
	b.refused6(change(tcp6(device, under(server), 1, 2, flagSYN, nil), 52, 6<<4), Malformed)
	// Nor are they in what an error quotes.
	late := bytes.Clone(good6)
	late[7] = 1
	if e := b.refused6(append(bytes.Clone(late), 0, 0, 0), Expired); !bytes.Equal(e[48:], late) {
		t.Errorf("quotes %x", e[48:])
	}
	// Bytes that a link added behind a packet are not of it.
	if p := b.in(append(bytes.Clone(good4), 0, 0, 0, 0)); len(p) != 49 {
		t.Errorf("%d bytes", len(p))
	}
	if p := b.out(append(bytes.Clone(good6), 0, 0, 0, 0)); len(p) != 29 {
		t.Errorf("%d bytes", len(p))
	}
	// ICMP that means nothing on the other side.
	b.refused6(icmp6(device, under(server), 135, 0, 0, nil), Unsupported)
	b.refused4(icmp4(server, own, 13, 0, 0, nil), Unsupported)
	b.refused4(icmp4(server, own, 5, 0, 0, good4), Unsupported)
}

// A UDP sender of IPv4 need not make a checksum, IPv6 needs one.
func TestUDPWithoutChecksum(t *testing.T) {
	b := newBench(t, nil)
	own := src4(b.out(udp6(device, under(server), 5000, 53, nil)))
	for n := range 20 {
		p := udp4(server, own, 53, 5000, bytes.Repeat([]byte{0xab}, n))
		p[26], p[27] = 0, 0
		if got := b.in(p); !ipv6.VerifyChecksum(src6(got), dst6(got), 17, got[40:]) {
			t.Errorf("%d bytes: %x", n, got)
		}
	}
}

// Routers also report fragments. The first has ports in it, and stays one.
func TestErrorsAboutFragments(t *testing.T) {
	b := newBench(t, nil)
	for _, p := range fragments6(udp6(device, under(server), 5000, 53, pattern(2000)), 1024, 0xabcd) {
		b.FromMesh(p)
	}
	_, out := b.take()
	own, router := src4(out[0]), netip.MustParseAddr("192.0.2.1")
	e := b.in(icmp4(router, own, 11, 1, 0, out[0][:60]))
	var h header6
	h.get(e[48:])
	if _, r := h.walk(e[48:], 40); r != Passed || !h.hasFrag || h.frag != (ipv6.Fragment{More: true, ID: 0xabcd}) ||
		h.proto != 17 || h.src != device.As16() || h.dst != under(server).As16() || word(e, 48+4) != 1024+8 || word(e, 96) != 5000 {
		t.Errorf("%x", e)
	}
	b.refused4(icmp4(router, own, 11, 1, 0, out[1]), NoMapping)

	for _, p := range fragments4(udp4(server, own, 53, 5000, pattern(2000)), 1024, 77) {
		b.FromIPv4(p)
	}
	in, _ := b.take()
	e = b.out(icmp6(device, under(server), 3, 1, 0, in[0]))
	var h4 header4
	h4.get(e[28:])
	if !h4.more || h4.offset != 0 || h4.id != 77 || h4.src != v4(server) || h4.dst != v4(own) || word(e, 50) != 5000 {
		t.Errorf("%x", e)
	}
	b.refused6(icmp6(device, under(server), 3, 1, 0, in[1]), NoMapping)
}

// What an error quotes may be nonsense.
func TestErrorsAboutNonsense(t *testing.T) {
	b := newBench(t, nil)
	sent, got := sessionsOfAll(b)
	own := src4(sent[UDP])
	change := func(p []byte, at int, v ...byte) []byte {
		p = bytes.Clone(p)
		copy(p[at:], v)
		return p
	}
	for name, tt := range map[string]struct {
		quote []byte
		want  Reason
	}{
		"options":          {change(sent[UDP], 0, 0x46), Options},
		"version":          {change(sent[UDP], 0, 0x65), Malformed},
		"length":           {change(sent[UDP], 2, 0, 20), Malformed},
		"protocol":         {change(sent[UDP], 9, 47), Unsupported},
		"not an echo":      {change(sent[ICMP], 20, 13), Unsupported},
		"echo of the mesh": {change(sent[ICMP], 20, 128), Unsupported},
	} {
		if e := b.refused4(icmp4(server, own, 3, 1, 0, tt.quote), tt.want); e != nil {
			t.Errorf("%s: answered", name)
		}
	}
	for name, tt := range map[string]struct {
		quote []byte
		want  Reason
	}{
		"version":     {change(got[UDP], 0, 0x45), Malformed},
		"length":      {change(got[UDP], 4, 0, 7), Malformed},
		"protocol":    {change(got[UDP], 6, 50), Unsupported},
		"extension":   {change(got[UDP], 6, 60, 64, 0, 9), Malformed},
		"source":      {change(got[UDP], 23, 99), NoMapping},
		"echo of ip4": {change(got[ICMP], 40, 8), Unsupported},
	} {
		if e := b.refused6(icmp6(device, under(server), 1, 0, 0, tt.quote), tt.want); e != nil {
			t.Errorf("%s: answered", name)
		}
	}
	b.refused6(icmp6(device, under(server), 1, 7, 0, got[UDP]), Unsupported)
}
