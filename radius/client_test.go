package radius

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/eap"
)

var (
	start   = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	serverA = netip.MustParseAddrPort("192.0.2.1:1812")
	serverB = netip.MustParseAddrPort("[2001:db8::2]:1812")
	acctA   = netip.MustParseAddrPort("192.0.2.1:1813")
	acctB   = netip.MustParseAddrPort("[2001:db8::2]:1813")
	aPort   = eap.Port{CallingStation: "02-00-5E-10-00-00-00-01", CalledStation: "gw", Number: 7, MTU: 1020}
)

func testEntropy(seed byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{seed}) }

// sent is a request that a client made.
type sent struct {
	socket int
	to     netip.AddrPort
	raw    []byte
	packet Packet
	at     time.Duration
}

// rig is a Client whose servers are the test.
type rig struct {
	t       *testing.T
	clock   alarm.Clock
	c       *Client
	sent    []sent
	events  []string
	grants  []Grant
	results []eap.Result
}

func newRig(t *testing.T, change func(*ClientConfig)) *rig {
	r := &rig{t: t}
	r.clock.Set(start)
	cfg := ClientConfig{
		Clock:   &r.clock,
		Entropy: testEntropy(1),
		Servers: []Upstream{
			{Name: "b", Auth: serverB, Acct: acctB, Secret: Secret("second"), Priority: 2},
			{Name: "a", Auth: serverA, Acct: acctA, Secret: Secret("first"), Priority: 1},
		},
		Send: func(socket int, to netip.AddrPort, b []byte) {
			p, err := Decode(b)
			if err != nil {
				t.Fatal(err)
			}
			r.sent = append(r.sent, sent{socket, to, b, p, r.clock.Now().Sub(start)})
		},
		NASAddress: netip.MustParseAddr("192.0.2.99"),
		ServerChanged: func(name, service string, alive bool) {
			r.events = append(r.events, fmt.Sprintf("%v %s %s %v", r.clock.Now().Sub(start).Round(time.Second), name, service, alive))
		},
		Granted: func(_ eap.Port, g Grant) { r.grants = append(r.grants, g) },
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if r.c, err = NewClient(cfg); err != nil {
		t.Fatal(err)
	}
	return r
}

// run lets time pass, deadline by deadline.
func (r *rig) run(d time.Duration) {
	end := r.clock.Now().Add(d)
	for at := r.clock.Deadline(); !at.IsZero() && !at.After(end); at = r.clock.Deadline() {
		r.clock.Advance(at)
	}
	r.clock.Advance(end)
}

// take returns the only request sent since the last take.
func (r *rig) take() sent {
	r.t.Helper()
	if len(r.sent) != 1 {
		r.t.Fatalf("%d requests sent, want one: %+v", len(r.sent), r.sent)
	}
	s := r.sent[0]
	r.sent = nil
	return s
}

func secretOf(a netip.AddrPort) Secret {
	if a.Addr() == serverA.Addr() {
		return Secret("first")
	}
	return Secret("second")
}

// reply answers a request as its server would.
func (r *rig) reply(s sent, code Code, as ...Attribute) {
	p := Packet{Code: code, ID: s.packet.ID, Attributes: as}
	r.c.Receive(s.socket, s.to, p.AppendResponse(nil, secretOf(s.to), s.packet.Authenticator))
}

func eapRequest(id uint8, typ eap.Type, data string) []byte {
	return eap.Packet{Code: eap.CodeRequest, Identifier: id, Type: typ, Data: []byte(data)}.Append(nil)
}

func eapResponse(id uint8, typ eap.Type, data string) []byte {
	return eap.Packet{Code: eap.CodeResponse, Identifier: id, Type: typ, Data: []byte(data)}.Append(nil)
}

func eapAttr(b []byte) Attribute { return Attribute{EAPMessage, b} }

// begin opens a conversation and takes it to where the server has the
// identity.
func (r *rig) begin() eap.Conversation {
	r.t.Helper()
	v := r.c.Converse(aPort, func(res eap.Result) { r.results = append(r.results, res) })
	v.Begin()
	id := r.last()
	if p, err := eap.Decode(id.Packet); err != nil || p.Type != eap.TypeIdentity || p.Code != eap.CodeRequest {
		r.t.Fatalf("begins with %x", id.Packet)
	}
	v.Receive(eapResponse(id.Packet[1], eap.TypeIdentity, "joe"))
	return v
}

func (r *rig) last() eap.Result {
	r.t.Helper()
	if len(r.results) == 0 {
		r.t.Fatal("no result")
	}
	return r.results[len(r.results)-1]
}

// accept makes the attributes of an Access-Accept for a request.
func accept(s sent, id uint8, more ...Attribute) []Attribute {
	as := Attributes{eapAttr([]byte{3, id, 0, 4})}
	as.AddMSK(testMSK, secretOf(s.to), s.packet.Authenticator, [2][2]byte{{0, 1}, {0, 2}})
	return append(as, more...)
}

var testMSK = bytes.Repeat([]byte("01234567"), 8)

// A conversation from the identity to the keys.
func TestConversation(t *testing.T) {
	r := newRig(t, nil)
	v := r.begin()
	first := r.take()
	if first.to != serverA || first.socket != 0 {
		t.Errorf("asks %v from socket %d", first.to, first.socket)
	}
	if err := VerifyRequest(first.raw, Secret("first")); err != nil {
		t.Error(err)
	}
	got := ""
	for _, a := range first.packet.Attributes[1:] {
		got += fmt.Sprintf("%d=%x\n", a.Type, a.Value)
	}
	want := `1=6a6f65
32=6761746577617964
4=c0000263
30=6777
31=30322d30302d35452d31302d30302d30302d30302d3031
5=00000007
61=00000012
6=00000002
12=000003fc
79=` + fmt.Sprintf("%x", eapResponse(r.last().Packet[1], eap.TypeIdentity, "joe")) + "\n"
	if first.packet.Attributes[0].Type != MessageAuthenticator || got != want {
		t.Errorf("request has\n%swant\n%s", got, want)
	}

	// A peer that repeats itself does not make another request.
	v.Receive(eapResponse(r.last().Packet[1], eap.TypeIdentity, "joe"))
	long := eapRequest(7, eap.TypeTLS, strings.Repeat("x", 600))
	r.reply(first, AccessChallenge, eapAttr(long[:253]), eapAttr(long[253:506]), eapAttr(long[506:]),
		Attribute{State, []byte("st1")}, Attribute{SessionTimeout, []byte{0, 0, 0, 9}})
	if res := r.last(); res.Outcome != eap.Continue || !bytes.Equal(res.Packet, long) || res.Wait != 9*time.Second {
		t.Errorf("challenge became %+v", res)
	}
	n := len(r.results)
	for _, stray := range [][]byte{nil, {2}, eapResponse(6, eap.TypeTLS, ""), eapRequest(7, eap.TypeTLS, ""), {2, 7, 0, 9, 13}} {
		v.Receive(stray)
	}
	if len(r.sent) != 0 || len(r.results) != n {
		t.Errorf("strays made %d requests and %d results", len(r.sent), len(r.results)-n)
	}

	v.Receive(eapResponse(7, eap.TypeTLS, strings.Repeat("y", 300)))
	second := r.take()
	if got := second.packet.Attributes.Text(State); got != "st1" {
		t.Errorf("State %q", got)
	}
	if got, _ := second.packet.Attributes.EAP(); len(got) != 305 {
		t.Errorf("EAP packet of %d octets", len(got))
	}
	if second.packet.Authenticator == first.packet.Authenticator || second.packet.ID == first.packet.ID {
		t.Error("identifier or authenticator used twice")
	}
	// A challenge without State: none is sent back.
	r.reply(second, AccessChallenge, eapAttr(eapRequest(8, eap.TypeTLS, "")))
	v.Receive(eapResponse(8, eap.TypeTLS, ""))
	third := r.take()
	if _, ok := third.packet.Attributes.Get(State); ok {
		t.Error("State sent though the last challenge had none")
	}
	r.reply(third, AccessAccept, accept(third, 8, Attribute{Class, []byte("c1")}, Attribute{Class, []byte("c2")},
		Attribute{UserName, []byte("Joe")}, Attribute{SessionTimeout, []byte{0, 0, 0xe, 0x10}},
		Attribute{AcctInterimInterval, []byte{0, 0, 0, 0x78}}, Attribute{EAPKeyName, []byte{13, 1, 2}})...)
	res := r.last()
	if res.Outcome != eap.Success || !bytes.Equal(res.MSK, testMSK) || !bytes.Equal(res.Packet, []byte{3, 8, 0, 4}) ||
		res.Identity != "Joe" || res.Lifetime != time.Hour || !bytes.Equal(res.SessionID, []byte{13, 1, 2}) {
		t.Errorf("accept became %+v", res)
	}
	if got, want := fmt.Sprintf("%+v", r.grants), "[{Server:a UserName:Joe Class:[[99 49] [99 50]] Interim:2m0s Lifetime:1h0m0s}]"; got != want {
		t.Errorf("granted %s, want %s", got, want)
	}
	v.Receive(eapResponse(8, eap.TypeTLS, ""))
	v.Close()
	r.run(time.Hour)
	if len(r.sent) != 0 || r.c.auth[0].used != 0 {
		t.Errorf("%d requests after the end, %d slots in use", len(r.sent), r.c.auth[0].used)
	}
}

// What a server may say that does not let the peer in.
func TestRefusals(t *testing.T) {
	success := eapAttr([]byte{3, 1, 0, 4})
	tests := []struct {
		name  string
		code  Code
		reply func(s sent) []Attribute
		want  error
	}{
		{"rejected", AccessReject, func(sent) []Attribute { return []Attribute{eapAttr([]byte{4, 1, 0, 4})} }, ErrRejected},
		{"rejected without EAP", AccessReject, func(sent) []Attribute { return nil }, ErrRejected},
		{"rejected with a Success inside", AccessReject, func(s sent) []Attribute { return accept(s, 1) }, ErrRejected},
		{"accepted without keys", AccessAccept, func(sent) []Attribute { return []Attribute{success} }, ErrNoKeys},
		{"accepted with half the keys", AccessAccept, func(s sent) []Attribute { return accept(s, 1)[:2] }, ErrNoKeys},
		{"accepted with keys of another secret", AccessAccept, func(s sent) []Attribute {
			as := Attributes{success}
			as.AddMSK(testMSK, Secret("other"), s.packet.Authenticator, [2][2]byte{{0, 1}, {0, 2}})
			return as
		}, ErrKey},
		{"accepted with a Failure inside", AccessAccept, func(s sent) []Attribute {
			as := accept(s, 1)
			as[0] = eapAttr([]byte{4, 1, 0, 4})
			return as
		}, ErrUnexpected},
		{"accepted without EAP", AccessAccept, func(s sent) []Attribute { return accept(s, 1)[1:] }, ErrUnexpected},
		{"accepted for another service", AccessAccept, func(s sent) []Attribute {
			return accept(s, 1, Attribute{ServiceType, []byte{0, 0, 0, 6}})
		}, ErrService},
		{"challenged without EAP", AccessChallenge, func(sent) []Attribute { return []Attribute{{State, []byte("x")}} }, ErrUnexpected},
		{"challenged with a Success", AccessChallenge, func(sent) []Attribute { return []Attribute{success} }, ErrUnexpected},
		{"challenged with half a packet", AccessChallenge, func(sent) []Attribute { return []Attribute{eapAttr([]byte{1, 1, 0, 9, 13})} }, ErrUnexpected},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil)
			r.begin()
			s := r.take()
			r.reply(s, tt.code, tt.reply(s)...)
			res := r.last()
			if res.Outcome != eap.Failure || !errors.Is(res.Reason, tt.want) || res.MSK != nil || len(res.Packet) != 4 || res.Packet[0] != 4 {
				t.Errorf("%+v, want a failure: %v", res, tt.want)
			}
			if len(r.grants) != 0 {
				t.Errorf("granted %+v", r.grants)
			}
		})
	}
}

// Answers that are not what they seem are as if they had not come: the good
// one after them counts.
func TestBadAnswers(t *testing.T) {
	forged := func(secret Secret, change func(b []byte) []byte) func(r *rig, s sent) {
		return func(r *rig, s sent) {
			b := Packet{Code: AccessAccept, ID: s.packet.ID, Attributes: accept(s, 1)}.AppendResponse(nil, secret, s.packet.Authenticator)
			r.c.Receive(s.socket, s.to, change(b))
		}
	}
	same := func(b []byte) []byte { return b }
	// unsigned leaves the Message-Authenticator out and makes the Response
	// Authenticator right, as Blast-RADIUS does.
	unsigned := func(r *rig, s sent) {
		p := Packet{Code: AccessAccept, ID: s.packet.ID, Authenticator: s.packet.Authenticator, Attributes: accept(s, 1)}
		r.c.Receive(s.socket, s.to, resign(p, Secret("first")))
	}
	wrongMA := func(r *rig, s sent) {
		p := Packet{Code: AccessAccept, ID: s.packet.ID, Authenticator: s.packet.Authenticator,
			Attributes: append(Attributes{{MessageAuthenticator, make([]byte, 16)}}, accept(s, 1)...)}
		r.c.Receive(s.socket, s.to, resign(p, Secret("first")))
	}
	tests := []struct {
		name string
		send func(r *rig, s sent)
		n    func(c *ClientCounters) uint64
	}{
		{"other secret", forged(Secret("guess"), same), func(c *ClientCounters) uint64 { return c.Forged }},
		{"no Message-Authenticator", unsigned, func(c *ClientCounters) uint64 { return c.Unsigned }},
		{"wrong Message-Authenticator", wrongMA, func(c *ClientCounters) uint64 { return c.Forged }},
		{"code changed", forged(Secret("first"), func(b []byte) []byte { b[0] = byte(AccessReject); return b }), func(c *ClientCounters) uint64 { return c.Forged }},
		{"cut", forged(Secret("first"), func(b []byte) []byte { return b[:30] }), func(c *ClientCounters) uint64 { return c.Malformed }},
		{"other identifier", forged(Secret("first"), func(b []byte) []byte { b[1]++; return b }), func(c *ClientCounters) uint64 { return c.Stray }},
		{"from elsewhere", func(r *rig, s sent) { s.to = serverB; r.reply(s, AccessAccept, accept(s, 1)...) }, func(c *ClientCounters) uint64 { return c.Stray }},
		{"from a stranger", func(r *rig, s sent) {
			s.to = netip.MustParseAddrPort("198.51.100.1:1812")
			r.reply(s, AccessAccept, accept(s, 1)...)
		}, func(c *ClientCounters) uint64 { return c.Stray }},
		{"to another socket", func(r *rig, s sent) { s.socket++; r.reply(s, AccessAccept, accept(s, 1)...) }, func(c *ClientCounters) uint64 { return c.Stray }},
		{"to no socket", func(r *rig, s sent) { s.socket = 99; r.reply(s, AccessAccept, accept(s, 1)...) }, func(c *ClientCounters) uint64 { return c.Stray }},
		{"to another kind of request", func(r *rig, s sent) { r.reply(s, AccountingResponse) }, func(c *ClientCounters) uint64 { return c.WrongCode }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			told := 0
			r := newRig(t, func(c *ClientConfig) { c.Discarded = func(netip.AddrPort, error) { told++ } })
			r.begin()
			s := r.take()
			n := len(r.results)
			tt.send(r, s)
			if len(r.results) != n || tt.n(&r.c.Counters) != 1 || told != 1 {
				t.Fatalf("%d results, counters %+v, told %d times", len(r.results)-n, r.c.Counters, told)
			}
			r.reply(s, AccessAccept, accept(s, 1)...)
			if r.last().Outcome != eap.Success {
				t.Errorf("the right answer became %+v", r.last())
			}
		})
	}
}

// resign encodes a packet with the right Response Authenticator, and whatever
// Message-Authenticator it has. p has the request's authenticator.
func resign(p Packet, secret Secret) []byte {
	b := p.Append(nil)
	h := md5sum(append(bytes.Clone(b), secret...))
	copy(b[authOffset:], h[:])
	return b
}

// A message authenticator may stand anywhere in an answer.
func TestMessageAuthenticatorLast(t *testing.T) {
	r := newRig(t, nil)
	r.begin()
	s := r.take()
	as := append(Attributes(accept(s, 1)), Attribute{MessageAuthenticator, make([]byte, 16)})
	p := Packet{Code: AccessAccept, ID: s.packet.ID, Authenticator: s.packet.Authenticator, Attributes: as}
	b := p.Append(nil)
	copy(as[len(as)-1].Value, hmacMD5(b, Secret("first")))
	r.c.Receive(s.socket, s.to, resign(p, Secret("first")))
	if r.last().Outcome != eap.Success {
		t.Errorf("%+v", r.last())
	}
}

// A request is repeated unchanged, ever more slowly, and then goes to the
// next server as a new one; the first is found dead and passed over, asked for
// its status, and taken again when it answers.
func TestFailover(t *testing.T) {
	r := newRig(t, nil)
	r.begin()
	r.run(20 * time.Second)
	want := []struct {
		to  netip.AddrPort
		gap time.Duration // changed by up to a fifth
	}{{serverA, 0}, {serverA, 2 * time.Second}, {serverA, 4 * time.Second},
		{serverB, 8 * time.Second}, {serverB, 2 * time.Second}, {serverB, 4 * time.Second}}
	if len(r.sent) != len(want) {
		t.Fatalf("%d requests, want %d", len(r.sent), len(want))
	}
	before := time.Duration(0)
	for i, w := range want {
		if gap := r.sent[i].at - before; r.sent[i].to != w.to || (gap-w.gap).Abs() > w.gap/5 {
			t.Errorf("request %d goes to %v after %v, want %v after %v", i, r.sent[i].to, gap, w.to, w.gap)
		}
		before = r.sent[i].at
	}
	if !bytes.Equal(r.sent[0].raw, r.sent[1].raw) || !bytes.Equal(r.sent[0].raw, r.sent[2].raw) {
		t.Error("the request changes when it is repeated")
	}
	b := r.sent[3]
	if b.packet.Authenticator == r.sent[0].packet.Authenticator {
		t.Error("two servers get one authenticator")
	}
	if err := VerifyRequest(b.raw, Secret("second")); err != nil {
		t.Error(err)
	}
	// The answer of a server that was given up is none.
	n := len(r.results)
	r.reply(r.sent[0], AccessAccept, accept(r.sent[0], 1)...)
	if len(r.results) != n {
		t.Error("takes a late answer")
	}
	r.reply(b, AccessAccept, accept(b, 1)...)
	if r.last().Outcome != eap.Success || r.grants[0].Server != "b" {
		t.Errorf("%+v from %+v", r.last(), r.grants)
	}

	// The next peer goes to b at once.
	r.sent = nil
	r.begin()
	if s := r.take(); s.to != serverB {
		t.Errorf("a dead server is asked: %v", s.to)
	} else {
		r.reply(s, AccessReject)
	}

	r.run(time.Minute)
	probes := 0
	var probe sent
	for _, s := range r.sent {
		if s.packet.Code != StatusServer || s.to != serverA {
			t.Errorf("%v to %v", s.packet.Code, s.to)
		}
		if err := VerifyRequest(s.raw, Secret("first")); err != nil {
			t.Error(err)
		}
		if probe.raw != nil && (s.packet.ID == probe.packet.ID || s.packet.Authenticator == probe.packet.Authenticator) {
			t.Error("Status-Server is repeated")
		}
		probes++
		probe = s
	}
	if probes < 2 || probes > 3 {
		t.Errorf("%d probes in a minute", probes)
	}
	r.sent = nil
	for len(r.sent) == 0 {
		r.run(time.Second)
	}
	// Recorded of FreeRADIUS 3.2.1: no Message-Authenticator here.
	probe = r.take()
	r.c.Receive(probe.socket, probe.to, resign(Packet{Code: AccessAccept, ID: probe.packet.ID, Authenticator: probe.packet.Authenticator}, Secret("guess")))
	if len(r.events) != 1 {
		t.Error("anyone can call a server back")
	}
	r.c.Receive(probe.socket, probe.to, resign(Packet{Code: AccessAccept, ID: probe.packet.ID, Authenticator: probe.packet.Authenticator}, Secret("first")))
	r.begin()
	if s := r.take(); s.to != serverA {
		t.Errorf("a server that is back is not asked: %v", s.to)
	}
	if len(r.events) != 2 || !strings.HasSuffix(r.events[0], "a authentication false") || !strings.HasSuffix(r.events[1], "a authentication true") {
		t.Errorf("events %q", r.events)
	}
}

// A server that does not know Status-Server is tried again after its
// dead-time.
func TestDeadTimeEnds(t *testing.T) {
	r := newRig(t, func(c *ClientConfig) { c.ProbeInterval = -1; c.DeadTime = time.Minute })
	v := r.begin()
	for len(r.events) == 0 {
		r.run(time.Second)
	}
	v.Close()
	r.sent = nil
	r.run(59 * time.Second)
	r.begin()
	if s := r.take(); s.to != serverB {
		t.Errorf("within the dead-time %v is asked", s.to)
	}
	r.run(2 * time.Second)
	r.sent = nil
	r.begin()
	if s := r.take(); s.to != serverA {
		t.Errorf("after the dead-time %v is asked", s.to)
	}
}

// With every server gone, a conversation fails in bounded time with the
// reason, and a later one still tries.
func TestNobodyAnswers(t *testing.T) {
	r := newRig(t, nil)
	r.begin()
	s := r.sent[0]
	// Somebody there has another secret.
	r.c.Receive(s.socket, s.to, Packet{Code: AccessAccept, ID: s.packet.ID}.AppendResponse(nil, Secret("other"), s.packet.Authenticator))
	r.run(2 * time.Minute)
	res := r.last()
	if res.Outcome != eap.Failure || !errors.Is(res.Reason, ErrNoAnswer) || !errors.Is(res.Reason, ErrAuthenticator) {
		t.Errorf("%+v", res)
	}
	if got := r.c.auth[0].used + r.c.auth[1].used; got != 0 {
		t.Errorf("%d slots in use", got)
	}
	r.sent = nil
	r.begin()
	if len(r.sent) != 1 {
		t.Error("nobody is asked any more")
	}
}

// The State of one conversation goes to no other, nor to another server: a
// server that is lost in the middle ends the conversation.
func TestStateStays(t *testing.T) {
	r := newRig(t, nil)
	v := r.begin()
	r.reply(r.take(), AccessChallenge, eapAttr(eapRequest(9, eap.TypePSK, "")), Attribute{State, []byte("secret state")})
	r.begin()
	if _, ok := r.take().packet.Attributes.Get(State); ok {
		t.Error("another conversation has a State")
	}
	v.Receive(eapResponse(9, eap.TypePSK, ""))
	s := r.take()
	if s.packet.Attributes.Text(State) != "secret state" {
		t.Error("State lost")
	}
	r.run(5 * time.Minute)
	for _, s := range r.sent {
		if _, ok := s.packet.Attributes.Get(State); ok && s.to != serverA {
			t.Error("State sent to another server")
		}
	}
	if !slices.ContainsFunc(r.results, func(x eap.Result) bool { return errors.Is(x.Reason, ErrServerLost) }) {
		t.Errorf("results %+v", r.results)
	}
}

// 300 requests at once take two sockets; what fits into no socket waits, and
// what cannot wait is refused.
func TestManyOutstanding(t *testing.T) {
	r := newRig(t, func(c *ClientConfig) { c.Sockets = 2; c.Waiting = 10 })
	for range 300 {
		r.begin()
	}
	type key struct {
		socket int
		id     uint8
	}
	seen := map[key]bool{}
	for _, s := range r.sent {
		seen[key{s.socket, s.packet.ID}] = true
	}
	if len(r.sent) != 300 || len(seen) != 300 || r.sent[299].socket != 1 || r.sent[255].socket != 0 {
		t.Fatalf("%d requests, %d of them different, the last from socket %d", len(r.sent), len(seen), r.sent[299].socket)
	}
	for range 512 - 300 + 10 {
		r.begin()
	}
	if len(r.sent) != 512 || len(r.results) != 522 {
		t.Fatalf("%d requests, %d results", len(r.sent), len(r.results))
	}
	r.begin()
	if res := r.last(); res.Reason != ErrBusy || r.c.Counters.Refused != 1 {
		t.Errorf("one too many: %+v", res)
	}
	// An answer makes room for one that waits. Answers come in any order.
	requests := r.sent
	r.sent, r.results = nil, nil
	r.reply(requests[400], AccessAccept, accept(requests[400], 1)...)
	if s := r.take(); s.socket != requests[400].socket || s.packet.ID != requests[400].packet.ID || s.packet.Authenticator == requests[400].packet.Authenticator {
		t.Errorf("the next request has identifier %d, authenticator %x", s.packet.ID, s.packet.Authenticator)
	}
	for i := len(requests) - 1; i >= 0; i-- {
		if i != 400 {
			r.reply(requests[i], AccessAccept, accept(requests[i], 1)...)
		}
	}
	won := 0
	for _, res := range r.results {
		if res.Outcome == eap.Success {
			won++
		}
	}
	if won != 512 || r.c.auth[0].used != 10 || len(r.c.auth[0].waiting) != 0 {
		t.Errorf("%d succeeded, %d in use, %d waiting", won, r.c.auth[0].used, len(r.c.auth[0].waiting))
	}
}

// When a server is found dead, those that wait for it ask another one at once.
func TestWaitingLeaveTheDead(t *testing.T) {
	r := newRig(t, func(c *ClientConfig) { c.Sockets = 1 })
	for range 300 {
		r.begin()
	}
	if len(r.sent) != 256 || len(r.c.auth[0].waiting) != 44 {
		t.Fatalf("%d requests, %d waiting", len(r.sent), len(r.c.auth[0].waiting))
	}
	for !r.c.auth[0].dead {
		r.run(100 * time.Millisecond)
	}
	if n := r.c.auth[1].used; n < 44 || len(r.c.auth[0].waiting) != 0 {
		t.Errorf("%d ask the other server, %d wait", n, len(r.c.auth[0].waiting))
	}
	r.run(10 * time.Second) // the rest notices at its next try
	if n := r.c.auth[1].used + len(r.c.auth[1].waiting); n != 300 {
		t.Errorf("%d ask the other server", n)
	}
}

// Conversations that are closed leave nothing behind, wherever they are.
func TestCloseGivesBack(t *testing.T) {
	r := newRig(t, func(c *ClientConfig) { c.Sockets = 1 })
	var all []eap.Conversation
	for range 260 {
		all = append(all, r.begin())
	}
	n := len(r.results)
	for i := range all {
		all[(i*7)%260].Close()
		all[(i*7)%260].Close()
	}
	r.run(time.Hour)
	if e := r.c.auth[0]; e.used != 0 || len(e.waiting) != 0 || len(r.results) != n {
		t.Errorf("%d in use, %d waiting, %d results", e.used, len(e.waiting), len(r.results)-n)
	}
	if d := r.clock.Deadline(); !d.IsZero() {
		t.Errorf("a timer runs until %v", d)
	}
}

// A server whose challenges have no end is left.
func TestEndlessServer(t *testing.T) {
	r := newRig(t, nil)
	v := r.begin()
	for i := 0; len(r.sent) > 0; i++ {
		if i > maxRounds {
			t.Fatal("goes on for ever")
		}
		r.reply(r.take(), AccessChallenge, eapAttr(eapRequest(uint8(i), eap.TypePSK, "")))
		v.Receive(eapResponse(uint8(i), eap.TypePSK, ""))
	}
	if res := r.last(); res.Outcome != eap.Failure || !errors.Is(res.Reason, ErrUnexpected) {
		t.Errorf("%+v", res)
	}
}

// Test asks every server, also those that are not in use.
func TestTest(t *testing.T) {
	r := newRig(t, nil)
	var got []string
	r.c.Test(func(s ServerState, took time.Duration, err error) {
		got = append(got, fmt.Sprintf("%s %s %v %v", s.Name, s.Service, took.Round(time.Second), err))
	})
	if len(r.sent) != 4 {
		t.Fatalf("%d requests", len(r.sent))
	}
	r.run(time.Second)
	r.reply(r.sent[3], AccountingResponse)
	b := Packet{Code: AccessAccept, ID: r.sent[1].packet.ID}.AppendResponse(nil, Secret("other"), r.sent[1].packet.Authenticator)
	r.c.Receive(0, serverB, b)
	r.run(time.Minute)
	want := []string{
		"b accounting 1s <nil>",
		"a authentication 2s radius: no server answered",
		"b authentication 2s radius: no server answered; the last answer was discarded: " + ErrAuthenticator.Error(),
		"a accounting 2s radius: no server answered",
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || len(r.events) != 0 {
		t.Errorf("%q, want %q; events %q", got, want, r.events)
	}
}

func TestClientConfig(t *testing.T) {
	good := Upstream{Auth: serverA, Secret: Secret("x")}
	for name, cfg := range map[string]ClientConfig{
		"no server":         {},
		"no address":        {Servers: []Upstream{{Secret: Secret("x")}}},
		"no port":           {Servers: []Upstream{{Auth: netip.AddrPortFrom(serverA.Addr(), 0), Secret: Secret("x")}}},
		"no secret":         {Servers: []Upstream{{Auth: serverA}}},
		"twice":             {Servers: []Upstream{good, {Auth: netip.MustParseAddrPort("[::ffff:192.0.2.1]:1812"), Secret: Secret("x")}}},
		"accounting, twice": {Servers: []Upstream{{Auth: serverA, Acct: serverA, Secret: Secret("x")}}},
		"negative":          {Servers: []Upstream{good}, Tries: -1},
		"long name":         {Servers: []Upstream{good}, NASIdentifier: strings.Repeat("x", 254)},
	} {
		cfg.Clock = new(alarm.Clock)
		cfg.Entropy = testEntropy(1)
		if _, err := NewClient(cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
