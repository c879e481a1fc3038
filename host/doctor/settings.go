package doctor

import (
	"gatewayd/host/infra"
	"gatewayd/host/sysctl"
)

var settingChecks = []Check{
	{"HOST-FWD6", "the host forwards IPv6", checkForwarding},
	{"HOST-FWDIF", "it says so to the hosts of the link", checkRouterFlag},
	{"HOST-RA", "the host hears other routers", checkAcceptRA},
	{"HOST-RIOLEN", "the host takes routes as long as mesh prefixes", checkRouteLength},
	{"HOST-RAPFX", "the host takes prefixes from router advertisements", checkPrefixInfo},
	{"HOST-FWD4", "the host forwards the NAT64's IPv4", checkForwarding4},
}

// A setting is one that a gateway at work has made, unless it could not.
type setting struct{ key, value string }

// wanted lists the settings that a border router needs.
func (e *exam) wanted() []setting {
	list := []setting{{"net/ipv6/conf/all/forwarding", "1"}}
	for _, l := range e.links {
		if l.Index != 0 {
			list = append(list, setting{sysctl.Conf(l.Name, "forwarding"), "1"},
				setting{sysctl.Conf(l.Name, "accept_ra"), "2"}, setting{sysctl.Conf(l.Name, "accept_ra_rt_info_max_plen"), "64"})
		}
	}
	return list
}

func checkForwarding(e *exam) {
	if v, err := sysctl.Get("net/ipv6/conf/all/forwarding"); e.routes() && err == nil && v == "0" {
		e.problem("", command("net/ipv6/conf/all/forwarding", "1"),
			"The host forwards no IPv6, so that nothing gets from the LAN to the mesh or back.")
	}
}

func checkRouterFlag(e *exam) {
	if !e.routes() {
		return
	}
	for _, name := range e.names {
		if v, err := sysctl.Get(sysctl.Conf(name, "forwarding")); err == nil && v == "0" && !e.had("HOST-FWD6") {
			e.problem(name, command(sysctl.Conf(name, "forwarding"), "1"),
				"The host does not call itself a router on %s: others there give up their routes to the mesh.", name)
		}
	}
}

// managed reports whether something else than the kernel takes router
// advertisements of a link.
func managed(l infra.Link) bool { return infra.Manager(l.Index, l.Name).TakesRAs }

func checkAcceptRA(e *exam) {
	if !e.routes() {
		return
	}
	for _, l := range e.links {
		v, err := sysctl.Get(sysctl.Conf(l.Name, "accept_ra"))
		forwards, _ := sysctl.Get(sysctl.Conf(l.Name, "forwarding"))
		if l.Index == 0 || err != nil || v == "2" || managed(l) || v == "1" && forwards == "0" {
			continue
		}
		e.problem(l.Name, command(sysctl.Conf(l.Name, "accept_ra"), "2"),
			"The host ignores the router advertisements on %s, and with them its default route and routes to other meshes.", l.Name)
	}
}

func checkRouteLength(e *exam) {
	if !e.routes() {
		return
	}
	for _, l := range e.links {
		key := sysctl.Conf(l.Name, "accept_ra_rt_info_max_plen")
		v, err := sysctl.Get(key)
		if l.Index == 0 || err != nil || number(v) >= 64 || managed(l) {
			continue
		}
		e.problem(l.Name, command(key, "64"),
			"The host takes only routes of up to %s bits from router advertisements on %s; those to meshes have 64.", v, l.Name)
	}
}

func checkPrefixInfo(e *exam) {
	if !e.routes() {
		return
	}
	for _, l := range e.links {
		if l.Index == 0 || managed(l) {
			continue
		}
		for _, name := range []string{"accept_ra_pinfo", "autoconf"} {
			if v, err := sysctl.Get(sysctl.Conf(l.Name, name)); err == nil && v == "0" {
				e.warn(l.Name, command(sysctl.Conf(l.Name, name), "1"),
					"The host makes itself no address of the prefixes that are advertised on %s (%s is 0).", l.Name, name)
			}
		}
	}
}

func checkForwarding4(e *exam) {
	if e.NAT64 == "" || !e.routes() {
		return
	}
	for _, name := range append([]string{e.NAT64}, e.names...) {
		key := "net/ipv4/conf/" + name + "/forwarding"
		if v, err := sysctl.Get(key); err == nil && v == "0" {
			e.problem(name, command(key, "1"), "The host forwards no IPv4 that arrives on %s, so that NAT64 does not work.", name)
		}
	}
}
