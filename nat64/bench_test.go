package nat64

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"gatewayd/alarm"
)

// quick makes a translator with n sessions of other hosts.
func quick(tb testing.TB, n int) *Translator {
	clock := &alarm.Clock{}
	clock.Set(start)
	x, err := New(Config{
		Clock: clock, Rand: rand.New(rand.NewPCG(1, 2)), Prefix: wellKnown, Pool: netip.MustParsePrefix("192.168.255.0/24"),
		ToMesh: func([]byte) {}, ToIPv4: func([]byte) {},
	})
	if err != nil {
		tb.Fatal(err)
	}
	for i := range n {
		a := device.As16()
		a[13], a[15] = 1, byte(i%200)
		if r := x.FromMesh(udp6(netip.AddrFrom16(a), under(server), uint16(5000+i), 53, nil)); r != Passed {
			tb.Fatal(r)
		}
	}
	return x
}

// packets of a running session, both ways.
func running(tb testing.TB, x *Translator, size int) (out, in []byte) {
	out = udp6(device, under(server), 5000, 53, make([]byte, size))
	if r := x.FromMesh(out); r != Passed {
		tb.Fatal(r)
	}
	h := x.table.hosts[device.As16()]
	return out, udp4(server, addr4(h.addr4), 53, 5000, make([]byte, size))
}

func BenchmarkFromMesh64(b *testing.B)   { benchmark(b, 64, true) }
func BenchmarkFromMesh1200(b *testing.B) { benchmark(b, 1200, true) }
func BenchmarkFromIPv464(b *testing.B)   { benchmark(b, 64, false) }
func BenchmarkFromIPv41200(b *testing.B) { benchmark(b, 1200, false) }

func benchmark(b *testing.B, size int, fromMesh bool) {
	x := quick(b, 4000)
	out, in := running(b, x, size)
	b.ReportAllocs()
	b.SetBytes(int64(size))
	for b.Loop() {
		if fromMesh {
			x.FromMesh(out)
		} else {
			x.FromIPv4(in)
		}
	}
}

// Each packet begins a session and ends the oldest one.
func BenchmarkNewSession(b *testing.B) {
	x := quick(b, 4096)
	p := udp6(device, under(server), 5000, 53, nil)
	b.ReportAllocs()
	port := uint16(0)
	for b.Loop() {
		if port++; port == 0 {
			port = 1
		}
		p[40], p[41] = byte(port>>8), byte(port)
		if r := x.FromMesh(p); r != Passed {
			b.Fatal(r)
		}
	}
}

// The radio carries 250 kbit/s: at most 3000 small packets in a second, if there
// were nothing else in them. Translating those takes far below 5 % of a second,
// and no memory.
func TestCost(t *testing.T) {
	x := quick(t, 4000)
	out, in := running(t, x, 64)
	if n := testing.AllocsPerRun(100, func() { x.FromMesh(out); x.FromIPv4(in) }); n != 0 {
		t.Errorf("%v allocations for two packets", n)
	}
	const packets = 3000
	best := time.Hour
	for range 5 { // other programs run too
		begin := time.Now()
		for range packets / 2 {
			x.FromMesh(out)
			x.FromIPv4(in)
		}
		best = min(best, time.Since(begin))
	}
	if best > time.Second/20 {
		t.Errorf("%d packets took %v", packets, best)
	}
}
