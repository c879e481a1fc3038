package lowpan_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"gatewayd/ipv6"
	"gatewayd/lowpan"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// rloc is the address of a node by its RLOC16.
func rloc(rloc16 uint16) netip.Addr {
	a := meshLocal[0].Prefix.Addr().As16()
	copy(a[8:], []byte{0, 0, 0, 0xff, 0xfe, 0, byte(rloc16 >> 8), byte(rloc16)})
	return netip.AddrFrom16(a)
}

// echoPacket is an echo request to all nodes with n bytes of data.
func echoPacket(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i)
	}
	h := ipv6.Header{
		HopLimit: 64,
		Src:      rloc(0x5000),
		Dst:      ipv6.AllNodesRealm,
	}
	return ipv6.AppendICMPPacket(nil, h, ipv6.ICMPEchoRequest, 0, ipv6.Echo{ID: 1, Seq: 2, Data: data}.Append(nil))
}

var secured = lowpan.Link{Src: short(0x4c00), Dst: short(0xbc00), Secure: true}

// fragments cuts a packet for frames with this much room.
func fragments(t testing.TB, packet []byte, l lowpan.Link, room int, tag uint16) (frames [][]byte) {
	t.Helper()
	b, next, err := lowpan.AppendFirst(nil, packet, l.Src, l.Dst, meshLocal, room, tag, false)
	for err == nil {
		if len(b) > room {
			t.Fatalf("frame of %d bytes, room for %d", len(b), room)
		}
		frames = append(frames, b)
		if next == len(packet) {
			return frames
		}
		b, next, err = lowpan.AppendNext(nil, packet, next, room, tag)
	}
	t.Fatal(err)
	return nil
}

func TestFragmentAndReassemble(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 100, 500, 1231, 1232} {
		packet := echoPacket(n)
		for _, room := range []int{30, 31, 37, 96, 102, 103, 104} {
			r := lowpan.NewReassembler(lowpan.ReassemblerConfig{})
			frames := fragments(t, packet, secured, room, 7)
			for i, f := range frames {
				if !lowpan.IsFrag(f) {
					got, err := lowpan.DecompressPacket(nil, f, secured.Src, secured.Dst, meshLocal)
					if len(frames) != 1 || err != nil || !bytes.Equal(got, packet) {
						t.Errorf("%d bytes in %d: %d frames, %v, %x", n, room, len(frames), err, got)
					}
					continue
				}
				got, done, err := r.Add(epoch, secured, meshLocal, f)
				if err != nil || done != (i == len(frames)-1) || done && !bytes.Equal(got, packet) {
					t.Errorf("%d bytes in %d: fragment %d: %v, %v, %x", n, room, i, done, err, got)
				}
			}
		}
	}
}

func TestFragmentForced(t *testing.T) {
	packet := echoPacket(8)
	b, next, err := lowpan.AppendFirst([]byte("x"), packet, secured.Src, secured.Dst, meshLocal, 100, 7, true)
	if err != nil || next != len(packet) || !lowpan.IsFrag1(b[1:]) {
		t.Fatalf("%x, %d, %v", b, next, err)
	}
	r := lowpan.NewReassembler(lowpan.ReassemblerConfig{})
	if got, done, err := r.Add(epoch, secured, meshLocal, b[1:]); !done || err != nil || !bytes.Equal(got, packet) {
		t.Errorf("%x, %v, %v", got, done, err)
	}
}

func TestFragmentNoRoom(t *testing.T) {
	packet := echoPacket(100)
	for room := -1; room < 13; room++ {
		if b, _, err := lowpan.AppendFirst([]byte("x"), packet, secured.Src, secured.Dst, meshLocal, room, 7, false); err != lowpan.ErrSpace || string(b) != "x" {
			t.Errorf("first in %d: %x, %v", room, b, err)
		}
		if b, next, err := lowpan.AppendNext([]byte("x"), packet, 40, room, 7); err != lowpan.ErrSpace || string(b) != "x" || next != 40 {
			t.Errorf("next in %d: %x, %d, %v", room, b, next, err)
		}
	}
}

// A script of fragments: each line says when which fragment of which datagram
// comes, and what happens.
func TestReassembler(t *testing.T) {
	const ms = time.Millisecond
	unsecured := secured
	unsecured.Secure = false
	other := secured
	other.Src = short(0x5000)
	child := secured
	child.Dst = short(0xbc01)

	packets := map[rune][]byte{'a': echoPacket(200), 'b': echoPacket(201)}
	type step struct {
		at    time.Duration
		link  lowpan.Link
		tag   uint16
		which string // datagram and fragment, "a0"
		want  string
	}
	tests := []struct {
		name  string
		cfg   lowpan.ReassemblerConfig
		steps []step
		stats lowpan.ReassemblyStats
	}{{
		name: "in order",
		steps: []step{
			{0, secured, 1, "a0", ""}, {10 * ms, secured, 1, "a1", ""}, {20 * ms, secured, 1, "a2", "a"},
			{30 * ms, secured, 1, "a2", "lowpan: fragment continues no datagram"},
		},
		stats: lowpan.ReassemblyStats{Completed: 1, Dropped: 1},
	}, {
		name: "interleaved: same tag and size, other links",
		steps: []step{
			{0, secured, 1, "a0", ""}, {0, other, 1, "a0", ""}, {0, child, 1, "a0", ""}, {0, unsecured, 1, "a0", ""},
			{0, secured, 1, "b0", ""}, {0, secured, 2, "a0", ""},
			{0, unsecured, 1, "a1", ""}, {0, secured, 2, "a1", ""}, {0, secured, 1, "a1", ""}, {0, other, 1, "a1", ""},
			{0, child, 1, "a1", ""}, {0, secured, 1, "b1", ""},
			{0, child, 1, "a2", "a"}, {0, other, 1, "a2", "a"}, {0, secured, 1, "b2", "b"}, {0, secured, 1, "a2", "a"},
			{0, unsecured, 1, "a2", "a"}, {0, secured, 2, "a2", "a"},
		},
		stats: lowpan.ReassemblyStats{Completed: 6},
	}, {
		name: "a repeated fragment is refused, the datagram goes on",
		steps: []step{
			{0, secured, 1, "a0", ""}, {0, secured, 1, "a1", ""}, {0, secured, 1, "a1", "lowpan: fragment continues no datagram"},
			{0, secured, 1, "a2", "a"},
		},
		stats: lowpan.ReassemblyStats{Completed: 1, Dropped: 1},
	}, {
		name: "a gap is never filled",
		steps: []step{
			{0, secured, 1, "a0", ""}, {0, secured, 1, "a2", "lowpan: fragment continues no datagram"},
		},
		stats: lowpan.ReassemblyStats{Dropped: 1},
	}, {
		name: "a repeated first fragment starts again",
		steps: []step{
			{0, secured, 1, "a0", ""}, {0, secured, 1, "a1", ""}, {0, secured, 1, "a0", ""},
			{0, secured, 1, "a1", ""}, {0, secured, 1, "a2", "a"},
		},
		stats: lowpan.ReassemblyStats{Completed: 1, Evicted: 1},
	}, {
		name: "each fragment gives two seconds more",
		steps: []step{
			{0, secured, 1, "a0", ""}, {1999 * ms, secured, 1, "a1", ""}, {3998 * ms, secured, 1, "a2", "a"},
			{4000 * ms, secured, 1, "a0", ""}, {6000 * ms, secured, 1, "a1", "lowpan: fragment continues no datagram"},
		},
		stats: lowpan.ReassemblyStats{Completed: 1, Expired: 1, Dropped: 1},
	}, {
		name: "full: the one that waits longest goes",
		cfg:  lowpan.ReassemblerConfig{MaxDatagrams: 2},
		steps: []step{
			{0, secured, 1, "a0", ""}, {1 * ms, secured, 2, "a0", ""}, {2 * ms, secured, 1, "a1", ""},
			{3 * ms, secured, 3, "b0", ""},
			{4 * ms, secured, 2, "a1", "lowpan: fragment continues no datagram"},
			{4 * ms, secured, 1, "a2", "a"}, {4 * ms, secured, 3, "b1", ""}, {4 * ms, secured, 3, "b2", "b"},
		},
		stats: lowpan.ReassemblyStats{Completed: 2, Evicted: 1, Dropped: 1},
	}, {
		name: "full: unsecured ones go first and push nothing out",
		cfg:  lowpan.ReassemblerConfig{MaxDatagrams: 2},
		steps: []step{
			{0, secured, 1, "a0", ""}, {1 * ms, unsecured, 2, "a0", ""}, {2 * ms, unsecured, 3, "a0", ""},
			{3 * ms, secured, 4, "a0", ""}, {4 * ms, unsecured, 5, "a0", "lowpan: no buffer for another datagram"},
			{5 * ms, secured, 1, "a1", ""}, {5 * ms, secured, 1, "a2", "a"}, {6 * ms, unsecured, 5, "a0", ""},
		},
		stats: lowpan.ReassemblyStats{Completed: 1, Evicted: 2, Dropped: 1},
	}, {
		name: "a sleepy child has one parent",
		cfg:  lowpan.ReassemblerConfig{Sleepy: true},
		steps: []step{
			{0, secured, 1, "a0", ""}, {0, unsecured, 1, "a0", ""}, {0, secured, 2, "b0", ""},
			{0, unsecured, 1, "a1", "lowpan: fragment continues no datagram"},
			{0, secured, 2, "b1", ""}, {0, secured, 2, "b1", "lowpan: fragment continues no datagram"},
			{0, secured, 2, "b2", "lowpan: fragment continues no datagram"},
		},
		stats: lowpan.ReassemblyStats{Evicted: 3, Dropped: 3},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := lowpan.NewReassembler(tt.cfg)
			for i, s := range tt.steps {
				which := rune(s.which[0])
				frames := fragments(t, packets[which], s.link, 96, s.tag)
				packet, done, err := r.Add(epoch.Add(s.at), s.link, meshLocal, frames[s.which[1]-'0'])
				got := ""
				switch {
				case err != nil:
					got = err.Error()
				case done:
					for name, p := range packets {
						if bytes.Equal(p, packet) {
							got = string(name)
						}
					}
				}
				if got != s.want {
					t.Errorf("step %d, %s: %q, want %q", i, s.which, got, s.want)
				}
			}
			if got := r.Stats(); got != tt.stats {
				t.Errorf("counted %+v, want %+v", got, tt.stats)
			}
		})
	}
}

func TestReassemblerDeadline(t *testing.T) {
	r := lowpan.NewReassembler(lowpan.ReassemblerConfig{})
	if !r.Deadline().IsZero() {
		t.Error("nothing waits, yet there is a deadline")
	}
	a := fragments(t, echoPacket(200), secured, 96, 1)
	b := fragments(t, echoPacket(200), secured, 96, 2)
	add := func(at time.Duration, f []byte) {
		t.Helper()
		if _, _, err := r.Add(epoch.Add(at), secured, meshLocal, f); err != nil {
			t.Fatal(err)
		}
	}
	add(0, a[0])
	add(time.Second, b[0])
	if want := epoch.Add(2 * time.Second); !r.Deadline().Equal(want) {
		t.Errorf("deadline %v, want %v", r.Deadline(), want)
	}
	if n := r.Expire(r.Deadline().Add(-1)); n != 0 {
		t.Errorf("%d expired early", n)
	}
	if n := r.Expire(r.Deadline()); n != 1 {
		t.Errorf("%d expired, want 1", n)
	}
	if want := epoch.Add(3 * time.Second); !r.Deadline().Equal(want) {
		t.Errorf("deadline %v, want %v", r.Deadline(), want)
	}
	r.Reset()
	if !r.Deadline().IsZero() {
		t.Error("a deadline after a reset")
	}
}

func TestReassemblerRefuses(t *testing.T) {
	head := `7a 33 3b` // 40 bytes of header
	tests := []struct {
		name string
		wire []string // one after the other; the last is refused
		err  error
	}{
		{"no fragment", []string{head}, lowpan.ErrDispatch},
		{"smaller than a header", []string{`c027 0001` + head}, lowpan.ErrSize},
		{"larger than the MTU", []string{`c501 0001` + head}, lowpan.ErrSize},
		{"header that is none", []string{`c100 0001 41`}, lowpan.ErrShort},
		{"first beyond the end", []string{`c028 0001` + head + `00`}, lowpan.ErrOverrun},
		{"next beyond the end", []string{`c030 0001` + head, `e030 0001 05 000000000000000000`}, lowpan.ErrOverrun},
		{"bad first fragment of the same datagram", []string{`c030 0001` + head, `c030 0001 7a`, `e030 0001 05 000000000000000000`}, lowpan.ErrOverrun},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := lowpan.NewReassembler(lowpan.ReassemblerConfig{MaxDatagrams: 1})
			var err error
			for _, w := range tt.wire {
				_, _, err = r.Add(epoch, secured, nil, hexBytes(t, w))
			}
			if !errors.Is(err, tt.err) {
				t.Errorf("%v, want %v", err, tt.err)
			}
		})
	}
}

// A bad first fragment costs no other datagram its buffer.
func TestReassemblerBadFirst(t *testing.T) {
	r := lowpan.NewReassembler(lowpan.ReassemblerConfig{MaxDatagrams: 1})
	packet := echoPacket(200)
	frames := fragments(t, packet, secured, 96, 1)
	var got []byte
	for i, f := range frames {
		p, done, err := r.Add(epoch, secured, meshLocal, f)
		if err != nil || done != (i == len(frames)-1) {
			t.Fatal(done, err)
		}
		got = p
		if done {
			break
		}
		for _, bad := range []string{`c050 0009 7e 33 00`, `c028 0009 78 00 3b40` + fmt.Sprintf("%0100d", 0)} {
			if _, _, err := r.Add(epoch, secured, meshLocal, hexBytes(t, bad)); err == nil {
				t.Fatalf("%s was taken", bad)
			}
		}
	}
	if !bytes.Equal(got, packet) {
		t.Errorf("got %x", got)
	}
}
