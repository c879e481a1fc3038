package doctor

import (
	"os"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"gatewayd/host/infra"
	"gatewayd/host/sysctl"
	"gatewayd/ipv6"
)

var linkChecks = []Check{
	{"HOST-IFNONE", "there is an infrastructure interface", checkInterface},
	{"HOST-MULTI", "it is clear which interface that is", checkAmbiguous},
	{"HOST-IFDOWN", "it is up and has a carrier", checkDown},
	{"HOST-IF6OFF", "it does IPv6", checkDisabled},
	{"HOST-MTU", "IPv6 fits", checkMTU},
	{"HOST-PORT", "it is no port of a bridge or bond", checkPort},
	{"HOST-LL", "it has a link-local address", checkLinkLocal},
	{"HOST-DAD", "nobody else has its addresses", checkDuplicate},
	{"HOST-SNOOP", "its bridge lets multicast through", checkSnooping},
}

func linkByIndex(index int) (netlink.Link, error) { return netlink.LinkByIndex(index) }

func checkInterface(e *exam) {
	if len(e.links) == 0 && (!e.Alone || !e.active()) {
		e.problem("", "set infra in the configuration; ip link shows the interfaces",
			"No interface leads to other networks: there is no default route to tell which it is.")
	}
	for _, l := range e.links {
		if l.Index == 0 {
			e.problem(l.ID, "ip link shows the interfaces; set infra in the configuration", "There is no interface %s.", l.ID)
		}
	}
}

func checkAmbiguous(e *exam) {
	if len(e.Infra) > 0 || len(e.links) == 0 {
		return
	}
	var names []string
	for _, family := range []int{netlink.FAMILY_V6, netlink.FAMILY_V4} {
		for _, r := range mainRoutes(family) {
			if !isDefault(r) || r.Gw == nil {
				continue
			}
			if l, err := linkByIndex(r.LinkIndex); err == nil && l.Attrs().Name != e.Mesh && !slices.Contains(names, l.Attrs().Name) {
				names = append(names, l.Attrs().Name)
			}
		}
	}
	if len(names) > 1 && len(e.links) == 1 {
		e.warn(e.links[0].Name, "set infra in the configuration, as infra = \""+e.links[0].Name+"\"",
			"Default routes lead through %s; the gateway has chosen %s.", strings.Join(names, " and "), e.links[0].Name)
	}
}

func checkDown(e *exam) {
	for _, l := range e.links {
		link, err := linkByIndex(l.Index)
		if l.Index == 0 || err != nil {
			continue
		}
		switch flags := link.Attrs().RawFlags; {
		case flags&unix.IFF_UP == 0:
			e.problem(l.Name, "ip link set "+l.Name+" up", "%s is down.", l.Name)
		case flags&unix.IFF_RUNNING == 0:
			e.problem(l.Name, "look at the cable, the switch or the Wi-Fi", "%s has no carrier.", l.Name)
		}
	}
}

func checkDisabled(e *exam) {
	names := e.names
	if e.active() {
		names = append(slices.Clone(names), e.Mesh)
	}
	for _, name := range names {
		if v, err := sysctl.Get(sysctl.Conf(name, "disable_ipv6")); err == nil && v != "0" {
			e.problem(name, command(sysctl.Conf(name, "disable_ipv6"), "0"), "IPv6 is turned off on %s.", name)
		}
	}
}

func checkMTU(e *exam) {
	for _, l := range e.links {
		if l.Index != 0 && l.MTU < ipv6.MinMTU {
			e.problem(l.Name, "ip link set "+l.Name+" mtu 1500", "%s carries only %d octets, and IPv6 needs %d.", l.Name, l.MTU, ipv6.MinMTU)
		}
	}
}

func checkPort(e *exam) {
	for _, l := range e.links {
		link, err := linkByIndex(l.Index)
		if l.Index == 0 || err != nil || link.Attrs().MasterIndex == 0 {
			continue
		}
		master, err := linkByIndex(link.Attrs().MasterIndex)
		if err != nil || master.Type() == "vrf" {
			continue
		}
		name := master.Attrs().Name
		e.problem(l.Name, "set infra = \""+name+"\" in the configuration",
			"%s is a port of the %s %s, which has the addresses and gets the packets.", l.Name, master.Type(), name)
	}
}

func checkLinkLocal(e *exam) {
	if e.had("HOST-IPV6", "HOST-IF6OFF", "HOST-IFDOWN", "HOST-PORT", "HOST-MTU") {
		return
	}
	for _, l := range e.links {
		if l.Index == 0 || l.LinkLocal.IsValid() {
			continue
		}
		if slices.ContainsFunc(l.Addrs, isLinkLocal) {
			continue // being checked, or HOST-DAD
		}
		e.problem(l.Name, command(sysctl.Conf(l.Name, "addr_gen_mode"), "0")+"; ip link set "+l.Name+" down; ip link set "+l.Name+" up",
			"%s has no link-local address, so that nothing can be advertised there.", l.Name)
	}
}

func checkDuplicate(e *exam) {
	for _, l := range e.links {
		for _, a := range l.Addrs {
			if a.Duplicate {
				e.problem(l.Name, "look for the other host (two machines made from one image?), then ip link set "+l.Name+" down; ip link set "+l.Name+" up",
					"Another host on %s has the address %v.", l.Name, a.Prefix.Addr())
			}
		}
	}
}

// checkSnooping looks for bridges that keep multicast to those that have asked
// for it, while nobody has them ask: after some minutes they get none.
func checkSnooping(e *exam) {
	for _, l := range e.links {
		dir := "/sys/class/net/" + l.Name + "/bridge/"
		value := func(name string) string {
			b, _ := os.ReadFile(dir + name)
			return strings.TrimSpace(string(b))
		}
		if l.Index != 0 && isFile(dir+"multicast_snooping") && value("multicast_snooping") == "1" && value("multicast_querier") == "0" {
			e.warn(l.Name, "ip link set "+l.Name+" type bridge mcast_querier 1",
				"The bridge %s snoops multicast without a querier: neighbor discovery and mDNS may stop after some minutes.", l.Name)
		}
	}
}

func isLinkLocal(a infra.Addr) bool {
	return a.Prefix.Addr().Is6() && a.Prefix.Addr().IsLinkLocalUnicast()
}

// command is what sets a setting.
func command(key, value string) string {
	return "sysctl -w " + strings.NewReplacer("/", ".", ".", "/").Replace(key) + "=" + value
}
