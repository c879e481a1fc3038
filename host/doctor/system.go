package doctor

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"gatewayd/host"
	"gatewayd/host/firewall"
)

// A system is what the checks see of the host besides netlink and /proc/sys.
// Tests put faults into it that cannot be made in a namespace.
type system struct {
	readFile     func(name string) ([]byte, error)
	openTUN      func() error
	capabilities func() (uint64, error)
	processes    func() []process
	initNetwork  func() bool // this is the network that the container, or host, began with
	clock        func() (now time.Time, synced bool)
	nftables     func() error
	statfs       func(dir string) (unix.Statfs_t, error)
	writable     func(dir string) error
	index        func(iface string) int
}

type process struct {
	pid  int
	name string
}

func realSystem() *system {
	return &system{
		readFile:     os.ReadFile,
		openTUN:      openTUN,
		capabilities: host.Capabilities,
		processes:    processes,
		initNetwork: func() bool {
			_, err := os.Readlink("/proc/1/ns/net")
			return err == nil && sameNetwork(1)
		},
		clock:    clock,
		nftables: tryTable,
		statfs:   statfs,
		writable: writable,
		index: func(iface string) int {
			ifi, err := net.InterfaceByName(iface)
			if err != nil {
				return 0
			}
			return ifi.Index
		},
	}
}

func openTUN() error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

func processes() (list []process) {
	dirs, _ := filepath.Glob("/proc/[0-9]*") // a pattern for the files would list each folder
	for _, dir := range dirs {
		b, err := os.ReadFile(filepath.Join(dir, "comm"))
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if err == nil && sameNetwork(pid) {
			list = append(list, process{pid, strings.TrimSpace(string(b))})
		}
	}
	return list
}

// sameNetwork reports whether a process has this network namespace: what runs
// in containers of their own does not matter.
func sameNetwork(pid int) bool {
	ours, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		return true
	}
	its, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/ns/net")
	if errors.Is(err, fs.ErrNotExist) {
		return false // it has ended
	}
	return err != nil || its == ours
}

func clock() (time.Time, bool) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return time.Now(), err != nil || state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
}

// inNamespace runs f on a thread that has a network namespace of its own,
// which ends with it.
func inNamespace(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // not unlocked below: the thread ends with the goroutine
		if unix.Gettid() == os.Getpid() {
			// The main thread does not, and its namespace is taken for the process's:
			// while this goroutine has it, another one gets another.
			done <- inNamespace(f)
			runtime.UnlockOSThread()
			return
		}
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- errNoNamespace
			return
		}
		done <- f()
	}()
	return <-done
}

var errNoNamespace = errors.New("doctor: no network namespace can be made")

// tryTable tries the firewall's table where it does no harm.
func tryTable() error {
	err := inNamespace(firewall.Probe)
	if errors.Is(err, errNoNamespace) {
		return nil
	}
	return err
}

func statfs(dir string) (s unix.Statfs_t, err error) {
	err = unix.Statfs(dir, &s)
	return s, err
}

// writable asks for the right to make files, and makes none.
func writable(dir string) error {
	return unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
}
