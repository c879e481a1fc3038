package ndp

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// SourceLinkAddr is the link-layer address of the sender (RFC 4861 Section
// 4.6.1).
type SourceLinkAddr struct{ Addr LinkAddr }

// Type is 1.
func (SourceLinkAddr) Type() uint8 { return OptSourceLinkAddr }

// Append appends the option: 8 octets, 16 for an EUI-64.
func (o SourceLinkAddr) Append(b []byte) []byte { return appendLinkAddr(b, o.Type(), o.Addr) }

// TargetLinkAddr is the link-layer address of the target (RFC 4861 Section
// 4.6.1).
type TargetLinkAddr struct{ Addr LinkAddr }

// Type is 2.
func (TargetLinkAddr) Type() uint8 { return OptTargetLinkAddr }

// Append appends the option: 8 octets, 16 for an EUI-64.
func (o TargetLinkAddr) Append(b []byte) []byte { return appendLinkAddr(b, o.Type(), o.Addr) }

func appendLinkAddr(b []byte, typ uint8, a LinkAddr) []byte {
	return appendOption(b, typ, func(b []byte) []byte {
		// Even no address takes an option, whose length cannot be zero.
		return append(b, a.b[:max(a.n, 2)]...)
	})
}

// decodeLinkAddr reads the address in 6 octets, a short one and zeros (RFC 4944
// Section 8) or an EUI-48, or in 14, an EUI-64 and zeros. Nothing but the zeros
// tells the first two apart; no manufacturer has an EUI-48 that ends in four.
func decodeLinkAddr(b []byte) (LinkAddr, bool) {
	switch {
	case len(b) == 14:
		return EUI64([8]byte(b)), true
	case len(b) != 6:
		return LinkAddr{}, false
	case [4]byte(b[2:]) == [4]byte{}:
		return Short(binary.BigEndian.Uint16(b)), true
	}
	return EUI48([6]byte(b)), true
}

// PrefixInfo is a prefix of the link (RFC 4861 Section 4.6.2).
type PrefixInfo struct {
	Prefix     netip.Prefix
	OnLink     bool // L
	Autonomous bool // A: hosts form addresses of it
	Router     bool // R: Prefix.Addr is the router's own address, RFC 6275 Section 7.2
	Delegated  bool // P: rather ask DHCPv6 for a prefix of your own, RFC 9762
	Valid      time.Duration
	Preferred  time.Duration
}

// Flags of a Prefix Information option.
const (
	prefixOnLink     = 0x80
	prefixAutonomous = 0x40
	prefixRouter     = 0x20
	prefixDelegated  = 0x10
)

// Type is 3.
func (PrefixInfo) Type() uint8 { return OptPrefixInfo }

// Append appends the option: 32 octets.
func (o PrefixInfo) Append(b []byte) []byte {
	return appendOption(b, o.Type(), func(b []byte) []byte {
		flags := bit(o.OnLink, prefixOnLink) | bit(o.Autonomous, prefixAutonomous) |
			bit(o.Router, prefixRouter) | bit(o.Delegated, prefixDelegated)
		b = append(b, prefixLen(o.Prefix), flags)
		b = binary.BigEndian.AppendUint32(b, seconds(o.Valid))
		b = binary.BigEndian.AppendUint32(b, seconds(o.Preferred))
		b = append(b, 0, 0, 0, 0)
		if o.Router {
			a := o.Prefix.Addr().As16()
			return append(b, a[:]...)
		}
		return appendPrefix(b, o.Prefix, 16)
	})
}

func decodePrefixInfo(b []byte) (Option, bool) {
	if len(b) != 30 || b[0] > 128 {
		return nil, false
	}
	o := PrefixInfo{
		OnLink:     b[1]&prefixOnLink != 0,
		Autonomous: b[1]&prefixAutonomous != 0,
		Router:     b[1]&prefixRouter != 0,
		Delegated:  b[1]&prefixDelegated != 0,
		Valid:      time.Duration(binary.BigEndian.Uint32(b[2:])) * time.Second,
		Preferred:  time.Duration(binary.BigEndian.Uint32(b[6:])) * time.Second,
	}
	o.Prefix = netip.PrefixFrom(netip.AddrFrom16([16]byte(b[14:])), int(b[0]))
	if !o.Router {
		o.Prefix = o.Prefix.Masked()
	}
	return o, true
}

func prefixLen(p netip.Prefix) uint8 { return uint8(max(p.Bits(), 0)) }

func bit(on bool, mask uint8) uint8 {
	if on {
		return mask
	}
	return 0
}

// RedirectedHeader is the packet that caused a Redirect, as much as fits (RFC
// 4861 Section 4.6.3).
type RedirectedHeader struct {
	Packet []byte // cut or padded to a multiple of 8 octets
}

// Type is 4.
func (RedirectedHeader) Type() uint8 { return OptRedirectedHeader }

// Append appends the option. Of a Packet that makes the message longer than
// the minimum MTU, the rest is the sender's to cut off.
func (o RedirectedHeader) Append(b []byte) []byte {
	return appendOption(b, o.Type(), func(b []byte) []byte {
		b = append(b, 0, 0, 0, 0, 0, 0)
		return append(b, o.Packet[:min(len(o.Packet), 254*optionUnit)]...)
	})
}

// MTU is the packet size of a link, in octets (RFC 4861 Section 4.6.4).
type MTU uint32

// Type is 5.
func (MTU) Type() uint8 { return OptMTU }

// Append appends the option: 8 octets.
func (o MTU) Append(b []byte) []byte {
	return appendOption(b, o.Type(), func(b []byte) []byte {
		return binary.BigEndian.AppendUint32(append(b, 0, 0), uint32(o))
	})
}

// Nonce ties an advertisement to its solicitation, and tells one's own looped
// back from another's (RFC 3971 Section 5.3.2, RFC 7527 Section 4.1): at least
// 6 octets, 8n-2 without padding.
type Nonce []byte

// Type is 14.
func (Nonce) Type() uint8 { return OptNonce }

// Append appends the option.
func (o Nonce) Append(b []byte) []byte { return RawOption{o.Type(), o}.Append(b) }
