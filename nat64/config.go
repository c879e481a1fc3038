package nat64

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"gatewayd/alarm"
	"gatewayd/ipv6"
)

// Config says what a Translator is to do. Clock, Rand, Prefix, Pool, ToMesh and
// ToIPv4 are required.
type Config struct {
	Clock *alarm.Clock // kept at the present by its owner
	Rand  *rand.Rand

	// Prefix is in front of the IPv4 addresses that the mesh sends to: 32, 40, 48,
	// 56, 64 or 96 bits.
	Prefix netip.Prefix
	// Pool is the IPv4 addresses that stand for hosts of the mesh, 20 to 32 bits:
	// with fewer than 31, the first and last address are not used. A host has one
	// address; hosts share one, by ports, when there are not enough.
	Pool netip.Prefix
	// Addr is where ICMPv6 errors of the translator itself come from. Default: the
	// first address of the pool within Prefix.
	Addr netip.Addr

	// MTU6 is the largest packet for the mesh, in bytes. Default and minimum 1280.
	MTU6 int
	// MTU4 is the largest packet for the IPv4 side. Default 1500, minimum 576.
	MTU4 int

	Filter Filter
	// Allow decides about each new session; nil allows all. Private and other
	// special IPv4 addresses are its affair, except those no packet can go to.
	Allow func(Flow) bool

	Limits   Limits
	Timeouts Timeouts

	// ToMesh and ToIPv4 take a packet for one of the sides: translations, parts of
	// one, and ICMP errors. It may be changed, but not kept.
	ToMesh, ToIPv4 func(packet []byte)
}

// A Filter says which packets from the IPv4 side a mapping lets in (RFC 4787
// Section 5). Each session with a host of the IPv4 side is asked about at Allow.
type Filter uint8

const (
	// FilterAddressPort lets in what comes from where the host has sent to.
	FilterAddressPort Filter = iota
	// FilterAddress lets in what comes from any port of such an address.
	FilterAddress
	// FilterNone lets in everything.
	FilterNone
)

// A Flow is a session that begins.
type Flow struct {
	Proto   Proto
	Host    netip.AddrPort // of the mesh; the port of ICMP is an identifier
	Remote  netip.AddrPort // IPv4; without port for ICMP
	Inbound bool           // begun by the IPv4 side
}

// Limits bound what a Translator holds. Zero means the default.
type Limits struct {
	Sessions int // default 4096
	PerHost  int // sessions of one host of the mesh, default 256
	// Datagrams are packets of which fragments are waited for: default 32, and of
	// one source 4.
	Datagrams int
	PerSource int
	// FragmentBytes is the memory of all of those, default 256 KiB.
	FragmentBytes int
	// ErrorRate is how many ICMP errors the translator sends to each side in a
	// second on its own account, default 50.
	ErrorRate int
}

// Timeouts are how long something is kept that is not used. Zero means the
// default.
type Timeouts struct {
	UDP            time.Duration // 5 min (RFC 6146 Section 4, UDP_DEFAULT)
	TCPEstablished time.Duration // 2 h 4 min (TCP_EST)
	TCPTransitory  time.Duration // 4 min (TCP_TRANS)
	ICMP           time.Duration // 60 s (ICMP_DEFAULT)
	Fragment       time.Duration // 15 s (RFC 6146 Section 3.4 asks for 2 s at least)
}

// Bounds of the configuration.
const (
	minMTU4      = 576
	maxMTU       = 65535
	minPoolBits  = 20
	minFragBytes = 4096
)

func (c *Config) setDefaults() error {
	switch {
	case c.Clock == nil || c.Rand == nil || c.ToMesh == nil || c.ToIPv4 == nil:
		return errors.New("nat64: Clock, Rand, ToMesh and ToIPv4 are needed")
	case !ValidPrefix(c.Prefix):
		return fmt.Errorf("nat64: prefix %v: want an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits with bits 64 to 71 zero", c.Prefix)
	case !c.Pool.IsValid() || !c.Pool.Addr().Is4() || c.Pool != c.Pool.Masked() || c.Pool.Bits() < minPoolBits:
		return fmt.Errorf("nat64: pool %v: want an IPv4 prefix of %d to 32 bits", c.Pool, minPoolBits)
	case unroutable4(v4(c.Pool.Addr())):
		return fmt.Errorf("nat64: pool %v: no packet can go to these addresses", c.Pool)
	case c.Filter > FilterNone:
		return fmt.Errorf("nat64: no filter %d", c.Filter)
	}
	set(&c.MTU6, ipv6.MinMTU)
	set(&c.MTU4, 1500)
	if c.MTU6 < ipv6.MinMTU || c.MTU6 > maxMTU {
		return fmt.Errorf("nat64: MTU %d of the mesh: want %d to %d", c.MTU6, ipv6.MinMTU, maxMTU)
	}
	if c.MTU4 < minMTU4 || c.MTU4 > maxMTU {
		return fmt.Errorf("nat64: MTU %d of the IPv4 side: want %d to %d", c.MTU4, minMTU4, maxMTU)
	}
	if c.Addr.IsValid() && (!c.Addr.Is6() || unroutable6((*[16]byte)(c.Addr.AsSlice()))) {
		return fmt.Errorf("nat64: address %v of the translator: want a unicast IPv6 address", c.Addr)
	}
	set(&c.Limits.Sessions, 4096)
	set(&c.Limits.PerHost, 256)
	set(&c.Limits.Datagrams, 32)
	set(&c.Limits.PerSource, 4)
	set(&c.Limits.FragmentBytes, 256<<10)
	set(&c.Limits.ErrorRate, 50)
	set(&c.Timeouts.UDP, 5*time.Minute)
	set(&c.Timeouts.TCPEstablished, 2*time.Hour+4*time.Minute)
	set(&c.Timeouts.TCPTransitory, 4*time.Minute)
	set(&c.Timeouts.ICMP, time.Minute)
	set(&c.Timeouts.Fragment, 15*time.Second)
	l, t := c.Limits, c.Timeouts
	if min(l.Sessions, l.PerHost, l.Datagrams, l.PerSource, l.ErrorRate) < 0 || l.FragmentBytes < minFragBytes {
		return fmt.Errorf("nat64: limits %+v: none may be negative, and fragments need %d bytes", l, minFragBytes)
	}
	if min(t.UDP, t.TCPEstablished, t.TCPTransitory, t.ICMP, t.Fragment) < 0 {
		return fmt.Errorf("nat64: timeouts %+v: none may be negative", t)
	}
	return nil
}

// set gives a field its default.
func set[T int | time.Duration](v *T, to T) {
	if *v == 0 {
		*v = to
	}
}
