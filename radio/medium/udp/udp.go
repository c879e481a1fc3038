// Package udp is a medium of UDP datagrams on one host, the one that
// OpenThread's simulation platform uses: its nodes and ours hear each other.
//
// A frame is one multicast datagram: the channel, then the PSDU with its FCS.
// The source port is the port base plus the sender's node number, 1 to 33.
// Frames take no time and do not collide; who is told to be deaf to whom is
// not known here.
package udp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gatewayd/ieee802154"
	"gatewayd/internal/nonblock"
	"gatewayd/radio/medium"
)

// OpenThread's numbers.
const (
	portBase = 9000
	MaxNode  = 33
	// rssi is that of every frame, dBm.
	rssi = -20
	// quiet is the energy of a channel without frames, dBm.
	quiet = -98
)

var (
	group4 = netip.MustParseAddr("224.0.0.116")
	group6 = netip.MustParseAddr("ff02::116")
)

// Config is a Medium's.
type Config struct {
	Node int // 1..33, no two the same on one medium
	// PortOffset tells media on one host apart.
	PortOffset int
	// Interface is the name or an address of a network interface; "" is
	// 127.0.0.1.
	Interface string
	// Now tells the time at which frames come in; nil is time.Now. It is called
	// from Run.
	Now func() time.Time
}

// OffsetFromEnv reads PORT_OFFSET, as OpenThread's simulation does.
func OffsetFromEnv() (int, error) {
	s := os.Getenv("PORT_OFFSET")
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf("udp medium: PORT_OFFSET: %w", err)
	}
	return n, nil
}

// Medium is one node's place. It is a medium.Port of its owner's goroutine;
// Run, in another one, reads.
type Medium struct {
	node  int
	own   uint16 // source port
	group netip.AddrPort
	in    *net.UDPConn
	// out is not for the runtime's poller: nobody waits for it, and the poller
	// would wake up each time that a frame has been taken.
	out  *os.File
	send syscall.RawConn // out's

	now     func() time.Time
	frames  chan medium.Datagram
	dropped atomic.Uint64

	recv    medium.Receiver
	filter  filter
	channel uint8
	busy    [medium.LastChannel + 1]time.Time // until when
	buf     []byte
}

// Open joins the medium.
func Open(cfg Config) (*Medium, error) {
	base := portBase + (MaxNode+1)*cfg.PortOffset
	if cfg.Node < 1 || cfg.Node > MaxNode {
		return nil, fmt.Errorf("udp medium: node %d is not between 1 and %d", cfg.Node, MaxNode)
	}
	if cfg.PortOffset < 0 || base+MaxNode > 65535 {
		return nil, fmt.Errorf("udp medium: port offset %d is out of range", cfg.PortOffset)
	}
	local, ifi, err := resolve(cfg.Interface)
	if err != nil {
		return nil, err
	}
	group := group4
	if local.Is6() {
		group = group6.WithZone(ifi.Name)
	}
	m := &Medium{
		node:  cfg.Node,
		now:   cfg.Now,
		own:   uint16(base + cfg.Node),
		group: netip.AddrPortFrom(group, uint16(base)),
		// A frame is answered within 16 ms: what lies here longer is late.
		frames: make(chan medium.Datagram, 64),
		buf:    make([]byte, 0, 1+medium.MaxPSDU),
	}
	if m.now == nil {
		m.now = time.Now
	}
	if m.in, err = listen(m.group, local, ifi); err != nil {
		return nil, fmt.Errorf("udp medium: listen on %v: %w", m.group, err)
	}
	from := netip.AddrPortFrom(local, m.own)
	if m.out, err = sender(from, m.group, ifi); err != nil {
		m.in.Close()
		return nil, fmt.Errorf("udp medium: node %d: %w", cfg.Node, err)
	}
	if m.send, err = m.out.SyscallConn(); err != nil {
		m.Close()
		return nil, fmt.Errorf("udp medium: node %d: %w", cfg.Node, err)
	}
	return m, nil
}

// sender opens a socket of which all that is sent goes to the group, through
// an interface.
func sender(from, group netip.AddrPort, ifi *net.Interface) (*os.File, error) {
	domain := unix.AF_INET
	if from.Addr().Is6() {
		domain = unix.AF_INET6
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "udp") // before it is non-blocking: for the poller otherwise
	if err := errors.Join(
		unix.SetNonblock(fd, true),
		sendFrom(fd, from.Addr(), ifi),
		unix.Bind(fd, sockaddr(from, ifi)),
		unix.Connect(fd, sockaddr(group, ifi))); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func sockaddr(at netip.AddrPort, ifi *net.Interface) unix.Sockaddr {
	a := at.Addr()
	if a.Is4() {
		return &unix.SockaddrInet4{Port: int(at.Port()), Addr: a.As4()}
	}
	s := &unix.SockaddrInet6{Port: int(at.Port()), Addr: a.As16()}
	if a.Zone() != "" {
		s.ZoneId = uint32(ifi.Index)
	}
	return s
}

// resolve finds the address to send from, and its interface. Of a named
// interface the first of these: link-local IPv6, IPv4, other IPv6.
func resolve(name string) (netip.Addr, *net.Interface, error) {
	if name == "" {
		name = "127.0.0.1"
	}
	want, _ := netip.ParseAddr(name) // or it is a name
	ifis, err := net.Interfaces()
	if err != nil {
		return netip.Addr{}, nil, fmt.Errorf("udp medium: %w", err)
	}
	for _, ifi := range ifis {
		var linkLocal, v4, v6 netip.Addr
		addrs, err := ifi.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			p, err := netip.ParsePrefix(a.String())
			if err != nil {
				continue
			}
			addr := p.Addr().Unmap()
			switch {
			case addr == want.WithZone(""):
				return zoned(addr, ifi.Name), &ifi, nil
			case addr.Is4():
				v4 = addr
			case addr.IsLinkLocalUnicast():
				linkLocal = addr
			default:
				v6 = addr
			}
		}
		if ifi.Name == name {
			for _, a := range []netip.Addr{linkLocal, v4, v6} {
				if a.IsValid() {
					return zoned(a, name), &ifi, nil
				}
			}
			return netip.Addr{}, nil, fmt.Errorf("udp medium: interface %s has no address", name)
		}
	}
	return netip.Addr{}, nil, fmt.Errorf("udp medium: no interface has the name or address %s", name)
}

func zoned(a netip.Addr, name string) netip.Addr {
	if a.IsLinkLocalUnicast() && a.Is6() {
		return a.WithZone(name)
	}
	return a
}

// listen opens a socket that hears the group. Every node has one with its
// address.
func listen(group netip.AddrPort, local netip.Addr, ifi *net.Interface) (*net.UDPConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		control := func(fd uintptr) {
			err = errors.Join(
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1),
				join(int(fd), local, ifi))
		}
		if cerr := c.Control(control); cerr != nil {
			return cerr
		}
		return err
	}}
	network := "udp4"
	if group.Addr().Is6() {
		network = "udp6"
	}
	c, err := lc.ListenPacket(context.Background(), network, group.String())
	if err != nil {
		return nil, err
	}
	return c.(*net.UDPConn), nil
}

// join makes a socket hear the group.
func join(fd int, local netip.Addr, ifi *net.Interface) error {
	if local.Is4() {
		return unix.SetsockoptIPMreq(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP,
			&unix.IPMreq{Multiaddr: group4.As4(), Interface: local.As4()})
	}
	return unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP,
		&unix.IPv6Mreq{Multiaddr: group6.As16(), Interface: uint32(ifi.Index)})
}

// sendFrom makes a socket send to the group through the right interface, and
// to nodes on this host.
func sendFrom(fd int, local netip.Addr, ifi *net.Interface) error {
	if local.Is4() {
		return errors.Join(
			unix.SetsockoptInet4Addr(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, local.As4()),
			unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 1))
	}
	return errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, ifi.Index),
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, 1))
}

// Run reads frames into Frames until ctx is cancelled or the Medium closed.
func (m *Medium) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { m.in.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	raw, err := m.in.SyscallConn()
	if err != nil {
		return fmt.Errorf("udp medium: %w", err)
	}
	var b [2 + medium.MaxPSDU]byte
	for {
		var n int
		var from uint16
		waited := raw.Read(func(fd uintptr) bool {
			n, from, err = nonblock.ReceiveFrom(fd, b[:])
			return err != unix.EAGAIN
		})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := errors.Join(waited, err); err != nil {
			return fmt.Errorf("udp medium: %w", err)
		}
		if from == m.own || n < 2 || n > 1+medium.MaxPSDU {
			continue // our own, or no frame
		}
		d := medium.Datagram{At: m.now(), From: int(from) - int(m.own) + m.node, Channel: b[0], PSDU: append([]byte(nil), b[1:n]...)}
		select {
		case m.frames <- d:
		default:
			m.dropped.Add(1)
		}
	}
}

// Frames is what Run has read; its reader calls Deliver.
func (m *Medium) Frames() <-chan medium.Datagram { return m.frames }

// Dropped counts frames that came faster than they were taken.
func (m *Medium) Dropped() uint64 { return m.dropped.Load() }

// Deliver hands a frame to the receiver if that is tuned to its channel.
func (m *Medium) Deliver(d medium.Datagram) {
	if d.Channel < medium.FirstChannel || d.Channel > medium.LastChannel || m.filter.deaf(d.From) {
		return
	}
	m.busy[d.Channel] = d.At.Add(medium.Airtime(len(d.PSDU)))
	if m.recv != nil && d.Channel == m.channel {
		m.recv.Heard(d.At, medium.Frame{Channel: d.Channel, PSDU: d.PSDU, RSSI: rssi, SFD: d.At})
	}
}

// Node is the number it was opened with.
func (m *Medium) Node() int { return m.node }

// EUI64 is the address that OpenThread's simulation gives a node.
func EUI64(node int) ieee802154.ExtAddr {
	return ieee802154.ExtAddr{0x18, 0xb4, 0x30, 0, byte(node >> 24), byte(node >> 16), byte(node >> 8), byte(node)}
}

// EUI64 is that of the node, for a radio that was not given another.
func (m *Medium) EUI64() ieee802154.ExtAddr { return EUI64(m.node) }

// Close leaves the medium.
func (m *Medium) Close() error { return errors.Join(m.in.Close(), m.out.Close()) }

// Attach implements medium.Port.
func (m *Medium) Attach(r medium.Receiver) { m.recv = r }

// Tune implements medium.Port.
func (m *Medium) Tune(_ time.Time, channel uint8) { m.channel = channel }

// Transmit implements medium.Port. A frame that cannot be sent is lost, as
// frames are.
func (m *Medium) Transmit(_ time.Time, channel uint8, _ int8, psdu []byte) {
	m.buf = append(append(m.buf[:0], channel), psdu...)
	var err error
	closed := m.send.Control(func(fd uintptr) { _, err = nonblock.Write(fd, m.buf) })
	if closed != nil || err != nil {
		m.dropped.Add(1)
	}
}

// Energy implements medium.Port: that of a frame for as long as it would have
// been on air.
func (m *Medium) Energy(now time.Time, channel uint8) int8 {
	if channel <= medium.LastChannel && now.Before(m.busy[channel]) {
		return rssi
	}
	return quiet
}

// Airtime implements medium.Port: frames take no time here.
func (m *Medium) Airtime(int) time.Duration { return 0 }
