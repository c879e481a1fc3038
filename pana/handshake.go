package pana

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"gatewayd/eap"
)

// Codes of EAP packets (RFC 3748 Section 4).
const (
	eapRequest  = 1
	eapResponse = 2
	eapSuccess  = 3
	eapFailure  = 4

	eapHeaderLen = 4
)

// eapHeader returns code and identifier of an EAP packet whose length fits. A
// request and a response have a type.
func eapHeader(b []byte) (code, id byte, ok bool) {
	if len(b) < eapHeaderLen || int(binary.BigEndian.Uint16(b[2:])) != len(b) ||
		b[0] <= eapResponse && len(b) == eapHeaderLen {
		return 0, 0, false
	}
	return b[0], b[1], true
}

// authenticate begins a handshake; s.hs has its nonce.
func (s *session) authenticate() {
	hs := s.hs
	hs.deadline = s.now().Add(s.paa.cfg.Timers.Handshake)
	s.schedule()
	hs.conv = s.paa.cfg.Backend.Converse(s.paa.cfg.Port(s.path.pac, s.path.pre), func(r eap.Result) {
		defer clear(r.EMSK)
		defer clear(r.MSK)
		if s.hs == hs && hs.failed == nil && hs.sa == nil {
			s.result(r)
		}
	})
	if s.hs != hs {
		hs.conv.Close() // it failed already
		return
	}
	hs.conv.Begin()
}

// reauthenticate begins a handshake in a session that has keys (RFC 5191
// Section 4.3).
func (s *session) reauthenticate() {
	nonce, err := randomBytes(s.paa.cfg.Random, s.paa.cfg.NonceLen)
	if err != nil {
		s.ended(err, 0)
		return
	}
	s.hs = &handshake{suite: s.sa.Suite, paaNonce: nonce}
	s.state = Reauthenticating
	s.authenticate()
}

// result takes an answer of the Backend.
func (s *session) result(r eap.Result) {
	if r.Identity != "" {
		s.identity = r.Identity
	}
	if r.Method != 0 {
		s.method = r.Method
	}
	hs := s.hs
	switch r.Outcome {
	case eap.Continue:
		if len(r.Packet) == 0 || hs.asked && hs.fed == nil {
			return // nothing to say, or the client is asked already
		}
		if hs.rounds++; hs.rounds > s.paa.cfg.Limits.Rounds {
			s.reject(ResultAuthentication, nil, ErrRounds)
			return
		}
		s.askEAP(r.Packet)
	case eap.Success:
		if len(r.MSK) < mskLen {
			s.reject(ResultAuthentication, nil, ErrNoKeys)
			return
		}
		s.succeed(r)
	default:
		why := ErrAuthentication
		if r.Reason != nil {
			why = fmt.Errorf("%w: %w", ErrAuthentication, r.Reason)
		}
		s.reject(ResultAuthentication, r.Packet, why)
	}
}

// askEAP takes an EAP request to the client.
func (s *session) askEAP(packet []byte) {
	hs := s.hs
	code, id, ok := eapHeader(packet)
	if !ok || code != eapRequest {
		s.reject(ResultAuthentication, nil, fmt.Errorf("%w: not a request", ErrEAP))
		return
	}
	hs.lastID, hs.asked, hs.fed, hs.feeds = id, true, nil, 0
	as := AVPs{{Code: CodeEAPPayload, Value: packet}}
	if hs.pacNonce == nil {
		as = append(as, AVP{Code: CodeNonce, Value: hs.paaNonce})
	}
	if err := s.ask(Auth, s.paa.reconfig(), s.sa, as, nil); err != nil {
		s.fail(err)
	}
}

// clientAnswer takes the answer to a PAR of the handshake.
func (s *session) clientAnswer(w path, m *Message) error {
	hs := s.hs
	nonce, ok := m.AVPs.Find(CodeNonce)
	if !ok && hs.pacNonce == nil {
		return fmt.Errorf("%w: a nonce is missing", ErrInvalid)
	}
	packet, ok := m.AVPs.Find(CodeEAPPayload)
	if ok {
		if err := hs.fits(packet); err != nil {
			return err
		}
	}
	s.accepted(w)
	if hs.pacNonce == nil {
		hs.pacNonce = slices.Clone(nonce)
	}
	if !ok { // the response comes in a request of the client's
		s.ex.done()
		s.schedule()
		return nil
	}
	// A response that makes no sense to the EAP server brings no result. So
	// the request is not repeated any more, but still stands: the answer may
	// have been a forged one, and the client's is to come.
	s.ex.repeat.stop()
	s.schedule()
	s.respond(packet)
	return nil
}

// clientEAP takes a PAR by which a client that does not piggy-back sends its
// EAP response.
func (s *session) clientEAP(w path, m *Message) error {
	hs := s.hs
	packet, ok := m.AVPs.Find(CodeEAPPayload)
	switch {
	case hs == nil || !ok || !hs.asked:
		return fmt.Errorf("%w: %v while %v", ErrUnexpected, m, s.state)
	case hs.pacNonce == nil:
		return fmt.Errorf("%w: before the nonce", ErrUnexpected)
	}
	if err := hs.fits(packet); err != nil {
		return err
	}
	s.accepted(w)
	s.ex.done() // the request was received, whatever became of its answer
	s.schedule()
	s.reply(m, nil)
	s.respond(packet)
	return nil
}

// fits reports whether a packet answers the last EAP request.
func (hs *handshake) fits(packet []byte) error {
	code, id, ok := eapHeader(packet)
	switch {
	case !ok, code != eapResponse, id != hs.lastID:
		return ErrEAP
	case !hs.asked, hs.feeds >= maxFeeds, bytes.Equal(hs.fed, packet):
		return fmt.Errorf("%w: it was answered", ErrUnexpected)
	}
	return nil
}

// maxFeeds is how many responses to one EAP request are tried.
const maxFeeds = 4

func (s *session) respond(packet []byte) {
	s.hs.fed = slices.Clone(packet)
	s.hs.feeds++
	s.hs.conv.Receive(slices.Clone(packet))
}

// succeed makes the keys of a client that has authenticated and tells it
// whether it has access.
func (s *session) succeed(r eap.Result) {
	hs := s.hs
	var keyID uint32
	for keyID == 0 || s.sa != nil && keyID == s.sa.KeyID {
		var err error
		if keyID, err = randomUint32(s.paa.cfg.Random); err != nil {
			s.fail(err)
			return
		}
	}
	sa, err := NewSA(r.MSK, s.exchange(keyID))
	if err != nil {
		s.reject(ResultAuthentication, nil, err)
		return
	}
	if a := s.paa.cfg.Authorize; a != nil {
		public := r
		public.MSK, public.EMSK = nil, nil
		if err := a(s.Info(), public); err != nil {
			hs.sa = sa
			s.reject(ResultAuthorization, r.Packet, fmt.Errorf("%w: %w", ErrAuthorization, err))
			return
		}
	}
	hs.sa = sa
	if s.lifetime = r.Lifetime; s.lifetime <= 0 {
		s.lifetime = s.paa.cfg.Lifetime
	}
	as := AVPs{
		{Code: CodeEAPPayload, Value: r.Packet},
		avpUint32(CodeKeyID, keyID),
		avpUint32(CodeResultCode, uint32(ResultSuccess)),
		lifetimeAVP(s.lifetime),
	}
	if err := s.ask(Auth, FlagComplete|s.paa.reconfig(), sa, as, s.deliver()); err != nil {
		s.fail(err)
	}
}

// reject tells the client that it has no access, and why. The packet is the
// EAP server's last one, nil if it has not got one.
func (s *session) reject(code Result, packet []byte, why error) {
	hs := s.hs
	if c, _, ok := eapHeader(packet); !ok || c == eapRequest || c == eapResponse {
		packet = []byte{eapFailure, hs.lastID, 0, eapHeaderLen}
	}
	sa := s.sa
	as := AVPs{{Code: CodeEAPPayload, Value: packet}, avpUint32(CodeResultCode, uint32(code))}
	if hs.sa != nil { // authenticated, but not authorized
		sa = hs.sa
		as = append(as, avpUint32(CodeKeyID, sa.KeyID))
	}
	if s.sa == nil {
		s.paa.Counters.Refused++
		s.event(SessionRefused, why)
	} else {
		s.lost(why, 0)
	}
	hs.failed = why
	hs.asked = false
	s.state = Terminating
	s.expires, s.renew, s.want = time.Time{}, time.Time{}, wants{}
	s.ex.done()
	if err := s.ask(Auth, FlagComplete, sa, as, nil); err != nil {
		s.remove()
	}
}

// completed takes the last answer of a handshake.
func (s *session) completed(w path, m *Message) error {
	hs := s.hs
	if hs.sa != nil {
		if id, ok := m.AVPs.uint32(CodeKeyID); !ok || id != hs.sa.KeyID {
			return errIncongruent
		}
	}
	s.ex.done()
	switch {
	case hs.failed == nil:
		s.established()
	case s.want.terminate == 0:
		s.remove()
		return nil
	default: // ended meanwhile; the client is told with its new keys
		s.sa.Wipe()
		s.sa = hs.sa
		s.endHandshake()
	}
	s.accepted(w)
	s.work()
	s.schedule()
	return nil
}

// established gives the client access, with the keys of the handshake.
func (s *session) established() {
	p := s.paa
	kind, sa := SessionReauthenticated, s.hs.sa
	if s.sa == nil {
		kind = SessionAuthorized
		s.since = s.now()
		p.Counters.Authorized++
	} else {
		p.Counters.Reauths++
		s.sa.Wipe()
		s.ex.rekey(sa)
	}
	s.sa = sa
	s.endHandshake()
	s.state = Open
	s.heard = s.now()
	s.expires, s.renew = time.Time{}, time.Time{}
	if s.lifetime < Forever {
		s.expires = s.now().Add(s.lifetime)
		if r := p.cfg.Renew; r > 0 && r < s.lifetime {
			s.renew = s.expires.Add(-r)
		}
	}
	if old := p.paths[s.path.key()]; old != nil && old != s {
		old.ended(ErrReplaced, 0)
	}
	p.paths[s.path.key()] = s
	s.event(kind, nil)
}
