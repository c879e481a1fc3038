package infra

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// A watch is a netlink socket that the kernel sends notices to. What they say
// is not believed but looked up: notices get lost when there are many.
type watch struct{ *os.File }

func openWatch() (watch, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return watch{}, fmt.Errorf("infra: opening netlink: %w", err)
	}
	var groups uint32
	for _, g := range []uint{unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE} {
		groups |= 1 << (g - 1)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		unix.Close(fd)
		return watch{}, fmt.Errorf("infra: watching the interfaces: %w", err)
	}
	return watch{os.NewFile(uintptr(fd), "netlink")}, nil
}

// run calls notice for what matters until the watch is closed.
func (w watch) run(notice func()) error {
	b := make([]byte, 1<<16)
	for {
		n, err := w.Read(b)
		switch {
		case errors.Is(err, os.ErrClosed):
			return nil
		case errors.Is(err, unix.ENOBUFS):
			notice() // too many came at once: any of them may matter
		case err != nil:
			return fmt.Errorf("infra: watching the interfaces: %w", err)
		case matters(b[:n]):
			notice()
		}
	}
}

// matters reports whether there is something other than a route that is no
// default route: of those, a router's host has many.
func matters(b []byte) bool {
	for len(b) >= unix.NLMSG_HDRLEN {
		n := int(binary.NativeEndian.Uint32(b))
		if n < unix.NLMSG_HDRLEN || n > len(b) {
			return true
		}
		body := b[unix.NLMSG_HDRLEN:n]
		switch binary.NativeEndian.Uint16(b[4:]) {
		case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
			if len(body) < 2 || body[1] == 0 { // length of the destination
				return true
			}
		default:
			return true
		}
		b = b[min(len(b), (n+3)&^3):]
	}
	return false
}
