package dnssd

import (
	"time"

	"github.com/miekg/dns"
)

// Implementation constants of forwarding.
const (
	// forwardWait is how long the host's resolvers have for all it takes to
	// answer one query.
	forwardWait = 6 * time.Second
	forwardSize = 1232 // what forwarded queries say that we take
)

// Zones that are nobody else's to answer: of the link (RFC 6762 Section 22.1)
// and of what is local by definition (RFC 9665 Section 10.1).
var localZones = [][]string{{"local"}, {"service", "arpa"}}

// elsewhere answers a name that is not of the own domain.
func (r *Resolver) elsewhere(q *query) {
	for _, zone := range localZones {
		if hasSuffix(q.labels, zone) {
			q.domain = q.labels[len(q.labels)-len(zone):]
			q.negative(dns.RcodeNameError)
			return
		}
	}
	if hasSuffix(q.labels, ipv4only) {
		q.ipv4only()
		return
	}
	// One question at a time is what other resolvers understand.
	if r.cfg.Forward == nil || !q.msg.RecursionDesired || len(q.types) != 1 {
		q.fail(dns.RcodeRefused)
		return
	}
	if m := r.cache.get(q.cacheKey(), r.cfg.Clock.Now()); m != nil {
		r.count.FromCache++
		q.out = *m
		q.finish()
		return
	}
	if !q.hold(forwardWait, func() {
		r.count.ForwardFailed++
		q.fail(dns.RcodeServerFailure)
	}) {
		return
	}
	r.count.Forwarded++
	if target, ok := r.reverse(q); ok {
		q.forwardReverse(target)
		return
	}
	q.ask(q.name, q.types[0], func(m *dns.Msg) {
		if q.synthesises() && m.Rcode != dns.RcodeNameError && !hasAAAA(m) {
			q.forwardA(m)
			return
		}
		q.relay(m)
	}, func() { q.fail(dns.RcodeServerFailure) })
}

// ask asks the host's resolvers. got has an answer to the question, whatever
// it is; failed is called if there is none.
func (q *query) ask(name string, typ uint16, got func(*dns.Msg), failed func()) {
	m := dns.Msg{}
	m.Id = uint16(q.r.cfg.Rand.Uint32())
	m.RecursionDesired = true
	m.CheckingDisabled = q.cd
	m.Question = []dns.Question{{Name: name, Qtype: typ, Qclass: dns.ClassINET}}
	m.SetEdns0(forwardSize, q.do)
	b, err := m.Pack()
	if err != nil {
		failed()
		return
	}
	called := false
	q.r.cfg.Forward(b, func(answer []byte, err error) {
		if called || q.done {
			return
		}
		called = true
		a := &dns.Msg{}
		if err != nil || a.Unpack(answer) != nil || !answers(a, &m) || !sound(a) {
			q.r.count.ForwardFailed++
			failed()
			return
		}
		got(a)
	})
}

// sound reports whether a message can be written again: the codec reads records
// whose data ends early.
func sound(m *dns.Msg) bool {
	b, err := m.Pack()
	return err == nil && new(dns.Msg).Unpack(b) == nil
}

// answers reports whether a is an answer to m (RFC 5452 Section 9.1).
func answers(a, m *dns.Msg) bool {
	if !a.Response || a.Id != m.Id || a.Opcode != dns.OpcodeQuery || len(a.Question) != 1 {
		return false
	}
	x, y := a.Question[0], m.Question[0]
	return Fold(x.Name) == Fold(y.Name) && x.Qtype == y.Qtype && x.Qclass == y.Qclass
}

// relay passes an answer on and keeps it.
func (q *query) relay(m *dns.Msg) {
	if !q.do && !q.msg.AuthenticatedData {
		m.AuthenticatedData = false // RFC 6840 Section 5.8
	}
	q.out = *m
	q.out.Extra = withoutOPT(m.Extra)
	if m.Rcode > 0xf {
		q.out.Rcode = dns.RcodeServerFailure // it was said to us
	}
	q.out.Authoritative = false
	q.r.cache.put(q.cacheKey(), &q.out, q.r.cfg.Clock.Now())
	q.finish()
}

func (q *query) cacheKey() cacheKey {
	return cacheKey{Fold(q.name), q.types[0], q.do, q.cd}
}
