package gateway

import (
	"context"
	"encoding/binary"
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
)

// trelSocket is the UDP socket of TREL, on all its links: addresses have the
// number of the link as their zone, whatever their scope.
type trelSocket struct {
	conn  *net.UDPConn
	raw   syscall.RawConn
	port  uint16
	links atomic.Pointer[map[int]bool]
}

// trelDatagram is longer than any packet of TREL: what is cut is none.
const trelDatagram = 2048

// trelPause keeps a socket that only has errors from taking a whole processor.
const trelPause = 10 * time.Millisecond

func openTREL() (*trelSocket, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if cerr := c.Control(func(fd uintptr) {
			err = errors.Join(
				unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1),
				unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1))
		}); cerr != nil {
			return cerr
		}
		return os.NewSyscallError("setsockopt", err)
	}}
	conn, err := lc.ListenPacket(context.Background(), "udp6", "[::]:0")
	if err != nil {
		return nil, fmt.Errorf("gateway: trel: %w", err)
	}
	s := &trelSocket{conn: conn.(*net.UDPConn), port: uint16(conn.LocalAddr().(*net.UDPAddr).Port)}
	if s.raw, err = s.conn.SyscallConn(); err != nil {
		s.close()
		return nil, fmt.Errorf("gateway: trel: %w", err)
	}
	s.links.Store(&map[int]bool{})
	return s, nil
}

// onLink is an address with the number of its link.
func onLink(a netip.AddrPort, link int) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().WithZone(strconv.Itoa(link)), a.Port())
}

// send sends a datagram by the link that the address names. It never waits: what
// the link has no room for is lost.
func (s *trelSocket) send(to netip.AddrPort, b []byte) bool {
	link, err := strconv.Atoi(to.Addr().Zone())
	if err != nil || !(*s.links.Load())[link] {
		return false
	}
	at := &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16(), ZoneId: uint32(link)}
	oob := unix.PktInfo6(&unix.Inet6Pktinfo{Ifindex: uint32(link)})
	cerr := s.raw.Control(func(fd uintptr) { err = unix.Sendmsg(int(fd), b, oob, at, unix.MSG_DONTWAIT) })
	return cerr == nil && err == nil
}

// run gives each datagram that came by one of the links to receive, which keeps
// it, until ctx ends.
func (s *trelSocket) run(ctx context.Context, receive func(from netip.AddrPort, b []byte)) {
	stop := context.AfterFunc(ctx, s.close)
	defer stop()
	b, oob := make([]byte, trelDatagram), make([]byte, 256)
	for {
		n, on, flags, from, err := s.conn.ReadMsgUDPAddrPort(b, oob)
		switch {
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		case err != nil: // of an earlier send
			select {
			case <-ctx.Done():
			case <-time.After(trelPause):
			}
			continue
		}
		link := cameBy(oob[:on])
		if flags&unix.MSG_TRUNC == 0 && (*s.links.Load())[link] {
			receive(onLink(from, link), append([]byte(nil), b[:n]...))
		}
	}
}

// close ends the socket, which run may have done.
func (s *trelSocket) close() { _ = s.conn.Close() }

// cameBy is the number of the interface that a datagram came by; 0 if that is
// not known.
func cameBy(oob []byte) int {
	cs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0
	}
	for _, c := range cs {
		if c.Header.Level == unix.IPPROTO_IPV6 && c.Header.Type == unix.IPV6_PKTINFO && len(c.Data) >= unix.SizeofInet6Pktinfo {
			return int(binary.NativeEndian.Uint32(c.Data[16:])) // behind the address
		}
	}
	return 0
}
