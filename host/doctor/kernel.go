package doctor

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"gatewayd/host/firewall"
	"gatewayd/host/sysctl"
)

var kernelChecks = []Check{
	{"HOST-IPV6", "the kernel does IPv6", checkIPv6},
	{"HOST-CAP", "this process may change the network", checkCapabilities},
	{"HOST-TUN", "/dev/net/tun can be opened", checkTUN},
	{"HOST-SYSRO", "settings below /proc/sys can be written, or are right", checkReadOnly},
	{"HOST-NFT", "the kernel has nftables, and all that the table takes", checkNFT},
	{"HOST-RTINFO", "the kernel takes routes from router advertisements", checkRouteInfo},
	{"HOST-MROUTE", "the kernel forwards multicast", checkMulticastRouting},
	{"HOST-CONNTRACK", "the table of connections has room", checkConntrack},
	{"HOST-CONTAINER", "a container has the host's network", checkContainer},
	{"HOST-TIME", "the clock is plausible", checkTime},
	{"HOST-SYNC", "the clock is set by a time server", checkSync},
}

func checkIPv6(e *exam) {
	_, err := sysctl.Get("net/ipv6/conf/all/disable_ipv6")
	if errors.Is(err, sysctl.ErrMissing) {
		e.problem("", "remove ipv6.disable=1 from the kernel's command line, or modprobe ipv6, and restart",
			"This kernel does no IPv6 at all.")
	}
}

func checkCapabilities(e *exam) {
	have, err := e.sys.capabilities()
	if err != nil {
		return
	}
	var missing []string
	for bit, name := range map[uint]string{unix.CAP_NET_ADMIN: "NET_ADMIN", unix.CAP_NET_RAW: "NET_RAW"} {
		if have&(1<<bit) == 0 {
			missing = append(missing, "CAP_"+name)
		}
	}
	if len(missing) > 0 {
		e.problem("", "run as root (sudo gatewayd doctor); in a container: --cap-add NET_ADMIN --cap-add NET_RAW",
			"This process lacks %s and cannot change the network.", strings.Join(missing, " and "))
	}
}

func checkTUN(e *exam) {
	err := e.sys.openTUN()
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist):
		e.problem("/dev/net/tun", "modprobe tun; in a container: --device /dev/net/tun",
			"There is no /dev/net/tun, so that the mesh's interface cannot be made.")
	case errors.Is(err, fs.ErrPermission):
		e.problem("/dev/net/tun", "run as root; in a container: --device /dev/net/tun",
			"/dev/net/tun may not be opened.")
	default:
		e.problem("/dev/net/tun", "modprobe tun", "/dev/net/tun cannot be opened: %v.", err)
	}
}

func checkReadOnly(e *exam) {
	const file = "/proc/sys/net/ipv6/conf/all/forwarding"
	if unix.Access(file, unix.F_OK) != nil || e.active() && e.Alone {
		return // HOST-IPV6
	}
	err := unix.Access(file, unix.W_OK)
	if !errors.Is(err, unix.EROFS) {
		return
	}
	wrong := ""
	for _, s := range e.wanted() {
		if v, err := sysctl.Get(s.key); err == nil && v != s.value {
			wrong += " --sysctl " + strings.ReplaceAll(s.key, "/", ".") + "=" + s.value
		}
	}
	if wrong != "" {
		e.problem("/proc/sys", "start the container with"+wrong+", or set these on the host if it has the host's network",
			"Settings cannot be changed here, and some are not what a border router needs.")
	}
}

func checkNFT(e *exam) {
	if e.had("HOST-CAP") || e.Firewall {
		return // it cannot be known, or is: the table is in force
	}
	err, fix := e.Unfiltered, "modprobe nf_tables nft_ct nft_nat nft_masq; OpenWrt: opkg install kmod-nft-core kmod-nft-nat"
	if err == nil {
		if err = e.sys.nftables(); !errors.Is(err, firewall.ErrUnsupported) {
			return
		}
	}
	switch {
	case errors.Is(err, firewall.ErrTaken):
		fix = "stop the other gateway, or run one of them in a network namespace"
	case !errors.Is(err, firewall.ErrUnsupported):
		fix = "journalctl -u gatewayd says more"
	}
	passes := "everything passes (no-firewall = \"open\")"
	if e.Closed {
		passes = "nothing passes (no-firewall = \"closed\")"
	}
	e.problem("", fix, "The mesh has no firewall, and %s: %v.", passes, plain(err))
}

func checkRouteInfo(e *exam) {
	if e.had("HOST-IPV6") {
		return
	}
	_, err := sysctl.Get("net/ipv6/conf/all/accept_ra_rt_info_max_plen")
	if errors.Is(err, sysctl.ErrMissing) {
		e.problem("", "take a kernel with CONFIG_IPV6_ROUTER_PREF and CONFIG_IPV6_ROUTE_INFO",
			"This kernel takes no routes from router advertisements, so that the host does not find other meshes.")
	}
}

func checkMulticastRouting(e *exam) {
	if e.had("HOST-IPV6") {
		return
	}
	if _, err := e.sys.readFile("/proc/net/ip6_mr_vif"); errors.Is(err, fs.ErrNotExist) {
		e.warn("", "take a kernel with CONFIG_IPV6_MROUTE", "This kernel forwards no multicast between the mesh and elsewhere.")
	}
}

func checkConntrack(e *exam) {
	number := func(name string) int {
		b, err := e.sys.readFile("/proc/sys/net/netfilter/nf_conntrack_" + name)
		if err != nil {
			return 0
		}
		n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
		return n
	}
	count, limit := number("count"), number("max")
	if limit > 0 && count >= limit/10*9 {
		e.problem("", "sysctl -w net.netfilter.nf_conntrack_max="+strconv.Itoa(4*limit),
			"%d of at most %d connections are tracked: new ones will be dropped.", count, limit)
	}
}

// checkContainer looks for a network of a container's own: advertisements from
// there reach no LAN.
func checkContainer(e *exam) {
	inside := false
	for _, file := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := e.sys.readFile(file); err == nil {
			inside = true
		}
	}
	if b, err := e.sys.readFile("/proc/1/environ"); err == nil && bytes.Contains(b, []byte("container=")) {
		inside = true
	}
	if !inside || !e.sys.initNetwork() {
		return
	}
	for _, l := range e.links {
		if kind := e.kind(l.Index); kind == "veth" {
			e.problem(l.Name, "docker run --network host, or a macvlan network",
				"%s is a container's own network: no host of the LAN hears what is sent there.", l.Name)
		}
	}
}

// written is when these checks were: no clock is right that is before.
var written = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func checkTime(e *exam) {
	if now, _ := e.sys.clock(); now.Before(written) {
		e.problem("", "timedatectl set-ntp true, or date -s", "The clock says %s: certificates and datasets need the time.", now.Format("2006-01-02"))
	}
}

func checkSync(e *exam) {
	if _, synced := e.sys.clock(); !synced {
		e.warn("", "timedatectl set-ntp true", "No time server sets the clock: datasets made here may be taken for older than they are.")
	}
}

// plain leaves out what only programmers care for.
func plain(err error) string {
	text, _, _ := strings.Cut(err.Error(), "\n")
	return strings.TrimPrefix(text, "firewall: ")
}

// kind tells what sort of interface there is, as "veth" or "bridge".
func (e *exam) kind(index int) string {
	if index == 0 {
		return ""
	}
	l, err := linkByIndex(index)
	if err != nil {
		return ""
	}
	return l.Type()
}

func isFile(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
