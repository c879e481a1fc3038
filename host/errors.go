package host

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ErrNoIPv6 means that this kernel will not do IPv6 on the interface.
var ErrNoIPv6 = errors.New("IPv6 is disabled on this host")

// ErrNameInUse means that an interface of that name exists already.
var ErrNameInUse = errors.New("name is in use")

// needAdmin names the capability that changing interfaces takes.
const needAdmin = "run as root or with CAP_NET_ADMIN"

func explainDevice(err error) error {
	switch {
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("host: no %s: in a container, pass the device in; otherwise modprobe tun: %w", tunDevice, err)
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return fmt.Errorf("host: %s has no driver behind it: modprobe tun: %w", tunDevice, err)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("host: %s is denied, as in a container that was not given the device: %w", tunDevice, err)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("host: %s is not readable and writable for this user: %w", tunDevice, err)
	}
	return fmt.Errorf("host: opening %s: %w", tunDevice, err)
}

func explainCreate(name string, err error) error {
	if errors.Is(err, unix.EPERM) {
		return fmt.Errorf("host: making interface %s: %s: %w", name, needAdmin, err)
	}
	if _, lookup := net.InterfaceByName(name); lookup == nil {
		return fmt.Errorf("host: interface %s exists already, %s: %w: %w", name, owner(name), ErrNameInUse, err)
	}
	return fmt.Errorf("host: making interface %s: %w", name, err)
}

func explainChange(name, what string, err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("host: interface %s: %s: %s: %w", name, what, needAdmin, err)
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("host: interface %s: %s: %w: %w", name, what, ErrNoIPv6, err)
	}
	return fmt.Errorf("host: interface %s: %s: %w", name, what, err)
}

// owner says what an interface is, and if it is a process's, whose.
func owner(name string) string {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return "what it is cannot be read"
	}
	if link.Type() != "tuntap" && link.Type() != "tun" {
		return "a device of type " + link.Type()
	}
	// The kernel tells which interface a descriptor of the TUN device has.
	infos, _ := filepath.Glob("/proc/[0-9]*/fdinfo/*")
	for _, info := range infos {
		b, err := os.ReadFile(info)
		if err != nil || !strings.Contains(string(b), "iff:\t"+name+"\n") {
			continue
		}
		pid := strings.Split(info, "/")[2]
		comm, _ := os.ReadFile("/proc/" + pid + "/comm")
		return fmt.Sprintf("made by pid %s (%s)", pid, strings.TrimSpace(string(comm)))
	}
	return fmt.Sprintf("a TUN device no process has open: ip link delete %s removes it", name)
}
