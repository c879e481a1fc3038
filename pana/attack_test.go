package pana

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
	"time"
)

// capture keeps what goes over the network.
func (l *lab) capture() *[]packet {
	var ps []packet
	l.tap = func(from, to netip.AddrPort, b []byte) bool {
		ps = append(ps, packet{from: from, to: to, b: bytes.Clone(b)})
		return true
	}
	return &ps
}

// find is the last captured message of a kind.
func find(t *testing.T, ps []packet, typ Type, f Flags) []byte {
	t.Helper()
	for i := len(ps) - 1; i >= 0; i-- {
		if m, err := Decode(ps[i].b); err == nil && m.is(typ, f) {
			return bytes.Clone(ps[i].b)
		}
	}
	t.Fatalf("no message of type %d with flags %v", typ, f)
	return nil
}

// Messages that an attacker makes of real ones change nothing, whoever gets
// them.
func TestForgedMessages(t *testing.T) {
	l := newLab(t, 1)
	l.serve(func(c *PAAConfig) { c.Limits.ClientRate = 1000 })
	d := l.join(pacAddr, nil)
	ps := l.capture()
	d.Start(paaAddr)
	l.run(time.Second)
	if err := d.Ping(); err != nil {
		t.Fatal(err)
	}
	l.run(time.Second)
	if err := l.paa.Ping(d.Info().ID); err != nil {
		t.Fatal(err)
	}
	l.run(time.Second)

	ping := find(t, *ps, Notification, FlagRequest|FlagPing)
	first := find(t, *ps, Auth, FlagRequest|FlagStart)
	last := find(t, *ps, Auth, FlagRequest|FlagComplete)
	// unsealed is a message without AUTH and with the next sequence number.
	unsealed := func(typ Type, f Flags, seq uint32, as ...AVP) []byte {
		return (&Message{Flags: f, Type: typ, SessionID: d.Info().ID, Seq: seq, AVPs: as}).Append(nil)
	}
	flip := func(b []byte, at int) []byte {
		b = bytes.Clone(b)
		b[at] ^= 1
		return b
	}
	next := l.paa.sessions[d.Info().ID].ex.seq + 1
	mine := d.ex.seq + 1
	cause := avpUint32(CodeTerminationCause, uint32(Administrative))

	for _, tt := range []struct {
		name string
		b    []byte
		err  error
	}{
		{"ping with another sequence number", flip(ping, 15), ErrAuth},
		{"ping with another AUTH", flip(ping, len(ping)-1), ErrAuth},
		{"ping with another session", flip(ping, 9), ErrSession},
		{"termination without AUTH", unsealed(Termination, FlagRequest, next, cause), ErrAuth},
		{"termination without a cause", unsealed(Termination, FlagRequest, next), ErrInvalid},
		{"ping without AUTH", unsealed(Notification, FlagRequest|FlagPing, next), ErrAuth},
		{"start in a session", first, ErrUnexpected},
		{"end of a handshake with another sequence number", flip(last, 15), ErrUnexpected},
		{"request without AUTH", unsealed(Auth, FlagRequest, next, AVP{Code: CodeEAPPayload, Value: eapPacket(eapFailure, 1, 0)}), ErrAuth},
		{"answer to nothing", unsealed(Notification, FlagPing, mine), ErrAuth},
		{"unknown AVP", unsealed(Notification, FlagRequest|FlagPing, next, AVP{Code: 99, Value: []byte{1}}), ErrInvalid},
		{"EAP twice", unsealed(Auth, FlagRequest, next, AVP{Code: CodeEAPPayload, Value: make([]byte, 4)}, AVP{Code: CodeEAPPayload, Value: make([]byte, 4)}), ErrInvalid},
		{"short nonce", unsealed(Auth, FlagRequest, next, AVP{Code: CodeNonce, Value: make([]byte, 7)}), ErrInvalid},
		{"result of three octets", unsealed(Auth, FlagRequest|FlagComplete, next, AVP{Code: CodeResultCode, Value: make([]byte, 3)}), ErrInvalid},
		{"unknown type", unsealed(9, FlagRequest, next), ErrInvalid},
		{"relay message", appendRelay(nil, PaCInformation{Addr: pacAddr}, ping), nil},
		{"AVP longer than the message", append(unsealed(Auth, FlagRequest, next), 0, 2, 0, 0), ErrLength},
		{"nothing", nil, ErrShort},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l.drops, d.drops, *ps = nil, nil, nil
			before, client := l.paa.Sessions(), d.Info()
			d.Receive(Datagram{From: paaAddr, HopLimit: 255, Payload: bytes.Clone(tt.b)})
			l.paa.Receive(Datagram{From: pacAddr, HopLimit: 255, Payload: bytes.Clone(tt.b)})
			want(t, "sessions", l.paa.Sessions(), before)
			want(t, "client", d.Info(), client)
			want(t, "sent", len(*ps), 0)
			if len(l.drops) != 1 || len(d.drops) != 1 {
				t.Fatalf("discarded: agent %v, client %v", l.drops, d.drops)
			}
			if tt.err != nil && !errors.Is(l.drops[0], tt.err) && !errors.Is(d.drops[0], tt.err) {
				t.Errorf("discarded because of %v and %v, want %v", l.drops[0], d.drops[0], tt.err)
			}
		})
	}
	t.Run("off the link", func(t *testing.T) {
		routed := netip.MustParseAddrPort("[2001:db8::1]:716")
		l.drops = nil
		l.paa.Receive(Datagram{From: routed, HopLimit: 254, Payload: (&Message{Type: Initiation}).Append(nil)})
		want(t, "discarded", l.drops, []error{ErrOffLink})
		l.drops, d.drops = nil, nil
		l.paa.Receive(Datagram{From: routed, HopLimit: 255, Payload: (&Message{Type: Initiation}).Append(nil)})
		want(t, "discarded", l.drops, []error{})
		d.Receive(Datagram{From: routed, HopLimit: 255, Payload: bytes.Clone(ping)})
		want(t, "client discarded", d.drops, []error{ErrForeign})
	})
}

// A repeated request gets the same answer, to the octet, and nothing happens
// twice.
func TestDuplicates(t *testing.T) {
	l := newLab(t, 1)
	l.serve(nil)
	d := l.join(pacAddr, nil)
	ps := l.capture()
	d.Start(paaAddr)
	l.run(time.Second)
	_ = d.Ping()
	l.run(time.Second)
	for _, tt := range []struct {
		name             string
		typ              Type
		request, answer  Flags
		to               func(Datagram)
		from, answeredTo netip.AddrPort
	}{
		{"ping", Notification, FlagRequest | FlagPing, FlagPing, l.paa.Receive, pacAddr, pacAddr},
		{"end of a handshake", Auth, FlagRequest | FlagComplete, FlagComplete, d.Receive, paaAddr, paaAddr},
	} {
		t.Run(tt.name, func(t *testing.T) {
			request, answer := find(t, *ps, tt.typ, tt.request), find(t, *ps, tt.typ, tt.answer)
			n, events := len(*ps), len(l.events)+len(d.events)
			tt.to(Datagram{From: tt.from, HopLimit: 255, Payload: request})
			if len(*ps) != n+1 || !bytes.Equal((*ps)[n].b, answer) || (*ps)[n].to != tt.answeredTo {
				t.Errorf("answered %+v, want %x", (*ps)[n:], answer)
			}
			want(t, "events", len(l.events)+len(d.events), events)
		})
	}
}

// A client that is asked with fewer algorithms than the agent offers, or that
// chooses what was not offered, gets nowhere.
func TestDowngrade(t *testing.T) {
	strong := Algorithms{PRF: []PRF{PRFHMACSHA256}, Integrity: []Integrity{HMACSHA256128}}
	t.Run("weak client", func(t *testing.T) {
		l := newLab(t, 1)
		l.serve(func(c *PAAConfig) { c.Algorithms = strong })
		d := l.join(pacAddr, func(c *PaCConfig) { c.Algorithms = sha1Only })
		d.Start(paaAddr)
		l.run(time.Minute)
		want(t, "client is", d.State(), Initiating)
		if !errors.Is(d.drops[0], ErrAlgorithms) {
			t.Error(d.drops[0])
		}
	})
	t.Run("offer weakened on the way", func(t *testing.T) {
		l := newLab(t, 1)
		l.serve(nil)
		d := l.join(pacAddr, nil)
		l.tap = func(from, _ netip.AddrPort, b []byte) bool {
			m, _ := Decode(b)
			if m.is(Auth, FlagRequest|FlagStart) { // SHA-256 becomes SHA-1
				for i := range m.AVPs {
					switch a := &m.AVPs[i]; {
					case a.Code == CodePRFAlgorithm:
						a.Value[3] = byte(PRFHMACSHA1)
					case a.Code == CodeIntegrityAlgorithm:
						a.Value[3] = byte(HMACSHA1160)
					}
				}
			}
			return true
		}
		d.Start(paaAddr)
		l.run(time.Minute)
		if d.State() == Open || l.paa.Counters.Authorized != 0 {
			t.Errorf("client is %v, agent: %s", d.State(), story(l.events))
		}
		if !errors.Is(d.drops[0], ErrAuth) {
			t.Error(d.drops[0])
		}
	})
	for _, tt := range []struct {
		name string
		as   AVPs
		err  error
	}{
		{"not offered", Suite{PRFHMACSHA1, HMACSHA1160, 0}.avps(), ErrNotOffered},
		{"half of it offered", Suite{PRFHMACSHA256, HMACSHA1160, 0}.avps(), ErrNotOffered},
		{"unknown", Suite{8, 8, 0}.avps(), ErrNotOffered},
		{"encryption", Suite{PRFHMACSHA256, HMACSHA256128, AES128CTR}.avps(), ErrNotOffered},
		{"nothing chosen", nil, ErrInvalid},
		{"two", append(Suite{PRFHMACSHA256, HMACSHA256128, 0}.avps(), avpUint32(CodePRFAlgorithm, 5)), ErrInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, 1)
			l.serve(func(c *PAAConfig) { c.Algorithms = strong })
			id, seq, err := l.paa.start.issue(path{pac: pacAddr})
			if err != nil {
				t.Fatal(err)
			}
			m := Message{Flags: FlagStart, Type: Auth, SessionID: id, Seq: seq, AVPs: tt.as}
			l.paa.Receive(Datagram{From: pacAddr, HopLimit: 255, Payload: m.Append(nil)})
			if len(l.drops) != 1 || !errors.Is(l.drops[0], tt.err) || len(l.paa.sessions) != 0 {
				t.Errorf("%d sessions, discarded %v, want %v", len(l.paa.sessions), l.drops, tt.err)
			}
		})
	}
}

// The start of a session costs the agent nothing until the client has shown
// that it is where it says, and only for a while.
func TestCookies(t *testing.T) {
	l := newLab(t, 1)
	p := l.serve(nil)
	other := netip.MustParseAddrPort("[fe80::2]:716")
	choose := func(from netip.AddrPort, id, seq uint32) error {
		l.drops = nil
		m := Message{Flags: FlagStart, Type: Auth, SessionID: id, Seq: seq, AVPs: Suite{PRFHMACSHA256, HMACSHA256128, 0}.avps()}
		p.Receive(Datagram{From: from, HopLimit: 255, Payload: m.Append(nil)})
		return errors.Join(l.drops...)
	}
	issue := func(w path) (uint32, uint32) {
		id, seq, err := p.start.issue(w)
		if err != nil {
			t.Fatal(err)
		}
		return id, seq
	}
	id, seq := issue(path{pac: pacAddr})
	for _, e := range []error{choose(other, id, seq), choose(pacAddr, id^1, seq), choose(pacAddr, id, seq^1), choose(pacAddr, id^1<<16, seq),
		choose(netip.AddrPortFrom(pacAddr.Addr(), 717), id, seq)} {
		if !errors.Is(e, ErrCookie) {
			t.Errorf("a wrong cookie: %v", e)
		}
	}
	want(t, "sessions", len(p.sessions), 0)
	l.run(cookieEpoch + time.Second)
	if err := choose(pacAddr, id, seq); err != nil {
		t.Errorf("after one epoch: %v", err)
	}
	if err := choose(pacAddr, id, seq); !errors.Is(err, ErrUnexpected) {
		t.Errorf("twice: %v", err)
	}
	if id2, _ := issue(path{pac: pacAddr}); id2 == id {
		t.Error("an identifier in use was given out again")
	}
	id, seq = issue(path{pac: other})
	l.run(3 * cookieEpoch)
	if err := choose(other, id, seq); !errors.Is(err, ErrCookie) {
		t.Errorf("after three epochs: %v", err)
	}
	id, seq = issue(path{pac: other, pre: paaAddr})
	if err := choose(other, id, seq); !errors.Is(err, ErrCookie) {
		t.Errorf("given out through a relay element, used without: %v", err)
	}
}

// PCI are answered at a bounded rate for each source, whoever else there is.
func TestInitiationRate(t *testing.T) {
	l := newLab(t, 1)
	p := l.serve(nil)
	pci := (&Message{Type: Initiation}).Append(nil)
	for range 100 {
		p.Receive(Datagram{From: pacAddr, HopLimit: 255, Payload: pci})
	}
	want(t, "answered at once", p.Counters.Initiations, 10)
	other := netip.MustParseAddrPort("[fe80::77]:716")
	p.Receive(Datagram{From: other, HopLimit: 255, Payload: pci})
	want(t, "and another", p.Counters.Initiations, 11)
	l.run(time.Second)
	for range 100 {
		p.Receive(Datagram{From: pacAddr, HopLimit: 255, Payload: pci})
	}
	want(t, "a second later", p.Counters.Initiations, 13)
	want(t, "sessions", len(p.sessions), 0)
}

// Ten thousand handshakes that nobody goes on with, from neighbours' addresses
// and through a relay element that went bad, take bounded room, and a client
// that comes meanwhile gets in.
func TestHalfOpenFlood(t *testing.T) {
	bad, good := netip.MustParseAddrPort("[2001:db8::bad]:716"), netip.MustParseAddrPort("[2001:db8::900d]:716")
	l := newLab(t, 1)
	p := l.serve(func(c *PAAConfig) {
		c.Limits.HalfOpen = 256
		c.Relay = func(netip.AddrPort) bool { return true }
	})
	gate := l.relay(good, nil)
	direct := l.join(pacAddr, nil)
	remote := l.join(netip.MustParseAddrPort("[fe80::5]:716"), nil)
	_ = gate
	suite := Suite{PRFHMACSHA256, HMACSHA256128, 0}.avps()
	most := 0
	for i := range 10000 {
		addr := netip.AddrPortFrom(netip.AddrFrom16([16]byte{0xfe, 0x80, 14: byte(i >> 8), 15: byte(i)}), 5000)
		w := path{pac: addr}
		if i%4 != 0 {
			w.pre = bad
		}
		id, seq, err := p.start.issue(w)
		if err != nil {
			t.Fatal(err)
		}
		m := (&Message{Flags: FlagStart, Type: Auth, SessionID: id, Seq: seq, AVPs: suite}).Append(nil)
		d := Datagram{From: addr, HopLimit: 255, Payload: m}
		if w.relayed() {
			d = Datagram{From: bad, HopLimit: 60, Payload: appendRelay(nil, PaCInformation{Addr: addr}, m)}
		}
		p.Receive(d)
		if i == 5000 {
			direct.Start(paaAddr)
			remote.Start(good)
		}
		if i%10 == 0 {
			l.run(time.Millisecond) // ten thousand a second
		}
		most = max(most, len(p.sessions))
	}
	l.run(time.Second)
	want(t, "client that is a neighbour", direct.State(), Open)
	want(t, "client behind a relay element", remote.State(), Open)
	if most > 256+2 || p.Counters.Evicted < 9000 {
		t.Errorf("%d sessions at most, %d gave way", most, p.Counters.Evicted)
	}
	l.events = nil
	l.run(3 * time.Minute)
	want(t, "left", len(p.sessions), 2)
	want(t, "half-open", p.half.n+len(p.half.groups)+len(p.half.sources), 0)
}

// One address does not open many handshakes.
func TestHalfOpenPerSource(t *testing.T) {
	l := newLab(t, 1)
	p := l.serve(nil)
	for port := range uint16(50) {
		from := netip.AddrPortFrom(pacAddr.Addr(), 5000+port)
		id, seq, err := p.start.issue(path{pac: from})
		if err != nil {
			t.Fatal(err)
		}
		m := Message{Flags: FlagStart, Type: Auth, SessionID: id, Seq: seq, AVPs: Suite{PRFHMACSHA256, HMACSHA256128, 0}.avps()}
		p.Receive(Datagram{From: from, HopLimit: 255, Payload: m.Append(nil)})
	}
	want(t, "sessions", len(p.sessions), 4)
}

// An answer forged before the client's own does not stop the handshake.
func TestForgedResponse(t *testing.T) {
	l := newLab(t, 1)
	l.serve(func(c *PAAConfig) { c.Backend = pickyBackend{testBackend{secret: "s"}} })
	d := l.join(pacAddr, nil)
	l.tap = func(from, to netip.AddrPort, b []byte) bool {
		m, _ := Decode(b)
		if p, ok := m.AVPs.Find(CodeEAPPayload); ok && from == pacAddr && p[4] == testMethod {
			f := bytes.Clone(b)
			copy(f[HeaderLen+avpHeaderLen+5:], "garbage")
			l.paa.Receive(Datagram{From: pacAddr, HopLimit: 255, Payload: f})
		}
		return true
	}
	d.Start(paaAddr)
	l.run(time.Minute)
	want(t, "client is", d.State(), Open)
}
