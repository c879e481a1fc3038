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
	"gatewayd/dnssd"
	"gatewayd/dnssd/mdns"
)

// Implementation constants of Publish.
const (
	// settle is how long the interfaces are left to change before they are
	// read: one plug gives several notices.
	settle = 300 * time.Millisecond
	// look is how often they are read if the kernel gives no notices.
	look = 10 * time.Second
)

// Host is the name of the host itself. Name is required.
type Host struct {
	Name string // one label, to begin with
	// Services of the host. An instance without a name has the host's.
	Services []dnssd.Service
	// Named is told the name that the host has got, which is another one if
	// somebody else has Name, each time that it changes.
	Named func(name string)
	Log   *slog.Logger // default: discard
}

// Publish publishes the host by the addresses of all its interfaces that lead
// to other hosts, whatever becomes of them, until ctx is cancelled.
func Publish(ctx context.Context, h Host) error {
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
		if err != nil && ctx.Err() == nil && h.Log != nil {
			h.Log.Error("multicast DNS has ended", "id", "MDNS-SOCKET", "err", err)
		}
	})

	p := &publisher{host: h, sockets: s}
	p.clock.Set(time.Now())
	p.machine = mdns.New(mdns.Config{Clock: &p.clock, Rand: rand.New(rand.NewChaCha8(seed)), Send: s.Send})
	defer p.machine.Stop() // says goodbye
	if err := p.publish(); err != nil {
		return err
	}
	p.read = p.clock.After(0, p.refresh)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-notices:
			p.clock.Set(time.Now())
			p.read.StartEarlier(settle)
		case d := <-datagrams:
			p.clock.Set(time.Now())
			p.machine.Receive(d.Iface, d.From, d.To, d.Bytes)
		case <-timer.C:
		}
		p.clock.Advance(time.Now())
		if at := p.clock.Deadline(); !at.IsZero() {
			timer.Reset(max(time.Until(at), 0))
		}
	}
}

// publisher is what Publish's goroutine has.
type publisher struct {
	host    Host
	sockets *Sockets
	clock   alarm.Clock
	machine *mdns.Machine
	read    *alarm.Timer
	named   string // told last
}

func (p *publisher) publish() error {
	host := dnssd.Host{Name: p.host.Name}
	for _, s := range p.host.Services {
		if s.Instance == "" {
			s.Instance = p.host.Name
		}
		host.Services = append(host.Services, s)
	}
	_, err := p.machine.Publish("host", host, mdns.Options{LinkAddrs: true, Changed: func(r *mdns.Registration) {
		if st := r.Status(); st.State == mdns.Established && st.Host != p.named {
			p.named = st.Host
			if p.host.Named != nil {
				p.host.Named(st.Host)
			}
		}
	}})
	if err != nil {
		return fmt.Errorf("multicast: the name %q: %w", p.host.Name, err)
	}
	return nil
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
func (p *publisher) refresh() {
	all, err := net.Interfaces()
	if err != nil {
		p.read.Start(look) // for want of memory: it is tried again
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
	if err := p.sockets.SetInterfaces(list); err != nil && p.host.Log != nil {
		p.host.Log.Warn("multicast DNS is not on every link", "id", "MDNS-LINK", "err", err)
	}
	p.machine.SetInterfaces(list)
}
