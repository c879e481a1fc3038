package ndp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// Status of an address registration (RFC 6775 Section 4.1, RFC 8505 Section
// 4.1).
type Status uint8

const (
	StatusSuccess          Status = 0
	StatusDuplicate        Status = 1
	StatusCacheFull        Status = 2
	StatusMoved            Status = 3 // there is a more recent registration
	StatusRemoved          Status = 4
	StatusValidation       Status = 5 // prove that you own it
	StatusDuplicateSource  Status = 6
	StatusInvalidSource    Status = 7
	StatusTopology         Status = 8 // not an address of this network
	StatusSaturated        Status = 9 // the registry of the 6LBR is
	StatusValidationFailed Status = 10
)

var statusNames = [...]string{
	"success", "duplicate address", "neighbor cache full", "moved", "removed", "validation requested",
	"duplicate source address", "invalid source address", "topologically incorrect", "registry saturated",
	"validation failed",
}

// String returns the meaning in words.
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return fmt.Sprintf("status %d", uint8(s))
}

// minuteUnit is what the lifetimes of 6LoWPAN options count.
const minuteUnit = time.Minute

// AddressRegistration asks a router to register an address, and is its answer
// (ARO, RFC 6775 Section 4.1; EARO, RFC 8505 Section 4.1).
//
//	0                   1                   2                   3
//	+---------------+---------------+---------------+---------------+
//	|     type      |    length     |    status     |    opaque     |
//	+-------+---+-+-+---------------+---------------+---------------+
//	|  rsv  | I |R|T|      TID      |     registration lifetime     |
//	+-------+---+-+-+---------------+-------------------------------+
//	|  registration ownership verifier, 64 to 256 bits              |
type AddressRegistration struct {
	Status   Status
	Opaque   uint8 // meaning by I
	I        uint8 // 2 bits
	Route    bool  // R: also inject a route to the address
	Extended bool  // T: TID is valid; only with it is this an EARO
	TID      TID
	Lifetime time.Duration // in units of 60 s; zero ends the registration
	ROVR     ROVR
}

// Type is 33.
func (AddressRegistration) Type() uint8 { return OptAddressRegistration }

// Append appends the option: 16 to 40 octets.
func (o AddressRegistration) Append(b []byte) []byte {
	return appendOption(b, o.Type(), func(b []byte) []byte {
		b = append(b, uint8(o.Status), o.Opaque, o.I&3<<2|bit(o.Route, 2)|bit(o.Extended, 1), uint8(o.TID))
		b = binary.BigEndian.AppendUint16(b, units(o.Lifetime, minuteUnit))
		return append(b, o.ROVR.b[:max(o.ROVR.n, 8)]...)
	})
}

func decodeAddressRegistration(b []byte) (Option, bool) {
	r, ok := MakeROVR(b[6:])
	return AddressRegistration{
		Status:   Status(b[0]),
		Opaque:   b[1],
		I:        b[2] >> 2 & 3,
		Route:    b[2]&2 != 0,
		Extended: b[2]&1 != 0,
		TID:      TID(b[3]),
		Lifetime: time.Duration(binary.BigEndian.Uint16(b[4:])) * minuteUnit,
		ROVR:     r,
	}, ok
}

// ContextOption announces a prefix for header compression (6CO, RFC 6775
// Section 4.2).
type ContextOption struct {
	ID       uint8 // 0 to 15
	Prefix   netip.Prefix
	Compress bool          // C: may be used to compress, not only to decompress
	Lifetime time.Duration // in units of 60 s; zero removes the context
}

// Type is 34.
func (ContextOption) Type() uint8 { return OptContext }

// Append appends the option: 16 octets, 24 for a prefix of more than 64 bits.
func (o ContextOption) Append(b []byte) []byte {
	return appendOption(b, o.Type(), func(b []byte) []byte {
		bits := prefixLen(o.Prefix)
		b = append(b, bits, bit(o.Compress, 0x10)|o.ID&0xf, 0, 0)
		b = binary.BigEndian.AppendUint16(b, units(o.Lifetime, minuteUnit))
		n := 8
		if bits > 64 {
			n = 16
		}
		return appendPrefix(b, o.Prefix, n)
	})
}

func decodeContextOption(b []byte) (Option, bool) {
	if (len(b) != 14 || b[0] > 64) && (len(b) != 22 || b[0] > 128) {
		return nil, false
	}
	p, ok := prefixFrom(b[6:], int(b[0]))
	return ContextOption{
		ID:       b[1] & 0xf,
		Prefix:   p,
		Compress: b[1]&0x10 != 0,
		Lifetime: time.Duration(binary.BigEndian.Uint16(b[4:])) * minuteUnit,
	}, ok
}

// BorderRouter names the 6LBR that the prefixes and contexts of an
// advertisement come from (ABRO, RFC 6775 Section 4.3).
type BorderRouter struct {
	Version  uint32        // of that information
	Lifetime time.Duration // in units of 60 s; zero on the wire is read as the default of 10000 min
	Addr     netip.Addr    // of the 6LBR
}

// defaultBorderLifetime is what a lifetime of zero stands for (RFC 6775
// Section 4.3).
const defaultBorderLifetime = 10000 * time.Minute

// Type is 35.
func (BorderRouter) Type() uint8 { return OptBorderRouter }

// Append appends the option: 24 octets. A lifetime that is over is written as
// one minute, since zero has another meaning.
func (o BorderRouter) Append(b []byte) []byte {
	return appendOption(b, o.Type(), func(b []byte) []byte {
		b = binary.BigEndian.AppendUint16(b, uint16(o.Version))
		b = binary.BigEndian.AppendUint16(b, uint16(o.Version>>16))
		b = binary.BigEndian.AppendUint16(b, max(units(o.Lifetime, minuteUnit), 1))
		a := o.Addr.As16()
		return append(b, a[:]...)
	})
}

func decodeBorderRouter(b []byte) (Option, bool) {
	if len(b) != 22 {
		return nil, false
	}
	o := BorderRouter{
		Version:  uint32(binary.BigEndian.Uint16(b)) | uint32(binary.BigEndian.Uint16(b[2:]))<<16,
		Lifetime: time.Duration(binary.BigEndian.Uint16(b[4:])) * minuteUnit,
		Addr:     netip.AddrFrom16([16]byte(b[6:])),
	}
	if o.Lifetime == 0 {
		o.Lifetime = defaultBorderLifetime
	}
	return o, true
}

// Capabilities say what a node can do (6CIO, RFC 7400 Section 3.3, RFC 8505
// Section 4.3).
type Capabilities uint16

const (
	CapGHC       Capabilities = 1 << iota // G: generic header compression
	CapRegistrar                          // E: registers addresses by EARO
	CapProxy                              // P: routing registrar
	CapBorder                             // B: 6LBR
	CapRouter                             // L: 6LR
	CapEDA                                // D: the 6LBR takes EDAR
)

// Type is 36.
func (Capabilities) Type() uint8 { return OptCapabilities }

// Append appends the option: 8 octets.
func (o Capabilities) Append(b []byte) []byte {
	return appendOption(b, o.Type(), func(b []byte) []byte {
		return append(binary.BigEndian.AppendUint16(b, uint16(o)), 0, 0, 0, 0)
	})
}
