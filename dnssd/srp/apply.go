package srp

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"gatewayd/dnssd"
)

// conflict reports a name in u that belongs to another key: first come, first
// served (RFC 9665 Section 3.3.3).
func (s *Server) conflict(u *update) error {
	if h := s.regs.hosts[dnssd.Fold(u.host)]; h != nil && h.key != u.key {
		return fmt.Errorf("%w: host %q", ErrConflict, u.host)
	}
	for _, v := range u.services {
		if have := s.regs.instances[instanceKey(v.instance, v.typ)]; have != nil && have.host.key != u.key {
			return fmt.Errorf("%w: service %q of %s", ErrConflict, v.instance, v.typ)
		}
	}
	return nil
}

// apply does what an update in order asks for.
func (s *Server) apply(from netip.AddrPort, u *update, granted lease) error {
	h := s.regs.hosts[dnssd.Fold(u.host)]
	if granted.lease == 0 {
		return s.withdraw(h, from, u, granted)
	}
	if err := s.room(h, from.Addr(), u); err != nil {
		return err
	}
	now := s.cfg.Clock.Now()
	before := dnssd.Host{}
	if h != nil {
		before = h.snapshot()
	} else {
		h = &host{name: u.host, key: u.key, from: from, keyExpiry: now.Add(granted.key)}
		s.regs.add(h)
	}
	h.name = u.host // the case may be another
	h.addrs, h.ttl = u.addrs, s.cfg.Bounds.ttl(u.ttl, granted.lease)
	s.regs.moved(h, from)
	h.lease = granted
	h.expires, h.keyExpiry = now.Add(granted.lease), now.Add(granted.key)
	for _, v := range u.services {
		s.applyService(h, v, granted)
	}
	s.regs.changed(h)
	s.save(h)
	after := h.snapshot()
	kind := HostUpdated
	if reflect.DeepEqual(before, after) {
		kind = HostRenewed
	}
	s.tell(Event{Kind: kind, Host: after, From: from})
	return nil
}

// room reports whether what u adds can be kept.
func (s *Server) room(h *host, from netip.Addr, u *update) error {
	if len(u.addrs) > maxAddrsPerHost {
		return ErrTooMany
	}
	if h == nil && len(s.regs.hosts) >= s.cfg.MaxHosts {
		return ErrFull
	}
	have, more, moves := 0, 0, 1
	if h != nil {
		have, moves = len(h.services), 0
		if h.from.Addr() != from {
			moves = 1 + have
		}
	}
	for _, v := range u.services {
		if v.srv && s.regs.instances[instanceKey(v.instance, v.typ)] == nil {
			more++
		}
	}
	switch {
	case have+more > maxServicesPerHost, moves+more > 0 && s.regs.sources[from]+moves+more > s.cfg.MaxPerSource:
		return ErrTooMany
	case more > 0 && len(s.regs.instances)+more > s.cfg.MaxServices:
		return ErrFull
	}
	return nil
}

// applyService adds, changes or removes one service of a host that stays.
func (s *Server) applyService(h *host, v *serviceUpdate, granted lease) {
	now := s.cfg.Clock.Now()
	have := s.regs.instances[instanceKey(v.instance, v.typ)]
	if !v.srv {
		if have != nil {
			s.regs.unlist(have)
			have.retire()
			have.keyExpiry = now.Add(granted.key)
			s.leave(have, h)
		}
		return
	}
	if have != nil {
		s.regs.removeService(have)
		s.leave(have, h)
	}
	s.regs.addService(&service{
		Service: dnssd.Service{
			Instance: v.instance,
			Type:     v.typ,
			Subtypes: v.subtypes,
			Priority: v.priority,
			Weight:   v.weight,
			Port:     v.port,
			TXT:      slices.Clone(v.data),
			TTL:      s.cfg.Bounds.ttl(v.ttl, granted.lease),
		},
		host:      h,
		expires:   now.Add(granted.lease),
		keyExpiry: now.Add(granted.key),
	})
}

// leave tells of a host that lost a service to an update of h with the same
// key, if it is not h itself.
func (s *Server) leave(v *service, h *host) {
	if v.host == h {
		return
	}
	s.regs.changed(v.host)
	s.save(v.host)
	if v.host.live() {
		s.tell(Event{Kind: HostUpdated, Host: v.host.snapshot()})
	}
}

// withdraw takes a host away with all its services; their names stay for as
// long as the key's lease says (RFC 9665 Section 3.2.5.5.1).
func (s *Server) withdraw(h *host, from netip.AddrPort, u *update, granted lease) error {
	now := s.cfg.Clock.Now()
	if h == nil {
		if granted.key == 0 {
			return nil
		}
		if err := s.room(nil, from.Addr(), &update{}); err != nil {
			return err
		}
		h = &host{name: u.host, key: u.key, from: from, keyExpiry: now.Add(granted.key)}
		s.regs.add(h)
	}
	// A service that the update names may be on another host of the same key.
	for _, v := range u.services {
		if have := s.regs.instances[instanceKey(v.instance, v.typ)]; have != nil && have.host != h {
			s.regs.removeService(have)
			s.leave(have, h)
		}
	}
	wasLive := h.live()
	if granted.key == 0 {
		s.regs.remove(h)
		s.forget(h)
	} else {
		s.regs.retire(h)
		s.regs.moved(h, from)
		h.lease, h.keyExpiry = granted, now.Add(granted.key)
		for _, v := range h.services {
			v.keyExpiry = h.keyExpiry
		}
		s.regs.changed(h)
		s.save(h)
	}
	if wasLive {
		s.tell(Event{Kind: HostRemoved, Host: dnssd.Host{Name: h.name}, From: from})
	}
	return nil
}

// Forget removes a host with all its services and names, as an operator may
// want to. It reports whether there was one.
func (s *Server) Forget(name string) bool {
	h := s.regs.hosts[dnssd.Fold(name)]
	if h == nil {
		return false
	}
	s.regs.remove(h)
	s.forget(h)
	s.schedule()
	if h.live() {
		s.tell(Event{Kind: HostRemoved, Host: dnssd.Host{Name: h.name}})
	}
	return true
}

// schedule sets the timer for the first lease that ends.
func (s *Server) schedule() {
	if len(s.regs.due) == 0 {
		s.timer.Stop()
		return
	}
	s.timer.StartAt(s.regs.due[0].due)
}

// expire ends the leases whose time has come.
func (s *Server) expire() {
	now := s.cfg.Clock.Now()
	for len(s.regs.due) > 0 && !s.regs.due[0].due.After(now) {
		s.expireHost(s.regs.due[0], now)
	}
	s.schedule()
}

func ended(at, now time.Time) bool { return !at.IsZero() && !at.After(now) }

// expireHost ends leases of a host and its services (RFC 9665 Section 5.1).
func (s *Server) expireHost(h *host, now time.Time) {
	wasLive := h.live()
	if ended(h.keyExpiry, now) {
		s.regs.remove(h)
		s.forget(h)
	} else {
		changed := false
		if ended(h.expires, now) {
			s.count.Expired++
			s.regs.retire(h)
		}
		for _, v := range slices.Clone(h.services) {
			if ended(v.keyExpiry, now) {
				changed = changed || v.live()
				s.regs.removeService(v)
			} else if ended(v.expires, now) {
				s.count.Expired++
				changed = true
				s.regs.unlist(v)
				v.retire()
			}
		}
		s.regs.changed(h)
		s.save(h)
		if h.live() {
			if changed {
				s.tell(Event{Kind: HostUpdated, Host: h.snapshot()})
			}
			return
		}
	}
	if wasLive {
		s.tell(Event{Kind: HostRemoved, Host: dnssd.Host{Name: h.name}})
	}
}
