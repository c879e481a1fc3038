package mdns

import (
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
)

// Specification constants (RFC 6762 Section 6).
const (
	sharedMin  = 20 * time.Millisecond // delay of answers that others may give too
	sharedMax  = 120 * time.Millisecond
	holdMin    = 400 * time.Millisecond // Section 7.2: while known answers come
	holdMax    = 500 * time.Millisecond
	answerGap  = time.Second // between multicasts of a record
	defendGap  = 250 * time.Millisecond
	legacyTTL  = 10 * time.Second // at most (Section 6.7)
	legacyRoom = 512              // RFC 1035 Section 4.2.1
)

// Implementation constants.
const (
	// copyTime is how long after an answer its question is taken as answered.
	copyTime    = 200 * time.Millisecond
	maxHolds    = 64
	maxUnicasts = 256
	// A burst of answers is cut into bursts of burstSize packets.
	burstSize = 16
	burstGap  = 20 * time.Millisecond
)

// wanted is a record that answers a question.
type wanted struct {
	*rr
	unicast bool // was asked for
}

// pending is a record that is going to be multicast.
type pending struct {
	rr       *rr
	due      time.Time // when it is to be sent
	earliest time.Time // before which it must not
}

// hold is a query whose known answers are still coming.
type hold struct {
	from      netip.AddrPort
	multicast bool
	answers   []wanted
	timer     *alarm.Timer
}

// handleQuery answers, or takes known answers, or loses a name.
func (l *link) handleQuery(msg *Message, from netip.AddrPort, multicast bool) {
	if len(msg.Questions) > 1 {
		msg.Questions = distinct(msg.Questions)
	}
	if from.Port() != Port {
		l.answerLegacy(msg, from)
		return
	}
	var answers []wanted
	seen := map[*rr]bool{}
	defend := false
	for _, q := range msg.Questions {
		if theirs := proposals(msg, q.Name); len(theirs) > 0 {
			if c := l.m.claims[q.Name.key()]; c != nil {
				l.tieBreak(c, theirs)
				defend = true
			}
		}
		for _, r := range l.answers(q) {
			if !seen[r] {
				seen[r] = true
				answers = append(answers, wanted{r, q.Unicast || !multicast})
			}
		}
	}
	l.questionsHeard(msg, multicast)
	answers = l.unknown(answers, msg.Answers)
	for i, h := range l.holds {
		if h.from != from {
			continue
		}
		h.answers = append(l.unknown(h.answers, msg.Answers), answers...)
		if msg.Truncated {
			h.timer.Start(l.m.random(holdMin, holdMax))
			return
		}
		h.timer.Stop()
		l.holds = slices.Delete(l.holds, i, i+1)
		l.answer(h.answers, h.from, h.multicast, false)
		return
	}
	switch {
	case len(answers) == 0:
	case !msg.Truncated:
		l.answer(answers, from, multicast, defend)
	case len(l.holds) >= maxHolds:
		l.m.counters.Overloaded++
	default:
		h := &hold{from: from, multicast: multicast, answers: answers}
		h.timer = l.m.timer(func() {
			l.holds = slices.DeleteFunc(l.holds, func(o *hold) bool { return o == h })
			l.answer(h.answers, h.from, h.multicast, false)
		})
		h.timer.Start(l.m.random(holdMin, holdMax))
		l.holds = append(l.holds, h)
	}
}

// distinct leaves out questions that are repeated, which a packet has room for
// in thousands.
func distinct(qs []Question) []Question {
	seen := map[Question]bool{}
	return slices.DeleteFunc(qs, func(q Question) bool {
		q.Name = Name(q.Name.key())
		again := seen[q]
		seen[q] = true
		return again
	})
}

// proposals are the records of a name that a probe wants to have.
func proposals(msg *Message, n Name) (rs []Record) {
	for _, r := range msg.Authorities {
		if r.Name.Equal(n) && r.Class == ClassIN {
			rs = append(rs, r)
		}
	}
	return rs
}

// answers are our records that answer a question on the link.
func (l *link) answers(q Question) (rs []*rr) {
	if q.Class != ClassIN && q.Class != ClassANY {
		return nil
	}
	k := q.Name.key()
	for _, r := range l.m.records[k] {
		if (q.Type == r.Type || q.Type == TypeANY) && r.live(l) {
			rs = append(rs, r)
		}
	}
	if c := l.m.claims[k]; len(rs) == 0 && c != nil {
		if p := c.at(l); p != nil && p.live {
			if r := c.nsec(l); r != nil {
				rs = append(rs, r)
			}
		}
	}
	return rs
}

// unknown leaves out what a querier has with at least half of our TTL
// (RFC 6762 Section 7.1).
func (l *link) unknown(answers []wanted, known []Record) []wanted {
	if len(answers) == 0 || len(known) == 0 {
		return answers
	}
	have := map[id]time.Duration{}
	for _, r := range known {
		have[r.id()] = max(have[r.id()], r.TTL)
	}
	return slices.DeleteFunc(answers, func(w wanted) bool {
		ttl, ok := have[w.id()]
		if ok && ttl >= w.TTL/2 {
			l.m.counters.KnownAnswers++
			return true
		}
		return false
	})
}

// answer gives answers their time and way. A defence waits for nothing.
func (l *link) answer(answers []wanted, from netip.AddrPort, multicast, defend bool) {
	var delay time.Duration
	if !defend && slices.ContainsFunc(answers, func(w wanted) bool { return !w.Flush }) {
		delay = l.m.random(sharedMin, sharedMax)
	}
	gap := answerGap
	if defend {
		gap = defendGap
	}
	var direct []*rr
	for _, w := range answers {
		// Who asks for unicast gets it if the link has heard the record lately
		// (RFC 6762 Section 5.4). A prober that shares its port might not.
		if w.unicast && !defend && (!multicast || l.m.within(w.saidOn(l), w.TTL/4)) {
			direct = append(direct, w.rr)
			continue
		}
		l.answerBy(w.rr, delay, gap, defend)
	}
	if len(direct) == 0 {
		return
	}
	if l.unicasts >= maxUnicasts {
		l.m.counters.Overloaded++
		return
	}
	send := func() {
		if l.gone() {
			return
		}
		direct = slices.DeleteFunc(direct, func(r *rr) bool { return !r.live(l) })
		l.sendTo(direct, from)
	}
	if delay == 0 {
		send()
		return
	}
	l.unicasts++
	l.m.timer(func() {
		l.unicasts--
		send()
	}).Start(delay)
}

// answerBy has a record multicast after a delay, and after a gap since it was
// last.
func (l *link) answerBy(r *rr, delay, gap time.Duration, defend bool) {
	now, last := l.m.now(), r.saidOn(l)
	p := &pending{rr: r, due: now.Add(delay), earliest: now}
	if !last.IsZero() && now.Sub(last) < gap {
		l.m.counters.Limited++
		if !defend && now.Sub(last) < copyTime {
			return
		}
		p.earliest = last.Add(gap)
	}
	if old := l.pendingAt[r]; old != nil {
		if p.due.Before(old.due) {
			old.due = p.due
		}
		if p.earliest.Before(old.earliest) {
			old.earliest = p.earliest
		}
		return
	}
	l.pendingAt[r] = p
	l.pending = append(l.pending, p)
}

// forget takes a record from what is pending.
func (l *link) forget(r *rr) {
	if p := l.pendingAt[r]; p != nil {
		p.rr = nil
		delete(l.pendingAt, r)
	}
}

// flushDue multicasts the answers whose time has come, with those that have
// not yet waited out their delay but may be sent (RFC 6762 Section 6.4).
func (l *link) flushDue() {
	l.pending = slices.DeleteFunc(l.pending, func(p *pending) bool {
		if p.rr != nil && !p.rr.live(l) {
			l.forget(p.rr)
		}
		return p.rr == nil
	})
	if len(l.pending) == 0 {
		l.pending = nil
		l.flushTimer.Stop()
		return
	}
	now := l.m.now()
	var next time.Time
	due := false
	for _, p := range l.pending {
		at := p.due
		if p.earliest.After(at) {
			at = p.earliest
		}
		if !at.After(now) {
			due = true
		}
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	if !due {
		l.flushTimer.StartAt(next)
		return
	}
	var rs []*rr
	for _, p := range l.pending {
		if !p.earliest.After(now) {
			rs = append(rs, p.rr)
		}
	}
	n := l.send(rs, false)
	for _, r := range rs[:n] {
		l.forget(r)
	}
	for _, r := range rs[n:] {
		l.pendingAt[r].due = now.Add(burstGap)
		l.pendingAt[r].earliest = now.Add(burstGap)
	}
	l.flushDue()
}

// responseFlags are a response's (RFC 6762 Sections 18.2 and 18.4).
const responseFlags = flagResponse | flagAuthoritative

// send multicasts records, in as many packets as it takes, or in a burst, and
// returns how many were sent.
func (l *link) send(rs []*rr, all bool) (n int) {
	w := &l.m.w
	for packets := 0; n < len(rs) && (all || packets < burstSize); packets++ {
		k := l.fill(rs[n:], l.room, 0, responseFlags, nil)
		for _, r := range rs[n : n+k] {
			r.say(l)
		}
		if !w.empty() {
			l.multicast()
		}
		n += k
	}
	return n
}

// sendTo answers one host of multicast DNS.
func (l *link) sendTo(rs []*rr, to netip.AddrPort) {
	for n := 0; n < len(rs); {
		n += l.fill(rs[n:], l.room, 0, responseFlags, nil)
		l.unicast(to)
	}
}

// fill fills the writer with records, and with what a querier is going to want
// next if there is room for all of it, and returns how many of the records it
// holds. It is at least one, however long.
func (l *link) fill(rs []*rr, room int, id, flags uint16, legacy []Question) (n int) {
	w := &l.m.w
	w.start(id, flags, room)
	w.plain = legacy != nil
	for _, q := range legacy {
		w.question(q)
	}
	put := func(section int, r *rr) bool {
		rec := r.Record
		if legacy != nil {
			rec.Flush = false
			rec.TTL = min(rec.TTL, legacyTTL)
		}
		return w.record(section, rec)
	}
	for ; n < len(rs); n++ {
		if put(sectionAnswer, rs[n]) {
			continue
		}
		if n > 0 || legacy != nil {
			return n
		}
		w.limit = maxPacket - 48
		if put(sectionAnswer, rs[n]) {
			n++
		}
		w.limit = room
		return max(n, 1)
	}
	for _, r := range l.additionals(rs, legacy == nil) {
		if !put(sectionAdditional, r) {
			break
		}
	}
	return n
}

// additionals are what RFC 6763 Section 12 and RFC 6762 Section 6.1 add to
// answers.
func (l *link) additionals(rs []*rr, multicast bool) (more []*rr) {
	const most = 64
	seen := map[*rr]bool{}
	for _, r := range rs {
		seen[r] = true
	}
	add := func(n Name, types ...uint16) {
		for _, t := range types {
			for _, r := range l.answers(Question{n, t, ClassIN, false}) {
				if !seen[r] {
					seen[r] = true
					more = append(more, r)
				}
			}
		}
	}
	for i := 0; i < len(rs)+len(more) && len(more) < most; i++ {
		var r *rr
		if i < len(rs) {
			r = rs[i]
		} else {
			r = more[i-len(rs)]
		}
		switch {
		case r.claim == nil:
		case r.Type == TypePTR && r.claim.ask != "":
			add(r.Target(), TypeSRV, TypeTXT)
		case r.Type == TypePTR, r.Type == TypeSRV:
			add(r.Target(), TypeAAAA, TypeA)
		case r.Type == TypeA || r.Type == TypeAAAA:
			add(r.Name, TypeAAAA, TypeA)
		}
	}
	if multicast {
		more = slices.DeleteFunc(more, func(r *rr) bool { return l.m.within(r.saidOn(l), answerGap) })
	}
	return more
}

// answerLegacy answers a querier that knows nothing of multicast DNS (RFC 6762
// Section 6.7), in one packet.
func (l *link) answerLegacy(msg *Message, from netip.AddrPort) {
	if !l.onLink(from.Addr().WithZone("")) || len(msg.Questions) == 0 {
		l.m.counters.OffLink++
		return
	}
	var rs []*rr
	for _, q := range msg.Questions {
		for _, r := range l.answers(q) {
			if !slices.Contains(rs, r) {
				rs = append(rs, r)
			}
			if len(rs) >= maxUnicasts {
				break
			}
		}
	}
	if len(rs) == 0 {
		return
	}
	room := legacyRoom
	for _, r := range msg.Additionals {
		if r.Type == TypeOPT {
			room = min(max(int(r.Class), legacyRoom), l.room)
		}
	}
	for i := range msg.Questions {
		msg.Questions[i].Unicast = false
	}
	l.m.counters.Legacy++
	if l.fill(rs, room, msg.ID, responseFlags, msg.Questions) < len(rs) {
		l.m.w.setFlag(flagTruncated)
	}
	l.unicast(from)
}

// sendGoodbyes says what is no more.
func (l *link) sendGoodbyes() {
	w := &l.m.w
	for gs := l.goodbyes; len(gs) > 0; {
		n := 0
		w.start(0, responseFlags, l.room)
		for n < len(gs) && w.record(sectionAnswer, gs[n]) {
			n++
		}
		if n == 0 {
			w.limit = maxPacket - 48
			w.record(sectionAnswer, gs[0])
			n = 1
		}
		l.multicast()
		gs = gs[n:]
	}
	l.goodbyes = nil
}
