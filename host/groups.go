package host

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// groups holds the multicast memberships: the kernel has them for as long as
// the socket is open.
type groups struct {
	fd     int
	joined []netip.Addr
}

func (g *groups) close() { unix.Close(g.fd) }

func (t *TUN) syncGroups(want []netip.Addr) error {
	if t.groups == nil {
		if len(want) == 0 {
			return nil
		}
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return explainChange(t.name, "opening a socket for multicast groups", err)
		}
		t.groups = &groups{fd: fd}
	}
	g := t.groups
	set := func(what string, option int, a netip.Addr) error {
		mreq := &unix.IPv6Mreq{Multiaddr: a.WithZone("").As16(), Interface: uint32(t.link.Index)}
		if err := unix.SetsockoptIPv6Mreq(g.fd, unix.IPPROTO_IPV6, option, mreq); err != nil {
			return explainChange(t.name, fmt.Sprintf("%s group %v", what, a), err)
		}
		return nil
	}
	var errs []error
	var joined []netip.Addr
	for _, a := range g.joined {
		if slices.Contains(want, a) {
			joined = append(joined, a)
		} else if err := set("leaving", unix.IPV6_LEAVE_GROUP, a); err != nil {
			errs = append(errs, err)
		}
	}
	for _, a := range want {
		if slices.Contains(joined, a) {
			continue
		}
		if err := set("joining", unix.IPV6_JOIN_GROUP, a); err != nil {
			errs = append(errs, err)
			continue
		}
		joined = append(joined, a)
	}
	g.joined = joined
	return errors.Join(errs...)
}
