package ndp

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
)

// ListenerConfig configures a Listener. Clock is required.
type ListenerConfig struct {
	Clock *alarm.Clock

	// Rand and Send are for Solicit alone.
	Rand     *rand.Rand
	Send     func(Out)
	Src      netip.Addr // link-local address of the interface
	LinkAddr LinkAddr

	Changed func() // called whenever Routers may return something new
}

// A Listener keeps what the routers of an ordinary link say, until it ends
// (RFC 4861 Section 6.3.4). Its memory is bounded.
//
// Its methods must not be called concurrently.
type Listener struct {
	cfg     ListenerConfig
	routers []*HeardRouter
	ageing  *alarm.Timer

	solicits *alarm.Timer
	left     int
}

// HeardRouter is what one router said. Lifetimes inside the options are those
// of when it was said; Ends tells when.
type HeardRouter struct {
	Addr    netip.Addr
	Link    LinkAddr
	Heard   time.Time    // last
	Advert  RouterAdvert // the last, without its options
	Expires time.Time    // as default router; zero: it is none
	MTU     uint32       // 0: not said
	Options []HeardOption
}

// HeardOption is a PrefixInfo, RouteInfo or PREF64 that is in force, or an RDNSS
// or DNSSL of one entry.
type HeardOption struct {
	Option
	Ends      time.Time // zero: never
	Preferred time.Time // of a PrefixInfo, until then good for new addresses; zero: for ever
}

// Bounds of a Listener.
const (
	maxHeardRouters = 32
	maxHeardOptions = 64 // of a router
)

// NewListener returns a Listener that has heard nothing.
func NewListener(cfg ListenerConfig) *Listener {
	if cfg.Clock == nil {
		panic("ndp: ListenerConfig needs Clock")
	}
	if cfg.Changed == nil {
		cfg.Changed = func() {}
	}
	l := &Listener{cfg: cfg}
	l.ageing = cfg.Clock.NewTimer(func() {
		l.age()
		l.cfg.Changed()
	})
	l.solicits = cfg.Clock.NewTimer(l.solicit)
	return l
}

// Solicit asks all routers to advertise themselves, up to three times until
// one has (RFC 4861 Section 6.3.7). It needs Rand, Send and Src.
func (l *Listener) Solicit() {
	l.left = maxSolicits
	l.solicits.Start(randDuration(l.cfg.Rand, 0, solicitDelay))
}

const classicSolicitInterval = 4 * time.Second // RTR_SOLICITATION_INTERVAL, RFC 4861 Section 10

func (l *Listener) solicit() {
	var opts []Option
	if l.cfg.LinkAddr.IsValid() {
		opts = append(opts, SourceLinkAddr{l.cfg.LinkAddr})
	}
	l.cfg.Send(outgoing(l.cfg.Src, allRouters, localHopLimit, LinkAddr{}, RouterSolicit{Options: opts}))
	if l.left--; l.left > 0 {
		l.solicits.Start(classicSolicitInterval)
	}
}

// Stop ends the timers. What was heard stays as it is.
func (l *Listener) Stop() {
	l.ageing.Stop()
	l.solicits.Stop()
}

// Routers returns what is in force, in order of address.
func (l *Listener) Routers() []HeardRouter {
	all := make([]HeardRouter, 0, len(l.routers))
	for _, r := range l.routers {
		c := *r
		c.Options = slices.Clone(r.Options)
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b HeardRouter) int { return a.Addr.Compare(b.Addr) })
	return all
}

// Receive takes a message of the link. Only advertisements matter; the error
// of others is ErrIgnored, or of Decode or Validate. ErrBusy: there are more
// routers than a link can have.
func (l *Listener) Receive(in In) error {
	if in.Type != TypeRouterAdvert {
		return ErrIgnored
	}
	m, err := in.open()
	if err != nil {
		return err
	}
	ra := m.(RouterAdvert)
	now := l.cfg.Clock.Now()
	i := slices.IndexFunc(l.routers, func(r *HeardRouter) bool { return r.Addr == in.Src })
	if i < 0 {
		if len(l.routers) >= maxHeardRouters {
			return ErrBusy
		}
		i = len(l.routers)
		l.routers = append(l.routers, &HeardRouter{Addr: in.Src})
	}
	l.routers[i].hear(now, in, ra)
	l.left = 0
	l.solicits.Stop()
	l.age()
	l.cfg.Changed()
	return nil
}

func (r *HeardRouter) hear(now time.Time, in In, ra RouterAdvert) {
	r.Heard, r.Link, r.Expires = now, in.Link, time.Time{}
	if ra.Lifetime > 0 {
		r.Expires = now.Add(ra.Lifetime)
	}
	for _, o := range split(ra.Options) {
		switch o := o.(type) {
		case SourceLinkAddr:
			r.Link = o.Addr
		case MTU:
			r.MTU = uint32(o)
		case PrefixInfo:
			if o.Preferred <= o.Valid { // else to be ignored: RFC 4862 Section 5.5.3
				r.keep(HeardOption{o, ends(now, o.Valid), ends(now, o.Preferred)}, o.Valid)
			}
		case RouteInfo:
			r.keep(HeardOption{Option: o, Ends: ends(now, o.Lifetime)}, o.Lifetime)
		case RDNSS:
			r.keep(HeardOption{Option: o, Ends: ends(now, o.Lifetime)}, o.Lifetime)
		case DNSSL:
			r.keep(HeardOption{Option: o, Ends: ends(now, o.Lifetime)}, o.Lifetime)
		case PREF64:
			r.keep(HeardOption{Option: o, Ends: ends(now, o.Lifetime)}, o.Lifetime)
		}
	}
	ra.Options = nil
	r.Advert = ra
}

func ends(now time.Time, d time.Duration) time.Time {
	if d >= Infinity {
		return time.Time{}
	}
	return now.Add(d)
}

// keep replaces what was said of the same thing, or takes it back if the
// lifetime is zero.
func (r *HeardRouter) keep(o HeardOption, lifetime time.Duration) {
	key := keyOf(o.Option)
	i := slices.IndexFunc(r.Options, func(x HeardOption) bool { return keyOf(x.Option) == key })
	switch {
	case i >= 0 && lifetime <= 0:
		r.Options = slices.Delete(r.Options, i, i+1)
	case i >= 0:
		r.Options[i] = o
	case lifetime > 0 && len(r.Options) < maxHeardOptions:
		r.Options = append(r.Options, o)
	}
}

// age drops what has ended, and routers of which nothing is in force, and sets
// the timer for the next.
func (l *Listener) age() {
	now := l.cfg.Clock.Now()
	var next time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	over := func(t time.Time) bool { return !t.IsZero() && !t.After(now) }
	l.routers = slices.DeleteFunc(l.routers, func(r *HeardRouter) bool {
		if over(r.Expires) {
			r.Expires = time.Time{}
		}
		r.Options = slices.DeleteFunc(r.Options, func(o HeardOption) bool { return over(o.Ends) })
		sooner(r.Expires)
		for _, o := range r.Options {
			sooner(o.Ends)
		}
		return r.Expires.IsZero() && len(r.Options) == 0
	})
	if next.IsZero() {
		l.ageing.Stop()
	} else {
		l.ageing.StartAt(next)
	}
}
