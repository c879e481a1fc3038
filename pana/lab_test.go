package pana

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/eap"
)

var day0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

var (
	paaAddr = netip.MustParseAddrPort("[fe80::1]:716")
	pacAddr = netip.MustParseAddrPort("[fe80::200:5eff:fe10:1]:716")
)

// chacha is a seeded source of bytes.
func chacha(seed uint64) *rand.ChaCha8 {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	return rand.NewChaCha8(key)
}

// lab is a network on virtual time.
type lab struct {
	t     testing.TB
	clock *alarm.Clock
	rnd   *rand.Rand
	paa   *PAA
	nodes map[netip.AddrPort]func(Datagram)

	delay     time.Duration
	loss, dup float64
	sent      int
	log       []string // of messages, if kept
	keep      bool
	tap       func(from, to netip.AddrPort, b []byte) bool // false swallows

	events []Event
	drops  []error
}

func newLab(t testing.TB, seed uint64) *lab {
	l := &lab{t: t, clock: &alarm.Clock{}, rnd: rand.New(rand.NewPCG(seed, 1)),
		nodes: make(map[netip.AddrPort]func(Datagram)), delay: 5 * time.Millisecond}
	l.clock.Set(day0)
	return l
}

// deliver takes a datagram through the network.
func (l *lab) deliver(from, to netip.AddrPort, b []byte) {
	l.sent++
	if l.tap != nil && !l.tap(from, to, b) {
		return
	}
	if l.keep {
		m, err := Decode(b)
		if err != nil {
			l.t.Fatalf("sent %x: %v", b, err)
		}
		l.log = append(l.log, m.String())
	}
	copies := 1
	if l.loss > 0 && l.rnd.Float64() < l.loss {
		copies--
	}
	if l.dup > 0 && l.rnd.Float64() < l.dup {
		copies++
	}
	b = bytes.Clone(b)
	for range copies {
		d := l.delay
		if l.loss+l.dup > 0 {
			d += time.Duration(l.rnd.Int64N(int64(l.delay)))
		}
		l.clock.After(d, func() {
			if f := l.nodes[to]; f != nil {
				f(Datagram{From: from, HopLimit: 255, Payload: bytes.Clone(b)})
			}
		})
	}
}

func (l *lab) sender(from netip.AddrPort) func(netip.AddrPort, []byte) {
	return func(to netip.AddrPort, b []byte) { l.deliver(from, to, b) }
}

// run lets time pass.
func (l *lab) run(d time.Duration) {
	end := l.clock.Now().Add(d)
	for {
		at := l.clock.Deadline()
		if at.IsZero() || at.After(end) {
			break
		}
		l.clock.Advance(at)
	}
	l.clock.Advance(end)
}

// serve puts an agent at paaAddr.
func (l *lab) serve(change func(*PAAConfig)) *PAA {
	l.t.Helper()
	cfg := PAAConfig{Clock: l.clock, Random: chacha(1), Jitter: l.rnd, Backend: testBackend{secret: "s"}, Send: l.sender(paaAddr),
		Event:   func(e Event) { l.events = append(l.events, e) },
		Dropped: func(_ netip.AddrPort, err error) { l.drops = append(l.drops, err) }}
	if change != nil {
		change(&cfg)
	}
	p, err := NewPAA(cfg)
	if err != nil {
		l.t.Fatal(err)
	}
	l.paa = p
	l.nodes[paaAddr] = p.Receive
	return p
}

// device is a client and what happened to it.
type device struct {
	*PaC
	events []Event
	drops  []error
}

// join puts a client at an address; it has not started.
func (l *lab) join(addr netip.AddrPort, change func(*PaCConfig)) *device {
	l.t.Helper()
	d := &device{}
	cfg := PaCConfig{Clock: l.clock, Random: chacha(l.rnd.Uint64()), Jitter: l.rnd, Send: l.sender(addr),
		Peer:    func() Peer { return &testPeer{secret: "s", identity: "bob"} },
		Event:   func(e Event) { d.events = append(d.events, e) },
		Dropped: func(_ netip.AddrPort, err error) { d.drops = append(d.drops, err) }}
	if change != nil {
		change(&cfg)
	}
	c, err := NewPaC(cfg)
	if err != nil {
		l.t.Fatal(err)
	}
	d.PaC = c
	l.nodes[addr] = c.Receive
	return d
}

// story is what happened, in one line.
func story(es []Event) string {
	s := ""
	for i, e := range es {
		if i > 0 {
			s += ", "
		}
		s += e.Kind.String()
		if e.Cause != 0 {
			s += " (" + e.Cause.String() + ")"
		}
		if e.Reason != nil {
			s += ": " + e.Reason.Error()
		}
	}
	return s
}

// kinds is story without reasons.
func kinds(es []Event) string {
	s := ""
	for i, e := range es {
		if i > 0 {
			s += " "
		}
		s += e.Kind.String()
	}
	return s
}

// eapPacket makes an EAP packet; typ 0 for none.
func eapPacket(code, id byte, typ byte, data ...byte) []byte {
	b := []byte{code, id, 0, 0}
	if typ != 0 {
		b = append(append(b, typ), data...)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

// The EAP method of these tests: a challenge, and SHA-256 over it and a secret
// as the response. It is expendable (type 255, RFC 3748 Section 5.8) and says
// nothing about any real one.
const testMethod = 255

func testProof(secret string, challenge []byte) []byte {
	h := sha256.Sum256(append([]byte(secret), challenge...))
	return h[:]
}

func testMSK(secret string, challenge []byte) []byte {
	a := sha256.Sum256(append([]byte(secret+"1"), challenge...))
	b := sha256.Sum256(append([]byte(secret+"2"), challenge...))
	return append(a[:], b[:]...)
}

// testBackend is the method's server.
type testBackend struct {
	secret string
	delay  time.Duration // of every answer
	clock  *alarm.Clock
	silent bool // answers nothing after Begin
	loop   bool // asks for the identity again and again
	noKey  bool
	life   time.Duration
	large  int // octets more in the challenge
}

type testConversation struct {
	testBackend
	answer    func(eap.Result)
	id        byte
	identity  string
	challenge []byte
	closed    bool
}

func (t testBackend) Converse(_ eap.Port, answer func(eap.Result)) eap.Conversation {
	return &testConversation{testBackend: t, answer: answer}
}

func (c *testConversation) say(r eap.Result) {
	r.Identity = c.identity
	if c.delay == 0 {
		c.answer(r)
		return
	}
	c.clock.After(c.delay, func() {
		if !c.closed {
			c.answer(r)
		}
	})
}

func (c *testConversation) Begin() {
	c.id = 7
	c.say(eap.Result{Packet: eapPacket(eapRequest, c.id, 1)})
}

func (c *testConversation) Receive(b []byte) {
	if c.silent || c.closed {
		return
	}
	switch typ := b[4]; {
	case c.loop:
		c.id++
		c.say(eap.Result{Packet: eapPacket(eapRequest, c.id, 1)})
	case typ == 1:
		c.identity = string(b[5:])
		c.id++
		c.challenge = append(bytes.Repeat([]byte{c.id}, 16+c.large), c.identity...)
		c.say(eap.Result{Packet: eapPacket(eapRequest, c.id, testMethod, c.challenge...), Method: testMethod})
	case typ == testMethod && bytes.Equal(b[5:], testProof(c.secret, c.challenge)):
		r := eap.Result{Outcome: eap.Success, Packet: eapPacket(eapSuccess, c.id, 0), Method: testMethod, Lifetime: c.life}
		if !c.noKey {
			r.MSK = testMSK(c.secret, c.challenge)
			r.EMSK = testMSK(c.secret+"e", c.challenge)
		}
		c.say(r)
	default:
		c.say(eap.Result{Outcome: eap.Failure, Packet: eapPacket(eapFailure, c.id, 0), Reason: errors.New("wrong proof")})
	}
}

func (c *testConversation) Close() { c.closed = true }

// testPeer is the method's peer.
type testPeer struct {
	secret, identity string
	challenge        []byte
	proved, closed   bool
}

func (p *testPeer) Receive(b []byte) eap.Result {
	switch {
	case b[0] == eapRequest && b[4] == 1:
		return eap.Result{Packet: eapPacket(eapResponse, b[1], 1, []byte(p.identity)...), Identity: p.identity}
	case b[0] == eapRequest && b[4] == testMethod && bytes.HasSuffix(b, []byte(p.identity)):
		p.challenge, p.proved = bytes.Clone(b[5:]), true
		return eap.Result{Packet: eapPacket(eapResponse, b[1], testMethod, testProof(p.secret, p.challenge)...), Method: testMethod}
	case b[0] == eapSuccess && p.proved:
		return eap.Result{Outcome: eap.Success, MSK: testMSK(p.secret, p.challenge), Identity: p.identity, Method: testMethod}
	case b[0] == eapFailure:
		return eap.Result{Outcome: eap.Failure, Reason: errors.New("the server says no")}
	}
	return eap.Result{}
}

func (p *testPeer) Close() { p.closed = true }

func want(t testing.TB, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}
