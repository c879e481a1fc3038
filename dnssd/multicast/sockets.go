package multicast

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gatewayd/dnssd/mdns"
)

// A Datagram is what came, with where it came by.
type Datagram struct {
	Iface int
	From  netip.AddrPort // with a zone if link-local
	To    netip.Addr
	Bytes []byte
}

// Sockets are port 5353 of the host.
type Sockets struct {
	v4, v6 *net.UDPConn // nil: the host does not have the family

	mu     sync.Mutex
	joined map[membership]bool

	unsent atomic.Uint64
}

type membership struct {
	iface int
	v6    bool
}

// readBuffer is what the kernel may queue while the reader works: the answers
// of a large link to one question.
const readBuffer = 1 << 20

// readPause keeps a socket that only has errors from taking a whole processor.
const readPause = 10 * time.Millisecond

// Open opens the sockets. A host with only one of the families gets that.
func Open() (*Sockets, error) {
	s := &Sockets{joined: map[membership]bool{}}
	var err4, err6 error
	s.v4, err4 = open("udp4", ":"+strconv.Itoa(mdns.Port), setup4)
	s.v6, err6 = open("udp6", "[::]:"+strconv.Itoa(mdns.Port), setup6)
	if err4 != nil && err6 != nil {
		return nil, fmt.Errorf("multicast: port %d: %w", mdns.Port, errors.Join(err4, err6))
	}
	return s, nil
}

// open opens one socket. Other responders must allow sharing the port too; all
// known ones do.
func open(network, address string, setup func(fd int) error) (*net.UDPConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if cerr := c.Control(func(fd uintptr) { err = setup(int(fd)) }); cerr != nil {
			return cerr
		}
		return err
	}}
	conn, err := lc.ListenPacket(context.Background(), network, address)
	if err != nil {
		return nil, err
	}
	uc := conn.(*net.UDPConn)
	// The system may give less than asked for; then more is asked for again.
	_ = uc.SetReadBuffer(readBuffer)
	return uc, nil
}

// option is an option of a socket.
type option struct{ level, name, value int }

func set(fd int, options []option) error {
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	return nil
}

var shared = []option{
	{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1},
	{unix.SOL_SOCKET, unix.SO_REUSEPORT, 1},
}

func setup4(fd int) error {
	if err := set(fd, shared); err != nil {
		return err
	}
	return set(fd, []option{
		{unix.IPPROTO_IP, unix.IP_PKTINFO, 1},
		{unix.IPPROTO_IP, unix.IP_TTL, 255},
		{unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, 255},
		{unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 1},
		// Else it gets what any socket of the host has joined, on any interface.
		{unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0},
	})
}

func setup6(fd int) error {
	if err := set(fd, shared); err != nil {
		return err
	}
	return set(fd, []option{
		{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1},
		{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1},
		{unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, 255},
		{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255},
		{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, 1},
		{unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, 0},
	})
}

// SetInterfaces joins the groups on the interfaces, and leaves them on all
// others. It does what it can, and says what it could not.
func (s *Sockets) SetInterfaces(ifaces []mdns.Interface) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	want := map[membership]bool{}
	for _, i := range ifaces {
		v4, v6 := families(i)
		want[membership{i.Index, false}] = v4 && s.v4 != nil
		want[membership{i.Index, true}] = v6 && s.v6 != nil
	}
	var errs []error
	for k := range s.joined {
		if !want[k] {
			// The interface may be gone, and the membership with it.
			_ = s.member(k, false)
			delete(s.joined, k)
		}
	}
	for k, ok := range want {
		if !ok || s.joined[k] {
			continue
		}
		if err := s.member(k, true); err != nil && !errors.Is(err, unix.EADDRINUSE) {
			errs = append(errs, fmt.Errorf("multicast: join on interface %d: %w", k.iface, err))
			continue
		}
		s.joined[k] = true
	}
	return errors.Join(errs...)
}

// families are those to multicast over.
func families(i mdns.Interface) (v4, v6 bool) {
	if i.V4 || i.V6 {
		return i.V4, i.V6
	}
	for _, p := range i.Addrs {
		v4 = v4 || p.Addr().Unmap().Is4()
		v6 = v6 || !p.Addr().Unmap().Is4()
	}
	return v4, v6
}

// member joins or leaves a group.
func (s *Sockets) member(k membership, join bool) error {
	conn := s.v4
	if k.v6 {
		conn = s.v6
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	cerr := raw.Control(func(fd uintptr) {
		switch {
		case k.v6:
			name := unix.IPV6_LEAVE_GROUP
			if join {
				name = unix.IPV6_JOIN_GROUP
			}
			err = unix.SetsockoptIPv6Mreq(int(fd), unix.IPPROTO_IPV6, name,
				&unix.IPv6Mreq{Multiaddr: mdns.Group6.As16(), Interface: uint32(k.iface)})
		default:
			name := unix.IP_DROP_MEMBERSHIP
			if join {
				name = unix.IP_ADD_MEMBERSHIP
			}
			err = unix.SetsockoptIPMreqn(int(fd), unix.IPPROTO_IP, name,
				&unix.IPMreqn{Multiaddr: mdns.Group4.As4(), Ifindex: int32(k.iface)})
		}
	})
	if cerr != nil {
		return cerr
	}
	return os.NewSyscallError("setsockopt", err)
}

// Send sends a datagram out of an interface; a machine's Send. What cannot be
// sent is lost, as it might be on the way, and counted.
func (s *Sockets) Send(iface int, to netip.AddrPort, b []byte) {
	conn, oob := s.v4, []byte(nil)
	if to.Addr().Unmap().Is4() {
		oob = unix.PktInfo4(&unix.Inet4Pktinfo{Ifindex: int32(iface)})
		to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	} else {
		conn, oob = s.v6, unix.PktInfo6(&unix.Inet6Pktinfo{Ifindex: uint32(iface)})
		// The interface is in oob.
		to = netip.AddrPortFrom(to.Addr().WithZone(""), to.Port())
	}
	if conn == nil {
		s.unsent.Add(1)
		return
	}
	if _, _, err := conn.WriteMsgUDPAddrPort(b, oob, to); err != nil {
		s.unsent.Add(1)
	}
}

// Unsent is how many datagrams could not be sent.
func (s *Sockets) Unsent() uint64 { return s.unsent.Load() }

// Run reads until ctx is cancelled, and gives each datagram, whose bytes are
// the receiver's, to receive, from one goroutine for each family.
func (s *Sockets) Run(ctx context.Context, receive func(Datagram)) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for _, conn := range []*net.UDPConn{s.v4, s.v6} {
		if conn == nil {
			continue
		}
		stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
		defer stop()
		wg.Go(func() {
			if err := read(ctx, conn, receive); err != nil {
				cancel(err)
			}
		})
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// read reads one socket.
func read(ctx context.Context, conn *net.UDPConn, receive func(Datagram)) error {
	b, oob := make([]byte, 9001), make([]byte, 256)
	for {
		n, on, flags, from, err := conn.ReadMsgUDPAddrPort(b, oob)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("multicast: %w", err)
		case err != nil:
			// Errors of earlier sends come here too.
			select {
			case <-ctx.Done():
			case <-time.After(readPause):
			}
			continue
		case flags&unix.MSG_TRUNC != 0:
			continue
		}
		iface, to, ok := pktinfo(oob[:on])
		if !ok {
			continue
		}
		receive(Datagram{iface, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), to, append([]byte(nil), b[:n]...)})
	}
}

// pktinfo reads where a datagram came by and was sent to.
func pktinfo(oob []byte) (iface int, to netip.Addr, ok bool) {
	cs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0, netip.Addr{}, false
	}
	for _, c := range cs {
		switch {
		case c.Header.Level == unix.IPPROTO_IP && c.Header.Type == unix.IP_PKTINFO && len(c.Data) >= unix.SizeofInet4Pktinfo:
			// in_pktinfo: interface, local address, address of the header
			return int(binary.NativeEndian.Uint32(c.Data)), netip.AddrFrom4([4]byte(c.Data[8:12])), true
		case c.Header.Level == unix.IPPROTO_IPV6 && c.Header.Type == unix.IPV6_PKTINFO && len(c.Data) >= unix.SizeofInet6Pktinfo:
			// in6_pktinfo: address, interface
			return int(binary.NativeEndian.Uint32(c.Data[16:])), netip.AddrFrom16([16]byte(c.Data[:16])), true
		}
	}
	return 0, netip.Addr{}, false
}

// Close closes the sockets; Run ends.
func (s *Sockets) Close() error {
	var errs []error
	for _, conn := range []*net.UDPConn{s.v4, s.v6} {
		if conn != nil {
			errs = append(errs, conn.Close())
		}
	}
	return errors.Join(errs...)
}

// Interface reads an interface as the host has it now.
func Interface(name string) (mdns.Interface, error) {
	ni, err := net.InterfaceByName(name)
	if err != nil {
		return mdns.Interface{}, fmt.Errorf("multicast: interface %s: %w", name, err)
	}
	addrs, err := ni.Addrs()
	if err != nil {
		return mdns.Interface{}, fmt.Errorf("multicast: addresses of %s: %w", name, err)
	}
	i := mdns.Interface{Index: ni.Index, Name: ni.Name, MTU: ni.MTU}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				bits, _ := n.Mask.Size()
				i.Addrs = append(i.Addrs, netip.PrefixFrom(ip.Unmap(), bits))
			}
		}
	}
	return i, nil
}
