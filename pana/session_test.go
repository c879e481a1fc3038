package pana

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatewayd/eap"
)

func TestHandshake(t *testing.T) {
	for _, tt := range []struct {
		name    string
		noPiggy bool
		want    string
	}{
		{"piggy-backed", false, "PCI, PAR[S], PAN[S], PAR, PAN, PAR, PAN, PAR[C], PAN[C]"},
		{"in requests of its own", true, "PCI, PAR[S], PAN[S], PAR, PAN, PAR, PAN, PAR, PAN, PAR, PAN, PAR[C], PAN[C]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, 1)
			l.keep = true
			l.serve(nil)
			d := l.join(pacAddr, func(c *PaCConfig) { c.NoPiggyback = tt.noPiggy })
			d.Start(paaAddr)
			l.run(time.Second)
			want(t, "messages", l.messages(), tt.want)
			want(t, "agent", story(l.events), "opened, authorized")
			want(t, "client", story(d.events), "opened, authorized")
			want(t, "discarded", append(l.drops, d.drops...), []error{})
			is := l.paa.Sessions()
			if len(is) != 1 {
				t.Fatalf("%d sessions", len(is))
			}
			i, c := is[0], d.Info()
			want(t, "identity", i.Identity, "bob")
			want(t, "address", i.PaC, pacAddr)
			want(t, "suite", i.Suite, Suite{PRFHMACSHA256, HMACSHA256128, 0})
			if i.KeyID != c.KeyID || i.KeyID == 0 || i.ID != c.ID || i.Lifetime != 24*time.Hour || c.Lifetime != i.Lifetime {
				t.Errorf("agent %+v\nclient %+v", i, c)
			}
		})
	}
}

// messages names the messages there were.
func (l *lab) messages() string {
	var names []string
	for _, m := range l.log {
		name, _, _ := strings.Cut(m, " ")
		names = append(names, name)
	}
	l.log = nil
	return strings.Join(names, ", ")
}

// up is a lab with an agent and a client that has access.
func up(t *testing.T, server func(*PAAConfig), client func(*PaCConfig)) (*lab, *device) {
	t.Helper()
	l := newLab(t, 1)
	l.serve(server)
	d := l.join(pacAddr, client)
	d.Start(paaAddr)
	l.run(time.Second)
	if d.State() != Open || len(l.paa.Sessions()) != 1 || l.paa.Sessions()[0].State != Open {
		t.Fatalf("client %v: %s; agent: %s, discarded %v %v", d.State(), story(d.events), story(l.events), l.drops, d.drops)
	}
	l.keep = true
	l.events, d.events = nil, nil
	return l, d
}

func TestReauthentication(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(*lab, *device)
		want string
	}{
		{"by the client", func(_ *lab, d *device) { _ = d.Reauthenticate() },
			"PNR[A], PNA[A], PAR, PAN, PAR, PAN, PAR[C], PAN[C]"},
		{"by the agent", func(l *lab, d *device) { _ = l.paa.Reauthenticate(d.Info().ID) },
			"PAR, PAN, PAR, PAN, PAR[C], PAN[C]"},
		{"by both", func(l *lab, d *device) { _ = d.Reauthenticate(); _ = l.paa.Reauthenticate(d.Info().ID) },
			"PNR[A], PAR, PNA[A], PAN, PAR, PAN, PAR[C], PAN[C]"},
		{"by the agent, of all", func(l *lab, _ *device) { l.paa.ReauthenticateAll() },
			"PAR, PAN, PAR, PAN, PAR[C], PAN[C]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, d := up(t, nil, nil)
			before := d.Info()
			tt.do(l, d)
			l.run(time.Second)
			want(t, "messages", l.messages(), tt.want)
			want(t, "agent", story(l.events), "re-authenticated")
			want(t, "client", story(d.events), "re-authenticated")
			want(t, "discarded", append(l.drops, d.drops...), []error{})
			after := d.Info()
			if after.ID != before.ID || after.KeyID == before.KeyID || after.KeyID != l.paa.Sessions()[0].KeyID || !after.Expires.After(before.Expires) {
				t.Errorf("before %+v\nafter  %+v", before, after)
			}
			// The new keys work, in both directions.
			if err := errors.Join(d.Ping(), l.paa.Ping(after.ID)); err != nil {
				t.Fatal(err)
			}
			l.run(time.Second)
			want(t, "messages", l.messages(), "PNR[P], PNR[P], PNA[P], PNA[P]")
		})
	}
}

// A re-authentication that fails ends the session.
func TestReauthenticationFails(t *testing.T) {
	secret := "s"
	l, d := up(t, nil, func(c *PaCConfig) {
		c.Peer = func() Peer { return &testPeer{secret: secret, identity: "bob"} }
	})
	secret = "other"
	if err := d.Reauthenticate(); err != nil {
		t.Fatal(err)
	}
	l.run(time.Second)
	want(t, "agent", story(l.events), "terminated: pana: authentication rejected: wrong proof")
	want(t, "client", story(d.events), "terminated: pana: authentication rejected: the server says no")
	want(t, "sessions", l.paa.Sessions(), []Info{})
	want(t, "timers", l.clock.Deadline(), time.Time{})
}

func TestTermination(t *testing.T) {
	for _, tt := range []struct {
		name          string
		do            func(*lab, *device)
		agent, client string
	}{
		{"by the client", func(_ *lab, d *device) { d.Terminate() },
			"terminated (logout)", "terminated: pana: closed"},
		{"by the agent", func(l *lab, d *device) { _ = l.paa.Disconnect(d.Info().ID) },
			"terminated: pana: closed", "terminated (administrative)"},
		{"by the agent, during re-authentication", func(l *lab, d *device) {
			_ = l.paa.Reauthenticate(d.Info().ID)
			_ = l.paa.Disconnect(d.Info().ID)
		}, "terminated: pana: closed", "terminated (administrative)"},
		{"by the client, during a ping", func(_ *lab, d *device) { _ = d.Ping(); d.Terminate() },
			"terminated (logout)", "terminated: pana: closed"},
		{"by the agent that closes", func(l *lab, _ *device) { l.paa.Close() },
			"terminated: pana: closed", "terminated (administrative)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, d := up(t, nil, nil)
			tt.do(l, d)
			l.run(time.Second)
			want(t, "agent", story(l.events), tt.agent)
			want(t, "client", story(d.events), tt.client)
			want(t, "sessions", l.paa.Sessions(), []Info{})
			want(t, "client is", d.State(), Closed)
			want(t, "deadline", l.clock.Deadline(), time.Time{})
			d.Start(paaAddr)
			l.run(time.Second)
			want(t, "client is", d.State(), Open)
		})
	}
}

// Access is taken away while the client is getting new keys: it learns of it
// all the same, whichever it has.
func TestTerminationDuringReauthentication(t *testing.T) {
	for after := range 40 {
		l, d := up(t, nil, nil)
		_ = l.paa.Reauthenticate(d.Info().ID)
		l.run(time.Duration(after) * time.Millisecond)
		if err := l.paa.Disconnect(d.Info().ID); err != nil {
			t.Fatal(err)
		}
		l.run(time.Second)
		if e := d.events[len(d.events)-1]; e.Kind != SessionTerminated || e.Cause != Administrative || d.State() != Closed {
			t.Errorf("after %d ms: client is %v: %s", after, d.State(), story(d.events))
		}
		if n := len(l.paa.sessions); n != 0 || l.paa.Counters.Terminated != 1 {
			t.Errorf("after %d ms: %d sessions, %s", after, n, story(l.events))
		}
	}
}

// A session ends with its lifetime unless somebody re-authenticates.
func TestLifetime(t *testing.T) {
	minute := func(c *PAAConfig) { c.Backend = testBackend{secret: "s", life: time.Minute} }
	never := func(c *PaCConfig) { c.Renew = -1 }
	t.Run("renewed by the client", func(t *testing.T) {
		l, d := up(t, minute, nil)
		l.run(10 * time.Minute)
		want(t, "client is", d.State(), Open)
		want(t, "events", kinds(l.events), strings.TrimSpace(strings.Repeat("re-authenticated ", 13)))
	})
	t.Run("renewed by the agent", func(t *testing.T) {
		l, d := up(t, func(c *PAAConfig) { minute(c); c.Renew = 10 * time.Second }, never)
		l.run(10 * time.Minute)
		want(t, "client is", d.State(), Open)
		want(t, "events", kinds(l.events), strings.TrimSpace(strings.Repeat("re-authenticated ", 12)))
	})
	t.Run("over", func(t *testing.T) {
		l, d := up(t, minute, never)
		l.run(58 * time.Second)
		want(t, "client is", d.State(), Open)
		l.run(2 * time.Second)
		want(t, "agent", story(l.events), "terminated: pana: lifetime is over")
		l.run(10 * time.Minute) // of asking a client that has closed as well
		want(t, "sessions", l.paa.Sessions(), []Info{})
		if d.State() != Closed {
			t.Errorf("client is %v", d.State())
		}
	})
	t.Run("over, as the client sees it", func(t *testing.T) {
		l, d := up(t, minute, never)
		delete(l.nodes, paaAddr)
		delete(l.nodes, pacAddr)
		l.run(time.Minute)
		want(t, "client", story(d.events), "terminated: pana: lifetime is over")
	})
	t.Run("forever", func(t *testing.T) {
		l, d := up(t, func(c *PAAConfig) { c.Lifetime = Forever }, nil)
		l.run(1000 * 24 * time.Hour)
		want(t, "client is", d.State(), Open)
		want(t, "messages", l.messages(), "")
		want(t, "expires", d.Info().Expires, time.Time{})
	})
}

func TestPing(t *testing.T) {
	l, d := up(t, nil, nil)
	id := d.Info().ID
	for range 2 {
		if err := errors.Join(d.Ping(), l.paa.Ping(id)); err != nil {
			t.Fatal(err)
		}
		l.run(time.Second)
		if d.Ping() != ErrPingNow || l.paa.Ping(id) != ErrPingNow {
			t.Error("a second ping after a second")
		}
		l.run(time.Minute)
	}
	want(t, "messages", l.messages(), "PNR[P], PNR[P], PNA[P], PNA[P], PNR[P], PNR[P], PNA[P], PNA[P]")

	delete(l.nodes, pacAddr)
	delete(l.nodes, paaAddr)
	if err := errors.Join(d.Ping(), l.paa.Ping(id)); err != nil {
		t.Fatal(err)
	}
	l.run(10 * time.Minute)
	want(t, "agent", story(l.events), "terminated: pana: no answer")
	want(t, "client", story(d.events), "terminated: pana: no answer")
	want(t, "messages", l.messages(), strings.TrimSuffix(strings.Repeat("PNR[P], PNR[P], ", 10), ", "))
}

// Who is not heard of is tested.
func TestProbe(t *testing.T) {
	l, d := up(t, func(c *PAAConfig) { c.Probe = time.Minute }, func(c *PaCConfig) { c.Probe = 90 * time.Second })
	l.run(200 * time.Second)
	want(t, "messages", l.messages(), "PNR[P], PNA[P], PNR[P], PNA[P], PNR[P], PNA[P]")
	delete(l.nodes, pacAddr)
	l.run(10 * time.Minute)
	want(t, "agent", story(l.events), "terminated: pana: no answer")
	want(t, "client", story(d.events), "terminated: pana: no answer")
}

// What ends a first handshake, and what each side says about it.
func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		name           string
		server         func(*PAAConfig)
		client         func(*PaCConfig)
		after          time.Duration
		agent, client2 string
	}{{
		name:    "wrong secret",
		client:  func(c *PaCConfig) { c.Peer = func() Peer { return &testPeer{secret: "other", identity: "eve"} } },
		agent:   "opened, refused: pana: authentication rejected: wrong proof",
		client2: "opened, refused: pana: authentication rejected: the server says no",
	}, {
		name: "not authorized",
		server: func(c *PAAConfig) {
			c.Authorize = func(Info, eap.Result) error { return errors.New("not on the list") }
		},
		agent:   "opened, refused: pana: authorization rejected: not on the list",
		client2: "opened, refused: pana: authorization rejected",
	}, {
		name:    "no keys",
		server:  func(c *PAAConfig) { c.Backend = testBackend{secret: "s", noKey: true} },
		agent:   "opened, refused: pana: the EAP method yields no keys",
		client2: "opened, refused: pana: authentication rejected: the server says no",
	}, {
		name:    "endless EAP",
		server:  func(c *PAAConfig) { c.Backend = testBackend{loop: true} },
		agent:   "opened, refused: pana: too many EAP rounds",
		client2: "opened, refused: pana: authentication rejected: the server says no",
	}, {
		name:    "EAP server that is silent",
		server:  func(c *PAAConfig) { c.Backend = testBackend{silent: true} },
		after:   3 * time.Minute,
		agent:   "opened, refused: pana: handshake took too long",
		client2: "opened, refused: pana: handshake took too long",
	}, {
		name: "client that is silent",
		client: func(c *PaCConfig) {
			n, send := 0, c.Send
			c.Send = func(to netip.AddrPort, b []byte) {
				if n++; n <= 2 {
					send(to, b)
				}
			}
			c.Timers.Initiation = Retransmission{Initial: time.Second, Count: 2}
		},
		after:   5 * time.Minute,
		agent:   "opened, refused: pana: handshake took too long",
		client2: "opened, refused: pana: handshake took too long",
	}, {
		name:    "no agent",
		server:  func(c *PAAConfig) { c.Send = func(netip.AddrPort, []byte) {} },
		client:  func(c *PaCConfig) { c.Timers.Initiation = Retransmission{Initial: time.Second, Count: 4} },
		after:   time.Minute,
		client2: "refused: pana: no answer",
	}} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t, 1)
			l.serve(tt.server)
			d := l.join(pacAddr, tt.client)
			d.Start(paaAddr)
			l.run(time.Second + tt.after)
			want(t, "agent", story(l.events), tt.agent)
			want(t, "client", story(d.events), tt.client2)
			want(t, "sessions", l.paa.Sessions(), []Info{})
			want(t, "client is", d.State(), Closed)
			want(t, "half-open", l.paa.half.n, 0)
			want(t, "deadline", l.clock.Deadline(), time.Time{})
		})
	}
}

// An agent that keeps state may ask for the identity at once (RFC 5191 Section
// 4.1); a client that piggy-backs answers at once.
func TestStatefulStart(t *testing.T) {
	for _, noPiggy := range []bool{false, true} {
		l := newLab(t, 1)
		d := l.join(pacAddr, func(c *PaCConfig) { c.NoPiggyback = noPiggy })
		var got []*Message
		l.nodes[paaAddr] = func(g Datagram) {
			m, err := Decode(g.Payload)
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, m); m.Type == Initiation {
				start := Message{Flags: FlagRequest | FlagStart, Type: Auth, SessionID: 5, Seq: 9, AVPs: append(sha1Only.offer(false),
					AVP{Code: CodeEAPPayload, Value: eapPacket(eapRequest, 1, 1)})}
				l.deliver(paaAddr, pacAddr, start.Append(nil))
			}
		}
		d.Start(paaAddr)
		l.run(100 * time.Millisecond)
		response := string(eapPacket(eapResponse, 1, 1, []byte("bob")...))
		carries := func(m *Message) bool { v, _ := m.AVPs.Find(CodeEAPPayload); return string(v) == response }
		switch {
		case !noPiggy && (len(got) != 2 || !got[1].is(Auth, FlagStart) || !carries(got[1])):
			t.Errorf("sent %v", got)
		case noPiggy && (len(got) != 3 || !got[1].is(Auth, FlagStart) || carries(got[1]) || !got[2].is(Auth, FlagRequest) || !carries(got[2])):
			t.Errorf("sent %v", got)
		}
	}
}

// The agent can tell clients to get themselves new addresses.
func TestReconfigure(t *testing.T) {
	for _, on := range []bool{false, true} {
		_, d := up(t, func(c *PAAConfig) { c.Reconfigure = on }, nil)
		want(t, "client is told", d.Info().Reconfigure, on)
	}
}

// A client is not authorized any more: re-authentication ends its session.
func TestAuthorizationWithdrawn(t *testing.T) {
	allowed := true
	l, d := up(t, func(c *PAAConfig) {
		c.Authorize = func(_ Info, r eap.Result) error {
			if r.MSK != nil || r.EMSK != nil {
				t.Error("keys are shown")
			}
			if allowed {
				return nil
			}
			return errors.New("blocked")
		}
	}, nil)
	allowed = false
	_ = d.Reauthenticate()
	l.run(time.Second)
	want(t, "agent", story(l.events), "terminated: pana: authorization rejected: blocked")
	want(t, "client", story(d.events), "terminated: pana: authorization rejected")
	want(t, "sessions", l.paa.Sessions(), []Info{})
}

// An EAP server that answers later is waited for without repeating anything.
func TestSlowBackend(t *testing.T) {
	l := newLab(t, 1)
	l.keep = true
	l.serve(func(c *PAAConfig) {
		c.Backend = testBackend{secret: "s", delay: 10 * time.Second, clock: l.clock}
		c.Timers.Request = Retransmission{Initial: 30 * time.Second, Count: 2}
	})
	d := l.join(pacAddr, func(c *PaCConfig) { c.Timers.Initiation.Initial = time.Minute })
	d.Start(paaAddr)
	l.run(time.Minute)
	want(t, "client is", d.State(), Open)
	want(t, "messages", l.messages(), "PCI, PAR[S], PAN[S], PAR, PAN, PAR, PAN, PAR[C], PAN[C]")
}

// The keys of a handshake are gone when it is over, and the EAP sides closed.
func TestSecretsAreWiped(t *testing.T) {
	var given eap.Result
	var peers []*testPeer
	l := newLab(t, 1)
	l.serve(func(c *PAAConfig) {
		c.Backend = backendFunc(func(p eap.Port, answer func(eap.Result)) eap.Conversation {
			return testBackend{secret: "s"}.Converse(p, func(r eap.Result) {
				if r.Outcome == eap.Success {
					given = r
				}
				answer(r)
			})
		})
	})
	d := l.join(pacAddr, func(c *PaCConfig) {
		c.Peer = func() Peer {
			peers = append(peers, &testPeer{secret: "s", identity: "bob"})
			return peers[len(peers)-1]
		}
	})
	d.Start(paaAddr)
	l.run(time.Second)
	if len(given.MSK) != 64 || !bytes.Equal(given.MSK, make([]byte, 64)) || !bytes.Equal(given.EMSK, make([]byte, 64)) {
		t.Errorf("MSK %x, EMSK %x", given.MSK, given.EMSK)
	}
	if len(peers) != 1 || !peers[0].closed || d.hs != nil {
		t.Errorf("%d peers, %+v", len(peers), peers)
	}
	s := l.paa.sessions[d.Info().ID]
	sa := s.sa
	d.Terminate()
	l.run(time.Second)
	if *sa != (SA{}) {
		t.Errorf("keys of a session that is over: %+v", sa)
	}
}

type backendFunc func(eap.Port, func(eap.Result)) eap.Conversation

func (f backendFunc) Converse(p eap.Port, answer func(eap.Result)) eap.Conversation {
	return f(p, answer)
}

// The times of repetitions are the RFC's, within the jitter of a tenth.
func TestRetransmission(t *testing.T) {
	type span struct{ min, max float64 }
	for _, tt := range []struct {
		name string
		r    Retransmission
		want []span // seconds from one transmission to the next, and to the end
		end  bool
	}{
		{"PCI", standardInitiation, []span{{.9, 1.1}, {1.7, 2.4}, {3.2, 5.1}, {6, 10.7}, {11, 23}, {22, 48}, {40, 100}, {80, 132}, {108, 132}, {108, 132}}, false},
		{"requests", standardRequest, []span{{.9, 1.1}, {1.7, 2.4}, {3.2, 5.1}, {6, 10.7}, {11, 23}, {22, 33}, {27, 33}, {27, 33}, {27, 33}, {27, 33}}, true},
		{"ZigBee IP requests", zigbeeRequest, []span{{18, 22}, {36, 44}, {54, 66}, {54, 66}}, true},
		{"bounded", Retransmission{Initial: time.Second, MaxDuration: 4 * time.Second}, []span{{.9, 1.1}, {1.7, 2.4}, {.5, 1.4}}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for seed := range uint64(50) {
				l := newLab(t, seed)
				var r repeating
				now := day0
				r.begin(&tt.r, now, l.rnd)
				for i, w := range tt.want {
					d := r.at.Sub(now).Seconds()
					if d < w.min || d > w.max {
						t.Fatalf("wait %d is %v s, want %v", i, d, w)
					}
					now = r.at
					if more := r.again(&tt.r, now, l.rnd); more != (!tt.end || i < len(tt.want)-1) {
						t.Fatalf("after wait %d: again %v", i, more)
					}
				}
			}
		})
	}
}
