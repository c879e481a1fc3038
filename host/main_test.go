package host

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const inNamespace = "HOST_TEST_NETNS"

// As root, the tests run in a second process, in a network namespace of its
// own: the machine's interfaces are out of reach.
func TestMain(m *testing.M) {
	if os.Getuid() != 0 || os.Getenv(inNamespace) != "" {
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	err := cmd.Start()
	if err != nil { // may not make namespaces: the tests that need one skip
		fmt.Fprintln(os.Stderr, "host: no network namespace:", err)
		os.Exit(m.Run())
	}
	if err := cmd.Wait(); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() > 0 {
			os.Exit(exit.ExitCode())
		}
		fmt.Fprintln(os.Stderr, "host:", err)
		os.Exit(1)
	}
}

// needNamespace skips a test that would touch the machine's own interfaces.
func needNamespace(t *testing.T) {
	t.Helper()
	if os.Getenv(inNamespace) == "" {
		t.Skip("SKIPPED: only root can make the network namespace that this test runs in")
	}
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

// ip runs iproute2, which sees the kernel with other eyes than ours.
func ip(t *testing.T, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("SKIPPED: no ip (iproute2)")
	}
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// addresses lists the interface's addresses, one to a line.
func addresses(t *testing.T, name string) string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(ip(t, "-6", "-o", "addr", "show", "dev", name)) {
		f := strings.Fields(strings.ReplaceAll(line, `\`, " ")) // 2: wpan0 inet6 ADDR scope S flags valid_lft ...
		lines = append(lines, strings.Join(f[3:], " "))
	}
	return strings.Join(lines, "\n")
}

// routes lists the routes through the interface.
func routes(t *testing.T, name string) string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(ip(t, "-6", "route", "show", "dev", name)) {
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
