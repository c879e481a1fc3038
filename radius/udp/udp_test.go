package udp

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/eap"
	"gatewayd/eap/psk"
	"gatewayd/radius"
)

var (
	v4 = netip.MustParseAddrPort("127.0.0.1:0")
	v6 = netip.MustParseAddrPort("[::1]:0")
)

const secret = "testing123"

func pskKey(t *testing.T) *psk.Key {
	key, err := psk.NewKey([]byte("0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// start runs sockets, and returns what ends them.
func start(s *Sockets, receive func(int, netip.AddrPort, []byte)) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Run(ctx, receive) }()
	return sync.OnceValue(func() error { cancel(); return <-done })
}

// server serves EAP-PSK on both address families, with a goroutine of its own.
func server(t *testing.T) []netip.AddrPort {
	clock := new(alarm.Clock)
	s, err := New(Options{Listen: []netip.AddrPort{v4, v6}, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	key := pskKey(t)
	m := &psk.Server{ID: "gw", Rand: rand.Reader, Lookup: func(string) *psk.Key { return key }}
	machine, err := radius.NewServer(radius.ServerConfig{
		Clock: clock, Entropy: rand.Reader, Send: s.Send,
		Backend: &eap.Local{Rand: rand.Reader, Methods: func(string, eap.Port) []eap.ServerMethodFactory { return []eap.ServerMethodFactory{m} }},
		Clients: []radius.Authorized{
			{Prefix: netip.MustParsePrefix("127.0.0.1/32"), Secret: radius.Secret(secret)},
			{Prefix: netip.MustParsePrefix("::1/128"), Secret: radius.Secret(secret)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	stop := start(s, machine.Receive)
	t.Cleanup(func() {
		if err := stop(); !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
	return []netip.AddrPort{s.Addr(0), s.Addr(1)}
}

func client(t *testing.T, s *Sockets, clock *alarm.Clock, at netip.AddrPort) *radius.Client {
	c, err := radius.NewClient(radius.ClientConfig{Clock: clock, Entropy: rand.Reader, Send: s.Send,
		Servers: []radius.Upstream{{Auth: at, Secret: radius.Secret(secret)}}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// converse takes a peer through a conversation; done is called with both keys.
func converse(t *testing.T, b eap.Backend, key *psk.Key, done func(server, peer []byte)) {
	peer := eap.NewPeer(eap.PeerConfig{Identity: "joe", Methods: []eap.PeerMethodFactory{&psk.Peer{Key: key, Rand: rand.Reader}}})
	var v eap.Conversation
	v = b.Converse(eap.Port{}, func(r eap.Result) {
		in := peer.Receive(r.Packet)
		if r.Outcome == eap.Continue {
			v.Receive(in.Packet)
			return
		}
		if r.Reason != nil {
			t.Error(r.Reason)
		}
		done(r.MSK, in.MSK)
	})
	v.Begin()
}

// 300 peers at once over IPv4 and over IPv6, more than one socket of the
// client can tell apart; nothing is left running.
func TestManyPeers(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("", func(t *testing.T) {
		key := pskKey(t)
		for _, at := range server(t) {
			clock := new(alarm.Clock)
			s, err := New(Options{Clock: clock})
			if err != nil {
				t.Fatal(err)
			}
			c := client(t, s, clock, at)
			stop := start(s, c.Receive)
			const peers = 300
			done := make(chan bool, peers) // all of them
			if err := s.Do(func() {
				for range peers {
					converse(t, c, key, func(server, peer []byte) { done <- len(server) == 64 && bytes.Equal(server, peer) })
				}
				if n := c.Alive()[0].Outstanding; n != peers {
					t.Errorf("%d requests outstanding", n)
				}
			}); err != nil {
				t.Fatal(err)
			}
			for range peers {
				select {
				case ok := <-done:
					if !ok {
						t.Error("the sides have different keys")
					}
				case <-time.After(10 * time.Second):
					t.Fatal("a peer has no result")
				}
			}
			stop()
			if n := len(s.conns); n != 2 || s.Unsent() != 0 {
				t.Errorf("%d sockets, %d datagrams not sent", n, s.Unsent())
			}
			if err := s.Do(func() { t.Error("runs after the end") }); err != ErrStopped {
				t.Errorf("Do after the end: %v", err)
			}
			s.Send(0, at, nil) // harmless
		}
	})
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

// A main loop that owns the machine, and its clock, gets the datagrams.
func TestDeliver(t *testing.T) {
	calls := make(chan func())
	ended := make(chan struct{})
	s, err := New(Options{
		Source: v4.Addr(),
		Deliver: func(f func()) {
			ran := make(chan struct{})
			select {
			case calls <- func() { f(); close(ran) }:
				<-ran
			case <-ended:
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	clock := new(alarm.Clock)
	clock.Set(time.Now())
	c := client(t, s, clock, server(t)[0])
	stop := start(s, c.Receive)
	ok := false
	converse(t, c, pskKey(t), func(server, peer []byte) { ok = len(server) == 64 && bytes.Equal(server, peer) })
	for end := time.After(10 * time.Second); !ok; {
		select {
		case f := <-calls:
			clock.Advance(time.Now())
			f()
		case <-end:
			t.Fatal("no result")
		}
	}
	close(ended)
	if err := stop(); !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v", err)
	}
}

func TestNewErrors(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("takes neither clock nor owner")
	}
	s, err := New(Options{Listen: []netip.AddrPort{v4}, Clock: new(alarm.Clock)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if _, err := New(Options{Listen: []netip.AddrPort{v6, s.Addr(0)}, Clock: new(alarm.Clock)}); err == nil {
		t.Error("an address is had twice")
	}
	if a := s.Addr(7); a.IsValid() {
		t.Errorf("socket 7 is at %v", a)
	}
}
