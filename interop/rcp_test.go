//go:build interop

package interop

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatewayd/radio/medium/udp"
	"gatewayd/radio/rcpd"
)

// rcpNodeEnv makes this test program a co-processor on its standard streams:
// it is the one that OpenThread's host starts.
const rcpNodeEnv = "GATEWAYD_TEST_RCP_NODE"

func init() {
	s := os.Getenv(rcpNodeEnv)
	if s == "" {
		return
	}
	if err := runRCP(s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func runRCP(node string) error {
	n, err := strconv.Atoi(node)
	if err != nil {
		return err
	}
	offset, err := udp.OffsetFromEnv()
	if err != nil {
		return err
	}
	m, err := udp.Open(udp.Config{Node: n, PortOffset: offset})
	if err != nil {
		return err
	}
	defer m.Close()
	host, err := rcpd.Stdio()
	if err != nil {
		return err
	}
	return rcpd.Serve(context.Background(), host, rcpd.Config{Medium: m})
}

// otProgram finds a program of OpenThread's: in OT_POSIX_DIR or OT_SIM_DIR,
// build trees or folders of programs, or in PATH.
func otProgram(t *testing.T, name string) string {
	t.Helper()
	for _, dir := range []string{os.Getenv("OT_POSIX_DIR"), os.Getenv("OT_SIM_DIR")} {
		if dir == "" {
			continue
		}
		for _, sub := range []string{"", "src/posix", "examples/apps/cli", "examples/apps/ncp"} {
			if p := filepath.Join(dir, sub, name); isProgram(p) {
				return p
			}
		}
	}
	p, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("no %s in OT_POSIX_DIR, OT_SIM_DIR or PATH", name)
	}
	return p
}

func isProgram(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0
}

// rcpNetns is a network namespace with nothing but a loopback interface.
type rcpNetns struct {
	t    *testing.T
	name string
	env  []string
}

func newRCPNetns(t *testing.T) *rcpNetns {
	if os.Getuid() != 0 {
		t.Skip("needs root, for a network namespace")
	}
	n := &rcpNetns{t: t, name: fmt.Sprintf("gw-rcp-%d", os.Getpid())}
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
	}
	run("netns", "add", n.name)
	t.Cleanup(func() { run("netns", "del", n.name) })
	run("-n", n.name, "link", "set", "lo", "up")
	return n
}

func (n *rcpNetns) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command("ip", append([]string{"netns", "exec", n.name, name}, args...)...)
	cmd.Env = append(os.Environ(), n.env...)
	cmd.Dir = n.t.TempDir()
	return cmd
}

// start runs a program until the test ends.
func (n *rcpNetns) start(cmd *exec.Cmd) {
	n.t.Helper()
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

// otCLI is one of OpenThread's command line nodes.
type otCLI struct {
	t     *testing.T
	in    io.Writer
	lines chan string
	kill  func()
}

func (n *rcpNetns) cli(program string, node int) *otCLI {
	n.t.Helper()
	return n.program(otProgram(n.t, program), strconv.Itoa(node))
}

// program starts a program with OpenThread's command line.
func (n *rcpNetns) program(path string, args ...string) *otCLI {
	n.t.Helper()
	cmd := n.command(path, args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	c := &otCLI{t: n.t, in: in, lines: make(chan string, 1000)}
	n.start(cmd)
	c.kill = func() { cmd.Process.Kill() }
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			line := strings.TrimSpace(strings.TrimPrefix(s.Text(), "> "))
			if !logLine.MatchString(line) {
				c.lines <- line
			}
		}
		close(c.lines)
	}()
	return c
}

// logLine is what OpenThread's log prints between the answers.
var logLine = regexp.MustCompile(`^\d\d:\d\d:\d\d\.\d+ \[`)

// ask runs a command and returns what it printed before "Done".
func (c *otCLI) ask(command string) []string {
	c.t.Helper()
	fmt.Fprintln(c.in, command)
	limit := time.After(20 * time.Second)
	var got []string
	for {
		select {
		case line, ok := <-c.lines:
			switch {
			case !ok || strings.HasPrefix(line, "Error"):
				c.t.Fatalf("%s: %q %s", command, got, line)
			case line == "Done":
				return got
			case line != command && line != "":
				got = append(got, line)
			}
		case <-limit:
			c.t.Fatalf("%s: no end after %q", command, got)
		}
	}
}

// waitState waits until a node is in one of the states.
func waitState(t *testing.T, ask func(string) []string, limit time.Duration, states ...string) {
	t.Helper()
	var got []string
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		got = ask("state")
		for _, s := range states {
			if len(got) == 1 && got[0] == s {
				return
			}
		}
	}
	t.Fatalf("still %q after %v, want %q", got, limit, states)
}

// OpenThread's POSIX host takes our co-processor for one of its own: it forms
// a network, a router and a sleepy child join it, and packets get through.
func TestRCPUnderOpenThreadHost(t *testing.T) {
	daemon, ctl := otProgram(t, "ot-daemon"), otProgram(t, "ot-ctl")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ns := newRCPNetns(t)
	ns.env = []string{"PORT_OFFSET=70"}
	const ifname = "wpan-gwrcp"

	cmd := ns.command(daemon, "-I", ifname, "-d", "4", "-v", "spinel+hdlc+forkpty://"+self+"?forkpty-arg=rcp")
	cmd.Env = append(cmd.Env, rcpNodeEnv+"=1")
	var log syncBuffer
	cmd.Stdout, cmd.Stderr = &log, &log
	ns.start(cmd)
	defer func() {
		if t.Failed() {
			t.Logf("ot-daemon:\n%s", log.String())
		}
	}()

	host := func(command string) []string {
		t.Helper()
		out, err := ns.command(ctl, append([]string{"-I", ifname}, strings.Fields(command)...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("ot-ctl %s: %v: %s", command, err, out)
		}
		var got []string
		for line := range strings.Lines(string(out)) {
			if line = strings.TrimSpace(line); line == "Done" {
				return got
			} else if line != "" {
				got = append(got, line)
			}
		}
		t.Fatalf("ot-ctl %s: %q", command, got)
		return nil
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if out, err := ns.command(ctl, "-I", ifname, "rcp", "version").CombinedOutput(); err == nil {
			if !strings.Contains(string(out), "gatewayd") {
				t.Fatalf("version: %s", out)
			}
			break
		} else if time.Now().After(end) {
			t.Fatalf("host does not come up: %s", out)
		}
	}

	for _, c := range []string{"dataset init new", "dataset channel 15", "dataset commit active", "ifconfig up", "thread start"} {
		host(c)
	}
	start := time.Now()
	waitState(t, host, 20*time.Second, "leader")
	t.Logf("leader after %v", time.Since(start).Round(time.Millisecond))
	dataset := host("dataset active -x")[0]

	join := func(program string, node int, before ...string) (c *otCLI, addr string) {
		t.Helper()
		c = ns.cli(program, node)
		for _, s := range append(before, "dataset set active "+dataset, "ifconfig up", "thread start") {
			c.ask(s)
		}
		start := time.Now()
		waitState(t, c.ask, 30*time.Second, "child", "router")
		t.Logf("node %d joined after %v", node, time.Since(start).Round(time.Millisecond))
		return c, c.ask("ipaddr mleid")[0]
	}
	ping := func(ask func(string) []string, addr string, size, count int) {
		t.Helper()
		out := strings.Join(ask(fmt.Sprintf("ping %s %d %d 0.2", addr, size, count)), "\n")
		m := regexp.MustCompile(`(\d+) packets received.*Round-trip min/avg/max = ([\d./]+) ms`).FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("ping %s: %s", addr, out)
		}
		if got, _ := strconv.Atoi(m[1]); got < count-1 {
			t.Errorf("ping %s with %d bytes: %s", addr, size, out)
		}
		t.Logf("ping %d bytes: %s of %d, %s ms", size, m[1], count, m[2])
	}
	router, routerAddr := join("ot-cli-ftd", 2)
	ping(host, routerAddr, 16, 10)
	ping(host, routerAddr, 1000, 5)
	ping(router.ask, host("ipaddr mleid")[0], 1000, 5)

	// A sleepy child: the host's source match tables and the pending bit.
	_, sleepyAddr := join("ot-cli-mtd", 3, "mode -", "pollperiod 200")
	ping(host, sleepyAddr, 16, 5)
	ping(host, sleepyAddr, 500, 3)

	if rows := host("scan energy 20"); len(rows) < 16 {
		t.Errorf("energy scan: %q", rows)
	}
	if rows := strings.Join(host("scan"), "\n"); !strings.Contains(rows, " 15 ") {
		t.Errorf("active scan does not show the router on channel 15:\n%s", rows)
	}
}

// syncBuffer collects a program's output.
type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
