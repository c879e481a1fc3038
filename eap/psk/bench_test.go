package psk

import (
	"testing"
	"time"

	"gatewayd/eap"
)

// One full authentication, from the Identity request to EAP-Success. The time
// of the operation is both sides'; server-ns is the server's part of it.
func BenchmarkAuthenticate(b *testing.B) {
	w := newWorld(b)
	var server time.Duration
	b.ReportAllocs()
	for b.Loop() {
		s, p := w.sides()
		var r eap.Result
		for packet := []byte(nil); r.Outcome == eap.Continue; {
			start := time.Now()
			if packet == nil {
				r = s.Begin()
			} else {
				r = s.Receive(packet)
			}
			server += time.Since(start)
			packet = p.Receive(r.Packet).Packet
		}
		if r.Outcome != eap.Success {
			b.Fatal(r.Reason)
		}
	}
	b.ReportMetric(float64(server.Nanoseconds())/float64(b.N), "server-ns/op")
}

func BenchmarkSeal(b *testing.B) {
	var e eaxState
	e.init(newCipher(&block{1}))
	nonce, header, p := make([]byte, 16), make([]byte, headerLen), make([]byte, 1)
	b.ReportAllocs()
	for b.Loop() {
		e.seal(nonce, header, p)
	}
}

func BenchmarkNewKey(b *testing.B) {
	for b.Loop() {
		if _, err := NewKey(sensorKey); err != nil {
			b.Fatal(err)
		}
	}
}
