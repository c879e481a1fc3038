package pana

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// Code says what an AVP holds (RFC 5191 Section 8, RFC 6345 Section 4,
// RFC 6786 Sections 3 and 4).
type Code uint16

// The codes without a vendor.
const (
	CodeAuth                Code = 1
	CodeEAPPayload          Code = 2
	CodeIntegrityAlgorithm  Code = 3
	CodeKeyID               Code = 4
	CodeNonce               Code = 5
	CodePRFAlgorithm        Code = 6
	CodeResultCode          Code = 7
	CodeSessionLifetime     Code = 8
	CodeTerminationCause    Code = 9
	CodePaCInformation      Code = 10
	CodeRelayedMessage      Code = 11
	CodeEncryptionEncap     Code = 12 // ZigBee IP: 13
	CodeEncryptionAlgorithm Code = 13 // ZigBee IP: 12
)

const (
	avpHeaderLen       = 8
	avpVendorHeaderLen = 12
	avpFlagVendor      = 0x8000 // V
)

// An AVP is an attribute and its value (RFC 5191 Section 6.3).
type AVP struct {
	Code   Code
	Vendor uint32 // 0: one of the IETF's
	// Flags as received, without the V bit that Vendor stands for. They are
	// reserved: 0 to be sent, ignored on receipt.
	Flags uint16
	Value []byte
}

// AVPs are the attributes of a message in their order.
type AVPs []AVP

// Len is the length of the encoded AVP in bytes.
func (a *AVP) Len() int {
	n := avpHeaderLen + len(a.Value) + pad4(len(a.Value))
	if a.Vendor != 0 {
		n += avpVendorHeaderLen - avpHeaderLen
	}
	return n
}

// Append appends the AVP to b.
func (a *AVP) Append(b []byte) []byte {
	flags := a.Flags &^ avpFlagVendor
	if a.Vendor != 0 {
		flags |= avpFlagVendor
	}
	b = binary.BigEndian.AppendUint16(b, uint16(a.Code))
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint16(b, uint16(len(a.Value)))
	b = binary.BigEndian.AppendUint16(b, 0) // reserved
	if a.Vendor != 0 {
		b = binary.BigEndian.AppendUint32(b, a.Vendor)
	}
	b = append(b, a.Value...)
	return append(b, make([]byte, pad4(len(a.Value)))...)
}

// Append appends the AVPs to b.
func (as AVPs) Append(b []byte) []byte {
	for i := range as {
		b = as[i].Append(b)
	}
	return b
}

// DecodeAVPs reads AVPs that fill b. They alias it.
func DecodeAVPs(b []byte) (AVPs, error) { return decodeAVPs(b, 0) }

func decodeAVPs(b []byte, off int) (AVPs, error) {
	var as AVPs
	if len(b) > 0 {
		as = make(AVPs, 0, 6)
	}
	for len(b) > 0 {
		a, n, err := decodeAVP(b, off)
		if err != nil {
			return nil, err
		}
		as = append(as, a)
		b, off = b[n:], off+n
	}
	return as, nil
}

// decodeAVP reads the AVP at the start of b, which is at off in its message,
// and returns how long it is. The padding has to be there; what it and the
// reserved fields hold is ignored.
func decodeAVP(b []byte, off int) (a AVP, n int, err error) {
	if len(b) < avpHeaderLen {
		return a, 0, &DecodeError{"AVP header", off, ErrShort}
	}
	a.Code = Code(binary.BigEndian.Uint16(b))
	a.Flags = binary.BigEndian.Uint16(b[2:])
	at := avpHeaderLen
	if a.Flags&avpFlagVendor != 0 {
		if at = avpVendorHeaderLen; len(b) < at {
			return a, 0, &DecodeError{"AVP vendor", off + avpHeaderLen, ErrShort}
		}
		if a.Vendor = binary.BigEndian.Uint32(b[avpHeaderLen:]); a.Vendor == 0 {
			return a, 0, &DecodeError{"AVP vendor", off + avpHeaderLen, ErrInvalid}
		}
		a.Flags &^= avpFlagVendor
	}
	end := at + int(binary.BigEndian.Uint16(b[4:]))
	if n = end + pad4(end); len(b) < n {
		return a, 0, &DecodeError{"AVP value", off + at, ErrShort}
	}
	a.Value = b[at:end:end]
	return a, n, nil
}

func pad4(n int) int { return -n & 3 }

// Find returns the value of the first AVP with a code of the IETF's.
func (as AVPs) Find(c Code) (value []byte, ok bool) { return as.FindVendor(0, c) }

// FindVendor returns the value of the first AVP with a vendor's code.
func (as AVPs) FindVendor(vendor uint32, c Code) (value []byte, ok bool) {
	for i := range as {
		if as[i].Code == c && as[i].Vendor == vendor {
			return as[i].Value, true
		}
	}
	return nil, false
}

// uint32 is the value of the first AVP with code c. Check has made sure of
// the length.
func (as AVPs) uint32(c Code) (uint32, bool) {
	v, ok := as.Find(c)
	if !ok || len(v) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(v), true
}

// all returns the values of every AVP with code c.
func (as AVPs) all(c Code) []uint32 {
	var vs []uint32
	for i := range as {
		if a := &as[i]; a.Code == c && a.Vendor == 0 && len(a.Value) == 4 {
			vs = append(vs, binary.BigEndian.Uint32(a.Value))
		}
	}
	return vs
}

func avpUint32(c Code, v uint32) AVP {
	return AVP{Code: c, Value: binary.BigEndian.AppendUint32(nil, v)}
}

// Result is what became of a handshake (RFC 5191 Section 8.7).
type Result uint32

// The results.
const (
	ResultSuccess        Result = 0
	ResultAuthentication Result = 1 // PANA_AUTHENTICATION_REJECTED
	ResultAuthorization  Result = 2 // PANA_AUTHORIZATION_REJECTED
)

// Cause is why a session is terminated (RFC 5191 Section 8.9).
type Cause uint32

// The causes.
const (
	Logout         Cause = 1 // by the client
	Administrative Cause = 4 // by the agent
	SessionTimeout Cause = 8 // by the agent
)

func (c Cause) String() string {
	switch c {
	case Logout:
		return "logout"
	case Administrative:
		return "administrative"
	case SessionTimeout:
		return "session timeout"
	}
	return "unknown cause"
}

// Forever is the lifetime that does not end: the largest that the
// Session-Lifetime AVP can say.
const Forever = (1<<32 - 1) * time.Second

// lifetimeAVP says a lifetime in whole seconds.
func lifetimeAVP(d time.Duration) AVP {
	return avpUint32(CodeSessionLifetime, uint32(min(max(d, time.Second), Forever)/time.Second))
}

// PaCInformation is the transport address of a client behind a relay element
// (RFC 6345 Section 4).
type PaCInformation struct {
	Addr netip.AddrPort
	// Padded says that the AVP's length counts its padding: 20 and 8 octets
	// instead of 18 and 6. Some relay elements write it so.
	Padded bool
}

// Append appends the AVP's value to b.
func (p PaCInformation) Append(b []byte) []byte {
	b = append(b, p.Addr.Addr().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, p.Addr.Port())
	if p.Padded {
		b = append(b, 0, 0)
	}
	return b
}

// DecodePaCInformation reads the value of a PaC-Information AVP.
func DecodePaCInformation(b []byte) (PaCInformation, error) {
	var n int
	switch len(b) {
	case 18, 20:
		n = 16
	case 6, 8:
		n = 4
	default:
		return PaCInformation{}, &DecodeError{"PaC-Information", 0, ErrLength}
	}
	addr, _ := netip.AddrFromSlice(b[:n])
	return PaCInformation{
		Addr:   netip.AddrPortFrom(addr, binary.BigEndian.Uint16(b[n:])),
		Padded: len(b) > n+2,
	}, nil
}
