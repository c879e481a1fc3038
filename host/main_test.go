package host

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"gatewayd/internal/netns"

	"golang.org/x/sys/unix"
)

// As root, the tests run where the machine's interfaces are out of reach.
func TestMain(m *testing.M) { netns.Main(m, nil) }

// needNamespace skips a test that would touch the machine's own interfaces.
func needNamespace(t *testing.T) {
	t.Helper()
	netns.Need(t)
	if _, err := os.Stat(tunDevice); err != nil {
		t.Skipf("SKIPPED: no TUN devices here: %v", err)
	}
}

// ownMounts gives the test's thread mounts of its own, for good.
func ownMounts(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	err := unix.Unshare(unix.CLONE_NEWNS)
	if err == nil {
		err = unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	}
	if err != nil {
		t.Skipf("SKIPPED: no mounts of its own: %v", err)
	}
}

func open(t *testing.T, o Options) *TUN {
	t.Helper()
	tun, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tun.Close() })
	return tun
}

func mustSync(t *testing.T, tun *TUN, c Config) {
	t.Helper()
	if err := tun.Sync(c); err != nil {
		t.Fatal(err)
	}
}

// addresses lists the interface's addresses, one to a line.
func addresses(t *testing.T, name string) string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(netns.IP(t, "-6", "-o", "addr", "show", "dev", name)) {
		f := strings.Fields(strings.ReplaceAll(line, `\`, " ")) // 2: wpan0 inet6 ADDR scope S flags valid_lft ...
		lines = append(lines, strings.Join(f[3:], " "))
	}
	return strings.Join(lines, "\n")
}

// routes lists the routes through the interface.
func routes(t *testing.T, name string) string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(netns.IP(t, "-6", "route", "show", "dev", name)) {
		line, _, _ = strings.Cut(line, " pref ")
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "\n")
}

// packets reads from the interface until it is closed.
func packets(tun *TUN) <-chan []byte {
	c := make(chan []byte, 64)
	go func() {
		defer close(c)
		for {
			p := make([]byte, 2048)
			n, err := tun.Read(p)
			if err != nil {
				return
			}
			c <- p[:n]
		}
	}()
	return c
}

// eventually waits for what the kernel does in its own time.
func eventually(cond func() bool) bool {
	for range 200 {
		if cond() {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}
