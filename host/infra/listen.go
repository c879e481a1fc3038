package infra

import (
	"log/slog"
	"sync"

	"gatewayd/ipv6"
	"gatewayd/ndp"
)

// Listen sends a message to all routers of a link, from its link-local
// address, and calls receive for what arrives until stop is called. Unlike a
// Follower it does not survive the interface.
func Listen(l Link, receive func(ndp.In), m ndp.Message) (stop func(), err error) {
	if !l.Ready() {
		return nil, ErrNotReady
	}
	conn, err := openSocket(l.Name, l.Index)
	if err != nil {
		return nil, err
	}
	s := &socket{conn: conn, index: l.Index, src: l.LinkLocal}
	f := &Follower{
		log: slog.New(slog.DiscardHandler), received: make(chan received),
		links: []*followed{{Link: l, socket: s}},
	}
	f.readers.Go(func() { f.receive(s, l.ID) })
	var wg sync.WaitGroup
	wg.Go(func() {
		for r := range f.received {
			receive(r.in)
		}
	})
	stop = func() {
		s.close()
		f.readers.Wait()
		close(f.received)
		wg.Wait()
	}
	typ, code := m.ICMP()
	err = f.Send(l.ID, ndp.Out{Src: l.LinkLocal, Dst: ipv6.AllRoutersLinkLocal, Type: typ, Code: code, Body: m.Append(nil)})
	if err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}
