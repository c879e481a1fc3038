package border

import (
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
)

// Delegated is a prefix that a router upstream has delegated, or that was
// configured.
type Delegated struct {
	Prefix           netip.Prefix
	Preferred, Valid time.Time // until when; zero is for ever
}

// DelegationState is whether a delegated prefix is of use.
type DelegationState uint8

const (
	DelegationStopped DelegationState = iota
	DelegationRunning                 // one is wanted or used
	DelegationIdle                    // the mesh has another's
)

// String names the state.
func (s DelegationState) String() string {
	return [...]string{"stopped", "running", "idle"}[s]
}

const (
	maxDelegated = 16
	// leastBits is the length of the widest prefix one would delegate to a
	// site; shorter is a mistake.
	leastBits = 20
)

// A delegation picks the prefix of the mesh out of those delegated.
type delegation struct {
	m     *Manager
	list  []Delegated
	idle  bool
	timer *alarm.Timer
}

func (d *delegation) init(m *Manager) {
	d.m = m
	d.timer = m.timer(d.changed)
}

// SetDelegated tells all prefixes that are delegated to this host. Addresses of
// one that is not there anymore stay valid for a while after the mesh has
// another.
func (m *Manager) SetDelegated(p []Delegated) {
	m.pd.list = slices.Clone(p[:min(len(p), maxDelegated)])
	m.pd.changed()
	m.flush()
}

// DelegationWanted reports whether a delegated prefix would be used: not if
// the mesh has one of another border router.
func (m *Manager) DelegationWanted() bool { return m.pd.state() == DelegationRunning }

func (d *delegation) state() DelegationState {
	switch {
	case !d.m.running:
		return DelegationStopped
	case d.idle:
		return DelegationIdle
	}
	return DelegationRunning
}

// changed decides anew, at once: addresses may be over.
func (d *delegation) changed() {
	now := d.m.now()
	var e earliest
	for _, x := range d.list {
		if x.Preferred.After(now) {
			e.add(x.Preferred)
		}
	}
	e.arm(d.timer)
	d.m.changed = true
	if d.m.running {
		d.m.scheduleAll(atOnce)
	}
}

// review finds out whether the mesh has a prefix that is as good.
func (d *delegation) review(f favored) {
	d.idle = f.infrastructureDerived() && f.prefix != d.pick().Prefix
}

// cut returns the /64 of a prefix; zero if it has none that can be used.
func cut(p netip.Prefix) netip.Prefix {
	if !p.IsValid() || p.Bits() < leastBits || p.Bits() > 64 {
		return netip.Prefix{}
	}
	if p = netip.PrefixFrom(p.Masked().Addr(), 64); !usable64(p) {
		return netip.Prefix{}
	}
	return p
}

// pick returns the smallest prefix for new addresses, as /64: a global one
// before a ULA.
func (d *delegation) pick() (best Delegated) {
	now := d.m.now()
	over := func(t time.Time) bool { return !t.IsZero() && !t.After(now) }
	for _, x := range d.list {
		p := cut(x.Prefix)
		if !p.IsValid() || over(x.Preferred) || over(x.Valid) {
			continue
		}
		if !best.Prefix.IsValid() || p.Addr().Less(best.Prefix.Addr()) {
			best = Delegated{p, x.Preferred, x.Valid}
		}
	}
	return best
}

// prefix returns the prefix to use; zero if there is none.
func (d *delegation) prefix() netip.Prefix {
	if d.idle {
		return netip.Prefix{}
	}
	return d.pick().Prefix
}

// valid returns until when addresses of a prefix are valid, zero for ever; ok
// is false if it is not delegated.
func (d *delegation) valid(p netip.Prefix) (until time.Time, ok bool) {
	i := slices.IndexFunc(d.list, func(x Delegated) bool { return cut(x.Prefix) == p })
	if i < 0 {
		return time.Time{}, false
	}
	return d.list[i].Valid, true
}
