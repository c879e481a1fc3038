package ieee802154

import (
	"encoding/hex"
	"fmt"
)

// Short addresses and PAN IDs with a meaning of their own (IEEE 802.15.4-2015
// Sections 7.2.6 to 7.2.9 and 8.4.3.1).
const (
	BroadcastShort uint16 = 0xffff // every device of the PAN
	InvalidShort   uint16 = 0xfffe // associated, but no short address allocated
	BroadcastPAN   uint16 = 0xffff // every PAN
)

// An ExtAddr is an extended address (EUI-64), most significant byte first: the
// order in which it is written, and the reverse of the order on the air.
type ExtAddr [8]byte

// ParseExtAddr reads the 16 hexadecimal digits of an extended address.
func ParseExtAddr(s string) (ExtAddr, error) {
	var e ExtAddr
	if len(s) != 2*len(e) {
		return ExtAddr{}, fmt.Errorf("ieee802154: extended address %q: want 16 hexadecimal digits", s)
	}
	if _, err := hex.Decode(e[:], []byte(s)); err != nil {
		return ExtAddr{}, fmt.Errorf("ieee802154: extended address %q: %w", s, err)
	}
	return e, nil
}

// String returns the address as 16 hexadecimal digits.
func (e ExtAddr) String() string { return hex.EncodeToString(e[:]) }

const universalLocal = 0x02 // the bit that a modified EUI-64 inverts

// IID returns the IPv6 interface identifier made of e (RFC 4291 Appendix A).
func (e ExtAddr) IID() [8]byte {
	e[0] ^= universalLocal
	return e
}

// ExtAddrFromIID is the inverse of ExtAddr.IID.
func ExtAddrFromIID(iid [8]byte) ExtAddr {
	iid[0] ^= universalLocal
	return iid
}

// AddrMode is the form of an address in a frame (IEEE 802.15.4-2015 Table 7-3).
type AddrMode uint8

const (
	AddrNone     AddrMode = 0
	AddrShort    AddrMode = 2
	AddrExtended AddrMode = 3
)

const addrReserved AddrMode = 1

// Len returns the number of octets that an address of the mode takes.
func (m AddrMode) Len() int {
	switch m {
	case AddrShort:
		return 2
	case AddrExtended:
		return 8
	}
	return 0
}

// An Addr is a source or destination address. The zero value is no address.
// Addresses made by ShortAddr and ExtendedAddr can be compared with ==.
type Addr struct {
	Mode  AddrMode
	Short uint16  // when Mode is AddrShort
	Ext   ExtAddr // when Mode is AddrExtended
}

// ShortAddr returns a as an address.
func ShortAddr(a uint16) Addr { return Addr{Mode: AddrShort, Short: a} }

// ExtendedAddr returns e as an address.
func ExtendedAddr(e ExtAddr) Addr { return Addr{Mode: AddrExtended, Ext: e} }

// IsBroadcast reports whether a is the broadcast short address.
func (a Addr) IsBroadcast() bool { return a.Mode == AddrShort && a.Short == BroadcastShort }

// String returns "none", a short address as "0x1800", or 16 hexadecimal digits.
func (a Addr) String() string {
	switch a.Mode {
	case AddrNone:
		return "none"
	case AddrShort:
		return fmt.Sprintf("%#04x", a.Short)
	case AddrExtended:
		return a.Ext.String()
	}
	return fmt.Sprintf("address mode %d", uint8(a.Mode))
}

// append writes the address as it goes on the air, least significant byte first.
func (a Addr) append(b []byte) []byte {
	switch a.Mode {
	case AddrShort:
		return append(b, byte(a.Short), byte(a.Short>>8))
	case AddrExtended:
		for i := len(a.Ext) - 1; i >= 0; i-- {
			b = append(b, a.Ext[i])
		}
	}
	return b
}

// decodeAddr reads an address of mode m; b holds at least m.Len() octets.
func decodeAddr(b []byte, m AddrMode) Addr {
	a := Addr{Mode: m}
	switch m {
	case AddrShort:
		a.Short = uint16(b[0]) | uint16(b[1])<<8
	case AddrExtended:
		for i := range a.Ext {
			a.Ext[i] = b[len(a.Ext)-1-i]
		}
	}
	return a
}
