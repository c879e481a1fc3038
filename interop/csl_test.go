//go:build interop

package interop

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// cslPings is how many packets each sleepy child is sent: CSL_PINGS, or 1000.
func cslPings() int {
	if n, err := strconv.Atoi(os.Getenv("CSL_PINGS")); err == nil {
		return n
	}
	return 1000
}

// sleeper is one of OpenThread's sleepy devices in a network, with commands
// that make it listen in windows, or poll.
func (n *rcpNetns) sleeper(node int, dataset string, before ...string) (c *otCLI, addr string) {
	n.t.Helper()
	c = n.cli("ot-cli-mtd", node)
	for _, s := range append(before, "dataset set active "+dataset, "mode -", "ifconfig up", "thread start") {
		c.ask(s)
	}
	waitState(n.t, c.ask, 30*time.Second, "child")
	return c, c.ask("ipaddr mleid")[0]
}

// polls is how often a device has polled.
func (c *otCLI) polls() int {
	c.t.Helper()
	for _, line := range c.ask("counters mac") {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "TxDataPoll:" {
			v, _ := strconv.Atoi(f[1])
			return v
		}
	}
	c.t.Fatal("no TxDataPoll")
	return 0
}

var pingEnd = regexp.MustCompile(`(\d+) packets received.*Round-trip min/avg/max = ([\d.]+)/([\d.]+)/([\d.]+) ms`)

// pings sends as many as cslPings and wants all of them answered.
func (c *otCLI) pings(addr string, interval string) {
	c.t.Helper()
	count := cslPings()
	out, err := c.try(fmt.Sprintf("ping %s 16 %d %s 64 10", addr, count, interval), 30*time.Minute)
	m := pingEnd.FindStringSubmatch(strings.Join(out, "\n"))
	if err != nil || m == nil {
		c.t.Fatalf("ping: %q %v", out[max(0, len(out)-3):], err)
	}
	c.t.Logf("%s of %d answered, %s/%s/%s ms", m[1], count, m[2], m[3], m[4])
	if got, _ := strconv.Atoi(m[1]); got != count {
		c.t.Errorf("%d of %d answered", got, count)
	}
}

// hostPings is the same for the host's own stack.
func (g *gateway) hostPings(addr string, interval string) {
	g.t.Helper()
	count := cslPings()
	out, _ := g.ns.command("ping", "-6", "-n", "-q", "-c", strconv.Itoa(count), "-i", interval, "-W", "10", "-s", "16", addr).CombinedOutput()
	m := regexp.MustCompile(`(\d+) received[^\n]*\n(?:rtt ([^\n]*))?`).FindStringSubmatch(string(out))
	if m == nil {
		g.t.Fatalf("ping: %s", out)
	}
	g.t.Logf("%s of %d answered, %s", m[1], count, m[2])
	if got, _ := strconv.Atoi(m[1]); got != count {
		g.t.Errorf("%d of %d answered", got, count)
	}
}

// Their sleepy children, synchronized and polling, have all that the host sends
// through our gateway on their co-processor.
func TestSleepyChildrenOfGateway(t *testing.T) {
	rcp := otProgram(t, "ot-rcp")
	ns := newRCPNetns(t)
	ns.env = []string{nextOffset()}
	g := startGateway(t, ns, "spinel+hdlc+forkpty://"+rcp+"?forkpty-arg=1")
	g.form()
	dataset := strings.TrimSpace(g.ctl("dataset", "export"))
	synced, addr := ns.sleeper(2, dataset, "pollperiod 0")
	synced.ask("csl period 500000")
	time.Sleep(3 * time.Second)
	g.hostPings(addr, "0.3")
	_, addr = ns.sleeper(3, dataset, "pollperiod 200")
	g.hostPings(addr, "0.15")
}

// The same by a node of ours that owns its radio.
func TestSleepyChildrenOfNode(t *testing.T) {
	bin, err := buildGateway()
	if err != nil {
		t.Fatal(err)
	}
	ns := newRCPNetns(t)
	ns.env = []string{nextOffset()}
	node := ns.program(bin, "node", "1")
	for _, s := range []string{"dataset init new", "dataset channel 15", "dataset commit active", "ifconfig up", "thread start"} {
		node.ask(s)
	}
	waitState(t, node.ask, 20*time.Second, "leader")
	dataset := node.ask("dataset active -x")[0]
	synced, addr := ns.sleeper(2, dataset, "pollperiod 0")
	synced.ask("csl period 500000")
	time.Sleep(3 * time.Second)
	node.pings(addr, "0.2")
	_, addr = ns.sleeper(3, dataset, "pollperiod 200")
	node.pings(addr, "0.15")
}

// Our sleepy node listens in windows that their router is told.
func TestOurSleepyNodeUnderTheirRouter(t *testing.T) {
	bin, err := buildGateway()
	if err != nil {
		t.Fatal(err)
	}
	ns := newRCPNetns(t)
	ns.env = []string{nextOffset()}
	leader := ns.cli("ot-cli-ftd", 1)
	for _, s := range []string{"dataset init new", "dataset channel 15", "dataset commit active", "ifconfig up", "thread start"} {
		leader.ask(s)
	}
	waitState(t, leader.ask, 20*time.Second, "leader")
	node := ns.program(bin, "node", "2")
	for _, s := range []string{"dataset set active " + leader.ask("dataset active -x")[0], "mode -", "ifconfig up", "thread start"} {
		node.ask(s)
	}
	waitState(t, node.ask, 20*time.Second, "child")
	node.ask("csl period 500000")
	time.Sleep(3 * time.Second)
	if table := strings.Join(leader.ask("child table"), "\n"); !regexp.MustCompile(`\|0\|0\|0\|  5\| 1 \|`).MatchString(table) {
		t.Errorf("the router does not take it for synchronized:\n%s", table)
	}
	before := node.polls()
	for i := range 10 {
		out := strings.Join(leader.ask("ping "+node.ask("ipaddr mleid")[0]+" 16"), "\n")
		if !strings.Contains(out, "1 packets received") {
			t.Errorf("packet %d: %s", i, out)
		}
	}
	if n := node.polls() - before; n > 2 {
		t.Errorf("polled %d times for 10 packets", n)
	}
	leader.pings(node.ask("ipaddr mleid")[0], "0.3")
}
