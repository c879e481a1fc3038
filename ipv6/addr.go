package ipv6

import (
	"encoding/binary"
	"net/netip"
)

// Well-known multicast addresses (RFC 4291 Section 2.7.1, RFC 7346, RFC 7731
// Section 2).
var (
	AllNodesLinkLocal   = netip.MustParseAddr("ff02::1")
	AllRoutersLinkLocal = netip.MustParseAddr("ff02::2")
	AllNodesRealm       = netip.MustParseAddr("ff03::1")
	AllRoutersRealm     = netip.MustParseAddr("ff03::2")
	AllMPLForwarders    = netip.MustParseAddr("ff03::fc")
)

// Multicast scopes (RFC 7346 Section 2).
const (
	ScopeInterface uint8 = 0x1
	ScopeLink      uint8 = 0x2
	ScopeRealm     uint8 = 0x3
	ScopeAdmin     uint8 = 0x4
	ScopeSite      uint8 = 0x5
	ScopeOrg       uint8 = 0x8
	ScopeGlobal    uint8 = 0xe
)

// Scope returns the scope of an address. Unicast addresses are link scope
// when link-local, interface scope when loopback, and global otherwise (RFC
// 4007 Section 4).
func Scope(a netip.Addr) uint8 {
	switch {
	case a.Is6() && a.IsMulticast():
		b := a.As16()
		return b[1] & 0x0f
	case a.IsLinkLocalUnicast():
		return ScopeLink
	case a.IsLoopback():
		return ScopeInterface
	}
	return ScopeGlobal
}

// PrefixMulticast returns the prefix-based multicast address ff3s:LL:P::g of
// a prefix of at most 64 bits (RFC 3306 Section 4): Thread's groups of all
// nodes of one mesh are made of the mesh-local prefix and group 1.
func PrefixMulticast(scope uint8, p netip.Prefix, group uint32) netip.Addr {
	p64 := p.Masked().Addr().As16()
	a := [16]byte{0: 0xff, 1: 0x30 | scope&0x0f, 3: uint8(p.Bits())}
	copy(a[4:12], p64[:8])
	binary.BigEndian.PutUint32(a[12:], group)
	return netip.AddrFrom16(a)
}
