package psk

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"

	"gatewayd/eap"
)

// Why an authentication failed.
var (
	// ErrUnknownPeer means that there is no key for the peer's identity.
	ErrUnknownPeer = errors.New("eap-psk: unknown peer")
	// ErrWrongKey means that the peer does not have the key.
	ErrWrongKey = errors.New("eap-psk: wrong pre-shared key")
	// ErrPeerRefused means that the peer, which has the key, says it failed.
	ErrPeerRefused = errors.New("eap-psk: the peer reports failure")
)

// Server makes the server's side of EAP-PSK for conversations. It may be
// shared.
type Server struct {
	// ID is the server's name for peers, ID_S, of at most 966 octets.
	ID string
	// Lookup finds the key of a peer by its name ID_P; nil: unknown.
	Lookup func(id string) *Key
	// Authorize says why a peer that has the key may not join at this port
	// all the same; nil: it may. A peer that may not is told so by the
	// protected channel. Authorize itself may be nil.
	Authorize func(id string, port eap.Port) error
	// Rand gives the server's random numbers.
	Rand io.Reader
}

var _ eap.ServerMethodFactory = (*Server)(nil)

// Type is TypePSK.
func (s *Server) Type() eap.Type { return eap.TypePSK }

// Start begins a conversation.
func (s *Server) Start(ctx eap.ServerContext) (eap.ServerMethod, error) {
	if len(s.ID) > maxIDLen {
		return nil, fmt.Errorf("eap-psk: server's name has %d octets, more than %d", len(s.ID), maxIDLen)
	}
	m := &serverMethod{cfg: s, port: ctx.Port}
	if _, err := io.ReadFull(s.Rand, m.randS[:]); err != nil {
		return nil, fmt.Errorf("eap-psk: random source: %w", err)
	}
	return m, nil
}

type serverMethod struct {
	cfg   *Server
	port  eap.Port
	sent  byte // the flags of the message that is out
	randS block
	randP block
	id    string // ID_P
	ch    channel
	msk   []byte
	emsk  []byte
	// refusal is why the peer is told DONE_FAILURE.
	refusal error
}

func (m *serverMethod) Next(p eap.Packet, id uint8) eap.ServerStep {
	if p.Code == 0 {
		m.sent = first
		data := make([]byte, 0, 1+randLen+len(m.cfg.ID))
		data = append(data, first)
		data = append(data, m.randS[:]...)
		return eap.ServerStep{Data: append(data, m.cfg.ID...)}
	}
	t, randS, rest, ok := prefix(p.Data)
	switch {
	case !ok || subtle.ConstantTimeCompare(randS, m.randS[:]) != 1:
	case m.sent == first && t == second:
		return m.second(rest, id)
	case m.sent == third && t == fourth:
		return m.fourth(p, rest)
	}
	return eap.ServerStep{Ignore: true}
}

// unknown stands for the key of a peer that has none.
var unknown = newKey(&block{})

// second takes RAND_P, MAC_P and ID_P.
func (m *serverMethod) second(b []byte, id uint8) eap.ServerStep {
	if len(b) < randLen+macLen || len(b) > randLen+macLen+maxIDLen {
		return eap.ServerStep{Ignore: true}
	}
	copy(m.randP[:], b)
	mac, idP := b[randLen:randLen+macLen], b[randLen+macLen:]
	m.id = string(idP)
	key := m.cfg.Lookup(m.id)
	known := key != nil
	if !known {
		key = unknown
	}
	idS := []byte(m.cfg.ID)
	want := key.mac(&m.ch.cmac, idP, idS, m.randS[:], m.randP[:])
	match := subtle.ConstantTimeCompare(want[:], mac) == 1
	switch {
	case !known:
		return m.fail(fmt.Errorf("%w: %q", ErrUnknownPeer, m.id))
	case !match:
		return m.fail(fmt.Errorf("%w: %q", ErrWrongKey, m.id))
	}

	data := make([]byte, 0, 1+randLen+macLen+nonceLen+tagLen+1)
	data = append(data, third)
	data = append(data, m.randS[:]...)
	data = append(data, key.mac(&m.ch.cmac, idS, m.randP[:])[:]...)
	m.msk, m.emsk = key.session(&m.randP, &m.ch.eaxState)
	result := byte(doneSuccess)
	if m.cfg.Authorize != nil {
		if m.refusal = m.cfg.Authorize(m.id, m.port); m.refusal != nil {
			result = doneFailure
		}
	}
	m.sent = third
	return eap.ServerStep{Data: m.ch.seal(data, eap.CodeRequest, id, 0, result)}
}

// fourth takes the peer's result.
func (m *serverMethod) fourth(p eap.Packet, b []byte) eap.ServerStep {
	payload, ok := m.ch.open(p, b, 1)
	switch {
	case !ok:
		return eap.ServerStep{Ignore: true}
	case m.refusal != nil:
		return m.fail(m.refusal)
	case payload[0]&resultMask != doneSuccess:
		return m.fail(fmt.Errorf("%w: %q", ErrPeerRefused, m.id))
	}
	st := eap.ServerStep{
		Outcome:   eap.Success,
		Identity:  m.id,
		MSK:       m.msk,
		EMSK:      m.emsk,
		SessionID: sessionID(&m.randP, &m.randS),
	}
	m.msk, m.emsk = nil, nil
	return st
}

func (m *serverMethod) fail(why error) eap.ServerStep {
	return eap.ServerStep{Outcome: eap.Failure, Identity: m.id, Reason: why}
}

func (m *serverMethod) Close() {
	clear(m.msk)
	clear(m.emsk)
	m.ch.wipe()
	m.sent = 0xff // nothing is out
}
