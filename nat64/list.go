package nat64

// Each session is on three lists at once.
const (
	byClass   = iota // sessions with the same timeout, those about to end first
	byHost           // sessions of a host, the longest unused first
	byBinding        // sessions of a binding
	numLists
)

type links struct{ prev, next *session }

// sessions is a list of sessions by the links of one kind.
type sessions struct {
	kind       uint8
	head, tail *session
	n          int
}

func (l *sessions) push(s *session) {
	s.links[l.kind] = links{prev: l.tail}
	if l.tail != nil {
		l.tail.links[l.kind].next = s
	} else {
		l.head = s
	}
	l.tail = s
	l.n++
}

func (l *sessions) remove(s *session) {
	k := s.links[l.kind]
	if k.prev != nil {
		k.prev.links[l.kind].next = k.next
	} else {
		l.head = k.next
	}
	if k.next != nil {
		k.next.links[l.kind].prev = k.prev
	} else {
		l.tail = k.prev
	}
	s.links[l.kind] = links{}
	l.n--
}

// touch moves a session to the end.
func (l *sessions) touch(s *session) {
	if l.tail != s {
		l.remove(s)
		l.push(s)
	}
}

// hosts is a list of hosts with the same number of sessions.
type hosts struct{ head, tail *host }

func (l *hosts) push(h *host) {
	h.prev, h.next = l.tail, nil
	if l.tail != nil {
		l.tail.next = h
	} else {
		l.head = h
	}
	l.tail = h
}

func (l *hosts) remove(h *host) {
	if h.prev != nil {
		h.prev.next = h.next
	} else {
		l.head = h.next
	}
	if h.next != nil {
		h.next.prev = h.prev
	} else {
		l.tail = h.prev
	}
	h.prev, h.next = nil, nil
}
