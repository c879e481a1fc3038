package mdns

import (
	"container/list"
	"slices"
	"time"

	"gatewayd/alarm"
)

// Specification constants.
const (
	flushDelay = time.Second // RFC 6762 Sections 10.1 and 10.2
	// A record that others ask for in vain is asked for by us, and goes if that
	// is in vain too (Section 10.5).
	unansweredMost = 2
	unansweredTime = 10 * time.Second
)

// Implementation constants.
const (
	maxDoubts = 3 // questions for a record that seems to be no more
	doubtGap  = 3 * time.Second
	// lostMin and lostMax are how long after a record of a shared set has gone
	// the set is asked for: it may have gone for the loss of packets.
	lostMin = 10 * time.Second
	lostMax = 30 * time.Second
)

// maxTTL bounds how long a record is believed, whatever its TTL.
const maxTTL = 24 * time.Hour

// cache has what others said, on all links.
type cache struct {
	m *Machine
	// old records first; those that nobody here asked for go first.
	idle, wanted *list.List
}

func (c *cache) init(m *Machine) { c.m, c.idle, c.wanted = m, list.New(), list.New() }

// linkCache has what was said on a link.
type linkCache struct {
	byID   map[id]*cached
	byName map[string][]*cached
}

// cached is a record of another.
type cached struct {
	Record
	link    *link
	key     id
	heard   time.Time
	expires time.Time
	step    int // of the questions before it expires
	timer   *alarm.Timer
	in      *list.List
	elem    *list.Element

	unanswered   int       // questions of others
	doubts       int       // questions of ours that are left before it goes for that
	unansweredAt time.Time // the last of them
}

// refresh is when to ask for a record again, in hundredths of its TTL
// (RFC 6762 Section 5.2).
var refresh = [...]int{80, 85, 90, 95}

// add takes a record.
func (c *cache) add(l *link, r *Record) {
	if l.heard.byID == nil {
		l.heard = linkCache{map[id]*cached{}, map[string][]*cached{}}
	}
	k, now := r.id(), c.m.now()
	if r.Flush {
		// All but what came within the last second, which is of the same set.
		for _, o := range l.heard.byName[k.name] {
			if o.Type == r.Type && o.key != k && now.Sub(o.heard) > flushDelay {
				o.expireIn(flushDelay)
			}
		}
	}
	e := l.heard.byID[k]
	if r.TTL == 0 {
		if e != nil {
			e.expireIn(flushDelay)
		}
		return
	}
	if e == nil {
		e = &cached{link: l, key: k}
		e.timer = c.m.timer(e.fire)
		l.heard.byID[k] = e
		l.heard.byName[k.name] = append(l.heard.byName[k.name], e)
		defer func() {
			c.limit()
			c.m.changed(l, k.name, k.typ)
		}()
	}
	e.Record = *r
	e.TTL = min(e.TTL, maxTTL)
	e.heard, e.expires, e.step, e.unanswered, e.doubts = now, now.Add(e.TTL), 0, 0, 0
	c.place(e)
	e.plan()
}

// place puts a record last in its list.
func (c *cache) place(e *cached) {
	in := c.idle
	if c.m.isWanted(e.key.name, e.key.typ) {
		in = c.wanted
	}
	if e.in != nil {
		e.in.Remove(e.elem)
	}
	e.in, e.elem = in, in.PushBack(e)
}

// len is the number of records.
func (c *cache) len() int { return c.idle.Len() + c.wanted.Len() }

// limit evicts what is too much.
func (c *cache) limit() {
	for c.len() > c.m.cfg.CacheLimit {
		e := c.idle.Front()
		if e == nil {
			e = c.wanted.Front()
		}
		c.m.counters.Evicted++
		e.Value.(*cached).remove()
	}
}

// plan starts the timer for what comes next in the record's life.
func (e *cached) plan() {
	if e.step < len(refresh) && e.link.m.isWanted(e.key.name, e.key.typ) {
		at := e.TTL * time.Duration(refresh[e.step]) / 100
		at += e.link.m.random(0, e.TTL/50+1)
		if at := e.heard.Add(at); at.Before(e.expires) {
			e.timer.StartAt(at)
			return
		}
	}
	e.step = len(refresh)
	e.timer.StartAt(e.expires)
}

// replan is plan for a record that nobody has wanted until now.
func (e *cached) replan() {
	if !e.expires.Equal(e.heard.Add(e.TTL)) {
		return // it is going soon
	}
	age := e.link.m.now().Sub(e.heard)
	for e.step = 0; e.step < len(refresh) && age >= e.TTL*time.Duration(refresh[e.step])/100; {
		e.step++
	}
	e.plan()
}

func (e *cached) fire() {
	if !e.link.m.now().Before(e.expires) {
		e.remove()
		return
	}
	e.link.askSoon(topicKey{e.key.name, e.key.typ}, 0)
	if e.doubts > 0 {
		e.doubts--
		at := e.link.m.now().Add(doubtGap)
		if e.doubts == 0 || at.After(e.expires) {
			at = e.expires
		}
		e.timer.StartAt(at)
		return
	}
	e.step++
	e.plan()
}

// expireIn lets a record go soon, if it does not come again.
func (e *cached) expireIn(d time.Duration) {
	if at := e.link.m.now().Add(d); at.Before(e.expires) {
		e.expires = at
		e.step, e.doubts = len(refresh), 0
		e.timer.StartAt(at)
	}
}

func (e *cached) remove() {
	e.timer.Stop()
	e.in.Remove(e.elem)
	l := e.link
	delete(l.heard.byID, e.key)
	rest := slices.DeleteFunc(l.heard.byName[e.key.name], func(o *cached) bool { return o == e })
	if l.heard.byName[e.key.name] = rest; len(rest) == 0 {
		delete(l.heard.byName, e.key.name)
	}
	if k := (topicKey{e.key.name, e.key.typ}); !unshared(e.key.typ) && l.questions[k] != nil {
		l.askSoon(k, l.m.random(lostMin, lostMax))
	}
	l.m.changed(l, e.key.name, e.key.typ)
}

// dropLink forgets what was said on a link.
func (c *cache) dropLink(l *link) {
	for len(l.heard.byName) > 0 {
		for _, es := range l.heard.byName {
			for _, e := range slices.Clone(es) {
				e.remove()
			}
		}
	}
}

// said are the records of a name and type that are known on the link, oldest
// first.
func (l *link) said(name string, typ uint16) (es []*cached) {
	for _, e := range l.heard.byName[name] {
		if e.Type == typ {
			es = append(es, e)
		}
	}
	return es
}

// left is the record as known now, with what is left of its TTL.
func (e *cached) left() Record {
	r := e.Record
	r.TTL = max(e.expires.Sub(e.link.m.now()), 0).Truncate(time.Second)
	return r
}

// fresh reports whether at least half of the TTL is left, so that others need
// not say the record again (RFC 6762 Section 7.1).
func (e *cached) fresh() bool { return e.expires.Sub(e.link.m.now()) > e.TTL/2 }

// asked is when another asks for the record and does not know it. Others that
// heard the question do as we do: what is asked because of it must not count
// for ever.
func (e *cached) asked() {
	m := e.link.m
	if m.within(e.unansweredAt, answerGap) {
		return // a copy, or answered by the same answer
	}
	if !m.within(e.unansweredAt, unansweredTime) {
		e.unanswered = 0
	}
	e.unansweredAt = m.now()
	if e.unanswered++; e.unanswered == unansweredMost && e.doubts == 0 {
		e.expireIn(unansweredTime)
		e.doubts = maxDoubts
		e.timer.Start(m.random(askMin, askMax))
	}
}
