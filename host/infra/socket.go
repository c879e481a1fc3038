package infra

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"gatewayd/ipv6"
	"gatewayd/ndp"
)

const (
	icmpHeader = 4     // type, code and checksum
	maxMessage = 65535 // longer than any MTU; one buffer a link
	hopLimit   = 255   // of neighbor discovery: RFC 4861 Section 3.1
)

// passes lists the types that are received: the five of RFC 4861 Section 4.
var passes = []uint8{133, 134, 135, 136, 137}

// A socket is a raw ICMPv6 socket of one interface.
type socket struct {
	conn  *net.IPConn
	index int
	src   netip.Addr // link-local address that the link had
}

// openSocket opens the socket of an interface. It hears what is sent to all
// routers.
func openSocket(name string, index int) (*net.IPConn, error) {
	var failed error
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		err := c.Control(func(fd uintptr) { failed = setOptions(int(fd), name, index) })
		return errors.Join(err, failed)
	}}
	conn, err := lc.ListenPacket(context.Background(), "ip6:ipv6-icmp", "::")
	if err != nil {
		if errors.Is(err, unix.EPERM) {
			err = fmt.Errorf("run as root or with CAP_NET_RAW: %w", err)
		}
		return nil, fmt.Errorf("infra: opening an ICMPv6 socket on %s: %w", name, err)
	}
	return conn.(*net.IPConn), nil
}

func setOptions(fd int, name string, index int) error {
	var filter unix.ICMPv6Filter
	for i := range filter.Data {
		filter.Data[i] = ^uint32(0) // a bit that is set blocks
	}
	for _, t := range passes {
		filter.Data[t/32] &^= 1 << (t % 32)
	}
	// First, so that nothing of other interfaces gets into the buffer.
	if err := unix.SetsockoptICMPv6Filter(fd, unix.IPPROTO_ICMPV6, unix.ICMPV6_FILTER, &filter); err != nil {
		return fmt.Errorf("setting the filter: %w", err)
	}
	if err := unix.BindToDevice(fd, name); err != nil {
		return fmt.Errorf("binding to the interface: %w", err)
	}
	for _, o := range []struct{ option, value int }{
		{unix.IPV6_RECVHOPLIMIT, 1},
		{unix.IPV6_RECVPKTINFO, 1},
		{unix.IPV6_UNICAST_HOPS, hopLimit},
		{unix.IPV6_MULTICAST_HOPS, hopLimit},
		{unix.IPV6_MULTICAST_LOOP, 0},
		{unix.IPV6_MULTICAST_IF, index},
	} {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, o.option, o.value); err != nil {
			return fmt.Errorf("setting option %d: %w", o.option, err)
		}
	}
	group := &unix.IPv6Mreq{Multiaddr: ipv6.AllRoutersLinkLocal.As16(), Interface: uint32(index)}
	if err := unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, group); err != nil {
		return fmt.Errorf("joining the group of all routers: %w", err)
	}
	return nil
}

// syncSocket has the socket open while the link is ready, and a new one for
// each time that it becomes so: the kernel forgets groups with an interface's
// IPv6.
func (f *Follower) syncSocket(l *followed) error {
	if l.socket != nil && (!l.Ready() || l.socket.index != l.Index || l.socket.src != l.LinkLocal) {
		l.socket.close()
		l.socket = nil
	}
	if l.socket != nil || !l.Ready() || f.closed {
		return nil
	}
	conn, err := openSocket(l.Name, l.Index)
	if err != nil {
		return err
	}
	s := &socket{conn: conn, index: l.Index, src: l.LinkLocal}
	l.socket = s
	link := l.ID
	f.readers.Go(func() { f.receive(s, link) })
	return nil
}

func (s *socket) close() {
	if s != nil {
		s.conn.Close()
	}
}

// receive reads until the socket is closed.
func (f *Follower) receive(s *socket, link string) {
	b := make([]byte, maxMessage)
	oob := make([]byte, unix.CmsgSpace(unix.SizeofInet6Pktinfo)+unix.CmsgSpace(4))
	for {
		n, oobn, _, from, err := s.conn.ReadMsgIP(b, oob)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // of an interface that went down; it may pass
			f.log.Debug("receiving", "id", "INFRA-RECEIVE", "link", link, "err", err)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		in, ok := incoming(b[:n], oob[:oobn], from)
		if ok {
			f.received <- received{link, in}
		}
	}
}

func incoming(b, oob []byte, from *net.IPAddr) (in ndp.In, ok bool) {
	if len(b) < icmpHeader {
		return ndp.In{}, false
	}
	in.Src, _ = netip.AddrFromSlice(from.IP.To16())
	in.Type, in.Code, in.Body = b[0], b[1], append([]byte(nil), b[icmpHeader:]...)
	cmsgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return ndp.In{}, false
	}
	hops := false
	for _, c := range cmsgs {
		switch {
		case c.Header.Level != unix.IPPROTO_IPV6:
		case c.Header.Type == unix.IPV6_HOPLIMIT && len(c.Data) >= 4:
			in.HopLimit, hops = uint8(*(*int32)(unsafe.Pointer(&c.Data[0]))), true
		case c.Header.Type == unix.IPV6_PKTINFO && len(c.Data) >= 16:
			in.Dst = netip.AddrFrom16([16]byte(c.Data))
		}
	}
	return in, hops && in.Src.IsValid() && in.Dst.IsValid()
}

// Send sends a message on a link, from one of its addresses. The hop limit is
// 255, whatever the message says: the receivers take no other.
func (f *Follower) Send(link string, o ndp.Out) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.find(link)
	if l == nil || l.socket == nil {
		return fmt.Errorf("%w: %s", ErrNotReady, link)
	}
	if !o.Src.Is6() || o.Src.IsUnspecified() {
		return fmt.Errorf("infra: a message without a source address")
	}
	b := append([]byte{o.Type, o.Code, 0, 0}, o.Body...) // the kernel fills in the checksum
	info := make([]byte, unix.CmsgSpace(unix.SizeofInet6Pktinfo))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&info[0]))
	h.Level, h.Type = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO
	h.SetLen(unix.CmsgLen(unix.SizeofInet6Pktinfo))
	pi := (*unix.Inet6Pktinfo)(unsafe.Pointer(&info[unix.CmsgLen(0)]))
	pi.Addr, pi.Ifindex = o.Src.WithZone("").As16(), uint32(l.Index)
	to := &unix.SockaddrInet6{Addr: o.Dst.WithZone("").As16(), ZoneId: uint32(l.Index)}
	if err := l.socket.write(b, info, to); err != nil {
		return fmt.Errorf("infra: sending on %s: %w", link, err)
	}
	return nil
}

// write sends at once or not at all: the owner of the machine does not wait
// for a link.
func (s *socket) write(b, oob []byte, to unix.Sockaddr) error {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		_, failed = unix.SendmsgN(int(fd), b, oob, to, unix.MSG_DONTWAIT)
	})
	return errors.Join(err, failed)
}
