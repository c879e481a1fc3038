package infra

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gatewayd/ndp"
)

const inNamespace = "INFRA_TEST_NETNS"

// As root, the tests run in a second process, in a network namespace and
// mounts of its own.
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
		fmt.Fprintln(os.Stderr, "infra: no network namespace:", err)
		os.Exit(m.Run())
	}
	if err := cmd.Wait(); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() > 0 {
			os.Exit(exit.ExitCode())
		}
		fmt.Fprintln(os.Stderr, "infra:", err)
		os.Exit(1)
	}
}

func needNamespace(t *testing.T) {
	t.Helper()
	if os.Getenv(inNamespace) == "" {
		t.Skip("SKIPPED: only root can make the network namespace that this test runs in")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("SKIPPED: no ip (iproute2)")
	}
}

func ip(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// wire makes a pair of interfaces that are up; the test removes it.
func wire(t *testing.T, a, b string) {
	t.Helper()
	ip(t, "link", "add", a, "type", "veth", "peer", "name", b)
	t.Cleanup(func() { exec.Command("ip", "link", "del", b).Run() })
	for _, name := range []string{a, b} { // no waiting for duplicates
		write(t, "ipv6/conf/"+name+"/accept_dad", "0")
	}
	ip(t, "link", "set", a, "up")
	ip(t, "link", "set", b, "up")
}

func write(t *testing.T, key, value string) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/net/"+key, []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, key string) string {
	t.Helper()
	b, err := os.ReadFile("/proc/sys/net/" + key)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// A running Follower, and what it told.
type running struct {
	*Follower
	stop func()

	mu    sync.Mutex
	links []Link
	got   []received
}

func run(t *testing.T, o Options) *running {
	t.Helper()
	r := &running{}
	o.Changed = func(l []Link) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.links = l
	}
	o.Receive = func(link string, in ndp.In) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got = append(r.got, received{link, in})
	}
	f, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r.Follower = f
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// await waits until a link is as it should be, and returns it.
func (r *running) await(t *testing.T, id, what string, ok func(Link) bool) Link {
	t.Helper()
	var last []Link
	for range 500 {
		r.mu.Lock()
		last = slices.Clone(r.links)
		r.mu.Unlock()
		for _, l := range last {
			if l.ID == id && ok(l) {
				return l
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s: not %s: %+v", id, what, last)
	return Link{}
}

// message waits for a message that was received.
func (r *running) message(t *testing.T, ok func(link string, in ndp.In) bool) ndp.In {
	t.Helper()
	for range 500 {
		r.mu.Lock()
		for _, g := range r.got {
			if ok(g.link, g.in) {
				r.mu.Unlock()
				return g.in
			}
		}
		r.mu.Unlock()
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("no such message among %+v", r.got)
	return ndp.In{}
}
