package infra

import (
	"net/netip"
	"slices"

	"gatewayd/ndp"
)

// A Link is the state of one interface.
type Link struct {
	// ID names the link for as long as it is followed: the name from the
	// configuration, or the one the interface had when it was chosen.
	ID    string
	Name  string // of the interface now; empty: there is none
	Index int    // 0: there is none
	Up    bool   // administratively, with a carrier, and IPv6 fits (MTU 1280)
	MTU   int
	MAC   ndp.LinkAddr // none if it has no EUI-48

	// LinkLocal is the address to send from, once duplicate address detection
	// is over (RFC 4862 Section 5.4). Without one, the link is of no use.
	LinkLocal netip.Addr
	Addrs     []Addr // all addresses, IPv4 too, in order
}

// An Addr is an address that an interface has.
type Addr struct {
	Prefix     netip.Prefix // address and length
	Tentative  bool         // duplicate address detection runs
	Duplicate  bool         // it found that somebody else has it
	Deprecated bool
	Temporary  bool // RFC 8981
	Ours       bool // put there by SetAddresses
}

// Ready reports whether messages can be sent and received.
func (l Link) Ready() bool { return l.Up && l.LinkLocal.IsValid() }

// usable reports whether the interface has a link-local address to send from.
func (l Link) usable(ip netip.Addr) bool {
	return slices.ContainsFunc(l.Addrs, func(a Addr) bool {
		return a.Prefix.Addr() == ip && ip.Is6() && ip.IsLinkLocalUnicast() && !a.Tentative && !a.Duplicate
	})
}

// Others returns the link-local addresses besides LinkLocal.
func (l Link) Others() (list []netip.Addr) {
	for _, a := range l.Addrs {
		if ip := a.Prefix.Addr(); ip.Is6() && ip.IsLinkLocalUnicast() && ip != l.LinkLocal && !a.Duplicate {
			list = append(list, ip)
		}
	}
	return list
}

// Prefixes returns the masked prefixes of the global addresses, IPv6 only:
// those of hosts on the link.
func (l Link) Prefixes() (list []netip.Prefix) {
	for _, a := range l.Addrs {
		p := a.Prefix.Masked()
		if ip := p.Addr(); ip.Is6() && !ip.IsLinkLocalUnicast() && p.Bits() < 128 && !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	return list
}

// HostAddress returns the address that the host takes in an on-link prefix of
// 64 bits: with the interface identifier of its link-local address, which is
// unique on the link.
func (l Link) HostAddress(p netip.Prefix) netip.Prefix {
	a, iid := p.Masked().Addr().As16(), l.LinkLocal.As16()
	copy(a[8:], iid[8:])
	return netip.PrefixFrom(netip.AddrFrom16(a), p.Bits())
}

func (l Link) equal(m Link) bool {
	return l.ID == m.ID && l.Name == m.Name && l.Index == m.Index && l.Up == m.Up &&
		l.MTU == m.MTU && l.MAC == m.MAC && l.LinkLocal == m.LinkLocal && slices.Equal(l.Addrs, m.Addrs)
}
