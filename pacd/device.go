package pacd

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"gatewayd/pana"
	"gatewayd/radio"
	"gatewayd/radio/rcpd"
	"gatewayd/radio/spinel"
	"gatewayd/radio/transport"
	"gatewayd/store"
	"gatewayd/wpan"
)

// DeviceConfig is a device's. Radio and DataDir are required, and Credential
// unless the network is Open.
type DeviceConfig struct {
	Radio      radio.URL
	Credential Credential
	Role       wpan.Role // Host or Router
	Open       bool
	// Channel and PANID of an Open network; channel 0 looks for one that
	// beacons.
	Channel  uint8
	PANID    uint16
	Network  wpan.NetworkID // zero: any
	Channels uint32         // to look on; 0: all
	Profile  pana.Profile
	Event    func(wpan.Event)
	Session  func(pana.Event)
	// Ready, if not nil, is called when the device has an address.
	Ready func(*wpan.Node)
	Log   *slog.Logger
	// DataDir keeps the frame counters: one directory for each radio.
	DataDir string
}

// RunDevice is a device until ctx ends.
func RunDevice(ctx context.Context, cfg DeviceConfig) error {
	var peer func() (wpan.EAPPeer, error)
	if !cfg.Open {
		newPeer, err := cfg.Credential.peer()
		if err != nil {
			return err
		}
		peer = func() (wpan.EAPPeer, error) { return newPeer(), nil }
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	kept, err := store.Open(cfg.DataDir, cfg.Log)
	if err != nil {
		return err
	}
	defer kept.Close()
	ready := false
	var node *wpan.Node
	node, err = wpan.New(wpan.Config{
		Role: cfg.Role, Random: crand.Reader, Store: state{kept}, Peer: peer, Profile: cfg.Profile, Channels: cfg.Channels,
		Network: wpan.Network{Open: cfg.Open, ID: cfg.Network, Channel: cfg.Channel, PANID: cfg.PANID},
		Log:     cfg.Event, Session: cfg.Session,
		Changed: func() {
			if !ready && len(node.Addresses()) > 1 && cfg.Ready != nil {
				ready = true
				cfg.Ready(node)
			}
		},
	}, time.Now())
	if err != nil {
		return err
	}
	dial := transport.NewDialer(cfg.Radio).Dial
	if cfg.Radio.Bus == radio.BusSim || cfg.Radio.Bus == radio.BusZEP {
		dial = func(context.Context) (transport.Conn, error) { return rcpd.Dial(cfg.Radio) }
	}
	port := transport.NewPort(transport.PortConfig{Dial: dial})
	var gen uint64
	link := spinel.NewLink(spinel.LinkConfig{
		Clock: node.Clock(), Handler: node.Radio(), Send: func(b []byte) { port.Write(gen, b) },
		Notify: func(e spinel.Event) {
			if e.Kind == spinel.EventReopen {
				port.Reopen(gen)
			}
			cfg.Log.Debug("radio", "id", "RADIO", "event", e.String())
		},
		BusTime: cfg.Radio.BusTime(), Tuning: cfg.Radio.Tuning, IID: cfg.Radio.IID, NoReset: cfg.Radio.NoReset,
		SkipVersionCheck: cfg.Radio.SkipVersionCheck,
	})
	node.SetRadio(link)

	var wg sync.WaitGroup
	defer wg.Wait()
	portCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	wg.Go(func() { _ = port.Run(portCtx) })
	node.Start()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	done := ctx.Done()
	var leave <-chan time.Time
	for {
		wait := time.Hour
		if at := node.Deadline(); !at.IsZero() {
			wait = time.Until(at)
		}
		timer.Reset(wait)
		select {
		case <-done:
			// What says goodbye is given time to get on the air.
			done, leave = nil, time.After(leaveTime)
			node.Advance(time.Now())
			node.Leave()
		case <-leave:
			return nil
		case <-timer.C:
			node.Advance(time.Now())
		case e := <-port.Events():
			node.Advance(time.Now())
			switch e.Kind {
			case transport.PortOpened:
				gen = e.Gen
				link.Opened(e.At)
			case transport.PortReceived:
				link.Receive(e.At, e.Data)
			case transport.PortClosed:
				link.Closed(e.At, e.Err)
			case transport.PortFailed:
				cfg.Log.Warn("radio cannot be opened", "id", "RADIO-OPEN", "err", e.Err)
				if gen == 0 {
					return fmt.Errorf("pacd: radio %v: %w", cfg.Radio, e.Err)
				}
			}
		}
	}
}

// leaveTime is how long leaving the network may take.
const leaveTime = 500 * time.Millisecond

// state is a device's store. It must outlive the device: under a network key
// that it had before, frame counters must not be used again.
type state struct{ *store.Store }

// Load implements wpan.Store.
func (s state) Load(name string) ([]byte, int, bool) {
	b, err := s.Store.Load(name)
	lost := s.Lost(name)
	if err != nil && (errors.Is(err, store.ErrDamaged) || !errors.Is(err, fs.ErrNotExist)) {
		lost = max(lost, 1) // it was there, and cannot be read
	}
	return b, lost, err == nil
}
