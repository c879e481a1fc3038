package infra

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"gatewayd/host"
)

// unreachableMetric makes these routes the last resort.
const unreachableMetric = 4096

// SetUnreachable says for which prefixes the host answers that there is
// nobody, unless a better route exists: a delegated prefix, whose unused parts
// would otherwise go back to where they came from and round and round (RFC
// 7084 Section 4.3, WPD-5). A prefix shorter than 16 bits is refused: nobody
// was ever delegated that.
func (f *Follower) SetUnreachable(list []netip.Prefix) error {
	for _, p := range list {
		if !p.IsValid() || !p.Addr().Is6() || p != p.Masked() || p.Bits() < 16 {
			return fmt.Errorf("infra: %v is no prefix for an unreachable route", p)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return ErrNotReady
	}
	f.unreachable = slices.Clone(list)
	return f.syncUnreachable()
}

func unreachableRoute(p netip.Prefix) *netlink.Route {
	return &netlink.Route{
		Dst: ipNet(p), Type: unix.RTN_UNREACHABLE, Protocol: host.RouteProtocol,
		Table: unix.RT_TABLE_MAIN, Priority: unreachableMetric,
	}
}

func (f *Follower) syncUnreachable() error {
	have, err := f.ourUnreachable()
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range have {
		if slices.Contains(f.unreachable, p) {
			continue
		}
		if err := f.nl.RouteDel(unreachableRoute(p)); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("infra: removing unreachable route %v: %w", p, err))
		}
	}
	for _, p := range f.unreachable {
		if slices.Contains(have, p) {
			continue
		}
		if err := f.nl.RouteAdd(unreachableRoute(p)); err != nil && !errors.Is(err, unix.EEXIST) {
			errs = append(errs, fmt.Errorf("infra: adding unreachable route %v: %w", p, err))
		}
	}
	return errors.Join(errs...)
}

func (f *Follower) ourUnreachable() (list []netip.Prefix, err error) {
	routes, err := dump(func() ([]netlink.Route, error) {
		return f.nl.RouteListFiltered(netlink.FAMILY_V6,
			&netlink.Route{Table: unix.RT_TABLE_MAIN, Protocol: host.RouteProtocol, Type: unix.RTN_UNREACHABLE},
			netlink.RT_FILTER_TABLE|netlink.RT_FILTER_PROTOCOL|netlink.RT_FILTER_TYPE)
	})
	if err != nil {
		return nil, fmt.Errorf("infra: listing routes: %w", err)
	}
	for _, r := range routes {
		if r.Dst == nil || r.Priority != unreachableMetric {
			continue
		}
		ip, ok := netip.AddrFromSlice(r.Dst.IP.To16())
		ones, _ := r.Dst.Mask.Size()
		if ok {
			list = append(list, netip.PrefixFrom(ip, ones))
		}
	}
	return list, nil
}

// clean removes what a process that was killed has left: addresses of ours on
// any interface, and unreachable routes. Routes into the mesh went with its
// interface.
func (f *Follower) clean() {
	f.mu.Lock()
	defer f.mu.Unlock()
	all, err := readAddrs()
	if err != nil {
		f.log.Warn("the interfaces cannot be read", "id", "INFRA-NETLINK", "err", err)
		return
	}
	for index, list := range all {
		for _, a := range list {
			if !a.Ours || f.wanted(index, a.Prefix) {
				continue
			}
			dev := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}}
			if err := f.nl.AddrDel(dev, &netlink.Addr{IPNet: ipNet(a.Prefix)}); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
				f.log.Warn("an address stays behind", "id", "INFRA-CLEAN", "address", a.Prefix, "err", err)
			}
		}
	}
	if err := f.syncUnreachable(); err != nil {
		f.log.Warn("a route stays behind", "id", "INFRA-CLEAN", "err", err)
	}
}

// wanted reports whether SetAddresses was quicker than Run.
func (f *Follower) wanted(index int, p netip.Prefix) bool {
	return slices.ContainsFunc(f.links, func(l *followed) bool {
		return (l.Index == index || l.Index == 0) && slices.ContainsFunc(l.want, func(a Address) bool { return a.Prefix == p })
	})
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
