package firewall

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"gatewayd/ipv6"
)

// Inbound says from where devices of the mesh may be talked to without having
// asked, as far as no rule says.
type Inbound uint8

const (
	// InboundLocal: from unique local addresses (RFC 4193) and the prefixes of
	// Policy.Local.
	InboundLocal Inbound = iota
	InboundAll
	InboundNone
)

var inboundNames = [...]string{"local", "all", "none"}

func (i Inbound) String() string { return inboundNames[i] }

// ParseInbound reads "local", "all" or "none".
func ParseInbound(s string) (Inbound, error) {
	i := slices.Index(inboundNames[:], s)
	if i < 0 {
		return 0, fmt.Errorf("firewall: inbound %q: want local, all or none", s)
	}
	return Inbound(i), nil
}

// A Policy is what may pass between the mesh and elsewhere. Mesh is required.
type Policy struct {
	Mesh string // name of the mesh's interface

	// Prefixes are those of the mesh that devices talk to the outside by;
	// Private those that never leave it, as the mesh-local one. A source in
	// either is taken from the mesh alone.
	Prefixes, Private []netip.Prefix
	// Shared are prefixes that both devices and hosts of the site have addresses
	// of, as that of a Thread domain: a source in them may come from anywhere.
	Shared []netip.Prefix
	// OtherRouters tells that the mesh has other border routers: then what
	// devices send may reach the host from the outside, by one of those, and a
	// source in Prefixes is refused only on the way into the mesh.
	OtherRouters bool

	// InboundRules and then Inbound say what may go to devices unsolicited;
	// answers always may. The remote end of a rule is the source.
	InboundRules []Rule
	Inbound      Inbound
	Local        []netip.Prefix // of hosts of the site besides fc00::/7

	// EgressRules and then Egress say what devices may send to others
	// unsolicited. The remote end of a rule is the destination.
	EgressRules []Rule
	Egress      Verdict

	// Addresses tells the addresses of devices that rules name by EUI-64,
	// besides those that are made of it.
	Addresses map[EUI64][]netip.Addr

	// NAT64 has packets of the translator's IPv4 network masqueraded; nil:
	// there is none.
	NAT64 *NAT64
	// OnlyMesh drops what is forwarded between other interfaces. It is for a
	// host that forwarded nothing before the gateway came.
	OnlyMesh bool
}

// NAT64 is the IPv4 side of a translator.
type NAT64 struct {
	Interface string
	Network   netip.Prefix // IPv4, that the translator takes addresses from
}

// A Verdict is what becomes of a packet.
type Verdict uint8

const (
	Accept Verdict = iota
	Drop
)

// ParseVerdict reads "accept" or "drop".
func ParseVerdict(s string) (Verdict, error) {
	switch s {
	case "accept":
		return Accept, nil
	case "drop":
		return Drop, nil
	}
	return 0, fmt.Errorf("firewall: verdict %q: want accept or drop", s)
}

// A Rule decides on some traffic of a device. The first that matches counts.
type Rule struct {
	Device  Device         // zero: every device
	Remote  []netip.Prefix // other end; none: anywhere. IPv4 is what NAT64 reaches
	Proto   uint8          // IP protocol; 0: any, or with Ports TCP and UDP
	Ports   []Ports        // destination ports; none: any
	Verdict Verdict
}

// Ports are port numbers from Low to High, both included.
type Ports struct{ Low, High uint16 }

// EUI64 is the factory-assigned address of a device.
type EUI64 [8]byte

// A Device names devices by address or by EUI-64.
type Device struct {
	Prefix netip.Prefix // of addresses; /128 for one
	EUI64  EUI64
}

// ParseDevice reads an IPv6 address, a prefix, or an EUI-64 of 16 hexadecimal
// digits with or without - or : between octets.
func ParseDevice(s string) (Device, error) {
	if p, err := netip.ParsePrefix(s); err == nil && p.Addr().Is6() {
		return Device{Prefix: p.Masked()}, nil
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Is6() && a.Zone() == "" && strings.Contains(s, "::") {
		return Device{Prefix: netip.PrefixFrom(a, 128)}, nil
	}
	if b, err := hex.DecodeString(strings.NewReplacer(":", "", "-", "").Replace(s)); err == nil && len(b) == 8 {
		return Device{EUI64: EUI64(b)}, nil
	}
	// Eight groups are an EUI-64 if they are of two digits, else an address.
	if a, err := netip.ParseAddr(s); err == nil && a.Is6() && a.Zone() == "" {
		return Device{Prefix: netip.PrefixFrom(a, 128)}, nil
	}
	return Device{}, fmt.Errorf("firewall: %q is neither an IPv6 address or prefix nor an EUI-64", s)
}

// IID is the interface identifier that is made of the EUI-64 (RFC 4291
// Appendix A).
func (e EUI64) IID() [8]byte {
	e[0] ^= 2
	return e
}

func (d Device) any() bool { return d == Device{} }

// matches reports whether an address is the device's.
func (p *Policy) matches(d Device, a netip.Addr) bool {
	switch {
	case d.any():
		return true
	case d.Prefix.IsValid():
		return d.Prefix.Contains(a)
	}
	b := a.As16()
	return [8]byte(b[8:]) == d.EUI64.IID() || slices.Contains(p.Addresses[d.EUI64], a)
}

// EgressAllows reports whether a device may send to somebody, for traffic that
// the kernel does not see: that of the NAT64, which is asked with the IPv4
// destination. port is that of the destination, 0 where there is none.
func (p *Policy) EgressAllows(device, dst netip.Addr, proto uint8, port uint16) bool {
	for _, r := range p.EgressRules {
		if p.matches(r.Device, device) && r.covers(dst, proto, port) {
			return r.Verdict == Accept
		}
	}
	return p.Egress == Accept
}

func (r Rule) covers(remote netip.Addr, proto uint8, port uint16) bool {
	if len(r.Remote) > 0 && !slices.ContainsFunc(r.Remote, func(p netip.Prefix) bool { return p.Contains(remote) }) {
		return false
	}
	if !slices.Contains(r.protos(), proto) && !slices.Contains(r.protos(), 0) {
		return false
	}
	return len(r.Ports) == 0 || slices.ContainsFunc(r.Ports, func(ps Ports) bool { return ps.Low <= port && port <= ps.High })
}

// protos lists the protocols that a rule is about; 0 is any.
func (r Rule) protos() []uint8 {
	if r.Proto == 0 && len(r.Ports) > 0 {
		return []uint8{ipv6.ProtoTCP, ipv6.ProtoUDP}
	}
	return []uint8{r.Proto}
}

// Validate reports all that is wrong with a policy.
func (p *Policy) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf("firewall: "+format, args...)) }
	if !isName(p.Mesh) {
		fail("%q cannot name the mesh's interface", p.Mesh)
	}
	for _, pre := range slices.Concat(p.Prefixes, p.Private, p.Shared, p.Local) {
		if !pre.IsValid() || !pre.Addr().Is6() || pre.Addr().Is4In6() {
			fail("%v is no IPv6 prefix", pre)
		}
	}
	if int(p.Inbound) >= len(inboundNames) {
		fail("there is no inbound policy %d", p.Inbound)
	}
	for _, r := range slices.Concat(p.InboundRules, p.EgressRules) {
		for _, pre := range r.Remote {
			if !pre.IsValid() {
				fail("a rule has an invalid prefix")
			}
		}
		for _, ps := range r.Ports {
			if ps.Low > ps.High {
				fail("ports %d to %d are none", ps.Low, ps.High)
			}
		}
		if len(r.Ports) > 0 && r.Proto != 0 && r.Proto != ipv6.ProtoTCP && r.Proto != ipv6.ProtoUDP {
			fail("protocol %d has no ports that a rule could name", r.Proto)
		}
		if r.Device.Prefix.IsValid() && !r.Device.Prefix.Addr().Is6() {
			fail("a device has no IPv4 address: %v", r.Device.Prefix)
		}
	}
	if n := p.NAT64; n != nil && (!isName(n.Interface) || !n.Network.IsValid() || !n.Network.Addr().Is4()) {
		fail("the NAT64 needs an interface and an IPv4 network, not %q and %v", n.Interface, n.Network)
	}
	if errs == nil {
		if _, err := compile(p); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func isName(s string) bool { return s != "" && len(s) < ifNameSize }
