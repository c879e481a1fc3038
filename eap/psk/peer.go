package psk

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"

	"gatewayd/eap"
)

// Why an authentication failed, as the peer sees it.
var (
	// ErrWrongServer means a server of another name than expected.
	ErrWrongServer = errors.New("eap-psk: another server than expected")
	// ErrNotProven means that the conversation ended before the server
	// showed that it has the key: it rejected the peer's name or key.
	ErrNotProven = errors.New("eap-psk: the server rejected the name or the pre-shared key")
	// ErrNotAuthorized means that the server, which has the key, refuses.
	ErrNotAuthorized = errors.New("eap-psk: the server does not authorize this peer")
	// ErrExtension means a server that insists on an unknown extension.
	ErrExtension = errors.New("eap-psk: the server wants an extension that is not supported")
)

// Peer makes the peer's side of EAP-PSK for conversations.
type Peer struct {
	// ID is the peer's name, ID_P, of at most 966 octets; empty: that of the
	// Identity response.
	ID  string
	Key *Key
	// ServerID is the name the server must have; empty: any. Whoever has the
	// key is a server.
	ServerID string
	// Rand gives the peer's random numbers.
	Rand io.Reader
}

var _ eap.PeerMethodFactory = (*Peer)(nil)

// Type is TypePSK.
func (p *Peer) Type() eap.Type { return eap.TypePSK }

// Start begins a conversation.
func (p *Peer) Start(ctx eap.PeerContext) (eap.PeerMethod, error) {
	m := &peerMethod{cfg: p, id: p.ID}
	if m.id == "" {
		m.id = ctx.Identity
	}
	if len(m.id) > maxIDLen {
		return nil, fmt.Errorf("eap-psk: peer's name has %d octets, more than %d", len(m.id), maxIDLen)
	}
	if _, err := io.ReadFull(p.Rand, m.randP[:]); err != nil {
		return nil, fmt.Errorf("eap-psk: random source: %w", err)
	}
	return m, nil
}

type peerMethod struct {
	cfg   *Peer
	id    string
	begun bool // the first message was answered
	randS block
	randP block
	idS   []byte
	ch    channel
}

func (m *peerMethod) Next(p eap.Packet) eap.PeerStep {
	t, randS, rest, ok := prefix(p.Data)
	switch {
	case !ok:
	case !m.begun && t == first:
		return m.first((*block)(randS), rest)
	case m.begun && t == third && subtle.ConstantTimeCompare(randS, m.randS[:]) == 1:
		return m.third(p, rest)
	}
	return eap.PeerStep{Ignore: true}
}

// first takes RAND_S and ID_S. From here on the server may fail the peer at
// any time, which is how it says that name or key are wrong.
func (m *peerMethod) first(randS *block, idS []byte) eap.PeerStep {
	if len(idS) > maxIDLen {
		return eap.PeerStep{Ignore: true}
	}
	if want := m.cfg.ServerID; want != "" && want != string(idS) {
		return eap.PeerStep{Abort: true, Reason: fmt.Errorf("%w: %q, not %q", ErrWrongServer, idS, want)}
	}
	m.begun, m.randS, m.idS = true, *randS, bytes.Clone(idS)
	data := make([]byte, 0, 1+2*randLen+macLen+len(m.id))
	data = append(data, second)
	data = append(data, m.randS[:]...)
	data = append(data, m.randP[:]...)
	data = append(data, m.cfg.Key.mac(&m.ch.cmac, []byte(m.id), m.idS, m.randS[:], m.randP[:])[:]...)
	return eap.PeerStep{State: eap.MethodMayCont, Data: append(data, m.id...), Reason: ErrNotProven}
}

// third takes MAC_S and the server's result.
func (m *peerMethod) third(p eap.Packet, b []byte) eap.PeerStep {
	if len(b) < macLen {
		return eap.PeerStep{Ignore: true}
	}
	want := m.cfg.Key.mac(&m.ch.cmac, m.idS, m.randP[:])
	if subtle.ConstantTimeCompare(want[:], b[:macLen]) != 1 {
		return eap.PeerStep{Ignore: true}
	}
	msk, emsk := m.cfg.Key.session(&m.randP, &m.ch.eaxState)
	payload, ok := m.ch.open(p, b[macLen:], 0)
	if !ok {
		clear(msk)
		clear(emsk)
		return eap.PeerStep{Ignore: true}
	}
	st := eap.PeerStep{State: eap.MethodDone, Identity: string(m.idS)}
	answer := []byte{doneFailure}
	switch payload[0] & resultMask {
	case doneSuccess:
		answer[0] = doneSuccess
		st.Decision = eap.DecideUncond
		st.MSK, st.EMSK, st.SessionID = msk, emsk, sessionID(&m.randP, &m.randS)
	case doneFailure:
		st.Reason = ErrNotAuthorized
	default:
		st.Reason = ErrExtension
	}
	if st.Decision == eap.DecideFail {
		clear(msk)
		clear(emsk)
	}
	if payload[0]&extension != 0 && len(payload) > 1 {
		answer[0] |= extension
		answer = append(answer, payload[1]) // its type, without a payload: not supported
	}
	data := make([]byte, 0, 1+randLen+nonceLen+tagLen+len(answer))
	data = append(data, fourth)
	data = append(data, m.randS[:]...)
	st.Data = m.ch.seal(data, eap.CodeResponse, p.Identifier, 1, answer...)
	return st
}

func (m *peerMethod) Close() { m.ch.wipe() }
