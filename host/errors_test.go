package host

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"

	"gatewayd/internal/netns"

	"golang.org/x/sys/unix"
)

func TestCheckName(t *testing.T) {
	for _, name := range []string{"wpan0", "a", "mesh.10", "123456789012345"} {
		if err := CheckName(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", ".", "..", "all", "default", "1234567890123456", "a/b", "a b", "wpan%d", "a:1", "ü", "a\x00"} {
		if err := CheckName(name); err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("host: %q cannot", name)) {
			t.Errorf("CheckName(%q) = %v", name, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for want, o := range map[string]Options{
		`"a/b" cannot name`:   {Name: "a/b"},
		"MTU 1279 of wpan0":   {MTU: 1279},
		"MTU 65536 of wpan0":  {MTU: 65536},
		"IPv6 needs 1280 to ": {MTU: -1},
	} {
		if _, err := Open(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
}

// wantError checks what Open says when it cannot.
func wantError(t *testing.T, o Options, target error, parts ...string) {
	t.Helper()
	tun, err := Open(o)
	if err == nil {
		tun.Close()
		t.Errorf("opened, want an error with %q", parts)
		return
	}
	if !strings.HasPrefix(err.Error(), "host: ") || !errors.Is(err, target) {
		t.Errorf("error %q, want %q", err, target)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q misses %q", err, p)
		}
	}
}

func TestNameInUse(t *testing.T) {
	needNamespace(t)
	open(t, Options{Name: "mesh0"})
	wantError(t, Options{Name: "mesh0"}, ErrNameInUse, "interface mesh0 exists already", fmt.Sprintf("made by pid %d (", os.Getpid()))
	wantError(t, Options{Name: "lo"}, ErrNameInUse, "interface lo exists already, a device of type device")
	netns.IP(t, "tuntap", "add", "dev", "old0", "mode", "tun")
	wantError(t, Options{Name: "old0"}, ErrNameInUse, "no process has open", "ip link delete old0")
	netns.IP(t, "link", "delete", "old0")
	open(t, Options{Name: "old0"})
}

func TestNoCapability(t *testing.T) {
	needNamespace(t)
	without(t, unix.CAP_NET_ADMIN)
	wantError(t, Options{}, unix.EPERM, "making interface wpan0", "CAP_NET_ADMIN")
}

// without takes capabilities from the thread of the test, which ends with it.
func without(t *testing.T, bits ...uint) {
	t.Helper()
	runtime.LockOSThread() // never unlocked
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		t.Fatal(err)
	}
	for _, b := range bits {
		data[0].Effective &^= 1 << b
	}
	if err := unix.Capset(&header, &data[0]); err != nil {
		t.Fatal(err)
	}
}

// A border router names all that it was not given.
func TestCheckBorderRouter(t *testing.T) {
	needNamespace(t)
	ports := "/proc/sys/net/ipv4/ip_unprivileged_port_start"
	was, err := os.ReadFile(ports)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.WriteFile(ports, was, 0) })
	if err := setSysctl(ports, "1024"); err != nil {
		t.Fatal(err)
	}
	if err := CheckBorderRouter(); err != nil {
		t.Errorf("with everything: %v", err)
	}
	without(t, unix.CAP_NET_RAW, unix.CAP_NET_BIND_SERVICE)
	err = CheckBorderRouter()
	if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "needs CAP_NET_RAW and CAP_NET_BIND_SERVICE") ||
		!strings.HasSuffix(err.Error(), "in a container --cap-add NET_RAW --cap-add NET_BIND_SERVICE: operation not permitted") {
		t.Errorf("without two: %v", err)
	}
	if err := setSysctl(ports, "53"); err != nil {
		t.Fatal(err)
	}
	if err := CheckBorderRouter(); err == nil || strings.Contains(err.Error(), "BIND") {
		t.Errorf("where port 53 is anybody's: %v", err)
	}
}

func TestNoDevice(t *testing.T) {
	needNamespace(t)
	ownMounts(t)
	if err := unix.Mount("none", "/dev/net", "tmpfs", 0, ""); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	wantError(t, Options{}, unix.ENOENT, "no /dev/net/tun", "modprobe tun")

	if err := os.WriteFile(tunDevice, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantError(t, Options{}, unix.ENOTTY, "making interface wpan0")
	runAs(t, 65534, func() { wantError(t, Options{}, unix.EACCES, "not readable and writable for this user") })
}

// runAs runs f with another user's rights on files.
func runAs(t *testing.T, uid int, f func()) {
	t.Helper()
	if _, err := unix.SetfsuidRetUid(uid); err != nil {
		t.Fatal(err)
	}
	defer unix.SetfsuidRetUid(0)
	f()
}

func TestNoIPv6(t *testing.T) {
	needNamespace(t)
	ownMounts(t)
	if err := unix.Mount("none", sysctlIPv6, "tmpfs", unix.MS_RDONLY, ""); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	wantError(t, Options{}, ErrNoIPv6, "conf/wpan0/disable_ipv6")
	unix.Unmount(sysctlIPv6, 0)
	if err := unix.Mount("none", "/proc/sys/net", "tmpfs", 0, ""); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	wantError(t, Options{}, ErrNoIPv6, "see the kernel's command line")
}

// A container's /proc/sys is read-only, and all is well while its values are
// what the interface needs.
func TestSysctlsReadOnly(t *testing.T) {
	needNamespace(t)
	conf := sysctlIPv6 + "/conf/default/"
	for _, key := range []string{"disable_ipv6", "accept_ra", "accept_redirects", "forwarding"} {
		was, err := os.ReadFile(conf + key)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.WriteFile(conf+key, was, 0) })
	}
	sets := func(values map[string]string) {
		t.Helper()
		for key, value := range values {
			if err := setSysctl(conf+key, value); err != nil {
				t.Fatal(err)
			}
		}
	}
	readOnly := func(name string, f func(*testing.T)) {
		t.Run(name, func(t *testing.T) {
			ownMounts(t)
			if err := unix.Mount("/proc/sys", "/proc/sys", "", unix.MS_BIND, ""); err != nil {
				t.Skipf("SKIPPED: %v", err)
			}
			if err := unix.Mount("none", "/proc/sys", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
				t.Skipf("SKIPPED: %v", err)
			}
			f(t)
		})
	}
	readOnly("as the kernel comes", func(t *testing.T) {
		wantError(t, Options{}, unix.EROFS, "net.ipv6.conf.default.accept_ra=0", "net.ipv6.conf.all.forwarding=1", "it must be 0 and is 1")
	})
	// A router believes no advertisement and no redirect, but for this value.
	sets(map[string]string{"forwarding": "1"})
	readOnly("of a router", func(t *testing.T) {
		err := open(t, Options{}).RouteIPv4(netip.MustParsePrefix("192.168.255.0/24"))
		if !errors.Is(err, unix.EROFS) || !strings.Contains(err.Error(), "net.ipv4.ip_forward=1") {
			t.Errorf("%v", err)
		}
	})
	sets(map[string]string{"accept_ra": "2"})
	readOnly("of a router that believes others", func(t *testing.T) {
		wantError(t, Options{}, unix.EROFS, "it must be 0 and is 2")
	})
	sets(map[string]string{"forwarding": "0"})
	for _, sc := range sysctls {
		if err := setSysctl(conf+sc.key, sc.value); err != nil {
			t.Fatal(err)
		}
	}
	readOnly("as it should be", func(t *testing.T) { open(t, Options{}) })
	if err := setSysctl(conf+"disable_ipv6", "1"); err != nil {
		t.Fatal(err)
	}
	readOnly("no IPv6", func(t *testing.T) {
		wantError(t, Options{}, ErrNoIPv6, "disable_ipv6", "it must be 0 and is 1")
	})
	tun := open(t, Options{}) // where it can be written, our interface gets its IPv6
	mustSync(t, tun, Config{Addrs: []Address{{Prefix: local}}})
}
