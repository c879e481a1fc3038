package mdns

import "slices"

// handleResponse takes what another says: against our names, in our place, or
// for the cache.
func (l *link) handleResponse(msg *Message) {
	for _, rs := range [][]Record{msg.Answers, msg.Additionals} {
		for i := range rs {
			r := &rs[i]
			if r.Class != ClassIN || r.Type == TypeOPT {
				continue
			}
			l.compare(r)
			l.m.cache.add(l, r)
		}
	}
}

// compare looks for a conflict (RFC 6762 Sections 8.1 and 9), or takes the
// record as our own answer (Section 7.4).
func (l *link) compare(r *Record) {
	ours, same := l.m.records[r.Name.key()], false
	for _, o := range ours {
		if o.Type != r.Type || dataKey(o.Type, o.Data) != dataKey(r.Type, r.Data) {
			continue
		}
		// An address on another link of ours comes here by a reflector or a
		// bridge.
		same = true
		if !o.live(l) {
			continue
		}
		switch {
		case r.TTL < o.TTL/2:
			// Else it would go from caches too early (Section 6.6).
			l.answerBy(o, 0, answerGap, false)
		case r.TTL >= o.TTL && l.pendingAt[o] != nil:
			l.forget(o)
			l.m.counters.Duplicates++
		}
	}
	c := l.m.claims[r.Name.key()]
	if c == nil || same || r.TTL == 0 || r.Type == TypeNSEC {
		return
	}
	p := c.at(l)
	switch {
	case p == nil:
	case !p.live:
		// Any answer to a probe but our own data says that the name is taken;
		// what is shared claims nothing.
		if p.batch != nil && (r.Flush || r.Type == TypeSRV || r.Type == TypeA || r.Type == TypeAAAA) {
			c.conflict(l)
		}
	case slices.ContainsFunc(ours, func(o *rr) bool { return o.Type == r.Type && o.live(l) }):
		c.conflict(l)
	}
}
