package netns

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// peerOf names, to the process that Between made, the namespace at the other
// end of its wire.
const peerOf = "GATEWAYD_TEST_PEER"

// A Wire is a pair of interfaces in two namespaces that are known by name: Here
// in Ours, There in Peer. Both are down.
type Wire struct {
	t                       *testing.T
	Ours, Here, Peer, There string
}

// Between runs a test once more, beside others, in a process and a namespace of
// its own, with the interface here whose other end, there, is in another
// namespace. Prepare sets both up, and may be nil. In that process, inside is
// true and peer the other's name; outside of it, the test has been run.
func Between(t *testing.T, here, there string, prepare func(*Wire), programs ...string) (peer string, inside bool) {
	t.Helper()
	if peer := Peer(); peer != "" {
		return peer, true
	}
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: only root can make the namespaces that this test runs in")
	}
	have(t, programs...)
	t.Parallel() // what takes time is in the other process
	ours := fmt.Sprintf("gw-%s-%d", t.Name(), os.Getpid())
	w := &Wire{t: t, Ours: ours, Here: here, Peer: ours + "-peer", There: there}
	for _, name := range []string{w.Ours, w.Peer} {
		if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
			t.Skipf("SKIPPED: no namespaces: %v: %s", err, out)
		}
		defer exec.Command("ip", "netns", "del", name).Run()
	}
	IP(t, "link", "add", here, "netns", w.Ours, "type", "veth", "peer", "name", there, "netns", w.Peer)
	if prepare != nil {
		prepare(w)
	}
	ends := [][2]string{{w.Peer, there}, {w.Ours, here}}
	for _, end := range ends {
		w.IP(end[0], "link", "set", "lo", "up")
		w.IP(end[0], "link", "set", end[1], "up")
	}
	for _, end := range ends {
		w.awaitUp(end[0], end[1])
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := Command(w.Ours, self, "-test.run", "^"+t.Name()+"$", "-test.v", "-test.timeout", "5m")
	cmd.Env = append(os.Environ(), peerOf+"="+w.Peer)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
	if strings.Contains(string(out), "--- SKIP") {
		t.Skip("SKIPPED inside of the namespace")
	}
	return w.Peer, false
}

// awaitUp waits for the kernel to have noticed that the wire has two ends: until
// then there are no routes.
func (w *Wire) awaitUp(ns, name string) {
	w.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if strings.Contains(IP(w.t, "-n", ns, "link", "show", "dev", name), " state UP ") {
			return
		} else if time.Now().After(end) {
			w.t.Fatalf("%s does not come up", name)
		}
	}
}

// IP runs iproute2 in a namespace.
func (w *Wire) IP(ns string, args ...string) {
	w.t.Helper()
	IP(w.t, append([]string{"-n", ns}, args...)...)
}

// Set changes a setting below /proc/sys/net in a namespace. It skips the test if
// the kernel does not have it.
func (w *Wire) Set(ns, key, value string) {
	w.t.Helper()
	file := "/proc/sys/net/" + key
	if out, err := Command(ns, "sh", "-c", "echo "+value+" > "+file).CombinedOutput(); err != nil {
		w.t.Skipf("SKIPPED: %s: %v: %s", file, err, out)
	}
}

// Command is a program to run in a namespace that has a name.
func Command(ns, name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", ns, name}, args...)...)
}

// Peer is the namespace at the other end, for who is inside.
func Peer() string { return os.Getenv(peerOf) }
