package dtls

import (
	"fmt"
	"io"
	"time"
)

// maxCookies is how often a server may ask for a cookie, an implementation
// constant: once, and again when its key has just changed.
const maxCookies = 3

// Client starts a session as client. The ClientHello is sent before it
// returns.
func Client(cfg Config, now time.Time) (*Conn, error) {
	c, err := newConn(true, cfg, now)
	if err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(c.cfg.Rand, c.clientRandom[:]); err != nil {
		return nil, fmt.Errorf("dtls: drawing the client random: %w", err)
	}
	if err := c.sendClientHello(now); err != nil {
		return nil, err
	}
	return c, nil
}

// sendClientHello sends the first flight, or that with a cookie. A hello
// without one, and the request for it, are not part of the transcript
// (RFC 6347 Section 4.2.1).
func (c *Conn) sendClientHello(now time.Time) error {
	keyKP, err := c.exchange.RoundOne()
	if err != nil {
		return fmt.Errorf("dtls: %w", err)
	}
	c.transcript = nil
	c.begin(false)
	c.queue(clientHelloType, 0, appendClientHello(nil, c.clientRandom, c.cookie, keyKP))
	c.transmit(now)
	return nil
}

func (c *Conn) stepClient(now time.Time, m message) error {
	switch {
	case c.state == waitHello && m.typ == helloVerifyRequest:
		return c.readHelloVerify(now, m)
	case c.state == waitHello && m.typ == serverHelloType:
		return c.readServerHello(m)
	case c.state == waitKeyExchange && m.typ == serverKeyExchange:
		c.state = waitHelloDone
		return c.readKeyExchange(m)
	case c.state == waitHelloDone && m.typ == serverHelloDone:
		c.transcript = m.append(c.transcript)
		return c.sendKeyExchange(now)
	case c.state == waitFinished && m.typ == finishedType:
		if err := c.checkFinished(m); err != nil {
			return err
		}
		c.flight = flight{}
		c.establish()
		return nil
	}
	return c.unexpected(m)
}

func (c *Conn) readHelloVerify(now time.Time, m message) error {
	cookie, err := decodeHelloVerify(m.body)
	if err != nil {
		return &AlertError{Alert: AlertDecodeError, Err: err}
	}
	if c.cookies++; c.cookies > maxCookies {
		return fatal(AlertHandshakeFailure, "the server asked for a cookie %d times", c.cookies)
	}
	c.cookie = cookie
	return c.sendClientHello(now)
}

func (c *Conn) readServerHello(m message) error {
	h, err := decodeServerHello(m.body)
	if err != nil {
		return &AlertError{Alert: AlertDecodeError, Err: err}
	}
	switch {
	case h.version != version12:
		return fatal(AlertProtocolVersion, "ServerHello: version %#04x", h.version)
	case h.suite != suiteECJPAKE || h.compression != compressionNone:
		return fatal(AlertIllegalParameter, "ServerHello: suite %#04x, compression %d", h.suite, h.compression)
	case h.ext.other || h.ext.maxFragment != 0 || h.ext.groups != nil:
		return fatal(AlertUnsupportedExtension, "ServerHello: an extension that was not offered")
	case len(h.ext.renegotiation) != 0:
		return fatal(AlertHandshakeFailure, "ServerHello: renegotiation info of another handshake")
	}
	if why := h.ext.unusable(); why != "" {
		return fatal(AlertHandshakeFailure, "ServerHello: %s", why)
	}
	if err := c.exchange.ReadRoundOne(h.ext.keyKP); err != nil {
		return fatal(AlertIllegalParameter, "ServerHello: %w", err)
	}
	c.serverRandom, c.extendedMaster = h.random, h.ext.extendedMaster
	c.transcript = m.append(c.transcript)
	c.state = waitKeyExchange
	return nil
}

// sendKeyExchange answers the server's flight with ClientKeyExchange,
// ChangeCipherSpec and Finished.
func (c *Conn) sendKeyExchange(now time.Time) error {
	two, err := c.exchange.RoundTwo()
	if err != nil {
		return err
	}
	c.begin(false)
	c.queue(clientKeyExchange, 0, two)
	if err := c.makeKeys(); err != nil {
		return err
	}
	c.queueFinished()
	c.state = waitFinished
	c.transmit(now)
	return nil
}
