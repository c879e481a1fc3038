package eap

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A method for tests: what each side does is a list of steps, taken one by
// one; after the last it ignores what comes. closed counts.
type serverScript struct {
	typ    Type
	steps  []ServerStep
	err    error
	closed int
	got    []Packet
	ids    []uint8
}

func (s *serverScript) Type() Type                                { return s.typ }
func (s *serverScript) Start(ServerContext) (ServerMethod, error) { return s, s.err }
func (s *serverScript) Close()                                    { s.closed++ }
func (s *serverScript) Next(p Packet, id uint8) ServerStep {
	if len(s.steps) == 0 {
		return ServerStep{Ignore: true}
	}
	st := s.steps[0]
	s.steps = s.steps[1:]
	s.got, s.ids = append(s.got, p), append(s.ids, id)
	return st
}

type peerScript struct {
	typ    Type
	steps  []PeerStep
	err    error
	closed int
	ctx    PeerContext
}

func (s *peerScript) Type() Type { return s.typ }
func (s *peerScript) Start(c PeerContext) (PeerMethod, error) {
	s.ctx = c
	return s, s.err
}
func (s *peerScript) Close() { s.closed++ }
func (s *peerScript) Next(Packet) PeerStep {
	if len(s.steps) == 0 {
		return PeerStep{Ignore: true}
	}
	st := s.steps[0]
	s.steps = s.steps[1:]
	return st
}

// An exchange is what comes in and what that leads to: the packet that goes
// out, "" for none, or the result.
type exchange struct {
	in   string
	want string
}

// say is a result in short.
func say(r Result) string {
	out := fmt.Sprintf("%x", r.Packet)
	if r.Outcome == Continue {
		return out
	}
	return strings.TrimSpace(out + " " + r.Outcome.String())
}

func compact(s string) string {
	b, rest, _ := strings.Cut(s, " ")
	return strings.TrimSpace(strings.ReplaceAll(b, ".", "") + " " + rest)
}

// The octets are written with a point between header, type and data.
func TestServer(t *testing.T) {
	const begin, user = "", "0208000a.01.616c696365" // "alice"
	msk := bytes.Repeat([]byte{1}, 64)
	tests := []struct {
		name   string
		a, b   []ServerStep // of methods 0xfa and 0xfb
		rounds int
		script []exchange
		reason error
		method Type
	}{{
		name: "success",
		a:    []ServerStep{{Data: []byte{0xa0}}, {Data: []byte{0xa1}}, {Outcome: Success, MSK: msk, Identity: "alice"}},
		script: []exchange{
			{begin, "01080005.01"},
			{user, "01090006.fa.a0"},
			{"02090006.fa.00", "010a0006.fa.a1"},
			{"020a0006.fa.00", "030a0004 success"}, // the last response's identifier
			{"020a0006.fa.00", ""},                 // nothing comes after the result
			{begin, ""},
		},
		method: 0xfa,
	}, {
		name: "discarded",
		a:    []ServerStep{{Data: []byte{0xa0}}, {Ignore: true}, {Outcome: Failure, Reason: ErrRejected}},
		script: []exchange{
			{user, ""}, // before it began
			{begin, "01080005.01"},
			{begin, ""},
			{"0208", ""},                   // no packet
			{"0108000a.01.616c696365", ""}, // a request
			{"03080004", ""},
			{"0207000a.01.616c696365", ""}, // an earlier identifier
			{"0209000a.01.616c696365", ""}, // a later one
			{"02080006.fa.00", ""},         // another type
			{"02080006.03.fb", ""},         // no Nak of Identity
			{user, "01090006.fa.a0"},
			{user, ""},             // once more
			{"02090006.fb.00", ""}, // another method
			{"02090006.fa.00", ""}, // the method ignores it
			{"02090006.fa.00", "04090004 failure"},
		},
		reason: ErrRejected,
		method: 0xfa,
	}, {
		name: "refused for another method",
		a:    []ServerStep{{Data: []byte{0xa0}}},
		b:    []ServerStep{{Data: []byte{0xb0}}, {Outcome: Success, Identity: "alice"}},
		script: []exchange{
			{begin, "01080005.01"},
			{user, "01090006.fa.a0"},
			{"02090007.03.33fb", "010a0006.fb.b0"},
			{"020a0006.fb.00", "030a0004 success"},
		},
		method: 0xfb,
	}, {
		name: "refused for another method in expanded form",
		a:    []ServerStep{{Data: []byte{0xa0}}},
		b:    []ServerStep{{Data: []byte{0xb0}}, {Outcome: Success, Identity: "alice"}},
		script: []exchange{
			{begin, "01080005.01"},
			{user, "01090006.fa.a0"},
			{"02090014.fe00000000000003.fe000000000000fb", "010a0006.fb.b0"},
			{"020a0006.fb.00", "030a0004 success"},
		},
		method: 0xfb,
	}, {
		name: "all refused, in turn",
		a:    []ServerStep{{Data: []byte{0xa0}}},
		b:    []ServerStep{{Data: []byte{0xb0}}},
		script: []exchange{
			{begin, "01080005.01"},
			{user, "01090006.fa.a0"},
			{"02090006.03.fb", "010a0006.fb.b0"},
			{"020a0006.03.fa", "040a0004 failure"},
		},
		reason: &NakError{},
	}, {
		name: "nothing wanted",
		a:    []ServerStep{{Data: []byte{0xa0}}},
		script: []exchange{
			{begin, "01080005.01"},
			{user, "01090006.fa.a0"},
			{"02090006.03.00", "04090004 failure"},
		},
		reason: &NakError{},
	}, {
		name: "no Nak in the midst of a method",
		a:    []ServerStep{{Data: []byte{0xa0}}, {Data: []byte{0xa1}}, {Outcome: Success}},
		script: []exchange{
			{begin, "01080005.01"},
			{user, "01090006.fa.a0"},
			{"02090006.fa.00", "010a0006.fa.a1"},
			{"020a0006.03.fb", ""},
			{"020a0006.fa.00", "030a0004 success"},
		},
		method: 0xfa,
	}, {
		name:   "a method without end",
		a:      slices.Repeat([]ServerStep{{Data: []byte{0xa0}}}, 100),
		rounds: 3,
		script: []exchange{
			{begin, "01080005.01"},
			{user, "01090006.fa.a0"},
			{"02090006.fa.00", "010a0006.fa.a0"},
			{"020a0006.fa.00", "040a0004 failure"},
		},
		reason: ErrRounds,
		method: 0xfa,
	}, {
		name: "nobody known",
		script: []exchange{
			{begin, "01080005.01"},
			{"02080006.01.62", "04080004 failure"},
		},
		reason: ErrNoMethod,
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := &serverScript{typ: 0xfa, steps: tt.a}
			b := &serverScript{typ: 0xfb, steps: tt.b}
			s := NewServer(ServerConfig{
				FirstIdentifier: 8,
				Rounds:          tt.rounds,
				Methods: func(id string, _ Port) []ServerMethodFactory {
					if id != "alice" {
						return nil
					}
					return []ServerMethodFactory{a, b}
				},
			})
			var last Result
			for i, e := range tt.script {
				var r Result
				if e.in == begin {
					r = s.Begin()
				} else {
					r = s.Receive(unhex(t, compact(e.in)))
				}
				if got := say(r); got != compact(e.want) {
					t.Fatalf("step %d: %q, want %q", i, got, compact(e.want))
				}
				if r.Outcome != Continue {
					last = r
				}
			}
			if want, ok := errors.AsType[*NakError](tt.reason); ok {
				if got, ok := errors.AsType[*NakError](last.Reason); !ok || want == nil || len(got.Offered) != 2 {
					t.Errorf("reason: %v", last.Reason)
				}
			} else if !errors.Is(last.Reason, tt.reason) {
				t.Errorf("reason: %v, want %v", last.Reason, tt.reason)
			}
			if last.Method != tt.method {
				t.Errorf("method %v, want %v", last.Method, tt.method)
			}
			if last.Method == 0xfa && a.closed == 0 || last.Method == 0xfb && (a.closed == 0 || b.closed == 0) {
				t.Errorf("not closed: %d, %d", a.closed, b.closed)
			}
			for i, id := range a.ids {
				if i > 0 && id != a.got[i].Identifier+1 {
					t.Errorf("method was told identifier %d after %d", id, a.got[i].Identifier)
				}
			}
			if !s.Ended() {
				t.Error("not ended")
			}
		})
	}
}

func TestPeer(t *testing.T) {
	msk := bytes.Repeat([]byte{1}, 64)
	more := PeerStep{State: MethodCont, Data: []byte{0xa0}}
	maybe := PeerStep{State: MethodMayCont, Data: []byte{0xa0}, Reason: ErrNoMethod}
	good := PeerStep{State: MethodDone, Decision: DecideUncond, Data: []byte{0xa1}, MSK: msk, Identity: "server"}
	likely := PeerStep{State: MethodMayCont, Decision: DecideCondSucc, Data: []byte{0xa1}, MSK: msk}
	bad := PeerStep{State: MethodDone, Decision: DecideFail, Data: []byte{0xa2}, Reason: ErrNoMethod}
	const id, alice = "01080005.01", "0208000a.01.616c696365"
	tests := []struct {
		name   string
		steps  []PeerStep // of method 0xfa
		rounds int
		script []exchange
		reason error
	}{{
		name:  "success",
		steps: []PeerStep{more, good},
		script: []exchange{
			{id, alice},
			{id, alice}, // repeated
			{"01090006.fa.00", "02090006.fa.a0"},
			{"03090004", ""},                     // too early: nobody is authenticated
			{"04090004", ""},                     // and the method has more to hear
			{"01090006.fa.00", "02090006.fa.a0"}, // repeated: the method does not see it
			{"010a0006.fa.00", "020a0006.fa.a1"},
			{"040a0004", ""},                     // the server has proved that it accepts
			{"030b0004", ""},                     // another identifier
			{"010b0006.fa.00", ""},               // the method is done
			{"010a0006.fa.00", "020a0006.fa.a1"}, // but its last answer may have been lost
			{"030a0004", "success"},
			{"030a0004", ""},
			{id, ""},
		},
	}, {
		name:  "rejected in a method",
		steps: []PeerStep{maybe},
		script: []exchange{
			{id, alice},
			{"01090006.fa.00", "02090006.fa.a0"},
			{"03090004", ""},
			{"04080004", ""}, // another identifier
			{"04090004", "failure"},
		},
		reason: ErrNoMethod,
	}, {
		name: "rejected at once",
		script: []exchange{
			{"04080004", ""}, // nothing was asked
			{id, alice},
			{"03080004", ""}, // no method ran
			{"04080004", "failure"},
		},
		reason: ErrRejected,
	}, {
		name:  "rejected though the method was content",
		steps: []PeerStep{likely},
		script: []exchange{
			{"01090006.fa.00", "02090006.fa.a1"},
			{"04090004", "failure"},
		},
		reason: ErrRejected,
	}, {
		name:  "accepted though the method was not sure",
		steps: []PeerStep{likely},
		script: []exchange{
			{"01090006.fa.00", "02090006.fa.a1"},
			{"03090004", "success"},
		},
	}, {
		name:  "the peer itself refuses",
		steps: []PeerStep{bad},
		script: []exchange{
			{"01090006.fa.00", "02090006.fa.a2"},
			{"03090004", ""},
			{"04090004", "failure"},
		},
		reason: ErrNoMethod,
	}, {
		name:  "the peer leaves",
		steps: []PeerStep{{Abort: true, Reason: ErrNoMethod}},
		script: []exchange{
			{"01090006.fa.00", "failure"},
			{"01090006.fa.00", ""},
		},
		reason: ErrNoMethod,
	}, {
		name:  "another method, first",
		steps: []PeerStep{good},
		script: []exchange{
			{id, alice},
			{"01090006.0d.20", "02090006.03.fa"},
			{"010a0006.fa.00", "020a0006.fa.a1"},
			{"030a0004", "success"},
		},
	}, {
		name: "another method, only",
		script: []exchange{
			{"01090006.0d.20", "02090006.03.fa"},
			{"04090004", "failure"},
		},
		reason: &NakError{},
	}, {
		name: "a vendor's method",
		script: []exchange{
			{"0109000d.fe00372a00000001.aa", "02090014.fe00000000000003.fe000000000000fa"},
			{"04090004", "failure"},
		},
		reason: &NakError{},
	}, {
		name:  "no other method in the midst of one",
		steps: []PeerStep{more, good},
		script: []exchange{
			{"01090006.fa.00", "02090006.fa.a0"},
			{"010a0006.0d.20", ""},
			{"010a0005.01", ""},
			{"010a0006.fa.00", "020a0006.fa.a1"},
			{"030a0004", "success"},
		},
	}, {
		name:  "what a method ignores at first binds nobody",
		steps: []PeerStep{{Ignore: true}, good},
		script: []exchange{
			{"01090006.fa.ff", ""},
			{"01090006.0d.20", "02090006.03.fa"},
			{"010a0006.fa.00", "020a0006.fa.a1"},
			{"030a0004", "success"},
		},
	}, {
		name:  "notifications",
		steps: []PeerStep{more, good},
		script: []exchange{
			{"01080007.02.6869", "02080005.02"},
			{"01090006.fa.00", "02090006.fa.a0"},
			{"010a0007.02.6869", "020a0005.02"},
			{"010b0006.fa.00", "020b0006.fa.a1"},
			{"030b0004", "success"},
		},
	}, {
		name:   "a method without end",
		steps:  slices.Repeat([]PeerStep{more}, 100),
		rounds: 2,
		script: []exchange{
			{"01080006.fa.00", "02080006.fa.a0"},
			{"01090006.fa.00", "02090006.fa.a0"},
			{"010a0006.fa.00", "failure"},
		},
		reason: ErrRounds,
	}, {
		name: "no packets, and others' packets",
		script: []exchange{
			{"01", ""},
			{alice, ""},
			{"04080004", ""},
			{id, alice},
			{"04080004", "failure"},
		},
		reason: ErrRejected,
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := &peerScript{typ: 0xfa, steps: tt.steps}
			var notes []string
			p := NewPeer(PeerConfig{
				Identity: "alice",
				Methods:  []PeerMethodFactory{m},
				Rounds:   tt.rounds,
				Notify:   func(s string) { notes = append(notes, s) },
			})
			var last Result
			for i, e := range tt.script {
				r := p.Receive(unhex(t, compact(e.in)))
				if got := say(r); got != compact(e.want) {
					t.Fatalf("step %d: %q, want %q", i, got, compact(e.want))
				}
				if r.Outcome != Continue {
					last = r
				}
			}
			if _, ok := errors.AsType[*NakError](tt.reason); ok {
				if _, ok := errors.AsType[*NakError](last.Reason); !ok {
					t.Errorf("reason: %v", last.Reason)
				}
			} else if !errors.Is(last.Reason, tt.reason) {
				t.Errorf("reason: %v, want %v", last.Reason, tt.reason)
			}
			if last.Outcome == Success && !bytes.Equal(last.MSK, msk) || last.Outcome == Failure && last.MSK != nil {
				t.Errorf("%v with MSK %x", last.Outcome, last.MSK)
			}
			if m.ctx.Identity != "" && (m.ctx != PeerContext{"alice", DefaultMTU} || m.closed == 0) {
				t.Errorf("method was told %+v and closed %d times", m.ctx, m.closed)
			}
			if tt.name == "notifications" && !slices.Equal(notes, []string{"hi", "hi"}) {
				t.Errorf("notified of %q", notes)
			}
		})
	}
}

// A result that the lower layer tells is weighed like a packet.
func TestIndicated(t *testing.T) {
	tests := []struct {
		name     string
		step     PeerStep
		accepted bool
		want     string
	}{
		{"accepted too early", PeerStep{State: MethodMayCont, Data: []byte{0}}, true, ""},
		{"accepted", PeerStep{State: MethodDone, Decision: DecideUncond, Data: []byte{0}}, true, "success"},
		{"refused", PeerStep{State: MethodMayCont, Data: []byte{0}}, false, "failure"},
		{"refused against proof", PeerStep{State: MethodDone, Decision: DecideUncond, Data: []byte{0}}, false, ""},
	}
	for _, tt := range tests {
		p := NewPeer(PeerConfig{Methods: []PeerMethodFactory{&peerScript{typ: 0xfa, steps: []PeerStep{tt.step}}}})
		p.Receive([]byte{1, 8, 0, 5, 0xfa})
		if got := say(p.Indicated(tt.accepted)); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// Keys that nobody fetched are wiped, keys that were handed over are not.
func TestWiped(t *testing.T) {
	for _, accepted := range []bool{false, true} {
		msk, emsk := bytes.Repeat([]byte{1}, 64), bytes.Repeat([]byte{2}, 64)
		m := &peerScript{typ: 0xfa, steps: []PeerStep{{State: MethodDone, Decision: DecideUncond, MSK: msk, EMSK: emsk}}}
		p := NewPeer(PeerConfig{Methods: []PeerMethodFactory{m}})
		p.Receive([]byte{1, 8, 0, 5, 0xfa})
		if accepted {
			p.Receive([]byte{3, 8, 0, 4})
		}
		p.Close()
		p.Close()
		if wiped := bytes.Equal(append(msk, emsk...), make([]byte, 128)); wiped == accepted {
			t.Errorf("accepted %v: wiped %v", accepted, wiped)
		}
	}
}

func TestLocal(t *testing.T) {
	var port Port
	l := &Local{
		Rand: bytes.NewReader([]byte{0x42}),
		Methods: func(id string, p Port) []ServerMethodFactory {
			port = p
			return []ServerMethodFactory{&serverScript{typ: 0xfa, steps: []ServerStep{{}, {Outcome: Success, Identity: id}}}}
		},
	}
	var got []string
	answer := func(r Result) { got = append(got, say(r)) }
	c := l.Converse(Port{Number: 3}, answer)
	c.Begin()
	c.Receive(unhex(t, "0242000601 62"))
	c.Receive(unhex(t, "0242000601 62")) // discarded: no answer
	c.Receive(unhex(t, "02430005fa"))
	c.Close()
	c.Receive(unhex(t, "02430005fa"))
	if want := []string{"0142000501", "01430005fa", "03430004 success"}; !slices.Equal(got, want) || port.Number != 3 {
		t.Errorf("%q for %+v, want %q", got, port, want)
	}

	got = nil
	c = l.Converse(Port{}, answer) // the random source is dry
	c.Begin()
	c.Begin()
	if len(got) != 1 || !strings.HasSuffix(got[0], "failure") {
		t.Errorf("without randomness: %q", got)
	}
}

// Neither side panics, ends twice or answers without end, whatever comes.
func FuzzMachines(f *testing.F) {
	for _, tt := range packets {
		f.Add(unhex(f, tt.wire))
	}
	f.Add(unhex(f, "0108000501 0208000a01616c696365 02090006fa00 020a0006fa00"))
	f.Add(unhex(f, "0108000501 01090006fa00 010a0006fa00 030a0004"))
	f.Fuzz(func(t *testing.T, in []byte) {
		s := NewServer(ServerConfig{FirstIdentifier: 8, Rounds: 5, Methods: func(string, Port) []ServerMethodFactory {
			return []ServerMethodFactory{
				&serverScript{typ: 0xfa, steps: slices.Repeat([]ServerStep{{Data: []byte{1}}}, 9)},
				&serverScript{typ: 0xfb, steps: []ServerStep{{}, {Outcome: Success}}},
			}
		}})
		p := NewPeer(PeerConfig{Rounds: 5, Methods: []PeerMethodFactory{
			&peerScript{typ: 0xfa, steps: slices.Repeat([]PeerStep{{State: MethodMayCont, Data: []byte{1}}}, 9)},
		}})
		s.Begin()
		requests, ends := 1, 0
		for len(in) > 0 {
			n := len(in)
			if len(in) >= 4 {
				n = min(n, max(1, int(in[3])))
			}
			r := s.Receive(in[:n])
			if r.Outcome == Continue && r.Packet != nil {
				requests++
			}
			if r.Outcome != Continue {
				ends++
			}
			if r := p.Receive(in[:n]); r.Outcome == Success {
				t.Fatalf("peer succeeds by %x", in[:n])
			}
			in = in[n:]
		}
		if requests > 5 || ends > 1 {
			t.Fatalf("%d requests, %d ends", requests, ends)
		}
	})
}
