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
	cfg   AdvertiserConfig
	timer *alarm.Timer
	ra    RouterAdvert
	gone  []withdrawn // options of before
	on    bool
	left  int // of the initial ones
	last  time.Time
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
	a.timer = cfg.Clock.NewTimer(a.fire)
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
	a.left = maxInitialAdverts
	a.soon()
}

// withdraw notes which options of before are not in ra, and forgets of those
// noted which are again.
func (a *Advertiser) withdraw(ra RouterAdvert) {
	said := make(map[optionKey]bool)
	for _, o := range ra.Options {
		said[keyOf(o)] = true
	}
	var gone []withdrawn
	for _, w := range a.gone {
		if k := keyOf(w.Option); !said[k] {
			said[k] = true
			gone = append(gone, w)
		}
	}
	for _, o := range a.ra.Options {
		if end, ok := ended(o); ok && !said[keyOf(o)] {
			gone = append(gone, withdrawn{end, maxFinalAdverts})
		}
	}
	a.gone = gone
}

// Stop withdraws the router and all it said, in a last advertisement; repeat
// it with Withdraw if there is time.
func (a *Advertiser) Stop() {
	if !a.on {
		return
	}
	a.timer.Stop()
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

// optionKey tells what an option speaks of.
type optionKey struct {
	typ  uint8
	what string
}

func keyOf(o Option) optionKey {
	what := ""
	switch o := o.(type) {
	case PrefixInfo:
		what = o.Prefix.String()
	case RouteInfo:
		what = o.Prefix.String()
	case PREF64:
		what = o.Prefix.String()
	case RDNSS:
		o.Lifetime = 0
		what = string(o.Append(nil))
	case DNSSL:
		o.Lifetime = 0
		what = string(o.Append(nil))
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
		a.soon()
	}
	return nil
}

// soon has the next advertisement sent after a random delay, and not too soon
// after the last (RFC 4861 Section 6.2.6).
func (a *Advertiser) soon() {
	at := a.cfg.Clock.Now().Add(randDuration(a.cfg.Rand, 0, maxRADelay))
	if next := a.last.Add(minDelayBetweenRAs); !a.last.IsZero() && next.After(at) {
		at = next
	}
	if !a.timer.Running() || at.Before(a.timer.At()) {
		a.timer.StartAt(at)
	}
}

func (a *Advertiser) fire() {
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
	a.last = a.cfg.Clock.Now()
	a.send(ra)
	wait := randDuration(a.cfg.Rand, a.cfg.MinInterval, a.cfg.MaxInterval)
	if a.left--; a.left > 0 {
		wait = min(wait, maxInitialInterval)
	}
	a.timer.Start(wait)
}

func (a *Advertiser) send(ra RouterAdvert) {
	if a.cfg.LinkAddr.IsValid() {
		ra.Options = append([]Option{SourceLinkAddr{a.cfg.LinkAddr}}, ra.Options...)
	}
	a.cfg.Send(outgoing(a.cfg.Src, allNodes, localHopLimit, LinkAddr{}, ra))
}
