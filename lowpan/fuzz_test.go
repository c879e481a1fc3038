package lowpan_test

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
	"time"

	"gatewayd/ieee802154"
	"gatewayd/ipv6"
	"gatewayd/lowpan"
)

// fuzzContexts has a context of each awkward kind.
var fuzzContexts = lowpan.Contexts{
	{ID: 0, Prefix: netip.MustParsePrefix("fd00:db8:a:b::/64"), Compress: true},
	{ID: 1, Prefix: netip.MustParsePrefix("fd11:22::/64"), Compress: true},
	{ID: 2, Prefix: netip.MustParsePrefix("2001:db8::/33"), Compress: true},
	{ID: 3, Prefix: netip.MustParsePrefix("fd33::ff:fe00:0/111"), Compress: true},
	{ID: 15, Prefix: netip.MustParsePrefix("fd44::/16")},
}

// macAddr makes an address of a number: every kind occurs.
func macAddr(n uint64) ieee802154.Addr {
	switch n % 3 {
	case 0:
		return ieee802154.Addr{}
	case 1:
		return short(uint16(n >> 2))
	}
	var e ieee802154.ExtAddr
	for i := range e {
		e[i] = byte(n >> (8 * i))
	}
	return ieee802154.ExtendedAddr(e)
}

// Whatever decompresses is a packet as long as it says, and it compresses, in
// no more bytes, to something that decompresses to the same.
func FuzzDecompress(f *testing.F) {
	for _, v := range vectors {
		f.Add(hexBytes(f, v.wire), uint64(0x4c01<<2|1), uint64(0xbc00<<2|1))
	}
	f.Add(hexBytes(f, `7e 33 e3 06 000102030405 e5 06 0000 00000001 e7 02 c100 f7 12 aabb`), uint64(1), uint64(5))
	f.Add(hexBytes(f, `41 6000 0000 0001 3b 40 fe80000000000000000000fffe000001 fe80000000000000000000fffe000002 ff`), uint64(1), uint64(5))
	f.Add(hexBytes(f, `7a f7 33 3b`), uint64(2), uint64(1<<40|2))
	f.Fuzz(func(t *testing.T, in []byte, s, d uint64) {
		src, dst := macAddr(s), macAddr(d)
		packet, err := lowpan.DecompressPacket(nil, in, src, dst, fuzzContexts)
		if err != nil {
			var de *lowpan.DecodeError
			if !errors.As(err, &de) || de.Offset < 0 || de.Offset > len(in) {
				t.Fatalf("%x: %v", in, err)
			}
			return
		}
		wire, n, err := lowpan.Compress(nil, packet, src, dst, fuzzContexts, lowpan.MaxDatagram)
		if err == lowpan.ErrPacket && (lowpan.IsIPv6(in) || len(packet) > lowpan.MaxDatagram) {
			return // uncompressed headers are taken as they are
		}
		if err != nil {
			t.Fatalf("%x: %v", packet, err)
		}
		back, err := lowpan.DecompressPacket(nil, append(wire, packet[n:]...), src, dst, fuzzContexts)
		if err != nil || !bytes.Equal(back, packet) {
			t.Fatalf("%x became %x, %v", packet, back, err)
		}
	})
}

// Every whole packet survives compression, with any room for the headers, and
// fragmentation.
func FuzzCompress(f *testing.F) {
	for _, v := range vectors {
		f.Add(hexBytes(f, v.packet), uint64(0x4c01<<2|1), uint64(0xbc00<<2|1), uint8(90))
	}
	for _, a := range []string{"2001:db8:8000::1", "2001:db8:0:1::1", "fd33::ff:fe01:4c01", "fd44::1", "fe80:0:0:1::1"} {
		h := ipv6.Header{TrafficClass: 1, NextHeader: 59, HopLimit: 3, Src: netip.MustParseAddr(a), Dst: netip.MustParseAddr(a)}
		f.Add(h.Append(nil), uint64(1), uint64(2), uint8(20))
	}
	f.Fuzz(func(t *testing.T, packet []byte, s, d uint64, room uint8) {
		src, dst := macAddr(s), macAddr(d)
		if len(packet) < ipv6.HeaderLen || len(packet) > lowpan.MTU {
			return
		}
		packet = bytes.Clone(packet)
		packet[0] = packet[0]&0x0f | 0x60
		packet[4], packet[5] = byte((len(packet)-40)>>8), byte(len(packet)-40)
		link := lowpan.Link{Src: src, Dst: dst}

		b, next, err := lowpan.AppendFirst(nil, packet, src, dst, fuzzContexts, int(room), 9, false)
		if err == lowpan.ErrSpace && room < 64 {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if !lowpan.IsFrag(b) {
			back, err := lowpan.DecompressPacket(nil, b, src, dst, fuzzContexts)
			if err != nil || next != len(packet) || !bytes.Equal(back, packet) {
				t.Fatalf("%x in %x became %x, %v", packet, b, back, err)
			}
			return
		}
		r := lowpan.NewReassembler(lowpan.ReassemblerConfig{})
		for {
			if len(b) > int(room) {
				t.Fatalf("%d bytes, room for %d", len(b), room)
			}
			back, done, err := r.Add(epoch, link, fuzzContexts, b)
			if err != nil || done != (next == len(packet)) || done && !bytes.Equal(back, packet) {
				t.Fatalf("%x in %x became %x, %v", packet, b, back, err)
			}
			if done {
				return
			}
			if b, next, err = lowpan.AppendNext(b[:0], packet, next, int(room), 9); err != nil {
				if room < 64 {
					return
				}
				t.Fatal(err)
			}
		}
	})
}

// What decodes as a mesh, broadcast or fragment header encodes to the same
// value again.
func FuzzDecodeHeaders(f *testing.F) {
	f.Add(hexBytes(f, `bf 13 4c01 bc00 c418 5b3e 7a33`))
	f.Add(hexBytes(f, `e418 5b3e 0e 00`))
	f.Add(hexBytes(f, `50 17`))
	f.Fuzz(func(t *testing.T, in []byte) {
		if m, rest, err := lowpan.DecodeMesh(in); err == nil {
			again, tail, err := lowpan.DecodeMesh(append(m.Append(nil), rest...))
			if err != nil || again != m || !bytes.Equal(tail, rest) {
				t.Fatalf("%+v became %+v, %x, %v", m, again, tail, err)
			}
		}
		if h, rest, err := lowpan.DecodeFrag(in); err == nil {
			again, tail, err := lowpan.DecodeFrag(append(h.Append(nil), rest...))
			if err != nil || again != h || !bytes.Equal(tail, rest) {
				t.Fatalf("%+v became %+v, %x, %v", h, again, tail, err)
			}
		}
		if seq, rest, err := lowpan.DecodeBC0(in); err == nil {
			if b := append(lowpan.AppendBC0(nil, seq), rest...); !bytes.Equal(b, in) {
				t.Fatalf("%x became %x", in, b)
			}
		}
		b := bytes.Clone(in)
		ecn, ok := lowpan.ECN(b)
		if lowpan.SetECN(b, 3) {
			if marked, _ := lowpan.ECN(b); !ok || marked != 3 {
				t.Fatalf("%x: ECN %d became %d", in, ecn, marked)
			}
		} else if !bytes.Equal(b, in) {
			t.Fatalf("%x was changed", in)
		}
	})
}

// A stream of frames from anyone never makes the Reassembler panic, hold more
// than it may, or give out a packet that is not as long as its fragments said.
func FuzzReassembler(f *testing.F) {
	var script []byte
	for i, b := range fragments(f, echoPacket(200), secured, 96, 1) {
		script = append(append(script, byte(len(b)), byte(i)), b...)
	}
	f.Add(script)
	f.Add(hexBytes(f, `07 01 c030 0001 7a333b  0d ff e030 0001 05 0000000000000000`))
	f.Fuzz(func(t *testing.T, script []byte) {
		const capacity = 3
		r := lowpan.NewReassembler(lowpan.ReassemblerConfig{MaxDatagrams: capacity})
		now, first := epoch, 0
		for len(script) >= 2 {
			n, flags := int(script[0]), script[1]
			script = script[2:]
			n = min(n, len(script))
			frame := script[:n]
			script = script[n:]

			now = now.Add(time.Duration(flags>>4) * 100 * time.Millisecond)
			link := secured
			link.Secure = flags&1 == 0
			link.Dst = short(uint16(flags >> 1 & 3))
			packet, done, err := r.Add(now, link, fuzzContexts, frame)
			if done != (packet != nil) || done && err != nil {
				t.Fatalf("%x, %v, %v", packet, done, err)
			}
			if lowpan.IsFrag1(frame) {
				first++
			}
			if done {
				h, _, err := lowpan.DecodeFrag(frame)
				if err != nil || len(packet) != int(h.Size) {
					t.Fatalf("%d bytes of %d, %v", len(packet), h.Size, err)
				}
			}
			if d := r.Deadline(); !d.IsZero() && (!d.After(now) || d.After(now.Add(2*time.Second))) {
				t.Fatalf("deadline %v at %v", d, now)
			}
		}
		r.Expire(r.Deadline().Add(time.Hour))
		s := r.Stats()
		if s.Completed+s.Expired+s.Evicted > uint64(first) {
			t.Fatalf("%d first fragments: %+v", first, s)
		}
		if !r.Deadline().IsZero() {
			t.Fatal("something never expires")
		}
	})
}
