package dtls

import (
	"bytes"
	"fmt"
	"io"
	"time"
)

// Server makes a session as server. It sends nothing before a ClientHello is
// handled. Behind a Front, which has seen to the cookie, it needs no CookieKey.
func Server(cfg Config, now time.Time) (*Conn, error) {
	return newConn(false, cfg, now)
}

// meet adopts the client's numbering from fragment f of a ClientHello. After a
// Front the first one to arrive has message_seq 1, and record numbers must go on
// after those the Front used (RFC 6347 Section 4.2.1).
func (c *Conn) meet(r record, f fragment) {
	c.recordSeq[0] = max(c.recordSeq[0], r.seq)
	if c.recv.empty() && len(c.flight.items) == 0 {
		c.recv.next = f.seq
	}
}

func (c *Conn) stepServer(now time.Time, m message) error {
	switch {
	case c.state == waitHello && m.typ == clientHelloType:
		return c.readClientHello(now, m)
	case c.state == waitKeyExchange && m.typ == clientKeyExchange:
		if err := c.readKeyExchange(m); err != nil {
			return err
		}
		c.state = waitFinished
		return c.makeKeys()
	case c.state == waitFinished && m.typ == finishedType:
		if err := c.checkFinished(m); err != nil {
			return err
		}
		c.begin(true)
		c.queueFinished()
		c.transmit(now)
		c.establish()
		return nil
	}
	return c.unexpected(m)
}

func (c *Conn) readClientHello(now time.Time, m message) error {
	h, err := decodeClientHello(m.body)
	if err != nil {
		return &AlertError{Alert: AlertDecodeError, Err: err}
	}
	c.sendSeq = m.seq
	if len(c.cfg.CookieKey) > 0 && !cookieHolds(c.cfg.CookieKey, c.cfg.PeerID, &h) {
		c.sendHelloVerify(now, cookieFor(c.cfg.CookieKey, c.cfg.PeerID, &h))
		return nil
	}
	switch {
	case h.version>>8 != version12>>8 || h.version > version12: // minor versions count down
		return fatal(AlertProtocolVersion, "ClientHello: version %#04x", h.version)
	case !h.offers(suiteECJPAKE):
		return fatal(AlertHandshakeFailure, "ClientHello: cipher suite %#04x is not offered", suiteECJPAKE)
	case !bytes.Contains(h.compressions, []byte{compressionNone}):
		return fatal(AlertIllegalParameter, "ClientHello: no compression is not offered")
	case len(h.ext.renegotiation) != 0:
		return fatal(AlertHandshakeFailure, "ClientHello: renegotiation info of another handshake")
	case h.ext.maxFragment > 4:
		return fatal(AlertIllegalParameter, "ClientHello: max fragment length %d", h.ext.maxFragment)
	}
	if why := h.ext.unusable(); why != "" {
		return fatal(AlertHandshakeFailure, "ClientHello: %s", why)
	}
	return c.sendServerHello(now, m, &h)
}

// sendHelloVerify asks for a cookie. The request is only kept to answer a
// ClientHello that is repeated without it; no timer runs.
func (c *Conn) sendHelloVerify(now time.Time, cookie []byte) {
	c.begin(true)
	c.queue(helloVerifyRequest, 0, appendHelloVerify(nil, cookie))
	c.transcript = nil
	c.transmit(now)
}

// sendServerHello answers a ClientHello with ServerHello, ServerKeyExchange
// and ServerHelloDone.
func (c *Conn) sendServerHello(now time.Time, m message, h *clientHello) error {
	keyKP, err := c.exchange.RoundOne()
	if err != nil {
		return err
	}
	if err := c.exchange.ReadRoundOne(h.ext.keyKP); err != nil {
		return fatal(AlertIllegalParameter, "ClientHello: %w", err)
	}
	two, err := c.exchange.RoundTwo()
	if err != nil {
		return err
	}
	if _, err := io.ReadFull(c.cfg.Rand, c.serverRandom[:]); err != nil {
		return fmt.Errorf("dtls: drawing the server random: %w", err)
	}
	c.clientRandom, c.extendedMaster = h.random, h.ext.extendedMaster

	x := appendExtension(nil, extKeyKP, keyKP)
	if h.offers(suiteSCSV) || h.ext.renegotiation != nil {
		x = appendExtension(x, extRenegotiation, []byte{0})
	}
	if h.ext.extendedMaster {
		x = appendExtension(x, extExtendedMaster, nil)
	}
	if h.ext.maxFragment != 0 {
		c.maxFragment = maxFragmentLowest << (h.ext.maxFragment - 1)
		x = appendExtension(x, extMaxFragment, []byte{h.ext.maxFragment})
	}
	c.transcript = m.append(nil)
	c.begin(false)
	c.queue(serverHelloType, 0, appendServerHello(nil, c.serverRandom, x))
	c.queue(serverKeyExchange, 0, two)
	c.queue(serverHelloDone, 0, nil)
	c.state = waitKeyExchange
	c.transmit(now)
	return nil
}
