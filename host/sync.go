package host

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// RouteProtocol is the rtm_protocol of our routes. It has no name in
// rt_protos; ip shows it as "proto 154".
const RouteProtocol = 154

// Metrics of routes that do not say one. The kernel gives 1024 to a route that
// a router advertisement brings, and among equals takes the one advertised with
// the highest preference: the routes to the mesh must come before those that
// its other border routers advertise, but a default route not before the
// host's own.
const (
	meshMetric    = 128
	defaultMetric = 1024
)

// A Config is what the interface should have.
type Config struct {
	Addrs  []Address
	Routes []Route
	Groups []netip.Addr // multicast groups the host listens to
}

// An Address is an IPv6 address of the host on the mesh.
type Address struct {
	Prefix netip.Prefix // address and length
	// Deprecated keeps the address for what uses it already: the kernel
	// picks another for new connections (RFC 6724 Section 5, rule 3).
	Deprecated bool
	// OnLink makes the kernel add a route for the address's prefix.
	OnLink bool
}

// A Route is an IPv6 destination reached through the mesh.
type Route struct {
	Dst    netip.Prefix // masked
	Metric int          // lower is preferred; 0 is 128, for the default route 1024
}

type addrSet map[netip.Addr]Address

// Sync makes the difference between what the interface has and what it should
// have, and brings it up if somebody took it down. Addresses and routes that
// others put on it stay. After an error the rest was done all the same. The
// kernel takes a new address for its own a few milliseconds later.
func (t *TUN) Sync(want Config) error {
	addrs, err := wantedAddrs(want.Addrs)
	if err != nil {
		return err
	}
	routes, err := wantedRoutes(want.Routes)
	if err != nil {
		return err
	}
	for _, g := range want.Groups {
		if !g.Is6() || !g.IsMulticast() {
			return fmt.Errorf("host: %v is no IPv6 multicast group", g)
		}
	}

	t.mu.Lock()
	defer t.mu.Unlock()
	if t.netlink == nil {
		return fmt.Errorf("host: configuring %s: %w", t.name, os.ErrClosed)
	}
	if err := t.netlink.LinkSetUp(t.link); err != nil {
		return explainChange(t.name, "bringing it up", err)
	}
	return errors.Join(t.syncAddrs(addrs), t.syncRoutes(routes), t.syncGroups(want.Groups))
}

func wantedAddrs(list []Address) (addrSet, error) {
	want := addrSet{}
	for _, a := range list {
		ip := a.Prefix.Addr()
		if !a.Prefix.IsValid() || !ip.Is6() || ip.Is4In6() || ip.IsMulticast() || ip.IsUnspecified() {
			return nil, fmt.Errorf("host: %v is no IPv6 address for an interface", a.Prefix)
		}
		if b, ok := want[ip]; ok && a != b {
			return nil, fmt.Errorf("host: address %v is wanted twice, and differently", ip)
		}
		want[ip] = a
	}
	return want, nil
}

func wantedRoutes(list []Route) (map[Route]bool, error) {
	want := map[Route]bool{}
	for _, r := range list {
		if !r.Dst.IsValid() || !r.Dst.Addr().Is6() || r.Dst != r.Dst.Masked() || r.Metric < 0 {
			return nil, fmt.Errorf("host: %v metric %d is no IPv6 route", r.Dst, r.Metric)
		}
		if r.Metric == 0 {
			r.Metric = meshMetric
			if r.Dst.Bits() == 0 {
				r.Metric = defaultMetric
			}
		}
		want[r] = true
	}
	return want, nil
}

func (t *TUN) syncAddrs(want addrSet) error {
	have, err := t.addrs()
	if err != nil {
		return err
	}
	var errs []error
	fail := func(what string, ip netip.Addr, err error) {
		errs = append(errs, explainChange(t.name, what+" address "+ip.String(), err))
	}
	for ip, h := range have {
		w, wanted := want[ip]
		if wanted && w.Prefix == h.Prefix {
			continue
		}
		if _, ours := t.set[ip]; !ours && !wanted {
			continue
		}
		err := t.netlink.AddrDel(t.link, &netlink.Addr{IPNet: ipNet(h.Prefix)})
		if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			fail("removing", ip, err)
			continue
		}
		delete(have, ip)
	}
	maps.DeleteFunc(t.set, func(ip netip.Addr, _ Address) bool { _, wanted := want[ip]; return !wanted })
	for _, ip := range slices.SortedFunc(maps.Keys(want), netip.Addr.Compare) {
		w := want[ip]
		if h, ok := have[ip]; !ok || h != w {
			if err := t.netlink.AddrReplace(t.link, kernelAddr(w)); err != nil {
				fail("adding", ip, err)
				continue
			}
		}
		t.set[ip] = w
	}
	return errors.Join(errs...)
}

// kernelAddr is an address as netlink takes it.
func kernelAddr(a Address) *netlink.Addr {
	k := &netlink.Addr{IPNet: ipNet(a.Prefix), Flags: unix.IFA_F_NODAD}
	if !a.OnLink {
		k.Flags |= unix.IFA_F_NOPREFIXROUTE
	}
	if a.Deprecated {
		// Preferred for no time. netlink cannot say "valid for ever" beside
		// it where an int has 32 bits, so it is 68 years.
		k.ValidLft = 1<<31 - 1
	}
	return k
}

// addrs lists the interface's IPv6 addresses.
func (t *TUN) addrs() (addrSet, error) {
	list, err := dump(func() ([]netlink.Addr, error) {
		return t.netlink.AddrList(t.link, netlink.FAMILY_V6)
	})
	if err != nil {
		return nil, explainChange(t.name, "listing addresses", err)
	}
	have := addrSet{}
	for _, k := range list {
		if p, ok := prefix(k.IPNet); ok {
			have[p.Addr()] = Address{
				Prefix:     p,
				Deprecated: k.PreferedLft == 0,
				OnLink:     k.Flags&unix.IFA_F_NOPREFIXROUTE == 0,
			}
		}
	}
	return have, nil
}

func (t *TUN) syncRoutes(want map[Route]bool) error {
	have, err := t.routes()
	if err != nil {
		return err
	}
	var errs []error
	fail := func(what string, r Route, err error) {
		what = fmt.Sprintf("%s route %v metric %d", what, r.Dst, r.Metric)
		if errors.Is(err, unix.EEXIST) {
			err = fmt.Errorf("another interface has it: %w", err)
		}
		errs = append(errs, explainChange(t.name, what, err))
	}
	for r := range have {
		if !want[r] {
			if err := t.netlink.RouteDel(t.kernelRoute(r)); err != nil && !errors.Is(err, unix.ESRCH) {
				fail("removing", r, err)
			}
		}
	}
	for r := range want {
		if !have[r] {
			if err := t.netlink.RouteAdd(t.kernelRoute(r)); err != nil {
				fail("adding", r, err)
			}
		}
	}
	return errors.Join(errs...)
}

// kernelRoute is a route as netlink takes it.
func (t *TUN) kernelRoute(r Route) *netlink.Route {
	return &netlink.Route{
		LinkIndex: t.link.Index,
		Dst:       ipNet(r.Dst),
		Priority:  r.Metric,
		Protocol:  RouteProtocol,
		Table:     unix.RT_TABLE_MAIN,
	}
}

// routes lists the routes through the interface that carry our protocol.
func (t *TUN) routes() (map[Route]bool, error) {
	list, err := dump(func() ([]netlink.Route, error) {
		return t.netlink.RouteListFiltered(netlink.FAMILY_V6, t.kernelRoute(Route{}),
			netlink.RT_FILTER_OIF|netlink.RT_FILTER_PROTOCOL|netlink.RT_FILTER_TABLE)
	})
	if err != nil {
		return nil, explainChange(t.name, "listing routes", err)
	}
	have := map[Route]bool{}
	for _, k := range list {
		r := Route{Dst: netip.PrefixFrom(netip.IPv6Unspecified(), 0), Metric: k.Priority}
		if k.Dst != nil {
			var ok bool
			if r.Dst, ok = prefix(k.Dst); !ok {
				continue
			}
		}
		have[r] = true
	}
	return have, nil
}

// dump asks the kernel for a list again while it changes under the question.
func dump[T any](list func() ([]T, error)) (all []T, err error) {
	for range 10 {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return all, err
}

func ipNet(p netip.Prefix) *net.IPNet {
	if !p.IsValid() {
		return nil
	}
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func prefix(n *net.IPNet) (netip.Prefix, bool) {
	ip, ok := netip.AddrFromSlice(n.IP.To16())
	bits, size := n.Mask.Size()
	return netip.PrefixFrom(ip, bits), ok && size == 128
}
