package mdns

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Specification constants (RFC 6762 Section 5.2).
const (
	askMin      = 20 * time.Millisecond // delay of the first question
	askMax      = 120 * time.Millisecond
	firstPeriod = time.Second
	maxPeriod   = time.Hour
)

// topicKey is what can be asked for.
type topicKey struct {
	name string // key
	typ  uint16
}

// topic is what somebody here wants to know continuously.
type topic struct {
	name Name
	typ  uint16
	subs []*sub
}

// sub is one who wants to know.
type sub struct {
	key topicKey
	f   func(*link) // what is known on the link has changed
}

// question is a topic on a link.
type question struct {
	*topic
	key    topicKey
	due    time.Time
	asked  time.Time // by us
	gone   bool
	period time.Duration // after the next time; 0 before the first
}

// subscribe has a name's records asked for, and f called when they change.
func (m *Machine) subscribe(name Name, typ uint16, f func(*link)) *sub {
	s := &sub{topicKey{name.key(), typ}, f}
	t := m.topics[s.key]
	if t == nil {
		t = &topic{name: name, typ: typ}
		m.topics[s.key] = t
		for _, l := range m.links {
			for _, e := range l.said(s.key.name, typ) {
				m.cache.place(e)
				e.replan()
			}
			l.ask(t)
		}
	}
	t.subs = append(t.subs, s)
	return s
}

func (m *Machine) unsubscribe(s *sub) {
	t := m.topics[s.key]
	if t == nil {
		return
	}
	t.subs = slices.DeleteFunc(slices.Clone(t.subs), func(o *sub) bool { return o == s })
	if len(t.subs) > 0 {
		return
	}
	delete(m.topics, s.key)
	for _, l := range m.links {
		if q := l.questions[s.key]; q != nil {
			delete(l.questions, s.key)
			q.gone, l.askDirty = true, true
		}
		for _, e := range l.said(s.key.name, s.key.typ) {
			m.cache.place(e)
		}
	}
}

func (m *Machine) isWanted(name string, typ uint16) bool { return m.topics[topicKey{name, typ}] != nil }

func (m *Machine) sortedTopics() []*topic {
	keys := slices.SortedFunc(maps.Keys(m.topics), func(a, b topicKey) int {
		return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.typ, b.typ))
	})
	var ts []*topic
	for _, k := range keys {
		ts = append(ts, m.topics[k])
	}
	return ts
}

// changed tells those who want to know a name's records.
func (m *Machine) changed(l *link, name string, typ uint16) {
	k := topicKey{name, typ}
	t := m.topics[k]
	if typ == TypeNSEC {
		// It may deny any type.
		for _, typ := range []uint16{TypeA, TypeAAAA, TypeSRV, TypeTXT} {
			if m.isWanted(name, typ) {
				m.changed(l, name, typ)
			}
		}
	}
	if t == nil {
		return
	}
	// A unique set that is lost is asked for anew; a shared one on schedule.
	if q := l.questions[k]; q != nil && unshared(typ) && !l.settled(k) && q.period > firstPeriod {
		q.period, q.due, l.askDirty = 0, m.now(), true
	}
	for _, s := range t.subs {
		s.f(l)
	}
}

// unshared reports whether a type's sets are one owner's, so that one answer
// is all.
func unshared(typ uint16) bool {
	return typ == TypeSRV || typ == TypeTXT || typ == TypeA || typ == TypeAAAA || typ == TypeCNAME
}

// settled reports whether there is nothing to ask for: a unique set is known,
// or known not to be.
func (l *link) settled(k topicKey) bool {
	if !unshared(k.typ) {
		return false
	}
	if c := l.m.claims[k.name]; c != nil && c.at(l) != nil && c.at(l).live {
		return true
	}
	for _, e := range l.heard.byName[k.name] {
		if e.Type == k.typ && e.step == 0 || e.denies(k.typ) {
			return true
		}
	}
	return false
}

// ask begins to ask for a topic.
func (l *link) ask(t *topic) {
	k := topicKey{t.name.key(), t.typ}
	q := &question{topic: t, key: k, due: l.m.now().Add(l.m.random(askMin, askMax))}
	l.questions[k] = q
	l.asking = append(l.asking, q)
	l.askDirty = true
}

// askSoon has a question asked within d if somebody wants its answer.
func (l *link) askSoon(k topicKey, d time.Duration) {
	if q := l.questions[k]; q != nil {
		if at := l.m.now().Add(d); at.Before(q.due) {
			q.due, l.askDirty = at, true
		}
		q.period = max(q.period, firstPeriod)
	}
}

// next plans the question after one that was asked.
func (q *question) next(now time.Time) {
	q.period = min(max(2*q.period, firstPeriod), maxPeriod)
	q.due = now.Add(q.period)
}

// askDue asks what is due, and starts the timer for the rest.
func (l *link) askDue() {
	if l.gone() {
		return
	}
	now := l.m.now()
	if !l.askDirty && (l.askAt.IsZero() || now.Before(l.askAt)) {
		return
	}
	l.askDirty = false
	l.asking = slices.DeleteFunc(l.asking, func(q *question) bool { return q.gone })
	until := now
	if slices.ContainsFunc(l.asking, func(q *question) bool { return !q.due.After(now) }) {
		until = now.Add(askMax) // they go into one packet
	}
	var due []*question
	var next time.Time
	for _, q := range l.asking {
		if !q.due.After(until) && l.m.within(q.asked, firstPeriod) {
			q.due = q.asked.Add(firstPeriod) // never more often than that
		}
		if !q.due.After(until) {
			// A refresh comes with step above 0, when nothing is settled.
			if !l.settled(q.key) {
				due = append(due, q)
				q.asked = now
			}
			q.next(now)
		}
		if next.IsZero() || q.due.Before(next) {
			next = q.due
		}
	}
	if l.askAt = next; next.IsZero() {
		l.askTimer.Stop()
	} else {
		l.askTimer.StartAt(next)
	}
	l.sendQuestions(due)
}

// sendQuestions sends questions with the answers that are known (RFC 6762
// Sections 7.1 and 7.2).
func (l *link) sendQuestions(qs []*question) {
	w := &l.m.w
	for len(qs) > 0 {
		n := 0
		w.start(0, 0, l.room)
		for n < len(qs) && w.question(Question{qs[n].name, qs[n].typ, ClassIN, l.m.cfg.Exclusive && qs[n].period <= firstPeriod}) {
			n++
		}
		if n == 0 { // not with names of 255 bytes and packets of 500
			return
		}
		for _, q := range qs[:n] {
			for _, e := range l.said(q.key.name, q.typ) {
				if !e.fresh() {
					continue
				}
				r := e.left()
				r.Flush = false
				if w.record(sectionAnswer, r) {
					continue
				}
				w.setFlag(flagTruncated)
				l.multicast()
				w.start(0, 0, l.room)
				w.record(sectionAnswer, r)
			}
		}
		l.multicast()
		qs = qs[n:]
	}
}

// questionsHeard takes the questions of another: one that is about to be asked
// here too need not be (RFC 6762 Section 7.3), and what is not answered may be
// no more (Section 10.5).
func (l *link) questionsHeard(msg *Message, multicast bool) {
	if !multicast || msg.Truncated || len(msg.Questions) == 0 || len(msg.Authorities) > 0 {
		return
	}
	known := map[id]bool{}
	for _, r := range msg.Answers {
		known[r.id()] = true
	}
	for _, q := range msg.Questions {
		if q.Unicast { // the answer is not for us to hear
			continue
		}
		l.suppress(q, msg.Answers)
		for _, e := range l.heard.byName[q.Name.key()] {
			if (e.Type == q.Type || q.Type == TypeANY) && !known[e.key] {
				e.asked()
			}
		}
	}
}

// suppress takes another's question for our own if that is about to be asked
// and the other asks for no less than we would.
func (l *link) suppress(q Question, known []Record) {
	k, now := topicKey{q.Name.key(), q.Type}, l.m.now()
	mine := l.questions[k]
	if mine == nil || q.Class != ClassIN || mine.due.Sub(now) > firstPeriod || l.settled(k) {
		return
	}
	for _, r := range known {
		if r.Type == q.Type && r.Name.Equal(q.Name) {
			if e := l.heard.byID[r.id()]; e == nil || !e.fresh() {
				return
			}
		}
	}
	l.m.counters.Duplicates++
	mine.next(now)
}
