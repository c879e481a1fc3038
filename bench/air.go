//go:build bench

package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"gatewayd/internal/timerfd"
	"gatewayd/radio/medium"
	"gatewayd/radio/medium/udp"
)

// air is a medium in which it is settled who hears whom, and in which frames
// can take the time they take at 250 kb/s. Each program has OpenThread's
// simulated medium to itself, as the one node of a port offset that is its
// place; what it sends there is sent again to the places that hear it.
//
// Frames follow each other on one channel: nobody transmits while another
// does, and none are lost.
type air struct {
	timed atomic.Bool // frames take time

	mu     sync.Mutex
	places map[int]*udp.Medium
	near   map[int][]int

	frames chan heard
	cancel context.CancelFunc
	ended  sync.WaitGroup
	ns     *namespace
	ctx    context.Context
}

// heard is a frame and where it was sent.
type heard struct {
	place int
	medium.Datagram
}

const (
	// theOnlyNode is the number of each program on its own medium.
	theOnlyNode = "1"
	relayNode   = udp.MaxNode
)

func newAir(ns *namespace) (*air, error) {
	timer, err := timerfd.New()
	if err != nil {
		return nil, err
	}
	// The queue is for bursts: all that a mesh sends at once.
	a := &air{ns: ns, places: map[int]*udp.Medium{}, near: map[int][]int{}, frames: make(chan heard, 1000)}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.ended.Go(timer.Run)
	a.ended.Go(func() {
		defer timer.Close()
		a.run(timer)
	})
	return a, nil
}

// environment is what makes a program be at a place.
func environment(place int) string { return fmt.Sprintf("PORT_OFFSET=%d", place) }

// add makes a place.
func (a *air) add(place int) error {
	var m *udp.Medium
	err := a.ns.inside(func() (err error) {
		m, err = udp.Open(udp.Config{Node: relayNode, PortOffset: place})
		return err
	})
	if err != nil {
		return err
	}
	a.mu.Lock()
	a.places[place] = m
	a.mu.Unlock()
	a.ended.Go(func() { _ = m.Run(a.ctx) })
	a.ended.Go(func() {
		for {
			select {
			case <-a.ctx.Done():
				return
			case d := <-m.Frames():
				select {
				case a.frames <- heard{place, d}:
				case <-a.ctx.Done():
				}
			}
		}
	})
	return nil
}

// link lets two places hear each other.
func (a *air) link(p, q int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.near[p] = append(a.near[p], q)
	a.near[q] = append(a.near[q], p)
}

// run sends frames again, each at its end.
func (a *air) run(timer *timerfd.Timer) {
	var onAir []heard // in the order of their ends, which At is
	var busy time.Time
	for {
		now := time.Now()
		for len(onAir) > 0 && !onAir[0].At.After(now) {
			a.deliver(onAir[0])
			onAir = onAir[1:]
		}
		if len(onAir) > 0 {
			if err := timer.Start(time.Until(onAir[0].At)); err != nil {
				fmt.Fprintln(os.Stderr, "bench: air:", err)
				return
			}
		}
		select {
		case <-a.ctx.Done():
			return
		case <-timer.C:
		case f := <-a.frames:
			if a.timed.Load() {
				if busy.Before(f.At) {
					busy = f.At
				}
				busy = busy.Add(medium.Airtime(len(f.PSDU)))
				f.At = busy
			}
			onAir = append(onAir, f)
		}
	}
}

func (a *air) deliver(f heard) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.near[f.place] {
		a.places[p].Transmit(f.At, f.Channel, 0, f.PSDU)
	}
}

// close ends the medium.
func (a *air) close() {
	a.cancel()
	a.ended.Wait()
	for _, m := range a.places {
		m.Close()
	}
}
