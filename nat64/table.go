package nat64

import "time"

// host is a host of the mesh that has sessions.
type host struct {
	addr       [16]byte
	addr4      uint32 // its address in the pool
	sessions   sessions
	prev, next *host // of those with as many sessions
	out, in    ByProto
}

// binding is an entry of the binding information base (RFC 6146 Section 3.1):
// an address and port of the mesh, and the ones of the pool that stand for them,
// whoever the host talks to. It ends with its last session.
type binding struct {
	id       uint64
	proto    Proto
	host     *host
	port6    uint16
	port4    uint16
	sessions sessions
	out, in  Traffic
}

// session is an entry of a session table (RFC 6146 Section 3.1): a binding and
// whom on the IPv4 side it is used with.
type session struct {
	binding *binding
	addr    uint32
	port    uint16
	inbound bool // begun by the IPv4 side
	state   State
	class   class
	expires time.Time
	links   [numLists]links
}

type key6 struct {
	addr  [16]byte
	port  uint16
	proto Proto
}

type key4 struct {
	addr  uint32
	port  uint16
	proto Proto
}

type sessionKey struct {
	binding *binding
	addr    uint32
	port    uint16
}

// table is all there is to know about sessions.
type table struct {
	hosts    map[[16]byte]*host
	inside   map[key6]*binding
	outside  map[key4]*binding
	sessions map[sessionKey]*session
	classes  [numClasses]sessions
	// byCount is the hosts by their number of sessions, most none above most.
	byCount []hosts
	most    int
	lastID  uint64
	pool    pool
}

func newTable(perHost int, p pool) table {
	t := table{
		pool:     p,
		hosts:    map[[16]byte]*host{},
		inside:   map[key6]*binding{},
		outside:  map[key4]*binding{},
		sessions: map[sessionKey]*session{},
		byCount:  make([]hosts, perHost+1),
	}
	for i := range t.classes {
		t.classes[i].kind = byClass
	}
	return t
}

func (t *table) find(b *binding, addr uint32, port uint16) *session {
	return t.sessions[sessionKey{b, addr, port}]
}

// add makes a session of a binding that is in the tables or about to be.
func (t *table) add(b *binding, addr uint32, port uint16) *session {
	if b.host.sessions.n == 0 {
		t.hosts[b.host.addr] = b.host
		t.pool.take(b.host.addr4)
	}
	if b.sessions.n == 0 {
		t.lastID++
		b.id = t.lastID
		t.inside[key6{b.host.addr, b.port6, b.proto}] = b
		t.outside[key4{b.host.addr4, b.port4, b.proto}] = b
	}
	s := &session{binding: b, addr: addr, port: port, class: numClasses}
	t.sessions[sessionKey{b, addr, port}] = s
	b.sessions.push(s)
	t.count(b.host, func() { b.host.sessions.push(s) })
	return s
}

// remove ends a session, with it a binding that has no other, and forgets a
// host without bindings.
func (t *table) remove(s *session) {
	b, h := s.binding, s.binding.host
	delete(t.sessions, sessionKey{b, s.addr, s.port})
	t.classes[s.class].remove(s)
	b.sessions.remove(s)
	t.count(h, func() { h.sessions.remove(s) })
	if b.sessions.n == 0 {
		delete(t.inside, key6{h.addr, b.port6, b.proto})
		delete(t.outside, key4{h.addr4, b.port4, b.proto})
	}
	if h.sessions.n == 0 {
		delete(t.hosts, h.addr)
		t.pool.release(h.addr4)
	}
}

// count moves a host to where it belongs by the number of its sessions, which
// change alters.
func (t *table) count(h *host, change func()) {
	if h.sessions.n > 0 {
		t.byCount[h.sessions.n].remove(h)
	}
	change()
	if h.sessions.n > 0 {
		t.byCount[h.sessions.n].push(h)
		t.most = max(t.most, h.sessions.n)
	}
	for t.most > 0 && t.byCount[t.most].head == nil {
		t.most--
	}
}

// use moves a session to the end of what may go, and gives it the time of a
// class.
func (t *table) use(s *session, c class, expires time.Time) {
	if s.class == c {
		t.classes[c].touch(s)
	} else {
		if s.class < numClasses {
			t.classes[s.class].remove(s)
		}
		s.class = c
		t.classes[c].push(s)
	}
	s.expires = expires
	s.binding.host.sessions.touch(s)
}

// victim is the session to end when a host needs room: one of the hosts with
// the most sessions pays, and that is the asking host itself if it is among
// them; of the sessions the one unused for longest.
func (t *table) victim(asking *host) *session {
	if asking != nil && asking.sessions.n >= t.most {
		return asking.sessions.head
	}
	return t.byCount[t.most].head.sessions.head
}
