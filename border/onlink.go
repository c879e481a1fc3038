package border

import (
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/ndp"
)

// maxOld is how many on-link prefixes of before are deprecated at a time.
const maxOld = 3

// OnLinkState is what becomes of our own on-link prefix.
type OnLinkState uint8

const (
	OnLinkIdle        OnLinkState = iota
	OnLinkPublishing              // waits until the mesh has a route to it
	OnLinkAdvertising             // hosts take addresses of it
	OnLinkDeprecating             // hosts keep the addresses they have
)

// String names the state.
func (s OnLinkState) String() string {
	return [...]string{"idle", "publishing", "advertising", "deprecating"}[s]
}

// An onLink is the on-link prefix of a link that is ours to advertise.
type onLink struct {
	l       *link
	local   netip.Prefix
	state   OnLinkState
	expires time.Time    // unless idle
	favored netip.Prefix // of another router, in use instead
	old     []oldPrefix
	timer   *alarm.Timer
	saved   []netip.Prefix // in the Store
}

type oldPrefix struct {
	prefix  netip.Prefix
	expires time.Time
}

func (o *onLink) init(l *link) {
	o.l = l
	o.timer = l.m.timer(o.age)
	// Hosts may still have what was advertised before a restart, at most as
	// long as an advertisement lasts.
	o.saved = l.m.loadOnLink(l.name)
	for _, p := range o.saved {
		o.old = append(o.old, oldPrefix{p, l.m.now().Add(advertLifetime)})
	}
	o.deriveLocal()
}

// deriveLocal makes the prefix of the extended PAN ID, the same at all border
// routers of the mesh: its first five octets are the global ID and its last
// two the subnet. It can be that of one link only. Others have one of this
// border router's own.
func (o *onLink) deriveLocal() {
	x := o.l.m.mesh.ExtPANID
	if x == [8]byte{} {
		return
	}
	a := [16]byte{0: 0xfd, 6: x[6], 7: x[7]}
	copy(a[1:6], x[:5])
	local := netip.PrefixFrom(netip.AddrFrom16(a), 64)
	if o.l.slot > 0 {
		local = subnet(o.l.m.ula, linkSubnet+uint16(o.l.slot), 64)
	}
	if local == o.local {
		return
	}
	if o.state == OnLinkAdvertising || o.state == OnLinkDeprecating {
		o.old = append(o.old, oldPrefix{o.local, o.expires})
	}
	o.local, o.state = local, OnLinkIdle
	if i := slices.IndexFunc(o.old, func(p oldPrefix) bool { return p.prefix == local }); i >= 0 {
		o.state, o.expires = OnLinkDeprecating, o.old[i].expires
		o.old = slices.Delete(o.old, i, i+1)
	}
	for len(o.old) > maxOld { // that which ends first goes
		first := slices.MinFunc(o.old, func(a, b oldPrefix) int { return a.expires.Compare(b.expires) })
		o.old = slices.DeleteFunc(o.old, func(p oldPrefix) bool { return p == first })
	}
	o.keep()
}

// evaluate decides whether there has to be a prefix of ours. While routers are
// asked that is not known yet, but that another's will do may be.
func (o *onLink) evaluate() {
	asking := o.l.solicit.running() && (o.active() || !o.l.factors.favored.IsValid())
	if asking || !o.local.IsValid() {
		return
	}
	o.favored = o.l.factors.favored
	switch {
	case !o.favored.IsValid():
		o.publish()
	case o.active() && !o.local.Addr().Less(o.favored.Addr()):
		// The smaller of two is what all border routers agree on. With a smaller
		// one of ours both stay.
		o.state = OnLinkDeprecating
		o.event("BORDER-ONLINK", "another router's on-link prefix is used: ours is deprecated")
		o.keep()
	}
}

func (o *onLink) publish() {
	if o.active() {
		return
	}
	o.state, o.expires = OnLinkPublishing, o.l.m.now().Add(advertLifetime)
	o.event("BORDER-ONLINK", "no router has a good on-link prefix: ours is used")
	if o.l.m.routed(o.local) {
		o.state = OnLinkAdvertising
	}
	o.keep()
}

// routesChanged begins to advertise once the mesh can reach who takes an
// address of the prefix.
func (o *onLink) routesChanged() {
	if o.state == OnLinkPublishing && o.l.m.routed(o.local) {
		o.state = OnLinkAdvertising
		o.keep()
		o.l.schedule(evaluationDelay)
	}
}

// active reports whether the prefix is for new addresses.
func (o *onLink) active() bool { return o.state == OnLinkPublishing || o.state == OnLinkAdvertising }

// inUse reports whether the mesh needs a route to a prefix of ours.
func (o *onLink) inUse() bool { return o.state != OnLinkIdle || len(o.old) > 0 }

// stop is for the link being left: what hosts have of the prefix remains for
// its time.
func (o *onLink) stop() {
	o.favored = netip.Prefix{}
	switch o.state {
	case OnLinkPublishing:
		o.state = OnLinkIdle // nobody has heard of it
	case OnLinkAdvertising:
		o.state = OnLinkDeprecating
	}
	o.keep()
}

// options returns what an advertisement says of the prefixes.
func (o *onLink) options() (opts []ndp.Option) {
	now := o.l.m.now()
	add := func(p netip.Prefix, valid, preferred time.Duration) {
		// Rounded down: hosts must not use it longer than we do.
		if valid = valid.Truncate(time.Second); valid > 0 {
			opts = append(opts, ndp.PrefixInfo{Prefix: p, OnLink: true, Autonomous: true, Valid: valid, Preferred: preferred})
		}
	}
	switch o.state {
	case OnLinkAdvertising:
		o.expires = now.Add(advertLifetime)
		o.arm()
		add(o.local, advertLifetime, advertLifetime)
	case OnLinkDeprecating:
		add(o.local, o.expires.Sub(now), 0)
	}
	for _, p := range o.old {
		add(p.prefix, p.expires.Sub(now), 0)
	}
	return opts
}

// age forgets what is over.
func (o *onLink) age() {
	now := o.l.m.now()
	if o.state != OnLinkIdle && !o.expires.After(now) {
		o.state = OnLinkIdle
		o.event("BORDER-ONLINK", "our on-link prefix is over")
		if o.l.running {
			o.l.schedule(evaluationDelay)
		}
	}
	o.old = slices.DeleteFunc(o.old, func(p oldPrefix) bool { return !p.expires.After(now) })
	o.keep()
	o.l.m.route.evaluate()
	o.l.m.changed = true
}

// keep stores what hosts may have, and sets the timer.
func (o *onLink) keep() {
	var p []netip.Prefix
	if o.state == OnLinkAdvertising || o.state == OnLinkDeprecating {
		p = append(p, o.local)
	}
	for _, x := range o.old {
		p = append(p, x.prefix)
	}
	if !slices.Equal(p, o.saved) {
		o.saved = p
		o.l.m.saveOnLink(o.l.name, p)
	}
	o.arm()
	o.l.m.changed = true
}

func (o *onLink) arm() {
	var e earliest
	if o.state != OnLinkIdle {
		e.add(o.expires)
	}
	for _, p := range o.old {
		e.add(p.expires)
	}
	e.arm(o.timer)
}

// hosted returns what the host is to have addresses of.
func (o *onLink) hosted() (p []HostPrefix) {
	switch o.state {
	case OnLinkAdvertising:
		p = append(p, HostPrefix{Prefix: o.local})
	case OnLinkDeprecating:
		p = append(p, HostPrefix{o.local, true, o.expires})
	}
	for _, x := range o.old {
		p = append(p, HostPrefix{x.prefix, true, x.expires})
	}
	return p
}

// contains reports whether an address is in a prefix of ours.
func (o *onLink) contains(a netip.Addr) bool {
	return o.state != OnLinkIdle && o.local.Contains(a) ||
		slices.ContainsFunc(o.old, func(p oldPrefix) bool { return p.prefix.Contains(a) })
}

func (o *onLink) event(id, text string) {
	o.l.m.log(Event{ID: id, Text: text, Link: o.l.name, Prefix: o.local})
}
