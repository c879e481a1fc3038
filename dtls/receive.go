package dtls

import "time"

// Handle takes one datagram from the peer. What is not a record of this
// session is dropped without a word (RFC 6347 Section 4.1.2.7). The datagram is
// neither changed nor kept.
func (c *Conn) Handle(now time.Time, datagram []byte) {
	for c.state != closed {
		r, rest, ok := nextRecord(datagram)
		if !ok {
			return
		}
		datagram = rest
		switch r.epoch {
		case 0:
			c.handlePlain(now, r)
		case 1:
			c.handleSealed(now, r)
		}
	}
}

// handlePlain takes a record of epoch 0, which anybody can have made. After
// the handshake there is nothing left for it to say.
func (c *Conn) handlePlain(now time.Time, r record) {
	if c.state >= established || len(r.fragment) > maxPlaintext {
		return
	}
	// A first ClientHello may come in a DTLS 1.0 record, and so may a
	// HelloVerifyRequest (RFC 6347 Section 4.2.1).
	if r.version != version12 && (r.version != version10 || c.state != waitHello) {
		return
	}
	switch r.typ {
	case typeHandshake:
		c.handleFragments(now, r, r.fragment)
	case typeAlert:
		c.handleAlert(r.fragment)
	}
}

// sealedFinished is the length of a protected Finished message in one piece.
const sealedFinished = messageHeaderLen + verifyDataLen + sealedOverhead

// handleSealed takes a record of epoch 1.
func (c *Conn) handleSealed(now time.Time, r record) {
	if c.in.aead == nil || r.version != version12 || !c.window.fresh(r.seq) {
		return
	}
	plain, ok := c.in.open(r)
	if !ok {
		// The first thing a peer protects is its Finished, or a fragment of it
		// where a datagram was full. When that does not open, its keys are
		// others, and so was its secret.
		if c.state == waitFinished && r.typ == typeHandshake && len(r.fragment) <= sealedFinished {
			c.end(&AlertError{Alert: AlertBadRecordMAC, Err: ErrWrongSecret})
		}
		return
	}
	c.window.accept(r.seq)
	switch r.typ {
	case typeHandshake:
		c.handleFragments(now, r, plain)
	case typeAlert:
		c.handleAlert(plain)
	case typeApplicationData:
		if c.state != established {
			return // overtook its Finished
		}
		c.flight = flight{} // the peer has all it needs
		if c.cfg.Receive != nil {
			c.cfg.Receive(plain)
		}
	}
}

// handleAlert takes an alert (RFC 5246 Section 7.2). Warnings but close_notify
// have no effect.
func (c *Conn) handleAlert(b []byte) {
	if len(b) != 2 {
		return
	}
	a := Alert(b[1])
	switch {
	case a == AlertCloseNotify:
		c.end(ErrPeerClosed)
	case b[0] != levelFatal:
	case c.state == waitFinished && (a == AlertBadRecordMAC || a == AlertDecryptError):
		// Our Finished did not open at the peer, or was not what it expected.
		c.end(&AlertError{Alert: a, Remote: true, Err: ErrWrongSecret})
	default:
		c.end(&AlertError{Alert: a, Remote: true})
	}
}

// handleFragments takes the handshake messages in the plain text of record r.
func (c *Conn) handleFragments(now time.Time, r record, b []byte) {
	for c.state != closed {
		f, rest, ok := nextFragment(b)
		if !ok {
			return
		}
		b = rest
		if (f.typ == finishedType) != (r.epoch == 1) || f.typ == helloRequest {
			continue
		}
		if !c.client && c.state == waitHello && f.typ == clientHelloType {
			c.meet(r, f)
		}
		if f.seq == c.recv.next-1 && f.off+len(f.data) == f.len && c.repeated(f) {
			c.repeat(now)
			continue
		}
		if c.state == established {
			continue // no renegotiation
		}
		c.recv.add(f)
		for c.state < established {
			m, ok := c.recv.pop()
			if !ok {
				break
			}
			if err := c.step(now, m); err != nil {
				c.fail(err)
			}
		}
	}
}

// repeated reports whether f, which bears the number of the message handled
// last, can be that message: it is of the kind that ends a flight.
func (c *Conn) repeated(f fragment) bool {
	switch f.typ {
	case clientHelloType, finishedType:
		return !c.client
	case helloVerifyRequest, serverHelloDone:
		return c.client
	}
	return false
}

// step consumes the next message of the handshake. An error ends it.
func (c *Conn) step(now time.Time, m message) error {
	if c.client {
		return c.stepClient(now, m)
	}
	return c.stepServer(now, m)
}

// unexpected is the error for a message that has no place here.
func (c *Conn) unexpected(m message) error {
	return fatal(AlertUnexpectedMessage, "%s in state %v", messageName(m.typ), c.state)
}

// readKeyExchange takes the peer's second message of the exchange.
func (c *Conn) readKeyExchange(m message) error {
	if err := c.exchange.ReadRoundTwo(m.body); err != nil {
		return fatal(AlertIllegalParameter, "%s: %w", messageName(m.typ), err)
	}
	c.transcript = m.append(c.transcript)
	return nil
}
