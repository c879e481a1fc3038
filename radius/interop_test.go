package radius_test

import (
	"bytes"
	"context"
	"crypto/rand"
	stdtls "crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/eap"
	"gatewayd/eap/psk"
	"gatewayd/eap/tls"
	"gatewayd/radius"
	"gatewayd/radius/udp"
)

var (
	loopback = netip.MustParseAddr("127.0.0.1")
	anywhere = netip.AddrPortFrom(loopback, 0)
	station  = eap.Port{CallingStation: "02-00-5E-10-00-00-00-01", CalledStation: "02-00-5E-10-00-00-00-02", MTU: 1020}
)

func pskKey(t testing.TB, secret string) *psk.Key {
	t.Helper()
	key, err := psk.NewKey([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// embedded is the EAP server of package eap: joe by EAP-PSK, everybody else by
// EAP-TLS with the certificate "gateway" of ca.
func embedded(t testing.TB, ca *authority) *eap.Local {
	l, err := embeddedWith(ca.issue(t, "gateway"), ca.cert)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func embeddedWith(cert stdtls.Certificate, root *x509.Certificate) (*eap.Local, error) {
	server, err := tls.NewServer(tls.ServerConfig{Options: tls.Options{
		Certificate: cert, Roots: []*x509.Certificate{root}, Rand: rand.Reader, Now: time.Now}})
	if err != nil {
		return nil, err
	}
	joe, err := psk.NewKey([]byte(testKey))
	if err != nil {
		return nil, err
	}
	byPSK := &psk.Server{ID: "gateway", Rand: rand.Reader, Lookup: func(id string) *psk.Key {
		if id == "joe" {
			return joe
		}
		return nil
	}}
	return &eap.Local{Rand: rand.Reader, Methods: func(identity string, _ eap.Port) []eap.ServerMethodFactory {
		if identity == "joe" {
			return []eap.ServerMethodFactory{byPSK}
		}
		return []eap.ServerMethodFactory{server}
	}}, nil
}

// keeping is a backend that keeps the keys it gave.
type keeping struct {
	eap.Backend
	mu  sync.Mutex
	msk []byte
}

func (k *keeping) Converse(port eap.Port, answer func(eap.Result)) eap.Conversation {
	return k.Backend.Converse(port, func(r eap.Result) {
		if r.Outcome == eap.Success {
			k.mu.Lock()
			k.msk = bytes.Clone(r.MSK)
			k.mu.Unlock()
		}
		answer(r)
	})
}

func (k *keeping) last() []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.msk
}

func (k *keeping) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.msk = nil
}

// service is a running Server.
type service struct {
	addr    netip.AddrPort
	backend *keeping
	ended   chan radius.Authentication
	tap     wiretap
}

// startServer serves the embedded EAP server until the test ends.
func startServer(t testing.TB, backend eap.Backend) *service {
	t.Helper()
	s := &service{backend: &keeping{Backend: backend}, ended: make(chan radius.Authentication, 10)}
	clock := new(alarm.Clock)
	sockets, err := udp.New(udp.Options{Listen: []netip.AddrPort{anywhere}, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	s.addr = sockets.Addr(0)
	machine, err := radius.NewServer(radius.ServerConfig{
		Clock: clock, Entropy: rand.Reader, Backend: s.backend,
		Clients: []radius.Authorized{{Prefix: netip.MustParsePrefix("127.0.0.0/8"), Secret: radius.Secret(testSecret)}},
		Send: func(socket int, to netip.AddrPort, b []byte) {
			s.tap.add(t, s.addr, to, b)
			sockets.Send(socket, to, b)
		},
		Ended:     func(a radius.Authentication) { s.ended <- a },
		Discarded: func(from netip.AddrPort, why error) { t.Errorf("discarded from %v: %v", from, why) },
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, sockets, func(socket int, from netip.AddrPort, b []byte) {
		s.tap.add(t, from, s.addr, b)
		machine.Receive(socket, from, b)
	})
	return s
}

// run runs sockets until the test ends.
func run(t testing.TB, s *udp.Sockets, receive func(int, netip.AddrPort, []byte)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { s.Run(ctx, receive); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
}

// gateway is a running Client.
type gateway struct {
	*udp.Sockets
	client  *radius.Client
	granted []radius.Grant
	tap     wiretap
}

func startClient(t testing.TB, servers ...radius.Upstream) *gateway {
	t.Helper()
	clock := new(alarm.Clock)
	sockets, err := udp.New(udp.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{Sockets: sockets}
	for i := range servers {
		servers[i].Secret = radius.Secret(testSecret)
	}
	g.client, err = radius.NewClient(radius.ClientConfig{
		Clock: clock, Entropy: rand.Reader, Servers: servers, NASAddress: loopback,
		Send: func(socket int, to netip.AddrPort, b []byte) {
			g.tap.add(t, tapped(socket), to, b)
			sockets.Send(socket, to, b)
		},
		Granted:   func(_ eap.Port, gr radius.Grant) { g.granted = append(g.granted, gr) },
		Discarded: func(from netip.AddrPort, why error) { t.Errorf("discarded from %v: %v", from, why) },
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, sockets, func(socket int, from netip.AddrPort, b []byte) {
		g.tap.add(t, from, tapped(socket), b)
		g.client.Receive(socket, from, b)
	})
	return g
}

// tapped stands for the address of a client's socket.
func tapped(socket int) netip.AddrPort { return netip.AddrPortFrom(loopback, uint16(40000+socket)) }

// authenticate takes a peer through a conversation, and returns the last
// results of both sides.
func (g *gateway) authenticate(t testing.TB, peer *eap.Peer) (server, peerSide eap.Result) {
	t.Helper()
	done := make(chan struct{})
	err := g.Do(func() {
		var v eap.Conversation
		v = g.client.Converse(station, func(r eap.Result) {
			if r.Packet != nil {
				if in := peer.Receive(r.Packet); in.Packet != nil && r.Outcome == eap.Continue {
					v.Receive(in.Packet)
				} else if in.Outcome != eap.Continue {
					peerSide = in
				}
			}
			if r.Outcome != eap.Continue {
				server = r
				close(done)
			}
		})
		v.Begin()
	})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("no result in 10 s")
	}
	return server, peerSide
}

func pskPeer(t testing.TB, secret string) *eap.Peer {
	return eap.NewPeer(eap.PeerConfig{Identity: "joe", Methods: []eap.PeerMethodFactory{&psk.Peer{Key: pskKey(t, secret), Rand: rand.Reader}}})
}

// tlsPeer has a certificate of ca and believes in trusted.
func tlsPeer(t testing.TB, ca, trusted *authority, version uint16) *eap.Peer {
	t.Helper()
	m, err := tls.NewPeer(tls.PeerConfig{Options: tls.Options{
		Certificate: ca.issue(t, "tls"), Roots: []*x509.Certificate{trusted.cert}, MaxVersion: version, Rand: rand.Reader, Now: time.Now}})
	if err != nil {
		t.Fatal(err)
	}
	return eap.NewPeer(eap.PeerConfig{Identity: "tls", Methods: []eap.PeerMethodFactory{m}})
}

var versions = map[string]uint16{"TLS 1.2": stdtls.VersionTLS12, "TLS 1.3": stdtls.VersionTLS13}

// keysOf reads the MSK that eapol_test derived and the one that it received.
func keysOf(t *testing.T, out string) (derived, received []byte) {
	t.Helper()
	find := func(label string) []byte {
		m := regexp.MustCompile(regexp.QuoteMeta(label)+` - hexdump\(len=\d+\): ([0-9a-f ]+)`).FindAllStringSubmatch(out, -1)
		if len(m) == 0 {
			return nil
		}
		b, err := hex.DecodeString(strings.ReplaceAll(m[len(m)-1][1], " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	derived = append(find("EAP-PSK: MSK"), find("EAP-TLS: Derived key")...)
	return derived, append(find("MS-MPPE-Recv-Key (crypt)"), find("MS-MPPE-Send-Key (sign)")...)
}

// wpa_supplicant's EAP peer authenticates to the embedded EAP server, and all
// three, it, our Server and what RADIUS carried, have one MSK. Wireshark finds
// nothing wrong with what was sent.
func TestEapolTest(t *testing.T) {
	ca := newAuthority(t, "ca")
	ca.issue(t, "tls")
	other := newAuthority(t, "ca")
	other.issue(t, "tls")
	s := startServer(t, embedded(t, ca))
	eapTLS := func(ca, trusted *authority, flags string) string {
		return fmt.Sprintf("eap=TLS\nidentity=\"tls\"\nca_cert=%q\nclient_cert=%q\nprivate_key=%q\nphase1=%q",
			trusted.file("ca.pem"), ca.file("tls.pem"), ca.file("tls.key"), flags)
	}
	eapPSK := func(key string) string { return fmt.Sprintf("eap=PSK\nidentity=\"joe\"\npassword=%x", key) }
	tests := []struct {
		name    string
		network string
		ok      bool
		want    string // in the output
	}{
		{"PSK", eapPSK(testKey), true, ""},
		{"TLS 1.2", eapTLS(ca, ca, "tls_disable_tlsv1_3=1"), true, "Using TLS version TLSv1.2"},
		{"TLS 1.3", eapTLS(ca, ca, "tls_disable_tlsv1_3=0"), true, "Using TLS version TLSv1.3"},
		{"TLS 1.2 in small fragments", eapTLS(ca, ca, "tls_disable_tlsv1_3=1") + "\nfragment_size=200", true, ""},
		{"PSK, wrong key", eapPSK("fedcba9876543210"), false, ""},
		{"TLS, server of an unknown authority", eapTLS(ca, other, ""), false, ""},
		{"TLS, client of an unknown authority", eapTLS(other, ca, "tls_disable_tlsv1_3=1"), false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.backend.forget()
			out, ok := eapolTest(t, s.addr, tt.network)
			var ended radius.Authentication
			select {
			case ended = <-s.ended:
			case <-time.After(10 * time.Second):
				t.Fatalf("the server came to no end; eapol_test said\n%s", out)
			}
			if ok != tt.ok || !strings.Contains(out, tt.want) || (ended.Result.Outcome == eap.Success) != tt.ok {
				t.Fatalf("success %v, want %v; server %v, %v; eapol_test said\n%s", ok, tt.ok, ended, ended.Result.Reason, out[max(0, len(out)-3000):])
			}
			if !tt.ok {
				t.Logf("refused: %v", ended.Result.Reason)
				return
			}
			derived, received := keysOf(t, out)
			if len(derived) != 64 || !bytes.Equal(derived, received) || !bytes.Equal(derived, s.backend.last()) {
				t.Errorf("MSK: peer %x, received %x, server %x", derived, received, s.backend.last())
			}
		})
	}
	t.Run("our own peer and Client", func(t *testing.T) {
		g := startClient(t, radius.Upstream{Auth: s.addr})
		g.succeeds(t, pskPeer(t, testKey))
		g.fails(t, pskPeer(t, "fedcba9876543210"))
		testTLS(t, g, ca, other)
	})
	t.Run("Wireshark", func(t *testing.T) { s.tap.dissect(t, s.addr) })
}

// Our peer authenticates by hostapd through our Client.
func TestHostapd(t *testing.T) {
	ca, other := newAuthority(t, "ca"), newAuthority(t, "ca")
	addr, _ := hostapd(t, ca)
	g := startClient(t, radius.Upstream{Auth: addr})
	t.Run("PSK", func(t *testing.T) { g.succeeds(t, pskPeer(t, testKey)) })
	t.Run("PSK, wrong key", func(t *testing.T) { g.fails(t, pskPeer(t, "fedcba9876543210")) })
	testTLS(t, g, ca, other)
}

// Our peer authenticates by FreeRADIUS through our Client, which accounts for
// the session.
func TestFreeRADIUS(t *testing.T) {
	ca, other := newAuthority(t, "ca"), newAuthority(t, "ca")
	auth, acct, _ := freeRADIUS(t, ca)
	g := startClient(t, radius.Upstream{Auth: auth, Acct: acct})
	testTLS(t, g, ca, other)

	t.Run("accounting", func(t *testing.T) {
		g.granted = nil
		res, _ := g.authenticate(t, tlsPeer(t, ca, ca, 0))
		if res.Lifetime != time.Hour || len(g.granted) != 1 || string(bytes.Join(g.granted[0].Class, nil)) != "a class" {
			t.Fatalf("granted %+v with %+v", res.Lifetime, g.granted)
		}
		var before radius.ClientCounters
		g.Do(func() {
			before = g.client.Counters
			a := g.client.Account(radius.AccountConfig{ID: "1", Port: station, UserName: g.granted[0].UserName, Class: g.granted[0].Class})
			a.Stop(radius.UserRequest)
		})
		deadline := time.Now().Add(5 * time.Second)
		for {
			var now radius.ClientCounters
			g.Do(func() { now = g.client.Counters })
			if now.Answers == before.Answers+2 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("counters %+v", now)
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	t.Run("Wireshark", func(t *testing.T) {
		g.tap.dissect(t, auth, acct)
	})
}

func testTLS(t *testing.T, g *gateway, ca, other *authority) {
	for name, version := range versions {
		t.Run(name, func(t *testing.T) { g.succeeds(t, tlsPeer(t, ca, ca, version)) })
		t.Run(name+", client of an unknown authority", func(t *testing.T) { g.fails(t, tlsPeer(t, other, ca, version)) })
		t.Run(name+", server of an unknown authority", func(t *testing.T) { g.fails(t, tlsPeer(t, ca, other, version)) })
	}
}

func (g *gateway) succeeds(t *testing.T, peer *eap.Peer) {
	t.Helper()
	server, mine := g.authenticate(t, peer)
	if server.Outcome != eap.Success || mine.Outcome != eap.Success {
		t.Fatalf("server: %v, %v; peer: %v, %v", server.Outcome, server.Reason, mine.Outcome, mine.Reason)
	}
	if len(server.MSK) != 64 || !bytes.Equal(server.MSK, mine.MSK) {
		t.Errorf("MSK: server %x, peer %x", server.MSK, mine.MSK)
	}
}

func (g *gateway) fails(t *testing.T, peer *eap.Peer) {
	t.Helper()
	server, mine := g.authenticate(t, peer)
	if server.Outcome != eap.Failure || mine.Outcome == eap.Success || !errors.Is(server.Reason, radius.ErrRejected) {
		t.Fatalf("server: %v, %v; peer: %v", server.Outcome, server.Reason, mine.Outcome)
	}
	t.Logf("server: %v; peer: %v", server.Reason, mine.Reason)
}
