package coap

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"
)

// text makes a body in which every place looks different.
func text(n int) []byte {
	var b []byte
	for i := 0; len(b) < n; i++ {
		b = fmt.Appendf(b, "%d,", i)
	}
	return b[:n]
}

func TestBlockOption(t *testing.T) {
	tests := []struct {
		b    Block
		wire string
	}{
		{Block{}, ""},
		{Block{0, true, 0}, "\x08"},
		{Block{1, false, 6}, "\x16"},
		{Block{16, true, 2}, "\x01\x0a"},
		{Block{maxBlockNum, true, 6}, "\xff\xff\xfe"},
	}
	for _, tt := range tests {
		o := tt.b.Option(OptionBlock1)
		if string(o.Value) != tt.wire {
			t.Errorf("%+v is %x, want %x", tt.b, o.Value, tt.wire)
		}
		if got, ok := (Message{Options: []Option{o}}).Block1(); got != tt.b || !ok {
			t.Errorf("%x is %+v, want %+v", tt.wire, got, tt.b)
		}
	}
	if b, ok := (Message{Options: []Option{{OptionBlock2, []byte{7}}}}).Block2(); ok {
		t.Error("reserved size accepted:", b)
	}
	for size, want := range map[int]uint8{0: 6, 1: 0, 16: 0, 31: 0, 32: 1, 1000: 5, 1024: 6, 5000: 6} {
		if got := szx(size); got != want {
			t.Errorf("%d bytes: exponent %d, want %d", size, got, want)
		}
	}
}

// transferCase is a transfer of a request body and a response body.
type transferCase struct {
	up, down             int // bytes
	client, server       int // block sizes
	code                 Code
	messages, maxMessage int // messages in all, when nothing is lost; longest payload
}

func TestTransfer(t *testing.T) {
	tests := []transferCase{
		{0, 0, 0, 0, GET, 2, 0},
		{0, 1024, 0, 0, GET, 2, 1024},
		{0, 1025, 0, 0, GET, 4, 1024},
		{0, 5000, 0, 0, GET, 10, 1024},
		{0, 5000, 0, 256, GET, 40, 256},
		{0, 5000, 128, 0, GET, 80, 128},
		{100, 0, 0, 0, PUT, 2, 100},
		{1024, 0, 0, 0, PUT, 2, 1024},
		{1025, 0, 0, 0, PUT, 4, 1024},
		{5000, 0, 16, 0, PUT, 626, 16},
		{5000, 0, 1024, 64, PUT, 2 + 2*63, 1024}, // the rest, 3976 bytes, in smaller blocks
		{3000, 3000, 0, 0, POST, 6 + 4, 1024},
		{3000, 3000, 512, 256, POST, 2 + 2*10 + 2*11, 512},
		{10, 3000, 0, 0, FETCH, 6, 1024},
	}
	for _, tt := range tests {
		for _, lossy := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v %d-%d in %d-%d, lossy %v", tt.code, tt.up, tt.down, tt.client, tt.server, lossy), func(t *testing.T) {
				testTransfer(t, tt, lossy)
			})
		}
	}
}

func testTransfer(t *testing.T, tt transferCase, lossy bool) {
	n := newNetwork(t)
	c, s := n.node("c", Config[string]{}), n.node("s", Config[string]{})
	calls, longest := 0, 0
	s.Handle("x", Blockwise(BlockConfig{BlockSize: tt.server}, func(r *Request[string]) {
		calls++
		if !bytes.Equal(r.Payload, text(tt.up)) {
			t.Errorf("server got %d bytes, want %d", len(r.Payload), tt.up)
		}
		r.Respond(Content, text(tt.down))
	}))
	n.fate = func(i int, _, _ string, m Message) int {
		longest = max(longest, len(m.Payload))
		if lossy && i%3 == 1 {
			return 0
		}
		return 1
	}
	m := Message{Code: tt.code, Options: path("x"), Payload: text(tt.up)}
	ended := 0
	_, err := c.Transfer(n.now, "s", m, TransferOptions{BlockSize: tt.client}, func(r Response[string], err error) {
		ended++
		if err != nil || r.Code != Content || !bytes.Equal(r.Payload, text(tt.down)) {
			t.Errorf("client got %v with %d bytes, %v; want %d", r.Code, len(r.Payload), err, tt.down)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	n.run(5 * time.Hour)
	if ended != 1 || calls != 1 || c.Pending() != 0 {
		t.Errorf("ended %d times, handled %d times, %d pending", ended, calls, c.Pending())
	}
	if longest != tt.maxMessage || !lossy && n.sent != tt.messages {
		t.Errorf("%d messages of up to %d bytes, want %d of %d", n.sent, longest, tt.messages, tt.maxMessage)
	}
}

// blockRequest is a request with a Block1 or Block2 option.
func blockRequest(code Code, number uint16, b Block, payload []byte) Message {
	m := Message{Code: code, Options: path("x"), Payload: payload}
	m.SetOption(b.Option(number))
	return m
}

func TestBlockServerRefuses(t *testing.T) {
	reserved := blockRequest(PUT, OptionBlock1, Block{SZX: 7}, nil)
	tests := []struct {
		name  string
		steps []Message
		want  []string
	}{
		{"reserved size", []Message{reserved}, []string{"4.00"}},
		{"begins in the middle", []Message{blockRequest(PUT, OptionBlock1, Block{1, false, 0}, text(3))}, []string{"4.08"}},
		{"gap", []Message{
			blockRequest(PUT, OptionBlock1, Block{0, true, 0}, text(16)),
			blockRequest(PUT, OptionBlock1, Block{2, false, 0}, text(3)),
		}, []string{"2.31", "4.08"}},
		{"block shorter than announced", []Message{blockRequest(PUT, OptionBlock1, Block{0, true, 1}, text(31))}, []string{"4.00"}},
		{"block longer than announced", []Message{blockRequest(PUT, OptionBlock1, Block{0, false, 0}, text(17))}, []string{"4.00"}},
		{"body too long", []Message{
			blockRequest(PUT, OptionBlock1, Block{0, true, 2}, text(64)),
			blockRequest(PUT, OptionBlock1, Block{1, true, 2}, text(64)),
		}, []string{"2.31", "4.13"}},
		{"another body in between", []Message{
			blockRequest(PUT, OptionBlock1, Block{0, true, 0}, text(16)),
			blockRequest(POST, OptionBlock1, Block{0, true, 0}, text(16)),
			blockRequest(PUT, OptionBlock1, Block{1, false, 0}, text(1)),
			blockRequest(POST, OptionBlock1, Block{1, false, 0}, text(2)),
		}, []string{"2.31", "2.31", "2.05 17", "2.05 18"}},
		{"starts anew", []Message{
			blockRequest(PUT, OptionBlock1, Block{0, true, 0}, text(16)),
			blockRequest(PUT, OptionBlock1, Block{0, true, 0}, text(16)),
			blockRequest(PUT, OptionBlock1, Block{1, false, 0}, text(1)),
		}, []string{"2.31", "2.31", "2.05 17"}},
		{"later block of nothing", []Message{blockRequest(POST, OptionBlock2, Block{1, false, 0}, nil)}, []string{"4.08"}},
		{"block past the end", []Message{blockRequest(GET, OptionBlock2, Block{1, false, 0}, nil)}, []string{"4.00"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := newNetwork(t)
			c := n.node("c", Config[string]{})
			n.node("s", Config[string]{}).Handle("x", Blockwise(BlockConfig{MaxBody: 100}, func(r *Request[string]) {
				r.Respond(Content, fmt.Append(nil, len(r.Payload)))
			}))
			var got outcomes
			for _, m := range tt.steps {
				request(t, n, c, "s", m, RequestOptions{}, got.done)
				n.run(time.Second)
			}
			got.expect(t, tt.want...)
		})
	}
}

// An unfinished upload is forgotten after its lifetime.
func TestUploadExpires(t *testing.T) {
	n := newNetwork(t)
	c := n.node("c", Config[string]{})
	n.node("s", Config[string]{}).Handle("x", Blockwise(BlockConfig{Lifetime: time.Minute}, func(r *Request[string]) { r.Respond(Changed, nil) }))
	var got outcomes
	request(t, n, c, "s", blockRequest(PUT, OptionBlock1, Block{0, true, 0}, text(16)), RequestOptions{}, got.done)
	n.run(61 * time.Second)
	request(t, n, c, "s", blockRequest(PUT, OptionBlock1, Block{1, false, 0}, text(16)), RequestOptions{}, got.done)
	n.run(time.Second)
	got.expect(t, "2.31", "4.08")
}

// A server that finds the first block too long names the size it wants
// (RFC 7959 Section 2.9.3).
func TestSmallerBlocksOnDemand(t *testing.T) {
	n := newNetwork(t)
	c := n.node("c", Config[string]{})
	h := Blockwise(BlockConfig{}, func(r *Request[string]) { r.Respond(Changed, fmt.Append(nil, len(r.Payload))) })
	n.node("s", Config[string]{}).Handle("x", func(r *Request[string]) {
		if len(r.Payload) > 64 {
			r.Respond(RequestEntityTooLarge, nil, Block{SZX: 2}.Option(OptionBlock1))
			return
		}
		h(r)
	})
	for _, size := range []int{200, 2000} {
		var got outcomes
		if _, err := c.Transfer(n.now, "s", Message{Code: PUT, Options: path("x"), Payload: text(size)}, TransferOptions{}, got.done); err != nil {
			t.Fatal(err)
		}
		n.run(time.Minute)
		got.expect(t, fmt.Sprint("2.04 ", size))
	}
}

// What a client makes of blocks that do not fit together.
func TestTransferFails(t *testing.T) {
	block := func(num uint32, more bool, etag byte, payload int) func(r *Request[string]) {
		return func(r *Request[string]) {
			r.Respond(Content, text(payload), Option{OptionETag, []byte{etag}}, Block{num, more, 2}.Option(OptionBlock2))
		}
	}
	tests := []struct {
		name  string
		steps []func(r *Request[string])
		want  string
	}{
		{"fine", []func(*Request[string]){block(0, true, 1, 64), block(1, false, 1, 1)}, "<nil>"},
		{"changes", []func(*Request[string]){block(0, true, 1, 64), block(1, false, 2, 1)}, ErrIncomplete.Error()},
		{"wrong block", []func(*Request[string]){block(0, true, 1, 64), block(2, false, 1, 1)}, ErrIncomplete.Error()},
		{"begins in the middle", []func(*Request[string]){block(1, false, 1, 64)}, ErrIncomplete.Error()},
		{"short block", []func(*Request[string]){block(0, true, 1, 63)}, ErrIncomplete.Error()},
		{"loses its blocks", []func(*Request[string]){block(0, true, 1, 64), func(r *Request[string]) { r.Respond(Content, text(3)) }}, ErrIncomplete.Error()},
		{"too long", []func(*Request[string]){block(0, true, 1, 64), block(1, true, 1, 64)}, ErrTooLarge.Error()},
		{"resets", []func(*Request[string]){block(0, true, 1, 64), (*Request[string]).Reset}, ErrReset.Error()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := newNetwork(t)
			c := n.node("c", Config[string]{})
			steps := slices.Clone(tt.steps)
			n.node("s", Config[string]{}).Handle("x", func(r *Request[string]) {
				if len(steps) == 0 {
					t.Fatal("asked again")
				}
				steps[0](r)
				steps = steps[1:]
			})
			var got []string
			_, err := c.Transfer(n.now, "s", Message{Code: GET, Options: path("x")}, TransferOptions{MaxBody: 100}, func(_ Response[string], err error) {
				got = append(got, fmt.Sprint(err))
			})
			n.run(time.Minute)
			if err != nil || len(steps) != 0 || !slices.Equal(got, []string{tt.want}) {
				t.Errorf("%v, %d steps left, ended with %q, want %q", err, len(steps), got, tt.want)
			}
		})
	}
}

func TestTransferCancel(t *testing.T) {
	n := newNetwork(t)
	c := n.node("c", Config[string]{})
	n.node("s", Config[string]{}).Handle("x", Blockwise(BlockConfig{}, func(r *Request[string]) { r.Respond(Changed, nil) }))
	var got outcomes
	x, err := c.Transfer(n.now, "s", Message{Code: PUT, Options: path("x"), Payload: text(5000)}, TransferOptions{}, got.done)
	if err != nil {
		t.Fatal(err)
	}
	n.run(3 * latency)
	x.Cancel()
	x.Cancel()
	n.run(time.Minute)
	got.expect(t, "coap: cancelled")
	if c.Pending() != 0 {
		t.Error("still pending")
	}
}

// A later block, asked for in a larger size than the server's, begins at the
// same place.
func TestLargerBlockAsked(t *testing.T) {
	n := newNetwork(t)
	c := n.node("c", Config[string]{})
	n.node("s", Config[string]{}).Handle("x", Blockwise(BlockConfig{BlockSize: 256}, func(r *Request[string]) { r.Respond(Content, text(2000)) }))
	ended := false
	request(t, n, c, "s", blockRequest(GET, OptionBlock2, Block{Num: 1, SZX: 6}, nil), RequestOptions{}, func(r Response[string], err error) {
		ended = true
		if b, _ := r.Block2(); err != nil || b != (Block{4, true, 4}) || !bytes.Equal(r.Payload, text(2000)[1024:1280]) {
			t.Errorf("got %+v, %q, %v", b, r.Payload, err)
		}
	})
	n.run(time.Second)
	if !ended {
		t.Error("no answer")
	}
}
