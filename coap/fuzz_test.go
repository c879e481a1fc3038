package coap

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

// What was decoded survives encoding and decoding again, and no accessor
// panics on it.
func FuzzDecode(f *testing.F) {
	for _, tt := range golden {
		f.Add(unhex(f, tt.wire))
	}
	f.Add([]byte("B0000010\x00\x80\x000")) // the path of two empty segments
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := Decode(in)
		if err != nil {
			return
		}
		_, _, _ = m.String(), m.Queries(), m.Clone()
		m.Block1()
		m.BadOption(nil)
		b := m.Append(nil)
		again, err := Decode(b)
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
		if len(b) > len(in) {
			t.Fatalf("%d bytes became %d", len(in), len(b)) // lengths have one form each
		}
		p := m.Path()
		m.SetPath(p)
		if m.Path() != p {
			t.Fatalf("path %q became %q", p, m.Path())
		}
	})
}

// Whatever arrives, an endpoint keeps within its bounds, sends only messages
// that decode, answers a datagram with few of its own, and comes to rest.
func FuzzReceive(f *testing.F) {
	add := func(ms ...Message) {
		var in []byte
		for _, m := range ms {
			b := m.Append(nil)
			in = append(append(in, byte(len(b))), b...)
		}
		f.Add(uint64(1), in)
	}
	for _, tt := range golden {
		add(tt.want)
	}
	reg := Message{Code: GET, Options: path("obs"), MessageID: 1, Token: []byte{1}}
	reg.SetObserve(0)
	rst := Message{Type: Reset, MessageID: 1}
	add(reg, reg, rst)
	up := Message{Code: PUT, Options: path("up"), MessageID: 2, Payload: text(16)}
	up.AddOption(Block{0, true, 0}.Option(OptionBlock1))
	add(up, Message{Code: PUT, MessageID: 3, Options: []Option{path("up")[0], Block{1, false, 0}.Option(OptionBlock1)}})
	f.Fuzz(func(t *testing.T, seed uint64, in []byte) {
		sent := 0
		e := New(Config[byte]{
			Rand: rand.New(rand.NewPCG(seed, 1)), MaxPending: 8, CacheEntries: 8, CacheBytes: 4096,
			Multicast: func(p byte) bool { return p == 3 },
			SamePeer:  func(sent, got byte) bool { return true },
			Send: func(_ byte, b []byte) {
				sent++
				if _, err := Decode(b); err != nil {
					t.Fatalf("sent %x: %v", b, err)
				}
			},
		})
		obs := NewObservers(e, 2)
		e.Handle("obs", Blockwise(BlockConfig{BlockSize: 16}, func(r *Request[byte]) { obs.Respond(r, Content, text(100)) }))
		up := newBlockServer(BlockConfig{MaxTransfers: 2, MaxBytes: 100}, func(r *Request[byte]) { r.Respond(Changed, r.Payload) })
		e.Handle("up", up.handle)
		e.Handle("late", func(r *Request[byte]) { r.Ack() })
		e.HandleRest(func(r *Request[byte]) { r.acknowledge(); r.Respond(Content, r.Payload) })
		now := epoch
		// Requests with known tokens and ids, for the input to answer.
		e.lastMID = 0
		ended := 0
		done := func(Response[byte], error) { ended++ }
		_, _ = e.Request(now, 0, Message{Code: GET, Token: []byte{1}}, RequestOptions{}, done)
		_, _ = e.Transfer(now, 0, Message{Code: PUT, Payload: text(2000)}, TransferOptions{MaxBody: 100}, done)
		_, _ = e.Observe(now, 0, Message{Code: GET, Token: []byte{2}}, TransferOptions{}, func(_ Response[byte], err error) {
			if err != nil {
				ended++
			}
		})
		for len(in) > 0 {
			n := min(int(in[0]), len(in)-1)
			before := sent
			e.Receive(now, byte(n%4), in[1:1+n])
			if sent > before+4 {
				t.Fatalf("%d datagrams answer one", sent-before)
			}
			in = in[1+n:]
			now = now.Add(time.Second)
			e.Advance(now)
			if e.Pending() > 8 || len(e.seen.entries) > 8 || e.seen.size > 4096 || obs.Len() > 2 ||
				len(up.uploads.entries) > 2 || up.uploads.size > 100 {
				t.Fatalf("bounds: %d pending, %d remembered", e.Pending(), len(e.seen.entries))
			}
			if n%16 == 5 {
				obs.Notify(now, Content, text(n))
			}
		}
		for range 1000 {
			at := e.Deadline()
			if at.IsZero() {
				if ended != 3 || e.Pending() != 0 {
					t.Fatalf("%d of 3 requests ended, %d pending", ended, e.Pending())
				}
				return
			}
			e.Advance(at)
		}
		t.Fatal("does not come to rest")
	})
}
