// Package simair puts radio co-processors on an air in memory, in real time, as
// radios of gateways in tests.
package simair

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"gatewayd/alarm"
	"gatewayd/ieee802154"
	"gatewayd/radio/medium"
	"gatewayd/radio/rcp"
	"gatewayd/radio/transport"
)

// Air is a medium whose stations all hear each other. Its lock is held by
// whoever does something in it, which is what makes it safe to share.
type Air struct {
	mu    sync.Mutex
	clock alarm.Clock
	air   *medium.Air
	wake  chan struct{} // one token: the deadline may be another one
}

// New returns an Air in which time passes until ctx ends.
func New(ctx context.Context) *Air {
	a := &Air{wake: make(chan struct{}, 1)}
	a.clock.Set(time.Now())
	a.air = medium.New(medium.Config{Clock: &a.clock, Rand: rand.New(rand.NewPCG(1, 2)), Ideal: true})
	go a.run(ctx)
	return a
}

func (a *Air) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-a.wake:
		}
		next := time.Hour
		a.do(func() {
			if at := a.clock.Deadline(); !at.IsZero() {
				next = time.Until(at)
			}
		})
		timer.Reset(next)
	}
}

// do runs f as the only one, at the present time.
func (a *Air) do(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.clock.Advance(time.Now())
	f()
}

func (a *Air) changed() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Radio adds a co-processor to the air and returns how to reach it, as a
// gateway's Options.Dial. It is plugged out when the connection is closed, and
// may be dialled again.
func (a *Air) Radio(eui64 ieee802154.ExtAddr) func(context.Context) (transport.Conn, error) {
	var station *medium.Station
	a.do(func() {
		station = a.air.Add()
		for _, o := range a.air.Stations() {
			if o != station {
				a.air.Link(station, o, -50, 0)
			}
		}
	})
	return func(context.Context) (transport.Conn, error) {
		ours, theirs := net.Pipe()
		// Answers wait here, not in the air, for a host that is slow to read.
		answers := make(chan []byte, 1024)
		var server *rcp.Server
		a.do(func() {
			server = rcp.NewServer(rcp.ServerConfig{
				Config: rcp.Config{Clock: &a.clock, Rand: rand.New(rand.NewPCG(3, uint64(eui64[7]))), Port: station,
					EUI64: eui64, Version: "OPENTHREAD/simair; POSIX"},
				Send: func(b []byte) {
					select {
					case answers <- append([]byte(nil), b...):
					default:
					}
				},
			})
			server.Start(a.clock.Now())
		})
		go func() {
			for b := range answers {
				if _, err := theirs.Write(b); err != nil {
					theirs.Close() // so that reading ends, too
				}
			}
		}()
		go func() {
			buf := make([]byte, 4096)
			for {
				n, err := theirs.Read(buf)
				a.do(func() {
					if err != nil {
						station.Attach(nil)
						station.Tune(a.clock.Now(), 0)
						return
					}
					server.Receive(a.clock.Now(), buf[:n])
				})
				a.changed()
				if err != nil {
					return
				}
			}
		}()
		return ours, nil
	}
}
