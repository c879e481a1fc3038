package border

import (
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/ipv6"
	"gatewayd/ndp"
)

// Advertisements (Thread 1.4 border routers; RFC 4861 Section 10).
const (
	initialCount    = 3
	initialInterval = 16 * time.Second
	initialSpread   = 2 * time.Second
	usualInterval   = 180 * time.Second
	usualSpread     = 15 * time.Second
	minBetween      = 3 * time.Second
	answerWithin    = 500 * time.Millisecond
	decideAfter     = 3 * time.Second
	decideSpread    = time.Second

	advertLifetime = 1800 * time.Second // of prefixes and routes

	localHopLimit = 255 // RFC 4861 Section 11.2

	ownKept = 5 // advertisements by which we know our own
)

// A delay is when to evaluate, and advertise, next.
type delay uint8

const (
	atOnce delay = iota
	answerDelay
	evaluationDelay
	nextDelay
)

// A link is one infrastructure link.
type link struct {
	m       *Manager
	name    string
	slot    int
	state   LinkState
	hears   bool // what routers say; before the mesh is attached, too
	running bool // and speaks

	// What was heard.
	routers    []*router
	factors    factors
	mirrored   *ndp.RouterAdvert // header of another program on this host
	mirroredAt time.Time
	ageing     *alarm.Timer // entries that end, routers to probe
	stale      *alarm.Timer
	solicit    solicitor
	twin       string // link of ours that is the same one
	twinUntil  time.Time

	// What is said.
	onLink      onLink
	rios        []rio
	hosted      []HostPrefix // as last told
	next        *alarm.Timer
	lastSent    time.Time
	sentCount   int // since something was new, at most initialCount+1
	said        []what
	own         []string // bodies of the last ones
	lastOptions []ndp.Option
	final       *ndp.Out // the last one, which ended it all
	counters    LinkCounters
}

func newLink(m *Manager, name string, slot int) *link {
	l := &link{m: m, name: name, slot: slot}
	l.ageing = m.timer(l.age)
	l.stale = m.timer(l.solicitAgain)
	l.next = m.timer(l.evaluate)
	l.solicit.init(l)
	l.onLink.init(l)
	return l
}

// listen asks the routers of the link and hears what they say, so that it is
// known when the mesh is there.
func (l *link) listen() {
	l.hears = true
	l.solicit.start()
}

// deafen forgets what was heard.
func (l *link) deafen() {
	l.hears = false
	l.solicit.stop()
	l.ageing.Stop()
	l.stale.Stop()
	l.routers, l.mirrored = nil, nil
	l.factors = factors{}
}

func (l *link) start() {
	l.running = true
	l.sentCount, l.said, l.final = 0, nil, nil
	l.onLink.arm()
	l.log("BORDER-START", "border routing starts on a link")
}

// stop ends the work, and says so if the link is there to say it.
func (l *link) stop(say bool) {
	l.onLink.stop()
	if say && len(l.said) > 0 {
		l.sayEnd()
	}
	l.running = false
	l.next.Stop()
	l.rios = nil
	l.twin, l.twinUntil = "", time.Time{}
	for _, o := range l.m.links {
		if o.running && o.twin == l.name {
			o.twin, o.twinUntil = "", time.Time{} // it has to do the work now
			o.schedule(atOnce)
		}
	}
	l.log("BORDER-STOP", "border routing stops on a link")
}

// schedule evaluates after a delay, or before if that is arranged already, but
// not too soon after the last advertisement. A link that does not run has nothing
// to decide.
func (l *link) schedule(d delay) {
	if !l.running {
		return
	}
	if d == evaluationDelay && len(l.said) == 0 && l.m.omr.favored.prefix.IsValid() {
		d = answerDelay // hosts know nothing of the mesh yet, which has decided
	}
	var in time.Duration
	switch d {
	case answerDelay:
		in = l.spread(answerWithin/2, answerWithin/2)
	case evaluationDelay:
		in = l.spread(decideAfter, decideSpread)
	case nextDelay:
		if in = l.spread(usualInterval, usualSpread); l.sentCount <= initialCount {
			in = l.spread(initialInterval, initialSpread)
		}
	}
	at := l.m.now().Add(in)
	if next := l.lastSent.Add(minBetween); !l.lastSent.IsZero() && next.After(at) {
		at = next
	}
	if !l.next.Running() || at.Before(l.next.At()) {
		l.next.StartAt(at)
	}
}

// spread is a time around d.
func (l *link) spread(d, by time.Duration) time.Duration {
	return d - by + time.Duration(l.m.cfg.Rand.Int64N(int64(2*by)+1))
}

// evaluate decides what there is to say, and says it.
func (l *link) evaluate() {
	if l.quiet() {
		l.schedule(nextDelay)
		return
	}
	l.onLink.evaluate()
	l.m.evaluate()
	if l.decided() {
		l.advertise()
	}
	l.schedule(nextDelay)
}

// decided reports whether the prefixes are known, so that there is something
// to say.
func (l *link) decided() bool {
	return l.running && l.m.omr.favored.prefix.IsValid() && (l.onLink.favored.IsValid() || l.onLink.active())
}

// receive takes a message of the link.
func (l *link) receive(in ndp.In) error {
	if !ndp.IsMessage(in.Type) {
		return ndp.ErrIgnored
	}
	msg, err := ndp.Decode(in.Type, in.Code, in.Body)
	if err == nil {
		err = ndp.Validate(in, msg)
	}
	if err != nil {
		l.counters.Malformed++
		return err
	}
	switch msg := msg.(type) {
	case ndp.RouterSolicit:
		if l.isOwn(in.Src) {
			return ndp.ErrIgnored
		}
		l.counters.RSReceived++
		l.schedule(answerDelay)
		return nil
	case ndp.RouterAdvert:
		own := l.isOwn(in.Src)
		if own && slices.Contains(l.own, string(in.Body)) {
			return ndp.ErrIgnored
		}
		if o := l.other(in); o != nil {
			l.isTwin(o)
			return ndp.ErrIgnored
		}
		l.counters.RAReceived++
		return l.advertised(in, msg, own)
	case ndp.NeighborAdvert:
		return l.answered(msg)
	}
	return ndp.ErrIgnored
}

func (l *link) isOwn(a netip.Addr) bool {
	return a.IsValid() && (a == l.state.LinkLocal || slices.Contains(l.state.Others, a))
}

// other returns the link of ours on which an advertisement was sent by us.
func (l *link) other(in ndp.In) *link {
	i := slices.IndexFunc(l.m.links, func(o *link) bool {
		return o != l && o.isOwn(in.Src) && slices.Contains(o.own, string(in.Body))
	})
	if i < 0 {
		return nil
	}
	return l.m.links[i]
}

// isTwin notes that two links are one. The later of them keeps quiet, as long
// as that is heard.
func (l *link) isTwin(o *link) {
	quiet, twin := l, o
	if o.slot > l.slot {
		quiet, twin = o, l
	}
	was := quiet.quiet()
	quiet.twin, quiet.twinUntil = twin.name, l.m.now().Add(staleTime)
	if was || !quiet.running {
		return
	}
	quiet.log("BORDER-SAME-LINK", "two infrastructure links are the same one: this one is not used")
	quiet.onLink.stop()
	if len(quiet.said) > 0 {
		quiet.sayEnd()
	}
	quiet.sentCount, quiet.said = 0, nil
	l.m.changed = true
}

// quiet reports whether another link of ours does the work of this one.
func (l *link) quiet() bool { return l.m.now().Before(l.twinUntil) }

// transmit sends a message, from us.
func (l *link) transmit(dst netip.Addr, next ndp.LinkAddr, msg ndp.Message) (ndp.Out, error) {
	typ, code := msg.ICMP()
	o := ndp.Out{
		Src: l.state.LinkLocal, Dst: dst, HopLimit: localHopLimit, Type: typ, Code: code, Body: msg.Append(nil), Link: next,
	}
	return o, l.send(o)
}

func (l *link) send(o ndp.Out) error {
	err := l.m.cfg.Send(l.name, o)
	if err != nil {
		l.counters.SendFailed++
	}
	return err
}

// sourceLink is the option that tells our link-layer address.
func (l *link) sourceLink() []ndp.Option {
	if !l.state.LinkAddr.IsValid() {
		return nil
	}
	return []ndp.Option{ndp.SourceLinkAddr{Addr: l.state.LinkAddr}}
}

func (l *link) log(id, text string) { l.m.log(Event{ID: id, Text: text, Link: l.name}) }

var (
	allNodes   = ipv6.AllNodesLinkLocal
	allRouters = ipv6.AllRoutersLinkLocal
)
