package joining

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/coap"
	"gatewayd/dtls"
	"gatewayd/thread/link"
	"gatewayd/thread/meshcop"
	"gatewayd/thread/tmf"
)

// sessionTimeout is how long a joiner may take, OpenThread's.
const sessionTimeout = 30 * time.Second

// Implementation constants.
const (
	maxSessions   = 8
	cookieKeyLen  = 32
	cookieKeyLife = time.Minute
)

// session is the DTLS session with one joiner, which is known by the interface
// identifier of its link-local address.
type session struct {
	c       *Commissioner
	entry   *entry
	attempt *Attempt
	iid     [8]byte
	port    uint16 // the joiner's
	router  uint16 // RLOC16 of its joiner router
	random  []byte // of its ClientHello
	secured *secured
	limit   *alarm.Timer

	accepted bool         // JOIN_FIN was accepted
	kek      *meshcop.Key // goes with what is being sent
	muted    bool         // nothing is sent any more
}

// relayed takes a datagram of a joiner (RLY_RX.ntf).
func (c *Commissioner) relayed(r *tmf.Request) {
	r.NoResponse()
	if r.Type != coap.NonConfirmable {
		c.Counters.Malformed++
		return
	}
	if c.state != Active {
		if c.cfg.Relayed != nil {
			c.cfg.Relayed(r.Payload)
		}
		return
	}
	m, err := meshcop.DecodeRelayRx(r.Payload)
	if err != nil {
		c.Counters.Malformed++
		return
	}
	c.joinerSent(&m)
}

func (c *Commissioner) joinerSent(m *meshcop.RelayRx) {
	i := slices.IndexFunc(c.sessions, func(s *session) bool { return s.iid == m.JoinerIID })
	random := helloRandom(m.Encapsulation)
	if i >= 0 && (random == nil || bytes.Equal(random, c.sessions[i].random)) {
		c.Counters.Relayed++
		s := c.sessions[i]
		// A joiner router may have moved, as one does that was a child.
		s.router, s.port = m.RouterLocator, m.JoinerPort
		s.secured.handle(m.Encapsulation)
		return
	}
	if random == nil {
		c.Counters.Stray++
		return
	}
	e := c.match(joinerID(m.JoinerIID))
	if e == nil {
		c.Counters.Unknown++
		return
	}
	if !c.knocked(m) {
		return
	}
	// Somebody who is really there begins, or begins anew.
	if i >= 0 {
		c.sessions[i].muted = true
		c.sessions[i].abandon(Lost, ErrAbort.because("began anew"))
	}
	if len(c.sessions) >= maxSessions {
		c.Counters.Full++
		return
	}
	c.open(e, m, random)
}

// Layout of a record with a ClientHello (RFC 6347 Sections 4.1 and 4.2.2): its
// random follows both headers and the version.
const (
	recordTypeHandshake = 22
	messageClientHello  = 1
	messageOffset       = 13
	randomOffset        = messageOffset + 12 + 2
	randomEnd           = randomOffset + 32
)

// helloRandom is the random of the ClientHello that a datagram begins with; nil
// if it begins with something else. Repetitions have the same one.
func helloRandom(b []byte) []byte {
	if len(b) < randomEnd || b[0] != recordTypeHandshake || b[messageOffset] != messageClientHello ||
		b[3] != 0 || b[4] != 0 { // of another epoch, so sealed
		return nil
	}
	return bytes.Clone(b[randomOffset:randomEnd])
}

// knocked asks for a cookie before anything is remembered of a joiner, and
// reports whether it brought one.
func (c *Commissioner) knocked(m *meshcop.RelayRx) bool {
	now := c.cfg.Clock.Now()
	if len(c.front.Key) == 0 || now.Sub(c.frontAge) >= cookieKeyLife {
		key := make([]byte, cookieKeyLen)
		if _, err := io.ReadFull(c.cfg.Entropy, key); err != nil {
			return false
		}
		c.front, c.frontAge = dtls.Front{Key: key, Previous: c.front.Key}, now
	}
	reply, ok := c.front.Check(m.JoinerIID[:], m.Encapsulation)
	if reply != nil {
		c.Counters.Cookies++
		c.transmit(m.JoinerIID, m.JoinerPort, m.RouterLocator, reply, nil)
	}
	return ok
}

// open begins a session.
func (c *Commissioner) open(e *entry, m *meshcop.RelayRx, random []byte) {
	s := &session{c: c, entry: e, iid: m.JoinerIID, port: m.JoinerPort, router: m.RouterLocator, random: random}
	s.secured = newSecured(c.cfg.Clock, coap.Config[other]{Rand: c.cfg.Rand}, s.write)
	s.secured.end.Handle(tmf.JoinerFinalize, s.finalize)
	s.secured.established = func() { c.progress(e, s.attempt, Connected, nil) }
	s.secured.closed = s.closed
	s.limit = c.cfg.Clock.NewTimer(func() {
		s.abandon(Lost, ErrResponseTimeout.because("the joiner did not finish within %v", sessionTimeout))
	})
	err := s.secured.open(dtls.Server, dtls.Config{
		Secret: []byte(e.PSKd.Reveal()), Rand: c.cfg.Entropy, Send: s.send,
	})
	if err != nil {
		return // no random bytes: the joiner tries again
	}
	c.Counters.Sessions++
	c.sessions = append(c.sessions, s)
	s.attempt = c.begin(e, joinerID(s.iid), s.router)
	s.limit.Start(sessionTimeout)
	s.secured.handle(m.Encapsulation)
}

// transmit sends a datagram to a joiner (RLY_TX.ntf).
func (c *Commissioner) transmit(iid [8]byte, port, router uint16, datagram []byte, kek *meshcop.Key) {
	m := meshcop.RelayTx{JoinerPort: port, JoinerIID: iid, RouterLocator: router, Encapsulation: datagram, KEK: kek}
	c.cfg.TMF.Send(tmf.RelayTransmit, c.cfg.Address(router), m.Append(nil),
		tmf.Options{NonConfirmable: true, Priority: link.Net, Source: c.rloc()}, nil)
}

// write seals what CoAP sends. Once the joiner is accepted that is the answer to
// JOIN_FIN, and its repetitions.
func (s *session) write(conn *dtls.Conn, b []byte) {
	if s.accepted && conn.Established() {
		k := meshcop.Key(conn.KEK())
		s.kek = &k
	}
	_ = conn.Write(b) // fails when the joiner has closed the session
	s.kek = nil
}

func (s *session) send(datagram []byte) {
	if !s.muted {
		s.c.transmit(s.iid, s.port, s.router, datagram, s.kek)
	}
}

// finalize answers JOIN_FIN.req.
func (s *session) finalize(r *coap.Request[other]) {
	c := s.c
	t := meshcop.TLVs(r.Payload)
	if r.Code != coap.POST || t.Validate() != nil || !t.Has(meshcop.TypeState) {
		r.Respond(coap.BadRequest, nil)
		return
	}
	// What a device says about itself may be odd; it is not what is decided upon.
	if d, err := meshcop.DecodeJoinerFinalize(r.Payload); err == nil {
		s.attempt.Device = &d
	}
	if url, ok := t.Find(meshcop.TypeProvisioningURL); ok && string(url) != c.url {
		r.Respond(coap.Changed, meshcop.AppendState(nil, meshcop.StateReject))
		c.progress(s.entry, s.attempt, Refused, ErrRejected.because("provisioning URL %q, not %q", url, c.url))
		return
	}
	if !s.accepted {
		s.accepted = true
		c.Counters.Accepted++
	}
	r.Respond(coap.Changed, meshcop.AppendState(nil, meshcop.StateAccept))
	c.progress(s.entry, s.attempt, Finalized, nil)
	if s.entry.Who.Kind != Anybody {
		c.removeIn(s.entry, removeDelay)
	}
}

// abandon ends the session from this side. Where the outcome is known already,
// that stays.
func (s *session) abandon(p Progress, why error) {
	if s.attempt.Progress <= Connected {
		s.c.progress(s.entry, s.attempt, p, why)
	}
	s.secured.close()
}

// closed is the end of the session.
func (s *session) closed(err error) {
	c := s.c
	s.limit.Stop()
	c.sessions = slices.DeleteFunc(c.sessions, func(x *session) bool { return x == s })
	var alert *dtls.AlertError
	switch p := s.attempt.Progress; {
	case p == Finalized && errors.Is(err, dtls.ErrPeerClosed):
		c.progress(s.entry, s.attempt, Entrusted, nil)
	case p > Connected:
	case errors.Is(err, dtls.ErrWrongSecret):
		c.progress(s.entry, s.attempt, Refused, ErrSecurity.because("the joiner has another PSKd: %w", err))
	case errors.As(err, &alert):
		c.progress(s.entry, s.attempt, Refused, ErrSecurity.because("%w", err))
	default:
		c.progress(s.entry, s.attempt, Lost, ErrAbort.because("%w", err))
	}
}
