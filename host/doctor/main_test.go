package doctor

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"gatewayd/internal/netns"

	"golang.org/x/sys/unix"
)

// As root, the tests run in a namespace and with mounts of their own, into which
// they put faults.
func TestMain(m *testing.M) { netns.Main(m, ownMounts) }

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
	netns.Need(t, "nft")
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
