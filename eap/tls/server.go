package tls

import (
	stdtls "crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"gatewayd/eap"
)

// ServerConfig configures a Server.
type ServerConfig struct {
	Options
	// Resume is for how long after a handshake with certificates its session
	// may be resumed without them; 0: never. Whether the certificate still is
	// valid, allowed and not revoked is checked at each resumption.
	Resume time.Duration
	// Sessions is how many sessions are kept, about 1.5 KiB each, before the
	// oldest is dropped; 0: 1000.
	Sessions int
}

// Server makes the server's side of EAP-TLS for conversations. It belongs to
// one goroutine, as its conversations do.
type Server struct {
	cfg      ServerConfig
	base     *stdtls.Config
	revoked  *revoker
	sessions sessions
}

var _ eap.ServerMethodFactory = (*Server)(nil)

// NewServer checks the configuration.
func NewServer(cfg ServerConfig) (*Server, error) {
	base, err := cfg.base()
	if err != nil {
		return nil, err
	}
	base.ClientAuth = stdtls.RequireAndVerifyClientCert
	base.ClientCAs = pool(cfg.Roots)
	base.SessionTicketsDisabled = cfg.Resume <= 0
	s := &Server{
		cfg:      cfg,
		base:     base,
		sessions: sessions{limit: cfg.Sessions, life: cfg.Resume, rand: cfg.Rand},
	}
	if cfg.Sessions <= 0 {
		s.sessions.limit = defaultSessions
	}
	return s, s.SetRevocation(cfg.Revocation)
}

// SetRevocation replaces the revocation lists, for handshakes to come.
func (s *Server) SetRevocation(r Revocation) error {
	rv, err := newRevoker(r)
	if err != nil {
		return err
	}
	s.revoked = rv
	return nil
}

// Type is TypeTLS.
func (s *Server) Type() eap.Type { return eap.TypeTLS }

// Start begins a conversation.
func (s *Server) Start(ctx eap.ServerContext) (eap.ServerMethod, error) {
	return s.start(ctx, s.cfg.Allow)
}

// Allowing is the same server with another rule of which certificates are
// allowed: for a policy that knows who it expects.
func (s *Server) Allowing(allow func(*x509.Certificate) error) eap.ServerMethodFactory {
	return &allowing{s, allow}
}

type allowing struct {
	*Server
	allow func(*x509.Certificate) error
}

func (a *allowing) Start(ctx eap.ServerContext) (eap.ServerMethod, error) {
	return a.start(ctx, a.allow)
}

func (s *Server) start(ctx eap.ServerContext, allow func(*x509.Certificate) error) (eap.ServerMethod, error) {
	mtu := ctx.Port.MTU
	if mtu == 0 {
		mtu = eap.DefaultMTU
	}
	if mtu < minMTU {
		return nil, fmt.Errorf("eap-tls: packets of %d octets are too small, %d is the least", mtu, minMTU)
	}
	m := &serverMethod{send: sender{mtu: mtu}}
	revoked := s.revoked
	cfg := s.base.Clone()
	cfg.GetConfigForClient = func(h *stdtls.ClientHelloInfo) (*stdtls.Config, error) {
		if m.refusal = limits(h, cfg); m.refusal == nil {
			return nil, nil
		}
		// Nothing in common: crypto/tls says so with the proper alert.
		none := cfg.Clone()
		none.CipherSuites = []uint16{}
		return none, nil
	}
	cfg.VerifyConnection = func(st stdtls.ConnectionState) error {
		if err := revoked.any(st.VerifiedChains, cfg.Time()); err != nil {
			return err
		}
		if allow != nil {
			return allow(st.PeerCertificates[0])
		}
		return nil
	}
	s.resumable(cfg)
	m.cfg = cfg
	return m, nil
}

// resumable lets one handshake find and leave a session.
func (s *Server) resumable(cfg *stdtls.Config) {
	var since time.Time
	cfg.UnwrapSession = func(ticket []byte, _ stdtls.ConnectionState) (*stdtls.SessionState, error) {
		b, t := s.sessions.get(ticket, s.cfg.Now())
		if b == nil {
			return nil, nil // unknown: a full handshake
		}
		since = t
		return stdtls.ParseSessionState(b)
	}
	cfg.WrapSession = func(st stdtls.ConnectionState, session *stdtls.SessionState) ([]byte, error) {
		b, err := session.Bytes()
		if err != nil {
			return nil, err
		}
		if !st.DidResume {
			since = s.cfg.Now()
		}
		return s.sessions.put(b, since)
	}
}

// Extensions and cipher suites that crypto/tls has no names for.
const extendedMasterSecret = 23 // RFC 7627

// ccmSuites are those of RFC 6655, RFC 7251 and RFC 8446.
func ccmSuite(id uint16) bool {
	return id >= 0xc09c && id <= 0xc0af || id == 0x1304 || id == 0x1305
}

// limits says what crypto/tls cannot do with a client.
func limits(h *stdtls.ClientHelloInfo, cfg *stdtls.Config) error {
	can13 := (cfg.MaxVersion == 0 || cfg.MaxVersion >= stdtls.VersionTLS13) &&
		slices.Contains(h.SupportedVersions, stdtls.VersionTLS13)
	known := func(id uint16) bool {
		for _, s := range stdtls.CipherSuites() {
			if s.ID == id {
				return true
			}
		}
		return false
	}
	if !slices.ContainsFunc(h.CipherSuites, known) && slices.ContainsFunc(h.CipherSuites, ccmSuite) {
		return ErrCCMOnly
	}
	if !can13 && !slices.Contains(h.Extensions, extendedMasterSecret) {
		return ErrNoEMS
	}
	return nil
}

type serverMethod struct {
	cfg  *stdtls.Config
	tls  *engine // nil before the first message
	send sender
	recv receiver
	// refusal is why the handshake is bound to fail, if it is known better
	// than by crypto/tls.
	refusal error
	over    bool // TLS has ended and its last flight is out
}

func (m *serverMethod) Next(p eap.Packet, _ uint8) eap.ServerStep {
	if p.Code == 0 {
		return eap.ServerStep{Data: []byte{flagStart}}
	}
	pk, err := parse(p.Data)
	if err != nil {
		return m.fail(err)
	}
	if m.send.pending() {
		if !pk.empty() {
			return m.fail(fmt.Errorf("%w: data where an acknowledgement was due", ErrFragment))
		}
		return eap.ServerStep{Data: m.send.next()}
	}
	message, done, err := m.recv.add(pk)
	switch {
	case err != nil:
		return m.fail(err)
	case !done:
		return eap.ServerStep{Data: []byte{0}}
	case m.over && len(message) == 0:
		return m.end()
	case len(message) == 0:
		return m.fail(ErrUnfinished)
	}
	if m.tls == nil {
		m.tls = newServer(m.cfg)
	}
	out := m.tls.step(message)
	if m.over = m.tls.finished || m.tls.err != nil; m.over && len(out) == 0 {
		return m.end()
	}
	m.send.load(out)
	return eap.ServerStep{Data: m.send.next()}
}

// end is the result, after the last flight was sent: the alert if it failed
// (RFC 5216 Section 2.1.3).
func (m *serverMethod) end() eap.ServerStep {
	switch {
	case m.tls.err != nil && m.refusal != nil:
		return m.fail(m.refusal)
	case m.tls.err != nil:
		return m.fail(explain(m.tls.err))
	}
	k := m.tls.keys
	m.tls.keys = keys{}
	return eap.ServerStep{
		Outcome:   eap.Success,
		Identity:  identity(m.tls.state.PeerCertificates[0]),
		MSK:       k.msk,
		EMSK:      k.emsk,
		SessionID: k.sessionID,
	}
}

func (m *serverMethod) fail(why error) eap.ServerStep {
	return eap.ServerStep{Outcome: eap.Failure, Reason: why}
}

func (m *serverMethod) Close() {
	if m.tls != nil {
		m.tls.close()
	}
}
