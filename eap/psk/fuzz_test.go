package psk

import (
	"bytes"
	"testing"

	"gatewayd/eap"
)

// Whatever comes at whatever state, neither side panics, and neither succeeds
// unless it got what the other one sent. The peer may take any Success once it
// had the third message, which proves the server's consent.
func FuzzConversation(f *testing.F) {
	for _, r := range recordings {
		for i, p := range r.packets {
			f.Add(uint8(i), unhex(f, p))
		}
	}
	f.Add(uint8(5), []byte{3, 2, 0, 4})
	f.Fuzz(func(t *testing.T, when uint8, b []byte) {
		w := newWorld(t)
		s, p := w.sides()
		at := int(when % 8)
		genuine := false
		run(s, p, func(n int, packet []byte) []byte {
			genuine = genuine || bytes.Equal(packet, b)
			if n != at {
				return packet
			}
			for range 2 {
				if r := p.Receive(b); r.Outcome == eap.Success && n < 5 {
					t.Errorf("peer succeeds by %x at %d", b, n)
				}
				if r := s.Receive(b); r.Outcome == eap.Success && !genuine {
					t.Errorf("server succeeds by %x at %d", b, n)
				}
			}
			return packet
		})
	})
}
