package host

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// portDNS is the lowest port that a border router answers on.
const portDNS = 53

// Capabilities are the ones in effect for this thread, a bit each
// (capabilities(7)).
func Capabilities() (uint64, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, fmt.Errorf("host: capabilities: %w", err)
	}
	return uint64(data[1].Effective)<<32 | uint64(data[0].Effective), nil
}

// CheckBorderRouter fails if this process lacks a capability that a border
// router needs, and names it: interfaces and routes, raw ICMPv6 and the
// kernel's multicast routing, and DNS on its port.
func CheckBorderRouter() error {
	have, err := Capabilities()
	if err != nil {
		return err
	}
	var missing, add []string
	for _, c := range []struct {
		bit  uint
		name string
	}{{unix.CAP_NET_ADMIN, "NET_ADMIN"}, {unix.CAP_NET_RAW, "NET_RAW"}, {unix.CAP_NET_BIND_SERVICE, "NET_BIND_SERVICE"}} {
		if have&(1<<c.bit) == 0 && !(c.bit == unix.CAP_NET_BIND_SERVICE && anybodysPort(portDNS)) {
			missing, add = append(missing, "CAP_"+c.name), append(add, "--cap-add "+c.name)
		}
	}
	if missing == nil {
		return nil
	}
	return fmt.Errorf("host: a border router needs %s: run as root, as a service give it AmbientCapabilities=%s, in a container %s: %w",
		strings.Join(missing, " and "), strings.Join(missing, " "), strings.Join(add, " "), unix.EPERM)
}

// anybodysPort reports whether a port takes no capability here.
func anybodysPort(port int) bool {
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if err != nil {
		return false
	}
	first, err := strconv.Atoi(strings.TrimSpace(string(b)))
	return err == nil && port >= first
}
