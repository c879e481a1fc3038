package coap

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// pair returns a client and a server whose resource x counts its calls and
// answers with the request's payload.
func pair(t *testing.T) (n *network, client, server *Endpoint[string], calls *int) {
	n = newNetwork(t)
	client, server = n.node("c", Config[string]{}), n.node("s", Config[string]{})
	calls = new(int)
	server.Handle("x", func(r *Request[string]) {
		*calls++
		r.Respond(Changed, r.Payload)
	})
	return n, client, server, calls
}

func request(t *testing.T, n *network, e *Endpoint[string], to string, m Message, opts RequestOptions, done func(Response[string], error)) *Exchange[string] {
	t.Helper()
	x, err := e.Request(n.now, to, m, opts, done)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestPiggybacked(t *testing.T) {
	n, c, s, calls := pair(t)
	var got outcomes
	request(t, n, c, "s", post(Confirmable, "x", "hi"), RequestOptions{}, got.done)
	n.run(time.Hour)
	n.expect("c>s CON 0.02 x hi", "s>c ACK 2.04 hi")
	got.expect(t, "2.04 hi")
	if *calls != 1 || c.Pending()+s.Pending() != 0 || !c.Deadline().IsZero() {
		t.Error("left over:", *calls, c.Pending(), s.Pending(), c.Deadline())
	}
}

func TestNonConfirmable(t *testing.T) {
	n, c, _, _ := pair(t)
	var got outcomes
	request(t, n, c, "s", post(NonConfirmable, "x", "hi"), RequestOptions{}, got.done)
	if x := request(t, n, c, "s", post(NonConfirmable, "x", "fire"), RequestOptions{}, nil); x != nil {
		t.Error("something is remembered without done")
	}
	n.run(time.Second)
	got.expect(t, "2.04 hi")
	// The answer nobody waits for is rejected.
	n.expect("c>s NON 0.02 x hi", "c>s NON 0.02 x fire", "s>c NON 2.04 hi", "s>c NON 2.04 fire", "c>s RST 0.00")
}

func TestNonConfirmableTimeout(t *testing.T) {
	n, c, _, _ := pair(t)
	n.fate = lose(0)
	var got outcomes
	request(t, n, c, "s", post(NonConfirmable, "x", "hi"), RequestOptions{ResponseTimeout: 3 * time.Second}, got.done)
	n.run(2999 * time.Millisecond)
	got.expect(t)
	n.run(2 * time.Millisecond)
	got.expect(t, "coap: no answer")
	n.expect("c>s NON 0.02 x hi x0")
}

// The acknowledgement is lost: the server answers the repetition from its
// cache and does not act again.
func TestRetransmission(t *testing.T) {
	n, c, _, calls := pair(t)
	n.fate = lose(0, 2, 4)
	var got outcomes
	request(t, n, c, "s", post(Confirmable, "x", "hi"), RequestOptions{}, got.done)
	n.run(time.Minute)
	n.expect("c>s CON 0.02 x hi x0", "c>s CON 0.02 x hi", "s>c ACK 2.04 hi x0", "c>s CON 0.02 x hi", "s>c ACK 2.04 hi x0",
		"c>s CON 0.02 x hi", "s>c ACK 2.04 hi")
	got.expect(t, "2.04 hi")
	if *calls != 1 {
		t.Error("handled", *calls, "times")
	}
}

// The intervals between transmissions are those of RFC 7252 Section 4.2.
func TestBackoff(t *testing.T) {
	tests := []struct {
		name  string
		opts  RequestOptions
		times []float64 // earliest, s; the latest are 1.5 times that
	}{
		{"default", RequestOptions{}, []float64{2, 6, 14, 30, 62}},
		{"override", RequestOptions{AckTimeout: time.Second, MaxRetransmit: 2}, []float64{1, 3, 7}},
		{"none", RequestOptions{MaxRetransmit: -1}, []float64{2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := newNetwork(t)
			c := n.node("c", Config[string]{})
			var at []time.Time
			n.fate = func(int, string, string, Message) int { at = append(at, n.now); return 0 }
			request(t, n, c, "s", post(Confirmable, "x", ""), tt.opts, func(_ Response[string], err error) {
				if err != ErrTimeout {
					t.Error(err)
				}
				at = append(at, n.now)
			})
			n.run(10 * time.Minute)
			if len(at) != len(tt.times)+1 {
				t.Fatalf("%d transmissions, want %d", len(at)-1, len(tt.times))
			}
			first := at[1].Sub(at[0]).Seconds()
			for i, min := range tt.times {
				after := at[i+1].Sub(at[0]).Seconds()
				if after < min || after > min*1.5 {
					t.Errorf("event %d after %v s, want %v to %v", i+1, after, min, min*1.5)
				}
				if want := first * min / tt.times[0]; after < want*0.999 || after > want*1.001 {
					t.Errorf("event %d after %v s, want doubling to %v", i+1, after, want)
				}
			}
		})
	}
}

// Advance that comes much too late repeats once, not all at once.
func TestLateAdvance(t *testing.T) {
	n := newNetwork(t)
	c := n.node("c", Config[string]{})
	request(t, n, c, "s", post(Confirmable, "x", ""), RequestOptions{}, nil)
	c.Advance(n.now.Add(20 * time.Second))
	n.expect("c>s CON 0.02 x", "c>s CON 0.02 x")
	if c.Deadline().Before(n.now.Add(24 * time.Second)) {
		t.Error("next at", c.Deadline().Sub(n.now))
	}
}

func TestSeparateResponse(t *testing.T) {
	n, c, s, _ := pair(t)
	var kept *Request[string]
	s.Handle("slow", func(r *Request[string]) { kept = r })
	var got outcomes
	request(t, n, c, "s", post(Confirmable, "slow", ""), RequestOptions{}, got.done)
	n.run(20 * time.Second)
	n.expect("c>s CON 0.02 slow", "s>c ACK 0.00")
	n.fate = lose(n.sent, n.sent+2) // the response, then the acknowledgement
	kept.RespondAt(n.now, Content, []byte("late"))
	kept.RespondAt(n.now, Content, []byte("again")) // does not count
	n.run(time.Minute)
	n.expect("s>c CON 2.05 late x0", "s>c CON 2.05 late", "c>s ACK 0.00 x0", "s>c CON 2.05 late", "c>s ACK 0.00")
	got.expect(t, "2.05 late")
	if s.Pending() != 0 {
		t.Error("response still pending")
	}
}

// The separate response overtakes the empty acknowledgement, or replaces it.
func TestSeparateResponseWithoutAck(t *testing.T) {
	n, c, s, _ := pair(t)
	s.Handle("slow", func(r *Request[string]) {
		r.acknowledge()
		r.Respond(Content, []byte("now"))
	})
	n.fate = lose(1)
	var got outcomes
	request(t, n, c, "s", post(Confirmable, "slow", ""), RequestOptions{}, got.done)
	n.run(time.Minute)
	n.expect("c>s CON 0.02 slow", "s>c ACK 0.00 x0", "s>c CON 2.05 now", "c>s ACK 0.00")
	got.expect(t, "2.05 now")
}

// An acknowledged request whose response never comes times out.
func TestAckOnly(t *testing.T) {
	n, c, s, _ := pair(t)
	s.Handle("ack", func(r *Request[string]) { r.Ack(); r.Respond(Content, nil) })
	var waits, finishes, piggybacked outcomes
	request(t, n, c, "s", post(Confirmable, "ack", ""), RequestOptions{}, waits.done)
	request(t, n, c, "s", post(Confirmable, "ack", ""), RequestOptions{FinishAtAck: true}, finishes.done)
	request(t, n, c, "s", post(Confirmable, "x", "r"), RequestOptions{FinishAtAck: true}, piggybacked.done)
	n.run(time.Second)
	n.expect("c>s CON 0.02 ack", "c>s CON 0.02 ack", "c>s CON 0.02 x r", "s>c ACK 0.00", "s>c ACK 0.00", "s>c ACK 2.04 r")
	waits.expect(t)
	finishes.expect(t, "0.00")
	piggybacked.expect(t, "2.04 r")
	n.run(94 * time.Second)
	waits.expect(t, "coap: no answer")
}

func TestReset(t *testing.T) {
	n, c, s, _ := pair(t)
	s.Handle("no", func(r *Request[string]) { r.Reset() })
	var con, non outcomes
	request(t, n, c, "s", post(Confirmable, "no", ""), RequestOptions{}, con.done)
	request(t, n, c, "s", post(NonConfirmable, "no", ""), RequestOptions{}, non.done)
	n.run(time.Minute)
	con.expect(t, "coap: peer answered with a reset")
	non.expect(t, "coap: peer answered with a reset")
	n.expect("c>s CON 0.02 no", "c>s NON 0.02 no", "s>c RST 0.00", "s>c RST 0.00")
}

func TestNotFound(t *testing.T) {
	n, c, s, _ := pair(t)
	var got outcomes
	request(t, n, c, "s", post(Confirmable, "y", ""), RequestOptions{}, got.done)
	request(t, n, c, "s", post(NonConfirmable, "y", ""), RequestOptions{}, nil)
	n.run(time.Second)
	n.expect("c>s CON 0.02 y", "c>s NON 0.02 y", "s>c ACK 4.04")
	got.expect(t, "4.04")

	s.HandleRest(func(r *Request[string]) { r.Respond(Content, []byte(r.Path())) })
	s.Handle("x", nil)
	request(t, n, c, "s", post(Confirmable, "y/z", ""), RequestOptions{}, got.done)
	request(t, n, c, "s", post(Confirmable, "x", ""), RequestOptions{}, got.done)
	n.run(time.Second)
	got.expect(t, "2.05 y/z", "2.05 x")
}

func TestNoResponse(t *testing.T) {
	n, c, s, _ := pair(t)
	calls := 0
	s.Handle("drop", func(r *Request[string]) { calls++; r.NoResponse() })
	var got outcomes
	request(t, n, c, "s", post(Confirmable, "drop", ""), RequestOptions{MaxRetransmit: 1}, got.done)
	n.run(time.Minute)
	n.expect("c>s CON 0.02 drop", "c>s CON 0.02 drop")
	got.expect(t, "coap: no answer")
	if calls != 1 {
		t.Error("handled", calls, "times")
	}
}

func TestCancel(t *testing.T) {
	n, c, _, _ := pair(t)
	var got outcomes
	x := request(t, n, c, "s", post(Confirmable, "x", ""), RequestOptions{}, got.done)
	x.Cancel()
	x.Cancel()
	got.expect(t, "coap: cancelled")
	n.run(time.Minute) // the answer that comes is none of ours
	got.expect(t)
	for range 3 {
		request(t, n, c, "nobody", post(Confirmable, "x", ""), RequestOptions{}, got.done)
	}
	c.CancelAll()
	got.expect(t, "coap: cancelled", "coap: cancelled", "coap: cancelled")
	if c.Pending() != 0 || !c.Deadline().IsZero() {
		t.Error("left over:", c.Pending(), c.Deadline())
	}
}

// A request to a group is answered by many; the network repeats it (RFC 7731),
// and every member acts once.
func TestMulticast(t *testing.T) {
	n := newNetwork(t)
	c := n.node("c", Config[string]{SamePeer: func(sent, got string) bool { return sent == got || sent == "*all" }})
	calls := 0
	for _, name := range []string{"s", "t"} {
		n.node(name, Config[string]{}).Handle("x", func(r *Request[string]) {
			calls++
			if !r.Multicast {
				t.Error("not multicast")
			}
			r.Respond(Content, []byte(name))
		})
	}
	n.node("u", Config[string]{}) // has no such resource
	n.fate = func(_ int, _, to string, _ Message) int {
		if to == "all" {
			return 3
		}
		return 1
	}
	var got outcomes
	request(t, n, c, "*all", post(NonConfirmable, "x", ""), RequestOptions{Multiple: true, ResponseTimeout: time.Second}, got.done)
	n.run(900 * time.Millisecond)
	got.expect(t, "2.05 s", "2.05 t")
	n.run(200 * time.Millisecond)
	got.expect(t, "coap: no answer")
	if calls != 2 {
		t.Error("handled", calls, "times")
	}
	// A confirmable one breaks the rules; nobody acknowledges or rejects it.
	n.log = nil
	request(t, n, c, "*all", post(Confirmable, "y", ""), RequestOptions{MaxRetransmit: -1}, nil)
	c.cfg.Send("*all", emptyMessage(Confirmable, 1))
	n.nodes["s"].Receive(n.now, "*c", []byte{0x4f, 1, 0, 0})
	n.run(10 * time.Second)
	n.expect("c>all CON 0.02 y x3", "c>all CON 0.00 x3")
}

// Requests to an anycast address are answered from another one (Thread ALOCs).
func TestSamePeer(t *testing.T) {
	for _, same := range []bool{false, true} {
		n := newNetwork(t)
		c := n.node("c", Config[string]{SamePeer: func(sent, got string) bool {
			return sent == got || same && sent == "leader" && got == "s"
		}})
		n.node("s", Config[string]{}).Handle("x", func(r *Request[string]) { r.Respond(Changed, nil) })
		n.nodes["leader"] = n.nodes["s"]
		var got outcomes
		request(t, n, c, "leader", post(Confirmable, "x", ""), RequestOptions{}, got.done)
		n.run(20 * time.Second)
		if same {
			got.expect(t, "2.04")
		} else {
			got.expect(t)
		}
	}
}

// A forged or mistaken answer does not end an exchange.
func TestMismatch(t *testing.T) {
	n := newNetwork(t)
	c := n.node("c", Config[string]{})
	var got outcomes
	x := request(t, n, c, "s", post(Confirmable, "x", ""), RequestOptions{}, got.done)
	for _, m := range []Message{
		{Type: Acknowledgement, Code: Changed, MessageID: x.MessageID(), Token: []byte{1, 2, 3}},      // token
		{Type: Acknowledgement, Code: Changed, MessageID: x.MessageID() + 1, Token: x.Token()},        // id
		{Type: Reset, Code: Changed, MessageID: x.MessageID(), Token: x.Token()},                      // reset with a code
		{Type: Acknowledgement, Code: POST, MessageID: x.MessageID(), Token: x.Token()},               // request in an ACK
		{Type: Acknowledgement, Code: Code(3 << 5), MessageID: x.MessageID(), Token: x.Token()},       // reserved class
		{Type: NonConfirmable, MessageID: x.MessageID()},                                              // empty NON
		{Type: NonConfirmable, Code: Code(7<<5 | 1), MessageID: x.MessageID(), Token: x.Token()},      // signalling, TCP only
		{Type: Acknowledgement, Code: Changed, MessageID: x.MessageID(), Token: append(x.Token(), 0)}, // longer token
	} {
		c.Receive(n.now, "s", m.Append(nil))
	}
	for _, m := range []Message{
		{Type: Acknowledgement, Code: Changed, MessageID: x.MessageID(), Token: x.Token()},
		{Type: Acknowledgement, MessageID: x.MessageID()},
		{Type: Reset, MessageID: x.MessageID()},
	} {
		c.Receive(n.now, "mallory", m.Append(nil))
	}
	got.expect(t)
	n.expect("c>s CON 0.02 x")
	c.Receive(n.now, "s", Message{Type: Acknowledgement, Code: Changed, MessageID: x.MessageID(), Token: x.Token()}.Append(nil))
	got.expect(t, "2.04")
}

// What RFC 7252 Section 4.2 says to what makes no sense.
func TestReject(t *testing.T) {
	tests := []struct {
		name, wire, answer string
	}{
		{"ping", `40 00 0102`, "RST"},
		{"format error, CON", `40 01 0102 ff`, "RST"},
		{"format error, NON", `50 01 0102 ff`, ""},
		{"format error, ACK", `60 44 0102 ff`, ""},
		{"other version", `80 01 0102`, ""},
		{"too short", `40 01 01`, ""},
		{"reserved class, CON", `40 20 0102`, "RST"},
		{"reserved class, NON", `50 20 0102`, ""},
		{"unexpected response, CON", `41 45 0102 aa`, "RST"},
		{"unexpected response, NON", `51 45 0102 aa`, "RST"},
		{"unexpected response, ACK", `61 45 0102 aa`, ""},
		{"empty ACK", `60 00 0102`, ""},
		{"reset", `70 00 0102`, ""},
		{"unknown critical option, CON", `40 01 0102 90`, "ACK 4.02"},
		{"unknown critical option, NON", `50 01 0102 90`, ""},
		{"unknown elective option", `40 01 0102 a0`, "ACK 4.04"},
		{"Proxy-Uri x:y", `40 01 0102 d3 16 783a79`, "ACK 5.05"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var answer string
			e := New(Config[string]{Rand: rand.New(rand.NewPCG(1, 1)), Send: func(_ string, b []byte) {
				m, err := Decode(b)
				if err != nil || m.MessageID != 0x0102 {
					t.Errorf("sent %x, %v", b, err)
				}
				answer = m.Type.String()
				if m.Code != Empty {
					answer += " " + m.Code.String()
				}
			}})
			e.Receive(epoch, "p", unhex(t, tt.wire))
			if answer != tt.answer {
				t.Errorf("answered %q, want %q", answer, tt.answer)
			}
		})
	}
}

// A response with a critical option we do not know is rejected (RFC 7252
// Section 5.4.1), unless a handler of ours does.
func TestBadOptionInResponse(t *testing.T) {
	for _, known := range []bool{false, true} {
		n := newNetwork(t)
		c := n.node("c", Config[string]{KnownOption: func(o uint16) bool { return known && o == 9 }})
		s := n.node("s", Config[string]{})
		s.Handle("x", func(r *Request[string]) { r.Respond(Content, nil, Option{Number: 9}) })
		var kept *Request[string]
		s.Handle("y", func(r *Request[string]) { kept = r })
		var got outcomes
		request(t, n, c, "s", post(Confirmable, "x", ""), RequestOptions{}, got.done)
		request(t, n, c, "s", post(Confirmable, "y", ""), RequestOptions{}, got.done)
		n.run(time.Second)
		n.log = nil
		kept.RespondAt(n.now, Content, nil, Option{Number: 9})
		n.run(time.Second)
		if known {
			n.expect("s>c CON 2.05", "c>s ACK 0.00")
			got.expect(t, "2.05", "2.05")
		} else {
			n.expect("s>c CON 2.05", "c>s RST 0.00")
			got.expect(t, "coap: response has an unknown critical option")
		}
	}
}

func TestDuplicateLifetime(t *testing.T) {
	n, c, _, calls := pair(t)
	for i, typ := range []Type{Confirmable, NonConfirmable} {
		*calls = 0
		m := post(typ, "x", "")
		m.MessageID, m.Token = uint16(100+i), []byte{1}
		life := []time.Duration{defaultExchangeLifetime, defaultNonLifetime}[i]
		for _, step := range []struct {
			after time.Duration
			calls int
		}{{0, 1}, {life - 10*latency, 1}, {20 * latency, 2}} {
			n.run(step.after)
			c.cfg.Send("s", m.Append(nil))
			n.run(2 * latency)
			if *calls != step.calls {
				t.Errorf("%v after another %v: %d calls, want %d", typ, step.after, *calls, step.calls)
			}
		}
	}
}

func TestNSTART(t *testing.T) {
	n := newNetwork(t)
	c := n.node("c", Config[string]{NSTART: 1})
	for _, name := range []string{"s", "t"} {
		n.node(name, Config[string]{}).Handle("x", func(r *Request[string]) { r.Respond(Changed, nil) })
	}
	var got outcomes
	var held *Exchange[string]
	for i := range 4 {
		x := request(t, n, c, "s", post(Confirmable, "x", fmt.Sprint(i)), RequestOptions{}, got.done)
		if i == 2 {
			held = x
		}
	}
	request(t, n, c, "t", post(Confirmable, "x", "t"), RequestOptions{}, got.done)
	n.expect("c>s CON 0.02 x 0", "c>t CON 0.02 x t")
	held.Cancel()
	n.run(time.Second)
	n.expect("s>c ACK 2.04", "t>c ACK 2.04", "c>s CON 0.02 x 1", "s>c ACK 2.04", "c>s CON 0.02 x 3", "s>c ACK 2.04")
	got.expect(t, "coap: cancelled", "2.04", "2.04", "2.04", "2.04")
}

func TestRequestErrors(t *testing.T) {
	n := newNetwork(t)
	c := n.node("c", Config[string]{MaxPending: 2})
	never := func(Response[string], error) { t.Error("done was called") }
	for name, m := range map[string]Message{
		"response": {Code: Changed}, "empty": {}, "ACK": {Type: Acknowledgement, Code: GET}, "token": {Code: GET, Token: make([]byte, 9)},
	} {
		if _, err := c.Request(n.now, "s", m, RequestOptions{}, never); err != ErrInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	m := post(Confirmable, "x", "")
	m.MessageID = 7
	request(t, n, c, "s", m, RequestOptions{}, nil)
	if _, err := c.Request(n.now, "s", m, RequestOptions{}, never); err != ErrInUse {
		t.Error(err)
	}
	m.MessageID = 0
	request(t, n, c, "s", m, RequestOptions{}, nil)
	if _, err := c.Request(n.now, "s", m, RequestOptions{}, never); err != ErrBusy {
		t.Error(err)
	}
}

// Message ids and tokens in use are skipped, and zero is no message id.
func TestFreshIDs(t *testing.T) {
	n := newNetwork(t)
	c := n.node("c", Config[string]{MaxPending: 1 << 14})
	n.fate = func(int, string, string, Message) int { return 0 }
	c.lastMID = 0xfff0
	mids, tokens := make(map[uint16]bool), make(map[string]bool)
	for range 1 << 14 {
		x := request(t, n, c, "s", post(Confirmable, "x", ""), RequestOptions{}, nil)
		if x.MessageID() == 0 || mids[x.MessageID()] || tokens[string(x.Token())] {
			t.Fatalf("id %d, token %x", x.MessageID(), x.Token())
		}
		mids[x.MessageID()], tokens[string(x.Token())] = true, true
	}
}

// Requests made from within callbacks work.
func TestChain(t *testing.T) {
	n, c, s, _ := pair(t)
	s.Handle("ask", func(r *Request[string]) {
		if _, err := s.Request(n.now, r.From, post(Confirmable, "back", ""), RequestOptions{}, func(resp Response[string], err error) {
			r.RespondAt(n.now, Content, resp.Payload)
		}); err != nil {
			t.Error(err)
		}
	})
	c.Handle("back", func(r *Request[string]) { r.Respond(Content, []byte("me")) })
	var got outcomes
	request(t, n, c, "s", post(Confirmable, "ask", ""), RequestOptions{}, func(r Response[string], err error) {
		got.done(r, err)
		request(t, n, c, r.From, post(Confirmable, "x", "2nd"), RequestOptions{}, got.done)
	})
	n.run(time.Second)
	got.expect(t, "2.05 me", "2.04 2nd")
}

// Requests survive the buffer they came in.
func TestKeptRequest(t *testing.T) {
	var kept *Request[string]
	e := New(Config[string]{Rand: rand.New(rand.NewPCG(1, 1)), Send: func(string, []byte) {}})
	e.Handle("x", func(r *Request[string]) { kept = r })
	m := post(Confirmable, "x", "payload")
	m.Token = []byte{1, 2}
	b := m.Append(nil)
	e.Receive(epoch, "p", b)
	for i := range b {
		b[i] = 0xee
	}
	if kept.Path() != "x" || string(kept.Payload) != "payload" || !slices.Equal(kept.Token, []byte{1, 2}) {
		t.Errorf("%+v", kept.Message)
	}
}

// With every third message lost in both directions, and some doubled, every
// request gets exactly one outcome, every one but very few its answer, and the
// server never acts twice.
func TestLossy(t *testing.T) {
	n, c, s, _ := pair(t)
	r := rand.New(rand.NewPCG(3, 4))
	n.fate = func(int, string, string, Message) int {
		switch v := r.Float64(); {
		case v < 0.30:
			return 0
		case v < 0.40:
			return 2
		}
		return 1
	}
	seen := make(map[string]int)
	s.Handle("sep", func(r *Request[string]) { seen[string(r.Payload)]++; r.acknowledge(); r.Respond(Content, r.Payload) })
	s.Handle("pig", func(r *Request[string]) { seen[string(r.Payload)]++; r.Respond(Content, r.Payload) })
	const requests = 2000
	ended, ok := 0, 0
	for i := range requests {
		id := fmt.Sprint(i)
		count := 0
		request(t, n, c, "s", post(Confirmable, []string{"sep", "pig"}[i%2], id), RequestOptions{}, func(r Response[string], err error) {
			if count++; count > 1 {
				t.Errorf("request %s ended %d times", id, count)
			}
			ended++
			if err == nil && string(r.Payload) == id {
				ok++
			}
		})
		n.run(2 * time.Second)
	}
	n.run(10 * time.Minute)
	if ended != requests || c.Pending()+s.Pending() != 0 {
		t.Errorf("%d of %d ended, %d pending", ended, requests, c.Pending()+s.Pending())
	}
	if ok < requests*95/100 {
		t.Errorf("%d of %d answered", ok, requests)
	}
	for id, times := range seen {
		if times > 1 {
			t.Errorf("request %s was handled %d times", id, times)
		}
	}
	t.Logf("%d of %d answered, %d messages", ok, requests, n.sent)
}

// A flood from many peers takes a bounded amount of memory.
func TestFlood(t *testing.T) {
	cfg := Config[int]{
		Rand: rand.New(rand.NewPCG(1, 1)), Send: func(int, []byte) {},
		MaxPending: 50, CacheEntries: 100, CacheBytes: 10000,
	}
	e := New(cfg)
	e.Handle("big", func(r *Request[int]) { r.Respond(Content, make([]byte, 1000)) })
	e.Handle("con", func(r *Request[int]) { r.acknowledge(); r.Respond(Content, nil) }) // separate response
	obs := NewObservers(e, 5)
	e.Handle("obs", func(r *Request[int]) { obs.Respond(r, Content, nil) })
	var blocks *blockServer[int]
	e.Handle("up", func(r *Request[int]) { blocks.handle(r) })
	blocks = newBlockServer(BlockConfig{MaxTransfers: 7, MaxBytes: 5000}, func(r *Request[int]) { r.Respond(Changed, nil) })
	now := epoch
	for i := range 20000 {
		m := Message{Type: Type(i % 2), Code: POST, MessageID: uint16(i), Token: []byte{byte(i), byte(i >> 8)}}
		m.SetPath([]string{"big", "con", "obs", "up", "none"}[i%5])
		switch i % 5 {
		case 2:
			m.Code = GET
			m.SetObserve(0)
		case 3:
			m.AddOption(Block{Num: 0, More: true, SZX: 6}.Option(OptionBlock1))
			m.Payload = make([]byte, 1024)
		}
		now = now.Add(time.Millisecond)
		e.Receive(now, i, m.Append(nil))
		if i%100 == 0 {
			obs.Notify(now, Content, nil)
		}
		_, _ = e.Request(now, i, post(Confirmable, "x", ""), RequestOptions{}, nil)
	}
	checks := []struct {
		what     string
		got, max int
	}{
		{"pending exchanges", e.Pending(), 50},
		{"timers", len(e.timers), 50},
		{"tokens", len(e.byToken), 50},
		{"remembered messages", len(e.seen.entries), 100},
		{"order of them", e.seen.order.Len(), 100},
		{"bytes of them", e.seen.size, 10000},
		{"observers", obs.Len(), 5},
		{"uploads", len(blocks.uploads.entries), 7},
		{"bytes of them", blocks.uploads.size, 5000},
	}
	for _, c := range checks {
		if c.got > c.max || c.got == 0 {
			t.Errorf("%d %s, want 1 to %d", c.got, c.what, c.max)
		}
	}
}
