package backbone

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"gatewayd/ndp"
	"gatewayd/thread/tmf"
)

// maxDatagram is longer than any message of TMF.
const maxDatagram = 2048

// options are socket options of IPv6 with whole numbers.
type options [][2]int

func (o options) set(fd int, l Link) error {
	if err := unix.BindToDevice(fd, l.Name); err != nil {
		return fmt.Errorf("binding to the interface: %w", err)
	}
	for _, x := range append(o, [2]int{unix.IPV6_MULTICAST_IF, l.Index}, [2]int{unix.IPV6_MULTICAST_LOOP, 0}) {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, x[0], x[1]); err != nil {
			return fmt.Errorf("setting option %d: %w", x[0], err)
		}
	}
	return nil
}

func listen(l Link, network, address string, prepare func(fd int) error) (net.PacketConn, error) {
	var failed error
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return errors.Join(c.Control(func(fd uintptr) { failed = prepare(int(fd)) }), failed)
	}}
	return lc.ListenPacket(context.Background(), network, address)
}

// member is a socket's multicast memberships.
type member struct {
	index  int
	joined []netip.Addr
}

// follow joins and leaves so that groups are those joined.
func (m *member) follow(conn syscall.Conn, groups []netip.Addr) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	set := func(option int, g netip.Addr) (err error) {
		mreq := &unix.IPv6Mreq{Multiaddr: g.As16(), Interface: uint32(m.index)}
		return errors.Join(raw.Control(func(fd uintptr) { err = unix.SetsockoptIPv6Mreq(int(fd), unix.IPPROTO_IPV6, option, mreq) }), err)
	}
	var errs []error
	m.joined = slices.DeleteFunc(m.joined, func(g netip.Addr) bool {
		if slices.Contains(groups, g) {
			return false
		}
		_ = set(unix.IPV6_LEAVE_GROUP, g) // gone with the interface's IPv6 already, if that is
		return true
	})
	for _, g := range groups {
		if slices.Contains(m.joined, g) {
			continue
		}
		if err := set(unix.IPV6_JOIN_GROUP, g); err != nil {
			errs = append(errs, fmt.Errorf("joining %v: %w", g, err))
			continue
		}
		m.joined = append(m.joined, g)
	}
	return errors.Join(errs...)
}

// tmfSocket is TMF's port on a link.
type tmfSocket struct {
	conn *net.UDPConn
	link Link
	member
}

func openTMF(l Link) (*tmfSocket, error) {
	conn, err := listen(l, "udp6", fmt.Sprintf("[::]:%d", tmf.Port), func(fd int) error {
		return options{{unix.IPV6_RECVPKTINFO, 1}, {unix.IPV6_UNICAST_HOPS, 1}, {unix.IPV6_MULTICAST_HOPS, 1}}.set(fd, l)
	})
	if err != nil {
		return nil, fmt.Errorf("opening UDP port %d: %w", tmf.Port, err)
	}
	return &tmfSocket{conn.(*net.UDPConn), l, member{index: l.Index}}, nil
}

func (s *tmfSocket) join(groups []netip.Addr) error { return s.follow(s.conn, groups) }

func (s *tmfSocket) send(to netip.Addr, datagram []byte) error {
	_, err := s.conn.WriteToUDPAddrPort(datagram, netip.AddrPortFrom(to.WithZone(s.link.Name), tmf.Port))
	return err
}

// read takes datagrams until the socket is closed.
func (s *tmfSocket) read(o Options) {
	b, oob := make([]byte, maxDatagram), make([]byte, unix.CmsgSpace(unix.SizeofInet6Pktinfo))
	for {
		n, oobn, flags, from, err := s.conn.ReadMsgUDPAddrPort(b, oob)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // of an interface that went down; it may pass
			o.Log.Debug("receiving", "id", "BACKBONE-RECEIVE", "link", s.link.Name, "err", err)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		to, ok := destination(oob[:oobn])
		if !ok || flags&unix.MSG_TRUNC != 0 || from.Port() != tmf.Port {
			continue
		}
		if to.IsLinkLocalUnicast() {
			to = to.WithZone(s.link.Name)
		}
		o.Receive(from.Addr().WithZone(s.link.Name), to, slices.Clone(b[:n]))
	}
}

// destination is where a datagram was sent to.
func destination(oob []byte) (netip.Addr, bool) {
	all, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return netip.Addr{}, false
	}
	for _, m := range all {
		if m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= 16 {
			return netip.AddrFrom16([16]byte(m.Data)), true
		}
	}
	return netip.Addr{}, false
}

// ndpSocket says to neighbours what there is to say, and has the link send their
// questions here.
type ndpSocket struct {
	conn *net.IPConn
	member
}

func openNDP(l Link) (*ndpSocket, error) {
	conn, err := listen(l, "ip6:ipv6-icmp", "::", func(fd int) error {
		var nothing unix.ICMPv6Filter // comes in here
		for i := range nothing.Data {
			nothing.Data[i] = ^uint32(0)
		}
		if err := unix.SetsockoptICMPv6Filter(fd, unix.IPPROTO_ICMPV6, unix.ICMPV6_FILTER, &nothing); err != nil {
			return fmt.Errorf("setting the filter: %w", err)
		}
		return options{{unix.IPV6_UNICAST_HOPS, 255}, {unix.IPV6_MULTICAST_HOPS, 255}}.set(fd, l)
	})
	if err != nil {
		return nil, fmt.Errorf("opening an ICMPv6 socket: %w", err)
	}
	return &ndpSocket{conn.(*net.IPConn), member{index: l.Index}}, nil
}

func (s *ndpSocket) join(groups []netip.Addr) error { return s.follow(s.conn, groups) }

// send sends from the address that the message has, at once or not at all.
func (s *ndpSocket) send(o ndp.Out) error {
	info := make([]byte, unix.CmsgSpace(unix.SizeofInet6Pktinfo))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&info[0]))
	h.Level, h.Type = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO
	h.SetLen(unix.CmsgLen(unix.SizeofInet6Pktinfo))
	pi := (*unix.Inet6Pktinfo)(unsafe.Pointer(&info[unix.CmsgLen(0)]))
	pi.Addr, pi.Ifindex = o.Src.WithZone("").As16(), uint32(s.index)
	to := &unix.SockaddrInet6{Addr: o.Dst.WithZone("").As16(), ZoneId: uint32(s.index)}
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	b := append([]byte{o.Type, o.Code, 0, 0}, o.Body...) // the kernel fills in the checksum
	var failed error
	err = raw.Control(func(fd uintptr) { _, failed = unix.SendmsgN(int(fd), b, info, to, unix.MSG_DONTWAIT) })
	return errors.Join(err, failed)
}

// frameSocket hears the solicitations on a link, whoever they are for.
type frameSocket struct{ file *os.File }

// solicitations lets pass what came over the wire with ICMPv6 of type 135 behind
// the IPv6 header, offsets being those of the packet.
var solicitations = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 6},                                       // next header
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.IPPROTO_ICMPV6, Jf: 3},             // else none
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 40},                                      // type
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(ndp.TypeNeighborSolicit), Jf: 1}, // else none
	{Code: unix.BPF_RET | unix.BPF_K, K: maxDatagram},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
}

func openFrames(l Link) (*frameSocket, error) {
	// Without a protocol nothing comes in before the filter is there.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening a packet socket: %w", err)
	}
	prog := unix.SockFprog{Len: uint16(len(solicitations)), Filter: &solicitations[0]}
	if err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog); err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_IPV6), Ifindex: l.Index})
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("opening a packet socket: %w", err)
	}
	return &frameSocket{os.NewFile(uintptr(fd), "frames of "+l.Name)}, nil
}

// htons is a number in the order of the network.
func htons(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

// read takes packets until the socket is closed. The kernel's own questions are
// not for us.
func (s *frameSocket) read(each func(packet []byte), log *slog.Logger) {
	raw, err := s.file.SyscallConn()
	if err != nil {
		return
	}
	b := make([]byte, maxDatagram)
	for {
		var n int
		var from unix.Sockaddr
		var failed error
		err := raw.Read(func(fd uintptr) bool {
			n, from, failed = unix.Recvfrom(int(fd), b, 0)
			return failed != unix.EAGAIN
		})
		switch {
		case err != nil: // closed
			return
		case failed != nil: // of an interface that went down; it may pass
			log.Debug("receiving", "id", "BACKBONE-RECEIVE", "err", failed)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype != unix.PACKET_OUTGOING {
			each(b[:n])
		}
	}
}
