package joining

import (
	"time"

	"gatewayd/alarm"
	"gatewayd/coap"
	"gatewayd/dtls"
)

// Specification constants of a joiner session (Thread 1.4 Section 8.4.4).
const (
	retransmitFirst = 8 * time.Second
	retransmitLast  = 60 * time.Second
)

// relayMTU is the longest DTLS datagram: with the headers of RLY_TX around it,
// it still fits the IPv6 MTU of the mesh.
const relayMTU = 1152

// other is the one peer at the other end of a session.
type other struct{}

// secured is CoAP inside a DTLS session. What the session reports is acted upon
// after it has returned, when it may be called again.
type secured struct {
	clock *alarm.Clock
	conn  *dtls.Conn
	end   *coap.Endpoint[other]
	timer *alarm.Timer

	established func()
	closed      func(error)

	isEstablished bool
	isClosed      bool
	inbox         [][]byte
	err           error
	busy          bool
}

// newSecured prepares a session; open makes it. What is CoAP goes through
// write, which calls conn.Write.
func newSecured(clock *alarm.Clock, c coap.Config[other], write func(*dtls.Conn, []byte)) *secured {
	s := &secured{clock: clock}
	c.Send = func(_ other, datagram []byte) {
		if s.conn != nil {
			write(s.conn, datagram)
		}
	}
	s.end = coap.New(c)
	s.timer = clock.NewTimer(func() {
		s.do(func(now time.Time) {
			s.conn.Tick(now)
			s.end.Advance(now)
		})
	})
	return s
}

// open starts the session with one of the constructors of package dtls.
func (s *secured) open(make func(dtls.Config, time.Time) (*dtls.Conn, error), cfg dtls.Config) error {
	cfg.Initial, cfg.Max, cfg.MTU = retransmitFirst, retransmitLast, relayMTU
	cfg.Established = func() { s.isEstablished = true }
	cfg.Closed = func(err error) { s.isClosed, s.err = true, err }
	cfg.Receive = func(data []byte) { s.inbox = append(s.inbox, data) }
	conn, err := make(cfg, s.clock.Now())
	if err != nil {
		return err
	}
	s.conn = conn
	s.do(func(time.Time) {})
	return nil
}

// handle takes a datagram of the peer.
func (s *secured) handle(datagram []byte) {
	s.do(func(now time.Time) { s.conn.Handle(now, datagram) })
}

// close ends the session and tells the peer; closed is called, once.
func (s *secured) close() { s.do(func(time.Time) { s.conn.Close() }) }

// do calls the session and then acts upon what it has reported. Within what is
// done then, a call only adds to what is to be reported.
func (s *secured) do(f func(now time.Time)) {
	now := s.clock.Now()
	f(now)
	if s.busy {
		return
	}
	s.busy = true
	defer func() { s.busy = false }()
	for {
		switch {
		case s.isEstablished:
			s.isEstablished = false
			s.established()
			continue
		case len(s.inbox) > 0:
			data := s.inbox[0]
			s.inbox = s.inbox[1:]
			s.end.Receive(now, other{}, data)
			continue
		case s.isClosed:
			s.isClosed = false
			s.timer.Stop()
			s.closed(s.err)
			s.end.CancelAll()
			return
		}
		break
	}
	if s.conn.Err() != nil {
		return
	}
	at := s.conn.Deadline()
	if e := s.end.Deadline(); at.IsZero() || !e.IsZero() && e.Before(at) {
		at = e
	}
	if at.IsZero() {
		s.timer.Stop()
	} else {
		s.timer.StartAt(at)
	}
}

// request sends a CoAP request.
func (s *secured) request(m coap.Message, done func(coap.Response[other], error)) error {
	var err error
	s.do(func(now time.Time) { _, err = s.end.Request(now, other{}, m, coap.RequestOptions{}, done) })
	return err
}
