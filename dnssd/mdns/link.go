package mdns

import (
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
)

// link is an interface and what waits to be said on it.
type link struct {
	Interface
	m    *Machine
	room int // bytes of DNS in a packet

	waiting    []*claim // to be probed
	probeTimer *alarm.Timer
	types      map[*rr]int // how many live services there are of a type

	pending    []*pending // answers to be multicast
	pendingAt  map[*rr]*pending
	flushTimer *alarm.Timer
	holds      []*hold // queries of which more packets come
	unicasts   int     // answers that wait for their time
	goodbyes   []Record

	heard     linkCache
	questions map[topicKey]*question
	asking    []*question // in the order of their start
	askAt     time.Time   // when the next one is due; zero: never
	askDirty  bool        // that may be earlier
	askTimer  *alarm.Timer

	status LinkStatus
	check  *check
}

// SetInterfaces says what links there are. On a new one, everything is probed
// for and announced, and all that is browsed is asked for; what was known by
// one that is gone is gone. One that gets IPv4 or IPv6 only now is new: there
// may be hosts that were not heard before (RFC 6762 Section 8). Addresses that
// come or go are announced.
func (m *Machine) SetInterfaces(ifaces []Interface) {
	if m.stopped {
		return
	}
	defer m.enter()()
	m.own = map[netip.Addr]bool{}
	for _, i := range ifaces {
		for _, p := range i.Addrs {
			m.own[p.Addr().Unmap().WithZone("")] = true
		}
	}
	for _, l := range slices.Clone(m.links) {
		if !slices.ContainsFunc(ifaces, func(i Interface) bool { return i.Index == l.Index }) {
			m.drop(l)
		}
	}
	var fresh []*link
	for _, i := range ifaces {
		i.families()
		l := m.link(i.Index)
		if l != nil && (i.V4 && !l.V4 || i.V6 && !l.V6) {
			m.drop(l)
			l = nil
		}
		if l == nil {
			l = m.newLink(i.Index)
			m.links = append(m.links, l)
			fresh = append(fresh, l)
		}
		l.set(i)
	}
	for _, r := range m.sortedRegs() {
		r.apply()
	}
	for _, l := range fresh {
		for _, t := range m.sortedTopics() {
			l.ask(t)
		}
	}
}

func (m *Machine) newLink(index int) *link {
	l := &link{
		m:         m,
		types:     map[*rr]int{},
		pendingAt: map[*rr]*pending{},
		questions: map[topicKey]*question{},
		status:    LinkStatus{Since: m.now()},
	}
	l.Index = index
	l.probeTimer = m.timer(l.startBatch)
	// The work of these two is done whenever the machine is left.
	l.flushTimer = m.timer(func() {})
	l.askTimer = m.timer(func() {})
	return l
}

// families are those of the addresses, if it is not said.
func (i *Interface) families() {
	if i.V4 || i.V6 {
		return
	}
	for _, p := range i.Addrs {
		if p.Addr().Unmap().Is4() {
			i.V4 = true
		} else {
			i.V6 = true
		}
	}
}

func (l *link) set(i Interface) {
	i.Addrs = slices.Clone(i.Addrs)
	if i.MTU == 0 {
		i.MTU = defaultMTU
	}
	l.Interface = i
	l.room = min(max(i.MTU, minMTU), maxPacket) - 40 - 8
}

// drop forgets a link, without a word on it.
func (m *Machine) drop(l *link) {
	m.links = slices.DeleteFunc(m.links, func(o *link) bool { return o == l })
	l.probeTimer.Stop()
	l.flushTimer.Stop()
	l.askTimer.Stop()
	for _, h := range l.holds {
		h.timer.Stop()
	}
	for _, c := range m.claims {
		c.leave(l)
	}
	for _, t := range m.types {
		t.unsay(l)
	}
	if l.check != nil {
		l.check.timer.Stop()
	}
	m.cache.dropLink(l)
}

func (m *Machine) link(index int) *link {
	for _, l := range m.links {
		if l.Index == index {
			return l
		}
	}
	return nil
}

// gone reports whether the link is no more.
func (l *link) gone() bool { return l.m.link(l.Index) != l }

// multicast sends what the writer holds to the groups.
func (l *link) multicast() {
	b := l.m.w.buf
	for _, group := range []netip.Addr{Group4, Group6} {
		v6 := group.Is6()
		if v6 && !l.V6 || !v6 && !l.V4 {
			continue
		}
		l.m.loops.add(l.m.now(), l.Index, v6, b)
		l.m.counters.Sent++
		l.status.Sent++
		l.status.LastSent = l.m.now()
		l.m.cfg.Send(l.Index, netip.AddrPortFrom(group, Port), b)
	}
}

// unicast sends what the writer holds to one host.
func (l *link) unicast(to netip.AddrPort) {
	l.m.counters.Sent++
	l.status.Sent++
	l.m.cfg.Send(l.Index, to, l.m.w.buf)
}

// onLink reports whether an address is of the link (RFC 6762 Section 11).
func (l *link) onLink(a netip.Addr) bool {
	if a.IsLinkLocalUnicast() || a.IsLoopback() || l.m.own[a] {
		return true
	}
	return slices.ContainsFunc(l.Addrs, func(p netip.Prefix) bool {
		return netip.PrefixFrom(p.Addr().Unmap().WithZone(""), p.Bits()).Contains(a)
	})
}

// Receive takes a datagram that came to port 5353 by an interface; to is
// where it was sent to, a group or an own address.
func (m *Machine) Receive(iface int, from netip.AddrPort, to netip.Addr, b []byte) {
	l := m.link(iface)
	if l == nil {
		return
	}
	defer m.enter()()
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	src, multicast := from.Addr().WithZone(""), to.Unmap().IsMulticast()
	if from.Port() == Port && m.own[src] {
		if ours, here := m.loops.heard(m.now(), m.links, iface, src.Is6(), b); ours {
			m.counters.Looped++
			if here {
				l.looped(src.Is6(), b)
			}
			return
		}
	}
	m.counters.Received++
	// What a group of the link's scope brings was sent on the link.
	if !multicast && !l.onLink(src) {
		m.counters.OffLink++
		return
	}
	msg, err := DecodeMessage(b)
	if err != nil {
		m.counters.Malformed++
		return
	}
	// RFC 6762 Sections 18.3 and 18.11, and for answers Section 6.
	if msg.Opcode != 0 || msg.Rcode != 0 || msg.Response && from.Port() != Port {
		m.counters.Ignored++
		return
	}
	if m.own[src] {
		l.status.HeardHere = m.now()
	} else {
		l.status.Heard = m.now()
	}
	if msg.Response {
		l.handleResponse(&msg)
	} else {
		l.handleQuery(&msg, from, multicast)
	}
}

// within reports whether t is less than d ago.
func (m *Machine) within(t time.Time, d time.Duration) bool {
	return !t.IsZero() && m.now().Sub(t) < d
}
