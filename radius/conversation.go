package radius

import (
	"fmt"
	"strconv"
	"time"

	"gatewayd/eap"
)

// maxRounds bounds the round trips of a conversation, for a server that knows
// no end.
const maxRounds = 100

// conversation is one peer's way to a RADIUS server. It passes packets on and
// looks no further into them than codes, identifiers and lengths; decisions
// are by RADIUS code alone (RFC 3579 Section 2.6.3).
type conversation struct {
	c      *Client
	port   eap.Port
	answer func(eap.Result)

	identity string
	begun    bool
	known    bool  // lastID is valid
	lastID   uint8 // of the request that the peer has to answer
	at       *endpoint
	state    []byte // of the last challenge; nil: none
	pending  *exchange
	rounds   int
	ended    bool
}

// Converse opens a conversation with the first server that answers. The
// request for the peer's identity is made here (RFC 3579 Section 2.1).
func (c *Client) Converse(port eap.Port, answer func(eap.Result)) eap.Conversation {
	return &conversation{c: c, port: port, answer: answer}
}

// Begin asks the peer for its identity.
func (v *conversation) Begin() {
	if v.ended || v.begun {
		return
	}
	v.begun = true
	var id [1]byte
	v.c.entropy(id[:])
	v.request(eap.Packet{Code: eap.CodeRequest, Identifier: id[0], Type: eap.TypeIdentity}.Append(nil), 0)
}

// request gives the peer a request to answer.
func (v *conversation) request(packet []byte, wait time.Duration) {
	v.known, v.lastID = true, packet[1]
	v.answer(eap.Result{Packet: packet, Identity: v.identity, Wait: wait})
}

// Receive passes a response on. One that answers no request that is out is
// discarded (RFC 3748 Section 4.1).
func (v *conversation) Receive(response []byte) {
	p, err := eap.Decode(response)
	if v.ended || v.pending != nil || err != nil || p.Code != eap.CodeResponse || v.known && p.Identifier != v.lastID {
		return
	}
	if v.rounds == 0 {
		if p.Type != eap.TypeIdentity {
			return
		}
		v.identity = string(p.Data)
	}
	if v.rounds++; v.rounds > maxRounds {
		v.fail(fmt.Errorf("%w: %d round trips and no end", ErrUnexpected, maxRounds))
		return
	}
	v.known, v.lastID = true, p.Identifier
	as := v.attributes(response[:p.Len()])
	// 18 octets are the Message-Authenticator's.
	if (Packet{Attributes: as}).Len()+18 > MaxPacketLen {
		v.fail(fmt.Errorf("%w: %d octets", ErrPacketSize, p.Len()))
		return
	}
	x := &exchange{c: v.c, code: AccessRequest, attrs: as, pool: v.c.auth, done: v.answered}
	if v.state != nil {
		x.only = v.at
	}
	v.pending = x
	x.start()
}

// attributes are an Access-Request's (RFC 3579 Section 3, RFC 3580 Section 3).
func (v *conversation) attributes(packet []byte) Attributes {
	var as Attributes
	as.AddText(UserName, v.identity)
	v.c.nas(&as)
	portAttributes(&as, v.port)
	as.AddUint32(ServiceType, serviceFramed)
	if v.port.MTU > 0 {
		as.AddUint32(FramedMTU, uint32(v.port.MTU))
	}
	as.AddEAP(packet)
	if v.state != nil {
		as.Add(State, v.state)
	}
	return as
}

func (v *conversation) answered(x *exchange, p Packet, err error) {
	v.pending = nil
	if err != nil {
		v.fail(err)
		return
	}
	packet, _ := p.Attributes.EAP()
	in, malformed := eap.Decode(packet)
	if malformed == nil {
		packet = packet[:in.Len()]
	}
	switch p.Code {
	case AccessChallenge:
		if malformed != nil || in.Code != eap.CodeRequest {
			v.fail(fmt.Errorf("%w: %v", ErrUnexpected, p.Code))
			return
		}
		v.at, v.state = x.by, nil
		if state, ok := p.Attributes.Get(State); ok {
			v.state = append([]byte{}, state...)
		}
		v.request(packet, seconds(p.Attributes, SessionTimeout))
	case AccessAccept:
		v.accept(x, p.Attributes, in, malformed)
	case AccessReject:
		why := ErrRejected
		if text, ok := p.Attributes.Get(ReplyMessage); ok {
			why = fmt.Errorf("%w: %s", why, strconv.QuoteToASCII(string(text)))
		}
		v.fail(why)
	}
}

// accept takes an Access-Accept. What was said to the peer must be what was
// decided: no Success is made up here (RFC 3579 Section 2.6.3).
func (v *conversation) accept(x *exchange, as Attributes, in eap.Packet, malformed error) {
	if malformed != nil || in.Code != eap.CodeSuccess {
		v.fail(fmt.Errorf("%w: %v", ErrUnexpected, AccessAccept))
		return
	}
	if s, ok := as.Uint32(ServiceType); ok && s != serviceFramed {
		v.fail(fmt.Errorf("%w: Service-Type %d", ErrService, s))
		return
	}
	msk, ok, err := as.MSK(x.by.secret, x.auth)
	if err != nil {
		v.fail(err)
		return
	}
	if !ok {
		v.fail(ErrNoKeys)
		return
	}
	r := eap.Result{
		Outcome:  eap.Success,
		Packet:   in.Append(nil),
		MSK:      msk,
		Identity: v.identity,
		Lifetime: seconds(as, SessionTimeout),
	}
	if id, ok := as.Get(EAPKeyName); ok && len(id) > 0 {
		r.SessionID = append([]byte(nil), id...)
	}
	g := Grant{
		Server:   x.by.name,
		UserName: v.identity,
		Class:    as.All(Class),
		Interim:  seconds(as, AcctInterimInterval),
		Lifetime: r.Lifetime,
	}
	if name := as.Text(UserName); name != "" {
		g.UserName, r.Identity = name, name
	}
	v.ended = true
	if v.c.cfg.Granted != nil {
		v.c.cfg.Granted(v.port, g)
	}
	v.answer(r)
}

// fail ends the conversation. The server's own EAP-Failure says no more than
// this one does.
func (v *conversation) fail(why error) {
	v.Close()
	v.answer(eap.Result{
		Outcome:  eap.Failure,
		Packet:   eap.Packet{Code: eap.CodeFailure, Identifier: v.lastID}.Append(nil),
		Identity: v.identity,
		Reason:   why,
	})
}

// Close ends the conversation without an answer.
func (v *conversation) Close() {
	v.ended = true
	v.state = nil
	if v.pending != nil {
		v.pending.cancel()
		v.pending = nil
	}
}

// portAttributes appends where a peer is attached (RFC 3580 Section 3). There
// is no NAS-Port-Type for IEEE 802.15.4.
func portAttributes(as *Attributes, p eap.Port) {
	as.AddText(CalledStationID, p.CalledStation)
	as.AddText(CallingStationID, p.CallingStation)
	as.AddUint32(NASPort, p.Number)
	as.AddUint32(NASPortType, portWirelessOther)
}

// seconds returns an attribute that is a number of seconds, 0 if there is none.
func seconds(as Attributes, t Type) time.Duration {
	n, _ := as.Uint32(t)
	return time.Duration(n) * time.Second
}
