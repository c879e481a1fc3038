// Package netns runs tests in network namespaces of their own, so that the
// machine's interfaces, routes and packet filter are out of their reach: all
// tests of a package by Main, or one test at one end of a wire by Between. Who
// may not make namespaces, or lacks a program, skips.
package netns

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// inside marks the process in the namespace that Main made.
const inside = "GATEWAYD_TEST_NAMESPACE"

// Main is TestMain of a package whose tests, as root, run in a second process
// with a network namespace of its own. With prepare it has mounts of its own
// too, and prepare is called in it first; if that fails, Need skips.
func Main(m *testing.M, prepare func() error) {
	if os.Getuid() != 0 {
		os.Exit(m.Run())
	}
	if os.Getenv(inside) != "" {
		if prepare != nil {
			if err := prepare(); err != nil {
				fmt.Fprintln(os.Stderr, "the tests' namespace cannot be prepared:", err)
				os.Unsetenv(inside)
			}
		}
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if prepare != nil {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWNS
	}
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "no namespace for the tests:", err)
		os.Exit(m.Run())
	}
	if err := cmd.Wait(); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() > 0 {
			os.Exit(exit.ExitCode())
		}
		fmt.Fprintln(os.Stderr, "the tests in a namespace:", err)
		os.Exit(1)
	}
}

// Need skips a test that Main has no namespace for, or that lacks one of the
// programs. It needs ip (iproute2) in any case.
func Need(t *testing.T, programs ...string) {
	t.Helper()
	if os.Getenv(inside) == "" {
		t.Skip("SKIPPED: only root can make the namespace that this test runs in")
	}
	have(t, programs...)
}

func have(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range append(programs, "ip") {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("SKIPPED: no %s", p)
		}
	}
}

// IP runs iproute2 here, which sees the kernel with other eyes than ours.
func IP(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Setting is one of the kernel's below /proc/sys/net.
func Setting(t *testing.T, key string) string {
	t.Helper()
	b, err := os.ReadFile("/proc/sys/net/" + key)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// Set changes a setting here.
func Set(t *testing.T, key, value string) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/net/"+key, []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}
