// Package udp gives the machines of package radius their sockets and, if
// nobody else does, their clock (RFC 2865 Section 3; RADIUS over UDP).
//
// A machine has one owner goroutine. Either that is Run's, which then drives
// the machine's clock too, or it is somebody else's main loop, which gets the
// datagrams through Options.Deliver and drives the clock itself.
package udp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gatewayd/alarm"
	"gatewayd/radius"
)

// Options say where the sockets are and who owns the machine.
type Options struct {
	// Listen are the addresses of sockets 0, 1, and so on: a server's. On a
	// host of several addresses, list each: what is sent from a socket for all
	// has the address that the route chooses, and a client that asked another
	// one does not take it. A client's sockets need none: they open when they
	// are first sent from, with ports of the system's choice.
	Listen []netip.AddrPort
	// Source is the address that sockets of a client are bound to, for
	// servers of its family; default: the system's choice.
	Source netip.Addr

	// Deliver runs a function on the goroutine that owns the machine, and
	// returns when it ran or the owner has ended. Nil: Run is the owner.
	Deliver func(func())
	// Clock is the machine's; required, and used, without Deliver only.
	Clock *alarm.Clock

	Log *slog.Logger // default: discard
}

// Sockets are a machine's way to the network.
type Sockets struct {
	opt     Options
	calls   chan func()
	done    chan struct{} // closed when Run ends
	unsent  atomic.Uint64
	wg      sync.WaitGroup
	mu      sync.Mutex
	receive func(socket int, from netip.AddrPort, b []byte) // nil before Run
	conns   map[key]*net.UDPConn
	closed  bool
}

// key tells sockets apart. A client has one of a number for each family.
type key struct {
	socket int
	v6     bool
}

// readBuffer is what the kernel may queue for a socket while the owner works.
const readBuffer = 1 << 20

// readPause keeps a socket that only has errors from taking a whole processor.
const readPause = 10 * time.Millisecond

// ErrStopped is returned by Do when Run has ended.
var ErrStopped = errors.New("radius/udp: has stopped")

// New opens the sockets that listen.
func New(opt Options) (*Sockets, error) {
	if opt.Deliver == nil && opt.Clock == nil {
		return nil, errors.New("radius/udp: neither an owner nor a clock is given")
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	s := &Sockets{opt: opt, calls: make(chan func()), done: make(chan struct{}), conns: map[key]*net.UDPConn{}}
	for i, addr := range opt.Listen {
		if err := s.open(key{i, false}, network(addr.Addr()), addr); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

// network keeps an IPv6 socket from taking IPv4 too, except one for all
// addresses.
func network(a netip.Addr) string {
	switch {
	case a.Is4() || a.Is4In6():
		return "udp4"
	case a.IsUnspecified():
		return "udp"
	default:
		return "udp6"
	}
}

// open opens a socket; mu is held, or nobody else knows s.
func (s *Sockets) open(k key, network string, addr netip.AddrPort) error {
	conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return fmt.Errorf("radius/udp: %w", err)
	}
	// The default holds a burst of some 270 packets. The system may give less
	// than asked for; then more are repeated.
	_ = conn.SetReadBuffer(readBuffer)
	s.conns[k] = conn
	if s.receive != nil {
		s.read(k, conn)
	}
	return nil
}

// Addr is where a socket that listens does so.
func (s *Sockets) Addr(socket int) netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	conn := s.conns[key{socket, false}]
	if conn == nil {
		return netip.AddrPort{}
	}
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// Send sends a datagram; a machine's Send. What cannot be sent is lost, as it
// might be on the way, and counted.
func (s *Sockets) Send(socket int, to netip.AddrPort, b []byte) {
	conn, err := s.conn(socket, to.Addr().Unmap())
	if err == nil {
		_, err = conn.WriteToUDPAddrPort(b, to)
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		s.unsent.Add(1)
		s.opt.Log.LogAttrs(context.Background(), slog.LevelDebug, "datagram not sent", slog.String("id", "RADIUS-UNSENT"),
			slog.String("to", to.String()), slog.String("err", err.Error()))
	}
}

// Unsent is how many datagrams could not be sent.
func (s *Sockets) Unsent() uint64 { return s.unsent.Load() }

func (s *Sockets) conn(socket int, to netip.Addr) (*net.UDPConn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, net.ErrClosed
	}
	if socket < len(s.opt.Listen) {
		return s.conns[key{socket, false}], nil
	}
	k := key{socket, to.Is6()}
	if s.conns[k] == nil {
		var local netip.AddrPort
		if src := s.opt.Source; src.IsValid() && src.Is6() == k.v6 {
			local = netip.AddrPortFrom(src, 0)
		}
		network := "udp4"
		if k.v6 {
			network = "udp6"
		}
		if err := s.open(k, network, local); err != nil {
			return nil, err
		}
	}
	return s.conns[k], nil
}

// Do runs f on the owner, while Run runs.
func (s *Sockets) Do(f func()) error {
	if s.opt.Deliver != nil {
		s.opt.Deliver(f)
		return nil
	}
	ran := make(chan struct{})
	select {
	case s.calls <- func() { f(); close(ran) }:
		<-ran
		return nil
	case <-s.done:
		return ErrStopped
	}
}

// Run gives what comes to receive, a machine's Receive, until ctx is
// cancelled. When it returns, the sockets are closed and everything that it
// started has ended.
func (s *Sockets) Run(ctx context.Context, receive func(socket int, from netip.AddrPort, b []byte)) error {
	s.mu.Lock()
	s.receive = receive
	for k, conn := range s.conns {
		s.read(k, conn)
	}
	s.mu.Unlock()
	defer s.wg.Wait()
	defer s.close()
	defer close(s.done)

	if s.opt.Deliver != nil {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var set time.Time // what the timer is set to
	for {
		if at := s.opt.Clock.Deadline(); !at.IsZero() && !at.Equal(set) {
			timer.Reset(time.Until(at))
			set = at
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case f := <-s.calls:
			s.opt.Clock.Advance(time.Now())
			f()
		case <-timer.C:
			set = time.Time{}
			s.opt.Clock.Advance(time.Now())
		}
	}
}

func (s *Sockets) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, conn := range s.conns {
		conn.Close() // ends its reader
	}
}

// read starts the goroutine that reads a socket. It waits for the owner to
// have taken each datagram; meanwhile the kernel queues, and drops, the rest.
func (s *Sockets) read(k key, conn *net.UDPConn) {
	s.wg.Go(func() {
		buf := make([]byte, radius.MaxPacketLen+1)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil { // the network's, and maybe for long
				select {
				case <-s.done:
					return
				case <-time.After(readPause):
				}
				continue
			}
			if s.Do(func() { s.receive(k.socket, from, buf[:n]) }) != nil {
				return
			}
		}
	})
}
