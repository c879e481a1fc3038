package eap

import "fmt"

// PeerConfig says who a Peer is and how it authenticates.
type PeerConfig struct {
	// Identity is sent in the Identity response: a user name or network
	// access identifier (RFC 7542).
	Identity string
	// Methods are the peer's, the preferred one first.
	Methods []PeerMethodFactory
	// MTU is the largest packet the lower layer carries; 0: DefaultMTU.
	MTU int
	// Rounds is how many requests are answered at most; 0: DefaultRounds.
	Rounds int
	// Notify is given the text of a Notification, may be nil.
	Notify func(text string)
}

// Peer is the peer's side of one conversation (RFC 4137 Section 4), without
// timers.
//
// It deviates from RFC 4137 where RFC 3748 Section 4.2 is stricter: a Success
// that no method allows is discarded and does not end the conversation, so
// that nobody can end it by forging one.
type Peer struct {
	cfg    PeerConfig
	ended  bool
	begun  bool // lastID and last are valid
	lastID uint8
	last   []byte // the response to the request lastID
	rounds int

	method PeerMethod
	typ    Type
	chosen bool     // method has answered: no other will run
	step   PeerStep // the method's last, with its keys
	reason error    // why, if the server says Failure
}

// NewPeer returns a Peer that waits for a request.
func NewPeer(cfg PeerConfig) *Peer {
	if cfg.MTU == 0 {
		cfg.MTU = DefaultMTU
	}
	if cfg.Rounds == 0 {
		cfg.Rounds = DefaultRounds
	}
	return &Peer{cfg: cfg}
}

// Receive takes what the server sent. A Continue with a packet is a response
// to be sent; a Continue without one means that the input was discarded.
// Success and Failure come without a packet. Receive does not keep b.
func (p *Peer) Receive(b []byte) Result {
	in, err := Decode(b)
	if err != nil || p.ended {
		return Result{}
	}
	switch in.Code {
	case CodeRequest:
		if p.begun && in.Identifier == p.lastID {
			return p.response(p.last) // the request was repeated
		}
		return p.request(in)
	case CodeSuccess:
		if !p.begun || in.Identifier != p.lastID {
			return Result{}
		}
		return p.success()
	case CodeFailure:
		if !p.begun || in.Identifier != p.lastID {
			return Result{}
		}
		return p.failure(ErrRejected)
	}
	return Result{}
}

// Indicated is for a result that the lower layer tells by itself, protected
// by means of its own (RFC 3748 Section 7.12, RFC 4137 altAccept and
// altReject). It is weighed like a Success or Failure packet.
func (p *Peer) Indicated(accepted bool) Result {
	switch {
	case p.ended:
		return Result{}
	case accepted:
		return p.success()
	default:
		return p.failure(ErrLowerLayer)
	}
}

// Close ends the conversation and wipes its secrets.
func (p *Peer) Close() {
	p.ended = true
	if p.method != nil {
		p.method.Close()
		p.method = nil
	}
	clear(p.step.MSK)
	clear(p.step.EMSK)
	p.step.MSK, p.step.EMSK = nil, nil
}

func (p *Peer) request(in Packet) Result {
	if p.rounds >= p.cfg.Rounds {
		return p.end(fmt.Errorf("%w: no end after %d", ErrRounds, p.rounds))
	}
	out := Packet{Code: CodeResponse, Identifier: in.Identifier, Type: in.Type}
	switch {
	case in.Type == TypeNotification:
		// Answered at any time and not shown to the method (Section 5.2).
		if p.cfg.Notify != nil {
			p.cfg.Notify(string(in.Data))
		}
	case p.method == nil && in.Type == TypeIdentity:
		out.Data = []byte(p.cfg.Identity)
	case p.method == nil:
		f := p.find(in)
		if f == nil {
			p.refuse(in, &out)
			break
		}
		m, err := f.Start(PeerContext{Identity: p.cfg.Identity, MTU: p.cfg.MTU})
		if err != nil {
			return p.end(err)
		}
		p.method, p.typ = m, f.Type()
		fallthrough
	case in.Type == p.typ:
		if p.step.State == MethodDone {
			return Result{} // RFC 4137 Section 4.3: no more of a method that is done
		}
		st := p.method.Next(in)
		switch {
		case st.Ignore && !p.chosen:
			// Nothing was said in this method: another one may come yet.
			p.method.Close()
			p.method, p.typ = nil, 0
			return Result{}
		case st.Ignore:
			return Result{}
		case st.Abort:
			return p.end(st.Reason)
		}
		p.step, p.chosen = p.merge(st), true
		out.Data = st.Data
	default:
		return Result{}
	}
	p.rounds++
	p.begun, p.lastID = true, in.Identifier
	p.last = out.Append(p.last[:0])
	return p.response(p.last)
}

// merge keeps what an earlier step gave.
func (p *Peer) merge(st PeerStep) PeerStep {
	if st.MSK == nil {
		st.MSK, st.EMSK, st.SessionID = p.step.MSK, p.step.EMSK, p.step.SessionID
	}
	if st.Identity == "" {
		st.Identity = p.step.Identity
	}
	return st
}

// find is the method for a request. A type that comes in expanded form has to
// be answered in that form, which no method here does: it is refused with an
// expanded Nak that asks for the short form's number.
func (p *Peer) find(in Packet) PeerMethodFactory {
	for _, f := range p.cfg.Methods {
		if f.Type() == in.Type {
			return f
		}
	}
	return nil
}

// refuse makes out a Nak with the types the peer can do.
func (p *Peer) refuse(in Packet, out *Packet) {
	var want []Type
	for _, f := range p.cfg.Methods {
		want = append(want, f.Type())
	}
	p.reason = &NakError{Offered: []Type{in.Type}, Wanted: want}
	if in.Type == TypeExpanded {
		out.Type, out.VendorType = TypeExpanded, uint32(TypeNak)
		out.Data = appendExpandedNak(nil, want)
		return
	}
	out.Type = TypeNak
	out.Data = appendNak(nil, want)
}

func (p *Peer) response(b []byte) Result {
	return Result{Packet: append([]byte(nil), b...), Identity: p.step.Identity, Method: p.typ}
}

func (p *Peer) success() Result {
	if p.method == nil || p.step.State == MethodCont || p.step.Decision == DecideFail {
		return Result{}
	}
	r := Result{
		Outcome:   Success,
		MSK:       p.step.MSK,
		EMSK:      p.step.EMSK,
		SessionID: p.step.SessionID,
		Identity:  p.step.Identity,
		Method:    p.typ,
	}
	p.step = PeerStep{}
	p.Close()
	return r
}

func (p *Peer) failure(why error) Result {
	if p.method != nil && (p.step.State == MethodCont || p.step.Decision == DecideUncond) {
		return Result{}
	}
	switch {
	case p.step.Reason != nil:
		why = p.step.Reason
	case p.method == nil && p.reason != nil:
		why = p.reason
	}
	return p.end(why)
}

func (p *Peer) end(why error) Result {
	r := Result{Outcome: Failure, Identity: p.step.Identity, Method: p.typ, Reason: why}
	p.Close()
	return r
}
