package pacd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"gatewayd/alarm"
	"gatewayd/pana"
)

// UDPConfig is a client's over the host's UDP. Agent and Credential are
// required.
type UDPConfig struct {
	Agent      netip.AddrPort // or a relay element
	Credential Credential
	Profile    pana.Profile
	// NoPiggyback sends EAP responses in requests of the client's own.
	NoPiggyback bool
	// Stay keeps the session until ctx ends; otherwise it is ended when it
	// has begun.
	Stay bool
	// Timeout is how long nobody needs to answer; 0: 30 s.
	Timeout time.Duration
	// Event is told what happens, Keys which network keys came; may be nil.
	Event func(pana.Event)
	Keys  func([]pana.NetworkKey)
}

// ErrRefused means that the agent did not let the client in.
var ErrRefused = errors.New("pacd: refused")

// ErrNoAnswer means that nobody answered.
var ErrNoAnswer = errors.New("pacd: no answer")

// RunUDP authenticates. It returns nil when the session was authorized and
// ended in order.
func RunUDP(ctx context.Context, cfg UDPConfig) error {
	newPeer, err := cfg.Credential.peer()
	if err != nil {
		return err
	}
	conn, err := net.ListenUDP("udp", nil)
	if err != nil {
		return fmt.Errorf("pacd: %w", err)
	}
	var clock alarm.Clock
	clock.Set(time.Now())
	over := make(chan error, 1) // buffered: told once, by the goroutine that reads it
	authorized := false
	end := func(err error) {
		select {
		case over <- err:
		default:
		}
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	var client *pana.PaC
	client, err = pana.NewPaC(pana.PaCConfig{
		Clock: &clock, Random: rand.Reader, Profile: cfg.Profile, NoPiggyback: cfg.NoPiggyback, AllowRouted: true,
		Timers: pana.Timers{Initiation: pana.Retransmission{Initial: time.Second, Max: 10 * time.Second, MaxDuration: cfg.Timeout}},
		Peer:   func() pana.Peer { return newPeer() },
		Send: func(to netip.AddrPort, b []byte) {
			_, _ = conn.WriteToUDPAddrPort(b, to) // a datagram may be lost, this one too
		},
		Delivered: func(as []pana.AVP) {
			if ks, err := pana.AVPs(as).NetworkKeys(); err == nil && len(ks) > 0 && cfg.Keys != nil {
				cfg.Keys(ks)
			}
		},
		Event: func(e pana.Event) {
			if cfg.Event != nil {
				cfg.Event(e)
			}
			switch e.Kind {
			case pana.SessionAuthorized:
				authorized = true
				if !cfg.Stay {
					clock.After(endPause, client.Terminate)
				}
			case pana.SessionRefused:
				if errors.Is(e.Reason, pana.ErrTimeout) {
					end(fmt.Errorf("%w from %v: %w", ErrNoAnswer, cfg.Agent, e.Reason))
				} else {
					end(fmt.Errorf("%w: %w", ErrRefused, e.Reason))
				}
			case pana.SessionTerminated:
				if e.Reason != nil && !errors.Is(e.Reason, pana.ErrClosed) {
					end(e.Reason)
				} else {
					clock.After(endPause, func() { end(nil) })
				}
			}
		},
	})
	if err != nil {
		conn.Close()
		return err
	}

	in := make(chan pana.Datagram)
	read, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(read)
		buf := make([]byte, 64<<10)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return // closed below
			}
			d := pana.Datagram{From: netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), Payload: append([]byte(nil), buf[:n]...)}
			select {
			case in <- d:
			case <-ended:
			}
		}
	}()
	defer func() {
		close(ended)
		conn.Close()
		<-read
	}()

	client.Start(cfg.Agent)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	done := ctx.Done()
	for {
		wait := time.Hour
		if at := clock.Deadline(); !at.IsZero() {
			wait = time.Until(at)
		}
		timer.Reset(wait)
		select {
		case err := <-over:
			return err
		case <-done:
			if !authorized {
				return context.Cause(ctx)
			}
			done = nil
			clock.Advance(time.Now())
			client.Terminate()
			clock.After(endTimeout, func() { end(nil) })
		case d := <-in:
			clock.Advance(time.Now())
			client.Receive(d)
		case <-timer.C:
			clock.Advance(time.Now())
		}
	}
}

const (
	defaultTimeout = 30 * time.Second
	// endPause lets the agent take the last answer before the session ends.
	endPause = 100 * time.Millisecond
	// endTimeout is how long the agent may take to agree to the end.
	endTimeout = 2 * time.Second
)
