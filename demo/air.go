package demo

import (
	"context"
	"errors"
	"io"
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

// air runs a simulated world in real time, with a co-processor in it whose
// host is a gateway. One goroutine, that of run, owns it; others use do.
type air struct {
	world world
	rcp   *rcp.Server
	calls chan func()
	done  chan struct{} // closed when run returns

	readers sync.WaitGroup
	host    net.Conn // our end of the line to the gateway, or nil
}

// world is a simulated one, with Thread nodes in it or with plain ones.
type world interface {
	RunTo(time.Time)
	Now() time.Time
	Deadline() time.Time
	Clock() *alarm.Clock
}

var errStopped = errors.New("demo: the simulated air has stopped")

// gatewayEUI64 is the co-processor's address.
var gatewayEUI64 = ieee802154.ExtAddr{0x02, 0, 0, 0, 0, 0, 0, 0xaa}

func newAir(seed uint64, w world, station *medium.Station) *air {
	a := &air{world: w, calls: make(chan func()), done: make(chan struct{})}
	a.rcp = rcp.NewServer(rcp.ServerConfig{
		Config: rcp.Config{
			Clock: w.Clock(), Rand: rand.New(rand.NewPCG(seed, 0xaa)), Port: station,
			EUI64: gatewayEUI64, Version: "gatewayd embedded RCP",
		},
		Send: func(b []byte) {
			if a.host != nil {
				_, _ = a.host.Write(b) // a line that broke is noticed by its reader
			}
		},
	})
	a.rcp.Start(w.Now())
	return a
}

// run lets the world follow the real clock until ctx ends.
func (a *air) run(ctx context.Context) {
	defer a.readers.Wait()
	defer func() {
		if a.host != nil {
			a.host.Close()
		}
	}()
	defer close(a.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		a.world.RunTo(time.Now())
		wait := time.Hour
		if at := a.world.Deadline(); !at.IsZero() {
			wait = time.Until(at)
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case f := <-a.calls:
			a.world.RunTo(time.Now())
			f()
		case <-timer.C:
		}
	}
}

// do runs f in the goroutine that owns the world and waits for it.
func (a *air) do(f func()) error {
	ended := make(chan struct{})
	select {
	case a.calls <- func() { defer close(ended); f() }:
	case <-a.done:
		return errStopped
	}
	<-ended
	return nil
}

// dial connects a gateway to the co-processor; a former connection ends.
func (a *air) dial(context.Context) (transport.Conn, error) {
	ours, theirs := net.Pipe()
	err := a.do(func() {
		if a.host != nil {
			a.host.Close()
		}
		a.host = theirs
		a.readers.Go(func() { a.read(theirs) })
	})
	if err != nil {
		return nil, err
	}
	return ours, nil
}

// read passes on what the gateway sends until the line ends.
func (a *air) read(from io.Reader) {
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		if n > 0 && a.do(func() { a.rcp.Receive(a.world.Now(), b[:n]) }) != nil {
			return
		}
		if err != nil {
			return
		}
	}
}
