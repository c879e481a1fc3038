package ndp

import (
	"encoding/binary"
	"math"
	"net/netip"
	"time"
)

// Option types (IANA, IPv6 Neighbor Discovery Option Formats).
const (
	OptSourceLinkAddr      uint8 = 1
	OptTargetLinkAddr      uint8 = 2
	OptPrefixInfo          uint8 = 3
	OptRedirectedHeader    uint8 = 4
	OptMTU                 uint8 = 5
	OptNonce               uint8 = 14
	OptRouteInfo           uint8 = 24
	OptRDNSS               uint8 = 25
	OptFlagsExtension      uint8 = 26
	OptDNSSL               uint8 = 31
	OptAddressRegistration uint8 = 33
	OptContext             uint8 = 34
	OptBorderRouter        uint8 = 35
	OptCapabilities        uint8 = 36
	OptPREF64              uint8 = 38
)

// optionUnit is what the length of an option counts, in octets.
const optionUnit = 8

// An Option follows the fixed part of a message (RFC 4861 Section 4.6).
type Option interface {
	// Type is the number of the option.
	Type() uint8
	// Append appends the whole option, padded to a multiple of 8 octets.
	Append(b []byte) []byte
}

// A RawOption is one this package does not know, or whose contents a receiver
// has to ignore.
type RawOption struct {
	Number uint8
	Data   []byte // after type and length: 8n-2 octets, else padded with zeros
}

// Type is the number of the option.
func (o RawOption) Type() uint8 { return o.Number }

// Append appends the option; Data of more than 2038 octets is cut.
func (o RawOption) Append(b []byte) []byte {
	return appendOption(b, o.Number, func(b []byte) []byte {
		return append(b, o.Data[:min(len(o.Data), 255*optionUnit-2)]...)
	})
}

// appendOption appends type, length, contents, and zeros up to the next
// multiple of 8 octets.
func appendOption(b []byte, typ uint8, contents func([]byte) []byte) []byte {
	start := len(b)
	b = contents(append(b, typ, 0))
	for (len(b)-start)%optionUnit != 0 {
		b = append(b, 0)
	}
	b[start+1] = uint8((len(b) - start) / optionUnit)
	return b
}

// AppendOptions appends options one after the other.
func AppendOptions(b []byte, opts []Option) []byte {
	for _, o := range opts {
		b = o.Append(b)
	}
	return b
}

// DecodeOptions reads the options that fill b, which starts off bytes into the
// body of the message. Raw octets alias b.
func DecodeOptions(b []byte, off int) ([]Option, error) {
	var opts []Option
	for len(b) > 0 {
		if len(b) < 2 {
			return nil, &DecodeError{What: "option header", Offset: off + len(b), Err: ErrShort}
		}
		n := int(b[1]) * optionUnit
		if n == 0 {
			return nil, &DecodeError{What: "option", Offset: off + 1, Err: ErrZeroLength}
		}
		if n > len(b) {
			return nil, &DecodeError{What: "option", Offset: off + len(b), Err: ErrShort}
		}
		raw := b[2:n:n]
		o, ok := decodeOption(b[0], raw)
		if !ok {
			o = RawOption{Number: b[0], Data: raw}
		}
		opts = append(opts, o)
		b, off = b[n:], off+n
	}
	return opts, nil
}

// decodeOption reads the contents of an option, 6 octets or more; ok is false
// when the type is unknown or the contents are to be ignored.
func decodeOption(typ uint8, b []byte) (o Option, ok bool) {
	switch typ {
	case OptSourceLinkAddr:
		a, ok := decodeLinkAddr(b)
		return SourceLinkAddr{a}, ok
	case OptTargetLinkAddr:
		a, ok := decodeLinkAddr(b)
		return TargetLinkAddr{a}, ok
	case OptPrefixInfo:
		return decodePrefixInfo(b)
	case OptRedirectedHeader:
		return RedirectedHeader{Packet: b[6:]}, true
	case OptMTU:
		return MTU(binary.BigEndian.Uint32(b[2:])), len(b) == 6
	case OptNonce:
		return Nonce(b), true
	case OptRouteInfo:
		return decodeRouteInfo(b)
	case OptRDNSS:
		return decodeRDNSS(b)
	case OptFlagsExtension:
		return FlagsExtension(b[:6]), true // more is for the future: RFC 5175 Section 4
	case OptDNSSL:
		return decodeDNSSL(b)
	case OptAddressRegistration:
		return decodeAddressRegistration(b)
	case OptContext:
		return decodeContextOption(b)
	case OptBorderRouter:
		return decodeBorderRouter(b)
	case OptCapabilities:
		return Capabilities(binary.BigEndian.Uint16(b)), len(b) == 6
	case OptPREF64:
		return decodePREF64(b)
	}
	return nil, false
}

// Find returns the first option of a type.
func Find[T Option](opts []Option) (o T, ok bool) {
	for _, x := range opts {
		if o, ok = x.(T); ok {
			return o, true
		}
	}
	return o, false
}

// All returns every option of a type, in order.
func All[T Option](opts []Option) (all []T) {
	for _, x := range opts {
		if o, ok := x.(T); ok {
			all = append(all, o)
		}
	}
	return all
}

// Infinity is the lifetime of what never ends: all ones in seconds (RFC 4861
// Section 4.6.2).
const Infinity = math.MaxUint32 * time.Second

// seconds writes a lifetime as 32 bits, rounding up: what is not over yet must
// not become zero.
func seconds(d time.Duration) uint32 {
	return uint32(min(max(roundUp(d, time.Second), 0), math.MaxUint32))
}

// units writes a lifetime as 16 bits of a unit, rounding up.
func units(d, unit time.Duration) uint16 {
	return uint16(min(max(roundUp(d, unit), 0), math.MaxUint16))
}

func roundUp(d, unit time.Duration) int64 {
	n := int64(d / unit)
	if d%unit > 0 {
		n++
	}
	return n
}

// prefixFrom makes a prefix of up to 16 octets; ok is false if bits is out of
// range. Bits beyond the length are ignored, as they have to be.
func prefixFrom(b []byte, bits int) (p netip.Prefix, ok bool) {
	var a [16]byte
	copy(a[:], b)
	p, err := netip.AddrFrom16(a).Prefix(bits)
	return p, err == nil
}

// appendPrefix appends the first n octets of a prefix, without the bits beyond
// its length.
func appendPrefix(b []byte, p netip.Prefix, n int) []byte {
	a := p.Masked().Addr().As16()
	return append(b, a[:n]...)
}
