package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// insideEnv tells a process that it is the demonstration in its namespace.
const insideEnv = "GATEWAYD_DEMO_NAMESPACE"

// self is how to start this program again.
var self = func() []string { return os.Args }

// isolated runs the same program again in new user and network namespaces and
// waits for it. started is false if the kernel does not allow that; err says
// why, or how the program ended.
func isolated(ctx context.Context, out io.Writer) (started bool, err error) {
	args := self()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args[1:]...)
	cmd.Args[0] = args[0]
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, out, os.Stderr
	// Interrupted, it ends by itself and says goodbye.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGTERM,
	}
	if err := cmd.Start(); err != nil {
		return false, fmt.Errorf("the kernel gives no namespace of its own: %w", err)
	}
	err = cmd.Wait()
	if cmd.ProcessState.Success() {
		return true, nil // also when it was interrupted while it stayed up
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return true, errFailedInside
	}
	return true, err
}

// errFailedInside is what is left of an error whose text is printed already.
var errFailedInside = errors.New("demo: see above")

// prepareHost makes the namespace fit for a gateway, and says what is missing.
func prepareHost() error {
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		return fmt.Errorf("the namespace's network cannot be changed: %w", err)
	}
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("no TUN device: %w", err)
	}
	return f.Close()
}
