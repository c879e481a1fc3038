package tls

import (
	"bytes"
	stdtls "crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"gatewayd/eap"
)

var versions = []struct {
	name string
	id   uint16
}{{"1.2", stdtls.VersionTLS12}, {"1.3", stdtls.VersionTLS13}}

// agree checks that both sides succeeded with the same keys.
func agree(tb testing.TB, c talk) {
	tb.Helper()
	if c.server.Outcome != eap.Success || c.peer.Outcome != eap.Success {
		tb.Fatalf("server: %v, %v; peer: %v, %v", c.server.Outcome, c.server.Reason, c.peer.Outcome, c.peer.Reason)
	}
	if len(c.server.MSK) != 64 || len(c.server.EMSK) != 64 || bytes.Equal(c.server.MSK, make([]byte, 64)) ||
		!bytes.Equal(c.server.MSK, c.peer.MSK) || !bytes.Equal(c.server.EMSK, c.peer.EMSK) ||
		bytes.Equal(c.server.MSK, c.server.EMSK) {
		tb.Errorf("keys differ or are not keys:\n%x %x\n%x %x", c.server.MSK, c.server.EMSK, c.peer.MSK, c.peer.EMSK)
	}
	if len(c.server.SessionID) != 65 || c.server.SessionID[0] != 13 || !bytes.Equal(c.server.SessionID, c.peer.SessionID) {
		tb.Errorf("Session-Ids %x and %x", c.server.SessionID, c.peer.SessionID)
	}
	if c.server.Identity != "sensor-7" || c.peer.Identity != "gateway" {
		tb.Errorf("identities %q and %q", c.server.Identity, c.peer.Identity)
	}
}

func TestAuthenticate(t *testing.T) {
	for _, v := range versions {
		for _, mtu := range []int{0, 150, 300, 1020, 1400, 5000} {
			t.Run(v.name, func(t *testing.T) {
				server, peer := newSetup(t, v.id).sides(t)
				c := run(t, server, peer, mtu)
				t.Logf("MTU %d: %d packets", mtu, len(c.packets))
				agree(t, c)
			})
		}
	}
}

// A second conversation resumes the session of the first: new keys, fewer
// octets, no certificates.
func TestResume(t *testing.T) {
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			s := newSetup(t, v.id)
			now := noon
			s.server.Resume = time.Hour
			s.server.Now = func() time.Time { return now }
			s.peer.Now = s.server.Now
			s.peer.Sessions = 1
			server, peer := s.sides(t)

			full := run(t, server, peer, 300)
			agree(t, full)
			again := func(want bool) talk {
				t.Helper()
				c := run(t, server, peer, 300)
				if resumed := len(c.packets) < len(full.packets); resumed != want {
					t.Errorf("resumed: %v, want %v: %d packets after %d", resumed, want, len(c.packets), len(full.packets))
				}
				return c
			}
			short := again(true)
			agree(t, short)
			if bytes.Equal(short.server.MSK, full.server.MSK) || bytes.Equal(short.server.SessionID, full.server.SessionID) {
				t.Error("the same keys or Session-Id again")
			}
			for range 2 { // also the session that a resumption leaves
				now = now.Add(29 * time.Minute)
				agree(t, again(true))
			}
			now = now.Add(3 * time.Minute) // an hour after the certificates
			agree(t, again(false))
			agree(t, again(true))

			// A resumption is no way around what changed meanwhile.
			refused(t, run(t, server.Allowing(Subjects("sensor-8")), peer, 0), ErrSubject, "", ErrAlert, "")
			agree(t, run(t, server, peer, 0))
			list := s.ca.revoke(t, now.AddDate(0, 0, 1), s.peer.Certificate)
			if err := server.SetRevocation(Revocation{Lists: []*x509.RevocationList{list}}); err != nil {
				t.Fatal(err)
			}
			refused(t, run(t, server, peer, 0), ErrRevoked, "", ErrAlert, "")
			if err := server.SetRevocation(Revocation{}); err != nil {
				t.Fatal(err)
			}
			now = noon.AddDate(1, 0, 1)
			if c := run(t, server, peer, 0); c.server.Outcome != eap.Failure || c.peer.Outcome != eap.Failure {
				t.Errorf("after the certificates expired: %v, %v", c.server.Outcome, c.peer.Outcome)
			}
		})
	}
}

// Either side may not want to resume.
func TestNoResume(t *testing.T) {
	for _, v := range versions {
		for _, side := range []string{"server", "peer"} {
			s := newSetup(t, v.id)
			if side == "server" {
				s.peer.Sessions = 1
			} else {
				s.server.Resume = time.Hour
			}
			server, peer := s.sides(t)
			first, second := run(t, server, peer, 300), run(t, server, peer, 300)
			agree(t, first)
			agree(t, second)
			if len(first.packets) != len(second.packets) {
				t.Errorf("TLS %s, not the %s: resumed", v.name, side)
			}
		}
	}
}

// begin makes a server that got its Start out, and a way to speak to it.
func begin(tb testing.TB, s *setup) *eap.Server {
	tb.Helper()
	server, err := NewServer(s.server)
	if err != nil {
		tb.Fatal(err)
	}
	e := eap.NewServer(eap.ServerConfig{
		FirstIdentifier: 1,
		Methods:         func(string, eap.Port) []eap.ServerMethodFactory { return []eap.ServerMethodFactory{server} },
	})
	tb.Cleanup(e.Close)
	e.Begin()
	if r := e.Receive([]byte{2, 1, 0, 5, 1}); !bytes.Equal(r.Packet, []byte{1, 2, 0, 6, 13, 0x20}) {
		tb.Fatalf("no Start: %x", r.Packet)
	}
	return e
}

func response(id uint8, data ...byte) []byte {
	return eap.Packet{Code: eap.CodeResponse, Identifier: id, Type: eap.TypeTLS, Data: data}.Append(nil)
}

// ClientHellos of OpenSSL 3.0.
const (
	// -tls1_2 -cipher ECDHE-ECDSA-AES128-CCM8
	helloCCM8 = `160301008901000085030303651a25f2394fa63b28b2a19d6bb397ec1092bf4109f13a0a60a9d313e27691000004c0ae00ff
01000058000b000403000102000a000c000a001d0017001e00190018002300000016000000170000000d0030002e0403050306030807080808
09080a080b080408050806040105010601030302030301020103020202040205020602`
	// -tls1_3 -ciphersuites TLS_AES_128_CCM_8_SHA256
	helloCCM8of13 = `16030100d8010000d40303e271cc31c4a4e00affcba10a824a9cb3880d0fb7bf415bb74c1d5e52439e1d4420fe6a09385b
d9bf94e209a4b8ff3a459453eb8ad4a54697bba03985f3fb1387830004130500ff01000087000b000403000102000a00160014001d0017001e
0019001801000101010201030104002300000016000000170000000d001e001c040305030603080708080809080a080b080408050806040105
010601002b0003020304002d00020101003300260024001d0020d55a12291f5229e4617de1fb7f7468770243a6e19384e3c49d6a45b8ab19a9
74`
	// -tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256
	hello12 = `16030100830100007f030368ab5a0bbc3d51909cfe0e9269428c9e767ef8c9501a9df0bc0a81ce86d2a114000004c02b00ff0100
0052000b000403000102000a000c000a001d0017001e00190018002300000016000000170000000d002a002804030503060308070808080908
0a080b080408050806040105010601030303010302040205020602`
	// the same, with "Options = -ExtendedMasterSecret" in its configuration
	helloNoEMS = `160301007f0100007b0303d5fdd87090603b7b3c6b4f5b5089829151f3fa189fa0cd9a91a819491e45e667000004c02b00ff0100
004e000b000403000102000a000c000a001d0017001e001900180023000000160000000d002a002804030503060308070808080908
0a080b080408050806040105010601030303010302040205020602`
)

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// What crypto/tls cannot do is refused with that reason, and by the alert
// handshake_failure (40) or protocol_version (70).
func TestLimits(t *testing.T) {
	old := bytes.Replace(unhex(t, hello12), []byte{3, 3, 0x68}, []byte{3, 2, 0x68}, 1)
	tests := []struct {
		name  string
		hello []byte
		want  error
		alert byte
	}{
		{"CCM_8 only", unhex(t, helloCCM8), ErrCCMOnly, 40},
		{"CCM_8 only, TLS 1.3", unhex(t, helloCCM8of13), ErrCCMOnly, 40},
		{"no extended master secret", unhex(t, helloNoEMS), ErrNoEMS, 40},
		{"TLS 1.1", old, ErrHandshake, 70},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := begin(t, newSetup(t, 0))
			r := s.Receive(response(2, append([]byte{0}, tt.hello...)...))
			if n := len(r.Packet); r.Outcome != eap.Continue || n != 13 || r.Packet[6] != 21 || r.Packet[n-1] != tt.alert {
				t.Fatalf("%+v, want alert %d", r, tt.alert)
			}
			r = s.Receive(response(3, 0))
			if r.Outcome != eap.Failure || !errors.Is(r.Reason, tt.want) {
				t.Errorf("%v, %v, want %v", r.Outcome, r.Reason, tt.want)
			}
		})
	}
	s := begin(t, newSetup(t, 0))
	r := s.Receive(response(2, append([]byte{0}, unhex(t, hello12)...)...))
	if r.Outcome != eap.Continue || len(r.Packet) < 300 {
		t.Errorf("the hello unaltered: %+v", r)
	}
}

// EAP-TLS 1.3 as eapol_test and hostapd had it, with packets of 210 octets on
// the client's side: requests and responses in turn.
func recording(tb testing.TB) (packets []eap.Packet) {
	tb.Helper()
	text, err := os.ReadFile("testdata/hostapd-tls13.hex")
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		p, err := eap.Decode(unhex(tb, line))
		if err != nil {
			tb.Fatal(err)
		}
		packets = append(packets, p)
	}
	return packets
}

// The recorded client's flights come out whole: records that fill them.
func TestRecordedFragments(t *testing.T) {
	var r receiver
	var flights []int
	for _, p := range recording(t) {
		if p.Code != eap.CodeResponse || p.Type != eap.TypeTLS {
			continue
		}
		pk, err := parse(p.Data)
		if err != nil {
			t.Fatal(err)
		}
		message, done, err := r.add(pk)
		if err != nil {
			t.Fatal(err)
		}
		if !done {
			continue
		}
		flights = append(flights, len(message))
		for len(message) > 0 {
			n := recordHeaderLen + int(message[3])<<8 + int(message[4])
			if message[1] != 3 || n > len(message) {
				t.Fatalf("no record: %x", message)
			}
			message = message[n:]
		}
	}
	if len(flights) != 3 || flights[0] != 0x105 || flights[1] != 0x45d || flights[2] != 0 {
		t.Errorf("flights of %d octets", flights)
	}
}

// Our server takes the recorded hello and acknowledges its fragments as the
// recorded one did; and our hello is of no use with recorded answers.
func TestRecordedHello(t *testing.T) {
	s := begin(t, newSetup(t, 0))
	id := uint8(2)
	var r eap.Result
	for _, p := range recording(t)[2:5] {
		if p.Code == eap.CodeRequest {
			if want := (eap.Packet{Code: eap.CodeRequest, Identifier: id, Type: eap.TypeTLS, Data: p.Data}).Append(nil); !bytes.Equal(r.Packet, want) {
				t.Errorf("acknowledged by %x, want %x", r.Packet, want)
			}
			continue
		}
		r = s.Receive(response(id, p.Data...))
		id++
	}
	// A ServerHello of TLS 1.3, and more.
	if len(r.Packet) < 300 || r.Packet[5] != 0 || r.Packet[6] != 22 || r.Packet[11] != 2 {
		t.Errorf("answered by %x", r.Packet)
	}
}

// A server of TLS 1.3 that does not indicate success, or says something else
// in its place, is not believed.
func TestNoSuccessIndication(t *testing.T) {
	for _, said := range []string{"", "\x01", "\x00\x00", "hello"} {
		setup := newSetup(t, stdtls.VersionTLS13)
		server, peer := setup.sides(t)
		m, err := peer.Start(eap.PeerContext{MTU: 5000})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		e := new(engine)
		e.conn = stdtls.Server(e, server.base)
		e.start(func() error {
			if err := e.conn.Handshake(); err != nil || said == "" {
				return err
			}
			_, err := e.conn.Write([]byte(said))
			return err
		})
		defer e.close()
		st := m.Next(eap.Packet{Data: []byte{flagStart}})
		for range 2 {
			st = m.Next(eap.Packet{Data: append([]byte{0}, e.step(st.Data[1:])...)})
		}
		want := ErrNoSuccess
		if said == "" {
			want = ErrUnfinished
		}
		if st.Decision != eap.DecideFail || st.MSK != nil || !errors.Is(st.Reason, want) {
			t.Errorf("after %q: %+v", said, st)
		}
	}
}

// What comes between is not taken for a result.
func TestEarlyResults(t *testing.T) {
	for _, v := range versions {
		full := run2(t, newSetup(t, v.id), 300, nil)
		for at := 1; at < len(full.packets)-2; at += 2 {
			c := run2(t, newSetup(t, v.id), 300, func(n int, p *eap.Peer, id uint8) {
				if n != at {
					return
				}
				if r := p.Receive([]byte{3, id, 0, 4}); r.Outcome != eap.Continue || r.Packet != nil {
					t.Errorf("TLS %s: Success after packet %d: %+v", v.name, n, r)
				}
			})
			agree(t, c)
		}
	}
}

// run2 is run with a look at the peer after each packet of its own.
func run2(tb testing.TB, s *setup, mtu int, look func(n int, p *eap.Peer, id uint8)) (c talk) {
	tb.Helper()
	server, peer := s.sides(tb)
	es := eap.NewServer(eap.ServerConfig{
		Methods: func(string, eap.Port) []eap.ServerMethodFactory { return []eap.ServerMethodFactory{server} },
		Port:    eap.Port{MTU: mtu},
	})
	ep := eap.NewPeer(eap.PeerConfig{Methods: []eap.PeerMethodFactory{peer}, MTU: mtu})
	defer es.Close()
	defer ep.Close()
	c.server = es.Begin()
	for {
		c.packets = append(c.packets, c.server.Packet)
		c.peer = ep.Receive(c.server.Packet)
		if c.peer.Packet == nil {
			return c
		}
		if look != nil {
			look(len(c.packets), ep, c.peer.Packet[1])
		}
		c.packets = append(c.packets, c.peer.Packet)
		c.server = es.Receive(c.peer.Packet)
	}
}

// Whenever a conversation is closed, nothing of it stays.
func TestCloseLeavesNothing(t *testing.T) {
	before := parked()
	for _, v := range versions {
		s := newSetup(t, v.id)
		full := run2(t, s, 300, nil)
		agree(t, full)
		for stop := range full.packets {
			server, peer := s.sides(t)
			es := eap.NewServer(eap.ServerConfig{
				Methods: func(string, eap.Port) []eap.ServerMethodFactory { return []eap.ServerMethodFactory{server} },
				Port:    eap.Port{MTU: 300},
			})
			ep := eap.NewPeer(eap.PeerConfig{Methods: []eap.PeerMethodFactory{peer}, MTU: 300})
			sr := es.Begin()
			for n := 0; n < stop; n += 2 {
				if pr := ep.Receive(sr.Packet); n+1 < stop {
					sr = es.Receive(pr.Packet)
				}
			}
			es.Close()
			es.Close()
			ep.Close()
			ep.Close()
		}
	}
	if after := parked(); after != before {
		t.Errorf("%d coroutines, %d before", after, before)
	}
	// And they are counted at all while they last.
	s := begin(t, newSetup(t, 0))
	s.Receive(response(2, append([]byte{0}, unhex(t, hello12)...)...))
	if during := parked(); during != before+1 {
		t.Errorf("%d coroutines during a handshake, %d before", during, before)
	}
}

// parked is how many handshakes there are in coroutines.
func parked() int {
	b := make([]byte, 1<<20)
	return strings.Count(string(b[:runtime.Stack(b, true)]), "eap/tls.(*engine).Read(")
}

// A peer that stops anywhere in the handshake, or sends as much as is taken,
// holds a bounded amount of memory.
func TestMemory(t *testing.T) {
	const limit = 160 << 10 // one message in full, and crypto/tls
	s := newSetup(t, 0)
	var held []*eap.Server
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	before := heap()
	for range 50 {
		e := begin(t, s)
		r := e.Receive(response(2, append([]byte{0}, unhex(t, hello12)...)...))
		fragment := append([]byte{flagMore}, make([]byte, 1400)...)
		for id := uint8(3); r.Packet != nil; id++ { // until it is refused or nothing more is taken
			if r = e.Receive(response(id, fragment...)); r.Outcome != eap.Continue {
				t.Fatalf("after %d fragments: %v", id-2, r.Reason)
			}
			if id == 3+45 {
				break
			}
		}
		held = append(held, e)
	}
	if per := (heap() - before) / uint64(len(held)); per > limit {
		t.Errorf("%d octets held by each conversation, more than %d", per, limit)
	} else {
		t.Logf("%d octets held by each conversation", per)
	}
	runtime.KeepAlive(held)
}
