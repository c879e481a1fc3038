package radius

import (
	"cmp"
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

// Upstream is a RADIUS server that a Client asks.
type Upstream struct {
	Name   string         // for messages; default: the address
	Auth   netip.AddrPort // port 1812 by default
	Acct   netip.AddrPort // where it takes accounting; zero: nowhere
	Secret Secret
	// Priority: lower is asked first; among equals, the first listed.
	Priority int
}

// ClientConfig is what a Client needs. Everything under "may be zero" has a
// default.
type ClientConfig struct {
	Clock   *alarm.Clock // its time must be the wall clock's if there is accounting
	Entropy io.Reader    // for authenticators: as good as the keys
	Servers []Upstream
	// Send sends a datagram from one of the client's sockets, which are
	// numbered from 0 to Sockets-1. Answers to it come to Receive with the
	// same number.
	Send func(socket int, to netip.AddrPort, b []byte)

	// May be zero:

	NASIdentifier string     // default "gatewayd"
	NASAddress    netip.Addr // sent as NAS-IP-Address or NAS-IPv6-Address
	// Sockets bounds the requests outstanding at each server: 256 each.
	// Default 8.
	Sockets int
	// Waiting bounds the requests per server that wait for a free identifier.
	// Default 4096.
	Waiting int
	// Tries is how often a request is sent to a server before the next one is
	// asked; the last server is always tried 5 times. Default 3.
	Tries int
	// DeadTime is how long a server that does not answer is passed over.
	// Default 5 minutes.
	DeadTime time.Duration
	// ProbeInterval is how often a dead server is asked for its status (RFC
	// 5997). Default 30 s; negative: never.
	ProbeInterval time.Duration
	// Granted is called before the answer of a conversation that succeeds.
	Granted func(port eap.Port, g Grant)
	// ServerChanged is called when a server is given up or comes back. service
	// is "authentication" or "accounting".
	ServerChanged func(name, service string, alive bool)
	// Discarded is called with every datagram that was silently discarded.
	Discarded func(from netip.AddrPort, why error)
}

// Grant is what an Access-Accept says beyond what an eap.Result has room for.
type Grant struct {
	Server   string        // its name
	UserName string        // to be used in accounting (RFC 2865 Section 5.1)
	Class    [][]byte      // to be repeated in accounting (RFC 2865 Section 5.25)
	Interim  time.Duration // Acct-Interim-Interval; 0: none asked for
	Lifetime time.Duration // Session-Timeout; 0: none
}

// ClientCounters count requests and what came in.
type ClientCounters struct {
	Requests        uint64 // exchanges begun
	Retransmissions uint64
	Failovers       uint64 // requests that went on to another server
	Unanswered      uint64 // requests that nobody answered
	Refused         uint64 // requests for which there was no room
	Answers         uint64 // verified
	Probes          uint64 // Status-Server requests
	AccountingLost  uint64 // records that no server confirmed

	// Silently discarded:
	Stray     uint64 // not from a server, or nothing outstanding has that identifier
	Malformed uint64
	Unsigned  uint64 // without a Message-Authenticator that is required
	Forged    uint64 // wrong authenticators
	WrongCode uint64 // no answer to what was asked
}

// Client asks RADIUS servers on behalf of an authenticator (RFC 3579 Section
// 2). It is an eap.Backend.
type Client struct {
	cfg    ClientConfig
	rand   *rand.Rand // jitter only
	auth   []*endpoint
	acct   []*endpoint
	byAddr map[netip.AddrPort]*endpoint

	Counters ClientCounters
}

var _ eap.Backend = (*Client)(nil)

var (
	errStray     = errors.New("radius: answers nothing that was asked")
	errWrongCode = errors.New("radius: an answer to something else")
)

// NewClient returns a Client, or an error that wraps ErrConfig.
func NewClient(cfg ClientConfig) (*Client, error) {
	cfg.NASIdentifier = cmp.Or(cfg.NASIdentifier, defaultNASIdentifier)
	cfg.Sockets = cmp.Or(cfg.Sockets, 8)
	cfg.Waiting = cmp.Or(cfg.Waiting, 4096)
	cfg.Tries = cmp.Or(cfg.Tries, 3)
	cfg.DeadTime = cmp.Or(cfg.DeadTime, 5*time.Minute)
	cfg.ProbeInterval = cmp.Or(cfg.ProbeInterval, 30*time.Second)
	if cfg.Sockets < 0 || cfg.Waiting < 0 || cfg.Tries < 0 || cfg.DeadTime < 0 {
		return nil, fmt.Errorf("%w: negative number of sockets, requests, tries or time", ErrConfig)
	}
	if len(cfg.NASIdentifier) > maxValueLen {
		return nil, fmt.Errorf("%w: NAS-Identifier of %d bytes, at most %d", ErrConfig, len(cfg.NASIdentifier), maxValueLen)
	}
	if len(cfg.Servers) == 0 {
		return nil, fmt.Errorf("%w: no server", ErrConfig)
	}
	c := &Client{cfg: cfg, byAddr: map[netip.AddrPort]*endpoint{}}
	var seed [32]byte
	c.entropy(seed[:])
	c.rand = rand.New(rand.NewChaCha8(seed))

	servers := slices.Clone(cfg.Servers)
	slices.SortStableFunc(servers, func(a, b Upstream) int { return cmp.Compare(a.Priority, b.Priority) })
	for _, u := range servers {
		if !u.Auth.IsValid() {
			return nil, fmt.Errorf("%w: server %q has no address", ErrConfig, u.Name)
		}
		if len(u.Secret) == 0 {
			return nil, fmt.Errorf("%w: server %v has no secret", ErrConfig, u.Auth)
		}
		e, err := c.newEndpoint(u, u.Auth, "authentication")
		if err != nil {
			return nil, err
		}
		c.auth = append(c.auth, e)
		if !u.Acct.IsValid() {
			continue
		}
		if e, err = c.newEndpoint(u, u.Acct, "accounting"); err != nil {
			return nil, err
		}
		c.acct = append(c.acct, e)
	}
	return c, nil
}

// entropy fills b. A source that fails leaves nothing that would be safe to
// send.
func (c *Client) entropy(b []byte) { fill(c.cfg.Entropy, b) }

func fill(r io.Reader, b []byte) {
	if _, err := io.ReadFull(r, b); err != nil {
		panic("radius: no entropy: " + err.Error())
	}
}

// Alive lists the servers' names and whether they are believed to answer,
// authentication first, in the order in which they are asked.
func (c *Client) Alive() []ServerState {
	var out []ServerState
	for _, e := range slices.Concat(c.auth, c.acct) {
		out = append(out, e.state())
	}
	return out
}

// Test asks every server for its status, once (RFC 5997), and calls done for
// each with how long the answer took, or with ErrNoAnswer and why. A server
// may answer requests and know nothing of Status-Server.
func (c *Client) Test(done func(s ServerState, took time.Duration, err error)) {
	for _, e := range slices.Concat(c.auth, c.acct) {
		e.askStatus(func(x *exchange, _ Packet, err error) {
			done(e.state(), c.cfg.Clock.Now().Sub(x.began), err)
		})
	}
}

// ServerState is what a Client believes about a server.
type ServerState struct {
	Name        string
	Service     string // "authentication" or "accounting"
	Addr        netip.AddrPort
	Alive       bool
	Outstanding int // requests that wait for its answer
}

// Receive takes a datagram that came to a socket.
func (c *Client) Receive(socket int, from netip.AddrPort, b []byte) {
	from = unmap(from)
	e := c.byAddr[from]
	if e == nil || len(b) < headerLen || socket < 0 || socket >= c.cfg.Sockets {
		c.discard(&c.Counters.Stray, from, errStray)
		return
	}
	x := e.slots[socket<<8|int(b[1])]
	if x == nil {
		c.discard(&c.Counters.Stray, from, errStray)
		return
	}
	p, err := Decode(b)
	if err != nil {
		c.discard(&c.Counters.Malformed, from, err)
		return
	}
	if err := x.verify(b); err != nil {
		x.bad = err
		n := &c.Counters.Forged
		switch de := (*DecodeError)(nil); {
		case errors.Is(err, ErrNoMessageAuthenticator):
			n = &c.Counters.Unsigned
		case errors.Is(err, ErrTwoMessageAuthenticators), errors.As(err, &de):
			n = &c.Counters.Malformed
		}
		c.discard(n, from, err)
		return
	}
	if !answers(x.code, e, p.Code) {
		x.bad = fmt.Errorf("%w: %v", errWrongCode, p.Code)
		c.discard(&c.Counters.WrongCode, from, x.bad)
		return
	}
	c.Counters.Answers++
	e.heard()
	x.finish(p, nil)
}

// answers reports whether a packet of code got answers a request of code asked.
func answers(asked Code, e *endpoint, got Code) bool {
	switch asked {
	case AccessRequest:
		return got == AccessAccept || got == AccessReject || got == AccessChallenge
	case StatusServer: // RFC 5997 Section 3
		if e.service == "authentication" {
			return got == AccessAccept
		}
	}
	return got == AccountingResponse
}

func (c *Client) discard(n *uint64, from netip.AddrPort, why error) {
	*n++
	if c.cfg.Discarded != nil {
		c.cfg.Discarded(from, why)
	}
}

// nas appends the attributes that say who asks.
func (c *Client) nas(as *Attributes) {
	as.AddText(NASIdentifier, c.cfg.NASIdentifier)
	as.addAddr(NASIPAddress, NASIPv6Address, c.cfg.NASAddress)
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

const defaultNASIdentifier = "gatewayd"
