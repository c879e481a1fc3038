package ipv6_test

import (
	"bytes"
	"errors"
	"net/netip"
	"reflect"
	"testing"

	"gatewayd/ipv6"
)

// A packet that decodes is made of the values it decodes to, and the walk over
// its extension headers ends inside it.
func FuzzPacket(f *testing.F) {
	f.Add(hexBytes(f, tmfPacket))
	f.Add(hexBytes(f, mplPacket))
	f.Add(hexBytes(f, `6000 0000 0018 2b 40 fe800000000000000000000000000001 fe800000000000000000000000000002
		3c00000000000000 2c00010400000000 1100000100000001`))
	f.Fuzz(func(t *testing.T, in []byte) {
		h, payload, err := ipv6.DecodeHeader(in)
		if err != nil {
			var de *ipv6.DecodeError
			if !errors.As(err, &de) || de.Offset > len(in) {
				t.Fatal(err)
			}
			return
		}
		packet := append(h.Append(nil), payload...)
		if !bytes.Equal(packet, in[:len(packet)]) {
			t.Fatalf("%x became %x", in, packet)
		}
		proto, at, err := ipv6.Transport(packet)
		if err != nil {
			return
		}
		if at < ipv6.HeaderLen || at > len(packet) {
			t.Fatalf("transport at %d of %d", at, len(packet))
		}
		if proto == ipv6.ProtoUDP {
			u, data, err := ipv6.DecodeUDP(packet[at:])
			if err != nil {
				return
			}
			again := ipv6.AppendUDP(nil, h.Src, h.Dst, u.SrcPort, u.DstPort, data)
			if !ipv6.VerifyChecksum(h.Src, h.Dst, proto, again) {
				t.Fatalf("checksum of %x", again)
			}
			if ipv6.VerifyChecksum(h.Src, h.Dst, proto, packet[at:at+int(u.Length)]) && !bytes.Equal(again, packet[at:at+int(u.Length)]) {
				t.Fatalf("%x became %x", packet[at:], again)
			}
		}
		if m, found, err := ipv6.FindMPL(packet); err == nil && found {
			o, _, err := ipv6.NextOption(m.Append(nil))
			if err != nil {
				t.Fatal(err)
			}
			if again, err := ipv6.DecodeMPL(o.Data); err != nil || !reflect.DeepEqual(again, m) {
				t.Fatalf("%+v became %+v, %v", m, again, err)
			}
		}
		padded := bytes.Clone(packet)
		ipv6.PadMPL(padded)
		if _, found, _ := ipv6.FindMPL(padded); found {
			t.Fatalf("%x has an MPL option still", padded)
		}
		if p, a, err := ipv6.Transport(padded); err != nil || p != proto || a != at {
			t.Fatalf("%x has protocol %d at %d, %v", padded, p, a, err)
		}
	})
}

// The checksum is the one by the book, and its complement verifies.
func FuzzChecksum(f *testing.F) {
	f.Add([]byte("odd"), []byte("0123456789abcdef"), uint8(58))
	f.Add([]byte{0, 0, 0xff, 0xff}, []byte{}, uint8(58))
	f.Fuzz(func(t *testing.T, payload, a []byte, proto uint8) {
		if len(payload) > 0xffff {
			return
		}
		var src, dst [16]byte
		copy(src[:], a)
		copy(dst[:], payload)
		s, d := netip.AddrFrom16(src), netip.AddrFrom16(dst)
		want := naive(s, d, proto, payload)
		if want == 0 && proto == ipv6.ProtoUDP {
			want = 0xffff
		}
		if got := ipv6.Checksum(s, d, proto, payload); got != want {
			t.Fatalf("%#x, want %#x", got, want)
		}
	})
}

func BenchmarkChecksum1280(b *testing.B) {
	src, dst, p := ipv6.AllNodesRealm, ipv6.AllRoutersRealm, make([]byte, 1240)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		ipv6.Checksum(src, dst, ipv6.ProtoICMPv6, p)
	}
}

func BenchmarkAppendUDPPacket(b *testing.B) {
	h := ipv6.Header{HopLimit: 64, Src: ipv6.AllNodesRealm, Dst: ipv6.AllRoutersRealm}
	p, buf := make([]byte, 64), make([]byte, 0, ipv6.MinMTU)
	b.ReportAllocs()
	for b.Loop() {
		ipv6.AppendUDPPacket(buf, h, 1, 2, p)
	}
}
