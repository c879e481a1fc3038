package radius

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/eap"
	"gatewayd/eap/psk"
)

var (
	nasAddr  = netip.MustParseAddrPort("198.51.100.7:40000")
	nas6Addr = netip.MustParseAddrPort("[2001:db8:7::1]:40000")
	testPSK  = []byte("0123456789abcdef")
)

// pskBackend authenticates "joe" by EAP-PSK.
func pskBackend(t testing.TB, seed byte) *eap.Local {
	key, err := psk.NewKey(testPSK)
	if err != nil {
		t.Fatal(err)
	}
	m := &psk.Server{ID: "gw", Rand: testEntropy(seed), Lookup: func(id string) *psk.Key {
		if id != "joe" {
			return nil
		}
		return key
	}}
	return &eap.Local{Rand: testEntropy(seed + 1), Methods: func(string, eap.Port) []eap.ServerMethodFactory {
		return []eap.ServerMethodFactory{m}
	}}
}

func pskPeer(t testing.TB, secret []byte) *eap.Peer {
	key, err := psk.NewKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	return eap.NewPeer(eap.PeerConfig{Identity: "joe", Methods: []eap.PeerMethodFactory{&psk.Peer{Key: key, Rand: testEntropy(9)}}})
}

// serverRig is a Server whose client is the test.
type serverRig struct {
	t     *testing.T
	clock alarm.Clock
	s     *Server
	out   [][]byte
	to    []netip.AddrPort
	ended []Authentication
	ids   uint8
}

func newServerRig(t *testing.T, change func(*ServerConfig)) *serverRig {
	r := &serverRig{t: t}
	r.clock.Set(start)
	cfg := ServerConfig{
		Clock: &r.clock, Entropy: testEntropy(3), Backend: pskBackend(t, 4),
		Clients: []Authorized{
			{Prefix: netip.MustParsePrefix("198.51.100.0/24"), Secret: Secret("wide")},
			{Prefix: netip.MustParsePrefix("198.51.100.7/32"), Secret: Secret("narrow")},
			{Prefix: netip.MustParsePrefix("2001:db8:7::/60"), Secret: Secret("six")},
		},
		Send: func(_ int, to netip.AddrPort, b []byte) {
			r.out, r.to = append(r.out, b), append(r.to, to)
		},
		Ended: func(a Authentication) { r.ended = append(r.ended, a) },
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if r.s, err = NewServer(cfg); err != nil {
		t.Fatal(err)
	}
	return r
}

// ask sends an Access-Request, and returns it with the answer; ok is false if
// there was none.
func (r *serverRig) ask(from netip.AddrPort, secret string, as ...Attribute) (request, answer Packet, ok bool) {
	r.t.Helper()
	r.ids++
	request = Packet{Code: AccessRequest, ID: r.ids, Attributes: as}
	request.Authenticator[0] = r.ids
	n := len(r.out)
	r.s.Receive(0, from, request.AppendRequest(nil, Secret(secret)))
	if len(r.out) == n {
		return request, Packet{}, false
	}
	return request, r.check(r.out[n], secret, request), true
}

// check decodes an answer and verifies it.
func (r *serverRig) check(b []byte, secret string, request Packet) Packet {
	r.t.Helper()
	if err := VerifyResponse(b, Secret(secret), request.Authenticator); err != nil {
		r.t.Fatal(err)
	}
	p, err := Decode(b)
	if err != nil {
		r.t.Fatal(err)
	}
	if p.Attributes[0].Type != MessageAuthenticator || p.ID != request.ID {
		r.t.Errorf("answer %+v", p)
	}
	return p
}

func stateAttr(p Packet) Attribute {
	v, _ := p.Attributes.Get(State)
	return Attribute{State, v}
}

// A peer authenticates through a foreign authenticator, whose Identity request
// has any identifier: also one that collides with the backend's.
func TestServer(t *testing.T) {
	for id := range 256 {
		r := newServerRig(t, nil)
		peer := pskPeer(t, testPSK)
		in := eapRequest(uint8(id), eap.TypeIdentity, "")
		var state []Attribute
		rounds := 0
		for {
			res := peer.Receive(in)
			if res.Outcome == eap.Failure || res.Packet == nil {
				t.Fatalf("identifier %d: peer says %+v", id, res)
			}
			rounds++
			req, p, ok := r.ask(nasAddr, "narrow", append(state, eapAttr(res.Packet), Attribute{EAPKeyName, []byte{0}})...)
			if !ok {
				t.Fatalf("identifier %d: no answer", id)
			}
			in, _ = p.Attributes.EAP()
			if p.Code == AccessChallenge {
				state = []Attribute{stateAttr(p)}
				continue
			}
			end := peer.Receive(in)
			msk, _, err := p.Attributes.MSK(Secret("narrow"), req.Authenticator)
			if p.Code != AccessAccept || end.Outcome != eap.Success || err != nil || !bytes.Equal(msk, end.MSK) || len(msk) != 64 {
				t.Fatalf("identifier %d: %v, peer has %+v, server %x, %v", id, p.Code, end, msk, err)
			}
			if p.Attributes.Text(UserName) != "joe" || p.Attributes.Text(EAPKeyName) != string(end.SessionID) {
				t.Errorf("accepted %q, session %x", p.Attributes.Text(UserName), p.Attributes.Text(EAPKeyName))
			}
			break
		}
		if rounds != 3 || r.s.count != 0 || len(r.s.sessions) != 0 || r.s.Counters.Accepted != 1 {
			t.Errorf("identifier %d: %d round trips, %d sessions, counters %+v", id, rounds, r.s.count, r.s.Counters)
		}
		if len(r.ended) != 1 || r.ended[0].Result.Identity != "joe" || r.ended[0].Result.MSK != nil {
			t.Errorf("reported %+v", r.ended)
		}
	}
}

// A wrong key is rejected with an EAP-Failure, and the reason is reported.
func TestServerRejects(t *testing.T) {
	r := newServerRig(t, nil)
	peer := pskPeer(t, []byte("not the same key"))
	_, p, _ := r.ask(nas6Addr, "six", eapAttr(peer.Receive(eapRequest(1, eap.TypeIdentity, "")).Packet))
	in, _ := p.Attributes.EAP()
	res := peer.Receive(in)
	_, p, _ = r.ask(nas6Addr, "six", eapAttr(res.Packet), stateAttr(p))
	in, _ = p.Attributes.EAP()
	if p.Code != AccessReject || !bytes.Equal(in, []byte{4, res.Packet[1], 0, 4}) {
		t.Errorf("%v with %x", p.Code, in)
	}
	if len(r.ended) != 1 || !errors.Is(r.ended[0].Result.Reason, psk.ErrWrongKey) || r.ended[0].Client != "2001:db8:7::/60" {
		t.Errorf("reported %+v", r.ended)
	}
}

func identity(id uint8) Attribute { return eapAttr(eapResponse(id, eap.TypeIdentity, "joe")) }

// Requests that a Server does not answer at all.
func TestServerDiscards(t *testing.T) {
	good := func() Packet {
		return Packet{Code: AccessRequest, ID: 1, Authenticator: [16]byte{1}, Attributes: Attributes{identity(1)}}
	}
	tests := []struct {
		name string
		from netip.AddrPort
		b    []byte
		n    func(*ServerCounters) uint64
	}{
		{"unknown client", netip.MustParseAddrPort("203.0.113.1:1"), good().AppendRequest(nil, Secret("narrow")), func(c *ServerCounters) uint64 { return c.UnknownClient }},
		{"outside of a /60", netip.MustParseAddrPort("[2001:db8:7:10::1]:1"), good().AppendRequest(nil, Secret("six")), func(c *ServerCounters) uint64 { return c.UnknownClient }},
		{"secret of the wider prefix", nasAddr, good().AppendRequest(nil, Secret("wide")), func(c *ServerCounters) uint64 { return c.Forged }},
		{"no Message-Authenticator", nasAddr, good().Append(nil), func(c *ServerCounters) uint64 { return c.Unsigned }},
		{"empty", nasAddr, nil, func(c *ServerCounters) uint64 { return c.Malformed }},
		{"an answer", nasAddr, Packet{Code: AccessAccept}.AppendResponse(nil, Secret("narrow"), [16]byte{}), func(c *ServerCounters) uint64 { return c.WrongCode }},
		{"accounting", nasAddr, Packet{Code: AccountingRequest}.AppendRequest(nil, Secret("narrow")), func(c *ServerCounters) uint64 { return c.WrongCode }},
	}
	for _, tt := range tests {
		told := 0
		r := newServerRig(t, func(c *ServerConfig) { c.Discarded = func(netip.AddrPort, error) { told++ } })
		r.s.Receive(0, tt.from, tt.b)
		if len(r.out) != 0 || tt.n(&r.s.Counters) != 1 || told != 1 || r.s.Counters.Requests != 0 {
			t.Errorf("%s: %d answers, told %d times, counters %+v", tt.name, len(r.out), told, r.s.Counters)
		}
	}
	// The wider prefix's own clients have its secret.
	r := newServerRig(t, nil)
	if _, p, ok := r.ask(netip.MustParseAddrPort("[::ffff:198.51.100.8]:1"), "wide", identity(1)); !ok || p.Code != AccessChallenge {
		t.Errorf("client of the wider prefix: %v", p.Code)
	}
}

// A request that comes again is answered with the same octets, not worked on
// again; after a while it is a new one.
func TestServerDuplicates(t *testing.T) {
	r := newServerRig(t, nil)
	req := Packet{Code: AccessRequest, ID: 1, Authenticator: [16]byte{1}, Attributes: Attributes{identity(1)}}.AppendRequest(nil, Secret("narrow"))
	for range 3 {
		r.s.Receive(0, nasAddr, bytes.Clone(req))
	}
	if len(r.out) != 3 || !bytes.Equal(r.out[0], r.out[1]) || !bytes.Equal(r.out[0], r.out[2]) || r.s.Counters.Duplicates != 2 || r.s.count != 1 {
		t.Errorf("%d answers, %d sessions, counters %+v", len(r.out), r.s.count, r.s.Counters)
	}
	// Another authenticator, port or socket makes it another request.
	other := Packet{Code: AccessRequest, ID: 1, Authenticator: [16]byte{2}, Attributes: Attributes{identity(1)}}.AppendRequest(nil, Secret("narrow"))
	r.s.Receive(0, nasAddr, other)
	r.s.Receive(1, nasAddr, other)
	r.s.Receive(0, netip.AddrPortFrom(nasAddr.Addr(), 1), other)
	if r.s.Counters.Duplicates != 2 || r.s.count != 4 {
		t.Errorf("%d sessions, counters %+v", r.s.count, r.s.Counters)
	}
	r.clock.Advance(start.Add(replyTime))
	if len(r.s.replies.byKey) != 0 || len(r.s.replies.queue) != r.s.replies.head {
		t.Errorf("%d answers kept", len(r.s.replies.byKey))
	}
}

// Answers kept are bounded in number.
func TestRepliesAreBounded(t *testing.T) {
	var clock alarm.Clock
	clock.Set(start)
	var rs replies
	rs.init(&clock, 10)
	for i := range 1000 {
		k := asked{from: nasAddr, id: uint8(i)}
		rs.add(k, [16]byte{byte(i), byte(i >> 8)}).answer = []byte{1}
		if rs.lookup(k, [16]byte{byte(i), byte(i >> 8)}) == nil {
			t.Fatalf("request %d is forgotten", i)
		}
		if len(rs.byKey) > 10 || cap(rs.queue) > 100 {
			t.Fatalf("%d kept, in %d", len(rs.byKey), cap(rs.queue))
		}
		clock.Advance(clock.Now().Add(time.Millisecond))
	}
	if rs.lookup(asked{from: nasAddr, id: 989 % 256}, [16]byte{989 % 256, 989 >> 8}) != nil {
		t.Error("the eleventh last is known")
	}
}

// A State is good once, and only from the address that it was given to.
func TestStates(t *testing.T) {
	setup := func() (*serverRig, Packet, []byte) {
		r := newServerRig(t, nil)
		peer := pskPeer(t, testPSK)
		_, p, _ := r.ask(nasAddr, "narrow", eapAttr(peer.Receive(eapRequest(1, eap.TypeIdentity, "")).Packet))
		in, _ := p.Attributes.EAP()
		return r, p, peer.Receive(in).Packet
	}
	r, p, resp := setup()
	if _, q, _ := r.ask(netip.MustParseAddrPort("198.51.100.8:40000"), "wide", eapAttr(resp), stateAttr(p)); q.Code != AccessReject {
		t.Errorf("from another address: %v", q.Code)
	}
	// The authenticator may use another port.
	_, q, _ := r.ask(netip.AddrPortFrom(nasAddr.Addr(), 41000), "narrow", eapAttr(resp), stateAttr(p))
	if q.Code != AccessChallenge || bytes.Equal(stateAttr(q).Value, stateAttr(p).Value) {
		t.Errorf("the same authenticator: %v", q.Code)
	}
	if _, again, _ := r.ask(nasAddr, "narrow", eapAttr(resp), stateAttr(p)); again.Code != AccessReject {
		t.Errorf("a State of before: %v", again.Code)
	}
	// That did not hurt the conversation.
	if _, ok := r.s.sessions[[16]byte(stateAttr(q).Value)]; !ok {
		t.Error("the conversation is gone")
	}
	for _, state := range [][]byte{{}, {1}, make([]byte, 16), make([]byte, 17)} {
		if _, q, _ := r.ask(nasAddr, "narrow", eapAttr(resp), Attribute{State, state}); q.Code != AccessReject {
			t.Errorf("State %x: %v", state, q.Code)
		}
	}
}

// An EAP packet that does not fit is answered with the request that is out
// (RFC 3579 Section 2.2), and the conversation goes on.
func TestServerIgnoresBadEAP(t *testing.T) {
	r := newServerRig(t, nil)
	peer := pskPeer(t, testPSK)
	_, p, _ := r.ask(nasAddr, "narrow", eapAttr(peer.Receive(eapRequest(1, eap.TypeIdentity, "")).Packet))
	in, _ := p.Attributes.EAP()
	for _, bad := range [][]byte{{2}, {1, in[1], 0, 5, 47}, eapResponse(in[1]+1, eap.TypePSK, "x"), {2, in[1], 0, 50, 47}} {
		_, q, _ := r.ask(nasAddr, "narrow", eapAttr(bad), stateAttr(p))
		again, _ := q.Attributes.EAP()
		if cause, _ := q.Attributes.Uint32(ErrorCauseAttr); q.Code != AccessChallenge || !bytes.Equal(again, in) || cause != errorInvalidEAP {
			t.Fatalf("%x: %v with %x, cause %d", bad, q.Code, again, cause)
		}
		p = q
	}
	if _, q, _ := r.ask(nasAddr, "narrow", eapAttr(peer.Receive(in).Packet), stateAttr(p)); q.Code != AccessChallenge {
		t.Errorf("the right one after it: %v", q.Code)
	}
	// At the beginning there is nothing to go on with.
	for _, first := range [][]byte{{2}, eapRequest(1, eap.TypeIdentity, ""), eapResponse(1, eap.TypeNak, "x")} {
		if _, q, _ := r.ask(nasAddr, "narrow", eapAttr(first)); q.Code != AccessReject {
			t.Errorf("begins with %x: %v", first, q.Code)
		}
	}
	if _, q, _ := r.ask(nasAddr, "narrow", Attribute{UserName, []byte("joe")}, Attribute{2, make([]byte, 16)}); q.Code != AccessReject {
		t.Errorf("a password: %v", q.Code)
	}
}

// An EAP-Start makes the server ask for the identity.
func TestEAPStart(t *testing.T) {
	r := newServerRig(t, nil)
	peer := pskPeer(t, testPSK)
	_, p, _ := r.ask(nasAddr, "narrow", eapAttr(nil))
	in, _ := p.Attributes.EAP()
	if q, err := eap.Decode(in); err != nil || q.Type != eap.TypeIdentity || p.Code != AccessChallenge {
		t.Fatalf("%v with %x", p.Code, in)
	}
	for range 3 {
		_, p, _ = r.ask(nasAddr, "narrow", eapAttr(peer.Receive(in).Packet), stateAttr(p))
		in, _ = p.Attributes.EAP()
	}
	if p.Code != AccessAccept {
		t.Errorf("%v", p.Code)
	}
}

func TestStatusServerAndProxyState(t *testing.T) {
	r := newServerRig(t, nil)
	status := Packet{Code: StatusServer, ID: 200, Authenticator: [16]byte{5}, Attributes: Attributes{{ProxyState, []byte("1")}, {UserName, nil}, {ProxyState, []byte("0")}}}
	r.s.Receive(0, nasAddr, status.AppendRequest(nil, Secret("narrow")))
	p := r.check(r.out[0], "narrow", status)
	if want := (Attributes{{ProxyState, []byte("1")}, {ProxyState, []byte("0")}}); p.Code != AccessAccept || fmt.Sprint(p.Attributes[1:]) != fmt.Sprint(want) {
		t.Errorf("%v with %v", p.Code, p.Attributes)
	}
	_, p, _ = r.ask(nasAddr, "narrow", Attribute{ProxyState, []byte("x")}, identity(1), Attribute{ProxyState, []byte("a")})
	if got := fmt.Sprint(p.Attributes.All(ProxyState)); got != "[[120] [97]]" {
		t.Errorf("Proxy-State %s", got)
	}
}

// Conversations are bounded in number and time.
func TestSessionsAreBounded(t *testing.T) {
	r := newServerRig(t, func(c *ServerConfig) { c.Sessions = 5; c.Patience = 10 * time.Second })
	for i := range 8 {
		_, p, _ := r.ask(nasAddr, "narrow", identity(uint8(i)))
		if want := map[bool]Code{true: AccessChallenge, false: AccessReject}[i < 5]; p.Code != want {
			t.Errorf("conversation %d: %v", i, p.Code)
		}
	}
	r.clock.Advance(start.Add(10 * time.Second))
	if r.s.count != 0 || len(r.s.sessions) != 0 || r.s.Counters.Expired != 5 || r.s.Counters.Full != 3 || len(r.ended) != 5 || r.ended[0].Result.Reason != ErrTimeout {
		t.Errorf("%d sessions, counters %+v, reported %+v", r.s.count, r.s.Counters, r.ended)
	}
	if _, p, _ := r.ask(nasAddr, "narrow", identity(1)); p.Code != AccessChallenge {
		t.Errorf("later: %v", p.Code)
	}
}

// scripted is a backend that the test speaks for.
type scripted struct {
	port   eap.Port
	answer func(eap.Result)
	got    [][]byte
	closed int
}

func (s *scripted) Converse(port eap.Port, answer func(eap.Result)) eap.Conversation {
	s.port, s.answer = port, answer
	return s
}
func (s *scripted) Begin()           { s.got = append(s.got, nil) }
func (s *scripted) Receive(b []byte) { s.got = append(s.got, b) }
func (s *scripted) Close()           { s.closed++ }

// A backend may take its time, and may end a conversation whenever it likes.
func TestSlowBackend(t *testing.T) {
	b := &scripted{}
	r := newServerRig(t, func(c *ServerConfig) { c.Backend = b })
	r.ids = 50
	req := Packet{Code: AccessRequest, ID: 1, Authenticator: [16]byte{1}, Attributes: Attributes{identity(9),
		{FramedMTU, []byte{0, 0, 4, 0}}, {NASPortType, []byte{0, 0, 0, 19}}, {CallingStationID, []byte("02-00")}, {NASPort, []byte{0, 0, 0, 3}}}}
	raw := req.AppendRequest(nil, Secret("narrow"))
	r.s.Receive(0, nasAddr, raw)
	r.s.Receive(0, nasAddr, raw)
	if len(r.out) != 0 || len(b.got) != 1 || r.s.Counters.Duplicates != 1 {
		t.Fatalf("%d answers, backend got %x", len(r.out), b.got)
	}
	if want := (eap.Port{CallingStation: "02-00", Number: 3, MTU: 1020}); b.port != want {
		t.Errorf("port %+v", b.port)
	}
	clear(raw) // the driver's buffer
	b.answer(eap.Result{Packet: eapRequest(77, eap.TypeIdentity, "")})
	if len(r.out) != 0 || !bytes.Equal(b.got[1], eapResponse(77, eap.TypeIdentity, "joe")) {
		t.Fatalf("%d answers, backend got %x", len(r.out), b.got)
	}
	b.answer(eap.Result{Packet: eapRequest(78, eap.TypeTLS, string(make([]byte, 1000))), Wait: 1500 * time.Millisecond})
	if len(r.out) != 1 {
		t.Fatalf("%d answers", len(r.out))
	}
	p := r.check(r.out[0], "narrow", req)
	if packet, _ := p.Attributes.EAP(); len(packet) != 1005 || seconds(p.Attributes, SessionTimeout) != 2*time.Second {
		t.Errorf("EAP packet of %d octets, Session-Timeout %v", len(packet), seconds(p.Attributes, SessionTimeout))
	}
	// A result that nobody asked for is not sent.
	b.answer(eap.Result{Packet: eapRequest(79, eap.TypeTLS, "")})
	if len(r.out) != 1 {
		t.Error("sends what was not asked for")
	}
	b.answer(eap.Result{Outcome: eap.Failure, Reason: errors.New("gone")})
	if r.s.count != 0 || b.closed != 1 {
		t.Errorf("%d sessions, closed %d times", r.s.count, b.closed)
	}
	b.answer(eap.Result{Outcome: eap.Failure})
	b.answer(eap.Result{Outcome: eap.Success, MSK: testMSK})
	if _, q, _ := r.ask(nasAddr, "narrow", eapAttr(eapResponse(78, eap.TypeTLS, "")), stateAttr(p)); q.Code != AccessReject {
		t.Errorf("afterwards %v", q.Code)
	}

	// A success without keys is none.
	_, _, _ = r.ask(nasAddr, "narrow", identity(1))
	b.answer(eap.Result{Packet: eapRequest(5, eap.TypeTLS, "")})
	p, _ = Decode(r.out[len(r.out)-1])
	r.ask(nasAddr, "narrow", eapAttr(eapResponse(5, eap.TypeTLS, "")), stateAttr(p))
	b.answer(eap.Result{Outcome: eap.Success, Packet: []byte{3, 5, 0, 4}})
	if p, _ := Decode(r.out[len(r.out)-1]); p.Code != AccessReject {
		t.Errorf("a success without keys: %v", p.Code)
	}
}

// The longest EAP packet fits, with all Proxy-State that is taken; what is
// longer is refused.
func TestServerLimits(t *testing.T) {
	b := &scripted{}
	r := newServerRig(t, func(c *ServerConfig) { c.Backend = b })
	many := Attributes{identity(1), {FramedMTU, []byte{0, 0, 0xff, 0xff}}}
	for range 4 {
		many = append(many, Attribute{ProxyState, make([]byte, 253)})
	}
	r.ask(nasAddr, "narrow", many...)
	if b.port.MTU != maxEAP {
		t.Errorf("MTU %d, want %d", b.port.MTU, maxEAP)
	}
	b.answer(eap.Result{Packet: eapRequest(1, eap.TypeTLS, string(make([]byte, maxEAP-5))), Wait: time.Second})
	b.answer(eap.Result{Packet: eapRequest(2, eap.TypeTLS, string(make([]byte, maxEAP-5))), Wait: time.Second})
	if len(r.out) != 1 || len(r.out[0]) > MaxPacketLen || len(r.out[0]) < MaxPacketLen-300 {
		t.Fatalf("%d answers", len(r.out))
	}
	if p, err := Decode(r.out[0]); err != nil || p.Code != AccessChallenge {
		t.Errorf("%v, %v", p.Code, err)
	}
	r.ask(nasAddr, "narrow", identity(1))
	b.answer(eap.Result{Packet: eapRequest(2, eap.TypeTLS, string(make([]byte, maxEAP-4)))})
	if p, _ := Decode(r.out[1]); p.Code != AccessReject || !errors.Is(r.ended[0].Result.Reason, ErrPacketSize) {
		t.Errorf("one octet too many: %v, %+v", p.Code, r.ended)
	}
	if _, _, ok := r.ask(nasAddr, "narrow", append(many, Attribute{ProxyState, []byte{1, 2, 3}})...); ok || r.s.Counters.Malformed != 1 {
		t.Error("takes any amount of Proxy-State")
	}
}

func TestServerConfig(t *testing.T) {
	for name, a := range map[string]Authorized{
		"no prefix": {Secret: Secret("x")},
		"no secret": {Prefix: netip.MustParsePrefix("::/0")},
	} {
		if _, err := NewServer(ServerConfig{Clock: new(alarm.Clock), Clients: []Authorized{a}}); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := NewDynamic(DynamicConfig{Clock: new(alarm.Clock), Clients: []Authorized{a}}); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
