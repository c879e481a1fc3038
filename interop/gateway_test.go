//go:build interop

package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// buildGateway builds the program under test, once, unless GATEWAYD names it.
var buildGateway = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("GATEWAYD"); path != "" {
		return path, nil
	}
	dir, err := os.MkdirTemp("", "gatewayd-interop")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "gatewayd")
	cmd := exec.Command("go", "build", "-o", path, "gatewayd/cmd/gatewayd")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return path, nil
})

// gateway is a running gatewayd in a namespace.
type gateway struct {
	t      *testing.T
	ns     *rcpNetns
	bin    string
	radio  string
	args   []string // more of them
	dir    string
	socket string
	cmd    *exec.Cmd
	log    syncBuffer
}

// startGateway runs gatewayd on a radio until the test ends.
func startGateway(t *testing.T, ns *rcpNetns, radio string, args ...string) *gateway {
	t.Helper()
	bin, err := buildGateway()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	g := &gateway{t: t, ns: ns, bin: bin, radio: radio, args: args, dir: dir, socket: filepath.Join(dir, "sock")}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("gatewayd:\n%s", g.log.String())
		}
	})
	g.run()
	return g
}

// run starts the program on its data directory and waits for its socket.
func (g *gateway) run() {
	g.t.Helper()
	g.cmd = g.ns.command(g.bin, append([]string{"run", "--radio", g.radio, "--tun", "wpan0", "--data-dir", filepath.Join(g.dir, "data"),
		"--socket", g.socket, "--log-level", "debug"}, g.args...)...)
	g.cmd.Stdout, g.cmd.Stderr = &g.log, &g.log
	g.ns.start(g.cmd)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if out, err := g.ns.command(g.bin, "--socket", g.socket, "status").CombinedOutput(); err == nil {
			return
		} else if time.Now().After(end) {
			g.t.Fatalf("gatewayd does not answer: %s\n%s", out, g.log.String())
		}
	}
}

// ctl runs a command against the daemon.
func (g *gateway) ctl(args ...string) string {
	g.t.Helper()
	out, err := g.ns.command(g.bin, append([]string{"--socket", g.socket}, args...)...).CombinedOutput()
	if err != nil {
		g.t.Fatalf("gatewayd %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// status is the daemon's, decoded.
func (g *gateway) status() map[string]any {
	g.t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(g.ctl("status", "--json")), &v); err != nil {
		g.t.Fatal(err)
	}
	return v
}

func (g *gateway) waitRole(limit time.Duration, roles ...string) {
	g.t.Helper()
	var got any
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		got = g.status()["role"]
		for _, r := range roles {
			if got == r {
				return
			}
		}
	}
	g.t.Fatalf("gateway is still %v after %v, want %v", got, limit, roles)
}

// form makes a network and waits until the gateway leads it.
func (g *gateway) form() {
	g.t.Helper()
	g.ctl("dataset", "new", "--channel", "15", "--name", "gw-interop")
	g.waitRole(20*time.Second, "leader")
}

// hostPing lets the host's own IPv6 stack ping an address; size is that of the
// echo data.
func (g *gateway) hostPing(addr string, size, count int) error {
	out, err := g.ns.command("ping", "-6", "-n", "-c", strconv.Itoa(count), "-i", "0.3", "-W", "5", "-s", strconv.Itoa(size), addr).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ping %s with %d bytes: %w: %s", addr, size, err, bytes.TrimSpace(out))
	}
	return nil
}

// hostAddr is an address of the host on the mesh with the prefix of peer.
func (g *gateway) hostAddr(peer string) string {
	g.t.Helper()
	out, err := g.ns.command("ip", "-6", "-o", "route", "get", peer).CombinedOutput()
	if err != nil {
		g.t.Fatalf("ip route get %s: %v: %s", peer, err, out)
	}
	f := strings.Fields(string(out))
	for i := range f {
		if f[i] == "src" && i+1 < len(f) {
			return f[i+1]
		}
	}
	g.t.Fatalf("no source in %q", out)
	return ""
}

// try runs a command and returns what it printed, or the error it ended with.
func (c *otCLI) try(command string, limit time.Duration) ([]string, error) {
	fmt.Fprintln(c.in, command)
	return c.read(limit, func(line string) bool { return line == "Done" })
}

// wait reads lines until one that contains any of the texts.
func (c *otCLI) wait(limit time.Duration, texts ...string) (string, error) {
	var last string
	_, err := c.read(limit, func(line string) bool {
		for _, s := range texts {
			if strings.Contains(line, s) {
				last = line
				return true
			}
		}
		return false
	})
	return last, err
}

func (c *otCLI) read(limit time.Duration, end func(string) bool) ([]string, error) {
	timeout := time.After(limit)
	var got []string
	for {
		select {
		case line, ok := <-c.lines:
			switch {
			case !ok:
				return got, fmt.Errorf("program ended after %q", got)
			case end(line):
				return got, nil
			case strings.HasPrefix(line, "Error"):
				return got, fmt.Errorf("%q %s", got, line)
			case line != "":
				got = append(got, line)
			}
		case <-timeout:
			return got, fmt.Errorf("no end after %v: %q", limit, got)
		}
	}
}
