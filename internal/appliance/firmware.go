package appliance

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// How firmware is told to start the other slot once. A Raspberry Pi's keeps it
// where a reset leaves it, and power that goes does not: the kernel passes on
// the argument of the reboot (Raspberry Pi documentation, "The tryboot flag").
// Other firmware finds a file on the boot partition, and is to remove it before
// it starts anything.
const (
	tryArgument = "0 tryboot"
	tryFile     = "tryboot"

	// ArgumentFile has what the script that ends the system passes to Reboot.
	ArgumentFile = "/run/gatewayd/reboot-argument"
)

// TryNext has the firmware start the other slot at the next restart, and only
// then.
func (c *Card) TryNext() error {
	if _, err := os.Stat(bootedFile); err != nil {
		return c.create(tryFile, "")
	}
	if err := os.WriteFile(ArgumentFile, []byte(tryArgument), 0o600); err != nil {
		return fmt.Errorf("appliance: %w", err)
	}
	return nil
}

// orderly is how long a restart may take before it is forced.
const orderly = time.Minute

// Restart ends everything in order and starts anew. It returns only if that
// fails.
func Restart() error {
	err := exec.Command("reboot").Run()
	if err == nil {
		time.Sleep(orderly)
		err = errors.New("nothing has happened")
	}
	b, _ := os.ReadFile(ArgumentFile) // there is none: none is meant
	return fmt.Errorf("appliance: restarting: %w", errors.Join(err, Reboot(string(b))))
}

// Reboot restarts at once, as reboot(2) does, with an argument for the
// firmware.
func Reboot(argument string) error {
	unix.Sync()
	arg, err := unix.BytePtrFromString(argument)
	if err == nil {
		_, _, errno := unix.Syscall6(unix.SYS_REBOOT, unix.LINUX_REBOOT_MAGIC1, unix.LINUX_REBOOT_MAGIC2,
			unix.LINUX_REBOOT_CMD_RESTART2, uintptr(unsafe.Pointer(arg)), 0, 0)
		err = errno
	}
	return fmt.Errorf("appliance: reboot: %w", err)
}
