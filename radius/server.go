package radius

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"gatewayd/alarm"
	"gatewayd/eap"
)

// Authorized is who may talk to a Server or a Dynamic: a prefix of addresses
// and the secret shared with all of them. The longest prefix that fits counts.
type Authorized struct {
	Name   string // for messages
	Prefix netip.Prefix
	Secret Secret
}

// ServerConfig is what a Server needs. Everything under "may be zero" has a
// default.
type ServerConfig struct {
	Clock   *alarm.Clock
	Entropy io.Reader
	Backend eap.Backend
	Clients []Authorized
	// Send answers from the socket that the request came to.
	Send func(socket int, to netip.AddrPort, b []byte)

	// May be zero:

	// Sessions bounds the conversations under way. Default 4096.
	Sessions int
	// Replies bounds the answers kept for clients that ask again. Default
	// 8192.
	Replies int
	// Patience is how long a peer may take for one answer. Default 30 s.
	Patience time.Duration
	// Ended is called when a conversation has its result; Reason is
	// ErrTimeout for one that the peer left.
	Ended func(Authentication)
	// Discarded is called with every datagram that was silently discarded.
	Discarded func(from netip.AddrPort, why error)
}

// Authentication is a conversation that ended.
type Authentication struct {
	Client  string // its name
	From    netip.AddrPort
	Port    eap.Port
	Result  eap.Result // without packet and keys
	Rounds  int
	Elapsed time.Duration
}

// Why a Server's conversation failed or a datagram was discarded.
var (
	ErrTimeout       = errors.New("radius: the peer did not go on")
	ErrUnknownClient = errors.New("radius: from an address that no secret is configured for")
	ErrCode          = errors.New("radius: not a request that is served here")
)

// ServerCounters count requests and what became of them.
type ServerCounters struct {
	Requests   uint64 // new ones, verified
	Duplicates uint64 // answered again, or being worked on
	Accepted   uint64
	Rejected   uint64
	Challenges uint64
	Status     uint64 // Status-Server
	Expired    uint64 // conversations that their peers left
	Full       uint64 // conversations refused for want of room
	UnknownEAP uint64 // EAP packets ignored: malformed, or answers to something else

	// Silently discarded:
	UnknownClient uint64
	Malformed     uint64
	Unsigned      uint64
	Forged        uint64
	WrongCode     uint64
}

// Server authenticates the peers of other authenticators by RADIUS (RFC 3579),
// with any eap.Backend.
type Server struct {
	cfg      ServerConfig
	clients  []Authorized // longest prefix first
	replies  replies
	sessions map[[stateLen]byte]*session // by the State they wait for
	count    int                         // of sessions, waiting or working

	Counters ServerCounters
}

// NewServer returns a Server, or an error that wraps ErrConfig.
func NewServer(cfg ServerConfig) (*Server, error) {
	cfg.Sessions = cmp.Or(cfg.Sessions, 4096)
	cfg.Replies = cmp.Or(cfg.Replies, 8192)
	cfg.Patience = cmp.Or(cfg.Patience, 30*time.Second)
	if cfg.Sessions < 0 || cfg.Replies < 0 || cfg.Patience < 0 {
		return nil, fmt.Errorf("%w: negative number of sessions, replies or time", ErrConfig)
	}
	clients, err := byPrefix(cfg.Clients)
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, clients: clients, sessions: map[[stateLen]byte]*session{}}
	s.replies.init(cfg.Clock, cfg.Replies)
	return s, nil
}

// byPrefix checks who is authorized and sorts them, longest prefix first.
func byPrefix(as []Authorized) ([]Authorized, error) {
	as = slices.Clone(as)
	for i, a := range as {
		if !a.Prefix.IsValid() || len(a.Secret) == 0 {
			return nil, fmt.Errorf("%w: client %q without a prefix or a secret", ErrConfig, a.Name)
		}
		as[i].Prefix = a.Prefix.Masked()
		if a.Name == "" {
			as[i].Name = a.Prefix.String()
		}
	}
	slices.SortStableFunc(as, func(a, b Authorized) int { return b.Prefix.Bits() - a.Prefix.Bits() })
	return as, nil
}

// find returns who a is.
func find(as []Authorized, a netip.Addr) *Authorized {
	a = a.WithZone("")
	for i := range as {
		if as[i].Prefix.Contains(a) {
			return &as[i]
		}
	}
	return nil
}

// request is one that is to be answered.
type request struct {
	client *Authorized
	from   netip.AddrPort
	socket int
	packet Packet
	reply  *reply
}

// Receive takes a datagram that came to a socket.
func (s *Server) Receive(socket int, from netip.AddrPort, b []byte) {
	from = unmap(from)
	client := find(s.clients, from.Addr())
	if client == nil {
		s.discard(&s.Counters.UnknownClient, from, ErrUnknownClient)
		return
	}
	p, err := Decode(b)
	if err != nil {
		s.discard(&s.Counters.Malformed, from, err)
		return
	}
	if p.Code != AccessRequest && p.Code != StatusServer {
		s.discard(&s.Counters.WrongCode, from, fmt.Errorf("%w: %v", ErrCode, p.Code))
		return
	}
	key := asked{socket, from, p.ID}
	if old := s.replies.lookup(key, p.Authenticator); old != nil {
		s.Counters.Duplicates++
		if old.answer != nil {
			s.cfg.Send(socket, from, old.answer)
		}
		return
	}
	if err := VerifyRequest(b, client.Secret); err != nil {
		n := &s.Counters.Forged
		switch de := (*DecodeError)(nil); {
		case errors.Is(err, ErrNoMessageAuthenticator):
			n = &s.Counters.Unsigned
		case errors.Is(err, ErrTwoMessageAuthenticators), errors.As(err, &de):
			n = &s.Counters.Malformed
		}
		s.discard(n, from, err)
		return
	}
	if n := p.Attributes.proxyStateLen(); n > maxProxyState {
		s.discard(&s.Counters.Malformed, from, fmt.Errorf("radius: %d octets of Proxy-State, more than %d", n, maxProxyState))
		return
	}
	s.Counters.Requests++
	p.Attributes = p.Attributes.clone()
	r := &request{client: client, from: from, socket: socket, packet: p, reply: s.replies.add(key, p.Authenticator)}
	if p.Code == StatusServer {
		s.Counters.Status++
		s.answer(r, AccessAccept, nil)
		return
	}
	s.access(r)
}

func (s *Server) discard(n *uint64, from netip.AddrPort, why error) {
	*n++
	if s.cfg.Discarded != nil {
		s.cfg.Discarded(from, why)
	}
}

// answer answers a request and remembers the answer. Proxy-State attributes go
// back as they came, in their order (RFC 2865 Section 5.33).
func (s *Server) answer(r *request, code Code, as Attributes) {
	for _, a := range r.packet.Attributes {
		if a.Type == ProxyState {
			as = append(as, a)
		}
	}
	p := Packet{Code: code, ID: r.packet.ID, Attributes: as}
	r.reply.answer = p.AppendResponse(nil, r.client.Secret, r.packet.Authenticator)
	s.cfg.Send(r.socket, r.from, r.reply.answer)
}

// maxProxyState bounds what a request may have its answer carry back.
const maxProxyState = 1024

func (as Attributes) proxyStateLen() (n int) {
	for _, a := range as {
		if a.Type == ProxyState {
			n += 2 + len(a.Value)
		}
	}
	return n
}

// clone copies attributes and their values.
func (as Attributes) clone() Attributes {
	n := 0
	for _, a := range as {
		n += len(a.Value)
	}
	buf := make([]byte, 0, n)
	out := make(Attributes, len(as))
	for i, a := range as {
		start := len(buf)
		buf = append(buf, a.Value...)
		out[i] = Attribute{a.Type, buf[start:len(buf):len(buf)]}
	}
	return out
}
