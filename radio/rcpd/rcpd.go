// Package rcpd runs a simulated radio co-processor: package rcp's Server, on
// the air of OpenThread's simulation or one of ZEP datagrams, for a host at the
// other end of a byte stream.
package rcpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/internal/pump"
	"gatewayd/internal/timerfd"
	"gatewayd/radio/medium"
	"gatewayd/radio/rcp"
)

// Medium is a place in a medium of datagrams: package udp's or zep's.
type Medium interface {
	medium.Port
	// Run reads datagrams into Frames until ctx is cancelled.
	Run(ctx context.Context) error
	Frames() <-chan medium.Datagram
	Deliver(d medium.Datagram)
	EUI64() ieee802154.ExtAddr
	Close() error
}

// Config is a co-processor's. Medium is required.
type Config struct {
	Medium Medium
	// EUI64 is the co-processor's; zero is that of its Medium.
	EUI64   ieee802154.ExtAddr
	Version string // as it tells its host; empty is "gatewayd simulated RCP"
}

// Serve runs a co-processor whose host is at the other end of host, until ctx
// is cancelled or the stream ends, which is no error. It closes host, not the
// Medium; when it returns, nothing of it runs any more.
//
// A host that does not read makes it wait: its radio then hears nothing, as a
// co-processor's whose buffers are full.
func Serve(ctx context.Context, host io.ReadWriteCloser, cfg Config) error {
	if cfg.EUI64 == (ieee802154.ExtAddr{}) {
		cfg.EUI64 = cfg.Medium.EUI64()
	}
	if cfg.Version == "" {
		cfg.Version = "gatewayd simulated RCP"
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Unblocks the reader, and a write that the host does not take.
	defer context.AfterFunc(ctx, func() { host.Close() })()
	defer host.Close()

	timer, err := timerfd.New()
	if err != nil {
		return err
	}
	defer timer.Close()
	wg.Go(timer.Run)
	wg.Go(func() { cancel(cfg.Medium.Run(ctx)) })
	bytes := make(chan []byte)
	wg.Go(func() { cancel(fmt.Errorf("rcpd: read from the host: %w", pump.Read(ctx, host, 4096, bytes))) })

	clock := new(alarm.Clock)
	clock.Set(time.Now())
	server := rcp.NewServer(rcp.ServerConfig{
		Config: rcp.Config{
			Clock:   clock,
			Rand:    rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
			Port:    cfg.Medium,
			EUI64:   cfg.EUI64,
			Version: cfg.Version,
			// Timers of a busy host are late by as much.
			CSLUncertain: 200,
		},
		Send: func(b []byte) {
			if _, err := host.Write(b); err != nil {
				cancel(fmt.Errorf("rcpd: write to the host: %w", err))
			}
		},
	})
	server.Start(time.Now())
	var set time.Time // what the timer is set to
	for {
		clock.Advance(time.Now())
		if at := clock.Deadline(); !at.IsZero() && !at.Equal(set) {
			set = at
			if err := timer.Start(time.Until(at)); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			err := context.Cause(ctx)
			// A pseudo-terminal whose other side is gone says EIO.
			if errors.Is(err, io.EOF) || errors.Is(err, syscall.EIO) {
				return nil
			}
			return err
		case b := <-bytes:
			server.Receive(time.Now(), b)
		case d := <-cfg.Medium.Frames():
			cfg.Medium.Deliver(d)
		case <-timer.C:
			set = time.Time{}
		}
	}
}
