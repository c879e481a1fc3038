package firewall

import (
	"errors"
	"runtime"
	"testing"

	"gatewayd/internal/netns"

	"golang.org/x/sys/unix"
)

// As root, the tests run where the machine's firewall is out of reach.
func TestMain(m *testing.M) { netns.Main(m, nil) }

func needNamespace(t *testing.T) {
	t.Helper()
	netns.Need(t)
	if err := Probe(); errors.Is(err, ErrUnsupported) {
		t.Skipf("SKIPPED: %v", err)
	}
}

// A namespace is another machine: a thread that waits for things to do there.
type namespace struct {
	do  chan func()
	tid int
}

func newNamespace(t *testing.T) *namespace {
	t.Helper()
	n := &namespace{do: make(chan func())}
	made := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the namespace ends with the thread
		n.tid = unix.Gettid()
		made <- unix.Unshare(unix.CLONE_NEWNET)
		for f := range n.do {
			f()
		}
	}()
	if err := <-made; err != nil {
		t.Skipf("SKIPPED: no network namespace: %v", err)
	}
	t.Cleanup(func() { close(n.do) })
	return n
}

func (n *namespace) run(f func()) {
	done := make(chan struct{})
	n.do <- func() { defer close(done); f() }
	<-done
}

// ip runs iproute2 there.
func (n *namespace) ip(t *testing.T, args ...string) {
	t.Helper()
	n.run(func() { netns.IP(t, args...) })
}
