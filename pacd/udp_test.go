package pacd

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"gatewayd/alarm"
	"gatewayd/eap"
	"gatewayd/eap/psk"
	"gatewayd/enrol"
	"gatewayd/pana"
)

const (
	rightKey = "000102030405060708090a0b0c0d0e0f"
	wrongKey = "0f0e0d0c0b0a09080706050403020100"
)

// agent is a PANA agent on a UDP port of this host.
type agent struct {
	at     netip.AddrPort
	mu     sync.Mutex
	events []pana.EventKind
}

func (a *agent) seen(k pana.EventKind) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.events {
		if e == k {
			n++
		}
	}
	return n
}

// serve runs an agent that knows rightKey until the test ends.
func serve(t *testing.T, profile pana.Profile) *agent {
	t.Helper()
	p, err := enrol.ParsePSK(rightKey)
	if err != nil {
		t.Fatal(err)
	}
	key, err := psk.NewKey(p.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return serveMethods(t, profile, &psk.Server{ID: "agent", Rand: rand.Reader, Lookup: func(string) *psk.Key { return key }})
}

func serveMethods(t *testing.T, profile pana.Profile, methods ...eap.ServerMethodFactory) *agent {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv6loopback})
	if err != nil {
		conn, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	}
	if err != nil {
		t.Fatal(err)
	}
	a := &agent{at: conn.LocalAddr().(*net.UDPAddr).AddrPort()}
	var clock alarm.Clock
	clock.Set(time.Now())
	paa, err := pana.NewPAA(pana.PAAConfig{
		Clock: &clock, Random: rand.Reader, Profile: profile, AllowRouted: true,
		Backend: &eap.Local{Rand: rand.Reader, Methods: func(string, eap.Port) []eap.ServerMethodFactory { return methods }},
		Send:    func(to netip.AddrPort, b []byte) { _, _ = conn.WriteToUDPAddrPort(b, to) },
		Event: func(e pana.Event) {
			a.mu.Lock()
			a.events = append(a.events, e.Kind)
			a.mu.Unlock()
		},
		Deliver: func(pana.Info) []pana.AVP {
			k := pana.NetworkKey{Key: [16]byte{9}, Index: 7}
			return []pana.AVP{k.AVP()}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 2048)
		for {
			_ = conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			n, from, err := conn.ReadFromUDPAddrPort(b)
			clock.Advance(time.Now())
			if err == nil {
				paa.Receive(pana.Datagram{From: netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), Payload: append([]byte(nil), b[:n]...)})
			} else if errors.Is(err, net.ErrClosed) {
				return
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return a
}

func credential(t *testing.T, key string) Credential {
	t.Helper()
	p, err := enrol.ParsePSK(key)
	if err != nil {
		t.Fatal(err)
	}
	return Credential{Identity: "pump-7", PSK: p}
}

func TestUDP(t *testing.T) {
	for name, cfg := range map[string]UDPConfig{
		"standard":     {},
		"no piggyback": {NoPiggyback: true},
		"ZigBee IP":    {Profile: pana.ZigBeeIP},
	} {
		t.Run(name, func(t *testing.T) {
			a := serve(t, cfg.Profile)
			cfg.Agent, cfg.Credential = a.at, credential(t, rightKey)
			var keys []pana.NetworkKey
			cfg.Keys = func(ks []pana.NetworkKey) { keys = ks }
			if err := RunUDP(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			if len(keys) != 1 || keys[0].Index != 7 {
				t.Errorf("keys %+v", keys)
			}
			if a.seen(pana.SessionAuthorized) != 1 || a.seen(pana.SessionTerminated) != 1 {
				t.Errorf("%v", a.events)
			}
		})
	}
}

func TestUDPRefused(t *testing.T) {
	a := serve(t, pana.Standard)
	err := RunUDP(t.Context(), UDPConfig{Agent: a.at, Credential: credential(t, wrongKey)})
	if !errors.Is(err, ErrRefused) {
		t.Errorf("%v", err)
	}
	if err != nil && strings.Contains(err.Error(), wrongKey[:8]) {
		t.Errorf("%v tells", err)
	}
}

func TestUDPNoAnswer(t *testing.T) {
	// A port that nobody reads.
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	at := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	began := time.Now()
	err = RunUDP(t.Context(), UDPConfig{Agent: at, Credential: credential(t, rightKey), Timeout: 300 * time.Millisecond})
	if !errors.Is(err, ErrNoAnswer) || !strings.Contains(err.Error(), at.String()) || time.Since(began) > 20*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := RunUDP(ctx, UDPConfig{Agent: at, Credential: credential(t, rightKey)}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// A session that is kept ends when its client is interrupted.
func TestUDPStay(t *testing.T) {
	a := serve(t, pana.Standard)
	ctx, cancel := context.WithCancel(t.Context())
	err := RunUDP(ctx, UDPConfig{Agent: a.at, Credential: credential(t, rightKey), Stay: true, Event: func(e pana.Event) {
		if e.Kind == pana.SessionAuthorized {
			cancel()
		}
	}})
	if err != nil {
		t.Error(err)
	}
	if a.seen(pana.SessionTerminated) != 1 {
		t.Errorf("%v", a.events)
	}
}

func TestCredential(t *testing.T) {
	for name, c := range map[string]Credential{
		"nothing":        {Identity: "x"},
		"nobody":         {},
		"no such file":   {Identity: "x", Certificate: "nowhere.pem", Key: "nowhere.key", CA: "nowhere.ca"},
		"a control char": {Identity: "x\n"},
	} {
		if m, err := c.Methods(); err == nil {
			t.Errorf("%s: %v", name, m)
		}
	}
}
