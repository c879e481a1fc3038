package nat64

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"gatewayd/ipv6"
)

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 >> 3)
	}
	return b
}

// fragments6 cuts a packet into fragments with n bytes of payload.
func fragments6(p []byte, n int, id uint32) (all [][]byte) {
	h := header6{}
	h.get(p)
	h.hasFrag = true
	for rest, off := p[40:], 0; len(rest) > 0; {
		m := min(n, len(rest))
		h.frag = ipv6.Fragment{Offset: off, More: m < len(rest), ID: id}
		all = append(all, append(h.append(nil, m), rest[:m]...))
		rest, off = rest[m:], off+m
	}
	return all
}

func fragments4(p []byte, n int, id uint16) (all [][]byte) {
	var h header4
	h.get(p)
	h.id = id
	for rest, off := p[20:], 0; len(rest) > 0; {
		m := min(n, len(rest))
		h.more, h.offset = m < len(rest), off
		all = append(all, append(h.append(nil, m), rest[:m]...))
		rest, off = rest[m:], off+m
	}
	return all
}

// join4 and join6 put together what came out, in any order.
func joinAll4(t *testing.T, all [][]byte, max int) []byte {
	t.Helper()
	var whole []byte
	var h header4
	for i, p := range all {
		if len(p) > max {
			t.Errorf("a fragment of %d bytes", len(p))
		}
		h.get(p)
		if h.offset != len(whole) || h.more != (i < len(all)-1) {
			t.Errorf("fragment %d: %+v after %d bytes", i, h, len(whole))
		}
		whole = append(whole, p[20:]...)
	}
	h.more, h.offset = false, 0
	p := append(h.append(nil, len(whole)), whole...)
	if err := wellFormed4(p); err != nil {
		t.Error(err)
	}
	return p
}

func joinAll6(t *testing.T, all [][]byte, max int) []byte {
	t.Helper()
	var whole []byte
	var h header6
	for i, p := range all {
		if len(p) > max || p[6] != 44 {
			t.Errorf("a fragment of %d bytes, next header %d", len(p), p[6])
		}
		h.get(p)
		if _, r := h.walk(p, 40); r != Passed || h.frag.Offset != len(whole) || h.frag.More != (i < len(all)-1) {
			t.Errorf("fragment %d: %+v after %d bytes", i, h, len(whole))
		}
		whole = append(whole, p[48:]...)
	}
	h.hasFrag = false
	p := append(h.append(nil, len(whole)), whole...)
	if err := wellFormed6(p); err != nil {
		t.Error(err)
	}
	return p
}

// Datagrams of many sizes go through in fragments of many sizes, in any order,
// some twice; ICMP too, whose checksum depends on the length in IPv6 only.
func TestFragments(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	b := newBench(t, func(c *Config) { c.MTU4 = 1400 })
	own := src4(b.out(udp6(device, under(server), 5000, 53, nil)))
	b.out(echo6(device, under(server), 128, 5000, 1, nil))
	for i, n := range []int{1400, 1472, 2000, 4000, 20000, 65000} {
		size := []int{1232, 800, 1024}[i%3]
		for _, ping := range []bool{false, true} {
			p6, p4 := udp6(device, under(server), 5000, 53, pattern(n)), udp4(server, own, 53, 5000, pattern(n))
			if ping {
				p6, p4 = echo6(device, under(server), 128, 5000, 2, pattern(n)), echo4(server, own, 0, 5000, 2, pattern(n))
			}
			parts := fragments6(p6, size, uint32(0xabc00+i))
			r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
			for j, p := range parts {
				want := Held
				if j == len(parts)-1 {
					want = Passed
				}
				if j == 1 && len(parts) > 2 {
					b.FromMesh(p)
				}
				if got := b.FromMesh(p); got != want {
					t.Fatalf("%d bytes, fragment %d: %v", n, j, got)
				}
			}
			_, out := b.take()
			got := joinAll4(t, out, min(1400, 20+size))
			if want := p6[40+8:]; !bytes.Equal(got[20+8:], want) || word(got, 4) != uint16(0xbc00+i) || src4(got) != own {
				t.Errorf("%d bytes came out as %d, %x", len(want), len(got)-28, got[:28])
			}

			parts = fragments4(p4, size, uint16(i))
			slices.Reverse(parts)
			for _, p := range parts {
				b.FromIPv4(p)
			}
			in, _ := b.take()
			got = joinAll6(t, in, 1280)
			if want := p4[20+8:]; !bytes.Equal(got[40+8:], want) || dst6(got) != device {
				t.Errorf("%d bytes came in as %d, %x", len(want), len(got)-48, got[:48])
			}
		}
	}
	if u := b.Usage(); u.Datagrams != 0 || u.FragmentBytes != 0 {
		t.Errorf("left: %+v", u)
	}
	// One packet that may be fragmented and is too large for the mesh.
	if r := b.FromIPv4(udp4(server, own, 53, 5000, pattern(1400))); r != Passed {
		t.Fatal(r)
	}
	in, _ := b.take()
	if got := joinAll6(t, in, 1280); len(in) != 2 || !bytes.Equal(got[48:], pattern(1400)) {
		t.Errorf("%d fragments", len(in))
	}
	// Fragments without a checksum get one.
	p := udp4(server, own, 53, 5000, pattern(2000))
	p[26], p[27] = 0, 0
	for _, p := range fragments4(p, 1000, 77) {
		b.FromIPv4(p)
	}
	in, _ = b.take()
	joinAll6(t, in, 1280)
	// A fragment that is the whole packet waits for nothing (RFC 6946).
	if p := b.out(fragments6(udp6(device, under(server), 5000, 53, nil), 100, 9)[0]); len(p) != 28 {
		t.Errorf("%d bytes", len(p))
	}
}

func TestBadFragments(t *testing.T) {
	whole := fragments6(udp6(device, under(server), 5000, 53, pattern(3000)), 1000, 1)
	edit := func(i int, change func(h *header6, b []byte) []byte) []byte {
		p := whole[i]
		var h header6
		h.get(p)
		h.walk(p, 40)
		b := change(&h, bytes.Clone(p[48:]))
		return append(h.append(nil, len(b)), b...)
	}
	for name, tt := range map[string]struct {
		before []int
		p      []byte
		want   Reason
	}{
		"overlap with the next":  {[]int{1}, edit(0, func(h *header6, b []byte) []byte { return append(b, make([]byte, 8)...) }), BadFragment},
		"overlap with the last":  {[]int{0}, edit(1, func(h *header6, b []byte) []byte { h.frag.Offset -= 8; return b }), BadFragment},
		"same place, other size": {[]int{1}, edit(1, func(h *header6, b []byte) []byte { return b[:8] }), BadFragment},
		"beyond the end":         {[]int{3}, edit(2, func(h *header6, b []byte) []byte { h.frag.Offset = 4000; return b }), BadFragment},
		"two ends":               {[]int{3}, edit(2, func(h *header6, b []byte) []byte { h.frag.More = false; return b }), BadFragment},
		"end before the rest":    {[]int{2}, edit(1, func(h *header6, b []byte) []byte { h.frag.More = false; return b }), BadFragment},
		"not of eights":          {nil, edit(0, func(h *header6, b []byte) []byte { return b[:999] }), BadFragment},
		"empty":                  {nil, edit(1, func(h *header6, b []byte) []byte { return nil }), BadFragment},
		"longer than can be":     {nil, edit(1, func(h *header6, b []byte) []byte { h.frag.Offset = 65528; return b }), BadFragment},
		"the same again":         {[]int{1}, whole[1], Held},
		"the last again":         {[]int{3}, whole[3], Held},
	} {
		b := newBench(t, nil)
		for _, i := range tt.before {
			if r := b.FromMesh(whole[i]); r != Held {
				t.Fatalf("%s: fragment %d: %v", name, i, r)
			}
		}
		if r := b.FromMesh(tt.p); r != tt.want {
			t.Errorf("%s: %v, want %v", name, r, tt.want)
		}
		if u := b.Usage(); tt.want == BadFragment && u.Datagrams != 0 {
			t.Errorf("%s: still waited for: %+v", name, u)
		}
	}
}

// Fragments that nobody completes take a bounded amount of memory for a bounded
// time, from who sends them first of all.
func TestFragmentFlood(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Limits = Limits{Datagrams: 8, PerSource: 2, FragmentBytes: 20000} })
	good := fragments6(udp6(device, under(server), 5000, 53, pattern(2000)), 1024, 1)
	b.FromMesh(good[0])
	bad := fragments6(udp6(device2, under(server), 5000, 53, pattern(60000)), 1232, 2)
	for i := range 1000 {
		p := bytes.Clone(bad[i%(len(bad)-1)])
		binary.BigEndian.PutUint32(p[44:], uint32(i/(len(bad)-1)))
		b.FromMesh(p)
		if u := b.Usage(); u.FragmentBytes > 20000 || u.Datagrams > 3 {
			t.Fatalf("%+v", u)
		}
	}
	if r := b.FromMesh(good[1]); r != Passed {
		t.Errorf("the other host's datagram: %v", r)
	}
	b.wait(15 * time.Second)
	if u := b.Usage(); u.Datagrams != 0 || u.FragmentBytes != 0 {
		t.Errorf("left: %+v", u)
	}
	for i := range 100 {
		p := bytes.Clone(bad[0])
		p[23] = byte(i)
		b.FromMesh(p)
	}
	if u := b.Usage(); u.Datagrams != 8 {
		t.Errorf("%+v", u)
	}
	// Many tiny ones of one packet.
	b = newBench(t, nil)
	own := netip.MustParseAddr("192.168.255.1")
	parts := fragments4(udp4(server, own, 53, 5000, pattern(8000)), 8, 1)
	last := Held
	for _, p := range parts {
		if last = b.FromIPv4(p); last != Held {
			break
		}
	}
	if last != BadFragment {
		t.Errorf("fragments of 8 bytes: %v", last)
	}
}

// Each datagram has its own time.
func TestFragmentTimeout(t *testing.T) {
	b := newBench(t, nil)
	first := fragments6(udp6(device, under(server), 5000, 53, pattern(2000)), 1024, 1)
	second := fragments6(udp6(device, under(server), 5000, 53, pattern(2000)), 1024, 2)
	b.FromMesh(first[0])
	b.wait(10 * time.Second)
	b.FromMesh(second[0])
	b.wait(5 * time.Second)
	if u := b.Usage(); u.Datagrams != 1 {
		t.Errorf("after 15 s: %+v", u)
	}
	if r := b.FromMesh(second[1]); r != Passed {
		t.Errorf("in time: %v", r)
	}
	if r := b.FromMesh(first[1]); r != Held {
		t.Errorf("too late: %v", r)
	}
	b.wait(time.Minute)
	if c := b.Counters(); c.DatagramsExpired != 2 || c.DatagramsJoined != 1 {
		t.Errorf("%d expired, %d joined", c.DatagramsExpired, c.DatagramsJoined)
	}
}
