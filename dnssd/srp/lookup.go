package srp

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"gatewayd/dnssd"
)

// Registration is a host as it is kept.
type Registration struct {
	Host     dnssd.Host // live services only, times to live as granted
	Retained []Name     // services of which only the name is left
	Live     bool       // false: only the name is left
	From     netip.AddrPort
	Lease    time.Duration // granted last
	KeyLease time.Duration
	Expires  time.Time // zero if not Live
	KeyUntil time.Time // when the name is free again
}

// Name is that of a service.
type Name struct {
	Instance, Type string
	Until          time.Time // when it is free again
}

// Hosts is all that is registered, by name.
func (s *Server) Hosts() []Registration {
	out := make([]Registration, 0, len(s.regs.hosts))
	for _, h := range s.regs.hosts {
		r := Registration{
			Host: h.snapshot(), Live: h.live(), From: h.from,
			Lease: h.lease.lease, KeyLease: h.lease.key,
			Expires: h.expires, KeyUntil: h.keyExpiry,
		}
		for _, v := range h.services {
			if !v.live() {
				r.Retained = append(r.Retained, Name{v.Instance, v.Type, v.keyExpiry})
			}
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Registration) int {
		return strings.Compare(dnssd.Fold(a.Host.Name), dnssd.Fold(b.Host.Name))
	})
	return out
}

// Len is the numbers of hosts and services, without those of which only the
// name is left.
func (s *Server) Len() (hosts, services int) {
	for _, h := range s.regs.hosts {
		if h.live() {
			hosts++
		}
	}
	for _, k := range s.regs.types {
		services += len(k.instances)
	}
	return hosts, services
}

// A Server is what a dnssd.Resolver answers from.
var _ dnssd.Registry = (*Server)(nil)

// FindHost returns a host with its services; times to live end with leases.
func (s *Server) FindHost(name string) (dnssd.Host, bool) {
	h := s.regs.hosts[dnssd.Fold(name)]
	if h == nil || !s.left(h.expires) {
		return dnssd.Host{}, false
	}
	v := s.plain(h)
	for _, x := range h.services {
		if s.left(x.expires) {
			v.Services = append(v.Services, s.view(x))
		}
	}
	return v, true
}

// FindService returns a service and its host, the latter without services.
func (s *Server) FindService(instance, typ string) (dnssd.Host, dnssd.Service, bool) {
	x := s.regs.instances[instanceKey(instance, typ)]
	if x == nil || !s.left(x.expires) || !s.left(x.host.expires) {
		return dnssd.Host{}, dnssd.Service{}, false
	}
	return s.plain(x.host), s.view(x), true
}

// Browse calls each with the services of a type or subtype, by name, until it
// returns false.
func (s *Server) Browse(typ, subtype string, each func(dnssd.Service) bool) {
	k := s.regs.types[dnssd.Fold(typ)]
	if k == nil {
		return
	}
	for _, x := range k.instances {
		if !s.left(x.expires) || subtype != "" && !hasSubtype(x, subtype) {
			continue
		}
		if !each(s.view(x)) {
			return
		}
	}
}

// Types calls each with the types that have services, in order, until it
// returns false.
func (s *Server) Types(each func(typ string) bool) {
	names := make([]string, 0, len(s.regs.types))
	for name := range s.regs.types {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !each(s.regs.types[name].typ) {
			return
		}
	}
}

func hasSubtype(x *service, subtype string) bool {
	return slices.ContainsFunc(x.Subtypes, func(have string) bool {
		return dnssd.Fold(have) == dnssd.Fold(subtype)
	})
}

// left reports whether a lease has not ended.
func (s *Server) left(expires time.Time) bool { return expires.After(s.cfg.Clock.Now()) }

// plain is a host without its services, as it may be told now.
func (s *Server) plain(h *host) dnssd.Host {
	return dnssd.Host{Name: h.name, Addrs: h.addrs, TTL: s.ttl(h.ttl, h.expires)}
}

// view is a service as it may be told now.
func (s *Server) view(x *service) dnssd.Service {
	v := x.Service
	v.TTL = s.ttl(v.TTL, x.expires)
	return v
}

// ttl is a time to live that does not outlast a lease.
func (s *Server) ttl(ttl time.Duration, expires time.Time) time.Duration {
	return min(ttl, expires.Sub(s.cfg.Clock.Now()))
}
