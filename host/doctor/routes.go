package doctor

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"gatewayd/host"
)

var routeChecks = []Check{
	{"HOST-ROUTE", "packets to the mesh go there", checkRoute},
	{"HOST-STALE", "nothing is left of a gateway that is gone", checkStale},
	{"HOST-WIDE", "no route takes all private addresses", checkWide},
}

// maxPrefixes bounds what is examined: a mesh has a few.
const maxPrefixes = 16

func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// mainRoutes lists the routes of the main table.
func mainRoutes(family int) []netlink.Route {
	for range 3 { // it may change under the question
		list, err := netlink.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
		if err == nil {
			return list
		}
	}
	return nil
}

func isDefault(r netlink.Route) bool {
	if r.Dst == nil {
		return true
	}
	ones, _ := r.Dst.Mask.Size()
	return ones == 0
}

func prefix(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	ip, _ := netip.AddrFromSlice(n.IP)
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(ip, ones)
}

// meshPrefixes lists the prefixes of the mesh: as told, or those that the main
// table sends there.
func (e *exam) meshPrefixes() []netip.Prefix {
	if len(e.Prefixes) > 0 || e.mesh == 0 {
		return e.Prefixes
	}
	var list []netip.Prefix
	for _, r := range mainRoutes(netlink.FAMILY_V6) {
		p := prefix(r.Dst)
		if r.LinkIndex == e.mesh && p.Bits() > 0 && p.Bits() < 128 && !p.Addr().IsLinkLocalUnicast() && !p.Addr().IsMulticast() && len(list) < maxPrefixes {
			list = append(list, p)
		}
	}
	return list
}

// inside is an address of a prefix that no host is likely to have.
func inside(p netip.Prefix) netip.Addr {
	a := p.Masked().Addr().As16()
	copy(a[8:], []byte{0x02, 0x6d, 0x65, 0xff, 0xfe, 0x73, 0x68, 0x21})
	if p.Bits() > 64 {
		return p.Masked().Addr().Next()
	}
	return netip.AddrFrom16(a)
}

func checkRoute(e *exam) {
	if !e.active() {
		return
	}
	for _, p := range e.meshPrefixes() {
		routes, err := netlink.RouteGet(inside(p).AsSlice())
		if err == nil && len(routes) > 0 && routes[0].LinkIndex == e.mesh {
			continue
		}
		fix := "ip -6 route get " + inside(p).String() + "; ip -6 rule show"
		if err != nil || len(routes) == 0 || routes[0].Type != unix.RTN_UNICAST {
			e.problem(p.String(), fix, "The host has no route to the mesh's prefix %v.", p)
			continue
		}
		through := strconv.Itoa(routes[0].LinkIndex)
		if l, err := linkByIndex(routes[0].LinkIndex); err == nil {
			through = l.Attrs().Name
		}
		e.problem(p.String(), fix+"; a VPN may have taken all routes",
			"Packets to the mesh's prefix %v go to %s and not to %s.", p, through, e.Mesh)
	}
}

// checkStale looks for what bears our mark while no gateway is at work.
func checkStale(e *exam) {
	if e.active() {
		return
	}
	for _, r := range mainRoutes(netlink.FAMILY_V6) {
		if r.Protocol == host.RouteProtocol {
			p := prefix(r.Dst)
			e.warn(p.String(), "ip -6 route flush proto "+strconv.Itoa(host.RouteProtocol),
				"The route to %v was left by a gateway that is gone.", p)
		}
	}
	for _, l := range e.links {
		for _, a := range l.Addrs {
			if a.Ours {
				e.warn(a.Prefix.String(), "ip addr del "+a.Prefix.String()+" dev "+l.Name,
					"The address %v on %s was left by a gateway that is gone.", a.Prefix.Addr(), l.Name)
			}
		}
	}
}

// checkWide looks for routes to all unique local addresses that somebody
// advertises: everything private that has no route of its own goes there.
func checkWide(e *exam) {
	for _, r := range mainRoutes(netlink.FAMILY_V6) {
		p := prefix(r.Dst)
		if p.Bits() < 1 || p.Bits() > 8 || !netip.MustParsePrefix("fc00::/7").Overlaps(p) || r.Type != unix.RTN_UNICAST {
			continue
		}
		via := "an interface"
		if l, err := linkByIndex(r.LinkIndex); err == nil {
			via = l.Attrs().Name
		}
		e.warn(p.String(), "ip -6 route del "+p.String()+", and see which router advertises it (rdisc6 "+via+")",
			"The route to %v sends all private addresses to %s.", p, via)
	}
}

// joined lists names as a sentence does.
func joined(names []string) string {
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
