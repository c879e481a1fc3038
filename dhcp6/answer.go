package dhcp6

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/insomniacslk/dhcp/rfc1035label"
)

// status makes a status code option (RFC 8415 Section 21.13).
type status struct {
	code iana.StatusCode
	text string
}

var (
	success       = status{iana.StatusSuccess, "done"}
	failed        = status{iana.StatusUnspecFail, "the lease could not be stored"}
	noAddrsAvail  = status{iana.StatusNoAddrsAvail, "no address is available"}
	noBinding     = status{iana.StatusNoBinding, "no such binding"}
	notOnLink     = status{iana.StatusNotOnLink, "not an address of this link"}
	useMulticast  = status{iana.StatusUseMulticast, "send to ff02::1:2"}
	noPrefixAvail = status{iana.StatusNoPrefixAvail, "prefixes are not delegated here"}
)

func (st status) option() dhcpv6.Option {
	return &dhcpv6.OptStatusCode{StatusCode: st.code, StatusMessage: st.text}
}

// reply begins an answer.
func (s *Server) reply(q *query, t dhcpv6.MessageType) *dhcpv6.Message {
	m := &dhcpv6.Message{MessageType: t, TransactionID: q.msg.TransactionID}
	if id := q.msg.Options.GetOne(dhcpv6.OptionClientID); id != nil {
		m.AddOption(id)
	}
	m.AddOption(dhcpv6.OptServerID(s.server))
	return m
}

// status is a Reply of a status alone.
func (s *Server) status(q *query, st status) *dhcpv6.Message {
	m := s.reply(q, dhcpv6.MessageTypeReply)
	m.AddOption(st.option())
	return m
}

// information adds what the client asks for besides addresses.
func (s *Server) information(q *query, m *dhcpv6.Message) {
	for _, code := range q.msg.Options.RequestedOptions() {
		if m.GetOneOption(code) != nil {
			continue
		}
		switch code {
		case dhcpv6.OptionDNSRecursiveNameServer:
			addAddrs(m, code, s.cfg.DNS)
		case dhcpv6.OptionSNTPServerList:
			addAddrs(m, code, s.cfg.SNTP)
		case dhcpv6.OptionDomainSearchList:
			if len(s.cfg.Search) > 0 {
				m.AddOption(dhcpv6.OptDomainSearchList(&rfc1035label.Labels{Labels: s.cfg.Search}))
			}
		case dhcpv6.OptionInformationRefreshTime:
			if s.cfg.Refresh > 0 && q.msg.MessageType == dhcpv6.MessageTypeInformationRequest {
				m.AddOption(dhcpv6.OptInformationRefreshTime(s.cfg.Refresh))
			}
		}
	}
}

func addAddrs(m *dhcpv6.Message, code dhcpv6.OptionCode, addrs []netip.Addr) {
	if len(addrs) == 0 {
		return
	}
	o := &dhcpv6.OptionGeneric{OptionCode: code}
	for _, a := range addrs {
		o.OptionData = append(o.OptionData, a.AsSlice()...)
	}
	m.AddOption(o)
}

// each calls f for the identity associations of a message, once for each IAID,
// and adds to m what f returns. Those of kinds that the server has not are
// answered so.
func (s *Server) each(q *query, m *dhcpv6.Message, f func(ia *dhcpv6.OptIANA) *dhcpv6.OptIANA) {
	seen := map[[4]byte]bool{}
	for _, ia := range q.msg.Options.IANA() {
		if seen[ia.IaId] {
			continue
		}
		seen[ia.IaId] = true
		if out := f(ia); out != nil {
			m.AddOption(out)
		}
	}
}

// refuse answers for prefixes and temporary addresses.
func refuse(q *query, m *dhcpv6.Message, addrs, prefixes status) {
	for _, ia := range q.msg.Options.IATA() {
		out := &dhcpv6.OptIATA{IaId: ia.IaId}
		out.Options.Add(addrs.option())
		m.AddOption(out)
	}
	for _, ia := range q.msg.Options.IAPD() {
		out := &dhcpv6.OptIAPD{IaId: ia.IaId}
		out.Options.Add(prefixes.option())
		m.AddOption(out)
	}
}

// solicit is RFC 8415 Sections 18.3.1 and 18.3.9.
func (s *Server) solicit(q *query) *dhcpv6.Message {
	rapid := s.cfg.RapidCommit && q.msg.GetOneOption(dhcpv6.OptionRapidCommit) != nil
	t := dhcpv6.MessageTypeAdvertise
	if rapid {
		t = dhcpv6.MessageTypeReply
	}
	m := s.reply(q, t)
	if rapid {
		m.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRapidCommit})
	}
	if s.cfg.Preference > 0 && !rapid {
		m.AddOption(dhcpv6.OptPreference(s.cfg.Preference))
	}
	s.each(q, m, func(ia *dhcpv6.OptIANA) *dhcpv6.OptIANA { return s.assign(q, ia, rapid) })
	refuse(q, m, noAddrsAvail, noPrefixAvail)
	s.information(q, m)
	return m
}

// request is RFC 8415 Section 18.3.2.
func (s *Server) request(q *query) *dhcpv6.Message {
	m := s.reply(q, dhcpv6.MessageTypeReply)
	s.each(q, m, func(ia *dhcpv6.OptIANA) *dhcpv6.OptIANA {
		for _, a := range addresses(ia) {
			if q.foreign || s.pool(a) == nil {
				return only(ia, notOnLink)
			}
		}
		return s.assign(q, ia, true)
	})
	refuse(q, m, noAddrsAvail, noPrefixAvail)
	s.information(q, m)
	return m
}

// renew is Renew and Rebind, RFC 8415 Sections 18.3.4 and 18.3.5. A binding
// that was lost is made again if the client has what it would be given.
func (s *Server) renew(q *query) *dhcpv6.Message {
	m := s.reply(q, dhcpv6.MessageTypeReply)
	s.each(q, m, func(ia *dhcpv6.OptIANA) *dhcpv6.OptIANA {
		has := addresses(ia)
		known := len(s.bound(q, ia)) > 0
		onLink := !q.foreign && slices.ContainsFunc(has, func(a netip.Addr) bool { return s.pool(a) != nil })
		if !known && !s.recover(q, ia, has) {
			if q.msg.MessageType == dhcpv6.MessageTypeRebind && len(has) > 0 && !onLink && !q.foreign {
				// Of a former prefix: an explicit end (Section 18.3.5).
				out := &dhcpv6.OptIANA{IaId: ia.IaId}
				withdraw(out, has)
				return out
			}
			return only(ia, noBinding)
		}
		out := s.assign(q, ia, true)
		withdraw(out, has)
		return out
	})
	refuse(q, m, noBinding, noBinding)
	s.information(q, m)
	return m
}

// recover makes bindings of addresses that the client would be given anyhow.
func (s *Server) recover(q *query, ia *dhcpv6.OptIANA, has []netip.Addr) bool {
	if q.foreign {
		return false
	}
	for i := range s.cfg.Pools {
		a, ok := s.choose(q, ia, &s.cfg.Pools[i])
		if ok && slices.Contains(has, a) {
			return true
		}
	}
	return false
}

// confirm is RFC 8415 Section 18.3.3.
func (s *Server) confirm(q *query) (*dhcpv6.Message, error) {
	if q.foreign {
		return nil, errLink
	}
	n, off := 0, 0
	for _, ia := range q.msg.Options.IANA() {
		for _, a := range addresses(ia) {
			n++
			if s.pool(a) == nil {
				off++
			}
		}
	}
	switch {
	case n == 0:
		return nil, errNoAddrs
	case off > 0:
		return s.status(q, notOnLink), nil
	}
	return s.status(q, success), nil
}

// release is RFC 8415 Section 18.3.7.
func (s *Server) release(q *query) *dhcpv6.Message {
	m := s.status(q, success)
	s.each(q, m, func(ia *dhcpv6.OptIANA) *dhcpv6.OptIANA {
		leases := s.bound(q, ia)
		if len(leases) == 0 {
			return only(ia, noBinding)
		}
		has := addresses(ia)
		for _, l := range leases {
			if slices.Contains(has, l.Addr) {
				s.drop(l, EventReleased)
			}
		}
		return nil
	})
	refuse(q, m, noBinding, noBinding)
	return m
}

// decline is RFC 8415 Section 18.3.8.
func (s *Server) decline(q *query) *dhcpv6.Message {
	m := s.status(q, success)
	s.each(q, m, func(ia *dhcpv6.OptIANA) *dhcpv6.OptIANA {
		leases := s.bound(q, ia)
		if len(leases) == 0 {
			return only(ia, noBinding)
		}
		has := addresses(ia)
		for _, l := range leases {
			if !slices.Contains(has, l.Addr) {
				continue
			}
			d := *l
			d.State, d.Preferred, d.Valid = Declined, time.Time{}, s.cfg.Clock.Now().Add(s.cfg.Quarantine)
			if !s.keep(d, EventDeclined) { // then until the next restart
				s.leases.remove(l)
				s.leases.add(&d)
			}
			s.limitDeclined()
		}
		return nil
	})
	refuse(q, m, noBinding, noBinding)
	return m
}

// limitDeclined lets the declined addresses go that were so first, so that
// nobody can make all unusable.
func (s *Server) limitDeclined() {
	for s.leases.declined > max(1, s.cfg.MaxLeases/declinedShare) {
		var first *Lease
		for _, l := range s.leases.byAddr {
			if l.State == Declined && (first == nil || l.Valid.Before(first.Valid)) {
				first = l
			}
		}
		s.drop(first, EventExpired)
	}
}

// bound is a client's leases for an identity association.
func (s *Server) bound(q *query, ia *dhcpv6.OptIANA) []*Lease {
	now := s.cfg.Clock.Now()
	return slices.DeleteFunc(slices.Clone(s.leases.byIA[iaKey(q.duid, iaid(ia))]), func(l *Lease) bool {
		return !l.Valid.After(now)
	})
}

// choose finds an address of a pool for an identity association.
func (s *Server) choose(q *query, ia *dhcpv6.OptIANA, p *Pool) (netip.Addr, bool) {
	now := s.cfg.Clock.Now()
	taken := func(a netip.Addr) bool {
		l := s.leases.byAddr[a]
		return l != nil && l.Valid.After(now) || s.cfg.Taken != nil && s.cfg.Taken(a)
	}
	return p.choose(s.cfg.Key, iaKey(q.duid, iaid(ia)), eui64Of(q.peer, q.duid), taken)
}

// assign answers an identity association with an address of every pool, those
// that the client has and new ones, and ends those of other prefixes. Only if
// commit is true, that is so from now on.
func (s *Server) assign(q *query, ia *dhcpv6.OptIANA, commit bool) *dhcpv6.OptIANA {
	if q.foreign {
		return only(ia, noAddrsAvail)
	}
	now := s.cfg.Clock.Now()
	out := &dhcpv6.OptIANA{IaId: ia.IaId}
	leases := s.bound(q, ia)
	shortest := infinity
	refusal, why := noAddrsAvail, ErrNoAddress
	for i := range s.cfg.Pools {
		p := &s.cfg.Pools[i]
		preferred, valid := p.lifetimes(now, s.cfg.Preferred, s.cfg.Valid)
		if valid == 0 {
			continue
		}
		l := Lease{DUID: q.duid, IAID: iaid(ia)}
		kind := EventRenewed
		if at := slices.IndexFunc(leases, func(l *Lease) bool { return p.Prefix.Contains(l.Addr) }); at >= 0 {
			l.Addr = leases[at].Addr
			leases = slices.Delete(leases, at, at+1)
		} else {
			kind = EventAssigned
			var ok bool
			if l.Addr, ok = s.choose(q, ia, p); !ok {
				continue
			}
			if err := s.room(q, l.Addr); err != nil {
				why = err
				continue
			}
		}
		l.Preferred, l.Valid = now.Add(preferred), now.Add(valid)
		if q.peer.IsLinkLocalUnicast() {
			l.Peer = q.peer.WithZone("")
		}
		if commit && !s.keep(l, kind) {
			refusal = failed
			continue
		}
		out.Options.Add(&dhcpv6.OptIAAddress{IPv6Addr: l.Addr.AsSlice(), PreferredLifetime: preferred, ValidLifetime: valid})
		shortest = min(shortest, preferred)
	}
	given := len(out.Options.Options) > 0
	if given && shortest < infinity {
		// Section 14.2: servers say when to come back.
		out.T1, out.T2 = (shortest / 2).Truncate(time.Second), (shortest * 4 / 5).Truncate(time.Second)
	} else if given {
		out.T1, out.T2 = infinity, infinity
	}
	if commit {
		for _, l := range leases {
			withdraw(out, []netip.Addr{l.Addr})
			s.drop(l, EventWithdrawn)
		}
	}
	if !given && refusal == noAddrsAvail {
		s.notify(Event{Kind: EventRefused, Lease: Lease{DUID: q.duid, IAID: iaid(ia)}, From: q.peer, Err: why})
	}
	// A status besides what is withdrawn would make clients overlook that.
	if len(out.Options.Options) == 0 {
		out.Options.Add(refusal.option())
	}
	return out
}

// room says why there is none for one more lease, of an address.
func (s *Server) room(q *query, a netip.Addr) error {
	switch {
	case s.leases.clients[string(q.duid)] >= perClient:
		return ErrTooMany
	case len(s.leases.byAddr) >= s.cfg.MaxLeases && s.leases.byAddr[a] == nil:
		return ErrFull
	}
	return nil
}

// withdraw ends the addresses that are not in out.
func withdraw(out *dhcpv6.OptIANA, addrs []netip.Addr) {
	for _, a := range addrs {
		if !slices.Contains(addresses(out), a) {
			out.Options.Add(&dhcpv6.OptIAAddress{IPv6Addr: a.AsSlice()})
		}
	}
}

// only answers an identity association with a status.
func only(ia *dhcpv6.OptIANA, st status) *dhcpv6.OptIANA {
	out := &dhcpv6.OptIANA{IaId: ia.IaId}
	out.Options.Add(st.option())
	return out
}

func iaid(ia *dhcpv6.OptIANA) uint32 { return binary.BigEndian.Uint32(ia.IaId[:]) }

// addresses are those in an identity association.
func addresses(ia *dhcpv6.OptIANA) []netip.Addr {
	var all []netip.Addr
	for _, o := range ia.Options.Addresses() {
		if a, ok := netip.AddrFromSlice(o.IPv6Addr); ok {
			all = append(all, a)
		}
	}
	return all
}
