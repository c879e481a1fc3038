package backbone

import (
	"net/netip"
	"slices"
	"time"

	"gatewayd/coap"
	"gatewayd/thread/tmf"
)

// Limits of the table of domain unicast addresses; OpenThread's.
const (
	// MaxProxies is how many addresses are proxied at most.
	MaxProxies = 250
	// oldest is as far as the time of a last transaction reaches back.
	oldest = 10 * 24 * time.Hour
	// Duplicates are looked for so often, at such intervals.
	dadQueries  = 3
	dadInterval = time.Second
)

// A Proxy is a domain unicast address of the mesh that the primary Backbone
// Router answers for on the backbone link.
type Proxy struct {
	DUA    netip.Addr
	MLEID  [8]byte // who has it
	RLOC16 uint16  // who registered it: the device, or its parent
	// Last is when the device was last heard, or registered.
	Last time.Time
	// Tentative is set while duplicates are looked for on the backbone.
	Tentative bool

	queries int
}

// Proxies are the addresses that are registered, in the order in which they
// came. The slice must not be changed.
func (r *Router) Proxies() []Proxy { return r.proxies }

// DomainPrefix is that of the network, of whoever publishes it.
func (r *Router) DomainPrefix() (netip.Prefix, bool) {
	if !r.cfg.Attached() {
		return netip.Prefix{}, false
	}
	return r.cfg.Data().DomainPrefix()
}

// InDomain reports whether an address is one of the domain's.
func (r *Router) InDomain(a netip.Addr) bool {
	p, ok := r.DomainPrefix()
	return ok && p.Contains(a)
}

func (r *Router) proxy(dua netip.Addr) int {
	return slices.IndexFunc(r.proxies, func(p Proxy) bool { return p.DUA == dua })
}

// duaReceived is DUA.req (Thread 1.4 Section 5.23).
func (r *Router) duaReceived(q *tmf.Request) {
	if r.state == Disabled {
		q.Respond(coap.NotFound, nil)
		return
	}
	from, ok := r.cfg.SourceRLOC16(q.From.Remote.Addr())
	m, err := DecodeDUARegistration(q.Payload)
	if !ok || err != nil || q.Code != coap.POST || q.Type != coap.Confirmable {
		q.Respond(coap.BadRequest, nil)
		return
	}
	q.Respond(coap.Changed, DUAAnswer{r.registerDUA(m, from), m.Target}.Append(nil))
}

func (r *Router) registerDUA(m DUARegistration, from uint16) DUAStatus {
	domain, ok := r.DomainPrefix()
	switch {
	case r.state != Primary:
		return DUANotPrimary
	case !ok:
		return DUAGeneralFailure
	case !domain.Contains(m.Target):
		return DUAInvalid
	}
	last := r.cfg.Clock.Now()
	if m.LastTransaction != nil {
		last = last.Add(-min(time.Duration(*m.LastTransaction)*time.Second, oldest))
	}
	r.proxies = slices.Clone(r.proxies)
	if i := r.proxy(m.Target); i >= 0 {
		p := &r.proxies[i]
		if p.MLEID != m.MLEID {
			return DUADuplicate
		}
		p.RLOC16, p.Last = from, last
		r.proxied(*p)
		return DUASuccess
	}
	if i := slices.IndexFunc(r.proxies, func(p Proxy) bool { return p.MLEID == m.MLEID }); i >= 0 {
		r.dropProxy(i) // its address of before
	}
	if len(r.proxies) >= MaxProxies {
		return DUANoResources
	}
	r.proxies = append(r.proxies, Proxy{DUA: m.Target, MLEID: m.MLEID, RLOC16: from, Last: last, Tentative: true})
	r.forgetAbroad(m.Target)
	r.dad.StartEarlier(0)
	return DUASuccess
}

// proxied tells the backbone that an address is here, if that is certain.
func (r *Router) proxied(p Proxy) {
	if p.Tentative {
		return
	}
	r.announce(p)
	if r.cfg.Proxying != nil {
		r.cfg.Proxying(p.DUA, true)
	}
}

func (r *Router) dropProxy(i int) {
	p := r.proxies[i]
	r.proxies = slices.Delete(slices.Clone(r.proxies), i, i+1)
	if !p.Tentative && r.cfg.Proxying != nil {
		r.cfg.Proxying(p.DUA, false)
	}
}

// lookForDuplicates asks the backbone for each tentative address, and takes
// those that nobody claimed.
func (r *Router) lookForDuplicates() {
	more := false
	r.proxies = slices.Clone(r.proxies)
	for i := range r.proxies {
		p := &r.proxies[i]
		switch {
		case !p.Tentative:
		case p.queries < dadQueries:
			p.queries++
			r.query(p.DUA, nil)
			more = true
		default:
			p.Tentative = false
			r.proxied(*p)
		}
	}
	if more {
		r.dad.Start(dadInterval)
	}
}

// followDomain forgets the addresses of a domain that is not that of the
// network, or of a network that has another primary.
func (r *Router) followDomain() {
	domain, _ := r.DomainPrefix()
	if r.state == Primary && domain == r.domain {
		return
	}
	r.domain = domain
	for len(r.proxies) > 0 {
		r.dropProxy(len(r.proxies) - 1)
	}
	r.dad.Stop()
	r.abroad = nil
}
