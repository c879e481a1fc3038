package dnssd

import (
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// This file is the discovery proxy of RFC 8766, in the form in which Thread
// border routers have it: names of the own domain that are not registered are
// looked for in "local." of the other links, for one answer.

// linkHost looks for a host with addresses that are of use, for at most d.
func (q *query) linkHost(name string, d time.Duration, done func(Host, bool)) {
	var h Host
	ended := false
	end := func() {
		if ended || q.done {
			return
		}
		ended = true
		q.quiet()
		done(h, len(h.Addrs) > 0)
	}
	if !q.hold(d, end) {
		return
	}
	settling := false
	q.start(q.r.cfg.Browser.ResolveHost(name, func(have Host) {
		if ended || q.done {
			return
		}
		h = fromLink(have)
		// Addresses of both families come in records of their own.
		if len(h.Addrs) > 0 && !settling {
			settling = true
			q.after(min(settleTime, d), end)
		}
		if slices.ContainsFunc(h.Addrs, netip.Addr.Is6) && !q.wants(dns.TypeA) {
			end()
		}
	}))
}

// linkInstance looks for an instance of a service and the addresses of its
// host, for at most d, and extraTime for the latter.
func (q *query) linkInstance(instance, typ string, d time.Duration, done func(Host, Service, bool)) {
	ended := false
	end := func(h Host, s Service, ok bool) {
		if ended || q.done {
			return
		}
		ended = true
		q.quiet()
		done(h, s, ok)
	}
	if !q.hold(d, func() { end(Host{}, Service{}, false) }) {
		return
	}
	got := false
	q.start(q.r.cfg.Browser.Resolve(instance, typ, func(have Host) {
		if got || ended || q.done || len(have.Services) == 0 {
			return
		}
		got = true
		s := have.Services[0]
		s.TTL = min(s.TTL, linkTTL)
		h := fromLink(have)
		if len(h.Addrs) > 0 {
			end(h, s, true)
			return
		}
		q.linkHost(h.Name, extraTime, func(addrs Host, ok bool) {
			if ok {
				h.Addrs, h.TTL = addrs.Addrs, addrs.TTL
			}
			end(h, s, true)
		})
	}))
}

// fromLink is a host with those of its addresses that the mesh can use (RFC
// 8766 Section 5.5.2), and for no longer than linkTTL.
func fromLink(h Host) Host {
	var addrs []netip.Addr
	for _, a := range h.Addrs {
		if usable(a) && !slices.Contains(addrs, a) {
			addrs = append(addrs, a)
		}
	}
	return Host{Name: h.Name, Addrs: addrs, TTL: min(h.TTL, linkTTL)}
}
