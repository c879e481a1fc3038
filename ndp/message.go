package ndp

import (
	"encoding/binary"
	"math"
	"net/netip"
	"time"
)

// ICMPv6 types of neighbour discovery (RFC 4861 Section 4, RFC 6775 Section
// 4.4).
const (
	TypeRouterSolicit    uint8 = 133
	TypeRouterAdvert     uint8 = 134
	TypeNeighborSolicit  uint8 = 135
	TypeNeighborAdvert   uint8 = 136
	TypeRedirect         uint8 = 137
	TypeDuplicateRequest uint8 = 157 // DAR, EDAR
	TypeDuplicateConfirm uint8 = 158 // DAC, EDAC
)

// IsMessage reports whether an ICMPv6 type is one this package decodes.
func IsMessage(typ uint8) bool {
	return typ >= TypeRouterSolicit && typ <= TypeRedirect || typ == TypeDuplicateRequest || typ == TypeDuplicateConfirm
}

// A Message is the body of an ICMPv6 message: what follows its checksum.
type Message interface {
	// ICMP returns the type and code the body goes with.
	ICMP() (typ, code uint8)
	// Append appends the body.
	Append(b []byte) []byte
}

// Decode reads the body of a message. Options alias it. Whether the message
// may be listened to is for Validate to say.
func Decode(typ, code uint8, body []byte) (Message, error) {
	fixed, ok := fixedLen[typ]
	if !ok {
		return nil, ErrType
	}
	what := messageNames[typ]
	if typ == TypeDuplicateRequest || typ == TypeDuplicateConfirm {
		if code > 4 {
			return nil, &DecodeError{What: what, Err: ErrCode}
		}
		fixed += 8 * max(int(code), 1) // the ROVR
	}
	if len(body) < fixed {
		return nil, &DecodeError{What: what, Offset: len(body), Err: ErrShort}
	}
	opts, err := DecodeOptions(body[fixed:], fixed)
	if err != nil {
		return nil, err
	}
	switch typ {
	case TypeRouterSolicit:
		return RouterSolicit{Options: opts}, nil
	case TypeRouterAdvert:
		return decodeRouterAdvert(body, opts), nil
	case TypeNeighborSolicit:
		return NeighborSolicit{Target: addrAt(body, 4), Options: opts}, nil
	case TypeNeighborAdvert:
		return NeighborAdvert{
			Router:    body[0]&naRouter != 0,
			Solicited: body[0]&naSolicited != 0,
			Override:  body[0]&naOverride != 0,
			Target:    addrAt(body, 4),
			Options:   opts,
		}, nil
	case TypeRedirect:
		return Redirect{Target: addrAt(body, 4), Destination: addrAt(body, 20), Options: opts}, nil
	}
	return decodeDuplicate(typ, code, body[:fixed], opts), nil
}

// fixedLen is the size of what comes before the options, without a ROVR.
var fixedLen = map[uint8]int{
	TypeRouterSolicit:    4,
	TypeRouterAdvert:     12,
	TypeNeighborSolicit:  20,
	TypeNeighborAdvert:   20,
	TypeRedirect:         36,
	TypeDuplicateRequest: 20,
	TypeDuplicateConfirm: 20,
}

var messageNames = map[uint8]string{
	TypeRouterSolicit:    "router solicitation",
	TypeRouterAdvert:     "router advertisement",
	TypeNeighborSolicit:  "neighbour solicitation",
	TypeNeighborAdvert:   "neighbour advertisement",
	TypeRedirect:         "redirect",
	TypeDuplicateRequest: "duplicate address request",
	TypeDuplicateConfirm: "duplicate address confirmation",
}

func addrAt(b []byte, off int) netip.Addr { return netip.AddrFrom16([16]byte(b[off:])) }

func appendAddr(b []byte, a netip.Addr) []byte {
	o := a.As16()
	return append(b, o[:]...)
}

// RouterSolicit asks routers to advertise themselves (RFC 4861 Section 4.1).
type RouterSolicit struct {
	Options []Option
}

// ICMP returns type 133, code 0.
func (RouterSolicit) ICMP() (typ, code uint8) { return TypeRouterSolicit, 0 }

// Append appends the body.
func (m RouterSolicit) Append(b []byte) []byte {
	return AppendOptions(append(b, 0, 0, 0, 0), m.Options)
}

// RouterAdvert is what a router says of itself and the link (RFC 4861 Section
// 4.2).
type RouterAdvert struct {
	HopLimit   uint8 // for hosts to use; 0: the router does not say
	Managed    bool  // M: addresses by DHCPv6
	Other      bool  // O: other information by DHCPv6
	HomeAgent  bool  // H, RFC 6275 Section 7.1
	Preference Preference
	Proxy      bool          // P, RFC 4389 Section 4.1.3.3
	SNAC       bool          // the sender is a stub network's router
	Lifetime   time.Duration // as default router, seconds up to 65535; zero: it is none
	Reachable  time.Duration // ms; 0: the router does not say
	Retrans    time.Duration // ms; 0: the router does not say
	Options    []Option
}

// Flags of a router advertisement (IANA, IPv6 ND Router Advertisement flags).
const (
	raManaged   = 0x80
	raOther     = 0x40
	raHomeAgent = 0x20
	raProxy     = 0x04
	raSNAC      = 0x02
)

// ICMP returns type 134, code 0.
func (RouterAdvert) ICMP() (typ, code uint8) { return TypeRouterAdvert, 0 }

// Append appends the body. The preference of a router that is no default one
// is sent as medium, as RFC 4191 Section 2.2 has it.
func (m RouterAdvert) Append(b []byte) []byte {
	flags := bit(m.Managed, raManaged) | bit(m.Other, raOther) | bit(m.HomeAgent, raHomeAgent) |
		bit(m.Proxy, raProxy) | bit(m.SNAC, raSNAC)
	lifetime := units(m.Lifetime, time.Second)
	if lifetime != 0 {
		flags |= m.Preference.bits()
	}
	b = append(b, m.HopLimit, flags)
	b = binary.BigEndian.AppendUint16(b, lifetime)
	b = binary.BigEndian.AppendUint32(b, milliseconds(m.Reachable))
	b = binary.BigEndian.AppendUint32(b, milliseconds(m.Retrans))
	return AppendOptions(b, m.Options)
}

func milliseconds(d time.Duration) uint32 {
	return uint32(min(max(roundUp(d, time.Millisecond), 0), math.MaxUint32))
}

func decodeRouterAdvert(b []byte, opts []Option) RouterAdvert {
	pref, _ := decodePreference(b[1]) // reserved is medium: RFC 4191 Section 2.2
	m := RouterAdvert{
		HopLimit:   b[0],
		Managed:    b[1]&raManaged != 0,
		Other:      b[1]&raOther != 0,
		HomeAgent:  b[1]&raHomeAgent != 0,
		Preference: pref,
		Proxy:      b[1]&raProxy != 0,
		SNAC:       b[1]&raSNAC != 0,
		Lifetime:   time.Duration(binary.BigEndian.Uint16(b[2:])) * time.Second,
		Reachable:  time.Duration(binary.BigEndian.Uint32(b[4:])) * time.Millisecond,
		Retrans:    time.Duration(binary.BigEndian.Uint32(b[8:])) * time.Millisecond,
		Options:    opts,
	}
	if m.Lifetime == 0 {
		m.Preference = Medium
	}
	return m
}

// NeighborSolicit asks for a neighbour's link-layer address, whether it is
// there, or to be registered (RFC 4861 Section 4.3, RFC 6775 Section 5.5).
type NeighborSolicit struct {
	Target  netip.Addr
	Options []Option
}

// ICMP returns type 135, code 0.
func (NeighborSolicit) ICMP() (typ, code uint8) { return TypeNeighborSolicit, 0 }

// Append appends the body.
func (m NeighborSolicit) Append(b []byte) []byte {
	return AppendOptions(appendAddr(append(b, 0, 0, 0, 0), m.Target), m.Options)
}

// NeighborAdvert answers a NeighborSolicit (RFC 4861 Section 4.4).
type NeighborAdvert struct {
	Router    bool // R: the sender is one
	Solicited bool // S
	Override  bool // O: replaces a cached link-layer address
	Target    netip.Addr
	Options   []Option
}

const (
	naRouter    = 0x80
	naSolicited = 0x40
	naOverride  = 0x20
)

// ICMP returns type 136, code 0.
func (NeighborAdvert) ICMP() (typ, code uint8) { return TypeNeighborAdvert, 0 }

// Append appends the body.
func (m NeighborAdvert) Append(b []byte) []byte {
	flags := bit(m.Router, naRouter) | bit(m.Solicited, naSolicited) | bit(m.Override, naOverride)
	return AppendOptions(appendAddr(append(b, flags, 0, 0, 0), m.Target), m.Options)
}

// Redirect tells of a better first hop (RFC 4861 Section 4.5).
type Redirect struct {
	Target      netip.Addr // the first hop, or the destination itself
	Destination netip.Addr
	Options     []Option
}

// ICMP returns type 137, code 0.
func (Redirect) ICMP() (typ, code uint8) { return TypeRedirect, 0 }

// Append appends the body.
func (m Redirect) Append(b []byte) []byte {
	b = appendAddr(append(b, 0, 0, 0, 0), m.Target)
	return AppendOptions(appendAddr(b, m.Destination), m.Options)
}

// Duplicate is a request of a 6LR to the 6LBR to check and register an
// address, or the answer: DAR and DAC (RFC 6775 Section 4.4), EDAR and EDAC
// (RFC 8505 Section 4.2).
type Duplicate struct {
	Confirm  bool // the answer: DAC, EDAC
	Extended bool // EDAR, EDAC: TID counts and the ROVR can be longer than 64 bits
	Status   Status
	TID      TID
	Lifetime time.Duration // in units of 60 s
	ROVR     ROVR
	Addr     netip.Addr
	Options  []Option
}

// ICMP returns type 157 or 158, and as code 0, or the size of the ROVR in
// units of 64 bits.
func (m Duplicate) ICMP() (typ, code uint8) {
	typ = TypeDuplicateRequest
	if m.Confirm {
		typ = TypeDuplicateConfirm
	}
	if m.Extended {
		code = max(m.ROVR.n/8, 1)
	}
	return typ, code
}

// Append appends the body. A ROVR that is longer than 64 bits is cut to that
// unless Extended.
func (m Duplicate) Append(b []byte) []byte {
	tid, n := uint8(0), uint8(8)
	if m.Extended {
		tid, n = uint8(m.TID), max(m.ROVR.n, 8)
	}
	b = append(b, uint8(m.Status), tid)
	b = binary.BigEndian.AppendUint16(b, units(m.Lifetime, minuteUnit))
	b = append(b, m.ROVR.b[:n]...)
	return AppendOptions(appendAddr(b, m.Addr), m.Options)
}

func decodeDuplicate(typ, code uint8, b []byte, opts []Option) Duplicate {
	rovr, _ := MakeROVR(b[4 : len(b)-16])
	m := Duplicate{
		Confirm:  typ == TypeDuplicateConfirm,
		Extended: code != 0,
		Status:   Status(b[0]),
		Lifetime: time.Duration(binary.BigEndian.Uint16(b[2:])) * minuteUnit,
		ROVR:     rovr,
		Addr:     addrAt(b, len(b)-16),
		Options:  opts,
	}
	if m.Extended {
		m.TID = TID(b[1])
	}
	return m
}
