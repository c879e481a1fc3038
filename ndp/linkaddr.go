package ndp

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"

	"gatewayd/ieee802154"
)

// A LinkAddr is a link-layer address: a short address of 2 octets, an EUI-48
// of 6 or an EUI-64 of 8. The zero value is none. It can be compared with ==.
type LinkAddr struct {
	n uint8
	b [8]byte // octets beyond n are zero
}

// Short returns the short address of an IEEE 802.15.4 device.
func Short(a uint16) LinkAddr { return LinkAddr{n: 2, b: [8]byte{byte(a >> 8), byte(a)}} }

// EUI48 returns an Ethernet address.
func EUI48(a [6]byte) LinkAddr {
	l := LinkAddr{n: 6}
	copy(l.b[:], a[:])
	return l
}

// EUI64 returns an extended address, in the order in which it is written.
func EUI64(a [8]byte) LinkAddr { return LinkAddr{n: 8, b: a} }

// FromIEEE802154 returns the address of a frame; none for no address.
func FromIEEE802154(a ieee802154.Addr) LinkAddr {
	switch a.Mode {
	case ieee802154.AddrShort:
		return Short(a.Short)
	case ieee802154.AddrExtended:
		return EUI64(a.Ext)
	}
	return LinkAddr{}
}

// IEEE802154 returns the address as a frame carries it; no address for an
// EUI-48 or none.
func (l LinkAddr) IEEE802154() ieee802154.Addr {
	switch l.n {
	case 2:
		return ieee802154.ShortAddr(uint16(l.b[0])<<8 | uint16(l.b[1]))
	case 8:
		return ieee802154.ExtendedAddr(l.b)
	}
	return ieee802154.Addr{}
}

// IsValid reports whether there is an address.
func (l LinkAddr) IsValid() bool { return l.n != 0 }

// Len is the number of octets: 0, 2, 6 or 8.
func (l LinkAddr) Len() int { return int(l.n) }

// Bytes returns the octets, in the order in which they are written.
func (l LinkAddr) Bytes() []byte { return append([]byte(nil), l.b[:l.n]...) }

// String returns a short address as "0x1800", others in pairs of digits with
// colons between.
func (l LinkAddr) String() string {
	switch l.n {
	case 0:
		return "none"
	case 2:
		return fmt.Sprintf("0x%04x", l.b[:2])
	}
	var s strings.Builder
	for i, o := range l.b[:l.n] {
		if i > 0 {
			s.WriteByte(':')
		}
		fmt.Fprintf(&s, "%02x", o)
	}
	return s.String()
}

// MarshalText writes the address as plain hexadecimal digits.
func (l LinkAddr) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, l.b[:l.n]), nil }

// UnmarshalText reads what MarshalText wrote.
func (l *LinkAddr) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil {
		return fmt.Errorf("ndp: link-layer address %q: %w", text, err)
	}
	switch len(b) {
	case 0, 2, 6, 8:
	default:
		return fmt.Errorf("ndp: link-layer address %q: %d octets", text, len(b))
	}
	*l = LinkAddr{n: uint8(len(b))}
	copy(l.b[:], b)
	return nil
}

// universalLocal is the bit that a modified EUI-64 inverts.
const universalLocal = 0x02

// IID returns the interface identifier made of the address: RFC 4291 Appendix
// A, RFC 2464 Section 4, and for a short address the form that RFC 6282
// Section 3.2.2 elides.
func (l LinkAddr) IID() (iid [8]byte) {
	switch l.n {
	case 2:
		return [8]byte{3: 0xff, 4: 0xfe, 6: l.b[0], 7: l.b[1]}
	case 6:
		iid = [8]byte{l.b[0], l.b[1], l.b[2], 0xff, 0xfe, l.b[3], l.b[4], l.b[5]}
	default:
		iid = l.b
	}
	iid[0] ^= universalLocal
	return iid
}

// LinkLocal returns the link-local address made of the interface identifier.
func (l LinkAddr) LinkLocal() netip.Addr { return joinIID(linkLocalPrefix, l.IID()) }

var linkLocalPrefix = netip.MustParsePrefix("fe80::/64")

// joinIID makes an address of the first 64 bits of p and an interface
// identifier.
func joinIID(p netip.Prefix, iid [8]byte) netip.Addr {
	a := p.Addr().As16()
	copy(a[8:], iid[:])
	return netip.AddrFrom16(a)
}

// iidLinkAddr is the inverse of IID for IEEE 802.15.4: the device whose
// address this is if the interface identifier was made of its address.
func iidLinkAddr(a netip.Addr) LinkAddr {
	b := a.As16()
	if [6]byte(b[8:14]) == [6]byte{3: 0xff, 4: 0xfe} {
		return LinkAddr{n: 2, b: [8]byte{b[14], b[15]}}
	}
	l := LinkAddr{n: 8, b: [8]byte(b[8:])}
	l.b[0] ^= universalLocal
	return l
}
