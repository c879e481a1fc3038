package nat64

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// Mapping is one binding as it is now.
type Mapping struct {
	ID       uint64
	Proto    Proto
	Inside   netip.AddrPort // in the mesh; the port of ICMP is an identifier
	Outside  netip.AddrPort // in the pool
	Out, In  Traffic
	Sessions []Session // the oldest first
}

// Session is a mapping in use with one remote.
type Session struct {
	Remote  netip.AddrPort // IPv4; without port for ICMP
	State   State          // of TCP
	Expires time.Duration  // from now, if it is not used
}

// Mappings returns all bindings, the oldest first.
func (t *Translator) Mappings() []Mapping {
	now := t.cfg.Clock.Now()
	all := make([]Mapping, 0, len(t.table.inside))
	for _, b := range t.table.inside {
		m := Mapping{
			ID: b.id, Proto: b.proto, Out: b.out, In: b.in,
			Inside:  netip.AddrPortFrom(netip.AddrFrom16(b.host.addr), b.port6),
			Outside: netip.AddrPortFrom(addr4(b.host.addr4), b.port4),
		}
		for s := b.sessions.head; s != nil; s = s.links[byBinding].next {
			m.Sessions = append(m.Sessions, Session{
				Remote: netip.AddrPortFrom(addr4(s.addr), s.port), State: s.state, Expires: s.expires.Sub(now),
			})
		}
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b Mapping) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Host is what a host of the mesh uses now.
type Host struct {
	Inside   netip.Addr
	Outside  netip.Addr
	Sessions int
	Out, In  ByProto
	Expires  time.Duration // from now until it has no session, if none is used
}

// Hosts returns the hosts that have sessions, by address.
func (t *Translator) Hosts() []Host {
	now := t.cfg.Clock.Now()
	all := make([]Host, 0, len(t.table.hosts))
	for _, h := range t.table.hosts {
		x := Host{Inside: netip.AddrFrom16(h.addr), Outside: addr4(h.addr4), Sessions: h.sessions.n, Out: h.out, In: h.in}
		for s := h.sessions.head; s != nil; s = s.links[byHost].next {
			x.Expires = max(x.Expires, s.expires.Sub(now))
		}
		all = append(all, x)
	}
	slices.SortFunc(all, func(a, b Host) int { return a.Inside.Compare(b.Inside) })
	return all
}

// Usage is how much of its limits a Translator uses.
type Usage struct {
	Hosts, Mappings int
	Sessions        int // of Limits.Sessions
	Datagrams       int // of Limits.Datagrams
	FragmentBytes   int // of Limits.FragmentBytes
}

// Usage returns how much there is now.
func (t *Translator) Usage() Usage {
	return Usage{
		Hosts: len(t.table.hosts), Mappings: len(t.table.inside), Sessions: len(t.table.sessions),
		Datagrams: len(t.joiner.waiting), FragmentBytes: t.joiner.bytes,
	}
}

// Counters returns what the Translator did so far.
func (t *Translator) Counters() Counters { return t.counters }

// Limits returns the limits in force.
func (t *Translator) Limits() Limits { return t.cfg.Limits }
