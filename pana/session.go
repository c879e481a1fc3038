package pana

import (
	"container/list"
	"fmt"
	"time"

	"gatewayd/alarm"
	"gatewayd/eap"
)

// A session is an agent's side of one session (RFC 5609 Section 7).
type session struct {
	paa      *PAA
	id       uint32
	path     path
	state    State
	method   eap.Type
	firstLen uint16
	identity string
	ex       exchanger
	sa       *SA
	first    []byte // I_PAR, firstLen octets of it, and I_PAN
	hs       *handshake
	timer    *alarm.Timer
	since    time.Time
	heard    time.Time
	pinged   time.Time
	lifetime time.Duration
	expires  time.Time
	renew    time.Time
	want     wants
	pushing  bool // the request that waits carries what was pushed
}

// wants is what is to be done when no request waits for its answer any more.
type wants struct {
	reauth    bool
	terminate Cause
	pushes    []AVPs
}

// maxPushes bounds what waits to be pushed to one client; more drops the
// oldest.
const maxPushes = 4

// handshake is what a session needs while it authenticates.
type handshake struct {
	half     *list.Element // its place among the first handshakes under way
	conv     eap.Conversation
	suite    Suite
	paaNonce []byte
	pacNonce []byte // nil until the first answer
	lastID   byte   // identifier of the last EAP request
	asked    bool   // there was one, and it has no result yet
	fed      []byte // the response to it, nil if there is none yet
	feeds    int    // how many there were
	rounds   int
	deadline time.Time
	sa       *SA   // of the keys that this handshake makes
	failed   error // why it did not succeed; the client is being told
}

// Info describes the session.
func (s *session) Info() Info {
	i := Info{ID: s.id, PaC: s.path.pac, PRE: s.path.pre, State: s.state, Identity: s.identity,
		Method: s.method, Since: s.since, Lifetime: s.lifetime, Expires: s.expires}
	if s.sa != nil {
		i.Suite, i.KeyID = s.sa.Suite, s.sa.KeyID
	} else if s.hs != nil {
		i.Suite = s.hs.suite
	}
	return i
}

func (s *session) event(k EventKind, why error) {
	if s.paa.cfg.Event != nil {
		s.paa.cfg.Event(Event{Kind: k, Session: s.Info(), Reason: why})
	}
}

func (s *session) now() time.Time { return s.paa.cfg.Clock.Now() }

// receive takes a message with the session's identifier.
func (s *session) receive(w path, m *Message) error {
	sa := s.sa
	if m.is(Auth, FlagComplete) && s.hs != nil && s.hs.sa != nil {
		sa = s.hs.sa // the answer that confirms new keys is protected by them
	}
	_, protected := m.AVPs.Find(CodeAuth)
	switch {
	case sa != nil:
		if !sa.Verify(m) {
			return ErrAuth
		}
	case protected:
		return fmt.Errorf("%w: there are no keys yet", ErrAuth)
	case !s.path.same(w):
		return fmt.Errorf("%w: from elsewhere and not protected", ErrSession)
	}
	if !m.request() {
		if !s.ex.answers(m) {
			return fmt.Errorf("%w: %v", ErrSequence, m)
		}
		return s.answered(w, m)
	}
	switch {
	case s.ex.duplicate(m):
		// Answered to where it came from, but that is no proof of where the
		// client is: anyone can repeat a message.
		s.paa.Counters.Duplicates++
		s.paa.send(w, s.ex.answer)
		return nil
	case !s.ex.fresh(m):
		return fmt.Errorf("%w: %v", ErrSequence, m)
	}
	return s.requested(w, m)
}

// accepted notes that a message is genuine and new: what moved has moved
// (RFC 5191 Section 5.6).
func (s *session) accepted(w path) {
	s.heard = s.now()
	if s.sa == nil || s.path == w {
		return
	}
	moved := !s.path.same(w)
	p := s.paa
	if p.paths[s.path.key()] == s {
		delete(p.paths, s.path.key())
	}
	s.path = w
	p.paths[w.key()] = s
	if moved {
		s.event(SessionMoved, nil)
	}
}

// requested takes a new request of the client.
func (s *session) requested(w path, m *Message) error {
	switch {
	case m.is(Auth, FlagRequest):
		return s.clientEAP(w, m)
	case s.sa == nil || s.state == Terminating && m.Type != Termination:
	case m.is(Notification, FlagRequest|FlagPing):
		s.accepted(w)
		var as AVPs
		if _, ok := m.AVPs.keyRequest(); ok {
			as = s.deliver()
		}
		s.reply(m, as)
		return nil
	case m.is(Notification, FlagRequest|FlagReauth):
		s.accepted(w)
		s.reply(m, nil)
		if s.hs == nil {
			s.want.reauth = true
			s.work()
		}
		return nil
	case m.is(Termination, FlagRequest):
		s.accepted(w)
		s.reply(m, nil)
		cause, _ := m.AVPs.uint32(CodeTerminationCause)
		s.ended(nil, Cause(cause))
		return nil
	}
	return fmt.Errorf("%w: %v while %v", ErrUnexpected, m, s.state)
}

// deliver is what the client is to get encrypted.
func (s *session) deliver() AVPs {
	suite := s.Info().Suite
	if s.paa.cfg.Deliver == nil || suite.Encryption == 0 {
		return nil
	}
	return s.paa.cfg.Deliver(s.Info())
}

// reply answers a request of the client and remembers the answer.
func (s *session) reply(m *Message, encrypted AVPs) {
	a := &Message{Flags: m.Flags & flagsKnown &^ (FlagRequest | FlagReconfig), Type: m.Type, SessionID: s.id, Seq: m.Seq}
	if len(encrypted) > 0 {
		a.AVPs = AVPs{s.sa.Encrypt(encrypted, PAASide, s.id, m.Seq)}
	}
	b := s.paa.encode(a, s.sa)
	s.ex.answered(m.Seq, b)
	s.paa.send(s.path, b)
}

// ask sends a new request with the keys sa, which may be nil.
func (s *session) ask(t Type, f Flags, sa *SA, as, encrypted AVPs) error {
	seq, err := s.ex.next(s.paa.cfg.Random)
	if err != nil {
		return err
	}
	if len(encrypted) > 0 {
		as = append(as, sa.Encrypt(encrypted, PAASide, s.id, seq))
	}
	b := s.paa.encode(&Message{Flags: f | FlagRequest, Type: t, SessionID: s.id, Seq: seq, AVPs: as}, sa)
	s.ex.begin(b, &s.paa.cfg.Timers.Request, s.now(), s.paa.cfg.Jitter)
	s.schedule()
	s.paa.send(s.path, b)
	return nil
}

// answered takes the answer to the request that waits.
func (s *session) answered(w path, m *Message) error {
	switch m.Type {
	case Auth:
		if s.hs == nil { // of a handshake that is not gone on with
			s.accepted(w)
			s.ex.done()
			break
		}
		if m.Flags&FlagComplete != 0 {
			return s.completed(w, m)
		}
		return s.clientAnswer(w, m)
	case Termination:
		s.ex.done()
		s.remove()
		return nil
	case Notification:
		s.accepted(w)
		s.ex.done()
		if s.pushing {
			s.pushing = false
			s.event(SessionPushed, nil)
		}
	}
	s.work()
	s.schedule()
	return nil
}

// work does the next thing that is wanted, unless a request waits.
func (s *session) work() {
	if s.ex.request != nil || s.sa == nil {
		return
	}
	switch {
	case s.want.terminate != 0:
		c := s.want.terminate
		s.want.terminate = 0
		if s.ask(Termination, 0, s.sa, AVPs{avpUint32(CodeTerminationCause, uint32(c))}, nil) != nil {
			s.remove()
		}
	case s.hs != nil: // later
	case len(s.want.pushes) > 0:
		as := s.want.pushes[0]
		if s.want.pushes = s.want.pushes[1:]; len(s.want.pushes) == 0 {
			s.want.pushes = nil
		}
		if err := s.ask(Notification, FlagPing, s.sa, nil, as); err != nil {
			s.ended(err, 0)
			return
		}
		s.pushing = true
	case s.want.reauth:
		s.want.reauth = false
		s.reauthenticate()
	}
}

func (s *session) push(as AVPs) {
	if len(s.want.pushes) >= maxPushes {
		s.want.pushes = s.want.pushes[1:]
	}
	s.want.pushes = append(s.want.pushes, as)
	s.work()
}

// ping asks the client whether it is there.
func (s *session) ping() error {
	if s.ex.request != nil {
		return nil // the answer to that will tell
	}
	if !s.pinged.IsZero() && s.now().Sub(s.pinged) < s.paa.cfg.Timers.Ping {
		return ErrPingNow
	}
	s.pinged = s.now()
	return s.ask(Notification, FlagPing, s.sa, nil, nil)
}

// schedule sets the session's only timer.
func (s *session) schedule() {
	at := earliest(s.ex.repeat.at, s.expires, s.renew)
	if s.hs != nil {
		at = earliest(at, s.hs.deadline)
	} else if s.paa.cfg.Probe > 0 && s.state == Open && s.ex.request == nil {
		at = earliest(at, s.probe())
	}
	if at.IsZero() {
		s.timer.Stop()
		return
	}
	s.timer.StartAt(at)
}

// probe is when the client is tested next.
func (s *session) probe() time.Time {
	t := s.heard.Add(s.paa.cfg.Probe)
	if next := s.pinged.Add(s.paa.cfg.Timers.Ping); next.After(t) {
		return next
	}
	return t
}

func (s *session) due(t time.Time) bool { return !t.IsZero() && !s.now().Before(t) }

func (s *session) tick() {
	cfg := &s.paa.cfg
	switch {
	case s.hs != nil && s.due(s.hs.deadline):
		s.fail(ErrTooLong)
		return
	case s.state != Terminating && s.due(s.expires):
		s.terminate(SessionTimeout, ErrLifetime)
		return
	case s.due(s.ex.repeat.at):
		if !s.ex.repeat.again(&cfg.Timers.Request, s.now(), cfg.Jitter) {
			s.ex.done()
			s.fail(ErrTimeout)
			return
		}
		s.paa.Counters.Retransmission++
		s.paa.send(s.path, s.ex.request)
	case s.due(s.renew):
		s.renew = time.Time{}
		s.want.reauth = s.hs == nil
		s.work()
	case cfg.Probe > 0 && s.hs == nil && s.state == Open && s.due(s.probe()):
		if err := s.ping(); err != nil {
			s.ended(err, 0)
			return
		}
	}
	s.schedule()
}

// fail ends a session that cannot go on, without telling the client.
func (s *session) fail(why error) {
	switch {
	case s.state == Terminating:
		s.remove()
	case s.hs != nil && s.hs.failed != nil:
		s.remove() // it was reported when it failed
	case s.sa == nil:
		s.refuse(why)
	default:
		s.ended(why, 0)
	}
}

// refuse ends a session whose first handshake failed.
func (s *session) refuse(why error) {
	if s.hs == nil || s.hs.failed == nil {
		s.paa.Counters.Refused++
		s.event(SessionRefused, why)
	}
	s.remove()
}

// ended ends a session whose client had access.
func (s *session) ended(why error, cause Cause) {
	if s.state != Terminating {
		s.lost(why, cause)
	}
	s.remove()
}

// lost reports that the client's access is over.
func (s *session) lost(why error, cause Cause) {
	s.paa.Counters.Terminated++
	if s.paa.cfg.Event != nil {
		s.paa.cfg.Event(Event{Kind: SessionTerminated, Session: s.Info(), Reason: why, Cause: cause})
	}
}

// terminate takes the client's access away and tells it so (RFC 5191 Section
// 4.4).
func (s *session) terminate(c Cause, why error) {
	if s.state == Terminating {
		return
	}
	s.lost(why, 0)
	if s.hs != nil && s.hs.sa != nil {
		s.hs.failed = why // the client may have the new keys already: its answer tells
	} else {
		s.endHandshake()
	}
	s.state = Terminating
	s.expires, s.renew = time.Time{}, time.Time{}
	s.want = wants{terminate: c}
	s.work()
	s.schedule()
}

// endHandshake forgets the handshake under way.
func (s *session) endHandshake() {
	if s.hs == nil {
		return
	}
	s.paa.half.remove(s)
	if s.hs.fed != nil && s.ex.repeat.at.IsZero() {
		s.ex.done() // answered, but the EAP server has not said anything yet
	}
	if s.hs.conv != nil {
		s.hs.conv.Close()
	}
	if s.hs.sa != s.sa {
		s.hs.sa.Wipe()
	}
	s.hs = nil
}

// remove forgets the session.
func (s *session) remove() {
	s.endHandshake()
	s.ex = exchanger{}
	s.timer.Stop()
	s.sa.Wipe()
	s.sa = nil
	s.state = Closed
	delete(s.paa.sessions, s.id)
	if s.paa.paths[s.path.key()] == s {
		delete(s.paa.paths, s.path.key())
	}
}

// exchange is what the keys are made of.
func (s *session) exchange(keyID uint32) Exchange {
	return Exchange{Suite: s.hs.suite, IPAR: s.first[:s.firstLen], IPAN: s.first[s.firstLen:],
		PaCNonce: s.hs.pacNonce, PAANonce: s.hs.paaNonce, KeyID: keyID}
}
