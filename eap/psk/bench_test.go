package psk

import (
	"syscall"
	"testing"
	"time"

	"gatewayd/eap"
)

// One full authentication, from the Identity request to EAP-Success. The time
// of the operation is both sides'; server-ns is the server's part of it, and
// cpu-ns both sides' time on a processor, collector included, which does not
// depend on what else the machine does.
func BenchmarkAuthenticate(b *testing.B) {
	w := newWorld(b)
	var server time.Duration
	b.ReportAllocs()
	start := processor(b)
	for b.Loop() {
		s, p := w.sides()
		var r eap.Result
		for packet := []byte(nil); r.Outcome == eap.Continue; {
			at := time.Now()
			if packet == nil {
				r = s.Begin()
			} else {
				r = s.Receive(packet)
			}
			server += time.Since(at)
			packet = p.Receive(r.Packet).Packet
		}
		if r.Outcome != eap.Success {
			b.Fatal(r.Reason)
		}
	}
	b.ReportMetric(float64(server.Nanoseconds())/float64(b.N), "server-ns/op")
	b.ReportMetric(float64((processor(b)-start).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// processor is the time that this process spent on processors.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
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
