package ndp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Preference of a default router or a route (RFC 4191 Section 2.1). Larger is
// better.
type Preference int8

const (
	Low    Preference = -1
	Medium Preference = 0
	High   Preference = 1
)

// String returns the RFC's word.
func (p Preference) String() string {
	switch p {
	case Low:
		return "low"
	case Medium:
		return "medium"
	case High:
		return "high"
	}
	return fmt.Sprintf("Preference(%d)", int8(p))
}

// The preference is a signed number of two bits, at the same place in both
// octets that hold one.
const prefShift = 3

func (p Preference) bits() uint8 { return uint8(p) & 3 << prefShift }

// decodePreference returns ok false for the reserved value.
func decodePreference(flags uint8) (p Preference, ok bool) {
	switch flags >> prefShift & 3 {
	case 1:
		return High, true
	case 3:
		return Low, true
	case 2:
		return Medium, false
	}
	return Medium, true
}

// RouteInfo is a route through the sender (RFC 4191 Section 2.3).
type RouteInfo struct {
	Prefix     netip.Prefix
	Preference Preference
	Lifetime   time.Duration
}

// Type is 24.
func (RouteInfo) Type() uint8 { return OptRouteInfo }

// Append appends the option: 8, 16 or 24 octets.
func (o RouteInfo) Append(b []byte) []byte {
	return appendOption(b, o.Type(), func(b []byte) []byte {
		bits := prefixLen(o.Prefix)
		b = append(b, bits, o.Preference.bits())
		b = binary.BigEndian.AppendUint32(b, seconds(o.Lifetime))
		return appendPrefix(b, o.Prefix, (int(bits)+63)/64*8)
	})
}

func decodeRouteInfo(b []byte) (Option, bool) {
	// A longer option than the prefix needs is allowed, one longer than any
	// prefix needs is not.
	if b[0] > 128 || len(b) < 6+(int(b[0])+63)/64*8 || len(b) > 22 {
		return nil, false
	}
	pref, ok := decodePreference(b[1])
	if !ok {
		return nil, false // to be ignored: RFC 4191 Section 2.3
	}
	p, ok := prefixFrom(b[6:], int(b[0]))
	return RouteInfo{
		Prefix:     p,
		Preference: pref,
		Lifetime:   time.Duration(binary.BigEndian.Uint32(b[2:])) * time.Second,
	}, ok
}

// RDNSS lists recursive DNS servers (RFC 8106 Section 5.1).
type RDNSS struct {
	Lifetime time.Duration
	Servers  []netip.Addr // at least one
}

// Type is 25.
func (RDNSS) Type() uint8 { return OptRDNSS }

// Append appends the option.
func (o RDNSS) Append(b []byte) []byte {
	return appendOption(b, o.Type(), func(b []byte) []byte {
		b = binary.BigEndian.AppendUint32(append(b, 0, 0), seconds(o.Lifetime))
		for _, s := range o.Servers[:min(len(o.Servers), 127)] {
			a := s.As16()
			b = append(b, a[:]...)
		}
		return b
	})
}

func decodeRDNSS(b []byte) (Option, bool) {
	o := RDNSS{Lifetime: time.Duration(binary.BigEndian.Uint32(b[2:])) * time.Second}
	rest := b[6:]
	if len(rest) == 0 || len(rest)%16 != 0 {
		return nil, false
	}
	for ; len(rest) > 0; rest = rest[16:] {
		o.Servers = append(o.Servers, netip.AddrFrom16([16]byte(rest)))
	}
	return o, true
}

// DNSSL lists DNS search domains (RFC 8106 Section 5.2), without the dot at
// the end.
type DNSSL struct {
	Lifetime time.Duration
	Domains  []string
}

// Type is 31.
func (DNSSL) Type() uint8 { return OptDNSSL }

// Append appends the option. A domain that is no name of RFC 1035 Section
// 2.3.4, or does not fit anymore, is left out.
func (o DNSSL) Append(b []byte) []byte {
	return appendOption(b, o.Type(), func(b []byte) []byte {
		start := len(b)
		b = binary.BigEndian.AppendUint32(append(b, 0, 0), seconds(o.Lifetime))
		for _, d := range o.Domains {
			if n, ok := appendDomain(b, d); ok && len(n)-start <= 255*optionUnit-2 {
				b = n
			}
		}
		return b
	})
}

// Limits of domain names (RFC 1035 Section 2.3.4).
const (
	maxLabel  = 63
	maxDomain = 255
)

func appendDomain(b []byte, domain string) ([]byte, bool) {
	if len(domain)+2 > maxDomain {
		return nil, false
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > maxLabel {
			return nil, false
		}
		b = append(b, uint8(len(label)))
		b = append(b, label...)
	}
	return append(b, 0), true
}

func decodeDNSSL(b []byte) (Option, bool) {
	o := DNSSL{Lifetime: time.Duration(binary.BigEndian.Uint32(b[2:])) * time.Second}
	rest := b[6:]
	for len(rest) > 0 && rest[0] != 0 {
		var labels []string
		n := 1
		for len(rest) > 0 && rest[0] != 0 {
			l := int(rest[0])
			// A dot inside a label could not be told from one between two.
			if l > maxLabel || len(rest) <= l || strings.IndexByte(string(rest[1:1+l]), '.') >= 0 {
				return nil, false
			}
			labels = append(labels, string(rest[1:1+l]))
			rest, n = rest[1+l:], n+1+l
		}
		if len(rest) == 0 || n > maxDomain {
			return nil, false
		}
		rest = rest[1:]
		o.Domains = append(o.Domains, strings.Join(labels, "."))
	}
	for _, pad := range rest {
		if pad != 0 {
			return nil, false
		}
	}
	return o, len(o.Domains) > 0
}

// FlagsExtension holds the flags of a router advertisement beyond the first
// eight (RFC 5175 Section 4). None is assigned.
type FlagsExtension [6]byte

// Type is 26.
func (FlagsExtension) Type() uint8 { return OptFlagsExtension }

// Append appends the option: 8 octets.
func (o FlagsExtension) Append(b []byte) []byte { return RawOption{o.Type(), o[:]}.Append(b) }

// PREF64 is the prefix of a NAT64 (RFC 8781 Section 4).
type PREF64 struct {
	Prefix   netip.Prefix  // 32, 40, 48, 56, 64 or 96 bits
	Lifetime time.Duration // in units of 8 s, at most 65528 s
}

// pref64Bits lists the prefix lengths by their code.
var pref64Bits = [...]int{96, 64, 56, 48, 40, 32}

const (
	pref64Unit = 8 * time.Second
	pref64Max  = 1<<13 - 1
)

// Type is 38.
func (PREF64) Type() uint8 { return OptPREF64 }

// Append appends the option: 16 octets. A prefix of another length is cut to
// the next shorter one that can be said.
func (o PREF64) Append(b []byte) []byte {
	return appendOption(b, o.Type(), func(b []byte) []byte {
		code := 0
		for code < len(pref64Bits)-1 && pref64Bits[code] > o.Prefix.Bits() {
			code++
		}
		scaled := min(units(o.Lifetime, pref64Unit), pref64Max)
		b = binary.BigEndian.AppendUint16(b, scaled<<3|uint16(code))
		p, _ := o.Prefix.Addr().Prefix(pref64Bits[code])
		return appendPrefix(b, p, 12)
	})
}

func decodePREF64(b []byte) (Option, bool) {
	v := binary.BigEndian.Uint16(b)
	if len(b) != 14 || int(v&7) >= len(pref64Bits) {
		return nil, false
	}
	p, ok := prefixFrom(b[2:], pref64Bits[v&7])
	return PREF64{Prefix: p, Lifetime: time.Duration(v>>3) * pref64Unit}, ok
}
