package netdata

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
)

// Local is what this node itself serves, without its locator: that is filled
// in when it is registered. The zero value serves nothing.
type Local struct {
	data Data
}

// SetPrefix adds or replaces an on-mesh prefix.
func (l *Local) SetPrefix(p netip.Prefix, flags PrefixFlags, stable bool) error {
	return l.set(p, func(q *Prefix) {
		q.BorderRouters = []BorderRouter{{Flags: flags, Stable: stable}}
	})
}

// SetRoute adds or replaces a route to a prefix outside the mesh.
func (l *Local) SetRoute(p netip.Prefix, flags RouteFlags, stable bool) error {
	if flags.Has(RouteNAT64) && !ValidNAT64(p) {
		return fmt.Errorf("netdata: %v cannot be a NAT64 prefix", p)
	}
	return l.set(p, func(q *Prefix) {
		q.HasRoutes = []HasRoute{{Flags: flags, Stable: stable}}
	})
}

func (l *Local) set(p netip.Prefix, f func(*Prefix)) error {
	if !p.IsValid() || !p.Addr().Is6() || p.Addr().Is4In6() {
		return fmt.Errorf("netdata: %v is not an IPv6 prefix", p)
	}
	return l.try(func(d *Data) { f(d.prefix(&Prefix{Prefix: p.Masked()})) })
}

// RemovePrefix withdraws an on-mesh prefix and reports whether there was one.
func (l *Local) RemovePrefix(p netip.Prefix) bool {
	return l.remove(p, func(q *Prefix) bool {
		had := len(q.BorderRouters) > 0
		q.BorderRouters = nil
		return had
	})
}

// RemoveRoute withdraws a route and reports whether there was one.
func (l *Local) RemoveRoute(p netip.Prefix) bool {
	return l.remove(p, func(q *Prefix) bool {
		had := len(q.HasRoutes) > 0
		q.HasRoutes = nil
		return had
	})
}

func (l *Local) remove(p netip.Prefix, f func(*Prefix) bool) bool {
	q := l.data.FindPrefix(p.Masked())
	if q == nil {
		return false
	}
	had := f(q)
	if len(q.BorderRouters)+len(q.HasRoutes) == 0 {
		l.data.Prefixes = slices.DeleteFunc(l.data.Prefixes, func(x Prefix) bool { return x.Prefix == p.Masked() })
	}
	return had
}

// SetService adds or replaces a service.
func (l *Local) SetService(enterprise uint32, data, server []byte, stable bool) error {
	if len(data) > 0xff {
		return fmt.Errorf("netdata: service data has %d bytes, at most 255", len(data))
	}
	return l.try(func(d *Data) {
		s := d.FindService(enterprise, data)
		if s == nil {
			d.Services = append(d.Services, Service{Enterprise: enterprise, Data: bytes.Clone(data)})
			s = &d.Services[len(d.Services)-1]
		}
		s.Servers = []Server{{Data: bytes.Clone(server), Stable: stable}}
	})
}

// RemoveService withdraws a service and reports whether there was one.
func (l *Local) RemoveService(enterprise uint32, data []byte) bool {
	n := len(l.data.Services)
	l.data.Services = slices.DeleteFunc(l.data.Services, func(s Service) bool {
		return s.Enterprise == enterprise && bytes.Equal(s.Data, data)
	})
	return len(l.data.Services) < n
}

// try makes a change that must leave the whole within MaxSize.
func (l *Local) try(change func(*Data)) error {
	d := l.Data(0)
	change(&d)
	if n := d.Len(); n > MaxSize {
		return fmt.Errorf("%w: this node alone would need %d of %d bytes", ErrFull, n, MaxSize)
	}
	l.data = d
	return nil
}

// Data returns the entries as the node at rloc16 registers them.
func (l *Local) Data(rloc16 uint16) Data {
	var d Data
	for _, p := range l.data.Prefixes {
		p.BorderRouters = slices.Clone(p.BorderRouters)
		for i := range p.BorderRouters {
			p.BorderRouters[i].RLOC16 = rloc16
		}
		p.HasRoutes = slices.Clone(p.HasRoutes)
		for i := range p.HasRoutes {
			p.HasRoutes[i].RLOC16 = rloc16
		}
		d.Prefixes = append(d.Prefixes, p)
	}
	for _, s := range l.data.Services {
		s.Servers = slices.Clone(s.Servers)
		for i := range s.Servers {
			s.Servers[i].RLOC16 = rloc16
		}
		d.Services = append(d.Services, s)
	}
	return d
}

// Registered reports whether the network data of the partition holds for
// rloc16 exactly the entries of l: if not, they are to be registered (again).
func (l *Local) Registered(d *Data, rloc16 uint16) bool {
	own, theirs := l.Data(rloc16), d.of(rloc16)
	return own.contains(&theirs) && theirs.contains(&own)
}

// of returns the entries of one server.
func (d *Data) of(rloc16 uint16) Data {
	var out Data
	for _, p := range d.Prefixes {
		q := Prefix{Prefix: p.Prefix, Domain: p.Domain}
		for _, e := range p.BorderRouters {
			if e.RLOC16 == rloc16 {
				q.BorderRouters = append(q.BorderRouters, e)
			}
		}
		for _, e := range p.HasRoutes {
			if e.RLOC16 == rloc16 {
				q.HasRoutes = append(q.HasRoutes, e)
			}
		}
		out.Prefixes = append(out.Prefixes, q)
	}
	for _, s := range d.Services {
		q := Service{Enterprise: s.Enterprise, Data: s.Data}
		for _, e := range s.Servers {
			if e.RLOC16 == rloc16 {
				q.Servers = append(q.Servers, e)
			}
		}
		out.Services = append(out.Services, q)
	}
	return out
}

// contains reports whether every border router, route and server of e is in d.
func (d *Data) contains(e *Data) bool {
	for _, p := range e.Prefixes {
		q := d.FindPrefix(p.Prefix)
		if q == nil {
			q = &Prefix{}
		}
		for _, x := range p.BorderRouters {
			if !slices.Contains(q.BorderRouters, x) {
				return false
			}
		}
		for _, x := range p.HasRoutes {
			if !slices.Contains(q.HasRoutes, x) {
				return false
			}
		}
	}
	for _, s := range e.Services {
		q := d.FindService(s.Enterprise, s.Data)
		if q == nil {
			q = &Service{}
		}
		for _, x := range s.Servers {
			if !slices.ContainsFunc(q.Servers, x.equal) {
				return false
			}
		}
	}
	return true
}
