package dnssd

import (
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// This file is DNS64: addresses under a NAT64 prefix for hosts that have IPv4
// only (RFC 6147), and the name by which clients learn the prefix (RFC 7050,
// RFC 8880).

var (
	ipv4only      = []string{"ipv4only", "arpa"}
	ipv4onlyAddrs = []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 0, 170}), netip.AddrFrom4([4]byte{192, 0, 0, 171})}
	wellKnown     = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052 Section 2.1
	mapped        = netip.MustParsePrefix("::ffff:0:0/96")
)

const (
	ipv4onlyTTL = 60 * time.Second // a prefix may change
	// synthesisTTL bounds addresses made where the negative answer does not say
	// for how long it holds (RFC 6147 Section 5.1.7).
	synthesisTTL = 600
)

func validNAT64(p netip.Prefix) bool {
	switch p.Bits() {
	case 32, 40, 48, 56, 64, 96:
		return p.Addr().Is6() && !p.Addr().Is4In6() && p == p.Masked()
	}
	return false
}

// embed puts an IPv4 address into a NAT64 prefix (RFC 6052 Section 2.2): behind
// it, but around bits 64 to 71, which are zero.
func embed(p netip.Prefix, a netip.Addr) netip.Addr {
	b, v4 := p.Addr().As16(), a.As4()
	at := p.Bits() / 8
	for _, x := range v4 {
		if at == 8 {
			at++
		}
		b[at] = x
		at++
	}
	return netip.AddrFrom16(b)
}

// extract is the opposite of embed.
func extract(p netip.Prefix, a netip.Addr) (netip.Addr, bool) {
	if !p.IsValid() || !p.Contains(a) {
		return netip.Addr{}, false
	}
	v := embedded(p.Bits(), a)
	return v, embed(p, v) == a
}

// embedded is the IPv4 address behind a prefix of some length, whatever comes
// after it.
func embedded(bits int, a netip.Addr) netip.Addr {
	b := a.As16()
	var v4 [4]byte
	at := bits / 8
	for i := range v4 {
		if at == 8 {
			at++
		}
		v4[i] = b[at]
		at++
	}
	return netip.AddrFrom4(v4)
}

// translatable reports whether a host is to be reached through the translator.
// Under the well-known prefix private addresses mean nothing (RFC 6052 Section
// 3.1).
func translatable(p netip.Prefix, a netip.Addr) bool {
	return a.IsGlobalUnicast() && !(p == wellKnown && a.IsPrivate())
}

// synthesises reports whether addresses may be made for a query: not if the
// client validates itself (RFC 6147 Section 5.5).
func (q *query) synthesises() bool {
	return q.types[0] == dns.TypeAAAA && q.r.nat64.IsValid() && !(q.do && q.cd)
}

// hasAAAA reports whether an answer has an IPv6 address of use, and takes out
// the others (RFC 6147 Section 5.1.4).
func hasAAAA(m *dns.Msg) bool {
	if m.Rcode != dns.RcodeSuccess {
		return false
	}
	has := false
	var kept []dns.RR
	for _, rr := range m.Answer {
		if aaaa, ok := rr.(*dns.AAAA); ok {
			a, ok := netip.AddrFromSlice(aaaa.AAAA)
			if !ok || mapped.Contains(a) || a.Is4In6() {
				continue
			}
			has = true
		}
		kept = append(kept, rr)
	}
	m.Answer = kept
	return has
}

// forwardA asks for IPv4 addresses after the answer no had no others.
func (q *query) forwardA(no *dns.Msg) {
	instead := func() {
		if no.Rcode != dns.RcodeSuccess {
			q.fail(dns.RcodeServerFailure)
			return
		}
		q.relay(no)
	}
	q.ask(q.name, dns.TypeA, func(m *dns.Msg) {
		if !q.synthesise(m, no) {
			instead()
			return
		}
		q.r.count.Synthesised++
		q.relay(m)
	}, instead)
}

// synthesise turns an answer with IPv4 addresses into one with IPv6 addresses
// (RFC 6147 Sections 5.1.6 and 5.1.7). It reports whether there were any.
func (q *query) synthesise(m, no *dns.Msg) bool {
	if m.Rcode != dns.RcodeSuccess {
		return false
	}
	limit := uint32(synthesisTTL)
	if soa := findSOA(no); soa != nil {
		limit = min(soa.Hdr.Ttl, soa.Minttl)
	}
	made := false
	var answer []dns.RR
	for _, rr := range m.Answer {
		switch rr := rr.(type) {
		case *dns.CNAME, *dns.DNAME:
			answer = append(answer, rr)
		case *dns.A:
			a, ok := netip.AddrFromSlice(rr.A.To4())
			if !ok || !translatable(q.r.nat64, a) {
				continue
			}
			made = true
			h := dns.RR_Header{Name: rr.Hdr.Name, Rrtype: dns.TypeAAAA, Class: dns.ClassINET, Ttl: min(rr.Hdr.Ttl, limit)}
			answer = append(answer, &dns.AAAA{Hdr: h, AAAA: embed(q.r.nat64, a).AsSlice()})
		}
	}
	m.Answer, m.Ns, m.Extra = answer, nil, nil
	m.AuthenticatedData = false
	return made
}

// ipv4only answers ipv4only.arpa itself (RFC 8880 Section 7.1).
func (q *query) ipv4only() {
	q.domain = ipv4only
	q.out.Authoritative = true
	if len(q.labels) > len(ipv4only) {
		q.negative(dns.RcodeNameError)
		return
	}
	for _, a := range ipv4onlyAddrs {
		if q.wants(dns.TypeA) {
			q.out.Answer = append(q.out.Answer, &dns.A{Hdr: q.header(q.name, dns.TypeA, ipv4onlyTTL), A: a.AsSlice()})
		}
		if q.wants(dns.TypeAAAA) && q.r.nat64.IsValid() {
			q.r.count.Synthesised++
			q.out.Answer = append(q.out.Answer, &dns.AAAA{Hdr: q.header(q.name, dns.TypeAAAA, ipv4onlyTTL), AAAA: embed(q.r.nat64, a).AsSlice()})
		}
	}
	if len(q.out.Answer) == 0 {
		q.negative(dns.RcodeSuccess)
		return
	}
	q.finish()
}

// reverse finds out whether a query is for the name of an address that was made
// here, and the name of the IPv4 address that it was made of.
func (r *Resolver) reverse(q *query) (string, bool) {
	l := q.labels
	if q.types[0] != dns.TypePTR || len(l) != 34 || !hasSuffix(l, []string{"ip6", "arpa"}) {
		return "", false
	}
	var b [16]byte
	for i := range 32 {
		n := nibble(l[31-i])
		if n < 0 {
			return "", false
		}
		b[i/2] = b[i/2]<<4 | byte(n)
	}
	v4, ok := extract(r.nat64, netip.AddrFrom16(b))
	if !ok {
		return "", false
	}
	name, err := dns.ReverseAddr(v4.String())
	return name, err == nil
}

// nibble is the value of a label that is one hexadecimal digit, or -1.
func nibble(l string) int {
	if len(l) != 1 {
		return -1
	}
	switch c := l[0]; {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// forwardReverse answers with an alias for the IPv4 address' name, and that
// name's answer (RFC 6147 Section 5.3.1).
func (q *query) forwardReverse(target string) {
	q.ask(target, dns.TypePTR, func(m *dns.Msg) {
		alias := &dns.CNAME{Hdr: q.header(q.name, dns.TypeCNAME, synthesisTTL*time.Second), Target: target}
		m.Answer = append([]dns.RR{alias}, m.Answer...)
		m.AuthenticatedData = false
		q.relay(m)
	}, func() { q.fail(dns.RcodeServerFailure) })
}
