package coap

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/udp/coder"
)

// randomMessage makes a message that every implementation must be able to
// carry: defined options, with lengths their definitions allow.
func randomMessage(r *rand.Rand) Message {
	bytesOf := func(n int) []byte {
		if n == 0 {
			return nil
		}
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	m := Message{
		Type: Type(r.IntN(4)), Code: []Code{GET, POST, Changed, Content, NotFound}[r.IntN(5)],
		MessageID: uint16(r.Uint32()), Token: bytesOf(r.IntN(9)), Payload: bytesOf(r.IntN(300)),
	}
	for range r.IntN(6) {
		n := []uint16{OptionURIPath, OptionURIQuery, OptionETag, OptionObserve, OptionBlock1, OptionSize1, OptionURIHost}[r.IntN(7)]
		rule := optionRules[n]
		if _, have := m.Option(n); have && !rule.repeatable {
			continue
		}
		m.AddOption(Option{n, bytesOf(rule.min + r.IntN(rule.max-rule.min+1))})
	}
	return m
}

// go-coap and this package make the same bytes of the same message, and read
// them back alike.
func TestAgainstGoCoAP(t *testing.T) {
	r := rand.New(rand.NewPCG(7252, 1))
	for range 20000 {
		m := randomMessage(r)
		theirs := message.Message{
			Type: message.Type(m.Type), Code: codes.Code(m.Code), MessageID: int32(m.MessageID),
			Token: m.Token, Payload: m.Payload,
		}
		for _, o := range m.Options {
			theirs.Options = append(theirs.Options, message.Option{ID: message.OptionID(o.Number), Value: o.Value})
		}
		buf := make([]byte, 4096)
		n, err := coder.DefaultCoder.Encode(theirs, buf)
		if err != nil {
			t.Fatalf("%v: %v", m, err)
		}
		ours := m.Append(nil)
		if !bytes.Equal(ours, buf[:n]) {
			t.Fatalf("%v\nours   %x\ntheirs %x", m, ours, buf[:n])
		}

		got, err := Decode(buf[:n])
		if err != nil {
			t.Fatalf("%x: %v", buf[:n], err)
		}
		back := message.Message{Options: make(message.Options, 0, 16)}
		if _, err := coder.DefaultCoder.Decode(ours, &back); err != nil {
			t.Fatalf("theirs: %x: %v", ours, err)
		}
		if len(back.Options) != len(got.Options) || !bytes.Equal(back.Payload, got.Payload) || !bytes.Equal(back.Token, got.Token) {
			t.Fatalf("%x\nours   %+v\ntheirs %+v", ours, got, back)
		}
		for i, o := range got.Options {
			if back.Options[i].ID != message.OptionID(o.Number) || !bytes.Equal(back.Options[i].Value, o.Value) {
				t.Fatalf("%x: option %d: ours %v, theirs %v", ours, i, o, back.Options[i])
			}
		}
	}
}
