package nat64

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
)

// The examples of RFC 6052 Section 2.4.
func TestEmbed(t *testing.T) {
	a := netip.MustParseAddr("192.0.2.33")
	for _, tt := range []struct{ prefix, want string }{
		{"2001:db8::/32", "2001:db8:c000:221::"},
		{"2001:db8:100::/40", "2001:db8:1c0:2:21::"},
		{"2001:db8:122::/48", "2001:db8:122:c000:2:2100::"},
		{"2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"},
		{"2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"},
		{"2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"},
		{"64:ff9b::/96", "64:ff9b::192.0.2.33"},
	} {
		p := netip.MustParsePrefix(tt.prefix)
		if !ValidPrefix(p) {
			t.Errorf("%v is not valid", p)
		}
		x := Embed(p, a)
		if x != netip.MustParseAddr(tt.want) {
			t.Errorf("%v in %v is %v, want %s", a, p, x, tt.want)
		}
		if back, ok := Extract(p, x); !ok || back != a {
			t.Errorf("%v out of %v is %v, %v", x, p, back, ok)
		}
	}
	for _, s := range []string{"64:ff9b::/95", "2001:db8::/33", "2001:db8:0:0:1::/72", "2001:db8:0:0:100::/96", "64:ff9b::1/96", "10.0.0.0/32", "::ffff:0:0/96"} {
		if ValidPrefix(netip.MustParsePrefix(s)) {
			t.Errorf("%s is valid", s)
		}
	}
	if _, ok := Extract(wellKnown, netip.MustParseAddr("64:ff9b:1::1")); ok {
		t.Error("an address out of another prefix")
	}
}

// Packets as they look on the two sides, checked by hand and with Wireshark.
func TestGoldenPackets(t *testing.T) {
	b := newBench(t, nil)
	b.lastID = 0
	for _, tt := range []struct {
		name, mesh, ipv4 string
		in               bool // from IPv4 to the mesh
	}{{
		name: "UDP out",
		mesh: `61200000 000c 11 40             # traffic class 0x12, 12 bytes of UDP, hop limit 64
		       fd000001000000000000000000000010 # fd00:1::10
		       0064ff9b0000000000000000cb007107 # 64:ff9b::203.0.113.7
		       c350 1633 000c 0000 61626364`,
		ipv4: `45 12 0020 0001 0000 3f 11 0000  # identification 1, may be fragmented, TTL 63
		       c0a8ff01 cb007107               # 192.168.255.1 to 203.0.113.7
		       c350 1633 000c 0000 61626364`,
	}, {
		name: "UDP in", in: true,
		ipv4: `45 b8 0020 abcd 4000 38 11 0000
		       cb007107 c0a8ff01
		       1633 c350 000c 0000 65666768`,
		mesh: `6b800000 000c 11 37
		       0064ff9b0000000000000000cb007107
		       fd000001000000000000000000000010
		       1633 c350 000c 0000 65666768`,
	}, {
		name: "SYN out, with options, behind a destination options header",
		mesh: `60000000 0020 3c 40
		       fd000001000000000000000000000010
		       0064ff9b0000000000000000cb007107
		       06 00 01 04 00000000            # PadN
		       c351 01bb 00000001 00000000 6002 1000 0000 0000 020404c4 # MSS 1220`,
		ipv4: `45 00 002c 0002 0000 3f 06 0000
		       c0a8ff01 cb007107
		       c351 01bb 00000001 00000000 6002 1000 0000 0000 020404c4`,
	}, {
		name: "SYN and ACK in", in: true,
		ipv4: `45 00 002c 0000 4000 40 06 0000
		       cb007107 c0a8ff01
		       01bb c351 00000007 00000002 6012 ffff 0000 0000 020405b4`,
		mesh: `60000000 0018 06 3f
		       0064ff9b0000000000000000cb007107
		       fd000001000000000000000000000010
		       01bb c351 00000007 00000002 6012 ffff 0000 0000 020405b4`,
	}, {
		name: "echo request out, odd length",
		mesh: `60000000 000b 3a 40
		       fd000001000000000000000000000010
		       0064ff9b0000000000000000cb007107
		       80 00 0000 0042 0001 010203`,
		ipv4: `45 00 001f 0003 0000 3f 01 0000
		       c0a8ff01 cb007107
		       08 00 0000 0042 0001 010203`,
	}, {
		name: "echo reply in", in: true,
		ipv4: `45 00 001f 0000 0000 40 01 0000
		       cb007107 c0a8ff01
		       00 00 0000 0042 0001 010203`,
		mesh: `60000000 000b 3a 3f
		       0064ff9b0000000000000000cb007107
		       fd000001000000000000000000000010
		       81 00 0000 0042 0001 010203`,
	}} {
		mesh, ipv4 := seal(t, unhex(t, tt.mesh)), seal(t, unhex(t, tt.ipv4))
		var got, want []byte
		if tt.in {
			got, want = b.in(ipv4), mesh
		} else {
			got, want = b.out(mesh), ipv4
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s:\n%x, want\n%x", tt.name, got, want)
		}
	}
}

// seal fills in the checksums of a packet without fragments.
func seal(t *testing.T, p []byte) []byte {
	t.Helper()
	b, pseudo := p[20:], pseudo4
	var proto byte
	if p[0]>>4 == 4 {
		proto = p[9]
		copy(p[10:], []byte{0, 0})
		binary.BigEndian.PutUint16(p[10:], checksum(p[:20]))
	} else {
		b, pseudo, proto = p[40:], pseudo6, p[6]
		if proto == 60 {
			proto, b = b[0], b[8:]
		}
	}
	at := map[byte]int{1: 2, 6: 16, 17: 6, 58: 2}[proto]
	copy(b[at:], []byte{0, 0})
	c := checksum(pseudo(p, proto, len(b)), b)
	if proto == 1 {
		c = checksum(b)
	}
	binary.BigEndian.PutUint16(b[at:], c)
	return p
}
