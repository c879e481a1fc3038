//go:build interop

package interop

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// riotProgram finds one of RIOT's native programs.
func riotProgram(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("RIOT_DIR")
	if dir == "" {
		t.Skip("SKIPPED: RIOT_DIR is not set: no native nodes of RIOT's to be router and host")
	}
	p := filepath.Join(dir, name)
	if _, err := os.Stat(p); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	return p
}

// riotNode is one of RIOT's nodes, with its shell.
type riotNode struct {
	program string
	in      io.Writer
	out     syncBuffer
	stop    func()
}

// startRIOT runs a program of RIOT's until the test ends. A node reads its input
// in a process of its own, so that the whole group is ended.
func startRIOT(t *testing.T, program string, args ...string) *riotNode {
	t.Helper()
	n := &riotNode{}
	cmd := exec.Command(program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Stdout, cmd.Stderr = &n.out, &n.out
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	n.in = in
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n.stop = sync.OnceFunc(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	t.Cleanup(func() {
		n.stop()
		if t.Failed() {
			t.Logf("%s %s:\n%s", filepath.Base(program), strings.Join(args, " "), n.out.String())
		}
	})
	return n
}

// riotNetwork is our gateway and RIOT's nodes on one air, made of ZEP datagrams:
// G is the gateway's station, H hears it, R does too, F hears R only.
type riotNetwork struct {
	t    *testing.T
	gate *gateway
	at   string // the dispatcher

	nodes   map[byte]*riotNode // by the last byte of their address
	revived int
}

const riotTopology = `G := 02:00:00:00:00:00:00:01
H := 02:00:00:00:00:00:00:0A
R := 02:00:00:00:00:00:00:0B
F := 02:00:00:00:00:00:00:0C
G H
G R
R F
`

func newRIOTNetwork(t *testing.T) *riotNetwork {
	t.Helper()
	dispatch := riotProgram(t, "zep_dispatch")
	free, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.LocalAddr().(*net.UDPAddr).Port
	free.Close()
	dir := t.TempDir()
	topology := filepath.Join(dir, "topology")
	if err := os.WriteFile(topology, []byte(riotTopology), 0o600); err != nil {
		t.Fatal(err)
	}
	startRIOT(t, dispatch, "-t", topology, "::1", fmt.Sprint(port))
	time.Sleep(200 * time.Millisecond)

	bin, err := buildGateway()
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "gatewayd.toml")
	// RIOT's defaults: channel 26, PAN 0x23, no security, RPL in storing mode.
	text := "mode = \"lowpan\"\n[lowpan]\nname = \"riot\"\nchannel = 26\npan-id = \"0x0023\"\nprefix = \"fd00:7::/64\"\nopen = true\nstoring = true\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	n := &riotNetwork{t: t, nodes: map[byte]*riotNode{}, at: fmt.Sprintf("[::1]:%d", port)}
	g := &gateway{t: t, bin: bin, dir: dir, socket: filepath.Join(dir, "sock")}
	cmd := exec.Command(bin, "--config", config, "--socket", g.socket, "run", "--tun", "", "--data-dir", filepath.Join(dir, "data"),
		"--radio", "zep://"+n.at+"?eui64=0200000000000001", "--log-level", "debug")
	cmd.Stdout, cmd.Stderr = &g.log, &g.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("gatewayd:\n%s", g.log.String())
		}
	})
	n.gate = g
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if out, err := n.ctl("status"); err == nil && strings.Contains(out, "coordinator") {
			return n
		} else if time.Now().After(end) {
			t.Fatalf("gatewayd does not answer: %s", out)
		}
	}
}

func (n *riotNetwork) ctl(args ...string) (string, error) {
	out, err := exec.Command(n.gate.bin, append([]string{"--socket", n.gate.socket}, args...)...).CombinedOutput()
	return string(out), err
}

// node starts one of RIOT's nodes at a place of the topology.
func (n *riotNetwork) node(program string, last byte) {
	n.t.Helper()
	x := startRIOT(n.t, riotProgram(n.t, program), "-z", n.at, "--eui64", fmt.Sprintf("02:00:00:00:00:00:00:%02x", last))
	x.program = program
	n.nodes[last] = x
}

// crashes bounds how often RIOT's nodes may end by assertions of their own: its
// radio driver and its trickle timer do so now and then.
const crashes = 8

// revive starts nodes again that have ended so.
func (n *riotNetwork) revive() {
	for last, x := range n.nodes {
		if strings.Contains(x.out.String(), "FAILED ASSERTION") && n.revived < crashes {
			n.revived++
			n.t.Logf("RIOT's node %02x ended by an assertion of its own, again", last)
			x.stop()
			n.node(x.program, last)
		}
	}
}

// join starts a node and waits until a command's output shows it. On a busy
// machine RIOT's nodes miss the acknowledgements that they wait 864 us for: one
// that does not come is started again.
func (n *riotNetwork) join(program string, last byte, text string, args ...string) {
	n.t.Helper()
	var out string
	n.node(program, last)
	began := time.Now()
	for end := began.Add(120 * time.Second); time.Now().Before(end); time.Sleep(300 * time.Millisecond) {
		if out, _ = n.ctl(args...); strings.Contains(out, text) {
			return
		}
		n.revive()
		if time.Since(began) > 30*time.Second {
			began = time.Now()
			n.t.Logf("RIOT's node %02x does not come, again", last)
			n.nodes[last].stop()
			n.node(program, last)
		}
	}
	n.t.Fatalf("no %q in the output of %v:\n%s", text, args, out)
}

// ping pings a node; RIOT's drop frames that come while they handle another, so
// that not every ping can be answered.
func (n *riotNetwork) ping(addr netip.Addr, size int) {
	n.t.Helper()
	out, _ := n.ctl("ping", "-c", "5", "-s", fmt.Sprint(size), addr.String())
	got := strings.Count(out, " bytes from ")
	n.t.Logf("ping %v with %d bytes: %d of 5", addr, size, got)
	if got < 3 {
		n.t.Errorf("ping %v with %d bytes:\n%s", addr, size, out)
	}
}

// RIOT's nodes get their addresses from our border router and answer pings: a
// host and a router beside it, and a node two hops away, by RPL.
func TestRIOTNodes(t *testing.T) {
	n := newRIOTNetwork(t)
	n.join("riot_host.elf", 0xa, "fd00:7::a ", "nd", "table")
	n.ping(netip.MustParseAddr("fd00:7::a"), 16)
	n.ping(netip.MustParseAddr("fd00:7::a"), 500)

	n.join("gnrc_networking.elf", 0xb, "fd00:7::b/128", "nd", "routes")
	n.ping(netip.MustParseAddr("fd00:7::b"), 16)

	n.join("gnrc_networking.elf", 0xc, "fd00:7::c/128", "nd", "routes")
	n.ping(netip.MustParseAddr("fd00:7::c"), 16)
	n.ping(netip.MustParseAddr("fd00:7::c"), 500)

	// And back: the far node and the host ping the gateway.
	for _, x := range []*riotNode{n.nodes[0xa], n.nodes[0xc]} {
		fmt.Fprintln(x.in, "ping fd00:7::1 -c 5 -i 500")
		deadline := time.Now().Add(15 * time.Second)
		for !strings.Contains(x.out.String(), "5 packets transmitted") && time.Now().Before(deadline) {
			time.Sleep(100 * time.Millisecond)
		}
		got := strings.Count(x.out.String(), "bytes from fd00:7::1")
		t.Logf("pings the gateway: %d of 5", got)
		if got < 3 {
			t.Errorf("RIOT's node pings the gateway: %d of 5", got)
		}
	}
}
