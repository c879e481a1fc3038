package sysctl

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"gatewayd/internal/netns"

	"golang.org/x/sys/unix"
)

// As root, the tests run in a namespace, which has its own settings.
func TestMain(m *testing.M) { netns.Main(m, nil) }

// links makes pairs of interfaces in the namespace.
func links(t *testing.T, pairs ...string) {
	t.Helper()
	netns.Need(t)
	for i := 0; i < len(pairs); i += 2 {
		if out, err := exec.Command("ip", "link", "add", pairs[i], "type", "veth", "peer", "name", pairs[i+1]).CombinedOutput(); err != nil {
			t.Skipf("SKIPPED: ip: %v: %s", err, out)
		}
		t.Cleanup(func() { exec.Command("ip", "link", "del", pairs[i]).Run() })
	}
}

func opened(t *testing.T, dir string) *Keeper {
	t.Helper()
	k, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, values map[string]string) {
	t.Helper()
	for key, value := range values {
		if got, err := Get(key); err != nil || got != value {
			t.Errorf("%s is %q, %v; want %q", key, got, err, value)
		}
	}
}

func TestRestore(t *testing.T) {
	links(t, "a0", "a1")
	dir := t.TempDir()
	k := opened(t, dir)
	key := Conf("a0", "accept_ra")
	must(t, k.Set(key, "1")) // as it is
	if k.Changed(key) {
		t.Error("a setting that was right counts as changed")
	}
	must(t, k.Set(key, "2"))
	must(t, k.Set(key, "0"))
	must(t, k.Set(Conf("a0", "hop_limit"), "99"))
	want(t, map[string]string{key: "0", Conf("a0", "hop_limit"): "99"})

	put(Conf("a0", "hop_limit"), "77") // somebody else means it
	must(t, k.Close())
	want(t, map[string]string{key: "1", Conf("a0", "hop_limit"): "77"})
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

// A successor knows what was before its predecessor.
func TestSuccessor(t *testing.T) {
	links(t, "b0", "b1")
	dir := t.TempDir()
	k := opened(t, dir)
	for _, setting := range []string{"accept_ra", "hop_limit", "mtu"} {
		must(t, k.Set(Conf("b0", setting), map[string]string{"accept_ra": "2", "hop_limit": "99", "mtu": "1400"}[setting]))
	}
	// It is killed here.
	k = opened(t, dir)
	must(t, k.Set(Conf("b0", "accept_ra"), "2"))
	must(t, k.Set(Conf("b0", "mtu"), "1300"))
	must(t, k.Prune())
	want(t, map[string]string{Conf("b0", "accept_ra"): "2", Conf("b0", "hop_limit"): "64", Conf("b0", "mtu"): "1300"})
	k = opened(t, dir) // killed again
	must(t, k.Close())
	want(t, map[string]string{Conf("b0", "accept_ra"): "1", Conf("b0", "hop_limit"): "64", Conf("b0", "mtu"): "1500"})
}

func TestJournalOfAnotherBoot(t *testing.T) {
	links(t, "c0", "c1")
	dir := t.TempDir()
	file := filepath.Join(dir, journalFile)
	key := Conf("c0", "hop_limit")
	must(t, os.WriteFile(file, fmt.Appendf(nil, `{"world":"another","saved":{%q:{"was":"1","set":"64"}}}`, key), 0o600))
	must(t, opened(t, dir).Close())
	want(t, map[string]string{key: "64"})

	must(t, os.WriteFile(file, []byte(`{"world`), 0o600))
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged journal: %v", err)
	}
}

func TestInterfaces(t *testing.T) {
	links(t, "d0", "d1")
	k := opened(t, t.TempDir())
	must(t, k.Set(Conf("d0", "hop_limit"), "99"))
	netns.IP(t, "link", "set", "d0", "name", "e0")
	must(t, k.Rename("d0", "e0"))
	must(t, k.Release("d0")) // no longer its name
	want(t, map[string]string{Conf("e0", "hop_limit"): "99"})
	must(t, k.Release("e0"))
	want(t, map[string]string{Conf("e0", "hop_limit"): "64"})
	must(t, k.Set(Conf("e0", "hop_limit"), "99"))
	netns.IP(t, "link", "set", "e0", "name", "d0")
	must(t, k.Forget("e0"))
	must(t, k.Close())
	want(t, map[string]string{Conf("d0", "hop_limit"): "99"})

	must(t, k.Set(Conf("d0", "hop_limit"), "98"))
	netns.IP(t, "link", "del", "d0")
	must(t, k.Close()) // went with its interface
	if err := k.Set(Conf("d0", "hop_limit"), "98"); !errors.Is(err, ErrMissing) {
		t.Errorf("a setting of an interface that is gone: %v", err)
	}
}

// The interface named becomes a router; the others stay hosts, and keep the
// default routes that routers gave them.
func TestForward(t *testing.T) {
	links(t, "f0", "f1", "g0", "g1", "h0", "h1")
	netns.IP(t, "link", "set", "g0", "up")
	netns.IP(t, "link", "set", "g1", "up")
	must(t, put(Conf("h0", "forwarding"), "1"))
	must(t, put(Conf("g0", "accept_ra_from_local"), "1"))
	for i := 0; !strings.Contains(netns.IP(t, "-6", "route", "show", "default"), "dev g0"); i++ {
		if i > 300 {
			t.Fatal("g0 takes no router advertisements")
		}
		advertise("g1")
		time.Sleep(10 * time.Millisecond)
	}
	before := map[string]string{
		forwardAll: "0", Conf("default", "forwarding"): "0", Conf("f0", "forwarding"): "0", Conf("g0", "forwarding"): "0",
		Conf("h0", "forwarding"): "1", Conf("f0", "accept_ra"): "1", Conf("g0", "accept_ra"): "1",
	}
	want(t, before)
	dir := t.TempDir()
	k := opened(t, dir)
	must(t, k.Forward("f0"))
	during := map[string]string{
		forwardAll: "1", Conf("default", "forwarding"): "0", Conf("f0", "forwarding"): "1", Conf("g0", "forwarding"): "0",
		Conf("h0", "forwarding"): "1", Conf("f0", "accept_ra"): "1", Conf("g0", "accept_ra"): "1",
	}
	want(t, during)
	if s := netns.IP(t, "-6", "route", "show", "default"); !strings.Contains(s, "dev g0") {
		t.Errorf("the default route through g0 is gone: %q", s)
	}
	k = opened(t, dir) // killed
	must(t, k.Forward("f0"))
	must(t, k.Prune())
	want(t, during)
	must(t, k.Forward("g0"))
	want(t, map[string]string{Conf("f0", "forwarding"): "1", Conf("g0", "forwarding"): "1"})
	must(t, k.Close())
	want(t, before)

	// A host that forwards already.
	must(t, put(forwardAll, "1"))
	k = opened(t, dir)
	must(t, k.Forward("f0"))
	if k.Changed(forwardAll) {
		t.Error("forwarding was on, and counts as changed")
	}
	must(t, k.Close())
	want(t, map[string]string{forwardAll: "1", Conf("f0", "forwarding"): "1"})
	must(t, put(forwardAll, "0"))
}

// advertise sends a router advertisement from an interface, if that has an
// address to do it from.
func advertise(iface string) {
	conn, err := net.ListenPacket("ip6:ipv6-icmp", "::")
	if err != nil {
		return
	}
	defer conn.Close()
	raw, err := conn.(*net.IPConn).SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255) })
	ra := []byte{134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0} // lifetime 1800 s
	conn.WriteTo(ra, &net.IPAddr{IP: net.ParseIP("ff02::1"), Zone: iface})
}

// Where nothing can be written, what is right already is enough.
func TestReadOnly(t *testing.T) {
	links(t, "r0", "r1")
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with its mounts
		if err := errors.Join(unix.Unshare(unix.CLONE_NEWNS), unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
			unix.Mount("/proc/sys", "/proc/sys", "", unix.MS_BIND, ""),
			unix.Mount("none", "/proc/sys", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")); err != nil {
			t.Logf("SKIPPED: no mounts of its own: %v", err)
			return
		}
		dir := t.TempDir()
		k := opened(t, dir)
		if err := k.Set(Conf("r0", "accept_ra"), "1"); err != nil {
			t.Error(err)
		}
		if err := k.Set(Conf("r0", "accept_ra"), "2"); !errors.Is(err, ErrReadOnly) || !strings.Contains(err.Error(), "net.ipv6.conf.r0.accept_ra=2") {
			t.Errorf("a setting that cannot be written: %v", err)
		}
		if left, _ := os.ReadDir(dir); len(left) != 0 || k.Changed(Conf("r0", "accept_ra")) {
			t.Errorf("what failed is remembered as done: %v", left)
		}
	}()
	<-done
}
