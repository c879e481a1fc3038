package nat64

import (
	"encoding/binary"
	"net/netip"
)

// ValidPrefix reports whether IPv4 addresses can be embedded in p: it is an
// IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits whose bits 64 to 71 are zero (RFC
// 6052 Section 2.2).
func ValidPrefix(p netip.Prefix) bool {
	if !p.IsValid() || !p.Addr().Is6() || p.Addr().Is4In6() || p != p.Masked() {
		return false
	}
	switch p.Bits() {
	case 32, 40, 48, 56, 64, 96:
		return p.Addr().As16()[reservedOctet] == 0
	}
	return false
}

// reservedOctet is bits 64 to 71 of an address, which stay zero (RFC 6052
// Section 2.2).
const reservedOctet = 8

// Embed puts an IPv4 address into a valid prefix.
func Embed(p netip.Prefix, a netip.Addr) netip.Addr {
	x := newPrefix(p)
	return netip.AddrFrom16(x.embed(v4(a)))
}

// Extract returns the IPv4 address in an address of a valid prefix. What follows
// it is for future use and not looked at.
func Extract(p netip.Prefix, a netip.Addr) (netip.Addr, bool) {
	if !a.Is6() || !p.Contains(a) {
		return netip.Addr{}, false
	}
	x, b := newPrefix(p), a.As16()
	return addr4(x.extract(&b)), true
}

// prefix is a translation prefix with its arithmetic done.
type prefix struct {
	addr [16]byte
	len  int    // bytes
	at   [4]int // where each byte of an IPv4 address goes
}

func newPrefix(p netip.Prefix) prefix {
	x := prefix{addr: p.Addr().As16(), len: p.Bits() / 8}
	n := x.len
	for i := range x.at {
		if n == reservedOctet {
			n++
		}
		x.at[i] = n
		n++
	}
	return x
}

func (p *prefix) contains(a *[16]byte) bool {
	return string(a[:p.len]) == string(p.addr[:p.len])
}

func (p *prefix) embed(a uint32) [16]byte {
	b := p.addr
	b[p.at[0]], b[p.at[1]], b[p.at[2]], b[p.at[3]] = byte(a>>24), byte(a>>16), byte(a>>8), byte(a)
	return b
}

func (p *prefix) extract(b *[16]byte) uint32 {
	return uint32(b[p.at[0]])<<24 | uint32(b[p.at[1]])<<16 | uint32(b[p.at[2]])<<8 | uint32(b[p.at[3]])
}

// v4 is an IPv4 address as a number.
func v4(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func addr4(a uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)})
}

// unroutable4 reports IPv4 addresses that no packet on the way may come from or
// go to: this network, loopback, link-local, multicast, reserved and broadcast
// (RFC 1122 Section 3.2.1.3, RFC 6890 Section 2.2).
func unroutable4(a uint32) bool {
	top := a >> 24
	return top == 0 || top == 127 || top >= 224 || a>>16 == 169<<8|254
}

// unroutable6 reports IPv6 addresses that no packet on the way may come from:
// unspecified, loopback, IPv4 in disguise, link-local, multicast.
func unroutable6(a *[16]byte) bool {
	if a[0] == 0xff || a[0] == 0xfe && a[1]&0xc0 == 0x80 {
		return true
	}
	// ::/80 with either zeros or ones behind it: unspecified, loopback,
	// IPv4-compatible and IPv4-mapped.
	return binary.BigEndian.Uint64(a[:]) == 0 && binary.BigEndian.Uint16(a[8:]) == 0 &&
		(a[10] == 0 && a[11] == 0 || a[10] == 0xff && a[11] == 0xff)
}
