package pana

import (
	"fmt"
	"slices"
	"time"

	"gatewayd/eap"
)

// newRun begins a handshake with an EAP peer of its own.
func (c *PaC) newRun() error {
	nonce, err := randomBytes(c.cfg.Random, c.cfg.NonceLen)
	if err != nil {
		return err
	}
	c.hs = &clientRun{peer: c.cfg.Peer(), pacNonce: nonce, deadline: c.now().Add(c.cfg.Timers.Handshake)}
	return nil
}

// begun takes the agent's first request: it offers a session. Until the next
// request shows that the agent has got the answer, PCI is repeated, as an
// agent that keeps no state cannot repeat its own, and another offer is taken
// instead of this one.
func (c *PaC) begun(m *Message) error {
	offered := c.state == Authenticating && c.hs.paaNonce == nil
	switch {
	case m.SessionID == 0, c.state != Initiating && !offered:
		return fmt.Errorf("%w: %v while %v", ErrUnexpected, m, c.state)
	case offered && m.SessionID == c.id && c.ex.duplicate(m):
		c.cfg.Send(c.agent, c.ex.answer)
		return nil
	}
	suite, err := c.cfg.Algorithms.choose(m.AVPs, c.cfg.Delivered != nil)
	if err != nil {
		return err
	}
	c.endRun()
	if err := c.newRun(); err != nil {
		return err
	}
	as := suite.avps()
	var late []byte
	if packet, ok := m.AVPs.Find(CodeEAPPayload); ok {
		r := c.hs.peer.Receive(slices.Clone(packet))
		if r.Outcome != eap.Continue || r.Packet == nil {
			c.endRun()
			c.state = Initiating
			return ErrEAP
		}
		if c.cfg.NoPiggyback {
			late = r.Packet
		} else {
			as = append(as, AVP{Code: CodeEAPPayload, Value: r.Packet})
		}
	}
	c.id, c.suite, c.state = m.SessionID, suite, Authenticating
	c.ex = exchanger{}
	c.heard = c.now()
	c.reply(m, nil, as)
	c.first = [2][]byte{slices.Clone(m.raw), slices.Clone(c.ex.answer)}
	c.event(SessionOpened, nil, 0)
	c.want.eap = late
	c.work()
	c.schedule()
	return nil
}

// agentEAP takes a PAR with neither S nor C.
func (c *PaC) agentEAP(m *Message) error {
	packet, ok := m.AVPs.Find(CodeEAPPayload)
	nonce, first := m.AVPs.Find(CodeNonce)
	switch {
	case c.hs == nil && (c.state != Open || !first):
		return fmt.Errorf("%w: %v while %v", ErrUnexpected, m, c.state)
	case c.hs != nil && c.hs.paaNonce == nil && !first:
		return fmt.Errorf("%w: a nonce is missing", ErrInvalid)
	case c.hs != nil && c.hs.paaNonce != nil && first:
		return fmt.Errorf("%w: another nonce", ErrUnexpected)
	}
	if ok {
		if code, _, ok := eapHeader(packet); !ok || code != eapRequest {
			return ErrEAP
		}
	}
	if c.hs == nil { // re-authentication, which the agent may start any time
		if err := c.newRun(); err != nil {
			return err
		}
	}
	var as AVPs
	var late []byte
	var failed error
	if ok {
		r := c.hs.peer.Receive(slices.Clone(packet))
		c.learn(r)
		switch {
		case r.Outcome == eap.Failure:
			failed = reason(r)
		case r.Packet == nil: // ignored; what the peer waits for may still come
			if c.state == Open {
				c.endRun()
			}
			return ErrEAP
		}
		switch {
		case r.Packet == nil:
		case c.cfg.NoPiggyback:
			late = r.Packet
		default:
			as = append(as, AVP{Code: CodeEAPPayload, Value: r.Packet})
		}
	}
	if first {
		c.hs.paaNonce = slices.Clone(nonce)
		as = append(as, AVP{Code: CodeNonce, Value: c.hs.pacNonce})
	}
	if c.state == Open {
		c.state = Reauthenticating
		c.want.reauth = false
	}
	c.ex.received(Auth)
	c.initiation.stop()
	c.heard = c.now()
	c.reply(m, c.sa, as)
	if c.hs.failure = failed; failed != nil && len(as) == 0 && late == nil {
		c.close(failed, 0) // nothing is left to say
		return nil
	}
	c.want.eap = late
	c.work()
	c.schedule()
	return nil
}

// learn takes over what a result says about the client itself.
func (c *PaC) learn(r eap.Result) {
	if r.Identity != "" {
		c.info.Identity = r.Identity
	}
	if r.Method != 0 {
		c.info.Method = r.Method
	}
}

func reason(r eap.Result) error {
	if r.Reason != nil {
		return fmt.Errorf("%w: %w", ErrAuthentication, r.Reason)
	}
	return ErrAuthentication
}

// completed takes a PAR with C, the end of a handshake. With a Key-Id it is
// protected by keys that only exist once the EAP peer has seen the Success in
// it, so these are made first; a forged one leaves nothing behind but keys
// that are made again for the next one.
func (c *PaC) completed(m *Message) error {
	hs := c.hs
	if hs == nil || hs.paaNonce == nil || !c.ex.fresh(m) {
		return fmt.Errorf("%w: %v while %v", ErrUnexpected, m, c.state)
	}
	code, _ := m.AVPs.uint32(CodeResultCode)
	if _, ok := m.AVPs.Find(CodeResultCode); !ok {
		return fmt.Errorf("%w: a result is missing", ErrInvalid)
	}
	keyID, ok := m.AVPs.uint32(CodeKeyID)
	if !ok {
		return c.refused(m, Result(code))
	}
	packet, _ := m.AVPs.Find(CodeEAPPayload)
	if hs.result.Outcome != eap.Success {
		if code, _, ok := eapHeader(packet); !ok || code != eapSuccess {
			return ErrEAP
		}
		r := hs.peer.Receive(slices.Clone(packet))
		if r.Outcome != eap.Success || len(r.MSK) < mskLen {
			return ErrEAP
		}
		hs.result = r
	}
	sa, err := NewSA(hs.result.MSK, Exchange{Suite: c.suite, IPAR: c.first[0], IPAN: c.first[1],
		PaCNonce: hs.pacNonce, PAANonce: hs.paaNonce, KeyID: keyID})
	if err != nil {
		return err
	}
	if !sa.Verify(m) {
		sa.Wipe()
		return ErrAuth
	}
	as, err := c.decrypt(m, sa)
	if err != nil {
		sa.Wipe()
		return err
	}
	c.learn(hs.result)
	c.reply(m, sa, AVPs{avpUint32(CodeKeyID, keyID)})
	if code != uint32(ResultSuccess) {
		c.close(rejection(Result(code)), 0)
		return nil
	}
	seconds, ok := m.AVPs.uint32(CodeSessionLifetime)
	if !ok {
		seconds = uint32(Forever / time.Second)
	}
	c.established(sa, time.Duration(seconds)*time.Second, m.Flags&FlagReconfig != 0)
	c.deliver(as)
	return nil
}

// refused takes the end of a handshake that made no keys.
func (c *PaC) refused(m *Message, code Result) error {
	if err := c.authentic(m); err != nil {
		return err
	}
	if code == ResultSuccess {
		return ErrNoKeys
	}
	why := rejection(code)
	if c.hs.failure != nil {
		why = c.hs.failure
	}
	if packet, ok := m.AVPs.Find(CodeEAPPayload); ok && c.hs.failure == nil {
		if r := c.hs.peer.Receive(slices.Clone(packet)); r.Outcome == eap.Failure && r.Reason != nil {
			why = fmt.Errorf("%w: %w", why, r.Reason)
		}
	}
	c.reply(m, c.sa, nil)
	c.close(why, 0)
	return nil
}

func rejection(code Result) error {
	if code == ResultAuthorization {
		return ErrAuthorization
	}
	return ErrAuthentication
}

// established takes the keys of the handshake into use.
func (c *PaC) established(sa *SA, lifetime time.Duration, reconfigure bool) {
	kind := SessionReauthenticated
	c.ex.received(Auth)
	if c.sa == nil {
		kind = SessionAuthorized
		c.info.Since = c.now()
	} else {
		c.sa.Wipe()
		c.ex.rekey(sa)
	}
	c.sa = sa
	c.endRun()
	c.state = Open
	c.heard = c.now()
	c.info.Lifetime, c.info.Reconfigure = lifetime, reconfigure
	c.info.Expires, c.renew = time.Time{}, time.Time{}
	if lifetime < Forever {
		c.info.Expires = c.now().Add(lifetime)
		before := c.cfg.Renew
		if before == 0 {
			before = lifetime / 4
		}
		if before > 0 && before < lifetime {
			c.renew = c.info.Expires.Add(-before)
		}
	}
	c.event(kind, nil, 0)
	c.work()
	c.schedule()
}
