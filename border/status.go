package border

import (
	"net/netip"
	"slices"
	"time"

	"gatewayd/ndp"
	"gatewayd/thread/netdata"
)

// State is that of the whole Manager.
type State uint8

const (
	Disabled State = iota
	Stopped        // waits for the mesh or a link
	Running
)

// String names the state.
func (s State) String() string { return [...]string{"disabled", "stopped", "running"}[s] }

// Status is a snapshot for people.
type Status struct {
	State State
	// Ready says that prefixes are decided and advertised: devices may register
	// services.
	Ready bool
	ULA   netip.Prefix // our own /48

	OMR               OMRStatus
	NAT64             NAT64Status
	Delegation        DelegationState
	Delegated         Delegated // in use, as /64
	Published         Publication
	RoutePreference   netdata.Preference
	RIOPreference     ndp.Preference
	Links             []LinkStatus
	Peers             []Peer // in order of RLOC16
	PeersOnOtherLinks bool   // for a while already: some of the Peers are on none of our links
}

// OMRStatus is which OMR prefix is ours and which the mesh has.
type OMRStatus struct {
	Local             netip.Prefix // made of the ULA
	Favored           netip.Prefix // zero: none
	FavoredPreference netdata.Preference
}

// NAT64Status is which NAT64 prefix we have and which we would publish.
type NAT64Status struct {
	Enabled           bool
	Local             netip.Prefix
	Outside           netip.Prefix // the infrastructure's, used or not; zero: it has none
	Favored           netip.Prefix
	FavoredPreference netdata.Preference
}

// LinkStatus is a snapshot of an infrastructure link.
type LinkStatus struct {
	Name    string
	Up      bool
	Running bool
	// SameAs is another link of ours that turned out to be this one. This one
	// is not used.
	SameAs string
	// Conflict says that a border router of the mesh advertises here what we
	// advertise on another link: these should be one link, and are not.
	Conflict bool

	OnLink     OnLinkStatus
	Routers    []RouterStatus // in order of address
	Prefixes   []PrefixStatus // in order of router; on-link ones first
	Advertised []ndp.Option   // of our last advertisement
	LastSent   time.Time      // when one was last sent; zero: never
	Counters   LinkCounters
}

// OnLinkStatus is which on-link prefix is ours and which hosts use.
type OnLinkStatus struct {
	Local   netip.Prefix
	Favored netip.Prefix // Local, if there is no other
	State   OnLinkState
	Old     []HostPrefix // of before
}

// RouterStatus is a router of an infrastructure link.
type RouterStatus struct {
	Addr           netip.Addr
	Link           ndp.LinkAddr
	Since, Heard   time.Time
	Managed, Other bool
	SNAC           bool
	Reachable      bool
	Local          bool // another program on this host
	Peer           bool // a border router of our mesh
}

// PrefixStatus is a prefix or route that a router advertised.
type PrefixStatus struct {
	Prefix           netip.Prefix
	OnLink           bool
	Router           netip.Addr
	Heard            time.Time
	Valid, Preferred time.Duration  // as heard; Preferred of on-link prefixes
	Preference       ndp.Preference // of routes
}

// LinkCounters count messages of a link.
type LinkCounters struct {
	RAReceived, RSReceived, NAReceived uint64
	RASent, RSSent, NSSent, SendFailed uint64
	Malformed                          uint64
	RoutersRefused, PrefixesRefused    uint64 // for want of room
}

// Status returns a snapshot.
func (m *Manager) Status() Status {
	s := Status{
		ULA:             m.ula,
		OMR:             OMRStatus{subnet(m.ula, omrSubnet, 64), m.omr.favored.prefix, m.omr.favored.preference},
		NAT64:           NAT64Status{Enabled: m.nat64.have.Enabled, Local: m.nat64.local, Outside: m.nat64.outside()},
		Delegation:      m.pd.state(),
		Published:       m.published,
		RoutePreference: m.route.preference,
		RIOPreference:   m.rioPreference.get(),
		Peers:           slices.Clone(m.peers),

		PeersOnOtherLinks: m.split.detected,
	}
	switch {
	case m.running:
		s.State = Running
	case m.enabled:
		s.State = Stopped
	}
	s.NAT64.Favored, s.NAT64.FavoredPreference = m.nat64.offer()
	if m.omr.preference == netdata.Medium {
		s.Delegated = m.pd.pick()
	}
	for _, l := range m.links {
		s.Ready = s.Ready || l.decided() && l.sentCount > 0
		s.Links = append(s.Links, l.status())
	}
	return s
}

func (l *link) status() LinkStatus {
	s := LinkStatus{
		Name: l.name, Up: l.state.Up, Running: l.running, Conflict: l.conflict(), Counters: l.counters,
		Advertised: slices.Clone(l.lastOptions), LastSent: l.lastSent,
		OnLink: OnLinkStatus{Local: l.onLink.local, Favored: l.onLink.favored, State: l.onLink.state},
	}
	if l.quiet() {
		s.SameAs = l.twin
	}
	if !s.OnLink.Favored.IsValid() {
		s.OnLink.Favored = l.onLink.local
	}
	for _, p := range l.onLink.old {
		s.OnLink.Old = append(s.OnLink.Old, HostPrefix{p.prefix, true, p.expires})
	}
	for _, r := range l.sorted() {
		s.Routers = append(s.Routers, RouterStatus{
			Addr: r.addr, Link: r.link, Since: r.since, Heard: r.heard, Managed: r.managed, Other: r.other, SNAC: r.snac,
			Reachable: r.reachable(), Local: r.local, Peer: l.peer(r),
		})
		for _, p := range r.onLink {
			s.Prefixes = append(s.Prefixes, PrefixStatus{
				Prefix: p.prefix, OnLink: true, Router: r.addr, Heard: p.heard, Valid: p.valid, Preferred: p.preferred,
			})
		}
		for _, p := range r.routes {
			s.Prefixes = append(s.Prefixes, PrefixStatus{
				Prefix: p.prefix, Router: r.addr, Heard: p.heard, Valid: p.valid, Preference: p.preference,
			})
		}
	}
	return s
}

// conflict reports whether an on-link prefix heard here is ours elsewhere.
func (l *link) conflict() bool {
	return slices.ContainsFunc(l.m.links, func(o *link) bool {
		return o != l && o.running && o.onLink.active() && slices.ContainsFunc(l.routers, func(r *router) bool {
			return indexOf(r.onLink, o.onLink.local) >= 0
		})
	})
}
