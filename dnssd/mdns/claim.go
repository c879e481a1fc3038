package mdns

import (
	"slices"
	"time"
)

// claim is a name that is to be ours alone, and all records that depend on it,
// those of a service's type too.
type claim struct {
	m       *Machine
	reg     *Registration
	ask     string // what of the registration
	name    Name
	records []*rr
	nsecs   []*rr // made when needed
	on      []*presence
	gone    bool
}

// presence is a claim on a link.
type presence struct {
	link  *link
	live  bool
	batch *batch // that probes or announces it, if any
}

// rr is a record of ours.
type rr struct {
	Record
	only  *link  // nil: on every link
	claim *claim // nil: of the enumeration of types
	pos   int    // in Machine.records
	said  []said
	// services is, of the enumeration, how many have the type.
	services int
}

// said is when a record was last multicast on a link.
type said struct {
	link *link
	at   time.Time
}

func (r *rr) saidOn(l *link) time.Time {
	for i := range r.said {
		if r.said[i].link == l {
			return r.said[i].at
		}
	}
	return time.Time{}
}

func (r *rr) say(l *link) {
	now := l.m.now()
	for i := range r.said {
		if r.said[i].link == l {
			r.said[i].at = now
			return
		}
	}
	r.said = append(r.said, said{l, now})
}

func (r *rr) unsay(l *link) {
	r.said = slices.DeleteFunc(r.said, func(s said) bool { return s.link == l })
}

// live reports whether the record is to be answered with on a link.
func (r *rr) live(l *link) bool {
	if r.only != nil && r.only != l {
		return false
	}
	if r.claim == nil {
		return l.types[r] > 0
	}
	p := r.claim.at(l)
	return p != nil && p.live
}

func (c *claim) at(l *link) *presence {
	for _, p := range c.on {
		if p.link == l {
			return p
		}
	}
	return nil
}

// join begins the claim on a link.
func (c *claim) join(l *link) {
	p := &presence{link: l}
	c.on = append(c.on, p)
	l.probe(c)
}

// leave ends the claim on a link without a word.
func (c *claim) leave(l *link) {
	p := c.at(l)
	if p == nil {
		return
	}
	c.setLive(p, false)
	c.on = slices.DeleteFunc(c.on, func(o *presence) bool { return o == p })
	for _, r := range c.records {
		r.unsay(l)
	}
	c.nsecs = slices.DeleteFunc(c.nsecs, func(r *rr) bool { return r.only == l })
}

// setLive keeps count of the live services of a type.
func (c *claim) setLive(p *presence, live bool) {
	if p.live == live {
		return
	}
	p.live = live
	c.tell(p.link, c.records)
	if t := c.enumerated(); t != nil {
		if live {
			p.link.types[t]++
		} else if p.link.types[t]--; p.link.types[t] <= 0 {
			delete(p.link.types, t)
		}
		if n := p.link.types[t]; n == 0 || n == 1 && live {
			c.tell(p.link, []*rr{t})
		}
	}
}

// tell tells those who browse here.
func (c *claim) tell(l *link, rs []*rr) {
	for _, r := range rs {
		c.m.changed(l, r.Name.key(), r.Type)
	}
}

// enumerated is the record that lists the service's type; nil for a host.
func (c *claim) enumerated() *rr {
	if c.ask == "" {
		return nil
	}
	_, typ := c.name.first()
	return c.m.types[typ.key()]
}

// listType has a service's type listed for as long as there are services of
// it, and unlistType ends that.
func (c *claim) listType() {
	if c.ask == "" {
		return
	}
	t := c.enumerated()
	if t == nil {
		_, typ := c.name.first()
		t = &rr{Record: Record{enumeration, TypePTR, ClassIN, false, otherTTL, string(typ)}}
		c.m.types[typ.key()] = t
		c.m.index(t)
	}
	t.services++
}

func (c *claim) unlistType() {
	t := c.enumerated()
	if t == nil {
		return
	}
	if t.services--; t.services == 0 {
		delete(c.m.types, t.Target().key())
		c.m.unindex(t)
	}
}

// retire gives the name up, with a goodbye where it was known.
func (c *claim) retire() {
	for _, p := range slices.Clone(c.on) {
		if p.live {
			c.goodbye(p.link, c.records)
		}
		c.leave(p.link)
	}
	for _, r := range c.records {
		c.m.unindex(r)
	}
	c.gone = true
	c.unlistType()
	delete(c.m.claims, c.name.key())
}

// replace changes the claim's records, and says so on links where it is live.
func (c *claim) replace(want []*rr) {
	type key struct {
		id
		only *link
		ttl  time.Duration
	}
	old := map[key]*rr{}
	for _, r := range c.records {
		old[key{r.id(), r.only, r.TTL}] = r
	}
	var news []*rr
	stay := map[id]bool{}
	for i, r := range want {
		k := key{r.id(), r.only, r.TTL}
		stay[k.id] = true
		if o := old[k]; o != nil {
			want[i] = o
			delete(old, k)
			continue
		}
		r.claim = c
		news = append(news, r)
	}
	var lost []*rr
	for _, r := range c.records {
		if old[key{r.id(), r.only, r.TTL}] == r {
			c.m.unindex(r)
			if !stay[r.id()] {
				lost = append(lost, r)
			}
		}
	}
	c.records = want
	for _, r := range news {
		c.m.index(r)
	}
	if len(lost) == 0 && len(news) == 0 {
		return
	}
	c.nsecs = nil
	for _, p := range c.on {
		if p.live {
			// What remains of a unique set flushes the rest of it.
			c.goodbye(p.link, slices.DeleteFunc(slices.Clone(lost), func(r *rr) bool {
				return r.Flush && slices.ContainsFunc(want, func(o *rr) bool {
					return o.Type == r.Type && o.Name.Equal(r.Name) && (o.only == nil || o.only == p.link)
				})
			}))
			p.link.announce(c, news, lost)
			c.tell(p.link, news)
			c.tell(p.link, lost)
		}
	}
}

// goodbye has the records said with a TTL of zero (RFC 6762 Section 10.1).
func (c *claim) goodbye(l *link, rs []*rr) {
	if p := c.at(l); p == nil || !p.live {
		return
	}
	for _, r := range rs {
		if r.only == nil || r.only == l {
			l.forget(r)
			g := r.Record
			g.TTL = 0
			l.goodbyes = append(l.goodbyes, g)
		}
	}
	if t := c.enumerated(); t != nil && l.types[t] == 1 && len(rs) == len(c.records) {
		l.forget(t)
		g := t.Record
		g.TTL = 0
		l.goodbyes = append(l.goodbyes, g)
	}
}

// nsec is the record that says which types the name has on a link (RFC 6762
// Section 6.1); nil if it has none, which cannot be said.
func (c *claim) nsec(l *link) *rr {
	for _, r := range c.nsecs {
		if r.only == l {
			return r
		}
	}
	ttl := hostTTL
	var types []uint16
	for _, r := range c.records {
		if (r.only == nil || r.only == l) && r.Name.Equal(c.name) {
			types = append(types, r.Type)
			ttl = r.TTL
		}
	}
	if len(types) == 0 {
		return nil
	}
	r := &rr{
		Record: Record{c.name, TypeNSEC, ClassIN, true, ttl, string(c.name) + bitmap(types)},
		only:   l, claim: c,
	}
	c.nsecs = append(c.nsecs, r)
	return r
}

// index and unindex keep Machine.records.
func (m *Machine) index(r *rr) {
	k := r.Name.key()
	r.pos = len(m.records[k])
	m.records[k] = append(m.records[k], r)
}

func (m *Machine) unindex(r *rr) {
	for _, l := range m.links {
		l.forget(r)
	}
	k := r.Name.key()
	rs := m.records[k]
	last := len(rs) - 1
	rs[r.pos] = rs[last]
	rs[r.pos].pos = r.pos
	rs[last] = nil
	if last == 0 {
		delete(m.records, k)
		return
	}
	m.records[k] = rs[:last]
}
