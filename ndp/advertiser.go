package ndp

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"gatewayd/alarm"
)

// AdvertiserConfig configures an Advertiser. Clock, Rand, Send and Src are
// required.
type AdvertiserConfig struct {
	Clock *alarm.Clock
	Rand  *rand.Rand // spread of advertisements

	// Send transmits a message. It must not call the Advertiser before it
	// returns.
	Send func(Out)

	Src         netip.Addr    // link-local address of the interface
	LinkAddr    LinkAddr      // told to hosts; none: it is not
	MinInterval time.Duration // between unsolicited advertisements; default a third of MaxInterval
	MaxInterval time.Duration // 4 s to 30 min; default 10 min
}

const (
	defaultMaxInterval = 10 * time.Minute
	leastInterval      = 4 * time.Second
	mostInterval       = 30 * time.Minute
)

// An Advertiser sends router advertisements on an ordinary link, now and then
// and when asked (RFC 4861 Section 6.2). All of them are multicast, so that
// one answers everybody who asks within three seconds.
//
// Its methods must not be called concurrently.
type Advertiser struct {
	cfg      AdvertiserConfig
	announce *announcer
	ra       RouterAdvert
	gone     []withdrawn // options of before
	on       bool
}

// withdrawn is an option that is advertised as over a few times more.
type withdrawn struct {
	Option
	left int
}

// NewAdvertiser returns an Advertiser that is quiet until Set. It panics if
// something required is missing.
func NewAdvertiser(cfg AdvertiserConfig) *Advertiser {
	if cfg.Clock == nil || cfg.Rand == nil || cfg.Send == nil || !cfg.Src.IsLinkLocalUnicast() {
		panic("ndp: AdvertiserConfig needs Clock, Rand, Send and a link-local Src")
	}
	orDefault(&cfg.MaxInterval, defaultMaxInterval)
	cfg.MaxInterval = min(max(cfg.MaxInterval, leastInterval), mostInterval)
	orDefault(&cfg.MinInterval, cfg.MaxInterval/3)
	cfg.MinInterval = min(max(cfg.MinInterval, minDelayBetweenRAs), cfg.MaxInterval*3/4)
	a := &Advertiser{cfg: cfg}
	a.announce = newAnnouncer(cfg.Clock, cfg.Rand, a.advertise)
	a.announce.min, a.announce.max = cfg.MinInterval, cfg.MaxInterval
	return a
}

// Set changes what is advertised, or begins to advertise it; soon and a few
// times in short order. The link-layer address is added to the options.
// Options that said something which is not in ra anymore are said to be over
// in the next three advertisements.
func (a *Advertiser) Set(ra RouterAdvert) {
	if a.on {
		a.withdraw(ra)
	}
	a.ra, a.on = ra, true
	a.announce.news()
}

// withdraw notes which options of before are not in ra, and forgets of those
// noted which are again.
func (a *Advertiser) withdraw(ra RouterAdvert) {
	said := make(map[optionKey]bool)
	for _, o := range split(ra.Options) {
		said[keyOf(o)] = true
	}
	var gone []withdrawn
	for _, w := range a.gone {
		if !said[keyOf(w.Option)] {
			gone = append(gone, w)
		}
	}
	for _, o := range split(a.ra.Options) {
		if end, ok := ended(o); ok && !said[keyOf(o)] {
			gone = append(gone, withdrawn{end, maxFinalAdverts})
		}
	}
	a.gone = gone[max(0, len(gone)-maxWithdrawn):]
}

// maxWithdrawn bounds the options that are taken back at a time, for they
// share a packet with the others.
const maxWithdrawn = 16

// Stop withdraws the router and all it said, in a last advertisement; repeat
// it with Withdraw if there is time.
func (a *Advertiser) Stop() {
	if !a.on {
		return
	}
	a.announce.stop()
	a.on = false
	a.Withdraw()
}

// Withdraw sends the last advertisement again; RFC 4861 Section 6.2.5 allows
// three of them. It does nothing before Stop.
func (a *Advertiser) Withdraw() {
	if a.on || len(a.ra.Options) == 0 && a.ra.Lifetime == 0 {
		return
	}
	final := a.ra
	final.Lifetime, final.Options = 0, nil
	for _, o := range a.ra.Options {
		if end, ok := ended(o); ok {
			final.Options = append(final.Options, end)
		}
	}
	for _, w := range a.gone {
		final.Options = append(final.Options, w.Option)
	}
	a.send(final)
}

// ended is the option that takes back what o said; ok is false if there is no
// such thing. A prefix stays valid for existing connections for the two hours
// that RFC 4862 Section 5.5.3 gives it anyway.
func ended(o Option) (end Option, ok bool) {
	switch o := o.(type) {
	case PrefixInfo:
		o.Valid, o.Preferred = min(o.Valid, 2*time.Hour), 0
		return o, true
	case RouteInfo:
		o.Lifetime = 0
		return o, true
	case RDNSS:
		o.Lifetime = 0
		return o, true
	case DNSSL:
		o.Lifetime = 0
		return o, true
	case PREF64:
		o.Lifetime = 0
		return o, true
	}
	return nil, false
}

// split makes an option for each entry of those that list several, since each
// has a life of its own.
func split(opts []Option) []Option {
	var all []Option
	for _, o := range opts {
		switch o := o.(type) {
		case RDNSS:
			for i := range o.Servers {
				all = append(all, RDNSS{o.Lifetime, o.Servers[i : i+1 : i+1]})
			}
		case DNSSL:
			for i := range o.Domains {
				all = append(all, DNSSL{o.Lifetime, o.Domains[i : i+1 : i+1]})
			}
		default:
			all = append(all, o)
		}
	}
	return all
}

// optionKey tells what an option speaks of.
type optionKey struct {
	typ  uint8
	what string
}

// keyOf takes an option out of split.
func keyOf(o Option) optionKey {
	what := ""
	switch o := o.(type) {
	case PrefixInfo:
		what = o.Prefix.Masked().String()
	case RouteInfo:
		what = o.Prefix.Masked().String()
	case PREF64:
		what = o.Prefix.Masked().String()
	case RDNSS:
		what = o.Servers[0].String()
	case DNSSL:
		what = o.Domains[0]
	}
	return optionKey{o.Type(), what}
}

// Receive takes a message of the link. Only solicitations matter; the error of
// others is ErrIgnored, or of Decode or Validate.
func (a *Advertiser) Receive(in In) error {
	if in.Type != TypeRouterSolicit {
		return ErrIgnored
	}
	if _, err := in.open(); err != nil {
		return err
	}
	if a.on {
		a.announce.soon()
	}
	return nil
}

func (a *Advertiser) advertise() {
	ra := a.ra
	ra.Options = append([]Option(nil), ra.Options...)
	var gone []withdrawn
	for _, w := range a.gone {
		ra.Options = append(ra.Options, w.Option)
		if w.left--; w.left > 0 {
			gone = append(gone, w)
		}
	}
	a.gone = gone
	a.send(ra)
}

func (a *Advertiser) send(ra RouterAdvert) {
	if a.cfg.LinkAddr.IsValid() {
		ra.Options = append([]Option{SourceLinkAddr{a.cfg.LinkAddr}}, ra.Options...)
	}
	a.cfg.Send(outgoing(a.cfg.Src, allNodes, localHopLimit, LinkAddr{}, ra))
}
