package mdns

import (
	"slices"
	"time"

	"gatewayd/alarm"
)

// A Query is a question asked once, for a discovery proxy (RFC 8766) or a
// command.
type Query struct {
	Name  Name
	Types []uint16 // not TypeANY
	Iface int      // 0: on all links
	// Timeout is when to give up; 0 stands for 6 s.
	Timeout time.Duration
	// Settle is how long to wait for more after the first answer of a shared
	// set, PTR; 0 stands for 500 ms. Unique sets are complete at once.
	Settle time.Duration
}

// An Answer is what came of a Query: the records of the name, and those that
// lead on from them, with what is left of their TTLs. Flush is not set.
type Answer struct {
	Records     []Record
	Additionals []Record
	Denied      bool // somebody has the name, and said that there are no such records
}

// Implementation constants.
const (
	queryTimeout = 6 * time.Second
	querySettle  = 500 * time.Millisecond
)

// Lookup is a Query in progress.
type Lookup struct {
	m           *Machine
	q           Query
	done        func(Answer)
	subs        []*sub
	over, timer *alarm.Timer
	ended       bool
	marked      bool
}

// Query asks. Done is called once, at the latest when the time is over, and
// not after Cancel. What the machine itself publishes is among the answers.
func (m *Machine) Query(q Query, done func(Answer)) *Lookup {
	if q.Timeout <= 0 {
		q.Timeout = queryTimeout
	}
	if q.Settle <= 0 {
		q.Settle = querySettle
	}
	lk := &Lookup{m: m, q: q, done: done}
	defer m.enter()()
	lk.over, lk.timer = m.timer(lk.end), m.timer(lk.end)
	lk.over.Start(q.Timeout)
	for _, typ := range q.Types {
		lk.subs = append(lk.subs, m.subscribe(q.Name, typ, func(*link) { lk.mark() }))
	}
	lk.mark()
	return lk
}

// Cancel ends the query; done is not called.
func (lk *Lookup) Cancel() {
	defer lk.m.enter()()
	lk.stop()
}

func (lk *Lookup) stop() {
	lk.ended = true
	lk.over.Stop()
	lk.timer.Stop()
	for _, s := range lk.subs {
		lk.m.unsubscribe(s)
	}
	lk.subs = nil
}

// end calls back with what there is.
func (lk *Lookup) end() {
	if lk.ended {
		return
	}
	a := lk.answer()
	lk.stop()
	lk.m.later(func() { lk.done(a) })
}

// mark has the answers looked at once the packet is done with.
func (lk *Lookup) mark() {
	if lk.marked {
		return
	}
	lk.marked = true
	lk.m.later(func() {
		lk.marked = false
		if !lk.ended {
			lk.look()
		}
	})
}

func (lk *Lookup) look() {
	defer lk.m.enter()()
	a := lk.answer()
	complete, any := true, len(a.Records) > 0
	for _, typ := range lk.q.Types {
		there := slices.ContainsFunc(a.Records, func(r Record) bool { return r.Type == typ })
		complete = complete && (there || lk.denied(typ)) && unshared(typ)
	}
	switch {
	case complete && any:
		lk.end()
	case (any || complete) && !lk.timer.Running():
		// More may come; on another link than one that denies, too.
		lk.timer.Start(lk.q.Settle)
	}
}

func (lk *Lookup) on(l *link) bool { return lk.q.Iface == 0 || lk.q.Iface == l.Index }

// denied reports whether somebody has the name but nothing of a type.
func (lk *Lookup) denied(typ uint16) bool {
	k := lk.q.Name.key()
	for _, l := range lk.m.links {
		if !lk.on(l) {
			continue
		}
		if slices.ContainsFunc(l.said(k, TypeNSEC), func(e *cached) bool { return e.denies(typ) }) {
			return true
		}
		if c := lk.m.claims[k]; c != nil && c.at(l) != nil && c.at(l).live {
			if r := c.nsec(l); r != nil && r.denies(typ) {
				return true
			}
		}
	}
	return false
}

// answer is what is known now.
func (lk *Lookup) answer() (a Answer) {
	seen := map[id]bool{}
	asked := lk.gather(seen, lk.q.Name, lk.q.Types...)
	a.Records = asked
	for i := 0; i < len(asked)+len(a.Additionals); i++ {
		r := append(asked[:len(asked):len(asked)], a.Additionals...)[i]
		switch r.Type {
		case TypePTR:
			a.Additionals = append(a.Additionals, lk.gather(seen, r.Target(), TypeSRV, TypeTXT)...)
		case TypeSRV:
			a.Additionals = append(a.Additionals, lk.gather(seen, r.Target(), TypeAAAA, TypeA)...)
		}
	}
	a.Denied = len(a.Records) == 0 && slices.ContainsFunc(lk.q.Types, lk.denied)
	return a
}

// gather are the records of a name that are known, ours included.
func (lk *Lookup) gather(seen map[id]bool, n Name, types ...uint16) (rs []Record) {
	add := func(r Record) {
		if !seen[r.id()] && slices.Contains(types, r.Type) {
			seen[r.id()] = true
			r.Flush = false
			rs = append(rs, r)
		}
	}
	k := n.key()
	for _, l := range lk.m.links {
		if !lk.on(l) {
			continue
		}
		for _, r := range lk.m.records[k] {
			if r.live(l) {
				add(r.Record)
			}
		}
		for _, e := range l.heard.byName[k] {
			add(e.left())
		}
	}
	return rs
}
