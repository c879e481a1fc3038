package lowpan_test

import (
	"testing"

	"gatewayd/ipv6"
	"gatewayd/lowpan"
)

// udpPacket is a datagram between two RLOCs, the usual one.
func udpPacket(n int) []byte {
	h := ipv6.Header{HopLimit: 64, Src: rloc(0x4c00), Dst: rloc(0xbc00)}
	return ipv6.AppendUDPPacket(nil, h, 61631, 61631, make([]byte, n))
}

func BenchmarkCompress(b *testing.B) {
	packet, buf := udpPacket(64), make([]byte, 0, 127)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := lowpan.Compress(buf, packet, secured.Src, secured.Dst, meshLocal, 100); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecompress(b *testing.B) {
	packet, buf := udpPacket(64), make([]byte, 0, lowpan.MTU)
	wire, n, err := lowpan.Compress(nil, packet, secured.Src, secured.Dst, meshLocal, 100)
	if err != nil {
		b.Fatal(err)
	}
	wire = append(wire, packet[n:]...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := lowpan.DecompressPacket(buf, wire, secured.Src, secured.Dst, meshLocal); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFragment(b *testing.B) {
	packet, buf := udpPacket(1000), make([]byte, 0, 127)
	b.ReportAllocs()
	for b.Loop() {
		_, next, err := lowpan.AppendFirst(buf, packet, secured.Src, secured.Dst, meshLocal, 104, 1, false)
		for err == nil && next < len(packet) {
			_, next, err = lowpan.AppendNext(buf, packet, next, 104, 1)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReassemble(b *testing.B) {
	frames := fragments(b, udpPacket(1000), secured, 104, 1)
	r := lowpan.NewReassembler(lowpan.ReassemblerConfig{})
	b.ReportAllocs()
	for b.Loop() {
		for i, f := range frames {
			if _, done, err := r.Add(epoch, secured, meshLocal, f); err != nil || done != (i == len(frames)-1) {
				b.Fatal(done, err)
			}
		}
	}
}

// The path of a frame allocates nothing once the buffers are there.
func TestAllocations(t *testing.T) {
	packet := udpPacket(1000)
	frames := fragments(t, packet, secured, 104, 1)
	r := lowpan.NewReassembler(lowpan.ReassemblerConfig{})
	buf := make([]byte, 0, lowpan.MTU)
	small := udpPacket(64)
	wire, n, err := lowpan.Compress(nil, small, secured.Src, secured.Dst, meshLocal, 100)
	if err != nil {
		t.Fatal(err)
	}
	wire = append(wire, small[n:]...)
	for name, f := range map[string]func() error{
		"compress": func() error {
			_, _, err := lowpan.AppendFirst(buf, packet, secured.Src, secured.Dst, meshLocal, 104, 1, false)
			return err
		},
		"decompress": func() error {
			_, err := lowpan.DecompressPacket(buf, wire, secured.Src, secured.Dst, meshLocal)
			return err
		},
		"reassemble": func() (err error) {
			for _, f := range frames {
				_, _, err = r.Add(epoch, secured, meshLocal, f)
			}
			return err
		},
	} {
		if n := testing.AllocsPerRun(100, func() {
			if err := f(); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
