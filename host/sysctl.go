package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const sysctlIPv6 = "/proc/sys/net/ipv6"

// sysctls is what the interface needs, each below conf/NAME. They are read
// first: in many containers they are right and cannot be written.
var sysctls = []struct{ key, value string }{
	{"disable_ipv6", "0"},
	{"accept_ra", "0"},
	{"accept_redirects", "0"},
}

// ipv6Present reports a kernel without IPv6, or booted with ipv6.disable=1.
func ipv6Present() error {
	if _, err := os.Stat(sysctlIPv6); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("host: %w: no %s, see the kernel's command line for ipv6.disable", ErrNoIPv6, sysctlIPv6)
	}
	return nil
}

func (t *TUN) setSysctls() error {
	for _, s := range sysctls {
		err := setSysctl(filepath.Join(sysctlIPv6, "conf", t.name, s.key), s.value)
		switch {
		case err == nil:
		case s.key == "disable_ipv6":
			return fmt.Errorf("host: interface %s: %w: %w", t.name, ErrNoIPv6, err)
		case errors.Is(err, unix.EROFS) && t.deaf():
		case errors.Is(err, unix.EROFS):
			return fmt.Errorf("host: interface %s: give the container net.ipv6.conf.default.%s=%s, or have the host forward IPv6, net.ipv6.conf.all.forwarding=1, if the container has its network: %w",
				t.name, s.key, s.value, err)
		default:
			return fmt.Errorf("host: interface %s: %w", t.name, err)
		}
	}
	return nil
}

// deaf reports whether the kernel passes over router advertisements and
// redirects on the interface as it is: a router does, unless accept_ra is 2
// (Documentation/networking/ip-sysctl).
func (t *TUN) deaf() bool {
	get := func(key string) string {
		b, _ := os.ReadFile(filepath.Join(sysctlIPv6, "conf", t.name, key)) // what cannot be read is not what it should be
		return strings.TrimSpace(string(b))
	}
	ra := get("accept_ra")
	return get("forwarding") == "1" && (ra == "0" || ra == "1")
}

func setSysctl(file, value string) error {
	was, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(was)) == value {
		return nil
	}
	if err := os.WriteFile(file, []byte(value), 0); err != nil {
		return fmt.Errorf("it must be %s and is %s: %w", value, strings.TrimSpace(string(was)), err)
	}
	return nil
}
