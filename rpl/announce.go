package rpl

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
)

// Timing of DAOs. DEFAULT_DAO_DELAY is RFC 6550's (Section 17), the others are
// ours.
const (
	daoDelay      = time.Second
	daoRetry      = 2 * time.Second
	daoTries      = 4
	maxDAORetry   = 5 * time.Minute
	daoChunk      = 12 // targets in one message
	maxWithdrawn  = 64
	maxStaleInRow = 2 * sequenceWindow
	oldParentTime = 10 * time.Second
	rejectedTime  = 30 * time.Second
	maxPending    = 100 // of the 256 sequence numbers
)

// announcer sends a node's DAOs: its own targets, in storing mode those of its
// children, and the withdrawal of either (RFC 6550 Sections 9.2 to 9.8).
type announcer struct {
	n        *Node
	sequence uint8 // DAOSequence
	path     uint8 // path sequence of our own targets
	ownDirty bool
	gone     map[netip.Prefix]Transit // to be withdrawn

	delay   *alarm.Timer
	retry   *alarm.Timer
	refresh *alarm.Timer
	tries   int
	pending map[uint8][]netip.Prefix // by DAOSequence, what is not acknowledged
	stale   int                      // answers in a row that our sequence is old

	old     *neighbor // storing mode: the parent before, which has routes to us still
	oldLeft *alarm.Timer
}

func (a *announcer) init(n *Node) {
	*a = announcer{
		n: n, sequence: InitialSequence, path: InitialSequence,
		gone: make(map[netip.Prefix]Transit), pending: make(map[uint8][]netip.Prefix),
	}
	a.delay = n.cfg.Clock.NewTimer(a.send)
	a.retry = n.cfg.Clock.NewTimer(a.again)
	a.refresh = n.cfg.Clock.NewTimer(a.announceOwn)
	a.oldLeft = n.cfg.Clock.NewTimer(a.leaveOld)
}

func (a *announcer) stop() {
	for _, t := range []*alarm.Timer{a.delay, a.retry, a.refresh, a.oldLeft} {
		t.Stop()
	}
	a.tries, a.stale, a.ownDirty, a.old = 0, 0, false, nil
	clear(a.pending)
	clear(a.gone)
}

// schedule sends what is to be sent after DelayDAO (RFC 6550 Section 9.5).
func (a *announcer) schedule() {
	if a.n.state == Joined && !a.delay.Running() {
		a.delay.Start(daoDelay/2 + a.n.jitter(daoDelay))
	}
}

// announceOwn announces our own targets with a new path sequence.
func (a *announcer) announceOwn() {
	a.path = NextSequence(a.path)
	a.ownDirty = true
	a.schedule()
}

// announceAll announces all that is reached by us, to a parent that is new or
// asks for it.
func (a *announcer) announceAll() {
	a.tries = 0
	a.retry.Stop()
	clear(a.pending)
	for _, r := range a.n.routes.m {
		r.dirty = true
	}
	a.announceOwn()
}

// withdraw takes back a target of our own.
func (a *announcer) withdraw(p netip.Prefix) {
	if a.n.state != Joined {
		return
	}
	a.path = NextSequence(a.path)
	a.withdrawRoute(p, a.path, false)
}

// withdrawExternal takes back what was reached by this node: not if it is
// reached by another meanwhile.
func (a *announcer) withdrawExternal(e External) {
	t := Transit{External: true, PathSequence: e.Sequence}
	if !e.Counted {
		a.path = NextSequence(a.path)
		t.PathSequence = a.path
	}
	if a.n.dodag.mop == NonStoring {
		t.Parent, _ = a.n.ownAddr()
	}
	a.withdrawAs(e.Prefix, t)
}

// withdrawRoute passes a No-Path on.
func (a *announcer) withdrawRoute(p netip.Prefix, seq uint8, external bool) {
	a.withdrawAs(p, Transit{External: external, PathSequence: seq})
}

func (a *announcer) withdrawAs(p netip.Prefix, t Transit) {
	if a.n.state != Joined || len(a.gone) >= maxWithdrawn {
		return // it expires above us
	}
	a.gone[p] = t
	a.schedule()
}

// item is one target with its transit.
type item struct {
	prefix  netip.Prefix
	transit Transit
}

// own are our targets (RFC 6550 Sections 9.7 and 9.8): in non-storing mode
// with our parent's address, or with ours for what is outside the DODAG.
func (a *announcer) own(lifetime uint8) (items []item) {
	n := a.n
	t := Transit{PathControl: 0x80, PathSequence: a.path, PathLifetime: lifetime}
	e := t
	e.External = true
	if n.dodag.mop == NonStoring {
		up, ok := n.parent.address()
		self, ok2 := n.ownAddr()
		if !ok || !ok2 {
			return nil
		}
		t.Parent, e.Parent = up, self
	}
	for _, addr := range n.addrs {
		items = append(items, item{netip.PrefixFrom(addr, 128), t})
	}
	for _, x := range n.externals {
		e.PathSequence = a.path
		if x.Counted {
			e.PathSequence = x.Sequence
		}
		items = append(items, item{x.Prefix, e})
	}
	return items
}

// dirty are all items that the parent or the root has to hear.
func (a *announcer) dirty() (items []item) {
	n := a.n
	if a.ownDirty {
		items = a.own(n.conf.DefaultLifetime)
	}
	var gone []item
	for p, t := range a.gone {
		gone = append(gone, item{p, t}) // our own without a parent: by whatever parent
	}
	sortItems(gone)
	items = append(items, gone...)
	if n.dodag.mop == Storing {
		items = append(items, a.routeItems(func(r *route) bool { return r.dirty })...)
	}
	return items
}

// routeItems are the children's targets that pass the test.
func (a *announcer) routeItems(want func(*route) bool) (items []item) {
	now := a.n.cfg.Clock.Now()
	for p, r := range a.n.routes.m {
		if want(r) {
			items = append(items, item{p, Transit{
				External: r.external, PathControl: 0x80, PathSequence: r.seq, PathLifetime: r.left(now, a.n.conf),
			}})
		}
	}
	sortItems(items)
	return items
}

// send sends what is dirty and waits for acknowledgements.
func (a *announcer) send() {
	n := a.n
	if n.state != Joined || n.dodag.mop != Storing && n.dodag.mop != NonStoring {
		return
	}
	items := a.dirty()
	if len(items) == 0 {
		return
	}
	own := a.ownDirty
	a.ownDirty = false
	clear(a.gone)
	for _, r := range n.routes.m {
		r.dirty = false
	}
	if d := n.conf.lifetime(n.conf.DefaultLifetime); own && d != Infinite {
		a.refresh.Start(max(d/2-n.jitter(d/8), daoDelay))
	}
	for _, chunk := range a.chunks(items) {
		if len(a.pending) >= maxPending {
			break // it is announced again with the next refresh
		}
		a.sequence = NextSequence(a.sequence)
		for _, it := range chunk {
			a.pending[a.sequence] = append(a.pending[a.sequence], it.prefix)
		}
		a.emit(n.parent, a.sequence, true, chunk)
	}
	a.retry.StartEarlier(a.backoff())
}

// chunks splits items into messages that need few fragments. Our own targets,
// those with a count of their own and our children's are not mixed, so that an
// answer is about one of these kinds.
func (a *announcer) chunks(items []item) (out [][]item) {
	var chunk []item
	wasOwn, wasCounted := false, false
	for _, it := range items {
		own, counted := a.isOwn(it.prefix), a.n.counted(it.prefix)
		alone := !own && a.n.routes.m[it.prefix] != nil && a.n.routes.m[it.prefix].alone
		if len(chunk) > 0 && (len(chunk) == daoChunk || own != wasOwn || counted != wasCounted || alone) {
			out = append(out, chunk)
			chunk = nil
		}
		if chunk = append(chunk, it); alone {
			out = append(out, chunk)
			chunk = nil
		}
		wasOwn, wasCounted = own, counted
	}
	if len(chunk) > 0 {
		out = append(out, chunk)
	}
	return out
}

// emit sends one DAO: to the root in non-storing mode, to the parent in
// storing mode.
func (a *announcer) emit(parent *neighbor, seq uint8, ack bool, items []item) {
	n := a.n
	m := DAO{Instance: n.dodag.instance, WantAck: ack, Sequence: seq}
	if n.dodag.instance >= 128 { // a local instance is known by its DODAGID too
		m.DODAGID = n.dodag.id
	}
	for i, it := range items {
		m.Options = append(m.Options, Target{it.prefix})
		if i+1 == len(items) || items[i+1].transit != it.transit {
			m.Options = append(m.Options, it.transit)
		}
	}
	src, dst := n.cfg.LinkLocal, parent.addr
	if n.dodag.mop == NonStoring {
		src, _ = n.ownAddr()
		dst = n.dodag.id
	}
	if !src.IsValid() {
		return
	}
	n.cfg.Send(message(src, dst, CodeDAO, m.Append(nil)))
}

func (a *announcer) backoff() time.Duration {
	d := min(daoRetry<<min(a.tries, 10), maxDAORetry)
	return d + a.n.jitter(d/2)
}

// again sends what was not acknowledged once more.
func (a *announcer) again() {
	n := a.n
	if n.state != Joined || len(a.pending) == 0 {
		return
	}
	a.tries++
	if a.tries >= daoTries && n.dodag.mop == Storing && n.hasAlternative() {
		// This parent does not take our routes: another may.
		a.tries = 0
		a.redo()
		n.NeighborLost(n.parent.addr)
		return
	}
	a.redo()
	a.send()
}

// redo makes what is pending dirty again.
func (a *announcer) redo() {
	for _, prefixes := range a.pending {
		for _, p := range prefixes {
			if r, ok := a.n.routes.m[p]; ok {
				r.dirty = true
			} else {
				a.ownDirty = true
			}
		}
	}
	clear(a.pending)
}

// acknowledged takes a DAO-ACK (RFC 6550 Section 6.5.1).
func (a *announcer) acknowledged(src netip.Addr, m DAOAck) {
	n := a.n
	if n.state != Joined || m.Instance != n.dodag.instance || m.DODAGID.IsValid() && m.DODAGID != n.dodag.id {
		return
	}
	if n.dodag.mop == Storing && src != n.parent.addr {
		return
	}
	if _, ok := a.pending[m.Sequence]; !ok {
		return
	}
	switch {
	case m.Status == StatusAccepted:
		delete(a.pending, m.Sequence)
		a.stale = 0
		if len(a.pending) == 0 {
			a.tries = 0
			a.retry.Stop()
		}
	case m.Status < StatusRejected:
		prefixes := a.pending[m.Sequence]
		delete(a.pending, m.Sequence)
		if a.stale++; a.stale <= maxStaleInRow {
			a.reject(prefixes)
		}
	case n.dodag.mop == Storing && n.hasAlternative():
		n.NeighborLost(n.parent.addr)
	default:
		a.tries = max(a.tries, daoTries) // the root is full: ask seldom
	}
}

// reject is called with what somebody above knows a newer sequence of. That is
// a memory of the time before a restart, and the owner of the target has to go
// on until it has passed it; or the target has moved and we have not heard.
func (a *announcer) reject(prefixes []netip.Prefix) {
	n := a.n
	now := n.cfg.Clock.Now()
	for _, p := range prefixes {
		r := n.routes.m[p]
		switch {
		case r == nil && a.n.counted(p): // it has gone to another router: we will hear
		case r == nil && a.isOwn(p):
			for range sequenceWindow / 2 { // to pass it soon
				a.path = NextSequence(a.path)
			}
			a.announceOwn()
			return
		case r == nil: // withdrawn meanwhile
		case len(prefixes) > 1: // which one it is was not said
			r.alone, r.dirty = true, true
			a.schedule()
		default:
			// A child that is there is told so when it announces it again.
			r.rejected = true
			if at := now.Add(rejectedTime); r.expires.IsZero() || at.Before(r.expires) {
				r.expires = at
			}
			n.askChildren()
		}
	}
}

func (a *announcer) isOwn(p netip.Prefix) bool {
	return a.n.isExternal(p) || p.IsSingleIP() && slices.Contains(a.n.addrs, p.Addr())
}

// hasAlternative reports whether there is another parent to turn to.
func (n *Node) hasAlternative() bool {
	for _, b := range n.neighbors {
		if b != n.parent && n.rankVia(b) != InfiniteRank {
			return true
		}
	}
	return false
}

// moved is called when the parent has changed. The one before is told later:
// until the new way is known everywhere, the old one serves.
func (a *announcer) moved(old, now *neighbor) {
	if a.n.dodag.mop != Storing {
		return
	}
	if a.old != nil && a.old.addr != now.addr {
		a.withdrawAll(a.old)
	}
	a.old = old
	a.oldLeft.Start(oldParentTime)
}

// leaveOld withdraws all from the parent before (RFC 6550 Section 9.8).
func (a *announcer) leaveOld() {
	if a.old != nil && a.old.addr != a.n.parent.addr {
		a.withdrawAll(a.old)
	}
	a.old = nil
}

// withdrawAll sends a No-Path for all that a parent may know by us.
func (a *announcer) withdrawAll(old *neighbor) {
	if len(a.n.addrs)+len(a.n.externals)+len(a.n.routes.m) == 0 {
		return
	}
	items := append(a.own(0), a.routeItems(func(*route) bool { return true })...)
	for i := range items {
		items[i].transit.PathLifetime = 0
	}
	for _, chunk := range a.chunks(items) {
		a.sequence = NextSequence(a.sequence)
		a.emit(old, a.sequence, false, chunk)
	}
}

// leave withdraws all from the present parent or the root.
func (a *announcer) leave() {
	if a.n.dodag.mop == Storing || a.n.dodag.mop == NonStoring {
		a.leaveOld()
		a.path = NextSequence(a.path)
		a.withdrawAll(a.n.parent)
	}
}

// sortItems puts items with one transit beside each other, and the same items
// always in one order.
func sortItems(items []item) {
	slices.SortFunc(items, func(x, y item) int {
		if c := cmp.Compare(x.transit.PathSequence, y.transit.PathSequence); c != 0 {
			return c
		}
		if c := x.prefix.Addr().Compare(y.prefix.Addr()); c != 0 {
			return c
		}
		return cmp.Compare(x.prefix.Bits(), y.prefix.Bits())
	})
}
