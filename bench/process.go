//go:build bench

package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// namespace is a network namespace with nothing but a loopback interface, and
// a folder for what its programs leave behind.
type namespace struct {
	name, dir string
	env       []string // of its programs, beside our own
}

func newNamespace(name, dir string) (*namespace, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	n := &namespace{name: fmt.Sprintf("%s-%d", name, os.Getpid()), dir: dir}
	if err := ip("netns", "add", n.name); err != nil {
		return nil, err
	}
	if err := ip("-n", n.name, "link", "set", "lo", "up"); err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

func (n *namespace) close() {
	if err := ip("netns", "del", n.name); err != nil {
		progress("%v", err)
	}
}

// at is the namespace for programs at a place of an air.
func (n *namespace) at(place int) *namespace {
	there := *n
	there.env = append(slices.Clip(n.env), environment(place))
	return &there
}

// command is a program in the namespace. `ip netns exec` becomes the program:
// the process is the same.
func (n *namespace) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command("ip", append([]string{"netns", "exec", n.name, name}, args...)...)
	cmd.Dir = n.dir
	cmd.Env = append(os.Environ(), n.env...)
	return cmd
}

// inside runs f in the namespace.
func (n *namespace) inside(f func() error) error {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer home.Close()
	there, err := os.Open("/run/netns/" + n.name)
	if err != nil {
		return err
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("setns: %w", err)
	}
	err = f()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, back) // the thread stays locked, and ends with its goroutine
	}
	runtime.UnlockOSThread()
	return err
}

// listenUDP opens a socket in the namespace.
func (n *namespace) listenUDP(port uint16) (c *net.UDPConn, err error) {
	err = n.inside(func() (err error) {
		c, err = net.ListenUDP("udp6", &net.UDPAddr{Port: int(port)})
		return err
	})
	return c, err
}

// sourceTo is the host's address for packets to a node.
func (n *namespace) sourceTo(a netip.Addr) (netip.Addr, error) {
	out, err := exec.Command("ip", "-n", n.name, "-6", "-o", "route", "get", a.String()).CombinedOutput()
	if err != nil {
		return netip.Addr{}, fmt.Errorf("ip route get %v: %w: %s", a, err, out)
	}
	_, rest, found := strings.Cut(string(out), " src ")
	if !found {
		return netip.Addr{}, fmt.Errorf("no source in %q", out)
	}
	return netip.ParseAddr(strings.Fields(rest)[0])
}

// cpuTime is what a process has used, all its threads, not its children.
func cpuTime(pid int) (time.Duration, error) {
	// The clock of another process: its inverted pid over the kind of clock,
	// 2 being what the scheduler counts.
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|2, &ts); err != nil {
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// resident is a process's resident memory in bytes, and how much of it is not
// the program's file, which other processes may share and the kernel may drop.
func resident(pid int) (all, own int, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	field := func(name string) (bytes int) {
		_, rest, _ := strings.Cut(string(b), "\n"+name+":")
		if words := strings.Fields(rest); len(words) > 0 && err == nil {
			bytes, err = strconv.Atoi(words[0])
		} else {
			err = errors.Join(err, fmt.Errorf("no %s", name))
		}
		return bytes << 10
	}
	all = field("VmRSS")
	return all, all - field("RssFile"), err
}

// end asks a program to end, ends it when it does not, and waits for its
// children, which notice a moment later: a co-processor that is still there has
// the address of the next one.
func end(cmd *exec.Cmd) {
	if cmd == nil || cmd.Process == nil {
		return
	}
	left := children(cmd.Process.Pid)
	_ = cmd.Process.Signal(unix.SIGTERM)
	kill := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait()
	kill.Stop()
	for _, pid := range left {
		if err := eventually(5*time.Second, func() error { return ended(pid) }); err != nil {
			progress("%v", err)
		}
	}
}

// children are the processes that a process has started.
func children(pid int) (pids []int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, l := range lists {
		b, _ := os.ReadFile(l)
		for _, f := range strings.Fields(string(b)) {
			if n, err := strconv.Atoi(f); err == nil {
				pids = append(pids, n)
			}
		}
	}
	return pids
}

// ended is nil when a process is no more, or only its name is left.
func ended(pid int) error {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	if _, rest, ok := strings.Cut(string(b), ") "); ok && strings.HasPrefix(rest, "Z") {
		return nil
	}
	return fmt.Errorf("process %d is still there", pid)
}
