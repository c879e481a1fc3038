package eap

import (
	"fmt"
	"slices"
)

// DefaultRounds bounds the round trips of a conversation.
const DefaultRounds = 50

// ServerConfig says how a Server authenticates one peer.
type ServerConfig struct {
	// Methods is the policy: which methods the peer that claims to be
	// identity may use, the preferred one first. None refuses it.
	Methods func(identity string, port Port) []ServerMethodFactory
	Port    Port
	// FirstIdentifier is the first request's identifier. A random one keeps
	// conversations apart (RFC 3748 Section 4.1).
	FirstIdentifier uint8
	// Rounds is how many requests are sent at most; 0: DefaultRounds.
	Rounds int
}

// Server is the stand-alone authenticator's side of one conversation (RFC
// 4137 Section 5), without timers: repeating a request is the lower layer's
// affair.
type Server struct {
	cfg     ServerConfig
	state   serverState
	id      uint8 // of the request that is out
	rounds  int
	offered []ServerMethodFactory
	refused []Type // by the peer, with Naks
	method  ServerMethod
	typ     Type // of method
	// proposed holds until the method's first request is answered: only
	// then a Nak is taken.
	proposed bool
	identity string
}

type serverState uint8

const (
	serverIdle     serverState = iota // before Begin
	serverIdentity                    // the Identity request is out
	serverMethod                      // a method runs
	serverEnded
)

func (s serverState) String() string {
	return [...]string{"idle", "identity", "method", "ended"}[s]
}

// NewServer returns a Server that has not begun.
func NewServer(cfg ServerConfig) *Server {
	if cfg.Rounds == 0 {
		cfg.Rounds = DefaultRounds
	}
	return &Server{cfg: cfg, id: cfg.FirstIdentifier - 1}
}

// Begin asks for the first request, for the peer's identity. Begin again is
// ignored: the result is a Continue without a packet.
func (s *Server) Begin() Result {
	if s.state != serverIdle {
		return Result{}
	}
	s.state = serverIdentity
	return s.request(TypeIdentity, nil)
}

// Receive takes a response. A Continue without a packet means that it was
// discarded: it is no valid packet, answers no request that is out, or is not
// of the type that was asked for (RFC 3748 Section 4.1). Receive does not keep
// b.
func (s *Server) Receive(b []byte) Result {
	p, err := Decode(b)
	if err != nil || p.Code != CodeResponse || p.Identifier != s.id {
		return Result{}
	}
	switch s.state {
	case serverIdentity:
		if p.Type != TypeIdentity {
			return Result{}
		}
		s.identity = string(p.Data)
		s.offered = s.cfg.Methods(s.identity, s.cfg.Port)
		if len(s.offered) == 0 {
			return s.fail(fmt.Errorf("%w: %q", ErrNoMethod, s.identity))
		}
		return s.propose(s.offered[0])
	case serverMethod:
		if p.isNak() {
			return s.nak(p)
		}
		if p.Type != s.typ {
			return Result{}
		}
		return s.step(p)
	}
	return Result{}
}

// Close ends the conversation and wipes its secrets.
func (s *Server) Close() {
	s.state = serverEnded
	if s.method != nil {
		s.method.Close()
		s.method = nil
	}
}

// Ended reports whether the result was given, or the Server was closed.
func (s *Server) Ended() bool { return s.state == serverEnded }

func (s *Server) propose(f ServerMethodFactory) Result {
	m, err := f.Start(ServerContext{Identity: s.identity, Port: s.cfg.Port})
	if err != nil {
		return s.fail(err)
	}
	s.state, s.method, s.typ, s.proposed = serverMethod, m, f.Type(), true
	return s.step(Packet{})
}

// nak takes the peer's refusal of the proposed method. A Nak in the midst of
// a method is discarded (RFC 3748 Section 5.3.1).
func (s *Server) nak(p Packet) Result {
	if !s.proposed {
		return Result{}
	}
	s.refused = append(s.refused, s.typ)
	s.method.Close()
	s.method, s.typ = nil, 0
	want := p.NakTypes()
	for _, f := range s.offered {
		if slices.Contains(want, f.Type()) && !slices.Contains(s.refused, f.Type()) {
			return s.propose(f)
		}
	}
	e := &NakError{Wanted: want}
	for _, f := range s.offered {
		e.Offered = append(e.Offered, f.Type())
	}
	return s.fail(e)
}

// step lets the method work on a response; the zero Packet is its beginning.
func (s *Server) step(p Packet) Result {
	st := s.method.Next(p, s.id+1)
	if st.Ignore {
		return Result{}
	}
	if p.Code != 0 {
		s.proposed = false
	}
	switch st.Outcome {
	case Success:
		r := Result{
			Outcome:   Success,
			Packet:    Packet{Code: CodeSuccess, Identifier: s.id}.Append(nil),
			MSK:       st.MSK,
			EMSK:      st.EMSK,
			SessionID: st.SessionID,
			Identity:  st.Identity,
			Method:    s.typ,
			Lifetime:  st.Lifetime,
		}
		s.Close()
		return r
	case Failure:
		if st.Identity != "" {
			s.identity = st.Identity
		}
		return s.fail(st.Reason)
	}
	return s.request(s.typ, st.Data)
}

func (s *Server) request(t Type, data []byte) Result {
	if s.rounds >= s.cfg.Rounds {
		return s.fail(fmt.Errorf("%w: no end after %d", ErrRounds, s.rounds))
	}
	s.rounds++
	s.id++
	p := Packet{Code: CodeRequest, Identifier: s.id, Type: t, Data: data}
	return Result{Packet: p.Append(make([]byte, 0, p.Len())), Identity: s.identity, Method: s.typ}
}

// fail ends the conversation. Success and Failure carry the identifier of the
// response they answer (RFC 3748 Section 4.2), which is that of the last
// request.
func (s *Server) fail(why error) Result {
	r := Result{
		Outcome:  Failure,
		Packet:   Packet{Code: CodeFailure, Identifier: s.id}.Append(nil),
		Identity: s.identity,
		Method:   s.typ,
		Reason:   why,
	}
	s.Close()
	return r
}
