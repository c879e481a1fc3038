package tls

import (
	"fmt"
	"io"
	"time"
)

// Implementation constants.
const (
	defaultSessions = 1000
	ticketLen       = 16
)

// sessions are those that can be resumed. They stay here and a peer's ticket
// is but a random name: crypto/tls's own tickets hold the whole session with
// the peer's certificates, which on a slow link costs more than it saves.
type sessions struct {
	limit int
	life  time.Duration
	rand  io.Reader
	all   map[[ticketLen]byte]session
	order [][ticketLen]byte // the oldest first
}

type session struct {
	state []byte    // as crypto/tls wants it
	since time.Time // of the handshake with certificates
}

// put keeps a session and returns its ticket.
func (s *sessions) put(state []byte, since time.Time) ([]byte, error) {
	var id [ticketLen]byte
	if _, err := io.ReadFull(s.rand, id[:]); err != nil {
		return nil, fmt.Errorf("eap-tls: random source: %w", err)
	}
	for len(s.order) >= s.limit {
		s.drop(s.order[0])
		s.order = s.order[1:]
	}
	if s.all == nil {
		s.all = make(map[[ticketLen]byte]session)
	}
	s.all[id] = session{state, since}
	s.order = append(s.order, id)
	return id[:], nil
}

// get is the session of a ticket, nil if there is none any more.
func (s *sessions) get(ticket []byte, now time.Time) (state []byte, since time.Time) {
	if len(ticket) != ticketLen {
		return nil, time.Time{}
	}
	e, ok := s.all[[ticketLen]byte(ticket)]
	if !ok || now.Sub(e.since) > s.life {
		return nil, time.Time{}
	}
	return e.state, e.since
}

func (s *sessions) drop(id [ticketLen]byte) {
	clear(s.all[id].state)
	delete(s.all, id)
}
