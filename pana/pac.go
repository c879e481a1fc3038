package pana

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"time"

	"gatewayd/alarm"
	"gatewayd/eap"
)

// Peer is an EAP peer, good for one conversation. If it has a method Close,
// that is called at the end.
type Peer interface {
	// Receive takes an EAP request, Success or Failure. The result's Packet
	// is the response; with none and Continue the packet was ignored.
	Receive(request []byte) eap.Result
}

// PaCConfig is what a PaC needs. Clock, Random, Peer and Send are required.
type PaCConfig struct {
	Clock *alarm.Clock
	// Random is the source of everything that must not be guessed.
	Random io.Reader
	// Jitter spreads repetitions; nil: one seeded from Random.
	Jitter *rand.Rand
	// Peer returns a new EAP peer for a handshake.
	Peer func() Peer
	// Send sends b, with a hop limit of 255. It must not keep or change b, nor
	// have it received before it returns.
	Send func(to netip.AddrPort, b []byte)

	// Event, which may be nil, is told what happens to the session. It must
	// not call the client; a timer may.
	Event func(Event)
	// Dropped, which may be nil, is told of every message that was discarded.
	Dropped func(from netip.AddrPort, why error)
	// Delivered, which may be nil, takes what the agent sent encrypted, with
	// the keys or later. Without it encryption is not agreed on.
	Delivered func(as []AVP)

	Profile    Profile
	Algorithms Algorithms
	Timers     Timers
	// NonceLen is the length of a nonce in octets, 8 to 256; 0: 16.
	NonceLen int
	// NoPiggyback sends EAP responses in requests of its own.
	NoPiggyback bool
	// Renew is how long before the end of the session's lifetime it is
	// re-authenticated; 0: a quarter of the lifetime. Negative: not at all.
	Renew time.Duration
	// Probe tests the agent when it has not been heard of for that long; 0:
	// not at all.
	Probe time.Duration
	// AllowRouted accepts an agent that is neither link-local nor known to be
	// a neighbour by a hop limit of 255.
	AllowRouted bool
}

// PaC is a PANA Client (RFC 5191 Section 2; RFC 5609 Section 6). It is not
// safe for concurrent use.
type PaC struct {
	codec
	cfg   PaCConfig
	agent netip.AddrPort
	state State
	id    uint32 // 0: no session yet
	ex    exchanger
	sa    *SA
	suite Suite
	first [2][]byte  // I_PAR and I_PAN
	hs    *clientRun // the handshake under way
	timer *alarm.Timer

	initiation repeating // of PCI
	info       Info
	heard      time.Time
	pinged     time.Time
	renew      time.Time
	want       clientWants
}

// clientRun is a handshake of the client.
type clientRun struct {
	peer     Peer
	pacNonce []byte
	paaNonce []byte // nil until the first request without the S bit
	deadline time.Time
	result   eap.Result // with Success: of the method, not confirmed yet
	failure  error      // of the method; the agent is being told
}

// clientWants is what is to be sent when no request waits for its answer.
type clientWants struct {
	eap       []byte // a response that is not piggy-backed
	reauth    bool
	ping      bool
	moved     bool // a ping even during a handshake
	ask       AVPs
	terminate Cause
}

// NewPaC returns a client that waits for Start.
func NewPaC(cfg PaCConfig) (*PaC, error) {
	if cfg.Clock == nil || cfg.Random == nil || cfg.Peer == nil || cfg.Send == nil {
		return nil, errors.New("pana: a client needs Clock, Random, Peer and Send")
	}
	var err error
	if cfg.Algorithms, err = cfg.Algorithms.complete(cfg.Profile); err != nil {
		return nil, err
	}
	if cfg.Timers, err = cfg.Timers.complete(cfg.Profile); err != nil {
		return nil, err
	}
	if cfg.Jitter, err = completeJitter(cfg.Jitter, cfg.Random); err != nil {
		return nil, err
	}
	if cfg.NonceLen, err = completeNonce(cfg.NonceLen); err != nil {
		return nil, err
	}
	c := &PaC{codec: codec{profile: cfg.Profile, arrange: byCode}, cfg: cfg}
	c.timer = cfg.Clock.NewTimer(c.tick)
	return c, nil
}

// Start looks for a session with the agent, or with the relay element that
// stands for it, at an address. A session there was is forgotten.
func (c *PaC) Start(agent netip.AddrPort) {
	c.reset()
	c.agent = agent
	c.state = Initiating
	c.info = Info{Since: c.now()}
	c.initiate()
	c.initiation.begin(&c.cfg.Timers.Initiation, c.now(), c.cfg.Jitter)
	c.schedule()
}

func (c *PaC) initiate() {
	c.cfg.Send(c.agent, c.encode(&Message{Type: Initiation}, nil))
}

// Move says that the agent is reached at another address now, because the
// client has another relay element, and tells the agent at once by a ping. A
// first handshake starts over.
func (c *PaC) Move(agent netip.AddrPort) {
	switch {
	case c.sa == nil && c.state != Idle && c.state != Closed:
		c.Start(agent)
		return
	case c.state == Open || c.state == Reauthenticating:
		c.want.moved = true
	}
	c.agent = agent
	c.work()
}

// Reauthenticate asks the agent for re-authentication.
func (c *PaC) Reauthenticate() error {
	if c.state == Reauthenticating {
		return nil
	}
	if c.state != Open {
		return ErrState
	}
	c.want.reauth = true
	c.work()
	return nil
}

// Ping tests whether the agent is there; if it is not, the session ends.
func (c *PaC) Ping() error {
	if c.state != Open {
		return ErrState
	}
	if !c.pinged.IsZero() && c.now().Sub(c.pinged) < c.cfg.Timers.Ping {
		return ErrPingNow
	}
	c.pinged = c.now()
	c.want.ping = true
	c.work()
	return nil
}

// Ask sends AVPs of a vendor to the agent, with a ping; KeyRequest asks for
// keys. What the agent answers comes by Delivered.
func (c *PaC) Ask(as ...AVP) error {
	if c.state != Open || c.sa.Suite.Encryption == 0 {
		return ErrState
	}
	c.want.ask = as
	c.work()
	return nil
}

// Terminate ends the session.
func (c *PaC) Terminate() {
	switch c.state {
	case Open, Reauthenticating:
		c.event(SessionTerminated, ErrClosed, 0)
		c.endRun()
		c.state = Terminating
		c.info.Expires, c.renew = time.Time{}, time.Time{}
		c.want = clientWants{terminate: Logout}
		c.work()
		c.schedule()
	case Initiating, Authenticating:
		c.close(ErrClosed, 0)
	}
}

// State is how far the session is.
func (c *PaC) State() State { return c.state }

// Info describes the session.
func (c *PaC) Info() Info {
	i := c.info
	i.ID, i.State, i.Suite = c.id, c.state, c.suite
	if c.sa != nil {
		i.KeyID = c.sa.KeyID
	}
	return i
}

func (c *PaC) now() time.Time { return c.cfg.Clock.Now() }

func (c *PaC) event(k EventKind, why error, cause Cause) {
	if c.cfg.Event != nil {
		c.cfg.Event(Event{Kind: k, Session: c.Info(), Reason: why, Cause: cause})
	}
}

// reset forgets the session.
func (c *PaC) reset() {
	c.endRun()
	c.sa.Wipe()
	c.sa = nil
	c.id = 0
	c.suite = Suite{}
	c.first = [2][]byte{}
	c.ex = exchanger{}
	c.initiation.stop()
	c.renew, c.pinged = time.Time{}, time.Time{}
	c.want = clientWants{}
	c.timer.Stop()
}

// endRun forgets the handshake under way.
func (c *PaC) endRun() {
	if c.hs == nil {
		return
	}
	if p, ok := c.hs.peer.(interface{ Close() }); ok {
		p.Close()
	}
	clear(c.hs.result.MSK)
	clear(c.hs.result.EMSK)
	c.hs = nil
	c.want.eap = nil
}

// close ends the session for a reason. The last answer stays, in case that it
// was lost.
func (c *PaC) close(why error, cause Cause) {
	kind := SessionRefused
	if c.sa != nil {
		kind = SessionTerminated
	}
	if c.state != Terminating {
		c.event(kind, why, cause)
	}
	id, ex := c.id, c.ex
	c.reset()
	c.state = Closed
	c.id, c.ex = id, exchanger{peerKnow: ex.peerKnow, peerSeq: ex.peerSeq, answer: ex.answer}
}

// schedule sets the only timer.
func (c *PaC) schedule() {
	at := earliest(c.initiation.at, c.ex.repeat.at, c.info.Expires, c.renew)
	if c.hs != nil {
		at = earliest(at, c.hs.deadline)
	} else if c.cfg.Probe > 0 && c.state == Open && c.ex.request == nil {
		at = earliest(at, c.heard.Add(c.cfg.Probe))
	}
	if at.IsZero() {
		c.timer.Stop()
		return
	}
	c.timer.StartAt(at)
}

func (c *PaC) due(t time.Time) bool { return !t.IsZero() && !c.now().Before(t) }

func (c *PaC) tick() {
	switch {
	case c.hs != nil && c.due(c.hs.deadline):
		c.close(ErrTooLong, 0)
		return
	case c.due(c.initiation.at):
		if !c.initiation.again(&c.cfg.Timers.Initiation, c.now(), c.cfg.Jitter) {
			c.close(ErrTimeout, 0)
			return
		}
		c.initiate()
	case c.due(c.ex.repeat.at):
		if !c.ex.repeat.again(&c.cfg.Timers.Request, c.now(), c.cfg.Jitter) {
			c.close(ErrTimeout, 0)
			return
		}
		c.cfg.Send(c.agent, c.ex.request)
	case c.due(c.info.Expires):
		c.close(ErrLifetime, 0)
		return
	case c.due(c.renew):
		// If that comes to nothing, again after half of what remains.
		c.renew = time.Time{}
		if left := c.info.Expires.Sub(c.now()) / 2; left >= time.Second {
			c.renew = c.now().Add(left)
		}
		c.want.reauth = c.state == Open
		c.work()
	case c.cfg.Probe > 0 && c.state == Open && c.due(c.heard.Add(c.cfg.Probe)):
		c.want.ping = true
		c.work()
	}
	c.schedule()
}

// work sends the next request that is wanted, unless one waits.
func (c *PaC) work() {
	if c.ex.request != nil || c.id == 0 {
		return
	}
	w := &c.want
	var err error
	switch {
	case w.terminate != 0:
		as := AVPs{avpUint32(CodeTerminationCause, uint32(w.terminate))}
		w.terminate = 0
		err = c.ask(Termination, 0, as)
	case w.eap != nil:
		as := AVPs{{Code: CodeEAPPayload, Value: w.eap}}
		w.eap = nil
		err = c.ask(Auth, 0, as)
	case w.moved:
		w.moved, w.ping = false, false
		err = c.ask(Notification, FlagPing, nil)
	case c.hs != nil || c.sa == nil: // later
	case w.reauth:
		w.reauth = false
		err = c.ask(Notification, FlagReauth, nil)
	case len(w.ask) > 0 || w.ping:
		as := w.ask
		w.ask, w.ping = nil, false
		err = c.ask(Notification, FlagPing, as)
	}
	if err != nil {
		c.close(err, 0)
	}
}

// ask sends a new request.
func (c *PaC) ask(t Type, f Flags, as AVPs) error {
	seq, err := c.ex.next(c.cfg.Random)
	if err != nil {
		return err
	}
	b := c.encode(&Message{Flags: f | FlagRequest, Type: t, SessionID: c.id, Seq: seq, AVPs: as}, c.sa)
	c.ex.begin(b, &c.cfg.Timers.Request, c.now(), c.cfg.Jitter)
	c.schedule()
	c.cfg.Send(c.agent, b)
	return nil
}

// reply answers a request of the agent and remembers the answer.
func (c *PaC) reply(m *Message, sa *SA, as AVPs) {
	b := c.encode(&Message{Flags: m.Flags & flagsKnown &^ (FlagRequest | FlagReconfig), Type: m.Type,
		SessionID: m.SessionID, Seq: m.Seq, AVPs: as}, sa)
	c.ex.answered(m.Seq, b)
	c.cfg.Send(c.agent, b)
}

// Receive takes a datagram from the agent.
func (c *PaC) Receive(d Datagram) {
	if err := c.receive(&d); err != nil && c.cfg.Dropped != nil {
		c.cfg.Dropped(d.From, err)
	}
}

func (c *PaC) receive(d *Datagram) error {
	switch {
	case d.From != c.agent:
		return ErrForeign
	case !c.cfg.AllowRouted && !d.OnLink():
		return ErrOffLink
	}
	m, err := c.decode(d.Payload)
	switch {
	case err != nil:
		return err
	case m.is(Auth, FlagRequest|FlagStart):
		return c.begun(m)
	case m.SessionID != c.id || c.id == 0:
		return ErrSession
	case m.request() && c.state == Closed && c.ex.duplicate(m):
		c.cfg.Send(c.agent, c.ex.answer)
		return nil
	case c.state == Closed:
		return fmt.Errorf("%w: %v while %v", ErrUnexpected, m, c.state)
	case m.is(Auth, FlagRequest|FlagComplete) && !c.ex.duplicate(m):
		return c.completed(m)
	}
	if err := c.authentic(m); err != nil {
		return err
	}
	if !m.request() {
		return c.answered(m)
	}
	switch {
	case c.ex.duplicate(m):
		c.cfg.Send(c.agent, c.ex.answer)
		return nil
	case !c.ex.fresh(m):
		return fmt.Errorf("%w: %v", ErrSequence, m)
	}
	return c.requested(m)
}

// authentic checks the AUTH of a message that the present keys protect.
func (c *PaC) authentic(m *Message) error {
	if c.sa == nil {
		if _, ok := m.AVPs.Find(CodeAuth); ok {
			return fmt.Errorf("%w: there are no keys yet", ErrAuth)
		}
		return nil
	}
	if !c.sa.Verify(m) {
		return ErrAuth
	}
	return nil
}

// requested takes a new request of the agent other than the first and the last
// of a handshake.
func (c *PaC) requested(m *Message) error {
	switch {
	case m.Type == Auth:
		return c.agentEAP(m)
	case c.sa == nil || c.state == Terminating && m.Type != Termination:
	case m.is(Notification, FlagRequest|FlagPing):
		as, err := c.decrypt(m, c.sa)
		if err != nil {
			return err
		}
		c.heard = c.now()
		c.reply(m, c.sa, nil)
		c.deliver(as)
		c.schedule()
		return nil
	case m.is(Termination, FlagRequest):
		c.reply(m, c.sa, nil)
		cause, _ := m.AVPs.uint32(CodeTerminationCause)
		c.close(nil, Cause(cause))
		return nil
	}
	return fmt.Errorf("%w: %v while %v", ErrUnexpected, m, c.state)
}

// answered takes the answer to the request that waits.
func (c *PaC) answered(m *Message) error {
	if !c.ex.answers(m) {
		return fmt.Errorf("%w: %v", ErrSequence, m)
	}
	as, err := c.decrypt(m, c.sa)
	if err != nil {
		return err
	}
	c.heard = c.now()
	c.ex.done()
	if m.Type == Termination {
		c.close(nil, 0)
		return nil
	}
	c.deliver(as)
	c.work()
	c.schedule()
	return nil
}

// decrypt returns what is encrypted in a message that sa has verified.
func (c *PaC) decrypt(m *Message, sa *SA) (AVPs, error) {
	v, ok := m.AVPs.Find(CodeEncryptionEncap)
	if !ok {
		return nil, nil
	}
	if sa == nil || sa.Suite.Encryption == 0 {
		return nil, fmt.Errorf("%w: encryption was not agreed on", ErrDecrypt)
	}
	as, err := sa.Decrypt(v, PAASide, m.SessionID, m.Seq)
	if err == nil {
		_, err = as.NetworkKeys()
	}
	return as, err
}

func (c *PaC) deliver(as AVPs) {
	if len(as) > 0 && c.cfg.Delivered != nil {
		c.cfg.Delivered(as)
	}
}
