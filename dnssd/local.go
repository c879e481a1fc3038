package dnssd

import (
	"slices"
	"time"

	"github.com/miekg/dns"
)

// Implementation constants of what is asked on other links.
const (
	// linkWait is how long the links are asked: multicast DNS repeats questions
	// after one and after three seconds, and OpenThread's client waits for six.
	linkWait = 4 * time.Second
	// settleTime is how long more is waited for when there is something: the
	// owners of a type's instances answer within 20 to 120 ms (RFC 6762
	// Section 6).
	settleTime = 300 * time.Millisecond
	// extraTime is how long to wait for what only goes along with an answer.
	extraTime = 500 * time.Millisecond
	// linkTTL bounds the time to live of what was found: what is on the link may
	// go without saying so (RFC 8766 Section 5.5.1).
	linkTTL = 10 * time.Second
	// maxInstances bounds an answer.
	maxInstances = 500
)

// Values of the SOA record of the domain (RFC 8766 Section 6.1).
const (
	soaTTL     = 10 * time.Second
	soaRefresh = 7200
	soaRetry   = 3600
	soaExpire  = 86400
	soaMinimum = 10
)

// noRegistry is a Registry of nothing.
type noRegistry struct{}

func (noRegistry) FindHost(string) (Host, bool)                     { return Host{}, false }
func (noRegistry) FindService(string, string) (Host, Service, bool) { return Host{}, Service{}, false }
func (noRegistry) Browse(string, string, func(Service) bool)        {}
func (noRegistry) Types(func(string) bool)                          {}

func (r *Resolver) registry() Registry {
	if r.cfg.Registry == nil {
		return noRegistry{}
	}
	return r.cfg.Registry
}

// local answers a name of the own domain.
func (q *query) local() {
	q.out.Authoritative = true
	l := q.labels
	switch {
	case len(l) == 0:
		q.apex()
	case len(l) == 1:
		q.host(l[0])
	case isTypeName(l):
		q.browse(l[0]+"."+l[1], "")
	case len(l) == 3 && Fold(l[1]) == "_dns-sd" && Fold(l[2]) == "_udp":
		q.enumerate(Fold(l[0]))
	case len(l) == 3 && isTypeName(l[1:]):
		q.instance(l[0], l[1]+"."+l[2])
	case len(l) == 4 && Fold(l[1]) == "_sub" && isTypeName(l[2:]):
		q.browse(l[2]+"."+l[3], l[0])
	default:
		q.negative(dns.RcodeNameError)
	}
}

// isTypeName reports whether labels are a type of service, like _hap and _udp.
func isTypeName(l []string) bool {
	if len(l) != 2 || len(l[0]) < 2 || l[0][0] != '_' {
		return false
	}
	for i := range len(l[0]) {
		if c := l[0][i]; c == '.' || c == '\\' {
			return false
		}
	}
	proto := Fold(l[1])
	return proto == "_udp" || proto == "_tcp"
}

// absolute is a name in the domain that was asked about.
func (q *query) absolute(labels ...string) string {
	return JoinName(append(slices.Clip(labels), q.domain...)...)
}

func (q *query) header(name string, typ uint16, ttl time.Duration) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: typ, Class: dns.ClassINET, Ttl: uint32(max(ttl, 0) / time.Second)}
}

func (q *query) soa() *dns.SOA {
	return &dns.SOA{
		Hdr: q.header(q.absolute(), dns.TypeSOA, soaTTL),
		Ns:  q.absolute(), Mbox: q.absolute("hostmaster"),
		Refresh: soaRefresh, Retry: soaRetry, Expire: soaExpire, Minttl: soaMinimum,
	}
}

// negative answers that there is nothing (RFC 2308 Section 2).
func (q *query) negative(code int) {
	q.r.count.Negative++
	q.out.Rcode = code
	q.out.Ns = append(q.out.Ns, q.soa())
	q.finish()
}

// apex answers the domain's own name.
func (q *query) apex() {
	if !q.wants(dns.TypeSOA) {
		q.negative(dns.RcodeSuccess)
		return
	}
	q.r.count.FromRegistry++
	q.out.Answer = append(q.out.Answer, q.soa())
	q.finish()
}

// enumerate answers which domains (RFC 6763 Section 11) and types (Section 9)
// there are to be browsed.
func (q *query) enumerate(what string) {
	ptr := func(target string, ttl time.Duration) {
		q.out.Answer = append(q.out.Answer, &dns.PTR{Hdr: q.header(q.name, dns.TypePTR, ttl), Ptr: target})
	}
	switch what {
	case "b", "lb":
		ptr(q.absolute(), soaTTL)
	case "_services":
		q.r.registry().Types(func(typ string) bool {
			ptr(q.absolute(SplitName(typ)...), linkTTL)
			return len(q.out.Answer) < maxInstances
		})
	default:
		q.negative(dns.RcodeNameError)
		return
	}
	if !q.wants(dns.TypePTR) || len(q.out.Answer) == 0 {
		q.out.Answer = nil
		q.negative(dns.RcodeSuccess)
		return
	}
	q.r.count.FromRegistry++
	q.finish()
}

// nothing answers a name about which the registry knows nothing: as long as
// there are links, that does not prove that there is none (RFC 8766 Section
// 5.6).
func (q *query) nothing() {
	code := dns.RcodeNameError
	if q.r.cfg.Browser != nil {
		code = dns.RcodeSuccess
	}
	q.negative(code)
}

// host answers a host's name.
func (q *query) host(name string) {
	if h, ok := q.r.registry().FindHost(name); ok {
		q.r.count.FromRegistry++
		q.answerHost(h)
		return
	}
	if q.r.cfg.Browser == nil || !q.wants(dns.TypeA) && !q.wants(dns.TypeAAAA) {
		q.nothing()
		return
	}
	q.linkHost(name, linkWait, func(h Host, ok bool) {
		if !ok {
			q.nothing()
			return
		}
		q.r.count.FromLink++
		q.answerHost(h)
	})
}

// answerHost answers with addresses.
func (q *query) answerHost(h Host) {
	q.out.Answer = q.appendAddrs(q.out.Answer, q.name, h, q.wants(dns.TypeAAAA), q.wants(dns.TypeA))
	if len(q.out.Answer) == 0 {
		// Who asks for the wrong family learns of the other one.
		q.out.Extra = q.appendAddrs(q.out.Extra, q.name, h, true, true)
		q.negative(dns.RcodeSuccess)
		return
	}
	q.finish()
}

// appendAddrs appends address records. Under NAT64, a host of another link that
// has IPv4 only gets the addresses by which the mesh reaches it.
func (q *query) appendAddrs(rrs []dns.RR, name string, h Host, v6, v4 bool) []dns.RR {
	has6 := false
	for _, a := range h.Addrs {
		has6 = has6 || a.Is6()
	}
	for _, a := range h.Addrs {
		switch {
		case a.Is6() && v6:
			rrs = append(rrs, &dns.AAAA{Hdr: q.header(name, dns.TypeAAAA, h.TTL), AAAA: a.AsSlice()})
		case a.Is4() && v4:
			rrs = append(rrs, &dns.A{Hdr: q.header(name, dns.TypeA, h.TTL), A: a.AsSlice()})
		}
		if a.Is4() && v6 && !has6 && q.r.nat64.IsValid() && translatable(q.r.nat64, a) {
			rrs = append(rrs, &dns.AAAA{Hdr: q.header(name, dns.TypeAAAA, h.TTL), AAAA: embed(q.r.nat64, a).AsSlice()})
		}
	}
	return rrs
}

// instance answers the name of an instance of a service.
func (q *query) instance(instance, typ string) {
	if h, s, ok := q.r.registry().FindService(instance, typ); ok {
		q.r.count.FromRegistry++
		q.answerInstance(h, s)
		return
	}
	if q.r.cfg.Browser == nil || !q.wants(dns.TypeSRV) && !q.wants(dns.TypeTXT) {
		q.nothing()
		return
	}
	q.linkInstance(instance, typ, linkWait, func(h Host, s Service, ok bool) {
		if !ok {
			q.nothing()
			return
		}
		q.r.count.FromLink++
		q.answerInstance(h, s)
	})
}

// answerInstance answers with what is asked of an instance, and adds the rest.
func (q *query) answerInstance(h Host, s Service) {
	srv, txt := q.wants(dns.TypeSRV), q.wants(dns.TypeTXT)
	if srv {
		q.out.Answer = append(q.out.Answer, q.srv(q.name, h, s))
	}
	if txt {
		q.out.Answer = append(q.out.Answer, q.txt(q.name, s))
	}
	if !srv && !txt {
		q.negative(dns.RcodeSuccess)
		return
	}
	if !srv {
		q.out.Extra = append(q.out.Extra, q.srv(q.name, h, s))
	}
	if !txt {
		q.out.Extra = append(q.out.Extra, q.txt(q.name, s))
	}
	q.out.Extra = q.appendAddrs(q.out.Extra, q.absolute(h.Name), h, true, true)
	q.finish()
}

func (q *query) srv(name string, h Host, s Service) dns.RR {
	return &dns.SRV{
		Hdr:      q.header(name, dns.TypeSRV, s.TTL),
		Priority: s.Priority, Weight: s.Weight, Port: s.Port,
		Target: q.absolute(h.Name),
	}
}

// txt is made of bytes: strings of the codec would be escaped text.
func (q *query) txt(name string, s Service) dns.RR {
	t := &dns.TXT{Hdr: q.header(name, dns.TypeTXT, s.TTL)}
	for b := s.TXT; len(b) > 0 && len(b) > int(b[0]); b = b[1+int(b[0]):] {
		t.Txt = append(t.Txt, escapeText(b[1:1+int(b[0])]))
	}
	if len(t.Txt) == 0 {
		t.Txt = []string{""} // RFC 6763 Section 6.1
	}
	return t
}

// found is one instance that browsing found.
type found struct {
	name string
	ttl  time.Duration
}

// browse answers which instances of a type there are: those that are registered
// and those on the links.
func (q *query) browse(typ, subtype string) {
	if !q.wants(dns.TypePTR) {
		q.nothing()
		return
	}
	var all []found
	seen := map[string]bool{}
	add := func(name string, ttl time.Duration) bool {
		if k := Fold(name); !seen[k] {
			seen[k] = true
			all = append(all, found{name, ttl})
		}
		return len(all) < maxInstances
	}
	q.r.registry().Browse(typ, subtype, func(s Service) bool { return add(s.Instance, s.TTL) })
	registered := len(all)
	if registered > 0 {
		q.r.count.FromRegistry++
	}
	if q.r.cfg.Browser == nil {
		q.answerBrowse(typ, all)
		return
	}
	end := func() {
		q.quiet()
		if len(all) > registered {
			q.r.count.FromLink++
		}
		q.answerBrowse(typ, all)
	}
	wait, settling := linkWait, registered > 0
	if settling {
		wait = settleTime
	}
	if !q.hold(wait, end) {
		return
	}
	q.start(q.r.cfg.Browser.Browse(typ, subtype, func(instance string, ttl time.Duration) {
		if q.done || len(all) >= maxInstances {
			return
		}
		add(instance, min(ttl, linkTTL))
		if !settling {
			settling = true
			q.after(settleTime, end)
		}
	}))
}

// answerBrowse answers with instances, and if it is one adds all about it.
func (q *query) answerBrowse(typ string, all []found) {
	if len(all) == 0 {
		q.nothing()
		return
	}
	types := SplitName(typ)
	for _, f := range all {
		target := q.absolute(append([]string{f.name}, types...)...)
		q.out.Answer = append(q.out.Answer, &dns.PTR{Hdr: q.header(q.name, dns.TypePTR, f.ttl), Ptr: target})
	}
	if len(all) > 1 {
		q.finish()
		return
	}
	one := all[0].name
	add := func(h Host, s Service, ok bool) {
		if ok {
			name := q.absolute(append([]string{one}, types...)...)
			q.out.Extra = append(q.out.Extra, q.srv(name, h, s), q.txt(name, s))
			q.out.Extra = q.appendAddrs(q.out.Extra, q.absolute(h.Name), h, true, true)
		}
		q.finish()
	}
	if h, s, ok := q.r.registry().FindService(one, typ); ok || q.r.cfg.Browser == nil {
		add(h, s, ok)
		return
	}
	q.linkInstance(one, typ, extraTime, add)
}
