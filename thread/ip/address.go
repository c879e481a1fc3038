package ip

import (
	"net/netip"
	"slices"

	"gatewayd/ipv6"
)

// Origin is where an address of the node comes from.
type Origin uint8

// The origins.
const (
	OriginThread Origin = iota
	OriginSLAAC
	OriginDHCP
	OriginManual
)

func (o Origin) String() string { return [...]string{"thread", "slaac", "dhcp6", "manual"}[o] }

// Address is a unicast address of the node.
type Address struct {
	netip.Addr
	Bits      int // prefix length
	Preferred bool
	Origin    Origin
	// Locator is set for RLOCs and anycast locators, which say where a node is
	// and not who: never chosen as a source unless the other end is one too.
	Locator bool
}

// Addresses are the node's unicast addresses, in the order they were added.
// The slice must not be changed.
func (s *Stack) Addresses() []Address { return s.addrs }

// Has reports whether an address is the node's.
func (s *Stack) Has(a netip.Addr) bool {
	for i := range s.addrs {
		if s.addrs[i].Addr == a {
			return true
		}
	}
	return false
}

// Add adds an address, or changes the one that is there.
func (s *Stack) Add(a Address) {
	i := slices.IndexFunc(s.addrs, func(x Address) bool { return x.Addr == a.Addr })
	switch {
	case i < 0:
		s.addrs = append(slices.Clip(s.addrs), a)
	case s.addrs[i] == a:
		return
	default:
		s.addrs = slices.Clone(s.addrs)
		s.addrs[i] = a
	}
	s.changed()
}

// Remove removes an address.
func (s *Stack) Remove(a netip.Addr) {
	i := slices.IndexFunc(s.addrs, func(x Address) bool { return x.Addr == a })
	if i < 0 {
		return
	}
	s.addrs = slices.Delete(slices.Clone(s.addrs), i, i+1)
	s.changed()
}

// Groups are the multicast addresses the node listens to.
func (s *Stack) Groups() []netip.Addr { return s.groups }

// Join listens to a multicast address.
func (s *Stack) Join(g netip.Addr) {
	if !slices.Contains(s.groups, g) {
		s.groups = append(slices.Clip(s.groups), g)
		s.changed()
	}
}

// Leave stops listening to a multicast address.
func (s *Stack) Leave(g netip.Addr) {
	if i := slices.Index(s.groups, g); i >= 0 {
		s.groups = slices.Delete(slices.Clone(s.groups), i, i+1)
		s.changed()
	}
}

func (s *Stack) changed() {
	if s.cfg.Changed != nil {
		s.cfg.Changed()
	}
}

// SourceFor chooses the address that a datagram to dst is sent from: of the
// destination's scope, preferred, sharing the longest prefix (RFC 6724 rules
// 2, 3 and 8). Mesh-local addresses are of realm scope. A locator is chosen only
// to talk to a locator.
func (s *Stack) SourceFor(dst netip.Addr) (netip.Addr, bool) {
	if s.Has(dst) {
		return dst, true
	}
	scope := s.scope(dst)
	var best *Address
	bestScore := -1
	for i := range s.addrs {
		a := &s.addrs[i]
		if a.IsLinkLocalUnicast() != (scope <= ipv6.ScopeLink) {
			continue
		}
		score := 1024 * appropriate(s.scope(a.Addr), scope)
		if !dst.IsMulticast() {
			score += commonBits(a.Addr, dst)
		}
		if a.Preferred {
			score += 512
		}
		if a.Locator {
			if !isLocator(dst) || !s.meshLocal.Contains(dst) || isAnycast(a.Addr) {
				continue
			}
			score += 256
		}
		if score > bestScore {
			best, bestScore = a, score
		}
	}
	if best == nil {
		return netip.Addr{}, false
	}
	return best.Addr, true
}

// scope of an address, as the scopes of groups (RFC 6724 Section 3.1).
func (s *Stack) scope(a netip.Addr) uint8 {
	switch {
	case a.IsMulticast():
		return ipv6.Scope(a)
	case a.IsLinkLocalUnicast():
		return ipv6.ScopeLink
	case s.meshLocal.Contains(a):
		return ipv6.ScopeRealm
	}
	return ipv6.ScopeGlobal
}

// appropriate ranks a source's scope for a destination's: the smallest that is
// wide enough, else the widest.
func appropriate(source, destination uint8) int {
	if source >= destination {
		return 32 - int(source)
	}
	return int(source)
}

// isLocator reports whether an interface identifier is 0000:00ff:fe00:xxxx.
func isLocator(a netip.Addr) bool {
	b := a.As16()
	return [6]byte(b[8:14]) == [6]byte{0, 0, 0, 0xff, 0xfe, 0}
}

// isAnycast reports whether a locator is an anycast one.
func isAnycast(a netip.Addr) bool { return a.As16()[14] >= 0xfc }

func commonBits(a, b netip.Addr) int {
	x, y := a.As16(), b.As16()
	n := 0
	for i := range x {
		d := x[i] ^ y[i]
		if d == 0 {
			n += 8
			continue
		}
		for d&0x80 == 0 {
			d <<= 1
			n++
		}
		break
	}
	return n
}
