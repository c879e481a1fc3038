package ndp

import (
	"net/netip"
	"slices"
)

// State is what a Border keeps over a restart.
type State struct {
	Version       uint32     // of the Info that was told
	Addr          netip.Addr // of the 6LBR; not valid in states of old
	Former        []Former   `json:",omitempty"`
	Registrations []Registration
}

// Snapshot returns the state, registrations in order of address.
func (b *Border) Snapshot() State {
	return State{Version: b.version, Addr: b.cfg.Addr, Former: slices.Clone(b.former), Registrations: b.reg.table()}
}

// Restore takes up a state before anything is received. Registrations that
// have expired since, or are of no use here anymore, are left out. The version
// continues, so that routers do not take what they are told now for old; of an
// address that it had before, they are told that it is over.
func (b *Border) Restore(s State) {
	if int32(s.Version-b.version) >= 0 {
		b.version = s.Version + 1
	}
	b.former = slices.DeleteFunc(slices.Clone(s.Former), func(f Former) bool { return f.Addr == b.cfg.Addr })
	if s.Addr.IsValid() && s.Addr != b.cfg.Addr {
		b.retire(s.Addr)
	}
	now := b.cfg.Clock.Now()
	for _, r := range s.Registrations {
		if r.Expires.After(now) && isUnicast(r.Addr) && r.ROVR.IsValid() && !b.own(r.Addr) && b.topology(r) &&
			b.reg.len() < b.cfg.MaxRegistrations {
			b.reg.put(r)
		}
	}
}

// Table returns every registration in order of address.
func (b *Border) Table() []Registration { return b.reg.table() }

// Len is the number of registrations.
func (b *Border) Len() int { return b.reg.len() }

// Lookup returns the registration of an address.
func (b *Border) Lookup(a netip.Addr) (Registration, bool) { return b.reg.get(a) }

// Resolve returns the link-layer address of a neighbour: the registered one, or
// that which a link-local address was made of.
func (b *Border) Resolve(a netip.Addr) (LinkAddr, bool) { return b.reg.resolve(a) }

// Remove ends a registration, and tells the node or its router. It reports
// whether there was one.
func (b *Border) Remove(a netip.Addr) bool {
	r, ok := b.reg.get(a)
	if !ok {
		return false
	}
	b.reg.remove(a)
	if r.Neighbor() {
		b.cfg.Send(notice(b.linkLocal, r, r.removal()))
	} else {
		b.tellRouter(r, StatusRemoved)
	}
	b.cfg.Changed(r, false)
	return true
}

// removal is the status that tells a node its registration has been ended; RFC
// 6775 has no better word for it than that the address is not its own.
func (r Registration) removal() Status {
	if r.Extended {
		return StatusRemoved
	}
	return StatusDuplicate
}
