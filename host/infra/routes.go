package infra

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
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

// onLinkMetric is that of the routes to prefixes of ours on a link: after the
// kernel's own, before those by way of routers. With it no route of ours
// replaces another's.
const onLinkMetric = 513

// rtaExpires is the attribute of a route's lifetime.
const rtaExpires = 23

// SetOnLink says which prefixes are on a link beside those of addresses of ours,
// instead of those said before: there is a route to each.
func (f *Follower) SetOnLink(link string, list []netip.Prefix) error {
	for _, p := range list {
		if !p.IsValid() || !p.Addr().Is6() || p != p.Masked() || p.Bits() < 16 {
			return fmt.Errorf("infra: %v is no prefix of a link", p)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return ErrNotReady
	}
	l := f.find(link)
	if l == nil {
		return fmt.Errorf("infra: there is no link %s", link)
	}
	l.onLink = slices.Clone(list)
	f.again()
	return f.syncAddrs(l)
}

// syncOnLink has a route to the prefix of each address of ours, which ends as
// the address does, and to the other prefixes that are to be on the link.
func (f *Follower) syncOnLink(l *followed, now time.Time) error {
	have, err := f.onLink(l.Index)
	if err != nil {
		return err
	}
	until := map[netip.Prefix]time.Time{}
	for _, w := range l.want {
		p := w.Prefix.Masked()
		if at, twice := until[p]; l.Up && !over(now, w.Until) && (!twice || w.Until.IsZero() || !at.IsZero() && w.Until.After(at)) {
			until[p] = w.Until
		}
	}
	for _, p := range l.onLink {
		if l.Up {
			until[p] = time.Time{}
		}
	}
	var errs []error
	for _, r := range have {
		if _, wanted := until[r.dst]; wanted {
			continue
		}
		if err := f.nl.RouteDel(&netlink.Route{LinkIndex: l.Index, Dst: ipNet(r.dst), Priority: onLinkMetric, Protocol: host.RouteProtocol}); err != nil && !errors.Is(err, unix.ESRCH) {
			errs = append(errs, fmt.Errorf("infra: removing route %v: %w", r.dst, err))
		}
		delete(l.routes, r.dst)
	}
	for p, at := range until {
		there := slices.ContainsFunc(have, func(r onLinkRoute) bool { return r.dst == p })
		if there && lasts(now, l.routes[p], at) {
			continue
		}
		at = leased(now, at)
		if err := replaceOnLink(l.Index, p, at, now); err != nil {
			errs = append(errs, fmt.Errorf("infra: adding route %v to %s: %w", p, l.Name, err))
			continue
		}
		l.routes[p] = at
	}
	return errors.Join(errs...)
}

type onLinkRoute struct {
	dst   netip.Prefix
	index int
}

// onLink lists such routes through an interface, or through any if index is 0.
func (f *Follower) onLink(index int) (list []onLinkRoute, err error) {
	routes, err := dump(func() ([]netlink.Route, error) {
		return f.nl.RouteListFiltered(netlink.FAMILY_V6,
			&netlink.Route{Table: unix.RT_TABLE_MAIN, Protocol: host.RouteProtocol},
			netlink.RT_FILTER_TABLE|netlink.RT_FILTER_PROTOCOL)
	})
	if err != nil {
		return nil, fmt.Errorf("infra: listing routes: %w", err)
	}
	for _, r := range routes {
		if r.Dst == nil || r.Priority != onLinkMetric || index != 0 && r.LinkIndex != index {
			continue
		}
		ip, ok := netip.AddrFromSlice(r.Dst.IP.To16())
		ones, _ := r.Dst.Mask.Size()
		if ok {
			list = append(list, onLinkRoute{netip.PrefixFrom(ip, ones), r.LinkIndex})
		}
	}
	return list, nil
}

// replaceOnLink adds a route or gives it a new lifetime, of which the netlink
// package knows nothing.
func replaceOnLink(index int, p netip.Prefix, until, now time.Time) error {
	req := nl.NewNetlinkRequest(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE|unix.NLM_F_ACK)
	msg := nl.NewRtMsg()
	msg.Family, msg.Dst_len, msg.Protocol = unix.AF_INET6, uint8(p.Bits()), host.RouteProtocol
	req.AddData(msg)
	req.AddData(nl.NewRtAttr(unix.RTA_DST, p.Addr().AsSlice()))
	req.AddData(nl.NewRtAttr(unix.RTA_OIF, binary.NativeEndian.AppendUint32(nil, uint32(index))))
	req.AddData(nl.NewRtAttr(unix.RTA_PRIORITY, binary.NativeEndian.AppendUint32(nil, onLinkMetric)))
	req.AddData(nl.NewRtAttr(rtaExpires, binary.NativeEndian.AppendUint32(nil, lifetime(now, until))))
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// clean removes what a process that was killed has left: addresses of ours on
// any interface, and routes. Those into the mesh went with its interface.
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
	routes, err := f.onLink(0)
	for _, r := range routes {
		if f.wantedOnLink(r) {
			continue
		}
		del := f.nl.RouteDel(&netlink.Route{LinkIndex: r.index, Dst: ipNet(r.dst), Priority: onLinkMetric, Protocol: host.RouteProtocol})
		if del != nil && !errors.Is(del, unix.ESRCH) {
			err = errors.Join(err, del)
		}
	}
	if err := errors.Join(err, f.syncUnreachable()); err != nil {
		f.log.Warn("a route stays behind", "id", "INFRA-CLEAN", "err", err)
	}
}

func (f *Follower) wantedOnLink(r onLinkRoute) bool {
	return slices.ContainsFunc(f.links, func(l *followed) bool {
		return l.Index == r.index && (slices.Contains(l.onLink, r.dst) ||
			slices.ContainsFunc(l.want, func(a Address) bool { return a.Prefix.Masked() == r.dst }))
	})
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
