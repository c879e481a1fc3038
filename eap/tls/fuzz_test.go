package tls

import (
	"bytes"
	stdtls "crypto/tls"
	"testing"

	"gatewayd/eap"
)

// A message of any length comes through fragments of any size as it was, and
// no packet is larger than allowed.
func FuzzFragments(f *testing.F) {
	f.Add([]byte("hello"), uint16(300))
	f.Add(make([]byte, 1000), uint16(64))
	f.Add(make([]byte, 58), uint16(64)) // just fits
	f.Add(make([]byte, 59), uint16(64))
	f.Add([]byte{}, uint16(1020))
	f.Fuzz(func(t *testing.T, message []byte, mtu uint16) {
		if mtu < minMTU || len(message) > maxMessage {
			return
		}
		s := sender{mtu: int(mtu)}
		s.load(message)
		var r receiver
		for n := 0; ; n++ {
			b := s.next()
			if len(b)+eap.MethodHeaderLen > int(mtu) {
				t.Fatalf("packet of %d octets, more than %d", len(b)+eap.MethodHeaderLen, mtu)
			}
			p, err := parse(b)
			if err != nil {
				t.Fatal(err)
			}
			got, done, err := r.add(p)
			if err != nil || done == s.pending() {
				t.Fatalf("fragment %d of %d octets in %d: done %v, %v", n, len(message), mtu, done, err)
			}
			if done {
				if !bytes.Equal(got, message) {
					t.Fatalf("%x became %x", message, got)
				}
				return
			}
		}
	})
}

// Fragments of somebody else's neither panic nor fill the memory. The input
// is cut at each octet that is its own length.
func FuzzReassembly(f *testing.F) {
	f.Add([]byte{6, 0xc0, 0, 0, 0, 8, 1, 5, 0x40, 1, 2, 3, 2, 0, 9})
	f.Add([]byte{5, 0x80, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{1, 0x40, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		var r receiver
		sum := 0
		for len(in) > 0 {
			n := min(int(in[0]), len(in)-1)
			p, err := parse(in[1 : 1+n])
			in = in[1+n:]
			if err != nil {
				return
			}
			sum += len(p.data)
			message, done, err := r.add(p)
			if err != nil {
				return
			}
			if len(r.b) > maxMessage || done && len(message) != sum {
				t.Fatalf("%d octets kept, %d of %d came out", len(r.b), len(message), sum)
			}
			if done {
				sum = 0
			}
		}
	})
}

var fuzzSetup *setup

// Whatever is put in a conversation, at whatever point, neither side panics
// nor goes on for ever, and none succeeds without the other's own packets.
func FuzzConversation(f *testing.F) {
	fuzzSetup = newSetup(f, 0)
	for _, v := range versions {
		s := newSetup(f, v.id)
		server, peer := s.sides(f)
		for i, p := range run(f, server, peer, 300).packets {
			f.Add(v.id == stdtls.VersionTLS13, uint8(i), p)
		}
	}
	for i, p := range recording(f) {
		f.Add(true, uint8(i), p.Append(nil))
	}
	f.Fuzz(func(t *testing.T, v13 bool, when uint8, b []byte) {
		s := *fuzzSetup
		s.server.MaxVersion, s.peer.MaxVersion = stdtls.VersionTLS12, stdtls.VersionTLS12
		if v13 {
			s.server.MaxVersion, s.peer.MaxVersion = 0, 0
		}
		server, peer := s.sides(t)
		es := eap.NewServer(eap.ServerConfig{
			Methods: func(string, eap.Port) []eap.ServerMethodFactory { return []eap.ServerMethodFactory{server} },
			Port:    eap.Port{MTU: 400},
		})
		ep := eap.NewPeer(eap.PeerConfig{Methods: []eap.PeerMethodFactory{peer}, MTU: 400})
		defer es.Close()
		defer ep.Close()
		var pr eap.Result
		sr := es.Begin()
		put := func(n int) {
			if n != int(when%40) {
				return
			}
			if r := es.Receive(b); r.Outcome == eap.Success && !bytes.Equal(b, pr.Packet) {
				// The last word of the peer's is an acknowledgement, which
				// anybody can say.
				if p, err := eap.Decode(b); err != nil || !bytes.Equal(p.Data, []byte{0}) && len(p.Data) != 5 {
					t.Errorf("server succeeds by %x at %d", b, n)
				}
			}
			if r := ep.Receive(b); r.Outcome == eap.Success && r.Identity != "gateway" {
				t.Errorf("peer succeeds by %x at %d with nobody", b, n)
			}
		}
		for n := 0; n < 200 && sr.Packet != nil; n += 2 {
			put(n)
			end := sr.Outcome != eap.Continue
			if pr = ep.Receive(sr.Packet); pr.Packet == nil || end {
				return
			}
			put(n + 1)
			sr = es.Receive(pr.Packet)
		}
		if sr.Packet != nil {
			t.Error("no end")
		}
	})
}

// Somebody who makes everything up gets nowhere with either side, in no more
// than the allowed number of packets. The input is cut at each octet that is
// its own length; hello begins with a real client's.
func FuzzAlone(f *testing.F) {
	fuzzSetup = newSetup(f, 0)
	f.Add(false, []byte{3, 0, 22, 3})
	f.Add(true, []byte{1, 0, 1, 0})
	f.Add(true, []byte{8, 0, 21, 3, 3, 0, 2, 2, 40})                     // an alert
	f.Add(true, []byte{12, 0x80, 0, 0, 0, 7, 20, 3, 3, 0, 1, 1, 22})     // ChangeCipherSpec, and more than announced
	f.Add(true, []byte{10, 0xc0, 0, 0, 0xff, 0xff, 22, 3, 3, 0x40, 0x0}) // the first fragment of many
	f.Add(false, append([]byte{0x87, 0}, unhex(f, helloCCM8)[:134]...))
	f.Fuzz(func(t *testing.T, hello bool, in []byte) {
		server, peer := fuzzSetup.sides(t)
		sm, err := server.Start(eap.ServerContext{})
		if err != nil {
			t.Fatal(err)
		}
		defer sm.Close()
		pm, err := peer.Start(eap.PeerContext{MTU: eap.DefaultMTU})
		if err != nil {
			t.Fatal(err)
		}
		defer pm.Close()
		sm.Next(eap.Packet{}, 1)
		pm.Next(eap.Packet{Code: eap.CodeRequest, Type: eap.TypeTLS, Data: []byte{flagStart}})
		if hello {
			sm.Next(eap.Packet{Code: eap.CodeResponse, Type: eap.TypeTLS, Data: append([]byte{0}, unhex(t, hello12)...)}, 2)
		}
		ended, aborted := false, false
		for n := 0; len(in) > 0 && n < 60; n++ {
			k := min(int(in[0]), len(in)-1)
			data := in[1 : 1+k]
			in = in[1+k:]
			if !ended {
				st := sm.Next(eap.Packet{Code: eap.CodeResponse, Type: eap.TypeTLS, Data: data}, uint8(n))
				if st.Outcome == eap.Success || st.MSK != nil || len(st.Data) > eap.DefaultMTU {
					t.Fatalf("server: %+v by %x", st, data)
				}
				ended = st.Outcome == eap.Failure
				if ended && st.Reason == nil {
					t.Fatal("server fails without a reason")
				}
			}
			if !aborted {
				st := pm.Next(eap.Packet{Code: eap.CodeRequest, Type: eap.TypeTLS, Data: data})
				if st.Decision != eap.DecideFail || st.MSK != nil || !st.Ignore && st.Reason == nil {
					t.Fatalf("peer: %+v by %x", st, data)
				}
				aborted = st.Abort
			}
		}
	})
}
