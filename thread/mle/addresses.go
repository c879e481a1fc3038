package mle

import (
	"net/netip"
	"slices"

	"gatewayd/ipv6"
	"gatewayd/lowpan"
	"gatewayd/thread/neighbor"
)

// registration adds the addresses that a minimal device registers with its
// parent, or only the mesh-local EID.
func (b *builder) registration(short bool) {
	e := b.m.ownAddresses(short)
	if !short {
		b.m.child.registered = e
	}
	b.add(TypeAddresses, AppendAddresses(nil, e)...)
}

// ownAddresses are the addresses to register: the mesh-local EID first, then
// what is routable, then groups the parent would not pass on by itself.
func (m *MLE) ownAddresses(short bool) []AddressEntry {
	out := []AddressEntry{{Compressed: true, IID: m.cfg.IID}}
	if short {
		return out
	}
	for _, a := range m.cfg.IP.Addresses() {
		if len(out) == m.Tuning.MaxRegistered {
			return out
		}
		if !a.IsLinkLocalUnicast() && !a.Locator && a.Addr != m.MLEID() {
			out = append(out, m.compress(a.Addr))
		}
	}
	for _, g := range m.cfg.IP.Groups() {
		if len(out) == m.Tuning.MaxRegistered {
			return out
		}
		if m.standardGroup(g) || m.mode.RxOnWhenIdle() && ipv6.Scope(g) <= ipv6.ScopeRealm {
			continue
		}
		out = append(out, AddressEntry{Addr: g})
	}
	return out
}

// standardGroup reports whether every device is expected to listen to a group.
func (m *MLE) standardGroup(g netip.Addr) bool {
	switch g {
	case ipv6.AllNodesLinkLocal, ipv6.AllRoutersLinkLocal, ipv6.AllNodesRealm, ipv6.AllRoutersRealm, ipv6.AllMPLForwarders:
		return true
	}
	return m.EveryGroup(g)
}

func (m *MLE) compress(a netip.Addr) AddressEntry {
	for c := range m.NetData().Contexts() {
		if c.Prefix.Bits() == 64 && c.Prefix.Contains(a) {
			b := a.As16()
			return AddressEntry{Compressed: true, Context: c.ID, IID: [8]byte(b[8:])}
		}
	}
	return AddressEntry{Addr: a}
}

// register takes the addresses that a child tells. Unknown contexts are passed
// over, what is too much is not kept, and an address that another child had
// changes hands.
func (m *MLE) register(c *neighbor.Child, entries []AddressEntry) {
	c.Addresses = nil
	for _, e := range entries {
		a, ok := m.expand(e)
		if !ok || len(c.Addresses) >= m.Tuning.MaxChildAddresses || slices.Contains(c.Addresses, a) ||
			a.IsUnspecified() || a.IsLinkLocalUnicast() || a.IsLoopback() {
			continue
		}
		c.Addresses = append(c.Addresses, a)
		if a.IsMulticast() {
			continue
		}
		for _, o := range m.cfg.Table.Children {
			if o != c && slices.Contains(o.Addresses, a) {
				o.Addresses = slices.DeleteFunc(slices.Clone(o.Addresses), func(x netip.Addr) bool { return x == a })
			}
		}
	}
	if m.cfg.Events.ChildRegistered != nil {
		m.cfg.Events.ChildRegistered(c)
	}
}

func (m *MLE) expand(e AddressEntry) (netip.Addr, bool) {
	if !e.Compressed {
		return e.Addr, true
	}
	if e.Context == 0 {
		a := m.address(e.IID)
		return a, a.IsValid()
	}
	for c := range m.NetData().Contexts() {
		if c.ID == e.Context {
			b := c.Prefix.Addr().As16()
			copy(b[8:], e.IID[:])
			return netip.AddrFrom16(b), true
		}
	}
	return netip.Addr{}, false
}

// childAddresses adds what is kept of a child's addresses. The mesh-local EID
// goes without saying: OpenThread's parents leave it out too.
func (b *builder) childAddresses(c *neighbor.Child) {
	var out []AddressEntry
	for _, a := range c.Addresses {
		if b.m.meshLocal.Contains(a) {
			continue
		}
		if a.IsMulticast() {
			out = append(out, AddressEntry{Addr: a})
			continue
		}
		out = append(out, b.m.compress(a))
	}
	b.add(TypeAddresses, AppendAddresses(nil, out)...)
}

// Contexts are the 6LoWPAN contexts: the mesh-local prefix and those of the
// network data.
func (m *MLE) Contexts() lowpan.Contexts {
	if m.contexts == nil {
		m.contexts = make(lowpan.Contexts, 0, 4)
		if m.meshLocal.IsValid() {
			m.contexts = append(m.contexts, lowpan.Context{ID: 0, Prefix: m.meshLocal, Compress: true})
		}
		for c := range m.NetData().Contexts() {
			m.contexts = append(m.contexts, lowpan.Context{ID: c.ID, Prefix: c.Prefix, Compress: c.Compress})
		}
	}
	return m.contexts
}
