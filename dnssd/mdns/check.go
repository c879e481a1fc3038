package mdns

import (
	"time"

	"gatewayd/alarm"
)

// LinkStatus is what was seen on a link.
type LinkStatus struct {
	Iface    int
	Name     string
	Since    time.Time
	Sent     uint64
	LastSent time.Time // multicast
	// Own multicasts that came back: the host lets them out and in again.
	Looped4, Looped6 time.Time
	// What came from other hosts, and from other processes of this one.
	Heard, HeardHere time.Time
	Names            int // that are established
	Probing          int
	Cached           int
}

// Links are the links' status.
func (m *Machine) Links() []LinkStatus {
	var all []LinkStatus
	for _, l := range m.links {
		s := l.status
		s.Iface, s.Name, s.Cached = l.Index, l.Name, len(l.heard.byID)
		for _, c := range m.claims {
			if p := c.at(l); p != nil && p.live {
				s.Names++
			} else if p != nil {
				s.Probing++
			}
		}
		all = append(all, s)
	}
	return all
}

// Visibility is what a Check found on a link. A family that the link does not
// have is all false.
type Visibility struct {
	Iface          int
	Name           Name // what was asked for; empty: nothing is published there
	V4, V6         bool // families that the link has
	Asked4, Asked6 bool // the question came back
	Seen4, Seen6   bool // the answer to it came back
}

// OK reports whether all that can be seen was.
func (v Visibility) OK() bool { return (v.V4 || v.V6) && v.OK4() && v.OK6() }

// OK4 reports whether all that can be seen by IPv4 was.
func (v Visibility) OK4() bool { return !v.V4 || v.Asked4 && (v.Seen4 || v.Name == "") }

// OK6 reports whether all that can be seen by IPv6 was.
func (v Visibility) OK6() bool { return !v.V6 || v.Asked6 && (v.Seen6 || v.Name == "") }

// checkTime is what an answer may take: the delay of shared records, and a
// second if it was given just before.
const checkTime = 2500 * time.Millisecond

// check is one in progress on a link.
type check struct {
	Visibility
	r     *rr
	timer *alarm.Timer
}

// Check multicasts a question for a name of ours on each link, answers it when
// it comes back, and looks whether the answer does. Done is called once, when
// 2.5 s are over or all was seen, with the links in the order of SetInterfaces.
// A second Check on the way ends the first as it stands.
func (m *Machine) Check(done func([]Visibility)) {
	defer m.enter()()
	links := append([]*link(nil), m.links...)
	out := make([]Visibility, len(links))
	left := len(links)
	if left == 0 {
		m.later(func() { done(nil) })
	}
	for i, l := range links {
		if l.check != nil {
			l.check.end()
		}
		k := &check{Visibility: Visibility{Iface: l.Index, V4: l.V4, V6: l.V6}}
		k.r = l.checkable()
		q := Question{enumeration, TypePTR, ClassIN, false}
		if k.r != nil {
			k.Name = k.r.Name
			q = Question{k.r.Name, k.r.Type, ClassIN, false}
		}
		over := func() {
			l.check = nil
			out[i] = k.Visibility
			if left--; left == 0 {
				m.later(func() { done(out) })
			}
		}
		k.timer = m.timer(over)
		k.timer.Start(checkTime)
		l.check = k
		m.w.start(0, 0, l.room)
		m.w.question(q)
		l.multicast()
	}
}

// end has the check's timer act now.
func (k *check) end() { k.timer.Start(0) }

// checkable is a unique record that is published on the link, the first by
// name.
func (l *link) checkable() (best *rr) {
	for _, c := range l.m.claims {
		for _, r := range c.records {
			if r.Flush && r.Name.Equal(c.name) && r.live(l) && (best == nil || r.Name.key() < best.Name.key()) {
				best = r
			}
		}
	}
	return best
}

// looped takes an own packet that came back.
func (l *link) looped(v6 bool, b []byte) {
	if v6 {
		l.status.Looped6 = l.m.now()
	} else {
		l.status.Looped4 = l.m.now()
	}
	k := l.check
	if k == nil {
		return
	}
	msg, err := DecodeMessage(b)
	if err != nil {
		return
	}
	if !msg.Response {
		for _, q := range msg.Questions {
			if k.r != nil && q.Type == k.r.Type && q.Name.Equal(k.Name) || k.r == nil && q.Name.Equal(enumeration) {
				k.Asked4, k.Asked6 = k.Asked4 || !v6, k.Asked6 || v6
				if k.r != nil && l.m.claims[k.Name.key()] == k.r.claim {
					l.answerBy(k.r, 0, answerGap, true)
				}
			}
		}
	}
	for _, rs := range [][]Record{msg.Answers, msg.Additionals} {
		for _, r := range rs {
			if msg.Response && k.r != nil && r.id() == k.r.id() {
				k.Seen4, k.Seen6 = k.Seen4 || !v6, k.Seen6 || v6
			}
		}
	}
	if k.OK() {
		k.end()
	}
}
