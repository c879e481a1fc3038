package nat64

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"

	"gatewayd/alarm"
	"gatewayd/ipv6"
)

// strict makes a translator whose output is checked.
func strict(t *testing.T, check bool) *bench {
	b := newBench(t, func(c *Config) {
		c.Filter = FilterNone
		c.Limits = Limits{Sessions: 8, PerHost: 4, Datagrams: 4, PerSource: 2, FragmentBytes: 8192}
		if !check {
			c.ToMesh, c.ToIPv4 = func([]byte) {}, func([]byte) {}
		}
	})
	b.FromMesh(udp6(device, under(server), 5000, 53, nil))
	b.FromMesh(tcp6(device, under(server), 5000, 53, flagSYN, nil))
	b.FromMesh(echo6(device, under(server), 128, 5000, 1, nil))
	b.take()
	return b
}

// What a packet in carries is right if what comes in is: so its headers, lengths
// and checksums are checked before. UDP with bytes behind its length, and
// fragments, are left out, as the checks do not know them.
func rightChecksum(p []byte) bool {
	if len(p) > 0 && p[0]>>4 == 4 {
		return wellFormed4(p) == nil
	}
	return wellFormed6(p) == nil
}

// No packet from either side makes the translator panic or pass its bounds, and
// what is well-formed stays so.
func FuzzTranslate(f *testing.F) {
	own := netip.MustParseAddr("192.168.255.1")
	for _, p := range [][]byte{
		udp6(device, under(server), 5000, 53, []byte("data")), tcp6(device, under(server), 5000, 53, flagACK, nil),
		echo6(device, under(server), 128, 5000, 1, nil), udp4(server, own, 53, 5000, []byte("data")),
		tcp4(server, own, 53, 5000, flagSYN|flagACK, nil), echo4(server, own, 0, 5000, 1, nil),
		icmp4(server, own, 3, 4, 1400, udp4(own, server, 5000, 53, nil)),
		icmp4(server, own, 11, 0, 0, echo4(own, server, 8, 5000, 1, nil)),
		icmp6(device, under(server), 1, 4, 0, udp6(under(server), device, 53, 5000, nil)),
		icmp6(device, under(server), 2, 0, 1280, echo6(under(server), device, 129, 5000, 1, nil)),
		fragments6(udp6(device, under(server), 5000, 53, pattern(2000)), 1000, 1)[0],
		fragments4(udp4(server, own, 53, 5000, pattern(2000)), 1000, 1)[1],
		udp6(device, under(own), 5000, 5000, nil),
		ipv6.AppendOptions(head6(device, under(server)).Append(nil), 17),
	} {
		f.Add(p, []byte(nil))
		f.Add(p, p)
	}
	f.Fuzz(func(t *testing.T, p, q []byte) {
		b := strict(t, rightChecksum(p) && rightChecksum(q))
		for _, p := range [][]byte{p, q} {
			was := bytes.Clone(p)
			b.FromMesh(p)
			b.FromIPv4(p)
			if !bytes.Equal(p, was) {
				t.Fatal("the translator changed its input")
			}
		}
		if u := b.Usage(); u.Sessions > 8 || u.Hosts > 8 || u.Datagrams > 4 || u.FragmentBytes > 8192 {
			t.Fatalf("%+v", u)
		}
		checkTable(t, &b.table)
		b.wait(1 << 44)
		if u := b.Usage(); u != (Usage{}) {
			t.Fatalf("left for ever: %+v", u)
		}
	})
}

// What goes out of one translator and, by another that has the same session, in
// again is what it was, but for the hop limit. The other's mesh is where the
// first one's server is.
func FuzzThereAndBack(f *testing.F) {
	f.Add(uint8(0), uint8(0), uint16(5000), uint16(53), uint8(0), []byte("data"))
	f.Add(uint8(1), uint8(0x12), uint16(1), uint16(65535), uint8(flagSYN), []byte{})
	f.Add(uint8(2), uint8(0xff), uint16(0), uint16(0), uint8(0), []byte{0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, proto, tclass uint8, sport, dport uint16, flags uint8, data []byte) {
		data = data[:min(len(data), 1232-20)]
		sport, dport = max(sport, 1), max(dport, 1)
		h := head6(device, under(server))
		h.TrafficClass = tclass
		var p []byte
		switch proto % 3 {
		case 0:
			p = ipv6.AppendUDPPacket(nil, h, sport, dport, data)
		case 1:
			p = tcp6(device, under(server), sport, dport, flags&^flagRST|flagSYN, data)
		case 2:
			p = ipv6.AppendICMPPacket(nil, h, 128, 0, append([]byte{byte(sport >> 8), byte(sport), 0, 1}, data...))
		}
		b := newBench(t, nil)
		out := b.out(p)

		// The other side: a translator whose pool is the server, so that its mesh
		// sees the packet from under the prefix. Its binding must be there.
		var back []byte
		clock := &alarm.Clock{}
		clock.Set(start)
		other, err := New(Config{
			Clock: clock, Rand: rand.New(rand.NewPCG(1, 1)), Prefix: wellKnown, Pool: netip.PrefixFrom(server, 32), Filter: FilterNone,
			ToMesh: func(p []byte) { back = bytes.Clone(p) }, ToIPv4: func([]byte) {},
		})
		if err != nil {
			t.Fatal(err)
		}
		far := netip.MustParseAddr("fd00:2::1")
		open := [][]byte{
			udp6(far, under(server2), dport, 1, nil),
			tcp6(far, under(server2), dport, 1, flagSYN, nil),
			echo6(far, under(server2), 128, sport, 1, nil),
		}[proto%3]
		if r := other.FromMesh(open); r != Passed {
			t.Fatal(r)
		}
		if r := other.FromIPv4(out); r != Passed {
			t.Fatalf("%v: %x", r, out)
		}
		if err := wellFormed6(back); err != nil {
			t.Fatal(err)
		}
		if back[7] != p[7]-2 || src6(back) != under(src4(out)) || dst6(back) != far {
			t.Fatalf("%x became %x", p[:40], back[:40])
		}
		// The sums over both differ only by the addresses: the bytes behind the
		// checksum and before it are the same.
		at := []int{6, 16, 2}[proto%3]
		if !bytes.Equal(p[40:40+at], back[40:40+at]) || !bytes.Equal(p[40+at+2:], back[40+at+2:]) || p[0] != back[0] || p[1] != back[1] {
			t.Fatalf("%x became %x", p, back)
		}
	})
}
