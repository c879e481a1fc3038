package netdata

import (
	"fmt"
	"net/netip"
	"strings"

	"gatewayd/thread/meshcop"
)

// MaxSize is the size of the largest network data, in bytes.
const MaxSize = 254

// Preference is that of a route or a default route (RFC 4191 Section 2.1).
type Preference int8

// Values of Preference.
const (
	Low    Preference = -1
	Medium Preference = 0
	High   Preference = 1
)

// preferenceOf reads the two bits; the reserved value counts as medium, as RFC
// 4191 has it for default routers.
func preferenceOf(bits uint16) Preference {
	switch bits & 3 {
	case 1:
		return High
	case 3:
		return Low
	}
	return Medium
}

func (p Preference) bits() uint16 { return uint16(p) & 3 }

func (p Preference) String() string {
	switch p {
	case Low:
		return "low"
	case High:
		return "high"
	}
	return "med"
}

// RouteFlags are the flags of a HasRoute.
type RouteFlags uint8

// Bits of RouteFlags, below the preference.
const (
	RouteNAT64  RouteFlags = 0x20 // the prefix is a NAT64 prefix
	RouteAdvPIO RouteFlags = 0x10 // the server advertises an on-link prefix on its infrastructure
)

const routePreferenceShift = 6

// Preference returns the preference in the flags.
func (f RouteFlags) Preference() Preference { return preferenceOf(uint16(f >> routePreferenceShift)) }

// With returns the flags with another preference.
func (f RouteFlags) With(p Preference) RouteFlags {
	return f&^(3<<routePreferenceShift) | RouteFlags(p.bits()<<routePreferenceShift)
}

// Has reports whether all bits of g are set.
func (f RouteFlags) Has(g RouteFlags) bool { return f&g == g }

// String returns the letters command lines use for the flags.
func (f RouteFlags) String() string {
	return letters(uint16(f), []letter{{uint16(RouteNAT64), 'n'}, {uint16(RouteAdvPIO), 'a'}})
}

// A HasRoute says that a node routes to a prefix outside the mesh.
type HasRoute struct {
	RLOC16 uint16
	Flags  RouteFlags
	Stable bool
}

// PrefixFlags are the flags of a BorderRouter.
type PrefixFlags uint16

// Bits of PrefixFlags, below the preference.
const (
	FlagPreferred PrefixFlags = 1 << 13 // SLAAC addresses are preferred
	FlagSLAAC     PrefixFlags = 1 << 12
	FlagDHCP      PrefixFlags = 1 << 11
	FlagConfigure PrefixFlags = 1 << 10 // DHCPv6 has other configuration
	FlagDefault   PrefixFlags = 1 << 9  // the border router is a default router
	FlagOnMesh    PrefixFlags = 1 << 8
	FlagNDDNS     PrefixFlags = 1 << 7
	FlagDomain    PrefixFlags = 1 << 6 // Thread domain prefix
)

const prefixPreferenceShift = 14

// Preference returns the preference in the flags.
func (f PrefixFlags) Preference() Preference { return preferenceOf(uint16(f >> prefixPreferenceShift)) }

// With returns the flags with another preference.
func (f PrefixFlags) With(p Preference) PrefixFlags {
	return f&^(3<<prefixPreferenceShift) | PrefixFlags(p.bits()<<prefixPreferenceShift)
}

// Has reports whether all bits of g are set.
func (f PrefixFlags) Has(g PrefixFlags) bool { return f&g == g }

// String returns the letters command lines use for the flags.
func (f PrefixFlags) String() string {
	return letters(uint16(f), []letter{
		{uint16(FlagPreferred), 'p'}, {uint16(FlagSLAAC), 'a'}, {uint16(FlagDHCP), 'd'}, {uint16(FlagConfigure), 'c'},
		{uint16(FlagDefault), 'r'}, {uint16(FlagOnMesh), 'o'}, {uint16(FlagNDDNS), 'n'}, {uint16(FlagDomain), 'D'},
	})
}

type letter struct {
	bit  uint16
	name byte
}

func letters(f uint16, ls []letter) string {
	var s strings.Builder
	for _, l := range ls {
		if f&l.bit != 0 {
			s.WriteByte(l.name)
		}
	}
	return s.String()
}

// A BorderRouter says that a node configures addresses of a prefix, routes for
// them, or both.
type BorderRouter struct {
	RLOC16 uint16
	Flags  PrefixFlags
	Stable bool
}

// A Context lets 6LoWPAN header compression replace a prefix with an id.
type Context struct {
	ID       uint8 // 1 to 15; 0 is the mesh-local prefix, which is not in the network data
	Compress bool  // false: decompress only, the id is about to be reused
	Bits     uint8 // how much of the prefix is replaced; normally its length
	Stable   bool
}

// A Prefix is what the servers of the mesh say about one prefix.
type Prefix struct {
	Domain        uint8 // provisioning domain, 0 so far
	Prefix        netip.Prefix
	BorderRouters []BorderRouter
	HasRoutes     []HasRoute
	Context       *Context
	Unknown       []TLV

	layout []run
}

// Stable reports whether any part of the entry is.
func (p *Prefix) Stable() bool {
	for _, e := range p.BorderRouters {
		if e.Stable {
			return true
		}
	}
	for _, e := range p.HasRoutes {
		if e.Stable {
			return true
		}
	}
	return p.Context != nil && p.Context.Stable || anyStable(p.Unknown)
}

// ThreadEnterprise is the enterprise number of the services Thread defines.
const ThreadEnterprise = 44970

// A Server is one provider of a Service.
type Server struct {
	RLOC16 uint16
	Data   []byte
	Stable bool
}

// A Service is a service, named by enterprise and data, with its servers.
type Service struct {
	ID         uint8 // 0 to 15, given by the leader
	Enterprise uint32
	Data       []byte
	Servers    []Server
	Unknown    []TLV

	layout []run
}

// Stable reports whether any part of the entry is.
func (s *Service) Stable() bool {
	for _, e := range s.Servers {
		if e.Stable {
			return true
		}
	}
	return anyStable(s.Unknown)
}

// Commissioning is the commissioning data as the leader holds it.
type Commissioning struct {
	Stable bool
	TLVs   meshcop.TLVs
}

// Decode reads the values in the commissioning data.
func (c *Commissioning) Decode() (meshcop.CommissioningData, error) {
	if c == nil {
		return meshcop.CommissioningData{}, nil
	}
	return meshcop.DecodeCommissioningData(c.TLVs)
}

// A TLV is an entry of a type this package does not know.
type TLV struct {
	Type   uint8 // 7 bits
	Stable bool
	Value  []byte
}

func anyStable(ts []TLV) bool {
	for _, t := range ts {
		if t.Stable {
			return true
		}
	}
	return false
}

// Data is the network data of a partition, or a part of it.
type Data struct {
	Prefixes      []Prefix
	Services      []Service
	Commissioning *Commissioning
	Unknown       []TLV

	layout []run
}

func (p Prefix) String() string { return fmt.Sprintf("%v domain %d", p.Prefix, p.Domain) }
