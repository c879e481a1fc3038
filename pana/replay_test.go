package pana

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/eap"
)

// scriptedEAP plays either side of the EAP of a recording, one handshake after
// the other.
type scriptedEAP struct {
	t     *testing.T
	talks []*talk
	n     int // of the handshake
}

func (s *scriptedEAP) next() *talk {
	tk := s.talks[s.n]
	s.n++
	return tk
}

type scriptedPeer struct {
	t  *testing.T
	tk *talk
	i  int
}

func (p *scriptedPeer) Receive(b []byte) eap.Result {
	if !bytes.Equal(b, p.tk.requests[p.i]) {
		p.t.Errorf("EAP request %d is %x, was %x", p.i, b, p.tk.requests[p.i])
	}
	if p.i++; p.i == len(p.tk.requests) {
		return eap.Result{Outcome: eap.Success, MSK: bytes.Clone(p.tk.msk)}
	}
	return eap.Result{Packet: p.tk.responses[p.i-1]}
}

type scriptedServer struct {
	t      *testing.T
	tk     *talk
	i      int
	answer func(eap.Result)
}

func (s *scriptedEAP) Converse(_ eap.Port, answer func(eap.Result)) eap.Conversation {
	return &scriptedServer{t: s.t, tk: s.next(), answer: answer}
}

func (s *scriptedServer) Begin() { s.answer(eap.Result{Packet: s.tk.requests[0]}) }

func (s *scriptedServer) Receive(b []byte) {
	if !bytes.Equal(b, s.tk.responses[s.i]) {
		s.t.Errorf("EAP response %d is %x, was %x", s.i, b, s.tk.responses[s.i])
	}
	if s.i++; s.i == len(s.tk.requests)-1 {
		s.answer(eap.Result{Outcome: eap.Success, Packet: s.tk.requests[s.i], MSK: bytes.Clone(s.tk.msk),
			Lifetime: time.Duration(s.tk.lifetime) * time.Second})
		return
	}
	s.answer(eap.Result{Packet: s.tk.requests[s.i]})
}

func (s *scriptedServer) Close() {}

// fixedStart gives out what a recording has.
type fixedStart struct{ id, seq uint32 }

func (f fixedStart) issue(path) (id, seq uint32, err error) { return f.id, f.seq, nil }

func (f fixedStart) valid(_ path, id, seq uint32) bool { return id == f.id && seq == f.seq }

var sha1Only = Algorithms{PRF: []PRF{PRFHMACSHA1}, Integrity: []Integrity{HMACSHA1160}}

// outbox collects what a machine sends, to be compared in order.
type outbox struct {
	t    *testing.T
	sent []packet
}

func (o *outbox) send(to netip.AddrPort, b []byte) {
	o.sent = append(o.sent, packet{to: to, b: bytes.Clone(b)})
}

// expect takes the next message that was sent.
func (o *outbox) expect(i int, to netip.AddrPort, b []byte) {
	o.t.Helper()
	if len(o.sent) == 0 {
		o.t.Fatalf("message %d was not sent: %x", i, b)
	}
	got := o.sent[0]
	o.sent = o.sent[1:]
	if got.to != to || !bytes.Equal(got.b, b) {
		o.t.Fatalf("message %d:\nsent %x to %v\nwas  %x to %v", i, got.b, got.to, b, to)
	}
}

// Our agent, given the same EAP server, the same random numbers and the same
// messages of the client, sends every message of the recorded agent.
func TestReplayPAA(t *testing.T) {
	for _, r := range recordings {
		t.Run(r.name, func(t *testing.T) {
			r := load(t, r)
			ts, ipar, _, _ := r.talks(t)
			start, err := Decode(ipar)
			if err != nil {
				t.Fatal(err)
			}
			clock := &alarm.Clock{}
			clock.Set(day0)
			box := &outbox{t: t}
			var events []Event
			p, err := NewPAA(PAAConfig{
				Clock: clock, Random: randomOf(ts, true, 0), Jitter: rand.New(rand.NewPCG(1, 1)),
				Backend: &scriptedEAP{t: t, talks: ts}, Send: box.send, Algorithms: sha1Only, NonceLen: r.paaNonce,
				AllowRouted: true, Relay: func(netip.AddrPort) bool { return true },
				Event:   func(e Event) { events = append(events, e) },
				Dropped: func(_ netip.AddrPort, err error) { t.Errorf("discarded: %v", err) },
			})
			if err != nil {
				t.Fatal(err)
			}
			p.arrange = r.paa
			p.start = fixedStart{start.SessionID, start.Seq}
			for i, k := range r.packets {
				switch r.agent {
				case k.to:
					p.Receive(Datagram{From: k.from, HopLimit: k.hops, Payload: bytes.Clone(k.b)})
				case k.from:
					box.expect(i, k.to, k.b)
				}
			}
			if len(box.sent) != 0 {
				t.Errorf("sent too much: %+v", box.sent)
			}
			story := map[string]string{
				"openpana-psk":                 "opened authorized terminated",
				"openpana-pre6":                "opened authorized terminated",
				"cross-openpac-cpaa":           "opened authorized",
				"cpana-fixed-ping-reauth-term": "opened authorized re-authenticated terminated",
			}
			want(t, "events", kinds(events), story[r.name])
		})
	}
}

// Our client, given the same EAP peer, the same random numbers and the same
// messages of the agent, sends every message of the recorded client.
func TestReplayPaC(t *testing.T) {
	for _, r := range recordings {
		t.Run(r.name, func(t *testing.T) {
			r := load(t, r)
			ts, _, _, _ := r.talks(t)
			msgs, fromPAA := r.direct(t)
			var isn uint32
			for i, m := range msgs {
				if !fromPAA[i] && m.is(Notification, FlagRequest|FlagPing) {
					isn = m.Seq
					break
				}
			}
			clock := &alarm.Clock{}
			clock.Set(day0)
			box := &outbox{t: t}
			var events []Event
			eaps := &scriptedEAP{t: t, talks: ts}
			c, err := NewPaC(PaCConfig{
				Clock: clock, Random: randomOf(ts, false, isn), Jitter: rand.New(rand.NewPCG(1, 1)),
				Peer: func() Peer { return &scriptedPeer{t: t, tk: eaps.next()} }, Send: box.send,
				Algorithms: sha1Only, NonceLen: r.pacNonce, AllowRouted: true,
				Timers:  Timers{Ping: time.Millisecond},
				Event:   func(e Event) { events = append(events, e) },
				Dropped: func(_ netip.AddrPort, err error) { t.Errorf("discarded: %v", err) },
			})
			if err != nil {
				t.Fatal(err)
			}
			c.arrange = r.pac
			for i, m := range msgs {
				clock.Advance(clock.Now().Add(2 * time.Millisecond))
				if fromPAA[i] {
					c.Receive(Datagram{From: r.agent, Payload: bytes.Clone(m.raw)})
					continue
				}
				switch {
				case m.Type == Initiation:
					c.Start(r.agent)
				case m.is(Notification, FlagRequest|FlagPing):
					if err := c.Ping(); err != nil {
						t.Fatal(err)
					}
				case m.is(Notification, FlagRequest|FlagReauth):
					if err := c.Reauthenticate(); err != nil {
						t.Fatal(err)
					}
				case m.is(Termination, FlagRequest):
					c.Terminate()
				}
				box.expect(i, r.agent, m.raw)
			}
			if len(box.sent) != 0 {
				t.Errorf("sent too much: %+v", box.sent)
			}
			story := map[string]string{
				"openpana-psk":                 "opened authorized terminated",
				"openpana-pre6":                "opened authorized terminated",
				"cross-openpac-cpaa":           "opened authorized",
				"cpana-fixed-ping-reauth-term": "opened authorized re-authenticated terminated",
			}
			want(t, "events", kinds(events), story[r.name])
		})
	}
}

// Our relay element passes on what the recorded one passed on. That one counts
// the padding of PaC-Information; ours does not.
func TestReplayPRE(t *testing.T) {
	r := load(t, recordings[1])
	clock := &alarm.Clock{}
	clock.Set(day0)
	box := &outbox{t: t}
	pre, err := NewPRE(PREConfig{Clock: clock, PAA: r.agent, Send: box.send, AllowRouted: true,
		Dropped: func(_ netip.AddrPort, err error) { t.Errorf("discarded: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	relayed := 0
	for i, k := range r.packets {
		switch {
		case k.to == r.agent:
			m, err := Decode(k.b)
			if err != nil {
				t.Fatal(err)
			}
			who, inner, err := m.unwrap()
			if err != nil || !who.Padded {
				t.Fatalf("message %d: %+v, %v", i, who, err)
			}
			who.Padded = false
			box.expect(i, r.agent, appendRelay(nil, who, inner))
			relayed++
		case k.from.Port() == 8888:
			box.expect(i, k.to, k.b)
			relayed++
		default:
			pre.Receive(Datagram{From: k.from, HopLimit: k.hops, Payload: bytes.Clone(k.b)})
		}
	}
	want(t, "relayed", relayed, 17)
}
