//go:build interop

package interop

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// A watcher is the LAN's host that pings a device without pause.
type watcher struct {
	t    *testing.T
	lan  *lan
	c    *otCLI // the device; nobody else may ask it meanwhile
	addr string
	stop chan struct{}
	done chan struct{}

	mu      sync.Mutex
	last    time.Time // answer
	longest time.Duration
	told    time.Time // the last answer before the silence that tell told of
}

// routable is a device's address of the mesh's routable prefix.
func routable(c *otCLI) string {
	out, _ := c.try("ipaddr -v", 5*time.Second)
	for _, a := range out {
		if strings.Contains(a, "origin:slaac") && strings.Contains(a, "preferred:1") {
			addr, _, _ := strings.Cut(a, " ")
			return addr
		}
	}
	return ""
}

// watch pings until the test ends.
func (l *lan) watch(c *otCLI, addr string) *watcher {
	w := &watcher{t: l.t, lan: l, c: c, addr: addr, stop: make(chan struct{}), done: make(chan struct{}), last: time.Now()}
	go w.run()
	l.t.Cleanup(w.end)
	return w
}

func (w *watcher) run() {
	defer close(w.done)
	for {
		wait := time.Duration(0)
		if w.lan.host.command("ping", "-6", "-n", "-c", "1", "-W", "1", w.addr).Run() == nil {
			w.mu.Lock()
			w.longest = max(w.longest, time.Since(w.last))
			w.last = time.Now()
			w.mu.Unlock()
			wait = 200 * time.Millisecond
		} else if now := routable(w.c); now != "" && now != w.addr {
			// Whoever finds devices by name learns of a new address.
			w.t.Logf("the device is at %s now, was at %s", now, w.addr)
			w.addr = now
		} else {
			w.tell()
		}
		select {
		case <-w.stop:
			return
		case <-time.After(wait):
		}
	}
}

// tell logs what the device knows, once in a silence that is too long.
func (w *watcher) tell() {
	if time.Since(w.last) < tolerated || w.told.Equal(w.last) {
		return
	}
	w.told = w.last
	for _, q := range []string{"state", "ipaddr -v", "neighbor table", "router table", "netdata show", "eidcache", "counters mac"} {
		out, err := w.c.try(q, 5*time.Second)
		w.t.Logf("not reached for %v; %s: %v\n%s", time.Since(w.last).Round(time.Second), q, err, strings.Join(out, "\n"))
	}
}

// tolerated is how long a LAN may be without the mesh when a gateway goes.
const tolerated = 10 * time.Second

// reached does what disturbs the way to the device and looks for half a minute
// how long the host does not reach it.
func (w *watcher) reached(what string, do func()) {
	w.t.Helper()
	w.mu.Lock()
	w.longest = 0
	w.mu.Unlock()
	do()
	time.Sleep(30 * time.Second)
	w.mu.Lock()
	silence := max(w.longest, time.Since(w.last))
	w.mu.Unlock()
	w.t.Logf("%s: the longest silence was %v", what, silence.Round(100*time.Millisecond))
	if silence > tolerated {
		routes, _ := w.lan.host.command("ip", "-6", "route").CombinedOutput()
		w.t.Errorf("%s: the LAN's host did not reach the device for %v; its routes:\n%s", what, silence, routes)
	}
}

func (w *watcher) end() {
	select {
	case <-w.stop:
	default:
		close(w.stop)
	}
	<-w.done
}
