package dnssd

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// When the prefix of a NAT64 is asked for again.
const (
	// Before an answer ends (RFC 7050 Section 3: 10 seconds).
	discoverBefore = 10 * time.Second
	// Answers are believed for so long, whatever they say.
	leastDiscovered, mostDiscovered = time.Minute, time.Hour
	// After no answer, and after one that there is no NAT64; ours.
	discoverRetry, discoverNone = 30 * time.Second, 5 * time.Minute
)

var errNotDiscovery = errors.New("dnssd: no answer to the question for ipv4only.arpa")

// A Discovery finds out the prefix of the NAT64 that the network's resolvers
// make addresses for (RFC 7050). The zero value has found nothing and is due.
type Discovery struct {
	prefix netip.Prefix
	until  time.Time // when that ends
	next   time.Time
}

// Prefix is that of the network's NAT64; the zero prefix if it has none.
func (d *Discovery) Prefix() netip.Prefix { return d.prefix }

// Next is when to ask again.
func (d *Discovery) Next() time.Time { return d.next }

// Query is the question. Checking is left to the resolver: else it would make
// no addresses (RFC 7050 Section 3).
func (d *Discovery) Query(id uint16) []byte {
	m := new(dns.Msg)
	m.SetQuestion("ipv4only.arpa.", dns.TypeAAAA)
	m.Id, m.RecursionDesired = id, true
	b, err := m.Pack()
	if err != nil {
		panic(err) // a constant
	}
	return b
}

// Answered takes the answer, or that there was none, and reports whether the
// prefix is another one. Without an answer the last one is good until it ends.
func (d *Discovery) Answered(now time.Time, answer []byte, failed error) (changed bool, err error) {
	old := d.prefix
	p, ttl, err := netip.Prefix{}, time.Duration(0), failed
	if err == nil {
		p, ttl, err = discovered(answer)
	}
	switch {
	case err != nil:
		d.next = now.Add(discoverRetry)
		if !now.Before(d.until) {
			d.prefix = netip.Prefix{}
		}
	case !p.IsValid():
		d.prefix, d.until, d.next = p, time.Time{}, now.Add(discoverNone)
	default:
		ttl = min(max(ttl, leastDiscovered), mostDiscovered)
		d.prefix, d.until, d.next = p, now.Add(ttl), now.Add(ttl-discoverBefore)
	}
	return d.prefix != old, err
}

// discovered reads an answer: the prefix, and for how long it holds. Of several
// prefixes the first counts.
func discovered(b []byte) (p netip.Prefix, ttl time.Duration, err error) {
	var m dns.Msg
	if err := m.Unpack(b); err != nil {
		return p, 0, fmt.Errorf("%w: %w", errNotDiscovery, err)
	}
	if !m.Response || len(m.Question) != 1 || m.Question[0].Qtype != dns.TypeAAAA || dns.CanonicalName(m.Question[0].Name) != "ipv4only.arpa." {
		return p, 0, errNotDiscovery
	}
	switch m.Rcode {
	case dns.RcodeSuccess, dns.RcodeNameError:
	default:
		return p, 0, fmt.Errorf("dnssd: the resolver answers %s", dns.RcodeToString[m.Rcode])
	}
	for _, rr := range m.Answer {
		aaaa, ok := rr.(*dns.AAAA)
		if !ok {
			continue
		}
		a, ok := netip.AddrFromSlice(aaaa.AAAA)
		if !ok || p.IsValid() {
			continue
		}
		p = prefixAround(a)
		ttl = time.Duration(aaaa.Hdr.Ttl) * time.Second
	}
	return p, ttl, nil
}

// prefixAround finds the prefix behind which an address has one of the
// well-known IPv4 addresses. If there are two places that is no help: the
// resolver's other address tells (RFC 7050 Section 3).
func prefixAround(a netip.Addr) (p netip.Prefix) {
	if !a.Is6() || a.Is4In6() || !a.IsGlobalUnicast() {
		return p
	}
	for _, bits := range []int{32, 40, 48, 56, 64, 96} {
		if !slices.Contains(ipv4onlyAddrs, embedded(bits, a)) {
			continue
		}
		if p.IsValid() {
			return netip.Prefix{}
		}
		p = netip.PrefixFrom(a, bits).Masked()
	}
	return p
}
