package tls

import (
	"syscall"
	"testing"
	"time"

	"gatewayd/eap"
)

// One full authentication with P-256 certificates, from the Identity request
// to EAP-Success. The time of the operation is both sides'; server-ns is the
// server's part of it, and cpu-ns both sides' time on a processor, collector
// included, which does not depend on what else the machine does.
func benchmark(b *testing.B, version uint16, resume bool) {
	s := newSetup(b, version)
	if resume {
		s.server.Resume, s.peer.Sessions = time.Hour, 1
	}
	server, peer := s.sides(b)
	methods := func(string, eap.Port) []eap.ServerMethodFactory { return []eap.ServerMethodFactory{server} }
	if resume {
		agree(b, run(b, server, peer, 0))
	}
	var busy time.Duration
	b.ReportAllocs()
	start := processor(b)
	for b.Loop() {
		es := eap.NewServer(eap.ServerConfig{Methods: methods, Port: eap.Port{MTU: 1400}})
		ep := eap.NewPeer(eap.PeerConfig{Methods: []eap.PeerMethodFactory{peer}, MTU: 1400})
		var r eap.Result
		for packet := []byte(nil); r.Outcome == eap.Continue; {
			at := time.Now()
			if packet == nil {
				r = es.Begin()
			} else {
				r = es.Receive(packet)
			}
			busy += time.Since(at)
			packet = ep.Receive(r.Packet).Packet
		}
		if r.Outcome != eap.Success {
			b.Fatal(r.Reason)
		}
	}
	b.ReportMetric(float64(busy.Nanoseconds())/float64(b.N), "server-ns/op")
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

func BenchmarkAuthenticate(b *testing.B) {
	for _, v := range versions {
		b.Run("TLS"+v.name, func(b *testing.B) { benchmark(b, v.id, false) })
		b.Run("TLS"+v.name+"resumed", func(b *testing.B) { benchmark(b, v.id, true) })
	}
}
