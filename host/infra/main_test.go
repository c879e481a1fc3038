package infra

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"gatewayd/internal/netns"
	"gatewayd/ndp"
)

// As root, the tests run where they cannot disturb the machine.
func TestMain(m *testing.M) { netns.Main(m, nil) }

// wire makes a pair of interfaces that are up; the test removes it.
func wire(t *testing.T, a, b string) {
	t.Helper()
	netns.IP(t, "link", "add", a, "type", "veth", "peer", "name", b)
	t.Cleanup(func() { exec.Command("ip", "link", "del", b).Run() })
	for _, name := range []string{a, b} { // no waiting for duplicates
		netns.Set(t, "ipv6/conf/"+name+"/accept_dad", "0")
	}
	netns.IP(t, "link", "set", a, "up")
	netns.IP(t, "link", "set", b, "up")
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
