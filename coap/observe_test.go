package coap

import (
	"bytes"
	"testing"
	"time"
)

// observed returns a client and a server with an observable resource x.
func observed(t *testing.T) (n *network, c *Endpoint[string], l *Observers[string], state *string) {
	n = newNetwork(t)
	c, s := n.node("c", Config[string]{}), n.node("s", Config[string]{})
	l, state = NewObservers(s, 2), new(string)
	*state = "0"
	s.Handle("x", func(r *Request[string]) { l.Respond(r, Content, []byte(*state)) })
	return n, c, l, state
}

func observe(t *testing.T, n *network, c *Endpoint[string], got *outcomes) *Observation[string] {
	t.Helper()
	o, err := c.Observe(n.now, "s", Message{Code: GET, Options: path("x")}, TransferOptions{}, got.done)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestObserve(t *testing.T) {
	n, c, l, _ := observed(t)
	var got outcomes
	o := observe(t, n, c, &got)
	n.run(time.Second)
	for _, s := range []string{"1", "2"} {
		l.Notify(n.now, Content, []byte(s))
		n.run(time.Second)
	}
	got.expect(t, "2.05 0", "2.05 1", "2.05 2")
	n.expect("c>s CON 0.01 x", "s>c ACK 2.05 0", "s>c CON 2.05 1", "c>s ACK 0.00", "s>c CON 2.05 2", "c>s ACK 0.00")
	o.Cancel(n.now)
	o.Cancel(n.now)
	n.run(time.Second)
	n.expect("c>s CON 0.01 x", "s>c ACK 2.05 0")
	l.Notify(n.now, Content, []byte("3"))
	n.run(time.Hour)
	n.expect()
	got.expect(t)
	if l.Len() != 0 || c.Pending() != 0 || !c.Deadline().IsZero() {
		t.Error("left over:", l.Len(), c.Pending())
	}
}

// While a notification is not acknowledged, newer states wait, and only the
// newest is sent (RFC 7641 Section 4.5.2).
func TestNotifyLatest(t *testing.T) {
	n, c, l, _ := observed(t)
	var got outcomes
	observe(t, n, c, &got)
	n.run(time.Second)
	n.fate = lose(n.sent)
	for _, s := range []string{"1", "2", "3"} {
		l.Notify(n.now, Content, []byte(s))
	}
	n.run(10 * time.Second)
	got.expect(t, "2.05 0", "2.05 1", "2.05 3")
}

// A client that forgot the observation rejects, one that is gone is silent.
func TestObserverLost(t *testing.T) {
	for name, lose := range map[string]func(n *network, c *Endpoint[string]){
		"reset":  func(n *network, c *Endpoint[string]) { c.CancelAll() },
		"silent": func(n *network, c *Endpoint[string]) { delete(n.nodes, "c") },
	} {
		t.Run(name, func(t *testing.T) {
			n, c, l, _ := observed(t)
			var got outcomes
			observe(t, n, c, &got)
			n.run(time.Second)
			lose(n, c)
			l.Notify(n.now, Content, []byte("1"))
			n.run(time.Minute / 2)
			l.Notify(n.now, Content, []byte("2"))
			n.run(2 * time.Minute)
			if l.Len() != 0 {
				t.Error("still observed")
			}
		})
	}
}

func TestObserveEnds(t *testing.T) {
	n, c, l, _ := observed(t)
	var got outcomes
	observe(t, n, c, &got)
	n.run(time.Second)
	l.Notify(n.now, NotFound, nil)
	n.run(time.Second)
	got.expect(t, "2.05 0", "4.04", "coap: resource is not observed")
	if l.Len() != 0 || c.Pending() != 0 {
		t.Error("left over:", l.Len(), c.Pending())
	}
}

// The list is full, or the resource knows no observation.
func TestNotObservable(t *testing.T) {
	n, c, l, _ := observed(t)
	var got, third outcomes
	observe(t, n, c, &got)
	observe(t, n, c, &got)
	n.run(time.Second)
	observe(t, n, c, &third)
	n.run(time.Second)
	third.expect(t, "2.05 0", "coap: resource is not observed")
	if l.Len() != 2 {
		t.Error(l.Len(), "observers")
	}
}

// When nothing comes for longer than Max-Age, the client registers again, and
// finds out whether the server restarted or is gone (RFC 7641 Section 3.3.1).
func TestObserveRefresh(t *testing.T) {
	n, c, l, state := observed(t)
	var got outcomes
	observe(t, n, c, &got)
	n.run(time.Second)
	for range 3 {
		l.Notify(n.now, Content, []byte("n"))
		n.run(time.Second)
	}
	got.expect(t, "2.05 0", "2.05 n", "2.05 n", "2.05 n")
	// The server restarts: its sequence numbers begin anew.
	*l = *NewObservers(n.nodes["s"], 2)
	*state = "restarted"
	n.run(64 * time.Second)
	got.expect(t)
	n.run(12 * time.Second)
	got.expect(t, "2.05 restarted")
	l.Notify(n.now, Content, []byte("1"))
	n.run(time.Second)
	got.expect(t, "2.05 1")
	if l.Len() != 1 {
		t.Error(l.Len(), "observers")
	}
	delete(n.nodes, "s")
	n.run(4 * time.Minute)
	got.expect(t, "coap: no answer")
	if c.Pending() != 0 {
		t.Error("still pending")
	}
}

// RFC 7641 Section 3.4.
func TestNewer(t *testing.T) {
	tests := []struct {
		v1, v2  uint32
		between time.Duration
		want    bool
	}{
		{1, 2, 0, true},
		{2, 2, 0, false},
		{2, 1, 0, false},
		{2, 1, 128 * time.Second, false},
		{2, 1, 129 * time.Second, true},
		{1<<24 - 1, 0, 0, true},
		{0, 1<<24 - 1, 0, false},
		{0, 1<<23 - 1, 0, true},
		{0, 1 << 23, 0, false},
	}
	for _, tt := range tests {
		if got := newer(tt.v1, tt.v2, tt.between); got != tt.want {
			t.Errorf("%d after %d, %v later: %v", tt.v2, tt.v1, tt.between, got)
		}
	}
}

// A notification that was overtaken by a newer one is not shown.
func TestReordered(t *testing.T) {
	n := newNetwork(t)
	c := n.node("c", Config[string]{})
	var got outcomes
	o, err := c.Observe(n.now, "s", Message{Code: GET, Options: path("x")}, TransferOptions{}, got.done)
	if err != nil {
		t.Fatal(err)
	}
	for i, seq := range []uint32{10, 12, 11, 13} {
		m := Message{Type: NonConfirmable, Code: Content, MessageID: uint16(i), Token: o.x.Token(), Payload: []byte{'0' + byte(i)}}
		m.SetObserve(seq)
		c.Receive(n.now, "s", m.Append(nil))
	}
	got.expect(t, "2.05 0", "2.05 1", "2.05 3")
}

// States longer than a block: the notification brings the first block, the
// client fetches the others, from the same state.
func TestObserveBlocks(t *testing.T) {
	n := newNetwork(t)
	c, s := n.node("c", Config[string]{}), n.node("s", Config[string]{})
	l := NewObservers(s, 0)
	s.Handle("x", Blockwise(BlockConfig{BlockSize: 64}, func(r *Request[string]) { l.Respond(r, Content, text(500)) }))
	var got [][]byte
	_, err := c.Observe(n.now, "s", Message{Code: GET, Options: path("x")}, TransferOptions{}, func(r Response[string], err error) {
		if err != nil {
			t.Error(err)
		}
		got = append(got, r.Payload)
	})
	if err != nil {
		t.Fatal(err)
	}
	n.run(time.Second)
	for _, size := range []int{1000, 64, 65} {
		l.Notify(n.now, Content, text(size))
		n.run(time.Second)
	}
	// Replaced while it is fetched: only the newer one is shown.
	l.Notify(n.now, Content, text(2000))
	n.run(5 * latency)
	l.Notify(n.now, Content, text(700))
	n.run(time.Second)
	want := []int{500, 1000, 64, 65, 700}
	if len(got) != len(want) {
		t.Fatalf("%d states, want %d", len(got), len(want))
	}
	for i, size := range want {
		if !bytes.Equal(got[i], text(size)) {
			t.Errorf("state %d has %d bytes, want %d", i, len(got[i]), size)
		}
	}
	if c.Pending() != 1 || l.Len() != 1 {
		t.Error("left over:", c.Pending(), l.Len())
	}
}
