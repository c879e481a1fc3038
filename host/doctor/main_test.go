package doctor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const testNamespace = "DOCTOR_TEST_NETNS"

// As root, the tests run in a second process with a network namespace and
// mounts of its own, into which they put faults.
func TestMain(m *testing.M) {
	if os.Getuid() != 0 {
		os.Exit(m.Run())
	}
	if os.Getenv(testNamespace) != "" {
		if err := ownMounts(); err != nil {
			fmt.Fprintln(os.Stderr, "doctor: no mounts of its own:", err)
			os.Unsetenv(testNamespace)
		}
		os.Exit(m.Run())
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), testNamespace+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	err := cmd.Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, "doctor: no namespaces:", err)
		os.Exit(m.Run())
	}
	if err := cmd.Wait(); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() > 0 {
			os.Exit(exit.ExitCode())
		}
		fmt.Fprintln(os.Stderr, "doctor:", err)
		os.Exit(1)
	}
}

// ownMounts keeps mounts from getting out, and shows the namespace's own
// interfaces in /sys and nobody's state in /run.
func ownMounts() error {
	return errors.Join(
		unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("sysfs", "/sys", "sysfs", 0, ""),
		unix.Mount("tmpfs", "/run", "tmpfs", 0, ""))
}

func needNamespace(t *testing.T) {
	t.Helper()
	if os.Getenv(testNamespace) == "" {
		t.Skip("SKIPPED: only root can make the namespaces that this test runs in")
	}
	for _, program := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("SKIPPED: no %s", program)
		}
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skipf("SKIPPED: no TUN devices here: %v", err)
	}
}

// do runs commands, one a line.
func do(t *testing.T, script string) {
	t.Helper()
	cmd := exec.Command("sh", "-e")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", script, err, out)
	}
}

// output is what a command prints.
func output(t *testing.T, command string) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", command).Output()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return string(out)
}

func mount(t *testing.T, source, target, kind string, flags uintptr) {
	t.Helper()
	if err := unix.Mount(source, target, kind, flags, ""); err != nil {
		t.Fatalf("mounting %s: %v", target, err)
	}
	t.Cleanup(func() { unix.Unmount(target, unix.MNT_DETACH) })
}

func file(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(name, "/run/") {
		t.Cleanup(func() { os.Remove(name) })
	}
}
