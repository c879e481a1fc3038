package tls

import (
	stdtls "crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"gatewayd/eap"
)

// PeerConfig configures a Peer.
type PeerConfig struct {
	Options
	// Sessions is how many sessions are kept to be resumed; 0: none.
	Sessions int
	// RequireStaple refuses a server that staples no OCSP response. One that
	// is stapled is checked in any case.
	RequireStaple bool
}

// Peer makes the peer's side of EAP-TLS for conversations. It belongs to one
// goroutine, as its conversations do.
type Peer struct {
	cfg     PeerConfig
	base    *stdtls.Config
	roots   *x509.CertPool
	revoked *revoker
}

var _ eap.PeerMethodFactory = (*Peer)(nil)

// NewPeer checks the configuration.
func NewPeer(cfg PeerConfig) (*Peer, error) {
	base, err := cfg.base()
	if err != nil {
		return nil, err
	}
	// The server is verified in verify: by its chain, and by Allow instead of
	// a host name, as EAP servers have none.
	base.InsecureSkipVerify = true
	// Shown whatever authorities the server lists, so that it can tell why it
	// refuses.
	base.GetClientCertificate = func(*stdtls.CertificateRequestInfo) (*stdtls.Certificate, error) {
		return &cfg.Certificate, nil
	}
	if cfg.Sessions > 0 {
		base.ClientSessionCache = stdtls.NewLRUClientSessionCache(cfg.Sessions)
	} else {
		base.SessionTicketsDisabled = true
	}
	p := &Peer{cfg: cfg, base: base, roots: pool(cfg.Roots)}
	base.VerifyConnection = p.verify
	if p.revoked, err = newRevoker(cfg.Revocation); err != nil {
		return nil, err
	}
	return p, nil
}

// Type is TypeTLS.
func (p *Peer) Type() eap.Type { return eap.TypeTLS }

// Start begins a conversation.
func (p *Peer) Start(ctx eap.PeerContext) (eap.PeerMethod, error) {
	if ctx.MTU < minMTU {
		return nil, fmt.Errorf("eap-tls: packets of %d octets are too small, %d is the least", ctx.MTU, minMTU)
	}
	return &peerMethod{cfg: p.base, send: sender{mtu: ctx.MTU}}, nil
}

// verify says why a server is not believed, in a full handshake and in one
// that resumes.
func (p *Peer) verify(st stdtls.ConnectionState) error {
	leaf := st.PeerCertificates[0]
	now := p.cfg.Now()
	opts := x509.VerifyOptions{
		Roots:         p.roots,
		Intermediates: pool(st.PeerCertificates[1:]),
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	chains, err := leaf.Verify(opts)
	if err != nil {
		return explain(err)
	}
	if err := p.revoked.any(chains, now); err != nil {
		return err
	}
	switch {
	case len(st.OCSPResponse) == 0 && p.cfg.RequireStaple:
		return fmt.Errorf("%w: no OCSP response is stapled to %q", ErrRevocation, leaf.Subject.String())
	case len(st.OCSPResponse) > 0 && len(chains[0]) > 1:
		if err := checkStaple(st.OCSPResponse, leaf, chains[0][1], now); err != nil {
			return err
		}
	}
	if p.cfg.Allow != nil {
		return p.cfg.Allow(leaf)
	}
	return nil
}

type peerMethod struct {
	cfg  *stdtls.Config
	tls  *engine // nil before Start
	send sender
	recv receiver
	shut bool
}

func (m *peerMethod) Next(p eap.Packet) eap.PeerStep {
	pk, err := parse(p.Data)
	switch {
	case m.shut:
		return eap.PeerStep{Ignore: true}
	case err != nil:
		return abort(err)
	case pk.start:
		if m.tls != nil {
			return eap.PeerStep{Ignore: true} // a second one
		}
		m.tls = newClient(m.cfg)
		m.send.load(m.tls.step(nil))
		return m.answer(m.send.next())
	case m.tls == nil:
		return abort(errNoStart)
	case m.send.pending():
		if !pk.empty() {
			return abort(fmt.Errorf("%w: data where an acknowledgement was due", ErrFragment))
		}
		return m.answer(m.send.next())
	}
	message, done, err := m.recv.add(pk)
	switch {
	case err != nil:
		return abort(err)
	case !done:
		return m.answer([]byte{0})
	case len(message) > 0:
		out := m.tls.step(message)
		if why := m.tls.err; why != nil && len(out) == 0 && !errors.Is(explain(why), ErrAlert) {
			return abort(explain(why)) // there is no way to tell the server
		}
		m.send.load(out)
	default:
		m.send.load(nil)
	}
	return m.answer(m.send.next())
}

// answer tells how far the method is. The server may fail it at any time:
// many do so without an alert.
func (m *peerMethod) answer(data []byte) eap.PeerStep {
	st := eap.PeerStep{State: eap.MethodMayCont, Data: data, Reason: ErrUnfinished}
	e := m.tls
	switch {
	case e.err != nil:
		st.Reason = explain(e.err)
	case e.finished:
		st.Reason, st.Decision = nil, eap.DecideUncond
		st.MSK, st.EMSK, st.SessionID = e.keys.msk, e.keys.emsk, e.keys.sessionID
		e.keys = keys{}
		st.Identity = identity(e.state.PeerCertificates[0])
		// In TLS 1.2 the one that resumes speaks last, and does not know yet
		// whether the server goes along.
		if e.state.Version < stdtls.VersionTLS13 && e.state.DidResume {
			st.Decision = eap.DecideCondSucc
			return st
		}
	default:
		return st
	}
	if !m.send.pending() {
		st.State = eap.MethodDone
	}
	return st
}

func abort(why error) eap.PeerStep { return eap.PeerStep{Abort: true, Reason: why} }

func (m *peerMethod) Close() {
	m.shut = true
	if m.tls != nil {
		m.tls.close()
	}
}

var errNoStart = errors.New("eap-tls: the server did not begin with Start")
