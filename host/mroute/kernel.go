package mroute

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Of linux/mroute6.h.
const (
	mrtInit   = 200
	mrtAddMIF = 202
	mrtDelMIF = 203
	mrtAddMFC = 204
	mrtDelMFC = 205

	maxMIFs = 32

	msgNoCache = 1
	msgLen     = 40 // struct mrt6msg

	siocGetSGCount = 0x89e1 // SIOCGETSGCNT_IN6
)

// sockaddr is a struct sockaddr_in6 with nothing but an address.
const sockaddrLen = 28

func appendSockaddr(b []byte, a netip.Addr) []byte {
	b = binary.NativeEndian.AppendUint16(b, unix.AF_INET6)
	b = append(b, make([]byte, 6)...) // port and flow
	x := a.As16()
	b = append(b, x[:]...)
	return append(b, make([]byte, 4)...) // scope
}

// openSocket opens the socket of which the kernel has one at most.
func openSocket() (int, error) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_ICMPV6)
	if err != nil {
		if errors.Is(err, unix.EPERM) {
			err = fmt.Errorf("run as root or with CAP_NET_RAW and CAP_NET_ADMIN: %w", err)
		}
		return -1, fmt.Errorf("mroute: opening a socket: %w", err)
	}
	// No ICMPv6 comes to it, of the groups that it joins neither.
	var filter unix.ICMPv6Filter
	for i := range filter.Data {
		filter.Data[i] = ^uint32(0)
	}
	if err = unix.SetsockoptICMPv6Filter(fd, unix.IPPROTO_ICMPV6, unix.ICMPV6_FILTER, &filter); err == nil {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, mrtInit, 1)
	}
	if err == nil {
		return fd, nil
	}
	unix.Close(fd)
	switch {
	case errors.Is(err, unix.ENOPROTOOPT):
		return -1, ErrUnsupported
	case errors.Is(err, unix.EADDRINUSE):
		return -1, ErrInUse
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		err = fmt.Errorf("run as root or with CAP_NET_ADMIN: %w", err)
	}
	return -1, fmt.Errorf("mroute: beginning to route: %w", err)
}

func set(fd, option int, value []byte) error {
	return unix.SetsockoptString(fd, unix.IPPROTO_IPV6, option, string(value))
}

// addMIF makes an interface one of those that are routed between: struct
// mif6ctl.
func addMIF(fd, mif, index int) error {
	if index <= 0 || index > 0xffff {
		return fmt.Errorf("interface index %d", index)
	}
	b := binary.NativeEndian.AppendUint16(nil, uint16(mif))
	b = append(b, 0, 1) // flags; datagrams with a hop limit above 1 go out
	b = binary.NativeEndian.AppendUint16(b, uint16(index))
	return set(fd, mrtAddMIF, append(b, make([]byte, 6)...)) // padding, rate limit
}

func delMIF(fd, mif int) error {
	return set(fd, mrtDelMIF, binary.NativeEndian.AppendUint16(nil, uint16(mif)))
}

// mfc is a struct mf6cctl.
func mfc(k key, from int, to []int) []byte {
	b := appendSockaddr(appendSockaddr(nil, k.source), k.group)
	b = binary.NativeEndian.AppendUint16(b, uint16(from))
	b = append(b, 0, 0) // padding
	var set [256 / 32]uint32
	for _, mif := range to {
		set[mif/32] |= 1 << (mif % 32)
	}
	for _, w := range set {
		b = binary.NativeEndian.AppendUint32(b, w)
	}
	return b
}

func addMFC(fd int, k key, from int, to []int) error { return set(fd, mrtAddMFC, mfc(k, from, to)) }
func delMFC(fd int, k key, from int) error           { return set(fd, mrtDelMFC, mfc(k, from, nil)) }

// packets is how many datagrams took a route.
func packets(fd int, k key) (uint, error) {
	var q struct {
		addrs [2 * sockaddrLen]byte
		count [3]uint // datagrams, bytes, from a wrong interface: unsigned long
	}
	copy(q.addrs[:], appendSockaddr(appendSockaddr(nil, k.source), k.group))
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), siocGetSGCount, uintptr(unsafe.Pointer(&q))); e != 0 {
		return 0, e
	}
	return q.count[0], nil
}

// question reads what the kernel asks: a struct mrt6msg about a datagram
// without a route.
func question(b []byte) (k key, from int, ok bool) {
	if len(b) < msgLen || b[0] != 0 || b[1] != msgNoCache {
		return key{}, 0, false
	}
	k.source, k.group = netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
	return k, int(binary.NativeEndian.Uint16(b[2:])), true
}
