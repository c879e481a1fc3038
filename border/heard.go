package border

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"gatewayd/ndp"
)

// Bounds of what is kept of a link.
const (
	MaxRouters  = 16
	MaxPrefixes = 64 // and routes, of all routers together
	maxNAT64    = 4  // prefixes of a router's NAT64s
)

const (
	// staleTime is how long what a router said is believed without hearing it
	// again.
	staleTime = 600 * time.Second
	// minFavoredPreferred is the least preferred lifetime of an on-link prefix
	// that makes ours unnecessary.
	minFavoredPreferred = 1800 * time.Second
	// maxLifetime is what longer lifetimes are cut to: what lasts is said
	// again.
	maxLifetime = 7 * 24 * time.Hour
	// An advertisement cannot shorten a valid lifetime below this (RFC 4862
	// Section 5.5.3): whoever can forge one could end all addresses else.
	minShortened = 2 * time.Hour
)

// ErrTooMany is the error of an advertisement for which there was no room, at
// least not for all of it.
var ErrTooMany = errors.New("border: too many routers or prefixes on the link")

var (
	defaultRoute = netip.MustParsePrefix("::/0")
	allULA       = netip.MustParsePrefix("fc00::/7")
	reserved     = netip.MustParsePrefix("::/8") // RFC 4291 Section 4: nothing of it is on a link
)

func isULA(p netip.Prefix) bool { return allULA.Contains(p.Addr()) }

// usable64 reports whether a link or a mesh can have this prefix.
func usable64(p netip.Prefix) bool {
	a := p.Addr()
	return p.Bits() == 64 && !a.IsLinkLocalUnicast() && !a.IsMulticast() && !reserved.Contains(a)
}

// A router is what one router of a link said.
type router struct {
	addr           netip.Addr
	link           ndp.LinkAddr
	local          bool // another program on this host
	since, heard   time.Time
	said           time.Time // the last advertisement
	managed, other bool
	snac           bool
	probes         int       // unanswered solicitations
	probeAt        time.Time // the next one, or the end of the last
	onLink, routes []heardPrefix
	nat64          []heardPrefix // RFC 8781
}

// A heardPrefix is an on-link prefix or a route.
type heardPrefix struct {
	prefix           netip.Prefix
	heard            time.Time
	valid, preferred time.Duration // from heard; preferred of on-link prefixes only
	preference       ndp.Preference
}

func (p *heardPrefix) ends() time.Time { return p.heard.Add(p.valid) }

func (p *heardPrefix) deprecated(now time.Time) bool { return !p.heard.Add(p.preferred).After(now) }

// adopt takes over what is said of an on-link prefix that is known (RFC 4862
// Section 5.5.3).
func (p *heardPrefix) adopt(n heardPrefix) {
	switch {
	case n.valid > minShortened || n.ends().After(p.ends()):
		p.valid = n.valid
	case p.ends().Sub(n.heard) > minShortened:
		p.valid = minShortened
	default:
		p.valid = p.ends().Sub(n.heard) // goes on
	}
	p.preferred, p.heard = n.preferred, n.heard
}

// factors are what decisions depend on.
type factors struct {
	favored        netip.Prefix // on-link; zero: none
	ulaOnLink      bool
	nonULAOnLink   bool
	nonULARoute    bool
	managed, other bool
	nat64          netip.Prefix // of the infrastructure; zero: none
}

// advertised takes an advertisement; local says that another program on this
// host sent it.
func (l *link) advertised(in ndp.In, ra ndp.RouterAdvert, local bool) error {
	now := l.m.now()
	r := l.router(in.Src)
	if r == nil {
		if r = l.addRouter(in.Src); r == nil {
			l.counters.RoutersRefused++
			return ErrTooMany
		}
	}
	r.local, r.said = local, now
	r.managed, r.other, r.snac = ra.Managed, ra.Other, ra.SNAC
	if a, ok := ndp.Find[ndp.SourceLinkAddr](ra.Options); ok {
		r.link = a.Addr
	} else if in.Link.IsValid() {
		r.link = in.Link
	}
	if local {
		l.mirror(ra)
	}
	ok := l.keepRoute(r, defaultRoute, ra.Lifetime, ra.Preference)
	for _, o := range ra.Options {
		switch o := o.(type) {
		case ndp.PrefixInfo:
			ok = l.keepOnLink(r, o) && ok
			if o.Preferred == 0 && o.Prefix.Masked() == l.onLink.local && l.onLink.state == OnLinkAdvertising {
				l.schedule(evaluationDelay) // a peer that stops has deprecated it at hosts
			}
		case ndp.RouteInfo: // one of ::/0 counts more than the header: RFC 4191 Section 3.1
			ok = l.keepRoute(r, o.Prefix, o.Lifetime, o.Preference) && ok
		case ndp.PREF64:
			ok = l.keepNAT64(r, o) && ok
		}
	}
	l.reached(r)
	l.review()
	if !ok {
		l.counters.PrefixesRefused++
		return ErrTooMany
	}
	return nil
}

func (l *link) router(a netip.Addr) *router {
	i := slices.IndexFunc(l.routers, func(r *router) bool { return r.addr == a })
	if i < 0 {
		return nil
	}
	return l.routers[i]
}

// addRouter makes room for a new router. One that does not answer anymore has
// to go for it; nil if there is none.
func (l *link) addRouter(a netip.Addr) *router {
	if len(l.routers) >= MaxRouters {
		i := slices.IndexFunc(l.routers, func(r *router) bool { return !r.reachable() })
		if i < 0 {
			return nil
		}
		l.routers = slices.Delete(l.routers, i, i+1)
	}
	r := &router{addr: a, since: l.m.now()}
	l.routers = append(l.routers, r)
	return r
}

// keepOnLink keeps a prefix that hosts form addresses of; false: there is no
// room.
func (l *link) keepOnLink(r *router, o ndp.PrefixInfo) bool {
	p := o.Prefix.Masked()
	// A preferred lifetime beyond the valid one makes the option void: RFC 4862
	// Section 5.5.3.
	if !usable64(p) || !o.OnLink || !o.Autonomous && !o.Delegated || o.Preferred > o.Valid {
		return true
	}
	n := heardPrefix{prefix: p, heard: l.m.now(), valid: min(o.Valid, maxLifetime), preferred: min(o.Preferred, maxLifetime)}
	i := indexOf(r.onLink, p)
	switch {
	case i >= 0:
		r.onLink[i].adopt(n)
	case n.valid == 0:
	case !l.makeRoom(r):
		return false
	default:
		r.onLink = append(r.onLink, n)
	}
	return true
}

// keepRoute keeps a route; false: there is no room.
func (l *link) keepRoute(r *router, p netip.Prefix, lifetime time.Duration, pref ndp.Preference) bool {
	p = p.Masked()
	if p.Bits() > 0 && (p.Addr().IsLinkLocalUnicast() || p.Addr().IsMulticast()) {
		return true
	}
	n := heardPrefix{prefix: p, heard: l.m.now(), valid: min(lifetime, maxLifetime), preference: pref}
	i := indexOf(r.routes, p)
	switch {
	case i >= 0:
		r.routes[i] = n // one that is over goes at the next review
	case lifetime == 0:
	case !l.makeRoom(r):
		return false
	default:
		r.routes = append(r.routes, n)
	}
	return true
}

// keepNAT64 keeps the prefix of a NAT64; false: there is no room.
func (l *link) keepNAT64(r *router, o ndp.PREF64) bool {
	p := o.Prefix.Masked()
	if p.Addr().IsLinkLocalUnicast() || p.Addr().IsMulticast() {
		return true
	}
	n := heardPrefix{prefix: p, heard: l.m.now(), valid: o.Lifetime}
	i := indexOf(r.nat64, p)
	switch {
	case i >= 0:
		r.nat64[i] = n // one that is over goes at the next review
	case o.Lifetime == 0:
	case len(r.nat64) >= maxNAT64:
		return false
	default:
		r.nat64 = append(r.nat64, n)
	}
	return true
}

func indexOf(list []heardPrefix, p netip.Prefix) int {
	return slices.IndexFunc(list, func(h heardPrefix) bool { return h.prefix == p })
}

// makeRoom makes sure there is room for one more prefix of r. If the table is
// full, the router that has filled most of it loses its last one.
func (l *link) makeRoom(r *router) bool {
	total, most := 0, r
	for _, x := range l.routers {
		total += x.size()
		if x.size() > most.size() {
			most = x
		}
	}
	if total < MaxPrefixes {
		return true
	}
	if most.size() <= r.size()+1 {
		return false
	}
	if n := len(most.routes); n > 0 && n >= len(most.onLink) {
		most.routes = most.routes[:n-1]
	} else {
		most.onLink = most.onLink[:len(most.onLink)-1]
	}
	return true
}

func (r *router) size() int { return len(r.onLink) + len(r.routes) }

// peer reports whether a router is a border router of our mesh: it says
// nothing but what we could say. One that says to be a stub network's may have a
// prefix of its own from before, which was over when we came.
func (l *link) peer(r *router) bool {
	if r.size() == 0 || len(r.nat64) > 0 ||
		slices.ContainsFunc(r.onLink, func(p heardPrefix) bool { return p.prefix != l.onLink.local }) {
		return false
	}
	ours := 0
	for _, p := range r.routes {
		if l.ofMesh(p.prefix) {
			ours++
		}
	}
	return ours == len(r.routes) || r.snac && ours > 0
}

// ofMesh reports whether a route leads to our mesh.
func (l *link) ofMesh(p netip.Prefix) bool {
	return l.m.omr.mine(p) || l.m.inData(p) || slices.ContainsFunc(l.rios, func(r rio) bool { return r.prefix == p })
}

// review drops what is over, decides anew, and sets the timers.
func (l *link) review() {
	now := l.m.now()
	over := func(p heardPrefix) bool { return !p.ends().After(now) }
	l.routers = slices.DeleteFunc(l.routers, func(r *router) bool {
		r.onLink = slices.DeleteFunc(r.onLink, over)
		r.routes = slices.DeleteFunc(r.routes, over)
		r.nat64 = slices.DeleteFunc(r.nat64, over)
		return r.size()+len(r.nat64) == 0 && !(r.reachable() && (r.managed || r.other))
	})
	old := l.factors
	l.factors = l.decide(now)
	l.setTimers(now)
	l.m.split.review()
	l.m.changed = true
	if l.factors == old {
		return
	}
	if l.factors.favored != l.onLink.favored || l.factors.managed != old.managed || l.factors.other != old.other ||
		l.factors.nat64 != old.nat64 {
		l.schedule(evaluationDelay)
	}
	l.m.route.evaluate()
}

// decide finds out the factors. What border routers of our mesh say counts
// for nothing: they follow the same rules.
func (l *link) decide(now time.Time) (f factors) {
	for _, r := range l.routers {
		if !r.snac && r.reachable() {
			f.managed = f.managed || r.managed
			f.other = f.other || r.other
		}
		for i := range r.onLink {
			p := &r.onLink[i]
			if p.prefix == l.onLink.local || p.prefix == l.m.mesh.MeshLocal || l.ofMesh(p.prefix) {
				continue // the mesh's prefixes are on no link, whoever says so
			}
			f.ulaOnLink = f.ulaOnLink || isULA(p.prefix)
			f.nonULAOnLink = f.nonULAOnLink || !isULA(p.prefix)
			if !p.deprecated(now) && p.preferred >= minFavoredPreferred &&
				(!f.favored.IsValid() || p.prefix.Addr().Less(f.favored.Addr())) {
				f.favored = p.prefix
			}
		}
		for _, p := range r.routes {
			f.nonULARoute = f.nonULARoute || !isULA(p.prefix) && !l.ofMesh(p.prefix)
		}
		for _, p := range r.nat64 {
			if r.reachable() && (!f.nat64.IsValid() || smaller(p.prefix, f.nat64)) {
				f.nat64 = p.prefix
			}
		}
	}
	return f
}
