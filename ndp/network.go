package ndp

import (
	"net/netip"
	"slices"
	"time"
)

// Bounds on what is remembered of what routers say.
const (
	maxNetworks = 4
	maxPrefixes = 8
	maxContexts = 16
	maxOther    = 8
)

// A network is what is known of the prefixes and contexts of one 6LBR (RFC
// 6775 Section 8.1), and when each of it ends.
type network struct {
	border   netip.Addr // 6LBR; of a router that names none, the router
	multihop bool       // border came by name
	version  uint32
	expires  time.Time
	eda      bool // the 6LBR takes EDAR
	prefixes []timedPrefix
	contexts []timedContext
	other    []Option // owned
}

type timedPrefix struct {
	PrefixInfo
	valid, preferred time.Time
}

type timedContext struct {
	ContextOption
	expires time.Time
}

// never is when something infinite ends.
var never = time.Unix(1<<40, 0)

func deadline(now time.Time, d time.Duration) time.Time {
	if d >= Infinity {
		return never
	}
	return now.Add(d)
}

func remaining(now, at time.Time) time.Duration {
	if at.Equal(never) {
		return Infinity
	}
	return max(at.Sub(now), 0)
}

// networks are those known, at most maxNetworks.
type networks []*network

// learn takes up an advertisement of src. news is true if it says what was not
// known; known is nil if it was not listened to.
func (ns *networks) learn(now time.Time, src netip.Addr, m RouterAdvert) (n *network, news bool) {
	abro, named := Find[BorderRouter](m.Options)
	if !named {
		abro = BorderRouter{Addr: src, Lifetime: Infinity}
	}
	i := slices.IndexFunc(*ns, func(n *network) bool { return n.border == abro.Addr })
	if i >= 0 {
		n = (*ns)[i]
	}
	switch {
	case n == nil:
		if len(*ns) >= maxNetworks || !isUnicast(abro.Addr) {
			return nil, false
		}
		n = &network{border: abro.Addr, multihop: named, version: abro.Version}
		*ns = append(*ns, n)
		news = true
	case int32(abro.Version-n.version) < 0:
		return nil, false // old news that still goes round: RFC 6775 Section 8.1.3
	case abro.Version != n.version:
		*n = network{border: n.border, multihop: named, version: abro.Version}
		news = true
	}
	// The same version again may come from further away, with less left of it.
	n.expires = later(n.expires, deadline(now, abro.Lifetime))
	caps, _ := Find[Capabilities](m.Options)
	n.eda = n.eda || caps&CapEDA != 0
	for _, o := range m.Options {
		switch o := o.(type) {
		case PrefixInfo:
			n.addPrefix(now, o)
		case ContextOption:
			n.addContext(now, o)
		case RouteInfo, RDNSS, DNSSL, PREF64, MTU:
			n.addOther(o)
		}
	}
	return n, news
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (n *network) addPrefix(now time.Time, o PrefixInfo) {
	t := timedPrefix{o, deadline(now, o.Valid), deadline(now, o.Preferred)}
	i := slices.IndexFunc(n.prefixes, func(p timedPrefix) bool { return p.Prefix == o.Prefix })
	switch {
	case i >= 0:
		if n.multihop {
			t.valid = later(t.valid, n.prefixes[i].valid)
			t.preferred = later(t.preferred, n.prefixes[i].preferred)
		}
		n.prefixes[i] = t
	case len(n.prefixes) < maxPrefixes && o.Valid > 0 && o.Preferred <= o.Valid && !o.Prefix.Addr().IsLinkLocalUnicast() && !o.Prefix.Addr().IsMulticast():
		n.prefixes = append(n.prefixes, t)
	}
}

func (n *network) addContext(now time.Time, o ContextOption) {
	t := timedContext{o, deadline(now, o.Lifetime)}
	i := slices.IndexFunc(n.contexts, func(c timedContext) bool { return c.ID == o.ID })
	switch {
	case i >= 0 && o.Lifetime == 0:
		n.contexts = slices.Delete(n.contexts, i, i+1)
	case i >= 0:
		if n.multihop {
			t.expires = later(t.expires, n.contexts[i].expires)
		}
		n.contexts[i] = t
	case o.Lifetime > 0 && len(n.contexts) < maxContexts:
		n.contexts = append(n.contexts, t)
	}
}

// addOther keeps what is passed on as it is; of a type, the last said counts.
func (n *network) addOther(o Option) {
	i := slices.IndexFunc(n.other, func(x Option) bool { return x.Type() == o.Type() && sameKey(x, o) })
	if i >= 0 {
		n.other[i] = o
	} else if len(n.other) < maxOther {
		n.other = append(n.other, o)
	}
}

func sameKey(x, y Option) bool {
	if r, ok := x.(RouteInfo); ok {
		return r.Prefix == y.(RouteInfo).Prefix
	}
	return true
}

// age drops what has ended by now and reports whether that was anything.
func (ns *networks) age(now time.Time) (changed bool) {
	before := len(*ns)
	*ns = slices.DeleteFunc(*ns, func(n *network) bool { return !n.expires.After(now) })
	changed = len(*ns) != before
	for _, n := range *ns {
		p, c := len(n.prefixes), len(n.contexts)
		n.prefixes = slices.DeleteFunc(n.prefixes, func(p timedPrefix) bool { return !p.valid.After(now) })
		n.contexts = slices.DeleteFunc(n.contexts, func(c timedContext) bool { return !c.expires.After(now) })
		changed = changed || len(n.prefixes) != p || len(n.contexts) != c
	}
	return changed
}

// next is when age will have something to do; never if nothing ends.
func (ns networks) next() time.Time {
	at := never
	sooner := func(t time.Time) {
		if t.Before(at) {
			at = t
		}
	}
	for _, n := range ns {
		sooner(n.expires)
		for _, p := range n.prefixes {
			sooner(p.valid)
		}
		for _, c := range n.contexts {
			sooner(c.expires)
		}
	}
	return at
}

// over reports whether the 6LBRs known by name have no prefixes any more.
func (ns networks) over() bool {
	named := false
	for _, n := range ns {
		if len(n.prefixes) > 0 {
			return false
		}
		named = named || n.multihop
	}
	return named
}

// options are what a router says of the network to others, with what is left
// of the lifetimes; nothing when that is too little to say. Rounded down:
// otherwise two routers could keep information alive by telling each other.
func (n *network) options(now time.Time) []Option {
	left := remaining(now, n.expires).Truncate(minuteUnit)
	if left == 0 {
		return nil
	}
	opts := []Option{BorderRouter{Version: n.version, Lifetime: left, Addr: n.border}}
	for _, p := range n.prefixes {
		o := p.PrefixInfo
		o.Valid = remaining(now, p.valid).Truncate(time.Second)
		o.Preferred = remaining(now, p.preferred).Truncate(time.Second)
		if o.Valid > 0 {
			opts = append(opts, o)
		}
	}
	for _, c := range n.contexts {
		o := c.ContextOption
		if o.Lifetime = remaining(now, c.expires).Truncate(minuteUnit); o.Lifetime > 0 {
			opts = append(opts, o)
		}
	}
	return append(opts, n.other...)
}

func (n *network) contains(a netip.Addr) bool {
	return slices.ContainsFunc(n.prefixes, func(p timedPrefix) bool { return p.Prefix.Contains(a) })
}
