package pana

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/eap"
)

// Implementation constants.
const (
	defaultNonceLen = 16 // octets, at most 20 are recommended (RFC 5191 Section 8.5)
	defaultLifetime = 24 * time.Hour
)

// PAAConfig is what a PAA needs. Clock, Random, Backend and Send are required.
type PAAConfig struct {
	Clock *alarm.Clock
	// Random is the source of everything that must not be guessed.
	Random io.Reader
	// Jitter spreads repetitions; nil: one seeded from Random.
	Jitter *rand.Rand
	// Backend authenticates.
	Backend eap.Backend
	// Send sends b from the port that clients and relay elements know, with a
	// hop limit of 255. It must not keep or change b, nor have it received
	// before it returns.
	Send func(to netip.AddrPort, b []byte)

	// Event, which may be nil, is told what happens to sessions. Neither it
	// nor any of the functions below may call the agent; a timer may.
	Event func(Event)
	// Dropped, which may be nil, is told of every message that was discarded.
	Dropped func(from netip.AddrPort, why error)

	// Authorize, which may be nil, decides whether a client that has
	// authenticated may have access; an error refuses it. The result holds no
	// keys.
	Authorize func(s Info, r eap.Result) error
	// Deliver, which may be nil, is what an authorized client gets in
	// Encryption-Encap: when it has authenticated, and when it sends a
	// Key-Request. It is not called for a client that cannot decrypt.
	Deliver func(s Info) []AVP
	// Relay reports whether a relay element may relay; nil: none may.
	Relay func(pre netip.AddrPort) bool
	// Port describes a client to the Backend; nil: by its address.
	Port func(pac, pre netip.AddrPort) eap.Port

	Profile    Profile
	Algorithms Algorithms
	Timers     Timers
	Limits     Limits
	// Encrypt offers Encryption-Encap even without Deliver, for Push.
	Encrypt bool
	// NonceLen is the length of a nonce in octets, 8 to 256; 0: 16.
	NonceLen int
	// Lifetime of a session for which the Backend names none; 0: a day, or
	// Forever with ZigBeeIP.
	Lifetime time.Duration
	// Renew starts re-authentication that long before the lifetime ends; 0
	// leaves it to the client.
	Renew time.Duration
	// Probe tests clients that have not been heard of for that long; 0: none.
	Probe time.Duration
	// Reconfigure tells clients to get themselves a new address once they are
	// authorized (the I flag).
	Reconfigure bool
	// AllowRouted accepts clients that are neither link-local nor known to be
	// neighbours by a hop limit of 255.
	AllowRouted bool
}

// PAACounters count what a PAA did.
type PAACounters struct {
	Initiations    uint64 // PCI answered
	Opened         uint64 // handshakes that began, without re-authentications
	Authorized     uint64
	Reauths        uint64 // that succeeded
	Refused        uint64 // first handshakes that failed
	Terminated     uint64
	Evicted        uint64 // handshakes that had to make room
	Dropped        uint64 // messages discarded, for whatever reason
	Retransmission uint64 // requests repeated
	Duplicates     uint64 // repeated requests that were answered again
}

// PAA is a PANA Authentication Agent (RFC 5191 Section 2): the side of the
// network. It is not safe for concurrent use.
type PAA struct {
	codec
	cfg      PAAConfig
	start    starter
	offer    AVPs
	encrypt  bool
	sessions map[uint32]*session
	paths    map[pathKey]*session // the one that was last authenticated there
	half     halfOpen
	buckets  buckets
	jobs     []job
	pace     *alarm.Timer

	Counters PAACounters
}

// pathKey is a path without how it is written.
type pathKey struct{ pac, pre netip.AddrPort }

func (w path) key() pathKey { return pathKey{w.pac, w.pre} }

// job is something to be done to a session when its turn comes.
type job struct {
	id uint32
	do func(*session)
}

// NewPAA returns an agent that serves at once.
func NewPAA(cfg PAAConfig) (*PAA, error) {
	if cfg.Clock == nil || cfg.Random == nil || cfg.Backend == nil || cfg.Send == nil {
		return nil, errors.New("pana: an agent needs Clock, Random, Backend and Send")
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
	cfg.Limits = cfg.Limits.complete()
	if cfg.Lifetime <= 0 {
		if cfg.Lifetime = defaultLifetime; cfg.Profile == ZigBeeIP {
			cfg.Lifetime = Forever
		}
	}
	if cfg.Port == nil {
		cfg.Port = defaultPort
	}
	p := &PAA{
		codec:    codec{profile: cfg.Profile, arrange: byCode},
		cfg:      cfg,
		encrypt:  cfg.Encrypt || cfg.Deliver != nil,
		sessions: make(map[uint32]*session),
		paths:    make(map[pathKey]*session),
	}
	p.offer = cfg.Algorithms.offer(p.encrypt)
	p.pace = cfg.Clock.NewTimer(p.work)
	c := &cookies{now: cfg.Clock.Now, random: cfg.Random}
	c.inUse = func(id uint32) bool { return p.sessions[id] != nil }
	p.start = c
	p.buckets.seed = cfg.Jitter.Uint64()
	return p, nil
}

func completeJitter(j *rand.Rand, random io.Reader) (*rand.Rand, error) {
	if j != nil {
		return j, nil
	}
	b, err := randomBytes(random, 16)
	if err != nil {
		return nil, err
	}
	return rand.New(rand.NewPCG(binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]))), nil
}

func completeNonce(n int) (int, error) {
	if n == 0 {
		return defaultNonceLen, nil
	}
	if n < 8 || n > 256 {
		return 0, fmt.Errorf("pana: a nonce has 8 to 256 octets, not %d", n)
	}
	return n, nil
}

// defaultPort names a client by the EUI-64 in its IPv6 interface identifier,
// or by its IPv4 address.
func defaultPort(pac, _ netip.AddrPort) eap.Port {
	addr := pac.Addr().Unmap()
	if addr.Is4() {
		return eap.Port{CallingStation: addr.String()}
	}
	b := addr.As16()
	b[8] ^= 0x02 // the universal/local bit is inverted (RFC 4291 Section 2.5.1)
	return eap.Port{CallingStation: fmt.Sprintf("%02X-%02X-%02X-%02X-%02X-%02X-%02X-%02X",
		b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15])}
}

// Receive takes a datagram from a client or a relay element.
func (p *PAA) Receive(d Datagram) {
	if err := p.receive(&d); err != nil {
		p.Counters.Dropped++
		if p.cfg.Dropped != nil {
			p.cfg.Dropped(d.From, err)
		}
	}
}

func (p *PAA) receive(d *Datagram) error {
	m, err := p.decode(d.Payload)
	if err != nil {
		return err
	}
	if m.Type != Relay {
		if !p.cfg.AllowRouted && !d.OnLink() {
			return ErrOffLink
		}
		return p.handle(path{pac: d.From}, m)
	}
	if p.cfg.Relay == nil || !p.cfg.Relay(d.From) {
		return ErrRelay
	}
	who, inner, err := m.unwrap()
	if err != nil {
		return err
	}
	if m, err = p.decode(inner); err != nil {
		return err
	}
	if m.Type == Relay {
		return fmt.Errorf("%w: a relayed message in a relayed message", ErrInvalid)
	}
	return p.handle(path{pac: who.Addr, pre: d.From, padded: who.Padded}, m)
}

func (p *PAA) handle(w path, m *Message) error {
	switch {
	case m.Type == Initiation:
		return p.initiated(w)
	case m.is(Auth, FlagStart):
		return p.started(w, m)
	case m.is(Auth, FlagRequest|FlagStart):
		return fmt.Errorf("%w: %v", ErrUnexpected, m)
	}
	s := p.sessions[m.SessionID]
	if s == nil {
		return ErrSession
	}
	return s.receive(w, m)
}

// initiated answers PCI and remembers nothing (RFC 5191 Section 4.1).
func (p *PAA) initiated(w path) error {
	now := p.cfg.Clock.Now()
	ok := false
	if w.relayed() {
		ok = p.buckets.take(now, w.pre.Addr(), p.cfg.Limits.RelayRate, relayBurst)
	} else {
		ok = p.buckets.take(now, w.pac.Addr(), p.cfg.Limits.ClientRate, clientBurst)
	}
	if !ok {
		return ErrRate
	}
	id, seq, err := p.start.issue(w)
	if err != nil {
		return err
	}
	p.Counters.Initiations++
	p.send(w, p.firstRequest(id, seq))
	return nil
}

// firstRequest is the PAR with the S bit, which only depends on its arguments.
func (p *PAA) firstRequest(id, seq uint32) []byte {
	return p.encode(&Message{Flags: FlagRequest | FlagStart | p.reconfig(), Type: Auth,
		SessionID: id, Seq: seq, AVPs: slices.Clone(p.offer)}, nil)
}

func (p *PAA) reconfig() Flags {
	if p.cfg.Reconfigure {
		return FlagReconfig
	}
	return 0
}

// started takes the answer to the first request: the client exists and is
// where it says, and only now there is a session.
func (p *PAA) started(w path, m *Message) error {
	if s := p.sessions[m.SessionID]; s != nil {
		return fmt.Errorf("%w: the session has begun", ErrUnexpected)
	}
	if !p.start.valid(w, m.SessionID, m.Seq) {
		return ErrCookie
	}
	suite, err := p.cfg.Algorithms.chosen(m.AVPs, p.encrypt)
	if err != nil {
		return err
	}
	if len(p.sessions) >= p.cfg.Limits.Sessions {
		return ErrCrowded
	}
	nonce, err := randomBytes(p.cfg.Random, p.cfg.NonceLen)
	if err != nil {
		return err
	}
	p.makeRoom(w)

	s := &session{paa: p, id: m.SessionID, path: w}
	s.ex = exchanger{seq: m.Seq, numbered: true}
	first := p.firstRequest(m.SessionID, m.Seq)
	s.firstLen = uint16(len(first))
	s.first = slices.Concat(first, m.raw)
	s.since = p.cfg.Clock.Now()
	s.heard = s.since
	s.state = Authenticating
	s.timer = p.cfg.Clock.NewTimer(s.tick)
	p.sessions[s.id] = s
	s.hs = &handshake{suite: suite, paaNonce: nonce}
	p.half.add(s)
	p.Counters.Opened++
	s.event(SessionOpened, nil)
	s.authenticate()
	return nil
}

// makeRoom gives up handshakes until one more from w is within the limits.
func (p *PAA) makeRoom(w path) {
	give := func(s *session) {
		p.Counters.Evicted++
		s.refuse(ErrCrowded)
	}
	for p.half.sources[w.source()] >= p.cfg.Limits.HalfOpenPerSource {
		give(p.half.oldestOf(w.source()))
	}
	for p.half.n >= p.cfg.Limits.HalfOpen {
		give(p.half.victim())
	}
}

func (p *PAA) send(w path, b []byte) { p.cfg.Send(w.wrap(b)) }

// Sessions describes all sessions, in the order of their identifiers.
func (p *PAA) Sessions() []Info {
	is := make([]Info, 0, len(p.sessions))
	for _, s := range p.sessions {
		is = append(is, s.Info())
	}
	slices.SortFunc(is, func(a, b Info) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return is
}

// Session describes one.
func (p *PAA) Session(id uint32) (Info, bool) {
	if s := p.sessions[id]; s != nil {
		return s.Info(), true
	}
	return Info{}, false
}

// Disconnect takes a client's access away and tells it so.
func (p *PAA) Disconnect(id uint32) error {
	s := p.sessions[id]
	switch {
	case s == nil:
		return ErrSession
	case s.sa == nil:
		s.refuse(ErrClosed)
	default:
		s.terminate(Administrative, ErrClosed)
	}
	return nil
}

// Reauthenticate starts re-authentication of a client that has access. One
// that is under way already is left alone.
func (p *PAA) Reauthenticate(id uint32) error {
	s := p.sessions[id]
	switch {
	case s == nil:
		return ErrSession
	case s.state != Open && s.state != Reauthenticating:
		return ErrState
	}
	s.want.reauth = s.hs == nil
	s.work()
	return nil
}

// ReauthenticateAll starts re-authentication of every client that has access,
// at Limits.Pace, and says of how many.
func (p *PAA) ReauthenticateAll() int {
	return p.forAll(func(s *session) { _ = p.Reauthenticate(s.id) })
}

// Ping tests whether a client is there; if it is not, its session ends.
func (p *PAA) Ping(id uint32) error {
	s := p.sessions[id]
	switch {
	case s == nil:
		return ErrSession
	case s.state != Open:
		return ErrState
	}
	return s.ping()
}

// Push sends AVPs, encrypted, to a client that has access; a client that does
// not answer loses its session.
func (p *PAA) Push(id uint32, as []AVP) error {
	s := p.sessions[id]
	switch {
	case s == nil:
		return ErrSession
	case s.sa == nil || s.state == Terminating:
		return ErrState
	case s.sa.Suite.Encryption == 0:
		return fmt.Errorf("%w: the client cannot decrypt", ErrState)
	}
	s.push(as)
	return nil
}

// PushAll sends AVPs to every client that has access and can decrypt, at
// Limits.Pace, and says to how many.
func (p *PAA) PushAll(as []AVP) int {
	return p.forAll(func(s *session) { _ = p.Push(s.id, as) })
}

// forAll does something to every session with access, at Limits.Pace.
func (p *PAA) forAll(do func(*session)) int {
	n := len(p.jobs)
	for _, i := range p.Sessions() {
		if i.KeyID != 0 && i.State != Terminating {
			p.jobs = append(p.jobs, job{i.ID, do})
		}
	}
	if len(p.jobs) > 0 && !p.pace.Running() {
		p.pace.Start(0)
	}
	return len(p.jobs) - n
}

// paceTick is how often there is some work at the least, if there is any.
const paceTick = 10 * time.Millisecond

// work does what is due of the jobs.
func (p *PAA) work() {
	every := max(paceTick, time.Duration(float64(time.Second)/p.cfg.Limits.Pace))
	n := min(len(p.jobs), max(1, int(p.cfg.Limits.Pace*every.Seconds())))
	now := p.jobs[:n:n]
	p.jobs = p.jobs[n:]
	if len(p.jobs) > 0 {
		p.pace.Start(every)
	} else {
		p.jobs = nil
	}
	for _, j := range now {
		if s := p.sessions[j.id]; s != nil {
			j.do(s)
		}
	}
}

// Close ends all handshakes, tells every client with access that the session
// is over, once, and forgets everything.
func (p *PAA) Close() {
	for _, i := range p.Sessions() {
		s := p.sessions[i.ID]
		if s.sa != nil {
			s.terminate(Administrative, ErrClosed)
		}
		s.remove()
	}
	p.jobs = nil
	p.pace.Stop()
}
