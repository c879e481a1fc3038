package radius

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"gatewayd/alarm"
	"gatewayd/eap"
)

const (
	stateLen = 16
	// maxRestarts bounds how often a conversation is begun anew because the
	// identifiers collide.
	maxRestarts = 8
	// maxEAP is the longest EAP packet that fits an Access-Challenge, with a
	// State, four attributes of four octets and any Proxy-State.
	maxEAP = (MaxPacketLen - headerLen - 2*(2+authLen) - 4*6 - maxProxyState) / (2 + maxValueLen) * maxValueLen
	// minFramedMTU is the least that RFC 2865 Section 5.12 allows.
	minFramedMTU = 64
	// errorInvalidEAP is the Error-Cause "Invalid EAP Packet (Ignored)" (RFC
	// 3579 Section 3.3).
	errorInvalidEAP = 202
)

// session is one conversation of a Server: the peer behind another
// authenticator on one side, the Backend on the other. It waits for the peer
// while it is in Server.sessions, else for the Backend.
type session struct {
	s       *Server
	client  *Authorized
	addr    netip.Addr // of the authenticator: a State is worth nothing from elsewhere
	from    netip.AddrPort
	port    eap.Port
	conv    eap.Conversation
	turn    turn
	request *request // to be answered; nil while waiting for the peer
	state   [stateLen]byte
	last    []byte // the EAP request that the peer has to answer
	keyName bool   // the client asks for EAP-Key-Name
	timer   *alarm.Timer
	began   time.Time
	rounds  int

	// identity is the peer's first response, while turn is not running.
	identity []byte
	restarts int
}

// turn is what the Backend's next answer is to.
type turn uint8

const (
	asking     turn = iota // our Begin
	presenting             // the Identity response that came before it was asked for
	running
)

// access takes an Access-Request that is new.
func (s *Server) access(r *request) {
	packet, ok := r.packet.Attributes.EAP()
	if !ok { // nothing but EAP is served
		s.reject(r, nil)
		return
	}
	state, ok := r.packet.Attributes.Get(State)
	if !ok {
		s.begin(r, packet)
		return
	}
	var v *session
	if len(state) == stateLen {
		v = s.sessions[[stateLen]byte(state)]
	}
	if v == nil || v.addr != r.from.Addr() {
		s.reject(r, packet)
		return
	}
	p, err := eap.Decode(packet)
	if err != nil || p.Code != eap.CodeResponse || p.Identifier != v.last[1] {
		s.Counters.UnknownEAP++
		v.request = r
		v.challenge(eap.Result{Packet: v.last}, errorInvalidEAP)
		return
	}
	v.wait(nil)
	v.request = r
	v.from = r.from
	v.conv.Receive(packet[:p.Len()])
}

// begin opens a conversation for a peer's first response, or for an EAP-Start.
func (s *Server) begin(r *request, packet []byte) {
	p, err := eap.Decode(packet)
	if len(packet) > 0 && (err != nil || p.Code != eap.CodeResponse || p.Type != eap.TypeIdentity) {
		s.Counters.UnknownEAP++
		s.reject(r, packet)
		return
	}
	if s.count >= s.cfg.Sessions {
		s.Counters.Full++
		s.reject(r, packet)
		return
	}
	s.count++
	v := &session{s: s, client: r.client, addr: r.from.Addr(), from: r.from, request: r,
		port: port(r.packet.Attributes), began: s.cfg.Clock.Now()}
	_, v.keyName = r.packet.Attributes.Get(EAPKeyName)
	v.timer = s.cfg.Clock.NewTimer(v.expired)
	if len(packet) > 0 {
		v.identity = packet[:p.Len()]
	}
	v.open()
}

// open begins a conversation with the Backend.
func (v *session) open() {
	v.turn = asking
	v.timer.Start(v.s.cfg.Patience)
	var conv eap.Conversation
	conv = v.s.cfg.Backend.Converse(v.port, func(r eap.Result) {
		if v.conv == conv {
			v.answered(r)
		}
	})
	v.conv = conv
	conv.Begin()
}

// answered takes a result of the Backend.
func (v *session) answered(r eap.Result) {
	if v.request == nil && r.Outcome != eap.Failure {
		return
	}
	switch r.Outcome {
	case eap.Continue:
		v.proceed(r)
	case eap.Success:
		v.accept(r)
	default:
		v.end(r)
		if v.request != nil {
			v.s.answer(v.request, AccessReject, Attributes{{EAPMessage, failurePacket(v.request.eapID())}})
		}
	}
}

// proceed gives the peer its next request. The authenticator asked for the
// identity already (RFC 3579 Section 2.1): the Backend's own Identity request
// is answered here, with that identity. What the Backend sends next must not
// have the identifier of the request that the authenticator made, which the
// peer would take for a repetition.
func (v *session) proceed(r eap.Result) {
	p, err := eap.Decode(r.Packet)
	if err != nil {
		v.fail(err)
		return
	}
	if len(r.Packet) > maxEAP {
		v.fail(fmt.Errorf("%w: %d octets", ErrPacketSize, len(r.Packet)))
		return
	}
	if v.identity != nil {
		if v.turn == asking && p.Type == eap.TypeIdentity {
			v.turn = presenting
			identity := append([]byte(nil), v.identity...)
			identity[1] = p.Identifier
			v.conv.Receive(identity)
			return
		}
		if p.Identifier == v.identity[1] && v.restarts < maxRestarts {
			v.restarts++
			old := v.conv
			v.conv = nil
			old.Close()
			v.open()
			return
		}
	}
	v.identity = nil
	v.turn = running
	v.rounds++
	v.challenge(r, 0)
}

// challenge sends the peer an EAP request and waits for the answer.
func (v *session) challenge(r eap.Result, cause uint32) {
	req := v.request
	v.request = nil
	v.last = r.Packet
	v.wait(req)
	as := Attributes{}
	as.AddEAP(r.Packet)
	as.Add(State, v.state[:])
	if cause != 0 {
		as.AddUint32(ErrorCauseAttr, cause)
	}
	if r.Wait > 0 {
		as.AddUint32(SessionTimeout, uint32((r.Wait+time.Second-1)/time.Second))
	}
	v.s.Counters.Challenges++
	v.s.answer(req, AccessChallenge, as)
}

// wait makes the session wait for a request with a new State; with nil it
// waits for the Backend, and no State is valid.
func (v *session) wait(answered *request) {
	delete(v.s.sessions, v.state)
	v.timer.Start(v.s.cfg.Patience)
	if answered != nil {
		fill(v.s.cfg.Entropy, v.state[:])
		v.s.sessions[v.state] = v
	}
}

// accept sends the keys (RFC 3579 Section 2.6.1, RFC 2548 Section 2.4) and who
// the peer is.
func (v *session) accept(r eap.Result) {
	if len(r.MSK) < 2*mskHalf {
		v.fail(ErrNoKeys)
		return
	}
	var random [4]byte
	fill(v.s.cfg.Entropy, random[:])
	// The two salts differ in a bit, whatever the randomness.
	random[0], random[2] = random[0]&^0x40, random[2]|0x40
	as := Attributes{}
	as.AddEAP(r.Packet)
	as.AddMSK(r.MSK, v.client.Secret, v.request.packet.Authenticator,
		[2][2]byte{{random[0], random[1]}, {random[2], random[3]}})
	as.AddText(UserName, r.Identity)
	if v.keyName && len(r.SessionID) > 0 {
		as.Add(EAPKeyName, r.SessionID)
	}
	if r.Lifetime > 0 {
		as.AddUint32(SessionTimeout, uint32(r.Lifetime/time.Second))
		as.AddUint32(TerminationAction, actionRADIUSRequest)
	}
	v.end(r)
	v.s.answer(v.request, AccessAccept, as)
	clear(r.MSK)
	clear(r.EMSK)
}

// fail ends the session with a failure that the Backend does not know of.
func (v *session) fail(why error) {
	id := v.request.eapID()
	v.end(eap.Result{Outcome: eap.Failure, Reason: why})
	v.s.answer(v.request, AccessReject, Attributes{{EAPMessage, failurePacket(id)}})
}

// expired ends a session whose peer, or Backend, takes too long.
func (v *session) expired() {
	v.s.Counters.Expired++
	v.end(eap.Result{Outcome: eap.Failure, Reason: ErrTimeout})
}

// end forgets the session and reports it. The request, if there is one, is
// still to be answered.
func (v *session) end(r eap.Result) {
	s := v.s
	delete(s.sessions, v.state)
	s.count--
	v.timer.Stop()
	conv := v.conv
	v.conv = nil
	if conv != nil {
		conv.Close()
	}
	switch {
	case r.Outcome == eap.Success:
		s.Counters.Accepted++
	case r.Reason != ErrTimeout:
		s.Counters.Rejected++
	}
	if s.cfg.Ended != nil {
		r.Packet, r.MSK, r.EMSK = nil, nil, nil
		s.cfg.Ended(Authentication{Client: v.client.Name, From: v.from, Port: v.port, Result: r,
			Rounds: v.rounds, Elapsed: s.cfg.Clock.Now().Sub(v.began)})
	}
}

// reject answers a request that belongs to no session.
func (s *Server) reject(r *request, packet []byte) {
	s.Counters.Rejected++
	var as Attributes
	if packet != nil {
		as.AddEAP(failurePacket(r.eapID()))
	}
	s.answer(r, AccessReject, as)
}

// eapID is the identifier of the EAP packet in a request, 0 if there is none.
func (r *request) eapID() uint8 {
	if packet, _ := r.packet.Attributes.EAP(); len(packet) > 1 {
		return packet[1]
	}
	return 0
}

func failurePacket(id uint8) []byte {
	return eap.Packet{Code: eap.CodeFailure, Identifier: id}.Append(nil)
}

// port reads where the peer is attached. The Framed-MTU of an IEEE 802 medium
// includes the four octets of IEEE 802.1X (RFC 3579 Section 2.4, RFC 3580
// Section 3.10).
func port(as Attributes) eap.Port {
	p := eap.Port{CallingStation: as.Text(CallingStationID), CalledStation: as.Text(CalledStationID)}
	p.Number, _ = as.Uint32(NASPort)
	if mtu, ok := as.Uint32(FramedMTU); ok && mtu >= minFramedMTU {
		p.MTU = int(min(mtu, maxEAP))
		switch typ, _ := as.Uint32(NASPortType); typ {
		case portEthernet, portWirelessOther, portWireless80211:
			p.MTU -= 4
		}
	}
	return p
}

// String is the conversation for a log.
func (a Authentication) String() string {
	return a.Result.Outcome.String() + " of " + strconv.Quote(a.Result.Identity)
}
