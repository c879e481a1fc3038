package nat64

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/ipv6"
)

var (
	start     = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	wellKnown = netip.MustParsePrefix("64:ff9b::/96")
	device    = netip.MustParseAddr("fd00:1::10")
	device2   = netip.MustParseAddr("fd00:1::20")
	server    = netip.MustParseAddr("203.0.113.7")
	server2   = netip.MustParseAddr("198.51.100.9")
)

// bench is a translator and what came out of it.
type bench struct {
	t     testing.TB
	clock *alarm.Clock
	*Translator
	mesh, ipv4 [][]byte
}

func newBench(t testing.TB, change func(*Config)) *bench {
	t.Helper()
	b := &bench{t: t, clock: &alarm.Clock{}}
	b.clock.Set(start)
	cfg := Config{
		Clock: b.clock, Rand: rand.New(rand.NewPCG(1, 2)),
		Prefix: wellKnown, Pool: netip.MustParsePrefix("192.168.255.1/32"),
		ToMesh: func(p []byte) {
			if err := wellFormed6(p); err != nil {
				t.Errorf("to the mesh: %v: %x", err, p)
			}
			b.mesh = append(b.mesh, bytes.Clone(p))
		},
		ToIPv4: func(p []byte) {
			if err := wellFormed4(p); err != nil {
				t.Errorf("to IPv4: %v: %x", err, p)
			}
			b.ipv4 = append(b.ipv4, bytes.Clone(p))
		},
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if b.Translator, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	return b
}

// wait lets time pass.
func (b *bench) wait(d time.Duration) {
	end := b.clock.Now().Add(d)
	for at := b.clock.Deadline(); !at.IsZero() && !at.After(end); at = b.clock.Deadline() {
		b.clock.Advance(at)
	}
	b.clock.Advance(end)
}

// take returns what came out and forgets it.
func (b *bench) take() (mesh, ipv4 [][]byte) {
	mesh, ipv4 = b.mesh, b.ipv4
	b.mesh, b.ipv4 = nil, nil
	return mesh, ipv4
}

// out gives the translator a packet from the mesh, which becomes one for IPv4.
func (b *bench) out(p []byte) []byte {
	b.t.Helper()
	r := b.FromMesh(p)
	mesh, ipv4 := b.take()
	if r != Passed || len(mesh) != 0 || len(ipv4) != 1 {
		b.t.Fatalf("%v, %d packets to the mesh, %d to IPv4; want one: %x", r, len(mesh), len(ipv4), p)
	}
	return ipv4[0]
}

// in gives the translator a packet from IPv4, which becomes one for the mesh.
func (b *bench) in(p []byte) []byte {
	b.t.Helper()
	r := b.FromIPv4(p)
	mesh, ipv4 := b.take()
	if r != Passed || len(mesh) != 1 || len(ipv4) != 0 {
		b.t.Fatalf("%v, %d packets to the mesh, %d to IPv4; want one: %x", r, len(mesh), len(ipv4), p)
	}
	return mesh[0]
}

// refused6 gives the translator a packet from the mesh and returns the error
// that comes back.
func (b *bench) refused6(p []byte, want Reason) []byte {
	b.t.Helper()
	r := b.FromMesh(p)
	mesh, ipv4 := b.take()
	if r != want || len(ipv4) != 0 || len(mesh) > 1 {
		b.t.Fatalf("%v, %d packets to the mesh, %d to IPv4; want %v and at most one error", r, len(mesh), len(ipv4), want)
	}
	if len(mesh) == 0 {
		return nil
	}
	return mesh[0]
}

func (b *bench) refused4(p []byte, want Reason) []byte {
	b.t.Helper()
	r := b.FromIPv4(p)
	mesh, ipv4 := b.take()
	if r != want || len(mesh) != 0 || len(ipv4) > 1 {
		b.t.Fatalf("%v, %d packets to the mesh, %d to IPv4; want %v and at most one error", r, len(mesh), len(ipv4), want)
	}
	if len(ipv4) == 0 {
		return nil
	}
	return ipv4[0]
}

func under(a netip.Addr) netip.Addr { return Embed(wellKnown, a) }

// checksum is the definition in RFC 1071, word by word.
func checksum(parts ...[]byte) uint16 {
	var s uint32
	for _, b := range parts {
		for i := 0; i < len(b); i += 2 {
			v := uint32(b[i]) << 8
			if i+1 < len(b) {
				v |= uint32(b[i+1])
			}
			if s += v; s > 0xffff {
				s -= 0xffff
			}
		}
	}
	return ^uint16(s)
}

// pseudo4 is the pseudo-header of IPv4.
func pseudo4(ip []byte, proto uint8, n int) []byte {
	p := bytes.Clone(ip[12:20])
	return append(p, 0, proto, byte(n>>8), byte(n))
}

func pseudo6(ip []byte, proto uint8, n int) []byte {
	p := bytes.Clone(ip[8:40])
	return append(p, byte(n>>24), byte(n>>16), byte(n>>8), byte(n), 0, 0, 0, proto)
}

// wellFormed4 checks lengths and checksums of an IPv4 packet.
func wellFormed4(p []byte) error {
	if len(p) < 20 || p[0] != 0x45 || int(binary.BigEndian.Uint16(p[2:])) != len(p) {
		return fmt.Errorf("not the header of a packet of %d bytes", len(p))
	}
	if checksum(p[:20]) != 0 {
		return fmt.Errorf("header checksum")
	}
	if p[8] == 0 {
		return fmt.Errorf("TTL 0")
	}
	if binary.BigEndian.Uint16(p[6:])&0x3fff != 0 {
		return nil // a fragment
	}
	b := p[20:]
	switch p[9] {
	case 1:
		if len(b) < 8 || checksum(b) != 0 {
			return fmt.Errorf("ICMP checksum")
		}
	case 6:
		if len(b) < 20 || checksum(pseudo4(p, 6, len(b)), b) != 0 {
			return fmt.Errorf("TCP checksum")
		}
	case 17:
		if len(b) < 8 || int(binary.BigEndian.Uint16(b[4:])) != len(b) {
			return fmt.Errorf("UDP length")
		}
		if b[6]|b[7] == 0 || checksum(pseudo4(p, 17, len(b)), b) != 0 {
			return fmt.Errorf("UDP checksum")
		}
	default:
		return fmt.Errorf("protocol %d", p[9])
	}
	return nil
}

// wellFormed6 checks lengths and checksums of an IPv6 packet.
func wellFormed6(p []byte) error {
	if len(p) < 40 || p[0]>>4 != 6 || int(binary.BigEndian.Uint16(p[4:])) != len(p)-40 {
		return fmt.Errorf("not the header of a packet of %d bytes", len(p))
	}
	if p[7] == 0 {
		return fmt.Errorf("hop limit 0")
	}
	b := p[40:]
	switch p[6] {
	case 44:
		if len(b) < 9 || b[3]&1 != 0 && (len(b)-8)%8 != 0 {
			return fmt.Errorf("fragment of %d bytes", len(b)-8)
		}
	case 6:
		if len(b) < 20 || checksum(pseudo6(p, 6, len(b)), b) != 0 {
			return fmt.Errorf("TCP checksum")
		}
	case 17:
		if len(b) < 8 || int(binary.BigEndian.Uint16(b[4:])) != len(b) {
			return fmt.Errorf("UDP length")
		}
		if b[6]|b[7] == 0 || checksum(pseudo6(p, 17, len(b)), b) != 0 {
			return fmt.Errorf("UDP checksum")
		}
	case 58:
		if len(b) < 8 || checksum(pseudo6(p, 58, len(b)), b) != 0 {
			return fmt.Errorf("ICMPv6 checksum")
		}
	default:
		return fmt.Errorf("next header %d", p[6])
	}
	return nil
}

// packets as the two sides send them

func ip4(src, dst netip.Addr, proto, ttl uint8, id, frag uint16, payload []byte) []byte {
	p := []byte{0x45, 0, 0, 0}
	binary.BigEndian.PutUint16(p[2:], uint16(20+len(payload)))
	p = binary.BigEndian.AppendUint16(p, id)
	p = binary.BigEndian.AppendUint16(p, frag)
	p = append(p, ttl, proto, 0, 0)
	p = append(p, src.AsSlice()...)
	p = append(p, dst.AsSlice()...)
	binary.BigEndian.PutUint16(p[10:], checksum(p))
	return append(p, payload...)
}

func udp4(src, dst netip.Addr, sport, dport uint16, payload []byte) []byte {
	u := binary.BigEndian.AppendUint16(nil, sport)
	u = binary.BigEndian.AppendUint16(u, dport)
	u = binary.BigEndian.AppendUint16(u, uint16(8+len(payload)))
	u = append(u, 0, 0)
	u = append(u, payload...)
	p := ip4(src, dst, 17, 64, 0x1234, 0, u)
	c := checksum(pseudo4(p, 17, len(u)), u)
	if c == 0 {
		c = 0xffff
	}
	binary.BigEndian.PutUint16(p[26:], c)
	return p
}

func tcpHeader(sport, dport uint16, flags uint8, payload []byte) []byte {
	h := binary.BigEndian.AppendUint16(nil, sport)
	h = binary.BigEndian.AppendUint16(h, dport)
	h = append(h, 0, 0, 0, 1, 0, 0, 0, 2, 5<<4, flags, 0x10, 0, 0, 0, 0, 0)
	return append(h, payload...)
}

func tcp4(src, dst netip.Addr, sport, dport uint16, flags uint8, payload []byte) []byte {
	h := tcpHeader(sport, dport, flags, payload)
	p := ip4(src, dst, 6, 64, 0x1234, 0x4000, h)
	binary.BigEndian.PutUint16(p[36:], checksum(pseudo4(p, 6, len(h)), h))
	return p
}

func icmp4(src, dst netip.Addr, typ, code uint8, rest uint32, body []byte) []byte {
	m := binary.BigEndian.AppendUint32([]byte{typ, code, 0, 0}, rest)
	m = append(m, body...)
	binary.BigEndian.PutUint16(m[2:], checksum(m))
	return ip4(src, dst, 1, 64, 0x1234, 0, m)
}

func echo4(src, dst netip.Addr, typ uint8, id, seq uint16, data []byte) []byte {
	return icmp4(src, dst, typ, 0, uint32(id)<<16|uint32(seq), data)
}

func head6(src, dst netip.Addr) ipv6.Header { return ipv6.Header{HopLimit: 64, Src: src, Dst: dst} }

func udp6(src, dst netip.Addr, sport, dport uint16, payload []byte) []byte {
	return ipv6.AppendUDPPacket(nil, head6(src, dst), sport, dport, payload)
}

func tcp6(src, dst netip.Addr, sport, dport uint16, flags uint8, payload []byte) []byte {
	h := tcpHeader(sport, dport, flags, payload)
	hd := head6(src, dst)
	hd.NextHeader, hd.PayloadLen = 6, uint16(len(h))
	binary.BigEndian.PutUint16(h[16:], ipv6.Checksum(src, dst, 6, h))
	return append(hd.Append(nil), h...)
}

func icmp6(src, dst netip.Addr, typ, code uint8, rest uint32, body []byte) []byte {
	return ipv6.AppendICMPPacket(nil, head6(src, dst), typ, code, append(binary.BigEndian.AppendUint32(nil, rest), body...))
}

func echo6(src, dst netip.Addr, typ uint8, id, seq uint16, data []byte) []byte {
	return icmp6(src, dst, typ, 0, uint32(id)<<16|uint32(seq), data)
}

func src4(p []byte) netip.Addr { return netip.AddrFrom4([4]byte(p[12:16])) }
func dst4(p []byte) netip.Addr { return netip.AddrFrom4([4]byte(p[16:20])) }
func src6(p []byte) netip.Addr { return netip.AddrFrom16([16]byte(p[8:24])) }
func dst6(p []byte) netip.Addr { return netip.AddrFrom16([16]byte(p[24:40])) }

func word(p []byte, at int) uint16 { return binary.BigEndian.Uint16(p[at:]) }

// unhex reads bytes with comments: # to the end of the line.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	var all strings.Builder
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, "#")
		all.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(all.String())
	if err != nil {
		t.Fatal(err)
	}
	return b
}
