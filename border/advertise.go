package border

import (
	"bytes"
	"net/netip"
	"slices"

	"gatewayd/ndp"
)

// what is one thing an advertisement says, to see what is new.
type what struct {
	prefix     netip.Prefix
	onLink     bool
	deprecated bool
	preference ndp.Preference
}

// advertise sends a router advertisement.
func (l *link) advertise() {
	opts := append(l.onLink.options(), l.routeOptions()...)
	if len(opts)+len(l.said)+len(l.m.extra) == 0 {
		return
	}
	l.mark(opts)
	l.sendAdvert(append(append(opts, l.sourceLink()...), l.m.extra...))
}

// mark has the first advertisements repeated soon if they say something new.
func (l *link) mark(opts []ndp.Option) {
	var said []what
	for _, o := range opts {
		switch o := o.(type) {
		case ndp.PrefixInfo:
			said = append(said, what{prefix: o.Prefix, onLink: true, deprecated: o.Preferred == 0})
		case ndp.RouteInfo:
			said = append(said, what{prefix: o.Prefix, deprecated: o.Lifetime == 0, preference: o.Preference})
		}
	}
	if !slices.Equal(said, l.said) {
		l.said, l.sentCount = said, 0
	}
}

// sayEnd says that prefix and routes are over.
func (l *link) sayEnd() {
	opts := l.onLink.options()
	for _, r := range l.rios {
		opts = append(opts, ndp.RouteInfo{Prefix: r.prefix, Preference: l.preferenceOf(r)})
	}
	l.rios = nil
	l.final = l.sendAdvert(append(opts, l.sourceLink()...))
}

func (l *link) sendAdvert(opts []ndp.Option) *ndp.Out {
	ra := l.header()
	ra.Options = opts
	o, err := l.transmit(allNodes, ndp.LinkAddr{}, ra)
	l.remember(string(o.Body))
	l.lastOptions = opts
	if err != nil {
		return &o
	}
	if l.sentCount == 0 {
		l.m.changed = true // it may be what Status.Ready waits for
	}
	l.counters.RASent++
	l.lastSent = l.m.now()
	l.sentCount = min(l.sentCount+1, initialCount+1)
	return &o
}

func (l *link) remember(body string) {
	if len(l.own) == ownKept {
		l.own = slices.Delete(l.own, 0, 1)
	}
	l.own = append(l.own, body)
}

// header returns an advertisement without options: that of another program on
// this host, since to hosts there is but one router, or else of a router that
// is no default one.
func (l *link) header() ndp.RouterAdvert {
	var ra ndp.RouterAdvert
	if l.mirrored != nil {
		ra = *l.mirrored
	}
	ra.Managed = ra.Managed || l.factors.managed
	ra.Other = ra.Other || l.factors.other
	ra.SNAC = true
	return ra
}

// mirror keeps the header of another program on this host.
func (l *link) mirror(ra ndp.RouterAdvert) {
	ra.Options = nil
	old := l.mirrored
	l.mirrored, l.mirroredAt = &ra, l.m.now()
	if ra.Lifetime == 0 {
		l.mirrored = nil
	}
	if !bytes.Equal(appendHeader(old), appendHeader(l.mirrored)) {
		l.schedule(evaluationDelay)
	}
}

func appendHeader(ra *ndp.RouterAdvert) []byte {
	if ra == nil {
		return nil
	}
	return ra.Append(nil)
}
