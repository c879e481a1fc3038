package pana

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
	"time"

	"gatewayd/eap"
)

// pickyBackend discards responses that are wrong instead of failing.
type pickyBackend struct{ testBackend }

type pickyConversation struct{ *testConversation }

func (p pickyBackend) Converse(port eap.Port, answer func(eap.Result)) eap.Conversation {
	return pickyConversation{p.testBackend.Converse(port, answer).(*testConversation)}
}

func (c pickyConversation) Receive(b []byte) {
	if b[4] == testMethod && !bytes.Equal(b[5:], testProof(c.secret, c.challenge)) {
		return
	}
	c.testConversation.Receive(b)
}

// relay puts a relay element at an address.
func (l *lab) relay(addr netip.AddrPort, change func(*PREConfig)) *PRE {
	l.t.Helper()
	cfg := PREConfig{Clock: l.clock, PAA: paaAddr, Send: l.sender(addr),
		Dropped: func(_ netip.AddrPort, err error) { l.drops = append(l.drops, err) }}
	if change != nil {
		change(&cfg)
	}
	p, err := NewPRE(cfg)
	if err != nil {
		l.t.Fatal(err)
	}
	l.nodes[addr] = p.Receive
	return p
}

var (
	preA = netip.MustParseAddrPort("[2001:db8::a]:716")
	preB = netip.MustParseAddrPort("[2001:db8::b]:716")
)

// A client behind a relay element has a session, moves to another relay
// element and keeps it; the agent reaches it there.
func TestRoaming(t *testing.T) {
	l := newLab(t, 1)
	p := l.serve(func(c *PAAConfig) { c.Relay = func(a netip.AddrPort) bool { return a == preA || a == preB } })
	l.relay(preA, nil)
	l.relay(preB, nil)
	d := l.join(pacAddr, nil)
	d.Start(preA)
	l.run(time.Second)
	want(t, "client is", d.State(), Open)
	before := p.Sessions()[0]
	want(t, "relay element", before.PRE, preA)
	want(t, "client's address", before.PaC, pacAddr)

	d.Move(preB)
	l.run(time.Second)
	want(t, "agent", story(l.events), "opened, authorized, moved")
	after := p.Sessions()[0]
	want(t, "relay element", after.PRE, preB)
	if after.ID != before.ID || after.KeyID != before.KeyID {
		t.Errorf("before %+v\nafter  %+v", before, after)
	}
	delete(l.nodes, preA)
	if err := p.Reauthenticate(after.ID); err != nil {
		t.Fatal(err)
	}
	l.run(time.Second)
	want(t, "client", story(d.events), "opened, authorized, re-authenticated")

	// In the middle of a re-authentication.
	l.relay(preA, nil)
	delete(l.nodes, preB)
	_ = p.Reauthenticate(after.ID)
	l.run(3 * time.Millisecond)
	d.Move(preA)
	l.run(5 * time.Second)
	want(t, "client", story(d.events), "opened, authorized, re-authenticated, re-authenticated")

	// And without any.
	d.Move(paaAddr)
	l.run(time.Second)
	want(t, "relay element", p.Sessions()[0].PRE, netip.AddrPort{})
	want(t, "client is", d.State(), Open)
	want(t, "paths", len(p.paths), 1)
}

// What was recorded on the way is not believed when it says that a client has
// moved.
func TestReplayFromElsewhere(t *testing.T) {
	l := newLab(t, 1)
	p := l.serve(func(c *PAAConfig) { c.Relay = func(netip.AddrPort) bool { return true } })
	d := l.join(pacAddr, nil)
	ps := l.capture()
	d.Start(paaAddr)
	l.run(time.Second)
	_ = d.Ping()
	l.run(time.Second)
	ping := find(t, *ps, Notification, FlagRequest|FlagPing)
	answer := find(t, *ps, Notification, FlagPing)
	n := len(*ps)
	p.Receive(Datagram{From: preB, Payload: appendRelay(nil, PaCInformation{Addr: pacAddr}, ping)})
	want(t, "relay element", p.Sessions()[0].PRE, netip.AddrPort{})
	// A client that has moved while the answer was lost asks like this, so
	// there is an answer.
	if len(*ps) != n+1 || (*ps)[n].to != preB || !bytes.Contains((*ps)[n].b, answer) {
		t.Errorf("answered %+v", (*ps)[n:])
	}
	want(t, "agent", story(l.events), "opened, authorized")
}

func TestRelayChecks(t *testing.T) {
	global := netip.MustParseAddrPort("[2001:db8::5]:716")
	pci := (&Message{Type: Initiation}).Append(nil)
	info := AVP{Code: CodePaCInformation, Value: PaCInformation{Addr: pacAddr}.Append(nil)}
	body := AVP{Code: CodeRelayedMessage, Value: pci}
	pry := func(as ...AVP) []byte { return (&Message{Type: Relay, AVPs: as}).Append(nil) }
	for _, tt := range []struct {
		name string
		pre  bool // else the agent gets it
		from netip.AddrPort
		hops uint8
		b    []byte
		err  error
	}{
		{"right", false, preA, 60, pry(info, body), nil},
		{"from somebody else", false, preB, 255, pry(info, body), ErrRelay},
		{"without the client", false, preA, 60, pry(body), ErrInvalid},
		{"without a message", false, preA, 60, pry(info), ErrInvalid},
		{"two clients", false, preA, 60, pry(info, info, body), ErrInvalid},
		{"client of ten octets", false, preA, 60, pry(AVP{Code: CodePaCInformation, Value: make([]byte, 10)}, body), ErrLength},
		{"relayed twice", false, preA, 60, pry(info, AVP{Code: CodeRelayedMessage, Value: pry(info, body)}), ErrInvalid},
		{"with a session", false, preA, 60, (&Message{Type: Relay, SessionID: 1, AVPs: AVPs{info, body}}).Append(nil), ErrInvalid},
		{"garbage inside", false, preA, 60, pry(info, AVP{Code: CodeRelayedMessage, Value: make([]byte, 17)}), ErrLength},

		{"from the agent", true, paaAddr, 60, pry(info, body), nil},
		{"not from the agent", true, preB, 255, pry(info, body), ErrForeign},
		{"for somebody who is no neighbour", true, paaAddr, 60, pry(AVP{Code: CodePaCInformation, Value: PaCInformation{Addr: global}.Append(nil)}, body), ErrOffLink},
		{"relayed twice, from the agent", true, paaAddr, 60, pry(info, AVP{Code: CodeRelayedMessage, Value: pry(info, body)}), ErrInvalid},
		{"not relayed, from the agent", true, paaAddr, 60, pci, ErrUnexpected},
		{"from a client", true, pacAddr, 64, pci, nil},
		{"from a client that is a neighbour", true, global, 255, pci, nil},
		{"from a client that is not", true, global, 254, pci, ErrOffLink},
		{"garbage from a client", true, pacAddr, 255, pci[:15], ErrShort},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, 1)
			p := l.serve(func(c *PAAConfig) { c.Relay = func(a netip.AddrPort) bool { return a == preA } })
			r := l.relay(preA, nil)
			to := p.Receive
			if tt.pre {
				to = r.Receive
			}
			to(Datagram{From: tt.from, HopLimit: tt.hops, Payload: tt.b})
			switch {
			case tt.err == nil && (len(l.drops) != 0 || l.sent != 1):
				t.Errorf("discarded %v, sent %d", l.drops, l.sent)
			case tt.err != nil && (len(l.drops) != 1 || !errors.Is(l.drops[0], tt.err) || l.sent != 0):
				t.Errorf("discarded %v, sent %d, want %v", l.drops, l.sent, tt.err)
			}
		})
	}
}
