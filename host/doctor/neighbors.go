package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"gatewayd/host/infra"
)

var neighborChecks = []Check{
	{"HOST-MESHOWNER", "no other program configures the mesh's interface", checkMeshOwner},
	{"HOST-OWNER", "whoever configures the infrastructure interface takes routes too", checkOwner},
	{"HOST-RASENDER", "no other program here advertises itself as a router", checkAdvertiser},
	{"HOST-MDNS", "the mDNS port can be shared", checkMDNSPort},
	{"HOST-MDNS2", "not several programs answer mDNS", checkMDNSTwice},
	{"HOST-MDNSOUT", "what is published by mDNS can be seen", checkMDNSSeen},
	{"HOST-DHCP6", "no other DHCPv6 client is on the link", checkDHCP6},
	{"HOST-OTBR", "no other Thread border router runs here", checkOther},
	{"HOST-MODEM", "ModemManager leaves the radio alone", checkModemManager},
}

// processes lists what runs; once for all checks.
func (e *exam) processes() []process {
	if e.programs == nil {
		e.programs = e.sys.processes()
	}
	return e.programs
}

// self is the name of this program, and so of the gateway.
func (e *exam) self() string {
	b, _ := e.sys.readFile("/proc/self/comm")
	return strings.TrimSpace(string(b))
}

// runs reports whether one of the programs runs.
func (e *exam) runs(names ...string) bool { return len(e.running(names...)) > 0 }

func (e *exam) running(names ...string) (list []string) {
	for _, p := range e.processes() {
		if slices.Contains(names, p.name) {
			list = append(list, p.name)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func checkMeshOwner(e *exam) {
	if !e.active() {
		return
	}
	switch by := infra.Manager(e.mesh, e.Mesh).By; by {
	case "":
	case "NetworkManager":
		e.problem(e.Mesh, "printf '[keyfile]\\nunmanaged-devices=interface-name:"+e.Mesh+"\\n' > /etc/NetworkManager/conf.d/gatewayd.conf; nmcli general reload",
			"NetworkManager configures the mesh's interface %s, and takes and leaves addresses and routes there.", e.Mesh)
	case "systemd-networkd":
		e.problem(e.Mesh, "printf '[Match]\\nName="+e.Mesh+"\\n[Link]\\nUnmanaged=yes\\n' > /etc/systemd/network/10-"+e.Mesh+".network; networkctl reload",
			"systemd-networkd configures the mesh's interface %s.", e.Mesh)
	default:
		if !isFile("/run/dhcpcd/" + e.Mesh + ".pid") {
			return // it runs for other interfaces
		}
		e.problem(e.Mesh, "echo 'denyinterfaces "+e.Mesh+"' >> /etc/dhcpcd.conf; systemctl restart dhcpcd",
			"%s configures the mesh's interface %s.", by, e.Mesh)
	}
}

// checkOwner: NetworkManager and systemd-networkd install the routes of router
// advertisements themselves; dhcpcd takes the kernel's listening and leaves
// the routes out.
func checkOwner(e *exam) {
	for _, l := range e.links {
		if l.Index == 0 {
			continue
		}
		if m := infra.Manager(l.Index, l.Name); m.By == "dhcpcd" && m.TakesRAs {
			e.warn(l.Name, "echo 'noipv6rs' >> /etc/dhcpcd.conf; systemctl restart dhcpcd",
				"dhcpcd listens to router advertisements on %s in the kernel's place, and installs no routes to other meshes.", l.Name)
		}
	}
}

func checkAdvertiser(e *exam) {
	for _, name := range e.running("radvd", "odhcpd", "rad", "corerad") {
		e.warn(name, "systemctl stop "+name+", unless this host is also the site's router",
			"%s runs here and may advertise itself as a router beside the gateway.", name)
	}
}

// checkMDNSPort binds the port as the gateway does.
func checkMDNSPort(e *exam) {
	if e.had("HOST-IPV6") {
		return
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = errors.Join(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
		})
		return errors.Join(err, failed)
	}}
	// Not joining the group, it takes no packets away from others.
	conn, err := lc.ListenPacket(context.Background(), "udp6", "[::]:5353")
	if err == nil {
		conn.Close()
		return
	}
	if !errors.Is(err, unix.EADDRINUSE) {
		return
	}
	who := joined(e.owners(5353))
	if who == "" {
		who = "another program"
	}
	e.problem(who, "stop it, or have it share the port (Avahi: disallow-other-stacks=no)", "%s has the mDNS port for itself alone.", who)
}

func checkMDNSTwice(e *exam) {
	responders := slices.DeleteFunc(e.owners(5353), func(name string) bool {
		return !slices.Contains([]string{"avahi-daemon", "systemd-resolve", "mdnsd", "umdns", "otbr-agent"}, name)
	})
	if len(responders) > 1 {
		e.warn(joined(responders), "keep one: for systemd-resolved, resolvectl mdns "+strings.Join(append(e.names, "IFACE")[:1], "")+" no",
			"%s all answer mDNS on this host: names may conflict and vanish.", joined(responders))
	}
}

func checkMDNSSeen(e *exam) {
	if e.had("HOST-MDNS", "HOST-IFDOWN") {
		return
	}
	for _, u := range e.Unseen {
		what := "What is multicast"
		if u.Name != "" {
			what = u.Name + ", which the gateway publishes"
		}
		e.problem(u.Link, "firewall-cmd --add-service=mdns, ufw allow 5353/udp, or nft insert rule inet TABLE input udp dport 5353 accept",
			"%s by mDNS on %s does not come back by %s: a firewall of this host drops it.", what, u.Link, u.Family)
	}
}

func checkDHCP6(e *exam) {
	if !e.PD {
		return
	}
	for _, name := range e.owners(546) {
		if name != e.self() {
			e.warn(name, "have it ask for no prefix on that interface, or let it: then turn the gateway's prefix delegation off",
				"%s is a DHCPv6 client on this host too: it may take the answers, or the prefix.", name)
		}
	}
}

func checkOther(e *exam) {
	for _, name := range e.running("otbr-agent", "wpantund", "ot-daemon") {
		e.warn(name, "systemctl disable --now "+name, "%s runs here too, and may want the same radio, ports and routes.", name)
	}
}

func checkModemManager(e *exam) {
	if (strings.Contains(e.Radio, "/dev/ttyACM") || e.Radio == "auto") && e.runs("ModemManager") {
		e.warn("ModemManager", "systemctl disable --now ModemManager", "ModemManager tries whether the radio is a modem, which upsets it.")
	}
}

// owners lists the programs that have a UDP port open here.
func (e *exam) owners(port int) []string {
	inodes := map[string]bool{}
	for _, file := range []string{"/proc/thread-self/net/udp", "/proc/thread-self/net/udp6"} {
		b, _ := e.sys.readFile(file)
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 9 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				inodes["socket:["+f[9]+"]"] = true
			}
		}
	}
	if len(inodes) == 0 {
		return nil
	}
	var names []string
	for _, p := range e.processes() {
		fds, _ := filepath.Glob("/proc/" + strconv.Itoa(p.pid) + "/fd/*")
		if slices.ContainsFunc(fds, func(fd string) bool { at, err := os.Readlink(fd); return err == nil && inodes[at] }) {
			names = append(names, p.name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
