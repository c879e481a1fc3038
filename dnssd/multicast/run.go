package multicast

import (
	"context"
	crand "crypto/rand"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/vishvananda/netlink"

	"gatewayd/alarm"
	"gatewayd/dnssd/mdns"
)

// Implementation constants of run.
const (
	// settle is how long the interfaces are left to change before they are
	// read: one plug gives several notices.
	settle = 300 * time.Millisecond
	// look is how often they are read if the kernel gives no notices.
	look = 10 * time.Second
)

// run runs a machine of its own on all the host's interfaces that lead to other
// hosts, whatever becomes of them, until ctx is cancelled. begin tells it what
// to do. log may be nil.
func run(ctx context.Context, log *slog.Logger, begin func(*mdns.Machine) error) error {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	var seed [32]byte
	if _, err := crand.Read(seed[:]); err != nil {
		return fmt.Errorf("multicast: randomness: %w", err)
	}
	s, err := Open()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer s.Close()
	defer cancel()

	notices := make(chan struct{})
	if err := subscribe(ctx, &wg, notices); err != nil {
		return err
	}
	datagrams := make(chan Datagram)
	wg.Go(func() {
		err := s.Run(ctx, func(d Datagram) {
			select {
			case datagrams <- d:
			case <-ctx.Done():
			}
		})
		if err != nil && ctx.Err() == nil {
			log.Error("multicast DNS has ended", "id", "MDNS-SOCKET", "err", err)
		}
	})

	r := &runner{log: log, sockets: s}
	r.clock.Set(time.Now())
	r.machine = mdns.New(mdns.Config{Clock: &r.clock, Rand: rand.New(rand.NewChaCha8(seed)), Send: s.Send})
	defer r.machine.Stop() // says goodbye
	r.read = r.clock.NewTimer(r.refresh)
	r.refresh()
	if err := begin(r.machine); err != nil {
		return err
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-notices:
			r.clock.Set(time.Now())
			r.read.StartEarlier(settle)
		case d := <-datagrams:
			r.clock.Set(time.Now())
			r.machine.Receive(d.Iface, d.From, d.To, d.Bytes)
		case <-timer.C:
		}
		r.clock.Advance(time.Now())
		if at := r.clock.Deadline(); !at.IsZero() {
			timer.Reset(max(time.Until(at), 0))
		}
	}
}

// runner is what run's goroutine has.
type runner struct {
	log     *slog.Logger
	sockets *Sockets
	clock   alarm.Clock
	machine *mdns.Machine
	read    *alarm.Timer // of the interfaces
}

// subscribe has the kernel's notices of addresses and interfaces that change
// told to notices until ctx ends.
func subscribe(ctx context.Context, wg *sync.WaitGroup, notices chan<- struct{}) error {
	addrs, links := make(chan netlink.AddrUpdate), make(chan netlink.LinkUpdate)
	if err := netlink.AddrSubscribe(addrs, ctx.Done()); err != nil {
		return fmt.Errorf("multicast: notices of addresses: %w", err)
	}
	wg.Go(func() { tell(ctx, addrs, notices) })
	if err := netlink.LinkSubscribe(links, ctx.Done()); err != nil {
		return fmt.Errorf("multicast: notices of interfaces: %w", err)
	}
	wg.Go(func() { tell(ctx, links, notices) })
	return nil
}

// tell passes notices on without their contents. They end before ctx does if
// one is lost; from then on it is as if there were one now and then.
func tell[T any](ctx context.Context, from <-chan T, notices chan<- struct{}) {
	for range from { // to its end, for who sends does not look at ctx
		select {
		case notices <- struct{}{}:
		case <-ctx.Done():
		}
	}
	for {
		select {
		case <-time.After(look):
		case <-ctx.Done():
			return
		}
		select {
		case notices <- struct{}{}:
		case <-ctx.Done():
		}
	}
}

// refresh reads the interfaces.
func (r *runner) refresh() {
	all, err := net.Interfaces()
	if err != nil {
		r.read.Start(look) // for want of memory: it is tried again
		return
	}
	var list []mdns.Interface
	for _, i := range all {
		// A mesh's interface is a tunnel; and what is down is nobody's.
		const want = net.FlagUp | net.FlagRunning | net.FlagMulticast
		if i.Flags&want != want || i.Flags&(net.FlagLoopback|net.FlagPointToPoint) != 0 {
			continue
		}
		link, err := Interface(i.Name)
		if err == nil && len(link.Addrs) > 0 {
			list = append(list, link)
		}
	}
	if err := r.sockets.SetInterfaces(list); err != nil {
		r.log.Warn("multicast DNS is not on every link", "id", "MDNS-LINK", "err", err)
	}
	r.machine.SetInterfaces(list)
}
