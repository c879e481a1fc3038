package mdns

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gatewayd/alarm"
)

// Specification constants (RFC 6762 Section 8).
const (
	probeDelay   = 250 * time.Millisecond // at most, before the first
	probeGap     = 250 * time.Millisecond
	probes       = 3
	announceGap  = time.Second
	announces    = 2
	probeDefer   = time.Second // after losing a tie
	stormCount   = 15          // conflicts within stormTime slow probing down
	stormTime    = 10 * time.Second
	stormBackoff = 5 * time.Second
)

// Implementation constants. Ten thousand names are probed for in 8 s.
const (
	batchSize = 64
	batchGap  = 50 * time.Millisecond
)

// storm counts conflicts: those within stormTime of the first, and once there
// were stormCount, those within stormTime of the last.
type storm struct {
	since time.Time
	n     int
}

func (s *storm) conflict(now time.Time) {
	if now.Sub(s.since) >= stormTime {
		s.n = 0
	}
	if s.n++; s.n == 1 || s.n >= stormCount {
		s.since = now
	}
}

// rages reports whether to probe slowly.
func (s *storm) rages(now time.Time) bool { return s.n >= stormCount && now.Sub(s.since) < stormTime }

// batch is names of a link that are probed for, and later announced, together.
type batch struct {
	link   *link
	claims []*claim
	step   int
	update bool // of one live name, whose records have changed
	timer  *alarm.Timer
}

// probe begins to probe for a name.
func (l *link) probe(c *claim) {
	p := c.at(l)
	c.setLive(p, false)
	p.batch = nil
	l.waiting = append(l.waiting, c)
	if !l.probeTimer.Running() {
		d := l.m.random(0, probeDelay)
		if l.m.storm.rages(l.m.now()) {
			d += stormBackoff
		}
		l.probeTimer.Start(d)
	}
}

// startBatch probes for the names that wait.
func (l *link) startBatch() {
	b := &batch{link: l}
	n := 0
	for _, c := range l.waiting {
		if n++; !c.gone && !slices.Contains(b.claims, c) {
			if p := c.at(l); p != nil && !p.live && p.batch == nil {
				p.batch = b
				b.claims = append(b.claims, c)
			}
		}
		if len(b.claims) == batchSize {
			break
		}
	}
	l.waiting = slices.Delete(l.waiting, 0, n)
	if len(l.waiting) == 0 {
		l.waiting = nil
	} else {
		l.probeTimer.Start(batchGap)
	}
	if len(b.claims) > 0 {
		b.timer = l.m.timer(b.next)
		b.next()
	}
}

// next is the batch's next probe or announcement.
func (b *batch) next() {
	l := b.link
	if l.gone() {
		return
	}
	b.claims = slices.DeleteFunc(b.claims, func(c *claim) bool {
		p := c.at(l)
		return c.gone || p == nil || p.batch != b
	})
	if len(b.claims) == 0 {
		return
	}
	b.step++
	if b.step <= probes {
		l.sendProbes(b.claims)
		b.timer.Start(probeGap)
		return
	}
	var rs []*rr
	for _, c := range b.claims {
		if b.step == probes+1 && !b.update {
			c.established(l)
		}
		rs = append(rs, c.announced(l)...)
	}
	l.send(rs, true)
	if b.step < probes+announces {
		b.timer.Start(announceGap)
		return
	}
	for _, c := range b.claims {
		c.at(l).batch = nil
	}
}

// established is when nobody objected to the name on a link.
func (c *claim) established(l *link) {
	c.m.counters.Probed++
	c.setLive(c.at(l), true)
	if c.reg.state(c.ask) == Established {
		c.reg.changed()
	}
}

// announced is what an announcement says of the name.
func (c *claim) announced(l *link) (rs []*rr) {
	for _, r := range c.records {
		if r.live(l) {
			rs = append(rs, r)
		}
	}
	return rs
}

// announce says twice what is new of a live name: the records that came, and
// what is left of the sets that lost some. A name that was announced within a
// second has to wait (RFC 6762 Section 8.4 with Section 6).
func (l *link) announce(c *claim, news, lost []*rr) {
	p := c.at(l)
	if p.batch != nil && p.batch.update {
		p.batch.step = probes // twice more
		return
	}
	var rs []*rr
	for _, r := range c.records {
		if !r.live(l) {
			continue
		}
		same := func(o *rr) bool {
			return r.Flush && o.Type == r.Type && o.Name.Equal(r.Name) && (o.only == nil || o.only == l)
		}
		if slices.Contains(news, r) || slices.ContainsFunc(news, same) || slices.ContainsFunc(lost, same) {
			rs = append(rs, r)
		}
	}
	if len(rs) == 0 {
		return
	}
	b := &batch{link: l, claims: []*claim{c}, step: probes, update: true}
	if p.batch == nil { // else it has just been announced for the first time
		l.send(rs, true)
		b.step++
	}
	p.batch = b
	b.timer = l.m.timer(b.next)
	b.timer.Start(announceGap)
}

// changed tells the owner, once it may act.
func (r *Registration) changed() {
	if r.opt.Changed != nil {
		f := r.opt.Changed
		r.m.later(func() { f(r) })
	}
}

// sendProbes asks for names and says what we want to say of them (RFC 6762
// Section 8.2). A name and its records share a packet.
func (l *link) sendProbes(claims []*claim) {
	w := &l.m.w
	room := l.room
	if len(claims) == 1 {
		room = maxPacket - 48 // there is no smaller packet
	}
	w.start(0, 0, room)
	fits := true
	for _, c := range claims {
		fits = fits && w.question(Question{c.name, TypeANY, ClassIN, l.m.cfg.Exclusive})
	}
	for _, c := range claims {
		for _, r := range c.proposed(l) {
			r.Flush = false // RFC 6762 Section 10.2: not in queries
			fits = fits && w.record(sectionAuthority, r)
		}
	}
	if !fits && len(claims) > 1 {
		half := len(claims) / 2
		l.sendProbes(claims[:half])
		l.sendProbes(claims[half:])
		return
	}
	l.multicast()
}

// proposed is what the name is to have on a link.
func (c *claim) proposed(l *link) (rs []Record) {
	for _, r := range c.records {
		if r.Flush && r.Name.Equal(c.name) && (r.only == nil || r.only == l) {
			rs = append(rs, r.Record)
		}
	}
	return rs
}

// tieBreak compares another's probe with ours; the lexicographically later one
// wins (RFC 6762 Section 8.2). The loser waits a second and probes again.
func (l *link) tieBreak(c *claim, theirs []Record) {
	p := c.at(l)
	if p == nil || p.live || p.batch == nil {
		return
	}
	if slices.CompareFunc(sorted(c.proposed(l)), sorted(theirs), lexical) >= 0 {
		return
	}
	l.m.counters.Deferred++
	p.batch = nil
	l.m.timer(func() {
		if !c.gone && c.at(l) == p && !p.live && p.batch == nil {
			l.probe(c)
		}
	}).Start(probeDefer)
}

func sorted(rs []Record) []Record {
	rs = slices.Clone(rs)
	slices.SortFunc(rs, lexical)
	return rs
}

// lexical is the order of RFC 6762 Section 8.2.
func lexical(a, b Record) int {
	return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Type, b.Type), strings.Compare(a.Data, b.Data))
}

// conflict is when somebody else says something of a name that is or is to be
// ours (RFC 6762 Section 9).
func (c *claim) conflict(l *link) {
	m, p := c.m, c.at(l)
	m.counters.Conflicts++
	m.storm.conflict(m.now())
	if p.live {
		// Who loses the probing that follows takes another name.
		l.probe(c)
		return
	}
	r := c.reg
	r.attempts[c.ask]++
	con := Conflict{Owner: r.owner, Iface: l.Index, Requested: r.host.Name, Current: r.label, Count: r.attempts[c.ask]}
	if c.ask != "" {
		s := r.service(c.ask)
		con.Type, con.Requested, con.Current = s.Type, s.Instance, r.labels[c.ask]
	}
	label, again := r.nextLabel(con)
	switch {
	case !again:
		r.givenUp[c.ask] = true
	case c.ask == "":
		r.label = label
	default:
		r.labels[c.ask] = label
	}
	r.apply()
	r.changed()
}

// maxRenames is how often a name may be in conflict before it is given up.
const maxRenames = 1000

// nextLabel is a label that nobody here has.
func (r *Registration) nextLabel(con Conflict) (string, bool) {
	rename := r.opt.Rename
	if rename == nil {
		rename = func(c Conflict) (string, bool) { return NextLabel(c), true }
	}
	for range maxRenames {
		label, again := rename(con)
		if !again || !goodLabel(label) || con.Count > maxRenames {
			return "", false
		}
		n, err := MakeName(label, "local")
		if con.Type != "" {
			n, err = instanceName(label, con.Type)
		}
		if err != nil {
			return "", false
		}
		if r.m.claims[n.key()] == nil {
			return label, true
		}
		con.Current = label
		con.Count++
	}
	return "", false
}

// NextLabel is "name-2" after "name" and "name-3" after "name-2"; for services
// "name (2)" and "name (3)" (RFC 6763 Appendix D). It is cut to 63 bytes.
func NextLabel(c Conflict) string {
	open, end := "-", ""
	if c.Type != "" {
		open, end = " (", ")"
	}
	base, n := c.Current, 2
	if at := strings.LastIndex(base, open); at > 0 && strings.HasSuffix(base, end) {
		digits := base[at+len(open) : len(base)-len(end)]
		if k, err := strconv.Atoi(digits); err == nil && k >= 2 && k < 1<<30 && digits[0] != '0' && digits[0] != '+' {
			// "sensor-7" was asked for; that is no count of ours.
			if base != c.Requested || c.Type != "" {
				base, n = base[:at], k+1
			}
		}
	}
	suffix := open + strconv.Itoa(n) + end
	for len(base)+len(suffix) > maxLabel {
		_, size := utf8.DecodeLastRuneInString(base)
		base = base[:len(base)-size]
	}
	return base + suffix
}
